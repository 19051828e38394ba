//! Failures that the simulation found, each reduced to the shortest sequence that shows it.

mod common;

use common::{World, history_of, narrow_backlog, secs};
use sse_core::{ChannelConfig, CloseReason, Event, GapPolicy, HubConfig, LagPolicy, Position, Resume};

fn with_short_stall() -> World {
    World::with(HubConfig { stall_timeout: Some(secs(2)), ..HubConfig::default() })
}

#[test]
fn s1_a_reader_that_continues_from_history_keeps_its_frames_in_the_backlog() {
    let mut w = World::new();
    let a = w.open_with("a", narrow_backlog());
    let c = w.follow(a);
    w.publish_numbers(a, 1..=3);
    assert_eq!(w.data(c), ["1", "2", "3"]);
}

#[test]
fn t3_a_reader_that_fell_out_of_the_backlog_still_stalls() {
    let mut w = with_short_stall();
    let a = w.open_with("a", narrow_backlog());
    let c = w.follow(a);
    let mut ends = Vec::new();
    for second in 0..4 {
        w.publish(a, &second.to_string());
        ends.extend(w.close_reasons());
        ends.extend(common::close_reasons(&w.run_for(secs(1))));
    }
    assert_eq!(ends, [(c, CloseReason::Stalled)]);
}

#[test]
fn t3_an_event_older_than_its_subscription_does_not_count_from_its_publication() {
    let mut w = with_short_stall();
    let a = w.open("a");
    w.publish(a, "old");
    let c = w.reconnect("e-0");
    w.run_for(secs(9));
    w.subscribe(a, c);
    w.actions();
    assert_eq!(common::close_reasons(&w.run_for(secs(1))), []);
    assert_eq!(common::close_reasons(&w.run_for(secs(1))), [(c, CloseReason::Stalled)]);
}

#[test]
fn t3_frames_that_were_given_up_do_not_count() {
    let mut w = with_short_stall();
    let (a, b) = (w.open("a"), w.open("b"));
    w.publish(a, "1");
    w.publish(b, "2");
    let c = w.reconnect("e-0");
    w.subscribe(a, c);
    w.actions();
    w.hub.unsubscribe(w.now, a, c);
    w.run_for(secs(9));
    w.subscribe(b, c);
    w.actions();
    assert_eq!(common::close_reasons(&w.run_for(secs(1))), []);
    assert_eq!(common::close_reasons(&w.run_for(secs(1))), [(c, CloseReason::Stalled)]);
}

#[test]
fn t3_falling_out_of_the_backlog_does_not_extend_the_flush_of_a_close() {
    let mut w = with_short_stall();
    let a = w.open_with("a", ChannelConfig { history: history_of(1), ..narrow_backlog() });
    let c = w.follow(a);
    w.publish(a, "1");
    w.take_bytes(c, 3);
    w.publish(a, "2");
    w.hub.close_connection(w.now, c);
    w.publish(a, "3");
    w.run_for(secs(1));
    w.take_bytes(c, 1);
    assert_eq!(common::close_reasons(&w.run_for(secs(1))), [(c, CloseReason::Stalled)]);
}

#[test]
fn h7_the_reset_for_an_unknown_id_has_the_position_of_the_first_subscription() {
    let mut w = World::new();
    let a = w.open_with("a", narrow_backlog());
    let c = w.reconnect("unknown");
    assert_eq!(w.subscribe(a, c), Resume::Unknown);
    w.publish_numbers(a, 1..=3);
    assert!(w.take_frame(c).starts_with("id: e-0\nevent: reset\n"));
    assert_eq!(w.data(c), ["1", "2", "3"]);
}

#[test]
fn o3_a_second_subscription_keeps_the_pending_events_of_the_first() {
    let mut w = World::new();
    let (a, b) = (w.open_with("a", narrow_backlog()), w.open("b"));
    let c = w.reconnect("unknown");
    w.subscribe(a, c);
    w.publish_numbers(a, 1..=3);
    w.pending_bytes(c);
    w.subscribe(b, c);
    assert_eq!(w.data(c), ["reset e-0", "1", "2", "3"]);
}

#[test]
fn o3_a_loss_before_the_first_byte_keeps_its_reset_after_a_second_subscription() {
    let mut w = World::new();
    let skipping = ChannelConfig { history: history_of(1), on_lag: LagPolicy::Skip, ..narrow_backlog() };
    let (a, b) = (w.open_with("a", skipping), w.open("b"));
    let c = w.connect();
    w.subscribe(a, c);
    w.publish_numbers(a, 1..=3);
    w.pending_bytes(c);
    w.subscribe(b, c);
    assert_eq!(w.take(c), "id: e-2\nevent: reset\ndata: \n\nid: e-3\ndata: 3\n\n");
}

#[test]
fn h7_the_reset_of_a_late_subscription_comes_before_all_pending_events() {
    let mut w = World::new();
    let (a, b) = (w.open("a"), w.open("b"));
    let c = w.reconnect("e-0");
    w.subscribe(a, c);
    w.send(c, "the first bytes");
    w.take(c);
    w.publish(b, "1");
    w.publish(a, "2");
    w.publish(b, "3");
    assert_eq!(w.subscribe(b, c), Resume::Gap { lost_through: Position::new(3), events: 0 });
    assert_eq!(w.data(c), ["reset e-0", "2", "position e-3"]);
}

