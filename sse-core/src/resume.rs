//! From a last event id to a position, and what became of it (H4, H6).

use alloc::boxed::Box;
use alloc::string::String;
use core::fmt::Write;

use crate::id::Position;
use crate::wire::{EncodeError, MAX_ID_BYTES, check_id};

/// The id that a client gave as the one of its last event.
///
/// Whatever a peer sends is taken: what cannot be an id is an *unknown* id (H6), never an error (X2).
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
    /// The longest id in bytes (E4): it comes back in a request header, and servers and proxies bound those.
    ///
    /// 1,024 bytes stay far below the 8 KiB that common proxies allow a whole header line.
    pub const MAX_BYTES: usize = MAX_ID_BYTES;

    /// Reads the value of a `Last-Event-ID` header, or of a parameter in its place. `None` when it is empty, which
    /// means that the client has none (WHATWG HTML 9.2.4).
    ///
    /// What is not UTF-8, has control characters or is longer than 1,024 bytes stands for an unknown id.
    ///
    /// # Cost
    ///
    /// O(n), n at most 1,024; one allocation.
    pub fn new(value: &[u8]) -> Option<LastEventId> {
        if value.is_empty() {
            return None;
        }
        let usable = core::str::from_utf8(value).ok().filter(|id| check_id(id, 0).is_ok());
        Some(LastEventId(usable.map(Box::from)))
    }

    /// The id, if it can be one.
    pub fn as_str(&self) -> Option<&str> {
        self.0.as_deref()
    }
}

impl From<&str> for LastEventId {
    /// As [`new`](LastEventId::new); an empty id is one that nothing is known of.
    fn from(id: &str) -> LastEventId {
        LastEventId::new(id.as_bytes()).unwrap_or(LastEventId(None))
    }
}

/// What [`Hub::subscribe`](crate::Hub::subscribe) found for a connection (H6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Resume {
    /// The connection gave no last event id: it starts where the channel has new ones start (H8).
    Fresh,
    /// It has missed nothing.
    UpToDate,
    /// It gets everything it has missed.
    Replayed {
        /// How many events that is.
        events: usize,
    },
    /// Some of what it has missed cannot be replayed any more; the channel's [`GapPolicy`](crate::GapPolicy) decides.
    Gap {
        /// The newest position that is lost.
        lost_through: Position,
        /// How many events it gets of those that were published before.
        events: usize,
    },
    /// Nothing is known of its id; the channel's [`GapPolicy`](crate::GapPolicy) decides.
    Unknown,
}

/// The ids that a hub gives: `<epoch>-<position>` (H2).
#[derive(Clone, Debug)]
pub(crate) struct Epoch(Box<str>);

impl Epoch {
    /// The longest epoch: short ids are sent with every event.
    pub(crate) const MAX_BYTES: usize = 64;

    pub(crate) fn new(name: &str) -> Result<Epoch, EncodeError> {
        check_id(name, 0)?;
        if name.len() > Epoch::MAX_BYTES {
            return Err(EncodeError::IdTooLong { len: name.len(), max: Epoch::MAX_BYTES });
        }
        Ok(Epoch(Box::from(name)))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// The id of a position.
    pub(crate) fn id(&self, position: Position) -> String {
        let mut id = String::with_capacity(self.0.len().saturating_add(21).min(MAX_ID_BYTES));
        // Writing to a String cannot fail.
        let _ = write!(id, "{}-{}", self.0, position);
        id
    }

    /// The position that an id of this epoch stands for. Only the canonical decimal is one: another spelling is an
    /// id that this hub never gave.
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
