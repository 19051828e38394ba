//! The errors of the hub: one enum per verb, each variant with the limit and the value.

use alloc::string::String;
use alloc::sync::Arc;
use core::error::Error;
use core::fmt;
use core::time::Duration;

use crate::id::{ChannelId, ConnectionId, Position};
use crate::wire::EncodeError;

/// The error of [`Hub::new`](crate::Hub::new).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfigError {
    /// The epoch cannot be part of an id ([H2](crate::rules#h2), [E4](crate::rules#e4)).
    Epoch(EncodeError),
    /// The epoch is longer than the limit ([H2](crate::rules#h2)).
    EpochTooLong {
        /// The size of the epoch, in bytes.
        bytes: usize,
        /// The limit, in bytes.
        limit: usize,
    },
    /// The name of a control event cannot be encoded ([E3](crate::rules#e3)).
    ControlEvent(EncodeError),
    /// [`HubConfig::epoch`](crate::HubConfig::epoch) is neither the default nor the epoch that was passed beside the
    /// configuration ([H2](crate::rules#h2)).
    TwoEpochs {
        /// The epoch that was passed.
        passed: String,
        /// The epoch in the configuration.
        configured: String,
    },
}

/// The error of [`Hub::connect`](crate::Hub::connect).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConnectError {
    /// The limit of open connections is reached ([A1](crate::rules#a1)).
    TooManyConnections {
        /// The limit.
        limit: usize,
    },
    /// The limit of connections of one principal is reached, and none of them has the client key of the new one
    /// ([U2](crate::rules#u2)).
    TooManyOfPrincipal {
        /// The limit.
        limit: usize,
    },
    /// The principal is longer than
    /// [`ConnectionConfig::MAX_PRINCIPAL_BYTES`](crate::ConnectionConfig::MAX_PRINCIPAL_BYTES).
    PrincipalTooLong {
        /// The size of the principal, in bytes.
        bytes: usize,
        /// The limit, in bytes.
        limit: usize,
    },
    /// The client key is longer than [`ConnectionConfig::MAX_CLIENT_BYTES`](crate::ConnectionConfig::MAX_CLIENT_BYTES).
    ClientTooLong {
        /// The size of the client key, in bytes.
        bytes: usize,
        /// The limit, in bytes.
        limit: usize,
    },
    /// The hub is shutting down.
    ShuttingDown,
    /// The ping interval is shorter than [`ConnectionConfig::MIN_PING`](crate::ConnectionConfig::MIN_PING)
    /// ([T1](crate::rules#t1)). No pings are `None`.
    PingTooShort {
        /// The interval.
        interval: Duration,
        /// The shortest interval.
        min: Duration,
    },
    /// The farewell has an id: a client would resume from it, and lose what it did not receive ([T5](crate::rules#t5)).
    FarewellHasId,
    /// The farewell exceeds the limit on the bytes of one event ([A1](crate::rules#a1)).
    FarewellTooLarge {
        /// The size of the frame, in bytes.
        bytes: usize,
        /// The limit, in bytes.
        limit: usize,
    },
}

/// The error of [`Hub::send`](crate::Hub::send).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SendError {
    /// The connection is not open.
    UnknownConnection(ConnectionId),
    /// The connection is closing.
    Closing(ConnectionId),
    /// The frame exceeds the size of an event ([A1](crate::rules#a1)), or what the connection may have pending
    /// ([S2](crate::rules#s2)).
    TooLarge {
        /// The size of the frame, in bytes.
        bytes: usize,
        /// The limit, in bytes.
        limit: usize,
    },
    /// The frame does not fit into what the connection may have pending ([S2](crate::rules#s2)). It can be sent again
    /// later.
    Full {
        /// The bytes of direct sends that are pending.
        queued: usize,
        /// The limit, in bytes.
        limit: usize,
    },
    /// The limit of pending direct sends is reached ([S2](crate::rules#s2)). The frame can be sent again later.
    TooManyFrames {
        /// The limit.
        limit: usize,
    },
}

