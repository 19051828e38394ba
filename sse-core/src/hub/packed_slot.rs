//! A slot that takes four bytes also where there may be none.

use core::marker::PhantomData;
use core::num::NonZeroU32;

use super::arena::Slot;

/// A slot, counted from one. It is never zero, so an `Option` of it takes no memory of its own.
pub(crate) struct PackedSlot<K> {
    number: NonZeroU32,
    key: PhantomData<fn() -> K>,
}

impl<K> PackedSlot<K> {
    pub(crate) fn slot(self) -> Slot<K> {
        Slot::new(self.number.get().saturating_sub(1))
    }
}

impl<K> From<Slot<K>> for PackedSlot<K> {
    fn from(slot: Slot<K>) -> PackedSlot<K> {
        // An arena has at most 2³¹ slots.
        PackedSlot { number: NonZeroU32::MIN.saturating_add(slot.get()), key: PhantomData }
    }
}

impl<K> Clone for PackedSlot<K> {
    fn clone(&self) -> PackedSlot<K> {
        *self
    }
}

impl<K> Copy for PackedSlot<K> {}

impl<K> PartialEq for PackedSlot<K> {
    fn eq(&self, other: &PackedSlot<K>) -> bool {
        self.number == other.number
    }
}

impl<K> Eq for PackedSlot<K> {}
