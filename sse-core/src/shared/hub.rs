//! The handle on a shared hub.

use std::string::String;

use super::channel::SharedChannel;
use super::lock::{Locked, Shared};
use super::observe::{self, ConnectionSpan};
use super::state::State;
use super::status::Status;
use super::sync::Arc;
use super::{Channel, HubMut, Outbound, held};
use crate::adapter::Driver;
use crate::{
    ChannelConfig, ChannelId, ConfigError, ConnectError, ConnectionConfig, ConnectionId, DrainConfig, Event,
    Hub, HubConfig, Instant, Join, OpenError, Position, PublishError, PublishOptions, Published, Resume,
    Stats, SubscribeError,
};

/// A hub that tasks and threads share. Cloning returns another handle on the same hub.
#[derive(Clone)]
pub struct SharedHub {
    pub(crate) shared: Arc<Shared>,
}

impl SharedHub {
    /// Creates a hub, and the driver that has to run for it.
    ///
    /// The `epoch` names this run of the server in event ids ([H2](crate::rules#h2)). It has no default: ids from
    /// before a restart must not be taken for ids of this run. [`epoch_of`](crate::adapter::epoch_of) makes one of the start
    /// time and a random number. `clock` returns the time since any origin, and never goes back.
    ///
    /// # Errors
    ///
    /// [`ConfigError`], as [`Hub::new`], and [`ConfigError::TwoEpochs`] when [`HubConfig::epoch`] is set to another epoch.
    pub fn new(
        epoch: impl Into<String>,
        config: HubConfig,
        clock: impl Fn() -> Instant + Send + Sync + 'static,
    ) -> Result<(SharedHub, Driver), ConfigError> {
        let hub = Hub::new(SharedHub::with_epoch(epoch.into(), config)?)?;
        Ok(SharedHub::from_hub(hub, clock))
    }

    /// Returns a configuration with an epoch that was passed beside it.
    pub(super) fn with_epoch(epoch: String, config: HubConfig) -> Result<HubConfig, ConfigError> {
        if config.epoch != HubConfig::DEFAULT_EPOCH && config.epoch != epoch {
            return Err(ConfigError::TwoEpochs { passed: epoch, configured: config.epoch });
        }
        Ok(HubConfig { epoch, ..config })
    }

    pub(super) fn from_hub(
        hub: Hub,
        clock: impl Fn() -> Instant + Send + Sync + 'static,
    ) -> (SharedHub, Driver) {
        let shared = Arc::new(Shared::new(State::new(hub), clock));
        let driver = Driver::new(Arc::downgrade(&shared));
        (SharedHub { shared }, driver)
    }

