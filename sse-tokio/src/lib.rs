//! Server-Sent Events on [tokio].
//!
//! The protocol is [`sse_core`]'s; this crate brings tokio's clock and timer, and three ways to a client:
//!
//! - [`EventStream`], a stream of bytes that any framework on tokio takes as the body of a response;
//! - [`write_to`] and [`serve`], which drive one connection on a transport of any kind;
//! - [`Sockets::attach`], which takes over a socket whose response head is written: one task for all of them, and a few
//!   hundred bytes for each. `sse-hyper`'s `serve_connection` has hyper serve the request and gives that socket.
//!
//! A server with axum, whose body is an [`EventStream`], and a client that reads a line of it:
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
//!     let weather = hub.open_channel("weather", ChannelConfig::default()).ok();
//!     match outbound.zip(weather) {
//!         Some((outbound, weather)) if outbound.subscribe(&weather).is_ok() => {
//!             (HEADERS, Body::from_stream(EventStream::new(outbound))).into_response()
//!         }
//!         _ => StatusCode::SERVICE_UNAVAILABLE.into_response(), // `sse_hyper::Refusal` has kinder answers
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
//! # What it costs
//!
//! One task with one timer for a hub. A stream has no task and no timer of its own: it is the framework's task that is
//! woken for each delivery. [`Sockets`] is one task for all of its sockets, with a reactor of its own, and a delivery is
//! one write; frames of 8 KiB and more are written without a copy, smaller ones that are due together in one write.
//!
//! # What to know
//!
//! - [`start`] runs one task with one timer for a hub. Its clock is the runtime's: `tokio::time::pause` works.
//! - A peer that goes away is noticed when it goes, where its end can be read: by the framework, [`serve`] and
//!   [`Sockets`].
//! - Slow peers are bounded: what waits is the channel's log, and at most one frame or 16 KiB that was begun. Who takes
//!   nothing for the [stall time](sse_core::HubConfig::stall_timeout) is closed.
//! - [`Sockets`] is there on Unix; elsewhere [`serve`] on a task of its own does the same, with a task for each.
//! - Nothing here panics, but for what tokio does outside a runtime.

#[cfg(unix)]
mod attach;
mod driver;
mod write;

#[cfg(unix)]
pub use attach::Sockets;
pub use driver::{epoch_from_clock, start};
pub use sse_core::adapter::{EventStream, SourceStream, publish_all};
pub use write::{serve, write_to};

/// The README's example is compiled with the tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
