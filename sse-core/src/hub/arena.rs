//! Slots with generations: what connections and channels live in.

use alloc::vec::Vec;
use core::marker::PhantomData;
use core::num::NonZeroU32;

use crate::id::Key;

/// Values of one kind, each under an id that is never given out again.
///
/// # Cost
///
/// Every operation is O(1), insertion amortised. When the last value is gone the slots are gone too (D8), and the
/// generations go on above the highest that was in use, so that ids stay unique (D6).
pub(crate) struct Arena<K, T> {
    slots: Vec<Slot<T>>,
    /// The first slot of the list of vacant ones.
    vacant: Option<u32>,
    len: usize,
    /// The generation of a slot that is made new.
    first_generation: NonZeroU32,
    key: PhantomData<K>,
}

/// The highest bit of an index is free for other use.
const MOST_SLOTS: u32 = 1 << 31;

enum Slot<T> {
    Occupied {
        generation: NonZeroU32,
        value: T,
    },
    Vacant {
        next_generation: NonZeroU32,
        next: Option<u32>,
    },
    /// All generations of this slot were given out.
    Retired,
}

impl<K: Key, T> Arena<K, T> {
    pub(crate) const fn new() -> Self {
        Arena { slots: Vec::new(), vacant: None, len: 0, first_generation: NonZeroU32::MIN, key: PhantomData }
    }

    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    /// How many slots there are, vacant ones too.
    pub(crate) fn slots(&self) -> u32 {
        u32::try_from(self.slots.len()).unwrap_or(u32::MAX)
    }

    /// Puts a value in; it is given back only when two billion slots are taken.
    pub(crate) fn insert(&mut self, value: T) -> Result<K, T> {
        let (index, generation) = match self.vacant {
            Some(index) => match self.slots.get(index as usize) {
                Some(&Slot::Vacant { next_generation, next }) => {
                    self.vacant = next;
                    (index, next_generation)
                }
                _ => return Err(value),
            },
            None => match u32::try_from(self.slots.len()) {
                Ok(index) if index < MOST_SLOTS => {
                    self.slots.push(Slot::Retired);
                    (index, self.first_generation)
                }
                _ => return Err(value),
            },
        };
        if let Some(slot) = self.slots.get_mut(index as usize) {
            *slot = Slot::Occupied { generation, value };
        }
        self.len = self.len.saturating_add(1);
        Ok(K::new(index, generation))
    }

    pub(crate) fn remove(&mut self, index: u32) -> Option<T> {
        let slot = self.slots.get_mut(index as usize)?;
        let Slot::Occupied { generation, .. } = *slot else { return None };
        let freed = match generation.checked_add(1) {
            Some(next_generation) => {
                let next = self.vacant.replace(index);
                Slot::Vacant { next_generation, next }
            }
            None => Slot::Retired,
        };
        let Slot::Occupied { value, .. } = core::mem::replace(slot, freed) else { return None };
        self.len = self.len.saturating_sub(1);
        if self.len == 0 {
            self.release();
        }
        Some(value)
    }

    /// The slot of an id that is alive.
    #[inline]
    pub(crate) fn index(&self, key: K) -> Option<u32> {
        let (index, wanted) = key.parts();
        match self.slots.get(index as usize)? {
            Slot::Occupied { generation, .. } if *generation == wanted => Some(index),
            _ => None,
        }
    }

    /// The id of what is in a slot.
    #[inline]
    pub(crate) fn key(&self, index: u32) -> Option<K> {
        match self.slots.get(index as usize)? {
            Slot::Occupied { generation, .. } => Some(K::new(index, *generation)),
            _ => None,
        }
    }

    /// What is in a slot, with its id.
    #[inline]
    pub(crate) fn entry(&self, index: u32) -> Option<(K, &T)> {
        match self.slots.get(index as usize)? {
            Slot::Occupied { generation, value } => Some((K::new(index, *generation), value)),
            _ => None,
        }
    }

    #[inline]
    pub(crate) fn entry_mut(&mut self, index: u32) -> Option<(K, &mut T)> {
        match self.slots.get_mut(index as usize)? {
            Slot::Occupied { generation, value } => Some((K::new(index, *generation), value)),
            _ => None,
        }
    }

    #[inline]
    pub(crate) fn at(&self, index: u32) -> Option<&T> {
        match self.slots.get(index as usize)? {
            Slot::Occupied { value, .. } => Some(value),
            _ => None,
        }
    }

    #[inline]
    pub(crate) fn at_mut(&mut self, index: u32) -> Option<&mut T> {
        match self.slots.get_mut(index as usize)? {
            Slot::Occupied { value, .. } => Some(value),
            _ => None,
        }
    }

    #[inline]
    pub(crate) fn get(&self, key: K) -> Option<&T> {
        let (index, wanted) = key.parts();
        match self.slots.get(index as usize)? {
            Slot::Occupied { generation, value } if *generation == wanted => Some(value),
            _ => None,
        }
    }

    pub(crate) fn keys(&self) -> impl Iterator<Item = K> + '_ {
        (0u32..).zip(&self.slots).filter_map(|(index, slot)| match slot {
            Slot::Occupied { generation, .. } => Some(K::new(index, *generation)),
            _ => None,
        })
    }

    /// Gives the slots back once all are empty. A slot whose generations ran out keeps the slots where they are.
    fn release(&mut self) {
        let mut first = self.first_generation;
        for slot in &self.slots {
            match slot {
                Slot::Vacant { next_generation, .. } => first = first.max(*next_generation),
                Slot::Occupied { .. } | Slot::Retired => return,
            }
        }
        *self = Arena { first_generation: first, ..Arena::new() };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::ConnectionId;

    type Numbers = Arena<ConnectionId, u32>;

    #[test]
    fn d6_an_id_never_names_a_successor() {
        let mut numbers = Numbers::new();
        let _stays = numbers.insert(1).unwrap();
        let first = numbers.insert(2).unwrap();
        assert_eq!(numbers.remove(first.parts().0), Some(2));
        let second = numbers.insert(3).unwrap();
        assert_eq!(first.index(), second.index());
        assert_eq!(numbers.index(first), None);
        assert_eq!(numbers.get(second), Some(&3));
    }

    #[test]
    fn d8_an_empty_arena_holds_no_slots_and_repeats_no_id() {
        let mut numbers = Numbers::new();
        let ids: Vec<_> = (0..100).map(|n| numbers.insert(n).unwrap()).collect();
        for id in &ids {
            numbers.remove(id.parts().0);
        }
        assert_eq!(numbers.slots.capacity(), 0);
        let again: Vec<_> = (0..100).map(|n| numbers.insert(n).unwrap()).collect();
        assert!(again.iter().all(|id| !ids.contains(id)));
    }

    #[test]
    fn d6_a_slot_without_generations_is_retired() {
        let mut numbers = Numbers::new();
        numbers.first_generation = NonZeroU32::MAX;
        let last = numbers.insert(1).unwrap();
        numbers.remove(last.parts().0);
        let next = numbers.insert(2).unwrap();
        assert_ne!(next.index(), last.index());
        assert_eq!(numbers.index(last), None);
    }
}
