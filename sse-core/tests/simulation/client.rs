//! A browser: it follows fixed channels over one connection at a time, and keeps its last event id.

use std::collections::{BTreeMap, HashSet};

use sse_core::Instant;

use super::connection::Connection;
use super::server::Truth;

pub(crate) struct Client {
    pub(crate) follows: Vec<usize>,
    pub(crate) last_id: String,
    pub(crate) connection: Option<Connection>,
    pub(crate) reconnects_at: Instant,
    /// Every event it ever received.
    got: HashSet<usize>,
    /// Those that it may not receive again.
    seen: HashSet<usize>,
    /// Events of a channel that it is not owed.
    excused: HashSet<(usize, usize)>,
    /// The newest position that a reset told of, for each run of the server.
    told: BTreeMap<usize, u64>,
}

impl Client {
    pub(crate) fn new(follows: Vec<usize>) -> Client {
        Client {
            follows,
            last_id: String::new(),
            connection: None,
            reconnects_at: Instant::ORIGIN,
            got: HashSet::new(),
            seen: HashSet::new(),
            excused: HashSet::new(),
            told: BTreeMap::new(),
        }
    }

    pub(crate) fn receive(&mut self, number: usize, once: bool) {
        self.got.insert(number);
        let is_new = self.seen.insert(number);
        assert!(is_new || !once, "event {number} was delivered twice");
    }

    /// Nothing is known of its id: it may be given events again.
    pub(crate) fn starts_anew(&mut self) {
        self.seen.clear();
    }

    pub(crate) fn is_told(&mut self, epoch: usize, position: u64) {
        let told = self.told.entry(epoch).or_default();
        *told = position.max(*told);
    }

    pub(crate) fn excuse(&mut self, number: usize, name: usize) {
        self.excused.insert((number, name));
    }

    /// It is not owed what was published to a channel up to a position of a run of the server.
    pub(crate) fn excuse_through(&mut self, truth: &[Truth], name: usize, epoch: usize, position: u64) {
        for (number, event) in truth.iter().enumerate() {
            if event.names.contains(&name) && (event.epoch, event.position) <= (epoch, position) {
                self.excused.insert((number, name));
            }
        }
    }

    /// Each event with an id arrived, or a reset told of it, or it was not owed.
    pub(crate) fn check(&self, truth: &[Truth], reuses_ids: bool) {
        for (number, event) in truth.iter().enumerate() {
            let is_owed = event.is_replayable
                && event
                    .names
                    .iter()
                    .any(|name| self.follows.contains(name) && !self.excused.contains(&(number, *name)));
            let is_told = self
                .told
                .iter()
                .any(|(epoch, position)| (*epoch, *position) >= (event.epoch, event.position));
            assert!(
                !is_owed || is_told || reuses_ids || self.got.contains(&number),
                "event {number} ({}-{}) was lost by a client that follows {:?}",
                event.epoch,
                event.position,
                self.follows,
            );
        }
    }
}
