//! History, ids, and the start of new connections: H1 to H3 and H8.
mod common;
use common::{World, history_of, secs};
use sse_core::{
    ChannelConfig, ConfigError, ConnectionConfig, ControlEvents, Event, HistoryConfig, Hub, HubConfig,
    IdSource, Instant, LastEventId, Position, PublishError, Resume, StartFrom,
};

fn kept(w: &World, channel: sse_core::ChannelId) -> (usize, u64) {
    let stats = w.hub.channel_stats(channel).unwrap();
    (stats.history_events, stats.floor.get())
}

#[test]
fn h1_a_channel_keeps_500_events_by_default() {
    let mut w = World::new();
    let (a, few) = (w.open("a"), w.open_with_history("few", 2));
    w.publish_numbers(a, 1..=501);
    assert_eq!(kept(&w, a), (500, 1));
    w.publish_numbers(few, 1..=3);
    assert_eq!(kept(&w, few), (2, 502));
}

#[test]
fn h1_history_is_bounded_by_bytes() {
    let mut w = World::new();
    let history = HistoryConfig { bytes: Some(40), ..HistoryConfig::default() };
    let a = w.open_with("a", ChannelConfig { history, ..ChannelConfig::default() });
    for _ in 0..3 {
        assert_eq!(w.publish(a, "x").frame.len(), 17);
    }
    assert_eq!(kept(&w, a), (2, 1));
    assert_eq!(w.hub.channel_stats(a).unwrap().history_bytes, 34);
}

#[test]
fn h1_an_event_larger_than_the_byte_bound_is_evicted_and_raises_the_floor() {
    let mut w = World::new();
    let history = HistoryConfig { bytes: Some(16), ..HistoryConfig::default() };
    let a = w.open_with("a", ChannelConfig { history, ..ChannelConfig::default() });
    let c = w.follow(a);
    w.publish(a, "x");
    assert_eq!(kept(&w, a), (0, 1));
    assert_eq!(w.data(c), ["x"], "a live reader receives the event");
    let back = w.reconnect("e-0");
    assert!(matches!(w.subscribe(a, back), Resume::Gap { .. }));
}

#[test]
fn h1_history_is_bounded_by_age() {
    let mut w = World::new();
    let history = HistoryConfig { age: Some(secs(10)), ..HistoryConfig::default() };
    let a = w.open_with("a", ChannelConfig { history, ..ChannelConfig::default() });
    w.publish(a, "1");
    w.run_for(secs(4));
    w.publish(a, "2");
    w.run_for(secs(6) - std::time::Duration::from_nanos(1));
    assert_eq!(kept(&w, a), (2, 0));
    w.run_for(std::time::Duration::from_nanos(1));
    assert_eq!(kept(&w, a), (1, 1));
    w.run_for(secs(4));
    assert_eq!(kept(&w, a), (0, 2));
    assert_eq!(w.hub.stats().history_bytes, 0);
    assert_eq!(w.hub.poll_timeout(), None);
}

#[test]
fn h1_an_expired_event_is_not_replayed_even_before_the_timer_fires() {
    let mut w = World::new();
    let history = HistoryConfig { age: Some(secs(10)), ..HistoryConfig::default() };
    let a = w.open_with("a", ChannelConfig { history, ..ChannelConfig::default() });
    w.publish(a, "1");
    w.now = w.now.saturating_add(secs(10));
    let c = w.reconnect("e-0");
    assert_eq!(w.subscribe(a, c), Resume::Gap { lost_through: Position::new(1), events: 0 });
    assert_eq!(w.hub.stats().history_bytes, 0);
}

#[test]
fn h1_a_history_of_one_event_keeps_the_newest() {
    let mut w = World::new();
    let a = w.open_with_history("a", 1);
    w.publish_numbers(a, 1..=3);
    let (near, far) = (w.reconnect("e-2"), w.reconnect("e-1"));
    assert_eq!(w.subscribe(a, near), Resume::Replayed { events: 1 });
    assert_eq!(w.subscribe(a, far), Resume::Gap { lost_through: Position::new(2), events: 1 });
    assert_eq!(w.data(near), ["3"]);
    assert_eq!(w.data(far), ["reset e-2", "3"]);
}

