//! A browser. It follows a fixed set of channels over one connection at a time, and keeps its last event id.

use std::collections::{BTreeMap, HashSet};

use sse_core::Instant;

use super::connection::Connection;
use super::server::Truth;

pub(crate) struct Client {
    pub(crate) follows: Vec<usize>,
    pub(crate) last_id: String,
    pub(crate) connection: Option<Connection>,
    pub(crate) reconnects_at: Instant,
    /// All events that the client ever received.
    received: HashSet<usize>,
    /// Received events that must not arrive again.
    unrepeatable: HashSet<usize>,
    /// Pairs of an event and a channel through which the client need not receive it.
    excused: HashSet<(usize, usize)>,
    /// The newest position that a reset covered, by run of the server.
    resets: BTreeMap<usize, u64>,
}

impl Client {
    pub(crate) fn new(follows: Vec<usize>) -> Client {
        Client {
            follows,
            last_id: String::new(),
            connection: None,
            reconnects_at: Instant::ORIGIN,
            received: HashSet::new(),
            unrepeatable: HashSet::new(),
            excused: HashSet::new(),
            resets: BTreeMap::new(),
        }
    }

    pub(crate) fn receive(&mut self, number: usize, once: bool) {
        self.received.insert(number);
        let is_new = self.unrepeatable.insert(number);
        assert!(is_new || !once, "event {number} was delivered twice");
    }

    /// Allows events to arrive again, since the hub cannot resolve the id of the client.
    pub(crate) fn forget_received(&mut self) {
        self.unrepeatable.clear();
    }

    pub(crate) fn record_reset(&mut self, epoch: usize, position: u64) {
        let resume = self.resets.entry(epoch).or_default();
        *resume = position.max(*resume);
    }

    pub(crate) fn excuse(&mut self, number: usize, name: usize) {
        self.excused.insert((number, name));
    }

    /// Excuses the events of a channel up to a position of one run of the server.
    pub(crate) fn excuse_through(&mut self, truth: &[Truth], name: usize, epoch: usize, position: u64) {
        for (number, event) in truth.iter().enumerate() {
            if event.names.contains(&name) && (event.epoch, event.position) <= (epoch, position) {
                self.excused.insert((number, name));
            }
        }
    }

    /// Checks that each event with an id arrived, was covered by a reset, or was excused.
    pub(crate) fn check(&self, truth: &[Truth], reuses_ids: bool) {
        for (number, event) in truth.iter().enumerate() {
            let is_expected = event.is_replayable
                && event
                    .names
                    .iter()
                    .any(|name| self.follows.contains(name) && !self.excused.contains(&(number, *name)));
            let is_covered = self
                .resets
                .iter()
                .any(|(epoch, position)| (*epoch, *position) >= (event.epoch, event.position));
            assert!(
                !is_expected || is_covered || reuses_ids || self.received.contains(&number),
                "event {number} ({}-{}) was lost by a client that follows {:?}",
                event.epoch,
                event.position,
                self.follows,
            );
        }
    }
}
