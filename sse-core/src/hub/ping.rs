//! The ping of a connection: a comment after a silent interval (T1).

use core::num::NonZeroU64;
use core::time::Duration;

use crate::time::Instant;

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Ping {
    /// In nanoseconds. An interval that does not fit into 64 bits is [`Ping::ENDLESS`].
    interval: Option<NonZeroU64>,
    /// The nanoseconds by which the first interval is shorter, so that the pings of many connections are spread.
    spread: u64,
    /// The next instant at which to check whether a ping has to be sent.
    pub(crate) next_check: Option<Instant>,
    /// The instant since which a ping is pending.
    pub(crate) pending_since: Option<Instant>,
}

impl Ping {
    /// Stands for more than 584 years; no interval is that short.
    const ENDLESS: NonZeroU64 = NonZeroU64::MIN;

    /// Sets the interval, counted from `now`. The first interval is shortened by up to a half, depending on `random`.
    pub(crate) fn set(&mut self, now: Instant, interval: Option<Duration>, random: u64) {
        let nanos = interval.map(|interval| interval.as_nanos());
        let half = nanos.map(|nanos| u64::try_from(nanos / 2).unwrap_or(u64::MAX));
        let spread = half.and_then(|half| random.checked_rem(half)).unwrap_or(0);
        let interval =
            nanos.map(|nanos| u64::try_from(nanos).ok().and_then(NonZeroU64::new).unwrap_or(Ping::ENDLESS));
        *self = Ping { interval, spread, ..Ping::default() };
        self.next_check = self.after(now);
    }

    /// Returns whether no ping was sent yet, so that the interval may be shortened.
    pub(crate) fn is_first(&self) -> bool {
        self.interval.is_none() || self.spread > 0
    }

    /// Records that a ping was sent. All further intervals are whole.
    pub(crate) fn mark_sent(&mut self) {
        self.pending_since = None;
        self.spread = 0;
    }

    /// Returns the instant of the next ping if nothing is written after `quiet_since`.
    pub(crate) fn after(&self, quiet_since: Instant) -> Option<Instant> {
        let interval = self.interval.filter(|interval| *interval != Ping::ENDLESS)?.get();
        quiet_since.checked_add(Duration::from_nanos(interval.saturating_sub(self.spread)))
    }
}