#[test]
fn o4_a_late_subscription_of_a_client_ahead_of_the_node_starts_at_its_id() {
    let mut w = World::external(0);
    let (a, b) = (w.open("a"), w.open("b"));
    w.publish_at(a, 5);
    let c = w.reconnect("e-8");
    w.subscribe(a, c);
    w.send(c, "the first bytes");
    w.take(c);
    assert_eq!(w.subscribe(b, c), Resume::Gap { lost_through: Position::new(8), events: 0 });
    w.publish_at(b, 7);
    w.publish_at(b, 9);
    assert_eq!(w.take(c), "id: e-8\nevent: reset\ndata: \n\nid: e-9\ndata: 9\n\n");
}

#[test]
fn o4_a_client_ahead_of_the_node_receives_nothing_twice_after_an_eviction() {
    let mut w = World::external(0);
    let live = ChannelConfig { on_gap: GapPolicy::Live, history: history_of(1), ..ChannelConfig::default() };
    let (a, b) = (w.open_with("a", live), w.open("b"));
    w.publish_at(a, 5);
    let c = w.reconnect("e-8");
    w.subscribe(a, c);
    for position in 6..=10 {
        w.publish_at(a, position);
    }
    w.subscribe(b, c);
    assert_eq!(w.data(c), ["9", "10"]);
}

#[test]
fn h7_a_close_flushes_the_reset_for_an_unknown_id() {
    let mut w = World::new();
    let (a, b) =
        (w.open("a"), w.open_with("b", ChannelConfig { on_gap: GapPolicy::Live, ..narrow_backlog() }));
    let c = w.reconnect("unknown");
    w.subscribe(a, c);
    w.subscribe(b, c);
    w.publish(b, "1");
    w.hub.close_connection(w.now, c);
    assert_eq!(w.take(c), "id: e-0\nevent: reset\ndata: \n\nid: e-1\ndata: 1\n\n");
}

#[test]
fn h7_unsubscribing_while_closing_keeps_the_resets_of_other_channels() {
    let mut w = World::new();
    let (a, b) = (w.open_with_history("a", 1), w.open("b"));
    w.publish_numbers(a, 1..=2);
    w.publish(b, "3");
    let c = w.reconnect("e-0");
    w.subscribe(a, c);
    w.subscribe(b, c);
    w.hub.close_connection(w.now, c);
    w.hub.unsubscribe(w.now, b, c);
    assert_eq!(w.data(c), ["reset e-1", "2"]);
}

#[test]
fn h7_a_subscription_after_a_detected_loss_adds_no_reset_for_the_unknown_id() {
    let mut w = World::new();
    let history = history_of(1);
    let (on_gap, on_lag) = (GapPolicy::Live, LagPolicy::Skip);
    let a = w.open_with("a", ChannelConfig { on_gap, on_lag, history, ..narrow_backlog() });
    let b = w.open("b");
    let c = w.reconnect("unknown");
    assert_eq!(w.subscribe(a, c), Resume::Unknown);
    w.publish_numbers(a, 1..=3);
    assert_eq!(w.pending_bytes(c), 29 + 17, "the reset for the detected loss, and the third event");
    assert_eq!(w.subscribe(b, c), Resume::Gap { lost_through: Position::new(3), events: 0 });
    assert_eq!(w.data(c), ["reset e-0", "reset e-2", "3", "position e-3"]);
}

#[test]
fn o4_an_event_below_the_start_in_one_channel_is_delivered_from_another() {
    let mut w = World::external(0);
    let (old, other) = (w.open("old"), w.open("other"));
    w.publish_at(other, 5);
    let new = w.open("new");
    let c = w.reconnect("e-2");
    assert_eq!(w.subscribe(new, c), Resume::Gap { lost_through: Position::new(5), events: 0 });
    w.subscribe(old, c);
    w.take(c);
    for channel in [new, old] {
        w.publish_at(channel, 5);
        w.actions();
    }
    assert_eq!(w.data(c), ["5"]);
}

#[test]
fn o3_an_excluded_event_in_between_takes_nothing_from_a_replay() {
    let mut w = World::new();
    let (a, b, c) = (w.open("a"), w.open("b"), w.open("c"));
    w.publish_numbers(a, 1..=4);
    w.publish_event(c, Event::new().id("x").data("5"));
    w.publish_numbers(a, 6..=7);
    w.publish_event(b, Event::new().id("x").data("8"));
    let client = w.reconnect("x");
    w.subscribe(b, client);
    w.subscribe(a, client);
    w.publish_except(client, a, "9");
    w.actions();
    // The id stands for an older event of this channel: more is owed of the others.
    w.subscribe(c, client);
    w.publish(a, "10");
    assert_eq!(w.data(client), ["6", "7", "8", "10"]);
}

#[test]
fn s1_losses_that_follow_one_another_leave_one_reset() {
    let mut w = World::new();
    let skipping = ChannelConfig { on_lag: LagPolicy::Skip, history: history_of(1), ..narrow_backlog() };
    let (a, b) = (w.open("a"), w.open_with("b", skipping));
    let c = w.follow(a);
    w.subscribe(b, c);
    w.publish(a, "first");
    w.take_bytes(c, 1);
    for number in 2..100 {
        w.publish(b, &number.to_string());
        w.pending_bytes(c);
    }
    let data = w.take(c);
    assert_eq!(data, "d: e-1\ndata: first\n\nid: e-98\nevent: reset\ndata: \n\nid: e-99\ndata: 99\n\n");
}
