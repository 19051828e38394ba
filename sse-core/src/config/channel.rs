//! The configuration of a channel: what it keeps, where readers start, and what happens to those that lose events.

use core::num::NonZeroUsize;
use core::time::Duration;

/// The configuration of a channel, fixed when the channel is opened.
///
/// ```
/// use std::time::Duration;
///
/// use sse_core::{ChannelConfig, HistoryConfig, LagPolicy, OnClose, StartFrom};
///
/// // Notifications of one user: the events of the last hour, kept for ten minutes while the user is not connected.
/// let notifications = ChannelConfig {
///     history: HistoryConfig { events: 100, bytes: Some(64 << 10), age: Some(Duration::from_secs(3600)) },
///     empty_timeout: Some(Duration::from_secs(600)),
///     ..ChannelConfig::default()
/// };
/// // A generated text that is streamed: each reader receives all of it, and leaves at its end.
/// let generated_text = ChannelConfig::answer();
/// // A session: when its channel is closed, the connections of its pages are closed as well.
/// let session = ChannelConfig { on_close: OnClose::CloseConnections, ..ChannelConfig::default() };
/// // Prices: a connection starts with the newest price, and a slow reader skips prices.
/// let prices = ChannelConfig { start: StartFrom::Last(1), on_lag: LagPolicy::Skip, ..ChannelConfig::default() };
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChannelConfig {
    /// The events that are kept for clients that reconnect ([H1](crate::rules#h1)).
    pub history: HistoryConfig,
    /// The frames that are kept for connected readers that are behind ([S1](crate::rules#s1)).
    pub backlog: BacklogConfig,
    /// The source of ids for events without one ([H2](crate::rules#h2)).
    pub ids: IdSource,
    /// The event at which a connection without a last event id starts ([H8](crate::rules#h8)).
    pub start: StartFrom,
    /// The reaction to a last event id that is too old or unknown ([H6](crate::rules#h6)).
    pub on_gap: GapPolicy,
    /// The reaction to a reader that fell out of the backlog and lost events that history no longer holds
    /// ([S1](crate::rules#s1)).
    pub on_lag: LagPolicy,
    /// The time without members after which the channel closes ([K2](crate::rules#k2)). `None` keeps it open.
    pub empty_timeout: Option<Duration>,
    /// The effect of closing the channel on its members ([K3](crate::rules#k3)).
    pub on_close: OnClose,
    /// The time for which the channel gathers events before its members are reported, so that several events leave in one write
    /// ([T6](crate::rules#t6)). At most a second ([`ChannelConfig::MAX_LINGER`]). `None` reports each event at once.
    pub linger: Option<Duration>,
    /// The time without members after which [`Action::Unwanted`](crate::Action::Unwanted) tells the producer that nobody
    /// reads ([P1](crate::rules#p1)). `None` never does. Unlike the empty timeout, it closes nothing.
    pub unwanted_after: Option<Duration>,
    /// The bytes that a producer should be ahead of the fastest reader at most ([`Hub::room`](crate::Hub::room),
    /// [P3](crate::rules#p3)), without a bound by default.
    ///
    /// Readers that come back lose nothing if the history holds these bytes and those in sockets ([P4](crate::rules#p4)).
    /// Set [`unwanted_after`](ChannelConfig::unwanted_after) as well, or a producer without readers may wait for ever.
    pub ahead: Option<usize>,
}

impl ChannelConfig {
    /// The configuration of a stream that ends, such as a generated text: every reader receives all of it
    /// ([K8](crate::rules#k8)). History is bounded by 16 MiB, which is about 50,000 events of 300 bytes. A producer without
    /// readers is told after a minute ([P1](crate::rules#p1)).
    ///
    /// ```
    /// use sse_core::{ChannelConfig, HistoryConfig};
    ///
    /// // A longer text.
    /// let config = ChannelConfig { history: HistoryConfig::whole(64 << 20), ..ChannelConfig::answer() };
    /// ```
    pub fn answer() -> ChannelConfig {
        ChannelConfig {
            history: HistoryConfig::whole(16 << 20),
            start: StartFrom::Beginning,
            unwanted_after: Some(Duration::from_secs(60)),
            ..ChannelConfig::default()
        }
    }
}

