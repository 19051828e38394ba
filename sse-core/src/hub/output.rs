//! What has to be done: actions, and the instants at which to ask again.

use crate::config::OnTimeout;
use crate::connection::{Stage, Wake};
use crate::deadline::Timer;
use crate::id::{ChannelId, ConnectionId, Position};
use crate::stats::CloseReason;
use crate::time::{Instant, MaybeInstant};

use super::Hub;

/// How many members one [`Hub::poll_action`] visits at most, and how many connections that wait in line.
const VISITS_PER_POLL: usize = 256;

/// How many deadlines one [`Hub::handle_timeout`] handles at most.
const DEADLINES_PER_CALL: usize = 1024;

/// What the embedder has to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Action {
    /// A connection that had nothing to take has now: write what [`Hub::transmit`] gives. It is named once, and again
    /// only after everything due was taken, or a window was used up (D3).
    Transmit(ConnectionId),
    /// End the transport of a connection. The hub has forgotten it.
    Close {
        /// Which.
        connection: ConnectionId,
        /// Why.
        reason: CloseReason,
    },
    /// The life of a connection is over (T2), and it is configured to only say so: extend it with
    /// [`Hub::set_timeout`], or close it.
    TimedOut(ConnectionId),
    /// A connection fell behind and lost events of a channel; it goes on behind the loss (S1).
    Lagged {
        /// Which.
        connection: ConnectionId,
        /// In which channel.
        channel: ChannelId,
        /// The newest position that it may have lost.
        lost_through: Position,
    },
    /// A channel was closed (K2, K3).
    ChannelClosed {
        /// Which.
        channel: ChannelId,
        /// Why.
        reason: ChannelCloseReason,
    },
}

/// Why a channel was closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ChannelCloseReason {
    /// [`Hub::close_channel`] was called.
    Requested,
    /// It had no member for its empty timeout (K2).
    Empty,
}

impl Hub {
    /// The next thing to do, if there is one.
    ///
    /// A broadcast is not a queue: its members are visited here, a bounded number in one call. So `None` may come
    /// before a sweep is over; [`poll_timeout`](Hub::poll_timeout) is not in the future then (D2, D7).
    ///
    /// # Cost
    ///
    /// O(1), amortised over the members of the channels that were published to; at most 256 of them in one call.
    /// Nothing is allocated.
    ///
    /// ```
    /// # use sse_core::{Action, ChannelConfig, ConnectionConfig, Event, Hub, HubConfig, Instant};
    /// # let mut hub = Hub::new(HubConfig::default()).unwrap();
    /// # let now = Instant::ORIGIN;
    /// let weather = hub.open(now, "weather", ChannelConfig::default()).unwrap();
    /// let connection = hub.connect(now, ConnectionConfig::default()).unwrap();
    /// hub.subscribe(now, weather, connection).unwrap();
    /// hub.publish(now, weather, &Event::new().data("sunny")).unwrap();
    /// assert_eq!(hub.poll_action(), Some(Action::Transmit(connection)));
    /// assert_eq!(hub.poll_action(), None);
    /// ```
    pub fn poll_action(&mut self) -> Option<Action> {
        if let Some(notice) = self.next_notice() {
            return Some(notice);
        }
        if let Some(connection) = self.sweep() {
            return Some(Action::Transmit(connection));
        }
        for _ in 0..VISITS_PER_POLL {
            let Some(connection) = self.wakes.pop_front() else { break };
            if let Some(index) = self.connections.index(connection)
                && self.connections.at(index).is_some_and(|state| state.wake == Wake::Queued)
                && self.name_if_due(index)
            {
                return Some(Action::Transmit(connection));
            }
        }
        self.release_queues();
        // Some that only had the rest to take may have been ended.
        self.next_notice()
    }

