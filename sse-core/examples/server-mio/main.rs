//! A complete server on one thread and without a runtime: mio polls the sockets, and a [`Hub`] returns the actions. The
//! example shows how to embed the core in your own event loop.
//!
//! Run `cargo run --release --package sse-core --example server-mio`, and in two terminals
//! `curl -N http://127.0.0.1:3000/sse/news` and `curl -d 'hello' http://127.0.0.1:3000/publish/news`.
//! Try `-H 'Last-Event-ID: …'` with an earlier id, `--http1.0`, and `-H 'X-Event-Id: 7'` for a publication.
//! `PORT` sets the port. `docs/examples.md` describes the routes.
//!
//! `server.rs` holds the sockets, `dispatch.rs` handles their readiness and the actions of the hub, and `client.rs` is one
//! socket. `request.rs` and `routes.rs` serve requests. `writer.rs` and `chunk.rs` write events.
#![expect(clippy::disallowed_types, clippy::disallowed_methods, reason = "the embedder owns the clock")]

mod chunk;
mod client;
mod dispatch;
mod request;
mod routes;
mod server;
mod writer;

use std::error::Error;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, SystemTime};

use mio::{Events, Token};
use sse_core::{HubConfig, Instant, adapter};

use server::{LISTENER, Server};

/// The interval at which idle sockets are closed.
const TICK: Duration = Duration::from_secs(10);

/// The longest pause after a connection that could not be accepted.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

fn main() -> Result<(), Box<dyn Error>> {
    let port = match std::env::var("PORT") {
        Ok(port) => port.parse().map_err(|error| format!("PORT={port} is not a port: {error}"))?,
        Err(_) => 3000,
    };
    // The epoch identifies this run in event ids, so that ids from before a restart are unknown ids.
    let since_1970 = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
    let epoch = adapter::epoch_of(since_1970, RandomState::new().hash_one(since_1970));
    let config = HubConfig { epoch, ..HubConfig::default() };
    let mut server = Server::listen(SocketAddr::from((Ipv4Addr::LOCALHOST, port)), config)?;
    println!("http://{}/", server.address()?);
    run(&mut server)?;
    Ok(())
}

/// Runs the event loop: feeds the time and the sockets to the hub, handles its actions, and sleeps until the next deadline.
fn run(server: &mut Server) -> io::Result<()> {
    let clock = Clock(std::time::Instant::now());
    let mut events = Events::with_capacity(1024);
    let mut tick = clock.now();
    loop {
        let now = clock.now();
        server.hub.handle_timeout(now);
        server.handle_actions(now);
        if tick <= now {
            tick = now.saturating_add(TICK);
            server.close_idle(now);
        }
        if server.retry_accept {
            server.accept();
        }
        let mut deadline = server.hub.poll_timeout().map_or(tick, |at| at.min(tick));
        if server.retry_accept {
            deadline = deadline.min(now.saturating_add(ACCEPT_PAUSE));
        }
        if !server.unread.is_empty() {
            deadline = now;
        }
        match server.poll.poll(&mut events, Some(deadline.saturating_duration_since(clock.now()))) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
            Err(_) => continue,
            Ok(()) => {}
        }
        for event in &events {
            match event.token() {
                LISTENER => server.accept(),
                Token(slot) => server.handle_ready(slot, clock.now()),
            }
        }
        server.handle_unread(clock.now());
    }
}

/// The clock of the hub. The core reads no clock, and its instants count from an origin that the embedder chooses.
struct Clock(std::time::Instant);

impl Clock {
    fn now(&self) -> Instant {
        Instant::from_nanos(u64::try_from(self.0.elapsed().as_nanos()).unwrap_or(u64::MAX))
    }
}
