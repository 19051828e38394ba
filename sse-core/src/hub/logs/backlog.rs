//! The frames that a channel keeps for connected readers that are behind (S1).

use alloc::collections::VecDeque;

use crate::config::BacklogConfig;
use crate::id::Position;

use super::entry::LogEntry;

/// The frames that live readers have not taken yet, oldest first.
///
/// Each reader is counted at a position and waits for the first frame above it. Each frame counts the readers that wait
/// for it. So a frame without waiting readers is released at once, and the bounds are kept without a look at any reader. A
/// reader whose frame was evicted by the bounds has *fallen out*: that is noticed when the reader reads next.
///
/// # Cost
///
/// Adding a frame is O(1), however many readers there are. Moving a reader is O(log n) in the frames.
pub(crate) struct Backlog {
    frames: VecDeque<AwaitedFrame>,
    /// No frame stands between this position and the newest frame.
    before_newest: Position,
    /// The bytes of the frames.
    bytes: usize,
    /// The number of readers that wait for the next event to be published.
    caught_up: u32,
    /// The number of readers whose frame was evicted by the bounds.
    fallen_out: u32,
    /// The newest position that was evicted by the bounds while a reader needed it.
    lost_through: Position,
    /// The same among events that carry an id: history may still have them.
    lost_id_through: Position,
    limits: BacklogConfig,
}

struct AwaitedFrame {
    entry: LogEntry,
    readers: u32,
}

impl Backlog {
    pub(crate) fn new(limits: BacklogConfig) -> Backlog {
        Backlog {
            frames: VecDeque::new(),
            before_newest: Position::ORIGIN,
            bytes: 0,
            caught_up: 0,
            fallen_out: 0,
            lost_through: Position::ORIGIN,
            lost_id_through: Position::ORIGIN,
            limits,
        }
    }

    /// Adds an event if a reader waits for one. Returns the number of times that a reader lost a live-only event by it.
    pub(crate) fn push(&mut self, entry: LogEntry) -> u64 {
        if self.caught_up == 0 && self.fallen_out == 0 && self.frames.is_empty() {
            return 0;
        }
        self.bytes = self.bytes.saturating_add(entry.frame.len());
        self.before_newest = self.frames.back().map(|newest| newest.entry.position).unwrap_or_default();
        self.frames.push_back(AwaitedFrame { entry, readers: core::mem::take(&mut self.caught_up) });
        let mut lost = 0u64;
        while self.frames.len() > 1 && self.exceeds_limits() {
            lost = lost.saturating_add(self.evict_oldest());
        }
        lost
    }

    /// Counts a reader that has everything up to `position`.
    pub(crate) fn join(&mut self, position: Position) {
        let readers = self.readers_after(position);
        *readers = readers.saturating_add(1);
    }

    /// Stops counting a reader that was counted at `position`.
    pub(crate) fn leave(&mut self, position: Position) {
        let readers =
            if self.has_lost_after(position) { &mut self.fallen_out } else { self.readers_after(position) };
        *readers = readers.saturating_sub(1);
        self.release();
    }

    /// Moves a reader to a position above which nothing was lost.
    #[inline]
    pub(crate) fn advance(&mut self, from: Position, to: Position) {
        let has_fallen_out = self.has_lost_after(from);
        if let Some(newest) = self.frames.back_mut()
            && !has_fallen_out
            && (self.before_newest..newest.entry.position).contains(&from)
            && to >= newest.entry.position
        {
            // The usual step: from the last frame to none.
            newest.readers = newest.readers.saturating_sub(1);
            self.caught_up = self.caught_up.saturating_add(1);
            if newest.readers == 0 {
                self.release();
            }
            return;
        }
        let (left, joined) = (self.index_after(from), self.index_after(to));
        if !has_fallen_out && left == joined {
            return;
        }
        let readers = self.readers_at(joined);
        *readers = readers.saturating_add(1);
        let readers = if has_fallen_out { &mut self.fallen_out } else { self.readers_at(left) };
        *readers = readers.saturating_sub(1);
        if *readers == 0 {
            self.release();
        }
    }

    /// Returns whether a frame above this position was evicted by the bounds: a reader that is counted there has fallen
    /// out.
    #[inline]
    pub(crate) fn has_lost_after(&self, position: Position) -> bool {
        position < self.lost_through
    }

    /// Returns the newest position that was evicted by the bounds while a reader needed it.
    pub(crate) fn lost_through(&self) -> Position {
        self.lost_through
    }

    /// Returns the newest position with an id that was evicted by the bounds while a reader needed it.
    pub(crate) fn lost_id_through(&self) -> Position {
        self.lost_id_through
    }

    #[inline]
    pub(crate) fn at(&self, index: usize) -> Option<&LogEntry> {
        self.frames.get(index).map(|awaited| &awaited.entry)
    }

    /// Returns the first frame above a position.
    #[inline]
    pub(crate) fn first_after(&self, position: Position) -> Option<(usize, &LogEntry)> {
        let index = self.index_after(position);
        Some((index, self.at(index)?))
    }

    /// Returns the newest frame if it is the only one above a position.
    #[inline]
    pub(crate) fn only_after(&self, position: Position) -> Option<(usize, &LogEntry)> {
        let newest = &self.frames.back()?.entry;
        let is_only = (self.before_newest..newest.position).contains(&position);
        is_only.then(|| (self.frames.len().saturating_sub(1), newest))
    }

    /// Returns whether the frame of a position is kept.
    pub(crate) fn holds(&self, position: Position) -> bool {
        self.first_after(position.before()).is_some_and(|(_, entry)| entry.position == position)
    }

    pub(crate) fn len(&self) -> usize {
        self.frames.len()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    fn exceeds_limits(&self) -> bool {
        self.frames.len() > self.limits.frames.get() || self.bytes > self.limits.bytes
    }

    fn evict_oldest(&mut self) -> u64 {
        let Some(oldest) = self.frames.pop_front() else { return 0 };
        self.bytes = self.bytes.saturating_sub(oldest.entry.frame.len());
        self.fallen_out = self.fallen_out.saturating_add(oldest.readers);
        if self.fallen_out == 0 {
            return 0;
        }
        self.lost_through = oldest.entry.position;
        if oldest.entry.is_replayable() {
            self.lost_id_through = oldest.entry.position;
            return 0;
        }
        u64::from(self.fallen_out)
    }

    /// Releases the frames without waiting readers. Readers that have fallen out wait for all that is left.
    fn release(&mut self) {
        if self.fallen_out > 0 {
            return;
        }
        while self.frames.front().is_some_and(|oldest| oldest.readers == 0) {
            if let Some(released) = self.frames.pop_front() {
                self.bytes = self.bytes.saturating_sub(released.entry.frame.len());
            }
        }
        if self.frames.is_empty() && self.frames.capacity() > KEPT_CAPACITY {
            self.frames = VecDeque::new();
        }
    }

    fn readers_after(&mut self, position: Position) -> &mut u32 {
        self.readers_at(self.index_after(position))
    }

    #[inline]
    fn readers_at(&mut self, index: usize) -> &mut u32 {
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

/// The capacity that an empty queue keeps, so that a steady trickle does not allocate.
const KEPT_CAPACITY: usize = 16;
