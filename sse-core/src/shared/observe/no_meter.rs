//! Nothing is counted beside [`Hub::stats`]: the feature `metrics` is off.

use crate::{Hub, Instant};

pub(crate) enum Call {
    Connect,
    Open,
    Subscribe,
}

#[derive(Default)]
pub(crate) struct Meter;

pub(crate) struct Report;

impl Meter {
    #[inline]
    pub(crate) fn refused(&mut self, _: Call) {}

    #[inline]
    pub(crate) fn worked(&mut self, _: &Hub, _: Instant) {}

    #[inline]
    pub(crate) fn next_turn(&self, due: Option<Instant>) -> Option<Instant> {
        due
    }

    #[inline]
    pub(crate) fn report(&mut self, _: &Hub, _: Instant) -> Report {
        Report
    }

    #[inline]
    pub(crate) fn last_report(&mut self, _: &Hub) -> Report {
        Report
    }
}

impl Report {
    #[inline]
    pub(crate) fn tell(self, _: impl Fn() -> Instant) {}
}
