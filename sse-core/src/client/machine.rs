//! The state machine of a client: its inputs, deadlines and actions.

use alloc::string::String;
use core::mem;
use core::time::Duration;

use super::action::{ClientAction, ClientState, StopReason};
use super::backoff::Backoff;
use super::config::ClientConfig;
use super::head::{Response, ResponseHead};
use super::messages::Messages;
use crate::time::Instant;
use crate::wire::{DecodeError, Message};

/// The shortest idle timeout. A shorter one is raised to this value.
const MIN_IDLE_TIMEOUT: Duration = Duration::from_millis(1);

/// The time that a late driver has to report what has arrived. A runtime needs some turns to read its sockets.
const GRACE: Duration = Duration::from_secs(1);

/// A client that follows one stream over any number of connections. The [module](super) documents its use.
#[derive(Clone, Debug)]
pub struct Client {
    idle_timeout: Option<Duration>,
    retry_refusals: bool,
    backoff: Backoff,
    /// The number of redirects that the current attempt has followed.
    redirects: u8,
    phase: Phase,
    /// The latest instant seen (D5).
    now: Instant,
    messages: Messages,
    /// Whether [`ClientAction::Close`] is pending.
    close_pending: bool,
    /// Whether [`ClientAction::Stop`] is pending.
    stop_pending: bool,
}

#[derive(Clone, Debug)]
enum Phase {
    Waiting {
        until: Instant,
    },
    /// [`ClientAction::Redirect`] is pending.
    Redirecting {
        location: String,
    },
    Connecting {
        silence: Silence,
    },
    Open {
        opened_at: Instant,
        silence: Silence,
    },
    Stopped(StopReason),
}

impl Phase {
    /// Returns the silence of the connection, if there is one.
    const fn silence(&mut self) -> Option<&mut Silence> {
        match self {
            Self::Connecting { silence } | Self::Open { silence, .. } => Some(silence),
            Self::Waiting { .. } | Self::Redirecting { .. } | Self::Stopped(_) => None,
        }
    }
}

/// The time in which a connection delivers nothing.
#[derive(Clone, Copy, Debug)]
struct Silence {
    /// The instant of the request, of the response head, or of the latest byte.
    since: Instant,
    /// The end of the grace of a late driver.
    grace_until: Option<Instant>,
}

impl Silence {
    const fn since(since: Instant) -> Self {
        Self { since, grace_until: None }
    }

    /// Returns the instant at which the client abandons the connection if nothing arrives.
    fn deadline(&self, idle_timeout: Duration) -> Option<Instant> {
        self.grace_until.or_else(|| self.since.checked_add(idle_timeout))
    }
}