    /// Returns the channel with a name, and opens it if there is none ([K1](crate::rules#k1)). A channel that is open with
    /// another configuration is an error; [`channel`](SharedHub::channel) finds it whatever its configuration is.
    ///
    /// # Errors
    ///
    /// [`OpenError`], as [`Hub::open_channel`].
    ///
    /// ```
    /// # use sse_core::shared::SharedHub;
    /// # use sse_core::{ChannelConfig, HubConfig, Instant};
    /// # let (hub, _driver) = SharedHub::new("1k9f2", HubConfig::default(), || Instant::ORIGIN)?;
    /// let weather = hub.open_channel("weather", ChannelConfig::default())?;
    /// assert_eq!(hub.open_channel("weather", ChannelConfig::default())?.id(), weather.id(), "a name has one channel");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn open_channel(&self, name: &str, config: ChannelConfig) -> Result<Channel, OpenError> {
        let opened = self.open_and_observe(name, config);
        observe::channel_opened(name, &opened);
        opened
    }

    fn open_and_observe(&self, name: &str, config: ChannelConfig) -> Result<Channel, OpenError> {
        let mut state = self.lock();
        let now = state.now;
        let opened = state.hub.open_channel(now, name, config);
        state.observer.channel_opened(&opened);
        Ok(self.channel_of(&mut state, opened?))
    }

    /// Returns the open channel with a name ([K1](crate::rules#k1)).
    ///
    /// ```
    /// # use sse_core::shared::SharedHub;
    /// # use sse_core::{HubConfig, Instant};
    /// # let (hub, _driver) = SharedHub::new("1k9f2", HubConfig::default(), || Instant::ORIGIN)?;
    /// assert!(hub.channel("weather").is_none());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn channel(&self, name: &str) -> Option<Channel> {
        let mut state = self.lock();
        let id = state.hub.channel(name)?;
        Some(self.channel_of(&mut state, id))
    }

    fn channel_of(&self, state: &mut State, id: ChannelId) -> Channel {
        let State { channels, hub, .. } = state;
        let shared = channels.entry(id).or_insert_with(|| {
            let name = hub.channel_name(id).unwrap_or_default().into();
            Arc::new(SharedChannel { name, status: Status::default() })
        });
        Channel::new(self.clone(), id, Arc::clone(shared))
    }

    /// Opens a connection, and returns the half of it that belongs to the transport. Dropping the [`Outbound`]
    /// disconnects ([X4](crate::rules#x4)).
    ///
    /// # Errors
    ///
    /// [`ConnectError`], as [`Hub::connect`].
    ///
    /// ```
    /// # use sse_core::shared::SharedHub;
    /// # use sse_core::{ConnectionConfig, HubConfig, Instant};
    /// # let (hub, _driver) = SharedHub::new("1k9f2", HubConfig::default(), || Instant::ORIGIN)?;
    /// let config = ConnectionConfig { last_event_id: Some("1k9f2-7".into()), ..ConnectionConfig::default() };
    /// let outbound = hub.connect(config)?; // for the transport
    /// let connection = outbound.handle(); // for the application
    /// drop(outbound);
    /// assert!(!connection.is_open());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn connect(&self, mut config: ConnectionConfig) -> Result<Outbound, ConnectError> {
        config.farewell = config.farewell.map(|farewell| held::droppable(&farewell).into_owned());
        let span = ConnectionSpan::new(&config);
        let mut state = self.lock();
        let now = state.now;
        let connected = state.connect(now, config);
        let id = connected.map(|(id, _)| id);
        state.observer.connected(&span, &id);
        drop(state);
        span.emit(&id);
        let (id, registration) = connected?;
        Ok(Outbound::new(self.clone(), id, registration))
    }

    /// Subscribes a connection to a channel, or joins it.
    pub(crate) fn subscribe(
        &self,
        channel: &Channel,
        connection: ConnectionId,
        join: Option<Join<'_>>,
    ) -> Result<Resume, SubscribeError> {
        if !self.is(channel.hub()) {
            return Err(SubscribeError::OtherHub { name: channel.shared_name() });
        }
        let mut locked = self.lock();
        let now = locked.now;
        let State { hub, observer, .. } = &mut *locked;
        let resumed = match join {
            None => hub.subscribe(now, channel.id(), connection),
            Some(join) => hub.join(now, channel.id(), connection, join),
        };
        let resumed = resumed.map_err(|error| match error {
            SubscribeError::UnknownChannel(_) => {
                SubscribeError::ChannelClosed { name: channel.shared_name() }
            }
            error => error,
        });
        let event = observer.subscribed(hub, channel.id(), connection, &resumed);
        drop(locked);
        event.emit();
        resumed
    }

    /// Publishes one event to several channels of this hub. A connection that follows more than one of them receives it
    /// once ([O2](crate::rules#o2)).
    ///
    /// # Errors
    ///
    /// [`PublishError`], as [`Hub::publish_to`], and [`PublishError::OtherHub`] for a channel of another hub.
    ///
    /// ```
    /// # use sse_core::shared::SharedHub;
    /// # use sse_core::{ChannelConfig, ConnectionConfig, Event, HubConfig, Instant, PublishOptions};
    /// # let (hub, _driver) = SharedHub::new("1k9f2", HubConfig::default(), || Instant::ORIGIN)?;
    /// let red = hub.open_channel("red", ChannelConfig::default())?;
    /// let blue = hub.open_channel("blue", ChannelConfig::default())?;
    /// let outbound = hub.connect(ConnectionConfig::default())?;
    /// outbound.subscribe(&red)?;
    /// outbound.subscribe(&blue)?;
    /// let published = hub.publish_to(&[&red, &blue], &Event::new().data("hello"), PublishOptions::default())?;
    /// assert_eq!(published.subscriptions, 2, "of one connection, which receives it once");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn publish_to(
        &self,
        channels: &[&Channel],
        event: &Event<'_>,
        options: PublishOptions<'_>,
    ) -> Result<Published, PublishError> {
        if let Some(foreign) = channels.iter().find(|channel| !self.is(channel.hub())) {
            return Err(PublishError::OtherHub { name: foreign.shared_name() });
        }
        let ids: std::vec::Vec<_> = channels.iter().map(|channel| channel.id()).collect();
        let mut state = self.lock();
        let now = state.now;
        let published = state.hub.publish_to(now, &ids, event, options);
        published.map_err(|error| channels.iter().fold(error, |error, channel| channel.named(error)))
    }

    /// Returns the id with which a client resumes behind everything that was published until now: [`Hub::resume_id`].
    ///
    /// This is the way to render a page and to go on from there without a hole. Publish under the lock under which you change
    /// your state, and call this under the same lock, when you read the state for the page. The page opens its stream with
    /// `?lastEventId=` and this id ([X2](crate::rules#x2)).
    ///
    /// The lock of your state comes first, and that of the hub second, in both places. Without a lock, read the id *before* the
    /// state: the page then receives some events again, and misses none. The other order loses events.
    ///
    /// ```
    /// # use std::sync::Mutex;
    /// # use sse_core::shared::{Channel, SharedHub};
    /// # use sse_core::{ChannelConfig, Event, HubConfig, Instant, PublishError};
    /// fn change(state: &Mutex<u32>, channel: &Channel) -> Result<(), PublishError> {
    ///     let mut count = state.lock().unwrap();
    ///     *count += 1;
    ///     channel.publish(&Event::new().data(count.to_string()))?;
    ///     Ok(())
    /// }
    ///
    /// fn render(state: &Mutex<u32>, hub: &SharedHub) -> (u32, String) {
    ///     let count = state.lock().unwrap();
    ///     (*count, hub.resume_id())
    /// }
    /// # let (hub, _driver) = SharedHub::new("1k9f2", HubConfig::default(), || Instant::ORIGIN)?;
    /// # let (state, counter) = (Mutex::new(0), hub.open_channel("counter", ChannelConfig::default())?);
    /// change(&state, &counter)?;
    /// assert_eq!(render(&state, &hub), (1, "1k9f2-1".to_owned()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn resume_id(&self) -> String {
        self.lock().hub.resume_id()
    }

    /// Returns the end of the last channel that was closed with a name: [`Hub::ended`](crate::Hub::ended).
    pub fn ended(&self, name: &str) -> Option<Position> {
        self.lock().hub.ended(name)
    }

    /// Closes all connections before a deadline, each at a moment of its own, and opens no new ones
    /// ([A2](crate::rules#a2)). Call it before a server is replaced.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use sse_core::DrainConfig;
    /// # use sse_core::shared::SharedHub;
    /// # use sse_core::{ConnectError, ConnectionConfig, HubConfig, Instant};
    /// # let (hub, _driver) = SharedHub::new("1k9f2", HubConfig::default(), || Instant::ORIGIN)?;
    ///
    /// hub.drain(DrainConfig { over: Duration::from_secs(5), ..DrainConfig::default() });
    /// assert_eq!(hub.connect(ConnectionConfig::default()).unwrap_err(), ConnectError::ShuttingDown);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn drain(&self, drain: DrainConfig) {
        let mut state = self.lock();
        let now = state.now;
        state.hub.drain(now, drain);
        drop(state);
        observe::draining(&drain);
    }

    /// Closes each connection once it has taken its pending bytes, within the stall timeout, and opens no new ones.
    /// Call it before a server stops, so that the graceful shutdown of the server returns ([X6](crate::rules#x6)).
    ///
    /// ```
    /// # use sse_core::shared::SharedHub;
    /// # use sse_core::{ConnectionConfig, HubConfig, Instant};
    /// # let (hub, _driver) = SharedHub::new("1k9f2", HubConfig::default(), || Instant::ORIGIN)?;
    /// hub.shut_down();
    /// assert!(hub.connect(ConnectionConfig::default()).is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn shut_down(&self) {
        let mut state = self.lock();
        let now = state.now;
        state.hub.shut_down(now);
        drop(state);
        observe::shutting_down();
    }

    /// Returns the counters since the creation of the hub, and its current sizes ([A3](crate::rules#a3)).
    ///
    /// ```
    /// # use sse_core::shared::SharedHub;
    /// # use sse_core::{ConnectionConfig, HubConfig, Instant};
    /// # let (hub, _driver) = SharedHub::new("1k9f2", HubConfig::default(), || Instant::ORIGIN)?;
    /// let outbound = hub.connect(ConnectionConfig::default())?;
    /// assert_eq!((hub.stats().connections, hub.stats().opened), (1, 1));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn stats(&self) -> Stats {
        self.lock().hub.stats()
    }

    /// Calls `work` with the locked hub and the time of its clock: for several calls under one lock, and for calls that
    /// have no method here.
    ///
    /// Other threads that use the hub wait until `work` returns. An [`Outbound`] that is dropped inside `work` disconnects when
    /// the lock is free.
    ///
    /// # Panics
    ///
    /// Panics if `work` uses a handle on the same hub, such as a [`Channel`](super::Channel): the call would wait for a lock
    /// that its own thread holds ([X4](crate::rules#x4)). Use the calls of the [`HubMut`] with
    /// [`Channel::id`](super::Channel::id) instead. The hub does not notice a call on another thread for which `work` waits:
    /// both then wait for ever. Debug builds also panic if `work` polls a connection or a future of another hub, since its waker
    /// would be cloned under the lock.
    ///
    /// ```
    /// # use sse_core::shared::SharedHub;
    /// # use sse_core::{ChannelConfig, HubConfig, Instant};
    /// # let (hub, _driver) = SharedHub::new("1", HubConfig::default(), || Instant::ORIGIN)?;
    /// # let weather = hub.open_channel("weather", ChannelConfig::default())?;
    /// # let outbound = hub.connect(Default::default())?;
    /// # outbound.subscribe(&weather)?;
    /// let closed = hub.with(|hub, now| {
    ///     let members: Vec<_> = hub.members(weather.id()).collect();
    ///     members.iter().filter(|&&member| hub.close_connection(now, member)).count()
    /// });
    /// assert_eq!(closed, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// The calls of the driver and of the transports are not available: a connection is disconnected by dropping its
    /// [`Outbound`].
    ///
    /// ```compile_fail,E0599
    /// # use sse_core::shared::SharedHub;
    /// # use sse_core::{HubConfig, Instant};
    /// # let (hub, _driver) = SharedHub::new("1", HubConfig::default(), || Instant::ORIGIN).unwrap();
    /// # let id = hub.connect(Default::default()).unwrap().id();
    /// hub.with(|hub, now| hub.disconnect(now, id));
    /// ```
    pub fn with<T>(&self, work: impl FnOnce(&mut HubMut<'_>, Instant) -> T) -> T {
        let mut state = self.lock();
        let now = state.now;
        work(&mut HubMut::new(&mut state.hub), now)
    }

    /// Returns whether both are handles on the same hub.
    pub(crate) fn is(&self, other: &SharedHub) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }

    /// Locks the hub. When the lock is dropped, the driver is woken if there is work for it.
    pub(crate) fn lock(&self) -> Locked<'_> {
        self.shared.lock()
    }
}

impl core::fmt::Debug for SharedHub {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        // The formatter is code of the application, and is called without the lock.
        let (head, stats) = {
            let state = self.lock();
            (state.hub.head(), state.hub.stats())
        };
        f.debug_struct("SharedHub").field("head", &head).field("stats", &stats).finish_non_exhaustive()
    }
}
