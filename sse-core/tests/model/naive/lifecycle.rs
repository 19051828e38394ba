//! How connections and channels begin, move on and end.

use sse_core::{
    Action, ChannelCloseReason, ChannelConfig, ChannelId, CloseReason, ConnectionConfig, ConnectionId,
    LagPolicy, OnClose, SendError,
};

use super::connection::scramble;
use super::publish::position_in;
use super::{Chan, Conn, Kind, Model, Own, Stage, State, reset};

impl Model {
    pub(crate) fn connect(&mut self, id: ConnectionId, config: ConnectionConfig) {
        let (now, is_fed, head) = (self.now, self.is_fed, self.head);
        let asked = config.last_event_id.as_ref().map(|id| {
            let id = id.as_str().map(String::from);
            // A client may be ahead of a hub that is fed, of another it cannot be (O4).
            let position = id.as_deref().and_then(position_in).filter(|it| is_fed || *it <= head);
            (id, position)
        });
        let mut conn = Conn {
            id,
            is_alive: true,
            opened_at: now,
            asked,
            position: self.settled(),
            subs: Vec::new(),
            own: Vec::new(),
            stage: Stage::Open,
            is_starting: true,
            is_planning: true,
            progress: Vec::new(),
            is_named: false,
            named_at: now,
            named_for: (now, now),
            taken_at: now,
            expires: config.max_lifetime.and_then(|lifetime| now.checked_add(lifetime)),
            ping: None,
            spread: Default::default(),
            next_ping: None,
            ping_due: None,
            seen: Vec::new(),
            config,
        };
        conn.set_ping(now, conn.config.ping, scramble(self.seed, self.counted.opened));
        self.counted.opened += 1;
        self.conns.push(conn);
    }

