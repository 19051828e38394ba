//! Pings, timeouts and stalls: T1 to T3.
mod common;
use std::collections::BTreeSet;
use std::time::Duration;

use common::{World, ends, keeping, secs, with_life, without_pings};
use sse_core::{
    Action, ChannelConfig, CloseReason, ConnectionConfig, ConnectionId, HistoryConfig, HubConfig, Instant,
    OnMaxLifetime, Resume, StartFrom,
};

const NANO: Duration = Duration::from_nanos(1);

/// A connection that had its first ping, after which the interval is exact.
fn pinged(w: &mut World) -> ConnectionId {
    let c = w.connect();
    w.sleep();
    assert_eq!(w.take(c), ":\n\n");
    c
}

#[test]
fn t1_a_silent_connection_is_pinged_every_50_seconds() {
    let mut w = World::new();
    let c = pinged(&mut w);
    for _ in 0..3 {
        assert_eq!(w.sleep(), (secs(50), vec![Action::Transmit(c)]));
        assert_eq!(w.take(c), ":\n\n");
    }
    assert_eq!(w.hub.stats().pings, 4);
}

#[test]
fn t1_the_first_pings_are_spread_by_the_seed() {
    let first_pings = |seed| {
        let mut w = World::with(HubConfig { seed, ..HubConfig::default() });
        let all: Vec<_> = (0..500).map(|_| w.connect()).collect();
        let mut at = vec![Instant::ORIGIN; all.len()];
        while at.contains(&Instant::ORIGIN) {
            for action in w.sleep().1 {
                let Action::Transmit(c) = action else { panic!("{action:?}") };
                at[c.index()] = w.now;
                assert_eq!(w.take(c), ":\n\n");
            }
        }
        at
    };
    let at = first_pings(1);
    assert!(at.iter().all(|at| (25_000..=50_000).contains(&(at.as_nanos() / 1_000_000))));
    let seconds: BTreeSet<u64> = at.iter().map(|at| at.as_nanos() / 1_000_000_000).collect();
    assert!(seconds.len() > 20, "{seconds:?}");
    assert_eq!(at, first_pings(1));
    assert_ne!(at, first_pings(2));
}

#[test]
fn t1_a_ping_is_sent_only_when_nothing_else_was_written_in_the_interval() {
    let mut w = World::new();
    let a = w.open("a");
    let c = pinged(&mut w);
    w.subscribe(a, c);
    w.pass(secs(40));
    w.publish(a, "1");
    w.actions();
    assert_eq!(w.data(c), ["1"]);
    assert_eq!(w.sleep(), (secs(50), vec![Action::Transmit(c)]));
}

#[test]
fn t1_no_ping_joins_what_is_due_already() {
    let mut w = World::with(HubConfig { stall_timeout: None, ..HubConfig::default() });
    let a = w.open("a");
    let c = pinged(&mut w);
    w.subscribe(a, c);
    w.publish(a, "1");
    assert_eq!(w.pass(secs(200)), [Action::Transmit(c)]);
    assert_eq!(w.take(c), "id: e-1\ndata: 1\n\n");
}

#[test]
fn t1_a_ping_that_is_not_taken_stays_one() {
    let mut w = World::with(HubConfig { stall_timeout: None, ..HubConfig::default() });
    let c = pinged(&mut w);
    assert_eq!(w.pass(secs(500)), [Action::Transmit(c)]);
    assert_eq!(w.take(c), ":\n\n");
}

#[test]
fn t1_the_ping_is_per_connection_and_settable_and_removable_while_it_runs() {
    let mut w = World::new();
    let c = pinged(&mut w);
    let other = without_pings(&mut w);
    w.pass(secs(10));
    assert!(w.hub.set_ping(w.now, c, Some(secs(15))));
    assert_eq!(w.sleep(), (secs(15), vec![Action::Transmit(c)]), "counted from the call");
    w.take(c);
    assert!(w.hub.set_ping(w.now, c, Some(secs(100))));
    assert_eq!(w.sleep().0, secs(100));
    w.take(c);
    assert!(w.hub.set_ping(w.now, c, None));
    assert_eq!(w.pass(secs(10_000)), []);
    assert!(w.hub.set_ping(w.now, other, Some(secs(1))));
    assert_eq!(w.pass(secs(1)), [Action::Transmit(other)]);
}

