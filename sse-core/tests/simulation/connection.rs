//! One connection: the frames that it has to receive, and those that arrived.

use std::collections::{BTreeMap, BTreeSet, HashSet, VecDeque};
use std::time::Duration;

use sse_core::{ChannelId, ConnectionId, Decoder, Frame, Instant, Message, OnMaxLifetime};

/// The first block that the connection has to receive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FirstBlock {
    None,
    Announce,
    Reset,
}

pub(crate) struct Subscription {
    pub(crate) channel: ChannelId,
    pub(crate) name: usize,
    /// Index of the first live event in the log of the channel.
    pub(crate) live_index: usize,
    /// Head of the hub at the subscription.
    pub(crate) head: u64,
    /// The position after which events are live.
    pub(crate) starts_live: u64,
    /// Live events up to this position are not pending: the client has them, or a reset covers them.
    pub(crate) live_after: u64,
    /// The position after which events are replayed, if there are any: they are retained (H6).
    pub(crate) replays_after: Option<u64>,
}

/// An event that the connection has to receive.
#[derive(Clone)]
pub(crate) struct ExpectedEvent {
    pub(crate) number: usize,
    pub(crate) at: Instant,
    pub(crate) is_replayable: bool,
    pub(crate) channels: Vec<ChannelId>,
    /// The event may be missing. It was reported as lost, or it was published while the connection was possibly
    /// closing.
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
    pub(crate) last_event_id: Option<String>,
    /// The position of the last event id, if it is known.
    pub(crate) resume_position: Option<u64>,
    pub(crate) announces: bool,
    pub(crate) has_taken: bool,
    /// A byte was taken or a loss was reported, so changes of subscriptions no longer move the start.
    pub(crate) start_is_fixed: bool,
    /// The first block has arrived.
    pub(crate) has_opened: bool,
    pub(crate) reported_at: Instant,
    /// The latest instant at which the connection was known to have nothing pending.
    pub(crate) idle_since: Instant,
    /// The hub has reported the connection, so the driver may call `transmit`.
    pub(crate) is_reported: bool,
    pub(crate) closing_since: Option<Instant>,
    /// Head of the hub when the connection began to close.
    pub(crate) end: Option<u64>,
    /// A closed channel closes the connection as well. The connection notices this when a sweep visits it.
    pub(crate) may_close: bool,
    pub(crate) must_close: bool,
    pub(crate) ping: Option<Duration>,
    /// Ping interval and last byte taken when the block in progress began.
    pub(crate) ping_at_begin: Option<Duration>,
    pub(crate) quiet_since: Instant,
    pub(crate) ping_since: Instant,
    pub(crate) is_first_ping: bool,
    pub(crate) expires: Option<Instant>,
    pub(crate) on_max_lifetime: OnMaxLifetime,
    pub(crate) has_new_timers: bool,
    pub(crate) subscriptions: Vec<Subscription>,
    /// Names of the channels that the connection still has to subscribe to.
    pub(crate) to_subscribe: Vec<usize>,
    pub(crate) expected: BTreeMap<u64, ExpectedEvent>,
    /// Live-only events that the connection should have received and missed.
    pub(crate) missed: BTreeSet<usize>,
    pub(crate) directs: VecDeque<Direct>,
    pub(crate) first_block: FirstBlock,
    /// Number of times the start was decided.
    pub(crate) start_decisions: usize,
    /// The position in the first block.
    pub(crate) announced: u64,
    /// The smallest head at one of the early subscriptions.
    pub(crate) first_head: u64,
    /// The frame in progress may precede a reset that belongs before it.
    pub(crate) begun_before_reset: bool,
    /// Where the newest loss of each channel ends.
    pub(crate) loss_ends: BTreeMap<ChannelId, u64>,
    /// Resets that have to arrive, and those that arrived.
    pub(crate) resets: BTreeSet<u64>,
    pub(crate) received_resets: BTreeSet<u64>,
    /// The gaps of late subscriptions: a channel, and the position through which it lost events. One reset for all of them
    /// has to arrive before everything else.
    pub(crate) late_gaps: Vec<(usize, u64)>,
    /// A late subscription was made, so positions may be announced.
    pub(crate) has_late: bool,
    /// Ends of losses that the connection skipped. Another start before the first byte may remove their resets.
    pub(crate) skipped: BTreeSet<u64>,
    /// Resets that arrived before the action that explains them.
    pub(crate) unexplained: BTreeSet<u64>,
    pub(crate) received: HashSet<usize>,
    pub(crate) has_unsubscribed: bool,
    /// The connection left a channel with a frame in progress.
    pub(crate) has_left: bool,
    /// The frame in progress may be one that the connection no longer has to receive.
    pub(crate) has_orphan: bool,
    pub(crate) newest_event: u64,
    /// The newest position that the hub may have announced behind a late subscription.
    pub(crate) newest_announced: u64,
    pub(crate) newest_direct: u64,
    /// The last frame of the connection (T5).
    pub(crate) has_farewell: bool,
    /// A channel that promises its beginning has let go of a part of it (H8).
    pub(crate) has_lost_beginning: bool,
    pub(crate) has_received_farewell: bool,
    decoder: Decoder,
    pub(crate) partial: Vec<u8>,
}

