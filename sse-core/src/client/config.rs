//! The configuration of a client.

use alloc::string::String;
use core::time::Duration;

use crate::wire::Decoder;

/// The configuration of a [`Client`](super::Client).
///
/// ```
/// use std::time::Duration;
///
/// use sse_core::client::{Client, ClientConfig};
///
/// // A program that follows a server of this library through a load balancer.
/// let idle_timeout = Some(Duration::from_secs(110)); // two pings
/// let client = Client::new(ClientConfig { idle_timeout, retry_refusals: true, seed: 17, ..ClientConfig::default() });
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientConfig {
    /// The last event id of an earlier run, so that this run resumes after it. Empty for none.
    pub last_event_id: String,
    /// The wait before the next connection.
    pub backoff: BackoffConfig,
    /// The longest time without a response head or a byte before the client abandons the connection. `None` waits
    /// forever.
    ///
    /// A half-open connection delivers neither bytes nor its end, so only this timeout detects it. Pings count as
    /// bytes. The default is two minutes: the standard advises servers to send a comment about every 15 seconds (WHATWG
    /// HTML 9.2.7), and the hub of this crate sends a ping after 50 seconds. The minimum is one millisecond. A driver
    /// that is late has up to one second more to report what has arrived (C5).
    pub idle_timeout: Option<Duration>,
    /// Whether to reconnect after the statuses 429 and 500 to 599, not earlier than `Retry-After`.
    ///
    /// The default is `false`, as in the standard: any status but 200 and those of redirects is final (9.2.2). Load
    /// balancers respond with these statuses while a server restarts. Programs that should survive a restart set `true`.
    pub retry_refusals: bool,
    /// The limit for the bytes of one event, as in [`Decoder::with_limit`]. The default is 8 MiB.
    pub max_event_bytes: usize,
    /// The seed of the jitter, since the core draws no random numbers. Give clients that could reconnect at the same
    /// time different seeds.
    pub seed: u64,
}

impl Default for ClientConfig {
    fn default() -> Self {
        Self {
            last_event_id: String::new(),
            backoff: BackoffConfig::default(),
            idle_timeout: Some(Duration::from_secs(120)),
            retry_refusals: false,
            max_event_bytes: Decoder::DEFAULT_LIMIT,
            seed: 0,
        }
    }
}

/// The wait of a [`Client`](super::Client) before it reconnects.
///
/// The first wait is the reconnection time, which a stream sets with `retry`. The wait doubles with each consecutive
/// attempt that fails. An attempt fails if it opens no stream, or if its stream ends sooner than the wait before it and
/// brings no new event id (C3). Jitter lengthens each wait. A wait is never shorter than the reconnection time (WHATWG
/// HTML 9.2.3), unless [`Client::reconnect_now`](super::Client::reconnect_now) ends it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BackoffConfig {
    /// The reconnection time until the stream sets one. The default is three seconds, as in browsers.
    pub initial: Duration,
    /// The shortest reconnection time, which also applies to `retry: 0`. The default is 100 milliseconds, which is
    /// prompt without spinning. The minimum is one millisecond.
    pub shortest: Duration,
    /// The limit for doubling. A longer reconnection time or `Retry-After` still applies, up to
    /// [`max_server_wait`](BackoffConfig::max_server_wait). The default is one minute.
    pub longest: Duration,
    /// The longest wait that a server can set, with `retry` or `Retry-After`, before jitter. Longer ones are cut to it
    /// (C3).
    ///
    /// The default is one hour. Without a limit, one faulty line of a server could keep the client away for years.
    pub max_server_wait: Duration,
    /// The maximum jitter in percent of the wait. The default is 50: the clients of a server that restarts reconnect
    /// over half a wait and not all at once.
    pub jitter_percent: u32,
}

impl Default for BackoffConfig {
    fn default() -> Self {
        Self {
            initial: Duration::from_secs(3),
            shortest: Duration::from_millis(100),
            longest: Duration::from_secs(60),
            max_server_wait: Duration::from_secs(3600),
            jitter_percent: 50,
        }
    }
}