#[test]
fn t1_an_interval_of_nothing_is_one_of_a_millisecond() {
    let mut w = World::new();
    let c = pinged(&mut w);
    w.hub.set_ping(w.now, c, Some(Duration::ZERO));
    assert_eq!(w.sleep(), (Duration::from_millis(1), vec![Action::Transmit(c)]));
}

#[test]
fn t2_a_connection_is_closed_when_its_longest_life_is_over() {
    let mut w = World::new();
    let a = w.open("a");
    let c = with_life(&mut w, secs(20), OnMaxLifetime::Close);
    w.subscribe(a, c);
    assert_eq!(w.pass(secs(20) - NANO), []);
    w.publish(a, "1");
    w.actions();
    w.take_bytes(c, 3);
    let reason = CloseReason::TimedOut;
    assert_eq!(w.pass(NANO), [Action::Close { connection: c, reason }], "at once, though it read");
    assert_eq!(w.due(c), 0);
}

#[test]
fn t2_a_life_may_only_be_reported_and_the_application_extends_or_closes() {
    let mut w = World::new();
    let c = with_life(&mut w, secs(20), OnMaxLifetime::Report);
    assert_eq!(w.sleep(), (secs(20), vec![Action::TimedOut(c)]));
    assert_eq!(w.pass(secs(2)), [], "once");
    assert!(w.hub.set_max_lifetime(w.now, c, Some(secs(3))));
    assert_eq!(w.sleep(), (secs(3), vec![Action::TimedOut(c)]));
    assert!(w.hub.close_connection(w.now, c));
    assert_eq!(w.ends(), [(c, CloseReason::Requested)]);
}

#[test]
fn t2_a_life_is_settable_and_removable_while_it_runs() {
    let mut w = World::new();
    let c = without_pings(&mut w);
    assert!(w.hub.set_max_lifetime(w.now, c, Some(secs(10))));
    w.pass(secs(9));
    assert!(w.hub.set_max_lifetime(w.now, c, Some(secs(10))));
    assert_eq!(w.pass(secs(9)), [], "it counts from the call");
    assert!(w.hub.set_max_lifetime(w.now, c, None));
    assert_eq!(w.pass(secs(100_000)), []);
    w.hub.set_max_lifetime(w.now, c, Some(Duration::ZERO));
    assert_eq!(w.ends(), [(c, CloseReason::TimedOut)]);
    assert!(!w.hub.set_max_lifetime(w.now, c, Some(secs(1))));
}

#[test]
fn t3_a_connection_that_takes_none_of_its_due_bytes_is_closed_after_30_seconds() {
    let mut w = World::new();
    let a = w.open("a");
    let c = without_pings(&mut w);
    w.subscribe(a, c);
    w.pass(secs(1_007));
    w.publish(a, "1");
    assert_eq!(w.pass(secs(30) - NANO), [Action::Transmit(c)], "counted from when its frame came");
    let reason = CloseReason::Stalled;
    assert_eq!(w.pass(NANO), [Action::Close { connection: c, reason }]);
}

#[test]
fn t3_each_byte_taken_gives_it_the_time_again() {
    let mut w = World::new();
    let a = w.open("a");
    let c = w.follow(a);
    w.publish(a, "1");
    for _ in 0..5 {
        assert!(ends(&w.pass(secs(29))).is_empty());
        w.take_bytes(c, 1);
    }
    assert!(ends(&w.pass(secs(30) - NANO)).is_empty());
    assert_eq!(ends(&w.pass(NANO)), [(c, CloseReason::Stalled)]);
}