/// The error of [`Hub::open_channel`](crate::Hub::open_channel).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OpenError {
    /// The limit of open channels is reached ([A1](crate::rules#a1)).
    TooManyChannels {
        /// The limit.
        limit: usize,
    },
    /// The name is longer than [`Limits::MAX_NAME_BYTES`](crate::Limits::MAX_NAME_BYTES).
    NameTooLong {
        /// The size of the name, in bytes.
        bytes: usize,
        /// The limit, in bytes.
        limit: usize,
    },
    /// The channel is open with another configuration ([K1](crate::rules#k1)).
    /// [`Hub::channel`](crate::Hub::channel) finds it whatever its configuration is.
    OtherConfig,
    /// The positions of the hub are external: the event of its head can still arrive, so a past has no end
    /// ([L2](crate::rules#l2)).
    PositionsAreExternal,
    /// The past reaches beyond the newest position of a hub that assigns positions itself, and would assign this one again
    /// ([L2](crate::rules#l2)).
    BeyondHead {
        /// The newest position of the past.
        position: Position,
        /// The newest position of the hub.
        head: Position,
    },
}

/// The error of [`Hub::subscribe`](crate::Hub::subscribe).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SubscribeError {
    /// The connection is not open.
    UnknownConnection(ConnectionId),
    /// The channel of an id is not open.
    UnknownChannel(ChannelId),
    /// The channel of a handle was closed ([K3](crate::rules#k3)).
    ChannelClosed {
        /// The name of the channel.
        name: Arc<str>,
    },
    /// The channel of a handle belongs to another hub ([D6](crate::rules#d6)).
    OtherHub {
        /// The name of the channel.
        name: Arc<str>,
    },
    /// The connection is closing.
    Closing(ConnectionId),
    /// The limit of channels that one connection follows is reached ([A1](crate::rules#a1)).
    TooManySubscriptions {
        /// The limit.
        limit: usize,
    },
    /// The limit of members of the channel is reached ([A1](crate::rules#a1)).
    TooManyMembers {
        /// The limit.
        limit: usize,
    },
}

/// The error of [`Hub::publish`](crate::Hub::publish), [`Hub::publish_to`](crate::Hub::publish_to) and
/// [`Hub::publish_at`](crate::Hub::publish_at).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PublishError {
    /// The channel of an id is not open.
    UnknownChannel(ChannelId),
    /// The channel of a handle was closed ([K3](crate::rules#k3)).
    ChannelClosed {
        /// The name of the channel.
        name: Arc<str>,
    },
    /// The channel of a handle belongs to another hub ([D6](crate::rules#d6)).
    OtherHub {
        /// The name of the channel.
        name: Arc<str>,
    },
    /// The channel is finished ([K4](crate::rules#k4)).
    Finished(ChannelId),
    /// [`Hub::seal`](crate::Hub::seal) has ended publishing ([R1](crate::rules#r1)).
    Sealed,
    /// No channel was given.
    NoChannel,
    /// The event cannot be encoded.
    Encode(EncodeError),
    /// The encoded event exceeds the limit ([A1](crate::rules#a1)).
    TooLarge {
        /// The size of the encoded event, in bytes.
        bytes: usize,
        /// The limit, in bytes.
        limit: usize,
    },
    /// The id has the form of the hub's own ids, `<epoch>-<position>`, and is not the one of the event's position
    /// ([H2](crate::rules#h2)).
    ReservedId {
        /// The position of the id.
        position: Position,
    },
    /// The positions of this hub are external: publish by [`Hub::publish_at`](crate::Hub::publish_at)
    /// ([O4](crate::rules#o4)).
    PositionsAreExternal,
    /// The positions of this hub are local: publish by [`Hub::publish`](crate::Hub::publish) ([O4](crate::rules#o4)).
    PositionsAreLocal,
    /// All positions are used.
    PositionsExhausted,
}

