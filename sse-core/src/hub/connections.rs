//! What happens to connections.

use core::time::Duration;

use crate::config::{ConnectionConfig, Limits, PositionSource};
use crate::hub::connection::{Asked, Connection};
use crate::hub::timer_queue::Timer;
use crate::id::{ConnectionId, Position};
use crate::mix::splitmix64;
use crate::resume::LastEventId;
use crate::stats::CloseReason;
use crate::time::Instant;
use crate::wire::Frame;

use super::{ConnectError, Hub, SendError};

impl Hub {
    /// Opens a connection.
    ///
    /// # Errors
    ///
    /// [`ConnectError::TooManyConnections`] at the limit (A1), [`ConnectError::ShuttingDown`].
    ///
    /// # Cost
    ///
    /// O(log n) in the connections, for its place among the timers.
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
        let now = self.observe(now);
        if self.draining.is_some() {
            return Err(ConnectError::ShuttingDown);
        }
        let refused = ConnectError::TooManyConnections { limit: self.config.limits.connections };
        if self.connections.len() >= self.config.limits.connections {
            return Err(refused);
        }
        let asked = config.last_event_id.clone().map(|id| Asked { position: self.position_of(&id), id });
        let mut connection = Connection::new(now, self.settled(), &config, asked);
        connection.ping.set(now, config.ping, splitmix64(self.config.seed, self.stats.opened));
        connection.expires = config.max_lifetime.and_then(|lifetime| now.checked_add(lifetime)).into();
        let id = self.connections.insert(connection).map_err(|_| refused)?;
        self.stats.opened = self.stats.opened.saturating_add(1);
        if let Some(index) = self.connections.index(id) {
            self.begin_rounds();
            self.arm(index);
            self.wake(index);
        }
        Ok(id)
    }

    /// Whether a connection is open, or being closed. Not any more once its end is decided, even if the action that
    /// says so was not polled yet.
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
        self.connections.index(connection).is_some()
    }

    /// Takes note that the peer of a connection is gone. What was due to it is given up, what it held is free at
    /// once (D8), and no action follows. False when the connection is not open.
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
        self.observe(now);
        let Some(index) = self.connections.index(connection) else { return false };
        self.end(index, CloseReason::Disconnected);
        true
    }

    /// Ends a connection from this side. What was published and sent until now is still delivered, within the stall
    /// time; then [`Action::Close`](super::Action::Close) comes. False when the connection is not open.
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
        self.observe(now);
        let Some(index) = self.connections.index(connection) else { return false };
        self.begin_close(index, CloseReason::Requested);
        true
    }

    /// Sends a frame to one connection. It takes no position: it stands behind all that was published until now (O1).
    /// An id in it is the application's to answer when the client comes back: the hub calls it unknown.
    ///
    /// # Errors
    ///
    /// [`SendError::Full`] or [`SendError::TooManyFrames`] when too much waits for the connection already (S2); nothing
    /// was sent then.
    /// [`SendError::TooLarge`], [`SendError::Closing`], [`SendError::UnknownConnection`].
    ///
    /// # Cost
    ///
    /// O(1); no copy of the frame's bytes.
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
        let now = self.observe(now);
        let (head, limit) = (self.head, self.config.limits.event_bytes);
        let unknown = SendError::UnknownConnection(connection);
        let index = self.connections.index(connection).ok_or(unknown)?;
        let state = self.connections.at_mut(index).ok_or(unknown)?;
        if !state.is_open() {
            return Err(SendError::Closing(connection));
        }
        let limit = limit.min(state.direct_limit());
        if frame.len() > limit {
            return Err(SendError::TooLarge { bytes: frame.len(), limit });
        }
        let (waiting, frames) = state.waiting();
        if waiting.saturating_add(frame.len()) > state.direct_limit() {
            return Err(SendError::Full { waiting, limit: state.direct_limit() });
        }
        if frames >= Limits::MAX_DIRECT_FRAMES {
            return Err(SendError::TooManyFrames { limit: Limits::MAX_DIRECT_FRAMES });
        }
        state.push_direct(now, head, frame.clone());
        self.wake(index);
        Ok(())
    }

    /// Changes after how much silence a connection is sent a comment (T1); `None` sends no more. The new interval
    /// counts from now. False when the connection is not open.
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
        let now = self.observe(now);
        let Some(index) = self.connections.index(connection) else { return false };
        let random = splitmix64(self.config.seed, connection.index() as u64);
        let Some(state) = self.connections.at_mut(index) else { return false };
        let (is_first, was_due) = (state.ping.is_first(), state.ping.due_since.get().is_some());
        state.ping.set(now, interval, if is_first { random } else { 0 });
        self.arm(index);
        if was_due {
            self.count_from_what_is_left(index);
        }
        true
    }

    /// Gives a connection so long to live from now on, or for ever (T2). False when it is not open, or is being closed.
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
        life: Option<Duration>,
    ) -> bool {
        let now = self.observe(now);
        let Some(index) = self.connections.index(connection) else { return false };
        let Some(state) = self.connections.at_mut(index).filter(|state| state.is_open()) else {
            return false;
        };
        state.expires = life.and_then(|life| now.checked_add(life)).into();
        self.arm(index);
        true
    }

    /// Fixes the end of a connection at what is due to it now.
    pub(super) fn begin_close(&mut self, index: u32, reason: CloseReason) {
        let (now, end, time) = (self.now, self.head, self.flush_time());
        let Some(connection) = self.connections.at_mut(index) else { return };
        if !connection.is_open() {
            return;
        }
        connection.begin_close(end, reason);
        connection.expires = now.checked_add(time).into();
        self.arm(index);
        self.drop_drained(index);
        if self.is_due(index) {
            self.wake(index);
        } else {
            self.end(index, reason);
        }
    }

    /// Ends a connection at once: what it held is free (D8), and unless the peer went by itself its transport has
    /// to be ended.
    pub(super) fn end(&mut self, index: u32, reason: CloseReason) {
        let Some(id) = self.connections.key(index) else { return };
        while let Some(last) = self.last_subscription(index) {
            self.detach(index, last);
        }
        if let Some(connection) = self.connections.at_mut(index) {
            self.deadlines.set(&mut connection.armed, Timer::Connection(index), None);
        }
        self.connections.remove(index);
        self.stats.closed.count(reason);
        if reason != CloseReason::Disconnected {
            self.notices.push_back(super::Action::Close { connection: id, reason });
        }
    }

    fn last_subscription(&self, index: u32) -> Option<usize> {
        self.connections.at(index)?.subscriptions.as_slice().len().checked_sub(1)
    }

    /// The position that an id of this hub's own form stands for, if it can be one that this hub gave (H4).
    fn position_of(&self, id: &LastEventId) -> Option<Position> {
        let position = self.epoch.position(id.as_str()?)?;
        match self.config.positions {
            // A client may have been at a node that is ahead of this one (O4).
            PositionSource::External { .. } => Some(position),
            PositionSource::Local { .. } => Some(position).filter(|position| *position <= self.head),
        }
    }
}
