//! Following a stream as a state machine: the other end of a [`Hub`](crate::Hub), or of any server of event streams.
//!
//! A [`Client`] is what a browser's `EventSource` is (WHATWG HTML 9.2), without the browser: it says when to connect and
//! with which `Last-Event-ID`, takes the bytes that come, gives messages, and comes back when the line breaks, with a
//! wait that grows and is spread. It reads no clock, opens no socket and draws no random number; whoever drives it does
//! the HTTP, with the client library of its choice.
//!
//! ```
//! use sse_core::Instant;
//! use sse_core::client::{Client, ClientAction, ClientConfig};
//!
//! let mut client = Client::new(ClientConfig { seed: 42, ..ClientConfig::default() });
//! let mut now = Instant::ORIGIN;
//! // What the network does: it answers twice, and the second answer says that this is all.
//! let mut answers = vec![(204, &b""[..]), (200, b"retry: 1000\n\nid: 7\ndata: sunny\n\ndata: lost in the mid")];
//! let mut requests = Vec::new();
//! let mut messages = Vec::new();
//!
//! loop {
//!     client.handle_timeout(now);
//!     while let Some(action) = client.poll_action() {
//!         match action {
//!             ClientAction::Connect { last_event_id } => {
//!                 let (status, body) = answers.pop().expect("204 was the last");
//!                 client.opened(now, status, Some(b"text/event-stream"), None);
//!                 client.bytes(now, body);
//!                 client.ended(now);
//!                 requests.push((now.as_nanos() / 1_000_000_000, last_event_id));
//!             }
//!             ClientAction::Close => println!("drop the connection"),
//!             other => println!("{other:?}"),
//!         }
//!     }
//!     while let Some(message) = client.next_message() {
//!         messages.push(message?.data);
//!     }
//!     // Sleep until then, or until something comes.
//!     let Some(next) = client.poll_timeout() else { break };
//!     now = next;
//! }
//! assert_eq!(messages, ["sunny"]);
//! assert_eq!(requests, [(0, None), (1, Some("7".to_owned()))], "it came back, after a second and a bit");
//! # Ok::<(), sse_core::DecodeError>(())
//! ```
//!
//! # The contract with a driver
//!
//! It is that of the [hub](crate#the-contract-with-a-driver) (D1, D2, D4 and D5): any order of calls is legal, what is
//! pending is visible through [`poll_action`](Client::poll_action) and [`poll_timeout`](Client::poll_timeout), calling
//! too early or twice costs time and never data, and time does not run backwards. Besides:
//!
//! - There is at most one connection: [`Connect`](ClientAction::Connect) comes only when the one before has ended, by
//!   [`ended`](Client::ended), [`failed`](Client::failed) or [`Close`](ClientAction::Close). A driver whose connection
//!   runs in a task of its own throws away what that task still says after `Close`.
//! - At most two actions are pending at any time.
//! - [`next_message`](Client::next_message) is called until it returns `None` after each [`bytes`](Client::bytes).
//!   Then memory is bounded as that of a [`Decoder`]; bytes that nobody asks messages of are kept.
//!
//! # Which event is asked for
//!
//! The id is that of the newest event that was handed in whole, whether its message was taken or not: messages
//! that a connection brought can still be taken after its end, before those of the next. One that no header can carry
//! (with control characters, with white space at its ends, or longer than 4,096 bytes) is not sent. The newest that can
//! be sent is sent in its place, so the server sends some events twice rather than none of them.

mod action;
mod backoff;
mod config;
mod head;

use alloc::collections::VecDeque;
use alloc::string::String;
use core::time::Duration;

use crate::time::Instant;
use crate::wire::{DecodeError, Decoder, Message};

pub use action::{ClientAction, ClientState, StopReason};
use backoff::Backoff;
pub use config::{BackoffConfig, ClientConfig};
use head::{is_event_stream, is_retryable, is_sendable};

/// The shortest idle timeout; a shorter one is taken as this.
const MIN_IDLE_TIMEOUT: Duration = Duration::from_millis(1);

