//! Stalled connections, and the flush of a close: T3.
mod common;
use std::time::Duration;

use common::{World, close_reasons, connect_without_pings, data_frame, history_of, pinged, secs};
use sse_core::{
    Action, ChannelConfig, CloseReason, ConnectionConfig, ConnectionId, HistoryConfig, HubConfig, Instant,
    Resume, SendError, StartFrom, SubscribeError,
};

const NANO: Duration = Duration::from_nanos(1);

/// Opens a connection with a last event id and without pings.
fn reconnect_without_pings(w: &mut World, last_event_id: &str) -> ConnectionId {
    let last_event_id = Some(last_event_id.into());
    w.connect_with(ConnectionConfig { last_event_id, ping: None, ..ConnectionConfig::default() })
}

/// Handles the deadlines of a time, and polls no action.
fn pass_without_polling(w: &mut World, time: Duration) {
    w.now = w.now.saturating_add(time);
    w.hub.handle_timeout(w.now);
}

/// Asserts that the connection is closed as stalled after exactly this time.
fn assert_stalls_after(w: &mut World, connection: ConnectionId, time: Duration) {
    assert_eq!(close_reasons(&w.run_for(time - NANO)), []);
    assert_eq!(close_reasons(&w.run_for(NANO)), [(connection, CloseReason::Stalled)]);
}

#[test]
fn t3_a_connection_that_takes_no_pending_byte_is_closed_after_30_seconds() {
    let mut w = World::new();
    let a = w.open("a");
    let c = connect_without_pings(&mut w);
    w.subscribe(a, c);
    w.run_for(secs(1_007));
    w.publish(a, "1");
    assert_eq!(w.run_for(secs(30) - NANO), [Action::Transmit(c)], "the time counts from the publication");
    let reason = CloseReason::Stalled;
    assert_eq!(w.run_for(NANO), [Action::Close { connection: c, reason }]);
}

#[test]
fn t3_each_byte_taken_restarts_the_stall_timeout() {
    let mut w = World::new();
    let a = w.open("a");
    let c = w.follow(a);
    w.publish(a, "1");
    for _ in 0..5 {
        assert!(close_reasons(&w.run_for(secs(29))).is_empty());
        w.take_bytes(c, 1);
    }
    assert!(close_reasons(&w.run_for(secs(30) - NANO)).is_empty());
    assert_eq!(close_reasons(&w.run_for(NANO)), [(c, CloseReason::Stalled)]);
}

#[test]
fn t3_the_oldest_pending_frame_counts_and_not_the_newest() {
    let mut w = World::new();
    let a = w.open("a");
    let c = w.follow(a);
    w.publish(a, "1");
    w.run_for(secs(20));
    w.publish(a, "2");
    assert_eq!(close_reasons(&w.run_for(secs(10))), [(c, CloseReason::Stalled)]);
}

#[test]
fn t3_a_replayed_event_does_not_count_before_its_subscription() {
    let mut w = World::with(HubConfig { stall_timeout: Some(secs(5)), ..HubConfig::default() });
    let a = w.open_with("a", ChannelConfig { start: StartFrom::All, ..ChannelConfig::default() });
    w.publish(a, "1");
    let c = connect_without_pings(&mut w);
    w.run_for(secs(12));
    w.subscribe(a, c);
    assert_eq!(w.run_for(secs(5) - NANO), [Action::Transmit(c)]);
    assert_eq!(close_reasons(&w.run_for(NANO)), [(c, CloseReason::Stalled)]);
}

#[test]
fn t3_a_replay_and_the_reset_for_an_unknown_id_count_from_the_report() {
    for last_event_id in ["e-0", "?"] {
        let mut w = World::new();
        let a = w.open("a");
        w.publish(a, "1");
        let c = reconnect_without_pings(&mut w, last_event_id);
        w.subscribe(a, c);
        pass_without_polling(&mut w, secs(50));
        assert_eq!(w.actions(), [Action::Transmit(c)]);
        assert_stalls_after(&mut w, c, secs(30));
    }
}

