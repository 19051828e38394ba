//! Slow readers: S1 and S2. S3 is in frames_in_progress.rs.
mod common;
use std::num::NonZeroUsize;

use common::{World, data_frame, history_of, without_position};
use sse_core::{
    Action, BacklogConfig, ChannelConfig, ChannelId, CloseReason, ConnectionConfig, Event, HubConfig,
    LagPolicy, Limits, Position, Resume, SendError,
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
    assert_eq!(w.data(c), ["reset e-2", "3", "4"]);
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
fn s2_direct_sends_are_bounded_by_frames() {
    let mut w = World::new();
    let c = w.connect_with(without_position());
    let smallest = Event::new().encode().unwrap();
    for _ in 0..4_096 {
        w.hub.send(w.now, c, &smallest).unwrap();
    }
    let full = Err(SendError::TooManyFrames { limit: 4_096 });
    assert_eq!(w.hub.send(w.now, c, &smallest), full);
    w.take_bytes(c, 1);
    assert_eq!(w.hub.send(w.now, c, &smallest), Ok(()));
}

#[test]
fn s2_by_default_direct_sends_have_at_most_1_mib() {
    let mut w = World::new();
    let c = w.connect();
    w.send(c, &"x".repeat((1 << 20) - 8));
    let full = SendError::Full { queued: 1 << 20, limit: 1 << 20 };
    assert_eq!(w.hub.send(w.now, c, &data_frame("")), Err(full));
}

#[test]
#[cfg(target_pointer_width = "64")]
fn s2_the_bound_on_direct_bytes_is_at_most_4_gib() {
    let limits = Limits { event_bytes: usize::MAX, ..Limits::default() };
    let mut w = World::with(HubConfig { limits, ..HubConfig::default() });
    let c = w.connect_with(ConnectionConfig { direct_bytes: usize::MAX, ..without_position() });
    // All sends share the bytes of one frame.
    let frame = data_frame(&"x".repeat((2 << 20) - 8));
    for _ in 0..2_047 {
        w.hub.send(w.now, c, &frame).unwrap();
    }
    let full = SendError::Full { queued: 2_047 << 21, limit: (4 << 30) - 1 };
    assert_eq!(w.hub.send(w.now, c, &frame), Err(full));
}

#[test]
fn s2_resets_count_as_frames() {
    let mut w = World::new();
    let a = w.open_with_history("a", 1);
    w.publish_numbers(a, 1..=3);
    let c = w.reconnect("e-0");
    w.subscribe(a, c);
    let smallest = Event::new().encode().unwrap();
    for _ in 0..4_095 {
        w.hub.send(w.now, c, &smallest).unwrap();
    }
    assert_eq!(w.hub.send(w.now, c, &smallest), Err(SendError::TooManyFrames { limit: 4_096 }));
}

#[test]
fn s2_direct_sends_are_bounded_by_bytes() {
    let mut w = World::new();
    let c = w.connect_with(ConnectionConfig { direct_bytes: 30, ..without_position() });
    let frame = data_frame("12345");
    assert_eq!(frame.len(), 13);
    w.send(c, "12345");
    w.send(c, "12345");
    let full = SendError::Full { queued: 26, limit: 30 };
    assert_eq!(w.hub.send(w.now, c, &frame), Err(full));
    assert_eq!(full.to_string(), "26 bytes are pending for the connection, the limit is 30");
    assert_eq!(w.take(c), "data: 12345\n\n".repeat(2), "exactly the accepted frames");
    assert!(w.hub.send(w.now, c, &frame).is_ok());
}

#[test]
fn s2_a_direct_frame_in_progress_no_longer_counts() {
    let mut w = World::new();
    let c = w.connect_with(ConnectionConfig { direct_bytes: 13, ..without_position() });
    w.send(c, "12345");
    assert_eq!(w.take_bytes(c, 1), "d");
    w.send(c, "67890");
    assert_eq!(w.take(c), "ata: 12345\n\ndata: 67890\n\n");
}

#[test]
fn s2_each_direct_frame_that_is_taken_makes_room_for_another() {
    let mut w = World::new();
    let c = w.connect_with(ConnectionConfig { direct_bytes: 26, ..without_position() });
    w.send(c, "12345");
    w.send(c, "67890");
    assert_eq!(w.take_frame(c), "data: 12345\n\n");
    w.send(c, "abcde");
    let full = SendError::Full { queued: 26, limit: 26 };
    assert_eq!(w.hub.send(w.now, c, &data_frame("")), Err(full));
    assert_eq!(w.data(c), ["67890", "abcde"]);
}

#[test]
fn s2_events_and_resets_do_not_count_as_direct_sends() {
    let mut w = World::new();
    let a = w.open_with_history("a", 1);
    w.publish_numbers(a, 1..=3);
    let c = w.connect_with(ConnectionConfig {
        direct_bytes: 13,
        last_event_id: Some("e-0".into()),
        ..ConnectionConfig::default()
    });
    w.subscribe(a, c);
    w.send(c, "12345");
    assert_eq!(w.data(c), ["reset e-2", "3", "12345"]);
}

#[test]
fn s2_a_frame_that_could_never_fit_is_too_large() {
    let mut w = World::with(HubConfig {
        limits: Limits { event_bytes: 12, ..Limits::default() },
        ..HubConfig::default()
    });
    let c = w.connect();
    let small = w.connect_with(ConnectionConfig { direct_bytes: 7, ..without_position() });
    let send = |w: &mut World, c, data: &str| w.hub.send(w.now, c, &data_frame(data));
    assert_eq!(send(&mut w, c, "12345"), Err(SendError::TooLarge { bytes: 13, limit: 12 }));
    assert_eq!(send(&mut w, c, "1234"), Ok(()));
    assert_eq!(send(&mut w, small, ""), Err(SendError::TooLarge { bytes: 8, limit: 7 }));
    w.hub.close_connection(w.now, c);
    assert_eq!(send(&mut w, c, ""), Err(SendError::Closing(c)));
    w.hub.disconnect(w.now, c);
    assert_eq!(send(&mut w, c, ""), Err(SendError::UnknownConnection(c)));
}

#[test]
fn s1_a_replayed_event_that_is_evicted_before_it_was_taken_is_a_loss() {
    for (on_lag, expected) in [(LagPolicy::Close, &[][..]), (LagPolicy::Skip, &["reset e-3", "4", "5"])] {
        let mut w = World::new();
        let a = open_channel(&mut w, "a", 10, 2, on_lag);
        w.publish_numbers(a, 1..=3);
        let c = w.reconnect("e-1");
        assert_eq!(w.subscribe(a, c), Resume::Replayed { events: 2 });
        w.publish_numbers(a, 4..=5);
        assert_eq!(w.data(c), expected, "{on_lag:?}");
        assert_eq!((w.hub.stats().lagged, w.hub.stats().gaps), (1, 0));
    }
}
