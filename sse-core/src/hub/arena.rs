//! Slots with generations: the storage of connections and channels.

use alloc::vec::Vec;
use core::fmt;
use core::marker::PhantomData;
use core::num::NonZeroU32;
use core::sync::atomic::{AtomicU32, Ordering};

use crate::id::{ArenaKey, ChannelId, ConnectionId};

pub(crate) type ConnectionSlot = Slot<ConnectionId>;
pub(crate) type ChannelSlot = Slot<ChannelId>;

/// The index of a value in the arena whose ids are `K`. A slot is reused, so it is only valid while its value is known to
/// live.
pub(crate) struct Slot<K> {
    index: u32,
    key: PhantomData<fn() -> K>,
}

impl<K> Slot<K> {
    pub(crate) const fn new(index: u32) -> Slot<K> {
        Slot { index, key: PhantomData }
    }

    pub(crate) const fn get(self) -> u32 {
        self.index
    }
}

impl<K> Clone for Slot<K> {
    fn clone(&self) -> Slot<K> {
        *self
    }
}

impl<K> Copy for Slot<K> {}

impl<K> PartialEq for Slot<K> {
    fn eq(&self, other: &Slot<K>) -> bool {
        self.index == other.index
    }
}

impl<K> Eq for Slot<K> {}

impl<K> fmt::Debug for Slot<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.index.fmt(f)
    }
}

/// Values of one kind, each under an id that is never reused.
///
/// # Cost
///
/// Every operation is O(1), insertion amortised. When the last value is removed, the memory is released (D8), and later
/// generations continue behind the latest one in use, so that ids stay unique (D6).
///
/// Generations wrap around: the last one comes just before that with which the arena began.
pub(crate) struct Arena<K, T> {
    entries: Vec<ArenaEntry<T>>,
    /// The head of the list of vacant slots.
    vacant: Option<u32>,
    len: usize,
    /// The generation with which the arena began.
    origin: NonZeroU32,
    /// The generation of a new slot.
    first_generation: NonZeroU32,
    key: PhantomData<K>,
}

/// The highest bit of an index is free for other uses.
const MAX_SLOTS: u32 = 1 << 31;

enum ArenaEntry<T> {
    Occupied {
        generation: NonZeroU32,
        value: T,
    },
    Vacant {
        next_generation: NonZeroU32,
        next: Option<u32>,
    },
    /// Every generation of this slot was used.
    Retired,
}

impl<K: ArenaKey, T> Arena<K, T> {
    /// Creates an arena without values, whose generations begin at `origin`.
    pub(crate) const fn new(origin: NonZeroU32) -> Self {
        Arena {
            entries: Vec::new(),
            vacant: None,
            len: 0,
            origin,
            first_generation: origin,
            key: PhantomData,
        }
    }

    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    /// Returns the number of slots, vacant ones included.
    pub(crate) fn slots(&self) -> u32 {
        u32::try_from(self.entries.len()).unwrap_or(u32::MAX)
    }

    /// Inserts a value. The value is returned when two billion slots are occupied.
    pub(crate) fn insert(&mut self, value: T) -> Result<K, T> {
        let (index, generation) = match self.vacant {
            Some(index) => match self.entries.get(index as usize) {
                Some(&ArenaEntry::Vacant { next_generation, next }) => {
                    self.vacant = next;
                    (index, next_generation)
                }
                _ => return Err(value),
            },
            None => match u32::try_from(self.entries.len()) {
                Ok(index) if index < MAX_SLOTS => {
                    self.entries.push(ArenaEntry::Retired);
                    (index, self.first_generation)
                }
                _ => return Err(value),
            },
        };
        if let Some(entry) = self.entries.get_mut(index as usize) {
            *entry = ArenaEntry::Occupied { generation, value };
        }
        self.len = self.len.saturating_add(1);
        Ok(K::new(index, generation))
    }