#[test]
fn t3_a_replay_counts_from_the_subscription_if_the_connection_was_reported_before() {
    let mut w = World::new();
    let (a, b) = (w.open("a"), w.open("b"));
    w.publish_to(&[a, b], "1");
    let c = reconnect_without_pings(&mut w, "e-0");
    w.subscribe(a, c);
    assert_eq!(w.actions(), [Action::Transmit(c)]);
    w.hub.unsubscribe(w.now, a, c);
    w.run_for(secs(50));
    w.subscribe(b, c);
    pass_without_polling(&mut w, secs(10));
    assert_stalls_after(&mut w, c, secs(20));
}

#[test]
fn t3_a_reported_frame_that_was_given_up_counts_while_another_is_pending() {
    let mut w = World::new();
    let (a, b) = (w.open("a"), w.open("b"));
    let c = connect_without_pings(&mut w);
    w.subscribe(a, c);
    w.subscribe(b, c);
    w.publish(a, "1");
    assert_eq!(w.actions(), [Action::Transmit(c)]);
    w.run_for(secs(10));
    w.publish(b, "2");
    w.hub.unsubscribe(w.now, a, c);
    assert_stalls_after(&mut w, c, secs(20));
}

#[test]
fn t3_the_time_before_a_report_does_not_count() {
    let mut w = World::new();
    let (a, b) = (w.open("a"), w.open("b"));
    w.publish(a, "1");
    let c = reconnect_without_pings(&mut w, "e-0");
    w.subscribe(a, c);
    assert_eq!(w.data(c), ["1"]);
    w.actions();
    w.publish(a, "2");
    pass_without_polling(&mut w, secs(50));
    // This makes a reset pending, which comes before the event.
    w.subscribe(b, c);
    pass_without_polling(&mut w, secs(50));
    assert_eq!(w.actions(), [Action::Transmit(c)]);
    assert_stalls_after(&mut w, c, secs(30));
}

/// A driver that is blocked for longer than the stall timeout did not write, however ready the peers were.
#[test]
fn t3_the_time_of_a_blocked_driver_does_not_count() {
    let mut w = World::new();
    let a = w.open("a");
    let [reader, deaf] = [(); 2].map(|()| connect_without_pings(&mut w));
    w.subscribe(a, reader);
    w.subscribe(a, deaf);
    w.publish(a, "1");
    assert_eq!(w.actions().len(), 2, "both are reported");
    w.now = w.now.saturating_add(secs(40));
    assert_eq!(w.actions(), []);
    assert_eq!(w.data(reader), ["1"]);
    assert_stalls_after(&mut w, deaf, Duration::from_millis(7_500));
    assert!(w.hub.is_connection_open(reader));
}

#[test]
fn t3_a_check_that_is_late_again_is_repeated() {
    let mut w = World::new();
    let c = connect_without_pings(&mut w);
    w.send(c, "x");
    w.actions();
    for _ in 0..5 {
        w.now = w.now.saturating_add(secs(16));
        assert_eq!(w.actions(), []);
    }
    assert_stalls_after(&mut w, c, Duration::from_millis(7_500));
}

#[test]
fn t3_a_timer_that_is_late_by_milliseconds_is_in_time() {
    for stall_timeout in [secs(30), Duration::from_millis(1)] {
        let mut w = World::with(HubConfig { stall_timeout: Some(stall_timeout), ..HubConfig::default() });
        let c = connect_without_pings(&mut w);
        w.send(c, "x");
        w.actions();
        let mut closed = Vec::new();
        for _ in 0..3 {
            let Some(at) = w.hub.poll_timeout() else { break };
            w.now = at.saturating_add(Duration::from_millis(9));
            closed.extend(w.close_reasons());
        }
        assert_eq!(closed, [(c, CloseReason::Stalled)]);
        assert!(w.now <= Instant::ORIGIN.saturating_add(stall_timeout + Duration::from_millis(27)));
    }
}

