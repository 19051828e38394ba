//! Batches of publications, and what becomes of them.

use bytes::Bytes;
use sse_core::{Instant, Position};

use super::record::Description;

/// An event that a node wants to append to the log.
#[derive(Clone, Debug)]
pub(crate) struct Publication {
    /// The description of the event. Its publisher and number are set when the batch is formed.
    pub(crate) description: Description,
    /// The frame without the id of the hub; empty to close the channels.
    pub(crate) frame: Bytes,
    /// What the histories of the channels keep, in their order.
    pub(crate) retention: Vec<Retention>,
}

/// What the history of a channel keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Retention {
    /// The number of events that can be replayed; zero if the event is not kept.
    pub(crate) events: usize,
    /// The time after the last event for which they are kept, in seconds; zero for ever.
    pub(crate) seconds: u64,
}

/// What became of a publication.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The event is in the log, at this position. `None` if the log no longer knows where.
    Stored(Option<Position>),
    /// The event is certainly not in the log.
    Refused,
    /// The event may be in the log.
    Unconfirmed,
}

/// The reply of the log to a batch, or to a fence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Appended {
    /// The newest position of the log.
    pub(crate) last: Position,
    /// The number of records that the log ever had.
    pub(crate) count: u64,
    /// The position of the first record of the batch; `None` if the log no longer knows it.
    pub(crate) first: Option<Position>,
    /// Whether this call found that the log was rewound.
    pub(crate) is_rewound: bool,
    /// The position of the last rewind.
    pub(crate) born: Position,
}

/// A publication with its deadline, and the token by which its outcome is reported.
#[derive(Debug)]
pub(crate) struct Item<T> {
    /// The publication.
    pub(crate) publication: Publication,
    /// The instant after which nobody waits for the outcome.
    pub(crate) deadline: Instant,
    /// The token.
    pub(crate) token: T,
}

/// Publications that are appended together: either all are in the log or none is.
#[derive(Debug)]
pub(crate) struct Batch<T> {
    first_number: u64,
    publications: Vec<Publication>,
    /// Who waits for an outcome: until the deadline, by the index of the publication.
    waiting: Vec<(usize, Instant, T)>,
    /// A former attempt may have stored the batch.
    is_unknown: bool,
}

/// The most publications in a batch.
pub(crate) const MAX_PUBLICATIONS: usize = 1024;

/// The most bytes of frames in a batch, unless one frame alone is larger.
pub(crate) const MAX_BYTES: usize = 1 << 20;

/// Numbers the publications of one process. A number is never used twice, also if its publication was given up: the log takes
/// no number at or below the newest one that it has, so what was given up cannot come later than what follows it.
#[derive(Debug)]
pub(crate) struct Numbers {
    publisher: u64,
    next: u64,
}

impl Numbers {
    /// Creates the numbers of a publisher.
    pub(crate) fn new(publisher: u64) -> Numbers {
        Numbers { publisher, next: 1 }
    }

    /// Creates numbers that go on at one.
    #[cfg(test)]
    pub(crate) fn starting_at(publisher: u64, next: u64) -> Numbers {
        Numbers { publisher, next }
    }

    /// Forms a batch.
    pub(crate) fn batch<T>(&mut self, items: Vec<Item<T>>) -> Batch<T> {
        let first_number = self.next;
        let (mut publications, mut waiting) = (Vec::with_capacity(items.len()), Vec::new());
        for (index, item) in items.into_iter().enumerate() {
            let Item { mut publication, deadline, token } = item;
            (publication.description.publisher, publication.description.number) = (self.publisher, self.next);
            self.next = self.next.saturating_add(1);
            publications.push(publication);
            waiting.push((index, deadline, token));
        }
        Batch { first_number, publications, waiting, is_unknown: false }
    }
}

impl<T> Batch<T> {
    /// Returns the number of the first publication.
    pub(crate) fn first_number(&self) -> u64 {
        self.first_number
    }

    /// Returns the publications.
    pub(crate) fn publications(&self) -> &[Publication] {
        &self.publications
    }

