//! Resumption: H4 to H7.
mod common;
use common::{World, history_of};
use sse_core::{
    Action, ChannelConfig, ChannelId, ConnectionConfig, Event, GapPolicy, LagPolicy, LastEventId, Position,
    Resume, StartFrom,
};

/// Channel `a` has the odd events up to 6 and keeps all of them. Channel `b` has the even ones and keeps only the
/// newest.
fn odd_and_even(w: &mut World) -> (ChannelId, ChannelId) {
    let (a, b) = (w.open("a"), w.open_with_history("b", 1));
    for n in 1..=6 {
        w.publish(if n % 2 == 1 { a } else { b }, &n.to_string());
    }
    (a, b)
}

fn open_with_policy(w: &mut World, name: &str, on_gap: GapPolicy, start: StartFrom) -> ChannelId {
    let config = ChannelConfig { on_gap, start, history: history_of(2), ..ChannelConfig::default() };
    w.open_with(name, config)
}

fn publish_ids(w: &mut World, channel: ChannelId, ids: &[&str]) {
    for id in ids {
        w.publish_event(channel, Event::new().id(*id).data(*id));
    }
}

#[test]
fn h4_a_client_that_reconnects_receives_missed_events_in_order_and_then_live_events() {
    let mut w = World::new();
    let (a, b) = (w.open("a"), w.open("b"));
    for n in 1..=6 {
        w.publish(if n % 2 == 1 { a } else { b }, &n.to_string());
    }
    let c = w.reconnect("e-2");
    assert_eq!(w.subscribe(b, c), Resume::Replayed { events: 2 });
    assert_eq!(w.subscribe(a, c), Resume::Replayed { events: 2 });
    w.publish(a, "7");
    assert_eq!(w.data(c), ["3", "4", "5", "6", "7"]);
    w.publish(b, "8");
    assert_eq!(w.actions(), [Action::Transmit(c)]);
    assert_eq!(w.take(c), "id: e-8\ndata: 8\n\n");
}

#[test]
fn h4_an_id_of_this_epoch_is_its_position_whether_or_not_an_event_has_it() {
    let mut w = World::new();
    let (a, b) = (w.open("a"), w.open("b"));
    w.publish(a, "1");
    w.publish(b, "2");
    w.publish_event(a, Event::new().data("3").live_only());
    w.publish(a, "4");
    for (id, events) in [("e-0", 2), ("e-1", 1), ("e-2", 1), ("e-3", 1)] {
        let c = w.reconnect(id);
        assert_eq!(w.subscribe(a, c), Resume::Replayed { events }, "{id}");
    }
    let c = w.reconnect("e-4");
    assert_eq!(w.subscribe(a, c), Resume::UpToDate);
}

#[test]
fn h4_an_application_id_stands_for_one_position_in_all_channels() {
    let mut w = World::new();
    let (a, b) = (w.open("a"), w.open("b"));
    publish_ids(&mut w, b, &["b1"]);
    publish_ids(&mut w, a, &["a1"]);
    publish_ids(&mut w, b, &["b2"]);
    publish_ids(&mut w, a, &["a2"]);
    let c = w.reconnect("a1");
    w.subscribe(b, c);
    w.subscribe(a, c);
    assert_eq!(w.data(c), ["b2", "a2"]);
}

#[test]
fn h4_an_application_id_is_not_looked_up_in_channels_that_are_not_followed() {
    let mut w = World::new();
    let (a, stranger) = (w.open_with_history("a", 2), w.open("stranger"));
    publish_ids(&mut w, a, &["1", "2", "3", "4", "5", "6", "7", "8", "9"]);
    publish_ids(&mut w, stranger, &["1", "2", "3", "4", "5"]);
    let c = w.reconnect("5");
    assert_eq!(w.subscribe(a, c), Resume::Unknown);
    assert_eq!(w.take(c), "id: e-14\nevent: reset\ndata: \n\n");
}

