//! The timers of a hub: one deadline for the embedder, however many timers there are (T4).

use alloc::collections::{BTreeSet, VecDeque};
use core::cmp::Ordering;

use crate::time::{Instant, has_passed};

use super::arena::{ChannelSlot, ConnectionSlot};

/// The owner of a timer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TimerOwner {
    Connection(ConnectionSlot),
    Channel(ChannelSlot),
}

/// The deadline of an owner's timer, if the timer is set. The owner keeps the key, so that the timer can be found again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct TimerKey(Option<Instant>);

/// The timers of a hub, in the order in which they expire.
///
/// Each owner has at most one timer, set for the earliest instant at which the owner could have something to do. When
/// that instant moves away, the timer stays: its owner is checked when it expires. So no delivery pays for a timer (T4).
/// Nothing stays behind when the owner is removed (D8).
#[derive(Default)]
pub(crate) struct TimerQueue {
    connections: DeadlineQueue,
    channels: DeadlineQueue,
}

impl TimerQueue {
    /// Sets the timer to expire at `at`, whatever it was set to before.
    pub(crate) fn set(&mut self, key: &mut TimerKey, owner: TimerOwner, at: Option<Instant>) {
        if key.0 == at {
            return;
        }
        let (queue, slot) = match owner {
            TimerOwner::Connection(slot) => (&mut self.connections, slot.get()),
            TimerOwner::Channel(slot) => (&mut self.channels, slot.get()),
        };
        if let Some(old) = key.0 {
            queue.remove(Deadline::new(old, slot));
        }
        if let Some(new) = at {
            queue.insert(Deadline::new(new, slot));
        }
        key.0 = at;
    }

    /// Sets the timer to expire at `at` or earlier: a timer that is already set to an earlier instant stays.
    pub(crate) fn set_by(&mut self, key: &mut TimerKey, owner: TimerOwner, at: Option<Instant>) {
        if at.is_some_and(|at| !has_passed(key.0, at)) {
            self.set(key, owner, at);
        }
    }

    /// Returns the earliest deadline.
    #[inline]
    pub(crate) fn first(&self) -> Option<Instant> {
        let first = self.connections.first().into_iter().chain(self.channels.first());
        first.map(|deadline| deadline.at()).min()
    }

    /// Returns the connections whose timers expire next, as far as they are in the sorted run.
    pub(crate) fn upcoming(&self) -> impl Iterator<Item = ConnectionSlot> + '_ {
        self.connections.sorted_run.iter().map(|deadline| ConnectionSlot::new(deadline.slot()))
    }

    /// Removes a timer that has expired by `now`. The owner must [clear](TimerKey::clear) its key.
    pub(crate) fn pop(&mut self, now: Instant) -> Option<TimerOwner> {
        let expired = |first: Option<Deadline>| first.map(Deadline::at).filter(|at| *at <= now);
        let (connection, channel) = (expired(self.connections.first()), expired(self.channels.first()));
        if channel.is_some_and(|channel| connection.is_none_or(|connection| channel < connection)) {
            return Some(TimerOwner::Channel(ChannelSlot::new(self.channels.pop()?.slot())));
        }
        connection?;
        Some(TimerOwner::Connection(ConnectionSlot::new(self.connections.pop()?.slot())))
    }
}

/// Deadlines in order: a sorted run of those that arrived in order, and a sorted set for the others. Most timers are set
/// to a fixed time from now, and so behind all others.
///
/// # Cost
///
/// O(1) to insert behind the run and to take the first; O(log n) for other insertions and for removal. A deadline that is
/// removed from the middle of the run becomes a tombstone. The run is compacted when half of it is tombstones.
#[derive(Default)]
struct DeadlineQueue {
    /// In order. Neither the first nor the last deadline is a tombstone.
    sorted_run: VecDeque<Deadline>,
    /// The number of tombstones in the run.
    tombstones: usize,
    overflow: BTreeSet<Deadline>,
}

impl DeadlineQueue {
    fn insert(&mut self, deadline: Deadline) {
        if self.tombstones > 0
            && let Ok(index) = self.sorted_run.binary_search(&deadline)
            && let Some(tombstone) = self.sorted_run.get_mut(index)
        {
            *tombstone = deadline;
            self.tombstones = self.tombstones.saturating_sub(1);
        } else if self.sorted_run.back().is_none_or(|last| *last < deadline) {
            self.sorted_run.push_back(deadline);
        } else {
            self.overflow.insert(deadline);
        }
    }

    fn remove(&mut self, deadline: Deadline) {
        if let Ok(index) = self.sorted_run.binary_search(&deadline) {
            if let Some(found) = self.sorted_run.get_mut(index) {
                found.bury();
                self.tombstones = self.tombstones.saturating_add(1);
            }
            self.compact();
        } else {
            self.overflow.remove(&deadline);
        }
    }

    #[inline]
    fn first(&self) -> Option<Deadline> {
        match (self.sorted_run.front(), self.overflow.first()) {
            (Some(run), Some(other)) => Some(*run.min(other)),
            (run, other) => run.or(other).copied(),
        }
    }

    fn pop(&mut self) -> Option<Deadline> {
        if let Some(other) = self.overflow.first()
            && self.sorted_run.front().is_none_or(|run| other < run)
        {
            return self.overflow.pop_first();
        }
        let first = self.sorted_run.pop_front();
        if self.tombstones > 0 || self.sorted_run.is_empty() {
            self.compact();
        }
        first
    }

