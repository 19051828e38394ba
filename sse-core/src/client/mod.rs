//! A client for event streams as a state machine. It works with a [`Hub`](crate::Hub) and with any other server.
//!
//! A [`Client`] does what a browser's `EventSource` does (WHATWG HTML 9.2). It decides when to connect and with which
//! `Last-Event-ID`, decodes the bytes of the response into messages, and reconnects with exponential backoff and jitter
//! when the connection breaks. It reads no clock, opens no socket and draws no random number. Its driver sends the HTTP
//! requests with any HTTP library.
//!
//! ```
//! use sse_core::Instant;
//! use sse_core::client::{Client, ClientAction, ClientConfig};
//!
//! let mut client = Client::new(ClientConfig { seed: 42, ..ClientConfig::default() });
//! let mut now = Instant::ORIGIN;
//! // A simulated server. Its first response, the last element, breaks off. Its second response, 204, stops the client.
//! let mut responses = vec![(204, &b""[..]), (200, b"retry: 1000\n\nid: 7\ndata: sunny\n\ndata: lost in the mid")];
//! let mut requests = Vec::new();
//! let mut messages = Vec::new();
//!
//! loop {
//!     client.handle_timeout(now);
//!     while let Some(action) = client.poll_action() {
//!         match action {
//!             ClientAction::Connect { last_event_id } => {
//!                 let (status, body) = responses.pop().expect("204 stops the client");
//!                 client.opened(now, status, Some(b"text/event-stream"), None);
//!                 client.bytes(now, body);
//!                 client.ended(now);
//!                 requests.push((now.as_nanos() / 1_000_000_000, last_event_id));
//!             }
//!             ClientAction::Close => println!("abandon the connection"),
//!             other => println!("{other:?}"),
//!         }
//!     }
//!     while let Some(message) = client.next_message() {
//!         messages.push(message?.data);
//!     }
//!     // Sleep until `next` or until the next input.
//!     let Some(next) = client.poll_timeout() else { break };
//!     now = next;
//! }
//! assert_eq!(messages, ["sunny"]);
//! assert_eq!(requests, [(0, None), (1, Some("7".to_owned()))], "the second follows after 1 s and jitter");
//! # Ok::<(), sse_core::DecodeError>(())
//! ```
//!
//! # The contract with a driver
//!
//! The contract is that of the [hub](crate#the-contract-with-a-driver) (D1, D2, D4 and D5). Any order of calls is
//! legal. [`poll_action`](Client::poll_action) and [`poll_timeout`](Client::poll_timeout) show all pending work. Calls
//! that are repeated or come too early cost time and never data. Time never runs backwards. In addition:
//!
//! - A client has at most one connection. [`Connect`](ClientAction::Connect) follows only after the previous connection
//!   ended through [`ended`](Client::ended), [`failed`](Client::failed) or [`Close`](ClientAction::Close). A driver
//!   that runs the connection in a task of its own discards the output of that task after `Close`.
//! - At most two actions are pending at any time.
//! - After each [`bytes`](Client::bytes), call [`next_message`](Client::next_message) until it returns `None`. Memory
//!   is then bounded like that of a [`Decoder`](crate::Decoder). Otherwise bytes accumulate.
//!
//! # The last event id of a request
//!
//! A request carries the id of the newest event that was received completely, even if its message was not taken.
//! Messages of a connection that has ended remain available, before those of the next connection. An id that a header
//! cannot carry is not sent: an id with control characters, with white space at its ends, or with more than 4,096
//! bytes. The client sends the newest id that a header can carry instead, so the server repeats some events rather than
//! skipping any.

mod action;
mod backoff;
mod config;
mod head;
mod messages;

use core::time::Duration;

use crate::time::Instant;
use crate::wire::{DecodeError, Message};

pub use action::{ClientAction, ClientState, StopReason};
use backoff::Backoff;
pub use config::{BackoffConfig, ClientConfig};
use head::{is_event_stream, is_retryable};
use messages::Messages;