    pub(crate) fn open(&mut self, id: ChannelId, name: String, config: ChannelConfig) {
        self.chans.push(Chan {
            id,
            name,
            config,
            opened: self.head,
            last: self.settled(),
            pubs: Vec::new(),
            state: State::Open,
            empty_since: self.now,
        });
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
            return Err(SendError::Full { waiting, limit: most });
        }
        c.own.push(Own { position: head, is_after: true, wire: wire.to_vec(), since: now });
        Ok(())
    }

    pub(crate) fn begin_close(&mut self, conn: usize, reason: CloseReason) {
        let (end, expires) = (self.head, self.now.checked_add(self.flush_time()));
        let c = &mut self.conns[conn];
        if !c.is_alive || !c.is_open() {
            return;
        }
        c.stage = Stage::Closing { end, reason };
        c.expires = expires;
        self.drop_drained(conn);
        if !self.is_due(conn) {
            self.end(conn, reason);
        }
    }

    /// Begins to close all connections (A2).
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
            self.notices.push(Action::Close { connection: self.conns[conn].id, reason });
        }
    }

    pub(crate) fn detach(&mut self, conn: usize, number: usize) {
        let chan = self.conns[conn].subs.remove(number).chan;
        if self.members(chan).next().is_some() {
            return;
        }
        let channel = &mut self.chans[chan];
        channel.empty_since = self.now;
        if channel.state == State::Closed {
            channel.state = State::Gone;
        }
    }

    pub(crate) fn end_channel(&mut self, chan: usize, reason: ChannelCloseReason) {
        let is_empty = self.members(chan).next().is_none();
        let channel = &mut self.chans[chan];
        channel.state = if is_empty { State::Gone } else { State::Closed };
        self.notices.push(Action::ChannelClosed { channel: channel.id, reason });
    }

    /// What a look at a connection without due bytes finds out: it passes what it does not get, leaves closed channels,
    /// and ends if it only had the rest to take.
    pub(crate) fn settle(&mut self, conn: usize) {
        if !self.conns[conn].is_alive || self.is_due(conn) {
            return;
        }
        match self.conns[conn].stage {
            Stage::Open => {}
            Stage::Closing { reason, .. } | Stage::Ending { reason } => return self.end(conn, reason),
        }
        let c = &self.conns[conn];
        let readable = c.subs.iter().flat_map(|sub| self.readable(sub, c.position));
        let positions: Vec<u64> = readable.map(|(event, _)| event.position).collect();
        let is_settled = |position: &u64| *position <= self.settled();
        let passed = positions.iter().copied().filter(is_settled).max().unwrap_or(0);
        let position = passed.max(c.position);
        self.move_to(conn, position);
        // What may still come for another channel may be due from there (O4): these channels alone let go of it.
        if let Some(newest) = positions.into_iter().max() {
            for sub in &mut self.conns[conn].subs {
                if newest <= sub.from {
                    let reader = sub.reader(newest).min(self.chans[sub.chan].last);
                    sub.stands = sub.stands.max(reader);
                    sub.passed = sub.passed.max(newest.min(self.chans[sub.chan].last));
                }
            }
        }
        self.drop_drained(conn);
    }

    pub(crate) fn move_to(&mut self, conn: usize, position: u64) {
        self.conns[conn].position = position;
        for sub in &mut self.conns[conn].subs {
            let reader = sub.reader(position).min(self.chans[sub.chan].last);
            sub.stands = sub.stands.max(reader);
            sub.passed = sub.passed.max(position.min(self.chans[sub.chan].last));
        }
    }

    /// Ends subscriptions that have nothing more for it: to closed channels, and all of one that is being closed (K3).
    pub(crate) fn drop_drained(&mut self, conn: usize) {
        while let Some(number) = self.first_drained(conn) {
            let channel = &self.chans[self.conns[conn].subs[number].chan];
            let takes_connections =
                channel.state != State::Open && channel.config.on_close == OnClose::CloseConnections;
            self.detach(conn, number);
            if takes_connections {
                self.begin_close(conn, CloseReason::ChannelClosed);
            }
        }
    }

    fn first_drained(&self, conn: usize) -> Option<usize> {
        let c = &self.conns[conn];
        if !c.is_alive || c.is_starting && self.is_due(conn) {
            return None;
        }
        c.subs.iter().position(|sub| {
            let ends = self.chans[sub.chan].state != State::Open || !c.is_open();
            let more = self.readable(sub, c.position.max(sub.from));
            let has_more = more.iter().any(|(event, _)| c.wants(event.position));
            ends && !has_more && self.loss(conn, sub).is_none()
        })
    }

    /// Before bytes are handed out (S1): a reader that has fallen goes on in history, is closed, or skips.
    pub(crate) fn resolve_losses(&mut self, conn: usize) {
        while self.conns[conn].is_alive
            && let Some((number, through)) = self.first_loss(conn)
        {
            let channel = &self.chans[self.conns[conn].subs[number].chan];
            let (id, on_lag) = (channel.id, channel.config.on_lag);
            let Some(through) = through else {
                self.read_on(conn, number, 0);
                continue;
            };
            self.counted.lagged += 1;
            if on_lag == LagPolicy::Close {
                return self.end_after_progress(conn, CloseReason::Lagged);
            }
            let now = self.now;
            self.conns[conn].push_reset(now, through, reset(through));
            self.conns[conn].is_planning = false;
            self.conns[conn].is_starting = self.opening(conn).is_some();
            self.read_on(conn, number, through);
            let connection = self.conns[conn].id;
            self.notices.push(Action::Lagged { connection, channel: id, lost_through: through.into() });
        }
    }

    fn read_on(&mut self, conn: usize, number: usize, from: u64) {
        let c = &mut self.conns[conn];
        let sub = &mut c.subs[number];
        let channel = &self.chans[sub.chan];
        sub.from = sub.from.max(c.position).max(from);
        let lost_through = channel.lost_through();
        if lost_through > sub.reader(c.position).max(sub.stands) {
            sub.live_from = lost_through;
            sub.stands = sub.reader(c.position).min(channel.last);
        }
    }

    fn end_after_progress(&mut self, conn: usize, reason: CloseReason) {
        let expires = self.now.checked_add(self.flush_time());
        let c = &mut self.conns[conn];
        if c.progress.is_empty() {
            return self.end(conn, reason);
        }
        if c.is_open() {
            c.expires = expires;
        }
        c.stage = Stage::Ending { reason };
    }

    /// Takes bytes of what is due, frame by frame.
    pub(crate) fn take(&mut self, conn: usize, mut bytes: usize) {
        while bytes > 0 {
            let item = self.due(conn).into_iter().next().expect("the window has no more than is due");
            let taken = bytes.min(item.wire.len());
            bytes -= taken;
            let now = self.now;
            let c = &mut self.conns[conn];
            c.is_starting = false;
            c.is_planning = false;
            c.taken_at = now;
            c.seen.extend_from_slice(&item.wire[..taken]);
            c.progress = item.wire[taken..].to_vec();
            self.counted.bytes += taken as u64;
            self.counted.delivered += u64::from(taken == item.wire.len());
            match item.kind {
                Kind::Progress | Kind::Opening => {}
                Kind::Own => drop(c.own.remove(0)),
                Kind::Ping => {
                    c.ping_due = None;
                    c.spread = Default::default();
                    self.counted.pings += 1;
                }
                Kind::Event { position, in_history } => {
                    let is_open = c.is_open();
                    self.counted.replayed += u64::from(in_history);
                    self.move_to(conn, position);
                    if !is_open {
                        self.drop_drained(conn);
                    }
                }
            }
        }
    }

    /// A socket refused what was taken: it is in progress again, with the last byte that was left.
    pub(crate) fn put_back(&mut self, conn: usize, rest: Vec<u8>) -> bool {
        let c = &mut self.conns[conn];
        if !c.is_alive || c.progress.len() != 1 || rest.last() != c.progress.last() {
            return false;
        }
        c.seen.truncate(c.seen.len() - (rest.len() - 1));
        self.counted.bytes -= rest.len() as u64 - 1;
        c.progress = rest;
        true
    }

    /// A window was used up, or was empty: what is due beyond it is named anew (D3).
    pub(crate) fn window_taken(&mut self, conn: usize) {
        self.drop_drained(conn);
        self.conns[conn].is_named = false;
        self.settle(conn);
    }
}