#[test]
fn t3_first_blocks_direct_sends_and_pings_count_as_pending() {
    let mut w = World::new();
    let a = w.open("a");
    let announced = w.connect_with(ConnectionConfig::default());
    let sent = w.follow(a);
    w.run_for(secs(1));
    w.send(sent, "x");
    assert_eq!(close_reasons(&w.run_for(secs(29))), [(announced, CloseReason::Stalled)]);
    assert_eq!(close_reasons(&w.run_for(secs(1))), [(sent, CloseReason::Stalled)]);
    let silent = pinged(&mut w);
    assert_eq!(close_reasons(&w.run_for(secs(80) - NANO)), []);
    assert_eq!(close_reasons(&w.run_for(NANO)), [(silent, CloseReason::Stalled)]);
}

#[test]
fn t3_a_peer_stalls_even_if_its_pending_events_expire() {
    let mut w = World::new();
    let history = HistoryConfig { age: Some(secs(10)), ..history_of(9) };
    let a = w.open_with("a", ChannelConfig { history, ..ChannelConfig::default() });
    w.publish(a, "1");
    let c = w.connect_with(ConnectionConfig {
        ping: None,
        last_event_id: Some("e-0".into()),
        ..ConnectionConfig::default()
    });
    w.subscribe(a, c);
    assert_eq!(close_reasons(&w.run_for(secs(60))), [(c, CloseReason::Stalled)]);
}

#[test]
fn t3_without_a_stall_timeout_a_connection_never_stalls() {
    let mut w = World::with(HubConfig { stall_timeout: None, ..HubConfig::default() });
    let a = w.open("a");
    let c = w.follow(a);
    w.publish(a, "1");
    assert_eq!(close_reasons(&w.run_for(secs(1_000_000))), []);
    assert_eq!(w.data(c), ["1"]);
}

#[test]
fn t3_a_stall_timeout_of_zero_does_not_keep_the_driver_awake() {
    let mut w = World::with(HubConfig { stall_timeout: Some(Duration::ZERO), ..HubConfig::default() });
    let a = w.open("a");
    let c = w.follow(a);
    assert_eq!(w.actions(), []);
    w.publish(a, "1");
    assert_eq!(w.hub.poll_action(), Some(Action::Transmit(c)));
    assert_eq!(close_reasons(&w.run_for(secs(1))), [(c, CloseReason::Stalled)]);
}

#[test]
fn t3_close_flushes_what_was_pending_at_the_call() {
    let mut w = World::new();
    let a = w.open("a");
    let c = w.follow(a);
    w.publish(a, "1");
    w.send(c, "bye");
    w.actions();
    assert!(w.hub.close_connection(w.now, c));
    w.publish(a, "later");
    assert_eq!(w.actions(), []);
    assert_eq!(w.data(c), ["1", "bye"]);
    assert_eq!(w.close_reasons(), [(c, CloseReason::Requested)]);
    assert_eq!(w.backlog(a), (0, 0));
}

#[test]
fn t3_a_peer_that_takes_single_bytes_does_not_extend_the_flush_of_a_close() {
    for stall_timeout in [None, Some(secs(30))] {
        let mut w = World::with(HubConfig { stall_timeout, ..HubConfig::default() });
        let a = w.open("a");
        let c = w.follow(a);
        w.publish(a, "1");
        w.hub.close_connection(w.now, c);
        for _ in 0..3 {
            assert_eq!(close_reasons(&w.run_for(secs(9))), []);
            w.take_bytes(c, 1);
        }
        assert_eq!(close_reasons(&w.run_for(secs(3) - NANO)), []);
        assert_eq!(close_reasons(&w.run_for(NANO)), [(c, CloseReason::Stalled)]);
    }
}

#[test]
fn t3_the_stall_timeout_continues_during_the_flush_of_a_close() {
    let mut w = World::new();
    let a = w.open("a");
    let c = w.follow(a);
    w.publish(a, "1");
    w.run_for(secs(20));
    w.hub.close_connection(w.now, c);
    assert_stalls_after(&mut w, c, secs(10));
}

