//! Who is due next: one deadline for the embedder, however many timers there are (T4).

use alloc::collections::BTreeSet;

use crate::time::Instant;

/// Whose timer it is, by slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Timer {
    Connection(u32),
    Channel(u32),
}

/// When a timer is set to go off. Its owner keeps it, so that the timer can be found again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Armed(Option<Instant>);

/// The timers of a hub, in the order in which they go off.
///
/// Each owner has at most one, set for the earliest instant at which it could have something to do. It is not moved
/// when that instant moves away, only looked at when it comes: so no delivery pays for a timer (T4), and nothing
/// stays behind when its owner goes (D8).
///
/// # Cost
///
/// O(log n) to set, move and take; O(log n) with a small constant to ask for the first, which touches one path.
#[derive(Default)]
pub(crate) struct Deadlines {
    queue: BTreeSet<(Instant, Timer)>,
}

impl Deadlines {
    /// Has the timer go off at `at`, whenever it was set for before.
    pub(crate) fn set(&mut self, armed: &mut Armed, timer: Timer, at: Option<Instant>) {
        if armed.0 == at {
            return;
        }
        if let Some(old) = armed.0 {
            self.queue.remove(&(old, timer));
        }
        if let Some(new) = at {
            self.queue.insert((new, timer));
        }
        armed.0 = at;
    }

    /// Has the timer go off at `at`, or earlier when it is already set for earlier: then its owner looks again.
    pub(crate) fn set_by(&mut self, armed: &mut Armed, timer: Timer, at: Option<Instant>) {
        match (armed.0, at) {
            (Some(old), Some(new)) if old <= new => {}
            (_, None) => {}
            _ => self.set(armed, timer, at),
        }
    }

    /// When the first timer goes off.
    pub(crate) fn first(&self) -> Option<Instant> {
        self.queue.first().map(|(at, _)| *at)
    }

    /// Takes a timer that has gone off by `now`. Its owner has to note that it is no longer armed.
    pub(crate) fn pop(&mut self, now: Instant) -> Option<Timer> {
        let &(at, timer) = self.queue.first()?;
        if at > now {
            return None;
        }
        self.queue.pop_first();
        Some(timer)
    }
}

impl Armed {
    /// Notes that the timer went off.
    pub(crate) fn spent(&mut self) {
        self.0 = None;
    }
}