    pub(crate) fn remove(&mut self, slot: Slot<K>) -> Option<T> {
        let entry = self.entries.get_mut(slot.index as usize)?;
        let ArenaEntry::Occupied { generation, .. } = *entry else { return None };
        let next_generation = generation.checked_add(1).unwrap_or(NonZeroU32::MIN);
        let freed = if next_generation == self.origin {
            ArenaEntry::Retired
        } else {
            ArenaEntry::Vacant { next_generation, next: self.vacant.replace(slot.index) }
        };
        let ArenaEntry::Occupied { value, .. } = core::mem::replace(entry, freed) else { return None };
        self.len = self.len.saturating_sub(1);
        if self.len == 0 {
            self.release();
        }
        Some(value)
    }

    /// Returns the slot of a live id.
    #[inline]
    pub(crate) fn slot(&self, key: K) -> Option<Slot<K>> {
        let (index, wanted) = key.parts();
        match self.entries.get(index as usize)? {
            ArenaEntry::Occupied { generation, .. } if *generation == wanted => Some(Slot::new(index)),
            _ => None,
        }
    }

    /// Returns the id of the value in a slot.
    #[inline]
    pub(crate) fn id(&self, slot: Slot<K>) -> Option<K> {
        match self.entries.get(slot.index as usize)? {
            ArenaEntry::Occupied { generation, .. } => Some(K::new(slot.index, *generation)),
            _ => None,
        }
    }

    /// Returns the value in a slot, with its id.
    #[inline]
    pub(crate) fn entry(&self, slot: Slot<K>) -> Option<(K, &T)> {
        match self.entries.get(slot.index as usize)? {
            ArenaEntry::Occupied { generation, value } => Some((K::new(slot.index, *generation), value)),
            _ => None,
        }
    }

    #[inline]
    pub(crate) fn entry_mut(&mut self, slot: Slot<K>) -> Option<(K, &mut T)> {
        match self.entries.get_mut(slot.index as usize)? {
            ArenaEntry::Occupied { generation, value } => Some((K::new(slot.index, *generation), value)),
            _ => None,
        }
    }

    #[inline]
    pub(crate) fn at(&self, slot: Slot<K>) -> Option<&T> {
        match self.entries.get(slot.index as usize)? {
            ArenaEntry::Occupied { value, .. } => Some(value),
            _ => None,
        }
    }

    #[inline]
    pub(crate) fn at_mut(&mut self, slot: Slot<K>) -> Option<&mut T> {
        match self.entries.get_mut(slot.index as usize)? {
            ArenaEntry::Occupied { value, .. } => Some(value),
            _ => None,
        }
    }

    #[inline]
    pub(crate) fn get(&self, key: K) -> Option<&T> {
        let (index, wanted) = key.parts();
        match self.entries.get(index as usize)? {
            ArenaEntry::Occupied { generation, value } if *generation == wanted => Some(value),
            _ => None,
        }
    }

    pub(crate) fn ids(&self) -> impl Iterator<Item = K> + '_ {
        (0u32..).zip(&self.entries).filter_map(|(index, entry)| match entry {
            ArenaEntry::Occupied { generation, .. } => Some(K::new(index, *generation)),
            _ => None,
        })
    }

    /// Releases the memory once all slots are vacant. A retired slot prevents that.
    fn release(&mut self) {
        let mut first = self.first_generation;
        for entry in &self.entries {
            match entry {
                ArenaEntry::Vacant { next_generation, .. } => {
                    first = later(self.origin, first, *next_generation);
                }
                ArenaEntry::Occupied { .. } | ArenaEntry::Retired => return,
            }
        }
        *self = Arena { first_generation: first, ..Arena::new(self.origin) };
    }
}

/// Returns the later of two generations of an arena that began at `origin`.
fn later(origin: NonZeroU32, one: NonZeroU32, other: NonZeroU32) -> NonZeroU32 {
    let age = |generation: NonZeroU32| {
        // Zero is no generation, so those that wrapped around are one step closer than they seem. That keeps their order.
        generation.get().wrapping_sub(origin.get())
    };
    if age(other) > age(one) { other } else { one }
}

