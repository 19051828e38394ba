//! Order and delivery of a hub that is fed its positions: O4.
mod common;
use common::{World, data_frame};
use sse_core::{Action, ChannelConfig, Event, IdSource, Position, PublishError, Resume};

#[test]
fn o4_fed_positions_are_sparse_and_give_the_ids() {
    let mut w = World::fed(0);
    let a = w.open("a");
    let c = w.follow(a);
    w.feed(a, 10);
    w.feed(a, 1_000);
    assert_eq!(w.take(c), "id: e-10\ndata: 10\n\nid: e-1000\ndata: 1000\n\n");
}

#[test]
fn o4_a_smaller_position_is_ignored_in_all_channels() {
    let mut w = World::fed(0);
    let (a, b) = (w.open("a"), w.open("b"));
    let c = w.follow(a);
    w.subscribe(b, c);
    w.feed(a, 10);
    assert_eq!(w.feed(a, 9).subscriptions, 0);
    assert_eq!(w.feed(b, 9).subscriptions, 0);
    assert_eq!(w.data(c), ["10"]);
    assert_eq!(w.hub.head(), Position::new(10));
}

#[test]
fn o4_a_position_that_the_channel_has_is_ignored() {
    let mut w = World::fed(0);
    let a = w.open("a");
    let c = w.follow(a);
    w.feed(a, 10);
    assert_eq!(w.data(c), ["10"]);
    assert_eq!(w.feed(a, 10).subscriptions, 0);
    assert_eq!(w.data(c), [""; 0]);
    assert_eq!(w.hub.channel_stats(a).unwrap().history_events, 1);
}

#[test]
fn o4_what_is_ignored_or_the_same_event_is_counted_once() {
    let mut w = World::fed(0);
    let (a, b) = (w.open("a"), w.open("b"));
    w.feed(a, 10);
    w.feed(a, 10);
    w.feed(b, 10);
    w.feed(a, 9);
    assert_eq!(w.hub.stats().published, 1);
}

#[test]
fn o4_the_same_position_in_another_channel_reaches_its_readers() {
    let mut w = World::fed(0);
    let (a, b) = (w.open("a"), w.open("b"));
    let both = w.follow(a);
    w.subscribe(b, both);
    let only_b = w.follow(b);
    w.feed(a, 10);
    assert_eq!(w.data(both), ["10"]);
    w.feed(b, 10);
    assert_eq!(w.data(both), [""; 0], "the same event");
    assert_eq!(w.data(only_b), ["10"]);
}

#[test]
fn o4_who_has_an_event_already_holds_nothing_in_the_second_channel() {
    let mut w = World::fed(0);
    let (a, b) = (w.open("a"), w.open("b"));
    let both = w.follow(a);
    w.subscribe(b, both);
    for position in [10, 20, 30] {
        w.feed(a, position);
        assert_eq!(w.data(both).len(), 1);
        w.feed(b, position);
        w.actions();
    }
    assert_eq!(w.backlog(b), (1, 0));
    w.feed(b, 40);
    assert_eq!(w.data(both), ["40"]);
    assert_eq!(w.backlog(b), (1, 0));
    w.hub.disconnect(w.now, both);
    w.feed(b, 50);
    assert_eq!(w.backlog(b), (0, 0));
}

#[test]
fn o4_a_slow_reader_of_the_second_channel_keeps_its_frames_when_others_have_them() {
    let mut w = World::fed(0);
    let (a, b) = (w.open("a"), w.open("b"));
    let both = w.follow(a);
    w.subscribe(b, both);
    w.feed(a, 10);
    w.data(both);
    let slow = w.follow(b);
    w.feed(b, 10);
    w.feed(b, 20);
    assert_eq!(w.data(both), ["20"]);
    assert_eq!(w.backlog(b), (2, 2));
    assert_eq!(w.data(slow), ["10", "20"]);
    assert_eq!(w.backlog(b), (2, 0));
}

#[test]
fn o4_who_joins_at_the_head_still_gets_the_heads_event_of_another_channel() {
    let mut w = World::fed(0);
    let (a, b) = (w.open("a"), w.open("b"));
    w.feed(a, 10);
    let c = w.connect_with(Default::default());
    assert_eq!(w.subscribe(b, c), Resume::Fresh);
    assert_eq!(w.take(c), "id: e-9\n\n", "above it something may come");
    w.feed(b, 10);
    assert_eq!(w.actions(), [Action::Transmit(c)]);
    assert_eq!(w.data(c), ["10"]);
}

