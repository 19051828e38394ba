//! Last event ids, the positions that they identify, and the result of resuming (H4, H6).

use alloc::boxed::Box;
use alloc::string::String;
use core::fmt::Write;

use crate::hub::ConfigError;
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

/// The result of [`Hub::subscribe`](crate::Hub::subscribe): how a connection resumes in a channel
/// ([H6](crate::rules#h6)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Resume {
    /// The connection gave no last event id. It starts as [`ChannelConfig::start`](crate::ChannelConfig::start)
    /// configures ([H8](crate::rules#h8)).
    Fresh,
    /// The client has missed nothing.
    UpToDate,
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

/// The epoch of a hub, the first part of the ids `<epoch>-<position>` that it assigns (H2).
#[derive(Clone, Debug)]
pub(crate) struct Epoch(Box<str>);

impl Epoch {
    /// The longest epoch in bytes. The bound keeps ids short, since every event carries one.
    pub(crate) const MAX_BYTES: usize = 64;

    pub(crate) fn new(name: &str) -> Result<Epoch, ConfigError> {
        if name.len() > Epoch::MAX_BYTES {
            return Err(ConfigError::EpochTooLong { bytes: name.len(), limit: Epoch::MAX_BYTES });
        }
        check_id(name, 0).map_err(ConfigError::Epoch)?;
        Ok(Epoch(Box::from(name)))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the id of a position.
    pub(crate) fn id(&self, position: Position) -> String {
        let mut id = String::with_capacity(self.0.len().saturating_add(21).min(MAX_ID_BYTES));
        // Writing to a String cannot fail.
        let _ = write!(id, "{}-{}", self.0, position);
        id
    }

    /// Returns the position of an id of this epoch. Only the canonical decimal counts, since the hub never assigns
    /// another spelling.
    pub(crate) fn position(&self, id: &str) -> Option<Position> {
        let digits = id.strip_prefix(&*self.0)?.strip_prefix('-')?;
        let canonical = match digits.as_bytes() {
            [b'0'] => true,
            [b'1'..=b'9', rest @ ..] => rest.iter().all(u8::is_ascii_digit),
            _ => false,
        };
        if canonical { digits.parse().ok().map(Position::new) } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn h4_only_the_canonical_decimal_of_this_epoch_is_a_position() {
        let epoch = Epoch::new("a-1").unwrap();
        assert_eq!(epoch.position("a-1-7"), Some(Position::new(7)));
        assert_eq!(epoch.position("a-1-0"), Some(Position::ORIGIN));
        assert_eq!(epoch.position("a-1-18446744073709551615"), Some(Position::new(u64::MAX)));
        for id in [
            "a-1-07",
            "a-1-+7",
            "a-1-",
            "a-1",
            "a-17",
            "b-1-7",
            "a-1-18446744073709551616",
            "a-1-٣",
            " a-1-7",
        ] {
            assert_eq!(epoch.position(id), None, "{id}");
        }
        assert_eq!(epoch.id(Position::new(42)), "a-1-42");
    }

    #[test]
    fn x2_what_cannot_be_an_id_is_unknown() {
        for value in [&b"\x80"[..], b"a\nb", b"a\0", b" a", &[b'x'; 1025]] {
            assert_eq!(LastEventId::new(value).unwrap().as_str(), None);
        }
        assert_eq!(LastEventId::from("ü").as_str(), Some("ü"));
    }
}