#[test]
fn h1_a_history_of_zero_events_keeps_none() {
    let mut w = World::new();
    let a = w.open_with_history("a", 0);
    w.publish_event(a, Event::new().id("x").data("1"));
    assert_eq!(kept(&w, a), (0, 1));
    let back = w.reconnect("x");
    assert_eq!(w.subscribe(a, back), Resume::Unknown);
}

#[test]
fn h1_events_without_an_id_are_live_only_and_never_replayed() {
    let mut w = World::new();
    let a = w.open("a");
    let c = w.follow(a);
    w.publish(a, "1");
    w.publish_event(a, Event::new().data("live").live_only());
    w.publish_event(a, Event::new().id("x").data("live too").live_only());
    assert_eq!(w.take(c), "id: e-1\ndata: 1\n\ndata: live\n\nid: x\ndata: live too\n\n");
    assert_eq!(kept(&w, a), (1, 0));
    let back = w.reconnect("e-0");
    w.subscribe(a, back);
    assert_eq!(w.data(back), ["1"]);
}

#[test]
fn h1_a_reused_id_refers_to_its_newest_use() {
    let mut w = World::new();
    let a = w.open("a");
    for id in ["7", "8", "9", "7"] {
        w.publish_event(a, Event::new().id(id).data(id));
    }
    let c = w.reconnect("7");
    assert_eq!(w.subscribe(a, c), Resume::UpToDate);
    let c = w.reconnect("8");
    assert_eq!(w.subscribe(a, c), Resume::Replayed { events: 2 });
    assert_eq!(w.data(c), ["9", "7"]);
}

#[test]
fn h1_the_newest_use_of_an_id_is_found_after_the_oldest_was_evicted() {
    let mut w = World::new();
    let a = w.open_with_history("a", 2);
    for id in ["7", "7", "8"] {
        w.publish_event(a, Event::new().id(id).data(id));
    }
    let c = w.reconnect("7");
    assert_eq!(w.subscribe(a, c), Resume::Replayed { events: 1 });
    w.publish_event(a, Event::new().id("9").data("9"));
    let c = w.reconnect("7");
    assert_eq!(w.subscribe(a, c), Resume::Unknown);
}

#[test]
fn h2_the_hub_assigns_an_id_to_an_event_without_one() {
    let mut w = World::new();
    let a = w.open("a");
    let c = w.follow(a);
    w.publish_event(a, Event::new().event("n").data("1").comment("c"));
    w.publish_event(a, Event::new().id("own").data("2"));
    w.publish(a, "3");
    assert_eq!(w.take(c), "id: e-1\nevent: n\ndata: 1\n: c\n\nid: own\ndata: 2\n\nid: e-3\ndata: 3\n\n");
}

#[test]
fn h2_no_id_is_assigned_to_live_only_events_with_application_ids_or_without_history() {
    let mut w = World::new();
    let a = w.open("a");
    let ours = w.open_with("ours", ChannelConfig { ids: IdSource::Application, ..ChannelConfig::default() });
    let none = w.open_with_history("none", 0);
    assert_eq!(w.publish_event(a, Event::new().data("x").live_only()).frame.as_bytes(), b"data: x\n\n");
    assert_eq!(w.publish(ours, "x").frame.as_bytes(), b"data: x\n\n");
    assert_eq!(w.publish(none, "x").frame.as_bytes(), b"data: x\n\n");
    assert_eq!(
        w.publish_to(&[ours, none, a], "x").frame.id(),
        Some("e-4"),
        "one of the channels assigns ids"
    );
}

#[test]
fn h2_an_empty_id_stays_and_clears_the_id_of_the_client() {
    let mut w = World::new();
    let a = w.open("a");
    assert_eq!(w.publish_event(a, Event::new().id("").data("x")).frame.as_bytes(), b"id: \ndata: x\n\n");
    assert_eq!(LastEventId::new(b""), None, "the client reconnects as a new one");
}

