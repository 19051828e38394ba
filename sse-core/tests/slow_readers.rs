//! Slow readers: S1. S2 is in direct_sends.rs, S3 in frames_in_progress.rs.
mod common;
use std::num::NonZeroUsize;

use bytes::Buf;
use common::{World, history_of};
use sse_core::{
    Action, BacklogConfig, ChannelConfig, ChannelId, CloseReason, Event, LagPolicy, Position, Resume,
    StartFrom,
};

fn open_channel(w: &mut World, name: &str, backlog: usize, history: usize, on_lag: LagPolicy) -> ChannelId {
    let backlog = BacklogConfig { frames: NonZeroUsize::new(backlog).unwrap(), ..Default::default() };
    w.open_with(name, ChannelConfig { backlog, history: history_of(history), on_lag, ..Default::default() })
}

fn publish_live_only(w: &mut World, channel: ChannelId, data: &str) {
    w.publish_event(channel, Event::new().data(data).live_only());
}

#[test]
fn s1_a_frame_is_kept_until_the_last_reader_took_it() {
    let mut w = World::new();
    let a = open_channel(&mut w, "a", 10, 0, LagPolicy::Close);
    let (quick, slow) = (w.follow(a), w.follow(a));
    w.publish_numbers(a, 1..=3);
    assert_eq!(w.data(quick), ["1", "2", "3"]);
    assert_eq!(w.backlog(a), (2, 3));
    w.take_frame(slow);
    assert_eq!(w.backlog(a), (2, 2));
    assert_eq!(w.data(slow), ["2", "3"]);
    assert_eq!(w.backlog(a), (2, 0));
    assert_eq!(w.hub.channel_stats(a).unwrap().backlog_bytes, 0);
}

#[test]
fn s1_frames_that_only_a_leaving_reader_waits_for_are_released() {
    let mut w = World::new();
    let a = w.open("a");
    let (one, two) = (w.follow(a), w.follow(a));
    w.publish_numbers(a, 1..=2);
    w.data(one);
    w.publish_numbers(a, 3..=3);
    w.hub.disconnect(w.now, two);
    assert_eq!(w.backlog(a), (1, 1));
    w.hub.unsubscribe(w.now, a, one);
    assert_eq!(w.backlog(a), (0, 0));
}

#[test]
fn s1_without_a_reader_that_is_behind_the_backlog_is_empty() {
    let mut w = World::new();
    let a = w.open("a");
    w.publish_numbers(a, 1..=3);
    assert_eq!(w.backlog(a), (0, 0));
    let c = w.reconnect("e-0");
    w.subscribe(a, c);
    assert_eq!(w.backlog(a), (1, 0), "a replay is read from history");
}

#[test]
fn s1_a_reader_that_falls_out_of_the_backlog_continues_from_history_if_it_covers_the_gap() {
    let mut w = World::new();
    let a = open_channel(&mut w, "a", 1, 500, LagPolicy::Close);
    let c = w.follow(a);
    w.publish_numbers(a, 1..=6);
    assert_eq!(w.backlog(a), (1, 1));
    assert_eq!(w.data(c), ["1", "2", "3", "4", "5", "6"]);
    assert_eq!((w.hub.stats().lagged, w.hub.stats().replayed), (0, 5));
    w.publish_numbers(a, 7..=8);
    assert_eq!(w.data(c), ["7", "8"]);
    assert_eq!(w.backlog(a), (1, 0));
    assert_eq!(w.actions(), []);
}

#[test]
fn s1_a_reader_that_falls_out_twice_loses_nothing() {
    let mut w = World::new();
    let a = open_channel(&mut w, "a", 2, 500, LagPolicy::Close);
    let c = w.follow(a);
    w.publish_numbers(a, 1..=6);
    assert_eq!(w.take_frame(c), "id: e-1\ndata: 1\n\n");
    w.publish_numbers(a, 7..=12);
    let expected: Vec<String> = (2..=12).map(|n| n.to_string()).collect();
    assert_eq!(w.data(c), expected);
    assert_eq!(w.backlog(a), (1, 0));
}

