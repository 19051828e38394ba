//! One channel: its members and its logs.

use alloc::boxed::Box;

use crate::config::{ChannelConfig, OnClose};
use crate::id::Position;
use crate::time::Instant;

use super::linger::Gathered;
use super::logs::{Backlog, History, LogEntry};
use super::members::Members;
use super::producers::ProducerState;
use super::timer_queue::TimerKey;

pub(crate) struct ChannelState {
    pub(crate) name: Box<str>,
    pub(crate) config: ChannelConfig,
    pub(crate) history: History,
    pub(crate) backlog: Backlog,
    pub(crate) members: Members,
    /// The position of its newest event, or the position of the hub when the channel was opened.
    pub(crate) last: Position,
    /// The channel accepts events, and no producer waits for its readers: the fast path serves it.
    pub(crate) is_plain: bool,
    /// A closed channel accepts no events and has no name. It exists until its members took what was published (K3).
    pub(crate) is_closed: bool,
    /// A finished channel accepts no events, and its members leave it when they took what was published (K4). It can be
    /// closed as well.
    pub(crate) is_finished: bool,
    /// A finished channel of a former run, which takes the configuration with which it is opened first (R4).
    pub(crate) is_unconfigured: bool,
    /// The instant at which a finished channel closes. `None` while it is not finished, and when that is never.
    pub(crate) kept_until: Option<Instant>,
    /// The instant at which the last member left, or at which the channel was opened (K2).
    pub(crate) empty_since: Instant,
    pub(crate) producer: ProducerState,
    pub(crate) gathered: Gathered,
    pub(crate) timer: TimerKey,
}

impl ChannelState {
    /// Creates a channel that cannot replay events up to `floor`. Events above `complete_through` may still arrive.
    pub(crate) fn new(
        now: Instant,
        name: &str,
        config: ChannelConfig,
        floor: Position,
        complete_through: Position,
    ) -> ChannelState {
        ChannelState {
            name: Box::from(name),
            history: History::new(config.history.clone(), config.backlog.clone(), floor),
            backlog: Backlog::new(config.backlog.clone()),
            members: Members::default(),
            last: complete_through,
            is_plain: config.ahead.is_none(),
            is_closed: false,
            is_finished: false,
            is_unconfigured: false,
            kept_until: None,
            empty_since: now,
            producer: ProducerState::new(config.ahead, floor.max(complete_through)),
            gathered: Gathered::default(),
            timer: TimerKey::default(),
            config,
        }
    }

    /// Returns whether the channel accepts events.
    #[inline]
    pub(crate) fn accepts_events(&self) -> bool {
        !self.is_closed && !self.is_finished
    }

    /// Returns the next deadline: the end of the channel, or the expiry of its oldest event.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        [self.closes_at(), self.unwanted_at(), self.next_expiry(), self.gathered.until]
            .into_iter()
            .flatten()
            .min()
    }

    /// Returns the instant at which the channel closes: a finished one after the time for which it is kept (K7), another
    /// one if no member joins (K2).
    pub(crate) fn closes_at(&self) -> Option<Instant> {
        match self.is_finished {
            _ if self.is_closed => None,
            true => self.kept_until,
            false if self.members.is_empty() => self.empty_since.checked_add(self.config.empty_timeout?),
            false => None,
        }
    }

    /// Returns the instant at which the oldest event expires (H1). Those of a finished channel do not (K8).
    pub(crate) fn next_expiry(&self) -> Option<Instant> {
        if self.is_finished { None } else { self.history.next_expiry() }
    }

    /// Returns whether the channel is closed and closes the connections of its members (K3).
    pub(crate) fn closes_connections(&self) -> bool {
        self.is_closed && self.config.on_close == OnClose::CloseConnections
    }

    /// Returns whether a log has the event of a position.
    pub(crate) fn holds(&self, position: Position) -> bool {
        self.history.holds(position) || self.backlog.holds(position)
    }

    /// Returns an entry of one of the two logs by its index there.
    #[inline]
    pub(crate) fn entry(&self, in_history: bool, index: usize) -> Option<&LogEntry> {
        if in_history { self.history.at(index) } else { self.backlog.at(index) }
    }
}
