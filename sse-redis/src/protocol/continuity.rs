//! Whether a node has read every record of the log.

use sse_core::Position;

use super::record::{Content, Record};

/// How far a node has read the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cursor {
    /// The position of the newest record that was read.
    pub(crate) position: Position,
    /// The count of that record.
    pub(crate) count: u64,
}

/// What a node does with a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// The record follows the one before: it is published.
    Publish,
    /// Records before this one were trimmed: the node reads them from the histories.
    Gap,
    /// The log lost records that were acknowledged.
    Rewound,
    /// The count fell, and no record says that the log was rewound: the node makes one.
    Fallen,
    /// The record was read before.
    Stale,
}

impl Cursor {
    /// Returns what to do with the next record.
    pub(crate) fn check(self, record: &Record) -> Step {
        if record.position <= self.position {
            Step::Stale
        } else if record.content == Content::Rewound {
            Step::Rewound
        } else if Some(record.count) == self.count.checked_add(1) {
            if record.content == Content::Unreadable { Step::Gap } else { Step::Publish }
        } else if record.count > self.count {
            Step::Gap
        } else {
            Step::Fallen
        }
    }

    /// Moves behind a record.
    pub(crate) fn pass(&mut self, record: &Record) {
        *self = Cursor { position: record.position, count: record.count };
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::super::record::Description;
    use super::*;

    fn record(position: u64, count: u64) -> Record {
        let content = Content::Entry { description: Description::default(), frame: Bytes::new() };
        Record { position: Position::new(position), count, content }
    }

    #[test]
    fn a_record_follows_is_missing_or_was_read() {
        let cursor = Cursor { position: Position::new(10), count: 5 };
        for (position, count, step) in [
            (11, 6, Step::Publish),
            (99, 6, Step::Publish),
            (11, 7, Step::Gap),
            (11, 5, Step::Fallen),
            (11, 1, Step::Fallen),
            (10, 6, Step::Stale),
            (9, 4, Step::Stale),
        ] {
            assert_eq!(cursor.check(&record(position, count)), step, "{position} {count}");
        }
        let rewound = |count| Record { content: Content::Rewound, ..record(11, count) };
        assert_eq!(cursor.check(&rewound(6)), Step::Rewound);
        assert_eq!(cursor.check(&rewound(1)), Step::Rewound, "of a new log");
        let unreadable = Record { content: Content::Unreadable, ..record(11, 6) };
        assert_eq!(cursor.check(&unreadable), Step::Gap);
    }

    #[test]
    fn the_cursor_takes_the_count_of_a_record() {
        let mut cursor = Cursor { position: Position::new(10), count: 5 };
        cursor.pass(&record(11, 1));
        assert_eq!(cursor.check(&record(12, 2)), Step::Publish);
    }
}
