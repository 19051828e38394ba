//! A page: an EventSource, and what the page knows of each room.

use std::collections::{BTreeMap, BTreeSet};

use super::link::Link;

#[derive(Default)]
pub(crate) struct Page {
    pub(crate) rooms: BTreeMap<usize, Room>,
    /// The last event id of the EventSource.
    pub(crate) last_id: String,
    /// The events that the page received.
    pub(crate) received: BTreeSet<usize>,
    /// Received events that must not arrive again.
    pub(crate) unrepeatable: BTreeSet<usize>,
    pub(crate) link: Option<Link>,
    /// The answer to the last request was 204: everything is over, and the page does not come back by itself.
    pub(crate) is_over: bool,
    /// The client key that the page made when it was loaded.
    pub(crate) key: String,
}

/// What a page knows of one room.
pub(crate) struct Room {
    pub(crate) generation: u32,
    /// The page loaded the state of the room as of this position: events up to it may be missing.
    pub(crate) base: u64,
    /// The id at which the room was last complete. Empty if it never was.
    pub(crate) since: String,
    pub(crate) membership: Membership,
}

/// How a room stands to the connection of the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Membership {
    /// The page has not joined the room again.
    Outside,
    /// The page has asked to join and waits for the acknowledgement, a direct send with a number.
    Joining {
        number: usize,
        /// The position through which the join covers what the page lacks.
        base: u64,
        /// The join was a gap: a reset comes first, and the page has received this many before.
        resets_before: Option<usize>,
        /// The room is finished, and the page has everything of it.
        is_over: bool,
    },
    Inside,
}

impl Page {
    /// Forgets the connection. Each room that the page was inside is complete up to the id of the page.
    pub(crate) fn lose_link(&mut self) {
        let has_id = self.link.take().is_some_and(|link| link.has_id);
        for room in self.rooms.values_mut() {
            // An id of an earlier connection says nothing of what this one brought.
            if room.membership == Membership::Inside && (has_id || room.since.is_empty()) {
                room.since.clone_from(&self.last_id);
            }
            room.membership = Membership::Outside;
        }
    }

    pub(crate) fn new(key: String) -> Page {
        Page { key, ..Page::default() }
    }

    /// Loads the page again: it knows nothing, and has another client key.
    pub(crate) fn reload(&mut self, key: String) {
        self.lose_link();
        self.key = key;
        self.last_id.clear();
        self.received.clear();
        self.unrepeatable.clear();
        self.is_over = false;
        for room in self.rooms.values_mut() {
            room.since.clear();
        }
    }
}
