//! How things stand with one connection, and how far behind readers are, for those who ask.

use alloc::vec::Vec;
use core::time::Duration;

use crate::id::{ChannelId, ConnectionId};
use crate::time::Instant;

use super::pending::{self as due, Cursor};
use super::{Hub, Transmit};

/// How things stand with one connection: [`Hub::connection_stats`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConnectionStats {
    /// How long it has been open.
    pub age: Duration,
    /// When it took its last byte; when it was opened, if it has taken none.
    pub taken_at: Instant,
    /// Since when it could have taken what is due to it, from which the stall time counts (T3); `None` when nothing is
    /// due.
    pub waiting_since: Option<Instant>,
    /// Bytes that are due to it, counted up to one window: [`Transmit::MAX_BYTES`], or a single larger frame.
    pub pending_bytes: usize,
    /// Frames of those bytes, at most [`Transmit::MAX_FRAMES`].
    pub pending_frames: usize,
    /// How many positions of the hub lie between what it took and the newest event of what it follows: at least as many
    /// as there are events that it has still to take, and zero when it has taken all.
    pub behind: u64,
    /// Whether it only takes the rest before it is closed.
    pub is_closing: bool,
    /// The channels that it follows, in the order in which it was subscribed.
    pub follows: Vec<ChannelId>,
}

impl Hub {
    /// How things stand with one connection; `None` when it is not open (A3).
    ///
    /// # Cost
    ///
    /// That of a look at what is due, bounded as a window is, and one allocation for the channels.
    ///
    /// ```
    /// # use sse_core::{ChannelConfig, ConnectionConfig, Event, Hub, HubConfig, Instant};
    /// # use std::time::Duration;
    /// # let mut hub = Hub::new(HubConfig::default()).unwrap();
    /// # let now = Instant::ORIGIN;
    /// let weather = hub.open_channel(now, "weather", ChannelConfig::default()).unwrap();
    /// let config = ConnectionConfig { announce_position: false, ..ConnectionConfig::default() };
    /// let connection = hub.connect(now, config).unwrap();
    /// hub.subscribe(now, weather, connection).unwrap();
    /// hub.publish(now, weather, &Event::new().data("sunny")).unwrap();
    ///
    /// let stats = hub.connection_stats(Instant::from_millis(2_000), connection).unwrap();
    /// assert_eq!(stats.age, Duration::from_secs(2));
    /// assert_eq!((stats.pending_frames, stats.behind), (1, 1), "it has one event to take");
    /// assert_eq!(stats.follows, [weather]);
    /// ```
    pub fn connection_stats(&self, now: Instant, connection: ConnectionId) -> Option<ConnectionStats> {
        let index = self.connections.index(connection)?;
        let state = self.connections.at(index)?;
        let (pending_bytes, pending_frames) = self.due(connection, index);
        let newest =
            state.subscriptions.as_slice().iter().filter_map(|s| Some(self.channels.at(s.channel)?.last));
        let newest = newest.max().filter(|_| pending_frames > 0).unwrap_or_default().min(state.end());
        Some(ConnectionStats {
            age: now.max(self.now).saturating_duration_since(state.opened_at),
            taken_at: state.taken_at,
            waiting_since: self.waiting_since(index),
            pending_bytes,
            pending_frames,
            behind: newest.get().saturating_sub(state.position.get()),
            is_closing: !state.is_open(),
            follows: self.subscriptions(connection).collect(),
        })
    }

    /// How many bytes and frames are due to a connection, counted up to one window.
    fn due(&self, id: ConnectionId, index: u32) -> (usize, usize) {
        let Some(connection) = self.connections.at(index) else { return (0, 0) };
        let opening = self.opening_frame(index);
        let (mut cursor, mut bytes, mut frames) = (Cursor::new(connection), 0usize, 0usize);
        while frames < Transmit::MAX_FRAMES
            && let Some(item) = cursor.next(id, connection, &self.channels)
            && let Some(chunk) = due::bytes(item, connection, &self.channels, opening.as_ref())
        {
            let with = bytes.saturating_add(chunk.len());
            if frames > 0 && with > Transmit::MAX_BYTES {
                break;
            }
            (bytes, frames) = (with, frames.saturating_add(1));
        }
        (bytes, frames)
    }
}

/// What a shared hub tells operators beside its counters.
#[cfg(feature = "metrics")]
impl Hub {
    /// Whether members of channels are still to be visited.
    pub(crate) fn is_sweeping(&self) -> bool {
        !self.sweeps.is_empty()
    }

    /// How far the slowest reader of some channels is behind: those of `slots` that are open. Nothing is kept for
    /// readers that nobody waits for (S1), so a backlog begins with what its slowest reader has still to take.
    pub(crate) fn slowest_reader(&self, now: Instant, slots: core::ops::Range<u32>) -> Lag {
        let mut slowest = Lag::default();
        for channel in slots.filter_map(|slot| self.channels.at(slot)) {
            let Some((_, oldest)) = channel.backlog.first_after(Default::default()) else { continue };
            slowest.frames = slowest.frames.max(channel.backlog.len());
            slowest.time = slowest.time.max(now.saturating_duration_since(oldest.at));
        }
        slowest
    }

    /// How many slots for channels there are.
    pub(crate) fn channel_slots(&self) -> u32 {
        self.channels.slots()
    }
}

/// How far behind a reader is.
#[cfg(feature = "metrics")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Lag {
    pub(crate) frames: usize,
    pub(crate) time: Duration,
}
