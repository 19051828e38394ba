//! Server-Sent Events for [hyper] 1 and everything that is built on it: axum, tonic, warp and others.
//!
//! A connection becomes an [`http_body::Body`], its response a plain `http::Response`. The protocol is
//! [`sse_core`]'s; this crate brings the clock, the timer, the task and the head. It needs no particular runtime:
//! whatever has a [`hyper::rt::Timer`] and a [`hyper::rt::Executor`] will do.
//!
//! ```
//! use axum::extract::{Request, State};
//! use axum::http::{Response, StatusCode};
//! use axum::{Router, routing};
//! use hyper_util::rt::{TokioExecutor, TokioTimer};
//! use sse_core::shared::SharedHub;
//! use sse_core::{ChannelConfig, Event, HubConfig};
//! use sse_hyper::{Refusal, SseBody};
//!
//! async fn subscribe(State(hub): State<SharedHub>, request: Request) -> Response<SseBody> {
//!     let config = sse_hyper::connection_config(&request);
//!     let Ok(stream) = hub.connect(config) else { return Refusal::default().into_response(request.version()) };
//!     let weather = hub.open("weather", ChannelConfig::default()).expect("few channels, short names");
//!     stream.subscribe(&weather).expect("one subscription");
//!     sse_hyper::response(request.version(), stream)
//! }
//!
//! async fn publish(State(hub): State<SharedHub>, body: String) -> StatusCode {
//!     let weather = hub.open("weather", ChannelConfig::default()).expect("few channels, short names");
//!     weather.publish(&Event::new().data(body)).map_or(StatusCode::PAYLOAD_TOO_LARGE, |_| StatusCode::OK)
//! }
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let epoch = sse_hyper::epoch_from_clock();
//! let hub = sse_hyper::start(epoch, HubConfig::default(), &TokioExecutor::new(), TokioTimer::new())?;
//! let app = Router::new()
//!     .route("/sse", routing::get(subscribe).post(publish))
//!     .with_state(hub);
//! let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
//! # if false {
//! axum::serve(listener, app).await?;
//! # }
//! # Ok(()) }
//! ```
//!
//! # What it costs
//!
//! One task and one timer for a hub; none for a connection beside those that hyper has. A delivery takes the hub's
//! lock once to wake and once to read; frames are handed to hyper without a copy, unless several small ones are due
//! together.
//!
//! # What to know
//!
//! - A peer that goes away is noticed when hyper reads its end, which is at once, also while nothing is sent. Dropping
//!   the response or its body disconnects.
//! - Slow peers are bounded: hyper asks for bytes when the socket has room, what waits is the channel's log, and who
//!   takes nothing for the [stall time](sse_core::HubConfig::stall) is closed.
//! - A graceful shutdown of the server waits for its responses, and event streams have no end of their own:
//!   [`SharedHub::shut_down`](sse_core::shared::SharedHub::shut_down) gives them one.
//! - Nothing here panics.

mod body;
mod driver;
mod head;
mod request;

pub use body::SseBody;
pub use driver::{Drive, epoch_from_clock, start};
pub use head::{Refusal, response};
pub use request::connection_config;

/// The README's example is compiled with the tests.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;

/// So is the page on testing.
#[cfg(doctest)]
#[doc = include_str!("../../docs/testing.md")]
struct Testing;
