//! One channel: its members and its log.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::num::NonZeroU32;

use crate::config::{ChannelConfig, OnClose};
use crate::hub::logs::Backlog;
use crate::hub::logs::{Entry, History};
use crate::hub::timer_queue::Armed;
use crate::id::Position;
use crate::time::Instant;

pub(crate) struct Channel {
    pub(crate) name: Box<str>,
    pub(crate) config: ChannelConfig,
    pub(crate) history: History,
    pub(crate) backlog: Backlog,
    pub(crate) members: Members,
    /// Where its newest event stands, or where its hub stood when it opened.
    pub(crate) last: Position,
    /// It takes no more events and has no name; it lives until its members took what was published (K3).
    pub(crate) is_closed: bool,
    /// When its last member went, or when it opened (K2).
    pub(crate) empty_since: Instant,
    /// Its place among the hub's timers.
    pub(crate) armed: Armed,
}

impl Channel {
    /// A channel whose hub stands at `opened`; events above `settled` are still to come.
    pub(crate) fn new(
        now: Instant,
        name: &str,
        config: ChannelConfig,
        opened: Position,
        settled: Position,
    ) -> Channel {
        Channel {
            name: Box::from(name),
            history: History::new(config.history.clone(), opened),
            backlog: Backlog::new(config.backlog.clone()),
            members: Members::default(),
            last: settled,
            is_closed: false,
            empty_since: now,
            armed: Armed::default(),
            config,
        }
    }

    /// When this channel has something to do next: close because it is empty (K2), or let go of old events (H1).
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        [self.empty_until(), self.history.next_expiry()].into_iter().flatten().min()
    }

    /// When it closes if nobody comes.
    pub(crate) fn empty_until(&self) -> Option<Instant> {
        if self.is_closed || !self.members.is_empty() {
            return None;
        }
        self.empty_since.checked_add(self.config.empty_timeout?)
    }

    /// Whether its end is that of its members' connections too (K3).
    pub(crate) fn takes_connections(&self) -> bool {
        self.is_closed && self.config.on_close == OnClose::CloseConnections
    }

    /// An event of its log, by the place that [`Subscription::next`](crate::hub::subscription::Subscription::next) named.
    #[inline]
    pub(crate) fn entry(&self, in_history: bool, index: usize) -> Option<&Entry> {
        if in_history { self.history.at(index) } else { self.backlog.at(index) }
    }
}

/// The connections that follow a channel, in the order in which they came, and how far a sweep over them has come.
#[derive(Default)]
pub(crate) struct Members {
    connections: Vec<u32>,
    /// Members below this index were visited by the sweep in progress.
    visited: usize,
    /// Whether the channel waits for a sweep or is in one.
    is_swept: bool,
    /// Something was published during the sweep: it has to begin anew when it is over (D7).
    again: bool,
}

impl Members {
    pub(crate) fn len(&self) -> usize {
        self.connections.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.connections.is_empty()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.connections.iter().copied()
    }

    /// Takes in a connection and says under which number it is found, counted from one; `None` beyond four billion.
    pub(crate) fn join(&mut self, connection: u32) -> Option<NonZeroU32> {
        let number = u32::try_from(self.connections.len()).ok()?.checked_add(1)?;
        self.connections.push(connection);
        NonZeroU32::new(number)
    }

    /// Lets the member of a number go. Up to two others change their number: they are returned with the new one.
    ///
    /// A sweep in progress still visits everybody once: the hole is filled with the last visited member, and the hole
    /// that this leaves with the last member of all.
    pub(crate) fn leave(&mut self, number: NonZeroU32) -> [Option<(u32, NonZeroU32)>; 2] {
        let mut hole = (number.get() as usize).saturating_sub(1);
        let mut moved = [None, None];
        if hole >= self.connections.len() {
            return moved;
        }
        if hole < self.visited {
            self.visited = self.visited.saturating_sub(1);
            if hole != self.visited {
                self.connections.swap(hole, self.visited);
                moved[0] = self.place(hole);
                hole = self.visited;
            }
        }
        self.connections.swap_remove(hole);
        moved[1] = self.place(hole);
        if self.connections.is_empty() {
            self.connections = Vec::new();
        }
        moved
    }

    /// Asks for a sweep; true when the channel has to be put in line for it.
    pub(crate) fn ask_sweep(&mut self) -> bool {
        if self.is_swept {
            self.again = true;
            return false;
        }
        self.is_swept = true;
        self.visited = 0;
        true
    }

    /// The next member to visit; `None` when everybody was visited.
    #[inline]
    pub(crate) fn visit(&mut self) -> Option<u32> {
        let member = self.connections.get(self.visited).copied()?;
        self.visited = self.visited.saturating_add(1);
        Some(member)
    }

    /// Ends a pass; true when the channel has to get in line for another one.
    pub(crate) fn finish_pass(&mut self) -> bool {
        self.visited = 0;
        self.is_swept = core::mem::take(&mut self.again);
        self.is_swept
    }

    fn place(&self, index: usize) -> Option<(u32, NonZeroU32)> {
        let number = u32::try_from(index).ok()?.checked_add(1)?;
        Some((*self.connections.get(index)?, NonZeroU32::new(number)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sweep_rest(members: &mut Members) -> Vec<u32> {
        core::iter::from_fn(|| members.visit()).collect()
    }

    #[test]
    fn d7_a_sweep_misses_nobody_who_stays() {
        for leaver in 0..6_u32 {
            for visited in 0..=6 {
                let mut members = Members::default();
                let numbers: Vec<_> = (0..6).filter_map(|connection| members.join(connection)).collect();
                assert!(members.ask_sweep());
                let mut seen: Vec<u32> = (0..visited).filter_map(|_| members.visit()).collect();
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
    fn d7_what_is_published_during_a_sweep_is_swept_for_again() {
        let mut members = Members::default();
        members.join(7);
        members.join(8);
        assert!(members.ask_sweep());
        assert_eq!(members.visit(), Some(7));
        assert!(!members.ask_sweep());
        assert_eq!(sweep_rest(&mut members), [8]);
        assert!(members.finish_pass());
        assert_eq!(sweep_rest(&mut members), [7, 8]);
        assert!(!members.finish_pass());
        assert!(members.ask_sweep());
    }

    #[test]
    fn members_that_moved_are_told() {
        let mut members = Members::default();
        let numbers = [10, 11, 12, 13].map(|connection| members.join(connection).unwrap());
        members.ask_sweep();
        members.visit();
        members.visit();
        members.visit();
        assert_eq!(members.leave(numbers[0]), [Some((12, numbers[0])), Some((13, numbers[2]))]);
        assert_eq!(members.iter().collect::<Vec<_>>(), [12, 11, 13]);
    }
}
