//! Time: the instants at which to call the hub again, and what happens then.

use core::time::Duration;

use crate::config::OnMaxLifetime;
use crate::stats::CloseReason;
use crate::time::{Instant, has_passed};

use super::arena::{ChannelSlot, ConnectionSlot};
use super::connection::{ConnectionState, Stage};
use super::timer_queue::TimerOwner;
use super::{Action, ChannelCloseReason, Hub};

/// The most deadlines that one [`Hub::handle_timeout`] handles.
const DEADLINES_PER_CALL: usize = 1024;

/// The most connections that one [`Hub::handle_timeout`] scans for stalls.
const SCANNED_PER_CALL: u32 = 1024;

/// The number of connections that are prefetched at once.
const PREFETCHED_AT_ONCE: usize = 16;

/// The shortest lateness of a check that shows that the driver did not run. Timers of runtimes are late by some
/// milliseconds.
const LATENESS: Duration = Duration::from_millis(10);

/// A periodic scan that arms the stall timers (T3).
///
/// Arming a timer on every delivery would be too expensive (T4). Instead, the hub scans all connections in each three
/// quarters of the stall timeout, and arms a timer only for those with pending data. A connection that was idle at the last
/// scan does not need its first check before the next one.
#[derive(Default)]
pub(super) struct StallScan {
    /// The start of the next scan, if there is a connection then.
    next: Option<Instant>,
    /// The next slot to scan, while a scan is in progress.
    slot: Option<u32>,
}

/// A check of a connection with pending data (T3).
struct StallCheck {
    at: Instant,
    /// Whether an earlier check found the same data pending, so that this one can end the connection.
    is_last: bool,
    /// The time from the check to the next one.
    pause: Duration,
}

impl Hub {
    /// Returns the instant at which to call [`handle_timeout`](Hub::handle_timeout) and
    /// [`poll_action`](Hub::poll_action) next: not in the future while anything is pending, `None` when nothing ever
    /// will be ([D2](crate::rules#d2)).
    ///
    /// # Cost
    ///
    /// O(1): no connection is visited.
    ///
    /// ```
    /// # use sse_core::{ConnectionConfig, Hub, HubConfig, Instant};
    /// # let mut hub = Hub::new(HubConfig::default()).unwrap();
    /// assert_eq!(hub.poll_timeout(), None);
    /// let connection = hub.connect(Instant::ORIGIN, ConnectionConfig::default()).unwrap();
    /// assert_eq!(hub.poll_timeout(), Some(Instant::ORIGIN), "an action can be polled");
    /// hub.poll_action();
    /// assert!(hub.poll_timeout() > Some(Instant::ORIGIN), "a ping, later");
    /// ```
    pub fn poll_timeout(&self) -> Option<Instant> {
        if !self.notices.is_empty() || !self.notify_queue.is_empty() || !self.sweeps.is_empty() {
            return Some(self.now);
        }
        let deadlines = [self.timers.first(), self.next_scan(), self.next_drain(), self.waiting_until()];
        deadlines.into_iter().flatten().min()
    }

    /// Handles the deadlines that have passed by `now`: pings, maximum lifetimes, stalls, empty channels. A call before
    /// the next deadline does nothing ([D4](crate::rules#d4)).
    ///
    /// # Cost
    ///
    /// O(1) per deadline, O(log n) where connections differ in their intervals. In each three quarters of the stall timeout,
    /// O(1) per connection, in memory order. One call handles at most 1,024 of either; then [`poll_timeout`](Hub::poll_timeout)
    /// returns the next.
    ///
    /// ```
    /// # use sse_core::{Action, ConnectionConfig, Hub, HubConfig, Instant};
    /// # let mut hub = Hub::new(HubConfig::default()).unwrap();
    /// let config = ConnectionConfig { announce_position: false, ..ConnectionConfig::default() };
    /// let connection = hub.connect(Instant::ORIGIN, config).unwrap();
    /// assert_eq!(hub.poll_action(), None);
    /// hub.handle_timeout(Instant::from_millis(50_000));
    /// assert_eq!(hub.poll_action(), Some(Action::Transmit(connection)));
    /// assert_eq!(bytes::Buf::chunk(&hub.transmit(Instant::from_millis(50_000), connection)), b":\n");
    /// ```
    pub fn handle_timeout(&mut self, now: Instant) {
        let now = self.advance_clock(now);
        self.close_drained();
        self.drop_unclaimed();
        let mut has_scanned = false;
        for _ in 0..DEADLINES_PER_CALL {
            match self.timers.pop(now) {
                Some(TimerOwner::Connection(slot)) => {
                    self.prefetch_next();
                    self.connection_deadline(slot);
                }
                Some(TimerOwner::Channel(slot)) => self.channel_deadline(slot),
                // Not earlier: a connection whose lifetime is over is not closed because it stalls.
                None if !has_scanned => {
                    self.scan_stalls();
                    has_scanned = true;
                }
                None => return,
            }
        }
    }

