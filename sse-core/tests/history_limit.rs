//! The limit on the history of a hub, compared with a list of all events (A1).

mod common;

use common::World;
use proptest::prelude::*;
use sse_core::{ChannelConfig, Event, HistoryConfig, HubConfig, Limits};

const LIMIT: usize = 20_000;

/// An event in the list: its channel and what it counts.
type Listed = (usize, usize);

proptest! {
    #[test]
    fn a1_the_newest_events_of_the_hub_are_kept(
        events in prop::collection::vec((0..5_usize, 0..1_500_usize), 1..300),
        closed in prop::option::of(0..5_usize),
    ) {
        let limits = Limits { history_bytes: LIMIT, ..Limits::default() };
        let mut w = World::with(HubConfig { limits, ..HubConfig::default() });
        // The last channel has a bound of its own, whose evictions leave gaps in the order of the hub.
        let bounds = [500, 500, 500, 500, 2];
        let channels: Vec<_> = bounds.iter().enumerate().map(|(number, events)| {
            let history = HistoryConfig { events: *events, ..HistoryConfig::default() };
            w.open_with(&number.to_string(), ChannelConfig { history, ..ChannelConfig::default() })
        }).collect();
        let mut kept: Vec<Listed> = Vec::new();
        for (number, (channel, bytes)) in events.iter().enumerate() {
            if number == 150 && let Some(closed) = closed {
                w.hub.close_channel(w.now, channels[closed]);
                kept.retain(|(channel, _)| *channel != closed);
            }
            let event = Event::new().data("x".repeat(*bytes));
            let Ok(published) = w.hub.publish(w.now, channels[*channel], &event) else { continue };
            if kept.iter().filter(|(of, _)| of == channel).count() == bounds[*channel] {
                let oldest = kept.iter().position(|(of, _)| of == channel).unwrap();
                kept.remove(oldest);
            }
            kept.push((*channel, published.frame.len() + Limits::HISTORY_EVENT_OVERHEAD));
            while total(&kept) > LIMIT {
                kept.remove(0);
            }
            prop_assert_eq!(w.hub.stats().history_bytes, total(&kept));
            for (number, id) in channels.iter().enumerate() {
                let of_channel = kept.iter().filter(|(channel, _)| *channel == number).count();
                let stats = w.hub.channel_stats(*id);
                prop_assert_eq!(stats.map_or(0, |stats| stats.history_events), of_channel);
            }
        }
    }
}

fn total(kept: &[Listed]) -> usize {
    kept.iter().map(|(_, bytes)| bytes).sum()
}
