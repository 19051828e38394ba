//! Order and delivery in a hub with external positions: O4.
mod common;
use std::num::NonZeroUsize;

use common::{World, data_frame};
use sse_core::{
    Action, BacklogConfig, ChannelConfig, Event, IdSource, Position, PublishError, PublishOptions, Resume,
    StartFrom,
};

#[test]
fn o4_received_positions_may_have_gaps_and_become_the_ids() {
    let mut w = World::external(0);
    let a = w.open("a");
    let c = w.follow(a);
    w.publish_at(a, 10);
    w.publish_at(a, 1_000);
    assert_eq!(w.take(c), "id: e-10\ndata: 10\n\nid: e-1000\ndata: 1000\n\n");
}

#[test]
fn o4_a_position_below_the_head_is_ignored_in_all_channels() {
    let mut w = World::external(0);
    let (a, b) = (w.open("a"), w.open("b"));
    let c = w.follow(a);
    w.subscribe(b, c);
    w.publish_at(a, 10);
    assert_eq!(w.publish_at(a, 9).subscriptions, 0);
    assert_eq!(w.publish_at(b, 9).subscriptions, 0);
    assert_eq!(w.data(c), ["10"]);
    assert_eq!(w.hub.head(), Position::new(10));
}

#[test]
fn o4_a_position_that_the_channel_already_holds_is_ignored() {
    let mut w = World::external(0);
    let a = w.open("a");
    let c = w.follow(a);
    w.publish_at(a, 10);
    assert_eq!(w.data(c), ["10"]);
    assert_eq!(w.publish_at(a, 10).subscriptions, 0);
    assert_eq!(w.data(c), [""; 0]);
    assert_eq!(w.hub.channel_stats(a).unwrap().history_events, 1);
}

#[test]
fn o4_a_repeated_or_ignored_position_is_not_counted_again() {
    let mut w = World::external(0);
    let (a, b) = (w.open("a"), w.open("b"));
    w.publish_at(a, 10);
    w.publish_at(a, 10);
    w.publish_at(b, 10);
    w.publish_at(a, 9);
    assert_eq!(w.hub.stats().published, 1);
}

#[test]
fn o4_the_position_of_the_head_in_another_channel_is_the_same_event() {
    let mut w = World::external(0);
    let (a, b) = (w.open("a"), w.open("b"));
    let both = w.follow(a);
    w.subscribe(b, both);
    let only_b = w.follow(b);
    w.publish_at(a, 10);
    assert_eq!(w.data(both), ["10"]);
    w.publish_at(b, 10);
    assert_eq!(w.data(both), [""; 0], "the same event");
    assert_eq!(w.data(only_b), ["10"]);
}

#[test]
fn o4_a_second_channel_keeps_no_frame_for_a_reader_that_has_the_event() {
    let mut w = World::external(0);
    let (a, b) = (w.open("a"), w.open("b"));
    let both = w.follow(a);
    w.subscribe(b, both);
    for position in [10, 20, 30] {
        w.publish_at(a, position);
        assert_eq!(w.data(both).len(), 1);
        w.publish_at(b, position);
        w.actions();
    }
    assert_eq!(w.backlog(b), (1, 0));
    w.publish_at(b, 40);
    assert_eq!(w.data(both), ["40"]);
    assert_eq!(w.backlog(b), (1, 0));
    w.hub.disconnect(w.now, both);
    w.publish_at(b, 50);
    assert_eq!(w.backlog(b), (0, 0));
}

#[test]
fn o4_a_second_channel_keeps_its_frames_for_a_slow_reader() {
    let mut w = World::external(0);
    let (a, b) = (w.open("a"), w.open("b"));
    let both = w.follow(a);
    w.subscribe(b, both);
    w.publish_at(a, 10);
    w.data(both);
    let slow = w.follow(b);
    w.publish_at(b, 10);
    w.publish_at(b, 20);
    assert_eq!(w.data(both), ["20"]);
    assert_eq!(w.backlog(b), (2, 2));
    assert_eq!(w.data(slow), ["10", "20"]);
    assert_eq!(w.backlog(b), (2, 0));
}

