//! A channel with a past behaves as one that was open all the time: the property of L2 and L3.
//!
//! Two hubs follow one log. The channels of the first are open from the beginning. Those of the second are opened and closed at
//! any point, each time with the past that the log has by then, which can be ahead of the hub. For any id, both give the same
//! `Resume` and the same bytes.
mod common;

use common::World;
use proptest::collection::vec;
use proptest::prelude::*;
use sse_core::{
    ChannelConfig, ConnectionConfig, ConnectionId, Event, Frame, GapPolicy, HistoryConfig, HubConfig,
    Instant, LastEventId, Past, PastEvent, Position, PositionSource, PublishOptions, Resume, StartFrom,
};

const NAMES: [&str; 2] = ["a", "b"];

/// What happens to the log and to the second hub.
#[derive(Clone, Debug)]
enum Step {
    /// An event for channels, a bit for each name; none are channels that are open on other nodes only.
    Publish { channels: u8, gap: u64, kind: Kind },
    /// The second hub opens or closes a channel.
    Toggle { name: usize },
    /// A client connects to both hubs and stays.
    Follow { id: Option<u64> },
    /// The second hub reads some of the log.
    CatchUp { records: usize },
    /// The clients that stay read.
    Read,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Plain,
    LiveOnly,
    OwnId(u8),
}

/// The log: its events, each with a bit for each channel.
#[derive(Default)]
struct Log(Vec<(u64, u8, Frame)>);

impl Log {
    fn head(&self) -> u64 {
        self.0.last().map_or(0, |(position, ..)| *position)
    }

    /// Returns the floor and the newest events of a channel.
    fn past(&self, name: usize, kept: usize) -> (u64, Vec<PastEvent>) {
        let of_channel =
            |(_, channels, frame): &&(u64, u8, Frame)| channels & 1 << name != 0 && !frame.is_live_only();
        let all: Vec<_> = self.0.iter().filter(of_channel).collect();
        let (gone, kept) = all.split_at(all.len().saturating_sub(kept));
        let floor = gone.last().map_or(0, |(position, ..)| *position);
        let event = |(position, _, frame): &&(u64, u8, Frame)| PastEvent {
            position: Position::new(*position),
            published_at: Instant::ORIGIN,
            frame: frame.clone(),
        };
        (floor, kept.iter().map(event).collect())
    }
}

/// Reads a record of the log into a hub.
fn feed(world: &mut World, position: u64, channels: u8, frame: &Frame) {
    let wanted = (0..NAMES.len()).filter(|name| channels & 1 << name != 0);
    let open: Vec<_> = wanted.filter_map(|name| world.hub.channel(NAMES[name])).collect();
    let position = Position::new(position);
    if !open.is_empty() {
        world.hub.publish_at(world.now, &open, position, frame, PublishOptions::default()).unwrap();
    }
    world.hub.advance(world.now, position);
}

struct Test {
    log: Log,
    always: World,
    sometimes: World,
    config: ChannelConfig,
    /// The number of records that the second hub has read.
    read: usize,
    /// The connections that stay, in both hubs.
    members: Vec<(ConnectionId, ConnectionId)>,
}

impl Test {
    fn new(config: ChannelConfig) -> Test {
        let hub = || {
            let positions = PositionSource::Log { after: Position::ORIGIN };
            World::with(HubConfig { positions, ..HubConfig::default() })
        };
        let mut test = Test {
            log: Log::default(),
            always: hub(),
            sometimes: hub(),
            config,
            read: 0,
            members: Vec::new(),
        };
        for name in NAMES {
            test.always.open_with(name, test.config.clone());
        }
        test
    }

    fn step(&mut self, step: &Step) {
        match *step {
            Step::Publish { channels, gap, kind } => self.publish(channels, gap, kind),
            Step::Toggle { name } => self.toggle(name),
            Step::CatchUp { records } => self.catch_up(records),
            Step::Follow { id } => {
                self.catch_up(usize::MAX);
                self.open_all();
                let (always, sometimes, ..) = self.follow(id.map(|id| format!("e-{id}")).as_deref());
                self.members.push((always, sometimes));
            }
            Step::Read => {
                self.catch_up(usize::MAX);
                self.read();
            }
        }
    }

    fn publish(&mut self, channels: u8, gap: u64, kind: Kind) {
        let position = self.log.head() + gap;
        let text = position.to_string();
        let event = Event::new().data(&text);
        let own = |id| format!("own-{id}");
        let frame = match kind {
            Kind::Plain => event.encode(),
            Kind::LiveOnly => event.live_only().encode(),
            Kind::OwnId(id) => event.id(own(id)).encode(),
        };
        let frame = frame.unwrap();
        feed(&mut self.always, position, channels, &frame);
        self.log.0.push((position, channels, frame));
    }

