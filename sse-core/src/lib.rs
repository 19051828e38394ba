//! Server-Sent Events as a state machine without I/O.
#![no_std]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects
    )
)]

extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

mod arena;
mod backlog;
mod channel;
mod config;
mod connection;
mod deadline;
mod decode;
mod encode;
mod error;
mod event;
mod frame;
mod history;
mod hub;
mod id;
mod resume;
#[cfg(feature = "std")]
pub mod shared;
mod stats;
mod time;

pub use bytes;
pub use config::{
    BacklogConfig, ChannelConfig, ConnectionConfig, GapPolicy, HistoryConfig, HubConfig, Ids, LagPolicy,
    Limits, MAX_NAME_BYTES, MIN_PING, OnClose, OnTimeout, Positions, PublishOptions, Start,
};
pub use decode::{Decoder, Message};
pub use error::{DecodeError, EncodeError, Field, FrameError, MAX_ID_BYTES};
pub use event::Event;
pub use frame::Frame;
pub use hub::{
    Action, ChannelCloseReason, ConfigError, ConnectError, Hub, MAX_WINDOW_BYTES, MAX_WINDOW_FRAMES,
    OpenError, PublishError, Published, SendError, SubscribeError, Transmit,
};
pub use id::{ChannelId, ConnectionId, Position};
pub use resume::{LastEventId, Resume};
pub use stats::{ChannelStats, CloseReason, Closed, Stats};
pub use time::Instant;
