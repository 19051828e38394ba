//! Pings and lifetimes: T1 and T2. T3 is in stalls.rs, T4 in timers.rs.
mod common;
use std::collections::BTreeSet;
use std::time::Duration;

use common::{World, connect_with_lifetime, connect_without_pings, pinged, secs};
use sse_core::{Action, CloseReason, ConnectError, ConnectionConfig, HubConfig, Instant, OnMaxLifetime};

const NANO: Duration = Duration::from_nanos(1);

#[test]
fn t1_a_silent_connection_is_pinged_every_50_seconds() {
    let mut w = World::new();
    let c = pinged(&mut w);
    for _ in 0..3 {
        assert_eq!(w.run_until_action(), (secs(50), vec![Action::Transmit(c)]));
        assert_eq!(w.take(c), ":\n");
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
            for action in w.run_until_action().1 {
                let Action::Transmit(c) = action else { panic!("{action:?}") };
                at[c.index()] = w.now;
                assert_eq!(w.take(c), ":\n");
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
    w.run_for(secs(40));
    w.publish(a, "1");
    w.actions();
    assert_eq!(w.data(c), ["1"]);
    assert_eq!(w.run_until_action(), (secs(50), vec![Action::Transmit(c)]));
}

#[test]
fn t1_no_ping_is_sent_while_bytes_are_pending() {
    let mut w = World::with(HubConfig { stall_timeout: None, ..HubConfig::default() });
    let a = w.open("a");
    let c = pinged(&mut w);
    w.subscribe(a, c);
    w.publish(a, "1");
    assert_eq!(w.run_for(secs(200)), [Action::Transmit(c)]);
    assert_eq!(w.take(c), "id: e-1\ndata: 1\n\n");
}

#[test]
fn t1_a_ping_that_was_not_taken_stays_one_ping() {
    let mut w = World::with(HubConfig { stall_timeout: None, ..HubConfig::default() });
    let c = pinged(&mut w);
    assert_eq!(w.run_for(secs(500)), [Action::Transmit(c)]);
    assert_eq!(w.take(c), ":\n");
}

#[test]
fn t1_the_ping_interval_of_a_connection_can_be_changed_and_removed() {
    let mut w = World::new();
    let c = pinged(&mut w);
    let other = connect_without_pings(&mut w);
    w.run_for(secs(10));
    assert!(w.hub.set_ping(w.now, c, Some(secs(15))));
    assert_eq!(
        w.run_until_action(),
        (secs(15), vec![Action::Transmit(c)]),
        "the interval counts from the call"
    );
    w.take(c);
    assert!(w.hub.set_ping(w.now, c, Some(secs(100))));
    assert_eq!(w.run_until_action().0, secs(100));
    w.take(c);
    assert!(w.hub.set_ping(w.now, c, None));
    assert_eq!(w.run_for(secs(10_000)), []);
    assert!(w.hub.set_ping(w.now, other, Some(secs(1))));
    assert_eq!(w.run_for(secs(1)), [Action::Transmit(other)]);
}

#[test]
fn t1_a_new_interval_is_shortened_before_the_first_ping_and_after_pings_were_removed() {
    for removes_pings in [false, true] {
        let mut first_pings = BTreeSet::new();
        for seed in 0..20 {
            let mut w = World::with(HubConfig { seed, ..HubConfig::default() });
            let c = if removes_pings { pinged(&mut w) } else { w.connect() };
            if removes_pings {
                w.hub.set_ping(w.now, c, None);
            }
            w.hub.set_ping(w.now, c, Some(secs(10)));
            first_pings.insert(w.run_until_action().0);
            w.take(c);
            assert_eq!(w.run_until_action().0, secs(10));
        }
        assert!(first_pings.iter().all(|time| (secs(5)..=secs(10)).contains(time)), "{first_pings:?}");
        assert!(first_pings.len() > 10, "{first_pings:?}");
    }
}

#[test]
fn t1_the_shortest_ping_interval_is_one_millisecond() {
    let mut w = World::new();
    let c = pinged(&mut w);
    assert!(w.hub.set_ping(w.now, c, Some(ConnectionConfig::MIN_PING)));
    assert_eq!(w.run_until_action(), (Duration::from_millis(1), vec![Action::Transmit(c)]));
}

#[test]
fn t2_a_connection_is_closed_at_the_end_of_its_lifetime() {
    let mut w = World::new();
    let a = w.open("a");
    let c = connect_with_lifetime(&mut w, secs(20), OnMaxLifetime::Close);
    w.subscribe(a, c);
    assert_eq!(w.run_for(secs(20) - NANO), []);
    let reason = CloseReason::TimedOut;
    assert_eq!(w.run_for(NANO), [Action::Close { connection: c, reason }], "at once: nothing is pending");
    assert_eq!(w.pending_bytes(c), 0);
}

#[test]
fn t2_a_reported_end_of_lifetime_leaves_the_connection_open_to_extend_or_close() {
    let mut w = World::new();
    let c = connect_with_lifetime(&mut w, secs(20), OnMaxLifetime::Report);
    assert_eq!(w.run_until_action(), (secs(20), vec![Action::TimedOut(c)]));
    assert_eq!(w.run_for(secs(2)), [], "once");
    assert!(w.hub.set_max_lifetime(w.now, c, Some(secs(3))));
    assert_eq!(w.run_until_action(), (secs(3), vec![Action::TimedOut(c)]));
    assert!(w.hub.close_connection(w.now, c));
    assert_eq!(w.close_reasons(), [(c, CloseReason::Requested)]);
}

#[test]
fn t2_the_lifetime_of_a_connection_can_be_changed_and_removed() {
    let mut w = World::new();
    let c = connect_without_pings(&mut w);
    assert!(w.hub.set_max_lifetime(w.now, c, Some(secs(10))));
    w.run_for(secs(9));
    assert!(w.hub.set_max_lifetime(w.now, c, Some(secs(10))));
    assert_eq!(w.run_for(secs(9)), [], "the lifetime counts from the call");
    assert!(w.hub.set_max_lifetime(w.now, c, None));
    assert_eq!(w.run_for(secs(100_000)), []);
    w.hub.set_max_lifetime(w.now, c, Some(Duration::ZERO));
    assert_eq!(w.close_reasons(), [(c, CloseReason::TimedOut)]);
    assert!(!w.hub.set_max_lifetime(w.now, c, Some(secs(1))));
}

#[test]
fn t1_a_ping_interval_of_less_than_a_millisecond_is_refused() {
    let mut w = World::new();
    let min = ConnectionConfig::MIN_PING;
    for interval in [Duration::ZERO, Duration::from_nanos(999_999)] {
        let config = ConnectionConfig { ping: Some(interval), ..ConnectionConfig::default() };
        let refused = w.hub.connect(w.now, config).unwrap_err();
        assert_eq!(refused, ConnectError::PingTooShort { interval, min });
        let c = w.connect();
        assert!(w.hub.set_ping(w.now, c, Some(secs(7))));
        assert!(!w.hub.set_ping(w.now, c, Some(interval)));
        assert_eq!(w.run_until_action().1, [Action::Transmit(c)], "the former interval");
        w.take(c);
        w.hub.disconnect(w.now, c);
    }
    let refused = ConnectError::PingTooShort { interval: Duration::ZERO, min };
    assert_eq!(refused.to_string(), "the ping interval is 0ns, the minimum is 1ms");
    assert!(
        w.hub.connect(w.now, ConnectionConfig { ping: Some(min), ..ConnectionConfig::default() }).is_ok()
    );
}
