//! The events that a channel keeps for clients that reconnect: its newest ones that carry an id (H1).

use alloc::collections::{BTreeMap, VecDeque};
use core::hash::BuildHasher;

use hashbrown::{DefaultHashBuilder, HashTable};

use crate::config::{BacklogConfig, HistoryConfig};
use crate::id::Position;
use crate::time::Instant;

use super::entry::LogEntry;

/// The replayable events of one channel, oldest first.
///
/// An event that is evicted while a reader replays what comes before it is *retained* for that reader, within the bounds of
/// the backlog (H6). No other reader receives it: it is below the floor.
///
/// # Cost
///
/// Adding an event is O(1) amortised, finding a position or an id is O(log n).
pub(crate) struct History {
    /// The retained events, and behind them the events of the history.
    kept: VecDeque<LogEntry>,
    /// The number of retained events.
    retained: usize,
    retained_bytes: usize,
    /// The bytes of the events of the history.
    bytes: usize,
    /// The floor at the opening of the channel.
    first_floor: Position,
    /// The newest event with an id that was evicted.
    evicted_through: Position,
    /// The newest of these that is not retained.
    lost_through: Position,
    /// The end of the loss that was reported last (L4).
    told_through: Position,
    /// The readers that replay, counted by the position after which they began.
    replays: BTreeMap<Position, u32>,
    /// The position of the newest use of each application id. The hub's own ids contain their positions.
    index: HashTable<Position>,
    hasher: DefaultHashBuilder,
    limits: HistoryConfig,
    retained_limits: BacklogConfig,
}

impl History {
    /// Creates the history of a channel that cannot replay events up to `first_floor` (H5).
    pub(crate) fn new(
        limits: HistoryConfig,
        retained_limits: BacklogConfig,
        first_floor: Position,
    ) -> History {
        History {
            kept: VecDeque::new(),
            retained: 0,
            retained_bytes: 0,
            bytes: 0,
            first_floor,
            evicted_through: Position::ORIGIN,
            lost_through: Position::ORIGIN,
            told_through: Position::ORIGIN,
            replays: BTreeMap::new(),
            index: HashTable::new(),
            hasher: DefaultHashBuilder::default(),
            limits,
            retained_limits,
        }
    }

