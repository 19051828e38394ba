//! Order and delivery: O1 to O5. Hubs with external positions (O4) are in external_positions.rs.
mod common;
use std::time::Duration;

use common::{World, data_frame, without_position};
use sse_core::{
    Action, ChannelConfig, ConnectionConfig, Event, GapPolicy, Position, PublishError, PublishOptions,
    Resume, StartFrom,
};

#[test]
fn o1_positions_are_one_order_over_all_channels() {
    let mut w = World::new();
    let (a, b) = (w.open("a"), w.open("b"));
    let positions: Vec<u64> = [a, b, b, a].map(|channel| w.publish(channel, "x").position.get()).to_vec();
    assert_eq!(positions, [1, 2, 3, 4]);
    assert_eq!(w.hub.head(), Position::new(4));
}

#[test]
fn o1_a_connection_receives_the_events_of_all_its_channels_in_order() {
    let mut w = World::new();
    let (a, b, other) = (w.open("a"), w.open("b"), w.open("other"));
    let c = w.follow(b);
    w.subscribe(a, c);
    for (channel, data) in [(a, "1"), (b, "2"), (other, "3"), (a, "4"), (b, "5")] {
        w.publish(channel, data);
    }
    assert_eq!(w.data(c), ["1", "2", "4", "5"]);
}

#[test]
fn o1_a_direct_send_comes_behind_the_head_at_the_call() {
    let mut w = World::new();
    let a = w.open("a");
    let c = w.follow(a);
    w.send(c, "first");
    w.publish(a, "1");
    w.send(c, "between");
    w.send(c, "between too");
    w.publish(a, "2");
    w.send(c, "last");
    assert_eq!(w.data(c), ["first", "1", "between", "between too", "2", "last"]);
}

#[test]
fn o1_a_direct_send_comes_behind_the_replay_of_earlier_events() {
    let mut w = World::new();
    let a = w.open("a");
    w.publish_numbers(a, 1..=2);
    let c = w.reconnect("e-0");
    w.send(c, "direct");
    w.publish(a, "3");
    w.subscribe(a, c);
    assert_eq!(w.data(c), ["1", "2", "direct", "3"]);
}

#[test]
fn o1_direct_sends_retry_frames_and_pings_take_no_position() {
    let mut w = World::new();
    let a = w.open("a");
    let c = w.follow(a);
    w.send(c, "direct");
    let retry = Event::new().retry(Duration::from_secs(3)).encode().unwrap();
    w.hub.send(w.now, c, &retry).unwrap();
    assert_eq!(w.take(c), "data: direct\n\nretry: 3000\n\n");
    w.run_until_action();
    assert_eq!(w.take(c), ":\n");
    assert_eq!(w.publish(a, "1").position, Position::new(1));
}

#[test]
fn o1_the_id_of_a_direct_send_is_unknown_after_a_reconnect() {
    let mut w = World::new();
    let a = w.open("a");
    let c = w.follow(a);
    let direct = Event::new().id("d-1").data("direct").encode().unwrap();
    w.hub.send(w.now, c, &direct).unwrap();
    assert_eq!(w.take(c), "id: d-1\ndata: direct\n\n");
    let back = w.reconnect("d-1");
    assert_eq!(w.subscribe(a, back), Resume::Unknown);
}

#[test]
fn o1_the_id_of_a_direct_send_in_the_form_of_the_hub_stands_for_that_position() {
    let mut w = World::new();
    let a = w.open("a");
    w.publish_numbers(a, 1..=3);
    let c = w.connect();
    let direct = Event::new().id("e-2").data("direct").encode().unwrap();
    w.hub.send(w.now, c, &direct).unwrap();
    assert_eq!(w.take(c), "id: e-2\ndata: direct\n\n");
    let back = w.reconnect("e-2");
    assert_eq!(w.subscribe(a, back), Resume::Replayed { events: 1 });
}

#[test]
fn o2_an_event_of_several_channels_reaches_a_connection_once() {
    let mut w = World::new();
    let (a, b, d) = (w.open("a"), w.open("b"), w.open("d"));
    let both = w.follow(a);
    w.subscribe(b, both);
    let one = w.follow(d);
    assert_eq!(w.publish_to(&[a, b, d], "x").subscriptions, 3);
    assert_eq!(w.take(both), "id: e-1\ndata: x\n\n");
    assert_eq!(w.take(one), "id: e-1\ndata: x\n\n");
}

#[test]
fn o2_an_event_of_several_channels_is_replayed_once() {
    let mut w = World::new();
    let (a, b) = (w.open("a"), w.open("b"));
    w.publish_to(&[a, b], "1");
    w.publish_to(&[b, a], "2");
    let c = w.reconnect("e-0");
    w.subscribe(a, c);
    w.publish_to(&[a, b], "3");
    w.subscribe(b, c);
    assert_eq!(w.data(c), ["1", "2", "3"]);
    assert_eq!((w.backlog(a), w.backlog(b)), ((1, 0), (1, 0)));
}

