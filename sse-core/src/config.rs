//! The configuration of hubs, channels and connections. The documentation of each default gives its reason.

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::string::String;
use core::num::NonZeroUsize;
use core::time::Duration;

use crate::id::{ConnectionId, Position};
use crate::resume::LastEventId;
use crate::wire::Frame;

/// The configuration of a hub.
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
    /// The name of this run of the server, the first part of the ids `<epoch>-<position>` that the hub assigns
    /// ([H2](crate::rules#h2)).
    ///
    /// An id from an earlier run must not be mistaken for an id of this run, so a server uses an epoch that differs in
    /// each run, such as its start time and a random number in base 36. Nodes that receive the same external positions
    /// use the same epoch. The default, `0`, is for tests. An epoch has to be valid in an id ([E4](crate::rules#e4)) and
    /// has at most 64 bytes.
    ///
    /// Adapters take the epoch as an argument beside the configuration. This field then keeps its default, or is equal.
    pub epoch: String,
    /// The source of positions ([O4](crate::rules#o4)). By default the hub assigns them.
    pub positions: PositionSource,
    /// The seed that spreads the first pings of connections ([T1](crate::rules#t1)), since the core draws no random
    /// numbers.
    pub seed: u64,
    /// The longest time that a connection may take none of its pending bytes before it is closed
    /// ([T3](crate::rules#t3)).
    ///
    /// The default is 30 seconds: longer than the usual interruption of a mobile network, and shorter than the timeout
    /// of most proxies. The minimum is one millisecond. `None` waits forever, except for a connection that is being
    /// closed: it has 30 seconds to take the rest. After a pause of its driver, a connection has at least another quarter
    /// of this time.
    pub stall_timeout: Option<Duration>,
    /// The limits of the hub ([A1](crate::rules#a1)).
    pub limits: Limits,
    /// The names of the events that the hub sends on its own.
    pub control_events: ControlEvents,
}

impl HubConfig {
    /// The default epoch, for tests.
    pub(crate) const DEFAULT_EPOCH: &str = "0";

    /// The shortest stall timeout. A shorter one is raised to this value.
    pub const MIN_STALL_TIMEOUT: Duration = Duration::from_millis(1);
}

impl Default for HubConfig {
    fn default() -> Self {
        HubConfig {
            epoch: String::from(Self::DEFAULT_EPOCH),
            positions: PositionSource::Local { after: Position::ORIGIN },
            seed: 0,
            stall_timeout: Some(Duration::from_secs(30)),
            limits: Limits::default(),
            control_events: ControlEvents::default(),
        }
    }
}

/// The names of the events that a hub sends on its own. Applications must not use these names for their own events.
///
/// ```
/// use sse_core::{ControlEvents, HubConfig};
///
/// let control_events = ControlEvents { reset: "resync".into(), ..ControlEvents::default() };
/// let config = HubConfig { control_events, ..HubConfig::default() };
/// assert_eq!(config.control_events.position, ControlEvents::POSITION);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ControlEvents {
    /// The event with which a new connection begins, and which follows a late subscription ([O9](crate::rules#o9)). It has
    /// an id and empty data, so that a client can resume before its first event ([H3](crate::rules#h3)). Pages do not see
    /// it unless they listen for it.
    pub position: Cow<'static, str>,
    /// The event that tells a client that it missed events ([H7](crate::rules#h7)). A page should listen for it, and
    /// load its state anew.
    pub reset: Cow<'static, str>,
}

impl ControlEvents {
    /// The default name of the position event.
    pub const POSITION: &'static str = "position";

    /// The default name of the reset event.
    pub const RESET: &'static str = "reset";
}

impl Default for ControlEvents {
    fn default() -> Self {
        ControlEvents { position: Cow::Borrowed(Self::POSITION), reset: Cow::Borrowed(Self::RESET) }
    }
}

