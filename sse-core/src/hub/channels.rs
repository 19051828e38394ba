//! What happens to channels and subscriptions.

use alloc::boxed::Box;

use crate::config::{ChannelConfig, GapPolicy, Limits};
use crate::hub::channel::Channel;
use crate::hub::connection::Connection;
use crate::hub::subscription::Subscription;
use crate::hub::timer_queue::Timer;
use crate::id::{ChannelId, ConnectionId, Position};
use crate::resume::Resume;
use crate::time::{Instant, MaybeInstant};

use super::{Action, ChannelCloseReason, Hub, OpenError, SubscribeError, reset_frame};

impl Hub {
    /// The channel of a name: it is opened if there is none (K1). One that is open keeps its configuration.
    ///
    /// # Errors
    ///
    /// [`OpenError::TooManyChannels`] at the limit (A1), [`OpenError::NameTooLong`].
    ///
    /// ```
    /// # use sse_core::{ChannelConfig, Hub, HubConfig, Instant};
    /// # let mut hub = Hub::new(HubConfig::default()).unwrap();
    /// let weather = hub.open_channel(Instant::ORIGIN, "weather", ChannelConfig::default())?;
    /// assert_eq!(hub.open_channel(Instant::ORIGIN, "weather", ChannelConfig::default())?, weather);
    /// assert_eq!(hub.channel("weather"), Some(weather));
    /// # Ok::<(), sse_core::OpenError>(())
    /// ```
    pub fn open_channel(
        &mut self,
        now: Instant,
        name: &str,
        config: ChannelConfig,
    ) -> Result<ChannelId, OpenError> {
        let now = self.observe(now);
        if let Some(open) = self.channel(name) {
            return Ok(open);
        }
        if name.len() > Limits::MAX_NAME_BYTES {
            return Err(OpenError::NameTooLong { bytes: name.len(), limit: Limits::MAX_NAME_BYTES });
        }
        let refused = OpenError::TooManyChannels { limit: self.config.limits.channels };
        if self.channels.len() >= self.config.limits.channels {
            return Err(refused);
        }
        let channel = Channel::new(now, name, config, self.head, self.settled());
        let id = self.channels.insert(channel).map_err(|_| refused)?;
        self.names.insert(Box::from(name), id);
        if let Some(index) = self.channels.index(id) {
            self.arm_channel(index);
        }
        Ok(id)
    }

    /// The open channel of a name (K1).
    ///
    /// ```
    /// # use sse_core::{Hub, HubConfig};
    /// # let hub = Hub::new(HubConfig::default()).unwrap();
    /// assert_eq!(hub.channel("weather"), None);
    /// ```
    pub fn channel(&self, name: &str) -> Option<ChannelId> {
        self.names.get(name).copied()
    }

    /// Has a connection follow a channel, from where its last event id says, or where the channel has new
    /// connections start (H8).
    ///
    /// All subscriptions that are made before the connection's first byte is taken are one step (O3): they resume
    /// together, and what a later one finds may improve what an earlier one was told ([`Resume::Unknown`]). A later
    /// one never resumes: it is live. So is one that is made after [`Action::Lagged`] came for the connection.
    /// Subscribing twice is [`Resume::UpToDate`].
    ///
    /// # Errors
    ///
    /// [`SubscribeError`]: a connection or channel that is not open, or a limit (A1).
    ///
    /// # Cost
    ///
    /// O(subscriptions · log n) in what the channels keep.
    ///
    /// ```
    /// # use sse_core::{ChannelConfig, ConnectionConfig, Event, Hub, HubConfig, Instant, Resume};
    /// # let mut hub = Hub::new(HubConfig::default()).unwrap();
    /// # let now = Instant::ORIGIN;
    /// let weather = hub.open_channel(now, "weather", ChannelConfig::default()).unwrap();
    /// for sky in ["sunny", "cloudy", "rain"] {
    ///     hub.publish(now, weather, &Event::new().data(sky)).unwrap();
    /// }
    /// let config = ConnectionConfig { last_event_id: Some("0-1".into()), ..ConnectionConfig::default() };
    /// let connection = hub.connect(now, config).unwrap();
    /// assert_eq!(hub.subscribe(now, weather, connection)?, Resume::Replayed { events: 2 });
    /// # Ok::<(), sse_core::SubscribeError>(())
    /// ```
    pub fn subscribe(
        &mut self,
        now: Instant,
        channel: ChannelId,
        connection: ConnectionId,
    ) -> Result<Resume, SubscribeError> {
        let now = self.observe(now);
        let index = self.connections.index(connection);
        let index = index.ok_or(SubscribeError::UnknownConnection(connection))?;
        let followed = self.live_channel(channel).ok_or(SubscribeError::UnknownChannel(channel))?;
        if !self.may_subscribe(index, followed, connection)? {
            return Ok(Resume::UpToDate);
        }
        if let Some(channel) = self.channels.at_mut(followed) {
            self.stats.history_bytes =
                self.stats.history_bytes.saturating_sub(channel.history.expire_measured(now));
        }
        let resume = self.attach(index, followed);
        if matches!(resume, Resume::Gap { .. } | Resume::Unknown) {
            self.stats.gaps = self.stats.gaps.saturating_add(1);
        }
        if self.is_due(index) {
            self.wake(index);
        } else {
            // What it was left out of is none of its losses when history lets go of it.
            self.settle(index);
        }
        Ok(resume)
    }

