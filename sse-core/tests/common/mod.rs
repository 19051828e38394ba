//! What the rule tests share: a hub with a clock, and a client that keeps what it was sent.
#![allow(dead_code, reason = "each test file uses its part")]

use std::time::Duration;

use bytes::Buf;
use sse_core::{
    Action, ChannelConfig, ChannelId, CloseReason, ConnectionConfig, ConnectionId, Decoder, Event, Frame,
    HistoryConfig, Hub, HubConfig, Instant, LastEventId, Message, OnMaxLifetime, Position, PositionSource,
    PublishOptions, Published, Resume,
};

/// A hub with the epoch `e`, and the clock that drives it.
pub(crate) struct World {
    pub(crate) hub: Hub,
    pub(crate) now: Instant,
}

impl World {
    pub(crate) fn new() -> World {
        World::with(HubConfig::default())
    }

    pub(crate) fn with(config: HubConfig) -> World {
        let hub = Hub::new(HubConfig { epoch: "e".into(), ..config }).unwrap();
        World { hub, now: Instant::ORIGIN }
    }

    /// A hub that is fed its positions, all of them above `after`.
    pub(crate) fn fed(after: u64) -> World {
        let positions = PositionSource::External { after: Position::new(after) };
        World::with(HubConfig { positions, ..HubConfig::default() })
    }

    /// Lets time pass as a driver does that sleeps exactly until each deadline, and returns what it had to do.
    pub(crate) fn pass(&mut self, time: Duration) -> Vec<Action> {
        let end = self.now.saturating_add(time);
        let mut actions = self.actions();
        while let Some(at) = self.hub.poll_timeout().filter(|at| *at <= end) {
            self.now = at;
            actions.extend(self.actions());
        }
        self.now = end;
        actions.extend(self.actions());
        actions
    }

    /// Sleeps until there is something to do, and returns after how long, and what.
    pub(crate) fn sleep(&mut self) -> (Duration, Vec<Action>) {
        let start = self.now;
        loop {
            let actions = self.actions();
            if !actions.is_empty() {
                return (self.now.saturating_duration_since(start), actions);
            }
            self.now = self.hub.poll_timeout().expect("it sleeps for ever");
        }
    }

    pub(crate) fn open(&mut self, name: &str) -> ChannelId {
        self.open_with(name, ChannelConfig::default())
    }

    pub(crate) fn open_with(&mut self, name: &str, config: ChannelConfig) -> ChannelId {
        self.hub.open_channel(self.now, name, config).unwrap()
    }

    /// A channel that keeps so many events.
    pub(crate) fn open_keeping(&mut self, name: &str, events: usize) -> ChannelId {
        self.open_with(name, ChannelConfig { history: keeping(events), ..ChannelConfig::default() })
    }

    /// A connection that sends no position at its start, so that tests see events alone.
    pub(crate) fn connect(&mut self) -> ConnectionId {
        self.connect_with(quiet())
    }

    /// A client that comes back.
    pub(crate) fn connect_after(&mut self, last_event_id: &str) -> ConnectionId {
        let last_event_id = LastEventId::new(last_event_id.as_bytes());
        self.connect_with(ConnectionConfig { last_event_id, ..ConnectionConfig::default() })
    }

    pub(crate) fn connect_with(&mut self, config: ConnectionConfig) -> ConnectionId {
        self.hub.connect(self.now, config).unwrap()
    }

    /// A connection that follows one channel.
    pub(crate) fn follow(&mut self, channel: ChannelId) -> ConnectionId {
        let connection = self.connect();
        self.subscribe(channel, connection);
        connection
    }

    pub(crate) fn subscribe(&mut self, channel: ChannelId, connection: ConnectionId) -> Resume {
        self.hub.subscribe(self.now, channel, connection).unwrap()
    }

    pub(crate) fn publish(&mut self, channel: ChannelId, data: &str) -> Published {
        self.publish_event(channel, Event::new().data(data))
    }

    /// Events whose data is their number.
    pub(crate) fn publish_all(&mut self, channel: ChannelId, numbers: std::ops::RangeInclusive<u64>) {
        for number in numbers {
            self.publish(channel, &number.to_string());
        }
    }

    pub(crate) fn publish_event(&mut self, channel: ChannelId, event: Event<'_>) -> Published {
        self.hub.publish(self.now, channel, &event).unwrap()
    }

    /// One event in several channels.
    pub(crate) fn publish_to(&mut self, channels: &[ChannelId], data: &str) -> Published {
        let event = Event::new().data(data);
        self.hub.publish_to(self.now, channels, &event, PublishOptions::default()).unwrap()
    }

