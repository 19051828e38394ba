//! The instants that the embedder hands in.

use core::time::Duration;

/// A point in time, in nanoseconds since an origin that the embedder fixes.
///
/// Nothing in this crate reads a clock: whoever drives it chooses an origin once (the start of the process, for
/// example), keeps to it, and says with every call how far away it is. An instant reaches about 584 years, and nothing
/// here panics on any of them.
///
/// ```
/// use core::time::Duration;
/// use sse_core::Instant;
///
/// let now = Instant::from_millis(1_500);
/// let due = now.saturating_add(Duration::from_secs(50));
/// assert_eq!(due.saturating_duration_since(now), Duration::from_secs(50));
/// assert_eq!(now.saturating_duration_since(due), Duration::ZERO);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(u64);

impl Instant {
    /// The origin itself, the earliest instant there is.
    pub const ORIGIN: Self = Self(0);

    /// Makes the instant that is `nanos` nanoseconds after the origin.
    #[must_use]
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// Makes the instant that is `millis` milliseconds after the origin, or the last one if that is beyond it.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis.saturating_mul(1_000_000))
    }

    /// Returns the nanoseconds since the origin.
    #[must_use]
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// Returns the instant `duration` later, or `None` if that is beyond the last one.
    #[must_use]
    pub const fn checked_add(self, duration: Duration) -> Option<Self> {
        let nanos = duration.as_nanos();
        if nanos > u64::MAX as u128 {
            return None;
        }
        match self.0.checked_add(nanos as u64) {
            Some(nanos) => Some(Self(nanos)),
            None => None,
        }
    }

    /// Returns the instant `duration` later, or the last one if that is beyond it.
    #[must_use]
    pub const fn saturating_add(self, duration: Duration) -> Self {
        match self.checked_add(duration) {
            Some(later) => later,
            None => Self(u64::MAX),
        }
    }

    /// Returns the time from `earlier` to this instant, or zero if `earlier` is the later one.
    #[must_use]
    pub const fn saturating_duration_since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

/// An instant or none, in the eight bytes of an instant. A connection has several of them, and an `Option` would take
/// twice as much.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MaybeInstant(Instant);

impl MaybeInstant {
    /// An arbitrary instant, 361 years away, stands for none. The first and the last that there are do not: they are
    /// what embedders give that have a clock of their own making.
    pub(crate) const NONE: Self = Self(Instant(0x9e37_79b9_7f4a_7c15));

    pub(crate) fn get(self) -> Option<Instant> {
        (self != Self::NONE).then_some(self.0)
    }

    /// Whether there is one, and it has come by `now`.
    #[inline]
    pub(crate) fn has_come(self, now: Instant) -> bool {
        self.0 <= now && self != Self::NONE
    }
}

impl From<Option<Instant>> for MaybeInstant {
    fn from(instant: Option<Instant>) -> Self {
        // What is to be at that very instant comes two nanoseconds later.
        instant.map_or(Self::NONE, |at| if at == Self::NONE.0 { Self(Instant(at.0 | 2)) } else { Self(at) })
    }
}

impl Default for MaybeInstant {
    fn default() -> Self {
        Self::NONE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LAST: Instant = Instant::from_nanos(u64::MAX);

    #[test]
    fn arithmetic_ends_at_the_last_instant() {
        let nanosecond = Duration::from_nanos(1);
        assert_eq!(Instant::from_millis(u64::MAX), LAST);
        assert_eq!(LAST.checked_add(Duration::ZERO), Some(LAST));
        assert_eq!(LAST.checked_add(nanosecond), None);
        assert_eq!(Instant::ORIGIN.checked_add(Duration::MAX), None);
        assert_eq!(Instant::ORIGIN.saturating_add(Duration::MAX), LAST);
        assert_eq!(Instant::ORIGIN.checked_add(Duration::from_nanos(u64::MAX)), Some(LAST));
        assert_eq!(Instant::from_millis(2).as_nanos(), 2_000_000);
        assert_eq!(Instant::default(), Instant::ORIGIN);
    }

    #[test]
    fn a_duration_is_never_negative() {
        let (early, late) = (Instant::from_nanos(5), Instant::from_nanos(7));
        assert!(early < late);
        assert_eq!(late.saturating_duration_since(early), Duration::from_nanos(2));
        assert_eq!(early.saturating_duration_since(late), Duration::ZERO);
    }
}
