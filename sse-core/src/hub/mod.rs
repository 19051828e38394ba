//! The state machine: channels that are logs, connections that are positions.
//!
//! `input.rs` is what happens to connections, `drain.rs` how all of them are ended, `channels.rs` to channels and subscriptions, `publish.rs` how events
//! come in; `output.rs` says what to do about it, `transmit.rs` hands out bytes, `refusal.rs` takes some back; `due.rs` finds what is due and
//! `progress.rs` moves connections on. `snapshot.rs` is for those who ask how things stand.

mod actions;
mod arena;
mod channel;
mod channels;
mod connection;
mod connections;
mod delivery;
mod drain;
mod error;
mod logs;
mod pending;
mod publish;
mod refusal;
mod snapshot;
mod subscription;
mod timer_queue;
mod timers;
mod transmit;

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::string::String;
use core::fmt;
use core::time::Duration;

use hashbrown::HashMap;

use crate::config::{HubConfig, PositionSource};
use crate::hub::arena::Arena;
use crate::hub::connection::{Channels, Connection};
use crate::hub::timer_queue::Deadlines;
use crate::id::{ChannelId, ConnectionId, Position};
use crate::resume::{Epoch, LastEventId};
use crate::stats::{ChannelStats, Stats};
use crate::time::Instant;
use crate::wire::Event;
use crate::wire::Frame;

pub use actions::{Action, ChannelCloseReason};
pub use drain::DrainConfig;
pub use error::{ConfigError, ConnectError, OpenError, PublishError, SendError, SubscribeError};
pub use publish::Published;
pub use snapshot::ConnectionStats;
#[cfg(feature = "metrics")]
pub(crate) use snapshot::Lag;
pub use transmit::Transmit;

use drain::Draining;
use timers::Rounds;

/// Connections, channels, and what has to be done about them: the whole of Server-Sent Events but the I/O.
///
/// Instants come in with every call, [actions](Action) come out of [`poll_action`](Hub::poll_action), the bytes for
/// a connection are read from [`transmit`](Hub::transmit), and [`poll_timeout`](Hub::poll_timeout) says when to call
/// [`handle_timeout`](Hub::handle_timeout). The [crate page](crate) has the contract with its driver (D1 to D9) and
/// a whole example.
///
/// The same calls give the same bytes. Nothing here panics, on any input.
pub struct Hub {
    config: HubConfig,
    epoch: Epoch,
    /// The latest instant seen: time that runs backwards is taken as this (D5).
    now: Instant,
    /// Where the newest event stands.
    head: Position,
    connections: Arena<ConnectionId, Connection>,
    channels: Channels,
    names: HashMap<Box<str>, ChannelId>,
    deadlines: Deadlines,
    rounds: Rounds,
    /// How many of the connections were fetched from memory whose deadlines come next.
    fetched: usize,
    /// Actions that wait to be polled, but for those that say that there are bytes.
    notices: VecDeque<Action>,
    /// Channels whose members have to be looked at because something was published or the channel closed.
    sweeps: VecDeque<ChannelId>,
    /// Connections that something became due to otherwise.
    wakes: VecDeque<ConnectionId>,
    stats: Stats,
    /// Since it was told to end its connections.
    draining: Option<Draining>,
}

impl Hub {
    /// A hub without connections and channels.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Epoch`] when the epoch cannot be part of an id (E4), or has more than 64 bytes.
    ///
    /// ```
    /// use sse_core::{Hub, HubConfig};
    ///
    /// let config = HubConfig { epoch: "1k9f2".into(), ..HubConfig::default() };
    /// let hub = Hub::new(config)?;
    /// assert_eq!(hub.poll_timeout(), None);
    /// # Ok::<(), sse_core::ConfigError>(())
    /// ```
    pub fn new(mut config: HubConfig) -> Result<Hub, ConfigError> {
        let epoch = Epoch::new(&config.epoch).map_err(ConfigError::Epoch)?;
        // A stall time of nothing would have the driver look at every connection without a pause.
        config.stall_timeout = config.stall_timeout.map(|timeout| timeout.max(HubConfig::MIN_STALL_TIMEOUT));
        let (PositionSource::Local { after } | PositionSource::External { after }) = config.positions;
        Ok(Hub {
            config,
            epoch,
            now: Instant::ORIGIN,
            head: after,
            connections: Arena::new(),
            channels: Arena::new(),
            names: HashMap::new(),
            deadlines: Deadlines::default(),
            rounds: Rounds::default(),
            fetched: 0,
            notices: VecDeque::new(),
            sweeps: VecDeque::new(),
            wakes: VecDeque::new(),
            stats: Stats::default(),
            draining: None,
        })
    }

