//! Server-Sent Events from many nodes on one log in Redis: a client that reconnects to another node, or after a restart, resumes
//! exactly where it was.
//!
//! Each node has a hub of [`sse_core`], with the adapter of its choice. The nodes share a log in Redis, which orders all events.
//! Every node reads the log into its hub. Redis also keeps the history of each channel, so that a node that opens a channel
//! resumes clients as if the channel had been open there all the time.
//!
//! ```no_run
//! use hyper_util::rt::{TokioExecutor, TokioTimer};
//! use sse_core::{ChannelConfig, Event, HubConfig};
//! use sse_redis::ClusterConfig;
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let mut node = sse_redis::connect(ClusterConfig::new("redis://127.0.0.1/", "shop")).await?;
//! let config = node.hub_config(HubConfig::default());
//! let hub = sse_hyper::start(node.epoch(), config, &TokioExecutor::new(), TokioTimer::new())?;
//! let cluster = node.run(hub)?;
//!
//! let news = cluster.channel("news", ChannelConfig::default());
//! let stream = cluster.hub().connect(Default::default())?; // for each request
//! news.follow(&stream).await?;
//! news.publish(&Event::new().data("hello, all nodes")).await?;
//! # Ok(()) }
//! ```
//!
//! # What is promised
//!
//! - An event that [`Channel::publish`] acknowledged reaches every client of its channels once and in order, whichever node the
//!   client is connected to, or the client gets a `reset`.
//! - [`PublishError::Unconfirmed`] says that the event may be stored. Every other error says that it is certainly not stored.
//!
//! Redis decides what survives a crash of Redis itself. With `appendfsync everysec`, the default of its append-only file, the
//! events of the last second can be lost, and under load those of the last two. With `always` none is. Without an append-only
//! file, a restart loses everything since the last snapshot. Whatever is lost, the nodes notice it, and each client gets one
//! `reset`.
//!
//! Redis 7.0 or later is required, with `maxmemory-policy noeviction`.

/// Compiles the examples of the README and of the page.
#[cfg(doctest)]
mod pages {
    #[doc = include_str!("../README.md")]
    struct Readme;

    #[doc = include_str!("../../docs/cluster.md")]
    struct Cluster;
}

mod apply;
mod channel;
mod cluster;
mod config;
mod engine;
mod error;
mod follow;
mod keys;
#[cfg(feature = "metrics")]
mod metrics;
mod name_locks;
mod node;
mod observe;
mod opens;
mod protocol;
mod publisher;
mod status;
mod tail;
#[cfg(feature = "tls")]
mod tls;

pub use channel::Channel;
pub use cluster::{Cluster, Published};
pub use config::{ClusterChannel, ClusterConfig};
pub use error::{ConnectError, FollowError, PublishError};
pub use node::{Node, connect};
pub use status::Status;
