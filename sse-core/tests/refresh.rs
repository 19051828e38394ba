//! Ids that stay young: L5.
mod common;

use common::{World, secs, without_position};
use sse_core::{
    Action, ChannelConfig, CloseReason, ConnectionConfig, Event, HubConfig, IdSource, OnClose, Position,
    PositionSource, Resume, StartFrom,
};

/// A hub that follows a log above 40 and keeps clients informed of the position.
fn world() -> World {
    let positions = PositionSource::Log { after: Position::new(40) };
    World::with(HubConfig { positions, refresh_position: true, ..HubConfig::default() })
}

#[test]
fn l5_a_ping_carries_the_head() {
    let mut w = world();
    let a = w.open("a");
    let c = w.connect_with(ConnectionConfig::default());
    w.subscribe(a, c);
    assert_eq!(w.data(c), ["position e-40"]);
    w.hub.advance(w.now, Position::new(60));
    assert_eq!(w.run_for(secs(50)), [Action::Transmit(c)]);
    assert_eq!(w.take(c), "id: e-60\nevent: position\ndata: \n\n");
    assert_eq!(w.run_for(secs(49)), [], "the interval counts from the last byte");
    w.run_for(secs(1));
    assert_eq!(w.data(c), ["position e-60"], "a ping is sent even if nothing is new");
    assert_eq!(w.hub.stats().pings, 2);
}

#[test]
fn l5_a_ping_stands_before_later_events() {
    let mut w = world();
    let a = w.open("a");
    let c = w.connect_with(ConnectionConfig::default());
    w.subscribe(a, c);
    w.take(c);
    w.run_for(secs(50));
    w.publish_at(a, 61);
    assert_eq!(w.data(c), ["position e-40", "61"]);
}

#[test]
fn l5_a_resumption_ends_with_the_head() {
    let mut w = world();
    let a = w.open("a");
    w.publish_at(a, 45);
    w.publish_at(a, 46);
    w.hub.advance(w.now, Position::new(60));
    for (id, expected) in [
        ("e-45", ["46", "position e-60"].as_slice()),
        ("e-46", &["position e-60"]),
        ("e-60", &[]),
        ("e-70", &[]),
    ] {
        let c = w.reconnect(id);
        w.subscribe(a, c);
        assert_eq!(w.data(c), expected, "{id}");
    }
    w.publish_at(a, 61);
    let c = w.reconnect("e-45");
    w.subscribe(a, c);
    assert_eq!(w.data(c), ["46", "61"], "the last event has the id of the head");
}

#[test]
fn l5_the_head_is_that_of_the_last_subscription_of_the_start() {
    let mut w = world();
    let (a, b) = (w.open("a"), w.open("b"));
    let c = w.reconnect("e-40");
    w.hub.advance(w.now, Position::new(50));
    w.subscribe(a, c);
    w.publish_at(a, 55);
    w.hub.advance(w.now, Position::new(60));
    w.subscribe(b, c);
    w.publish_at(b, 61);
    assert_eq!(w.data(c), ["55", "position e-60", "61"]);
}

#[test]
fn l5_a_reset_at_the_head_is_enough() {
    let mut w = world();
    let a = w.open("a");
    for (id, expected) in [("e-30", "reset e-40"), ("other", "reset e-40")] {
        let c = w.reconnect(id);
        w.subscribe(a, c);
        assert_eq!(w.data(c), [expected]);
    }
}

#[test]
fn l5_a_start_with_old_events_ends_with_the_head() {
    let mut w = world();
    let a = w.open_with("a", ChannelConfig { start: StartFrom::Last(1), ..ChannelConfig::default() });
    w.publish_at(a, 45);
    w.hub.advance(w.now, Position::new(60));
    let c = w.connect_with(ConnectionConfig::default());
    w.subscribe(a, c);
    assert_eq!(w.data(c), ["position e-44", "45", "position e-60"]);
}

#[test]
fn l5_a_connection_that_is_closed_with_its_channel_ends_with_the_head() {
    let mut w = world();
    let config = ChannelConfig { on_close: OnClose::CloseConnections, ..ChannelConfig::default() };
    let (a, b) = (w.open_with("a", config), w.open("b"));
    let c = w.connect_with(ConnectionConfig::default());
    w.subscribe(a, c);
    w.subscribe(b, c);
    w.take(c);
    w.publish_at(b, 50);
    w.hub.advance(w.now, Position::new(60));
    w.hub.close_channel(w.now, a);
    w.actions();
    assert_eq!(w.data(c), ["50", "position e-60"]);
    assert_eq!(w.close_reasons(), [(c, CloseReason::ChannelClosed)]);
}

#[test]
fn l5_some_connections_keep_their_ids() {
    let own_ids = ChannelConfig { ids: IdSource::Application, ..ChannelConfig::default() };
    let default = ChannelConfig::default();
    let ahead = ConnectionConfig { last_event_id: Some("e-99".into()), ..ConnectionConfig::default() };
    for (config, connection) in
        [(own_ids, ConnectionConfig::default()), (default.clone(), without_position()), (default, ahead)]
    {
        let mut w = world();
        let a = w.open_with("a", config);
        let c = w.connect_with(connection);
        w.subscribe(a, c);
        w.take(c);
        w.hub.advance(w.now, Position::new(60));
        w.run_for(secs(50));
        assert_eq!(w.take(c), ":\n");
    }
}

#[test]
fn l5_an_id_of_the_application_gives_way_to_the_head() {
    let mut w = world();
    let a = w.open("a");
    let frame = Event::new().id("own").data("x").encode().unwrap();
    let options = sse_core::PublishOptions::default();
    w.hub.publish_at(w.now, &[a], Position::new(41), &frame, options).unwrap();
    let c = w.reconnect("own");
    assert_eq!(w.subscribe(a, c), Resume::UpToDate);
    assert_eq!(w.data(c), ["position e-41"], "another node may not know the id");
}

#[test]
fn l5_is_off_by_default() {
    let mut w = World::log(40);
    let a = w.open("a");
    w.hub.advance(w.now, Position::new(60));
    let c = w.reconnect("e-45");
    w.subscribe(a, c);
    assert_eq!(w.take(c), "");
    w.run_for(secs(50));
    assert_eq!(w.take(c), ":\n");
}
