//! Limits and counters: A1 and A3.
mod common;
use common::{World, data_frame, history_of, secs};
use sse_core::{
    Action, ChannelConfig, CloseReason, ConnectError, ConnectionConfig, Event, HubConfig, Limits, OnClose,
    OpenError, PublishError, Resume, SubscribeError,
};

fn with_limits(limits: Limits) -> World {
    World::with(HubConfig { limits, ..HubConfig::default() })
}

#[test]
fn a1_every_limit_has_its_default() {
    let limits = Limits {
        connections: 1_000_000,
        channels: 100_000,
        subscriptions: 64,
        members: 1_000_000,
        event_bytes: 1 << 20,
        history_bytes: 256 << 20,
        per_principal: 1_000_000,
    };
    assert_eq!(Limits::default(), limits);
    assert_eq!(HubConfig::default().limits, limits);
}

#[test]
fn a1_connections_are_limited_and_none_is_closed_to_admit_another() {
    let mut w = with_limits(Limits { connections: 2, ..Limits::default() });
    let (one, two) = (w.connect(), w.connect());
    let refused = ConnectError::TooManyConnections { limit: 2 };
    assert_eq!(w.hub.connect(w.now, ConnectionConfig::default()), Err(refused));
    assert_eq!(refused.to_string(), "2 connections are open, which is the limit");
    assert_eq!(w.hub.connections().collect::<Vec<_>>(), [one, two]);
    assert_eq!(w.close_reasons(), []);
    w.hub.disconnect(w.now, one);
    assert!(w.hub.connect(w.now, ConnectionConfig::default()).is_ok());
}

#[test]
fn a1_channels_are_limited_and_an_open_one_is_found_at_the_limit() {
    let mut w = with_limits(Limits { channels: 1, ..Limits::default() });
    let a = w.open("a");
    let refused = OpenError::TooManyChannels { limit: 1 };
    assert_eq!(w.hub.open_channel(w.now, "b", ChannelConfig::default()), Err(refused));
    assert_eq!(refused.to_string(), "1 channels are open, which is the limit");
    assert_eq!(w.open("a"), a);
    w.hub.close_channel(w.now, a);
    w.open("b");
}

#[test]
fn a1_closing_connections_and_closed_channels_count_until_they_are_freed() {
    let mut w = with_limits(Limits { connections: 1, channels: 1, ..Limits::default() });
    let a = w.open("a");
    let c = w.follow(a);
    w.publish(a, "bye");
    w.hub.close_channel(w.now, a);
    w.hub.close_connection(w.now, c);
    let refused = Err(OpenError::TooManyChannels { limit: 1 });
    assert_eq!(w.hub.open_channel(w.now, "b", ChannelConfig::default()), refused);
    let refused = Err(ConnectError::TooManyConnections { limit: 1 });
    assert_eq!(w.hub.connect(w.now, ConnectionConfig::default()), refused);
    assert_eq!(w.data(c), ["bye"]);
    w.open("b");
    w.connect();
}

#[test]
fn a1_a_connection_follows_at_most_64_channels_by_default() {
    let mut w = World::new();
    let c = w.connect();
    let channels: Vec<_> = (0..65).map(|n| w.open(&n.to_string())).collect();
    for channel in &channels[..64] {
        w.subscribe(*channel, c);
    }
    let refused = SubscribeError::TooManySubscriptions { limit: 64 };
    assert_eq!(w.hub.subscribe(w.now, channels[64], c), Err(refused));
    assert_eq!(
        w.hub.subscribe(w.now, channels[0], c),
        Ok(Resume::UpToDate),
        "the connection follows this channel already"
    );
    for channel in channels {
        w.publish(channel, "x");
    }
    assert_eq!(w.data(c).len(), 64);
}

#[test]
fn a1_members_of_a_channel_are_limited() {
    let mut w = with_limits(Limits { members: 1, ..Limits::default() });
    let (a, b) = (w.open("a"), w.open("b"));
    let first = w.follow(a);
    let c = w.connect();
    let refused = SubscribeError::TooManyMembers { limit: 1 };
    assert_eq!(w.hub.subscribe(w.now, a, c), Err(refused.clone()));
    w.subscribe(b, c);
    w.hub.unsubscribe(w.now, a, first);
    w.subscribe(a, c);
    assert_eq!(refused.to_string(), "the channel has 1 members, which is the limit");
}

