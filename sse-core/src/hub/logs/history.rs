//! The events that a channel keeps for clients that reconnect: its newest ones that carry an id (H1).

use alloc::collections::VecDeque;
use core::hash::BuildHasher;

use hashbrown::{DefaultHashBuilder, HashTable};

use crate::config::HistoryConfig;
use crate::id::Position;
use crate::time::Instant;

use super::entry::LogEntry;

/// The replayable events of one channel, oldest first.
///
/// # Cost
///
/// Adding an event and finding an id are O(1) amortised, finding a position is O(log n).
pub(crate) struct History {
    kept: VecDeque<LogEntry>,
    /// The bytes of the frames in `kept`.
    bytes: usize,
    /// The position of the hub when the channel was opened.
    opened_at: Position,
    /// The newest event with an id that was evicted.
    evicted_through: Position,
    /// The position of the newest use of each application id. The hub's own ids contain their positions.
    index: HashTable<Position>,
    hasher: DefaultHashBuilder,
    limits: HistoryConfig,
}

impl History {
    /// Creates the history of a channel that is opened when the hub's head is `opened_at`. Everything before is lost (H5).
    pub(crate) fn new(limits: HistoryConfig, opened_at: Position) -> History {
        History {
            kept: VecDeque::new(),
            bytes: 0,
            opened_at,
            evicted_through: Position::ORIGIN,
            index: HashTable::new(),
            hasher: DefaultHashBuilder::default(),
            limits,
        }
    }

    /// Adds an event with an id and evicts what exceeds the limits then.
    pub(crate) fn push(&mut self, entry: &LogEntry, application_id: Option<&str>) {
        if self.limits.events == 0 {
            self.evicted_through = self.evicted_through.max(entry.position);
            return;
        }
        self.expire(entry.published_at);
        while self.kept.len() >= self.limits.events {
            self.evict();
        }
        self.bytes = self.bytes.saturating_add(entry.frame.len());
        self.kept.push_back(entry.clone());
        if let Some(id) = application_id {
            self.insert_id(id, entry.position);
        }
        while self.limits.bytes.is_some_and(|limit| self.bytes > limit) {
            self.evict();
        }
    }

    /// Evicts the oldest event. Returns false when there is none.
    pub(crate) fn evict(&mut self) -> bool {
        let Some(oldest) = self.kept.pop_front() else { return false };
        self.bytes = self.bytes.saturating_sub(oldest.frame.len());
        self.evicted_through = self.evicted_through.max(oldest.position);
        self.remove_id(&oldest);
        if self.kept.is_empty() {
            self.kept = VecDeque::new();
            self.index = HashTable::new();
        }
        true
    }

    /// Evicts the events that are older than the channel keeps them. Returns the bytes that this freed.
    pub(crate) fn expire(&mut self, now: Instant) -> usize {
        let before = self.bytes;
        while self.next_expiry().is_some_and(|at| at <= now) {
            self.evict();
        }
        before.saturating_sub(self.bytes)
    }

    /// Returns the instant at which the oldest event expires.
    pub(crate) fn next_expiry(&self) -> Option<Instant> {
        self.kept.front()?.published_at.checked_add(self.limits.age?)
    }

    /// Returns the newest position of an event with an id that can no longer be replayed (H5).
    pub(crate) fn floor(&self) -> Position {
        self.opened_at.max(self.evicted_through)
    }

    /// Returns the newest event with an id that this channel had and evicted. With external positions, the event of the
    /// position at which the channel was opened may still arrive: for readers of that event the floor is no loss (O4).
    pub(crate) fn evicted_through(&self) -> Position {
        self.evicted_through
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn len(&self) -> usize {
        self.kept.len()
    }

    pub(crate) fn keeps_any(&self) -> bool {
        self.limits.events > 0
    }

    pub(crate) fn at(&self, index: usize) -> Option<&LogEntry> {
        self.kept.get(index)
    }

    /// Returns the first event above a position.
    pub(crate) fn first_after(&self, position: Position) -> Option<(usize, &LogEntry)> {
        let index = self.index_after(position);
        Some((index, self.kept.get(index)?))
    }

    /// Returns the number of events above `after`, up to and including `last`.
    pub(crate) fn count(&self, after: Position, last: Position) -> usize {
        self.index_after(last).saturating_sub(self.index_after(after))
    }

    /// Returns the position of the newest event at or below a position.
    pub(crate) fn newest_by(&self, position: Position) -> Option<Position> {
        let index = self.index_after(position).checked_sub(1)?;
        Some(self.kept.get(index)?.position)
    }

    /// Returns the position just before the newest `events` events up to `last`, or before all that are kept.
    pub(crate) fn before_newest(&self, events: usize, last: Position) -> Position {
        let index = self.index_after(last).saturating_sub(events);
        self.kept.get(index).map_or(self.newest(), |entry| entry.position.before()).max(self.floor())
    }

    /// Returns the position of the newest use of an application id (H4).
    pub(crate) fn find(&self, id: &str) -> Option<Position> {
        let hash = self.hasher.hash_one(id);
        self.index.find(hash, |position| has_id(&self.kept, *position, id)).copied()
    }

    /// Returns the position of the newest kept event.
    fn newest(&self) -> Position {
        self.kept.back().map_or(self.floor(), |entry| entry.position)
    }

    fn index_after(&self, position: Position) -> usize {
        match self.kept.back() {
            Some(newest) if newest.position <= position => self.kept.len(),
            _ => self.kept.partition_point(|entry| entry.position <= position),
        }
    }

    fn insert_id(&mut self, id: &str, position: Position) {
        let (kept, hasher) = (&self.kept, &self.hasher);
        let rehash = |position: &Position| hasher.hash_one(id_at(kept, *position));
        let hash = hasher.hash_one(id);
        match self.index.find_mut(hash, |known| has_id(kept, *known, id)) {
            Some(known) => *known = position,
            None => drop(self.index.insert_unique(hash, position, rehash)),
        }
    }

    /// Removes the id of an evicted event from the index, unless a newer event uses the same id.
    fn remove_id(&mut self, evicted: &LogEntry) {
        let Some(id) = evicted.frame.id() else { return };
        let hash = self.hasher.hash_one(id);
        if let Ok(known) = self.index.find_entry(hash, |known| *known == evicted.position) {
            known.remove();
        }
    }
}

fn entry_at(kept: &VecDeque<LogEntry>, position: Position) -> Option<&LogEntry> {
    let index = kept.binary_search_by_key(&position, |entry| entry.position).ok()?;
    kept.get(index)
}

fn id_at(kept: &VecDeque<LogEntry>, position: Position) -> &str {
    entry_at(kept, position).and_then(|entry| entry.frame.id()).unwrap_or_default()
}

fn has_id(kept: &VecDeque<LogEntry>, position: Position, id: &str) -> bool {
    entry_at(kept, position).is_some_and(|entry| entry.frame.id() == Some(id))
}