#[test]
fn t3_a_closing_connection_accepts_no_sends_and_no_subscriptions() {
    let mut w = World::new();
    let (a, b) = (w.open("a"), w.open("b"));
    let c = w.follow(a);
    w.publish(a, "1");
    w.hub.close_connection(w.now, c);
    assert_eq!(w.hub.send(w.now, c, &data_frame("x")), Err(SendError::Closing(c)));
    for channel in [a, b] {
        assert_eq!(w.hub.subscribe(w.now, channel, c), Err(SubscribeError::Closing(c)));
    }
    assert!(!w.hub.set_max_lifetime(w.now, c, Some(secs(1))));
    assert_eq!(w.data(c), ["1"]);
}

#[test]
fn t3_close_ends_a_connection_without_pending_bytes_at_once() {
    let mut w = World::new();
    let c = w.connect();
    assert!(w.hub.close_connection(w.now, c));
    assert_eq!(w.actions(), [Action::Close { connection: c, reason: CloseReason::Requested }]);
    assert!(!w.hub.close_connection(w.now, c));
}

/// Uses more connections than one call checks. They stall at different times between two checks of all connections.
#[test]
fn t3_a_stall_among_thousands_of_connections_is_detected_at_its_instant() {
    let mut w = World::new();
    let all: Vec<ConnectionId> = (0..5_000).map(|_| connect_without_pings(&mut w)).collect();
    let mut stalled = Vec::new();
    for second in 1..100 {
        stalled.extend(w.run_for(secs(1)));
        let c = all[second * 50];
        w.send(c, "x");
        assert_eq!(w.actions(), [Action::Transmit(c)]);
        let expected: Vec<_> =
            (31..=second).map(|second| (all[(second - 30) * 50], CloseReason::Stalled)).collect();
        assert_eq!(close_reasons(&stalled), expected, "after {second} seconds");
    }
}

#[test]
fn t3_a_connection_that_stalls_at_the_end_of_its_lifetime_is_not_flushed() {
    let mut w = World::new();
    let c = w.connect_with(ConnectionConfig {
        max_lifetime: Some(secs(30)),
        ping: None,
        ..ConnectionConfig::default()
    });
    let stalled = w.connect_with(ConnectionConfig { ping: None, ..ConnectionConfig::default() });
    let closed = close_reasons(&w.run_for(secs(30)));
    assert_eq!(closed, [(c, CloseReason::Stalled), (stalled, CloseReason::Stalled)]);
}

#[test]
fn t3_a_ping_that_was_given_up_does_not_count() {
    let mut w = World::new();
    let c = w.connect();
    let (_, actions) = w.run_until_action();
    assert_eq!(actions, [Action::Transmit(c)]);
    assert!(w.hub.set_ping(w.now, c, None));
    assert_eq!(close_reasons(&w.run_for(secs(60))), []);
    w.send(c, "x");
    assert_eq!(close_reasons(&w.run_for(secs(30) - NANO)), []);
    assert_eq!(close_reasons(&w.run_for(NANO)), [(c, CloseReason::Stalled)]);
}

#[test]
fn t3_after_a_ping_was_given_up_the_oldest_remaining_frame_counts() {
    let mut w = World::new();
    let [a, b] = ["a", "b"].map(|name| w.open(name));
    let c = w.reconnect("gone-1");
    w.subscribe(a, c);
    w.actions();
    assert_eq!(w.take(c).lines().count(), 4, "a reset");
    let (_, actions) = w.run_until_action();
    assert_eq!(actions, [Action::Transmit(c)], "for a ping");
    w.publish(a, "1");
    assert_eq!(close_reasons(&w.run_for(secs(10))), []);
    // This makes a reset pending, which comes before the event.
    assert!(matches!(w.subscribe(b, c), Resume::Gap { .. }));
    assert!(w.hub.set_ping(w.now, c, None));
    assert_eq!(close_reasons(&w.run_for(secs(20) - NANO)), []);
    assert_eq!(close_reasons(&w.run_for(NANO)), [(c, CloseReason::Stalled)]);
}