#[test]
fn a1_the_bytes_of_an_event_with_its_id_are_limited() {
    let mut w = with_limits(Limits { event_bytes: 17, ..Limits::default() });
    let a = w.open("a");
    let c = w.follow(a);
    let refused = w.hub.publish(w.now, a, &Event::new().data("12"));
    assert_eq!(refused, Err(PublishError::TooLarge { bytes: 18, limit: 17 }));
    assert_eq!(refused.unwrap_err().to_string(), "the event has 18 bytes, the limit is 17");
    assert_eq!(w.publish(a, "1").position.get(), 1, "the refused event took no position");
    assert_eq!(w.data(c), ["1"]);
}

/// What an event of one digit counts towards the limit on history: its frame, and the memory besides.
const DIGIT: usize = 17 + Limits::HISTORY_EVENT_OVERHEAD;

#[test]
fn a1_the_limit_on_history_bytes_evicts_the_oldest_events_of_the_hub() {
    let mut w = with_limits(Limits { history_bytes: DIGIT * 4, ..Limits::default() });
    let (a, b) = (w.open("a"), w.open("b"));
    w.publish_numbers(a, 1..=3);
    w.publish_numbers(b, 4..=6);
    let (of_a, of_b) = (w.hub.channel_stats(a).unwrap(), w.hub.channel_stats(b).unwrap());
    assert_eq!((of_a.history_events, of_a.floor.get()), (1, 2));
    assert_eq!((of_b.history_events, of_b.history_bytes, of_b.floor.get()), (3, 17 * 3, 0));
    assert_eq!(w.hub.stats().history_bytes, DIGIT * 4);
    let c = w.reconnect("e-1");
    assert!(matches!(w.subscribe(a, c), Resume::Gap { .. }), "the floor of a silent channel rises (H5)");
}

#[test]
fn a1_a_full_silent_channel_takes_no_history_from_the_others() {
    let mut w = with_limits(Limits { history_bytes: DIGIT * 100, ..Limits::default() });
    let silent = w.open("silent");
    (0..100).for_each(|_| drop(w.publish(silent, "x")));
    let others: Vec<_> = (0..10).map(|number| w.open(&number.to_string())).collect();
    for _ in 0..10 {
        others.iter().for_each(|channel| drop(w.publish(*channel, "x")));
    }
    assert_eq!(w.hub.channel_stats(silent).unwrap().history_events, 0);
    // Positions of two and three digits are longer.
    let kept: usize = others.iter().map(|id| w.hub.channel_stats(*id).unwrap().history_events).sum();
    assert!(kept >= 98, "{kept}");
    assert!(w.hub.stats().history_bytes <= DIGIT * 100);
}

#[test]
fn a1_an_event_of_several_channels_counts_in_each() {
    let mut w = with_limits(Limits { history_bytes: DIGIT * 3, ..Limits::default() });
    let (a, b) = (w.open("a"), w.open("b"));
    w.publish_to(&[a, b], "1");
    assert_eq!(w.hub.stats().history_bytes, DIGIT * 2);
    w.publish_to(&[b, a], "2");
    let (of_a, of_b) = (w.hub.channel_stats(a).unwrap(), w.hub.channel_stats(b).unwrap());
    assert_eq!((of_a.history_events, of_b.history_events), (1, 2), "the oldest was appended to a first");
}

#[test]
fn a1_the_limit_on_history_bytes_refuses_no_event() {
    let mut w = with_limits(Limits { history_bytes: 10, ..Limits::default() });
    let a = w.open("a");
    let c = w.follow(a);
    w.publish_numbers(a, 1..=3);
    assert_eq!(w.data(c), ["1", "2", "3"]);
    let stats = w.hub.channel_stats(a).unwrap();
    assert_eq!((stats.history_events, stats.floor.get()), (0, 3));
}

#[test]
fn a1_evicted_and_closed_history_does_not_count_towards_the_limit() {
    let mut w = with_limits(Limits { history_bytes: DIGIT * 2, ..Limits::default() });
    let (a, b) = (w.open("a"), w.open_with_history("b", 1));
    w.publish_numbers(a, 1..=2);
    w.hub.close_channel(w.now, a);
    assert_eq!(w.hub.stats().history_bytes, 0);
    w.publish_numbers(b, 3..=5);
    assert_eq!(w.hub.stats().history_bytes, DIGIT);
}

