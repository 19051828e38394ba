//! The state machine: channels are logs, connections are positions in them.
//!
//! The verbs: `connections.rs`, `channels.rs`, `subscriptions.rs` and `publish.rs` change the state; `actions.rs` reports
//! what the driver has to do; `transmit.rs` hands out bytes, `claims.rs` takes them back from drivers that write without
//! holding the hub; `principals.rs` asks for connections by principal; `timers.rs` and `drain.rs` handle time; `pending.rs`
//! finds what is pending, `delivery.rs` moves connections on, `finished.rs` ends streams, `producers.rs` tells producers to
//! wait or to stop, `linger.rs` lets channels gather events, `lag.rs` handles readers that fell behind, `resume_point.rs` decides where subscriptions start;
//! `log.rs`, `past.rs`, `loss.rs` and `refresh.rs` are for hubs that follow a log; `restart/` is for the next run; `snapshot.rs` is for operators.
//!
//! The state: `connection.rs`, `ping.rs`, `own_frames.rs`, `subscription.rs`, `channel.rs`, `members.rs`, `logs/`,
//! `identities.rs`, `names.rs`, `exclusion.rs`, `packed_slot.rs`, `ended_names.rs`, `timer_queue.rs`, `arena.rs`, `epoch.rs`, `control.rs`.

mod actions;
mod arena;
mod channel;
mod channels;
mod claim;
mod claims;
mod connection;
mod connections;
mod control;
mod delivery;
mod drain;
mod ended_names;
mod epoch;
mod error;
mod exclusion;
mod finished;
mod identities;
mod lag;
mod linger;
mod log;
mod logs;
mod loss;
mod members;
mod names;
mod own_frames;
mod packed_slot;
mod past;
mod pending;
mod ping;
mod principals;
mod producers;
mod publish;
mod refresh;
mod restart;
mod resume_point;
mod snapshot;
mod subscription;
mod subscriptions;
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
use crate::id::{ChannelId, ConnectionId, Position};
use crate::resume::LastEventId;
use crate::stats::{ChannelStats, Stats};
use crate::time::Instant;

pub use actions::{Action, ChannelCloseReason};
pub use claim::Claim;
pub use drain::DrainConfig;
pub use error::{ConfigError, ConnectError, OpenError, PublishError, SendError, SubscribeError};
pub use finished::Finished;
pub use past::{Past, PastEvent};
pub use producers::Unwanted;
pub use publish::Published;
pub use restart::{PositionsAreNotLocal, RestoreError};
pub use snapshot::ConnectionStats;
#[cfg(feature = "metrics")]
pub(crate) use snapshot::Lag;
pub use transmit::Transmit;

use arena::Arena;
use claim::ClaimNumber;
use connection::{Channels, ConnectionState};
use control::ControlFrames;
use drain::Draining;
use ended_names::EndedNames;
use epoch::Epoch;
use identities::Identities;
use logs::HistoryOrder;
use restart::{FormerEpochs, WaitingChannels};
use timer_queue::TimerQueue;
use timers::StallScan;

/// Connections, channels and everything that happens to them: Server-Sent Events without the I/O.
///
/// Instants are passed with every call. [Actions](Action) are polled by [`poll_action`](Hub::poll_action), the bytes of
/// a connection are read by [`transmit`](Hub::transmit), and [`poll_timeout`](Hub::poll_timeout) returns the instant at
/// which to call [`handle_timeout`](Hub::handle_timeout). The [crate page](crate) has the contract with the driver
/// ([D1](crate::rules#d1) to [D10](crate::rules#d10)) and a complete example.
///
/// The same calls produce the same bytes. Nothing panics, on any input.
pub struct Hub {
    config: HubConfig,
    epoch: Epoch,
    control_frames: ControlFrames,
    /// The latest instant seen. An earlier one is taken as this (D5).
    now: Instant,
    /// The position of the newest event.
    head: Position,
    connections: Arena<ConnectionId, ConnectionState>,
    channels: Channels,
    names: HashMap<Box<str>, ChannelId>,
    ended_names: EndedNames,
    history_order: HistoryOrder,
    identities: Identities,
    timers: TimerQueue,
    stall_scan: StallScan,
    /// The number of prefetched connections whose deadlines were not handled yet.
    prefetched: usize,
    next_claim: ClaimNumber,
    /// The actions to be polled, except for those that report pending bytes.
    notices: VecDeque<Action>,
    /// The channels whose members have to be visited, because an event was published or the channel was closed.
    sweeps: VecDeque<ChannelId>,
    /// The members that were visited in the turn of the first of these channels.
    visits_in_turn: usize,
    /// Whether the next action comes from a sweep, if one is in progress, or from the notify queue.
    is_sweeps_turn: bool,
    /// The connections that have to be reported for other reasons.
    notify_queue: VecDeque<ConnectionId>,
    /// The number of channels whose producers want to stay close to their readers (P3).
    leads: usize,
    stats: Stats,
    draining: Option<Draining>,
    /// Nothing is published any more (R1).
    is_sealed: bool,
    former_epochs: FormerEpochs,
    waiting: WaitingChannels,
}