#[test]
fn s1_live_only_events_removed_from_the_backlog_are_lost_and_counted() {
    let mut w = World::new();
    let a = open_channel(&mut w, "a", 1, 500, LagPolicy::Close);
    let c = w.follow(a);
    publish_live_only(&mut w, a, "lost");
    w.publish(a, "1");
    publish_live_only(&mut w, a, "lost too");
    w.publish(a, "2");
    publish_live_only(&mut w, a, "kept");
    assert_eq!(w.data(c), ["1", "2", "kept"]);
    assert_eq!((w.hub.stats().live_only_lost, w.hub.stats().lagged), (2, 0));
    assert_eq!(w.close_reasons(), []);
}

#[test]
fn s1_the_backlog_is_bounded_by_bytes_except_for_its_newest_frame() {
    let mut w = World::new();
    let backlog = BacklogConfig { bytes: 40, ..Default::default() };
    let a = w.open_with("a", ChannelConfig { backlog, ..Default::default() });
    let c = w.follow(a);
    w.publish_numbers(a, 1..=3);
    assert_eq!(w.hub.channel_stats(a).unwrap().backlog_bytes, 34, "two frames of 17 bytes");
    let long = "x".repeat(100);
    w.publish(a, &long);
    assert_eq!(w.backlog(a), (1, 1));
    assert_eq!(w.data(c), ["1", "2", "3", &long]);
}

#[test]
fn s1_by_default_a_backlog_keeps_16384_frames() {
    let mut w = World::new();
    let a = w.open("a");
    w.follow(a);
    w.publish_numbers(a, 1..=16_385);
    assert_eq!(w.backlog(a), (1, 16_384));
}

#[test]
fn s1_by_default_a_backlog_keeps_8_mib() {
    for (last, frames) in [("", 9), ("x", 8)] {
        let mut w = World::new();
        let a = w.open("a");
        w.follow(a);
        // Sixteen bytes of each frame are no data. The first eight frames leave room for an event without data.
        for data in [(1 << 20) - 32].into_iter().chain([(1 << 20) - 16; 7]) {
            w.publish(a, &"x".repeat(data));
        }
        w.publish(a, last);
        assert_eq!(w.backlog(a), (1, frames));
        assert_eq!(w.hub.channel_stats(a).unwrap().backlog_bytes == 8 << 20, frames == 9);
    }
}

#[test]
fn s1_a_lagged_reader_is_closed_and_can_resume() {
    let mut w = World::new();
    let a = open_channel(&mut w, "a", 2, 2, LagPolicy::Close);
    let c = w.follow(a);
    w.publish_numbers(a, 1..=5);
    assert_eq!(w.actions(), [Action::Transmit(c)], "publishing does not detect the loss");
    assert_eq!(w.take(c), "");
    assert_eq!(w.close_reasons(), [(c, CloseReason::Lagged)]);
    assert_eq!((w.hub.stats().lagged, w.backlog(a)), (1, (0, 0)));
    let back = w.reconnect("e-0");
    assert_eq!(w.subscribe(a, back), Resume::Gap { lost_through: Position::new(3), events: 2 });
    assert_eq!(w.data(back), ["reset e-3", "4", "5"]);
}

#[test]
fn s1_a_lagged_reader_can_skip_the_loss_with_a_reset() {
    let mut w = World::new();
    let a = open_channel(&mut w, "a", 2, 3, LagPolicy::Skip);
    let c = w.follow(a);
    w.publish_numbers(a, 1..=6);
    assert_eq!(w.actions(), [Action::Transmit(c)]);
    let expected = "id: e-3\nevent: reset\ndata: \n\nid: e-4\ndata: 4\n\n";
    assert_eq!(w.take(c), format!("{expected}id: e-5\ndata: 5\n\nid: e-6\ndata: 6\n\n"));
    let lost_through = Position::new(3);
    assert_eq!(w.actions(), [Action::Lagged { connection: c, channel: a, lost_through }]);
    assert_eq!((w.hub.stats().lagged, w.backlog(a)), (1, (1, 0)));
}

#[test]
fn s1_the_reset_of_one_channel_keeps_its_place_in_the_order_of_all() {
    let mut w = World::new();
    let (a, b) = (w.open("a"), open_channel(&mut w, "b", 1, 1, LagPolicy::Skip));
    let c = w.follow(a);
    w.subscribe(b, c);
    for n in 1..=8 {
        w.publish(if n % 2 == 1 { a } else { b }, &n.to_string());
    }
    assert_eq!(w.data(c), ["1", "3", "5", "reset e-6", "7", "8"]);
}