#[test]
fn t3_the_oldest_due_frame_counts_and_not_the_newest() {
    let mut w = World::new();
    let a = w.open("a");
    let c = w.follow(a);
    w.publish(a, "1");
    w.pass(secs(20));
    w.publish(a, "2");
    assert_eq!(ends(&w.pass(secs(10))), [(c, CloseReason::Stalled)]);
}

#[test]
fn t3_what_is_replayed_came_when_it_was_subscribed_to() {
    let mut w = World::with(HubConfig { stall_timeout: Some(secs(5)), ..HubConfig::default() });
    let a = w.open_with("a", ChannelConfig { start: StartFrom::All, ..ChannelConfig::default() });
    w.publish(a, "1");
    let c = without_pings(&mut w);
    w.pass(secs(12));
    w.subscribe(a, c);
    assert_eq!(w.pass(secs(5) - NANO), [Action::Transmit(c)]);
    assert_eq!(ends(&w.pass(NANO)), [(c, CloseReason::Stalled)]);
}

#[test]
fn t3_the_start_direct_sends_and_pings_count_as_due() {
    let mut w = World::new();
    let a = w.open("a");
    let announced = w.connect_with(ConnectionConfig::default());
    let sent = w.follow(a);
    w.pass(secs(1));
    w.send(sent, "x");
    assert_eq!(ends(&w.pass(secs(29))), [(announced, CloseReason::Stalled)]);
    assert_eq!(ends(&w.pass(secs(1))), [(sent, CloseReason::Stalled)]);
    let silent = pinged(&mut w);
    assert_eq!(ends(&w.pass(secs(80) - NANO)), []);
    assert_eq!(ends(&w.pass(NANO)), [(silent, CloseReason::Stalled)]);
}

#[test]
fn t3_a_peer_whose_due_events_grew_too_old_has_still_stalled() {
    let mut w = World::new();
    let history = HistoryConfig { age: Some(secs(10)), ..keeping(9) };
    let a = w.open_with("a", ChannelConfig { history, ..ChannelConfig::default() });
    w.publish(a, "1");
    let c = w.connect_with(ConnectionConfig {
        ping: None,
        last_event_id: Some("e-0".into()),
        ..ConnectionConfig::default()
    });
    w.subscribe(a, c);
    assert_eq!(ends(&w.pass(secs(60))), [(c, CloseReason::Stalled)]);
}

#[test]
fn t3_without_a_stall_time_a_connection_waits_for_ever() {
    let mut w = World::with(HubConfig { stall_timeout: None, ..HubConfig::default() });
    let a = w.open("a");
    let c = w.follow(a);
    w.publish(a, "1");
    assert_eq!(ends(&w.pass(secs(1_000_000))), []);
    assert_eq!(w.data(c), ["1"]);
}

#[test]
fn t3_a_stall_time_of_nothing_does_not_keep_the_driver_awake() {
    let mut w = World::with(HubConfig { stall_timeout: Some(Duration::ZERO), ..HubConfig::default() });
    let a = w.open("a");
    let c = w.follow(a);
    assert_eq!(w.actions(), []);
    w.publish(a, "1");
    assert_eq!(w.hub.poll_action(), Some(Action::Transmit(c)));
    assert_eq!(ends(&w.pass(secs(1))), [(c, CloseReason::Stalled)]);
}

#[test]
fn t3_close_flushes_what_was_due_when_it_was_called() {
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
    assert_eq!(w.ends(), [(c, CloseReason::Requested)]);
    assert_eq!(w.backlog(a), (0, 0));
}

#[test]
fn t3_close_flushes_within_the_stall_time_however_the_peer_dribbles() {
    for stall_timeout in [None, Some(secs(30))] {
        let mut w = World::with(HubConfig { stall_timeout, ..HubConfig::default() });
        let a = w.open("a");
        let c = w.follow(a);
        w.publish(a, "1");
        w.hub.close_connection(w.now, c);
        for _ in 0..3 {
            assert_eq!(ends(&w.pass(secs(9))), []);
            w.take_bytes(c, 1);
        }
        assert_eq!(ends(&w.pass(secs(3) - NANO)), []);
        assert_eq!(ends(&w.pass(NANO)), [(c, CloseReason::Stalled)]);
    }
}

