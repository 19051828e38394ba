//! One hub, and the model of its channels.

use std::collections::{BTreeMap, VecDeque};

use sse_core::{ChannelConfig, ChannelId, ChannelStats, ConnectionId, Hub, Instant, StartFrom};

/// An event as it was published.
pub(crate) struct Truth {
    /// Run of the server, and position in that run.
    pub(crate) epoch: usize,
    pub(crate) position: u64,
    /// Channels of the event, as indices of their names.
    pub(crate) names: Vec<usize>,
    pub(crate) id: Option<String>,
    pub(crate) event: String,
    pub(crate) data: String,
    pub(crate) is_replayable: bool,
}

pub(crate) struct Server {
    pub(crate) hub: Hub,
    pub(crate) epoch: usize,
    pub(crate) channels: BTreeMap<ChannelId, Channel>,
    /// The position after which the hub started.
    pub(crate) after: u64,
    /// Where the channels of closed names ended (H5).
    ends: BTreeMap<usize, u64>,
    /// Index of the next event in the feed, and the channels of that event that do not have it yet.
    pub(crate) feed_index: usize,
    pub(crate) next_channels: VecDeque<usize>,
    /// Number of live-only events that connections missed.
    pub(crate) missed_live_only: u64,
    pub(crate) published: u64,
    pub(crate) bytes: u64,
    pub(crate) delivered: u64,
}

impl Server {
    pub(crate) fn new(hub: Hub, epoch: usize, feed_index: usize) -> Server {
        Server {
            after: hub.head().get(),
            hub,
            epoch,
            channels: BTreeMap::new(),
            ends: BTreeMap::new(),
            feed_index,
            next_channels: VecDeque::new(),
            missed_live_only: 0,
            published: 0,
            bytes: 0,
            delivered: 0,
        }
    }

    pub(crate) fn head(&self) -> u64 {
        self.hub.head().get()
    }

    /// Returns the floor with which a channel of this name opens, in a hub that assigns its positions (H5).
    pub(crate) fn floor(&self, name: usize) -> u64 {
        // The action that reports the end of an empty channel may not have been polled yet.
        let ended = self.channels.iter().filter(|(_, channel)| channel.name == name && !channel.is_closed);
        let ended = ended.map(|(_, channel)| channel.end()).max();
        self.ends.get(&name).copied().max(ended).unwrap_or(self.after)
    }

    /// Records where a channel ended.
    pub(crate) fn record_end(&mut self, id: ChannelId) {
        let channel = &self.channels[&id];
        // A later channel of the name may have ended before the end of this one was reported.
        let end = self.ends.entry(channel.name).or_default();
        *end = channel.end().max(*end);
    }

    /// Returns a channel that still exists, with its floor and the kept events.
    pub(crate) fn channel(&self, id: ChannelId) -> Option<(&Channel, u64, Vec<&Entry>)> {
        let stats = self.hub.channel_stats(id)?;
        let channel = self.channels.get(&id)?;
        Some((channel, stats.floor.get(), channel.kept(&stats)))
    }
}

/// One channel from its opening to its end.
pub(crate) struct Channel {
    pub(crate) name: usize,
    pub(crate) config: ChannelConfig,
    /// The floor at the opening.
    pub(crate) first_floor: u64,
    pub(crate) log: Vec<Entry>,
    pub(crate) is_closed: bool,
    pub(crate) is_finished: bool,
    pub(crate) empty_since: Option<Instant>,
}

#[derive(Clone)]
pub(crate) struct Entry {
    pub(crate) number: usize,
    pub(crate) position: u64,
    pub(crate) at: Instant,
    pub(crate) bytes: usize,
    pub(crate) is_replayable: bool,
    pub(crate) except: Option<Excluded>,
}

/// What a publication excludes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Excluded {
    Connection(ConnectionId),
    /// The client key of a client.
    Client(usize),
}

impl Excluded {
    pub(crate) fn is_of(self, client: usize, connection: ConnectionId) -> bool {
        self == Excluded::Client(client) || self == Excluded::Connection(connection)
    }
}

/// Returns the client key of a client.
pub(crate) fn client_key(client: usize) -> String {
    format!("page load {client}")
}

impl Channel {
    /// Creates a channel that was opened just now.
    pub(crate) fn new(
        name: usize,
        config: ChannelConfig,
        first_floor: u64,
        log: Vec<Entry>,
        now: Instant,
    ) -> Channel {
        let empty_since = Some(now);
        Channel { name, config, first_floor, log, is_closed: false, is_finished: false, empty_since }
    }

    /// Returns the newest position of an event with an id, or the floor at the opening.
    pub(crate) fn end(&self) -> u64 {
        let newest = self.log.iter().rfind(|entry| entry.is_replayable).map_or(0, |entry| entry.position);
        newest.max(self.first_floor)
    }

    pub(crate) fn newest(&self) -> u64 {
        self.log.last().map_or(0, |entry| entry.position)
    }

    /// Returns the events that can be replayed. In a hub with external positions, an event at the head of the opening
    /// is kept although it is not above the floor.
    pub(crate) fn kept(&self, stats: &ChannelStats) -> Vec<&Entry> {
        let floor = stats.floor.get();
        let above = self.log.iter().filter(|entry| entry.is_replayable && entry.position > floor).count();
        let first = if floor == self.first_floor && above < stats.history_events { floor } else { floor + 1 };
        self.log.iter().filter(|entry| entry.is_replayable && entry.position >= first).collect()
    }

    /// Returns the events that were evicted and are retained for connections that replay (H6), and the position through
    /// which all others are gone.
    pub(crate) fn retained(&self, stats: &ChannelStats) -> (Vec<&Entry>, u64) {
        let floor = stats.floor.get();
        let evicted = self.log.iter().filter(|entry| entry.is_replayable && entry.position <= floor);
        let mut evicted: Vec<&Entry> = evicted.collect();
        let retained = evicted.split_off(evicted.len().saturating_sub(stats.retained_frames));
        let gone_through = evicted.last().map_or(0, |entry| entry.position);
        (retained, gone_through)
    }

    /// Returns whether the channel promises its beginning and has let go of a part of it (H8).
    pub(crate) fn has_lost_beginning(&self, floor: u64) -> bool {
        self.config.start == StartFrom::Beginning && floor > self.first_floor
    }

    /// Returns the position after which a new connection receives replayed events (H8).
    pub(crate) fn start(&self, floor: u64, kept: &[&Entry], live_index: usize) -> Option<u64> {
        let newest = self.log[..live_index].last().map_or(0, |entry| entry.position);
        let kept: Vec<_> = kept.iter().filter(|entry| entry.position <= newest).collect();
        match self.config.start {
            StartFrom::Live => None,
            StartFrom::All | StartFrom::Beginning => Some(floor),
            StartFrom::Last(events) => {
                Some((kept.get(kept.len().saturating_sub(events))?.position - 1).max(floor))
            }
            other => panic!("the simulation does not know {other:?}"),
        }
    }
}