#[test]
fn o4_a_new_reader_receives_the_event_of_the_head_from_a_second_channel() {
    let mut w = World::external(0);
    let (a, b) = (w.open("a"), w.open("b"));
    w.publish_at(a, 10);
    let c = w.connect_with(Default::default());
    assert_eq!(w.subscribe(b, c), Resume::Fresh);
    assert_eq!(
        w.take(c),
        "id: e-9\nevent: position\ndata: \n\n",
        "the position below the head, which may have further events"
    );
    w.publish_at(b, 10);
    assert_eq!(w.actions(), [Action::Transmit(c)]);
    assert_eq!(w.data(c), ["10"]);
}

#[test]
fn o4_a_new_subscription_starts_at_the_head_if_its_channel_has_that_event() {
    let mut w = World::external(0);
    let (a, b) = (w.open("a"), w.open("b"));
    w.publish_at(a, 10);
    for (channels, position) in [(&[a][..], 10), (&[b], 9), (&[a, b], 9), (&[], 9)] {
        let c = w.connect_with(Default::default());
        for channel in channels {
            w.subscribe(*channel, c);
        }
        assert_eq!(w.take(c), format!("id: e-{position}\nevent: position\ndata: \n\n"), "{channels:?}");
    }
}

#[test]
fn h7_the_reset_for_an_unknown_id_is_below_the_head_if_its_event_can_still_arrive() {
    let mut w = World::external(0);
    let (a, b) = (w.open("a"), w.open("b"));
    w.publish_at(a, 10);
    for (channel, position) in [(a, 10), (b, 9)] {
        let c = w.reconnect("?");
        assert_eq!(w.subscribe(channel, c), Resume::Unknown);
        assert_eq!(w.data(c), [format!("reset e-{position}")]);
    }
}

#[test]
fn h5_an_event_of_the_head_is_kept_in_a_new_channel_although_it_is_at_the_floor() {
    let mut w = World::external(0);
    let a = w.open("a");
    w.publish_at(a, 10);
    let narrow = BacklogConfig { frames: NonZeroUsize::MIN, ..BacklogConfig::default() };
    let config = ChannelConfig { backlog: narrow, start: StartFrom::All, ..ChannelConfig::default() };
    let new = w.open_with("new", config);
    let reader = w.follow(new);
    w.publish_at(new, 10);
    w.publish_at(new, 11);
    let stats = w.hub.channel_stats(new).unwrap();
    assert_eq!((stats.history_events, stats.floor), (2, Position::new(10)));
    assert_eq!(w.data(reader), ["10", "11"], "a reader that fell out of the backlog");
    let c = w.reconnect("e-9");
    assert_eq!(w.subscribe(new, c), Resume::Gap { lost_through: Position::new(10), events: 1 });
    assert_eq!(w.data(c), ["reset e-10", "11"]);
    let fresh = w.follow(new);
    assert_eq!(w.data(fresh), ["11"]);
}

#[test]
fn o4_a_client_that_resumes_at_the_head_does_not_receive_its_event_again() {
    let mut w = World::external(0);
    let (a, b) = (w.open("a"), w.open("b"));
    w.publish_at(a, 10);
    let c = w.reconnect("e-10");
    assert_eq!((w.subscribe(a, c), w.subscribe(b, c)), (Resume::UpToDate, Resume::UpToDate));
    w.publish_at(b, 10);
    w.publish_at(b, 11);
    assert_eq!(w.data(c), ["11"]);
}

#[test]
fn o4_nothing_is_published_or_replayed_up_to_the_starting_position() {
    let mut w = World::external(40);
    let a = w.open("a");
    let c = w.follow(a);
    assert_eq!(w.publish_at(a, 39).subscriptions, 0);
    assert_eq!(w.publish_at(a, 40).subscriptions, 0);
    assert_eq!(w.publish_at(a, 41).subscriptions, 1);
    assert_eq!(w.data(c), ["41"]);
    let old = w.reconnect("e-39");
    assert!(matches!(w.subscribe(a, old), Resume::Gap { lost_through, .. } if lost_through.get() == 40));
}

