//! Connecting a node to the log, before its hub exists.
#![expect(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "the adapter owns the clock and the randomness"
)]

use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, SystemTime};

use redis::Client;
use sse_core::shared::SharedHub;
use sse_core::{HubConfig, Position, PositionSource};

use crate::cluster::Cluster;
use crate::config::ClusterConfig;
use crate::engine::{AppendScript, Link, LogError, RESPONSE_TIMEOUT, Server};
use crate::error::ConnectError;
use crate::keys::Keys;
use crate::protocol::continuity::Cursor;

/// The oldest version of Redis that counts the entries that a stream ever had.
const MIN_VERSION: u32 = 7;

/// A node that is connected to the log of its cluster: [`connect`]. It becomes a [`Cluster`] with a hub.
pub struct Node {
    pub(crate) config: ClusterConfig,
    pub(crate) client: Client,
    pub(crate) keys: Keys,
    pub(crate) script: AppendScript,
    pub(crate) cursor: Cursor,
    pub(crate) publisher: u64,
    pub(crate) event_bytes: usize,
    /// The connection of the tail.
    pub(crate) link: Link,
}

/// Connects to Redis, checks that it can keep the log of a cluster, and finds the end of the log.
///
/// The node begins there: channels bring their pasts when they are opened.
///
/// # Errors
///
/// [`ConnectError`]. Nothing was changed then, apart from an empty log of a new cluster.
///
/// # Cost
///
/// Three round trips.
pub async fn connect(config: ClusterConfig) -> Result<Node, ConnectError> {
    let client = client(&config).map_err(|error| ConnectError::Url(error.to_string()))?;
    let mut link = Link::new(client.clone(), RESPONSE_TIMEOUT);
    check(link.server().await.map_err(failed)?)?;
    let keys = Keys::new(&config.name);
    let script = AppendScript::new(keys.clone(), config.log_entries);
    let end = script.fence(&mut link, Position::ORIGIN, false).await.map_err(failed)?;
    let cursor = Cursor { position: end.last, count: end.count };
    let event_bytes = HubConfig::default().limits.event_bytes;
    Ok(Node { config, client, keys, script, cursor, publisher: random(), event_bytes, link })
}

#[cfg(not(feature = "tls"))]
fn client(config: &ClusterConfig) -> redis::RedisResult<Client> {
    Client::open(config.url.as_str())
}

#[cfg(feature = "tls")]
fn client(config: &ClusterConfig) -> redis::RedisResult<Client> {
    let info = redis::IntoConnectionInfo::into_connection_info(config.url.as_str())?;
    crate::tls::client(info, config.root_certificates.as_deref())
}

impl Node {
    /// Returns the epoch of the hubs of the cluster, which is the name of the cluster.
    pub fn epoch(&self) -> &str {
        &self.config.name
    }

    /// Returns the configuration of the hub of this node: `config`, with the positions of the log, and with ids that stay young
    /// ([L1](sse_core::rules#l1), [L5](sse_core::rules#l5)).
    pub fn hub_config(&mut self, config: HubConfig) -> HubConfig {
        self.event_bytes = config.limits.event_bytes;
        let positions = PositionSource::Log { after: self.cursor.position };
        HubConfig { positions, refresh_position: true, ..config }
    }

    /// Starts to read the log into a hub, which has to be created with [`epoch`](Node::epoch) and
    /// [`hub_config`](Node::hub_config).
    ///
    /// # Errors
    ///
    /// [`ConnectError::OtherHub`], if the hub was created otherwise.
    ///
    /// # Panics
    ///
    /// Panics outside a tokio runtime.
    pub fn run(self, hub: SharedHub) -> Result<Cluster, ConnectError> {
        let (head, id) = hub.with(|hub, _| (hub.head(), hub.id_of(Position::ORIGIN)));
        if head != self.cursor.position || id != format!("{}-{}", self.epoch(), Position::ORIGIN) {
            return Err(ConnectError::OtherHub);
        }
        Ok(Cluster::start(self, hub))
    }
}

impl std::fmt::Debug for Node {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Node")
            .field("epoch", &self.epoch())
            .field("cursor", &self.cursor)
            .finish_non_exhaustive()
    }
}

fn check(server: Server) -> Result<(), ConnectError> {
    let Server { major_version, version, eviction_policy, is_replica } = server;
    if major_version < MIN_VERSION {
        return Err(ConnectError::Version { found: version });
    }
    if eviction_policy != "noeviction" {
        return Err(ConnectError::EvictionPolicy { found: eviction_policy });
    }
    if is_replica { Err(ConnectError::Replica) } else { Ok(()) }
}

fn failed(error: LogError) -> ConnectError {
    ConnectError::Redis(error.to_string())
}

/// Returns a number that differs from process to process.
fn random() -> u64 {
    let since_1970: Duration = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    // The seed of a hash map is the random number that the standard library has.
    RandomState::new().hash_one((since_1970, std::process::id()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(version: &str, policy: &str) -> Server {
        Server {
            major_version: version.split('.').next().unwrap().parse().unwrap(),
            version: version.into(),
            eviction_policy: policy.into(),
            is_replica: false,
        }
    }

    #[test]
    fn a_server_that_cannot_keep_the_log_is_refused() {
        assert!(check(server("7.0.15", "noeviction")).is_ok());
        assert!(matches!(check(server("6.2.1", "noeviction")), Err(ConnectError::Version { .. })));
        let evicting = check(server("7.2.4", "volatile-lru"));
        assert!(matches!(evicting, Err(ConnectError::EvictionPolicy { .. })));
        let replica = Server { is_replica: true, ..server("7.2.4", "noeviction") };
        assert!(matches!(check(replica), Err(ConnectError::Replica)));
    }
}
