//! The model: the behaviour of a hub, derived from the rules without regard to cost.

mod channel;
mod connection;
mod finished;
mod lifecycle;
mod log;
mod pending;
mod principals;
mod producers;
mod publish;
mod subscribe;
mod taking;
mod time;

use std::collections::HashMap;
use std::time::Duration;

use sse_core::{Action, CloseReason, ConnectionId, Instant, Limits, Stats};

pub(crate) use channel::{Chan, State};
pub(crate) use connection::{Conn, OwnFrame, Stage, Sub};
pub(crate) use pending::Kind;
pub(crate) use principals::Exclusion;
pub(crate) use producers::Lead;
pub(crate) use publish::{Draft, Pub};

pub(crate) const EPOCH: &str = "e";

/// Everything that ever existed. Ended entries stay in the lists and are marked.
pub(crate) struct Model {
    /// Positions come from outside: from a broker, or from a log.
    pub(crate) is_external: bool,
    pub(crate) is_log: bool,
    /// The position before the first one of the hub.
    pub(crate) after: u64,
    pub(crate) seed: u64,
    pub(crate) stall: Option<Duration>,
    pub(crate) limits: Limits,
    /// New connections are refused (A2).
    pub(crate) is_shut_down: bool,
    pub(crate) head: u64,
    /// The latest instant seen (D5).
    pub(crate) now: Instant,
    pub(crate) chans: Vec<Chan>,
    /// Where the channels of closed names ended (H5).
    pub(crate) ended_names: HashMap<String, u64>,
    pub(crate) conns: Vec<Conn>,
    /// Actions that were not polled yet, except `Action::Transmit`. The hub chooses their order.
    pub(crate) actions: Vec<Action>,
    /// The cumulative counters. `stats` computes the current numbers.
    pub(crate) counters: Stats,
}

impl Model {
    /// Records an instant.
    pub(crate) fn observe(&mut self, now: Instant) {
        self.now = self.now.max(now);
    }

    /// Returns the position up to which no event can be published any more (O4).
    pub(crate) fn complete_through(&self) -> u64 {
        if self.is_external && !self.is_log { self.head.saturating_sub(1).max(self.after) } else { self.head }
    }

    /// Returns the time that a closing connection has to flush (T3).
    pub(crate) fn flush_time(&self) -> Duration {
        self.stall.unwrap_or(Duration::from_secs(30))
    }

    pub(crate) fn stats(&self) -> Stats {
        let mut stats = self.counters;
        stats.connections = self.conns.iter().filter(|conn| conn.is_alive).count();
        stats.channels = self.chans.iter().filter(|chan| chan.state != State::Gone).count();
        stats.history_bytes = self.history_bytes();
        stats
    }

    pub(crate) fn history_bytes(&self) -> usize {
        let channels = self.chans.iter().filter(|chan| chan.state != State::Gone);
        channels
            .map(|chan| chan.history_bytes() + chan.history().count() * Limits::HISTORY_EVENT_OVERHEAD)
            .sum()
    }

    /// Returns the members of a channel with their subscriptions.
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

    /// Removes the actions about connections that no longer exist (D6).
    pub(crate) fn drop_stale_actions(&mut self) {
        let conns = &self.conns;
        let is_alive = |id: ConnectionId| conns.iter().any(|conn| conn.is_alive && conn.id == id);
        let wanted = (0..self.chans.len()).map(|chan| (self.chans[chan].id, self.unwanted(chan)));
        let wanted: HashMap<_, _> = wanted.collect();
        self.actions.retain(|action| match action {
            Action::TimedOut(connection) | Action::Lagged { connection, .. } => is_alive(*connection),
            Action::Unwanted { channel, why } => wanted[channel] == Some(*why),
            _ => true,
        });
    }

    pub(crate) fn count_end(&mut self, reason: CloseReason) {
        let closed = &mut self.counters.closed;
        match reason {
            CloseReason::Disconnected => closed.disconnected += 1,
            CloseReason::Requested => closed.requested += 1,
            CloseReason::TimedOut => closed.timed_out += 1,
            CloseReason::Stalled => closed.stalled += 1,
            CloseReason::Lagged => closed.lagged += 1,
            CloseReason::ChannelClosed => closed.channel_closed += 1,
            CloseReason::Finished => closed.finished += 1,
            CloseReason::ShuttingDown => closed.shutting_down += 1,
            CloseReason::Replaced => closed.replaced += 1,
            other => panic!("the model does not know {other}"),
        }
    }
}

/// Encodes an event in the form of E1.
pub(crate) fn wire(id: Option<&str>, name: Option<&str>, data: &str) -> Vec<u8> {
    let id = id.map_or(String::new(), |id| format!("id: {id}\n"));
    let name = name.map_or(String::new(), |name| format!("event: {name}\n"));
    format!("{id}{name}data: {data}\n\n").into_bytes()
}

/// Encodes the event `position` (H3, O9).
pub(crate) fn position_event(position: u64) -> Vec<u8> {
    wire(Some(&format!("{EPOCH}-{position}")), Some("position"), "")
}

/// Encodes the reset for a loss up to a position (H7).
pub(crate) fn reset(position: u64) -> Vec<u8> {
    wire(Some(&format!("{EPOCH}-{position}")), Some("reset"), "")
}
