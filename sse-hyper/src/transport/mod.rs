//! Transports that end although hyper does not ask them to (T3, X3, X6).
//!
//! hyper polls the body of a response only while the transport takes bytes, and reads only while it needs bytes. The end of
//! a connection of the hub, and the end of a peer behind bytes that hyper does not use, would therefore wait for the peer. A
//! [`Transport`] has deadlines of its own, and reads ahead.

mod deadlines;
mod group;
mod head_scan;
mod io;
mod read_ahead;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use hyper::rt::Timer;

pub use io::Transport;

use crate::StreamExecutor;
use group::Group;

/// The limits of transports.
///
/// The bounds of a hub end its connections, and these limits end their transports. Both have to be configured together: set
/// `write_timeout` a little longer than [`HubConfig::stall_timeout`](sse_core::HubConfig::stall_timeout).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransportConfig {
    /// The time after which a write that makes no progress ends the transport ([T3](sse_core::rules#t3)). Each byte that the
    /// transport takes starts the time again, so a slow peer that reads receives everything. `None` is no limit.
    ///
    /// Default: 35 seconds, a little longer than the stall timeout of a hub, so that the hub reports the reason first.
    pub write_timeout: Option<Duration>,
    /// The time in which a peer has to send the head of its first request. `None` is no limit.
    ///
    /// Default: 30 seconds, as in hyper. hyper needs a timer for its own limit, and `axum::serve` has none.
    pub head_timeout: Option<Duration>,
    /// The time in which a peer of HTTP/2 has to take the last bytes of a stream after the hub ended its connection. Then the
    /// stream is reset. `None` is no limit. [`Transports::executor`] applies it.
    ///
    /// Default: 5 seconds, the difference of `write_timeout` and the stall timeout.
    pub stream_timeout: Option<Duration>,
    /// The time after which all transports of a listener end when the listener was dropped, as `axum::serve` does at the
    /// beginning of a graceful shutdown ([X6](sse_core::rules#x6)). `None` is no limit. A drain should be over in this time.
    ///
    /// Default: 35 seconds, a little longer than a shutdown of a hub takes.
    pub shutdown_timeout: Option<Duration>,
    /// Whether a peer that ended its side of the transport still receives the response. Set it together with `half_close`
    /// of hyper's builder.
    ///
    /// Default: false, as in hyper: the end of the peer is a disconnect ([X3](sse_core::rules#x3)).
    pub half_close: bool,
}

impl Default for TransportConfig {
    fn default() -> TransportConfig {
        TransportConfig {
            write_timeout: Some(Duration::from_secs(35)),
            head_timeout: Some(Duration::from_secs(30)),
            stream_timeout: Some(Duration::from_secs(5)),
            shutdown_timeout: Some(Duration::from_secs(35)),
            half_close: false,
        }
    }
}

/// A group of transports with the same limits, which end together at a shutdown. Clones are handles on the same group.
///
/// Give hyper a [`Transport`] of the group instead of a bare one. [`serve_connection`](crate::serve_connection) does that by
/// itself, and `TransportListener` (feature `axum`) does it for `axum::serve`. hyper then reports an error when a limit is
/// reached, drops the transport and the body, and the connection of the hub ends as well.
///
/// ```
/// use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
/// use hyper_util::server::conn::auto::Builder;
/// use sse_hyper::{TransportConfig, Transports};
///
/// # async fn accept(socket: tokio::net::TcpStream) {
/// let transports = Transports::new(TransportConfig::default(), TokioTimer::new());
/// // The executor resets streams of HTTP/2, which share a transport.
/// let server = Builder::new(transports.executor(TokioExecutor::new()));
/// let io = transports.wrap(TokioIo::new(socket));
/// # let service = hyper::service::service_fn(|_| async { Ok::<_, std::convert::Infallible>(http::Response::new(String::new())) });
/// let connection = server.serve_connection(io, service);
/// # let _ = connection.await;
/// # }
/// ```
#[derive(Clone)]
pub struct Transports {
    group: Arc<Group>,
}

impl Transports {
    /// Creates an empty group. `timer` is the clock and the timer of the runtime on which the transports are polled.
    pub fn new(config: TransportConfig, timer: impl Timer + Send + Sync + 'static) -> Transports {
        Transports { group: Arc::new(Group::new(config, Arc::new(timer))) }
    }

    /// Adds a transport to the group.
    ///
    /// # Cost
    ///
    /// Some hundred bytes, and a timer while a write is pending or the first head is incomplete. A read that hyper does not
    /// ask for happens only while hyper writes and leaves received bytes unused.
    pub fn wrap<I>(&self, io: I) -> Transport<I> {
        Transport::new(io, Arc::clone(&self.group))
    }

    /// Returns an executor for hyper's HTTP/2 server, which runs its tasks on `executor` and resets the stream of a
    /// connection that the hub has ended.
    pub fn executor<E>(&self, executor: E) -> StreamExecutor<E> {
        StreamExecutor::new(executor, Arc::clone(self.group.timer()), self.group.config().stream_timeout)
    }

    /// Ends all transports of the group that are still open after `time`, and those that are added later. Of several calls,
    /// the earliest end counts.
    ///
    /// Call it at the beginning of a graceful shutdown, which then returns in this time: neither peers that do not read, nor
    /// incomplete requests, nor streams of HTTP/2 without a window delay it.
    pub fn close_within(&self, time: Duration) {
        self.group.close_within(time);
    }
}

impl fmt::Debug for Transports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transports").field("config", self.group.config()).finish_non_exhaustive()
    }
}
