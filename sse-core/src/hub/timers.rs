//! What comes with time: the instants at which to ask again, and what is due then.

use crate::config::OnMaxLifetime;
use crate::hub::connection::{Connection, Stage};
use crate::hub::timer_queue::Timer;
use crate::stats::CloseReason;
use crate::time::{Instant, MaybeInstant};

use super::{Action, ChannelCloseReason, Hub};

/// How many deadlines one [`Hub::handle_timeout`] handles at most.
const DEADLINES_PER_CALL: usize = 1024;

/// How many connections one [`Hub::handle_timeout`] looks at on its round at most.
const LOOKS_PER_CALL: u32 = 1024;

/// How many connections are fetched from memory at once.
const FETCHED_AT_ONCE: usize = 16;

/// The rounds over all connections, which find those to whom something is due: their stall time may be running. One begins
/// in each stall time. So it comes before that of whoever was due nothing in the last round is over, and neither a delivery
/// nor a quiet connection has to do with a timer (T3, T4).
#[derive(Default)]
pub(super) struct Rounds {
    /// When the next one begins, if there is a connection then.
    next: MaybeInstant,
    /// The next slot to look at, on a round.
    slot: Option<u32>,
}

impl Hub {
    /// When to call [`handle_timeout`](Hub::handle_timeout) and [`poll_action`](Hub::poll_action) next: not in the
    /// future while anything is pending, `None` when nothing will ever be (D2).
    ///
    /// # Cost
    ///
    /// The first of what is sorted: no look at any connection.
    ///
    /// ```
    /// # use sse_core::{ConnectionConfig, Hub, HubConfig, Instant};
    /// # let mut hub = Hub::new(HubConfig::default()).unwrap();
    /// assert_eq!(hub.poll_timeout(), None);
    /// let connection = hub.connect(Instant::ORIGIN, ConnectionConfig::default()).unwrap();
    /// assert_eq!(hub.poll_timeout(), Some(Instant::ORIGIN), "an action waits to be polled");
    /// hub.poll_action();
    /// assert!(hub.poll_timeout() > Some(Instant::ORIGIN), "a ping, later");
    /// ```
    pub fn poll_timeout(&self) -> Option<Instant> {
        if !self.notices.is_empty() || !self.wakes.is_empty() || !self.sweeps.is_empty() {
            return Some(self.now);
        }
        [self.deadlines.first(), self.next_round(), self.next_drain()].into_iter().flatten().min()
    }

    /// Does what is due by `now`: pings, timeouts, stalls, empty channels. Before its time it does nothing (D4).
    ///
    /// # Cost
    ///
    /// O(1) for a deadline that has come, and O(log n) where connections differ in their intervals; once in each stall time
    /// O(1) for each connection, in their order in memory. At most 1,024 of either in one call, then
    /// [`poll_timeout`](Hub::poll_timeout) still names the next.
    ///
    /// ```
    /// # use sse_core::{Action, ConnectionConfig, Hub, HubConfig, Instant};
    /// # let mut hub = Hub::new(HubConfig::default()).unwrap();
    /// let config = ConnectionConfig { announce_position: false, ..ConnectionConfig::default() };
    /// let connection = hub.connect(Instant::ORIGIN, config).unwrap();
    /// assert_eq!(hub.poll_action(), None);
    /// hub.handle_timeout(Instant::from_millis(50_000));
    /// assert_eq!(hub.poll_action(), Some(Action::Transmit(connection)));
    /// assert_eq!(bytes::Buf::chunk(&hub.transmit(Instant::from_millis(50_000), connection)), b":\n\n");
    /// ```
    pub fn handle_timeout(&mut self, now: Instant) {
        let now = self.observe(now);
        self.drain_due();
        let mut went_round = false;
        for _ in 0..DEADLINES_PER_CALL {
            match self.deadlines.pop(now) {
                Some(Timer::Connection(index)) => {
                    self.fetch_ahead();
                    self.connection_deadline(index);
                }
                Some(Timer::Channel(index)) => self.channel_deadline(index),
                // Not before: whose life is over is not closed because it stalls.
                None if !went_round => {
                    self.go_round();
                    went_round = true;
                }
                None => return,
            }
        }
    }

    /// Has the processor fetch the connections whose deadlines come next from memory, several at once: they come in no order
    /// of memory, and one by one each would be waited for. Nothing else depends on it.
    fn fetch_ahead(&mut self) {
        if let Some(left) = self.fetched.checked_sub(1) {
            self.fetched = left;
            return;
        }
        self.fetched = FETCHED_AT_ONCE;
        let coming = self.deadlines.coming().take(FETCHED_AT_ONCE);
        coming.filter_map(|index| self.connections.at(index)).for_each(Connection::fetch);
    }

