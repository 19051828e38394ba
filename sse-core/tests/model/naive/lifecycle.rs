//! Opening, progress and end of connections and channels.

use sse_core::{
    Action, ChannelCloseReason, ChannelConfig, ChannelId, CloseReason, ConnectionConfig, ConnectionId,
    Instant, LagPolicy, OnClose, SendError,
};

use super::connection::splitmix64;
use super::publish::position_in;
use super::{Chan, Conn, Lead, Model, OwnFrame, Stage, State};

impl Model {
    pub(crate) fn connect(&mut self, id: ConnectionId, config: ConnectionConfig) {
        let (now, is_external, head) = (self.now, self.is_external, self.head);
        let resume_point = config.last_event_id.as_ref().map(|id| {
            let id = id.as_str().map(String::from);
            // Only in a hub with external positions can a client be ahead of the head (O4).
            let position = id.as_deref().and_then(position_in).filter(|it| is_external || *it <= head);
            (id, position)
        });
        let mut conn = Conn {
            id,
            is_alive: true,
            opened_at: now,
            resume_point,
            position: self.complete_through(),
            subs: Vec::new(),
            own_frames: Vec::new(),
            stage: Stage::Open,
            is_starting: true,
            start_is_open: true,
            in_progress: Vec::new(),
            claim: None,
            is_reported: false,
            reported_at: now,
            has_given_up: false,
            stall_checked_at: Instant::ORIGIN,
            taken_at: now,
            expires: config.max_lifetime.and_then(|lifetime| now.checked_add(lifetime)),
            ping: None,
            spread: Default::default(),
            next_ping: None,
            pending_ping: None,
            received: Vec::new(),
            config,
        };
        conn.set_ping(now, conn.config.ping, splitmix64(self.seed, self.counters.opened));
        self.counters.opened += 1;
        self.conns.push(conn);
    }

    pub(crate) fn open(&mut self, id: ChannelId, name: String, config: ChannelConfig) {
        let known = self.ended_names.get(&name).copied();
        self.chans.push(Chan {
            id,
            name,
            config,
            first_floor: if self.is_external { self.head } else { known.unwrap_or(self.after) },
            told_through: 0,
            last: self.complete_through(),
            pubs: Vec::new(),
            state: State::Open,
            empty_since: self.now,
            is_finished: false,
            kept_until: None,
            lingers: None,
            absence_is_reported: false,
            is_stopped: false,
            lead: None,
        });
        let channel = self.chans.last_mut().expect("just opened");
        let mark = channel.first_floor.max(channel.last);
        channel.lead =
            channel.config.ahead.map(|limit| Lead { limit: limit.max(1), mark, is_waiting: false });
    }

    pub(crate) fn send(&mut self, conn: usize, wire: &[u8]) -> Result<(), SendError> {
        let (now, head, limit) = (self.now, self.head, self.limits.event_bytes);
        let c = &mut self.conns[conn];
        if !c.is_alive {
            return Err(SendError::UnknownConnection(c.id));
        }
        if !c.is_open() {
            return Err(SendError::Closing(c.id));
        }
        let (most, waiting) = (c.config.direct_bytes, c.direct_bytes());
        let limit = limit.min(most);
        if wire.len() > limit {
            return Err(SendError::TooLarge { bytes: wire.len(), limit });
        }
        if waiting + wire.len() > most {
            return Err(SendError::Full { queued: waiting, limit: most });
        }
        let frame = OwnFrame {
            position: head,
            is_after: true,
            is_farewell: false,
            id: None,
            wire: wire.to_vec(),
            since: now,
        };
        c.push_own(frame);
        Ok(())
    }

    pub(crate) fn begin_close(&mut self, conn: usize, reason: CloseReason) {
        if self.conns[conn].is_alive && self.conns[conn].is_open() && !self.has_pending(conn) {
            self.pass_foreign(conn);
        }
        let (end, expires) = (self.head, self.now.checked_add(self.flush_time()));
        let c = &mut self.conns[conn];
        if !c.is_alive || !c.is_open() {
            return;
        }
        c.stage = Stage::Closing { end, reason };
        c.expires = expires;
        self.push_farewell(conn);
        self.drop_drained(conn);
        if !self.has_pending(conn) {
            self.end(conn, reason);
        }
    }