impl From<EncodeError> for PublishError {
    fn from(error: EncodeError) -> PublishError {
        PublishError::Encode(error)
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ConfigError::Epoch(error) => write!(f, "the epoch cannot be part of an id: {error}"),
            ConfigError::EpochTooLong { bytes, limit } => {
                write!(f, "the epoch has {bytes} bytes, the limit is {limit}")
            }
            ConfigError::ControlEvent(error) => write!(f, "the control event cannot be encoded: {error}"),
            ConfigError::TwoEpochs { passed, configured } => {
                write!(
                    f,
                    "the epoch {passed:?} was passed, and the configuration has the epoch {configured:?}"
                )
            }
        }
    }
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ConnectError::TooManyConnections { limit } => {
                write!(f, "{limit} connections are open, which is the limit")
            }
            ConnectError::FarewellHasId => f.write_str("the farewell has an id"),
            ConnectError::FarewellTooLarge { bytes, limit } => {
                write!(f, "the farewell has {bytes} bytes, the limit is {limit}")
            }
            ConnectError::TooManyOfPrincipal { limit } => {
                write!(f, "{limit} connections of the principal are open, which is the limit")
            }
            ConnectError::PrincipalTooLong { bytes, limit } => {
                write!(f, "the principal has {bytes} bytes, the limit is {limit}")
            }
            ConnectError::ClientTooLong { bytes, limit } => {
                write!(f, "the client key has {bytes} bytes, the limit is {limit}")
            }
            ConnectError::ShuttingDown => f.write_str("the hub is shutting down"),
            ConnectError::PingTooShort { interval, min } => {
                write!(f, "the ping interval is {interval:?}, the minimum is {min:?}")
            }
        }
    }
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SendError::UnknownConnection(id) => write!(f, "connection {id} is not open"),
            SendError::Closing(id) => write!(f, "connection {id} is closing"),
            SendError::TooLarge { bytes, limit } => {
                write!(f, "the frame has {bytes} bytes, the limit is {limit}")
            }
            SendError::Full { queued, limit } => {
                write!(f, "{queued} bytes are pending for the connection, the limit is {limit}")
            }
            SendError::TooManyFrames { limit } => {
                write!(f, "{limit} frames are pending for the connection, which is the limit")
            }
        }
    }
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OpenError::TooManyChannels { limit } => {
                write!(f, "{limit} channels are open, which is the limit")
            }
            OpenError::NameTooLong { bytes, limit } => {
                write!(f, "the channel name has {bytes} bytes, the limit is {limit}")
            }
            OpenError::OtherConfig => f.write_str("the channel is open with another configuration"),
            OpenError::PositionsAreExternal => {
                f.write_str("a channel of a hub with external positions has no past")
            }
            OpenError::BeyondHead { position, head } => {
                write!(f, "the past reaches to position {position}, and the hub to {head}")
            }
        }
    }
}

impl fmt::Display for SubscribeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SubscribeError::UnknownConnection(id) => write!(f, "connection {id} is not open"),
            SubscribeError::UnknownChannel(id) => write!(f, "channel {id} is not open"),
            SubscribeError::ChannelClosed { name } => write!(f, "channel {name:?} was closed"),
            SubscribeError::OtherHub { name } => write!(f, "channel {name:?} belongs to another hub"),
            SubscribeError::Closing(id) => write!(f, "connection {id} is closing"),
            SubscribeError::TooManySubscriptions { limit } => {
                write!(f, "the connection follows {limit} channels, which is the limit")
            }
            SubscribeError::TooManyMembers { limit } => {
                write!(f, "the channel has {limit} members, which is the limit")
            }
        }
    }
}

impl fmt::Display for PublishError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PublishError::UnknownChannel(id) => write!(f, "channel {id} is not open"),
            PublishError::ChannelClosed { name } => write!(f, "channel {name:?} was closed"),
            PublishError::OtherHub { name } => write!(f, "channel {name:?} belongs to another hub"),
            PublishError::Finished(id) => write!(f, "channel {id} is finished"),
            PublishError::Sealed => f.write_str("the hub is sealed for a restart"),
            PublishError::NoChannel => f.write_str("no channel was given"),
            PublishError::Encode(error) => error.fmt(f),
            PublishError::TooLarge { bytes, limit } => {
                write!(f, "the event has {bytes} bytes, the limit is {limit}")
            }
            PublishError::ReservedId { position } => {
                write!(f, "the id is reserved for position {position} of this hub")
            }
            PublishError::PositionsAreExternal => {
                f.write_str("the positions of this hub are external: use publish_at")
            }
            PublishError::PositionsAreLocal => {
                f.write_str("the positions of this hub are local: use publish")
            }
            PublishError::PositionsExhausted => f.write_str("all positions are used"),
        }
    }
}

// A wrapping error prints the text of the inner one. As a source, that text would be printed twice in an error report.
impl Error for ConfigError {}
impl Error for ConnectError {}
impl Error for SendError {}
impl Error for OpenError {}
impl Error for SubscribeError {}
impl Error for PublishError {}