    /// Has the hub look at a connection when it is over, or to be pinged.
    pub(super) fn arm(&mut self, index: u32) {
        let Some(connection) = self.connections.at_mut(index) else { return };
        let next = connection.expires.get().into_iter().chain(connection.ping.next.get()).min();
        self.deadlines.set_by(&mut connection.armed, Timer::Connection(index), next);
    }

    fn connection_deadline(&mut self, index: u32) {
        let now = self.now;
        let Some(connection) = self.connections.at_mut(index) else { return };
        connection.armed.spent();
        if connection.expires.has_come(now) && !self.outlives(index) || !self.takes_in_time(index) {
            return;
        }
        self.ping(index);
        self.arm(index);
    }

    /// Has a first connection looked at in time.
    pub(super) fn begin_rounds(&mut self) {
        if self.connections.len() == 1 {
            self.rounds = Rounds { next: self.after_stall_time(self.now).into(), slot: None };
        }
    }

    /// When a round begins or goes on.
    fn next_round(&self) -> Option<Instant> {
        let next = if self.rounds.slot.is_some() { Some(self.now) } else { self.rounds.next.get() };
        next.filter(|_| self.connections.len() > 0)
    }

    /// Looks at some connections, if it is time for a round or one is on.
    fn go_round(&mut self) {
        if self.next_round().is_none_or(|at| at > self.now) {
            return;
        }
        let slot = self.rounds.slot.unwrap_or(0);
        if slot == 0 {
            self.rounds.next = self.after_stall_time(self.now).into();
        }
        let next = slot.saturating_add(LOOKS_PER_CALL);
        for index in slot..next.min(self.connections.slots()) {
            self.takes_in_time(index);
        }
        self.rounds.slot = (next < self.connections.slots()).then_some(next);
    }

    /// Ends a connection that stalls (T3). One to which something is due is looked at again when it would.
    fn takes_in_time(&mut self, index: u32) -> bool {
        let stalls_at = self.waiting_since(index).and_then(|since| self.after_stall_time(since));
        if stalls_at.is_some_and(|at| at <= self.now) {
            self.end(index, CloseReason::Stalled);
            return false;
        }
        if let Some(connection) = self.connections.at_mut(index) {
            self.deadlines.set_by(&mut connection.armed, Timer::Connection(index), stalls_at);
        }
        true
    }

    fn after_stall_time(&self, since: Instant) -> Option<Instant> {
        since.checked_add(self.config.stall_timeout?)
    }

    /// Whether a connection lives on although its time is over.
    fn outlives(&mut self, index: u32) -> bool {
        let Some(id) = self.connections.key(index) else { return false };
        let Some(connection) = self.connections.at_mut(index) else { return false };
        connection.expires = MaybeInstant::NONE;
        match (connection.stage, connection.on_max_lifetime) {
            (Stage::Open, OnMaxLifetime::Report) => {
                self.notices.push_back(Action::TimedOut(id));
                true
            }
            (Stage::Open, OnMaxLifetime::Close) => {
                self.end(index, CloseReason::TimedOut);
                false
            }
            (Stage::Closing(_) | Stage::Ending(_), _) => {
                self.end(index, CloseReason::Stalled);
                false
            }
        }
    }

    /// Makes a ping due if the connection was silent for its interval and nothing else is due (T1).
    fn ping(&mut self, index: u32) {
        let now = self.now;
        if !self.connections.at(index).is_some_and(|connection| connection.ping.next.has_come(now)) {
            return;
        }
        let is_due = self.is_due(index);
        let Some(connection) = self.connections.at_mut(index) else { return };
        match connection.ping.after(connection.taken_at) {
            Some(due_at) if due_at > now => connection.ping.next = Some(due_at).into(),
            _ => {
                connection.ping.next = connection.ping.after(now).into();
                if !is_due && connection.is_open() {
                    connection.ping.due_since = Some(now).into();
                    self.wake(index);
                }
            }
        }
    }

    fn channel_deadline(&mut self, index: u32) {
        let now = self.now;
        let Some(channel) = self.channels.at_mut(index) else { return };
        channel.armed.spent();
        let freed = channel.history.expire_measured(now);
        self.stats.history_bytes = self.stats.history_bytes.saturating_sub(freed);
        if channel.empty_until().is_some_and(|until| until <= now) {
            return self.end_channel(index, ChannelCloseReason::Empty);
        }
        self.arm_channel(index);
    }
}