    /// Prefetches the connections whose deadlines come next, several at once: deadlines are in no order of memory, and each
    /// cache miss would be waited for. This only affects speed.
    fn prefetch_next(&mut self) {
        if let Some(left) = self.prefetched.checked_sub(1) {
            self.prefetched = left;
            return;
        }
        self.prefetched = PREFETCHED_AT_ONCE;
        let upcoming = self.timers.upcoming().take(PREFETCHED_AT_ONCE);
        upcoming.filter_map(|slot| self.connections.at(slot)).for_each(ConnectionState::prefetch);
    }

    /// Arms the timer of a connection for its end and its next ping.
    pub(super) fn arm_timer(&mut self, slot: ConnectionSlot) {
        let Some(connection) = self.connections.at_mut(slot) else { return };
        let next = connection.expires_at.into_iter().chain(connection.ping.next_check).min();
        self.timers.set_by(&mut connection.timer, TimerOwner::Connection(slot), next);
    }

    fn connection_deadline(&mut self, slot: ConnectionSlot) {
        let now = self.now;
        let Some(connection) = self.connections.at_mut(slot) else { return };
        connection.timer.clear();
        if has_passed(connection.expires_at, now) && !self.survives_deadline(slot) || !self.check_stall(slot)
        {
            return;
        }
        self.ping(slot);
        self.arm_timer(slot);
    }

    /// Schedules the first scan when the first connection is opened.
    pub(super) fn start_stall_scan(&mut self) {
        if self.connections.len() == 1 {
            self.stall_scan = StallScan { next: self.next_scan_after(self.now), slot: None };
        }
    }

    /// Returns the instant at which a scan starts or continues.
    fn next_scan(&self) -> Option<Instant> {
        let next = if self.stall_scan.slot.is_some() { Some(self.now) } else { self.stall_scan.next };
        next.filter(|_| self.connections.len() > 0)
    }

    /// Scans some connections, if a scan is in progress or has to start.
    fn scan_stalls(&mut self) {
        if self.next_scan().is_none_or(|at| at > self.now) {
            return;
        }
        let first = self.stall_scan.slot.unwrap_or(0);
        if first == 0 {
            self.stall_scan.next = self.next_scan_after(self.now);
        }
        let next = first.saturating_add(SCANNED_PER_CALL);
        for index in first..next.min(self.connections.slots()) {
            self.check_stall(ConnectionSlot::new(index));
        }
        self.stall_scan.slot = (next < self.connections.slots()).then_some(next);
    }

    /// Ends a connection that has stalled (T3), and returns false then. A connection with pending data is checked again.
    fn check_stall(&mut self, slot: ConnectionSlot) -> bool {
        let now = self.now;
        let Some(check) = self.next_check(slot) else { return true };
        if check.at > now {
            self.arm_stall_check(slot, Some(check.at));
            return true;
        }
        let lateness = now.saturating_duration_since(check.at);
        if check.is_last && lateness <= check.pause.max(LATENESS) {
            self.end_connection(slot, CloseReason::Stalled);
            return false;
        }
        if let Some(connection) = self.connections.at_mut(slot) {
            connection.stall_checked_at = now;
        }
        self.arm_stall_check(slot, now.checked_add(check.pause));
        true
    }