#[test]
fn o4_who_has_the_heads_event_does_not_get_it_from_another_channel_on_return() {
    let mut w = World::fed(0);
    let (a, b) = (w.open("a"), w.open("b"));
    w.feed(a, 10);
    let c = w.connect_after("e-10");
    assert_eq!((w.subscribe(a, c), w.subscribe(b, c)), (Resume::UpToDate, Resume::UpToDate));
    w.feed(b, 10);
    w.feed(b, 11);
    assert_eq!(w.data(c), ["11"]);
}

#[test]
fn o4_nothing_is_back_filled_below_the_start() {
    let mut w = World::fed(40);
    let a = w.open("a");
    let c = w.follow(a);
    assert_eq!(w.feed(a, 39).subscriptions, 0);
    assert_eq!(w.feed(a, 40).subscriptions, 0);
    assert_eq!(w.feed(a, 41).subscriptions, 1);
    assert_eq!(w.data(c), ["41"]);
    let old = w.connect_after("e-39");
    assert!(matches!(w.subscribe(a, old), Resume::Gap { lost_through, .. } if lost_through.get() == 40));
}

#[test]
fn o4_a_client_may_come_back_to_any_node() {
    let (mut one, mut two) = (World::fed(0), World::fed(0));
    for w in [&mut one, &mut two] {
        let a = w.open("a");
        for position in [3, 7, 9] {
            w.feed(a, position);
        }
    }
    let mut seen = Vec::new();
    for w in [&mut one, &mut two] {
        let a = w.hub.channel("a").unwrap();
        let c = w.connect_after("e-3");
        assert_eq!(w.subscribe(a, c), Resume::Replayed { events: 2 });
        seen.push(w.take(c));
    }
    assert_eq!(seen[0], "id: e-7\ndata: 7\n\nid: e-9\ndata: 9\n\n");
    assert_eq!(seen[0], seen[1]);
}

#[test]
fn o4_a_client_that_is_ahead_gets_what_is_later() {
    let mut w = World::fed(0);
    let a = w.open("a");
    w.feed(a, 10);
    let c = w.connect_after("e-20");
    assert_eq!(w.subscribe(a, c), Resume::UpToDate);
    w.feed(a, 15);
    w.feed(a, 20);
    w.feed(a, 25);
    assert_eq!(w.take(c), "id: e-25\ndata: 25\n\n");
    assert_eq!(w.backlog(a), (1, 0));
}

#[test]
fn o4_what_a_client_that_is_ahead_has_is_not_kept_for_it() {
    let mut w = World::fed(0);
    let a = w.open("a");
    let c = w.connect_after("e-20");
    w.subscribe(a, c);
    w.feed(a, 15);
    assert_eq!(w.actions(), []);
    assert_eq!(w.backlog(a), (1, 0));
}

#[test]
fn o4_in_a_hub_that_makes_its_positions_an_id_beyond_the_head_is_unknown() {
    let mut w = World::new();
    let a = w.open("a");
    w.publish(a, "1");
    let c = w.connect_after("e-2");
    assert_eq!(w.subscribe(a, c), Resume::Unknown);
}

#[test]
fn o4_a_frame_keeps_the_id_it_has() {
    let mut w = World::fed(0);
    let a = w.open("a");
    let ours = w.open_with("ours", ChannelConfig { ids: IdSource::Application, ..ChannelConfig::default() });
    let with_id = Event::new().id("x").data("1").encode().unwrap();
    let published = w.hub.publish_at(w.now, &[a], Position::new(5), &with_id).unwrap();
    assert_eq!(published.frame, with_id);
    let live = Event::new().data("2").live_only().encode().unwrap();
    assert_eq!(w.hub.publish_at(w.now, &[a], Position::new(6), &live).unwrap().frame.id(), None);
    assert_eq!(w.feed(ours, 7).frame.id(), None);
}

#[test]
fn o4_a_frame_may_carry_the_id_of_its_own_position_only() {
    let mut w = World::fed(0);
    let a = w.open("a");
    let frame = data_frame("x").with_id("e-5").unwrap();
    assert!(w.hub.publish_at(w.now, &[a], Position::new(5), &frame).is_ok());
    let refused = w.hub.publish_at(w.now, &[a], Position::new(6), &frame);
    assert_eq!(refused, Err(PublishError::ReservedId { position: Position::new(5) }));
    assert_eq!(w.hub.head(), Position::new(5));
}

#[test]
fn o4_the_last_position_of_all_is_one_too() {
    let mut w = World::fed(0);
    let a = w.open("a");
    let c = w.follow(a);
    w.feed(a, u64::MAX);
    assert_eq!(w.take(c), format!("id: e-{0}\ndata: {0}\n\n", u64::MAX));
    let back = w.connect_after(&format!("e-{}", u64::MAX));
    assert_eq!(w.subscribe(a, back), Resume::UpToDate);
}
