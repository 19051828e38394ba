//! What a channel keeps for readers that are connected and behind (S1).

use alloc::collections::VecDeque;

use crate::config::BacklogConfig;
use crate::id::Position;

use super::entry::Entry;

/// The frames that live readers have not taken yet, oldest first.
///
/// Each reader stands at a position, and waits for the first frame above it; each frame counts the readers that wait
/// for it. So a frame that nobody waits for leaves at once, and the bounds are kept, without a look at any reader. A
/// reader whose frame left by the bounds has *fallen*: it finds out when it reads next.
///
/// # Cost
///
/// Adding is O(1) and does not depend on the number of readers. Moving a reader is O(log n) in the frames.
pub(crate) struct Backlog {
    frames: VecDeque<Awaited>,
    /// No frame stands between this position and the newest.
    before_newest: Position,
    /// Bytes of those frames.
    bytes: usize,
    /// Readers that wait for the next event to be published.
    caught_up: u32,
    /// Readers whose frame left by the bounds.
    fallen: u32,
    /// The newest position that left by the bounds while somebody needed it.
    lost_through: Position,
    /// The same among events that carry an id: history may still have them.
    lost_id_through: Position,
    limits: BacklogConfig,
}

struct Awaited {
    entry: Entry,
    readers: u32,
}

impl Backlog {
    pub(crate) fn new(limits: BacklogConfig) -> Backlog {
        Backlog {
            frames: VecDeque::new(),
            before_newest: Position::ORIGIN,
            bytes: 0,
            caught_up: 0,
            fallen: 0,
            lost_through: Position::ORIGIN,
            lost_id_through: Position::ORIGIN,
            limits,
        }
    }

    /// Takes in an event for those who wait for one. Returns how many times a reader lost a live-only event by it.
    pub(crate) fn push(&mut self, entry: Entry) -> u64 {
        if self.caught_up == 0 && self.fallen == 0 && self.frames.is_empty() {
            return 0;
        }
        self.bytes = self.bytes.saturating_add(entry.frame.len());
        self.before_newest = self.frames.back().map(|newest| newest.entry.position).unwrap_or_default();
        self.frames.push_back(Awaited { entry, readers: core::mem::take(&mut self.caught_up) });
        let mut lost = 0u64;
        while self.frames.len() > 1 && self.is_beyond_limits() {
            lost = lost.saturating_add(self.lose_oldest());
        }
        lost
    }

    /// A reader comes that has everything up to `position`.
    pub(crate) fn join(&mut self, position: Position) {
        let readers = self.waiting_after(position);
        *readers = readers.saturating_add(1);
    }

    /// A reader that stood at `position` goes.
    pub(crate) fn leave(&mut self, position: Position) {
        let readers =
            if self.has_lost_after(position) { &mut self.fallen } else { self.waiting_after(position) };
        *readers = readers.saturating_sub(1);
        self.release();
    }

    /// A reader moves on to where nothing is lost.
    #[inline]
    pub(crate) fn advance(&mut self, from: Position, to: Position) {
        let has_fallen = self.has_lost_after(from);
        if let Some(newest) = self.frames.back_mut()
            && !has_fallen
            && (self.before_newest..newest.entry.position).contains(&from)
            && to >= newest.entry.position
        {
            // The usual step, from one frame that it waits for to none.
            newest.readers = newest.readers.saturating_sub(1);
            self.caught_up = self.caught_up.saturating_add(1);
            if newest.readers == 0 {
                self.release();
            }
            return;
        }
        let (left, joined) = (self.index_after(from), self.index_after(to));
        if !has_fallen && left == joined {
            return;
        }
        let readers = self.waiting_at(joined);
        *readers = readers.saturating_add(1);
        let readers = if has_fallen { &mut self.fallen } else { self.waiting_at(left) };
        *readers = readers.saturating_sub(1);
        if *readers == 0 {
            self.release();
        }
    }

    /// Whether a frame above this position left by the bounds: then a reader that stands there has fallen.
    #[inline]
    pub(crate) fn has_lost_after(&self, position: Position) -> bool {
        position < self.lost_through
    }

    /// The newest position that left by the bounds while somebody needed it.
    pub(crate) fn lost_through(&self) -> Position {
        self.lost_through
    }

    /// The newest position with an id that left by the bounds while somebody needed it.
    pub(crate) fn lost_id_through(&self) -> Position {
        self.lost_id_through
    }

    #[inline]
    pub(crate) fn at(&self, index: usize) -> Option<&Entry> {
        self.frames.get(index).map(|awaited| &awaited.entry)
    }

    /// The first frame above a position.
    #[inline]
    pub(crate) fn first_after(&self, position: Position) -> Option<(usize, &Entry)> {
        let index = self.index_after(position);
        Some((index, self.at(index)?))
    }

    /// The newest frame, if it is the only one above a position.
    #[inline]
    pub(crate) fn only_after(&self, position: Position) -> Option<(usize, &Entry)> {
        let newest = &self.frames.back()?.entry;
        let is_only = (self.before_newest..newest.position).contains(&position);
        is_only.then(|| (self.frames.len().saturating_sub(1), newest))
    }

    pub(crate) fn len(&self) -> usize {
        self.frames.len()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    fn is_beyond_limits(&self) -> bool {
        self.frames.len() > self.limits.frames.get() || self.bytes > self.limits.bytes
    }

    fn lose_oldest(&mut self) -> u64 {
        let Some(oldest) = self.frames.pop_front() else { return 0 };
        self.bytes = self.bytes.saturating_sub(oldest.entry.frame.len());
        self.fallen = self.fallen.saturating_add(oldest.readers);
        if self.fallen == 0 {
            return 0;
        }
        self.lost_through = oldest.entry.position;
        if oldest.entry.is_replayable() {
            self.lost_id_through = oldest.entry.position;
            return 0;
        }
        u64::from(self.fallen)
    }

    /// Lets go of what nobody waits for. Readers that have fallen wait for all that is left.
    fn release(&mut self) {
        if self.fallen > 0 {
            return;
        }
        while self.frames.front().is_some_and(|oldest| oldest.readers == 0) {
            if let Some(gone) = self.frames.pop_front() {
                self.bytes = self.bytes.saturating_sub(gone.entry.frame.len());
            }
        }
        if self.frames.is_empty() && self.frames.capacity() > KEPT_CAPACITY {
            self.frames = VecDeque::new();
        }
    }

    fn waiting_after(&mut self, position: Position) -> &mut u32 {
        self.waiting_at(self.index_after(position))
    }

    #[inline]
    fn waiting_at(&mut self, index: usize) -> &mut u32 {
        match self.frames.get_mut(index) {
            Some(awaited) => &mut awaited.readers,
            None => &mut self.caught_up,
        }
    }

    #[inline]
    fn index_after(&self, position: Position) -> usize {
        match (self.frames.front(), self.frames.back()) {
            (Some(oldest), _) if oldest.entry.position > position => 0,
            (_, Some(newest)) if newest.entry.position <= position => self.frames.len(),
            _ => self.frames.partition_point(|awaited| awaited.entry.position <= position),
        }
    }
}

/// An empty queue keeps room for so many frames, so that a steady trickle does not allocate.
const KEPT_CAPACITY: usize = 16;