    /// Has a connection follow a channel no longer. What is due from it is given up, but for a frame in progress
    /// (S3). False when it did not follow it.
    ///
    /// ```
    /// # use sse_core::{ChannelConfig, ConnectionConfig, Hub, HubConfig, Instant};
    /// # let mut hub = Hub::new(HubConfig::default()).unwrap();
    /// # let now = Instant::ORIGIN;
    /// # let weather = hub.open_channel(now, "weather", ChannelConfig::default()).unwrap();
    /// # let connection = hub.connect(now, ConnectionConfig::default()).unwrap();
    /// hub.subscribe(now, weather, connection).unwrap();
    /// assert!(hub.unsubscribe(now, weather, connection));
    /// ```
    pub fn unsubscribe(&mut self, now: Instant, channel: ChannelId, connection: ConnectionId) -> bool {
        self.observe(now);
        let Some(index) = self.connections.index(connection) else { return false };
        let Some(followed) = self.channels.index(channel) else { return false };
        let Some(number) = self.connections.at(index).and_then(|c| c.subscriptions.find(followed)) else {
            return false;
        };
        self.detach(index, number);
        self.plan(index);
        if self.is_due(index) {
            // The sweep of the channel that was left will not come to it.
            self.wake(index);
        } else if let Some(connection) = self.connections.at_mut(index) {
            connection.due_since = MaybeInstant::NONE;
        }
        self.settle(index);
        true
    }

    /// Closes a channel: its name is free and nothing can be published to it from now on; what was published is
    /// still delivered, and then its subscriptions end (K3). False when it is not open.
    ///
    /// # Cost
    ///
    /// O(1); its members are visited by [`poll_action`](Hub::poll_action).
    ///
    /// ```
    /// # use sse_core::{Action, ChannelCloseReason, ChannelConfig, Hub, HubConfig, Instant};
    /// # let mut hub = Hub::new(HubConfig::default()).unwrap();
    /// # let now = Instant::ORIGIN;
    /// let channel = hub.open_channel(now, "weather", ChannelConfig::default()).unwrap();
    /// assert!(hub.close_channel(now, channel));
    /// assert_eq!(hub.channel("weather"), None);
    /// let reason = ChannelCloseReason::Requested;
    /// assert_eq!(hub.poll_action(), Some(Action::ChannelClosed { channel, reason }));
    /// ```
    pub fn close_channel(&mut self, now: Instant, channel: ChannelId) -> bool {
        self.observe(now);
        let Some(index) = self.live_channel(channel) else { return false };
        self.end_channel(index, ChannelCloseReason::Requested);
        true
    }

    /// The slot of a channel that takes events and members.
    pub(super) fn live_channel(&self, channel: ChannelId) -> Option<u32> {
        self.channels.index(channel).filter(|index| self.channels.at(*index).is_some_and(|c| !c.is_closed))
    }

    pub(super) fn end_channel(&mut self, index: u32, reason: ChannelCloseReason) {
        let Some(id) = self.channels.key(index) else { return };
        let Some(channel) = self.channels.at_mut(index) else { return };
        channel.is_closed = true;
        self.names.remove(&channel.name);
        self.notices.push_back(Action::ChannelClosed { channel: id, reason });
        if channel.members.is_empty() {
            self.free_channel(index);
        } else if channel.members.ask_sweep() {
            self.sweeps.push_back(id);
        }
    }

    /// Takes subscription `number` of a connection away, and what it held in its channel.
    pub(super) fn detach(&mut self, index: u32, number: usize) {
        let Some(connection) = self.connections.at_mut(index) else { return };
        let Some(gone) = connection.subscriptions.as_slice().get(number).copied() else { return };
        connection.subscriptions.remove(number);
        let Some(channel) = self.channels.at_mut(gone.channel) else { return };
        channel.backlog.leave(gone.stands);
        for (moved, member) in channel.members.leave(gone.member).into_iter().flatten() {
            let Some(connection) = self.connections.at_mut(moved) else { continue };
            let Some(number) = connection.subscriptions.find(gone.channel) else { continue };
            if let Some(subscription) = connection.subscriptions.as_mut_slice().get_mut(number) {
                subscription.member = member;
            }
        }
        if !channel.members.is_empty() {
            return;
        }
        if channel.is_closed {
            self.free_channel(gone.channel);
        } else {
            channel.empty_since = self.now;
            self.arm_channel(gone.channel);
        }
    }

