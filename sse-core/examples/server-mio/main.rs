//! A whole server on one thread and without a runtime: mio says which sockets are ready, a [`Hub`] says what to do.
//! This is how the core is embedded in an event loop of your own.
//!
//! `cargo run --release --package sse-core --example server-mio`, then in two terminals
//! `curl -N http://127.0.0.1:3000/sse/news` and `curl -d 'hello' http://127.0.0.1:3000/publish/news`.
//! Try `-H 'Last-Event-ID: …'` with an id that was seen, `--http1.0`, and `-H 'X-Event-Id: 7'` on the publishing side.
//! `PORT` chooses another port.
//!
//! `server.rs` is the table of sockets, `turn.rs` what is done with them, `client.rs` one of them; `request.rs` and
//! `routes.rs` are what it may ask, `stream.rs` and `chunk.rs` how events are written to it.
#![expect(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "whoever embeds the core owns the clock"
)]

mod chunk;
mod client;
mod dispatch;
mod request;
mod routes;
mod server;
mod writer;

use std::error::Error;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, SystemTime};

use mio::{Events, Token};
use sse_core::{HubConfig, Instant, adapter};

use server::{LISTENER, Server};

/// How often sockets are looked for that hold a place and ask for nothing.
const TICK: Duration = Duration::from_secs(10);

fn main() -> Result<(), Box<dyn Error>> {
    let port = match std::env::var("PORT") {
        Ok(port) => port.parse().map_err(|error| format!("PORT={port} is no port: {error}"))?,
        Err(_) => 3000,
    };
    // What this run is called in event ids: ids from before a restart are known as such.
    let epoch = adapter::epoch_of(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?);
    let config = HubConfig { epoch, ..HubConfig::default() };
    let mut server = Server::listen(SocketAddr::from((Ipv4Addr::LOCALHOST, port)), config)?;
    println!("http://{}/", server.address()?);
    run(&mut server)?;
    Ok(())
}

/// The loop: what came in goes to the hub, what the hub says is done, then it sleeps until something is due.
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
            // Connections that found no free file descriptor wait for this.
            server.accept();
        }
        let deadline = server.hub.poll_timeout().map_or(tick, |at| at.min(tick));
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
    }
}

/// The core reads no clock. Its instants count from the moment that the embedder chooses.
struct Clock(std::time::Instant);

impl Clock {
    fn now(&self) -> Instant {
        Instant::from_nanos(u64::try_from(self.0.elapsed().as_nanos()).unwrap_or(u64::MAX))
    }
}
