//! The part of a hub that an application may use under the lock.

use alloc::vec::Vec;
use core::ops::Deref;
use core::time::Duration;

use crate::{
    ChannelConfig, ChannelId, ConnectionId, DrainConfig, Event, Finished, Frame, Hub, Instant, Join,
    OpenError, Past, PastEvent, Position, PublishError, PublishOptions, Published, Resume, SendError,
    SubscribeError,
};

use super::held;

/// The hub while it is locked: [`SharedHub::with`](super::SharedHub::with).
///
/// It dereferences to [`Hub`] for everything that reads. It lacks the calls that belong to the driver and to the transports:
/// actions are polled by the driver, bytes are taken by the [`Outbound`](super::Outbound), and dropping the outbound
/// disconnects. Open connections by [`SharedHub::connect`](super::SharedHub::connect).
#[derive(Debug)]
pub struct HubMut<'a> {
    hub: &'a mut Hub,
}

impl<'a> HubMut<'a> {
    pub(crate) fn new(hub: &'a mut Hub) -> HubMut<'a> {
        HubMut { hub }
    }

    /// Opens a channel: [`Hub::open_channel`].
    ///
    /// # Errors
    ///
    /// [`OpenError`], as [`Hub::open_channel`].
    pub fn open_channel(
        &mut self,
        now: Instant,
        name: &str,
        config: ChannelConfig,
    ) -> Result<ChannelId, OpenError> {
        self.hub.open_channel(now, name, config)
    }

    /// Opens a channel with its past: [`Hub::open_channel_with`].
    ///
    /// # Errors
    ///
    /// [`OpenError`], as [`Hub::open_channel_with`].
    pub fn open_channel_with(
        &mut self,
        now: Instant,
        name: &str,
        config: ChannelConfig,
        past: &Past<'_>,
    ) -> Result<ChannelId, OpenError> {
        let events: Vec<PastEvent> = past
            .events
            .iter()
            .map(|event| PastEvent { frame: held::droppable(&event.frame).into_owned(), ..*event })
            .collect();
        self.hub.open_channel_with(now, name, config, &Past { events: &events, ..*past })
    }

    /// Moves the head of a hub that follows a log: [`Hub::advance`].
    pub fn advance(&mut self, now: Instant, position: Position) {
        self.hub.advance(now, position);
    }

    /// Declares that events of a channel are lost: [`Hub::lose`].
    pub fn lose(&mut self, now: Instant, channel: ChannelId, through: Position) -> bool {
        self.hub.lose(now, channel, through)
    }

    /// Closes a channel: [`Hub::close_channel`].
    pub fn close_channel(&mut self, now: Instant, channel: ChannelId) -> bool {
        self.hub.close_channel(now, channel)
    }

    /// Finishes a channel: [`Hub::finish_channel`].
    ///
    /// # Errors
    ///
    /// [`PublishError`], as [`Hub::finish_channel`].
    pub fn finish_channel(
        &mut self,
        now: Instant,
        channel: ChannelId,
        last: Option<&Event<'_>>,
        keep: Duration,
    ) -> Result<Finished, PublishError> {
        self.hub.finish_channel(now, channel, last, keep)
    }

    /// Subscribes a connection to a channel: [`Hub::subscribe`].
    ///
    /// # Errors
    ///
    /// [`SubscribeError`], as [`Hub::subscribe`].
    pub fn subscribe(
        &mut self,
        now: Instant,
        channel: ChannelId,
        connection: ConnectionId,
    ) -> Result<Resume, SubscribeError> {
        self.hub.subscribe(now, channel, connection)
    }

    /// Subscribes a connection to a channel, and states what its client has of it: [`Hub::join`].
    ///
    /// # Errors
    ///
    /// [`SubscribeError`], as [`Hub::join`].
    pub fn join(
        &mut self,
        now: Instant,
        channel: ChannelId,
        connection: ConnectionId,
        join: Join<'_>,
    ) -> Result<Resume, SubscribeError> {
        self.hub.join(now, channel, connection, join)
    }

    /// Ends a subscription: [`Hub::unsubscribe`].
    pub fn unsubscribe(&mut self, now: Instant, channel: ChannelId, connection: ConnectionId) -> bool {
        self.hub.unsubscribe(now, channel, connection)
    }

    /// Publishes an event to one channel: [`Hub::publish`].
    ///
    /// # Errors
    ///
    /// [`PublishError`], as [`Hub::publish`].
    pub fn publish(
        &mut self,
        now: Instant,
        channel: ChannelId,
        event: &Event<'_>,
    ) -> Result<Published, PublishError> {
        self.hub.publish(now, channel, event)
    }

    /// Publishes an event to several channels: [`Hub::publish_to`].
    ///
    /// # Errors
    ///
    /// [`PublishError`], as [`Hub::publish_to`].
    pub fn publish_to(
        &mut self,
        now: Instant,
        channels: &[ChannelId],
        event: &Event<'_>,
        options: PublishOptions<'_>,
    ) -> Result<Published, PublishError> {
        self.hub.publish_to(now, channels, event, options)
    }

    /// Publishes a frame at a position that another system assigned: [`Hub::publish_at`].
    ///
    /// # Errors
    ///
    /// [`PublishError`], as [`Hub::publish_at`].
    pub fn publish_at(
        &mut self,
        now: Instant,
        channels: &[ChannelId],
        position: Position,
        frame: &Frame,
        options: PublishOptions<'_>,
    ) -> Result<Published, PublishError> {
        self.hub.publish_at(now, channels, position, &held::droppable(frame), options)
    }

    /// Sends a frame to one connection: [`Hub::send`].
    ///
    /// # Errors
    ///
    /// [`SendError`], as [`Hub::send`].
    pub fn send(&mut self, now: Instant, connection: ConnectionId, frame: &Frame) -> Result<(), SendError> {
        self.hub.send(now, connection, &held::droppable(frame))
    }

    /// Changes the ping interval of a connection: [`Hub::set_ping`].
    pub fn set_ping(&mut self, now: Instant, connection: ConnectionId, interval: Option<Duration>) -> bool {
        self.hub.set_ping(now, connection, interval)
    }

    /// Changes the maximum lifetime of a connection: [`Hub::set_max_lifetime`].
    pub fn set_max_lifetime(
        &mut self,
        now: Instant,
        connection: ConnectionId,
        lifetime: Option<Duration>,
    ) -> bool {
        self.hub.set_max_lifetime(now, connection, lifetime)
    }

    /// Sets the last frame of a connection: [`Hub::set_farewell`].
    pub fn set_farewell(&mut self, now: Instant, connection: ConnectionId, farewell: Option<Frame>) -> bool {
        let farewell = farewell.map(|farewell| held::droppable(&farewell).into_owned());
        self.hub.set_farewell(now, connection, farewell)
    }

    /// Closes a connection once it has taken its pending bytes: [`Hub::close_connection`].
    pub fn close_connection(&mut self, now: Instant, connection: ConnectionId) -> bool {
        self.hub.close_connection(now, connection)
    }

    /// Sends a frame to each connection of a principal: [`Hub::send_to_principal`].
    pub fn send_to_principal(&mut self, now: Instant, principal: &str, frame: &Frame) -> usize {
        self.hub.send_to_principal(now, principal, &held::droppable(frame))
    }

    /// Closes each connection of a principal: [`Hub::close_principal`].
    pub fn close_principal(&mut self, now: Instant, principal: &str) -> usize {
        self.hub.close_principal(now, principal)
    }

    /// Ends the subscriptions of a principal to a channel: [`Hub::unsubscribe_principal`].
    pub fn unsubscribe_principal(&mut self, now: Instant, channel: ChannelId, principal: &str) -> usize {
        self.hub.unsubscribe_principal(now, channel, principal)
    }

    /// Closes all connections before a deadline and opens no new ones: [`Hub::drain`].
    pub fn drain(&mut self, now: Instant, config: DrainConfig) {
        self.hub.drain(now, config);
    }

    /// Closes all connections within the stall timeout and opens no new ones: [`Hub::shut_down`].
    pub fn shut_down(&mut self, now: Instant) {
        self.hub.shut_down(now);
    }
}

impl Deref for HubMut<'_> {
    type Target = Hub;

    fn deref(&self) -> &Hub {
        self.hub
    }
}
