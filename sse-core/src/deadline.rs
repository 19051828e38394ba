//! Who is due next: one deadline for the embedder, however many timers there are (T4).

use alloc::collections::BTreeSet;

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
///
/// # Cost
///
/// O(log n) to set, move and take; O(log n) with a small constant to ask for the first, which touches one path. Most
/// timers are set for a fixed time from now, so that they come to the same few nodes one after another.
#[derive(Default)]
pub(crate) struct Deadlines {
    connections: BTreeSet<Deadline>,
    channels: BTreeSet<Deadline>,
}

/// An instant and a slot, ordered like that, in twelve bytes: aligned to eight they would be sixteen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Deadline {
    high: u32,
    low: u32,
    slot: u32,
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
            queue.remove(&Deadline::new(old, slot));
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
    pub(crate) fn first(&self) -> Option<Instant> {
        let (connection, channel) = (self.connections.first(), self.channels.first());
        connection.into_iter().chain(channel).map(|deadline| deadline.at()).min()
    }

    /// Takes a timer that has gone off by `now`. Its owner has to note that it is no longer armed.
    pub(crate) fn pop(&mut self, now: Instant) -> Option<Timer> {
        let first = self.first().filter(|at| *at <= now)?;
        if self.connections.first().is_some_and(|deadline| deadline.at() == first) {
            return Some(Timer::Connection(self.connections.pop_first()?.slot));
        }
        Some(Timer::Channel(self.channels.pop_first()?.slot))
    }
}

impl Deadline {
    fn new(at: Instant, slot: u32) -> Deadline {
        let nanos = at.as_nanos();
        // The casts keep each half.
        Deadline { high: (nanos >> 32) as u32, low: nanos as u32, slot }
    }

    fn at(self) -> Instant {
        Instant::from_nanos(u64::from(self.high) << 32 | u64::from(self.low))
    }
}

impl Armed {
    /// Notes that the timer went off.
    pub(crate) fn spent(&mut self) {
        self.0 = MaybeInstant::NONE;
    }
}