    /// Removes the tombstones at both ends of the run, all of them when they are half of it, and spare capacity (D8).
    fn compact(&mut self) {
        while self.sorted_run.front().is_some_and(|first| first.is_tombstone()) {
            self.sorted_run.pop_front();
            self.tombstones = self.tombstones.saturating_sub(1);
        }
        while self.sorted_run.back().is_some_and(|last| last.is_tombstone()) {
            self.sorted_run.pop_back();
            self.tombstones = self.tombstones.saturating_sub(1);
        }
        if self.tombstones > self.sorted_run.len() / 2 {
            self.sorted_run.retain(|deadline| !deadline.is_tombstone());
            self.tombstones = 0;
        }
        if self.sorted_run.capacity() > KEPT_CAPACITY.max(self.sorted_run.len().saturating_mul(4)) {
            self.sorted_run.shrink_to(KEPT_CAPACITY.max(self.sorted_run.len().saturating_mul(2)));
        }
    }
}

/// The capacity that a run keeps, so that the timers of a few connections do not allocate.
const KEPT_CAPACITY: usize = 64;

/// An instant and a slot, ordered by both, in twelve bytes. With an eight-byte alignment there would be sixteen.
#[derive(Clone, Copy, Debug)]
struct Deadline {
    high: u32,
    low: u32,
    /// The highest bit marks a tombstone: an [`Arena`](super::arena::Arena) has no slot with that bit.
    slot: u32,
}

impl Deadline {
    const TOMBSTONE: u32 = 1 << 31;

    fn new(at: Instant, slot: u32) -> Deadline {
        let nanos = at.as_nanos();
        // The casts keep each half.
        Deadline { high: (nanos >> 32) as u32, low: nanos as u32, slot }
    }

    fn at(self) -> Instant {
        Instant::from_nanos(u64::from(self.high) << 32 | u64::from(self.low))
    }

    fn slot(self) -> u32 {
        self.slot & !Deadline::TOMBSTONE
    }

    fn bury(&mut self) {
        self.slot |= Deadline::TOMBSTONE;
    }

    fn is_tombstone(self) -> bool {
        self.slot & Deadline::TOMBSTONE != 0
    }
}

impl Ord for Deadline {
    fn cmp(&self, other: &Deadline) -> Ordering {
        (self.at(), self.slot()).cmp(&(other.at(), other.slot()))
    }
}

impl PartialOrd for Deadline {
    fn partial_cmp(&self, other: &Deadline) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Deadline {
    fn eq(&self, other: &Deadline) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Deadline {}

impl TimerKey {
    /// Records that the timer has expired.
    pub(crate) fn clear(&mut self) {
        self.0 = None;
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;
    use alloc::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    const OWNERS: u32 = 8;

    fn connection(slot: u32) -> TimerOwner {
        TimerOwner::Connection(ConnectionSlot::new(slot))
    }

    /// Sets the timer of an owner, or pops an expired one.
    fn ops() -> impl Strategy<Value = Vec<(u32, Option<u64>, bool)>> {
        prop::collection::vec(
            (0..OWNERS, prop::option::weighted(0.8, 0..20u64), prop::bool::weighted(0.3)),
            0..200,
        )
    }

    proptest! {
        #[test]
        fn t4_timers_expire_in_order_and_cancelled_ones_do_not(ops in ops()) {
            let mut queue = TimerQueue::default();
            let mut keys = [TimerKey::default(); OWNERS as usize];
            let mut now = 0;
            for (owner, after, pops) in ops {
                let at = after.map(|after| Instant::from_nanos(now + after));
                queue.set(&mut keys[owner as usize], connection(owner), at);
                let set = || (0..).zip(&keys).filter_map(|(slot, key)| Some((key.0?, slot)));
                prop_assert_eq!(queue.first(), set().min().map(|(at, _)| at));
                if pops {
                    now += 5;
                    let expired = set().min().filter(|(at, _)| at.as_nanos() <= now);
                    let popped = queue.pop(Instant::from_nanos(now));
                    prop_assert_eq!(popped, expired.map(|(_, slot)| connection(slot)));
                    if let Some((_, slot)) = expired {
                        keys[slot as usize].clear();
                    }
                }
            }
        }
    }

    #[test]
    fn d8_cancelled_timers_leave_nothing_behind() {
        let mut queue = TimerQueue::default();
        let mut keys = vec![TimerKey::default(); 10_000];
        for (slot, key) in (0..).zip(&mut keys) {
            queue.set(key, connection(slot), Some(Instant::from_millis(slot.into())));
        }
        // All but every hundredth, then the rest.
        for is_last in [false, true] {
            for (slot, key) in (0..).zip(&mut keys).filter(|(slot, _)| (slot % 100 == 0) == is_last) {
                queue.set(key, connection(slot), None);
            }
            let connections = &queue.connections;
            let left = if is_last { 0 } else { 100 };
            assert_eq!(connections.sorted_run.len() - connections.tombstones, left);
            assert!(
                connections.sorted_run.capacity() <= KEPT_CAPACITY.max(4 * left),
                "{}",
                connections.sorted_run.capacity()
            );
        }
    }
}
