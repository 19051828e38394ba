//! The errors of the wire format.

#[cfg(feature = "serde")]
use alloc::boxed::Box;
use alloc::string::String;
use core::error::Error;
use core::fmt;
use core::time::Duration;

/// A field of an event that must not contain a line break.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EncodeField {
    /// The field `id`.
    Id,
    /// The field `event`, the name of the event.
    Event,
}

impl fmt::Display for EncodeField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Id => "id",
            Self::Event => "event's name",
        })
    }
}

/// The error of encoding an event, or of replacing the id of a frame.
///
/// The encoder never strips or replaces characters silently ([E3](crate::rules#e3)), so two different ids never become
/// the same id.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EncodeError {
    /// The field contains CR or LF, which would end its line and begin another field ([E3](crate::rules#e3)).
    LineBreak {
        /// The field.
        field: EncodeField,
        /// The byte offset of the first CR or LF in the field.
        offset: usize,
    },
    /// The id contains a control character, which a request header cannot carry ([E4](crate::rules#e4)).
    IdControl {
        /// The byte offset of the first control character in the id.
        offset: usize,
    },
    /// The id begins or ends with white space, which request headers do not preserve ([E4](crate::rules#e4)).
    IdWhiteSpace,
    /// The id is longer than [`LastEventId::MAX_BYTES`](crate::LastEventId::MAX_BYTES) ([E4](crate::rules#e4)).
    IdTooLong {
        /// The length of the id in bytes.
        len: usize,
        /// The maximum length in bytes.
        max: usize,
    },
    /// The reconnection time exceeds [`Event::MAX_RETRY`](crate::Event::MAX_RETRY) ([E3](crate::rules#e3)).
    RetryTooLong {
        /// The reconnection time that was set.
        retry: Duration,
        /// The longest reconnection time.
        max: Duration,
    },
    /// The encoded event would exceed the maximum length of a frame.
    TooLong {
        /// The length of the encoded event in bytes, saturated at [`u64::MAX`].
        len: u64,
        /// The maximum length of a frame in bytes.
        max: u64,
    },
    /// The data is a value that cannot be serialized as JSON.
    #[cfg(feature = "serde")]
    Json {
        /// The error message of `serde_json`.
        message: Box<str>,
    },
}

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LineBreak { field, offset } => {
                write!(f, "the {field} contains a line break at byte {offset}")
            }
            Self::IdControl { offset } => {
                write!(f, "the id contains a control character at byte {offset}")
            }
            Self::IdWhiteSpace => f.write_str("the id begins or ends with white space"),
            Self::IdTooLong { len, max } => {
                write!(f, "the id has {len} bytes, the limit is {max}")
            }
            Self::RetryTooLong { retry, max } => {
                let (retry, max) = (retry.as_millis(), max.as_millis());
                write!(f, "the field `retry` is {retry} ms, the limit is {max} ms")
            }
            Self::TooLong { len, max } => {
                write!(f, "the encoded event has {len} bytes, the limit is {max}")
            }
            #[cfg(feature = "serde")]
            Self::Json { message } => write!(f, "the field `data` cannot be serialized as JSON: {message}"),
        }
    }
}

impl Error for EncodeError {}

/// The error of creating a frame from bytes that are not exactly one block ([E6](crate::rules#e6)).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FrameError {
    /// The block does not end with a blank line, or is empty.
    Unterminated {
        /// The number of bytes.
        len: usize,
    },
    /// Bytes follow the first blank line.
    SeveralBlocks {
        /// The byte offset of the second block.
        offset: usize,
    },
    /// The bytes begin with a byte order mark, which has a meaning only at the start of a stream.
    ByteOrderMark,
    /// The bytes are not UTF-8.
    InvalidUtf8 {
        /// The byte offset of the first malformed sequence.
        offset: usize,
    },
    /// The value of an `id` line is not a valid id. Offsets in the error count from the first byte of that value.
    Id(EncodeError),
    /// The value of a `retry` line exceeds the longest reconnection time.
    Retry(EncodeError),
    /// The block exceeds the maximum length of a frame.
    TooLong {
        /// The number of bytes.
        len: u64,
        /// The maximum length of a frame in bytes.
        max: u64,
    },
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unterminated { len } => {
                write!(f, "the block of {len} bytes does not end with a blank line")
            }
            Self::SeveralBlocks { offset } => write!(f, "a second block begins at byte {offset}"),
            Self::ByteOrderMark => f.write_str("the block begins with a byte order mark"),
            Self::InvalidUtf8 { offset } => write!(f, "the block contains invalid UTF-8 at byte {offset}"),
            Self::Id(error) | Self::Retry(error) => error.fmt(f),
            Self::TooLong { len, max } => {
                write!(f, "the block has {len} bytes, the limit is {max}")
            }
        }
    }
}

// `Id` displays the inner error. Returning it as the source as well would print it twice in error reports.
impl Error for FrameError {}

/// The error of decoding one event of a stream. The decoder continues with the next event.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DecodeError {
    /// An event exceeded the limit of the decoder and was dropped ([C2](crate::rules#c2)).
    EventTooLarge {
        /// The limit in bytes.
        limit: usize,
        /// The id of the event, or `None` if the event has no id or its `id` line had not arrived completely.
        id: Option<String>,
    },
}

impl DecodeError {
    /// The longest id in an error text, in bytes. The server chooses the id, and texts end up in logs.
    const MAX_SHOWN_ID_BYTES: usize = 128;
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::EventTooLarge { limit, id: Some(id) } if id.len() <= Self::MAX_SHOWN_ID_BYTES => {
                write!(f, "the event with the id {id:?} exceeds the limit of {limit} bytes")
            }
            Self::EventTooLarge { limit, .. } => write!(f, "an event exceeds the limit of {limit} bytes"),
        }
    }
}

impl Error for DecodeError {}