#[test]
fn s1_a_reader_closed_as_lagged_receives_nothing_beyond_the_loss() {
    let mut w = World::new();
    let (a, b) = (w.open("a"), open_channel(&mut w, "b", 1, 1, LagPolicy::Close));
    let c = w.follow(a);
    w.subscribe(b, c);
    w.publish(a, "1");
    assert_eq!(w.take_bytes(c, 5), "id: e");
    w.publish_numbers(b, 2..=4);
    w.publish(a, "5");
    assert_eq!(w.take(c), "-1\ndata: 1\n\n", "only the frame in progress");
    assert_eq!(w.close_reasons(), [(c, CloseReason::Lagged)]);
}

#[test]
fn s1_a_frame_shown_in_a_window_can_be_lost_before_the_next_window() {
    let mut w = World::new();
    let a = open_channel(&mut w, "a", 1, 2, LagPolicy::Skip);
    let c = w.follow(a);
    w.publish_numbers(a, 1..=2);
    assert!(w.pending_bytes(c) > 0);
    w.publish_numbers(a, 3..=4);
    assert_eq!(w.data(c), ["reset e-1", "2", "3", "4"], "the second event is retained");
}

#[test]
fn s1_a_slow_reader_neither_delays_others_nor_exceeds_the_bound() {
    let mut w = World::new();
    let a = open_channel(&mut w, "a", 4, 0, LagPolicy::Close);
    let (_slow, quick) = (w.follow(a), w.follow(a));
    for n in 1..=1_000 {
        w.publish(a, &n.to_string());
        assert_eq!(w.data(quick), [n.to_string()]);
        assert!(w.backlog(a).1 <= 4);
    }
}

#[test]
fn s1_a_loss_beyond_the_end_of_a_closing_connection_does_not_count() {
    for on_lag in [LagPolicy::Close, LagPolicy::Skip] {
        let mut w = World::new();
        let (a, b) = (open_channel(&mut w, "a", 1, 1, on_lag), w.open("b"));
        let c = w.follow(a);
        w.subscribe(b, c);
        w.publish_numbers(a, 1..=1);
        w.publish_numbers(b, 2..=2);
        assert_eq!(w.take_frame(c), "id: e-1\ndata: 1\n\n");
        w.hub.close_connection(w.now, c);
        w.publish_numbers(a, 3..=9);
        assert_eq!(w.data(c), ["2"], "{on_lag:?}");
        assert_eq!(w.actions(), [Action::Close { connection: c, reason: CloseReason::Requested }]);
    }
}

#[test]
fn s1_a_loss_behind_the_last_frame_of_a_closing_connection_does_not_count() {
    for on_lag in [LagPolicy::Close, LagPolicy::Skip] {
        let mut w = World::new();
        let a = open_channel(&mut w, "a", 1, 1, on_lag);
        let c = w.follow(a);
        w.publish_numbers(a, 1..=1);
        w.hub.close_connection(w.now, c);
        w.actions();
        w.take_bytes(c, 2);
        w.publish_numbers(a, 2..=9);
        assert_eq!(w.take(c), ": e-1\ndata: 1\n\n");
        assert_eq!(w.actions(), [Action::Close { connection: c, reason: CloseReason::Requested }]);
    }
}

#[test]
fn s1_a_closing_connection_ends_when_its_last_pending_frame_is_removed() {
    let mut w = World::new();
    let a = open_channel(&mut w, "a", 1, 0, LagPolicy::Close);
    let c = w.follow(a);
    publish_live_only(&mut w, a, "1");
    w.actions();
    w.hub.close_connection(w.now, c);
    publish_live_only(&mut w, a, "2");
    assert_eq!(w.take(c), "");
    assert_eq!(w.close_reasons(), [(c, CloseReason::Requested)]);
    assert_eq!(w.backlog(a), (0, 0));
}