#[test]
fn o4_a_client_can_resume_at_any_node() {
    let (mut one, mut two) = (World::external(0), World::external(0));
    for w in [&mut one, &mut two] {
        let a = w.open("a");
        for position in [3, 7, 9] {
            w.publish_at(a, position);
        }
    }
    let mut received = Vec::new();
    for w in [&mut one, &mut two] {
        let a = w.hub.channel("a").unwrap();
        let c = w.reconnect("e-3");
        assert_eq!(w.subscribe(a, c), Resume::Replayed { events: 2 });
        received.push(w.take(c));
    }
    assert_eq!(received[0], "id: e-7\ndata: 7\n\nid: e-9\ndata: 9\n\n");
    assert_eq!(received[0], received[1]);
}

#[test]
fn o4_a_client_ahead_of_the_node_receives_only_events_above_its_id() {
    let mut w = World::external(0);
    let a = w.open("a");
    w.publish_at(a, 10);
    let c = w.reconnect("e-20");
    assert_eq!(w.subscribe(a, c), Resume::UpToDate);
    w.publish_at(a, 15);
    w.publish_at(a, 20);
    w.publish_at(a, 25);
    assert_eq!(w.take(c), "id: e-25\ndata: 25\n\n");
    assert_eq!(w.backlog(a), (1, 0));
}

#[test]
fn o4_no_frame_is_kept_for_a_client_that_is_ahead_of_it() {
    let mut w = World::external(0);
    let a = w.open("a");
    let c = w.reconnect("e-20");
    w.subscribe(a, c);
    w.publish_at(a, 15);
    assert_eq!(w.actions(), []);
    assert_eq!(w.backlog(a), (1, 0));
}

#[test]
fn o4_an_id_beyond_the_head_is_unknown_in_a_hub_that_assigns_positions() {
    let mut w = World::new();
    let a = w.open("a");
    w.publish(a, "1");
    let c = w.reconnect("e-2");
    assert_eq!(w.subscribe(a, c), Resume::Unknown);
}

#[test]
fn o4_a_frame_with_an_id_keeps_it() {
    let mut w = World::external(0);
    let a = w.open("a");
    let ours = w.open_with("ours", ChannelConfig { ids: IdSource::Application, ..ChannelConfig::default() });
    let with_id = Event::new().id("x").data("1").encode().unwrap();
    let published =
        w.hub.publish_at(w.now, &[a], Position::new(5), &with_id, PublishOptions::default()).unwrap();
    assert_eq!(published.frame, with_id);
    let live = Event::new().data("2").live_only().encode().unwrap();
    assert_eq!(
        w.hub.publish_at(w.now, &[a], Position::new(6), &live, PublishOptions::default()).unwrap().frame.id(),
        None
    );
    assert_eq!(w.publish_at(ours, 7).frame.id(), None);
}

#[test]
fn o4_a_frame_with_the_id_of_another_position_is_refused() {
    let mut w = World::external(0);
    let a = w.open("a");
    let frame = data_frame("x").with_id("e-5").unwrap();
    assert!(w.hub.publish_at(w.now, &[a], Position::new(5), &frame, PublishOptions::default()).is_ok());
    let refused = w.hub.publish_at(w.now, &[a], Position::new(6), &frame, PublishOptions::default());
    assert_eq!(refused, Err(PublishError::ReservedId { position: Position::new(5) }));
    assert_eq!(w.hub.head(), Position::new(5));
}

#[test]
fn o4_the_largest_position_can_be_used() {
    let mut w = World::external(0);
    let a = w.open("a");
    let c = w.follow(a);
    w.publish_at(a, u64::MAX);
    assert_eq!(w.take(c), format!("id: e-{0}\ndata: {0}\n\n", u64::MAX));
    let back = w.reconnect(&format!("e-{}", u64::MAX));
    assert_eq!(w.subscribe(a, back), Resume::UpToDate);
}