    /// Closes all connections (A2).
    pub(crate) fn shut_down(&mut self) {
        self.is_shut_down = true;
        let deadline = self.now.checked_add(self.flush_time());
        for conn in 0..self.conns.len() {
            self.begin_close(conn, CloseReason::ShuttingDown);
            let c = &mut self.conns[conn];
            c.expires = c.expires.into_iter().chain(deadline).min();
        }
    }

    pub(crate) fn end(&mut self, conn: usize, reason: CloseReason) {
        if !self.conns[conn].is_alive {
            return;
        }
        while !self.conns[conn].subs.is_empty() {
            self.detach(conn, 0);
        }
        self.conns[conn].is_alive = false;
        self.count_end(reason);
        if reason != CloseReason::Disconnected {
            self.actions.push(Action::Close { connection: self.conns[conn].id, reason });
        }
    }

    pub(crate) fn detach(&mut self, conn: usize, number: usize) {
        let chan = self.conns[conn].subs.remove(number).chan;
        self.release_retained(chan);
        if self.members(chan).next().is_some() {
            return;
        }
        let channel = &mut self.chans[chan];
        channel.empty_since = self.now;
        channel.absence_is_reported = false;
        if channel.state == State::Closed {
            channel.state = State::Gone;
        }
    }

    pub(crate) fn end_channel(&mut self, chan: usize, reason: ChannelCloseReason) {
        let is_empty = self.members(chan).next().is_none();
        let channel = &mut self.chans[chan];
        let newest = channel.history().map(|event| event.position).max().unwrap_or(0);
        self.ended_names.insert(channel.name.clone(), newest.max(channel.floor()));
        channel.lingers = None;
        channel.state = if is_empty { State::Gone } else { State::Closed };
        let id = channel.id;
        self.end_wait_for_room(chan);
        self.actions.push(Action::ChannelClosed { channel: id, reason });
    }

    /// Visits a connection. If nothing is pending for it, it moves past events that are not for it, leaves closed
    /// channels, and ends if it is closing.
    pub(crate) fn finish_if_idle(&mut self, conn: usize) {
        if !self.conns[conn].is_alive || self.has_pending(conn) {
            return;
        }
        match self.conns[conn].stage {
            Stage::Open => {}
            Stage::Closing { reason, .. } | Stage::Ending { reason } => return self.end(conn, reason),
        }
        self.pass_foreign(conn);
        self.drop_drained(conn);
    }

    /// Passes the events that are not for the connection.
    fn pass_foreign(&mut self, conn: usize) {
        let c = &self.conns[conn];
        let readable = c.subs.iter().flat_map(|sub| self.readable(sub, c.position));
        let positions: Vec<u64> = readable.map(|(event, _)| event.position).collect();
        let is_settled = |position: &u64| *position <= self.complete_through();
        let passed = positions.iter().copied().filter(is_settled).max().unwrap_or(0);
        let position = passed.max(c.position);
        self.move_to(conn, position);
        // The newest position may still get events in other channels (O4). Only subscriptions that start at or after
        // it move on.
        if let Some(newest) = positions.into_iter().max() {
            for sub in &mut self.conns[conn].subs {
                if newest <= sub.starts_after {
                    let reader = sub.live_position(newest).min(self.chans[sub.chan].last);
                    sub.counted_at = sub.counted_at.max(reader);
                    sub.passed = sub.passed.max(newest.min(self.chans[sub.chan].last));
                }
            }
        }
    }

    pub(crate) fn move_to(&mut self, conn: usize, position: u64) {
        self.conns[conn].position = position;
        for sub in &mut self.conns[conn].subs {
            let reader = sub.live_position(position).min(self.chans[sub.chan].last);
            sub.counted_at = sub.counted_at.max(reader);
            sub.passed = sub.passed.max(position.min(self.chans[sub.chan].last));
            if sub.replay_through <= position {
                sub.replay_through = 0;
            }
        }
        for number in 0..self.conns[conn].subs.len() {
            self.release_retained(self.conns[conn].subs[number].chan);
            self.advance_mark(self.conns[conn].subs[number].chan, position);
        }
    }

