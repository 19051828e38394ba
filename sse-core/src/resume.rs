//! Last event ids, and the result of resuming (H4, H6).

use alloc::boxed::Box;

use crate::id::Position;
use crate::wire::{MAX_ID_BYTES, check_id};

/// The last event id that a client sent.
///
/// Any value of a peer is accepted: a value that is not a valid id is an *unknown* id ([H6](crate::rules#h6)) and never
/// an error ([X2](crate::rules#x2)).
///
/// ```
/// use sse_core::LastEventId;
///
/// assert_eq!(LastEventId::new(b"weather-7").unwrap().as_str(), Some("weather-7"));
/// assert_eq!(LastEventId::new(b"\xff\xfe").unwrap().as_str(), None);
/// assert_eq!(LastEventId::new(b""), None, "an empty id is none");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LastEventId(Option<Box<str>>);

impl LastEventId {
    /// The longest id in bytes ([E4](crate::rules#e4)).
    ///
    /// Clients send ids in a request header, and servers and proxies limit the size of headers. 1,024 bytes are far
    /// below the 8 KiB that common proxies allow for a header line.
    pub const MAX_BYTES: usize = MAX_ID_BYTES;

    /// Creates a last event id from the value of a `Last-Event-ID` header or of a query parameter. Returns `None` if
    /// the value is empty, which means that the client has no id (WHATWG HTML 9.2.4).
    ///
    /// A value that is not UTF-8, or not a valid id, becomes an unknown id.
    ///
    /// # Cost
    ///
    /// O(bytes), and one allocation of at most 1,024 bytes.
    pub fn new(value: &[u8]) -> Option<LastEventId> {
        if value.is_empty() {
            return None;
        }
        let usable = core::str::from_utf8(value).ok().filter(|id| check_id(id, 0).is_ok());
        Some(LastEventId(usable.map(Box::from)))
    }

    /// Returns the id, or `None` if the value was not a valid id.
    pub fn as_str(&self) -> Option<&str> {
        self.0.as_deref()
    }
}

impl From<&str> for LastEventId {
    /// Creates a last event id as [`new`](LastEventId::new) does. An empty value becomes an unknown id.
    fn from(id: &str) -> LastEventId {
        LastEventId::new(id.as_bytes()).unwrap_or(LastEventId(None))
    }
}

/// The result of [`Hub::subscribe`](crate::Hub::subscribe) and [`Hub::join`](crate::Hub::join): how a connection resumes in
/// a channel ([H6](crate::rules#h6)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Resume {
    /// The connection gave no last event id, or the client never had the channel ([`Join::New`]). A connection without an
    /// id starts as [`ChannelConfig::start`](crate::ChannelConfig::start) configures ([H8](crate::rules#h8)). Late
    /// subscriptions start live ([O3](crate::rules#o3)).
    Fresh,
    /// The client has missed nothing.
    UpToDate,
    /// The client has missed nothing, and the channel is finished: nothing will follow ([K6](crate::rules#k6)).
    Finished,
    /// The client receives all events that it missed.
    Replayed {
        /// The number of replayed events.
        events: usize,
    },
    /// Some missed events can no longer be replayed. The [`GapPolicy`](crate::GapPolicy) of the channel applies.
    Gap {
        /// The newest lost position.
        lost_through: Position,
        /// The number of kept events that follow.
        events: usize,
    },
    /// The hub cannot resolve the last event id. The [`GapPolicy`](crate::GapPolicy) of the channel applies.
    Unknown,
}

/// What a client has of a channel that it joins: the argument of [`Hub::join`](crate::Hub::join)
/// ([O6](crate::rules#o6)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Join<'a> {
    /// The client never had the channel.
    New,
    /// The channel was complete at the client at this id.
    After(&'a LastEventId),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn x2_what_cannot_be_an_id_is_unknown() {
        for value in [&b"\x80"[..], b"a\nb", b"a\0", b" a", &[b'x'; 1025]] {
            assert_eq!(LastEventId::new(value).unwrap().as_str(), None);
        }
        assert_eq!(LastEventId::from("ü").as_str(), Some("ü"));
    }
}
