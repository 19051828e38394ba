//! Servers, pages and everything that was published; and the property.

use sse_core::{BacklogConfig, ChannelConfig, HistoryConfig, LagPolicy, Message, StartFrom};

use super::Choices;
use super::node::{Node, Published, ROOMS, known_position};
use super::page::{Membership, Page};

/// The longest run.
const STEPS: [usize; 4] = [10, 20, 40, 80];

pub(crate) struct World {
    choices: Choices,
    is_verbose: bool,
    pub(crate) has_application_ids: bool,
    pub(crate) nodes: Vec<Node>,
    pub(crate) configs: Vec<ChannelConfig>,
    pub(crate) generations: [u32; ROOMS],
    /// The rooms that are finished, until they are closed.
    pub(crate) finished: [bool; ROOMS],
    pub(crate) events: Vec<Published>,
    pub(crate) pages: Vec<Page>,
    pub(crate) acknowledgements: usize,
    /// All links are healing: pages resume everything that they can in one step.
    pub(crate) is_healing: bool,
    pub(crate) loads: usize,
}

impl World {
    pub(crate) fn new(mut choices: Choices, nodes: usize, is_verbose: bool) -> World {
        let configs = (0..ROOMS).map(|_| config(&mut choices)).collect();
        let pages: Vec<Page> = (0..=choices(2)).map(|number| Page::new(format!("load {number}"))).collect();
        let has_application_ids = choices(4) == 0;
        World {
            is_verbose,
            has_application_ids,
            nodes: (0..nodes).map(|_| Node::new(nodes > 1)).collect(),
            configs,
            generations: [0; ROOMS],
            finished: [false; ROOMS],
            events: Vec::new(),
            loads: pages.len(),
            pages,
            acknowledgements: 0,
            is_healing: false,
            choices,
        }
    }

    pub(crate) fn run(mut self) {
        let steps = STEPS[self.choose(STEPS.len())];
        for _ in 0..steps {
            self.step();
        }
        self.settle();
    }

    pub(crate) fn choose(&mut self, most: usize) -> usize {
        (self.choices)(most)
    }

    pub(crate) fn log(&self, what: impl FnOnce() -> String) {
        if self.is_verbose {
            eprintln!("{}", what());
        }
    }

    pub(crate) fn is_external(&self) -> bool {
        self.nodes.len() > 1
    }

    /// Returns the position that an id stands for.
    pub(crate) fn position_of(&self, id: &str) -> u64 {
        known_position(&self.events, id)
    }

    /// Handles a message that arrived at a page.
    pub(crate) fn arrive(&mut self, number: usize, message: &Message) {
        self.log(|| format!("  page {number} receives {message:?}"));
        let position = self.position_of(&message.id);
        let page = &mut self.pages[number];
        let link = page.link.as_mut().expect("a link");
        let is_of_hub = matches!(message.event.as_str(), "position" | "reset");
        if is_of_hub || message.id != page.last_id {
            assert!(position >= link.newest, "the id {} went back behind {}", message.id, link.newest);
            (link.has_id, link.newest) = (true, position);
        }
        if known_position(&self.events, &page.last_id) > position {
            // The server does not know the id that the page had.
            page.unrepeatable.clear();
        }
        page.last_id.clone_from(&message.id);
        assert!(!link.has_farewell, "something came behind the farewell");
        match message.event.as_str() {
            "position" => {}
            "farewell" => link.has_farewell = true,
            "ack" => self.acknowledge(number, message.data.parse().expect("a number")),
            "reset" => self.reset(number, position),
            _ => self.receive(number, message.data.parse().expect("the number of an event")),
        }
        self.check(number, position);
    }

