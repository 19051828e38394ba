//! The application's handle on a connection.

use core::future::poll_fn;
use core::time::Duration;
use std::task::Poll;

use crate::{
    CloseReason, ConnectionId, ConnectionStats, EncodeError, Event, Frame, Resume, SendError, SubscribeError,
};

use super::status::{Interest, Status};
use super::sync::Arc;
use super::{Channel, SharedHub};

/// A handle on one connection: cheap to clone, and without a hold on it. The connection lives as long as its
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
/// connection.close(); // once it took the event
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

    /// What the hub calls it.
    pub fn id(&self) -> ConnectionId {
        self.id
    }

    /// The hub it belongs to.
    pub fn hub(&self) -> &SharedHub {
        &self.hub
    }

    /// Has it follow a channel.
    ///
    /// # Errors
    ///
    /// [`SubscribeError`], as [`Hub::subscribe`](crate::Hub::subscribe).
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
        self.hub.subscribe(channel.id(), self.id)
    }

    /// Has it follow a channel no longer. False when it did not.
    pub fn unsubscribe(&self, channel: &Channel) -> bool {
        let mut state = self.hub.lock();
        let now = state.now;
        state.hub.unsubscribe(now, channel.id(), self.id)
    }

    /// Sends an event to this connection alone, if there is room for it (S2).
    ///
    /// # Errors
    ///
    /// [`ConnectionSendError`]: it cannot be encoded, or the hub does not take it. Nothing was sent then.
    pub fn try_send(&self, event: &Event<'_>) -> Result<(), ConnectionSendError> {
        let frame = event.encode().map_err(ConnectionSendError::Encode)?;
        self.try_send_frame(&frame).map_err(ConnectionSendError::Send)
    }

    /// Sends a frame to this connection alone, if there is room for it (S2).
    ///
    /// # Errors
    ///
    /// [`SendError`], as [`Hub::send`](crate::Hub::send).
    pub fn try_send_frame(&self, frame: &Frame) -> Result<(), SendError> {
        let mut state = self.hub.lock();
        let now = state.now;
        state.hub.send(now, self.id, frame)
    }

    /// Sends an event to this connection alone, and waits until there is room for it (S2): for a source that makes
    /// events faster than the peer reads them.
    ///
    /// Those who wait at the same time are served in no particular order. An event that was not sent when the future is
    /// dropped is not sent.
    ///
    /// # Errors
    ///
    /// [`ConnectionSendError`]: it cannot be encoded, is larger than ever fits, or the connection ended.
    ///
    /// ```
    /// # use sse_core::Event;
    /// # async fn answer(connection: sse_core::shared::Connection) -> Result<(), Box<dyn std::error::Error>> {
    /// for token in ["one", "two", "three"] {
    ///     // No further ahead of its reader than `ConnectionConfig::direct_bytes`.
    ///     connection.send(&Event::new().data(token)).await?;
    /// }
    /// connection.close();
    /// # Ok(()) }
    /// ```
    pub async fn send(&self, event: &Event<'_>) -> Result<(), ConnectionSendError> {
        let frame = event.encode().map_err(ConnectionSendError::Encode)?;
        self.send_frame(&frame).await.map_err(ConnectionSendError::Send)
    }

    /// Sends a frame to this connection alone, and waits until there is room for it (S2).
    ///
    /// # Errors
    ///
    /// [`SendError`]: it is larger than ever fits, or the connection ended.
    pub async fn send_frame(&self, frame: &Frame) -> Result<(), SendError> {
        let waiter = self.status.waiter(Interest::Capacity);
        poll_fn(|cx| {
            let sent = self.send_if_room(frame);
            if sent.is_some() {
                return sent.map_or(Poll::Pending, Poll::Ready);
            }
            let _ = waiter.poll(cx, |_| None::<()>);
            // Room that was made before it was known that somebody waits.
            self.send_if_room(frame).map_or(Poll::Pending, Poll::Ready)
        })
        .await
    }

    /// `None` when there is no room now, but may be later.
    fn send_if_room(&self, frame: &Frame) -> Option<Result<(), SendError>> {
        match self.try_send_frame(frame) {
            Err(SendError::Full { .. } | SendError::TooManyFrames { .. }) => None,
            sent => Some(sent),
        }
    }

    /// Changes after how much silence a comment is sent (T1). False when the connection ended.
    pub fn set_ping(&self, interval: Option<Duration>) -> bool {
        let mut state = self.hub.lock();
        let now = state.now;
        state.hub.set_ping(now, self.id, interval)
    }

    /// Gives it so long to live from now on, or for ever (T2). False when it ended.
    pub fn set_max_lifetime(&self, life: Option<Duration>) -> bool {
        let mut state = self.hub.lock();
        let now = state.now;
        state.hub.set_max_lifetime(now, self.id, life)
    }

    /// Ends it, once it took what was published until now. False when it ended already.
    pub fn close(&self) -> bool {
        let mut state = self.hub.lock();
        let now = state.now;
        state.hub.close_connection(now, self.id)
    }

    /// How things stand with it; `None` when it ended.
    pub fn stats(&self) -> Option<ConnectionStats> {
        let state = self.hub.lock();
        state.hub.connection_stats(state.now, self.id)
    }

    /// Whether it has not ended.
    pub fn is_open(&self) -> bool {
        self.hub.lock().hub.is_connection_open(self.id)
    }

    /// Waits until it ended, and says why.
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

    /// Waits until its life is over (T2), if it is configured to only say so. Each time is told once. Waits for ever
    /// when the connection ends before.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use sse_core::shared::Connection;
    ///
    /// /// Of a connection that is configured with `OnMaxLifetime::Report`.
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

/// Why [`Connection::try_send`] or [`Connection::send`] sent nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConnectionSendError {
    /// The event cannot be encoded.
    Encode(EncodeError),
    /// The hub does not take it.
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

impl core::error::Error for ConnectionSendError {}

impl core::fmt::Debug for Connection {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_tuple("Connection").field(&self.id).finish()
    }
}