#[test]
fn h4_an_application_id_is_not_looked_up_after_the_first_byte() {
    let mut w = World::new();
    let (a, b) = (w.open("a"), w.open("b"));
    publish_ids(&mut w, b, &["x", "y"]);
    let c = w.reconnect("x");
    w.subscribe(a, c);
    assert_eq!(w.data(c), ["reset e-2"]);
    assert_eq!(w.subscribe(b, c), Resume::Gap { lost_through: Position::new(2), events: 0 });
    assert_eq!(w.data(c), ["reset e-2", "position e-2"]);
}

#[test]
fn h4_the_smallest_position_of_an_id_counts() {
    for b_first in [false, true] {
        let mut w = World::new();
        let (a, b) = (w.open("a"), w.open("b"));
        publish_ids(&mut w, a, &["x", "a2"]);
        publish_ids(&mut w, b, &["b1", "x", "b3"]);
        let c = w.reconnect("x");
        for channel in if b_first { [b, a] } else { [a, b] } {
            w.subscribe(channel, c);
        }
        assert_eq!(w.data(c), ["a2", "b1", "x", "b3"]);
    }
}

#[test]
fn h5_an_id_below_the_floor_is_a_gap_and_an_id_at_the_floor_is_not() {
    let mut w = World::new();
    let a = w.open_with_history("a", 2);
    w.publish_numbers(a, 1..=4);
    assert_eq!(w.hub.channel_stats(a).unwrap().floor, Position::new(2));
    let c = w.reconnect("e-2");
    assert_eq!(w.subscribe(a, c), Resume::Replayed { events: 2 });
    let c = w.reconnect("e-1");
    assert_eq!(w.subscribe(a, c), Resume::Gap { lost_through: Position::new(2), events: 2 });
}

#[test]
fn h5_live_only_events_do_not_raise_the_floor() {
    let mut w = World::new();
    let a = w.open_with_history("a", 1);
    w.publish(a, "1");
    w.publish_event(a, Event::new().data("2").live_only());
    let c = w.reconnect("e-0");
    assert_eq!(w.subscribe(a, c), Resume::Replayed { events: 1 });
}

#[test]
fn h5_a_name_that_was_never_used_has_lost_nothing() {
    let mut w = World::new();
    let a = w.open("a");
    w.publish_numbers(a, 1..=3);
    let late = w.open("late");
    assert_eq!(w.hub.channel_stats(late).unwrap().floor, Position::ORIGIN);
    let c = w.reconnect("e-1");
    assert_eq!(w.subscribe(late, c), Resume::UpToDate);
    w.publish(late, "4");
    assert_eq!(w.data(c), ["4"]);
}

#[test]
fn h5_the_end_of_a_forgotten_name_counts_for_every_unknown_name() {
    let mut w = World::new();
    for number in 0..=1024 {
        let room = w.open(&format!("room {number}"));
        w.publish(room, "hello");
        w.hub.close_channel(w.now, room);
    }
    let floors = ["never used", "room 0", "room 1", "room 1024"].map(|name| {
        let room = w.open(name);
        w.hub.channel_stats(room).unwrap().floor.get()
    });
    assert_eq!(floors, [1, 1, 2, 1025], "the first room was forgotten");
}

#[test]
fn h5_with_external_positions_the_floor_of_a_new_channel_is_the_head() {
    let mut w = World::external(2);
    let a = w.open("a");
    w.publish_at(a, 5);
    let late = w.open("late");
    assert_eq!(w.hub.channel_stats(late).unwrap().floor, Position::new(5));
}

#[test]
fn h5_a_reopened_channel_reports_a_gap_for_older_ids() {
    let mut w = World::new();
    let a = w.open("a");
    w.publish_numbers(a, 1..=5);
    w.hub.close_channel(w.now, a);
    let a = w.open("a");
    let c = w.reconnect("e-2");
    assert_eq!(w.subscribe(a, c), Resume::Gap { lost_through: Position::new(5), events: 0 });
    w.publish(a, "6");
    assert_eq!(w.take(c), "id: e-5\nevent: reset\ndata: \n\nid: e-6\ndata: 6\n\n");
    let complete = w.reconnect("e-5");
    assert_eq!(w.subscribe(a, complete), Resume::Replayed { events: 1 });
}

