//! The verbs of channels and subscriptions: open, subscribe, unsubscribe, close.

use alloc::boxed::Box;

use crate::config::{ChannelConfig, Limits};
use crate::id::{ChannelId, ConnectionId};
use crate::resume::Resume;
use crate::time::Instant;

use super::arena::{ChannelSlot, ConnectionSlot};
use super::channel::ChannelState;
use super::resume_point::{JoinTime, decide};
use super::subscription::{Subscription, SubscriptionNumber};
use super::timer_queue::TimerOwner;
use super::{Action, ChannelCloseReason, Hub, OpenError, SubscribeError};

impl Hub {
    /// Returns the channel with this name, and opens it if there is none ([K1](crate::rules#k1)). A channel that is
    /// open keeps its configuration.
    ///
    /// # Errors
    ///
    /// [`OpenError::TooManyChannels`] at the limit ([A1](crate::rules#a1)), [`OpenError::NameTooLong`].
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
        let now = self.advance_clock(now);
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
        let channel = ChannelState::new(now, name, config, self.head, self.complete_through());
        let id = self.channels.insert(channel).map_err(|_| refused)?;
        self.names.insert(Box::from(name), id);
        if let Some(slot) = self.channels.slot(id) {
            self.arm_channel_timer(slot);
        }
        Ok(id)
    }

    /// Returns the open channel with this name ([K1](crate::rules#k1)).
    ///
    /// ```
    /// # use sse_core::{Hub, HubConfig};
    /// # let hub = Hub::new(HubConfig::default()).unwrap();
    /// assert_eq!(hub.channel("weather"), None);
    /// ```
    pub fn channel(&self, name: &str) -> Option<ChannelId> {
        self.names.get(name).copied()
    }

    /// Subscribes a connection to a channel. It starts behind its last event id, or where the channel starts new
    /// connections ([H8](crate::rules#h8)).
    ///
    /// All subscriptions made before the connection's first byte is taken are one step ([O3](crate::rules#o3)): they
    /// resume together. A later one can find the position of an application's id, and so improve the result of an
    /// earlier one ([`Resume::Unknown`]). Subscriptions made after the first byte, or after [`Action::Lagged`], start
    /// live. Subscribing twice returns [`Resume::UpToDate`].
    ///
    /// # Errors
    ///
    /// [`SubscribeError`] when the connection or the channel is not open, or at a limit ([A1](crate::rules#a1)).
    ///
    /// # Cost
    ///
    /// O(subscriptions · log n) in the kept events.
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
        let now = self.advance_clock(now);
        let slot = self.connections.slot(connection);
        let slot = slot.ok_or(SubscribeError::UnknownConnection(connection))?;
        let channel = self.live_channel(channel).ok_or(SubscribeError::UnknownChannel(channel))?;
        if !self.may_subscribe(slot, channel, connection)? {
            return Ok(Resume::UpToDate);
        }
        if let Some(channel) = self.channels.at_mut(channel) {
            self.stats.history_bytes = self.stats.history_bytes.saturating_sub(channel.history.expire(now));
        }
        let resume = self.add_subscription(slot, channel);
        if matches!(resume, Resume::Gap { .. } | Resume::Unknown) {
            self.stats.gaps = self.stats.gaps.saturating_add(1);
        }
        if self.has_pending(slot) {
            self.notify(slot);
        } else {
            // Passes events that exclude this connection, so that evicting them later does not count as a loss.
            self.finish_if_idle(slot);
        }
        Ok(resume)
    }

    /// Unsubscribes a connection from a channel. Pending events of the channel are given up, except for a partly taken
    /// frame ([S3](crate::rules#s3)). Returns false when the connection did not follow the channel.
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
        self.advance_clock(now);
        let Some(slot) = self.connections.slot(connection) else { return false };
        let Some(channel) = self.channels.slot(channel) else { return false };
        let Some(number) = self.connections.at(slot).and_then(|c| c.subscriptions.find(channel)) else {
            return false;
        };
        self.remove_subscription(slot, number);
        self.decide_starts(slot);
        if self.has_pending(slot) {
            // The sweep of the channel no longer visits the connection.
            self.notify(slot);
        } else if let Some(connection) = self.connections.at_mut(slot) {
            connection.pending_since = None;
        }
        self.finish_if_idle(slot);
        true
    }

    /// Closes a channel: its name is free, and nothing can be published to it any more. What was published is still
    /// delivered; then the subscriptions end ([K3](crate::rules#k3)). Returns false when the channel is not open.
    ///
    /// A channel that is opened later under the same name is another channel, and its members subscribe anew. A client
    /// that stayed connected for other channels may by then have a last event id above the first events of the new
    /// channel. When it reconnects with that id, those events count as received. Where that matters, choose
    /// [`OnClose::CloseConnections`](crate::OnClose::CloseConnections), or keep the channel open.
    ///
    /// # Cost
    ///
    /// O(1). The members are visited by [`poll_action`](Hub::poll_action).
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
        self.advance_clock(now);
        let Some(channel) = self.live_channel(channel) else { return false };
        self.end_channel(channel, ChannelCloseReason::Requested);
        true
    }

    /// Returns the slot of a channel that accepts events and members.
    pub(super) fn live_channel(&self, channel: ChannelId) -> Option<ChannelSlot> {
        self.channels.slot(channel).filter(|slot| self.channels.at(*slot).is_some_and(|c| !c.is_closed))
    }

    pub(super) fn end_channel(&mut self, slot: ChannelSlot, reason: ChannelCloseReason) {
        let Some((id, channel)) = self.channels.entry_mut(slot) else { return };
        channel.is_closed = true;
        self.names.remove(&channel.name);
        self.notices.push_back(Action::ChannelClosed { channel: id, reason });
        if channel.members.is_empty() {
            self.free_channel(slot);
        } else if channel.members.request_sweep() {
            self.sweeps.push_back(id);
        }
    }

    /// Removes a subscription of a connection, and its reader from the channel.
    pub(super) fn remove_subscription(&mut self, slot: ConnectionSlot, number: SubscriptionNumber) {
        let Some(connection) = self.connections.at_mut(slot) else { return };
        let Some(removed) = connection.subscriptions.get(number).copied() else { return };
        connection.subscriptions.remove(number);
        let Some(channel) = self.channels.at_mut(removed.channel) else { return };
        channel.backlog.leave(removed.counted_at);
        for (moved, member) in channel.members.leave(removed.member).into_iter().flatten() {
            let Some(connection) = self.connections.at_mut(moved) else { continue };
            let Some(number) = connection.subscriptions.find(removed.channel) else { continue };
            if let Some(subscription) = connection.subscriptions.get_mut(number) {
                subscription.member = member;
            }
        }
        if !channel.members.is_empty() {
            return;
        }
        if channel.is_closed {
            self.free_channel(removed.channel);
        } else {
            channel.empty_since = self.now;
            self.arm_channel_timer(removed.channel);
        }
    }

    /// Decides anew where the subscriptions of a connection start, while that is open (O3). Returns the outcome for the
    /// last subscription. The start of a closing connection stands: a reset beyond its end would hide events of other
    /// channels before that.
    fn decide_starts(&mut self, slot: ConnectionSlot) -> Option<Resume> {
        let Hub { connections, channels, epoch, control_frames, now, .. } = self;
        let connection = connections.at_mut(slot)?;
        if !connection.start_is_open || !connection.is_open() {
            return None;
        }
        connection.decide_starts(channels, |own_frames, reset| {
            own_frames.insert_reset(*now, reset.before, control_frames.reset(epoch, reset.id));
        })
    }

    /// Checks the limits for a new subscription. Returns false when the connection follows the channel already.
    fn may_subscribe(
        &self,
        slot: ConnectionSlot,
        channel: ChannelSlot,
        connection: ConnectionId,
    ) -> Result<bool, SubscribeError> {
        let state = self.connections.at(slot).ok_or(SubscribeError::UnknownConnection(connection))?;
        if !state.is_open() {
            return Err(SubscribeError::Closing(connection));
        }
        if state.subscriptions.find(channel).is_some() {
            return Ok(false);
        }
        let limits = &self.config.limits;
        if state.subscriptions.as_slice().len() >= limits.subscriptions {
            return Err(SubscribeError::TooManySubscriptions { limit: limits.subscriptions });
        }
        if self.channels.at(channel).is_some_and(|channel| channel.members.len() >= limits.members) {
            return Err(SubscribeError::TooManyMembers { limit: limits.members });
        }
        Ok(true)
    }

    /// Adds a subscription that is allowed, and decides where it starts.
    fn add_subscription(&mut self, slot: ConnectionSlot, followed: ChannelSlot) -> Resume {
        let (complete_through, head) = (self.complete_through(), self.head);
        let Hub { connections, channels, .. } = self;
        let (Some(connection), Some(channel)) = (connections.at_mut(slot), channels.at_mut(followed)) else {
            return Resume::UpToDate;
        };
        let Some(member) = channel.members.join(slot) else { return Resume::UpToDate };
        let live_after = channel.last.max(complete_through);
        let mut subscription = Subscription::live(followed, member, live_after);
        subscription.join(channel, connection.position);
        if connection.start_is_open {
            connection.subscriptions.push(subscription);
            if let Some(request) = &mut connection.resume_request
                && let Some(id) = request.id.as_str()
                && let Some(found) = channel.history.find(id)
            {
                request.position = Some(request.position.map_or(found, |known| known.min(found)));
            }
            return self.decide_starts(slot).unwrap_or(Resume::UpToDate);
        }
        let joined = JoinTime::Later { connection: connection.position, head };
        let decision = decide(&subscription, channel, connection.resume_point(), joined);
        subscription.replay_from(channel, decision.start_after);
        connection.subscriptions.push(subscription);
        if let Some(reset) = decision.reset {
            self.insert_reset(slot, reset);
        }
        decision.outcome
    }

    pub(super) fn arm_channel_timer(&mut self, slot: ChannelSlot) {
        let Some(channel) = self.channels.at_mut(slot) else { return };
        let next = channel.next_deadline();
        self.timers.set_by(&mut channel.timer, TimerOwner::Channel(slot), next);
    }

    fn free_channel(&mut self, slot: ChannelSlot) {
        let Some(channel) = self.channels.at_mut(slot) else { return };
        self.timers.set(&mut channel.timer, TimerOwner::Channel(slot), None);
        self.stats.history_bytes = self.stats.history_bytes.saturating_sub(channel.history.bytes());
        self.channels.remove(slot);
        if self.names.is_empty() {
            self.names = hashbrown::HashMap::new();
        }
    }
}
