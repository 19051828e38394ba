//! Server-Sent Events for [hyper] 1 and the frameworks built on it, such as axum, tonic and warp.
//!
//! A connection becomes an [`http_body::Body`], and its response is a plain `http::Response`. [`sse_core`] implements the
//! protocol. This crate adds the clock, the timer, the driver task and the response head. It works with every runtime that
//! has a [`hyper::rt::Timer`] and a [`hyper::rt::Executor`].
//!
//! ```
//! use axum::extract::{Request, State};
//! use axum::http::{Response, StatusCode};
//! use axum::{Router, routing};
//! use hyper_util::rt::{TokioExecutor, TokioTimer};
//! use sse_core::shared::SharedHub;
//! use sse_core::{ChannelConfig, Event, HubConfig};
//! use sse_hyper::{Refusal, SseBody, TransportConfig, TransportListener};
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
//! // Ends connections of peers that do not read, or never complete a request (feature `axum`).
//! axum::serve(TransportListener::new(listener, TransportConfig::default()), app).await?;
//! # }
//! # Ok(()) }
//! ```
//!
//! # Cost
//!
//! A hub has one task and one timer. A connection adds no task to those of hyper. [`Transports`] and [`StreamExecutor`] add
//! a timer while a limit applies. A delivery locks the hub twice: once to take the bytes and once to register the waker. The
//! driver locks it once for up to 64 deliveries. Frames reach hyper without a copy, unless several small frames are pending
//! together.
//!
//! # The socket path
//!
//! A stream that hyper writes costs as much as any connection of hyper: about 11 KB of memory, and a task that is woken for
//! each delivery. [`serve_connection`] avoids both. hyper serves the requests of an HTTP/1 connection as usual until a
//! response comes from [`response`]. hyper then writes its head and the first pending bytes in one write. After the flush,
//! `serve_connection` returns the socket, the connection and its framing, and one driver task writes to all such sockets.
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
//! use sse_hyper::{Detached, Outcome, TransportConfig, Transports};
//!
//! // `service` is a hyper service. `hyper_util::service::TowerToHyperService::new(router)` makes one of an axum router.
//! let mut builder = http1::Builder::new();
//! builder.timer(TokioTimer::new()); // required by hyper's timeout for the head of a request
//! // One group for all connections of the server.
//! let transports = Transports::new(TransportConfig::default(), TokioTimer::new());
//! match sse_hyper::serve_connection(&transports, &builder, socket, service).await? {
//!     Outcome::Closed => {}
//!     Outcome::Detached(Detached { io, outbound, framing, .. }) => {
//!         // From now on the driver owns the socket.
//!         # let _ = (io, outbound, framing);
//!     }
//! }
//! # Ok(()) }
//! ```
//!
//! - Handlers and middleware need no change, and clients cannot distinguish the two paths. hyper serves the response as a
//!   body where a hand-over would be wrong: for `HEAD` requests, a status other than 200, a `Content-Encoding`, a
//!   `Trailer`, and responses that a middleware created anew.
//! - Middleware that rewrites body bytes without setting `Content-Encoding` is bypassed. Middleware that only observes the
//!   body sees it dropped, unread, at the hand-over, so its open-stream counts end there.
//! - If an HTTP/1.1 connection will be closed, because the client requests it or the server shuts down, the head contains
//!   `connection: keep-alive, close`. In that combination `close` takes precedence.
//! - The stall timeout applies to a client that does not take the head, as it does to all other bytes. Until the hand-over,
//!   the limits of the [`Transports`] apply as well.
//!
//! # Refusals
//!
//! At a limit of the hub, a handler answers with a [`Refusal`]. The default asks the client to reconnect later with status
//! 200, because the `EventSource` of a browser never reconnects after any other status. The alternatives are 503 and 204.
//!
//! # Pages of other origins
//!
//! [`AllowedOrigins`] lists the origins whose pages may subscribe, and refuses all others with 403. Without a list, no
//! `Access-Control-Allow-Origin` is sent. [`AllowedOrigins::preflight`] answers the `OPTIONS` requests that clients built on
//! `fetch` cause.
//!
//! # Notes
//!
//! - hyper notices a disconnect at once, also while nothing is sent, unless the peer sent more than its request. With
//!   [`Transports`], a disconnect behind up to 64 KiB of such bytes is noticed within half a second
//!   ([X3](sse_core::rules#x3)). Dropping a response or its body disconnects.
//! - Slow peers are bounded. hyper requests bytes only while the socket has room, pending events stay in the log of their
//!   channel, and a connection that takes no bytes for the [stall timeout](sse_core::HubConfig::stall_timeout) is closed.
//!   hyper does not notice that end while the peer does not read. [`Transports`], or a `TransportListener` for `axum::serve`
//!   (feature `axum`), end the socket as well.
//! - A graceful shutdown of the server waits for its responses. Event streams end only when
//!   [`SharedHub::shut_down`](sse_core::shared::SharedHub::shut_down) or a drain ends them. [`Transports::close_within`]
//!   bounds the wait for peers that do not read.
//! - Nothing in this crate panics, except [`serve_connection`] where hyper itself panics, and a body that is polled inside
//!   of [`SharedHub::with`](sse_core::shared::SharedHub::with) of its own hub ([X4](sse_core::rules#x4)).

mod body;
mod detach;
mod detect;
mod driver;
mod flush;
mod head;
#[cfg(feature = "axum")]
mod listener;
mod origin;
mod request;
mod restart;
mod serve;
mod stream_executor;
mod transport;

pub use body::SseBody;
pub use driver::{HubTimer, epoch_from_clock, restore, start};
pub use head::{Refusal, finite_response, response};
#[cfg(feature = "axum")]
pub use listener::TransportListener;
pub use origin::{Admitted, AllowedOrigins, Forbidden, OriginError};
pub use request::connection_config;
pub use restart::{save_export, take_export};
pub use serve::{Detached, Outcome, ServeConnection, serve_connection};
pub use stream_executor::{StreamExecutor, StreamTask};
pub use transport::{Transport, TransportConfig, Transports};

/// Compiles the examples of the README of this crate.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

/// Compiles the examples of the README of the workspace.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct WorkspaceReadme;

/// Compiles the examples of the pages.
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

    #[doc = include_str!("../../docs/state-first.md")]
    struct StateFirst;

    #[doc = include_str!("../../docs/streams.md")]
    struct Streams;

    #[doc = include_str!("../../docs/principals.md")]
    struct Principals;

    #[doc = include_str!("../../docs/migrating.md")]
    struct Migrating;

    #[doc = include_str!("../../docs/comparison.md")]
    struct Comparison;

    #[doc = include_str!("../../docs/clients.md")]
    struct Clients;

    #[doc = include_str!("../../docs/middleware.md")]
    struct Middleware;

    #[doc = include_str!("../../CONTRIBUTING.md")]
    struct Contributing;
}
