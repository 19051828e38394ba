//! What a hub has counted since it was made (A3).

use crate::id::Position;

/// The counters of a hub, and what it holds at this moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Connections that are open now.
    pub connections: usize,
    /// Channels that are open now.
    pub channels: usize,
    /// Bytes of history in all channels now.
    pub history_bytes: usize,
    /// Connections that were opened.
    pub opened: u64,
    /// Connections that ended, by reason.
    pub closed: CloseCounts,
    /// Events that were published; one that went to several channels counts once.
    pub published: u64,
    /// Frames of which a connection took the last byte: events, direct sends, pings and the hub's own.
    pub delivered: u64,
    /// Bytes that connections took.
    pub bytes: u64,
    /// Events that were delivered from history.
    pub replayed: u64,
    /// Subscriptions whose last event id was too old or unknown.
    pub gaps: u64,
    /// Readers that fell behind what was kept for them, and lost events with ids.
    pub lagged: u64,
    /// Live-only events that readers lost because they fell behind: one for each reader and event.
    pub live_only_lost: u64,
    /// Pings that were sent.
    pub pings: u64,
}

/// What one channel holds at this moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ChannelStats {
    /// Connections that follow it.
    pub members: usize,
    /// Events that can be replayed.
    pub history_events: usize,
    /// Bytes of those events.
    pub history_bytes: usize,
    /// Frames that connected readers have not taken yet.
    pub backlog_frames: usize,
    /// Bytes of those frames.
    pub backlog_bytes: usize,
    /// The newest position of an event with an id that cannot be replayed any more (H5).
    pub floor: Position,
}

/// How many connections ended for which [`CloseReason`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CloseCounts {
    /// The peer went.
    pub disconnected: u64,
    /// The server closed it.
    pub requested: u64,
    /// Its longest life was over.
    pub timed_out: u64,
    /// It took nothing for too long.
    pub stalled: u64,
    /// It fell too far behind.
    pub lagged: u64,
    /// A channel closed that takes its connections with it.
    pub channel_closed: u64,
    /// The hub was told to end its connections.
    pub shutting_down: u64,
}

impl CloseCounts {
    /// All ends together.
    pub fn total(&self) -> u64 {
        let all = [
            self.disconnected,
            self.requested,
            self.timed_out,
            self.stalled,
            self.lagged,
            self.channel_closed,
            self.shutting_down,
        ];
        all.into_iter().fold(0, u64::saturating_add)
    }

    /// Those that ended for one reason.
    pub fn of(&self, reason: CloseReason) -> u64 {
        match reason {
            CloseReason::Disconnected => self.disconnected,
            CloseReason::Requested => self.requested,
            CloseReason::TimedOut => self.timed_out,
            CloseReason::Stalled => self.stalled,
            CloseReason::Lagged => self.lagged,
            CloseReason::ChannelClosed => self.channel_closed,
            CloseReason::ShuttingDown => self.shutting_down,
        }
    }

    pub(crate) fn count(&mut self, reason: CloseReason) {
        let counter = match reason {
            CloseReason::Disconnected => &mut self.disconnected,
            CloseReason::Requested => &mut self.requested,
            CloseReason::TimedOut => &mut self.timed_out,
            CloseReason::Stalled => &mut self.stalled,
            CloseReason::Lagged => &mut self.lagged,
            CloseReason::ChannelClosed => &mut self.channel_closed,
            CloseReason::ShuttingDown => &mut self.shutting_down,
        };
        *counter = counter.saturating_add(1);
    }
}

/// Why a connection ended (A3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CloseReason {
    /// The peer went: [`Hub::disconnect`](crate::Hub::disconnect).
    Disconnected,
    /// The server closed it: [`Hub::close_connection`](crate::Hub::close_connection).
    Requested,
    /// Its longest life was over (T2).
    TimedOut,
    /// It took none of its due bytes for the stall time, or did not take the rest within it when it was closed (T3).
    Stalled,
    /// It fell behind what was kept for it, and comes back to resume (S1).
    Lagged,
    /// A channel closed that takes its connections with it (K3).
    ChannelClosed,
    /// The hub was told to end its connections (A2).
    ShuttingDown,
}

impl CloseReason {
    /// A short name for labels and fields: `disconnected`, `requested`, `timed_out`, `stalled`, `lagged`,
    /// `channel_closed`, `shutting_down`.
    ///
    /// ```
    /// assert_eq!(sse_core::CloseReason::TimedOut.as_str(), "timed_out");
    /// ```
    pub const fn as_str(self) -> &'static str {
        match self {
            CloseReason::Disconnected => "disconnected",
            CloseReason::Requested => "requested",
            CloseReason::TimedOut => "timed_out",
            CloseReason::Stalled => "stalled",
            CloseReason::Lagged => "lagged",
            CloseReason::ChannelClosed => "channel_closed",
            CloseReason::ShuttingDown => "shutting_down",
        }
    }
}

impl core::fmt::Display for CloseReason {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            CloseReason::Disconnected => "the peer went",
            CloseReason::Requested => "the server closed it",
            CloseReason::TimedOut => "its longest life was over",
            CloseReason::Stalled => "it took nothing for too long",
            CloseReason::Lagged => "it fell too far behind",
            CloseReason::ChannelClosed => "its channel closed",
            CloseReason::ShuttingDown => "the server is shutting down",
        })
    }
}
