//! The state of one connection, and the lag of readers, for operators.

use alloc::vec::Vec;
use core::time::Duration;

use crate::id::{ChannelId, ConnectionId};
use crate::time::Instant;

use super::arena::ConnectionSlot;
use super::pending::{self, Cursor};
use super::{Hub, Transmit};

/// The state of one connection: [`Hub::connection_stats`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConnectionStats {
    /// The time since the connection was opened.
    pub age: Duration,
    /// The instant at which the last byte was taken, or at which the connection was opened if none was.
    pub last_taken_at: Instant,
    /// The instant since which the connection could have taken pending bytes, from which the stall timeout counts
    /// ([T3](crate::rules#t3)); `None` when nothing is pending, or when the driver was not told of it yet.
    pub stalled_since: Option<Instant>,
    /// The pending bytes, counted up to one window: [`Transmit::MAX_BYTES`], or a single larger frame. Bytes that a driver
    /// has [claimed](crate::Claim) are not counted.
    pub pending_bytes: usize,
    /// The frames of those bytes, at most [`Transmit::MAX_FRAMES`].
    pub pending_frames: usize,
    /// The number of the hub's positions between what the connection took and the newest event of its channels: at least
    /// the number of events that are pending, and zero when everything was taken.
    pub behind: u64,
    /// Whether the connection is closing.
    pub is_closing: bool,
    /// The channels that the connection follows, in the order of the subscriptions.
    pub channels: Vec<ChannelId>,
}

impl Hub {
    /// Returns the state of one connection; `None` when it is not open ([A3](crate::rules#a3)).
    ///
    /// # Cost
    ///
    /// That of reading one window, and one allocation for the channels.
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
    /// assert_eq!((stats.pending_frames, stats.behind), (1, 1), "one event is pending");
    /// assert_eq!(stats.channels, [weather]);
    /// ```
    pub fn connection_stats(&self, now: Instant, connection: ConnectionId) -> Option<ConnectionStats> {
        let slot = self.connections.slot(connection)?;
        let state = self.connections.at(slot)?;
        let (pending_bytes, pending_frames) = self.count_pending(connection, slot);
        let newest =
            state.subscriptions.as_slice().iter().filter_map(|s| Some(self.channels.at(s.channel)?.last));
        let newest = newest.max().filter(|_| pending_frames > 0).unwrap_or_default().min(state.end());
        Some(ConnectionStats {
            age: now.max(self.now).saturating_duration_since(state.opened_at),
            last_taken_at: state.last_taken_at,
            stalled_since: self.stalled_since(slot),
            pending_bytes,
            pending_frames,
            behind: newest.get().saturating_sub(state.position.get()),
            is_closing: !state.is_open(),
            channels: self.subscriptions(connection).collect(),
        })
    }

    /// Returns the pending bytes and frames of a connection, counted up to one window.
    fn count_pending(&self, id: ConnectionId, slot: ConnectionSlot) -> (usize, usize) {
        let Some(connection) = self.connections.at(slot) else { return (0, 0) };
        let opening = self.opening_frame(slot);
        let (mut cursor, mut bytes, mut frames) = (Cursor::new(connection), 0usize, 0usize);
        while frames < Transmit::MAX_FRAMES
            && let Some(item) = cursor.next(id, connection, &self.channels)
            && let Some(chunk) = pending::bytes(item, connection, &self.channels, opening.as_ref())
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

/// What a shared hub reports besides its counters.
#[cfg(feature = "metrics")]
impl Hub {
    /// Returns whether members of channels are still to be visited.
    pub(crate) fn is_sweeping(&self) -> bool {
        !self.sweeps.is_empty()
    }

    /// Returns the lag of the slowest reader of the open channels among `slots`. A backlog keeps no frame without a waiting
    /// reader (S1), so it begins with the next frame of its slowest reader.
    pub(crate) fn slowest_reader(&self, now: Instant, slots: core::ops::Range<u32>) -> Lag {
        let mut slowest = Lag::default();
        let slots = slots.map(super::arena::ChannelSlot::new);
        for channel in slots.filter_map(|slot| self.channels.at(slot)) {
            let Some((_, oldest)) = channel.backlog.first_after(Default::default()) else { continue };
            slowest.frames = slowest.frames.max(channel.backlog.len());
            slowest.time = slowest.time.max(now.saturating_duration_since(oldest.published_at));
        }
        slowest
    }

    /// Returns the number of channel slots, vacant ones included.
    pub(crate) fn channel_slots(&self) -> u32 {
        self.channels.slots()
    }
}

/// The distance of a reader from the newest event.
#[cfg(feature = "metrics")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Lag {
    pub(crate) frames: usize,
    pub(crate) time: Duration,
}