#[test]
fn a3_every_end_has_a_reason_and_is_counted_by_it() {
    let mut w = World::new();
    let config = ChannelConfig { on_close: OnClose::CloseConnections, ..ChannelConfig::default() };
    let narrow = ChannelConfig { history: history_of(1), ..common::narrow_backlog() };
    let (a, lossy) = (w.open_with("a", config), w.open_with("lossy", narrow));
    let disconnected = w.connect();
    let requested = w.connect();
    let _channel_closed = w.follow(a);
    let lagged = w.reconnect("e-0");
    w.publish(lossy, "1");
    w.subscribe(lossy, lagged);
    w.publish_numbers(lossy, 2..=3);
    w.data(lagged);
    let timed_out = w.connect();
    w.hub.set_max_lifetime(w.now, timed_out, Some(secs(1)));
    let _stalled = w.connect_with(ConnectionConfig::default());
    w.hub.disconnect(w.now, disconnected);
    w.hub.close_connection(w.now, requested);
    w.hub.close_channel(w.now, a);
    let mut reasons: Vec<_> = w.run_for(secs(30));
    reasons.retain(|action| matches!(action, Action::Close { .. }));
    assert_eq!(reasons.len(), 5, "a disconnect makes no action");
    let closed = w.hub.stats().closed;
    let by_reason = [closed.disconnected, closed.requested, closed.timed_out, closed.stalled];
    assert_eq!((by_reason, closed.lagged, closed.channel_closed), ([1; 4], 1, 1));
    assert_eq!((w.hub.stats().opened, closed.total()), (6, 6));
    assert_eq!(CloseReason::Lagged.to_string(), "reader fell too far behind");
}

#[test]
fn a3_published_delivered_and_replayed_events_are_counted() {
    let mut w = World::new();
    let (a, b) = (w.open("a"), w.open("b"));
    w.publish_to(&[a, b], "1");
    let c = w.reconnect("e-0");
    w.subscribe(a, c);
    w.subscribe(b, c);
    w.publish(a, "2");
    w.hub.send(w.now, c, &data_frame("x")).unwrap();
    let bytes = w.take_bytes(c, 40).len() as u64;
    let stats = w.hub.stats();
    assert_eq!((stats.published, stats.delivered, stats.replayed), (2, 2, 1));
    assert_eq!(stats.bytes, bytes);
    let bytes = bytes + w.take(c).len() as u64;
    assert_eq!((w.hub.stats().delivered, w.hub.stats().bytes), (3, bytes));
    assert_eq!((stats.connections, stats.channels, stats.gaps, stats.pings), (1, 2, 0, 0));
}

#[test]
fn a3_gaps_lags_and_pings_are_counted() {
    let mut w = World::new();
    let narrow = ChannelConfig { history: history_of(1), ..common::narrow_backlog() };
    let (a, b) = (w.open_with("a", narrow), w.open("b"));
    w.publish_numbers(a, 1..=2);
    for id in ["e-0", "?", "e-1"] {
        let c = w.reconnect(id);
        w.subscribe(a, c);
        w.data(c);
        w.hub.disconnect(w.now, c);
    }
    assert_eq!(w.hub.stats().gaps, 2, "an id below the floor and an unknown one");

    let late = w.reconnect("e-1");
    w.subscribe(a, late);
    assert_eq!(w.data(late), ["2"]);
    w.subscribe(b, late);
    assert_eq!(w.hub.stats().gaps, 3, "a late subscription");

    let lagged = w.reconnect("e-1");
    assert_eq!(w.subscribe(a, lagged), Resume::Replayed { events: 1 });
    w.publish_numbers(a, 3..=4);
    assert_eq!(w.hub.stats().lagged, 0, "the reader has not detected its loss");
    assert_eq!(w.data(lagged), [""; 0]);
    assert_eq!(w.hub.stats().lagged, 1);

    w.hub.disconnect(w.now, late);
    w.actions();
    let silent = w.connect();
    assert_eq!(w.run_until_action().1, [Action::Transmit(silent)]);
    assert_eq!(w.hub.stats().pings, 0, "the ping is pending");
    w.take(silent);
    let stats = w.hub.stats();
    assert_eq!((stats.gaps, stats.lagged, stats.pings), (3, 1, 1));
}