/// One stream that is followed, over as many connections as it takes: see the [module](self).
#[derive(Clone, Debug)]
pub struct Client {
    idle_timeout: Option<Duration>,
    retry_refusals: bool,
    max_event_bytes: usize,
    backoff: Backoff,
    phase: Phase,
    /// The latest instant seen (D5).
    now: Instant,
    /// Of the connection that is open, or a new one that only holds the last event id.
    decoder: Decoder,
    /// The newest id that a header can carry.
    sendable_id: String,
    /// What earlier connections brought and nobody has taken.
    buffered_messages: VecDeque<Result<Message, DecodeError>>,
    /// Whether the driver has a connection that it is to drop.
    close_pending: bool,
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
        /// When the head or the last byte came.
        last_received: Instant,
    },
    Stopped(StopReason),
}

impl Client {
    /// Makes a client that wants to connect at once.
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
        let mut client = Self {
            idle_timeout: idle_timeout.map(|idle| idle.max(MIN_IDLE_TIMEOUT)),
            retry_refusals,
            max_event_bytes,
            backoff: Backoff::new(backoff, seed),
            phase: Phase::Waiting { until: Instant::ORIGIN },
            now: Instant::ORIGIN,
            decoder: Decoder::with_limit(max_event_bytes).with_last_event_id(&last_event_id),
            sendable_id: String::new(),
            buffered_messages: VecDeque::new(),
            close_pending: false,
            stop_pending: false,
        };
        client.update_sendable_id();
        client
    }

    /// The response head has come, after redirects.
    ///
    /// A 200 with the type `text/event-stream`, whatever its parameters, opens the stream. Everything else is final
    /// (9.2.2): 204, any other status, any other type. With [`retry_refusals`](ClientConfig::retry_refusals) 429 and 500
    /// to 599 are attempts that failed, and the next one comes no sooner than `retry_after` says; that is the value of
    /// the header `Retry-After`, of which seconds are understood and dates are not. What is refused is to be dropped, as
    /// [`ClientAction::Close`] says.
    ///
    /// Without a request that waits for its head this does nothing.
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
                self.backoff.record_success();
                self.phase = Phase::Open { last_received: self.now };
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

    /// Bytes of the body have come, of any number. While no stream is open they are none of this client's.
    ///
    /// # Cost
    ///
    /// O(bytes): they are copied, and not looked at before [`next_message`](Client::next_message).
    pub fn bytes(&mut self, now: Instant, bytes: &[u8]) {
        self.observe(now);
        if let Phase::Open { last_received } = &mut self.phase
            && !bytes.is_empty()
        {
            *last_received = self.now;
            self.decoder.push(bytes);
        }
    }

    /// The body has ended: the client will come back (9.2.2). Without a connection this does nothing.
    ///
    /// An event that was not whole is dropped (9.2.6).
    ///
    /// # Cost
    ///
    /// O(bytes that no message was asked of).
    pub fn ended(&mut self, now: Instant) {
        self.observe(now);
        if matches!(self.phase, Phase::Connecting { .. } | Phase::Open { .. }) {
            self.schedule_reconnect(Duration::ZERO);
        }
    }

    /// The request failed, or the connection broke: the client will come back (9.2.2), as after
    /// [`ended`](Client::ended). What will never work, such as a malformed address, is the driver's to
    /// [`close`](Client::close).
    pub fn failed(&mut self, now: Instant) {
        self.ended(now);
    }

    /// Ends it, as `EventSource.close` does. What has come can still be taken.
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

    /// Does what is due at `now`: gives up a connection of which nothing has come for the
    /// [idle timeout](ClientConfig::idle_timeout), and lets the wait before the next one end.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.observe(now);
        if self.idle_deadline().is_some_and(|deadline| deadline <= self.now) {
            self.close_pending = true;
            self.schedule_reconnect(Duration::ZERO);
        }
    }

    /// When [`handle_timeout`](Client::handle_timeout) is to be called, or not in the future if something is pending
    /// (D2). `None` if nothing will ever happen by itself.
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

    /// What to do next, or `None` if nothing is pending.
    pub fn poll_action(&mut self) -> Option<ClientAction> {
        if core::mem::take(&mut self.close_pending) {
            return Some(ClientAction::Close);
        }
        match self.phase {
            Phase::Waiting { until } if until <= self.now => {
                self.phase = Phase::Connecting { requested_at: self.now };
                let id = Some(self.sendable_id.as_str()).filter(|id| !id.is_empty());
                Some(ClientAction::Connect { last_event_id: id.map(String::from) })
            }
            Phase::Stopped(reason) if core::mem::take(&mut self.stop_pending) => {
                Some(ClientAction::Stop(reason))
            }
            _ => None,
        }
    }

    /// The next message that has come whole, or `None` if there is no further one.
    ///
    /// # Errors
    ///
    /// [`DecodeError::EventTooLarge`] for an event above the [limit](ClientConfig::max_event_bytes); the stream goes on.
    /// As the event's id is not taken, the event is asked for again after the next reconnection, unless one came after it.
    ///
    /// # Cost
    ///
    /// As [`Decoder::next_message`].
    pub fn next_message(&mut self) -> Option<Result<Message, DecodeError>> {
        self.buffered_messages.pop_front().or_else(|| self.decode())
    }

    /// How it stands, as the `readyState` of an `EventSource`.
    #[must_use]
    pub const fn state(&self) -> ClientState {
        match self.phase {
            Phase::Waiting { .. } => ClientState::Waiting,
            Phase::Connecting { .. } => ClientState::Connecting,
            Phase::Open { .. } => ClientState::Open,
            Phase::Stopped(reason) => ClientState::Stopped(reason),
        }
    }

    /// The reconnection time (9.2.3) that the stream set last and that [`next_message`](Client::next_message) came to,
    /// or the configured one.
    #[must_use]
    pub fn reconnection_time(&self) -> Duration {
        self.backoff.reconnection_time()
    }

    fn observe(&mut self, now: Instant) {
        self.now = self.now.max(now);
    }

    /// When the connection is given up, if nothing comes.
    fn idle_deadline(&self) -> Option<Instant> {
        match self.phase {
            Phase::Connecting { requested_at: since } | Phase::Open { last_received: since } => {
                since.checked_add(self.idle_timeout?)
            }
            Phase::Waiting { .. } | Phase::Stopped(_) => None,
        }
    }

    /// The connection is over, and another one is wanted in a while (9.2.3).
    fn schedule_reconnect(&mut self, min_wait: Duration) {
        if !matches!(self.phase, Phase::Open { .. }) {
            self.backoff.record_failure();
        }
        self.drain_decoder();
        self.phase = Phase::Waiting { until: self.now.saturating_add(self.backoff.next_wait(min_wait)) };
    }

    fn stop(&mut self, reason: StopReason) {
        if matches!(self.phase, Phase::Stopped(_)) {
            return;
        }
        self.close_pending |= matches!(self.phase, Phase::Connecting { .. } | Phase::Open { .. });
        self.stop_pending = true;
        self.drain_decoder();
        self.phase = Phase::Stopped(reason);
    }

    /// Takes what the connection brought out of its decoder, and makes a new one: an unfinished event ends here.
    fn drain_decoder(&mut self) {
        while let Some(message) = self.decode() {
            self.buffered_messages.push_back(message);
        }
        let next = Decoder::with_limit(self.max_event_bytes);
        self.decoder = next.with_last_event_id(self.decoder.last_event_id());
    }

    fn decode(&mut self) -> Option<Result<Message, DecodeError>> {
        let message = self.decoder.next_message();
        self.update_sendable_id();
        if let Some(retry) = self.decoder.retry() {
            self.backoff.set_retry(retry);
        }
        message
    }

    fn update_sendable_id(&mut self) {
        let id = self.decoder.last_event_id();
        if id != self.sendable_id && is_sendable(id) {
            self.sendable_id.clear();
            self.sendable_id.push_str(id);
        }
    }
}
