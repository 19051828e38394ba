//! The verbs of connections: open, send, configure, close.

use core::time::Duration;

use crate::config::{ConnectionConfig, Limits, PositionSource};
use crate::id::{ConnectionId, Position};
use crate::mix::splitmix64;
use crate::resume::LastEventId;
use crate::stats::CloseReason;
use crate::time::Instant;
use crate::wire::Frame;

use super::arena::ConnectionSlot;
use super::connection::{ConnectionState, ResumeRequest};
use super::principals::check_identity;
use super::timer_queue::TimerOwner;
use super::{Action, ConnectError, Hub, SendError};

impl Hub {
    /// Opens a connection.
    ///
    /// # Errors
    ///
    /// [`ConnectError::TooManyConnections`] at the limit ([A1](crate::rules#a1)), [`ConnectError::TooManyOfPrincipal`] at
    /// that of the principal ([U2](crate::rules#u2)), [`ConnectError::ShuttingDown`], [`ConnectError::PingTooShort`],
    /// [`ConnectError::FarewellHasId`], [`ConnectError::FarewellTooLarge`], [`ConnectError::PrincipalTooLong`],
    /// [`ConnectError::ClientTooLong`].
    ///
    /// # Cost
    ///
    /// O(log n) in the connections, for the timer. At the limit of its principal, O(connections of the principal) in addition.
    ///
    /// ```
    /// use sse_core::{ConnectionConfig, Hub, HubConfig, Instant};
    ///
    /// let mut hub = Hub::new(HubConfig::default()).unwrap();
    /// let config = ConnectionConfig { last_event_id: Some("0-17".into()), ..ConnectionConfig::default() };
    /// let connection = hub.connect(Instant::ORIGIN, config)?;
    /// # Ok::<(), sse_core::ConnectError>(())
    /// ```
    pub fn connect(&mut self, now: Instant, config: ConnectionConfig) -> Result<ConnectionId, ConnectError> {
        let now = self.advance_clock(now);
        if self.draining.is_some() {
            return Err(ConnectError::ShuttingDown);
        }
        if let Some(interval) = config.ping.filter(|interval| *interval < ConnectionConfig::MIN_PING) {
            return Err(ConnectError::PingTooShort { interval, min: ConnectionConfig::MIN_PING });
        }
        if let Some(farewell) = &config.farewell {
            self.check_farewell(farewell)?;
        }
        check_identity(&config)?;
        let refused = ConnectError::TooManyConnections { limit: self.config.limits.connections };
        match self.replaceable(&config)? {
            Some(former) => self.end_connection(former, CloseReason::Replaced),
            None if self.connections.len() >= self.config.limits.connections => return Err(refused),
            None => {}
        }
        let request = config.last_event_id.clone();
        let request = request.map(|id| ResumeRequest { position: self.position_of(&id), id });
        let client = config.client.as_deref().and_then(|key| self.identities.add_client(key));
        let mut connection = ConnectionState::new(now, self.complete_through(), &config, request, client);
        connection.ping.set(now, config.ping, splitmix64(self.config.seed, self.stats.opened));
        connection.own_frames.set_farewell(config.farewell);
        connection.expires_at = config.max_lifetime.and_then(|lifetime| now.checked_add(lifetime));
        let id = self.connections.insert(connection).map_err(|rejected| {
            if let Some(client) = rejected.client() {
                self.identities.release_client(client);
            }
            refused
        })?;
        self.stats.opened = self.stats.opened.saturating_add(1);
        if let Some(slot) = self.connections.slot(id) {
            if let Some(principal) = &config.principal {
                self.identities.join(principal, slot);
            }
            self.start_stall_scan();
            self.arm_timer(slot);
            self.notify(slot);
        }
        Ok(id)
    }

