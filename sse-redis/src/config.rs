//! The configuration of a node, and of its channels.

use std::fmt;
use std::time::Duration;

use sse_core::{ChannelConfig, IdSource};

/// The configuration of a node of a cluster: [`connect`](crate::connect).
///
/// ```
/// use std::time::Duration;
///
/// use sse_redis::ClusterConfig;
///
/// let config = ClusterConfig::new("redis://127.0.0.1/", "shop").publish_deadline(Duration::from_secs(2));
/// ```
#[derive(Clone)]
pub struct ClusterConfig {
    pub(crate) url: String,
    pub(crate) name: String,
    pub(crate) log_entries: usize,
    pub(crate) publish_deadline: Duration,
    pub(crate) open_timeout: Duration,
    pub(crate) opens_in_flight: usize,
    pub(crate) replicas: Option<(usize, Duration)>,
    #[cfg(feature = "tls")]
    pub(crate) root_certificates: Option<Vec<u8>>,
}

impl ClusterConfig {
    /// Creates a configuration. The URL is that of Redis, as the crate `redis` reads it. The name is that of the cluster: it is
    /// the epoch of all its nodes ([H2](sse_core::rules#h2)), for ever, and a part of the keys in Redis.
    pub fn new(url: impl Into<String>, name: impl Into<String>) -> ClusterConfig {
        ClusterConfig {
            url: url.into(),
            name: name.into(),
            log_entries: 100_000,
            publish_deadline: Duration::from_secs(5),
            open_timeout: Duration::from_secs(2),
            opens_in_flight: 64,
            replicas: None,
            #[cfg(feature = "tls")]
            root_certificates: None,
        }
    }

    /// Sets the number of records that the log keeps, about. The default is 100,000. A node that falls behind by more reads what
    /// it lacks from the histories of its channels.
    #[must_use]
    pub fn log_entries(mut self, entries: usize) -> ClusterConfig {
        self.log_entries = entries.max(1);
        self
    }

    /// Sets the time in which a publication has to be acknowledged. The default is 5 seconds.
    #[must_use]
    pub fn publish_deadline(mut self, deadline: Duration) -> ClusterConfig {
        self.publish_deadline = deadline;
        self
    }

    /// Sets the number of replicas that have to acknowledge a publication, and the time in which they have to. By default the
    /// master alone does.
    ///
    /// With too few replicas in time, the publication is [`PublishError::Unconfirmed`](crate::PublishError::Unconfirmed).
    #[must_use]
    pub fn replicas(mut self, replicas: usize, timeout: Duration) -> ClusterConfig {
        self.replicas = (replicas > 0).then_some((replicas, timeout));
        self
    }

    /// Sets the certificates, in PEM format, that vouch for a server with a `rediss://` URL. By default those of the system do.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn root_certificates(mut self, pem: impl Into<Vec<u8>>) -> ClusterConfig {
        self.root_certificates = Some(pem.into());
        self
    }

    /// Sets the number of pasts that are read at once. The default is 64. Further ones wait.
    #[must_use]
    pub fn opens_in_flight(mut self, opens: usize) -> ClusterConfig {
        self.opens_in_flight = opens.max(1);
        self
    }

    /// Sets the time in which a past has to be read, including the wait. The default is 2 seconds.
    #[must_use]
    pub fn open_timeout(mut self, timeout: Duration) -> ClusterConfig {
        self.open_timeout = timeout;
        self
    }
}

impl fmt::Debug for ClusterConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The URL can have a password.
        f.debug_struct("ClusterConfig").field("name", &self.name).finish_non_exhaustive()
    }
}

/// The configuration of a channel of a cluster. All nodes have to use the same one.
///
/// ```
/// use std::time::Duration;
///
/// use sse_core::ChannelConfig;
/// use sse_redis::ClusterChannel;
///
/// let config = ClusterChannel::from(ChannelConfig::default()).keep_for(Some(Duration::from_secs(600)));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterChannel {
    pub(crate) config: ChannelConfig,
    pub(crate) keep_for: Option<Duration>,
}

impl ClusterChannel {
    /// Sets the time after its last event for which Redis keeps the history of the channel; `None` keeps it for ever. The default
    /// is one hour. Whole seconds count, and at least one.
    ///
    /// A client that comes back later gets a reset. The number of events is
    /// [`HistoryConfig::events`](sse_core::HistoryConfig::events).
    #[must_use]
    pub fn keep_for(mut self, keep_for: Option<Duration>) -> ClusterChannel {
        self.keep_for = keep_for.map(|keep_for| Duration::from_secs(keep_for.as_secs().max(1)));
        self
    }

    /// Returns the seconds for which Redis keeps the history; zero for ever.
    pub(crate) fn kept_seconds(&self) -> u64 {
        self.keep_for.map_or(0, |keep_for| keep_for.as_secs())
    }

    /// Returns whether an event without an id is given one, and is kept.
    pub(crate) fn gives_ids(&self) -> bool {
        self.config.ids == IdSource::Hub && self.config.history.events > 0
    }
}

impl From<ChannelConfig> for ClusterChannel {
    fn from(config: ChannelConfig) -> ClusterChannel {
        ClusterChannel { config, keep_for: Some(Duration::from_secs(3600)) }
    }
}

impl Default for ClusterChannel {
    fn default() -> ClusterChannel {
        ClusterChannel::from(ChannelConfig::default())
    }
}
