//! Deadlines, and what a round of polls finds out.

use std::time::Duration;

use sse_core::{Action, ChannelCloseReason, CloseReason, ConnectionId, Instant, OnClose, OnMaxLifetime};

use super::connection::scramble;
use super::{Model, Stage, State};

impl Model {
    pub(crate) fn set_ping(&mut self, conn: usize, interval: Option<Duration>) {
        let now = self.now;
        let c = &mut self.conns[conn];
        let is_first = c.ping.is_none() || !c.spread.is_zero();
        let random = if is_first { scramble(self.seed, c.id.index() as u64) } else { 0 };
        c.set_ping(now, interval, random);
    }

    /// Does what is due by now. Where T3 leaves open when exactly a connection stalls, the hub says whether it did.
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
            self.chans[chan].expire(now);
            if self.empty_until(chan).is_some_and(|until| until <= now) {
                self.end_channel(chan, ChannelCloseReason::Empty);
            }
        }
    }

    fn connection_deadline(&mut self, conn: usize, is_open: &impl Fn(ConnectionId) -> bool) {
        let now = self.now;
        let c = &mut self.conns[conn];
        if c.expires.is_some_and(|expires| expires <= now) {
            c.expires = None;
            match (c.stage, c.config.on_max_lifetime) {
                (Stage::Open, OnMaxLifetime::Report) => self.notices.push(Action::TimedOut(c.id)),
                (Stage::Open, OnMaxLifetime::Close) => return self.end(conn, CloseReason::TimedOut),
                _ => return self.end(conn, CloseReason::Stalled),
            }
        }
        let (may, must) = self.stalls(conn);
        if must.is_some_and(|at| at <= now)
            || may.is_some_and(|at| at <= now) && !is_open(self.conns[conn].id)
        {
            return self.end(conn, CloseReason::Stalled);
        }
        self.ping_deadline(conn);
    }

    /// When a connection stalls at the earliest, and at the latest if the rules say (T3).
    pub(crate) fn stalls(&self, conn: usize) -> (Option<Instant>, Option<Instant>) {
        let (c, items) = (&self.conns[conn], self.due(conn));
        let Some(stall) = self.stall.filter(|_| self.is_due(conn)) else { return (None, None) };
        let earliest = items.iter().map(|item| item.came.0).min();
        let may = match earliest {
            Some(earliest) if c.is_named => earliest.min(c.named_for.0),
            Some(earliest) if !self.has_loss(conn) => earliest,
            // What it was named for may be gone, and what is lost came at some time.
            _ => c.opened_at,
        };
        let may = may.max(c.taken_at).checked_add(stall);
        // The frame that it was named for counts, also when that was given up since.
        let first = items.first().filter(|item| item.came.0 == item.came.1);
        let latest = first.map(|item| item.came.1.max(c.named_for.1));
        let must = latest.filter(|_| c.is_named).map(|latest| latest.max(c.taken_at));
        let must = must.and_then(|since| since.checked_add(stall)).and_then(|at| {
            // It was named so late that the hub had looked at its deadline before.
            if at <= c.named_at { c.named_at.checked_add(stall) } else { Some(at) }
        });
        (may, must)
    }

    /// T1: a ping is due when the connection was silent for the interval and nothing else is due.
    fn ping_deadline(&mut self, conn: usize) {
        let now = self.now;
        let waits = self.is_due(conn);
        let c = &mut self.conns[conn];
        if c.next_ping.is_none_or(|at| at > now) {
            return;
        }
        match c.ping_after(c.taken_at) {
            Some(later) if later > now => c.next_ping = Some(later),
            _ => {
                c.next_ping = c.ping_after(now);
                if !waits && c.is_open() {
                    c.ping_due = Some(now);
                }
            }
        }
    }

    /// All instants at which something happens by itself: a driver may not sleep past them (D2).
    pub(crate) fn deadlines(&self) -> Vec<Instant> {
        let alive = (0..self.conns.len()).filter(|conn| self.conns[*conn].is_alive);
        let of_conns = alive.flat_map(|conn| {
            let c = &self.conns[conn];
            [c.expires, c.next_ping, self.stalls(conn).1]
        });
        let chans = (0..self.chans.len()).filter(|chan| self.chans[*chan].state != State::Gone);
        let of_chans = chans.flat_map(|chan| [self.empty_until(chan), self.chans[chan].next_expiry()]);
        of_conns.chain(of_chans).flatten().collect()
    }

    /// Connections that have to be named: something is due, and the driver does not know.
    pub(crate) fn unnamed(&self) -> Vec<ConnectionId> {
        let waits = |conn: &usize| !self.conns[*conn].is_named && self.is_due(*conn);
        (0..self.conns.len()).filter(waits).map(|conn| self.conns[conn].id).collect()
    }

    pub(crate) fn name(&mut self, conn: usize) {
        let (now, due) = (self.now, self.due(conn));
        let c = &mut self.conns[conn];
        (c.is_named, c.named_at) = (true, now);
        c.named_for = due.first().map_or((now, now), |item| item.came);
    }

    /// Polls until there is nothing to do visit everybody to whom something happened.
    pub(crate) fn visit_all(&mut self) {
        self.forget_stale_notices();
        for (chan, conn) in self.taken_along() {
            let _ = chan;
            self.begin_close(conn, CloseReason::ChannelClosed);
        }
        for conn in 0..self.conns.len() {
            if !self.conns[conn].is_named {
                self.settle(conn);
            }
        }
    }

    /// Members that a closed channel takes with it, and that were not told yet (K3).
    fn taken_along(&self) -> Vec<(usize, usize)> {
        let takes = |chan: &usize| {
            let channel = &self.chans[*chan];
            channel.state == State::Closed && channel.config.on_close == OnClose::CloseConnections
        };
        let chans = (0..self.chans.len()).filter(takes);
        let members = chans.flat_map(|chan| self.members(chan).map(move |(conn, _)| (chan, conn)));
        members.filter(|(_, conn)| self.conns[*conn].is_open()).collect()
    }

    /// Whether a visit does more than to name: then it matters whom a single poll visits, which is the hub's choice.
    pub(crate) fn visits_matter(&self) -> bool {
        if !self.taken_along().is_empty() {
            return true;
        }
        (0..self.conns.len()).any(|conn| {
            let c = &self.conns[conn];
            let is_visited = c.is_alive && !c.is_named && !self.is_due(conn);
            is_visited && (!c.is_open() || self.settling_moves(conn))
        })
    }

    fn settling_moves(&self, conn: usize) -> bool {
        let c = &self.conns[conn];
        c.subs.iter().any(|sub| {
            let channel = &self.chans[sub.chan];
            let stands = sub.reader(c.position).min(channel.last);
            channel.state != State::Open || stands > sub.stands || !self.readable(sub, c.position).is_empty()
        })
    }
}
