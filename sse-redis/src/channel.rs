//! The handle on a channel of a cluster.

use std::sync::Arc;

use sse_core::shared::{self, Outbound};
use sse_core::{Event, PublishOptions, Resume};

use crate::cluster::{Cluster, Published};
use crate::config::ClusterChannel;
use crate::error::{FollowError, PublishError};

/// A channel of a cluster, by its name: [`Cluster::channel`]. Cloning it is cheap.
///
/// A handle stays good when the node closes its channel because nobody follows it: the next subscription opens it again, with
/// its past.
#[derive(Clone)]
pub struct Channel {
    cluster: Cluster,
    name: Arc<str>,
    config: Arc<ClusterChannel>,
}

impl Channel {
    pub(crate) fn new(cluster: Cluster, name: Arc<str>, config: ClusterChannel) -> Channel {
        Channel { cluster, name, config: Arc::new(config) }
    }

    pub(crate) fn config(&self) -> &ClusterChannel {
        &self.config
    }

    pub(crate) fn is_of(&self, cluster: &Cluster) -> bool {
        Arc::ptr_eq(&self.cluster.shared, &cluster.shared)
    }

    /// Returns the name of the channel.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the channel of this node, if it is open here.
    pub fn local(&self) -> Option<shared::Channel> {
        self.cluster.hub().channel(&self.name)
    }

    /// Subscribes a connection to the channel: [`Cluster::follow`] with one channel.
    ///
    /// # Errors
    ///
    /// [`FollowError`], as [`Cluster::follow`].
    pub async fn follow(&self, outbound: &Outbound) -> Result<Resume, FollowError> {
        let resumes = self.cluster.follow(outbound, &[self]).await?;
        resumes.into_iter().next().ok_or(FollowError::Unavailable)
    }

    /// Publishes an event to the channel, on all nodes. The future completes when the log has the event.
    ///
    /// # Errors
    ///
    /// [`PublishError`], as [`Cluster::publish_to`].
    pub async fn publish(&self, event: &Event<'_>) -> Result<Published, PublishError> {
        self.cluster.publish_to(&[self], event, PublishOptions::default()).await
    }

    /// Publishes an event to the channel except to one connection of this node or one client key, usually that of the sender.
    ///
    /// # Errors
    ///
    /// [`PublishError`], as [`Cluster::publish_to`].
    pub async fn publish_with(
        &self,
        event: &Event<'_>,
        options: PublishOptions<'_>,
    ) -> Result<Published, PublishError> {
        self.cluster.publish_to(&[self], event, options).await
    }

    /// Closes the channel on all nodes ([K3](sse_core::rules#k3)): its history is gone.
    ///
    /// # Errors
    ///
    /// [`PublishError`], as [`Cluster::publish_to`].
    pub async fn close(&self) -> Result<(), PublishError> {
        self.cluster.close_channel(self).await
    }
}

impl std::fmt::Debug for Channel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Channel").field("name", &self.name).finish_non_exhaustive()
    }
}
