//! Server-Sent Events on [tokio].
//!
//! [`sse_core`] implements the protocol. This crate adds tokio's clock and timer, and three ways to write to a client:
//!
//! - [`EventStream`] is a stream of bytes that any framework on tokio accepts as the body of a response.
//! - [`write_to`] and [`serve`] drive one connection on any transport.
//! - [`Sockets::attach`] takes over a socket whose response head is already written. One task drives all such sockets, and
//!   each costs a few hundred bytes. `serve_connection` of `sse-hyper` serves the request with hyper and returns the socket.
//!
//! A server with axum that returns an [`EventStream`] as the body, and a client that reads from it:
//!
//! ```
//! use axum::body::Body;
//! use axum::extract::State;
//! use axum::http::{HeaderMap, StatusCode};
//! use axum::response::{IntoResponse, Response};
//! use axum::{Router, routing};
//! use sse_core::adapter::HEADERS;
//! use sse_core::shared::SharedHub;
//! use sse_core::{ChannelConfig, ConnectionConfig, Event, HubConfig, LastEventId};
//! use sse_tokio::EventStream;
//! use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
//! use tokio::net::{TcpListener, TcpStream};
//!
//! async fn follow(State(hub): State<SharedHub>, headers: HeaderMap) -> Response {
//!     let last_event_id = headers.get("last-event-id").and_then(|id| LastEventId::new(id.as_bytes()));
//!     let outbound = hub.connect(ConnectionConfig { last_event_id, ..ConnectionConfig::default() }).ok();
//!     let weather = hub.channel("weather");
//!     match outbound.zip(weather) {
//!         Some((outbound, weather)) if outbound.subscribe(&weather).is_ok() => {
//!             (HEADERS, Body::from_stream(EventStream::new(outbound))).into_response()
//!         }
//!         _ => StatusCode::SERVICE_UNAVAILABLE.into_response(), // `sse_hyper::Refusal` lets browsers retry
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let hub = sse_tokio::start(sse_tokio::epoch_from_clock(), HubConfig::default())?;
//! hub.open_channel("weather", ChannelConfig { start: sse_core::StartFrom::All, ..ChannelConfig::default() })?
//!     .publish(&Event::new().data("sunny"))?;
//! let app = Router::new().route("/sse", routing::get(follow)).with_state(hub);
//! let listener = TcpListener::bind("127.0.0.1:0").await?;
//! let address = listener.local_addr()?;
//! tokio::spawn(async move { axum::serve(listener, app).await });
//!
//! let mut client = TcpStream::connect(address).await?;
//! client.write_all(b"GET /sse HTTP/1.1\r\nhost: localhost\r\n\r\n").await?;
//! let mut lines = BufReader::new(client).lines();
//! while let Some(line) = lines.next_line().await? {
//!     if line == "data: sunny" {
//!         return Ok(());
//!     }
//! }
//! panic!("the stream ended");
//! # }
//! ```
//!
//! # Cost
//!
//! A hub has one task and one timer. An [`EventStream`] has neither: a delivery wakes the task of the framework. [`Sockets`]
//! is one task with one reactor for all of its sockets, and a delivery is one write. A frame of 8 KiB or more is written
//! without a copy. Smaller frames that are pending together are combined into one write.
//!
//! # Notes
//!
//! - The hub uses the clock of the runtime, so `tokio::time::pause` works in tests.
//! - [`serve`] and [`Sockets`] notice a disconnect at once, because they read from the transport. Frameworks on hyper do so
//!   unless the peer sent more than its request, and actix-web notices it at the next write.
//! - A framework that owns its sockets decides when they close, and does not learn of the end of a connection while the peer
//!   does not read. Under `axum::serve`, use a `TransportListener` of `sse-hyper`. [T3](sse_core::rules#t3) lists the bounds.
//! - Slow peers are bounded. Pending events stay in the log of their channel, and a connection holds at most one frame or
//!   16 KiB that is partly written. A connection that takes no bytes for the
//!   [stall timeout](sse_core::HubConfig::stall_timeout) is closed.
//! - [`Sockets`] is available on Unix only. Elsewhere, spawn a task with [`serve`] for each connection.
//! - Nothing in this crate panics, except outside a tokio runtime, and a stream or a future that is polled inside of
//!   [`SharedHub::with`](sse_core::shared::SharedHub::with) of its own hub ([X4](sse_core::rules#x4)).

#[cfg(unix)]
mod attach;
mod driver;
#[cfg(unix)]
mod options;
mod write;

#[cfg(unix)]
pub use attach::Sockets;
pub use driver::{epoch_from_clock, start};
pub use sse_core::adapter::{EventStream, SourceStream, publish_all};
pub use write::{serve, write_to};

/// Compiles the example of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
