//! Channels that gather events: T6, and what it means for D2, D3 and T3.
mod common;

use std::time::Duration;

use bytes::Buf;
use common::{World, close_reasons, connect_without_pings, secs, without_position};
use sse_core::{
    Action, ChannelConfig, ChannelId, CloseReason, ConnectionConfig, DrainConfig, HubConfig, Instant,
    Transmit,
};

const LINGER: Duration = Duration::from_millis(100);
const NANO: Duration = Duration::from_nanos(1);

fn open(w: &mut World) -> ChannelId {
    open_with_linger(w, LINGER)
}

fn open_with_linger(w: &mut World, linger: Duration) -> ChannelId {
    w.open_with("a", ChannelConfig { linger: Some(linger), ..ChannelConfig::answer() })
}

#[test]
fn t6_members_are_reported_once_for_what_gathered() {
    let mut w = World::new();
    let a = open(&mut w);
    let reader = w.follow(a);
    w.actions();
    for number in 1..=3 {
        w.publish(a, &number.to_string());
        assert_eq!(w.run_for(Duration::from_millis(30)), []);
    }
    assert_eq!(w.run_for(Duration::from_millis(10)), [Action::Transmit(reader)], "from the first event on");
    assert_eq!(w.hub.transmit(w.now, reader).remaining(), 3 * 17, "they leave in one write");
}

#[test]
fn t6_at_once_when_what_gathered_fills_a_window() {
    let mut w = World::new();
    let a = open(&mut w);
    let reader = w.follow(a);
    w.actions();
    w.publish_numbers(a, 1..=Transmit::MAX_FRAMES as u64 - 1);
    assert_eq!(w.actions(), []);
    w.publish(a, "full");
    assert_eq!(w.actions(), [Action::Transmit(reader)]);
    w.take(reader);
    w.actions();
    w.publish(a, &"x".repeat(Transmit::MAX_BYTES));
    assert_eq!(w.actions(), [Action::Transmit(reader)]);
}

#[test]
fn t6_each_linger_begins_with_its_own_first_event() {
    let mut w = World::new();
    let a = open(&mut w);
    let reader = w.follow(a);
    w.actions();
    for _ in 0..3 {
        w.publish(a, "1");
        assert_eq!(w.run_for(LINGER - NANO), []);
        assert_eq!(w.run_for(NANO), [Action::Transmit(reader)]);
        w.take(reader);
        assert_eq!(w.run_for(secs(1)), []);
    }
}

#[test]
fn t6_a_linger_is_a_second_at_most_and_none_is_none() {
    for (linger, expected) in [(secs(3600), secs(1)), (Duration::ZERO, Duration::ZERO)] {
        let mut w = World::new();
        let a = open_with_linger(&mut w, linger);
        let reader = connect_without_pings(&mut w);
        w.subscribe(a, reader);
        w.actions();
        w.publish(a, "1");
        assert_eq!(w.run_until_action(), (expected, vec![Action::Transmit(reader)]));
    }
}

#[test]
fn t6_at_the_last_instant_a_linger_ends_at_once() {
    let mut w = World::new();
    w.now = Instant::from_nanos(u64::MAX);
    let a = open(&mut w);
    let reader = connect_without_pings(&mut w);
    w.subscribe(a, reader);
    w.actions();
    w.publish(a, "1");
    assert_eq!(w.actions(), [Action::Transmit(reader)]);
}

#[test]
fn t6_no_ping_is_sent_while_an_event_lingers() {
    let mut w = World::new();
    let a = open_with_linger(&mut w, secs(1));
    let config = ConnectionConfig { ping: Some(secs(10)), ..without_position() };
    let reader = w.connect_with(config);
    w.subscribe(a, reader);
    w.run_until_action();
    assert_eq!(w.take(reader), ":\n");
    assert_eq!(w.run_for(Duration::from_millis(9_900)), []);
    w.publish(a, "1");
    assert_eq!(w.run_for(Duration::from_millis(500)), []);
    assert_eq!(w.run_for(Duration::from_millis(500)), [Action::Transmit(reader)]);
    assert_eq!(w.data(reader), ["1"]);
}

