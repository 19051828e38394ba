//! What the simulation found, each as the shortest sequence that shows it.

mod common;

use std::num::NonZeroUsize;

use common::{World, keeping, secs};
use sse_core::{
    BacklogConfig, ChannelConfig, CloseReason, GapPolicy, HubConfig, LagPolicy, OnClose, Position, Resume,
};

/// A channel that keeps one frame for readers that are behind.
fn narrow() -> ChannelConfig {
    let backlog = BacklogConfig { frames: NonZeroUsize::MIN, ..BacklogConfig::default() };
    ChannelConfig { backlog, ..ChannelConfig::default() }
}

fn stalling() -> World {
    World::with(HubConfig { stall_timeout: Some(secs(2)), ..HubConfig::default() })
}

#[test]
fn s1_a_reader_that_goes_on_from_history_keeps_what_the_backlog_still_has() {
    let mut w = World::new();
    let a = w.open_with("a", narrow());
    let c = w.follow(a);
    w.publish_all(a, 1..=3);
    assert_eq!(w.data(c), ["1", "2", "3"]);
}

#[test]
fn k3_who_took_everything_before_the_sweep_is_closed_with_the_channel_too() {
    let mut w = World::new();
    let a =
        w.open_with("a", ChannelConfig { on_close: OnClose::CloseConnections, ..ChannelConfig::default() });
    let c = w.follow(a);
    w.publish(a, "bye");
    w.actions();
    w.hub.close_channel(w.now, a);
    assert_eq!(w.data(c), ["bye"]);
    assert_eq!(w.ends(), [(c, CloseReason::ChannelClosed)]);
}

#[test]
fn t3_a_reader_whose_frames_fell_out_stalls_all_the_same() {
    let mut w = stalling();
    let a = w.open_with("a", narrow());
    let c = w.follow(a);
    let mut ends = Vec::new();
    for second in 0..4 {
        w.publish(a, &second.to_string());
        ends.extend(w.ends());
        ends.extend(common::ends(&w.pass(secs(1))));
    }
    assert_eq!(ends, [(c, CloseReason::Stalled)]);
}

#[test]
fn t3_what_is_older_than_its_subscription_is_due_since_then() {
    let mut w = stalling();
    let a = w.open("a");
    w.publish(a, "old");
    let c = w.connect_after("e-0");
    w.pass(secs(9));
    w.subscribe(a, c);
    w.actions();
    assert_eq!(common::ends(&w.pass(secs(1))), []);
    assert_eq!(common::ends(&w.pass(secs(1))), [(c, CloseReason::Stalled)]);
}

#[test]
fn t3_what_was_given_up_is_not_waited_for() {
    let mut w = stalling();
    let (a, b) = (w.open("a"), w.open("b"));
    w.publish(a, "1");
    w.publish(b, "2");
    let c = w.connect_after("e-0");
    w.subscribe(a, c);
    w.actions();
    w.hub.unsubscribe(w.now, a, c);
    w.pass(secs(9));
    w.subscribe(b, c);
    w.actions();
    assert_eq!(common::ends(&w.pass(secs(1))), []);
    assert_eq!(common::ends(&w.pass(secs(1))), [(c, CloseReason::Stalled)]);
}

#[test]
fn t3_falling_out_gives_a_closing_connection_no_more_time() {
    let mut w = stalling();
    let a = w.open_with("a", ChannelConfig { history: keeping(1), ..narrow() });
    let c = w.follow(a);
    w.publish(a, "1");
    w.take_bytes(c, 3);
    w.publish(a, "2");
    w.hub.close_connection(w.now, c);
    w.publish(a, "3");
    w.pass(secs(1));
    w.take_bytes(c, 1);
    assert_eq!(common::ends(&w.pass(secs(1))), [(c, CloseReason::Stalled)]);
}

#[test]
fn h7_the_reset_for_an_unknown_id_stays_where_the_first_subscription_was_made() {
    let mut w = World::new();
    let a = w.open_with("a", narrow());
    let c = w.connect_after("who knows");
    assert_eq!(w.subscribe(a, c), Resume::Unknown);
    w.publish_all(a, 1..=3);
    assert!(w.take_frame(c).starts_with("id: e-0\nevent: reset\n"));
    assert_eq!(w.data(c), ["1", "2", "3"]);
}

#[test]
fn o3_another_subscription_does_not_forget_what_an_earlier_one_is_owed() {
    let mut w = World::new();
    let (a, b) = (w.open_with("a", narrow()), w.open("b"));
    let c = w.connect_after("who knows");
    w.subscribe(a, c);
    w.publish_all(a, 1..=3);
    w.due(c);
    w.subscribe(b, c);
    assert_eq!(w.data(c), ["reset e-0", "1", "2", "3"]);
}

