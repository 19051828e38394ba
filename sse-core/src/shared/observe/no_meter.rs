//! Nothing is counted beside [`Hub::stats`]: the feature `metrics` is off.

use crate::{Hub, Instant};

pub(super) enum Call {
    Connect,
    Open,
    Subscribe,
}

#[derive(Default)]
pub(super) struct Meter;

pub(in crate::shared) struct Report;

impl Meter {
    #[inline]
    pub(super) fn refused(&mut self, _: Call) {}

    #[inline]
    pub(super) fn worked(&mut self, _: &Hub, _: Instant) {}

    #[inline]
    pub(super) fn next_turn(&self, due: Option<Instant>) -> Option<Instant> {
        due
    }

    #[inline]
    pub(super) fn report(&mut self, _: &Hub, _: Instant) -> Report {
        Report
    }

    #[inline]
    pub(super) fn last_report(&mut self, _: &Hub) -> Report {
        Report
    }
}

impl Report {
    #[inline]
    pub(in crate::shared) fn tell(self, _: impl Fn() -> Instant) {}
}
