//! One list of tests for every way from a hub to a client: each adapter, each kind of transport, each runtime.
//!
//! A *path* is a server on a thread of its own, with the runtime that it is for. All paths answer `GET
//! /sse/{channels, separated by commas}`, and the tests talk to them over real sockets and to their hub by its handle.
//! The list is in `list.rs`, the paths are in `paths/`, and `tests/paths.rs` runs the one against the other.
#![expect(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "tests over real sockets take real time"
)]

pub mod client;
pub mod list;
pub mod paths;

use std::sync::mpsc::{Receiver, Sender};
use std::thread::JoinHandle;
use std::time::Duration;

use sse_core::shared::{Connection, Outbound, SharedHub};
use sse_core::{ChannelConfig, ConnectionConfig, HubConfig};

/// Longer than anything here takes, unless it never comes.
pub const TIMEOUT: Duration = Duration::from_secs(30);

/// What a server is made with.
#[derive(Clone)]
pub struct Setup {
    /// Its hub.
    pub hub: HubConfig,
    /// Every connection, but for its last event id.
    pub connection: ConnectionConfig,
}

impl Default for Setup {
    /// Connections begin with their first event.
    fn default() -> Setup {
        let connection = ConnectionConfig { announce_position: false, ..ConnectionConfig::default() };
        Setup { hub: HubConfig::default(), connection }
    }
}

/// A path: how it is started, and what clients speak to it.
#[derive(Clone, Copy)]
pub struct Path {
    /// Starts the server. It says its port and its hub when it listens, and stops when the last argument says so.
    pub run: fn(Setup, Sender<Listening>, Stop),
    /// Clients speak HTTP/2 to it.
    pub is_http2: bool,
    /// The requests are read by hyper, not by the test's own server.
    pub reads_requests: bool,
}

/// What a server says when it listens.
pub struct Listening {
    port: u16,
    hub: SharedHub,
    opened: Receiver<Connection>,
}

/// Ready when a server is to stop.
pub type Stop = tokio::sync::oneshot::Receiver<()>;

/// A server that runs.
pub struct Running {
    /// Which port it listens on.
    pub port: u16,
    /// Its hub.
    pub hub: SharedHub,
    /// The handles of connections, in the order in which they were opened.
    pub opened: Receiver<Connection>,
    /// What clients speak to it.
    pub is_http2: bool,
    stop: Option<tokio::sync::oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Path {
    /// Starts a server.
    pub fn start(&self, setup: Setup) -> Running {
        // Servers and clients are one process here, and some systems allow it few files at first.
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
    /// Has the server shut down, and waits until it returned.
    pub fn stop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            thread.join().expect("the server returns");
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.stop.take());
    }
}

/// What the handlers of a server share.
#[derive(Clone)]
pub struct Handler {
    hub: SharedHub,
    connection: ConnectionConfig,
    opened: Sender<Connection>,
}

impl Handler {
    /// The handler of a server that listens, which is told.
    pub fn start(hub: SharedHub, setup: &Setup, port: u16, ready: &Sender<Listening>) -> Handler {
        let (sender, opened) = std::sync::mpsc::channel();
        ready.send(Listening { port, hub: hub.clone(), opened }).expect("the test waits for it");
        Handler { hub, connection: setup.connection.clone(), opened: sender }
    }

    /// The stream of a request for `/sse/{channels}`; `None` when there is no room for another.
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

/// How long a refused client is asked to wait.
pub const RETRY_AFTER: Duration = Duration::from_secs(3);

/// Waits until something holds, which it has to.
pub fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let start = std::time::Instant::now();
    while !condition() {
        assert!(start.elapsed() < TIMEOUT, "{what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}
