//! The hub has one deadline, however many timers it has: T4.

mod common;

use std::collections::BTreeSet;
use std::time::Duration;

use common::{World, connect_with_lifetime, connect_without_pings, secs};
use sse_core::{Action, Instant, OnMaxLifetime};

#[test]
fn t4_deliveries_move_no_timer() {
    let mut w = World::new();
    let a = w.open("a");
    let c = w.follow(a);
    w.actions();
    let deadline = w.hub.poll_timeout();
    for _ in 0..20 {
        w.now = w.now.saturating_add(secs(1));
        w.publish(a, "1");
        assert_eq!(w.actions(), [Action::Transmit(c)]);
        w.data(c);
        assert_eq!(w.hub.poll_timeout(), deadline);
    }
}

#[test]
fn t4_the_hub_has_one_deadline_and_it_is_the_earliest() {
    let mut w = World::new();
    for life in [30, 10, 20] {
        connect_with_lifetime(&mut w, secs(life), OnMaxLifetime::Close);
    }
    w.actions();
    assert_eq!(w.hub.poll_timeout(), Some(Instant::from_millis(10_000)));
    w.run_for(secs(10));
    assert_eq!(w.hub.poll_timeout(), Some(Instant::from_millis(20_000)));
}

#[test]
fn t4_five_thousand_deadlines_at_one_instant_are_all_handled() {
    let mut w = World::new();
    for _ in 0..5_000 {
        connect_with_lifetime(&mut w, secs(10), OnMaxLifetime::Close);
    }
    assert_eq!(w.run_for(secs(10)).len(), 5_000);
    assert_eq!(w.hub.poll_timeout(), None);
}

#[test]
fn t4_one_call_handles_at_most_1024_deadlines() {
    let mut w = World::new();
    for _ in 0..3_000 {
        connect_with_lifetime(&mut w, secs(10), OnMaxLifetime::Close);
    }
    w.now = w.now.saturating_add(secs(10));
    for open in [3_000 - 1_024, 3_000 - 2_048, 0] {
        w.hub.handle_timeout(w.now);
        assert_eq!(w.hub.stats().connections, open);
    }
}

#[test]
fn t4_one_call_checks_at_most_1024_connections_for_stalls() {
    let mut w = World::new();
    for _ in 0..3_000 {
        let c = connect_without_pings(&mut w);
        w.send(c, "x");
    }
    w.run_for(secs(30) - Duration::from_nanos(1));
    w.now = w.now.saturating_add(Duration::from_nanos(1));
    for open in [3_000 - 1_024, 3_000 - 2_048, 0] {
        w.hub.handle_timeout(w.now);
        assert_eq!(w.hub.stats().connections, open);
    }
}

#[test]
fn t4_quiet_connections_share_one_wakeup_in_three_quarters_of_the_stall_timeout() {
    let mut w = World::new();
    for _ in 0..3_000 {
        connect_without_pings(&mut w);
        w.now = w.now.saturating_add(Duration::from_millis(1));
    }
    let end = w.now.saturating_add(secs(3_600));
    let mut instants = BTreeSet::new();
    while let Some(at) = w.hub.poll_timeout().filter(|at| *at <= end) {
        w.now = at;
        instants.insert(at);
        assert_eq!(w.actions(), []);
    }
    assert!(instants.len() <= 162, "{}", instants.len());
}
