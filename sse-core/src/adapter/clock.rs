//! A clock that counts from 1970 and moves evenly.

use core::time::Duration;

use crate::time::Instant;

/// Instants that count from 1970, made of the time of the wall clock at the start and of a monotonic clock since then.
///
/// An adapter has to pass instants that count from 1970 where positions are times or where events outlive the process: the age
/// of an event from before the start is then its true age ([H1](crate::rules#h1), [L2](crate::rules#l2)). The wall clock is
/// read once, so that a change of it moves no deadline.
///
/// ```
/// use std::time::Duration;
///
/// use sse_core::adapter::EpochClock;
///
/// let clock = EpochClock::new(Duration::from_secs(1_800_000_000));
/// let now = clock.instant(Duration::from_secs(5)); // five seconds after the start
/// assert_eq!(now.as_nanos(), 1_800_000_005_000_000_000);
/// assert_eq!(clock.elapsed(now), Duration::from_secs(5));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct EpochClock {
    start: Instant,
}

impl EpochClock {
    /// Creates the clock of a process that starts this long after 1970.
    pub fn new(since_1970: Duration) -> EpochClock {
        EpochClock { start: Instant::ORIGIN.saturating_add(since_1970) }
    }

    /// Returns the instant this long after the start.
    pub fn instant(self, elapsed: Duration) -> Instant {
        self.start.saturating_add(elapsed)
    }

    /// Returns how long after the start an instant is; zero for one before the start.
    pub fn elapsed(self, at: Instant) -> Duration {
        at.saturating_duration_since(self.start)
    }
}
