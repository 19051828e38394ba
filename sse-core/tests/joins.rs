//! Late subscriptions that say where the client stands: O6, and the position behind them: O9.
mod common;

use common::{World, history_of, without_position};
use sse_core::{
    ChannelConfig, ChannelId, ConnectionConfig, ConnectionId, GapPolicy, Join, LastEventId, Limits, Position,
    Resume,
};

impl World {
    fn join(&mut self, channel: ChannelId, connection: ConnectionId) -> Resume {
        self.hub.join(self.now, channel, connection, Join::New).unwrap()
    }

    fn join_after(&mut self, id: &str, channel: ChannelId, connection: ConnectionId) -> Resume {
        let id = LastEventId::from(id);
        self.hub.join(self.now, channel, connection, Join::After(&id)).unwrap()
    }
}

/// Returns a connection that has the id `e-<head>`, follows a channel of its own, and has taken a byte.
fn started(w: &mut World) -> ConnectionId {
    let lobby = w.open("lobby");
    w.publish(lobby, "hello");
    let c = w.reconnect(&format!("e-{}", w.hub.head().get() - 1));
    w.subscribe(lobby, c);
    assert_eq!(w.data(c), ["hello"]);
    c
}

#[test]
fn o6_a_new_channel_is_fresh_and_live_without_a_reset() {
    let mut w = World::new();
    let room = w.open("room");
    w.publish(room, "1");
    let c = started(&mut w);
    assert_eq!(w.join(room, c), Resume::Fresh);
    w.publish(room, "3");
    assert_eq!(w.data(c), ["position e-2", "3"]);
    assert_eq!(w.hub.stats().gaps, 0);
}

#[test]
fn o6_after_an_id_the_missed_events_are_replayed_in_order() {
    let mut w = World::new();
    let room = w.open("room");
    let c = started(&mut w);
    let lobby = w.open("lobby");
    w.publish(lobby, "2");
    w.publish(room, "3");
    w.publish(lobby, "4");
    assert_eq!(w.join_after("e-1", room, c), Resume::Replayed { events: 1 });
    w.publish(room, "5");
    assert_eq!(w.data(c), ["2", "3", "4", "position e-4", "5"]);
}

#[test]
fn o6_after_an_id_at_which_nothing_was_missed_it_is_up_to_date() {
    let mut w = World::new();
    let room = w.open("room");
    w.publish(room, "1");
    let c = started(&mut w);
    assert_eq!(w.join_after("e-1", room, c), Resume::UpToDate);
    w.publish(room, "3");
    assert_eq!(w.data(c), ["position e-2", "3"]);
}

#[test]
fn o6_what_was_missed_below_the_position_of_the_connection_is_a_gap() {
    let mut w = World::new();
    let room = w.open("room");
    w.publish_numbers(room, 1..=2);
    let c = started(&mut w);
    assert_eq!(w.join_after("e-1", room, c), Resume::Gap { lost_through: Position::new(3), events: 0 });
    w.publish(room, "4");
    assert_eq!(w.data(c), ["reset e-3", "position e-3", "4"]);
    assert_eq!(w.hub.stats().gaps, 1);
}

#[test]
fn o6_after_an_id_below_the_floor_or_unknown_is_a_gap() {
    for id in ["e-0", "?", "f-1", "e-99"] {
        let mut w = World::new();
        let room = w.open_with_history("room", 1);
        w.publish_numbers(room, 1..=2);
        let c = started(&mut w);
        w.publish(room, "4");
        assert!(matches!(w.join_after(id, room, c), Resume::Gap { .. }), "{id}");
        assert_eq!(w.data(c), ["reset e-3", "position e-4"], "{id}");
    }
}

#[test]
fn o6_an_application_id_is_found_in_the_channel() {
    let mut w = World::new();
    let room = w.open("room");
    let c = started(&mut w);
    for id in ["x", "y"] {
        w.publish_event(room, sse_core::Event::new().id(id).data(id));
    }
    assert_eq!(w.join_after("x", room, c), Resume::Replayed { events: 1 });
    assert_eq!(w.data(c), ["y", "position e-3"]);
}

#[test]
fn o6_a_gap_of_a_channel_without_resets_is_silent() {
    for on_gap in [GapPolicy::Kept, GapPolicy::Live] {
        let mut w = World::new();
        let room = w.open_with("room", ChannelConfig { on_gap, ..ChannelConfig::default() });
        w.publish(room, "1");
        let c = started(&mut w);
        assert!(matches!(w.join_after("?", room, c), Resume::Gap { .. }));
        assert_eq!(w.data(c), ["position e-2"]);
    }
}

#[test]
fn o6_an_event_that_excluded_the_connection_is_not_owed() {
    let mut w = World::new();
    let room = w.open("room");
    let c = started(&mut w);
    let lobby = w.open("lobby");
    w.publish_except(c, room, "2");
    w.publish(lobby, "3");
    assert_eq!(w.data(c), ["3"]);
    assert_eq!(w.join_after("e-1", room, c), Resume::UpToDate);
}

