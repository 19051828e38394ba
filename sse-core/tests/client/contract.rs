//! Runs any sequence of calls, encoded as bytes, and checks that a client keeps the contract with its driver. Called by
//! proptest and by the fuzz target.

use std::time::Duration;

use sse_core::Instant;
use sse_core::client::{BackoffConfig, Client, ClientAction, ClientConfig, ClientState, ResponseHead};

const LIMIT: usize = 64;

/// The head of an event stream.
const STREAM: ResponseHead<'_> =
    ResponseHead { status: 200, content_type: Some(b"text/event-stream"), location: None, retry_after: None };

/// The encoded steps: the first byte of each step selects the call, the following bytes are its arguments.
struct Steps<'a>(&'a [u8]);

impl<'a> Steps<'a> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    fn bytes(&mut self) -> Option<&'a [u8]> {
        let count = usize::from(self.byte()?).min(self.0.len());
        let (bytes, rest) = self.0.split_at(count);
        self.0 = rest;
        Some(bytes)
    }

    /// Returns durations of every magnitude, including the longest.
    fn duration(&mut self) -> Option<Duration> {
        let byte = self.byte()?;
        Some(Duration::from_nanos(u64::from(byte & 3) << (byte >> 2)))
    }
}

struct Driver {
    client: Client,
    now: Instant,
    shortest: Duration,
    /// The bound of each wait (C3).
    longest: Duration,
    /// Whether a connection was requested that neither ended nor was closed.
    has_connection: bool,
    /// The redirects since the last request for the URL of the stream.
    redirects: u8,
    stopped: bool,
}

pub(crate) fn run(input: &[u8]) {
    let mut steps = Steps(input);
    // The input is too short for a configuration.
    let Some(mut driver) = Driver::new(&mut steps) else { return };
    while let Some(step) = steps.byte() {
        if driver.step(step, &mut steps).is_none() {
            break;
        }
        driver.check();
    }
    driver.run_deadlines();
}

impl Driver {
    fn new(steps: &mut Steps<'_>) -> Option<Driver> {
        let flags = steps.byte()?;
        let backoff = BackoffConfig {
            initial: steps.duration()?,
            shortest: steps.duration()?,
            longest: steps.duration()?,
            max_server_wait: steps.duration()?,
            jitter_percent: u32::from(steps.byte()?),
        };
        let idle = steps.duration()?;
        let BackoffConfig { initial, shortest, longest, max_server_wait, jitter_percent } = backoff;
        let longest = longest.max(initial).max(shortest).max(max_server_wait).max(Duration::from_millis(1));
        let config = ClientConfig {
            last_event_id: String::from_utf8_lossy(steps.bytes()?).into_owned(),
            backoff,
            idle_timeout: (flags & 1 == 0).then_some(idle),
            retry_refusals: flags & 2 == 0,
            max_event_bytes: LIMIT,
            seed: u64::from(flags),
        };
        Some(Driver {
            client: Client::new(config),
            now: Instant::ORIGIN,
            shortest: shortest.max(Duration::from_millis(1)),
            longest: longest + longest.mul_f64(f64::from(jitter_percent + 1) / 100.0),
            has_connection: false,
            redirects: 0,
            stopped: false,
        })
    }

    fn step(&mut self, step: u8, steps: &mut Steps<'_>) -> Option<()> {
        match step % 11 {
            0 => drop(self.poll()),
            1 => {
                let status = [200, 200, 204, 301, 307, 404, 429, 503][usize::from(steps.byte()? & 7)];
                let (content_type, location) = (steps.bytes()?, steps.bytes()?);
                let location = Some(location).filter(|location| !location.is_empty());
                let retry_after = Some(steps.bytes()?);
                let content_type = Some(content_type);
                let was_connecting = self.client.state() == ClientState::Connecting;
                self.client.opened(self.now, ResponseHead { status, content_type, location, retry_after });
                let is_open = self.client.state() == ClientState::Open;
                assert!(!(was_connecting && is_open) || status == 200);
            }
            2 => self.client.opened(self.now, STREAM),
            3 => self.client.bytes(self.now, steps.bytes()?),
            4 => self.end(|client, now| client.ended(now)),
            5 => self.end(|client, now| client.failed(now)),
            6 => {
                self.now = self.now.saturating_add(steps.duration()?);
                self.client.handle_timeout(self.now);
            }
            7 => {
                // A driver that sleeps until the deadline.
                self.now = self.client.poll_timeout().unwrap_or(self.now).max(self.now);
                self.client.handle_timeout(self.now);
            }
            8 => self.take(),
            9 => self.reconnect_now(),
            _ if steps.byte()? == 0 => self.client.close(self.now),
            // A clock that runs backwards.
            _ => self.client.handle_timeout(Instant::ORIGIN),
        }
        Some(())
    }