#[test]
fn o2_a_channel_listed_twice_receives_the_event_once() {
    let mut w = World::new();
    let a = w.open("a");
    let c = w.follow(a);
    assert_eq!(w.publish_to(&[a, a], "x").subscriptions, 1);
    assert_eq!(w.data(c), ["x"]);
    assert_eq!(w.hub.channel_stats(a).unwrap().history_events, 1);
}

#[test]
fn o2_an_event_is_published_to_all_channels_or_to_none() {
    let mut w = World::new();
    let (a, b) = (w.open("a"), w.open("b"));
    w.hub.close_channel(w.now, b);
    let refused = w.hub.publish_to(w.now, &[a, b], &Event::new().data("x"), PublishOptions::default());
    assert_eq!(refused, Err(PublishError::UnknownChannel(b)));
    assert_eq!((w.hub.channel_stats(a).unwrap().history_events, w.hub.head()), (0, Position::ORIGIN));
}

#[test]
fn o2_a_publication_to_no_channel_is_refused() {
    let mut w = World::new();
    let refused = w.hub.publish_to(w.now, &[], &Event::new().data("x"), PublishOptions::default());
    assert_eq!(refused, Err(PublishError::NoChannel));
    assert_eq!(w.hub.head(), Position::ORIGIN);
}

#[test]
fn o3_subscriptions_before_the_first_byte_resume_together() {
    let mut w = World::new();
    let (a, b) = (w.open("a"), w.open("b"));
    w.publish_to(&[a], "1");
    w.publish_to(&[b], "2");
    let c = w.reconnect("e-0");
    w.publish(a, "3");
    assert_eq!(w.subscribe(a, c), Resume::Replayed { events: 2 });
    w.publish(b, "4");
    w.publish(a, "5");
    // Reading the window takes nothing.
    assert!(w.pending_bytes(c) > 0);
    assert_eq!(w.subscribe(b, c), Resume::Replayed { events: 2 });
    w.publish(b, "6");
    assert_eq!(w.data(c), ["1", "2", "3", "4", "5", "6"]);
}

#[test]
fn o3_a_second_subscription_can_resolve_the_id_for_the_first() {
    let mut w = World::new();
    let (a, b) = (w.open("a"), w.open("b"));
    w.publish_event(b, Event::new().id("x").data("1"));
    w.publish(a, "2");
    let c = w.reconnect("x");
    assert_eq!(w.subscribe(a, c), Resume::Unknown);
    assert_eq!(w.subscribe(b, c), Resume::UpToDate);
    assert_eq!(w.data(c), ["2"], "the missed event of the first channel, without a reset");
}

#[test]
fn o3_a_late_subscription_without_an_id_is_fresh_and_live() {
    let mut w = World::new();
    let a = w.open("a");
    let b = w.open_with("b", ChannelConfig { start: StartFrom::All, ..ChannelConfig::default() });
    let c = w.follow(a);
    w.publish(b, "old");
    w.publish(a, "1");
    assert_eq!(w.take_bytes(c, 1), "i");
    assert_eq!(w.subscribe(b, c), Resume::Fresh);
    w.publish(b, "2");
    assert_eq!(w.take(c), "d: e-2\ndata: 1\n\nid: e-3\ndata: 2\n\n");
}

#[test]
fn o3_a_late_subscription_with_an_id_is_a_gap_with_a_reset() {
    let mut w = World::new();
    let (a, b) = (w.open("a"), w.open("b"));
    w.publish(b, "1");
    w.publish(a, "2");
    let c = w.reconnect("e-0");
    w.subscribe(a, c);
    assert_eq!(w.data(c), ["2"]);
    w.publish(a, "3");
    assert_eq!(w.subscribe(b, c), Resume::Gap { lost_through: Position::new(3), events: 0 });
    w.publish(b, "4");
    assert_eq!(w.data(c), ["reset e-2", "3", "position e-3", "4"], "the id never goes back");
}

#[test]
fn o3_a_late_subscription_to_a_channel_without_the_reset_policy_has_no_reset() {
    let mut w = World::new();
    let a = w.open("a");
    let b = w.open_with("b", ChannelConfig { on_gap: GapPolicy::Kept, ..ChannelConfig::default() });
    w.publish(b, "1");
    w.publish(a, "2");
    let c = w.reconnect("e-0");
    w.subscribe(a, c);
    w.data(c);
    assert!(matches!(w.subscribe(b, c), Resume::Gap { .. }));
    assert_eq!(w.data(c), ["position e-2"]);
}