#[test]
fn h6_resume_reports_what_a_subscription_found() {
    let mut w = World::new();
    let a = w.open_with_history("a", 2);
    w.publish_numbers(a, 1..=4);
    for (id, expected) in [
        (None, Resume::Fresh),
        (Some("e-4"), Resume::UpToDate),
        (Some("e-3"), Resume::Replayed { events: 1 }),
        (Some("e-0"), Resume::Gap { lost_through: Position::new(2), events: 2 }),
        (Some("?"), Resume::Unknown),
    ] {
        let last_event_id = id.map(LastEventId::from);
        let c = w.connect_with(ConnectionConfig { last_event_id, ..ConnectionConfig::default() });
        assert_eq!(w.subscribe(a, c), expected, "{id:?}");
    }
    assert_eq!(w.hub.stats().gaps, 2);
}

#[test]
fn h6_the_gap_policy_decides_what_follows_a_gap() {
    for (policy, expected) in [
        (GapPolicy::Reset, &["reset e-3", "4", "5", "6"][..]),
        (GapPolicy::Kept, &["4", "5", "6"]),
        (GapPolicy::Live, &["6"]),
    ] {
        let mut w = World::new();
        let a = open_with_policy(&mut w, "a", policy, StartFrom::Live);
        w.publish_numbers(a, 1..=5);
        let c = w.reconnect("e-1");
        let events = if policy == GapPolicy::Live { 0 } else { 2 };
        assert_eq!(w.subscribe(a, c), Resume::Gap { lost_through: Position::new(3), events });
        let mut received = w.data(c);
        w.publish(a, "6");
        received.extend(w.data(c));
        assert_eq!(received, expected, "{policy:?}");
    }
}

#[test]
fn h6_an_unknown_id_never_gives_more_than_a_new_connection_receives() {
    for (policy, start, expected) in [
        (GapPolicy::Reset, StartFrom::Live, &["reset e-5"][..]),
        (GapPolicy::Reset, StartFrom::Last(1), &["reset e-4", "5"]),
        (GapPolicy::Reset, StartFrom::All, &["reset e-3", "4", "5"]),
        (GapPolicy::Live, StartFrom::All, &[]),
        (GapPolicy::Kept, StartFrom::Live, &[]),
        (GapPolicy::Kept, StartFrom::Last(1), &["5"]),
        (GapPolicy::Kept, StartFrom::All, &["4", "5"]),
    ] {
        let mut w = World::new();
        let a = open_with_policy(&mut w, "a", policy, start);
        w.publish_numbers(a, 1..=5);
        let c = w.reconnect("?");
        w.subscribe(a, c);
        assert_eq!(w.data(c), expected, "{policy:?} {start:?}");
    }
}

#[test]
fn h7_the_reset_stands_where_the_loss_ends() {
    let mut w = World::new();
    let (a, b) = odd_and_even(&mut w);
    let c = w.reconnect("e-1");
    assert_eq!(w.subscribe(b, c), Resume::Gap { lost_through: Position::new(4), events: 1 });
    assert_eq!(w.subscribe(a, c), Resume::Replayed { events: 2 });
    assert_eq!(w.data(c), ["3", "reset e-4", "5", "6"]);
}

#[test]
fn h7_a_client_that_disconnects_around_a_reset_loses_nothing_and_gets_no_second_reset() {
    // The client disconnects after each frame in turn and reconnects with its id at that point.
    for frames in 1..=4 {
        let mut w = World::new();
        let (a, b) = odd_and_even(&mut w);
        let mut received = Vec::new();
        let mut id = "e-1".to_owned();
        for take in [frames, 4] {
            let c = w.reconnect(&id);
            w.subscribe(a, c);
            w.subscribe(b, c);
            for _ in 0..take {
                let frame = w.take_frame(c);
                received.extend(common::data(&frame));
                id = common::messages(&frame).pop().map_or(id, |message| message.id);
            }
            w.hub.disconnect(w.now, c);
        }
        assert_eq!(received, ["3", "reset e-4", "5", "6"], "disconnected after {frames} frames");
    }
}