/// The shortest idle timeout. A shorter one is raised to this value.
const MIN_IDLE_TIMEOUT: Duration = Duration::from_millis(1);

/// A client that follows one stream over any number of connections. The [module](self) documents its use.
#[derive(Clone, Debug)]
pub struct Client {
    idle_timeout: Option<Duration>,
    retry_refusals: bool,
    backoff: Backoff,
    phase: Phase,
    /// The latest instant seen (D5).
    now: Instant,
    messages: Messages,
    /// Whether [`ClientAction::Close`] is pending.
    close_pending: bool,
    /// Whether [`ClientAction::Stop`] is pending.
    stop_pending: bool,
}

#[derive(Clone, Copy, Debug)]
enum Phase {
    Waiting {
        until: Instant,
    },
    Connecting {
        requested_at: Instant,
    },
    Open {
        opened_at: Instant,
        /// The instant at which the response head or the latest byte arrived.
        last_received: Instant,
    },
    Stopped(StopReason),
}

impl Client {
    /// Creates a client that connects at once.
    ///
    /// ```
    /// # use sse_core::client::{Client, ClientAction, ClientConfig};
    /// let config = ClientConfig { last_event_id: "e-7".into(), ..ClientConfig::default() };
    /// let mut client = Client::new(config);
    /// assert_eq!(client.poll_action(), Some(ClientAction::Connect { last_event_id: Some("e-7".into()) }));
    /// assert_eq!(client.poll_action(), None);
    /// ```
    #[must_use]
    pub fn new(config: ClientConfig) -> Self {
        let ClientConfig { last_event_id, backoff, idle_timeout, retry_refusals, max_event_bytes, seed } =
            config;
        Self {
            idle_timeout: idle_timeout.map(|idle| idle.max(MIN_IDLE_TIMEOUT)),
            retry_refusals,
            backoff: Backoff::new(backoff, seed),
            phase: Phase::Waiting { until: Instant::ORIGIN },
            now: Instant::ORIGIN,
            messages: Messages::new(&last_event_id, max_event_bytes),
            close_pending: false,
            stop_pending: false,
        }
    }

    /// Handles the response head, after redirects.
    ///
    /// Status 200 with the content type `text/event-stream`, with any parameters, opens the stream. Any other status or
    /// type stops the client (9.2.2). With [`retry_refusals`](ClientConfig::retry_refusals), the statuses 429 and 500
    /// to 599 count as failed attempts, and the client reconnects not earlier than `retry_after`. This is the value of
    /// the `Retry-After` header; seconds are supported, and dates are ignored. If the response does not open the
    /// stream, [`ClientAction::Close`] follows, and the driver abandons the connection.
    ///
    /// Does nothing unless the client waits for a response head.
    ///
    /// ```
    /// # use sse_core::Instant;
    /// # use sse_core::client::{Client, ClientAction, ClientConfig, ClientState, StopReason};
    /// # let now = Instant::ORIGIN;
    /// # let mut client = Client::new(ClientConfig::default());
    /// # client.poll_action();
    /// client.opened(now, 404, Some(b"text/html"), None);
    /// assert_eq!(client.state(), ClientState::Stopped(StopReason::Status(404)));
    /// assert_eq!(client.poll_action(), Some(ClientAction::Close));
    /// assert_eq!(client.poll_action(), Some(ClientAction::Stop(StopReason::Status(404))));
    /// ```
    pub fn opened(
        &mut self,
        now: Instant,
        status: u16,
        content_type: Option<&[u8]>,
        retry_after: Option<&[u8]>,
    ) {
        self.observe(now);
        if !matches!(self.phase, Phase::Connecting { .. }) {
            return;
        }
        match status {
            200 if content_type.is_some_and(is_event_stream) => {
                self.phase = Phase::Open { opened_at: self.now, last_received: self.now };
            }
            200 => self.stop(StopReason::ContentType),
            204 => self.stop(StopReason::NoContent),
            status if self.retry_refusals && is_retryable(status) => {
                self.close_pending = true;
                self.schedule_reconnect(retry_after.and_then(head::parse_retry_after).unwrap_or_default());
            }
            status => self.stop(StopReason::Status(status)),
        }
    }

