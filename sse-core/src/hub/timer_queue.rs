//! Who is due next: one deadline for the embedder, however many timers there are (T4).

use alloc::collections::{BTreeSet, VecDeque};
use core::cmp::Ordering;

use crate::time::{Instant, MaybeInstant};

/// Whose timer it is, by slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Timer {
    Connection(u32),
    Channel(u32),
}

/// When a timer is set to go off. Its owner keeps it, so that the timer can be found again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Armed(MaybeInstant);

/// The timers of a hub, in the order in which they go off.
///
/// Each owner has at most one, set for the earliest instant at which it could have something to do. It is not moved
/// when that instant moves away, only looked at when it comes: so no delivery pays for a timer (T4), and nothing
/// stays behind when its owner goes (D8).
#[derive(Default)]
pub(crate) struct Deadlines {
    connections: Queue,
    channels: Queue,
}

impl Deadlines {
    /// Has the timer go off at `at`, whenever it was set for before.
    pub(crate) fn set(&mut self, armed: &mut Armed, timer: Timer, at: Option<Instant>) {
        let new = MaybeInstant::from(at);
        if armed.0 == new {
            return;
        }
        let (queue, slot) = match timer {
            Timer::Connection(slot) => (&mut self.connections, slot),
            Timer::Channel(slot) => (&mut self.channels, slot),
        };
        if let Some(old) = armed.0.get() {
            queue.remove(Deadline::new(old, slot));
        }
        if let Some(new) = new.get() {
            queue.insert(Deadline::new(new, slot));
        }
        armed.0 = new;
    }

    /// Has the timer go off at `at`, or earlier when it is already set for earlier: then its owner looks again.
    pub(crate) fn set_by(&mut self, armed: &mut Armed, timer: Timer, at: Option<Instant>) {
        if at.is_some_and(|at| !armed.0.has_come(at)) {
            self.set(armed, timer, at);
        }
    }

    /// When the first timer goes off.
    #[inline]
    pub(crate) fn first(&self) -> Option<Instant> {
        let first = self.connections.first().into_iter().chain(self.channels.first());
        first.map(|deadline| deadline.at()).min()
    }

    /// The slots of the connections whose timers go off next, as far as those are in the run.
    pub(crate) fn coming(&self) -> impl Iterator<Item = u32> + '_ {
        self.connections.run.iter().map(|deadline| deadline.slot())
    }

    /// Takes a timer that has gone off by `now`. Its owner has to note that it is no longer armed.
    pub(crate) fn pop(&mut self, now: Instant) -> Option<Timer> {
        let at = |first: Option<Deadline>| first.map(Deadline::at).filter(|at| *at <= now);
        let (connection, channel) = (at(self.connections.first()), at(self.channels.first()));
        if channel.is_some_and(|channel| connection.is_none_or(|connection| channel < connection)) {
            return Some(Timer::Channel(self.channels.pop()?.slot()));
        }
        connection?;
        Some(Timer::Connection(self.connections.pop()?.slot()))
    }
}

/// Deadlines in order: a run of those that came in order, and a sorted set of the others. Most timers are set for a fixed
/// time from now, and so behind all that are there.
///
/// # Cost
///
/// O(1) to put in what comes behind the run, and to take the first; O(log n) for others and to remove. What leaves the
/// middle of the run is marked there, and let go of when it is half of it.
#[derive(Default)]
struct Queue {
    /// In order; neither the first nor the last is marked.
    run: VecDeque<Deadline>,
    /// How many of the run are marked.
    marked: usize,
    others: BTreeSet<Deadline>,
}

impl Queue {
    fn insert(&mut self, deadline: Deadline) {
        if self.marked > 0
            && let Ok(index) = self.run.binary_search(&deadline)
            && let Some(taken_back) = self.run.get_mut(index)
        {
            *taken_back = deadline;
            self.marked = self.marked.saturating_sub(1);
        } else if self.run.back().is_none_or(|last| *last < deadline) {
            self.run.push_back(deadline);
        } else {
            self.others.insert(deadline);
        }
    }

    fn remove(&mut self, deadline: Deadline) {
        if let Ok(index) = self.run.binary_search(&deadline) {
            if let Some(found) = self.run.get_mut(index) {
                found.mark();
                self.marked = self.marked.saturating_add(1);
            }
            self.tidy();
        } else {
            self.others.remove(&deadline);
        }
    }

    #[inline]
    fn first(&self) -> Option<Deadline> {
        match (self.run.front(), self.others.first()) {
            (Some(run), Some(other)) => Some(*run.min(other)),
            (run, other) => run.or(other).copied(),
        }
    }

