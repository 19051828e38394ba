//! What whoever follows a stream decides.

use alloc::string::String;
use core::time::Duration;

use crate::wire::Decoder;

/// How a [`Client`](super::Client) follows its stream: each default says why it is what it is.
///
/// ```
/// use std::time::Duration;
///
/// use sse_core::client::{Client, ClientConfig};
///
/// // A program that follows a server of this library behind a load balancer.
/// let idle_timeout = Some(Duration::from_secs(110)); // two pings
/// let client = Client::new(ClientConfig { idle_timeout, retry_refusals: true, seed: 17, ..ClientConfig::default() });
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientConfig {
    /// The id of the last event of an earlier run, so that this one goes on after it. Empty for none.
    pub last_event_id: String,
    /// How long it is waited before the next connection.
    pub backoff: BackoffConfig,
    /// How long nothing may come, neither a response head nor a byte, before the connection is given up. `None` waits
    /// for ever.
    ///
    /// Of a line that is half open nothing ever comes, not even its end, so without this it is never noticed. Pings
    /// count as bytes. Two minutes: the standard advises servers to send a comment every 15 seconds or so (WHATWG HTML
    /// 9.2.7), the hub of this crate does after 50. At least a millisecond.
    pub idle_timeout: Option<Duration>,
    /// Whether to come back after the statuses 429 and 500 to 599, no sooner than `Retry-After` asks.
    ///
    /// `false`, as the standard has it: any status but 200 is final (9.2.2). Servers behind a load balancer answer with
    /// these while they restart, so a program that is to survive that says `true`.
    pub retry_refusals: bool,
    /// The largest event in bytes, as for [`Decoder::with_limit`]. 8 MiB.
    pub max_event_bytes: usize,
    /// What decides the jitter, so that the core draws no random numbers. Clients that would come back together need
    /// different ones.
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

/// How long a [`Client`](super::Client) waits before it connects again.
///
/// The wait begins with the reconnection time, which a stream sets by `retry`; it doubles with every attempt in a row
/// that did not open a stream; and it is prolonged by the jitter. It is never shorter than the reconnection time
/// (WHATWG HTML 9.2.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BackoffConfig {
    /// The reconnection time until the stream sets one. Three seconds: what browsers take.
    pub initial: Duration,
    /// The shortest reconnection time: a `retry: 0` is taken as this. 100 milliseconds: soon, and no busy loop. At least
    /// a millisecond.
    pub shortest: Duration,
    /// What doubling ends at. A reconnection time or a `Retry-After` that is longer is kept to. One minute.
    pub longest: Duration,
    /// By how much of itself, in percent, a wait is prolonged at most. 50: the clients of a server that went away come
    /// back over half a wait, not in one moment.
    pub jitter_percent: u32,
}

impl Default for BackoffConfig {
    fn default() -> Self {
        Self {
            initial: Duration::from_secs(3),
            shortest: Duration::from_millis(100),
            longest: Duration::from_secs(60),
            jitter_percent: 50,
        }
    }
}