#[test]
fn o3_what_is_lost_before_the_first_byte_is_told_also_after_another_subscription() {
    let mut w = World::new();
    let skipping = ChannelConfig { history: keeping(1), on_lag: LagPolicy::Skip, ..narrow() };
    let (a, b) = (w.open_with("a", skipping), w.open("b"));
    let c = w.connect();
    w.subscribe(a, c);
    w.publish_all(a, 1..=3);
    w.due(c);
    w.subscribe(b, c);
    assert_eq!(w.take(c), "id: e-2\nevent: reset\ndata: \n\nid: e-3\ndata: 3\n\n");
}

#[test]
fn h7_the_reset_of_a_late_subscription_comes_before_what_is_due_already() {
    let mut w = World::new();
    let (a, b) = (w.open("a"), w.open("b"));
    let c = w.connect_after("e-0");
    w.subscribe(a, c);
    w.send(c, "the first bytes");
    w.take(c);
    w.publish(b, "1");
    w.publish(a, "2");
    w.publish(b, "3");
    assert_eq!(w.subscribe(b, c), Resume::Gap { lost_through: Position::new(3), events: 0 });
    assert_eq!(w.take(c), "id: e-3\nevent: reset\ndata: \n\nid: e-2\ndata: 2\n\n");
}

#[test]
fn o4_a_late_subscription_of_a_client_that_is_ahead_starts_at_its_id() {
    let mut w = World::fed(0);
    let (a, b) = (w.open("a"), w.open("b"));
    w.feed(a, 5);
    let c = w.connect_after("e-8");
    w.subscribe(a, c);
    w.send(c, "the first bytes");
    w.take(c);
    assert_eq!(w.subscribe(b, c), Resume::Gap { lost_through: Position::new(8), events: 0 });
    w.feed(b, 7);
    w.feed(b, 9);
    assert_eq!(w.take(c), "id: e-8\nevent: reset\ndata: \n\nid: e-9\ndata: 9\n\n");
}

#[test]
fn o4_a_client_that_is_ahead_gets_nothing_twice_although_its_id_falls_out() {
    let mut w = World::fed(0);
    let live = ChannelConfig { on_gap: GapPolicy::Live, history: keeping(1), ..ChannelConfig::default() };
    let (a, b) = (w.open_with("a", live), w.open("b"));
    w.feed(a, 5);
    let c = w.connect_after("e-8");
    w.subscribe(a, c);
    for position in 6..=10 {
        w.feed(a, position);
    }
    w.subscribe(b, c);
    assert_eq!(w.data(c), ["9", "10"]);
}

#[test]
fn h7_a_close_flushes_the_reset_for_an_unknown_id() {
    let mut w = World::new();
    let (a, b) = (w.open("a"), w.open_with("b", ChannelConfig { on_gap: GapPolicy::Live, ..narrow() }));
    let c = w.connect_after("who knows");
    w.subscribe(a, c);
    w.subscribe(b, c);
    w.publish(b, "1");
    w.hub.close_connection(w.now, c);
    assert_eq!(w.take(c), "id: e-0\nevent: reset\ndata: \n\nid: e-1\ndata: 1\n\n");
}

#[test]
fn h7_leaving_a_channel_while_closing_keeps_the_resets_of_the_others() {
    let mut w = World::new();
    let b = w.open("b");
    w.publish(b, "1");
    let a = w.open("a");
    let c = w.connect_after("e-0");
    w.subscribe(a, c);
    w.subscribe(b, c);
    w.hub.close_connection(w.now, c);
    w.hub.unsubscribe(w.now, b, c);
    assert_eq!(w.take(c), "id: e-1\nevent: reset\ndata: \n\n");
}

#[test]
fn h7_a_late_subscription_has_no_part_in_what_a_connection_begins_with() {
    let mut w = World::new();
    let history = keeping(1);
    let (on_gap, on_lag) = (GapPolicy::Live, LagPolicy::Skip);
    let a = w.open_with("a", ChannelConfig { on_gap, on_lag, history, ..narrow() });
    let b = w.open("b");
    let c = w.connect_after("who knows");
    assert_eq!(w.subscribe(a, c), Resume::Unknown);
    w.publish_all(a, 1..=3);
    assert_eq!(w.due(c), 29 + 17, "a reset, since the loss was found out, and the third");
    assert_eq!(w.subscribe(b, c), Resume::Gap { lost_through: Position::new(3), events: 0 });
    let resets = "id: e-3\nevent: reset\ndata: \n\nid: e-2\nevent: reset\ndata: \n\n";
    assert_eq!(w.take(c), format!("{resets}id: e-3\ndata: 3\n\n"));
}

#[test]
fn o4_an_event_that_is_not_due_from_one_channel_is_due_from_the_next() {
    let mut w = World::fed(0);
    let (old, other) = (w.open("old"), w.open("other"));
    w.feed(other, 5);
    let new = w.open("new");
    let c = w.connect_after("e-2");
    assert_eq!(w.subscribe(new, c), Resume::Gap { lost_through: Position::new(5), events: 0 });
    w.subscribe(old, c);
    w.take(c);
    for channel in [new, old] {
        w.feed(channel, 5);
        w.actions();
    }
    assert_eq!(w.data(c), ["5"]);
}