impl Client {
    /// The number of redirects that one attempt follows, as in the Fetch standard.
    pub const MAX_REDIRECTS: u8 = 20;

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
            redirects: 0,
            phase: Phase::Waiting { until: Instant::ORIGIN },
            now: Instant::ORIGIN,
            messages: Messages::new(&last_event_id, max_event_bytes),
            close_pending: false,
            stop_pending: false,
        }
    }

    /// Handles a response head.
    ///
    /// - Status 200 with the content type `text/event-stream`, with any parameters, opens the stream (9.2.2).
    /// - The statuses 301, 302, 303, 307 and 308 with a `Location` header [redirect](super#redirects) the request.
    ///   [`ClientAction::Redirect`] follows. After [`MAX_REDIRECTS`](Client::MAX_REDIRECTS), a further redirect counts
    ///   as a failed attempt.
    /// - With [`retry_refusals`](ClientConfig::retry_refusals), the statuses 429 and 500 to 599 count as failed
    ///   attempts, and the client reconnects not earlier than after the time of `Retry-After`.
    /// - Any other status or type stops the client (9.2.2).
    ///
    /// If the response does not open the stream, [`ClientAction::Close`] follows, and the driver abandons the
    /// connection.
    ///
    /// Does nothing unless the client waits for a response head.
    ///
    /// ```
    /// # use sse_core::Instant;
    /// # use sse_core::client::{Client, ClientAction, ClientConfig, ClientState, ResponseHead, StopReason};
    /// # let now = Instant::ORIGIN;
    /// # let mut client = Client::new(ClientConfig::default());
    /// # client.poll_action();
    /// client.opened(now, ResponseHead { status: 404, ..ResponseHead::default() });
    /// assert_eq!(client.state(), ClientState::Stopped(StopReason::Status(404)));
    /// assert_eq!(client.poll_action(), Some(ClientAction::Close));
    /// assert_eq!(client.poll_action(), Some(ClientAction::Stop(StopReason::Status(404))));
    /// ```
    pub fn opened(&mut self, now: Instant, head: ResponseHead<'_>) {
        self.observe(now);
        if !matches!(self.phase, Phase::Connecting { .. }) {
            return;
        }
        match head.classify(self.retry_refusals) {
            Response::Stream => {
                self.phase = Phase::Open { opened_at: self.now, silence: Silence::since(self.now) };
            }
            Response::Redirect(location) if self.redirects < Self::MAX_REDIRECTS => {
                self.close_pending = true;
                self.redirects = self.redirects.saturating_add(1);
                self.phase = Phase::Redirecting { location };
            }
            // In Fetch, one redirect too many is a network error, after which an EventSource reconnects (9.2.2).
            Response::Redirect(_) => self.abandon(Duration::ZERO),
            Response::Refused(retry_after) => self.abandon(retry_after),
            Response::Final(reason) => self.stop(reason),
        }
    }

    /// Handles bytes of the response body, of any length. Ignores them while no stream is open.
    ///
    /// # Cost
    ///
    /// O(bytes). The bytes are copied; [`next_message`](Client::next_message) decodes them.
    pub fn bytes(&mut self, now: Instant, bytes: &[u8]) {
        self.observe(now);
        if let Phase::Open { silence, .. } = &mut self.phase
            && !bytes.is_empty()
        {
            *silence = Silence::since(self.now);
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

    /// Ends the wait before the next connection, for example when the network is back or when a user requests it. Does
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
    ///
    /// The driver reports what has arrived first, with [`opened`](Client::opened) or [`bytes`](Client::bytes). A call
    /// after the deadline of the idle timeout can come from a driver that was suspended together with its program. The
    /// client then sets a new deadline, once, to give the driver time to read: one second later, or the idle timeout
    /// later if that is shorter (C5).
    pub fn handle_timeout(&mut self, now: Instant) {
        self.observe(now);
        let Some(idle_timeout) = self.idle_timeout else { return };
        let Some(silence) = self.phase.silence() else { return };
        let Some(deadline) = silence.deadline(idle_timeout) else { return };
        if self.now < deadline {
            return;
        }
        if self.now == deadline || silence.grace_until.is_some() {
            return self.abandon(Duration::ZERO);
        }
        silence.grace_until = Some(self.now.saturating_add(idle_timeout.min(GRACE)));
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
            Phase::Redirecting { .. } => Some(self.now),
            Phase::Connecting { silence } | Phase::Open { silence, .. } => {
                silence.deadline(self.idle_timeout?)
            }
            Phase::Stopped(_) => None,
        }
    }

    /// Returns the next pending action, or `None` if no action is pending.
    pub fn poll_action(&mut self) -> Option<ClientAction> {
        if mem::take(&mut self.close_pending) {
            return Some(ClientAction::Close);
        }
        match &mut self.phase {
            Phase::Waiting { until } if *until <= self.now => {
                self.redirects = 0;
                self.phase = Phase::Connecting { silence: Silence::since(self.now) };
                Some(ClientAction::Connect { last_event_id: self.messages.begin_request() })
            }
            Phase::Redirecting { location } => {
                let location = mem::take(location);
                self.phase = Phase::Connecting { silence: Silence::since(self.now) };
                Some(ClientAction::Redirect { location, last_event_id: self.messages.begin_request() })
            }
            Phase::Stopped(reason) if mem::take(&mut self.stop_pending) => Some(ClientAction::Stop(*reason)),
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
            Phase::Waiting { .. } | Phase::Redirecting { .. } => ClientState::Waiting,
            Phase::Connecting { .. } => ClientState::Connecting,
            Phase::Open { .. } => ClientState::Open,
            Phase::Stopped(reason) => ClientState::Stopped(reason),
        }
    }

    /// Returns the current reconnection time (9.2.3).
    ///
    /// This is the time of the latest `retry` line that the client has decoded, at most
    /// [`max_server_wait`](super::BackoffConfig::max_server_wait), or else the configured
    /// [`initial`](super::BackoffConfig::initial) time. It is raised to [`shortest`](super::BackoffConfig::shortest).
    #[must_use]
    pub fn reconnection_time(&self) -> Duration {
        self.backoff.reconnection_time()
    }

    fn observe(&mut self, now: Instant) {
        self.now = self.now.max(now);
    }

    /// Requests the close of the connection from the driver, and starts the wait for the next connection.
    fn abandon(&mut self, retry_after: Duration) {
        self.close_pending = true;
        self.schedule_reconnect(retry_after);
    }

    /// Ends the attempt, and starts the wait for the next connection (9.2.3).
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
