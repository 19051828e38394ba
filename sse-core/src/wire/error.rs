//! Why the wire format refused something.

#[cfg(feature = "serde")]
use alloc::boxed::Box;
use core::error::Error;
use core::fmt;
use core::time::Duration;

/// A field of an event that has to stay on one line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EncodeField {
    /// The event's id.
    Id,
    /// The event's name, the field `event`.
    Event,
}

impl fmt::Display for EncodeField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Id => "id",
            Self::Event => "event",
        })
    }
}

/// Why an event could not be encoded, or an id not be put on a frame.
///
/// Nothing is stripped or replaced to make an event fit (E3): two ids that differ stay different, or are refused.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EncodeError {
    /// The field holds CR or LF, which would end its line and begin another field (E3).
    LineBreak {
        /// Which field it is.
        field: EncodeField,
        /// Where the first CR or LF stands in it, in bytes.
        offset: usize,
    },
    /// The id holds a control character, which no request header can carry (E4).
    IdControl {
        /// Where the first control character stands in the id, in bytes.
        offset: usize,
    },
    /// The id begins or ends with white space, which is lost in a request header (E4).
    IdWhiteSpace,
    /// The id is longer than [`LastEventId::MAX_BYTES`](crate::LastEventId::MAX_BYTES) (E4).
    IdTooLong {
        /// The id's length in bytes.
        len: usize,
        /// The longest id in bytes.
        max: usize,
    },
    /// The reconnection time has more than [`u64::MAX`] milliseconds.
    RetryTooLong {
        /// The reconnection time that was given.
        retry: Duration,
    },
    /// The encoded event would be longer than a frame can be.
    TooLong {
        /// The length of the encoding in bytes; [`u64::MAX`] stands for more than that.
        len: u64,
        /// The longest frame in bytes.
        max: u64,
    },
    /// The data is a value that could not be written as JSON.
    #[cfg(feature = "serde")]
    Json {
        /// What `serde_json` says about it.
        message: Box<str>,
    },
}

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LineBreak { field, offset } => {
                write!(f, "the {field} holds a line break at byte {offset}")
            }
            Self::IdControl { offset } => write!(f, "the id holds a control character at byte {offset}"),
            Self::IdWhiteSpace => f.write_str("the id begins or ends with white space"),
            Self::IdTooLong { len, max } => {
                write!(f, "the id is {len} bytes long, the longest is {max} bytes")
            }
            Self::RetryTooLong { retry } => {
                write!(f, "the retry time is {} ms, the longest is {} ms", retry.as_millis(), u64::MAX)
            }
            Self::TooLong { len, max } => {
                write!(f, "the encoded event is {len} bytes long, the longest is {max} bytes")
            }
            #[cfg(feature = "serde")]
            Self::Json { message } => write!(f, "the data cannot be written as JSON: {message}"),
        }
    }
}

impl Error for EncodeError {}

/// Why bytes are not one frame (E6).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FrameError {
    /// No blank line ends the block; no bytes at all are such a block too.
    Unterminated {
        /// How many bytes there are.
        len: usize,
    },
    /// Something follows the first blank line.
    SeveralBlocks {
        /// Where the second block begins, in bytes.
        offset: usize,
    },
    /// The bytes begin with a byte order mark, which is a mark only at the start of a stream.
    ByteOrderMark,
    /// The bytes are not UTF-8.
    InvalidUtf8 {
        /// Where the first malformed sequence begins, in bytes.
        offset: usize,
    },
    /// A line of the field `id` holds what no id may be; offsets in the error count from the id's first byte.
    Id(EncodeError),
    /// The bytes are more than a frame can be.
    TooLong {
        /// How many bytes there are.
        len: u64,
        /// The longest frame in bytes.
        max: u64,
    },
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unterminated { len } => write!(f, "no blank line ends the block of {len} bytes"),
            Self::SeveralBlocks { offset } => write!(f, "a second block begins at byte {offset}"),
            Self::ByteOrderMark => f.write_str("the block begins with a byte order mark"),
            Self::InvalidUtf8 { offset } => write!(f, "the block is not utf-8 at byte {offset}"),
            Self::Id(error) => error.fmt(f),
            Self::TooLong { len, max } => {
                write!(f, "the block is {len} bytes long, the longest is {max} bytes")
            }
        }
    }
}

// The text of `Id` is the inner error's own already; as a source it would be printed twice.
impl Error for FrameError {}

/// Why a part of a stream could not be decoded; the decoder goes on after it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DecodeError {
    /// An event is larger than the decoder's limit and was dropped (C2).
    EventTooLarge {
        /// The limit in bytes.
        limit: usize,
    },
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::EventTooLarge { limit } => write!(f, "an event is larger than the limit of {limit} bytes"),
        }
    }
}

impl Error for DecodeError {}