#[test]
fn t6_the_end_of_a_channel_ends_the_linger() {
    type End = fn(&mut World, ChannelId);
    let ends: [End; 2] = [
        |w, a| _ = w.hub.close_channel(w.now, a),
        |w, a| _ = w.hub.finish_channel(w.now, a, None, secs(60)).unwrap(),
    ];
    for end in ends {
        let mut w = World::new();
        let a = open(&mut w);
        let reader = w.follow(a);
        w.actions();
        w.publish(a, "1");
        end(&mut w, a);
        assert!(w.actions().contains(&Action::Transmit(reader)));
        assert_eq!(w.data(reader), ["1"]);
    }
}

#[test]
fn t6_a_close_and_a_drain_do_not_wait() {
    let mut w = World::new();
    let a = open(&mut w);
    let (closed, drained) = (w.follow(a), w.follow(a));
    w.actions();
    w.publish(a, "1");
    w.hub.close_connection(w.now, closed);
    assert_eq!(w.actions(), [Action::Transmit(closed)]);
    w.hub.drain(w.now, DrainConfig { over: Duration::ZERO, retry: None, ..DrainConfig::default() });
    assert_eq!(w.actions(), [Action::Transmit(drained)]);
    assert_eq!((w.data(closed), w.data(drained)), (vec!["1".into()], vec!["1".into()]));
}

#[test]
fn d2_the_end_of_the_linger_is_a_deadline() {
    let mut w = World::new();
    let a = open(&mut w);
    let reader = connect_without_pings(&mut w);
    w.subscribe(a, reader);
    w.actions();
    w.publish(a, "1");
    assert_eq!(w.hub.poll_timeout(), Some(w.now.saturating_add(LINGER)));
}

#[test]
fn d3_who_asks_gets_what_lingers_and_is_not_reported_for_it() {
    let mut w = World::new();
    let a = open(&mut w);
    let reader = w.follow(a);
    w.actions();
    w.publish(a, "1");
    assert_eq!(w.data(reader), ["1"]);
    assert_eq!(w.run_for(secs(1)), []);
}

#[test]
fn t3_a_stall_counts_from_the_report() {
    let stall = Duration::from_millis(200);
    let mut w = World::with(HubConfig { stall_timeout: Some(stall), ..HubConfig::default() });
    let a = open_with_linger(&mut w, secs(1));
    let reader = connect_without_pings(&mut w);
    w.subscribe(a, reader);
    w.actions();
    w.publish(a, "1");
    assert_eq!(w.run_for(secs(1)), [Action::Transmit(reader)], "nothing was reported for five stall times");
    let actions = w.run_for(stall);
    assert_eq!(close_reasons(&actions), [(reader, CloseReason::Stalled)]);
}

#[test]
fn t6_a_producer_that_waits_for_room_ends_the_linger() {
    let mut w = World::new();
    let a =
        w.open_with("a", ChannelConfig { linger: Some(secs(1)), ahead: Some(1), ..ChannelConfig::answer() });
    let reader = w.follow(a);
    w.actions();
    w.publish(a, "1");
    assert_eq!(w.actions(), []);
    assert_eq!(w.hub.room(a), Some(0));
    assert_eq!(w.actions(), [Action::Transmit(reader)]);
}

#[test]
fn t6_a_reader_of_two_channels_is_reported_for_the_one_that_does_not_gather() {
    let mut w = World::new();
    let (a, b) = (open(&mut w), w.open("b"));
    let reader = w.follow(a);
    w.actions();
    w.subscribe(b, reader);
    w.publish(a, "lingers");
    w.publish(b, "at once");
    assert_eq!(w.actions(), [Action::Transmit(reader)]);
    assert_eq!(w.data(reader), ["lingers", "at once"], "in their order");
}

#[test]
fn o5_an_excluded_event_that_lingers_is_passed_with_the_others() {
    let mut w = World::new();
    let a = open(&mut w);
    let author = w.follow(a);
    w.actions();
    w.publish_except(author, a, "mine");
    assert_eq!(w.run_for(LINGER), []);
    assert_eq!(w.backlog(a), (1, 0));
}
