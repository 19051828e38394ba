//! The driver contract: D1 to D6 and D8. D7 is in sweeps.rs, D9 in windows.rs and claims.rs.
mod common;
use bytes::Buf;
use common::{World, data_frame, secs, without_position};
use sse_core::{
    Action, CloseReason, ConnectionConfig, Event, Instant, PublishError, PublishOptions, SendError,
    SubscribeError, Transmit,
};

#[test]
fn d1_nothing_has_to_be_drained_before_the_next_call() {
    let mut w = World::new();
    let a = w.open("a");
    let c = w.follow(a);
    w.publish(a, "1");
    assert_eq!(w.data(c), ["1"], "taken before the report");
    w.publish(a, "2");
    w.hub.handle_timeout(w.now);
    w.hub.close_channel(w.now, a);
    let again = w.open("a");
    w.hub.close_connection(w.now, c);
    w.hub.close_channel(w.now, again);
    assert_eq!(w.data(c), ["2"]);
    assert_eq!(w.close_reasons(), [(c, CloseReason::Requested)]);
}

#[test]
fn d2_poll_timeout_is_not_in_the_future_while_work_is_pending() {
    let mut w = World::new();
    let a = w.open("a");
    let c = w.follow(a);
    w.actions();
    w.run_for(secs(1));
    let is_pending = |w: &World| w.hub.poll_timeout().is_some_and(|at| at <= w.now);
    assert!(!is_pending(&w));
    w.publish(a, "1");
    assert!(is_pending(&w), "a sweep");
    w.actions();
    assert!(!is_pending(&w), "reported bytes are the responsibility of the driver");
    w.take(c);
    w.send(c, "x");
    assert!(is_pending(&w), "a direct send");
    w.actions();
    w.take(c);
    w.hub.close_connection(w.now, c);
    assert!(is_pending(&w), "the end of the connection");
    w.actions();
    assert_eq!(w.hub.poll_timeout(), None);
}

#[test]
fn d2_a_stalled_peer_does_not_keep_the_driver_awake() {
    let mut w = World::new();
    let a = w.open("a");
    let c = w.connect_with(ConnectionConfig { ping: None, ..without_position() });
    w.subscribe(a, c);
    let mut wakes = 0;
    for _ in 0..20 {
        w.publish(a, "x");
        w.actions();
    }
    while w.now < Instant::from_millis(30_000) {
        w.now = w.hub.poll_timeout().unwrap();
        w.actions();
        wakes += 1;
    }
    assert!(wakes <= 2, "{wakes}");
}

#[test]
fn d3_twenty_publications_to_a_stalled_connection_make_one_action() {
    let mut w = World::new();
    let a = w.open("a");
    let c = w.follow(a);
    let mut actions = Vec::new();
    for _ in 0..20 {
        w.publish(a, "x");
        actions.extend(w.actions());
    }
    w.take_bytes(c, 5);
    w.publish(a, "x");
    actions.extend(w.actions());
    assert_eq!(actions, [Action::Transmit(c)]);
}

#[test]
fn d3_taking_the_last_pending_byte_rearms_the_report() {
    let mut w = World::new();
    let a = w.open("a");
    let c = w.follow(a);
    for _ in 0..3 {
        w.publish(a, "x");
        assert_eq!(w.actions(), [Action::Transmit(c)]);
        let mut window = w.hub.transmit(w.now, c);
        let all = window.remaining();
        window.advance(all);
        assert_eq!(w.actions(), []);
    }
}

#[test]
fn d3_a_connection_with_a_used_up_window_is_reported_again_behind_the_others() {
    let mut w = World::new();
    let a = w.open("a");
    let (greedy, other) = (w.follow(a), w.connect());
    for _ in 0..2 * Transmit::MAX_FRAMES {
        w.publish(a, "x");
    }
    assert_eq!(w.actions(), [Action::Transmit(greedy)]);
    w.send(other, "x");
    let window = w.pending_bytes(greedy);
    w.take_bytes(greedy, window - 1);
    assert_eq!(w.actions(), [Action::Transmit(other)], "a window that was not used up is not reported");
    w.take(other);
    let window = w.pending_bytes(greedy);
    w.send(other, "y");
    w.take_bytes(greedy, window);
    assert_eq!(w.actions(), [Action::Transmit(other), Action::Transmit(greedy)]);
    assert_eq!(w.data(greedy), ["x"]);
    assert_eq!(w.actions(), []);
}