    fn arm_stall_check(&mut self, slot: ConnectionSlot, at: Option<Instant>) {
        if let Some(connection) = self.connections.at_mut(slot) {
            self.timers.set_by(&mut connection.timer, TimerOwner::Connection(slot), at);
        }
    }

    /// Returns the next check of a connection with pending data. The first is due after three quarters of the stall timeout,
    /// the last another quarter later: so the driver has run in between, however late the first was.
    fn next_check(&self, slot: ConnectionSlot) -> Option<StallCheck> {
        let (until_first, pause) = self.check_times()?;
        let first = self.stalled_since(slot)?.checked_add(until_first)?;
        let checked_at = self.connections.at(slot)?.stall_checked_at;
        let is_last = checked_at >= first;
        let at = if is_last { checked_at.checked_add(pause)? } else { first };
        Some(StallCheck { at, is_last, pause })
    }

    /// Returns the time until the first check for a stall, and the time between checks.
    fn check_times(&self) -> Option<(Duration, Duration)> {
        let timeout = self.config.stall_timeout?;
        let pause = timeout.checked_div(4)?;
        Some((timeout.saturating_sub(pause), pause))
    }

    /// Returns the start of the scan after this one: no connection needs its first check before it.
    fn next_scan_after(&self, now: Instant) -> Option<Instant> {
        now.checked_add(self.check_times()?.0)
    }

    /// Handles the end of a connection's lifetime. Returns whether the connection survives it.
    fn survives_deadline(&mut self, slot: ConnectionSlot) -> bool {
        let Some((id, connection)) = self.connections.entry_mut(slot) else { return false };
        connection.expires_at = None;
        match (connection.stage, connection.on_max_lifetime) {
            (Stage::Open, OnMaxLifetime::Report) => {
                self.notices.push_back(Action::TimedOut(id));
                true
            }
            (Stage::Open, OnMaxLifetime::Close) => {
                self.begin_close(slot, CloseReason::TimedOut);
                self.connections.at(slot).is_some()
            }
            (Stage::Closing(_) | Stage::Ending(_), _) => {
                self.end_connection(slot, CloseReason::Stalled);
                false
            }
        }
    }

    /// Makes a ping pending if the connection was silent for its interval and nothing else is pending (T1).
    fn ping(&mut self, slot: ConnectionSlot) {
        let now = self.now;
        if !self.connections.at(slot).is_some_and(|connection| has_passed(connection.ping.next_check, now)) {
            return;
        }
        let has_pending = self.has_pending(slot);
        let Some(connection) = self.connections.at_mut(slot) else { return };
        match connection.ping.after(connection.last_taken_at) {
            Some(at) if at > now => connection.ping.next_check = Some(at),
            _ => {
                connection.ping.next_check = connection.ping.after(now);
                if !has_pending && connection.is_open() {
                    self.make_ping_pending(slot);
                }
            }
        }
    }

    /// Makes a ping pending: the event `position` where clients are kept informed of the position (L5), else a comment.
    fn make_ping_pending(&mut self, slot: ConnectionSlot) {
        let is_event = self.refresh_position(slot);
        let now = self.now;
        let Some(connection) = self.connections.at_mut(slot) else { return };
        if is_event {
            connection.ping.mark_sent();
            self.stats.pings = self.stats.pings.saturating_add(1);
        } else {
            connection.ping.pending_since = Some(now);
        }
        self.notify(slot);
    }

    fn channel_deadline(&mut self, slot: ChannelSlot) {
        let now = self.now;
        let Some(channel) = self.channels.at_mut(slot) else { return };
        channel.timer.clear();
        self.expire_history(slot);
        let Some(channel) = self.channels.at_mut(slot) else { return };
        if channel.closes_at().is_some_and(|at| at <= now) {
            let is_finished = channel.is_finished;
            let reason = if is_finished { ChannelCloseReason::Finished } else { ChannelCloseReason::Empty };
            return self.end_channel(slot, reason);
        }
        if channel.gathered.until.is_some_and(|at| at <= now) {
            self.end_linger(slot);
        }
        self.report_absence(slot);
        self.arm_channel_timer(slot);
    }
}
