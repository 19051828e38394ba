//! The end of a run: all links heal, and every page has everything.

use super::page::Membership;
use super::world::World;

/// A page that has healed reconnects at most this often.
const MOST_RECONNECTIONS: usize = 12;

impl World {
    /// All links heal: every page comes back until it has everything.
    pub(crate) fn settle(&mut self) {
        self.log(|| "everything heals".to_owned());
        self.is_healing = true;
        if self.is_external() {
            for number in 0..self.nodes.len() {
                while self.nodes[number].next_event < self.events.len() {
                    self.feed(number);
                }
            }
        }
        for number in 0..self.pages.len() {
            self.receive_bytes(number, usize::MAX);
            self.pages[number].lose_link();
            let mut reconnections = 0;
            while self.pages[number].link.is_none()
                && !self.pages[number].rooms.is_empty()
                && !self.pages[number].is_over
            {
                assert!(reconnections < MOST_RECONNECTIONS, "page {number} reconnects for ever");
                reconnections += 1;
                self.connect(number);
                while let Some(link) = &self.pages[number].link
                    && !link.to_rejoin.is_empty()
                {
                    self.rejoin_next(number);
                }
                while self.take(number, usize::MAX) {}
                self.receive_bytes(number, usize::MAX);
            }
            let newest = self.events.last().map_or(0, |event| event.position);
            self.check_complete(number, newest);
        }
    }

    /// Checks that a page has every event with an id of its rooms.
    pub(super) fn check_complete(&self, number: usize, newest: u64) {
        let page = &self.pages[number];
        for room in page.rooms.values() {
            assert!(
                page.is_over || room.membership == Membership::Inside,
                "page {number} is inside its rooms"
            );
        }
        let missing = self.events.iter().enumerate().filter(|(index, event)| {
            let is_owed = page.rooms.iter().any(|(name, room)| {
                event.is_in(*name, room.generation) && room.base < event.position && event.position <= newest
            });
            is_owed && event.is_replayable && !event.is_by(&page.key) && !page.received.contains(index)
        });
        let missing: Vec<_> = missing.map(|(index, event)| (index, event.position)).collect();
        assert!(missing.is_empty(), "page {number} lacks {missing:?}");
    }
}