    /// Where the newest event stands.
    ///
    /// ```
    /// # use sse_core::{Event, Hub, HubConfig, Instant, ChannelConfig, Position};
    /// # let mut hub = Hub::new(HubConfig::default()).unwrap();
    /// # let now = Instant::ORIGIN;
    /// let weather = hub.open_channel(now, "weather", ChannelConfig::default()).unwrap();
    /// assert_eq!(hub.head(), Position::ORIGIN);
    /// hub.publish(now, weather, &Event::new().data("sunny")).unwrap();
    /// assert_eq!(hub.head(), Position::new(1));
    /// ```
    pub fn head(&self) -> Position {
        self.head
    }

    /// The id that this hub gives to the event of a position: `<epoch>-<position>` (H2).
    ///
    /// ```
    /// # use sse_core::{Hub, HubConfig, Position};
    /// let hub = Hub::new(HubConfig { epoch: "1k9f2".into(), ..HubConfig::default() }).unwrap();
    /// assert_eq!(hub.id_of(Position::new(7)), "1k9f2-7");
    /// ```
    pub fn id_of(&self, position: Position) -> String {
        self.epoch.id(position)
    }

    /// What was counted since the hub was made, and what it holds now (A3).
    ///
    /// # Cost
    ///
    /// O(1): a copy of a few hundred bytes.
    ///
    /// ```
    /// # use sse_core::{Hub, HubConfig, Instant, ConnectionConfig};
    /// # let mut hub = Hub::new(HubConfig::default()).unwrap();
    /// let connection = hub.connect(Instant::ORIGIN, ConnectionConfig::default()).unwrap();
    /// hub.disconnect(Instant::ORIGIN, connection);
    /// let stats = hub.stats();
    /// assert_eq!((stats.opened, stats.connections, stats.closed.disconnected), (1, 0, 1));
    /// ```
    pub fn stats(&self) -> Stats {
        Stats { connections: self.connections.len(), channels: self.channels.len(), ..self.stats }
    }

    /// What a channel holds now; `None` when it is not open.
    ///
    /// ```
    /// # use sse_core::{ChannelConfig, Event, Hub, HubConfig, Instant};
    /// # let mut hub = Hub::new(HubConfig::default()).unwrap();
    /// # let now = Instant::ORIGIN;
    /// let weather = hub.open_channel(now, "weather", ChannelConfig::default()).unwrap();
    /// hub.publish(now, weather, &Event::new().data("sunny")).unwrap();
    /// let stats = hub.channel_stats(weather).unwrap();
    /// assert_eq!((stats.history_events, stats.backlog_frames), (1, 0), "nobody waits for it");
    /// ```
    pub fn channel_stats(&self, channel: ChannelId) -> Option<ChannelStats> {
        let channel = self.channels.get(channel)?;
        Some(ChannelStats {
            members: channel.members.len(),
            history_events: channel.history.len(),
            history_bytes: channel.history.bytes(),
            backlog_frames: channel.backlog.len(),
            backlog_bytes: channel.backlog.bytes(),
            floor: channel.history.floor(),
        })
    }