/// One complete block, and the message that a browser decodes from it.
pub(crate) struct Block {
    pub(crate) bytes: Vec<u8>,
    pub(crate) message: Option<Message>,
}

impl Connection {
    pub(crate) fn new(
        server: usize,
        id: ConnectionId,
        now: Instant,
        last_event_id: Option<String>,
    ) -> Connection {
        let decoder = Decoder::new().with_last_event_id(last_event_id.as_deref().unwrap_or(""));
        Connection {
            server,
            id,
            opened_at: now,
            taken_at: now,
            last_event_id,
            resume_position: None,
            announces: false,
            has_taken: false,
            start_is_fixed: false,
            has_opened: false,
            reported_at: now,
            idle_since: now,
            is_reported: false,
            closing_since: None,
            end: None,
            may_close: false,
            must_close: false,
            ping: None,
            ping_at_begin: None,
            quiet_since: now,
            ping_since: now,
            is_first_ping: true,
            expires: None,
            on_max_lifetime: OnMaxLifetime::Close,
            has_new_timers: false,
            subscriptions: Vec::new(),
            to_subscribe: Vec::new(),
            expected: BTreeMap::new(),
            missed: BTreeSet::new(),
            directs: VecDeque::new(),
            first_block: FirstBlock::None,
            start_decisions: 0,
            announced: 0,
            first_head: 0,
            begun_before_reset: false,
            loss_ends: BTreeMap::new(),
            resets: BTreeSet::new(),
            received_resets: BTreeSet::new(),
            late_gaps: Vec::new(),
            has_late: false,
            skipped: BTreeSet::new(),
            unexplained: BTreeSet::new(),
            received: HashSet::new(),
            has_unsubscribed: false,
            has_left: false,
            has_orphan: false,
            newest_event: 0,
            newest_announced: 0,
            newest_direct: 0,
            has_farewell: false,
            has_lost_beginning: false,
            has_received_farewell: false,
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

    /// Adds bytes and returns the blocks that they complete.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Vec<Block> {
        let mut blocks = Vec::new();
        let mut begin = 0;
        for end in 1..=bytes.len() {
            self.partial.push(bytes[end - 1]);
            if self.partial.ends_with(b"\n\n") || self.partial == b":\n" {
                self.decoder.push(&bytes[begin..end]);
                begin = end;
                let message = self.decoder.next_message().map(|message| message.expect("a small event"));
                assert!(self.decoder.next_message().is_none(), "a block is one event");
                blocks.push(Block { bytes: std::mem::take(&mut self.partial), message });
            }
        }
        self.decoder.push(&bytes[begin..]);
        assert!(self.decoder.next_message().is_none(), "an event without its blank line");
        blocks
    }

    /// Returns whether the connection may refuse new frames. A lagged connection ends after its frame in progress.
    pub(crate) fn may_be_closing(&self) -> bool {
        self.closing_since.is_some() || self.may_close || !self.partial.is_empty()
    }

    /// Returns the instant since which frames are pending, except for lost events.
    pub(crate) fn pending_since(&self) -> Option<Instant> {
        let events = self.expected.values().filter(|event| !event.is_optional);
        let mut since: Vec<Instant> = events.map(|event| event.at).collect();
        since.extend(self.directs.iter().map(|direct| direct.at));
        if !self.partial.is_empty() {
            since.push(self.taken_at);
        }
        if !self.has_taken && self.first_block != FirstBlock::None {
            since.push(self.opened_at);
        }
        since.into_iter().min()
    }
}
