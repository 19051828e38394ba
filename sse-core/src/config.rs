//! What an embedder decides: each default says why it is what it is.

use alloc::string::String;
use core::num::NonZeroUsize;
use core::time::Duration;

use crate::id::{ConnectionId, Position};
use crate::resume::LastEventId;

/// What holds for a whole hub.
///
/// ```
/// use std::time::Duration;
///
/// use sse_core::{Hub, HubConfig, Limits};
///
/// let limits = Limits { connections: 50_000, event_bytes: 64 << 10, ..Limits::default() };
/// let stall_timeout = Some(Duration::from_secs(20));
/// let hub = Hub::new(HubConfig { epoch: "1k9f2".into(), stall_timeout, limits, ..HubConfig::default() })?;
/// # Ok::<(), sse_core::ConfigError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HubConfig {
    /// What this run of the server is called in the ids that the hub gives: `<epoch>-<position>` (H2).
    ///
    /// An id from before a restart must not be taken for one of today, so a server uses something that differs from
    /// run to run, such as its start time in base 36; nodes that are fed the same positions use the same epoch. The
    /// default, `0`, is for tests. It must be allowed in an id (E4), and is at most 64 bytes long.
    pub epoch: String,
    /// Where positions come from (O4).
    pub positions: PositionSource,
    /// What decides the spread of first pings (T1), so that the core draws no random numbers.
    pub seed: u64,
    /// How long a connection may take none of its due bytes before it is closed (T3). `None` waits for ever, except
    /// for a connection that is being closed, which is given 30 seconds.
    ///
    /// At least a millisecond. 30 seconds: longer than a mobile network's usual pause, shorter than most proxies' patience.
    pub stall_timeout: Option<Duration>,
    /// What is refused, and when (A1).
    pub limits: Limits,
}

impl HubConfig {
    /// The shortest stall timeout. A shorter one is raised to this.
    pub const MIN_STALL_TIMEOUT: Duration = Duration::from_millis(1);
}

impl Default for HubConfig {
    fn default() -> Self {
        HubConfig {
            epoch: String::from("0"),
            positions: PositionSource::Local { after: Position::ORIGIN },
            seed: 0,
            stall_timeout: Some(Duration::from_secs(30)),
            limits: Limits::default(),
        }
    }
}

/// Where the positions of a hub come from (O4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PositionSource {
    /// The hub makes them, one for each event: [`Hub::publish`](crate::Hub::publish).
    Local {
        /// The position that the first event comes after.
        after: Position,
    },
    /// A broker makes them: [`Hub::publish_at`](crate::Hub::publish_at). Every node that is fed the same events
    /// under the same epoch gives them the same ids, so a client may come back to any node.
    External {
        /// What lies at or below this position is not replayed here.
        after: Position,
    },
}

/// What a hub refuses, and when (A1). Nobody is evicted to admit another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Open connections. One million: memory for it is a few hundred bytes each.
    pub connections: usize,
    /// Open channels. 100,000: names often come from requests, so there is a bound.
    pub channels: usize,
    /// Channels that one connection follows. 64: a delivery looks at each of them.
    pub subscriptions: usize,
    /// Members of one channel.
    pub members: usize,
    /// Bytes of one event, encoded. 1 MiB: what most clients' parsers take.
    pub event_bytes: usize,
    /// Bytes of history in all channels together. It refuses nobody: the publishing channel's own oldest events
    /// go, and its floor says so. 256 MiB.
    pub history_bytes: usize,
}

impl Limits {
    /// The longest name of a channel, in bytes.
    pub const MAX_NAME_BYTES: usize = 1024;

    /// The largest number of direct sends that may be pending for one connection, besides
    /// [`ConnectionConfig::direct_bytes`] (S2): each frame costs memory of its own.
    pub const MAX_DIRECT_FRAMES: usize = 4096;
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            connections: 1_000_000,
            channels: 100_000,
            subscriptions: 64,
            members: 1_000_000,
            event_bytes: 1 << 20,
            history_bytes: 256 << 20,
        }
    }
}

/// What holds for one channel, from its opening to its end.
///
/// ```
/// use std::time::Duration;
///
/// use sse_core::{ChannelConfig, HistoryConfig, LagPolicy, OnClose, StartFrom};
///
/// // A user's own: what happened in the last hour is kept, also for ten minutes without the user.
/// let of_user = ChannelConfig {
///     history: HistoryConfig { events: 100, bytes: Some(64 << 10), age: Some(Duration::from_secs(3600)) },
///     empty_timeout: Some(Duration::from_secs(600)),
///     ..ChannelConfig::default()
/// };
/// // An answer that is made while it is read: all of it for who comes, and its end is the connection's.
/// let of_answer =
///     ChannelConfig { start: StartFrom::All, on_close: OnClose::CloseConnections, ..ChannelConfig::default() };
/// // Prices: the newest counts, and who is slow goes on behind the loss.
/// let of_prices = ChannelConfig { start: StartFrom::Last(1), on_lag: LagPolicy::Skip, ..ChannelConfig::default() };
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChannelConfig {
    /// What is kept for clients that come back (H1).
    pub history: HistoryConfig,
    /// What is kept for readers that are connected and behind (S1).
    pub backlog: BacklogConfig,
    /// Who gives ids to events that have none (H2).
    pub ids: IdSource,
    /// Where a connection without a last event id starts (H8).
    pub start: StartFrom,
    /// What a client gets whose last event id is too old or unknown (H6).
    pub on_gap: GapPolicy,
    /// What happens to a reader that falls out of the backlog where history does not help (S1).
    pub on_lag: LagPolicy,
    /// The channel closes when it had no member for this long (K2); `None` keeps it until it is closed.
    pub empty_timeout: Option<Duration>,
    /// Whether its end ends the connections that follow it too (K3).
    pub on_close: OnClose,
}