#[test]
fn d3_an_empty_window_rearms_the_report_after_bytes_were_given_up() {
    let mut w = World::new();
    let (a, b) = (w.open("a"), w.open("b"));
    let c = w.follow(a);
    w.subscribe(b, c);
    w.publish(a, "1");
    assert_eq!(w.actions(), [Action::Transmit(c)]);
    w.hub.unsubscribe(w.now, a, c);
    assert_eq!(w.pending_bytes(c), 0, "the window is empty");
    w.publish(b, "2");
    assert_eq!(w.actions(), [Action::Transmit(c)]);
}

#[test]
fn d4_repeated_or_early_calls_lose_nothing_and_send_nothing_twice() {
    let mut w = World::new();
    let a = w.open("a");
    let c = w.follow(a);
    w.actions();
    w.publish(a, "1");
    for _ in 0..3 {
        w.hub.handle_timeout(w.now);
        let window = w.hub.transmit(w.now, c);
        assert_eq!(window.chunk(), b"id: e-1\ndata: 1\n\n");
    }
    assert_eq!(w.hub.poll_action(), Some(Action::Transmit(c)));
    assert_eq!((w.hub.poll_action(), w.hub.poll_action()), (None, None));
    assert_eq!(w.data(c), ["1"]);
    assert_eq!(w.data(c), [""; 0]);
    let deadline = w.hub.poll_timeout();
    w.hub.handle_timeout(w.now);
    assert_eq!((w.hub.poll_timeout(), w.actions()), (deadline, vec![]));
}

#[test]
fn d4_advancing_beyond_the_end_stops_at_the_end() {
    let mut w = World::new();
    let a = w.open("a");
    let c = w.follow(a);
    w.publish(a, "1");
    let mut window = w.hub.transmit(w.now, c);
    window.advance(0);
    assert_eq!(window.remaining(), 17);
    window.advance(usize::MAX);
    assert_eq!((window.remaining(), window.chunk()), (0, &b""[..]));
    assert_eq!(w.take_bytes(c, usize::MAX), "");
}

#[test]
fn d5_an_earlier_instant_counts_as_the_latest_instant_seen() {
    let mut w = World::new();
    w.now = Instant::from_millis(100_000);
    let c = w.connect();
    w.hub.set_max_lifetime(w.now, c, Some(secs(10)));
    w.hub.handle_timeout(Instant::ORIGIN);
    let a = w.hub.open_channel(Instant::ORIGIN, "a", Default::default()).unwrap();
    w.hub.subscribe(Instant::ORIGIN, a, c).unwrap();
    w.hub.publish(Instant::ORIGIN, a, &Event::new().data("1")).unwrap();
    assert_eq!(w.hub.poll_timeout(), Some(w.now));
    w.actions();
    assert_eq!(w.hub.transmit(Instant::ORIGIN, c).remaining(), 17);
    w.take(c);
    let (late, _) = w.hub.connection_origin(c).unwrap();
    assert_eq!(late, w.now);
    assert_eq!(common::close_reasons(&w.run_for(secs(10))), [(c, CloseReason::TimedOut)]);
}

#[test]
fn d5_no_instant_makes_the_hub_panic() {
    let mut w = World::new();
    w.now = Instant::from_nanos(u64::MAX);
    let config = sse_core::ChannelConfig { empty_timeout: Some(secs(1)), ..Default::default() };
    let a = w.open_with("a", config);
    let c = w.connect_with(ConnectionConfig { max_lifetime: Some(secs(1)), ..Default::default() });
    w.subscribe(a, c);
    w.publish(a, "1");
    assert_eq!(w.run_for(secs(1)), [Action::Transmit(c)]);
    assert_eq!(w.take(c), "id: e-0\nevent: position\ndata: \n\nid: e-1\ndata: 1\n\n");
    w.hub.set_ping(w.now, c, Some(std::time::Duration::MAX));
    w.hub.set_max_lifetime(w.now, c, Some(std::time::Duration::MAX));
    w.hub.close_connection(w.now, c);
    w.hub.handle_timeout(w.now);
    assert_eq!(w.close_reasons(), [(c, CloseReason::Requested)]);
}

#[test]
fn d5_a_jump_to_the_last_instant_handles_every_deadline() {
    let mut w = World::new();
    let a = w.open("a");
    let (expired, idle) = (w.follow(a), w.connect());
    w.hub.set_max_lifetime(w.now, expired, Some(std::time::Duration::from_secs(60)));
    w.actions();
    w.now = Instant::from_nanos(u64::MAX);
    assert_eq!(
        w.actions(),
        [Action::Close { connection: expired, reason: CloseReason::TimedOut }, Action::Transmit(idle)]
    );
    assert_eq!(w.take(idle), ":\n");
    assert_eq!(w.actions(), []);
}

