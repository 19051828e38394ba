//! The epoch of a hub, and the ids that it assigns (H2).

use alloc::boxed::Box;
use alloc::string::String;
use core::fmt::Write;

use crate::id::Position;
use crate::wire::{MAX_ID_BYTES, check_id};

use super::error::ConfigError;

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
        position_in(&self.0, id)
    }
}

/// Returns the position of an id of an epoch.
pub(super) fn position_in(epoch: &str, id: &str) -> Option<Position> {
    let digits = id.strip_prefix(epoch)?.strip_prefix('-')?;
    let canonical = match digits.as_bytes() {
        [b'0'] => true,
        [b'1'..=b'9', rest @ ..] => rest.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    if canonical { digits.parse().ok().map(Position::new) } else { None }
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
}
