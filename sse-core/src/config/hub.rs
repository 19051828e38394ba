//! The configuration of a hub, and its limits.

use alloc::borrow::Cow;
use alloc::string::String;
use core::time::Duration;

use crate::id::Position;

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
    /// Whether clients are kept informed of the position of the hub: by each ping, and behind a replay
    /// ([L5](crate::rules#l5)). The default is `false`.
    ///
    /// A client of a quiet channel has an old id. Where histories are kept for a time, as in a log, the id is below the floor
    /// one day, although the client missed nothing. Set this together with [`PositionSource::Log`]. A ping then takes about 50
    /// bytes instead of 2.
    pub refresh_position: bool,
    /// The time for which the channels of a former run wait for [`Hub::open_channel`](crate::Hub::open_channel) after a
    /// [restart](crate::Hub::restore) ([R4](crate::rules#r4)). The default is ten minutes; `None` waits for ever.
    pub unclaimed: Option<Duration>,
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
            refresh_position: false,
            unclaimed: Some(Duration::from_secs(600)),
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
    /// A broker assigns the positions, and the hub receives them: [`Hub::publish_at`](crate::Hub::publish_at). The event of
    /// one position can arrive in several calls, for one channel after the other.
    ///
    /// Nodes that receive the same events with the same epoch give them the same ids, so a client can reconnect to any
    /// node.
    External {
        /// The starting position. Events at or below it are not replayed.
        after: Position,
    },
    /// A log assigns the positions, and each of its records names all channels of an event ([L1](crate::rules#l1)): the hub
    /// receives a record by one call of [`Hub::publish_at`](crate::Hub::publish_at), and follows the log with
    /// [`Hub::advance`](crate::Hub::advance).
    ///
    /// As with external positions, a client can reconnect to any node. Beyond that, a channel can be opened with what the log
    /// knows of its past, so that a node that had the channel closed resumes clients exactly:
    /// [`Hub::open_channel_with`](crate::Hub::open_channel_with).
    Log {
        /// The position in the log at which the hub begins to follow it.
        after: Position,
    },
}

impl PositionSource {
    /// Returns the position at which a hub starts.
    pub(crate) fn after(self) -> Position {
        match self {
            PositionSource::Local { after }
            | PositionSource::External { after }
            | PositionSource::Log { after } => after,
        }
    }

    /// Returns whether the hub assigns positions itself.
    pub(crate) fn is_local(self) -> bool {
        matches!(self, PositionSource::Local { .. })
    }
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
    /// They do not cover [excluded client keys](crate::Except::Client): about 300 bytes for each key, at most.
    pub const HISTORY_EVENT_OVERHEAD: usize = 192;

    /// The maximum number of direct sends that can be pending for one connection ([S2](crate::rules#s2)).
    ///
    /// Each frame takes memory besides its bytes, which [`ConnectionConfig::direct_bytes`](crate::ConnectionConfig::direct_bytes) limits.
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