    /// Ends the subscriptions that have nothing left: those to closed channels, and all of a closing connection (K3).
    pub(crate) fn drop_drained(&mut self, conn: usize) {
        while let Some(number) = self.first_drained(conn) {
            let channel = &self.chans[self.conns[conn].subs[number].chan];
            let closes_connections =
                channel.state != State::Open && channel.config.on_close == OnClose::CloseConnections;
            self.detach(conn, number);
            if closes_connections {
                self.begin_close(conn, CloseReason::ChannelClosed);
            }
        }
    }

    fn first_drained(&self, conn: usize) -> Option<usize> {
        let c = &self.conns[conn];
        if !c.is_alive || self.opening(conn).is_some() {
            return None;
        }
        c.subs.iter().position(|sub| {
            let channel = &self.chans[sub.chan];
            let closes = channel.config.on_close == OnClose::CloseConnections;
            // A finished channel is left when the transport asks for bytes (K5).
            let is_closed = channel.state != State::Open && (closes || !channel.is_finished);
            // Before the first byte, a later subscription may still change what this one is owed.
            let may_end = !c.start_is_open || closes;
            let ends = is_closed && may_end || !c.is_open();
            let more = self.readable(sub, c.position.max(sub.starts_after));
            let has_more = more.iter().any(|(event, _)| c.receives(event.position));
            ends && !has_more && self.loss(conn, sub).is_none()
        })
    }

    /// Resolves losses before bytes are handed out (S1): the reader continues from history, is closed, or skips the
    /// loss.
    pub(crate) fn resolve_losses(&mut self, conn: usize) {
        while self.conns[conn].is_alive
            && let Some((number, through)) = self.first_loss(conn)
        {
            let channel = &self.chans[self.conns[conn].subs[number].chan];
            let (id, on_lag) = (channel.id, channel.config.on_lag);
            let Some(through) = through else {
                self.continue_after_loss(conn, number, 0);
                continue;
            };
            self.counters.lagged += 1;
            if on_lag == LagPolicy::Close {
                return self.end_after_progress(conn, CloseReason::Lagged);
            }
            let now = self.now;
            self.end_first_step(conn);
            self.conns[conn].push_reset(now, through);
            let former = self.conns[conn].subs[number].starts_after;
            self.continue_after_loss(conn, number, through);
            // A loss that was skipped before, and was not passed since, is a part of this one.
            let c = &mut self.conns[conn];
            if former > c.position && c.subs.iter().all(|sub| sub.starts_after != former) {
                c.own_frames.retain(|frame| frame.is_after || frame.position != former);
            }
            let connection = self.conns[conn].id;
            self.actions.push(Action::Lagged { connection, channel: id, lost_through: through.into() });
        }
        if self.conns[conn].is_alive {
            self.decide_reset_ids(conn);
        }
    }

    /// Ends the first step: later subscriptions are late. The first block stays what it is now.
    pub(crate) fn end_first_step(&mut self, conn: usize) {
        self.conns[conn].start_is_open = false;
        self.conns[conn].is_starting = self.opening(conn).is_some();
    }

    fn continue_after_loss(&mut self, conn: usize, number: usize, from: u64) {
        let c = &mut self.conns[conn];
        let sub = &mut c.subs[number];
        let channel = &self.chans[sub.chan];
        sub.starts_after = sub.starts_after.max(c.position).max(from);
        let lost_through = channel.lost_through();
        if lost_through > sub.live_position(c.position).max(sub.counted_at) {
            sub.live_after = lost_through;
            sub.counted_at = sub.live_position(c.position).min(channel.last);
        }
        let end = match c.stage {
            Stage::Closing { end, .. } => end,
            _ => u64::MAX,
        };
        sub.plan_replay(channel, end);
        let chan = sub.chan;
        self.release_retained(chan);
    }

    fn end_after_progress(&mut self, conn: usize, reason: CloseReason) {
        let expires = self.now.checked_add(self.flush_time());
        let c = &mut self.conns[conn];
        if c.in_progress.is_empty() {
            return self.end(conn, reason);
        }
        if c.is_open() {
            c.expires = expires;
        }
        c.stage = Stage::Ending { reason };
    }
}
