//! The model: what a hub has to do, from the rules, without a thought for cost.

mod channel;
mod connection;
mod due;
mod lifecycle;
mod publish;
mod subscribe;
mod time;

use std::time::Duration;

use sse_core::{Action, CloseReason, ConnectionId, Instant, Limits, Stats};

pub(crate) use channel::{Chan, State};
pub(crate) use connection::{Conn, Own, Stage, Sub};
pub(crate) use due::Kind;
pub(crate) use publish::{Draft, Pub};

pub(crate) const EPOCH: &str = "e";

/// Everything that ever was: what is gone stays in the lists and says so.
pub(crate) struct Model {
    pub(crate) is_fed: bool,
    /// The position that the hub started after.
    pub(crate) after: u64,
    pub(crate) seed: u64,
    pub(crate) stall: Option<Duration>,
    pub(crate) limits: Limits,
    /// It takes no connections any more (A2).
    pub(crate) is_shut_down: bool,
    pub(crate) head: u64,
    /// The latest instant seen (D5).
    pub(crate) now: Instant,
    pub(crate) chans: Vec<Chan>,
    pub(crate) conns: Vec<Conn>,
    /// Actions that were not polled yet, but for those that name connections. Their order is the hub's choice.
    pub(crate) notices: Vec<Action>,
    /// The counters; what is held at the moment is counted when asked.
    pub(crate) counted: Stats,
}

impl Model {
    /// Takes note of an instant.
    pub(crate) fn observe(&mut self, now: Instant) {
        self.now = self.now.max(now);
    }

    /// Up to where no event can come any more (O4).
    pub(crate) fn settled(&self) -> u64 {
        if self.is_fed { self.head.saturating_sub(1).max(self.after) } else { self.head }
    }

    /// How long a connection that is being closed may take for the rest (T3).
    pub(crate) fn flush_time(&self) -> Duration {
        self.stall.unwrap_or(Duration::from_secs(30))
    }

    pub(crate) fn stats(&self) -> Stats {
        let mut stats = self.counted;
        stats.connections = self.conns.iter().filter(|conn| conn.is_alive).count();
        stats.channels = self.chans.iter().filter(|chan| chan.state != State::Gone).count();
        stats.history_bytes = self.history_bytes();
        stats
    }

    pub(crate) fn history_bytes(&self) -> usize {
        self.chans.iter().filter(|chan| chan.state != State::Gone).map(Chan::history_bytes).sum()
    }

    /// The members of a channel, with their subscriptions.
    pub(crate) fn members(&self, chan: usize) -> impl Iterator<Item = (usize, &Sub)> {
        let of = move |(index, conn): (usize, &'_ Conn)| {
            conn.subs.iter().position(|sub| sub.chan == chan).map(|number| (index, number))
        };
        self.conns
            .iter()
            .enumerate()
            .filter(|(_, conn)| conn.is_alive)
            .filter_map(of)
            .map(|(index, number)| (index, &self.conns[index].subs[number]))
    }

    pub(crate) fn conn_of(&self, id: ConnectionId) -> Option<usize> {
        self.conns.iter().position(|conn| conn.is_alive && conn.id == id)
    }

    /// What has been said already, or is about something that is gone, is not said (D6).
    pub(crate) fn forget_stale_notices(&mut self) {
        let conns = &self.conns;
        let is_alive = |id: ConnectionId| conns.iter().any(|conn| conn.is_alive && conn.id == id);
        self.notices.retain(|notice| match notice {
            Action::TimedOut(connection) | Action::Lagged { connection, .. } => is_alive(*connection),
            _ => true,
        });
    }

    pub(crate) fn count_end(&mut self, reason: CloseReason) {
        let closed = &mut self.counted.closed;
        match reason {
            CloseReason::Disconnected => closed.disconnected += 1,
            CloseReason::Requested => closed.requested += 1,
            CloseReason::TimedOut => closed.timed_out += 1,
            CloseReason::Stalled => closed.stalled += 1,
            CloseReason::Lagged => closed.lagged += 1,
            CloseReason::ChannelClosed => closed.channel_closed += 1,
            CloseReason::ShuttingDown => closed.shutting_down += 1,
            other => panic!("no end of this model: {other}"),
        }
    }
}

/// The bytes of an event as E1 has them.
pub(crate) fn wire(id: Option<&str>, name: Option<&str>, data: &str) -> Vec<u8> {
    let id = id.map_or(String::new(), |id| format!("id: {id}\n"));
    let name = name.map_or(String::new(), |name| format!("event: {name}\n"));
    format!("{id}{name}data: {data}\n\n").into_bytes()
}

/// The frame that tells of a loss up to a position (H7).
pub(crate) fn reset(position: u64) -> Vec<u8> {
    wire(Some(&format!("{EPOCH}-{position}")), Some("reset"), "")
}