    fn pop(&mut self) -> Option<Deadline> {
        if let Some(other) = self.others.first()
            && self.run.front().is_none_or(|run| other < run)
        {
            return self.others.pop_first();
        }
        let first = self.run.pop_front();
        if self.marked > 0 || self.run.is_empty() {
            self.tidy();
        }
        first
    }

    /// Lets go of what is marked at both ends of the run, of all when it is half of the run, and of room (D8).
    fn tidy(&mut self) {
        while self.run.front().is_some_and(|first| first.is_marked()) {
            self.run.pop_front();
            self.marked = self.marked.saturating_sub(1);
        }
        while self.run.back().is_some_and(|last| last.is_marked()) {
            self.run.pop_back();
            self.marked = self.marked.saturating_sub(1);
        }
        if self.marked > self.run.len() / 2 {
            self.run.retain(|deadline| !deadline.is_marked());
            self.marked = 0;
        }
        if self.run.capacity() > KEPT_CAPACITY.max(self.run.len().saturating_mul(4)) {
            self.run.shrink_to(KEPT_CAPACITY.max(self.run.len().saturating_mul(2)));
        }
    }
}

/// Room that a run keeps, so that the timers of a few connections do not allocate.
const KEPT_CAPACITY: usize = 64;

/// An instant and a slot, ordered like that, in twelve bytes: aligned to eight they would be sixteen.
#[derive(Clone, Copy, Debug)]
struct Deadline {
    high: u32,
    low: u32,
    /// Its highest bit is the mark: an [`Arena`](crate::hub::arena::Arena) has no slot with that.
    slot: u32,
}

impl Deadline {
    const MARK: u32 = 1 << 31;

    fn new(at: Instant, slot: u32) -> Deadline {
        let nanos = at.as_nanos();
        // The casts keep each half.
        Deadline { high: (nanos >> 32) as u32, low: nanos as u32, slot }
    }

    fn at(self) -> Instant {
        Instant::from_nanos(u64::from(self.high) << 32 | u64::from(self.low))
    }

    fn slot(self) -> u32 {
        self.slot & !Deadline::MARK
    }

    fn mark(&mut self) {
        self.slot |= Deadline::MARK;
    }

    fn is_marked(self) -> bool {
        self.slot & Deadline::MARK != 0
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

impl Armed {
    /// Notes that the timer went off.
    pub(crate) fn spent(&mut self) {
        self.0 = MaybeInstant::NONE;
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;
    use alloc::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    const OWNERS: u32 = 8;

    /// Sets the timer of an owner, or takes what has gone off.
    fn ops() -> impl Strategy<Value = Vec<(u32, Option<u64>, bool)>> {
        prop::collection::vec(
            (0..OWNERS, prop::option::weighted(0.8, 0..20u64), prop::bool::weighted(0.3)),
            0..200,
        )
    }

    proptest! {
        #[test]
        fn t4_timers_go_off_in_order_and_those_that_were_taken_back_do_not(ops in ops()) {
            let mut deadlines = Deadlines::default();
            let mut armed = [Armed::default(); OWNERS as usize];
            let mut now = 0;
            for (owner, after, pops) in ops {
                let at = after.map(|after| Instant::from_nanos(now + after));
                deadlines.set(&mut armed[owner as usize], Timer::Connection(owner), at);
                let set = || (0..).zip(&armed).filter_map(|(slot, armed)| Some((armed.0.get()?, slot)));
                prop_assert_eq!(deadlines.first(), set().min().map(|(at, _)| at));
                if pops {
                    now += 5;
                    let due = set().min().filter(|(at, _)| at.as_nanos() <= now);
                    let popped = deadlines.pop(Instant::from_nanos(now));
                    prop_assert_eq!(popped, due.map(|(_, slot)| Timer::Connection(slot)));
                    if let Some((_, slot)) = due {
                        armed[slot as usize].spent();
                    }
                }
            }
        }
    }

    #[test]
    fn d8_timers_that_were_taken_back_leave_nothing() {
        let mut deadlines = Deadlines::default();
        let mut armed = vec![Armed::default(); 10_000];
        for (slot, armed) in (0..).zip(&mut armed) {
            deadlines.set(armed, Timer::Connection(slot), Some(Instant::from_millis(slot.into())));
        }
        // All but each hundredth, then the others.
        for is_last in [false, true] {
            for (slot, armed) in (0..).zip(&mut armed).filter(|(slot, _)| (slot % 100 == 0) == is_last) {
                deadlines.set(armed, Timer::Connection(slot), None);
            }
            let queue = &deadlines.connections;
            let left = if is_last { 0 } else { 100 };
            assert_eq!(queue.run.len() - queue.marked, left);
            assert!(queue.run.capacity() <= KEPT_CAPACITY.max(4 * left), "{}", queue.run.capacity());
        }
    }
}
