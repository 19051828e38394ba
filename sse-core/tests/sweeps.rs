//! Sweeps find the members with pending bytes, and publishing touches no member: D7.
mod common;
use std::collections::BTreeSet;

use common::World;
use sse_core::{Action, ChannelConfig, ConnectionId, OnClose};

const MANY: usize = 5_000;

fn members(w: &mut World, channel: sse_core::ChannelId) -> Vec<ConnectionId> {
    let members = (0..MANY).map(|_| w.follow(channel)).collect();
    assert_eq!(w.actions(), []);
    members
}

fn reported(actions: &[Action]) -> BTreeSet<ConnectionId> {
    let transmit = |action: &Action| match action {
        Action::Transmit(connection) => Some(*connection),
        _ => None,
    };
    actions.iter().filter_map(transmit).collect()
}

/// Polls until there are `count` actions.
fn poll_actions(w: &mut World, count: usize) -> Vec<Action> {
    let mut actions = Vec::new();
    while actions.len() < count {
        actions.extend(w.hub.poll_action());
    }
    actions
}

#[test]
fn d7_a_sweep_reports_every_member_once() {
    let mut w = World::new();
    let a = w.open("a");
    let members = members(&mut w, a);
    assert_eq!(w.publish(a, "x").subscriptions, MANY);
    let actions = w.actions();
    assert_eq!(actions.len(), MANY);
    assert_eq!(reported(&actions), members.into_iter().collect());
}

#[test]
fn d7_one_poll_visits_a_bounded_number_of_members_and_the_rest_stays_pending() {
    let mut w = World::new();
    let a = w.open("a");
    members(&mut w, a);
    w.publish(a, "x");
    w.actions();
    w.publish(a, "y");
    // All members are stalled, so there is nothing to report, and one call is not enough to find that out.
    let mut polls = 0;
    while w.hub.poll_timeout().is_some_and(|at| at <= w.now) {
        assert_eq!(w.hub.poll_action(), None);
        polls += 1;
    }
    assert!(polls > 5, "{polls}");
}

#[test]
fn d7_one_poll_visits_at_most_256_members() {
    let mut w = World::new();
    let config = ChannelConfig { on_close: OnClose::CloseConnections, ..ChannelConfig::default() };
    let a = w.open_with("a", config);
    for _ in 0..1_000 {
        w.follow(a);
    }
    assert_eq!(w.actions(), []);
    w.hub.close_channel(w.now, a);
    assert!(matches!(w.hub.poll_action(), Some(Action::ChannelClosed { .. })), "before the sweep");
    assert!(w.hub.poll_action().is_some());
    // The visit of an idle member closes it.
    assert_eq!(w.hub.stats().connections, 1_000 - 256);
    assert_eq!(w.close_reasons().len(), 999);
}

#[test]
fn d7_one_poll_checks_at_most_256_queued_connections() {
    for (connections, is_done) in [(256, true), (257, false)] {
        let mut w = World::new();
        for _ in 0..connections {
            w.connect();
        }
        assert_eq!(w.hub.poll_action(), None, "new connections have nothing pending");
        assert_eq!(w.hub.poll_timeout() > Some(w.now), is_done, "{connections} connections");
    }
}

#[test]
fn d7_a_sweep_misses_no_remaining_member_when_others_leave() {
    for first_to_leave in [0, 1, 500, 999, 1_000, 1_001, 4_000] {
        let mut w = World::new();
        let a = w.open("a");
        let members = members(&mut w, a);
        w.publish(a, "x");
        let mut actions = poll_actions(&mut w, 1_000);
        let leavers: BTreeSet<_> = members.iter().skip(first_to_leave).step_by(3).copied().collect();
        for (n, leaver) in leavers.iter().enumerate() {
            if n % 2 == 0 {
                w.hub.disconnect(w.now, *leaver)
            } else {
                w.hub.unsubscribe(w.now, a, *leaver)
            };
        }
        actions.extend(w.actions());
        let reported = reported(&actions);
        assert_eq!(reported.len(), actions.len(), "each member once");
        assert!(members.iter().all(|member| leavers.contains(member) || reported.contains(member)));
    }
}

#[test]
fn d7_members_that_join_or_rejoin_during_a_sweep_are_found_by_the_next() {
    let mut w = World::new();
    let a = w.open("a");
    let members = members(&mut w, a);
    w.publish(a, "x");
    let mut actions = poll_actions(&mut w, 2_000);
    for member in &members[..1_000] {
        w.take(*member);
        w.hub.unsubscribe(w.now, a, *member);
        w.subscribe(a, *member);
    }
    let joined: Vec<_> = (0..100).map(|_| w.follow(a)).collect();
    actions.extend(w.actions());
    assert_eq!(reported(&actions), members.iter().copied().collect(), "new members have nothing pending");
    for member in &members {
        w.take(*member);
    }
    w.publish(a, "y");
    assert_eq!(reported(&w.actions()).len(), MANY + joined.len());
}

#[test]
fn d7_an_event_published_during_a_sweep_causes_another_sweep() {
    let mut w = World::new();
    let a = w.open("a");
    let members = members(&mut w, a);
    w.publish(a, "x");
    for action in poll_actions(&mut w, 1_000) {
        let Action::Transmit(connection) = action else { panic!("{action:?}") };
        w.take(connection);
    }
    let late = w.follow(a);
    w.publish(a, "y");
    let reported = reported(&w.actions());
    assert_eq!(reported.len(), MANY + 1);
    assert!(reported.contains(&late));
    assert!(members.iter().all(|member| w.data(*member).last().is_some_and(|data| data == "y")));
    assert_eq!(w.data(late), ["y"]);
}

#[test]
fn d7_sweeps_of_several_channels_report_a_connection_once() {
    let mut w = World::new();
    let (a, b) = (w.open("a"), w.open("b"));
    let members = members(&mut w, a);
    for member in &members {
        w.subscribe(b, *member);
    }
    w.publish(a, "x");
    w.publish(b, "y");
    w.publish_to(&[b, a], "z");
    assert_eq!(w.actions().len(), MANY);
    assert_eq!(w.data(members[4_999]), ["x", "y", "z"]);
}

#[test]
fn d7_a_channel_that_closes_during_its_sweep_still_delivers() {
    let mut w = World::new();
    let a = w.open("a");
    let members = members(&mut w, a);
    w.publish(a, "x");
    let mut actions = poll_actions(&mut w, 1_000);
    w.hub.close_channel(w.now, a);
    actions.extend(w.actions());
    assert_eq!(reported(&actions).len(), MANY);
    assert!(members.iter().all(|member| w.data(*member) == ["x"]));
    assert_eq!(w.hub.stats().channels, 0);
}
