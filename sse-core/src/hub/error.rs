//! What a hub refuses: one enum per verb, each case with what was wrong and by how much.

use core::error::Error;
use core::fmt;

use crate::id::{ChannelId, ConnectionId, Position};
use crate::wire::EncodeError;

/// Why [`Hub::new`](crate::Hub::new) made no hub.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfigError {
    /// The epoch cannot be part of an id (H2, E4).
    Epoch(EncodeError),
}

/// Why [`Hub::connect`](crate::Hub::connect) opened no connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConnectError {
    /// As many connections are open as may be (A1).
    TooManyConnections {
        /// How many that is.
        limit: usize,
    },
    /// The hub was told to shut down.
    ShuttingDown,
}

/// Why [`Hub::send`](crate::Hub::send) sent nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SendError {
    /// No such connection is open.
    UnknownConnection(ConnectionId),
    /// The connection is being closed.
    Closing(ConnectionId),
    /// The frame is larger than an event may be (A1).
    TooLarge {
        /// Its bytes.
        bytes: usize,
        /// How many it may have.
        limit: usize,
    },
    /// More bytes would wait for the connection than may (S2). Nothing was sent; it can be tried again later.
    Full {
        /// Bytes that wait already.
        waiting: usize,
        /// How many may wait.
        limit: usize,
    },
    /// As many frames wait for the connection as may (S2). Nothing was sent; it can be tried again later.
    TooManyFrames {
        /// How many that is.
        limit: usize,
    },
}

/// Why [`Hub::open_channel`](crate::Hub::open_channel) opened no channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OpenError {
    /// As many channels are open as may be (A1).
    TooManyChannels {
        /// How many that is.
        limit: usize,
    },
    /// The name is longer than [`Limits::MAX_NAME_BYTES`](crate::MAX_NAME_BYTES).
    NameTooLong {
        /// Its bytes.
        bytes: usize,
        /// How many it may have.
        limit: usize,
    },
}

/// Why [`Hub::subscribe`](crate::Hub::subscribe) subscribed to nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SubscribeError {
    /// No such connection is open.
    UnknownConnection(ConnectionId),
    /// No such channel is open.
    UnknownChannel(ChannelId),
    /// The connection is being closed.
    Closing(ConnectionId),
    /// The connection follows as many channels as it may (A1).
    TooManySubscriptions {
        /// How many that is.
        limit: usize,
    },
    /// The channel has as many members as it may (A1).
    TooManyMembers {
        /// How many that is.
        limit: usize,
    },
}

/// Why a call such as [`Hub::publish`](crate::Hub::publish) published nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PublishError {
    /// No such channel is open.
    UnknownChannel(ChannelId),
    /// No channel was named.
    NoChannel,
    /// The event cannot be encoded.
    Encode(EncodeError),
    /// The event is larger than it may be (A1).
    TooLarge {
        /// Its bytes, encoded.
        bytes: usize,
        /// How many it may have.
        limit: usize,
    },
    /// The id has the form of those that the hub gives, `<epoch>-<position>`, and is not the one of its position (H2).
    ReservedId {
        /// The position that the id would stand for.
        position: Position,
    },
    /// This hub is fed its positions: [`Hub::publish_at`](crate::Hub::publish_at) is the call for it (O4).
    PositionsAreExternal,
    /// This hub makes its positions: [`Hub::publish`](crate::Hub::publish) is the call for it (O4).
    PositionsAreLocal,
    /// All positions are used up.
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
        }
    }
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ConnectError::TooManyConnections { limit } => {
                write!(f, "{limit} connections are open, which is the limit")
            }
            ConnectError::ShuttingDown => f.write_str("the hub is shutting down"),
        }
    }
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SendError::UnknownConnection(id) => write!(f, "connection {id} is not open"),
            SendError::Closing(id) => write!(f, "connection {id} is being closed"),
            SendError::TooLarge { bytes, limit } => {
                write!(f, "the frame has {bytes} bytes, the limit is {limit}")
            }
            SendError::Full { waiting, limit } => {
                write!(f, "{waiting} bytes wait for the connection already, the limit is {limit}")
            }
            SendError::TooManyFrames { limit } => {
                write!(f, "{limit} frames wait for the connection already, which is the limit")
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
        }
    }
}

impl fmt::Display for SubscribeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SubscribeError::UnknownConnection(id) => write!(f, "connection {id} is not open"),
            SubscribeError::UnknownChannel(id) => write!(f, "channel {id} is not open"),
            SubscribeError::Closing(id) => write!(f, "connection {id} is being closed"),
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
            PublishError::NoChannel => f.write_str("no channel was named"),
            PublishError::Encode(error) => error.fmt(f),
            PublishError::TooLarge { bytes, limit } => {
                write!(f, "the event has {bytes} bytes, the limit is {limit}")
            }
            PublishError::ReservedId { position } => {
                write!(f, "the id is the one that this hub gives to position {position}")
            }
            PublishError::PositionsAreExternal => f.write_str("the positions of this hub are fed to it"),
            PublishError::PositionsAreLocal => f.write_str("this hub makes its own positions"),
            PublishError::PositionsExhausted => f.write_str("all positions are used up"),
        }
    }
}

impl Error for ConfigError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            ConfigError::Epoch(error) => Some(error),
        }
    }
}

impl Error for ConnectError {}
impl Error for SendError {}
impl Error for OpenError {}
impl Error for SubscribeError {}

impl Error for PublishError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            PublishError::Encode(error) => Some(error),
            _ => None,
        }
    }
}