impl Hub {
    /// Creates a hub without connections and channels.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Epoch`] when the epoch cannot be part of an id ([E4](crate::rules#e4)),
    /// [`ConfigError::EpochTooLong`] when it has more than 64 bytes, [`ConfigError::ControlEvent`] when the name of a
    /// control event cannot be encoded ([E3](crate::rules#e3)).
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
        let epoch = Epoch::new(&config.epoch)?;
        let control_frames = ControlFrames::new(config.control_events.clone())?;
        // Without a stall time the driver would check every connection without a pause.
        config.stall_timeout = config.stall_timeout.map(|timeout| timeout.max(HubConfig::MIN_STALL_TIMEOUT));
        let after = config.positions.after();
        let origin = arena::next_origin();
        Ok(Hub {
            config,
            epoch,
            control_frames,
            now: Instant::ORIGIN,
            head: after,
            connections: Arena::new(origin),
            channels: Arena::new(origin),
            names: HashMap::new(),
            ended_names: EndedNames::new(after),
            history_order: HistoryOrder::default(),
            identities: Identities::new(origin),
            timers: TimerQueue::default(),
            stall_scan: StallScan::default(),
            prefetched: 0,
            next_claim: ClaimNumber::FIRST,
            notices: VecDeque::new(),
            sweeps: VecDeque::new(),
            visits_in_turn: 0,
            is_sweeps_turn: false,
            notify_queue: VecDeque::new(),
            leads: 0,
            stats: Stats::default(),
            draining: None,
            is_sealed: false,
            former_epochs: FormerEpochs::default(),
            waiting: WaitingChannels::default(),
        })
    }

    /// Returns the position of the newest event.
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

    /// Returns the id that this hub gives to the event of a position: `<epoch>-<position>` ([H2](crate::rules#h2)).
    ///
    /// ```
    /// # use sse_core::{Hub, HubConfig, Position};
    /// let hub = Hub::new(HubConfig { epoch: "1k9f2".into(), ..HubConfig::default() }).unwrap();
    /// assert_eq!(hub.id_of(Position::new(7)), "1k9f2-7");
    /// ```
    pub fn id_of(&self, position: Position) -> String {
        self.epoch.id(position)
    }

    /// Returns the id with which a client resumes behind everything that was published until now: a page that shows the state
    /// of this moment opens its stream with it, and misses nothing ([O3](crate::rules#o3)).
    ///
    /// With external positions, the event of the head can still arrive in other channels ([O4](crate::rules#o4)). The id is then
    /// that of the position before, and the client may receive the event of the head again.
    ///
    /// ```
    /// # use sse_core::{ChannelConfig, ConnectionConfig, Event, Hub, HubConfig, Instant, Resume};
    /// # let mut hub = Hub::new(HubConfig::default()).unwrap();
    /// # let now = Instant::ORIGIN;
    /// let weather = hub.open_channel(now, "weather", ChannelConfig::default()).unwrap();
    /// hub.publish(now, weather, &Event::new().data("sunny")).unwrap();
    /// let rendered = hub.resume_id(); // of a page that shows "sunny"
    /// hub.publish(now, weather, &Event::new().data("rain")).unwrap();
    /// let config = ConnectionConfig { last_event_id: Some((&*rendered).into()), ..ConnectionConfig::default() };
    /// let connection = hub.connect(now, config).unwrap();
    /// assert_eq!(hub.subscribe(now, weather, connection), Ok(Resume::Replayed { events: 1 }));
    /// ```
    pub fn resume_id(&self) -> String {
        self.epoch.id(self.complete_through())
    }

    /// Returns what was counted since the hub was created, and what it holds now ([A3](crate::rules#a3)).
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
        Stats {
            connections: self.connections.len(),
            channels: self.channels.len(),
            history_bytes: self.history_order.total(),
            ..self.stats
        }
    }

    /// Returns what a channel holds now; `None` when the channel is not open.
    ///
    /// ```
    /// # use sse_core::{ChannelConfig, Event, Hub, HubConfig, Instant};
    /// # let mut hub = Hub::new(HubConfig::default()).unwrap();
    /// # let now = Instant::ORIGIN;
    /// let weather = hub.open_channel(now, "weather", ChannelConfig::default()).unwrap();
    /// hub.publish(now, weather, &Event::new().data("sunny")).unwrap();
    /// let stats = hub.channel_stats(weather).unwrap();
    /// assert_eq!((stats.history_events, stats.backlog_frames), (1, 0), "no reader waits for it");
    /// ```
    pub fn channel_stats(&self, channel: ChannelId) -> Option<ChannelStats> {
        let channel = self.channels.get(channel)?;
        Some(ChannelStats {
            members: channel.members.len(),
            history_events: channel.history.len(),
            history_bytes: channel.history.bytes(),
            backlog_frames: channel.backlog.len(),
            backlog_bytes: channel.backlog.bytes(),
            retained_frames: channel.history.retained().0,
            retained_bytes: channel.history.retained().1,
            floor: channel.history.floor(),
        })
    }

    /// Returns the open connections, in no particular order.
    ///
    /// ```
    /// # use sse_core::{Hub, HubConfig, Instant, ConnectionConfig};
    /// # let mut hub = Hub::new(HubConfig::default()).unwrap();
    /// let connection = hub.connect(Instant::ORIGIN, ConnectionConfig::default()).unwrap();
    /// assert_eq!(hub.connections().collect::<Vec<_>>(), [connection]);
    /// ```
    pub fn connections(&self) -> impl Iterator<Item = ConnectionId> + '_ {
        self.connections.ids()
    }

    /// Returns the members of a channel, in no particular order; none when the channel is not open
    /// ([O5](crate::rules#o5)).
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
        members.into_iter().flat_map(|members| members.iter()).filter_map(|slot| self.connections.id(slot))
    }

    /// Returns the channels that a connection follows; none when the connection is not open.
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
        subscriptions.into_iter().flatten().filter_map(|s| self.channels.id(s.channel))
    }

    /// Returns the instant at which a connection was opened, and the last event id of its client; `None` when the
    /// connection is not open.
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
        Some((connection.opened_at, connection.resume_request().map(|request| &request.id)))
    }

    /// Returns the name of a channel; `None` when the channel is not open.
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

    /// Returns the latest instant seen.
    #[cfg(feature = "std")]
    pub(crate) fn latest_instant(&self) -> Instant {
        self.now
    }

    /// Advances the hub's clock, and returns the latest instant seen (D5).
    fn advance_clock(&mut self, now: Instant) -> Instant {
        self.now = self.now.max(now);
        self.now
    }

    /// Returns the position up to which no event can arrive any more. With external positions, the event of the head may
    /// still arrive for other channels.
    fn complete_through(&self) -> Position {
        match self.config.positions {
            PositionSource::Local { .. } | PositionSource::Log { .. } => self.head,
            PositionSource::External { after } => self.head.before().max(after),
        }
    }

    /// Returns the time that a closing connection has to take what is pending.
    fn flush_timeout(&self) -> Duration {
        self.config.stall_timeout.unwrap_or(Duration::from_secs(30))
    }
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