    fn end(&mut self, end: impl Fn(&mut Client, Instant)) {
        let state = self.client.state();
        end(&mut self.client, self.now);
        if matches!(state, ClientState::Connecting | ClientState::Open) {
            self.has_connection = false;
            assert_eq!(self.client.state(), ClientState::Waiting);
            let wait = self.client.poll_timeout().map(|until| until.saturating_duration_since(self.now));
            let is_last = Instant::from_nanos(u64::MAX).saturating_duration_since(self.now) < self.shortest;
            assert!(is_last || wait >= Some(self.shortest), "{wait:?}");
            assert!(wait <= Some(self.longest), "{wait:?}");
        }
    }

    fn reconnect_now(&mut self) {
        let state = self.client.state();
        self.client.reconnect_now(self.now);
        assert_eq!(self.client.state(), state);
        assert!(state != ClientState::Waiting || self.client.poll_timeout() <= Some(self.now));
    }

    fn poll(&mut self) -> Option<ClientAction> {
        let action = self.client.poll_action()?;
        match &action {
            ClientAction::Connect { last_event_id } | ClientAction::Redirect { last_event_id, .. } => {
                self.redirects = match &action {
                    ClientAction::Redirect { location, .. } => {
                        assert!(location.is_ascii() && self.redirects < Client::MAX_REDIRECTS);
                        self.redirects + 1
                    }
                    _ => 0,
                };
                assert!(
                    !self.has_connection && !self.stopped,
                    "one connection at a time, and none after the end"
                );
                self.has_connection = true;
                let id = last_event_id.as_deref().unwrap_or("7");
                let is_header = !id.is_empty() && id.len() <= 4096 && id == id.trim_matches([' ', '\t']);
                assert!(is_header && !id.contains(|c: char| c.is_ascii_control() && c != '\t'), "{id:?}");
            }
            ClientAction::Close => {
                assert!(self.has_connection, "there is a connection to close");
                self.has_connection = false;
            }
            ClientAction::Stop(reason) => {
                assert!(
                    !self.has_connection && !self.stopped,
                    "the client stops once and without a connection"
                );
                assert_eq!(self.client.state(), ClientState::Stopped(*reason));
                self.stopped = true;
            }
            _ => unreachable!(),
        }
        Some(action)
    }

    fn take(&mut self) {
        while let Some(message) = self.client.next_message() {
            if let Ok(message) = message {
                assert!(message.data.len() + message.event.len() <= LIMIT + "message".len());
            }
        }
    }

    /// Checks that the deadline is not in the future while an action is pending, and that few actions are pending (D2).
    fn check(&self) {
        let mut client = self.client.clone();
        let mut actions = 0;
        loop {
            let deadline = client.poll_timeout();
            if client.poll_action().is_none() {
                break;
            }
            assert!(
                deadline.is_some_and(|deadline| deadline <= self.now),
                "{deadline:?} with actions pending"
            );
            actions += 1;
        }
        assert!(actions <= 2, "{actions} actions");
        client.handle_timeout(self.now);
        while client.poll_action().is_some() {}
        let deadline = client.poll_timeout();
        let is_last = self.now == Instant::from_nanos(u64::MAX);
        assert!(is_last || deadline.is_none_or(|at| at > self.now), "{deadline:?} with nothing pending");
    }

    /// Drives the client from deadline to deadline, without any other input.
    fn run_deadlines(&mut self) {
        for _ in 0..20 {
            let Some(next) = self.client.poll_timeout() else { break };
            self.now = next.max(self.now);
            self.client.handle_timeout(self.now);
            for _ in 0..3 {
                self.poll();
            }
            self.take();
            self.check();
        }
        if self.client.poll_timeout().is_none() {
            let state = self.client.state();
            assert_eq!(self.stopped, matches!(state, ClientState::Stopped(_)), "{state:?}");
        }
    }
}