    /// The open connections, in no particular order.
    ///
    /// ```
    /// # use sse_core::{Hub, HubConfig, Instant, ConnectionConfig};
    /// # let mut hub = Hub::new(HubConfig::default()).unwrap();
    /// let connection = hub.connect(Instant::ORIGIN, ConnectionConfig::default()).unwrap();
    /// assert_eq!(hub.connections().collect::<Vec<_>>(), [connection]);
    /// ```
    pub fn connections(&self) -> impl Iterator<Item = ConnectionId> + '_ {
        self.connections.keys()
    }

    /// The members of a channel, in no particular order; none when it is not open (O5).
    ///
    /// ```
    /// # use sse_core::{Hub, HubConfig, Instant, ChannelConfig, ConnectionConfig};
    /// # let mut hub = Hub::new(HubConfig::default()).unwrap();
    /// # let now = Instant::ORIGIN;
    /// let weather = hub.open_channel(now, "weather", ChannelConfig::default()).unwrap();
    /// let connection = hub.connect(now, ConnectionConfig::default()).unwrap();
    /// hub.subscribe(now, weather, connection).unwrap();
    /// assert_eq!(hub.members(weather).collect::<Vec<_>>(), [connection]);
    /// ```
    pub fn members(&self, channel: ChannelId) -> impl Iterator<Item = ConnectionId> + '_ {
        let members = self.channels.get(channel).map(|channel| &channel.members);
        members.into_iter().flat_map(|members| members.iter()).filter_map(|index| self.connections.key(index))
    }

    /// The channels that a connection follows; none when it is not open.
    ///
    /// ```
    /// # use sse_core::{Hub, HubConfig, Instant, ChannelConfig, ConnectionConfig};
    /// # let mut hub = Hub::new(HubConfig::default()).unwrap();
    /// # let now = Instant::ORIGIN;
    /// let weather = hub.open_channel(now, "weather", ChannelConfig::default()).unwrap();
    /// let connection = hub.connect(now, ConnectionConfig::default()).unwrap();
    /// hub.subscribe(now, weather, connection).unwrap();
    /// assert_eq!(hub.subscriptions(connection).collect::<Vec<_>>(), [weather]);
    /// ```
    pub fn subscriptions(&self, connection: ConnectionId) -> impl Iterator<Item = ChannelId> + '_ {
        let subscriptions = self.connections.get(connection).map(|c| c.subscriptions.as_slice());
        subscriptions.into_iter().flatten().filter_map(|s| self.channels.key(s.channel))
    }

    /// When a connection was opened, and what its client gave as its last event id; `None` when it is not open.
    ///
    /// ```
    /// # use sse_core::{Hub, HubConfig, Instant, ConnectionConfig};
    /// # let mut hub = Hub::new(HubConfig::default()).unwrap();
    /// let config = ConnectionConfig { last_event_id: Some("7".into()), ..ConnectionConfig::default() };
    /// let connection = hub.connect(Instant::from_millis(5), config).unwrap();
    /// let (opened_at, last_event_id) = hub.connection_origin(connection).unwrap();
    /// assert_eq!(opened_at, Instant::from_millis(5));
    /// assert_eq!(last_event_id.unwrap().as_str(), Some("7"));
    /// ```
    pub fn connection_origin(&self, connection: ConnectionId) -> Option<(Instant, Option<&LastEventId>)> {
        let connection = self.connections.get(connection)?;
        Some((connection.opened_at, connection.asked.as_ref().map(|asked| &asked.id)))
    }

    /// The name of a channel; `None` when it is not open.
    ///
    /// ```
    /// # use sse_core::{Hub, HubConfig, Instant, ChannelConfig};
    /// # let mut hub = Hub::new(HubConfig::default()).unwrap();
    /// let weather = hub.open_channel(Instant::ORIGIN, "weather", ChannelConfig::default()).unwrap();
    /// assert_eq!(hub.channel_name(weather), Some("weather"));
    /// ```
    pub fn channel_name(&self, channel: ChannelId) -> Option<&str> {
        self.channels.get(channel).filter(|channel| !channel.is_closed).map(|channel| &*channel.name)
    }

    /// Takes note of an instant; the latest one seen counts (D5).
    fn observe(&mut self, now: Instant) -> Instant {
        self.now = self.now.max(now);
        self.now
    }

    /// Up to where no event can come any more. A hub that is fed may get the event of its head for other channels.
    fn settled(&self) -> Position {
        match self.config.positions {
            PositionSource::Local { .. } => self.head,
            PositionSource::External { after } => self.head.before().max(after),
        }
    }

    /// How long a connection may take nothing, when it is being closed.
    fn flush_time(&self) -> Duration {
        self.config.stall_timeout.unwrap_or(Duration::from_secs(30))
    }
}

/// The frame that tells a client that all up to `position` is lost or known (H7).
fn reset_frame(epoch: &Epoch, position: Position) -> Frame {
    let reset = Event::new().event("reset").data("");
    // An epoch was checked to make ids that can be encoded; the empty comment stands in for what cannot happen.
    reset.encode_as(epoch.as_str(), position.get()).unwrap_or_else(|_| Frame::ping())
}

/// The block that a client keeps the id of and does not dispatch (H3).
fn position_frame(epoch: &Epoch, position: Position) -> Frame {
    Event::new().encode_as(epoch.as_str(), position.get()).unwrap_or_else(|_| Frame::ping())
}

impl fmt::Debug for Hub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hub")
            .field("epoch", &self.epoch.as_str())
            .field("head", &self.head)
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}