#[test]
fn h2_an_id_of_another_epoch_is_unknown() {
    let mut w = World::new();
    let a = w.open("a");
    w.publish_numbers(a, 1..=3);
    for id in ["d-2", "e-02", "e-+2", "e-", "e", "2", "E-2"] {
        let c = w.reconnect(id);
        assert_eq!(w.subscribe(a, c), Resume::Unknown, "{id}");
    }
}

#[test]
fn h2_an_application_cannot_set_the_id_of_another_position() {
    let mut w = World::new();
    let a = w.open("a");
    let refused = w.hub.publish(w.now, a, &Event::new().id("e-7").data("x"));
    assert_eq!(refused, Err(PublishError::ReservedId { position: Position::new(7) }));
    assert_eq!(w.hub.head(), Position::ORIGIN);
    assert!(w.hub.publish(w.now, a, &Event::new().id("e-1").data("x")).is_ok());
}

fn hub_with_epoch(epoch: &str) -> Result<Hub, ConfigError> {
    Hub::new(HubConfig { epoch: epoch.into(), ..HubConfig::default() })
}

#[test]
fn h2_an_epoch_that_cannot_be_part_of_an_id_is_refused() {
    for epoch in ["a\nb", "a\0", " a", "a "] {
        assert!(matches!(hub_with_epoch(epoch), Err(ConfigError::Epoch(_))), "{epoch:?}");
    }
}

#[test]
fn h2_an_epoch_has_at_most_64_bytes() {
    assert!(hub_with_epoch(&"x".repeat(64)).is_ok());
    for bytes in [65, 2_000] {
        let refused = hub_with_epoch(&"x".repeat(bytes)).unwrap_err();
        assert_eq!(refused, ConfigError::EpochTooLong { bytes, limit: 64 });
        assert_eq!(refused.to_string(), format!("the epoch has {bytes} bytes, the limit is 64"));
    }
}

#[test]
fn h2_an_epoch_can_be_empty() {
    let hub = hub_with_epoch("").unwrap();
    assert_eq!(hub.id_of(Position::new(7)), "-7");
    let mut w = World { hub, now: Instant::ORIGIN };
    let a = w.open("a");
    w.publish_numbers(a, 1..=2);
    let c = w.reconnect("-1");
    assert_eq!(w.subscribe(a, c), Resume::Replayed { events: 1 });
    assert_eq!(w.take(c), "id: -2\ndata: 2\n\n");
}

#[test]
fn h3_a_connection_without_an_id_begins_with_its_position() {
    let mut w = World::new();
    let a = w.open("a");
    w.publish_numbers(a, 1..=4);
    let c = w.connect_with(ConnectionConfig::default());
    w.subscribe(a, c);
    w.publish(a, "5");
    assert_eq!(w.take(c), "id: e-4\nevent: position\ndata: \n\nid: e-5\ndata: 5\n\n");
}

#[test]
fn h3_a_client_that_disconnects_before_its_first_event_can_resume() {
    let mut w = World::new();
    let a = w.open("a");
    let c = w.connect_with(ConnectionConfig::default());
    w.subscribe(a, c);
    assert_eq!(w.take(c), "id: e-0\nevent: position\ndata: \n\n");
    w.hub.disconnect(w.now, c);
    w.publish(a, "1");
    let back = w.reconnect("e-0");
    assert_eq!(w.subscribe(a, back), Resume::Replayed { events: 1 });
    assert_eq!(w.data(back), ["1"]);
}

#[test]
fn h3_the_position_is_the_head_at_the_subscription_and_not_at_the_connection() {
    let mut w = World::new();
    let a = w.open("a");
    let c = w.connect_with(ConnectionConfig::default());
    w.publish_numbers(a, 1..=2);
    w.subscribe(a, c);
    assert_eq!(w.take(c), "id: e-2\nevent: position\ndata: \n\n");
}