    /// Adds an event with an id and evicts what exceeds the limits then.
    pub(crate) fn push(&mut self, entry: &LogEntry, application_id: Option<&str>) {
        if self.limits.events == 0 {
            self.evicted_through = self.evicted_through.max(entry.position);
            self.lost_through = self.evicted_through;
            return;
        }
        self.expire(entry.published_at);
        while self.len() >= self.limits.events {
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
        let Some(oldest) = self.kept.get(self.retained) else { return false };
        let (position, bytes) = (oldest.position, oldest.frame.len());
        remove_id(&mut self.index, &self.hasher, oldest);
        self.bytes = self.bytes.saturating_sub(bytes);
        self.evicted_through = self.evicted_through.max(position);
        self.retained = self.retained.saturating_add(1);
        self.retained_bytes = self.retained_bytes.saturating_add(bytes);
        self.release();
        if self.len() == 0 {
            self.index = HashTable::new();
        }
        true
    }

    /// Counts the events up to the floor as evicted: the channel had some before it was opened here.
    pub(crate) fn begin_incomplete(&mut self, floor: Position) {
        (self.first_floor, self.evicted_through) = (Position::ORIGIN, floor);
    }

    /// Takes the place of the history of a former run, whose events follow.
    pub(crate) fn begin_restored(&mut self, first_floor: Position, evicted_through: Position) {
        (self.first_floor, self.evicted_through) = (first_floor, evicted_through);
    }

    /// Returns the newest event with an id that was evicted.
    pub(crate) fn evicted_through(&self) -> Position {
        self.evicted_through
    }

    /// Evicts the events up to a position, and counts those up to there that the history never had as evicted.
    pub(crate) fn evict_through(&mut self, position: Position) {
        while self.keeps(position) && self.evict() {}
        self.evicted_through = self.evicted_through.max(position);
    }

    /// Evicts the events up to a position, because some of them are lost (L4).
    pub(crate) fn lose_through(&mut self, position: Position) {
        self.evict_through(position);
        self.told_through = self.told_through.max(position);
    }

    /// Returns the end of the loss that was reported last.
    pub(crate) fn told_through(&self) -> Position {
        self.told_through
    }

    /// Counts a reader that replays the events above a position.
    pub(crate) fn begin_replay(&mut self, after: Position) {
        let readers = self.replays.entry(after).or_insert(0);
        *readers = readers.saturating_add(1);
    }

    /// Stops counting a reader that began to replay after a position.
    pub(crate) fn end_replay(&mut self, after: Position) {
        let Some(readers) = self.replays.get_mut(&after) else { return };
        *readers = readers.saturating_sub(1);
        if *readers == 0 {
            self.replays.remove(&after);
            self.release();
        }
    }

    /// Drops the retained events that no reader needs, or that exceed the limits.
    fn release(&mut self) {
        let needed_after = self.replays.first_key_value().map(|(after, _)| *after);
        while self.retained > 0
            && let Some(oldest) = self.kept.front()
            && (needed_after.is_none_or(|after| oldest.position <= after)
                || self.retained > self.retained_limits.frames.get()
                || self.retained_bytes > self.retained_limits.bytes)
        {
            self.lost_through = self.lost_through.max(oldest.position);
            self.retained = self.retained.saturating_sub(1);
            self.retained_bytes = self.retained_bytes.saturating_sub(oldest.frame.len());
            self.kept.pop_front();
        }
        if self.kept.is_empty() {
            self.kept = VecDeque::new();
        }
    }

    /// Evicts the events that are older than the channel keeps them.
    pub(crate) fn expire(&mut self, now: Instant) {
        while self.next_expiry().is_some_and(|at| at <= now) {
            self.evict();
        }
    }

    /// Returns whether an event with an id that was added at this position is still kept, and not only retained.
    pub(crate) fn keeps(&self, position: Position) -> bool {
        self.kept.get(self.retained).is_some_and(|oldest| oldest.position <= position)
    }

    /// Returns whether the event of a position is kept or retained.
    pub(crate) fn holds(&self, position: Position) -> bool {
        entry_at(&self.kept, position).is_some()
    }

    /// Returns the instant at which the oldest event expires.
    pub(crate) fn next_expiry(&self) -> Option<Instant> {
        self.kept.get(self.retained)?.published_at.checked_add(self.limits.age?)
    }

    /// Returns the newest position of an event with an id that can no longer be replayed (H5).
    pub(crate) fn floor(&self) -> Position {
        self.first_floor.max(self.evicted_through)
    }

    /// Returns the newest position of an event with an id that the channel had, or its floor.
    pub(crate) fn end(&self) -> Position {
        self.newest().max(self.floor())
    }

    /// Returns the bytes of the events of the history above a position, without retained ones.
    pub(crate) fn bytes_above(&self, position: Position) -> usize {
        let entries = self.above(position.max(self.evicted_through));
        entries.fold(0, |bytes: usize, entry| bytes.saturating_add(entry.frame.len()))
    }

    /// Returns whether an event with an id has left the history, or could not enter it.
    pub(crate) fn has_let_go(&self) -> bool {
        self.evicted_through > Position::ORIGIN
    }

    /// Returns the floor at the opening of the channel: what stands at or below it was never in its history.
    pub(crate) fn first_floor(&self) -> Position {
        self.first_floor
    }

    /// Returns the newest event with an id that this channel had and that no reader can read any more. With external
    /// positions, the event of the position at which the channel was opened may still arrive: for readers of that event
    /// the floor is no loss (O4).
    pub(crate) fn lost_through(&self) -> Position {
        self.lost_through
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn len(&self) -> usize {
        self.kept.len().saturating_sub(self.retained)
    }

    /// Returns the number of retained events and their bytes.
    pub(crate) fn retained(&self) -> (usize, usize) {
        (self.retained, self.retained_bytes)
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

    /// Returns the events above a position, oldest first.
    pub(crate) fn above(&self, position: Position) -> impl Iterator<Item = &LogEntry> {
        self.kept.iter().skip(self.index_after(position))
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

    /// Returns the position just before the newest `events` events up to `last`, or before all that are kept above `floor`.
    pub(crate) fn before_newest(&self, events: usize, last: Position, floor: Position) -> Position {
        let index = self.index_after(last).saturating_sub(events);
        self.kept.get(index).map_or(self.newest(), |entry| entry.position.before()).max(floor)
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
}

/// Removes the id of an evicted event from the index, unless a newer event uses the same id.
fn remove_id(index: &mut HashTable<Position>, hasher: &DefaultHashBuilder, evicted: &LogEntry) {
    let Some(id) = evicted.frame.id() else { return };
    let hash = hasher.hash_one(id);
    if let Ok(known) = index.find_entry(hash, |known| *known == evicted.position) {
        known.remove();
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