#[test]
fn t3_close_ends_at_once_what_has_nothing_due() {
    let mut w = World::new();
    let c = w.connect();
    assert!(w.hub.close_connection(w.now, c));
    assert_eq!(w.actions(), [Action::Close { connection: c, reason: CloseReason::Requested }]);
    assert!(!w.hub.close_connection(w.now, c));
}

/// Many more than one call looks at, due at any time between two rounds.
#[test]
fn t3_whoever_stalls_among_thousands_is_found_at_the_instant() {
    let mut w = World::new();
    let all: Vec<ConnectionId> = (0..5_000).map(|_| without_pings(&mut w)).collect();
    let mut stalled = Vec::new();
    for second in 1..100 {
        stalled.extend(w.pass(secs(1)));
        let c = all[second * 50];
        w.send(c, "x");
        assert_eq!(w.actions(), [Action::Transmit(c)]);
        let expected: Vec<_> =
            (31..=second).map(|second| (all[(second - 30) * 50], CloseReason::Stalled)).collect();
        assert_eq!(ends(&stalled), expected, "after {second} seconds");
    }
}

#[test]
fn t3_a_connection_stalls_also_where_nobody_asked_for_actions() {
    let mut w = World::new();
    let a = w.open("a");
    w.pass(secs(7));
    let c = without_pings(&mut w);
    w.subscribe(a, c);
    w.actions();
    w.pass(secs(40));
    w.publish(a, "1");
    let due = w.now;
    for late in [30_000_000_000 - 1, 30_000_000_000] {
        assert!(w.hub.is_connection_open(c));
        w.hub.handle_timeout(Instant::from_nanos(due.as_nanos() + late));
    }
    assert!(!w.hub.is_connection_open(c));
}

#[test]
fn t3_a_connection_whose_life_is_over_too_is_closed_for_that() {
    let mut w = World::new();
    let c = w.connect_with(ConnectionConfig {
        max_lifetime: Some(secs(30)),
        ping: None,
        ..ConnectionConfig::default()
    });
    let stalled = w.connect_with(ConnectionConfig { ping: None, ..ConnectionConfig::default() });
    w.actions();
    w.now = w.now.saturating_add(secs(30));
    let mut closed = ends(&w.actions());
    closed.extend(ends(&w.pass(secs(0))));
    assert_eq!(closed, [(c, CloseReason::TimedOut), (stalled, CloseReason::Stalled)]);
}

#[test]
fn t3_a_ping_that_was_given_up_does_not_count() {
    let mut w = World::new();
    let c = w.connect();
    let (_, named) = w.sleep();
    assert_eq!(named, [Action::Transmit(c)]);
    assert!(w.hub.set_ping(w.now, c, None));
    assert_eq!(ends(&w.pass(secs(60))), []);
    w.send(c, "x");
    assert_eq!(ends(&w.pass(secs(30) - NANO)), []);
    assert_eq!(ends(&w.pass(NANO)), [(c, CloseReason::Stalled)]);
}

#[test]
fn t3_after_a_ping_was_given_up_the_oldest_of_what_is_left_counts() {
    let mut w = World::new();
    let [a, b] = ["a", "b"].map(|name| w.open(name));
    let c = w.connect_after("gone-1");
    w.subscribe(a, c);
    w.actions();
    assert_eq!(w.take(c).lines().count(), 4, "a reset");
    let (_, named) = w.sleep();
    assert_eq!(named, [Action::Transmit(c)], "for a ping");
    w.publish(a, "1");
    assert_eq!(ends(&w.pass(secs(10))), []);
    // Of a reset, which stands before the event.
    assert!(matches!(w.subscribe(b, c), Resume::Gap { .. }));
    assert!(w.hub.set_ping(w.now, c, None));
    assert_eq!(ends(&w.pass(secs(20) - NANO)), []);
    assert_eq!(ends(&w.pass(NANO)), [(c, CloseReason::Stalled)]);
}