#[test]
fn h3_no_position_is_sent_if_turned_off_or_to_a_connection_with_an_id() {
    let mut w = World::new();
    let a = w.open("a");
    let (off, back) = (w.connect(), w.reconnect("e-0"));
    w.subscribe(a, off);
    w.subscribe(a, back);
    assert_eq!(w.actions(), []);
    assert_eq!((w.take(off), w.take(back)), (String::new(), String::new()));
}

#[test]
fn h8_a_new_connection_starts_live_or_with_the_last_or_all_kept_events() {
    for (start, expected) in [
        (StartFrom::Live, &["6"][..]),
        (StartFrom::Last(0), &["6"]),
        (StartFrom::Last(2), &["4", "5", "6"]),
        (StartFrom::Last(99), &["2", "3", "4", "5", "6"]),
        (StartFrom::All, &["2", "3", "4", "5", "6"]),
    ] {
        let mut w = World::new();
        let history = history_of(4);
        let a = w.open_with("a", ChannelConfig { start, history, ..ChannelConfig::default() });
        w.publish_numbers(a, 1..=5);
        let c = w.connect();
        assert_eq!(w.subscribe(a, c), Resume::Fresh);
        let mut received = w.data(c);
        w.publish(a, "6");
        received.extend(w.data(c));
        assert_eq!(received, expected, "{start:?}");
    }
}

#[test]
fn h8_the_last_events_are_counted_from_the_subscription() {
    let mut w = World::new();
    let a = w.open_with("a", ChannelConfig { start: StartFrom::Last(2), ..ChannelConfig::default() });
    let b = w.open("b");
    w.publish_numbers(a, 1..=3);
    let c = w.follow(a);
    w.publish_numbers(a, 4..=5);
    w.subscribe(b, c);
    assert_eq!(w.data(c), ["2", "3", "4", "5"]);
}

#[test]
fn h8_a_connection_with_an_id_resumes_and_ignores_the_start_of_the_channel() {
    let mut w = World::new();
    let a = w.open_with("a", ChannelConfig { start: StartFrom::All, ..ChannelConfig::default() });
    w.publish_numbers(a, 1..=3);
    let c = w.reconnect("e-2");
    assert_eq!(w.subscribe(a, c), Resume::Replayed { events: 1 });
    assert_eq!(w.data(c), ["3"]);
}

#[test]
fn h8_the_position_before_replayed_events_resumes_them() {
    let mut w = World::new();
    let a = w.open_with("a", ChannelConfig { start: StartFrom::Last(2), ..ChannelConfig::default() });
    w.publish_numbers(a, 1..=4);
    let c = w.connect_with(ConnectionConfig::default());
    w.subscribe(a, c);
    assert_eq!(w.take_frame(c), "id: e-2\nevent: position\ndata: \n\n");
    let back = w.reconnect("e-2");
    w.subscribe(a, back);
    assert_eq!(w.data(back), ["3", "4"]);
}

#[test]
fn h3_the_names_of_the_control_events_are_configured() {
    let control_events = ControlEvents { position: "here".into(), reset: "resync".into() };
    let mut w = World::with(HubConfig { control_events, ..HubConfig::default() });
    let a = w.open_with_history("a", 1);
    let c = w.connect_with(ConnectionConfig::default());
    w.subscribe(a, c);
    assert_eq!(w.take(c), "id: e-0\nevent: here\ndata: \n\n");
    w.publish_numbers(a, 1..=3);
    let c = w.reconnect("e-0");
    w.subscribe(a, c);
    assert_eq!(w.take(c), "id: e-2\nevent: resync\ndata: \n\nid: e-3\ndata: 3\n\n");
    let control_events = ControlEvents { reset: "a\nb".into(), ..ControlEvents::default() };
    let refused = Hub::new(HubConfig { control_events, ..HubConfig::default() });
    assert!(matches!(refused, Err(ConfigError::ControlEvent(_))));
}