/// What a channel keeps for clients that come back (H1): its newest events that carry an id, within all three bounds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistoryConfig {
    /// How many events; 0 keeps none. 500 is what `sse-channels` keeps.
    pub events: usize,
    /// How many bytes of frames, if that is bounded. The newest event goes too when it alone is larger.
    pub bytes: Option<usize>,
    /// How old an event may be, if that is bounded.
    pub age: Option<Duration>,
}

impl Default for HistoryConfig {
    fn default() -> Self {
        HistoryConfig { events: 500, bytes: None, age: None }
    }
}

/// What a channel keeps for readers that are connected and behind (S1). It costs nothing while nobody is behind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BacklogConfig {
    /// How many frames. 16,384: a burst that a publisher makes in one go.
    pub frames: NonZeroUsize,
    /// How many bytes of frames; the newest frame stays even when it alone is larger. 8 MiB.
    pub bytes: usize,
}

impl Default for BacklogConfig {
    fn default() -> Self {
        BacklogConfig { frames: NonZeroUsize::MIN.saturating_add(16_383), bytes: 8 << 20 }
    }
}

/// Who gives ids to the events of a channel that have none (H2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum IdSource {
    /// The hub: `<epoch>-<position>`, so that a client that comes back has missed nothing.
    #[default]
    Hub,
    /// The application; an event without an id is live only.
    Application,
}

/// Where a connection without a last event id starts in a channel (H8).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum StartFrom {
    /// With what is published from now on.
    #[default]
    Live,
    /// With the newest so many events that are kept.
    Last(usize),
    /// With all that is kept.
    All,
}

/// What a client gets whose last event id is older than what is kept, or unknown (H6).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum GapPolicy {
    /// A frame `event: reset` where the loss ends, then what is kept after it (H7). After an unknown id one frame
    /// for the whole connection, then what is published from now on.
    #[default]
    Reset,
    /// Everything that is kept, and no word of the loss. After an unknown id: what a new connection would get.
    Kept,
    /// Only what is published from now on, and no word of the loss.
    Live,
}

/// What happens to a connected reader that has lost events for good (S1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum LagPolicy {
    /// It is closed, comes back, and resumes by its last event id: a browser does so by itself.
    #[default]
    Close,
    /// It goes on behind the loss, with a reset frame, and the application is told by
    /// [`Action::Lagged`](crate::Action::Lagged).
    Skip,
}

/// What the end of a channel means for the connections that follow it (K3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnClose {
    /// Their subscription ends; they stay.
    #[default]
    Unsubscribe,
    /// They are closed, once they took what was published before.
    CloseConnections,
}

/// What holds for one connection.
///
/// ```
/// use std::time::Duration;
///
/// use sse_core::{ConnectionConfig, LastEventId};
///
/// let config = ConnectionConfig {
///     last_event_id: LastEventId::new(b"1k9f2-7"), // the value of the header
///     ping: Some(Duration::from_secs(25)),
///     max_lifetime: Some(Duration::from_secs(1200)),
///     ..ConnectionConfig::default()
/// };
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectionConfig {
    /// What the client gave as the id of its last event, if it gave one (H4, X2).
    pub last_event_id: Option<LastEventId>,
    /// How long a connection may be silent before a comment is sent (T1). At least a millisecond.
    ///
    /// 50 seconds, as in `sse-channels`: below the minute after which many proxies cut an idle connection.
    pub ping: Option<Duration>,
    /// The longest life of the connection (T2), if it has one.
    pub max_lifetime: Option<Duration>,
    /// What happens when that life is over.
    pub on_max_lifetime: OnMaxLifetime,
    /// Whether a connection without a last event id starts with the block `id: <epoch>-<position>`, so that it
    /// resumes also when it left before its first event (H3).
    pub announce_position: bool,
    /// How many bytes of direct sends may wait for this connection (S2). 1 MiB; more than 4 GiB counts as 4 GiB.
    pub direct_bytes: usize,
}

impl ConnectionConfig {
    /// The shortest ping interval. A shorter one is raised to this.
    pub const MIN_PING: Duration = Duration::from_millis(1);
}

impl Default for ConnectionConfig {
    fn default() -> Self {
        ConnectionConfig {
            last_event_id: None,
            ping: Some(Duration::from_secs(50)),
            max_lifetime: None,
            on_max_lifetime: OnMaxLifetime::Close,
            announce_position: true,
            direct_bytes: 1 << 20,
        }
    }
}

/// What happens when the life of a connection is over (T2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnMaxLifetime {
    /// It is closed.
    #[default]
    Close,
    /// [`Action::TimedOut`](crate::Action::TimedOut) says so, and the application extends or closes it.
    Report,
}

/// How an event is published to several channels (O5).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PublishOptions {
    /// The one connection that does not get it, usually the one it came from.
    ///
    /// This holds for the connection, not for the client: after a reconnection the event comes with the replay.
    pub except: Option<ConnectionId>,
}
