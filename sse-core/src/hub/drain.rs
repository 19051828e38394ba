//! Ending all connections before a deadline (A2).

use core::time::Duration;

use crate::hub::connection::Stage;
use crate::mix::splitmix64;
use crate::stats::CloseReason;
use crate::time::Instant;
use crate::wire::Event;

use super::Hub;

/// How many connections one [`Hub::handle_timeout`] begins to close at most.
const CLOSED_PER_CALL: u32 = 1024;

/// How a hub ends its connections: [`Hub::drain`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DrainConfig {
    /// Each connection is closed at a moment of its own within this time, so that not all clients come back at once.
    /// Ten seconds.
    pub over: Duration,
    /// When it is over, whether peers have read what was due to them or not. Never before the last was closed. Thirty
    /// seconds: what process managers wait before they kill.
    pub within: Duration,
    /// What clients are asked to wait before they come back: a time between these two, different for each. Between one
    /// and ten seconds. `None` asks for nothing.
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

/// A drain in progress. Connections are closed in the order of their slots, evenly over the time: so it is one timer,
/// and its start touches no connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct Draining {
    started: Instant,
    config: DrainConfig,
    /// The slot that is next.
    next: u32,
    /// How many slots there were; no connection comes to a slot beyond.
    slots: u32,
}

impl Draining {
    /// When the next connection is closed.
    fn next_moment(&self) -> Option<Instant> {
        let nanos = self.config.over.as_nanos().saturating_mul(u128::from(self.next));
        let nanos = nanos.checked_div(u128::from(self.slots))?;
        let after = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        (self.next < self.slots).then(|| self.started.saturating_add(after))
    }

    /// What the client in a slot is asked to wait.
    fn retry(&self, random: u64) -> Option<Duration> {
        let (shortest, longest) = self.config.retry?;
        let range = u64::try_from(longest.saturating_sub(shortest).as_millis()).unwrap_or(u64::MAX);
        let more = random.checked_rem(range.saturating_add(1)).unwrap_or(random);
        Some(shortest.saturating_add(Duration::from_millis(more)))
    }
}

impl Hub {
    /// Ends every connection before a deadline, and takes no new ones from now on.
    ///
    /// Each is closed as [`close`](Hub::close_connection) does, at a moment of its own, and is asked before to come back after a
    /// time of its own. It is over at the deadline also when peers do not read. Called again, it begins anew.
    ///
    /// # Cost
    ///
    /// O(1): the connections are closed by [`handle_timeout`](Hub::handle_timeout), a bounded number in one call.
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
    /// assert!(!hub.is_connection_open(connection), "its peer did not read, and the deadline came");
    /// ```
    pub fn drain(&mut self, now: Instant, drain: DrainConfig) {
        let now = self.observe(now);
        let config = DrainConfig { within: drain.within.max(drain.over), ..drain };
        self.draining = Some(Draining { started: now, config, next: 0, slots: self.connections.slots() });
    }

    /// Ends every connection at once, but for the stall time to take what is due: a [`drain`](Hub::drain) that is not
    /// spread and asks clients for nothing.
    ///
    /// ```
    /// # use sse_core::{ConnectError, ConnectionConfig, Hub, HubConfig, Instant};
    /// # let mut hub = Hub::new(HubConfig::default()).unwrap();
    /// # let now = Instant::ORIGIN;
    /// hub.shut_down(now);
    /// assert_eq!(hub.connect(now, ConnectionConfig::default()), Err(ConnectError::ShuttingDown));
    /// ```
    pub fn shut_down(&mut self, now: Instant) {
        self.drain(now, DrainConfig { over: Duration::ZERO, within: self.flush_time(), retry: None });
    }

    /// When the next connection is to be closed.
    pub(super) fn next_drain(&self) -> Option<Instant> {
        self.draining?.next_moment()
    }

    /// Begins to close the connections whose moment has come.
    pub(super) fn drain_due(&mut self) {
        for _ in 0..CLOSED_PER_CALL {
            let Some(mut draining) = self.draining else { return };
            if draining.next_moment().is_none_or(|moment| moment > self.now) {
                return;
            }
            let slot = draining.next;
            draining.next = slot.saturating_add(1);
            self.draining = Some(draining);
            self.drain_one(slot, draining);
        }
    }

    fn drain_one(&mut self, index: u32, draining: Draining) {
        let (now, head) = (self.now, self.head);
        let retry = draining.retry(splitmix64(self.config.seed, u64::from(index)));
        let Some(connection) = self.connections.at_mut(index) else { return };
        if let Some(retry) = retry
            && connection.is_open()
            && let Ok(frame) = Event::new().retry(retry).encode()
        {
            connection.push_direct(now, head, frame);
        }
        self.begin_close(index, CloseReason::ShuttingDown);
        let deadline = draining.started.checked_add(draining.config.within);
        if let Some(connection) = self.connections.at_mut(index)
            && !matches!(connection.stage, Stage::Open)
        {
            connection.expires = connection.expires.get().into_iter().chain(deadline).min().into();
            self.arm(index);
        }
    }
}
