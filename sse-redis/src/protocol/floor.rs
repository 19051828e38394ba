//! The floor of a channel, from what Redis knows of its history.

use std::time::Duration;

use sse_core::Position;

/// What Redis knows of the history of a channel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct HistoryInfo {
    /// The oldest entry, if there is one.
    pub(crate) first: Option<FirstEntry>,
    /// Whether entries were removed by the bound on their number.
    pub(crate) is_trimmed: bool,
}

/// The oldest entry of a history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FirstEntry {
    /// The position of the entry.
    pub(crate) position: Position,
    /// Whether the entry marks that the channel was closed.
    pub(crate) is_close_marker: bool,
}

/// The floor of a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Floor {
    /// The newest position of an event that cannot be replayed.
    pub(crate) position: Position,
    /// Whether the channel never had an event that is gone.
    pub(crate) is_complete: bool,
}

/// Returns the floor of a channel whose history is kept for `keep_for` after its last event. `born` is the position after which
/// the log is whole, and `now` the time of Redis.
///
/// - A history that was trimmed, or that begins with the marker of a close, has its floor at its first entry. One entry more
///   than is replayed is stored, so that a client that has the event before the oldest replayed one misses nothing.
/// - Another history is whole back to the time before its first entry for which it would have been kept: an older one had expired
///   by then.
/// - A channel without a history had no event for `keep_for`.
pub(crate) fn floor(info: HistoryInfo, born: Position, now: Position, keep_for: Option<Duration>) -> Floor {
    let before = |position: Position| match keep_for {
        None => Position::ORIGIN,
        Some(keep_for) => {
            let micros = u64::try_from(keep_for.as_micros()).unwrap_or(u64::MAX);
            Position::new(position.get().saturating_sub(micros))
        }
    };
    let (position, is_whole) = match info.first {
        None => (before(now), true),
        Some(first) if info.is_trimmed || first.is_close_marker => (first.position, false),
        Some(first) => (before(first.position), true),
    };
    // The log was rewound after the first event that is left: others of that time may be gone.
    let is_born_before = info.first.is_none_or(|first| first.position > born);
    Floor { position: position.max(born), is_complete: is_whole && is_born_before && keep_for.is_none() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_floor_follows_from_what_is_kept() {
        let at = Position::new;
        let keep = Some(Duration::from_micros(100));
        let entry = |position, is_close_marker| Some(FirstEntry { position: at(position), is_close_marker });
        for (first, is_trimmed, born, keep_for, expected, is_complete) in [
            (None, false, 10, keep, 900, false),
            (None, false, 950, keep, 950, false),
            (None, false, 10, None, 10, true),
            (entry(500, false), false, 10, keep, 400, false),
            (entry(500, false), false, 450, keep, 450, false),
            (entry(500, false), false, 10, None, 10, true),
            (entry(500, false), false, 600, None, 600, false),
            (entry(500, false), true, 10, keep, 500, false),
            (entry(500, false), true, 10, None, 500, false),
            (entry(500, true), false, 10, None, 500, false),
            (entry(500, true), false, 600, keep, 600, false),
        ] {
            let found = floor(HistoryInfo { first, is_trimmed }, at(born), at(1_000), keep_for);
            let expected = Floor { position: at(expected), is_complete };
            assert_eq!(found, expected, "{first:?} {is_trimmed} {born} {keep_for:?}");
        }
    }
}
