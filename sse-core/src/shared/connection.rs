//! The handle of an application on a connection.

use core::future::poll_fn;
use core::time::Duration;
use std::task::Poll;

use crate::{
    CloseReason, ConnectionId, ConnectionStats, EncodeError, Event, Frame, Join, Resume, SendError,
    SubscribeError,
};

use super::held;
use super::status::{Interest, Status};
use super::sync::Arc;
use super::{Channel, SharedHub};

/// A handle on one connection. It is cheap to clone, and does not keep the connection open: the connection lives as long as its
/// [`Outbound`](super::Outbound).
///
/// ```
/// use std::time::Duration;
///
/// # use sse_core::shared::SharedHub;
/// # use sse_core::{ConnectionConfig, Event, HubConfig, Instant};
/// # let (hub, _driver) = SharedHub::new("1k9f2", HubConfig::default(), || Instant::ORIGIN)?;
/// let outbound = hub.connect(ConnectionConfig::default())?;
/// let connection = outbound.handle();
/// connection.try_send(&Event::new().event("hello").data("only you"))?;
/// connection.set_ping(Some(Duration::from_secs(15)));
/// connection.set_max_lifetime(Some(Duration::from_secs(3600)));
/// connection.close(); // after the event was taken
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Connection {
    hub: SharedHub,
    id: ConnectionId,
    status: Arc<Status<CloseReason>>,
}

impl Connection {
    pub(crate) fn new(hub: SharedHub, id: ConnectionId, status: Arc<Status<CloseReason>>) -> Connection {
        Connection { hub, id, status }
    }

    /// Returns the id of the connection.
    pub fn id(&self) -> ConnectionId {
        self.id
    }

    /// Returns the hub of the connection.
    pub fn hub(&self) -> &SharedHub {
        &self.hub
    }

    /// Subscribes the connection to a channel.
    ///
    /// # Errors
    ///
    /// [`SubscribeError`], as [`Hub::subscribe`](crate::Hub::subscribe), and [`SubscribeError::OtherHub`] for a channel of
    /// another hub.
    ///
    /// ```
    /// # use sse_core::shared::SharedHub;
    /// # use sse_core::{ChannelConfig, ConnectionConfig, Event, HubConfig, Instant, Resume};
    /// # let (hub, _driver) = SharedHub::new("1k9f2", HubConfig::default(), || Instant::ORIGIN)?;
    /// let weather = hub.open_channel("weather", ChannelConfig::default())?;
    /// weather.publish(&Event::new().data("sunny"))?;
    /// weather.publish(&Event::new().data("rain"))?;
    /// let config = ConnectionConfig { last_event_id: Some("1k9f2-1".into()), ..ConnectionConfig::default() };
    /// let outbound = hub.connect(config)?;
    /// assert_eq!(outbound.handle().subscribe(&weather)?, Resume::Replayed { events: 1 });
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn subscribe(&self, channel: &Channel) -> Result<Resume, SubscribeError> {
        self.hub.subscribe(channel, self.id, None)
    }

