//! The pasts of channels, in one round trip.

use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{Pipeline, Value};
use sse_core::Position;

use crate::keys::Keys;
use crate::protocol::floor::{FirstEntry, Floor, HistoryInfo, floor};
use crate::protocol::repair::{ChannelHistory, HistoryEntry};

use super::parse::{self, StreamEntry};
use super::{Link, LogError};

/// The pasts of some channels, and the log at that moment.
#[derive(Debug)]
pub(crate) struct ChannelPast {
    /// The newest position of the log; `None` if there is no log.
    pub(crate) last: Option<Position>,
    pub(crate) count: u64,
    /// The histories, in the order of the names; `None` where the key of a channel is not a stream.
    pub(crate) histories: Vec<Option<ChannelHistory>>,
}

/// Reads the pasts of channels, each with the time for which its history is kept. Entries at or below `after` are left out.
pub(crate) async fn read_pasts(
    connection: &mut MultiplexedConnection,
    keys: &Keys,
    channels: &[(&str, Option<Duration>)],
    after: Position,
) -> Result<ChannelPast, LogError> {
    let mut pipeline = Pipeline::with_capacity(channels.len().saturating_mul(2).saturating_add(2));
    pipeline.atomic().ignore_errors();
    pipeline.cmd("HMGET").arg(keys.meta()).arg(&["last", "k", "born"]).cmd("TIME");
    // The oldest entry is read by XINFO, so a range above the cursor is enough.
    let start = after.get().checked_add(1).map_or_else(|| "+".to_owned(), |first| format!("{first}-0"));
    for (name, _) in channels {
        let key = keys.history(name);
        pipeline.cmd("XINFO").arg("STREAM").arg(&key).cmd("XRANGE").arg(&key).arg(&start).arg("+");
    }
    let replies = Link::transaction(connection, &pipeline).await?;
    let [meta, time, histories @ ..] = &*replies else { return Err(LogError::Reply("a past")) };
    let state = Meta::read(meta).ok_or(LogError::Reply("HMGET"))?;
    let time = self::time(time).ok_or(LogError::Reply("TIME"))?;
    let now = time.max(state.last.unwrap_or_default());
    let read = |(pair, (_, keep_for)): (&[Value], &(&str, Option<Duration>))| match pair {
        [info, range] => history(info, range, state.born, now, *keep_for),
        _ => None,
    };
    let histories = histories.chunks_exact(2).zip(channels).map(read).collect();
    Ok(ChannelPast { last: state.last, count: state.count, histories })
}

struct Meta {
    last: Option<Position>,
    count: u64,
    born: Position,
}

impl Meta {
    fn read(value: &Value) -> Option<Meta> {
        let [last, count, born] = parse::array(value)? else { return None };
        Some(Meta {
            last: parse::number(last).map(Position::new),
            count: parse::number(count).unwrap_or(0),
            born: Position::new(parse::number(born).unwrap_or(0)),
        })
    }
}

/// Reads the time of Redis, in microseconds.
fn time(value: &Value) -> Option<Position> {
    let [seconds, micros] = parse::array(value)? else { return None };
    let seconds = parse::number(seconds)?.checked_mul(1_000_000)?;
    seconds.checked_add(parse::number(micros)?).map(Position::new)
}

fn history(
    info: &Value,
    range: &Value,
    born: Position,
    now: Position,
    keep_for: Option<Duration>,
) -> Option<ChannelHistory> {
    let entries: Vec<HistoryEntry> = match range {
        Value::ServerError(_) => return None,
        range => parse::array(range)?.iter().filter_map(entry).collect(),
    };
    let info = match info {
        // There is no history.
        Value::ServerError(_) => HistoryInfo::default(),
        info => history_info(info)?,
    };
    let floor: Floor = floor(info, born, now, keep_for);
    // The entry at the floor is stored for its position.
    let entries =
        entries.into_iter().filter(|entry| entry.position > floor.position || entry.frame.is_empty());
    Some(ChannelHistory { floor, entries: entries.collect() })
}

fn entry(value: &Value) -> Option<HistoryEntry> {
    let entry = StreamEntry::read(value)?;
    Some(HistoryEntry { position: entry.position, frame: entry.data("d")? })
}

/// Reads the pairs of `XINFO STREAM`.
fn history_info(value: &Value) -> Option<HistoryInfo> {
    let (mut length, mut added, mut first) = (0, 0, None);
    for pair in parse::array(value)?.chunks_exact(2) {
        let [name, value] = pair else { continue };
        match parse::bytes(name)? {
            b"length" => length = parse::number(value)?,
            b"entries-added" => added = parse::number(value)?,
            b"first-entry" => first = StreamEntry::read(value),
            _ => {}
        }
    }
    let first = first.map(|entry| FirstEntry {
        position: entry.position,
        is_close_marker: entry.data("d").is_some_and(|frame| frame.is_empty()),
    });
    Some(HistoryInfo { first, is_trimmed: added > length })
}
