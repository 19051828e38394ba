//! The repair of a gap in the log, from the histories of the channels.

use std::collections::BTreeMap;

use bytes::Bytes;
use sse_core::Position;

use super::floor::Floor;

/// The history of a channel.
#[derive(Clone, Debug)]
pub(crate) struct ChannelHistory {
    /// The floor of the channel.
    pub(crate) floor: Floor,
    /// The entries, oldest first.
    pub(crate) entries: Vec<HistoryEntry>,
}

/// An entry of a history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HistoryEntry {
    /// The position of the entry.
    pub(crate) position: Position,
    /// The frame; empty if the channel was closed.
    pub(crate) frame: Bytes,
}

/// What a node does to fill a gap, in order. Channels are numbered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Repaired {
    /// Events of a channel are lost up to a position.
    Lost {
        /// The channel.
        channel: usize,
        /// The position.
        through: Position,
    },
    /// An event was published.
    Event {
        /// The position of the event.
        position: Position,
        /// Its channels.
        channels: Vec<usize>,
        /// Its frame.
        frame: Bytes,
    },
    /// A channel was closed.
    Closed {
        /// The position of the close.
        position: Position,
        /// The channel.
        channel: usize,
    },
}

/// What stands at one position.
#[derive(Default)]
struct Place {
    lost: Vec<usize>,
    event: Option<(Vec<usize>, Bytes)>,
    closed: Vec<usize>,
}

/// Merges the histories of channels between the cursor of a node and `last`, the end of the log when the first of them was read.
/// What stands above that comes by the log.
pub(crate) fn merge(cursor: Position, last: Position, histories: Vec<ChannelHistory>) -> Vec<Repaired> {
    let mut places: BTreeMap<Position, Place> = BTreeMap::new();
    for (channel, history) in histories.into_iter().enumerate() {
        let floor = history.floor.position.min(last);
        if floor > cursor {
            places.entry(floor).or_default().lost.push(channel);
        }
        for entry in history.entries {
            if entry.position <= cursor || entry.position > last {
                continue;
            }
            if entry.frame.is_empty() {
                places.entry(entry.position).or_default().closed.push(channel);
            } else if entry.position > floor {
                let place = places.entry(entry.position).or_default();
                place.event.get_or_insert_with(|| (Vec::new(), entry.frame)).0.push(channel);
            }
        }
    }
    let steps = places.into_iter().flat_map(|(position, place)| {
        let lost = place.lost.into_iter().map(move |channel| Repaired::Lost { channel, through: position });
        let event =
            place.event.map(|(channels, frame)| Repaired::Event { position, channels, frame }).into_iter();
        let closed = place.closed.into_iter().map(move |channel| Repaired::Closed { position, channel });
        event.chain(lost).chain(closed).collect::<Vec<_>>()
    });
    steps.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn history(floor: u64, entries: &[(u64, &'static str)]) -> ChannelHistory {
        let entry = |(position, frame): &(u64, &'static str)| HistoryEntry {
            position: Position::new(*position),
            frame: Bytes::from_static(frame.as_bytes()),
        };
        let floor = Floor { position: Position::new(floor), is_complete: false };
        ChannelHistory { floor, entries: entries.iter().map(entry).collect() }
    }

    fn event(position: u64, channels: &[usize], frame: &'static str) -> Repaired {
        let frame = Bytes::from_static(frame.as_bytes());
        Repaired::Event { position: Position::new(position), channels: channels.to_vec(), frame }
    }

    fn lost(channel: usize, through: u64) -> Repaired {
        Repaired::Lost { channel, through: Position::new(through) }
    }

    fn merged(histories: &[ChannelHistory]) -> Vec<Repaired> {
        merge(Position::new(10), Position::new(50), histories.to_vec())
    }

    #[test]
    fn one_position_is_one_event() {
        let histories = [history(5, &[(8, "x"), (20, "b"), (30, "c")]), history(5, &[(15, "a"), (20, "b")])];
        assert_eq!(merged(&histories), [event(15, &[1], "a"), event(20, &[0, 1], "b"), event(30, &[0], "c")]);
    }

    #[test]
    fn what_is_above_the_end_comes_by_the_log() {
        assert_eq!(merged(&[history(5, &[(50, "a"), (51, "b")])]), [event(50, &[0], "a")]);
        assert_eq!(merged(&[history(60, &[(60, "a"), (61, "b")])]), [lost(0, 50)]);
    }

    #[test]
    fn a_floor_above_the_cursor_is_a_loss() {
        let histories = [history(20, &[(20, "gone"), (30, "a")]), history(10, &[(20, "b")])];
        assert_eq!(merged(&histories), [event(20, &[1], "b"), lost(0, 20), event(30, &[0], "a")]);
    }

    #[test]
    fn a_close_loses_what_was_before_it() {
        let closed = Repaired::Closed { position: Position::new(20), channel: 0 };
        assert_eq!(
            merged(&[history(20, &[(20, ""), (30, "a")])]),
            [lost(0, 20), closed, event(30, &[0], "a")]
        );
        assert_eq!(merged(&[history(5, &[(7, ""), (20, "a")])]), [event(20, &[0], "a")]);
    }
}