/// The source of the positions of a hub ([O4](crate::rules#o4)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PositionSource {
    /// The hub assigns a position to each event: [`Hub::publish`](crate::Hub::publish).
    Local {
        /// The position before the first event.
        after: Position,
    },
    /// A broker assigns the positions, and the hub receives them: [`Hub::publish_at`](crate::Hub::publish_at).
    ///
    /// Nodes that receive the same events with the same epoch give them the same ids, so a client can reconnect to any
    /// node.
    External {
        /// The starting position. Events at or below it are not replayed.
        after: Position,
    },
}

/// The limits at which a hub refuses new connections, channels, subscriptions and events ([A1](crate::rules#a1)).
///
/// A limit never removes something existing to admit something new. There are two exceptions: `history_bytes` evicts events
/// and refuses nothing, and at `per_principal` a page replaces its own former connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The maximum number of open connections. The default is one million; each one takes a few hundred bytes.
    pub connections: usize,
    /// The maximum number of open channels. The default is 100,000; a bound is necessary because requests often choose
    /// names.
    pub channels: usize,
    /// The maximum number of subscriptions of one connection. The default is 64; a delivery visits each of them.
    pub subscriptions: usize,
    /// The maximum number of members of one channel. The default is one million, as for connections.
    pub members: usize,
    /// The maximum number of bytes of one encoded event. The default is 1 MiB, which most clients can parse.
    pub event_bytes: usize,
    /// The maximum number of bytes of history in all channels together. The default is 256 MiB. An event counts with the
    /// bytes of its frame and [`HISTORY_EVENT_OVERHEAD`](Limits::HISTORY_EVENT_OVERHEAD), in each of its channels. Above the
    /// limit, the oldest events of the hub are evicted, whichever channel was published to, and the floors of their channels
    /// rise.
    pub history_bytes: usize,
    /// The maximum number of connections of one principal. The default is one million, as for connections. At this limit, a
    /// connection takes the place of an earlier one of the same principal and client key ([U2](crate::rules#u2)).
    pub per_principal: usize,
}

impl Limits {
    /// The longest name of a channel in bytes.
    pub const MAX_NAME_BYTES: usize = 1024;

    /// The memory that an event in a history takes besides the bytes of its frame, for [`Limits::history_bytes`]: 192 bytes.
    ///
    /// They cover the entries in the log, in the order of the hub and in the index of ids, and what allocations add to these.
    /// They do not cover [excluded client keys](Except::Client): about 300 bytes for each key, at most.
    pub const HISTORY_EVENT_OVERHEAD: usize = 192;

    /// The maximum number of direct sends that can be pending for one connection ([S2](crate::rules#s2)).
    ///
    /// Each frame takes memory besides its bytes, which [`ConnectionConfig::direct_bytes`] limits.
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
            per_principal: 1_000_000,
        }
    }
}

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
/// // A generated text that is streamed: each reader receives all of it, and its end closes the connections.
/// let generated_text =
///     ChannelConfig { start: StartFrom::All, on_close: OnClose::CloseConnections, ..ChannelConfig::default() };
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

