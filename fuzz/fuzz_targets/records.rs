//! The protocol of a cluster: descriptions of events are read or refused, and a repair is in order.
#![no_main]

#[path = "../../sse-redis/src/protocol/floor.rs"]
#[allow(dead_code, unused_imports, reason = "a part of the crate")]
mod floor;
#[path = "../../sse-redis/src/protocol/record.rs"]
#[allow(dead_code, reason = "a part of the crate")]
mod record;
#[path = "../../sse-redis/src/protocol/repair.rs"]
#[allow(dead_code, reason = "a part of the crate")]
mod repair;

use bytes::Bytes;
use floor::Floor;
use libfuzzer_sys::fuzz_target;
use repair::{ChannelHistory, HistoryEntry, Repaired, merge};
use sse_core::Position;

fuzz_target!(|input: (&[u8], Vec<(u8, Vec<(u8, bool)>)>, u8, u8)| {
    let (bytes, histories, cursor, last) = input;
    if let Ok(description) = record::Description::decode(bytes) {
        assert_eq!(description.encode(), bytes, "one text for each description");
    }
    let history = |(floor, mut entries): (u8, Vec<(u8, bool)>)| {
        // Histories are in order, and an event of several channels has one frame.
        entries.sort_unstable();
        entries.dedup_by_key(|(position, _)| *position);
        let entry = |(position, closes): (u8, bool)| HistoryEntry {
            position: Position::new(position.into()),
            frame: Bytes::from_static(if closes { b"" } else { b"data: x\n\n" }),
        };
        let floor = Floor { position: Position::new(floor.into()), is_complete: false };
        ChannelHistory { floor, entries: entries.into_iter().map(entry).collect() }
    };
    let (cursor, last) = (Position::new(cursor.into()), Position::new(last.into()));
    let mut former = cursor;
    for step in merge(cursor, last, histories.into_iter().map(history).collect()) {
        let position = match step {
            Repaired::Lost { through, .. } => through,
            Repaired::Event { position, channels, .. } => {
                assert!(!channels.is_empty());
                position
            }
            Repaired::Closed { position, .. } => position,
        };
        assert!(position >= former && position > cursor && position <= last);
        former = position;
    }
});
