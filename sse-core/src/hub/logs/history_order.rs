//! The order of all events in the histories of a hub, for the limit on their bytes (A1).

use alloc::collections::{BinaryHeap, VecDeque};
use core::cmp::Reverse;

use crate::config::Limits;
use crate::id::{ChannelId, Position};

use super::history::History;

/// The events in the histories of all channels, oldest first, and what they count towards the limit.
///
/// An event that a channel evicted for another reason stays in the queue until it comes to the front, or until more than half
/// of the queue consists of such events.
///
/// # Cost
///
/// Each call is O(1) amortised, apart from the removal of a channel. An event of a past is O(log n).
#[derive(Default)]
pub(crate) struct HistoryOrder {
    queue: VecDeque<(Position, ChannelId)>,
    /// The events with which channels were opened: they are in no order with those of the queue.
    pasts: BinaryHeap<Reverse<(Position, ChannelId)>>,
    /// The events that the histories hold.
    events: usize,
    /// The bytes of their frames.
    bytes: usize,
}

/// The events and bytes of one history, before it is changed.
#[derive(Clone, Copy)]
pub(crate) struct HistorySize {
    events: usize,
    bytes: usize,
}

impl HistorySize {
    pub(crate) fn of(history: &History) -> HistorySize {
        HistorySize { events: history.len(), bytes: history.bytes() }
    }
}

impl HistoryOrder {
    /// Returns what all events count towards the limit, in bytes.
    pub(crate) fn total(&self) -> usize {
        self.bytes.saturating_add(self.events.saturating_mul(Limits::HISTORY_EVENT_OVERHEAD))
    }

    /// Records that a history has changed.
    #[inline]
    pub(crate) fn changed(&mut self, before: HistorySize, history: &History) {
        self.removed(before);
        self.events = self.events.saturating_add(history.len());
        self.bytes = self.bytes.saturating_add(history.bytes());
    }

    /// Records that a history was removed.
    pub(crate) fn removed(&mut self, before: HistorySize) {
        self.events = self.events.saturating_sub(before.events);
        self.bytes = self.bytes.saturating_sub(before.bytes);
    }

    /// Appends the newest event of a channel. Positions never decrease.
    #[inline]
    pub(crate) fn push(&mut self, position: Position, channel: ChannelId, history: &History) {
        self.queue.push_back((position, channel));
        // A channel that is published to often evicts the events at the front itself.
        while let Some((oldest, of)) = self.queue.front()
            && *of == channel
            && !history.keeps(*oldest)
        {
            self.queue.pop_front();
        }
    }

    /// Adds an event of the past of a channel.
    pub(crate) fn push_past(&mut self, position: Position, channel: ChannelId) {
        self.pasts.push(Reverse((position, channel)));
    }

    /// Takes the oldest event. It may be gone from the history of its channel.
    pub(crate) fn pop(&mut self) -> Option<(Position, ChannelId)> {
        let past = self.pasts.peek().map(|Reverse(oldest)| *oldest);
        match (past, self.queue.front().copied()) {
            (Some(past), queued) if queued.is_none_or(|queued| past <= queued) => {
                self.pasts.pop().map(|Reverse(oldest)| oldest)
            }
            _ => self.queue.pop_front(),
        }
    }

    /// Returns whether the total is within the limit, and the queue is as small as it has to be.
    #[inline]
    pub(crate) fn is_within(&self, limit: usize) -> bool {
        self.total() <= limit && self.len() <= self.longest_queue()
    }

    /// Removes events that are gone, as `is_kept` finds, if they are more than half of the queue.
    pub(crate) fn remove_gone(&mut self, is_kept: impl Fn(Position, ChannelId) -> bool) {
        let longest = self.longest_queue();
        if self.len() > longest {
            self.queue.retain(|(position, channel)| is_kept(*position, *channel));
            self.pasts.retain(|Reverse((position, channel))| is_kept(*position, *channel));
        }
        if self.pasts.is_empty() {
            self.pasts = BinaryHeap::new();
        }
        if self.queue.capacity() > longest.saturating_mul(2).saturating_add(KEPT_CAPACITY) {
            self.queue.shrink_to(longest);
        }
    }

    /// Returns the number of events in the queue and in the pasts, also of those that are gone.
    #[inline]
    fn len(&self) -> usize {
        self.queue.len().saturating_add(self.pasts.len())
    }

    fn longest_queue(&self) -> usize {
        self.events.saturating_mul(2).saturating_add(KEPT_GONE)
    }
}

/// The number of events that are gone for which the queue is not searched.
const KEPT_GONE: usize = 64;

/// The capacity of the queue that is never given back, so that a few events more or less do not allocate.
const KEPT_CAPACITY: usize = 64;

#[cfg(test)]
mod tests {
    use core::num::NonZeroU32;

    use super::*;
    use crate::config::{BacklogConfig, HistoryConfig};
    use crate::hub::logs::LogEntry;
    use crate::id::ArenaKey;
    use crate::time::Instant;
    use crate::wire::Frame;

    #[test]
    fn a1_the_queue_is_bounded_by_the_events_that_are_kept() {
        let [silent, busy] = [0, 1].map(|index| ChannelId::new(index, NonZeroU32::MIN));
        let history = || {
            let limits = HistoryConfig { events: 3, ..HistoryConfig::default() };
            History::new(limits, BacklogConfig::default(), Position::ORIGIN)
        };
        let mut histories = [history(), history()];
        let mut order = HistoryOrder::default();
        let frame = Frame::parse("id: x\ndata: 1\n\n").unwrap();
        for number in 1..=10_000 {
            let channel = if number == 1 { silent } else { busy };
            let (position, published_at) = (Position::new(number), Instant::ORIGIN);
            let entry = LogEntry { position, published_at, except: None, frame: frame.clone() };
            let history = &mut histories[channel.index()];
            let before = HistorySize::of(history);
            history.push(&entry, None);
            order.changed(before, history);
            order.push(position, channel, history);
            order.remove_gone(|position, channel| histories[channel.index()].keeps(position));
            assert!(order.events <= 4 && order.queue.len() <= 8 + KEPT_GONE);
            assert!(order.queue.capacity() < 512);
        }
        assert_eq!(order.pop(), Some((Position::new(1), silent)));
    }
}
