//! Server-Sent Events as a state machine without I/O.
//!
//! The crate encodes and decodes the [`text/event-stream`] format of the WHATWG HTML standard, section 9.2. Its [`Hub`] is a
//! server without the server: connections with their own ping and maximum lifetime, channels that broadcast, history that is
//! kept and replayed automatically when a client reconnects, channels that exist only while they have members. It reads no
//! clock, opens no socket, spawns no task and draws no random number. Instants go in, actions come out, bytes are pulled. The
//! same calls produce the same bytes.
//!
//! [`text/event-stream`]: https://html.spec.whatwg.org/multipage/server-sent-events.html
//!
//! The other end is here too: [`client`] follows a stream over reconnections, as a state machine of the same kind.
//!
//! # The idea
//!
//! A channel is a log of encoded frames, and a connection is a position in it. Publishing appends to the log. Delivering sends
//! what the log holds after the position, and advances the position. A client that reconnects starts at the position of its
//! last event id: the same code. A slow reader is a position that is behind: it costs no memory of its own and delays no other
//! reader. Positions form one order over all channels of a hub, so a connection needs one position, however many channels it
//! follows.
//!
//! # A complete example
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
//! // A client reconnects and sends the id of its last event.
//! let weather = hub.open_channel(now, "weather", ChannelConfig::default())?;
//! hub.publish(now, weather, &Event::new().data("sunny"))?;
//! hub.publish(now, weather, &Event::new().data("cloudy"))?;
//! let config = ConnectionConfig { last_event_id: Some("1k9f2-1".into()), ..ConnectionConfig::default() };
//! let connection = hub.connect(now, config)?;
//! hub.subscribe(now, weather, connection)?;
//!
//! // The loop: carry out the actions, then sleep until the next deadline or the next input.
//! while now <= Instant::from_millis(50_000) {
//!     hub.handle_timeout(now);
//!     while let Some(action) = hub.poll_action() {
//!         match action {
//!             Action::Transmit(connection) => {
//!                 // A real socket takes a part; the rest is pending again when the socket is writable.
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
//! assert_eq!(socket, b"id: 1k9f2-2\ndata: cloudy\n\n:\n", "the missed event, and much later a ping");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # The contract with a driver
//!
//! The driver is the code that feeds instants and sockets to a hub: an event loop, or the task of an adapter. [`rules`] has all
//! rules of this crate and its adapters; these are the ones for drivers.
//!
//! - **D1** Any order of calls is legal. Nothing has to be drained before the next call.
//! - **D2** Pending work is visible through [`poll_action`](Hub::poll_action) and [`poll_timeout`](Hub::poll_timeout). While
//!   anything is pending, `poll_timeout` is not in the future: a driver that sleeps exactly until then misses nothing. The
//!   bytes of a reported connection are the driver's responsibility, so a stalled peer does not keep the driver awake.
//! - **D3** [`Action::Transmit`] is edge-triggered: a connection is reported once, and again only after everything pending was
//!   taken. Taking the last byte re-arms the report; no empty window has to be read. When a window is used up and more is
//!   pending, the connection is reported again, behind the others. When a window is not used up, the driver waits for its
//!   socket.
//! - **D4** Calling something twice or too early costs time, never data.
//! - **D5** An instant earlier than one already seen is taken as the latest seen. No instant makes anything panic.
//! - **D6** Ids are never reused. A call with the id of something that is gone returns `None`, `false` or an error.
//! - **D7** Publishing touches no member. `poll_action` visits a bounded number of members, and may return `None` before all
//!   were visited; D2 holds then too.
//! - **D8** An end that flushes nothing frees everything at once. A close frees everything as soon as the last pending byte
//!   was taken or given up.
//! - **D9** A window is valid while it is borrowed. A driver that writes without holding the hub [claims](Claim) bytes. Until
//!   the claim is confirmed or put back, the connection counts as pending, and nothing else is handed out for it.
//! - **D10** Polling is fair: a direct send, a ping or a replay does not wait behind a busy channel, and a small channel does
//!   not wait for the sweep of a large one.
//!
//! The response head is the driver's to write, at once: for a client that is up to date, the hub has nothing pending before
//! the first ping.
//!
//! # Cost
//!
//! Each call documents its cost. In short: an event is one allocation when it is published, and its reference count. Publishing
//! is O(1), however many members a channel has. A delivery allocates nothing and copies nothing. A connection is a position
//! and some deadlines, and holds no queue. Asking for the next deadline visits no connection. `tests/allocations.rs` and
//! `tests/memory.rs` count.
//!
//! # Bounds
//!
//! [`Limits`] bounds connections, channels, members, subscriptions and the size of events. Each channel bounds its
//! [history](HistoryConfig) and its [backlog](BacklogConfig), each connection its
//! [direct sends](ConnectionConfig::direct_bytes), a [`Decoder`] the event that it reads. At a bound there is a typed error or
//! a documented policy.
//!
//! # Features
//!
//! - `std` (on by default): [`shared`], the hub for threads and tasks; [`adapter`], the parts of adapter crates; vectored
//!   windows. Without it the crate needs `alloc` alone.
//! - `futures-core`: connections and channels as streams, `adapter::EventStream`.
//! - `serde`: events whose data is a value, written as JSON: `Event::json`.
//! - `metrics`: the counters of a shared hub for the [`metrics`](https://docs.rs/metrics) facade: `SharedHub::record_metrics`.
//! - `tracing`: a span for each connection of a shared hub, and events for operators; the page of [`shared`] lists them.
//!
//! A delivery runs through neither of the last two. Without them there is no code for them.
//!
//! # Panics
//!
//! None, on any input: a panic in this crate is a bug. The one exception is a handle that is used inside of `SharedHub::with`
//! of its own hub: the call would wait for its own thread for ever. The crate has no `unsafe` code.
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
#[doc = include_str!("../rules.md")]
pub mod rules {}
#[cfg(feature = "std")]
pub mod shared;
mod stats;
mod time;
mod wire;

pub use bytes;
pub use config::{
    BacklogConfig, ChannelConfig, ConnectionConfig, ControlEvents, Except, GapPolicy, HistoryConfig,
    HubConfig, IdSource, LagPolicy, Limits, OnClose, OnMaxLifetime, PositionSource, PublishOptions,
    StartFrom,
};
pub use hub::{
    Action, ChannelCloseReason, Claim, ConfigError, ConnectError, ConnectionStats, DrainConfig, Finished,
    Hub, OpenError, Past, PastEvent, PositionsAreNotLocal, PublishError, Published, RestoreError, SendError,
    SubscribeError, Transmit, Unwanted,
};
pub use id::{ChannelId, ConnectionId, ParseConnectionIdError, Position};
pub use resume::{Join, LastEventId, Resume};
pub use stats::{ChannelStats, CloseCounts, CloseReason, Stats};
pub use time::Instant;
pub use wire::{DecodeError, Decoder, EncodeError, EncodeField, Event, Frame, FrameError, Message, Payload};

/// The README's example is compiled with the tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
