//! One connection: what it is owed, and what came.

use std::collections::{BTreeMap, BTreeSet, HashSet, VecDeque};
use std::time::Duration;

use sse_core::{ChannelId, ConnectionId, Decoder, Frame, Instant, Message, OnMaxLifetime};

/// What its first bytes have to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Opening {
    None,
    Announce,
    Reset,
}

pub(crate) struct Subscription {
    pub(crate) channel: ChannelId,
    pub(crate) name: usize,
    /// Events of the log from this index on are live.
    pub(crate) live_index: usize,
    /// Where the hub stood.
    pub(crate) head: u64,
    /// Live events at or below this are not due: the client has them, or a reset tells of them.
    pub(crate) live_after: u64,
}

/// An event that is due.
#[derive(Clone)]
pub(crate) struct Owed {
    pub(crate) number: usize,
    pub(crate) at: Instant,
    pub(crate) is_replayable: bool,
    pub(crate) channels: Vec<ChannelId>,
    /// It may be missing: it was lost and told, or came while the connection was perhaps being closed.
    pub(crate) is_optional: bool,
}

pub(crate) struct Direct {
    pub(crate) frame: Frame,
    pub(crate) head: u64,
    pub(crate) at: Instant,
}

pub(crate) struct Connection {
    pub(crate) server: usize,
    pub(crate) id: ConnectionId,
    pub(crate) opened_at: Instant,
    pub(crate) taken_at: Instant,
    pub(crate) asked: Option<String>,
    /// What the id stands for, as far as it is known.
    pub(crate) asked_position: Option<u64>,
    pub(crate) announces: bool,
    pub(crate) has_taken: bool,
    /// It took a byte, or was to be told of a loss: its subscriptions are not planned anew any more.
    pub(crate) is_planned: bool,
    /// Its first block has come.
    pub(crate) has_opened: bool,
    pub(crate) named_at: Instant,
    /// When it was last known to be due nothing.
    pub(crate) idle_since: Instant,
    /// The driver may call `transmit`.
    pub(crate) is_named: bool,
    pub(crate) closing_since: Option<Instant>,
    /// Where the hub stood when it was closed.
    pub(crate) end: Option<u64>,
    /// A channel closed that takes it along, which it finds out when it is visited.
    pub(crate) may_close: bool,
    pub(crate) must_close: bool,
    pub(crate) ping: Option<Duration>,
    /// The interval, and the time of the last byte before, when the block that comes was begun.
    pub(crate) begun_ping: Option<Duration>,
    pub(crate) quiet_since: Instant,
    pub(crate) ping_since: Instant,
    pub(crate) is_first_ping: bool,
    pub(crate) expires: Option<Instant>,
    pub(crate) on_max_lifetime: OnMaxLifetime,
    pub(crate) has_new_timers: bool,
    pub(crate) subscriptions: Vec<Subscription>,
    /// Channels, by name, that it still has to subscribe to.
    pub(crate) pending: Vec<usize>,
    pub(crate) owed: BTreeMap<u64, Owed>,
    /// Live-only events that it was owed and did not get.
    pub(crate) missed: BTreeSet<usize>,
    pub(crate) directs: VecDeque<Direct>,
    pub(crate) opening: Opening,
    /// How often its start was planned.
    pub(crate) plans: usize,
    /// Where it was told that it stands.
    pub(crate) announced: u64,
    /// Where the first of its early subscriptions begins to be live.
    pub(crate) first_head: u64,
    /// The frame in progress may come before a reset that stands at its position.
    pub(crate) begun_before_reset: bool,
    /// Resets that have to come, and those that came.
    pub(crate) resets: BTreeSet<u64>,
    pub(crate) came_resets: BTreeSet<u64>,
    /// One that has to come before everything else, after a late subscription.
    pub(crate) late_reset: Option<u64>,
    /// Where it went on behind a loss. Before its first byte that may be planned anew.
    pub(crate) skipped: BTreeSet<u64>,
    /// Resets that came before the action that tells why.
    pub(crate) unexplained: BTreeSet<u64>,
    pub(crate) received: HashSet<usize>,
    pub(crate) has_unsubscribed: bool,
    /// It left a channel while a frame was begun.
    pub(crate) has_left: bool,
    /// A begun frame may be one that is owed no more.
    pub(crate) has_orphan: bool,
    pub(crate) newest_event: u64,
    pub(crate) newest_direct: u64,
    decoder: Decoder,
    pub(crate) partial: Vec<u8>,
}