#[test]
fn h6_what_a_resuming_reader_is_owed_is_retained_until_it_took_it() {
    let mut w = World::new();
    let a = open_channel(&mut w, "a", 10, 2, LagPolicy::Close);
    w.publish_numbers(a, 1..=3);
    let c = w.reconnect("e-1");
    assert_eq!(w.subscribe(a, c), Resume::Replayed { events: 2 });
    w.publish_numbers(a, 4..=5);
    let retained = |w: &World| w.hub.channel_stats(a).unwrap().retained_frames;
    assert_eq!(retained(&w), 2);
    let new = w.reconnect("e-1");
    assert_eq!(w.subscribe(a, new), Resume::Gap { lost_through: Position::new(3), events: 2 });
    assert_eq!(w.data(c), ["2", "3", "4", "5"]);
    assert_eq!(w.data(new), ["reset e-3", "4", "5"]);
    assert_eq!((w.hub.stats().lagged, retained(&w)), (0, 0));
}

#[test]
fn h6_a_second_subscription_keeps_what_is_retained_for_the_first() {
    let mut w = World::new();
    let (a, b) = (open_channel(&mut w, "a", 10, 2, LagPolicy::Close), w.open("b"));
    w.publish_numbers(a, 1..=2);
    let c = w.reconnect("e-0");
    assert_eq!(w.subscribe(a, c), Resume::Replayed { events: 2 });
    w.publish_numbers(a, 3..=4);
    w.subscribe(b, c);
    assert_eq!(w.data(c), ["1", "2", "3", "4"]);
}

#[test]
fn h6_a_slow_reader_resets_seldom() {
    // 100 seconds: 2,000 events a second, 1,500 of them read, a history of 500; the client comes back after each loss.
    let mut w = World::new();
    let a = open_channel(&mut w, "a", 16_384, 500, LagPolicy::Close);
    let (mut c, mut id) = (w.follow(a), "e-0".to_owned());
    let (mut resets, mut received) = (0, 0);
    for _ in 0..1_000 {
        for _ in 0..200 {
            w.publish(a, "x");
        }
        let mut window = w.hub.transmit(w.now, c);
        let mut taken = Vec::new();
        for _ in 0..150 {
            let frame = window.chunk().len();
            taken.extend_from_slice(&window.copy_to_bytes(frame));
        }
        for message in common::messages(&String::from_utf8(taken).unwrap()) {
            resets += u32::from(message.event == "reset");
            received += u32::from(message.event == "message");
            id = message.id;
        }
        if !w.close_reasons().is_empty() {
            c = w.reconnect(&id);
            w.subscribe(a, c);
        }
    }
    assert!(resets <= 4 && received > 148_000, "{resets} resets, {received} events");
}

#[test]
fn s1_a_retained_event_that_exceeds_the_bounds_is_a_loss() {
    for (on_lag, expected) in [(LagPolicy::Close, &[][..]), (LagPolicy::Skip, &["reset e-2", "3", "4", "5"])]
    {
        let mut w = World::new();
        let a = open_channel(&mut w, "a", 1, 2, on_lag);
        w.publish_numbers(a, 1..=3);
        let c = w.reconnect("e-1");
        assert_eq!(w.subscribe(a, c), Resume::Replayed { events: 2 });
        w.publish_numbers(a, 4..=5);
        assert_eq!(w.data(c), expected, "{on_lag:?}");
        assert_eq!((w.hub.stats().lagged, w.hub.stats().gaps), (1, 0));
    }
}

#[test]
fn h10_what_left_history_before_a_subscription_is_no_loss() {
    for start in [StartFrom::All, StartFrom::Last(9), StartFrom::Live] {
        let mut w = World::new();
        let backlog = BacklogConfig { frames: NonZeroUsize::MIN, ..Default::default() };
        let history = history_of(1);
        let a = w.open_with("a", ChannelConfig { backlog, history, start, ..Default::default() });
        w.publish_numbers(a, 1..=3);
        let c = w.follow(a);
        w.publish(a, "4");
        assert_eq!(w.data(c).last().unwrap(), "4", "{start:?}");
        assert!(w.hub.unsubscribe(w.now, a, c));
        w.publish_numbers(a, 5..=9);
        w.subscribe(a, c);
        w.publish(a, "10");
        assert_eq!(w.data(c), ["10"], "{start:?}");
        assert_eq!(w.hub.stats().lagged, 0, "{start:?}");
    }
}
