//! What a published event excludes: a connection or a client key (U3).

use core::num::NonZeroU32;

use super::identities::ClientSlot;
use crate::id::{ArenaKey, ClientId, ConnectionId};

/// The connection or the client key that does not receive an event: the slot and the generation of its number, and a bit
/// that distinguishes both kinds. It has eight bytes, also as an `Option`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Exclusion {
    index: u32,
    generation: NonZeroU32,
}

/// Slots have indexes below this bit.
const CLIENT: u32 = 1 << 31;

impl Exclusion {
    pub(crate) fn connection(id: ConnectionId) -> Exclusion {
        let (index, generation) = id.parts();
        Exclusion { index, generation }
    }

    pub(crate) fn client(id: ClientId) -> Exclusion {
        let (index, generation) = id.parts();
        Exclusion { index: index | CLIENT, generation }
    }

    /// Returns the slot of the excluded client key.
    pub(crate) fn client_slot(self) -> Option<ClientSlot> {
        (self.index & CLIENT != 0).then(|| ClientSlot::new(self.index & !CLIENT))
    }

    /// Returns whether this is the exclusion of a connection with this client key.
    ///
    /// The slot of a client key is enough: the event keeps it from being reused (U5).
    #[inline]
    pub(crate) fn is_of(self, id: ConnectionId, client: Option<ClientSlot>) -> bool {
        if self.index & CLIENT == 0 {
            return id.parts() == (self.index, self.generation);
        }
        client.is_some_and(|client| client.get() | CLIENT == self.index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn u3_an_exclusion_of_either_kind_has_eight_bytes() {
        assert_eq!(size_of::<Option<Exclusion>>(), 8);
    }
}
