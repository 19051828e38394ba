//! The configuration of hubs, channels and connections. The documentation of each default gives its reason.

mod channel;
mod connection;
mod hub;

pub use channel::{
    BacklogConfig, ChannelConfig, GapPolicy, HistoryConfig, IdSource, LagPolicy, OnClose, StartFrom,
};
pub use connection::{ConnectionConfig, Except, OnMaxLifetime, PublishOptions};
pub use hub::{ControlEvents, HubConfig, Limits, PositionSource};
