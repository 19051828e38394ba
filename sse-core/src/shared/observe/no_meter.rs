//! Stand-ins while the feature `metrics` is off.

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
    pub(crate) fn observe_changes(&mut self, _: &Hub, _: Instant) {}

    #[inline]
    pub(crate) fn next_wakeup(&self, deadline: Option<Instant>) -> Option<Instant> {
        deadline
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
    pub(crate) fn record(self, _: impl Fn() -> Instant) {}
}
