//! One list of tests for every path from a hub to a client: each adapter, each kind of transport, each runtime.
//!
//! A *path* is a server on a thread of its own, with its runtime. Every path serves
//! `GET /sse/{channels, separated by commas}`. The tests connect to it over real sockets and use its hub by a handle. The list
//! is in `list.rs` and `ends.rs`, the paths are in `paths/`, and `tests/paths.rs` runs each test against each path.
//!
//! `programs.rs` and `examples.rs` start other programs and the examples of the workspace, for the tests of both.
#![expect(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "tests over real sockets take real time"
)]

pub mod client;
pub mod ends;
pub mod examples;
pub mod http2;
pub mod list;
pub mod paths;
pub mod programs;

use std::sync::mpsc::{Receiver, Sender};
use std::thread::JoinHandle;
use std::time::Duration;

use sse_core::shared::{Connection, Outbound, SharedHub};
use sse_core::{ChannelConfig, ConnectionConfig, HubConfig};
use sse_hyper::TransportConfig;

/// The time after which a wait fails the test.
pub const TIMEOUT: Duration = Duration::from_secs(30);

/// The configuration of a server.
#[derive(Clone)]
pub struct Setup {
    /// The configuration of the hub.
    pub hub: HubConfig,
    /// The configuration of each connection, except its last event id.
    pub connection: ConnectionConfig,
    /// The limits of the transports, where hyper serves them.
    pub transport: TransportConfig,
    /// The size of the send buffers of the sockets, on tokio. The system chooses it otherwise.
    pub send_buffer: Option<u32>,
}

impl Default for Setup {
    /// Returns the default configuration without the first block of a stream (H3).
    fn default() -> Setup {
        let connection = ConnectionConfig { announce_position: false, ..ConnectionConfig::default() };
        let transport = TransportConfig::default();
        Setup { hub: HubConfig::default(), connection, transport, send_buffer: None }
    }
}

/// A path from a hub to a client.
#[derive(Clone, Copy)]
pub struct Path {
    /// Runs the server until the last argument completes. Sends its port and its hub when it listens.
    pub run: fn(Setup, Sender<Listening>, Stop),
    /// Whether clients use HTTP/2.
    pub is_http2: bool,
    /// Whether hyper parses the requests, and not the test's own server.
    pub reads_requests: bool,
}

/// The report of a server that listens.
pub struct Listening {
    port: u16,
    hub: SharedHub,
    opened: Receiver<Connection>,
}

/// A future that completes when a server has to stop.
pub type Stop = tokio::sync::oneshot::Receiver<()>;

/// A running server.
pub struct Running {
    /// The port on which it listens.
    pub port: u16,
    /// The hub of the server.
    pub hub: SharedHub,
    /// The handles of the connections, in the order in which they were opened.
    pub opened: Receiver<Connection>,
    /// Whether clients use HTTP/2.
    pub is_http2: bool,
    stop: Option<tokio::sync::oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Path {
    /// Starts a server, and waits until it listens.
    pub fn start(&self, setup: Setup) -> Running {
        // Servers and clients share one process, and the default limit of open files can be low.
        let _ = rlimit::increase_nofile_limit(20_000);
        let (stop, stopped) = tokio::sync::oneshot::channel();
        let (ready, listening) = std::sync::mpsc::channel();
        let run = self.run;
        let thread = std::thread::spawn(move || run(setup, ready, stopped));
        let Listening { port, hub, opened } = listening.recv_timeout(TIMEOUT).expect("the server listens");
        Running { port, hub, opened, is_http2: self.is_http2, stop: Some(stop), thread: Some(thread) }
    }
}

impl Running {
    /// Shuts the server down, and waits until it has returned.
    pub fn stop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // Thousands of streams end on a busy machine.
            wait_within(TIMEOUT * 4, "the server returns", || thread.is_finished());
            thread.join().expect("the server returns");
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.stop.take());
    }
}

/// The state that the request handlers of a server share.
#[derive(Clone)]
pub struct Handler {
    hub: SharedHub,
    connection: ConnectionConfig,
    opened: Sender<Connection>,
}

impl Handler {
    /// Creates the state of a server that listens, and reports the server to the test.
    pub fn start(hub: SharedHub, setup: &Setup, port: u16, ready: &Sender<Listening>) -> Handler {
        let (sender, opened) = std::sync::mpsc::channel();
        ready.send(Listening { port, hub: hub.clone(), opened }).expect("the test waits for it");
        Handler { hub, connection: setup.connection.clone(), opened: sender }
    }

    /// Subscribes a request for `/sse/{channels}`. Returns `None` at a limit of the hub.
    pub fn subscribe(&self, path: &str, requested: ConnectionConfig) -> Option<Outbound> {
        let config = ConnectionConfig { last_event_id: requested.last_event_id, ..self.connection.clone() };
        let outbound = self.hub.connect(config).ok()?;
        for name in path.strip_prefix("/sse/")?.split(',') {
            let channel = self.hub.open_channel(name, ChannelConfig::default()).ok()?;
            outbound.subscribe(&channel).ok()?;
        }
        let _ = self.opened.send(outbound.handle());
        Some(outbound)
    }
}

/// The reconnection time of a refusal.
pub const RETRY_AFTER: Duration = Duration::from_secs(3);

/// Waits until a condition holds. Fails the test otherwise.
pub fn wait_until(what: &str, condition: impl FnMut() -> bool) {
    wait_within(TIMEOUT, what, condition);
}

fn wait_within(time: Duration, what: &str, mut condition: impl FnMut() -> bool) {
    let start = std::time::Instant::now();
    while !condition() {
        assert!(start.elapsed() < time, "{what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}