    /// Returns whether a connection is open or closing. The result is false as soon as the end of the connection is
    /// decided, even if the action that reports the end was not polled yet.
    ///
    /// ```
    /// # use sse_core::{ConnectionConfig, Hub, HubConfig, Instant};
    /// # let mut hub = Hub::new(HubConfig::default()).unwrap();
    /// # let now = Instant::ORIGIN;
    /// let connection = hub.connect(now, ConnectionConfig::default()).unwrap();
    /// assert!(hub.is_connection_open(connection));
    /// hub.disconnect(now, connection);
    /// assert!(!hub.is_connection_open(connection));
    /// ```
    pub fn is_connection_open(&self, connection: ConnectionId) -> bool {
        self.connections.slot(connection).is_some()
    }

    /// Ends a connection whose peer has disconnected. What was pending is given up, everything that the connection held
    /// is freed at once ([D8](crate::rules#d8)), and no action follows. Returns false when the connection is not open.
    ///
    /// # Cost
    ///
    /// O(subscriptions · log n).
    ///
    /// ```
    /// # use sse_core::{ConnectionConfig, Hub, HubConfig, Instant};
    /// # let mut hub = Hub::new(HubConfig::default()).unwrap();
    /// # let now = Instant::ORIGIN;
    /// let connection = hub.connect(now, ConnectionConfig::default()).unwrap();
    /// assert!(hub.disconnect(now, connection));
    /// assert!(!hub.disconnect(now, connection), "it is gone");
    /// ```
    pub fn disconnect(&mut self, now: Instant, connection: ConnectionId) -> bool {
        self.advance_clock(now);
        let Some(slot) = self.connections.slot(connection) else { return false };
        self.end_connection(slot, CloseReason::Disconnected);
        true
    }

    /// Closes a connection from the server's side. What was published and sent until now is still delivered, within the
    /// stall timeout. Then [`Action::Close`] follows. Returns false when the connection is not open.
    ///
    /// ```
    /// # use sse_core::{Action, CloseReason, ConnectionConfig, Hub, HubConfig, Instant};
    /// # let mut hub = Hub::new(HubConfig::default()).unwrap();
    /// # let now = Instant::ORIGIN;
    /// let config = ConnectionConfig { announce_position: false, ..ConnectionConfig::default() };
    /// let connection = hub.connect(now, config).unwrap();
    /// assert!(hub.close_connection(now, connection));
    /// let reason = CloseReason::Requested;
    /// assert_eq!(hub.poll_action(), Some(Action::Close { connection, reason }));
    /// ```
    pub fn close_connection(&mut self, now: Instant, connection: ConnectionId) -> bool {
        self.advance_clock(now);
        let Some(slot) = self.connections.slot(connection) else { return false };
        self.begin_close(slot, CloseReason::Requested);
        true
    }

    /// Sends a frame to one connection. The frame has no position: it stands behind everything published until now
    /// ([O1](crate::rules#o1)). An id in it belongs to the application. When the client comes back with it, the hub
    /// reports the id as unknown.
    ///
    /// # Errors
    ///
    /// Nothing was sent then:
    ///
    /// - [`SendError::Full`] or [`SendError::TooManyFrames`] when too much is pending for the connection
    ///   ([S2](crate::rules#s2));
    /// - [`SendError::TooLarge`], [`SendError::Closing`], [`SendError::UnknownConnection`].
    ///
    /// # Cost
    ///
    /// O(1). The bytes of the frame are not copied.
    ///
    /// ```
    /// # use sse_core::{ConnectionConfig, Event, Hub, HubConfig, Instant};
    /// # let mut hub = Hub::new(HubConfig::default()).unwrap();
    /// # let now = Instant::ORIGIN;
    /// # let connection = hub.connect(now, ConnectionConfig::default()).unwrap();
    /// let hello = Event::new().event("hello").data("only you").encode().unwrap();
    /// hub.send(now, connection, &hello)?;
    /// # Ok::<(), sse_core::SendError>(())
    /// ```
    pub fn send(&mut self, now: Instant, connection: ConnectionId, frame: &Frame) -> Result<(), SendError> {
        let now = self.advance_clock(now);
        let (head, limit) = (self.head, self.config.limits.event_bytes);
        let unknown = SendError::UnknownConnection(connection);
        let slot = self.connections.slot(connection).ok_or(unknown)?;
        let state = self.connections.at_mut(slot).ok_or(unknown)?;
        if !state.is_open() {
            return Err(SendError::Closing(connection));
        }
        let limit = limit.min(state.direct_limit());
        if frame.len() > limit {
            return Err(SendError::TooLarge { bytes: frame.len(), limit });
        }
        let (queued, frames) = state.own_frames.queued();
        if queued.saturating_add(frame.len()) > state.direct_limit() {
            return Err(SendError::Full { queued, limit: state.direct_limit() });
        }
        if frames >= Limits::MAX_DIRECT_FRAMES {
            return Err(SendError::TooManyFrames { limit: Limits::MAX_DIRECT_FRAMES });
        }
        state.own_frames.push_direct(now, head, frame.clone());
        self.notify(slot);
        Ok(())
    }

