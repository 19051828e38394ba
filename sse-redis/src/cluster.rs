//! The handle on a cluster, and what its tasks share.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sse_core::shared::{Outbound, SharedHub};
use sse_core::{ConnectionConfig, Event, Except, Instant, Limits, PublishOptions, Resume};
use tokio::sync::{RwLock, Semaphore, mpsc, oneshot};
use tokio::task::JoinHandle;

use crate::channel::Channel;
use crate::config::{ClusterChannel, ClusterConfig};
use crate::engine::{AppendScript, Link, RESPONSE_TIMEOUT};
use crate::error::{FollowError, PublishError};
use crate::keys::Keys;
use crate::name_locks::NameLocks;
use crate::node::Node;
use crate::opens::Opens;
use crate::protocol::batch::{Item, MAX_PUBLICATIONS, Outcome, Publication, Retention};
use crate::protocol::record::{Description, Excluded, MAX_CHANNELS};
use crate::publisher::{Publisher, Waiter};
use crate::status::{Counters, Status};
use crate::tail::Tail;

/// The bytes of events that wait to be appended.
const QUEUED_BYTES: usize = 64 << 20;

/// The time beyond the deadline in which the outcome of a publication is still waited for.
const GRACE: Duration = Duration::from_secs(3);

/// A node of a cluster: its hub, and the log. Cloning it is cheap. Dropping the last handle ends the tasks of the node.
#[derive(Clone)]
pub struct Cluster {
    pub(crate) shared: Arc<Shared>,
    tasks: Arc<Tasks>,
}

/// A publication that the log has.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Published {
    /// The position of the event. `None` if a retry found that the log has the event, and no longer knows where.
    pub position: Option<sse_core::Position>,
    /// The id of the event, if it has one that is known.
    pub id: Option<String>,
}

/// What the tasks of a node share.
pub(crate) struct Shared {
    pub(crate) hub: SharedHub,
    pub(crate) config: ClusterConfig,
    pub(crate) keys: Keys,
    pub(crate) script: AppendScript,
    pub(crate) publisher: u64,
    pub(crate) opens: Opens,
    /// Opening channels holds a read lock, a repair the write lock.
    pub(crate) repairs: RwLock<()>,
    pub(crate) permits: Semaphore,
    /// The connection on which pasts are read.
    pub(crate) pasts: tokio::sync::Mutex<Link>,
    pub(crate) names: NameLocks,
    /// The times for which the histories of open channels are kept.
    kept_for: Mutex<HashMap<String, Option<Duration>>>,
    pub(crate) counters: Counters,
    event_bytes: usize,
}

/// The tasks of a node. Dropping them ends the tail, and lets the publisher append what it has.
struct Tasks {
    publications: Mutex<Option<mpsc::Sender<Item<Waiter>>>>,
    /// The bytes that further events may have.
    room: Arc<Semaphore>,
    tail: JoinHandle<()>,
    publisher: Mutex<Option<JoinHandle<()>>>,
}

impl Drop for Tasks {
    fn drop(&mut self) {
        self.tail.abort();
    }
}

impl Shared {
    /// Returns the instant of the hub.
    pub(crate) fn now(&self) -> Instant {
        self.hub.with(|_, now| now)
    }

    /// Returns the time for which the history of an open channel is kept.
    pub(crate) fn keep_for(&self, name: &str) -> Option<Duration> {
        let kept_for = self.kept_for.lock().unwrap_or_else(PoisonError::into_inner);
        kept_for.get(name).copied().flatten()
    }

    /// Records the time for which the history of a channel is kept, and forgets those of closed channels now and then.
    pub(crate) fn set_keep_for(&self, name: &str, keep_for: Option<Duration>) {
        let open = self.hub.stats().channels;
        let mut kept_for = self.kept_for.lock().unwrap_or_else(PoisonError::into_inner);
        if kept_for.len() > open.saturating_mul(2).saturating_add(1024) {
            let names = self.hub.with(|hub, _| {
                hub.channels().map(|(_, name)| name.to_owned()).collect::<std::collections::HashSet<_>>()
            });
            kept_for.retain(|name, _| names.contains(name));
        }
        kept_for.insert(name.to_owned(), keep_for);
    }
}

