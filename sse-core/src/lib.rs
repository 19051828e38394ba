//! Server-Sent Events as a state machine without I/O.
//!
//! It encodes and decodes the [`text/event-stream`] format of the WHATWG HTML standard, section 9.2, and it is a server
//! without the server: connections with their own ping and timeout, channels that broadcast, history that is kept by
//! itself, missed events that are sent by themselves when a client comes back, channels that exist only while somebody
//! needs them. It reads no clock, opens no socket, spawns no task and draws no random number: instants come in, actions
//! come out, bytes are pulled. The same calls give the same bytes.
//!
//! [`text/event-stream`]: https://html.spec.whatwg.org/multipage/server-sent-events.html
//!
//! The other end is here too: [`client`] follows a stream and comes back by itself, as a state machine of the same kind.
//!
//! # The one idea
//!
//! A channel is a log of encoded frames, and a connection is a position. Publishing appends to the log; delivering
//! sends what the log has after the position and moves it on; a client that comes back starts at the position that its
//! last event id stands for, which is the same code. A slow reader is a position that is behind: it costs no memory of
//! its own and delays nobody. Positions are one order over all channels of a hub, so a connection needs one, however
//! many channels it follows.
//!
//! # A whole example
//!
//! An event loop around a [`Hub`], with a `Vec` in the place of a socket:
//!
//! ```
//! use bytes::Buf;
//! use sse_core::{Action, ChannelConfig, ConnectionConfig, Event, Hub, HubConfig, Instant};
//!
//! let mut hub = Hub::new(HubConfig { epoch: "1k9f2".into(), ..HubConfig::default() })?;
//! let mut now = Instant::ORIGIN;
//! let mut socket: Vec<u8> = Vec::new();
//!
//! // A client asks for a stream. It was here before, and says what it saw last.
//! let weather = hub.open_channel(now, "weather", ChannelConfig::default())?;
//! hub.publish(now, weather, &Event::new().data("sunny"))?;
//! hub.publish(now, weather, &Event::new().data("cloudy"))?;
//! let config = ConnectionConfig { last_event_id: Some("1k9f2-1".into()), ..ConnectionConfig::default() };
//! let connection = hub.connect(now, config)?;
//! hub.subscribe(now, weather, connection)?;
//!
//! // The loop: do what the hub says, then sleep until its next deadline or the next input.
//! while now <= Instant::from_millis(50_000) {
//!     hub.handle_timeout(now);
//!     while let Some(action) = hub.poll_action() {
//!         match action {
//!             Action::Transmit(connection) => {
//!                 // A real socket takes a part; the rest is there again when it is writable.
//!                 let mut window = hub.transmit(now, connection);
//!                 while window.has_remaining() {
//!                     let taken = window.chunk().len();
//!                     socket.extend_from_slice(window.chunk());
//!                     window.advance(taken);
//!                 }
//!             }
//!             Action::Close { connection, reason } => println!("{connection} ended: {reason}"),
//!             _ => {}
//!         }
//!     }
//!     now = hub.poll_timeout().unwrap_or(now);
//! }
//! assert_eq!(socket, b"id: 1k9f2-2\ndata: cloudy\n\n:\n\n", "the missed event, and much later a ping");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # The contract with a driver
//!
//! - **D1** Any order of calls is legal. Nothing has to be drained before the next call.
//! - **D2** What is pending is visible through [`poll_action`](Hub::poll_action) and
//!   [`poll_timeout`](Hub::poll_timeout). While anything is pending, `poll_timeout` is not in the future: a driver that
//!   sleeps exactly until then misses nothing. Bytes of a connection that was named are the driver's, so a stalled peer
//!   does not keep it awake.
//! - **D3** [`Action::Transmit`] names a connection once, and again only after everything due was taken. Taking the last
//!   of it is enough; no empty look is needed. A window that was used up while more is due names the connection again,
//!   behind the others. One that was not is the driver's to go on with, when its socket can.
//! - **D4** Calling something twice or too early costs time, never data.
//! - **D5** Time that runs backwards is taken as the latest instant seen.
//! - **D6** Ids are never given out again. One that is no longer alive is `None`, `false` or an error.
//! - **D7** Publishing touches no member. `poll_action` visits a bounded number of them, and may return `None` before all
//!   were visited; D2 holds then too.
//! - **D8** What ends abruptly is free at once, what is closed as soon as its last due byte was taken or given up.
//! - **D9** A window is valid while it is borrowed. A driver that writes without a lock takes the bytes out, and owns
//!   what the socket refused.
//!
//! # What it costs
//!
//! Each call's page says it. In short: an event is one allocation, when it is published, and the count of its references;
//! publishing is O(1), however many follow; a delivery allocates nothing and copies nothing; a connection is a position and
//! some deadlines, and holds no queue; asking when to wake next looks at no connection. `tests/allocations.rs` and
//! `tests/memory.rs` count.
//!
//! # What is bounded
//!
//! [`Limits`] bounds connections, channels, members, subscriptions and the size of events; each channel bounds its
//! [history](HistoryConfig) and its [backlog](BacklogConfig); each connection what is
//! [sent to it alone](ConnectionConfig::direct_bytes); a [`Decoder`] the event that it is reading. At a bound there is a
//! typed error or a stated policy.
//!
//! # Features
//!
//! - `std` (on by default): the [`shared`] hub for threads and tasks, and vectored windows. Without it the crate needs
//!   `alloc` alone.
//! - `serde`: an event whose data is a value, written as JSON straight into the frame: `Event::json`.
//! - `metrics`: the counters of a shared hub for the [`metrics`](https://docs.rs/metrics) facade:
//!   `SharedHub::record_metrics`.
//! - `tracing`: a span for each connection of a shared hub, and events for what operators want to know; the page of
//!   [`shared`] says which.
//!
//! Nothing of the last two is on the way of an event to its readers, and without them there is no code for them.
//!
//! # Panics
//!
//! None, on any input: a panic in this crate is a bug. It has no `unsafe` code.
#![no_std]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects
    )
)]

extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

#[cfg(feature = "std")]
pub mod adapter;
pub mod client;
mod config;
mod hub;
mod id;
mod mix;
mod resume;
#[cfg(feature = "std")]
pub mod shared;
mod stats;
mod time;
mod wire;

pub use bytes;
pub use config::{
    BacklogConfig, ChannelConfig, ConnectionConfig, GapPolicy, HistoryConfig, HubConfig, IdSource, LagPolicy,
    Limits, OnClose, OnMaxLifetime, PositionSource, PublishOptions, StartFrom,
};
pub use hub::{
    Action, ChannelCloseReason, Claim, ConfigError, ConnectError, ConnectionStats, DrainConfig, Hub,
    OpenError, PublishError, Published, SendError, SubscribeError, Transmit,
};
pub use id::{ChannelId, ConnectionId, Position};
pub use resume::{LastEventId, Resume};
pub use stats::{ChannelStats, CloseCounts, CloseReason, Stats};
pub use time::Instant;
pub use wire::{DecodeError, Decoder, EncodeError, EncodeField, Event, Frame, FrameError, Message};

/// The README's example is compiled with the tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