    /// Handles bytes of the response body, of any length. Ignores them while no stream is open.
    ///
    /// # Cost
    ///
    /// O(bytes). The bytes are copied; [`next_message`](Client::next_message) decodes them.
    pub fn bytes(&mut self, now: Instant, bytes: &[u8]) {
        self.observe(now);
        if let Phase::Open { last_received, .. } = &mut self.phase
            && !bytes.is_empty()
        {
            *last_received = self.now;
            self.messages.push(bytes);
        }
    }

    /// Handles the end of the response body. The client will reconnect (9.2.2).
    ///
    /// An incomplete event is dropped (9.2.6). Does nothing without a connection.
    ///
    /// # Cost
    ///
    /// O(bytes that [`next_message`](Client::next_message) has not decoded).
    pub fn ended(&mut self, now: Instant) {
        self.observe(now);
        if matches!(self.phase, Phase::Connecting { .. } | Phase::Open { .. }) {
            self.schedule_reconnect(Duration::ZERO);
        }
    }

    /// Handles a failed request or a broken connection. The client will reconnect (9.2.2), as after
    /// [`ended`](Client::ended).
    ///
    /// After an error that cannot go away, such as a malformed address, the driver calls [`close`](Client::close)
    /// instead.
    pub fn failed(&mut self, now: Instant) {
        self.ended(now);
    }

    /// Closes the client, as `EventSource.close` does. Messages that were received can still be taken.
    ///
    /// ```
    /// # use sse_core::Instant;
    /// # use sse_core::client::{Client, ClientAction, ClientConfig, ClientState, StopReason};
    /// let mut client = Client::new(ClientConfig::default());
    /// client.close(Instant::ORIGIN);
    /// assert_eq!(client.poll_action(), Some(ClientAction::Stop(StopReason::Closed)), "there is nothing to drop");
    /// assert_eq!(client.poll_timeout(), None);
    /// ```
    pub fn close(&mut self, now: Instant) {
        self.observe(now);
        self.stop(StopReason::Closed);
    }

    /// Ends the wait before the next connection, for example when the network is back or a user asks for it. Does
    /// nothing unless the client waits.
    ///
    /// The failed attempts so far still count: if this attempt fails too, the next wait is longer (C3).
    ///
    /// ```
    /// # use sse_core::Instant;
    /// # use sse_core::client::{Client, ClientAction, ClientConfig};
    /// # let now = Instant::ORIGIN;
    /// # let mut client = Client::new(ClientConfig::default());
    /// # client.poll_action();
    /// client.failed(now);
    /// assert_eq!(client.poll_action(), None, "the client waits");
    /// client.reconnect_now(now);
    /// assert_eq!(client.poll_action(), Some(ClientAction::Connect { last_event_id: None }));
    /// ```
    pub fn reconnect_now(&mut self, now: Instant) {
        self.observe(now);
        if let Phase::Waiting { until } = &mut self.phase {
            *until = self.now.min(*until);
        }
    }

