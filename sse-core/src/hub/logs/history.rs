//! What a channel keeps for clients that come back: its newest events that carry an id (H1).

use alloc::collections::VecDeque;
use core::hash::BuildHasher;

use hashbrown::{DefaultHashBuilder, HashTable};

use crate::config::HistoryConfig;
use crate::id::Position;
use crate::time::Instant;

use super::entry::Entry;

/// The replayable events of one channel, oldest first.
///
/// # Cost
///
/// Adding and finding an id are O(1) amortised, finding a position is O(log n).
pub(crate) struct History {
    kept: VecDeque<Entry>,
    /// Bytes of the frames in `kept`.
    bytes: usize,
    /// Where the hub stood when the channel opened.
    opened: Position,
    /// The newest event with an id that was let go.
    gone: Position,
    /// Where the newest use of each of the application's ids stands. The hub's own ids say it themselves.
    index: HashTable<Position>,
    hasher: DefaultHashBuilder,
    limits: HistoryConfig,
}

impl History {
    /// The history of a channel that opens when its hub stands at `opened`: what was before is lost (H5).
    pub(crate) fn new(limits: HistoryConfig, opened: Position) -> History {
        History {
            kept: VecDeque::new(),
            bytes: 0,
            opened,
            gone: Position::ORIGIN,
            index: HashTable::new(),
            hasher: DefaultHashBuilder::default(),
            limits,
        }
    }

    /// Takes in an event with an id, and lets go of what is then beyond the limits.
    pub(crate) fn push(&mut self, entry: &Entry, foreign_id: Option<&str>) {
        if self.limits.events == 0 {
            self.gone = self.gone.max(entry.position);
            return;
        }
        self.expire(entry.at);
        while self.kept.len() >= self.limits.events {
            self.evict();
        }
        self.bytes = self.bytes.saturating_add(entry.frame.len());
        self.kept.push_back(entry.clone());
        if let Some(id) = foreign_id {
            self.remember(id, entry.position);
        }
        while self.limits.bytes.is_some_and(|limit| self.bytes > limit) {
            self.evict();
        }
    }

    /// Lets go of the oldest event; false when there is none.
    pub(crate) fn evict(&mut self) -> bool {
        let Some(oldest) = self.kept.pop_front() else { return false };
        self.bytes = self.bytes.saturating_sub(oldest.frame.len());
        self.gone = self.gone.max(oldest.position);
        self.forget(&oldest);
        if self.kept.is_empty() {
            self.kept = VecDeque::new();
            self.index = HashTable::new();
        }
        true
    }

    /// Lets go of what is older than the channel keeps.
    pub(crate) fn expire(&mut self, now: Instant) {
        while self.next_expiry().is_some_and(|at| at <= now) {
            self.evict();
        }
    }

    /// As [`expire`](History::expire); returns how many bytes that freed.
    pub(crate) fn expire_measured(&mut self, now: Instant) -> usize {
        let before = self.bytes;
        self.expire(now);
        before.saturating_sub(self.bytes)
    }

    /// When the oldest event becomes too old.
    pub(crate) fn next_expiry(&self) -> Option<Instant> {
        self.kept.front()?.at.checked_add(self.limits.age?)
    }

    /// The newest position of an event with an id that cannot be replayed any more (H5).
    pub(crate) fn floor(&self) -> Position {
        self.opened.max(self.gone)
    }

    /// The newest event with an id that this channel had and let go. In a hub that is fed, the event of the position at
    /// which a channel opened may still come to it: the floor is no loss for those who wait for that (O4).
    pub(crate) fn gone(&self) -> Position {
        self.gone
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

    pub(crate) fn at(&self, index: usize) -> Option<&Entry> {
        self.kept.get(index)
    }

    /// The first event above a position.
    pub(crate) fn first_after(&self, position: Position) -> Option<(usize, &Entry)> {
        let index = self.index_after(position);
        Some((index, self.kept.get(index)?))
    }

    /// How many events stand above `after`, up to and with `last`.
    pub(crate) fn count(&self, after: Position, last: Position) -> usize {
        self.index_after(last).saturating_sub(self.index_after(after))
    }

    /// The newest event at or below a position.
    pub(crate) fn newest_by(&self, position: Position) -> Option<Position> {
        let index = self.index_after(position).checked_sub(1)?;
        Some(self.kept.get(index)?.position)
    }

    /// The position just before the newest `events` events up to `last`, or before all that are kept.
    pub(crate) fn before_newest(&self, events: usize, last: Position) -> Position {
        let index = self.index_after(last).saturating_sub(events);
        self.kept.get(index).map_or(self.last(), |entry| entry.position.before()).max(self.floor())
    }

    /// Where the newest use of one of the application's ids stands (H4).
    pub(crate) fn find(&self, id: &str) -> Option<Position> {
        let hash = self.hasher.hash_one(id);
        self.index.find(hash, |position| has_id(&self.kept, *position, id)).copied()
    }

    /// The position of the newest kept event.
    fn last(&self) -> Position {
        self.kept.back().map_or(self.floor(), |entry| entry.position)
    }

    fn index_after(&self, position: Position) -> usize {
        match self.kept.back() {
            Some(newest) if newest.position <= position => self.kept.len(),
            _ => self.kept.partition_point(|entry| entry.position <= position),
        }
    }

    fn remember(&mut self, id: &str, position: Position) {
        let (kept, hasher) = (&self.kept, &self.hasher);
        let rehash = |position: &Position| hasher.hash_one(id_at(kept, *position));
        let hash = hasher.hash_one(id);
        match self.index.find_mut(hash, |known| has_id(kept, *known, id)) {
            Some(known) => *known = position,
            None => drop(self.index.insert_unique(hash, position, rehash)),
        }
    }

    /// Takes an event that is gone out of the index, unless its id was used again since.
    fn forget(&mut self, gone: &Entry) {
        let Some(id) = gone.frame.id() else { return };
        let hash = self.hasher.hash_one(id);
        if let Ok(known) = self.index.find_entry(hash, |known| *known == gone.position) {
            known.remove();
        }
    }
}

fn entry_at(kept: &VecDeque<Entry>, position: Position) -> Option<&Entry> {
    let index = kept.binary_search_by_key(&position, |entry| entry.position).ok()?;
    kept.get(index)
}

fn id_at(kept: &VecDeque<Entry>, position: Position) -> &str {
    entry_at(kept, position).and_then(|entry| entry.frame.id()).unwrap_or_default()
}

fn has_id(kept: &VecDeque<Entry>, position: Position, id: &str) -> bool {
    entry_at(kept, position).is_some_and(|entry| entry.frame.id() == Some(id))
}