impl Cluster {
    pub(crate) fn start(node: Node, hub: SharedHub) -> Cluster {
        let Node { config, client, keys, script, cursor, publisher, event_bytes, link } = node;
        let counters = Counters::default();
        counters.is_connected.store(true, std::sync::atomic::Ordering::Relaxed);
        counters.position.store(cursor.position.get(), std::sync::atomic::Ordering::Relaxed);
        let permits = Semaphore::new(config.opens_in_flight);
        let shared = Arc::new(Shared {
            hub,
            config,
            keys,
            script,
            publisher,
            opens: Opens::default(),
            repairs: RwLock::new(()),
            permits,
            pasts: tokio::sync::Mutex::new(Link::new(client.clone(), RESPONSE_TIMEOUT)),
            names: NameLocks::default(),
            kept_for: Mutex::default(),
            counters,
            event_bytes,
        });
        let (publications, queue) = mpsc::channel(MAX_PUBLICATIONS * 4);
        let appends = Publisher::new(Arc::clone(&shared), Link::new(client, RESPONSE_TIMEOUT));
        let tasks = Tasks {
            publications: Mutex::new(Some(publications)),
            room: Arc::new(Semaphore::new(QUEUED_BYTES)),
            tail: tokio::spawn(Tail::new(Arc::clone(&shared), link, cursor).run()),
            publisher: Mutex::new(Some(tokio::spawn(appends.run(queue)))),
        };
        Cluster { shared, tasks: Arc::new(tasks) }
    }

    /// Returns the hub of this node. Publish to channels of the cluster by the cluster, not by the hub.
    pub fn hub(&self) -> &SharedHub {
        &self.shared.hub
    }

    /// Returns a handle on a channel of the cluster, by its name. Nothing is read or opened yet.
    pub fn channel(&self, name: impl Into<Arc<str>>, config: impl Into<ClusterChannel>) -> Channel {
        Channel::new(self.clone(), name.into(), config.into())
    }

    /// Subscribes a connection to channels, in one step ([O3](sse_core::rules#o3)). The pasts of channels that are closed on
    /// this node are read in one round trip.
    ///
    /// # Errors
    ///
    /// [`FollowError::Unavailable`] when a past cannot be read in time: refuse the request, so that the client comes back with
    /// its id. The others as [`Outbound::subscribe`].
    pub async fn follow(
        &self,
        outbound: &Outbound,
        channels: &[&Channel],
    ) -> Result<Vec<Resume>, FollowError> {
        if channels.iter().any(|channel| !channel.is_of(self)) {
            return Err(FollowError::OtherCluster);
        }
        self.shared.follow(outbound, channels).await
    }

    /// Publishes an event to several channels, in one record of the log: a connection that follows several of them receives it
    /// once. It is published to all of the channels or to none.
    ///
    /// An [excluded connection](Except::Connection) is one of this node.
    ///
    /// # Errors
    ///
    /// [`PublishError`]. With [`PublishError::Unconfirmed`] alone the event may be stored.
    pub async fn publish_to(
        &self,
        channels: &[&Channel],
        event: &Event<'_>,
        options: PublishOptions<'_>,
    ) -> Result<Published, PublishError> {
        let frame = event.encode()?;
        let (bytes, limit) = (frame.len(), self.shared.event_bytes);
        if bytes > limit {
            return Err(PublishError::TooLarge { bytes, limit });
        }
        let is_live_only = frame.is_live_only();
        let has_id = frame.id().is_some();
        // If any of the channels gives the event an id, it has the id in all of them (H2).
        let gives_ids = channels.iter().any(|channel| channel.config().gives_ids());
        let has_hub_id = !has_id && !is_live_only && gives_ids;
        let is_kept = !is_live_only && (has_id || has_hub_id);
        let retention = |channel: &&Channel| {
            let config = channel.config();
            let events = if is_kept { config.config.history.events } else { 0 };
            Retention { events, seconds: config.kept_seconds() }
        };
        let own_id = frame.id().map(str::to_owned);
        let except = match options.except {
            None => Excluded::None,
            Some(Except::Connection(id)) => Excluded::Connection(id.to_string()),
            Some(Except::Client(key)) if key.len() <= ConnectionConfig::MAX_CLIENT_BYTES => {
                Excluded::Client(key.to_owned())
            }
            // No connection has such a key.
            Some(Except::Client(_)) => Excluded::None,
            // An exclusion that the records of this version cannot express.
            Some(_) => return Err(PublishError::Refused),
        };
        let description = Description { is_live_only, has_hub_id, except, ..Description::default() };
        let position = self.append(channels, description, frame.into_bytes(), retention).await?;
        let hub_id = || position.map(|position| format!("{}-{position}", self.shared.config.name));
        Ok(Published { position, id: own_id.or_else(|| hub_id().filter(|_| has_hub_id)) })
    }

