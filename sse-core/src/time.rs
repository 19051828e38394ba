//! The instants that the embedder hands in.

use core::num::NonZeroU64;
use core::time::Duration;

/// A point in time, in nanoseconds since an origin that the embedder fixes.
///
/// Nothing in this crate reads a clock. The embedder chooses an origin once, for example the start of the process, and
/// passes with every call the time since then. Instants reach about 584 years, and no instant makes anything panic.
///
/// ```
/// use core::time::Duration;
/// use sse_core::Instant;
///
/// let now = Instant::from_millis(1_500);
/// let later = now.saturating_add(Duration::from_secs(50));
/// assert_eq!(later.saturating_duration_since(now), Duration::from_secs(50));
/// assert_eq!(now.saturating_duration_since(later), Duration::ZERO);
/// ```
// The nanoseconds plus one: zero is free for the `None` of an `Option<Instant>`, of which a connection has several.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(NonZeroU64);

impl Instant {
    /// The origin itself, the earliest instant.
    pub const ORIGIN: Self = Self(NonZeroU64::MIN);

    /// The latest instant: `u64::MAX - 1` nanoseconds after the origin.
    pub const MAX: Self = Self(NonZeroU64::MAX);

    /// Creates the instant `nanos` nanoseconds after the origin, or [`MAX`](Instant::MAX) if that is beyond it.
    #[must_use]
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(NonZeroU64::MIN.saturating_add(nanos))
    }

    /// Creates the instant `millis` milliseconds after the origin, or [`MAX`](Instant::MAX) if that is beyond it.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Self::from_nanos(millis.saturating_mul(1_000_000))
    }

    /// Returns the nanoseconds since the origin.
    #[must_use]
    pub const fn as_nanos(self) -> u64 {
        // Never below zero: the field is at least one.
        self.0.get().wrapping_sub(1)
    }

    /// Returns the instant `duration` later, or `None` if that is beyond [`MAX`](Instant::MAX).
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

    /// Returns the instant `duration` later, or [`MAX`](Instant::MAX) if that is beyond it.
    #[must_use]
    pub const fn saturating_add(self, duration: Duration) -> Self {
        match self.checked_add(duration) {
            Some(later) => later,
            None => Self::MAX,
        }
    }

    /// Returns the time from `earlier` to this instant, or zero if `earlier` is the later one.
    #[must_use]
    pub const fn saturating_duration_since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.get().saturating_sub(earlier.0.get()))
    }
}

impl Default for Instant {
    fn default() -> Self {
        Self::ORIGIN
    }
}

/// Whether a deadline exists and has passed by `now`.
#[inline]
pub(crate) fn has_passed(deadline: Option<Instant>, now: Instant) -> bool {
    deadline.is_some_and(|deadline| deadline <= now)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arithmetic_ends_at_the_last_instant() {
        let nanosecond = Duration::from_nanos(1);
        assert_eq!(Instant::from_millis(u64::MAX), Instant::MAX);
        assert_eq!(Instant::MAX.checked_add(Duration::ZERO), Some(Instant::MAX));
        assert_eq!(Instant::MAX.checked_add(nanosecond), None);
        assert_eq!(Instant::ORIGIN.checked_add(Duration::MAX), None);
        assert_eq!(Instant::ORIGIN.saturating_add(Duration::MAX), Instant::MAX);
        assert_eq!(Instant::ORIGIN.checked_add(Duration::from_nanos(u64::MAX)), None);
        assert_eq!(Instant::ORIGIN.checked_add(Duration::from_nanos(u64::MAX - 1)), Some(Instant::MAX));
        assert_eq!(Instant::from_nanos(u64::MAX).as_nanos(), u64::MAX - 1);
        assert_eq!(Instant::from_millis(2).as_nanos(), 2_000_000);
        assert_eq!(Instant::default(), Instant::ORIGIN);
        assert_eq!(Instant::ORIGIN.as_nanos(), 0);
        assert_eq!(size_of::<Option<Instant>>(), 8);
    }

    #[test]
    fn a_duration_is_never_negative() {
        let (early, late) = (Instant::from_nanos(5), Instant::from_nanos(7));
        assert!(early < late);
        assert_eq!(late.saturating_duration_since(early), Duration::from_nanos(2));
        assert_eq!(early.saturating_duration_since(late), Duration::ZERO);
    }
}
