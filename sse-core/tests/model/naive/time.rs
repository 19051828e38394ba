//! Deadlines, and the effects of polling until no action is left.

use std::time::Duration;

use sse_core::{Action, ChannelCloseReason, CloseReason, ConnectionId, Instant, OnClose, OnMaxLifetime};

use super::connection::splitmix64;
use super::{Kind, Model, Stage, State};

impl Model {
    pub(crate) fn set_ping(&mut self, conn: usize, interval: Option<Duration>) {
        let now = self.now;
        let c = &mut self.conns[conn];
        let is_first = c.ping.is_none() || !c.spread.is_zero();
        let random = if is_first { splitmix64(self.seed, c.id.index() as u64) } else { 0 };
        let gives_up = c.pending_ping.is_some() && c.claim.is_none();
        c.set_ping(now, interval, random);
        if gives_up {
            // The oldest remaining frame counts.
            let oldest = self.pending(conn).iter().map(|item| item.available_from.0).min();
            let c = &mut self.conns[conn];
            c.reported_at = c.reported_at.min(oldest.unwrap_or(now));
            c.has_given_up = true;
        }
    }

    /// Handles all deadlines up to now. Where frames were given up, T3 allows a range of instants for a stall; within that
    /// range the model follows the hub.
    pub(crate) fn handle_timeout(&mut self, is_open: impl Fn(ConnectionId) -> bool) {
        for conn in 0..self.conns.len() {
            if self.conns[conn].is_alive {
                self.connection_deadline(conn, &is_open);
            }
        }
        let now = self.now;
        for chan in 0..self.chans.len() {
            if self.chans[chan].state == State::Gone {
                continue;
            }
            self.expire(chan);
            if self.open_until(chan).is_some_and(|until| until <= now) {
                let is_finished = self.chans[chan].is_finished;
                let reasons = [ChannelCloseReason::Empty, ChannelCloseReason::Finished];
                self.end_channel(chan, reasons[usize::from(is_finished)]);
            }
            let channel = &mut self.chans[chan];
            let is_over = |(_, until): &(u64, Option<Instant>)| until.is_some_and(|until| until <= now);
            channel.lingers.take_if(|lingers| is_over(lingers));
            self.report_absence(chan);
        }
    }

    fn connection_deadline(&mut self, conn: usize, is_open: &impl Fn(ConnectionId) -> bool) {
        let now = self.now;
        let c = &mut self.conns[conn];
        if c.expires.is_some_and(|expires| expires <= now) {
            c.expires = None;
            match (c.stage, c.config.on_max_lifetime) {
                (Stage::Open, OnMaxLifetime::Report) => self.actions.push(Action::TimedOut(c.id)),
                (Stage::Open, OnMaxLifetime::Close) => self.begin_close(conn, CloseReason::TimedOut),
                _ => return self.end(conn, CloseReason::Stalled),
            }
        }
        if !self.conns[conn].is_alive {
            return;
        }
        if self.check_stall(conn, is_open) {
            return self.end(conn, CloseReason::Stalled);
        }
        self.ping_deadline(conn);
    }

    /// Returns whether a connection ends as stalled now (T3).
    fn check_stall(&mut self, conn: usize, is_open: &impl Fn(ConnectionId) -> bool) -> bool {
        let now = self.now;
        let (Some(stall), Some(since)) = (self.stall, self.stalled_since(conn)) else { return false };
        if self.conns[conn].has_given_up {
            return !is_open(self.conns[conn].id) && since.checked_add(stall).is_some_and(|end| end <= now);
        }
        let Some((at, is_last)) = self.next_stall_check(conn).filter(|(at, _)| *at <= now) else {
            return false;
        };
        if is_last && now.saturating_duration_since(at) <= (stall / 4).max(Duration::from_millis(10)) {
            return true;
        }
        self.conns[conn].stall_checked_at = now;
        false
    }

    /// Returns the instant of the next check for a stall, and whether the check can end the connection: the first is due
    /// after three quarters of the stall timeout, and each further one a quarter after the one before.
    fn next_stall_check(&self, conn: usize) -> Option<(Instant, bool)> {
        let stall = self.stall?;
        let first = self.stalled_since(conn)?.checked_add(stall - stall / 4)?;
        let checked_at = self.conns[conn].stall_checked_at;
        if checked_at < first {
            Some((first, false))
        } else {
            Some((checked_at.checked_add(stall / 4)?, true))
        }
    }

    /// Returns the instant since which a connection took none of its reported bytes.
    fn stalled_since(&self, conn: usize) -> Option<Instant> {
        let c = &self.conns[conn];
        let is_pending = c.is_alive && c.is_reported && self.has_pending(conn);
        is_pending.then(|| c.reported_at.max(c.taken_at))
    }