    fn receive(&mut self, number: usize, event: usize) {
        let page = &mut self.pages[number];
        let link = page.link.as_mut().expect("a link");
        let Published { position, is_replayable, .. } = self.events[event];
        // A page receives its own events only where it starts, or behind a reset (U3).
        let is_own = self.events[event].is_by(&page.key);
        let starts_anew = position <= link.head && (link.resumed_at == 0 || link.resets > 0);
        assert!(!is_own || starts_anew, "page {number} received its own event {event}");
        assert!(position > link.newest_event, "event {event} came behind {}", link.newest_event);
        link.newest_event = position;
        // A node that is behind sends an event without an id again.
        let is_new = page.unrepeatable.insert(event);
        assert!(is_new || !is_replayable, "page {number} received event {event} twice");
        page.received.insert(event);
    }

    /// The page loads its state again. The reset stands where the loss ends, or just before, if another room has an
    /// event there.
    fn reset(&mut self, number: usize, position: u64) {
        let page = &mut self.pages[number];
        let link = page.link.as_mut().expect("a link");
        link.resets += 1;
        if link.is_unknown {
            page.unrepeatable.clear();
            link.is_unknown = false;
        }
        let node = &self.nodes[link.node];
        for (name, room) in &mut page.rooms {
            let lost_next = node.would_report_gap(*name, position);
            room.base = room.base.max(position + u64::from(lost_next));
        }
    }

    fn acknowledge(&mut self, number: usize, acknowledged: usize) {
        let page = &mut self.pages[number];
        let link = page.link.as_ref().expect("a link");
        for room in page.rooms.values_mut() {
            let Membership::Joining { number, base, resets_before, is_over } = room.membership else {
                continue;
            };
            if number == acknowledged {
                assert!(
                    resets_before.is_none_or(|before| before < link.resets),
                    "the reset of a late subscription comes before a direct send"
                );
                room.base = room.base.max(base);
                room.membership = Membership::Inside;
                if is_over {
                    room.since.clone_from(&page.last_id);
                }
            }
        }
    }

    /// Excuses what a page lost at its node while its id is below the end of the loss: the floors of nodes that opened a
    /// room at different positions differ, and another node would not report this loss.
    fn excuse(&mut self, number: usize, position: u64) {
        let page = &mut self.pages[number];
        let Some(link) = &page.link else { return };
        if self.nodes.len() == 1 {
            return;
        }
        let node = &self.nodes[link.node];
        for (name, room) in &mut page.rooms {
            if room.membership == Membership::Inside && node.would_report_gap(*name, position) {
                room.base = room.base.max(node.floor(*name));
            }
        }
    }

    /// Checks that a page that holds an id of this position has what the id claims.
    pub(crate) fn check(&mut self, number: usize, position: u64) {
        if self.pages[number].link.as_ref().is_some_and(|link| !link.has_id) {
            return;
        }
        self.excuse(number, position);
        let page = &self.pages[number];
        for (name, room) in page.rooms.iter().filter(|(_, room)| room.membership == Membership::Inside) {
            if self.nodes.iter().all(|node| node.would_report_gap(*name, position)) {
                continue;
            }
            let owed = self.events.iter().enumerate().filter(|(_, event)| {
                let is_claimed =
                    room.base < event.position && event.position <= position && !event.is_by(&page.key);
                is_claimed && event.is_replayable && event.is_in(*name, room.generation)
            });
            for (event, published) in owed {
                assert!(
                    page.received.contains(&event),
                    "page {number} has the id of {position} and lacks event {event} at {} in room {name}, base {}",
                    published.position,
                    room.base
                );
            }
        }
    }
}

fn config(choices: &mut Choices) -> ChannelConfig {
    let mut pick = |from: &[usize]| from[choices(from.len())];
    let events = pick(&[1, 2, 3, 5, 500]);
    let frames = pick(&[1, 2, 4, 50]).try_into().expect("not zero");
    ChannelConfig {
        history: HistoryConfig { events, ..HistoryConfig::default() },
        backlog: BacklogConfig { frames, ..BacklogConfig::default() },
        on_lag: [LagPolicy::Close, LagPolicy::Skip][pick(&[0, 1])],
        start: [StartFrom::Live, StartFrom::Beginning, StartFrom::Last(2), StartFrom::All]
            [pick(&[0, 0, 1, 2, 3])],
        ..ChannelConfig::default()
    }
}
