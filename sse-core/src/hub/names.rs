//! Words of the application, each under a number that is never reused (U5).

use alloc::boxed::Box;
use core::hash::BuildHasher;
use core::num::NonZeroU32;

use hashbrown::{DefaultHashBuilder, HashTable};

use super::arena::{Arena, Slot};
use crate::id::ArenaKey;

/// Names of one kind, each with a value, in an arena.
///
/// # Cost
///
/// Every operation is O(1), and O(length of the name) where a name is looked up. Without names, no memory is held.
pub(crate) struct Names<K, T> {
    entries: Arena<K, Named<T>>,
    index: HashTable<Slot<K>>,
    hasher: DefaultHashBuilder,
}

struct Named<T> {
    name: Box<str>,
    value: T,
}

impl<K: ArenaKey, T: Default> Names<K, T> {
    pub(crate) fn new(origin: NonZeroU32) -> Names<K, T> {
        Names { entries: Arena::new(origin), index: HashTable::new(), hasher: DefaultHashBuilder::default() }
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Returns the slot of a name.
    pub(crate) fn find(&self, name: &str) -> Option<Slot<K>> {
        if self.index.is_empty() {
            return None;
        }
        let is_same = |slot: &Slot<K>| self.name(*slot) == Some(name);
        self.index.find(self.hasher.hash_one(name), is_same).copied()
    }

    /// Returns the slot of a name, and adds the name if it is not there. Returns `None` at two billion names.
    pub(crate) fn intern(&mut self, name: &str) -> Option<Slot<K>> {
        if let Some(slot) = self.find(name) {
            return Some(slot);
        }
        let added = self.entries.insert(Named { name: Box::from(name), value: T::default() }).ok()?;
        let slot = self.entries.slot(added)?;
        let Names { entries, index, hasher } = self;
        let rehash =
            |slot: &Slot<K>| hasher.hash_one(entries.at(*slot).map(|entry| &*entry.name).unwrap_or_default());
        index.insert_unique(hasher.hash_one(name), slot, rehash);
        Some(slot)
    }

    pub(crate) fn remove(&mut self, slot: Slot<K>) {
        let Some(removed) = self.entries.remove(slot) else { return };
        let hash = self.hasher.hash_one(&*removed.name);
        if let Ok(entry) = self.index.find_entry(hash, |other| *other == slot) {
            entry.remove();
        }
        if self.entries.len() == 0 {
            self.index = HashTable::new();
        }
    }

    pub(crate) fn id(&self, slot: Slot<K>) -> Option<K> {
        self.entries.id(slot)
    }

    pub(crate) fn name(&self, slot: Slot<K>) -> Option<&str> {
        self.entries.at(slot).map(|entry| &*entry.name)
    }

    pub(crate) fn value(&self, slot: Slot<K>) -> Option<&T> {
        self.entries.at(slot).map(|entry| &entry.value)
    }

    pub(crate) fn value_mut(&mut self, slot: Slot<K>) -> Option<&mut T> {
        self.entries.at_mut(slot).map(|entry| &mut entry.value)
    }

    /// Returns all names, in no particular order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &str> + '_ {
        self.entries.ids().filter_map(|id| self.entries.get(id)).map(|entry| &*entry.name)
    }
}

#[cfg(test)]
mod tests {
    use std::format;

    use super::*;
    use crate::id::ClientId;

    type Keys = Names<ClientId, usize>;

    #[test]
    fn u5_a_number_lives_as_long_as_its_name_and_is_not_reused() {
        let mut keys = Keys::new(NonZeroU32::MIN);
        let stays = keys.intern("a").unwrap();
        let first = keys.intern("b").unwrap();
        let first_id = keys.id(first).unwrap();
        assert!(keys.intern("b") == Some(first));
        keys.remove(first);
        assert!(keys.find("b").is_none());
        let second = keys.intern("c").unwrap();
        assert_ne!(keys.id(second), Some(first_id));
        assert_eq!(keys.name(stays), Some("a"));
    }

    #[test]
    fn d8_without_names_no_memory_is_held() {
        let mut keys = Keys::new(NonZeroU32::MIN);
        let slots: alloc::vec::Vec<_> =
            (0..1000).map(|number| keys.intern(&format!("{number}")).unwrap()).collect();
        slots.into_iter().for_each(|slot| keys.remove(slot));
        assert_eq!((keys.len(), keys.index.capacity()), (0, 0));
    }
}