#[test]
fn h7_the_reset_comes_before_an_event_of_its_position() {
    let mut w = World::new();
    let (a, b) = (w.open("a"), w.open_with_history("b", 1));
    w.publish(b, "1");
    w.publish_to(&[a, b], "2");
    w.publish(b, "3");
    let c = w.reconnect("e-0");
    w.subscribe(a, c);
    w.subscribe(b, c);
    assert_eq!(w.take(c), "id: e-1\nevent: reset\ndata: \n\nid: e-2\ndata: 2\n\nid: e-3\ndata: 3\n\n");
}

#[test]
fn h7_a_client_that_leaves_behind_a_reset_loses_no_event_of_its_position() {
    let mut w = World::new();
    let (a, b) = (w.open("a"), w.open_with_history("b", 1));
    w.publish_to(&[a, b], "1");
    w.publish(b, "2");
    let c = w.reconnect("e-0");
    w.subscribe(b, c);
    w.subscribe(a, c);
    assert_eq!(common::data(&w.take_frame(c)), ["reset e-0"]);
    w.hub.disconnect(w.now, c);
    let c = w.reconnect("e-0");
    w.subscribe(b, c);
    w.subscribe(a, c);
    assert_eq!(w.data(c), ["reset e-0", "1", "2"]);
}

#[test]
fn h7_a_reset_takes_the_id_before_when_a_later_loss_leaves_an_event_at_its_position() {
    let mut w = World::new();
    let skipping = |history| ChannelConfig {
        on_lag: LagPolicy::Skip,
        history: history_of(history),
        ..common::narrow_backlog()
    };
    let (a, b) = (w.open_with("a", skipping(1)), w.open_with("b", skipping(9)));
    let c = w.follow(a);
    w.subscribe(b, c);
    w.publish_to(&[a, b], "1");
    w.publish(a, "2");
    w.publish(b, "3");
    // Both lost their place in the backlogs. The history of the second has the event at which the first lost.
    assert_eq!(w.data(c), ["reset e-0", "1", "2", "3"]);
}

#[test]
fn h7_losses_share_a_reset_only_if_they_end_at_one_position() {
    let mut w = World::new();
    let (a, b) = (w.open_with_history("a", 1), w.open_with_history("b", 1));
    for n in 1..=6 {
        w.publish(if n % 2 == 1 { a } else { b }, &n.to_string());
    }
    let c = w.reconnect("e-0");
    w.subscribe(a, c);
    w.subscribe(b, c);
    assert_eq!(w.data(c), ["reset e-3", "reset e-4", "5", "6"]);
    w.publish_to(&[a, b], "7");
    w.publish_to(&[a, b], "8");
    let c = w.reconnect("e-0");
    w.subscribe(a, c);
    w.subscribe(b, c);
    assert_eq!(w.data(c), ["reset e-7", "8"]);
}

#[test]
fn h7_an_unknown_id_gives_one_reset_before_everything_else() {
    let mut w = World::new();
    let (a, b) = (w.open("a"), w.open("b"));
    w.publish_numbers(a, 1..=3);
    let c = w.reconnect("?");
    w.send(c, "direct");
    w.subscribe(a, c);
    w.publish(a, "4");
    w.subscribe(b, c);
    w.publish(b, "5");
    assert_eq!(w.take_frame(c), "id: e-3\nevent: reset\ndata: \n\n");
    assert_eq!(w.data(c), ["direct", "4", "5"]);
}

#[test]
fn h7_nothing_above_a_loss_is_sent_before_its_reset_or_the_end() {
    let mut w = World::new();
    let narrow = ChannelConfig { history: history_of(1), ..common::narrow_backlog() };
    let (a, b) = (w.open("a"), w.open_with("b", narrow));
    w.publish(a, "1");
    w.publish(b, "2");
    let c = w.reconnect("e-0");
    w.subscribe(a, c);
    w.subscribe(b, c);
    assert_eq!(w.take_frame(c), "id: e-1\ndata: 1\n\n");
    w.publish(a, "3");
    // Event 2, which is pending, leaves history, and then the one frame that is retained.
    w.publish_numbers(b, 4..=5);
    assert_eq!(w.take(c), "");
    assert_eq!(w.close_reasons(), [(c, sse_core::CloseReason::Lagged)]);
}