/// The configuration of a connection.
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
    /// The last event id that the client sent, if any ([H4](crate::rules#h4), [X2](crate::rules#x2)).
    pub last_event_id: Option<LastEventId>,
    /// The time without a written byte after which a ping is sent ([T1](crate::rules#t1)). `None` sends no pings.
    ///
    /// The default is 50 seconds, as in `sse-channels`: many proxies close an idle connection after one minute. Set less
    /// than the shortest idle timeout between the server and the client. HAProxy is often installed with 50 seconds, and a
    /// common polyfill of `EventSource` waits 45 seconds: 25 seconds are below both. The minimum is one millisecond.
    pub ping: Option<Duration>,
    /// The maximum lifetime of the connection ([T2](crate::rules#t2)), without a limit by default.
    pub max_lifetime: Option<Duration>,
    /// The effect of reaching the maximum lifetime.
    pub on_max_lifetime: OnMaxLifetime,
    /// Whether a connection without a last event id starts with the event [`ControlEvents::POSITION`], so that the client
    /// can resume even if it disconnects before its first event ([H3](crate::rules#h3)), and whether that event follows late
    /// subscriptions ([O9](crate::rules#o9)). The default is `true`.
    pub announce_position: bool,
    /// The last frame of the connection, which its client receives when the connection is closed: at its maximum lifetime, in
    /// a drain, at the end of what it followed, and by [`Hub::close_connection`](crate::Hub::close_connection)
    /// ([T5](crate::rules#t5)). None by default. A frame with an id is refused with
    /// [`ConnectError::FarewellHasId`](crate::ConnectError::FarewellHasId). Clones of a frame share its bytes: encode it once.
    pub farewell: Option<Frame>,
    /// The maximum number of bytes of pending direct sends ([S2](crate::rules#s2)). The default is 1 MiB. More than 4
    /// GiB counts as 4 GiB.
    pub direct_bytes: usize,
    /// The principal to which the connection belongs, such as the id of a user ([U1](crate::rules#u1)): a word of the
    /// application, at most [`MAX_PRINCIPAL_BYTES`](ConnectionConfig::MAX_PRINCIPAL_BYTES) long. The default is none.
    pub principal: Option<Box<str>>,
    /// The key of the page load that opened the connection ([U1](crate::rules#u1)): a word of the application, at most
    /// [`MAX_CLIENT_BYTES`](ConnectionConfig::MAX_CLIENT_BYTES) long. The page makes a random one when it is loaded, sends it
    /// with each of its requests, and does not keep it over a reload ([U3](crate::rules#u3)). The default is none.
    pub client: Option<Box<str>>,
}

impl ConnectionConfig {
    /// The longest name of a principal in bytes, that of the subject of an OpenID token.
    pub const MAX_PRINCIPAL_BYTES: usize = 255;

    /// The longest client key in bytes. A UUID has 36.
    pub const MAX_CLIENT_BYTES: usize = 128;

    /// The shortest ping interval. A shorter one is refused with
    /// [`ConnectError::PingTooShort`](crate::ConnectError::PingTooShort).
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
            farewell: None,
            direct_bytes: 1 << 20,
            principal: None,
            client: None,
        }
    }
}

/// The effect of reaching the maximum lifetime of a connection ([T2](crate::rules#t2)).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnMaxLifetime {
    /// The connection is closed as by [`Hub::close_connection`](crate::Hub::close_connection): what is pending is flushed.
    #[default]
    Close,
    /// [`Action::TimedOut`](crate::Action::TimedOut) reports it, and the application extends or closes the connection.
    Report,
}

/// The options of a publication ([O5](crate::rules#o5)).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PublishOptions<'a> {
    /// The clients that do not receive the event, usually its sender. By default the event is for all.
    ///
    /// ```
    /// use sse_core::{Except, PublishOptions};
    ///
    /// let options = PublishOptions { except: Some(Except::Client("f81d4fae")) };
    /// ```
    pub except: Option<Except<'a>>,
}

/// The clients that a publication excludes ([U3](crate::rules#u3)).
///
/// An exclusion holds for live events and for events that a subscription resumes, and not for what a start or a reset replays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Except<'a> {
    /// One connection. The id of a connection that has ended, or of another hub, excludes nobody.
    ///
    /// The exclusion holds for the connection and not for the client: after a reconnect, the event is part of the
    /// replay.
    Connection(ConnectionId),
    /// All connections with this [client key](ConnectionConfig::client), also those that are opened later: after a reconnect
    /// with the same key, the event is not part of the replay. A key that no connection can have excludes nobody.
    Client(&'a str),
}

impl From<ConnectionId> for Except<'_> {
    fn from(connection: ConnectionId) -> Self {
        Except::Connection(connection)
    }
}