    /// Returns the instant at which the next of those that wait gives up. `None` when nobody waits: the batch is given up.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.waiting.iter().map(|(_, deadline, _)| *deadline).min()
    }

    /// Records that an attempt failed in a way that leaves open whether the batch was stored.
    pub(crate) fn fail(&mut self) {
        self.is_unknown = true;
    }

    /// Gives up waiting for publications whose deadline has passed.
    pub(crate) fn expire(&mut self, now: Instant) -> Vec<(T, Outcome)> {
        let (expired, waiting) =
            std::mem::take(&mut self.waiting).into_iter().partition(|(_, deadline, _)| *deadline <= now);
        self.waiting = waiting;
        let expired: Vec<(usize, Instant, T)> = expired;
        expired.into_iter().map(|(.., token)| (token, self.outcome_of_failure())).collect()
    }

    /// Ends the batch because the log took it, or had it.
    pub(crate) fn acknowledge(self, reply: Appended) -> Vec<(T, Outcome)> {
        let position = |index: usize| {
            let first = reply.first?.get();
            first.checked_add(index as u64).map(Position::new)
        };
        let stored = self.waiting.into_iter();
        stored.map(|(index, _, token)| (token, Outcome::Stored(position(index)))).collect()
    }

    /// Ends the batch because the log refused it. A former attempt may have stored it.
    pub(crate) fn refuse(self) -> Vec<(T, Outcome)> {
        let outcome = self.outcome_of_failure();
        self.waiting.into_iter().map(|(.., token)| (token, outcome)).collect()
    }

    fn outcome_of_failure(&self) -> Outcome {
        if self.is_unknown { Outcome::Unconfirmed } else { Outcome::Refused }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(token: u32, deadline: u64) -> Item<u32> {
        let description = Description { channels: vec!["a".into()], ..Description::default() };
        let publication = Publication { description, frame: Bytes::new(), retention: Vec::new() };
        Item { publication, deadline: Instant::from_millis(deadline), token }
    }

    fn appended(first: Option<u64>) -> Appended {
        let first = first.map(Position::new);
        Appended { last: Position::new(90), count: 9, first, is_rewound: false, born: Position::ORIGIN }
    }

    #[test]
    fn publications_are_numbered_once_and_in_order() {
        let mut numbers = Numbers::new(7);
        let first = numbers.batch(vec![item(1, 9), item(2, 9)]);
        let second = numbers.batch(vec![item(3, 9)]);
        assert_eq!((first.first_number(), second.first_number()), (1, 3));
        let described =
            first.publications().iter().map(|it| (it.description.publisher, it.description.number));
        assert_eq!(described.collect::<Vec<_>>(), [(7, 1), (7, 2)]);
    }

    #[test]
    fn positions_follow_the_first_one() {
        let batch = Numbers::new(7).batch(vec![item(1, 9), item(2, 9)]);
        let stored = |position| Outcome::Stored(Some(Position::new(position)));
        assert_eq!(batch.acknowledge(appended(Some(80))), [(1, stored(80)), (2, stored(81))]);
        let batch = Numbers::new(7).batch(vec![item(1, 9)]);
        assert_eq!(batch.acknowledge(appended(None)), [(1, Outcome::Stored(None))]);
    }

    #[test]
    fn what_was_sent_may_be_stored() {
        let mut batch = Numbers::new(7).batch(vec![item(1, 5), item(2, 9)]);
        assert_eq!(batch.expire(Instant::from_millis(4)), []);
        assert_eq!(batch.next_deadline(), Some(Instant::from_millis(5)));
        assert_eq!(batch.expire(Instant::from_millis(5)), [(1, Outcome::Refused)], "it was never sent");
        batch.fail();
        assert_eq!(batch.refuse(), [(2, Outcome::Unconfirmed)], "the refusal is that of a later attempt");
        let batch = Numbers::new(7).batch(vec![item(3, 5)]);
        assert_eq!(batch.refuse(), [(3, Outcome::Refused)]);
    }

    #[test]
    fn a_batch_for_which_nobody_waits_is_given_up() {
        let mut batch = Numbers::new(7).batch(vec![item(1, 5)]);
        batch.fail();
        assert_eq!(batch.expire(Instant::from_millis(6)), [(1, Outcome::Unconfirmed)]);
        assert_eq!(batch.next_deadline(), None);
    }
}
