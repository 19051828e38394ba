//! A server, nginx or a relay in front of it, browsers, and the client libraries of other languages.

mod browser;
mod install;
mod relay;
pub(crate) mod resumption;

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use adapter_tests::{Running, Setup};
use sse_core::shared::{HubMut, SharedHub};
use sse_core::{ChannelConfig, ConnectionConfig, ConnectionId, Event, Frame, Published};

pub(crate) use browser::Browser;
pub(crate) use install::{node, python};
pub(crate) use relay::Relay;

/// The time after which a wait fails the test.
const TIMEOUT: Duration = Duration::from_secs(60);

/// A server on a thread of its own.
pub(crate) struct Server {
    pub(crate) hub: SharedHub,
    pub(crate) port: u16,
    _running: Running,
}

impl Server {
    pub(crate) fn start(path: adapter_tests::Path) -> Server {
        Server::with(path, ConnectionConfig::default())
    }

    /// Starts a server with a configuration of its connections.
    pub(crate) fn with(path: adapter_tests::Path, connection: ConnectionConfig) -> Server {
        let running = path.start(Setup { connection, ..Setup::default() });
        Server { hub: running.hub.clone(), port: running.port, _running: running }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    pub(crate) fn publish(&self, channel: &str, event: &Event<'_>) -> Published {
        let channel = self.hub.open_channel(channel, ChannelConfig::default()).expect("there is room");
        channel.publish(event).expect("the channel is open")
    }

    pub(crate) fn connections(&self) -> usize {
        self.hub.stats().connections
    }

    pub(crate) fn wait_for_connections(&self, count: usize) {
        wait_until(&format!("{count} connections"), || self.connections() == count);
    }

    pub(crate) fn close_all(&self) {
        self.for_each_connection(|hub, now, connection| {
            hub.close_connection(now, connection);
        });
    }

    pub(crate) fn ping_every(&self, interval: Duration) {
        self.for_each_connection(|hub, now, connection| {
            hub.set_ping(now, connection, Some(interval));
        });
    }

    /// Sends a frame to each connection.
    pub(crate) fn send(&self, frame: &Frame) {
        self.for_each_connection(|hub, now, connection| {
            hub.send(now, connection, frame).expect("the frame is small");
        });
    }

    fn for_each_connection(&self, mut call: impl FnMut(&mut HubMut<'_>, sse_core::Instant, ConnectionId)) {
        self.hub.with(|hub, now| {
            for connection in hub.connections().collect::<Vec<_>>() {
                call(hub, now, connection);
            }
        });
    }
}

/// The installed nginx with its defaults: a buffering reverse proxy that uses HTTP/1.0 towards the server.
pub(crate) struct Nginx {
    process: Child,
    port: u16,
}

impl Nginx {
    /// Starts nginx in front of a port, with additional configuration.
    pub(crate) fn start(behind: u16, more: &str) -> Nginx {
        let port = free_port();
        let folder = folder(&format!("nginx-{port}"));
        let at = folder.display();
        let configuration = format!(
            "daemon off; master_process off; pid {at}/pid; error_log {at}/error.log;
             events {{}}
             http {{
                 access_log off;
                 client_body_temp_path {at}/a; proxy_temp_path {at}/b; fastcgi_temp_path {at}/c;
                 uwsgi_temp_path {at}/d; scgi_temp_path {at}/e;
                 server {{
                     listen 127.0.0.1:{port};
                     location / {{ proxy_pass http://127.0.0.1:{behind}; {more} }}
                 }}
             }}"
        );
        let file = folder.join("nginx.conf");
        std::fs::write(&file, configuration).expect("the folder can be written");
        let process = Command::new("nginx")
            .args([
                Path::new("-p"),
                &folder,
                Path::new("-c"),
                &file,
                Path::new("-e"),
                &folder.join("error.log"),
            ])
            .stderr(Stdio::null())
            .spawn()
            .expect("nginx is installed");
        let nginx = Nginx { process, port };
        wait_until("nginx listens", || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok());
        nginx
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Creates a folder below the target folder.
fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::create_dir_all(&folder).expect("the target folder can be written");
    folder
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    listener.local_addr().expect("the listener is bound").port()
}

fn wait_until(what: &str, condition: impl Fn() -> bool) {
    let started = Instant::now();
    while !condition() {
        assert!(started.elapsed() < TIMEOUT, "{what}: not within {TIMEOUT:?}");
        sleep(Duration::from_millis(10));
    }
}