/// A whole block that came, and what a browser makes of it.
pub(crate) struct Block {
    pub(crate) bytes: Vec<u8>,
    pub(crate) message: Option<Message>,
}

impl Connection {
    pub(crate) fn new(server: usize, id: ConnectionId, now: Instant, asked: Option<String>) -> Connection {
        let decoder = Decoder::new().with_last_event_id(asked.as_deref().unwrap_or(""));
        Connection {
            server,
            id,
            opened_at: now,
            taken_at: now,
            asked,
            asked_position: None,
            announces: false,
            has_taken: false,
            is_planned: false,
            has_opened: false,
            named_at: now,
            idle_since: now,
            is_named: false,
            closing_since: None,
            end: None,
            may_close: false,
            must_close: false,
            ping: None,
            begun_ping: None,
            quiet_since: now,
            ping_since: now,
            is_first_ping: true,
            expires: None,
            on_max_lifetime: OnMaxLifetime::Close,
            has_new_timers: false,
            subscriptions: Vec::new(),
            pending: Vec::new(),
            owed: BTreeMap::new(),
            missed: BTreeSet::new(),
            directs: VecDeque::new(),
            opening: Opening::None,
            plans: 0,
            announced: 0,
            first_head: 0,
            begun_before_reset: false,
            resets: BTreeSet::new(),
            came_resets: BTreeSet::new(),
            late_reset: None,
            skipped: BTreeSet::new(),
            unexplained: BTreeSet::new(),
            received: HashSet::new(),
            has_unsubscribed: false,
            has_left: false,
            has_orphan: false,
            newest_event: 0,
            newest_direct: 0,
            decoder,
            partial: Vec::new(),
        }
    }

    pub(crate) fn last_id(&self) -> &str {
        self.decoder.last_event_id()
    }

    pub(crate) fn retry(&self) -> Option<Duration> {
        self.decoder.retry()
    }

    pub(crate) fn follows(&self, channel: ChannelId) -> bool {
        self.subscriptions.iter().any(|subscription| subscription.channel == channel)
    }

    /// Takes bytes in and returns the blocks that they complete.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Vec<Block> {
        let mut blocks = Vec::new();
        let mut begin = 0;
        for end in 1..=bytes.len() {
            self.partial.push(bytes[end - 1]);
            if self.partial.ends_with(b"\n\n") {
                self.decoder.push(&bytes[begin..end]);
                begin = end;
                let message = self.decoder.next_message().map(|message| message.expect("a small event"));
                assert!(self.decoder.next_message().is_none(), "one block is one event");
                blocks.push(Block { bytes: std::mem::take(&mut self.partial), message });
            }
        }
        self.decoder.push(&bytes[begin..]);
        assert!(self.decoder.next_message().is_none(), "an event without its end");
        blocks
    }

    /// Whether it may take nothing new. One that lagged ends when the rest of its frame is out.
    pub(crate) fn may_be_closing(&self) -> bool {
        self.closing_since.is_some() || self.may_close || !self.partial.is_empty()
    }

    /// Since when something is due, if anything is; what was lost counts too, or not.
    pub(crate) fn due_since(&self, with_lost: bool) -> Option<Instant> {
        let owed = self.owed.values().filter(|owed| with_lost || !owed.is_optional);
        let mut since: Vec<Instant> = owed.map(|owed| owed.at).collect();
        since.extend(self.directs.iter().map(|direct| direct.at));
        if !self.partial.is_empty() {
            since.push(self.taken_at);
        }
        if !self.has_taken && self.opening != Opening::None {
            since.push(self.opened_at);
        }
        if with_lost && (!self.resets.is_empty() || self.late_reset.is_some()) {
            since.push(self.opened_at);
        }
        since.into_iter().min()
    }
}