#[test]
fn o3_a_closed_channel_is_not_left_before_the_first_byte() {
    let mut w = World::new();
    let (former, b) = (w.open("a"), w.open("b"));
    w.publish_event(b, Event::new().id("x").data("1"));
    w.publish(former, "2");
    w.publish_event(former, Event::new().id("x").data("3"));
    let c = w.reconnect("x");
    w.subscribe(former, c);
    w.hub.close_channel(w.now, former);
    w.actions();
    // The id stands for an older event of this channel: what the closed channel has above is owed again.
    w.subscribe(b, c);
    assert_eq!(w.data(c), ["2", "3"]);
    w.actions();
    assert_eq!(w.hub.stats().channels, 1, "the closed channel is gone");
}

#[test]
fn o3_subscribing_twice_is_up_to_date_and_delivers_nothing_twice() {
    let mut w = World::new();
    let a = w.open("a");
    w.publish(a, "1");
    let c = w.reconnect("e-0");
    w.subscribe(a, c);
    assert_eq!(w.subscribe(a, c), Resume::UpToDate);
    assert_eq!(w.hub.members(a).count(), 1);
    w.publish(a, "2");
    assert_eq!(w.data(c), ["1", "2"]);
}

#[test]
fn o3_subscribing_again_after_unsubscribing_starts_live() {
    let mut w = World::new();
    let a = w.open("a");
    let c = w.follow(a);
    w.publish(a, "1");
    assert_eq!(w.data(c), ["1"]);
    assert!(w.hub.unsubscribe(w.now, a, c));
    assert!(!w.hub.unsubscribe(w.now, a, c));
    w.publish(a, "2");
    assert_eq!(w.subscribe(a, c), Resume::Fresh);
    w.publish(a, "3");
    assert_eq!(w.data(c), ["3"]);
}

#[test]
fn o5_a_publication_can_exclude_one_connection() {
    let mut w = World::new();
    let (a, b) = (w.open("a"), w.open("b"));
    let (sender, other) = (w.follow(a), w.follow(a));
    w.subscribe(b, sender);
    let options = PublishOptions { except: Some(sender.into()) };
    w.hub.publish_to(w.now, &[a, b], &Event::new().data("1"), options).unwrap();
    w.publish(a, "2");
    assert_eq!(w.data(sender), ["2"]);
    assert_eq!(w.data(other), ["1", "2"]);
}

#[test]
fn o5_nothing_is_reported_or_kept_for_the_excluded_connection() {
    let mut w = World::new();
    let a = w.open("a");
    let sender = w.follow(a);
    w.publish_except(sender, a, "1");
    assert_eq!(w.actions(), []);
    assert_eq!(w.backlog(a), (1, 0));
}

#[test]
fn o5_an_excluded_event_is_part_of_the_replay_after_a_reconnect() {
    let mut w = World::new();
    let a = w.open("a");
    let sender = w.follow(a);
    w.publish_except(sender, a, "1");
    w.hub.disconnect(w.now, sender);
    let back = w.reconnect("e-0");
    w.subscribe(a, back);
    assert_eq!(w.data(back), ["1"]);
}

#[test]
fn o5_excluding_a_connection_before_its_first_byte_affects_no_other() {
    let mut w = World::new();
    let (a, b) = (w.open("a"), w.open("b"));
    let (slow, sender) = (w.follow(a), w.follow(a));
    w.publish_except(sender, a, "1");
    w.actions();
    w.subscribe(b, sender);
    w.publish(a, "2");
    assert_eq!(w.data(sender), ["2"]);
    assert_eq!(w.data(slow), ["1", "2"]);
    assert_eq!(w.backlog(a), (2, 0));
}

#[test]
fn o5_members_are_listed_and_can_be_sent_to() {
    let mut w = World::new();
    let a = w.open("a");
    let all = [w.follow(a), w.follow(a), w.follow(a)];
    let _elsewhere = w.connect_with(ConnectionConfig { ping: None, ..without_position() });
    let mut members: Vec<_> = w.hub.members(a).collect();
    members.sort_unstable();
    assert_eq!(members, all);
    for member in members.into_iter().skip(1) {
        w.send(member, "you");
    }
    assert_eq!(w.actions(), [Action::Transmit(all[1]), Action::Transmit(all[2])]);
}

#[test]
fn o4_a_hub_assigns_positions_or_receives_them() {
    let mut local = World::new();
    let a = local.open("a");
    let at =
        local.hub.publish_at(local.now, &[a], Position::new(1), &data_frame("x"), PublishOptions::default());
    assert_eq!(at, Err(PublishError::PositionsAreLocal));
    let mut external = World::external(0);
    let a = external.open("a");
    assert_eq!(
        external.hub.publish(external.now, a, &Event::new().data("x")),
        Err(PublishError::PositionsAreExternal)
    );
    assert_eq!((local.hub.head(), external.hub.head()), (Position::ORIGIN, Position::ORIGIN));
}
