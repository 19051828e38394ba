//! The verbs of subscriptions: subscribe, join, unsubscribe; and where each subscription starts.

use alloc::vec::Vec;

use crate::id::{ChannelId, ConnectionId, Position};
use crate::resume::{Join, Resume};
use crate::time::Instant;

use super::arena::{ChannelSlot, ConnectionSlot};
use super::resume_point::{JoinPoint, JoinTime, LateJoin, decide};
use super::subscription::{Subscription, SubscriptionNumber};
use super::{Hub, SubscribeError};

impl Hub {
    /// Subscribes a connection to a channel. It starts behind its last event id, or where the channel starts new
    /// connections ([H8](crate::rules#h8)).
    ///
    /// All subscriptions made before the connection's first byte is taken are one step ([O3](crate::rules#o3)): they
    /// resume together. A later one can find the position of an application's id, and so improve the result of an
    /// earlier one ([`Resume::Unknown`]). Subscriptions made after the first byte, or after
    /// [`Action::Lagged`](crate::Action::Lagged), start live. Subscribing twice returns [`Resume::UpToDate`].
    ///
    /// # Errors
    ///
    /// [`SubscribeError`] when the connection or the channel is not open, or at a limit ([A1](crate::rules#a1)).
    ///
    /// # Cost
    ///
    /// O(subscriptions · log n) in the kept events, and one encoded reset for each gap.
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
        self.subscribe_as(now, channel, connection, None)
    }

    /// Subscribes a connection to a channel, and states what its client has of the channel ([O6](crate::rules#o6)). A page
    /// that joins a room on an open connection calls this: unlike [`subscribe`](Hub::subscribe), the hub does not have to
    /// assume a loss.
    ///
    /// - [`Join::New`]: the client never had the channel. The result is [`Resume::Fresh`]: live events, no reset.
    /// - [`Join::After`]: the channel was complete at the client at this id, usually the last event id that the page had
    ///   when its connection was cut. The result is [`Resume::UpToDate`] or [`Resume::Replayed`] if all events that the
    ///   client missed stand above the position of the connection. Otherwise it is [`Resume::Gap`], and the
    ///   [`GapPolicy`](crate::GapPolicy) of the channel applies.
    ///
    /// A join ends the first step of the connection ([O3](crate::rules#o3)): subscribe to the channels that resume from
    /// the last event id first. On a connection without a last event id, [`Join::New`] is [`subscribe`](Hub::subscribe).
    ///
    /// # Errors
    ///
    /// As [`subscribe`](Hub::subscribe).
    ///
    /// # Cost
    ///
    /// O(subscriptions · log n) in the kept events, and O(n) if the newest of them exclude this connection.
    ///
    /// ```
    /// # use sse_core::{ChannelConfig, ConnectionConfig, Event, Hub, HubConfig, Instant, Join, LastEventId, Resume};
    /// # let mut hub = Hub::new(HubConfig::default()).unwrap();
    /// # let now = Instant::ORIGIN;
    /// let rooms = ["red", "blue", "green"].map(|name| hub.open_channel(now, name, ChannelConfig::default()).unwrap());
    /// hub.publish(now, rooms[0], &Event::new().data("sunny")).unwrap();
    /// let last_event_id = Some("0-1".into());
    /// let connection = hub.connect(now, ConnectionConfig { last_event_id, ..ConnectionConfig::default() }).unwrap();
    /// hub.subscribe(now, rooms[0], connection)?;
    /// hub.publish(now, rooms[1], &Event::new().data("rain")).unwrap();
    /// // The page had the second room at "0-1", and opens the third one for the first time.
    /// let had = LastEventId::from("0-1");
    /// assert_eq!(hub.join(now, rooms[1], connection, Join::After(&had))?, Resume::Replayed { events: 1 });
    /// assert_eq!(hub.join(now, rooms[2], connection, Join::New)?, Resume::Fresh);
    /// # Ok::<(), sse_core::SubscribeError>(())
    /// ```
    pub fn join(
        &mut self,
        now: Instant,
        channel: ChannelId,
        connection: ConnectionId,
        join: Join<'_>,
    ) -> Result<Resume, SubscribeError> {
        self.subscribe_as(now, channel, connection, Some(join))
    }

    fn subscribe_as(
        &mut self,
        now: Instant,
        channel: ChannelId,
        connection: ConnectionId,
        join: Option<Join<'_>>,
    ) -> Result<Resume, SubscribeError> {
        self.advance_clock(now);
        let slot = self.connections.slot(connection);
        let slot = slot.ok_or(SubscribeError::UnknownConnection(connection))?;
        let channel = self.live_channel(channel).ok_or(SubscribeError::UnknownChannel(channel))?;
        if !self.may_subscribe(slot, channel, connection)? {
            return Ok(Resume::UpToDate);
        }
        self.expire_history(channel);
        let resume = self.add_subscription(slot, channel, join);
        if matches!(resume, Resume::Gap { .. } | Resume::Unknown) {
            self.stats.gaps = self.stats.gaps.saturating_add(1);
        }
        if self.has_pending(slot) {
            self.notify(slot);
        } else {
            // Passes events that exclude this connection, so that evicting them later does not count as a loss.
            self.finish_if_idle(slot);
            self.notify_if_leaving(slot);
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
        if self.decide_starts(slot).is_some() {
            self.refresh_start(slot);
        }
        if self.has_pending(slot) {
            // The sweep of the channel no longer visits the connection.
            self.notify(slot);
        } else if let Some(connection) = self.connections.at_mut(slot) {
            connection.pending_since = None;
        }
        self.finish_if_idle(slot);
        self.notify_if_leaving(slot);
        true
    }

    /// Removes a subscription of a connection, and its reader from the channel.
    pub(super) fn remove_subscription(&mut self, slot: ConnectionSlot, number: SubscriptionNumber) {
        let Some(connection) = self.connections.at_mut(slot) else { return };
        let Some(mut removed) = connection.subscriptions.get(number).copied() else { return };
        connection.subscriptions.remove(number);
        let Some(channel) = self.channels.at_mut(removed.channel) else { return };
        removed.end_replay(channel);
        channel.backlog.leave(removed.counted_at);
        for (moved, member) in channel.members.leave(removed.member()).into_iter().flatten() {
            let Some(connection) = self.connections.at_mut(moved) else { continue };
            let Some(number) = connection.subscriptions.find(removed.channel) else { continue };
            if let Some(subscription) = connection.subscriptions.get_mut(number) {
                subscription.set_member(member);
            }
        }
        if !channel.members.is_empty() {
            return;
        }
        if channel.is_closed {
            self.free_channel(removed.channel);
        } else {
            channel.empty_since = self.now;
            channel.producer.begin_absence();
            self.arm_channel_timer(removed.channel);
        }
    }

    /// Decides anew where the subscriptions of a connection start, while that is open (O3). Returns the outcome for the
    /// last subscription. The start of a closing connection stands: a reset beyond its end would hide events of other
    /// channels before that.
    fn decide_starts(&mut self, slot: ConnectionSlot) -> Option<Resume> {
        let (id, connection) = self.connections.entry_mut(slot)?;
        if !connection.start_is_open || !connection.is_open() {
            return None;
        }
        let (outcome, resets) = connection.decide_starts(id, &mut self.channels);
        for before in resets {
            self.insert_reset(slot, before);
        }
        outcome
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
    fn add_subscription(
        &mut self,
        slot: ConnectionSlot,
        followed: ChannelSlot,
        join: Option<Join<'_>>,
    ) -> Resume {
        let complete_through = self.complete_through();
        let Hub { connections, channels, .. } = self;
        let (Some(connection), Some(channel)) = (connections.at_mut(slot), channels.at_mut(followed)) else {
            return Resume::UpToDate;
        };
        let Some(member) = channel.members.join(slot) else { return Resume::UpToDate };
        let live_after = channel.last.max(complete_through);
        let mut subscription = Subscription::live(followed, member, live_after);
        subscription.join(channel, connection.position);
        let is_plain = join.is_none_or(|join| join == Join::New && connection.resume_request().is_none());
        if !(connection.start_is_open && is_plain) {
            return self.add_late_subscription(slot, subscription, join);
        }
        connection.subscriptions.push(subscription);
        if let Some(request) = connection.resume_request_mut()
            && let Some(id) = request.id.as_str()
            && let Some(found) = channel.history.find(id)
        {
            request.position = Some(request.position.map_or(found, |known| known.min(found)));
        }
        let resume = self.decide_starts(slot).unwrap_or(Resume::UpToDate);
        self.refresh_start(slot);
        resume
    }

    /// Adds a subscription behind what its client has (O3, O6), and announces the position from which on the id of the
    /// client stands for its channel, too (O9).
    fn add_late_subscription(
        &mut self,
        slot: ConnectionSlot,
        mut subscription: Subscription,
        join: Option<Join<'_>>,
    ) -> Resume {
        let joined = self.join_point(slot, subscription.channel, join);
        let (now, head, complete_through) = (self.now, self.head, self.complete_through());
        let Some((id, connection)) = self.connections.entry_mut(slot) else { return Resume::UpToDate };
        connection.end_first_step(&self.channels);
        let Some(channel) = self.channels.at_mut(subscription.channel) else { return Resume::UpToDate };
        let (position, client) = (connection.position, connection.client_position());
        let lost_through = head.max(client);
        let late = LateJoin { joined, position, client, complete_through, lost_through };
        let point = connection.resume_point();
        let recipient = (id, connection.client());
        let decision = decide(recipient, &subscription, channel, point, JoinTime::Later(late));
        subscription.replay_from(channel, decision.start_after);
        connection.subscriptions.push(subscription);
        let announced = complete_through.max(position);
        // The id of a client that is ahead of the hub stands for the channel already, and ids never go back.
        let is_ahead = point.position().is_some_and(|point| point >= announced)
            || joined.position().is_some_and(|joined| joined > announced);
        if connection.announces_position && !is_ahead {
            let frame = self.control_frames.position(&self.epoch, announced);
            connection.own_frames.insert_position(now, announced, frame);
        }
        if let Some(before) = decision.reset_before {
            self.insert_reset(slot, before);
        }
        decision.outcome
    }

    /// Returns where the client of a connection stands in a channel that it joins late.
    fn join_point(&self, slot: ConnectionSlot, channel: ChannelSlot, join: Option<Join<'_>>) -> JoinPoint {
        let has_id =
            self.connections.at(slot).is_some_and(|connection| connection.resume_request().is_some());
        match join {
            Some(Join::After(id)) => {
                let found = || self.channels.at(channel)?.history.find(id.as_str()?);
                self.position_of(id).or_else(found).map_or(JoinPoint::Unknown, JoinPoint::At)
            }
            None if has_id => JoinPoint::Unknown,
            None | Some(Join::New) => JoinPoint::New,
        }
    }

    /// Inserts a reset for a loss that ends at a position (H7). Its id is decided before it is shown.
    pub(super) fn insert_reset(&mut self, slot: ConnectionSlot, before: Position) {
        self.insert_reset_with_id(slot, before, before);
    }

    fn insert_reset_with_id(&mut self, slot: ConnectionSlot, before: Position, id: Position) {
        let frame = self.control_frames.reset(&self.epoch, id);
        if let Some(connection) = self.connections.at_mut(slot) {
            connection.own_frames.insert_reset(self.now, before, id, frame);
        }
    }

    /// Gives the pending resets of a connection the ids that they need with its present subscriptions (H7).
    pub(super) fn refresh_resets(&mut self, slot: ConnectionSlot) {
        let Some(connection) =
            self.connections.at(slot).filter(|connection| !connection.own_frames.is_empty())
        else {
            return;
        };
        let resets: Vec<(Position, Position)> = connection.own_frames.resets().collect();
        for (before, former) in resets {
            if let Some(id) = self.reset_id(slot, before).filter(|id| *id != former) {
                self.insert_reset_with_id(slot, before, id);
            }
        }
    }

    /// Returns the position of the id that a reset just before a position has. It is the position before, if another
    /// channel of the connection has an event there that is still to come.
    fn reset_id(&self, slot: ConnectionSlot, before: Position) -> Option<Position> {
        let connection = self.connections.at(slot)?;
        if before <= connection.position {
            return Some(connection.client_position());
        }
        let may_arrive = before > self.complete_through();
        let has_event = connection.subscriptions.as_slice().iter().any(|subscription| {
            let is_next = |channel| {
                subscription.next(channel, before.before()).is_some_and(|place| place.position == before)
            };
            subscription.owed_after < before
                && (may_arrive || self.channels.at(subscription.channel).is_some_and(is_next))
        });
        Some(if has_event { before.before() } else { before })
    }
}
