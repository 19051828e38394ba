//! Where the channels of former names ended (H5).

use alloc::collections::VecDeque;

use hashbrown::HashMap;

use crate::id::Position;
use crate::mix::splitmix64;

/// The ends of the channels that were closed last, by their names.
///
/// A name takes its hash only. Two names with the same hash share the later end, which can report a loss that did not
/// happen, and never hides one.
///
/// # Cost
///
/// O(1) amortised. At most 140 KiB.
pub(super) struct EndedNames {
    ends: HashMap<u64, End>,
    /// The names in the order in which they ended, with the number of each end. An entry whose number is not that of the
    /// end in the map is out of date.
    order: VecDeque<(u64, u64)>,
    next_number: u64,
    /// The newest end that was forgotten. It counts for every name that is not known.
    forgotten_through: Position,
}

struct End {
    position: Position,
    number: u64,
}

impl EndedNames {
    /// The number of names that are remembered.
    const MAX: usize = 1024;

    /// Creates the memory of a hub that starts after a position.
    pub(super) fn new(after: Position) -> EndedNames {
        EndedNames { ends: HashMap::new(), order: VecDeque::new(), next_number: 0, forgotten_through: after }
    }

    /// Records where the channel of a name ended.
    pub(super) fn insert(&mut self, name: &str, end: Position) {
        self.insert_hash(hash_of(name), end);
    }

    /// Records where the channel of a name with this hash ended.
    pub(super) fn insert_hash(&mut self, hash: u64, end: Position) {
        self.next_number = self.next_number.saturating_add(1);
        let number = self.next_number;
        let known = self.ends.get(&hash).map_or(end, |known| known.position.max(end));
        self.ends.insert(hash, End { position: known, number });
        self.order.push_back((hash, number));
        while self.ends.len() > EndedNames::MAX
            && let Some((hash, number)) = self.order.pop_front()
        {
            if self.ends.get(&hash).is_some_and(|end| end.number == number)
                && let Some(forgotten) = self.ends.remove(&hash)
            {
                self.forgotten_through = self.forgotten_through.max(forgotten.position);
            }
        }
        if self.order.len() >= EndedNames::MAX.saturating_mul(2) {
            let ends = &self.ends;
            self.order.retain(|(hash, number)| ends.get(hash).is_some_and(|end| end.number == *number));
        }
    }

    /// Returns where the channel of a name ended, as long as that is known.
    pub(super) fn end(&self, name: &str) -> Option<Position> {
        self.ends.get(&hash_of(name)).map(|end| end.position)
    }

    /// Returns the ends with the hashes of their names, oldest first.
    pub(super) fn ends(&self) -> impl Iterator<Item = (u64, Position)> + '_ {
        self.order.iter().filter_map(|(hash, number)| {
            self.ends.get(hash).filter(|end| end.number == *number).map(|end| (*hash, end.position))
        })
    }

    /// Returns the newest end that was forgotten.
    pub(super) fn forgotten_through(&self) -> Position {
        self.forgotten_through
    }

    /// Takes what a former run had forgotten as forgotten.
    pub(super) fn forget_through(&mut self, end: Position) {
        self.forgotten_through = self.forgotten_through.max(end);
    }

    /// Returns the floor of a channel that is opened with a name.
    pub(super) fn floor(&self, name: &str) -> Position {
        if self.ends.is_empty() {
            return self.forgotten_through;
        }
        self.ends.get(&hash_of(name)).map_or(self.forgotten_through, |end| end.position)
    }
}

/// Returns the hash of a name: FNV-1a, mixed. It is the same in every run, since an export has it.
fn hash_of(name: &str) -> u64 {
    let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    splitmix64(hash, name.len() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn h5_what_is_forgotten_counts_for_every_unknown_name() {
        let mut names = EndedNames::new(Position::new(3));
        assert_eq!(names.floor("never used"), Position::new(3));
        for number in 0..=EndedNames::MAX as u64 {
            names.insert(&alloc::format!("{number}"), Position::new(10 + number));
        }
        assert_eq!(names.floor("1024"), Position::new(1034));
        assert_eq!(names.floor("1"), Position::new(11));
        assert_eq!(names.floor("0"), Position::new(10), "forgotten");
        assert_eq!(names.floor("never used"), Position::new(10));
    }

    #[test]
    fn h5_a_name_that_is_used_again_and_again_is_remembered_once() {
        let mut names = EndedNames::new(Position::ORIGIN);
        names.insert("quiet", Position::new(1));
        for number in 2..10_000 {
            names.insert("busy", Position::new(number));
            if number % 2 == 0 {
                assert_eq!(names.floor("busy"), Position::new(number));
            }
        }
        assert!(names.order.len() <= 2 * EndedNames::MAX && names.ends.len() == 2);
        assert_eq!(names.floor("quiet"), Position::new(1));
    }
}
