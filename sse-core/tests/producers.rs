//! What producers are told: P1 to P4.
mod common;

use std::time::Duration;

use common::{World, data_frame, history_of, secs};
use sse_core::{Action, ChannelConfig, ChannelId, Event, HistoryConfig, StartFrom, Unwanted};

fn open_unwanted(w: &mut World) -> ChannelId {
    w.open_with("a", ChannelConfig { unwanted_after: Some(secs(10)), ..ChannelConfig::default() })
}

fn open_ahead(w: &mut World, ahead: usize) -> ChannelId {
    w.open_with("a", ChannelConfig { ahead: Some(ahead), ..ChannelConfig::answer() })
}

fn absent(channel: ChannelId) -> Action {
    Action::Unwanted { channel, why: Unwanted::Absent }
}

fn without_transmit(actions: Vec<Action>) -> Vec<Action> {
    actions.into_iter().filter(|action| !matches!(action, Action::Transmit(_))).collect()
}

/// Each frame has as many bytes.
const FRAME: usize = 17;

#[test]
fn p1_a_channel_that_nobody_follows_is_reported_once_for_each_absence() {
    let mut w = World::new();
    let a = open_unwanted(&mut w);
    assert_eq!(w.run_for(secs(9)), []);
    assert_eq!(w.run_for(secs(1)), [absent(a)]);
    assert_eq!(w.run_for(secs(100)), []);
    let reader = w.follow(a);
    assert_eq!(w.hub.unwanted(a), None);
    w.hub.disconnect(w.now, reader);
    assert_eq!(w.run_for(secs(9)), []);
    assert_eq!(w.run_for(secs(1)), [absent(a)]);
}

#[test]
fn p1_not_when_somebody_came_back_before_the_poll() {
    let mut w = World::new();
    let a = open_unwanted(&mut w);
    w.now = w.now.saturating_add(secs(10));
    w.hub.handle_timeout(w.now);
    let reader = w.follow(a);
    assert_eq!(without_transmit(w.actions()), []);
    w.hub.disconnect(w.now, reader);
    assert_eq!(w.run_for(secs(10)), [absent(a)], "the next absence counts from its own beginning");
}

#[test]
fn p1_a_short_visit_before_the_poll_takes_the_notice_back() {
    let mut w = World::new();
    let a = open_unwanted(&mut w);
    w.now = w.now.saturating_add(secs(10));
    w.hub.handle_timeout(w.now);
    let reader = w.follow(a);
    w.hub.disconnect(w.now, reader);
    assert_eq!(without_transmit(w.actions()), []);
    assert_eq!(w.run_for(secs(10)), [absent(a)]);
}

#[test]
fn p1_not_after_the_end() {
    let mut w = World::new();
    let finished = open_unwanted(&mut w);
    let config = ChannelConfig { unwanted_after: Some(secs(10)), ..ChannelConfig::default() };
    let closed = w.open_with("b", config);
    w.now = w.now.saturating_add(secs(10));
    w.hub.handle_timeout(w.now);
    w.hub.finish_channel(w.now, finished, None, secs(60)).unwrap();
    w.hub.close_channel(w.now, closed);
    assert!(w.actions().iter().all(|action| !matches!(action, Action::Unwanted { .. })));
    assert_eq!(w.hub.unwanted(finished), Some(Unwanted::Ended));
    assert_eq!(w.hub.unwanted(closed), Some(Unwanted::Ended));
}

#[test]
fn p1_it_closes_nothing() {
    let mut w = World::new();
    let a = open_unwanted(&mut w);
    w.publish(a, "1");
    w.run_for(secs(100));
    let late = w.reconnect("e-0");
    w.subscribe(a, late);
    assert_eq!(w.data(late), ["1"], "what the reader comes back for is there");
}

#[test]
fn p2_a_stop_is_reported_once_and_refuses_nothing() {
    let mut w = World::new();
    let a = w.open("a");
    assert!(w.hub.stop(w.now, a) && w.hub.is_stopped(a));
    assert!(!w.hub.stop(w.now, a), "it is stopped already");
    assert_eq!(w.actions(), [Action::Unwanted { channel: a, why: Unwanted::Stopped }]);
    w.publish(a, "stopped");
    assert_eq!(w.hub.unwanted(a), Some(Unwanted::Stopped));
    w.hub.finish_channel(w.now, a, None, secs(1)).unwrap();
    assert!(!w.hub.stop(w.now, a), "nothing is left to stop");
}

#[test]
fn p2_a_disconnect_a_close_and_a_drain_are_no_stop() {
    let mut w = World::new();
    let a = w.open("a");
    let (left, closed) = (w.follow(a), w.follow(a));
    w.hub.disconnect(w.now, left);
    w.hub.close_connection(w.now, closed);
    w.hub.shut_down(w.now);
    w.run_for(secs(1));
    assert!(!w.hub.is_stopped(a));
    assert_eq!(w.hub.unwanted(a), None);
}

#[test]
fn p3_room_is_what_the_fastest_reader_has_not_begun_to_take() {
    let mut w = World::new();
    let a = open_ahead(&mut w, 10 * FRAME);
    let (fast, slow) = (w.follow(a), w.follow(a));
    w.publish_numbers(a, 1..=4);
    assert_eq!(w.hub.room(a), Some(6 * FRAME));
    w.take_bytes(fast, 1);
    assert_eq!(w.hub.room(a), Some(7 * FRAME));
    w.take_bytes(fast, 2 * FRAME);
    assert_eq!(w.hub.room(a), Some(9 * FRAME));
    w.take(slow);
    assert_eq!(w.hub.room(a), Some(10 * FRAME));
}