    /// Closes channels on all nodes.
    pub(crate) async fn close_channel(&self, channel: &Channel) -> Result<(), PublishError> {
        let description = Description { closes: true, ..Description::default() };
        let retention = |channel: &&Channel| {
            let config = channel.config();
            Retention { events: config.config.history.events, seconds: config.kept_seconds() }
        };
        self.append(&[channel], description, bytes::Bytes::new(), retention).await.map(|_| ())
    }

    async fn append(
        &self,
        channels: &[&Channel],
        mut description: Description,
        frame: bytes::Bytes,
        retention: impl Fn(&&Channel) -> Retention,
    ) -> Result<Option<sse_core::Position>, PublishError> {
        let mut distinct: Vec<&Channel> = Vec::with_capacity(channels.len());
        for channel in channels {
            if !channel.is_of(self) {
                return Err(PublishError::OtherCluster);
            }
            if distinct.iter().all(|known| known.name() != channel.name()) {
                distinct.push(channel);
            }
        }
        if distinct.is_empty() || distinct.len() > MAX_CHANNELS {
            return Err(PublishError::Channels { count: distinct.len() });
        }
        if let Some(long) = distinct.iter().find(|channel| channel.name().len() > Limits::MAX_NAME_BYTES) {
            return Err(PublishError::NameTooLong {
                bytes: long.name().len(),
                limit: Limits::MAX_NAME_BYTES,
            });
        }
        description.channels = distinct.iter().map(|channel| channel.name().to_owned()).collect();
        let publication =
            Publication { description, frame, retention: distinct.iter().map(retention).collect() };
        let wait = self.shared.config.publish_deadline;
        let deadline = self.shared.now().saturating_add(wait);
        let (token, outcome) = oneshot::channel();
        let sender = self.tasks.publications.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let sender = sender.ok_or(PublishError::Closed)?;
        let bytes = u32::try_from(publication.frame.len().min(QUEUED_BYTES)).unwrap_or(u32::MAX);
        let place = async {
            let room = Arc::clone(&self.tasks.room).acquire_many_owned(bytes).await.ok()?;
            Some((sender.reserve().await.ok()?, room))
        };
        let place = tokio::time::timeout(wait, place).await.map_err(|_| PublishError::Refused)?;
        let (place, room) = place.ok_or(PublishError::Closed)?;
        place.send(Item { publication, deadline, token: Waiter { token, _room: room } });
        let limit = wait.saturating_add(GRACE);
        match tokio::time::timeout(limit, outcome).await {
            Ok(Ok(Outcome::Stored(position))) => Ok(position),
            Ok(Ok(Outcome::Refused)) => Err(PublishError::Refused),
            Ok(Ok(Outcome::Unconfirmed) | Err(_)) | Err(_) => Err(PublishError::Unconfirmed),
        }
    }

    /// Returns the state of the node.
    pub fn status(&self) -> Status {
        self.shared.counters.status()
    }

    /// Ends the node: publications that were accepted are appended, further ones are [`PublishError::Closed`], and the log is
    /// not read any more. The hub stays as it is.
    pub async fn close(self) {
        drop(self.tasks.publications.lock().unwrap_or_else(PoisonError::into_inner).take());
        let publisher = self.tasks.publisher.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(publisher) = publisher {
            let _ = publisher.await;
        }
        self.tasks.tail.abort();
    }
}

impl std::fmt::Debug for Cluster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cluster").field("status", &self.status()).finish_non_exhaustive()
    }
}
