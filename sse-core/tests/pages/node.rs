//! One server, and the events that all servers receive.

use sse_core::{ChannelConfig, ChannelId, Hub, HubConfig, Instant, Position, PositionSource};

/// The number of rooms that a world has.
pub(crate) const ROOMS: usize = 3;

/// An event that was published.
pub(crate) struct Published {
    pub(crate) position: u64,
    /// The rooms of the event, each with its generation.
    pub(crate) rooms: Vec<(usize, u32)>,
    pub(crate) is_replayable: bool,
    /// The id that the application set.
    pub(crate) application_id: Option<String>,
    /// The client key of the page load that published the event and is excluded.
    pub(crate) author: Option<String>,
}

impl Published {
    /// Returns whether the event excludes a page with this client key.
    pub(crate) fn is_by(&self, key: &str) -> bool {
        self.author.as_deref() == Some(key)
    }

    pub(crate) fn is_in(&self, room: usize, generation: u32) -> bool {
        self.rooms.contains(&(room, generation))
    }
}

/// Returns the position that an id stands for, or the origin if no event has the id.
pub(crate) fn known_position(events: &[Published], id: &str) -> u64 {
    if let Some(position) = id.strip_prefix("e-") {
        return position.parse().expect("a position");
    }
    events.iter().find(|event| event.application_id.as_deref() == Some(id)).map_or(0, |event| event.position)
}

pub(crate) struct Node {
    pub(crate) hub: Hub,
    pub(crate) now: Instant,
    /// The channels of the rooms, if they are open.
    pub(crate) channels: [Option<ChannelId>; ROOMS],
    /// The index of the next event that a node with external positions receives, and the rooms that it lacks.
    pub(crate) next_event: usize,
    pub(crate) next_rooms: Vec<usize>,
}

impl Node {
    pub(crate) fn new(is_external: bool) -> Node {
        let after = Position::ORIGIN;
        let positions =
            if is_external { PositionSource::External { after } } else { PositionSource::Local { after } };
        let config = HubConfig { epoch: "e".into(), positions, stall_timeout: None, ..HubConfig::default() };
        Node {
            hub: Hub::new(config).expect("a valid configuration"),
            now: Instant::ORIGIN,
            channels: [None; ROOMS],
            next_event: 0,
            next_rooms: Vec::new(),
        }
    }

    /// Returns the channel of a room, which is opened if it is not open.
    pub(crate) fn channel(&mut self, room: usize, config: &ChannelConfig) -> ChannelId {
        *self.channels[room].get_or_insert_with(|| {
            self.hub.open_channel(self.now, &format!("room {room}"), config.clone()).expect("an open channel")
        })
    }

    /// Returns whether a client that comes back with an id of this position would be told of a loss in a room.
    pub(crate) fn would_report_gap(&self, room: usize, position: u64) -> bool {
        position < self.floor(room)
    }

    /// Returns the floor of a room, or the origin if the room is not open.
    pub(crate) fn floor(&self, room: usize) -> u64 {
        let stats = self.channels[room].and_then(|channel| self.hub.channel_stats(channel));
        stats.map_or(0, |stats| stats.floor.get())
    }
}