    /// When to call [`handle_timeout`](Hub::handle_timeout) and [`poll_action`](Hub::poll_action) next: not in the
    /// future while anything is pending, `None` when nothing will ever be (D2).
    ///
    /// # Cost
    ///
    /// The first of a sorted set: no look at any connection.
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
        self.deadlines.first().into_iter().chain(self.next_drain()).min()
    }

    /// Does what is due by `now`: pings, timeouts, stalls, empty channels. Before its time it does nothing (D4).
    ///
    /// # Cost
    ///
    /// O(log n) for each deadline that has come; at most 1,024 of them in one call, then
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
        for _ in 0..DEADLINES_PER_CALL {
            match self.deadlines.pop(now) {
                Some(Timer::Connection(index)) => self.connection_deadline(index),
                Some(Timer::Channel(index)) => self.channel_deadline(index),
                None => return,
            }
        }
    }

    /// Has the hub look at a connection when it could have something to do next.
    pub(super) fn arm(&mut self, index: u32) {
        let (now, stall) = (self.now, self.config.stall);
        let Some(connection) = self.connections.at_mut(index) else { return };
        let stall_check = stall.and_then(|stall| now.checked_add(stall));
        let next =
            [connection.expires.get(), connection.ping.next.get(), stall_check].into_iter().flatten().min();
        self.deadlines.set_by(&mut connection.armed, Timer::Connection(index), next);
    }

    fn connection_deadline(&mut self, index: u32) {
        let now = self.now;
        let Some(connection) = self.connections.at_mut(index) else { return };
        connection.armed.spent();
        if connection.expires.has_come(now) && !self.outlives(index) {
            return;
        }
        let is_due = self.is_due(index);
        let waiting_since = if is_due { self.waiting_since(index) } else { None };
        let stalled_at =
            waiting_since.zip(self.config.stall).and_then(|(since, stall)| since.checked_add(stall));
        if stalled_at.is_some_and(|at| at <= now) {
            return self.end(index, CloseReason::Stalled);
        }
        self.ping(index, is_due);
        self.arm(index);
        if let Some(connection) = self.connections.at_mut(index) {
            self.deadlines.set_by(&mut connection.armed, Timer::Connection(index), stalled_at);
        }
    }

    /// Whether a connection lives on although its time is over.
    fn outlives(&mut self, index: u32) -> bool {
        let Some(id) = self.connections.key(index) else { return false };
        let Some(connection) = self.connections.at_mut(index) else { return false };
        connection.expires = MaybeInstant::NONE;
        match (connection.stage, connection.on_timeout) {
            (Stage::Open, OnTimeout::Report) => {
                self.notices.push_back(Action::TimedOut(id));
                true
            }
            (Stage::Open, OnTimeout::Close) => {
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
    fn ping(&mut self, index: u32, is_due: bool) {
        let now = self.now;
        let Some(connection) = self.connections.at_mut(index) else { return };
        if !connection.ping.next.has_come(now) {
            return;
        }
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

    /// Visits members of channels that wait for it, until one has to be named or the turn is over.
    fn sweep(&mut self) -> Option<ConnectionId> {
        for _ in 0..VISITS_PER_POLL {
            let id = *self.sweeps.front()?;
            let channel = self.channels.index(id).and_then(|index| self.channels.at_mut(index));
            let Some(channel) = channel else {
                self.sweeps.pop_front();
                continue;
            };
            let is_taken_along = channel.takes_connections();
            match channel.members.visit() {
                Some(member) => {
                    if let Some(named) = self.visit(member, is_taken_along) {
                        return Some(named);
                    }
                }
                None => {
                    let has_to_go_on = channel.members.finish_pass();
                    self.sweeps.pop_front();
                    if has_to_go_on {
                        self.sweeps.push_back(id);
                    }
                }
            }
        }
        None
    }

    /// Visits a member of a channel in which something happened; returns it when it has to be named.
    fn visit(&mut self, member: u32, is_taken_along: bool) -> Option<ConnectionId> {
        if is_taken_along {
            self.begin_close(member, CloseReason::ChannelClosed);
        }
        let (id, connection) = self.connections.entry(member)?;
        match connection.wake {
            Wake::Idle => self.name_if_due(member).then_some(id),
            // The driver has it, or will: it finds out itself.
            Wake::Named | Wake::Queued => {
                self.wake(member);
                None
            }
        }
    }

    /// The next action that still means something: what it is about may have gone since (D6).
    fn next_notice(&mut self) -> Option<Action> {
        loop {
            let notice = self.notices.pop_front()?;
            let still_holds = match notice {
                Action::TimedOut(connection) | Action::Lagged { connection, .. } => self.is_open(connection),
                Action::Transmit(_) | Action::Close { .. } | Action::ChannelClosed { .. } => true,
            };
            if still_holds {
                return Some(notice);
            }
        }
    }

    /// Queues that grew are given back when they are empty (D8).
    fn release_queues(&mut self) {
        if self.notices.capacity() > KEPT_CAPACITY && self.notices.is_empty() {
            self.notices = Default::default();
        }
        if self.wakes.capacity() > KEPT_CAPACITY && self.wakes.is_empty() {
            self.wakes = Default::default();
        }
        if self.sweeps.capacity() > KEPT_CAPACITY && self.sweeps.is_empty() {
            self.sweeps = Default::default();
        }
    }
}

/// Room that an empty queue keeps, so that a steady trickle does not allocate.
const KEPT_CAPACITY: usize = 1024;