    pub(crate) fn publish_except(&mut self, except: ConnectionId, channel: ChannelId, data: &str) {
        let options = PublishOptions { except: Some(except) };
        self.hub.publish_to(self.now, &[channel], &Event::new().data(data), options).unwrap();
    }

    /// An event of a hub that is fed.
    pub(crate) fn feed(&mut self, channel: ChannelId, position: u64) -> Published {
        let frame = data_frame(&position.to_string());
        self.hub.publish_at(self.now, &[channel], Position::new(position), &frame).unwrap()
    }

    pub(crate) fn send(&mut self, connection: ConnectionId, data: &str) {
        self.hub.send(self.now, connection, &data_frame(data)).unwrap();
    }

    /// All actions that are pending.
    pub(crate) fn actions(&mut self) -> Vec<Action> {
        let mut actions = Vec::new();
        for _ in 0..1_000_000 {
            match self.hub.poll_action() {
                Some(action) => actions.push(action),
                None if self.hub.poll_timeout().is_some_and(|at| at <= self.now) => {
                    self.hub.handle_timeout(self.now);
                }
                None => return actions,
            }
        }
        panic!("actions without end");
    }

    /// Everything that is due to a connection, taken whole.
    pub(crate) fn take(&mut self, connection: ConnectionId) -> String {
        let mut taken = Vec::new();
        loop {
            let mut window = self.hub.transmit(self.now, connection);
            if !window.has_remaining() {
                return String::from_utf8(taken).unwrap();
            }
            let chunk = window.chunk().len();
            taken.extend_from_slice(window.chunk());
            window.advance(chunk);
        }
    }

    /// As many bytes as that of what is due.
    pub(crate) fn take_bytes(&mut self, connection: ConnectionId, count: usize) -> String {
        let taken = self.hub.transmit(self.now, connection).copy_to_bytes(count);
        String::from_utf8(taken.to_vec()).unwrap()
    }

    /// The first frame of what is due.
    pub(crate) fn take_frame(&mut self, connection: ConnectionId) -> String {
        let frame = self.hub.transmit(self.now, connection).chunk().len();
        self.take_bytes(connection, frame)
    }

    /// How many bytes the next window has.
    pub(crate) fn due(&mut self, connection: ConnectionId) -> usize {
        self.hub.transmit(self.now, connection).remaining()
    }

    /// What a client makes of all that is due: the data of the events, `reset <id>` for a reset.
    pub(crate) fn data(&mut self, connection: ConnectionId) -> Vec<String> {
        data(&self.take(connection))
    }

    /// Members, and frames that wait for one of them.
    pub(crate) fn backlog(&self, channel: ChannelId) -> (usize, usize) {
        let stats = self.hub.channel_stats(channel).unwrap();
        (stats.members, stats.backlog_frames)
    }

    /// The ends among the actions that are pending.
    pub(crate) fn ends(&mut self) -> Vec<(ConnectionId, CloseReason)> {
        ends(&self.actions())
    }
}

/// What a client makes of a stream.
pub(crate) fn messages(stream: &str) -> Vec<Message> {
    let mut decoder = Decoder::new();
    decoder.push(stream.as_bytes());
    std::iter::from_fn(|| decoder.next_message()).map(Result::unwrap).collect()
}

/// The data of the events of a stream, `reset <id>` for a reset.
pub(crate) fn data(stream: &str) -> Vec<String> {
    let show = |message: Message| match message.event.as_str() {
        "reset" => format!("reset {}", message.id),
        _ => message.data,
    };
    messages(stream).into_iter().map(show).collect()
}

pub(crate) fn data_frame(data: &str) -> Frame {
    Event::new().data(data).encode().unwrap()
}

pub(crate) fn ends(actions: &[Action]) -> Vec<(ConnectionId, CloseReason)> {
    let end = |action: &Action| match action {
        Action::Close { connection, reason } => Some((*connection, *reason)),
        _ => None,
    };
    actions.iter().filter_map(end).collect()
}

/// A connection that sends no position at its start.
pub(crate) fn quiet() -> ConnectionConfig {
    ConnectionConfig { announce_position: false, ..ConnectionConfig::default() }
}

pub(crate) fn keeping(events: usize) -> HistoryConfig {
    HistoryConfig { events, ..HistoryConfig::default() }
}

pub(crate) fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

pub(crate) fn without_pings(w: &mut World) -> ConnectionId {
    w.connect_with(ConnectionConfig { ping: None, ..quiet() })
}

pub(crate) fn with_life(w: &mut World, timeout: Duration, on_max_lifetime: OnMaxLifetime) -> ConnectionId {
    w.connect_with(ConnectionConfig { max_lifetime: Some(timeout), on_max_lifetime, ..quiet() })
}
