//! Random bounds and policies.

use std::num::NonZeroUsize;
use std::time::Duration;

use sse_core::{
    BacklogConfig, ChannelConfig, GapPolicy, HistoryConfig, IdSource, LagPolicy, Limits, OnClose, StartFrom,
};

use super::random::Random;

/// Settings that hold for one run.
pub(crate) struct Settings {
    pub(crate) channels: usize,
    pub(crate) stall: Option<Duration>,
    /// Subscriptions may be made after the first byte was taken.
    pub(crate) has_late_subscriptions: bool,
    pub(crate) has_app_ids: bool,
    /// Ids are used again, so nothing can be promised to clients across connections (H1).
    pub(crate) reuses_ids: bool,
    pub(crate) has_large_events: bool,
    pub(crate) announces: bool,
    pub(crate) history_bytes: usize,
}

impl Settings {
    pub(crate) fn new(random: &mut Random) -> Settings {
        Settings {
            channels: 3 + random.below(2),
            stall: random.pick(&[None, Some(Duration::from_secs(30)), Some(Duration::from_secs(2))]),
            has_late_subscriptions: random.chance(25),
            has_app_ids: random.chance(40),
            reuses_ids: random.chance(4),
            has_large_events: random.chance(5),
            announces: !random.chance(10),
            history_bytes: random.pick(&[256 << 20, 256 << 20, 256 << 20, 8_000, 1_500]),
        }
    }

    pub(crate) fn limits(&self) -> Limits {
        Limits { history_bytes: self.history_bytes, ..Limits::default() }
    }
}

pub(crate) fn channel(random: &mut Random) -> ChannelConfig {
    ChannelConfig {
        history: HistoryConfig {
            events: random.pick(&[0, 1, 3, 8, 500, 500, 500]),
            bytes: random.pick(&[None, None, None, Some(150), Some(1_000)]),
            age: random.pick(&[
                None,
                None,
                None,
                Some(Duration::from_secs(1)),
                Some(Duration::from_secs(20)),
            ]),
        },
        backlog: BacklogConfig {
            frames: NonZeroUsize::new(random.pick(&[1, 3, 10, 16_384, 16_384])).unwrap(),
            bytes: random.pick(&[1, 200, 2_000, 8 << 20, 8 << 20]),
        },
        ids: random.pick(&[
            IdSource::Hub,
            IdSource::Hub,
            IdSource::Hub,
            IdSource::Hub,
            IdSource::Application,
        ]),
        start: random.pick(&[
            StartFrom::Live,
            StartFrom::Live,
            StartFrom::Last(0),
            StartFrom::Last(2),
            StartFrom::All,
            StartFrom::Beginning,
        ]),
        on_gap: random.pick(&[
            GapPolicy::Reset,
            GapPolicy::Reset,
            GapPolicy::Reset,
            GapPolicy::Kept,
            GapPolicy::Live,
        ]),
        on_lag: random.pick(&[LagPolicy::Close, LagPolicy::Skip]),
        empty_timeout: random.pick(&[None, None, Some(Duration::from_secs(1)), Some(Duration::ZERO)]),
        unwanted_after: random.pick(&[None, None, Some(Duration::from_secs(1))]),
        linger: random.pick(&[None, None, None, Some(Duration::from_millis(20))]),
        ahead: random.pick(&[None, None, Some(100)]),
        on_close: random.pick(&[OnClose::Unsubscribe, OnClose::Unsubscribe, OnClose::CloseConnections]),
    }
}