#[test]
fn p3_only_events_with_an_id_count() {
    let mut w = World::new();
    let a = open_ahead(&mut w, 100);
    w.publish_event(a, Event::new().data("live").live_only());
    assert_eq!(w.hub.room(a), Some(100));
}

#[test]
fn p3_the_mark_does_not_go_back() {
    let mut w = World::new();
    let a = open_ahead(&mut w, 4 * FRAME);
    let reader = w.follow(a);
    w.publish_numbers(a, 1..=2);
    w.take(reader);
    w.hub.disconnect(w.now, reader);
    w.publish_numbers(a, 3..=6);
    assert_eq!(w.hub.room(a), Some(0), "who is disconnected keeps the producer waiting");
    let late = w.follow(a);
    w.take_frame(late);
    assert_eq!(w.hub.room(a), Some(0), "a new reader begins behind the mark");
}

#[test]
fn p3_room_is_said_once_when_half_of_it_is_free() {
    let mut w = World::new();
    let a = open_ahead(&mut w, 4 * FRAME);
    let reader = w.follow(a);
    w.publish_numbers(a, 1..=4);
    assert_eq!(w.hub.room(a), Some(0));
    w.actions();
    w.take_frame(reader);
    assert_eq!(without_transmit(w.actions()), []);
    w.take_frame(reader);
    assert_eq!(without_transmit(w.actions()), [Action::Room(a)]);
    w.take(reader);
    assert_eq!(without_transmit(w.actions()), []);
}

#[test]
fn p3_a_producer_that_nobody_reads_is_told_of_every_end() {
    type End = fn(&mut World, ChannelId);
    let ends: [End; 3] = [
        |w, a| _ = w.hub.stop(w.now, a),
        |w, a| _ = w.hub.finish_channel(w.now, a, None, secs(1)).unwrap(),
        |w, a| _ = w.hub.close_channel(w.now, a),
    ];
    for end in ends {
        let mut w = World::new();
        let a = open_ahead(&mut w, FRAME);
        w.publish(a, "1");
        assert_eq!(w.hub.room(a), Some(0));
        end(&mut w, a);
        assert!(w.actions().contains(&Action::Room(a)));
    }
}

#[test]
fn p3_nothing_is_refused_and_without_a_bound_room_is_endless() {
    let mut w = World::new();
    let (a, b) = (open_ahead(&mut w, 1), w.open("b"));
    w.publish_numbers(a, 1..=100);
    assert_eq!((w.hub.room(a), w.hub.room(b)), (Some(0), Some(usize::MAX)));
    w.hub.close_channel(w.now, b);
    assert_eq!(w.hub.room(b), None);
}

#[test]
fn p3_a_producer_may_always_publish_one_event_at_a_time() {
    let mut w = World::new();
    let a = open_ahead(&mut w, 0);
    assert_eq!(w.hub.room(a), Some(1));
}

#[test]
fn p3_frames_count_as_events_do() {
    let mut w = World::new();
    let a = open_ahead(&mut w, 1000);
    let published = w.hub.publish_frame(w.now, &[a], &data_frame("1"), Default::default()).unwrap();
    assert_eq!(published.frame.as_bytes(), b"id: e-1\ndata: 1\n\n");
    assert_eq!(w.hub.room(a), Some(1000 - FRAME));
}

/// A reader is cut again and again, with bytes in its socket that never arrive. The producer publishes as long as there is
/// room. Returns the number of gaps.
fn gaps(ahead: usize, history: usize, socket: usize, seed: u64) -> u64 {
    let mut w = World::new();
    let config = ChannelConfig {
        ahead: Some(ahead * 20),
        history: HistoryConfig { bytes: Some(history * 20), ..history_of(1_000) },
        start: StartFrom::Beginning,
        ..ChannelConfig::default()
    };
    let a = w.open_with("a", config);
    let mut random = seed;
    let mut below = |most: u64| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) % most
    };
    let (mut reader, mut received) = (None, 0u64);
    let mut in_socket: Vec<u64> = Vec::new();
    for number in 0..400u64 {
        if w.hub.room(a).unwrap() > 0 {
            w.publish_event(a, Event::new().data(format!("{number:04}")));
        }
        let connection = *reader.get_or_insert_with(|| {
            let connection = w.reconnect(&format!("e-{received}"));
            w.subscribe(a, connection);
            connection
        });
        if in_socket.len() < socket && below(2) == 0 {
            for id in common::messages(&w.take_frame(connection)).into_iter().map(|message| message.id) {
                in_socket.push(id.trim_start_matches("e-").parse().unwrap());
            }
        }
        if below(3) == 0 && !in_socket.is_empty() {
            received = in_socket.remove(0);
        }
        if below(10) == 0 {
            w.hub.disconnect(w.now, connection);
            (reader, in_socket) = (None, Vec::new());
        }
        w.actions();
    }
    w.hub.stats().gaps
}

#[test]
fn p4_a_reader_that_comes_back_loses_nothing_if_history_holds_ahead_and_sockets() {
    let all = |ahead, history, socket| (1..=200).map(|seed| gaps(ahead, history, socket, seed)).sum::<u64>();
    assert_eq!(all(4, 16, 7), 0);
    assert!(all(4, 4, 7) > 0, "what was in the socket is lost");
    assert!(all(1_000, 16, 7) > 0, "a producer that runs on evicts what its reader comes back for");
}

#[test]
fn p1_of_zero_is_reported_at_the_next_deadline() {
    let mut w = World::new();
    let config = ChannelConfig { unwanted_after: Some(Duration::ZERO), ..ChannelConfig::default() };
    let a = w.open_with("a", config);
    assert_eq!(w.actions(), [absent(a)]);
}