    /// Plans the start of a connection anew, if it still may (O3). What is due to one that is being closed stands: a
    /// reset beyond its end would hide what other channels have before that.
    fn plan(&mut self, index: u32) {
        let Hub { connections, channels, epoch, now, .. } = self;
        let Some(connection) = connections.at_mut(index) else { return };
        if !connection.is_planning || !connection.is_open() {
            return;
        }
        connection.plan(channels, |connection: &mut Connection, position: Position| {
            connection.push_reset(*now, position, reset_frame(epoch, position));
        });
    }

    /// Whether a subscription is to be made: false when there is one.
    fn may_subscribe(
        &self,
        index: u32,
        followed: u32,
        connection: ConnectionId,
    ) -> Result<bool, SubscribeError> {
        let state = self.connections.at(index).ok_or(SubscribeError::UnknownConnection(connection))?;
        if !state.is_open() {
            return Err(SubscribeError::Closing(connection));
        }
        if state.subscriptions.find(followed).is_some() {
            return Ok(false);
        }
        let limits = &self.config.limits;
        if state.subscriptions.as_slice().len() >= limits.subscriptions {
            return Err(SubscribeError::TooManySubscriptions { limit: limits.subscriptions });
        }
        if self.channels.at(followed).is_some_and(|channel| channel.members.len() >= limits.members) {
            return Err(SubscribeError::TooManyMembers { limit: limits.members });
        }
        Ok(true)
    }

    /// Makes a subscription that is allowed.
    fn attach(&mut self, index: u32, followed: u32) -> Resume {
        let (settled, head, now) = (self.settled(), self.head, self.now);
        let Hub { connections, channels, epoch, .. } = self;
        let (Some(connection), Some(channel)) = (connections.at_mut(index), channels.at_mut(followed)) else {
            return Resume::UpToDate;
        };
        let Some(member) = channel.members.join(index) else { return Resume::UpToDate };
        let live_from = channel.last.max(settled);
        let mut subscription = Subscription::live(followed, member, live_from);
        subscription.join(channel, connection.position);
        connection.subscriptions.push(subscription);
        if !connection.is_planning {
            let Some(asked) = &connection.asked else { return Resume::Fresh };
            // A client may be ahead of a hub that is fed (O4).
            let lost_through = asked.position.map_or(head, |position| position.max(head));
            if let Some(subscription) = connection.subscriptions.as_mut_slice().last_mut() {
                subscription.replay_from(channel, lost_through);
            }
            if channel.config.on_gap == GapPolicy::Reset {
                // Before all that is still due: an id behind the loss would hide it (H7).
                let position = connection.position;
                connection.push_reset(now, position, reset_frame(epoch, lost_through));
            }
            return Resume::Gap { lost_through, events: 0 };
        }
        if let Some(asked) = &mut connection.asked
            && let Some(id) = asked.id.as_str()
            && let Some(found) = channel.history.find(id)
        {
            asked.position = Some(asked.position.map_or(found, |known| known.min(found)));
        }
        self.plan(index);
        self.told(index, followed)
    }

    fn told(&self, index: u32, followed: u32) -> Resume {
        let (Some(connection), Some(channel)) = (self.connections.at(index), self.channels.at(followed))
        else {
            return Resume::UpToDate;
        };
        let subscriptions = connection.subscriptions.as_slice();
        let asked = connection.asked.as_ref().map(|asked| asked.position);
        let made = connection.subscriptions.find(followed).and_then(|number| subscriptions.get(number));
        made.map_or(Resume::UpToDate, |subscription| subscription.resume(channel, asked))
    }

    pub(super) fn arm_channel(&mut self, index: u32) {
        let Some(channel) = self.channels.at_mut(index) else { return };
        let next = channel.next_deadline();
        self.deadlines.set_by(&mut channel.armed, Timer::Channel(index), next);
    }

    fn free_channel(&mut self, index: u32) {
        let Some(channel) = self.channels.at_mut(index) else { return };
        self.deadlines.set(&mut channel.armed, Timer::Channel(index), None);
        self.stats.history_bytes = self.stats.history_bytes.saturating_sub(channel.history.bytes());
        self.channels.remove(index);
        if self.names.is_empty() {
            self.names = hashbrown::HashMap::new();
        }
    }
}