/// Returns the generation with which the ids of a hub begin: the first hub of a program begins at 1, and others far away from it
/// and from each other, so that an id of one hub is unknown to the others (D6).
///
/// Multiples of the golden ratio are spread evenly: with n hubs, the ids of two hubs meet after an index was used again
/// 1.6 billion / n times at the earliest.
pub(crate) fn next_origin() -> NonZeroU32 {
    static HUBS: AtomicU32 = AtomicU32::new(0);
    let number = HUBS.fetch_add(1, Ordering::Relaxed);
    NonZeroU32::new(number.wrapping_mul(GOLDEN_RATIO).wrapping_add(1)).unwrap_or(NonZeroU32::MIN)
}

/// 2³² divided by the golden ratio, as an odd number.
const GOLDEN_RATIO: u32 = 0x9e37_79b9;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::ConnectionId;

    type Numbers = Arena<ConnectionId, u32>;

    fn slot_of(id: ConnectionId) -> Slot<ConnectionId> {
        Slot::new(id.parts().0)
    }

    #[test]
    fn d6_an_id_never_names_a_successor() {
        let mut numbers = Numbers::new(NonZeroU32::MIN);
        let _stays = numbers.insert(1).unwrap();
        let first = numbers.insert(2).unwrap();
        assert_eq!(numbers.remove(slot_of(first)), Some(2));
        let second = numbers.insert(3).unwrap();
        assert_eq!(first.index(), second.index());
        assert_eq!(numbers.slot(first), None);
        assert_eq!(numbers.get(second), Some(&3));
    }

    #[test]
    fn d8_an_empty_arena_holds_no_slots_and_repeats_no_id() {
        let mut numbers = Numbers::new(NonZeroU32::MIN);
        let ids: Vec<_> = (0..100).map(|n| numbers.insert(n).unwrap()).collect();
        for id in &ids {
            numbers.remove(slot_of(*id));
        }
        assert_eq!(numbers.entries.capacity(), 0);
        let again: Vec<_> = (0..100).map(|n| numbers.insert(n).unwrap()).collect();
        assert!(again.iter().all(|id| !ids.contains(id)));
    }

    #[test]
    fn d6_a_slot_without_generations_is_retired() {
        let mut numbers = Numbers::new(NonZeroU32::MIN);
        numbers.first_generation = NonZeroU32::MAX;
        let last = numbers.insert(1).unwrap();
        numbers.remove(slot_of(last));
        let next = numbers.insert(2).unwrap();
        assert_ne!(next.index(), last.index());
        assert_eq!(numbers.slot(last), None);
    }

    #[test]
    fn d6_generations_wrap_around_and_none_comes_twice() {
        for origin in [1, 2, 3, u32::MAX - 1, u32::MAX] {
            let origin = NonZeroU32::new(origin).unwrap();
            let mut numbers = Numbers::new(origin);
            let mut ids: Vec<ConnectionId> = Vec::new();
            for _ in 0..4 {
                // The second slot is used once for each time that the memory is released.
                let [first, second] = [0, 1].map(|value| numbers.insert(value).unwrap());
                numbers.remove(slot_of(first));
                let again = numbers.insert(2).unwrap();
                for id in [first, second, again] {
                    assert!(!ids.contains(&id), "{id}");
                    ids.push(id);
                }
                numbers.remove(slot_of(again));
                numbers.remove(slot_of(second));
                assert_eq!(numbers.entries.capacity(), 0);
            }
        }
    }

    #[test]
    fn d6_hubs_begin_at_generations_that_are_far_apart() {
        let mut origins: Vec<u32> = (0..1000).map(|_| next_origin().get()).collect();
        origins.sort_unstable();
        let closest = origins.windows(2).map(|pair| pair[1] - pair[0]).min().unwrap();
        // Other tests create hubs as well.
        assert!(closest > 100_000, "{closest}");
    }
}
