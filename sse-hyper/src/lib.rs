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
//!     let Ok(outbound) = hub.connect(config) else { return Refusal::default().into_response(request.version()) };
//!     let weather = hub.open_channel("weather", ChannelConfig::default()).expect("few channels, short names");
//!     outbound.subscribe(&weather).expect("one subscription");
//!     sse_hyper::response(request.version(), outbound)
//! }
//!
//! async fn publish(State(hub): State<SharedHub>, body: String) -> StatusCode {
//!     let weather = hub.open_channel("weather", ChannelConfig::default()).expect("few channels, short names");
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
//! # The socket path
//!
//! A stream that hyper writes costs what hyper's connections cost: about 11 KB, and a task that is woken for each
//! delivery. [`serve_connection`] avoids both. hyper serves the requests of an HTTP/1 connection as ever, until a
//! response is made by [`response`]. When its head and what is due at first are flushed, in one write, hyper is dissolved, and
//! the socket comes back with the connection and its framing, for one driver that writes to all of them.
//!
//! ```
//! # async fn accept<I, S>(socket: I, service: S) -> Result<(), hyper::Error>
//! # where
//! #     I: hyper::rt::Read + hyper::rt::Write + Unpin,
//! #     S: hyper::service::Service<http::Request<hyper::body::Incoming>, Response = http::Response<axum::body::Body>>,
//! #     S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
//! # {
//! use hyper::server::conn::http1;
//! use hyper_util::rt::TokioTimer;
//! use sse_hyper::{Outcome, Detached};
//!
//! // `service` is hyper's; an axum router becomes one by `hyper_util::service::TowerToHyperService::new(router)`.
//! let mut builder = http1::Builder::new();
//! builder.timer(TokioTimer::new()); // without it hyper waits for ever for the head of a request
//! match sse_hyper::serve_connection(&builder, socket, service).await? {
//!     Outcome::Closed => {}
//!     Outcome::Detached(Detached { io, outbound, framing, .. }) => {
//!         // The driver's from now on.
//!         # let _ = (io, outbound, framing);
//!     }
//! }
//! # Ok(()) }
//! ```
//!
//! - Handlers and middleware stay as they are, and a client cannot tell the difference. Where the socket must not be
//!   handed over (`HEAD`, a status that is not 200, a `Content-Encoding` or `Trailer`, a response that a middleware
//!   made anew) the body serves.
//! - A middleware that rewrites the bytes of a body without a `Content-Encoding` is passed by. One that only watches it
//!   sees it dropped unread at the hand-over: what it counts as open ends there.
//! - On an HTTP/1.1 connection that is to be closed, because the client asks for it or the server shuts down, the head
//!   says `connection: keep-alive, close`, in which `close` counts.
//! - A client that does not take the head has the stall time for it, as for all bytes.
//!
//! # Refusals
//!
//! At a limit of the hub the handler answers with a [`Refusal`]: come back later (the default, since a browser's
//! `EventSource` never comes back after a status that is not 200), 503, or stay away.
//!
//! # Pages of other sites
//!
//! [`AllowedOrigins`] lists whose pages may subscribe, and refuses all others with 403. Without it no
//! `Access-Control-Allow-Origin` is sent.
//!
//! # What to know
//!
//! - A peer that goes away is noticed when hyper reads its end, which is at once, also while nothing is sent. Dropping
//!   the response or its body disconnects.
//! - Slow peers are bounded: hyper asks for bytes when the socket has room, what waits is the channel's log, and who
//!   takes nothing for the [stall time](sse_core::HubConfig::stall_timeout) is closed.
//! - A graceful shutdown of the server waits for its responses, and event streams have no end of their own:
//!   [`SharedHub::shut_down`](sse_core::shared::SharedHub::shut_down) gives them one.
//! - Nothing here panics.

mod body;
mod detach;
mod detect;
mod driver;
mod flush;
mod head;
mod origin;
mod request;
mod serve;

pub use body::SseBody;
pub use driver::{HubTimer, epoch_from_clock, start};
pub use head::{Refusal, response};
pub use origin::{Admitted, AllowedOrigins, Forbidden, OriginError};
pub use request::connection_config;
pub use serve::{Detached, Outcome, ServeConnection, serve_connection};

/// The README's example is compiled with the tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

/// So is that of the workspace.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct WorkspaceReadme;

/// So are the pages.
#[cfg(doctest)]
mod pages {
    #[doc = include_str!("../../docs/testing.md")]
    struct Testing;

    #[doc = include_str!("../../docs/architecture.md")]
    struct Architecture;

    #[doc = include_str!("../../docs/operating.md")]
    struct Operating;

    #[doc = include_str!("../../docs/security.md")]
    struct Security;

    #[doc = include_str!("../../docs/migrating.md")]
    struct Migrating;

    #[doc = include_str!("../../docs/comparison.md")]
    struct Comparison;

    #[doc = include_str!("../../CONTRIBUTING.md")]
    struct Contributing;
}
