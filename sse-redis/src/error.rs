//! The errors of a cluster.

use std::fmt;

use sse_core::{EncodeError, OpenError, SubscribeError};

/// The error of [`connect`](crate::connect).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ConnectError {
    /// The URL cannot be read.
    Url(String),
    /// Redis cannot be reached, or refuses the calls of the node.
    Redis(String),
    /// Redis is older than version 7.0, and does not count the entries that a history ever had.
    Version {
        /// The version of the server.
        found: String,
    },
    /// Redis is configured to evict keys when its memory is full: histories would vanish. `noeviction` is required.
    EvictionPolicy {
        /// The policy of the server.
        found: String,
    },
    /// The server is a replica.
    Replica,
    /// The hub was not created with [`Node::epoch`](crate::Node::epoch) and [`Node::hub_config`](crate::Node::hub_config).
    OtherHub,
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ConnectError::Url(error) => write!(f, "the URL of Redis cannot be read: {error}"),
            ConnectError::Redis(error) => write!(f, "Redis cannot be used: {error}"),
            ConnectError::Version { found } => write!(f, "Redis has version {found}, and 7.0 is required"),
            ConnectError::EvictionPolicy { found } => {
                write!(f, "Redis has the eviction policy {found}, and noeviction is required")
            }
            ConnectError::Replica => f.write_str("the server is a replica"),
            ConnectError::OtherHub => {
                f.write_str("the hub does not have the epoch and the positions of the node")
            }
        }
    }
}

/// The error of a publication.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PublishError {
    /// The event cannot be encoded.
    Encode(EncodeError),
    /// The event exceeds the limit on the bytes of one event.
    TooLarge {
        /// The size of the event, in bytes.
        bytes: usize,
        /// The limit, in bytes.
        limit: usize,
    },
    /// No channel was given, or more than 64.
    Channels {
        /// The number of channels.
        count: usize,
    },
    /// The name of a channel is too long.
    NameTooLong {
        /// The size of the name, in bytes.
        bytes: usize,
        /// The limit, in bytes.
        limit: usize,
    },
    /// A channel belongs to another cluster.
    OtherCluster,
    /// The event is certainly not stored: the log did not take it in time, or refused it.
    Refused,
    /// The event may be stored: no acknowledgement came before the deadline. A second publication could store it twice.
    Unconfirmed,
    /// The cluster was closed on this node.
    Closed,
}

impl fmt::Display for PublishError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PublishError::Encode(error) => error.fmt(f),
            PublishError::TooLarge { bytes, limit } => {
                write!(f, "the event has {bytes} bytes, the limit is {limit}")
            }
            PublishError::Channels { count } => {
                write!(f, "{count} channels were given, and an event has 1 to 64")
            }
            PublishError::NameTooLong { bytes, limit } => {
                write!(f, "the channel name has {bytes} bytes, the limit is {limit}")
            }
            PublishError::OtherCluster => f.write_str("a channel belongs to another cluster"),
            PublishError::Refused => f.write_str("the event was not stored"),
            PublishError::Unconfirmed => f.write_str("the event may be stored"),
            PublishError::Closed => f.write_str("the cluster was closed on this node"),
        }
    }
}

/// The error of a subscription to channels of a cluster.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum FollowError {
    /// The past of a channel cannot be read now. The client should come back with its id: nothing is lost.
    Unavailable,
    /// A channel cannot be opened.
    Open(OpenError),
    /// The connection cannot follow a channel.
    Subscribe(SubscribeError),
    /// A channel belongs to another cluster.
    OtherCluster,
}

impl fmt::Display for FollowError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FollowError::Unavailable => f.write_str("the past of a channel cannot be read now"),
            FollowError::Open(error) => error.fmt(f),
            FollowError::Subscribe(error) => error.fmt(f),
            FollowError::OtherCluster => f.write_str("a channel belongs to another cluster"),
        }
    }
}

impl std::error::Error for ConnectError {}
impl std::error::Error for PublishError {}
impl std::error::Error for FollowError {}

impl From<EncodeError> for PublishError {
    fn from(error: EncodeError) -> PublishError {
        PublishError::Encode(error)
    }
}

impl From<OpenError> for FollowError {
    fn from(error: OpenError) -> FollowError {
        FollowError::Open(error)
    }
}

impl From<SubscribeError> for FollowError {
    fn from(error: SubscribeError) -> FollowError {
        FollowError::Subscribe(error)
    }
}