    /// Changes the interval of silence after which a connection is sent a comment ([T1](crate::rules#t1)); `None` turns
    /// pings off. The new interval counts from now. Returns false and changes nothing when the connection is not open, or
    /// when the interval is shorter than [`ConnectionConfig::MIN_PING`].
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use sse_core::{ConnectionConfig, Hub, HubConfig, Instant};
    /// # let mut hub = Hub::new(HubConfig::default()).unwrap();
    /// # let now = Instant::ORIGIN;
    /// # let connection = hub.connect(now, ConnectionConfig::default()).unwrap();
    /// assert!(hub.set_ping(now, connection, Some(Duration::from_secs(15))));
    /// ```
    pub fn set_ping(&mut self, now: Instant, connection: ConnectionId, interval: Option<Duration>) -> bool {
        let now = self.advance_clock(now);
        let Some(slot) = self.connections.slot(connection) else { return false };
        if interval.is_some_and(|interval| interval < ConnectionConfig::MIN_PING) {
            return false;
        }
        let random = splitmix64(self.config.seed, connection.index() as u64);
        let Some(state) = self.connections.at_mut(slot) else { return false };
        let (is_first, was_pending) = (state.ping.is_first(), state.ping.pending_since.is_some());
        state.ping.set(now, interval, if is_first { random } else { 0 });
        self.arm_timer(slot);
        if was_pending {
            self.restart_stall_clock(slot);
        }
        true
    }

    /// Sets the remaining lifetime of a connection, counted from now; `None` removes the limit ([T2](crate::rules#t2)).
    /// Returns false when the connection is not open, or is closing.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use sse_core::{Action, ConnectionConfig, Hub, HubConfig, Instant, OnMaxLifetime};
    /// # let mut hub = Hub::new(HubConfig::default()).unwrap();
    /// # let now = Instant::ORIGIN;
    /// let on_max_lifetime = OnMaxLifetime::Report;
    /// let config = ConnectionConfig { on_max_lifetime, announce_position: false, ..ConnectionConfig::default() };
    /// let connection = hub.connect(now, config).unwrap();
    /// assert!(hub.set_max_lifetime(now, connection, Some(Duration::from_secs(60))));
    /// hub.handle_timeout(Instant::from_millis(60_000));
    /// assert_eq!(hub.poll_action(), Some(Action::TimedOut(connection)));
    /// ```
    pub fn set_max_lifetime(
        &mut self,
        now: Instant,
        connection: ConnectionId,
        lifetime: Option<Duration>,
    ) -> bool {
        let now = self.advance_clock(now);
        let Some(slot) = self.connections.slot(connection) else { return false };
        let Some(state) = self.connections.at_mut(slot).filter(|state| state.is_open()) else {
            return false;
        };
        state.expires_at = lifetime.and_then(|lifetime| now.checked_add(lifetime));
        self.arm_timer(slot);
        true
    }

