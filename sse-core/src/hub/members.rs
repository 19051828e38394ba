//! The members of a channel, and the progress of a sweep over them.

use alloc::vec::Vec;
use core::num::NonZeroU32;

use super::arena::ConnectionSlot;

/// The number under which a channel finds one of its members, counted from one. It is never zero, which saves
/// [`Subscriptions`](super::subscription::Subscriptions) a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MemberNumber(NonZeroU32);

impl MemberNumber {
    pub(crate) fn new(number: NonZeroU32) -> MemberNumber {
        MemberNumber(number)
    }

    /// Returns the number, which is less than 2³¹.
    pub(crate) fn get(self) -> NonZeroU32 {
        self.0
    }
}

/// A member whose number has changed, and its new number.
pub(crate) type Renumbered = (ConnectionSlot, MemberNumber);

/// The connections that follow a channel, in the order in which they joined, and how far a sweep over them has come.
#[derive(Default)]
pub(crate) struct Members {
    connections: Vec<ConnectionSlot>,
    /// Members below this index were visited by the current sweep.
    visited: usize,
    /// Whether the channel waits for a sweep or is in one.
    is_swept: bool,
    /// Whether an event was published during the sweep: another pass has to follow (D7).
    needs_another_pass: bool,
}

impl Members {
    pub(crate) fn len(&self) -> usize {
        self.connections.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.connections.is_empty()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = ConnectionSlot> + '_ {
        self.connections.iter().copied()
    }

    /// Adds a connection and returns its number; `None` beyond two billion members.
    pub(crate) fn join(&mut self, connection: ConnectionSlot) -> Option<MemberNumber> {
        let number = u32::try_from(self.connections.len()).ok()?.checked_add(1)?;
        i32::try_from(number).ok()?;
        self.connections.push(connection);
        NonZeroU32::new(number).map(MemberNumber)
    }

    /// Removes a member. Up to two others change their numbers; they are returned with the new ones.
    ///
    /// A sweep in progress still visits every member once: the hole is filled with the last visited member, and the hole
    /// that this leaves with the last member of all.
    pub(crate) fn leave(&mut self, number: MemberNumber) -> [Option<Renumbered>; 2] {
        let mut hole = (number.0.get() as usize).saturating_sub(1);
        let mut moved = [None, None];
        if hole >= self.connections.len() {
            return moved;
        }
        if hole < self.visited {
            self.visited = self.visited.saturating_sub(1);
            if hole != self.visited {
                self.connections.swap(hole, self.visited);
                moved[0] = self.numbered(hole);
                hole = self.visited;
            }
        }
        self.connections.swap_remove(hole);
        moved[1] = self.numbered(hole);
        if self.connections.is_empty() {
            self.connections = Vec::new();
        }
        moved
    }

    /// Requests a sweep. Returns true when the channel has to be queued for it.
    pub(crate) fn request_sweep(&mut self) -> bool {
        if self.is_swept {
            self.needs_another_pass = true;
            return false;
        }
        self.is_swept = true;
        self.visited = 0;
        true
    }

    /// Returns the next member to visit, or `None` when every member was visited.
    #[inline]
    pub(crate) fn visit(&mut self) -> Option<ConnectionSlot> {
        let member = self.connections.get(self.visited).copied()?;
        self.visited = self.visited.saturating_add(1);
        Some(member)
    }

    /// Ends a pass. Returns true when the channel has to be queued for another one.
    pub(crate) fn finish_pass(&mut self) -> bool {
        self.visited = 0;
        self.is_swept = core::mem::take(&mut self.needs_another_pass);
        self.is_swept
    }

    fn numbered(&self, index: usize) -> Option<Renumbered> {
        let number = u32::try_from(index).ok()?.checked_add(1)?;
        Some((*self.connections.get(index)?, MemberNumber(NonZeroU32::new(number)?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slots<const N: usize>(indexes: [u32; N]) -> [ConnectionSlot; N] {
        indexes.map(ConnectionSlot::new)
    }

    fn sweep_rest(members: &mut Members) -> Vec<u32> {
        core::iter::from_fn(|| members.visit()).map(ConnectionSlot::get).collect()
    }

    #[test]
    fn d7_a_sweep_misses_no_member_that_stays() {
        for leaver in 0..6_u32 {
            for visited in 0..=6 {
                let mut members = Members::default();
                let numbers: Vec<_> =
                    (0..6).filter_map(|connection| members.join(ConnectionSlot::new(connection))).collect();
                assert!(members.request_sweep());
                let mut seen: Vec<u32> =
                    (0..visited).filter_map(|_| members.visit()).map(ConnectionSlot::get).collect();
                members.leave(numbers[leaver as usize]);
                seen.extend(sweep_rest(&mut members));
                seen.sort_unstable();
                seen.dedup();
                let expected: Vec<u32> = (0..6).filter(|c| *c != leaver || *c < visited).collect();
                assert_eq!(seen, expected, "leaver {leaver}, visited {visited}");
            }
        }
    }

    #[test]
    fn d7_an_event_published_during_a_sweep_causes_another_pass() {
        let mut members = Members::default();
        for slot in slots([7, 8]) {
            members.join(slot);
        }
        assert!(members.request_sweep());
        assert_eq!(members.visit(), Some(ConnectionSlot::new(7)));
        assert!(!members.request_sweep());
        assert_eq!(sweep_rest(&mut members), [8]);
        assert!(members.finish_pass());
        assert_eq!(sweep_rest(&mut members), [7, 8]);
        assert!(!members.finish_pass());
        assert!(members.request_sweep());
    }

    #[test]
    fn members_whose_numbers_change_are_returned() {
        let mut members = Members::default();
        let numbers = slots([10, 11, 12, 13]).map(|connection| members.join(connection).unwrap());
        members.request_sweep();
        members.visit();
        members.visit();
        members.visit();
        let [twelve, thirteen] = slots([12, 13]);
        assert_eq!(members.leave(numbers[0]), [Some((twelve, numbers[0])), Some((thirteen, numbers[2]))]);
        assert_eq!(members.iter().collect::<Vec<_>>(), slots([12, 11, 13]));
    }
}