    /// Subscribes the connection to a channel, and states what its client has of the channel ([O6](crate::rules#o6)): for a
    /// page that joins a room on an open connection.
    ///
    /// # Errors
    ///
    /// [`SubscribeError`], as [`subscribe`](Connection::subscribe).
    ///
    /// ```
    /// # use sse_core::shared::SharedHub;
    /// # use sse_core::{ChannelConfig, ConnectionConfig, Event, HubConfig, Instant, Join, Resume};
    /// # let (hub, _driver) = SharedHub::new("1k9f2", HubConfig::default(), || Instant::ORIGIN)?;
    /// let config = ConnectionConfig { last_event_id: Some("1k9f2-0".into()), ..ConnectionConfig::default() };
    /// let outbound = hub.connect(config)?;
    /// let room = hub.open_channel("room", ChannelConfig::default())?;
    /// assert_eq!(outbound.handle().join(&room, Join::New)?, Resume::Fresh);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn join(&self, channel: &Channel, join: Join<'_>) -> Result<Resume, SubscribeError> {
        self.hub.subscribe(channel, self.id, Some(join))
    }

    /// Ends the subscription to a channel. Returns false when there is none.
    pub fn unsubscribe(&self, channel: &Channel) -> bool {
        if !self.hub.is(channel.hub()) {
            return false;
        }
        let mut state = self.hub.lock();
        let now = state.now;
        state.hub.unsubscribe(now, channel.id(), self.id)
    }

    /// Sends an event to this connection only, if there is capacity for it ([S2](crate::rules#s2)).
    ///
    /// # Errors
    ///
    /// [`ConnectionSendError`] when the event cannot be encoded or the hub refuses it. Nothing is sent then.
    pub fn try_send(&self, event: &Event<'_>) -> Result<(), ConnectionSendError> {
        let frame = event.encode().map_err(ConnectionSendError::Encode)?;
        self.try_send_frame(&frame).map_err(ConnectionSendError::Send)
    }

    /// Sends a frame to this connection only, if there is capacity for it ([S2](crate::rules#s2)).
    ///
    /// # Errors
    ///
    /// [`SendError`], as [`Hub::send`](crate::Hub::send).
    ///
    /// # Cost
    ///
    /// That of [`Hub::send`](crate::Hub::send), and one allocation for a frame that was [parsed](Frame::parse).
    pub fn try_send_frame(&self, frame: &Frame) -> Result<(), SendError> {
        let frame = held::droppable(frame);
        let mut state = self.hub.lock();
        let now = state.now;
        state.hub.send(now, self.id, &frame)
    }

    /// Waits until there is capacity for an event, and sends it to this connection only ([S2](crate::rules#s2)). It
    /// suits a source that produces events faster than the peer reads them.
    ///
    /// Concurrent calls complete in no particular order. If the future is dropped before it completes, nothing is sent.
    ///
    /// # Errors
    ///
    /// [`ConnectionSendError`] when the event cannot be encoded or exceeds the limits, or when the connection has ended.
    ///
    /// ```
    /// # use sse_core::Event;
    /// # async fn answer(connection: sse_core::shared::Connection) -> Result<(), Box<dyn std::error::Error>> {
    /// for token in ["one", "two", "three"] {
    ///     // At most `ConnectionConfig::direct_bytes` ahead of the reader.
    ///     connection.send(&Event::new().data(token)).await?;
    /// }
    /// connection.close();
    /// # Ok(()) }
    /// ```
    pub async fn send(&self, event: &Event<'_>) -> Result<(), ConnectionSendError> {
        let frame = event.encode().map_err(ConnectionSendError::Encode)?;
        self.send_frame(&frame).await.map_err(ConnectionSendError::Send)
    }

    /// Waits until there is capacity for a frame, and sends it to this connection only ([S2](crate::rules#s2)).
    ///
    /// # Errors
    ///
    /// [`SendError`] when the frame exceeds the limits, or when the connection has ended.
    pub async fn send_frame(&self, frame: &Frame) -> Result<(), SendError> {
        let waiter = self.status.waiter(Interest::Capacity);
        poll_fn(|cx| {
            let sent = self.send_if_capacity(frame);
            if sent.is_some() {
                return sent.map_or(Poll::Pending, Poll::Ready);
            }
            let _ = waiter.poll(cx, |_| None::<()>);
            // Capacity may have been released before the waker was registered.
            self.send_if_capacity(frame).map_or(Poll::Pending, Poll::Ready)
        })
        .await
    }

    /// Returns `None` when there is no capacity now, but may be later.
    fn send_if_capacity(&self, frame: &Frame) -> Option<Result<(), SendError>> {
        match self.try_send_frame(frame) {
            Err(SendError::Full { .. } | SendError::TooManyFrames { .. }) => None,
            sent => Some(sent),
        }
    }

    /// Changes the ping interval; `None` turns pings off ([T1](crate::rules#t1)). Returns false when the connection has
    /// ended.
    pub fn set_ping(&self, interval: Option<Duration>) -> bool {
        let mut state = self.hub.lock();
        let now = state.now;
        state.hub.set_ping(now, self.id, interval)
    }

    /// Sets the maximum lifetime, counted from now; `None` removes it ([T2](crate::rules#t2)). Returns false when the
    /// connection has ended.
    pub fn set_max_lifetime(&self, lifetime: Option<Duration>) -> bool {
        let mut state = self.hub.lock();
        let now = state.now;
        state.hub.set_max_lifetime(now, self.id, lifetime)
    }

    /// Sets the last frame of the connection, or removes it: [`Hub::set_farewell`](crate::Hub::set_farewell).
    pub fn set_farewell(&self, farewell: Option<Frame>) -> bool {
        let farewell = farewell.map(|farewell| held::droppable(&farewell).into_owned());
        let mut state = self.hub.lock();
        let now = state.now;
        state.hub.set_farewell(now, self.id, farewell)
    }

    /// Returns whether the client has everything that it will ever receive: [`Hub::is_over`](crate::Hub::is_over). The
    /// response is then the status 204, if the page wants no other channel.
    pub fn is_over(&self) -> bool {
        self.hub.lock().hub.is_over(self.id)
    }

    /// Closes the connection once it has taken its pending bytes. Returns false when it has ended already.
    pub fn close(&self) -> bool {
        let mut state = self.hub.lock();
        let now = state.now;
        state.hub.close_connection(now, self.id)
    }

    /// Returns the current statistics of the connection; `None` when it has ended.
    pub fn stats(&self) -> Option<ConnectionStats> {
        let state = self.hub.lock();
        state.hub.connection_stats(state.now, self.id)
    }

    /// Returns whether the connection has not ended.
    pub fn is_open(&self) -> bool {
        self.hub.lock().hub.is_connection_open(self.id)
    }

    /// Waits until the connection has ended, and returns the reason.
    ///
    /// ```
    /// # async fn watch(connection: sse_core::shared::Connection) {
    /// let reason = connection.closed().await;
    /// println!("{}: {reason}", connection.id());
    /// # }
    /// ```
    pub async fn closed(&self) -> CloseReason {
        let waiter = self.status.waiter(Interest::Lifecycle);
        poll_fn(|cx| waiter.poll(cx, |status| status.closed)).await
    }

    /// Waits until the maximum lifetime has ended, if the connection is configured to only report that
    /// ([T2](crate::rules#t2)). Each end is reported once. The future never completes if the connection ends before.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use sse_core::shared::Connection;
    ///
    /// /// Checks a connection that is configured with `OnMaxLifetime::Report`.
    /// async fn check(connection: Connection, may_stay: impl Fn() -> bool) {
    ///     while connection.is_open() {
    ///         connection.timed_out().await;
    ///         if may_stay() {
    ///             connection.set_max_lifetime(Some(Duration::from_secs(60)));
    ///         } else {
    ///             connection.close();
    ///         }
    ///     }
    /// }
    /// ```
    pub async fn timed_out(&self) {
        let waiter = self.status.waiter(Interest::Lifecycle);
        poll_fn(|cx| waiter.poll(cx, |status| core::mem::take(&mut status.timed_out).then_some(()))).await;
    }
}

/// The error of [`Connection::try_send`] and [`Connection::send`]. Nothing was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConnectionSendError {
    /// The event cannot be encoded.
    Encode(EncodeError),
    /// The hub refused the event.
    Send(SendError),
}

impl core::fmt::Display for ConnectionSendError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            ConnectionSendError::Encode(error) => error.fmt(f),
            ConnectionSendError::Send(error) => error.fmt(f),
        }
    }
}

// The text is that of the wrapped error. As a source, the text would be printed twice in an error report.
impl core::error::Error for ConnectionSendError {}

impl core::fmt::Debug for Connection {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_tuple("Connection").field(&self.id).finish()
    }
}
