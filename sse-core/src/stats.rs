//! Counters and gauges of a hub, and the reasons for which connections end (A3).

use crate::id::Position;

/// The counters of a hub since its creation, and its current contents.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Connections that are currently open.
    pub connections: usize,
    /// Channels that are currently open.
    pub channels: usize,
    /// Bytes of history that all channels currently hold, as [`Limits::history_bytes`](crate::Limits::history_bytes) counts
    /// them.
    pub history_bytes: usize,
    /// Connections that were opened.
    pub opened: u64,
    /// Connections that ended, by reason.
    pub closed: CloseCounts,
    /// Events that were published. An event published to several channels counts once.
    pub published: u64,
    /// Frames that connections took completely: events, direct sends, pings, resets and other frames of the hub.
    pub delivered: u64,
    /// Bytes that connections took.
    pub bytes: u64,
    /// Events that were delivered from history.
    pub replayed: u64,
    /// Subscriptions with the result [`Resume::Gap`](crate::Resume::Gap) or [`Resume::Unknown`](crate::Resume::Unknown): the
    /// last event id was too old or unknown, or a late subscription could have missed events.
    pub gaps: u64,
    /// Readers that fell out of the backlog and lost events with ids.
    pub lagged: u64,
    /// Live-only events that readers lost because they fell out of the backlog, counted once per reader and event.
    pub live_only_lost: u64,
    /// Pings that were sent.
    pub pings: u64,
}

/// The current contents of a channel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ChannelStats {
    /// Connections that follow the channel.
    pub members: usize,
    /// Events in the history.
    pub history_events: usize,
    /// Bytes of the frames in the history. Unlike [`Stats::history_bytes`], this counts no overhead.
    pub history_bytes: usize,
    /// Frames in the backlog.
    pub backlog_frames: usize,
    /// Bytes of the frames in the backlog.
    pub backlog_bytes: usize,
    /// Frames that left the history and are kept for connections that replay what came before them
    /// ([H6](crate::rules#h6)).
    pub retained_frames: usize,
    /// Bytes of these frames.
    pub retained_bytes: usize,
    /// The newest position of an event with an id that can no longer be replayed ([H5](crate::rules#h5)).
    pub floor: Position,
}

/// The number of connections that ended, by [`CloseReason`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CloseCounts {
    /// The peer disconnected.
    pub disconnected: u64,
    /// The application closed the connection.
    pub requested: u64,
    /// The connection reached its maximum lifetime.
    pub timed_out: u64,
    /// The connection took none of its pending bytes for the stall timeout.
    pub stalled: u64,
    /// The connection fell out of the backlog and lost events.
    pub lagged: u64,
    /// A channel with [`OnClose::CloseConnections`](crate::OnClose::CloseConnections) closed.
    pub channel_closed: u64,
    /// The connection took everything of the finished channels that it followed.
    pub finished: u64,
    /// The hub was drained or shut down.
    pub shutting_down: u64,
    /// A later connection of the same principal and client key took its place.
    pub replaced: u64,
}

impl CloseCounts {
    /// Returns the total number of connections that ended.
    pub fn total(&self) -> u64 {
        let all = [
            self.disconnected,
            self.requested,
            self.timed_out,
            self.stalled,
            self.lagged,
            self.channel_closed,
            self.finished,
            self.shutting_down,
            self.replaced,
        ];
        all.into_iter().fold(0, u64::saturating_add)
    }

    /// Returns the number of connections that ended for `reason`.
    pub fn of(&self, reason: CloseReason) -> u64 {
        match reason {
            CloseReason::Disconnected => self.disconnected,
            CloseReason::Requested => self.requested,
            CloseReason::TimedOut => self.timed_out,
            CloseReason::Stalled => self.stalled,
            CloseReason::Lagged => self.lagged,
            CloseReason::ChannelClosed => self.channel_closed,
            CloseReason::Finished => self.finished,
            CloseReason::ShuttingDown => self.shutting_down,
            CloseReason::Replaced => self.replaced,
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
            CloseReason::Finished => &mut self.finished,
            CloseReason::ShuttingDown => &mut self.shutting_down,
            CloseReason::Replaced => &mut self.replaced,
        };
        *counter = counter.saturating_add(1);
    }
}

/// The reason for which a connection ended ([A3](crate::rules#a3)).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CloseReason {
    /// The peer disconnected: [`Hub::disconnect`](crate::Hub::disconnect).
    Disconnected,
    /// The application closed the connection: [`Hub::close_connection`](crate::Hub::close_connection).
    Requested,
    /// The connection reached its maximum lifetime ([T2](crate::rules#t2)).
    TimedOut,
    /// The connection took none of its pending bytes for the stall timeout, or did not take the rest in time while it
    /// was being closed ([T3](crate::rules#t3)).
    Stalled,
    /// The connection fell out of the backlog and lost events; the client reconnects to resume ([S1](crate::rules#s1)).
    Lagged,
    /// A channel with [`OnClose::CloseConnections`](crate::OnClose::CloseConnections) closed ([K3](crate::rules#k3)).
    ChannelClosed,
    /// The connection took everything of the finished channels that it followed ([K5](crate::rules#k5)).
    Finished,
    /// The hub was drained or shut down ([A2](crate::rules#a2)).
    ShuttingDown,
    /// At the limit of connections of its principal, a later connection with the same client key took its place
    /// ([U2](crate::rules#u2)).
    Replaced,
}

impl CloseReason {
    /// Returns whether the end is abrupt: `Disconnected`, `Stalled`, `Lagged` and `Replaced`. Pending bytes were abandoned, and
    /// a driver resets the transport where it can ([X7](crate::rules#x7)). Every other end is a proper end of the stream.
    ///
    /// ```
    /// # use sse_core::CloseReason;
    /// assert!(CloseReason::Stalled.is_abrupt());
    /// assert!(!CloseReason::Requested.is_abrupt());
    /// ```
    pub const fn is_abrupt(self) -> bool {
        matches!(
            self,
            CloseReason::Disconnected | CloseReason::Stalled | CloseReason::Lagged | CloseReason::Replaced
        )
    }

    /// Returns the name of the reason for metric labels and log fields.
    ///
    /// The names are `disconnected`, `requested`, `timed_out`, `stalled`, `lagged`, `channel_closed`,
    /// `finished`, `shutting_down` and `replaced`.
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
            CloseReason::Finished => "finished",
            CloseReason::ShuttingDown => "shutting_down",
            CloseReason::Replaced => "replaced",
        }
    }
}

impl core::fmt::Display for CloseReason {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            CloseReason::Disconnected => "peer disconnected",
            CloseReason::Requested => "closed by the server",
            CloseReason::TimedOut => "maximum lifetime reached",
            CloseReason::Stalled => "peer stopped reading",
            CloseReason::Lagged => "reader fell too far behind",
            CloseReason::ChannelClosed => "channel closed",
            CloseReason::Finished => "stream finished",
            CloseReason::ShuttingDown => "server is shutting down",
            CloseReason::Replaced => "replaced by a later connection of the same client",
        })
    }
}