/// The bounds of a channel's history ([H1](crate::rules#h1)).
///
/// History keeps the newest events with an id for clients that reconnect. All three bounds apply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistoryConfig {
    /// The maximum number of events; 0 keeps none. The default is 500, as in `sse-channels`.
    pub events: usize,
    /// The maximum number of bytes of frames, without a limit by default. The newest event is evicted as well if it
    /// alone exceeds the limit.
    pub bytes: Option<usize>,
    /// The maximum age of an event, without a limit by default.
    pub age: Option<Duration>,
}

impl HistoryConfig {
    /// Keeps every event, up to a bound on the bytes of their frames: for channels that are read as a whole.
    pub fn whole(bytes: usize) -> HistoryConfig {
        HistoryConfig { events: usize::MAX, bytes: Some(bytes), age: None }
    }
}

impl Default for HistoryConfig {
    fn default() -> Self {
        HistoryConfig { events: 500, bytes: None, age: None }
    }
}

/// The bounds of a channel's backlog ([S1](crate::rules#s1)).
///
/// The backlog keeps frames for connected readers that are behind. It is empty while no reader is behind. The same bounds
/// hold, separately, for events that left the history and are retained for readers that replay ([H6](crate::rules#h6)).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BacklogConfig {
    /// The maximum number of frames. The default is 16,384, enough for a large burst of a publisher.
    pub frames: NonZeroUsize,
    /// The maximum number of bytes of frames. The default is 8 MiB. The newest frame stays even if it alone exceeds the
    /// limit.
    pub bytes: usize,
}

impl Default for BacklogConfig {
    fn default() -> Self {
        BacklogConfig { frames: NonZeroUsize::MIN.saturating_add(16_383), bytes: 8 << 20 }
    }
}

/// The source of ids for the events of a channel that have none ([H2](crate::rules#h2)).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum IdSource {
    /// The hub assigns the id `<epoch>-<position>`, so that a client that reconnects can resume.
    #[default]
    Hub,
    /// Only the application sets ids. An event without an id is live-only.
    Application,
}

/// The event at which a connection without a last event id starts in a channel ([H8](crate::rules#h8)).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum StartFrom {
    /// The next published event.
    #[default]
    Live,
    /// The given number of newest kept events, before live events.
    Last(usize),
    /// All kept events, before live events.
    All,
    /// All events from the first one, before live events. If the channel has let go of one, that is a loss: the result is
    /// [`Resume::Gap`](crate::Resume::Gap), and [`ChannelConfig::on_gap`] applies. For channels that make sense only as a
    /// whole.
    Beginning,
}

/// The reaction of a channel to a last event id that is older than its history, or unknown ([H6](crate::rules#h6)).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum GapPolicy {
    /// The client receives the event `reset` where the loss ends, then all kept events above the loss
    /// ([H7](crate::rules#h7)). After an unknown id it receives one `reset` for the whole connection, then what a new
    /// connection receives.
    #[default]
    Reset,
    /// The client receives all kept events, without notice of the loss. After an unknown id it receives what a new
    /// connection receives.
    Kept,
    /// The client receives only live events, without notice of the loss.
    Live,
}

/// The reaction of a channel to a connected reader that has lost events ([S1](crate::rules#s1)).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum LagPolicy {
    /// The connection is closed. The client reconnects and resumes with its last event id, as browsers do.
    #[default]
    Close,
    /// The reader continues behind the loss with a reset, and [`Action::Lagged`](crate::Action::Lagged) reports the
    /// loss.
    Skip,
}

/// The effect of closing a channel on its members ([K3](crate::rules#k3)).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnClose {
    /// The subscriptions end, and the connections stay open.
    ///
    /// The connections keep the last event id that their other channels gave them. See
    /// [`Hub::close_channel`](crate::Hub::close_channel) for a channel that is opened again under the same name.
    #[default]
    Unsubscribe,
    /// The connections are closed after they took the events published before.
    CloseConnections,
}