    /// Sets the last frame of a connection, which it receives when it is closed ([T5](crate::rules#t5)); `None` removes it.
    /// To close a connection with a farewell of its own, set the farewell before the call of
    /// [`close_connection`](Hub::close_connection). Returns false and changes nothing when the connection is not open or is
    /// closing, and when the frame has an id or exceeds [`Limits::event_bytes`].
    ///
    /// ```
    /// # use bytes::Buf;
    /// # use sse_core::{ConnectionConfig, Event, Hub, HubConfig, Instant};
    /// # let mut hub = Hub::new(HubConfig::default()).unwrap();
    /// # let now = Instant::ORIGIN;
    /// let config = ConnectionConfig { announce_position: false, ..ConnectionConfig::default() };
    /// let connection = hub.connect(now, config).unwrap();
    /// let bye = Event::new().event("bye").data("signed out").encode().unwrap();
    /// assert!(hub.set_farewell(now, connection, Some(bye)));
    /// hub.close_connection(now, connection);
    /// assert_eq!(hub.transmit(now, connection).chunk(), b"event: bye\ndata: signed out\n\n");
    /// ```
    pub fn set_farewell(&mut self, now: Instant, connection: ConnectionId, farewell: Option<Frame>) -> bool {
        self.advance_clock(now);
        if farewell.as_ref().is_some_and(|farewell| self.check_farewell(farewell).is_err()) {
            return false;
        }
        let Some(slot) = self.connections.slot(connection) else { return false };
        let Some(state) = self.connections.at_mut(slot).filter(|state| state.is_open()) else {
            return false;
        };
        state.own_frames.set_farewell(farewell);
        true
    }

    /// Checks a farewell. An id in it would stand for everything that the client does not have yet.
    fn check_farewell(&self, farewell: &Frame) -> Result<(), ConnectError> {
        if farewell.id().is_some() {
            return Err(ConnectError::FarewellHasId);
        }
        let (bytes, limit) = (farewell.len(), self.config.limits.event_bytes);
        if bytes > limit { Err(ConnectError::FarewellTooLarge { bytes, limit }) } else { Ok(()) }
    }

    /// Closes a connection behind what is pending for it now.
    pub(super) fn begin_close(&mut self, slot: ConnectionSlot, reason: CloseReason) {
        if self.connections.at(slot).is_some_and(ConnectionState::is_open) {
            // What is not for the connection must not stand before its farewell.
            if !self.has_pending(slot) {
                self.pass_foreign(slot);
            }
        }
        if reason == CloseReason::ChannelClosed {
            // The client comes back to a channel that may have ended above its id.
            self.refresh_position(slot);
        }
        let (now, end, flush_timeout) = (self.now, self.head, self.flush_timeout());
        let Some(connection) = self.connections.at_mut(slot).filter(|connection| connection.is_open()) else {
            return;
        };
        connection.begin_closing(end, reason);
        connection.own_frames.push_farewell(now);
        connection.expires_at = now.checked_add(flush_timeout);
        self.arm_timer(slot);
        self.remove_drained_subscriptions(slot);
        if self.has_pending(slot) {
            self.notify(slot);
        } else {
            self.end_connection(slot, reason);
        }
    }

    /// Ends a connection at once. Everything that it held is freed (D8). Unless the peer disconnected, the transport has to
    /// be ended as well.
    pub(super) fn end_connection(&mut self, slot: ConnectionSlot, reason: CloseReason) {
        let Some(id) = self.connections.id(slot) else { return };
        while let Some(last) =
            self.connections.at(slot).and_then(|connection| connection.subscriptions.last())
        {
            self.remove_subscription(slot, last);
        }
        if let Some(connection) = self.connections.at_mut(slot) {
            self.timers.set(&mut connection.timer, TimerOwner::Connection(slot), None);
        }
        self.remove_identity(slot);
        self.connections.remove(slot);
        self.stats.closed.count(reason);
        if reason != CloseReason::Disconnected {
            self.notices.push_back(Action::Close { connection: id, reason });
        }
    }

    /// Returns the position of an id in the hub's own form, if this hub can have issued the id (H4).
    pub(super) fn position_of(&self, id: &LastEventId) -> Option<Position> {
        let id = id.as_str()?;
        let Some(position) = self.epoch.position(id) else { return self.former_epochs.position(id) };
        match self.config.positions {
            // A client may have been at a node that is ahead of this one (O4).
            PositionSource::External { .. } | PositionSource::Log { .. } => Some(position),
            PositionSource::Local { .. } => Some(position).filter(|position| *position <= self.head),
        }
    }
}