#[test]
fn o6_a_join_before_the_first_byte_ends_the_first_step() {
    let mut w = World::new();
    let (a, room, b) = (w.open("a"), w.open("room"), w.open("b"));
    w.publish_to(&[a, room, b], "1");
    w.publish_to(&[a, room, b], "2");
    let c = w.reconnect("e-1");
    assert_eq!(w.subscribe(a, c), Resume::Replayed { events: 1 });
    assert_eq!(w.join_after("e-2", room, c), Resume::UpToDate);
    assert!(matches!(w.subscribe(b, c), Resume::Gap { .. }), "it is late");
    assert_eq!(w.data(c), ["reset e-1", "2", "position e-2"]);
}

#[test]
fn o6_on_a_connection_without_an_id_a_new_channel_is_an_ordinary_subscription() {
    let mut w = World::new();
    let start = sse_core::StartFrom::All;
    let room = w.open_with("room", ChannelConfig { start, ..ChannelConfig::default() });
    w.publish(room, "1");
    let c = w.connect();
    assert_eq!(w.join(room, c), Resume::Fresh);
    assert_eq!(w.data(c), ["1"]);
}

#[test]
fn o6_at_a_node_that_is_behind_nothing_at_or_below_the_id_of_the_client_comes() {
    let mut w = World::external(0);
    let (a, room) = (w.open("a"), w.open("room"));
    w.publish_at(a, 5);
    let c = w.reconnect("e-8");
    w.subscribe(a, c);
    assert_eq!(w.join(room, c), Resume::Fresh);
    for position in 6..=9 {
        w.publish_at(room, position);
    }
    assert_eq!(w.data(c), ["9"], "the id of the client stands for the channel already");
}

#[test]
fn o6_at_a_node_that_is_behind_an_older_id_is_a_gap() {
    let mut w = World::external(0);
    let (a, room) = (w.open("a"), w.open("room"));
    w.publish_at(a, 2);
    let c = w.reconnect("e-8");
    w.subscribe(a, c);
    assert_eq!(w.join_after("e-2", room, c), Resume::Gap { lost_through: Position::new(8), events: 0 });
    w.publish_at(room, 4);
    w.publish_at(room, 9);
    assert_eq!(w.data(c), ["reset e-8", "9"], "event 4 is covered by the reset");
}

#[test]
fn o9_one_position_stands_for_all_joins_that_it_follows() {
    let mut w = World::new();
    let lobby = w.open("lobby");
    let c = started(&mut w);
    for number in 0..100 {
        w.publish(lobby, "x");
        let room = w.open(&format!("room {number}"));
        w.join(room, c);
        w.hub.unsubscribe(w.now, room, c);
    }
    let data = w.data(c);
    assert_eq!((data.len(), data.last().unwrap().as_str()), (101, "position e-101"), "joins pile up nothing");
}

#[test]
fn o9_the_position_stands_between_what_was_published_before_and_after() {
    let mut w = World::new();
    let (lobby, room) = (w.open("lobby"), w.open("room"));
    let c = started(&mut w);
    w.publish(lobby, "2");
    w.send(c, "before");
    w.join(room, c);
    w.send(c, "after");
    w.publish(lobby, "3");
    assert_eq!(w.data(c), ["2", "before", "position e-2", "after", "3"]);
}

#[test]
fn o9_a_client_that_leaves_behind_the_position_has_no_gap() {
    let mut w = World::new();
    let room = w.open_with("room", ChannelConfig { history: history_of(1), ..ChannelConfig::default() });
    let c = started(&mut w);
    let lobby = w.open("lobby");
    w.publish_numbers(room, 2..=3);
    w.join(room, c);
    assert_eq!(w.data(c), ["position e-3"]);
    w.hub.disconnect(w.now, c);
    let c = w.reconnect("e-3");
    w.subscribe(lobby, c);
    assert_eq!(w.subscribe(room, c), Resume::UpToDate);
}

#[test]
fn o9_after_the_id_of_the_head_the_position_comes_as_well() {
    let mut w = World::new();
    let room = w.open("room");
    w.publish(room, "1");
    let c = w.connect_with(ConnectionConfig::default());
    assert_eq!(w.data(c), ["position e-1"]);
    w.publish_numbers(room, 2..=3);
    assert_eq!(w.join_after("e-3", room, c), Resume::UpToDate);
    assert_eq!(w.data(c), ["position e-3"], "a client that leaves now receives nothing twice");
}

#[test]
fn o9_a_connection_without_positions_receives_none() {
    let mut w = World::new();
    let room = w.open("room");
    let c = w.connect_with(ConnectionConfig { last_event_id: Some("e-0".into()), ..without_position() });
    w.send(c, "x");
    w.data(c);
    w.join(room, c);
    assert_eq!(w.take(c), "");
}

#[test]
fn s2_a_position_needs_no_room_among_the_direct_sends() {
    let mut w = World::new();
    let room = w.open("room");
    let c = started(&mut w);
    for _ in 0..Limits::MAX_DIRECT_FRAMES {
        w.send(c, "x");
    }
    assert_eq!(w.join(room, c), Resume::Fresh);
    assert_eq!(w.data(c).len(), Limits::MAX_DIRECT_FRAMES + 1);
}
