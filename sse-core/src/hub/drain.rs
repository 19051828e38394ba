//! Draining: every connection is closed before a deadline (A2).

use core::time::Duration;

use crate::mix::splitmix64;
use crate::stats::CloseReason;
use crate::time::Instant;
use crate::wire::{Event, Frame};

use super::Hub;
use super::arena::ConnectionSlot;
use super::connection::Stage;

/// The most connections that one [`Hub::handle_timeout`] begins to close.
const CLOSED_PER_CALL: u32 = 1024;

/// How a hub drains: [`Hub::drain`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DrainConfig {
    /// The time over which the connections are closed, each at its own moment, so that the clients do not come back all at
    /// once. Ten seconds.
    pub over: Duration,
    /// The time after which the drain is complete, whether or not the peers have read what was pending. It is never shorter
    /// than `over`. Thirty seconds: the time that process managers wait before they kill a process.
    pub within: Duration,
    /// The range of the reconnection times that clients are sent, a different one for each client. Between one and ten
    /// seconds. `None` sends none.
    pub retry: Option<(Duration, Duration)>,
}

impl Default for DrainConfig {
    fn default() -> Self {
        DrainConfig {
            over: Duration::from_secs(10),
            within: Duration::from_secs(30),
            retry: Some((Duration::from_secs(1), Duration::from_secs(10))),
        }
    }
}

/// A drain in progress. Connections are closed in the order of their slots, evenly over the time. So there is one timer, and
/// the start of a drain touches no connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct Draining {
    started_at: Instant,
    config: DrainConfig,
    next_slot: u32,
    /// The number of slots at the start. No connection is opened in a later one.
    slots: u32,
}

impl Draining {
    /// Returns the moment at which the next connection is closed.
    fn next_moment(&self) -> Option<Instant> {
        let nanos = self.config.over.as_nanos().saturating_mul(u128::from(self.next_slot));
        let nanos = nanos.checked_div(u128::from(self.slots))?;
        let after = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        (self.next_slot < self.slots).then(|| self.started_at.saturating_add(after))
    }

    /// Returns the reconnection time for one client.
    fn retry(&self, random: u64) -> Option<Duration> {
        let (shortest, longest) = self.config.retry?;
        let range = u64::try_from(longest.saturating_sub(shortest).as_millis()).unwrap_or(u64::MAX);
        let more = random.checked_rem(range.saturating_add(1)).unwrap_or(random);
        Some(shortest.saturating_add(Duration::from_millis(more)))
    }
}

impl Hub {
    /// Closes every connection before a deadline, and accepts no new ones from now on.
    ///
    /// Each connection is closed as by [`close_connection`](Hub::close_connection), at its own moment, and is sent a
    /// reconnection time of its own before. The drain is complete at the deadline even when peers do not read. A second call
    /// starts the drain anew.
    ///
    /// # Cost
    ///
    /// O(1). The connections are closed by [`handle_timeout`](Hub::handle_timeout), a bounded number in one call.
    ///
    /// ```
    /// # use sse_core::{ConnectError, ConnectionConfig, DrainConfig, Hub, HubConfig, Instant};
    /// # let mut hub = Hub::new(HubConfig::default()).unwrap();
    /// # let now = Instant::ORIGIN;
    /// let connection = hub.connect(now, ConnectionConfig::default()).unwrap();
    /// hub.drain(now, DrainConfig::default());
    /// assert_eq!(hub.connect(now, ConnectionConfig::default()), Err(ConnectError::ShuttingDown));
    /// while let Some(at) = hub.poll_timeout() {
    ///     hub.handle_timeout(at);
    ///     while hub.poll_action().is_some() {}
    /// }
    /// assert!(!hub.is_connection_open(connection), "its peer did not read, and the deadline passed");
    /// ```
    pub fn drain(&mut self, now: Instant, drain: DrainConfig) {
        let now = self.advance_clock(now);
        let config = DrainConfig { within: drain.within.max(drain.over), ..drain };
        self.draining =
            Some(Draining { started_at: now, config, next_slot: 0, slots: self.connections.slots() });
    }

    /// Closes every connection at once. Peers have the stall timeout to take what is pending. This is a
    /// [`drain`](Hub::drain) that is not spread and sends no reconnection times.
    ///
    /// ```
    /// # use sse_core::{ConnectError, ConnectionConfig, Hub, HubConfig, Instant};
    /// # let mut hub = Hub::new(HubConfig::default()).unwrap();
    /// # let now = Instant::ORIGIN;
    /// hub.shut_down(now);
    /// assert_eq!(hub.connect(now, ConnectionConfig::default()), Err(ConnectError::ShuttingDown));
    /// ```
    pub fn shut_down(&mut self, now: Instant) {
        self.drain(now, DrainConfig { over: Duration::ZERO, within: self.flush_timeout(), retry: None });
    }

    /// Returns the moment at which the next connection is closed by a drain.
    pub(super) fn next_drain(&self) -> Option<Instant> {
        self.draining?.next_moment()
    }

    /// Begins to close the connections whose moment has come.
    pub(super) fn close_drained(&mut self) {
        for _ in 0..CLOSED_PER_CALL {
            let Some(mut draining) = self.draining else { return };
            if draining.next_moment().is_none_or(|moment| moment > self.now) {
                return;
            }
            let slot = draining.next_slot;
            draining.next_slot = slot.saturating_add(1);
            self.draining = Some(draining);
            self.drain_connection(ConnectionSlot::new(slot), draining);
        }
    }

    fn drain_connection(&mut self, slot: ConnectionSlot, draining: Draining) {
        let (now, head) = (self.now, self.head);
        let retry = draining.retry(splitmix64(self.config.seed, u64::from(slot.get())));
        let Some(connection) = self.connections.at_mut(slot) else { return };
        if let Some(retry) = retry
            && connection.is_open()
            && let Ok(frame) = Frame::retry(retry.min(Event::MAX_RETRY))
        {
            connection.own_frames.push_direct(now, head, frame);
        }
        self.begin_close(slot, CloseReason::ShuttingDown);
        let deadline = draining.started_at.checked_add(draining.config.within);
        if let Some(connection) = self.connections.at_mut(slot)
            && !matches!(connection.stage, Stage::Open)
        {
            connection.expires_at = connection.expires_at.into_iter().chain(deadline).min();
            self.arm_timer(slot);
        }
    }
}