    /// Handles the deadlines up to `now`: abandons a connection that delivered nothing for the
    /// [idle timeout](ClientConfig::idle_timeout), and ends the wait before the next connection.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.observe(now);
        if self.idle_deadline().is_some_and(|deadline| deadline <= self.now) {
            self.close_pending = true;
            self.schedule_reconnect(Duration::ZERO);
        }
    }

    /// Returns the instant for the next call of [`handle_timeout`](Client::handle_timeout), or `None` if no deadline is
    /// set.
    ///
    /// The instant is not in the future while an action is pending (D2).
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        if self.close_pending || self.stop_pending {
            return Some(self.now);
        }
        match self.phase {
            Phase::Waiting { until } => Some(until),
            Phase::Connecting { .. } | Phase::Open { .. } => self.idle_deadline(),
            Phase::Stopped(_) => None,
        }
    }

    /// Returns the next pending action, or `None` if no action is pending.
    pub fn poll_action(&mut self) -> Option<ClientAction> {
        if core::mem::take(&mut self.close_pending) {
            return Some(ClientAction::Close);
        }
        match self.phase {
            Phase::Waiting { until } if until <= self.now => {
                self.phase = Phase::Connecting { requested_at: self.now };
                Some(ClientAction::Connect { last_event_id: self.messages.begin_request() })
            }
            Phase::Stopped(reason) if core::mem::take(&mut self.stop_pending) => {
                Some(ClientAction::Stop(reason))
            }
            _ => None,
        }
    }

    /// Returns the next complete message, or `None` if more bytes are needed.
    ///
    /// # Errors
    ///
    /// [`DecodeError::EventTooLarge`] for an event above the [limit](ClientConfig::max_event_bytes), with the id of the
    /// event if it is known (C2). The stream continues. The next request carries the id of the dropped event, so the
    /// server does not send the event again.
    ///
    /// # Cost
    ///
    /// That of [`Decoder::next_message`](crate::Decoder::next_message).
    pub fn next_message(&mut self) -> Option<Result<Message, DecodeError>> {
        let message = self.messages.next();
        self.update_retry();
        message
    }

    /// Returns the state of the client.
    #[must_use]
    pub const fn state(&self) -> ClientState {
        match self.phase {
            Phase::Waiting { .. } => ClientState::Waiting,
            Phase::Connecting { .. } => ClientState::Connecting,
            Phase::Open { .. } => ClientState::Open,
            Phase::Stopped(reason) => ClientState::Stopped(reason),
        }
    }

    /// Returns the current reconnection time (9.2.3).
    ///
    /// This is the time of the latest `retry` line that the client has decoded, at most
    /// [`max_server_wait`](BackoffConfig::max_server_wait), or else the configured [`initial`](BackoffConfig::initial)
    /// time. It is raised to [`shortest`](BackoffConfig::shortest).
    #[must_use]
    pub fn reconnection_time(&self) -> Duration {
        self.backoff.reconnection_time()
    }

    fn observe(&mut self, now: Instant) {
        self.now = self.now.max(now);
    }

    /// Returns the instant at which the client abandons the connection if nothing arrives.
    fn idle_deadline(&self) -> Option<Instant> {
        match self.phase {
            Phase::Connecting { requested_at: since } | Phase::Open { last_received: since, .. } => {
                since.checked_add(self.idle_timeout?)
            }
            Phase::Waiting { .. } | Phase::Stopped(_) => None,
        }
    }

    /// Ends the connection and starts the wait for the next one (9.2.3).
    fn schedule_reconnect(&mut self, retry_after: Duration) {
        self.end_stream();
        match self.phase {
            Phase::Open { opened_at, .. } => {
                let lifetime = self.now.saturating_duration_since(opened_at);
                self.backoff.record_stream(lifetime, self.messages.has_new_id());
            }
            _ => self.backoff.record_failure(),
        }
        self.phase = Phase::Waiting { until: self.now.saturating_add(self.backoff.next_wait(retry_after)) };
    }

    fn stop(&mut self, reason: StopReason) {
        if matches!(self.phase, Phase::Stopped(_)) {
            return;
        }
        self.close_pending |= matches!(self.phase, Phase::Connecting { .. } | Phase::Open { .. });
        self.stop_pending = true;
        self.end_stream();
        self.phase = Phase::Stopped(reason);
    }

    fn end_stream(&mut self) {
        self.messages.end_stream();
        self.update_retry();
    }

    /// Passes the reconnection time that the stream set to the backoff.
    fn update_retry(&mut self) {
        if let Some(retry) = self.messages.retry() {
            self.backoff.set_retry(retry);
        }
    }
}