#[test]
fn d6_a_dead_id_never_refers_to_another_connection_or_channel() {
    let mut w = World::new();
    let (a, c) = (w.open("a"), w.connect());
    w.subscribe(a, c);
    w.hub.disconnect(w.now, c);
    w.hub.close_channel(w.now, a);
    w.actions();
    let (new_a, new_c) = (w.open("a"), w.connect());
    w.subscribe(new_a, new_c);
    w.publish(new_a, "1");
    assert!(a != new_a && c != new_c);
    assert!(
        !w.hub.disconnect(w.now, c) && !w.hub.close_connection(w.now, c) && !w.hub.close_channel(w.now, a)
    );
    assert!(!w.hub.set_ping(w.now, c, None) && !w.hub.set_max_lifetime(w.now, c, None));
    assert!(!w.hub.unsubscribe(w.now, a, new_c) && !w.hub.unsubscribe(w.now, new_a, c));
    assert_eq!(w.hub.send(w.now, c, &data_frame("x")), Err(SendError::UnknownConnection(c)));
    assert_eq!(w.hub.subscribe(w.now, new_a, c), Err(SubscribeError::UnknownConnection(c)));
    assert_eq!(w.hub.subscribe(w.now, a, new_c), Err(SubscribeError::UnknownChannel(a)));
    assert_eq!(
        (w.hub.channel_name(a), w.hub.channel_stats(a), w.hub.connection_origin(c)),
        (None, None, None)
    );
    assert_eq!((w.hub.members(a).count(), w.hub.subscriptions(c).count(), w.pending_bytes(c)), (0, 0, 0));
    assert_eq!(w.data(new_c), ["1"]);
}

#[test]
fn d6_pending_actions_of_a_dead_connection_are_dropped() {
    let mut w = World::new();
    let a = w.open("a");
    let (one, two) = (w.follow(a), w.follow(a));
    w.publish(a, "1");
    w.send(one, "x");
    w.hub.disconnect(w.now, one);
    let new = w.connect();
    assert_eq!(w.actions(), [Action::Transmit(two)]);
    assert_eq!(w.pending_bytes(new), 0);
}

#[test]
fn d8_a_hub_without_connections_and_channels_is_as_empty_as_a_new_one() {
    let mut w = World::new();
    let channels = ["a", "b", "c"].map(|name| w.open(name));
    let connections: Vec<_> = (0..100).map(|_| w.reconnect("e-0")).collect();
    for connection in &connections {
        for channel in channels {
            w.subscribe(channel, *connection);
        }
    }
    for channel in channels {
        w.publish_to(&channels, "x");
        w.publish(channel, "y");
    }
    w.take_bytes(connections[7], 25);
    for connection in connections {
        w.hub.disconnect(w.now, connection);
    }
    assert!(
        channels.iter().all(|channel| w.backlog(*channel) == (0, 0)),
        "disconnect frees the backlog at once"
    );
    for channel in channels {
        w.hub.close_channel(w.now, channel);
    }
    w.actions();
    let stats = w.hub.stats();
    assert_eq!((stats.connections, stats.channels, stats.history_bytes), (0, 0, 0));
    assert_eq!((w.hub.connections().count(), w.hub.poll_timeout()), (0, None));
}

#[test]
fn d6_ids_of_another_hub_are_unknown() {
    let mut worlds = [World::new(), World::new()];
    let ids = worlds.each_mut().map(|w| {
        let channel = w.open("a");
        (channel, w.follow(channel))
    });
    let [(channel, connection), (own_channel, own_connection)] = ids;
    assert_eq!((channel.index(), connection.index()), (own_channel.index(), own_connection.index()));
    let (hub, now) = (&mut worlds[1].hub, worlds[1].now);
    let event = Event::new().data("x");
    assert_eq!(hub.publish(now, channel, &event), Err(PublishError::UnknownChannel(channel)));
    assert_eq!(hub.subscribe(now, channel, own_connection), Err(SubscribeError::UnknownChannel(channel)));
    assert_eq!(
        hub.subscribe(now, own_channel, connection),
        Err(SubscribeError::UnknownConnection(connection))
    );
    assert_eq!(hub.send(now, connection, &data_frame("x")), Err(SendError::UnknownConnection(connection)));
    assert!(!hub.unsubscribe(now, channel, own_connection) && !hub.close_channel(now, channel));
    assert!(!hub.close_connection(now, connection) && !hub.disconnect(now, connection));
    assert_eq!(hub.channel_stats(channel), None);
    let options = PublishOptions { except: Some(connection.into()) };
    hub.publish_to(now, &[own_channel], &event, options).unwrap();
    assert_eq!(worlds[1].data(own_connection), ["x"], "it excludes nobody");
}