    /// Makes a ping pending if the connection was silent for the interval and has nothing else pending (T1).
    fn ping_deadline(&mut self, conn: usize) {
        let now = self.now;
        let has_pending = self.has_pending(conn);
        let c = &mut self.conns[conn];
        if c.next_ping.is_none_or(|at| at > now) {
            return;
        }
        match c.ping_after(c.taken_at) {
            Some(later) if later > now => c.next_ping = Some(later),
            _ => {
                c.next_ping = c.ping_after(now);
                if !has_pending && c.is_open() {
                    c.pending_ping = Some(now);
                }
            }
        }
    }

    /// Returns all deadlines. A driver must not sleep past any of them (D2).
    pub(crate) fn deadlines(&self) -> Vec<Instant> {
        let alive = (0..self.conns.len()).filter(|conn| self.conns[*conn].is_alive);
        let of_conns = alive.flat_map(|conn| {
            let c = &self.conns[conn];
            let check = self.next_stall_check(conn).filter(|_| !c.has_given_up).map(|(at, _)| at);
            [c.expires, c.next_ping, check]
        });
        let chans = (0..self.chans.len()).filter(|chan| self.chans[*chan].state != State::Gone);
        let of_chans = chans.flat_map(|chan| {
            [
                self.lingers_until(chan),
                self.open_until(chan),
                self.unwanted_at(chan),
                self.chans[chan].next_expiry(),
            ]
        });
        of_conns.chain(of_chans).flatten().collect()
    }

    /// Returns the connections that the hub has to report: bytes are pending and were not reported yet, or it has to be asked
    /// for bytes (K5).
    pub(crate) fn unreported(&self) -> Vec<ConnectionId> {
        let has_reason = |conn: usize| self.is_due(conn) || self.waits_to_leave(conn);
        let needs_report = |conn: &usize| !self.conns[*conn].is_reported && has_reason(*conn);
        (0..self.conns.len()).filter(needs_report).map(|conn| self.conns[conn].id).collect()
    }

    fn lingers_until(&self, chan: usize) -> Option<Instant> {
        self.chans[chan].lingers?.1
    }

    /// Returns whether something is pending that does not only linger (T6).
    fn is_due(&self, conn: usize) -> bool {
        let c = &self.conns[conn];
        let follows_lingering = c.subs.iter().any(|sub| self.chans[sub.chan].lingers.is_some());
        let lingers = |kind: Kind| match kind {
            Kind::Event { position, .. } => {
                let of_sub =
                    |chan: usize| self.chans[chan].lingers.is_some_and(|(first, _)| first <= position);
                c.is_open() && c.subs.iter().any(|sub| of_sub(sub.chan))
            }
            // A driver that took a part of it without a report has the rest.
            Kind::InProgress => true,
            _ => false,
        };
        let only_lingers = follows_lingering && self.pending(conn).iter().all(|item| lingers(item.kind));
        self.has_pending(conn) && !(only_lingers && c.claim.is_none())
    }

    pub(crate) fn report(&mut self, conn: usize) {
        let (now, has_pending) = (self.now, self.has_pending(conn));
        self.conns[conn].mark_reported(now);
        // Who only waits to leave has no byte that could wait.
        self.conns[conn].has_given_up = !has_pending;
    }

    /// Visits every connection, as polling until no action is left does.
    pub(crate) fn visit_all(&mut self) {
        self.drop_stale_actions();
        for (chan, conn) in self.members_to_close() {
            let _ = chan;
            self.begin_close(conn, CloseReason::ChannelClosed);
        }
        for conn in 0..self.conns.len() {
            if !self.conns[conn].is_reported {
                self.finish_if_idle(conn);
            }
        }
    }

    /// Returns the open members of closed channels with `OnClose::CloseConnections`. A sweep has not visited them yet
    /// (K3).
    fn members_to_close(&self) -> Vec<(usize, usize)> {
        let closes_members = |chan: &usize| {
            let channel = &self.chans[*chan];
            channel.state == State::Closed && channel.config.on_close == OnClose::CloseConnections
        };
        let chans = (0..self.chans.len()).filter(closes_members);
        let members = chans.flat_map(|chan| self.members(chan).map(move |(conn, _)| (chan, conn)));
        members.filter(|(_, conn)| self.conns[*conn].is_open()).collect()
    }

    /// Returns whether a visit could have an effect besides a report. The hub chooses the member that a single poll
    /// visits, so the model then has to visit all.
    pub(crate) fn visits_matter(&self) -> bool {
        if !self.members_to_close().is_empty() {
            return true;
        }
        (0..self.conns.len()).any(|conn| {
            let c = &self.conns[conn];
            let is_visited = c.is_alive && !c.is_reported && !self.has_pending(conn);
            is_visited && (!c.is_open() || self.would_advance(conn))
        })
    }

    fn would_advance(&self, conn: usize) -> bool {
        let c = &self.conns[conn];
        c.subs.iter().any(|sub| {
            let channel = &self.chans[sub.chan];
            let counted_at = sub.live_position(c.position).min(channel.last);
            channel.state != State::Open
                || counted_at > sub.counted_at
                || !self.readable(sub, c.position).is_empty()
        })
    }
}