    fn catch_up(&mut self, records: usize) {
        let unread = self.log.0.iter().skip(self.read).take(records);
        for (position, channels, frame) in unread {
            feed(&mut self.sometimes, *position, *channels, frame);
            self.read += 1;
        }
    }

    fn toggle(&mut self, name: usize) {
        if let Some(open) = self.sometimes.hub.channel(NAMES[name]) {
            if self.sometimes.hub.members(open).count() == 0 {
                self.sometimes.hub.close_channel(self.sometimes.now, open);
            }
            return;
        }
        let (floor, events) = self.log.past(name, self.config.history.events);
        let past = Past { floor: Position::new(floor), is_complete: floor == 0, events: &events };
        let w = &mut self.sometimes;
        w.hub.open_channel_with(w.now, NAMES[name], self.config.clone(), &past).unwrap();
    }

    fn open_all(&mut self) {
        for (number, name) in NAMES.iter().enumerate() {
            if self.sometimes.hub.channel(name).is_none() {
                self.toggle(number);
            }
        }
    }

    /// Opens a connection in both hubs that follows both channels.
    fn follow(&mut self, id: Option<&str>) -> (ConnectionId, ConnectionId, [Vec<Resume>; 2]) {
        let [always, sometimes] = [&mut self.always, &mut self.sometimes].map(|world| {
            let last_event_id = id.and_then(|id| LastEventId::new(id.as_bytes()));
            let c = world.connect_with(ConnectionConfig { last_event_id, ..ConnectionConfig::default() });
            let channels = NAMES.map(|name| world.hub.channel(name).unwrap());
            (c, channels.map(|channel| world.subscribe(channel, c)).to_vec())
        });
        (always.0, sometimes.0, [always.1, sometimes.1])
    }

    fn read(&mut self) {
        for (always, sometimes) in self.members.clone() {
            assert_eq!(self.always.take(always), self.sometimes.take(sometimes));
        }
    }

    /// Resumes with an id in both hubs, and compares.
    fn compare(&mut self, id: Option<&str>) {
        let (always, sometimes, resumes) = self.follow(id);
        assert_eq!(resumes[0], resumes[1], "{id:?}");
        assert_eq!(self.always.take(always), self.sometimes.take(sometimes), "{id:?}");
        self.always.hub.disconnect(self.always.now, always);
        self.sometimes.hub.disconnect(self.sometimes.now, sometimes);
    }
}

fn step() -> impl Strategy<Value = Step> {
    let kind = prop_oneof![
        4 => Just(Kind::Plain),
        1 => Just(Kind::LiveOnly),
        1 => (0u8..3).prop_map(Kind::OwnId),
    ];
    prop_oneof![
        6 => (0u8..4, 1u64..4, kind).prop_map(|(channels, gap, kind)| Step::Publish { channels, gap, kind }),
        3 => (0..NAMES.len()).prop_map(|name| Step::Toggle { name }),
        1 => proptest::option::of(0u64..40).prop_map(|id| Step::Follow { id }),
        1 => Just(Step::Read),
        4 => (1usize..6).prop_map(|records| Step::CatchUp { records }),
    ]
}

fn config() -> impl Strategy<Value = ChannelConfig> {
    let start = prop_oneof![
        Just(StartFrom::Live),
        (0usize..4).prop_map(StartFrom::Last),
        Just(StartFrom::All),
        Just(StartFrom::Beginning),
    ];
    let on_gap = prop_oneof![Just(GapPolicy::Reset), Just(GapPolicy::Kept), Just(GapPolicy::Live)];
    (1usize..5, start, on_gap).prop_map(|(events, start, on_gap)| ChannelConfig {
        history: HistoryConfig { events, ..HistoryConfig::default() },
        start,
        on_gap,
        ..ChannelConfig::default()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn l2_a_channel_with_a_past_answers_as_one_that_was_open(config in config(), steps in vec(step(), 0..40)) {
        let mut test = Test::new(config);
        steps.iter().for_each(|step| test.step(step));
        test.catch_up(usize::MAX);
        test.open_all();
        test.read();
        test.compare(None);
        for id in 0..=test.log.head() + 2 {
            test.compare(Some(&format!("e-{id}")));
        }
        for id in ["own-0", "own-1", "own-2", "unknown"] {
            test.compare(Some(id));
        }
    }
}
