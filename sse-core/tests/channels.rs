//! Channels: K1 to K3.
mod common;
use std::time::Duration;

use common::{World, history_of, secs, without_position};
use sse_core::{
    Action, ChannelCloseReason, ChannelConfig, ChannelId, CloseReason, ConnectionConfig, Event, OnClose,
    OpenError, PublishError, Resume, SubscribeError,
};

const NANO: Duration = Duration::from_nanos(1);

fn open_with_empty_timeout(w: &mut World) -> ChannelId {
    w.open_with("a", ChannelConfig { empty_timeout: Some(secs(10)), ..ChannelConfig::default() })
}

fn open_closing_connections(w: &mut World, name: &str) -> ChannelId {
    w.open_with(name, ChannelConfig { on_close: OnClose::CloseConnections, ..ChannelConfig::default() })
}

fn channel_closed(channel: ChannelId, reason: ChannelCloseReason) -> Action {
    Action::ChannelClosed { channel, reason }
}

#[test]
fn k1_a_channel_is_opened_on_demand_and_found_by_its_name() {
    let mut w = World::new();
    assert_eq!(w.hub.channel("a"), None);
    let (a, b) = (w.open("a"), w.open(""));
    assert_ne!(a, b);
    assert_eq!((w.hub.channel("a"), w.hub.channel("")), (Some(a), Some(b)));
    assert_eq!(w.hub.channel_name(a), Some("a"));
}

#[test]
fn k1_the_name_of_a_closed_channel_is_free_for_another_channel() {
    let mut w = World::new();
    let a = w.open("a");
    assert!(w.hub.close_channel(w.now, a));
    assert!(!w.hub.close_channel(w.now, a));
    assert_eq!((w.hub.channel("a"), w.hub.channel_name(a)), (None, None));
    let again = w.open("a");
    assert_ne!(again, a);
    assert_eq!(w.actions(), [channel_closed(a, ChannelCloseReason::Requested)]);
    assert_eq!(w.hub.channel("a"), Some(again));
}

#[test]
fn k1_a_channel_name_has_at_most_1024_bytes() {
    let mut w = World::new();
    w.open(&"x".repeat(1_024));
    let refused = OpenError::NameTooLong { bytes: 1_025, limit: 1_024 };
    let opened = w.hub.open_channel(w.now, &"x".repeat(1_025), ChannelConfig::default());
    assert_eq!(opened, Err(refused));
    assert_eq!(refused.to_string(), "the channel name has 1025 bytes, the limit is 1024");
}

#[test]
fn k2_a_channel_that_never_had_a_member_closes() {
    let mut w = World::new();
    let a = open_with_empty_timeout(&mut w);
    w.publish(a, "1");
    assert_eq!(w.run_for(secs(10) - NANO), []);
    assert_eq!(w.run_for(NANO), [channel_closed(a, ChannelCloseReason::Empty)]);
    assert_eq!(w.hub.channel("a"), None);
    assert_eq!((w.hub.stats().channels, w.hub.stats().history_bytes), (0, 0));
    assert_eq!(w.hub.poll_timeout(), None);
}

#[test]
fn k2_a_channel_closes_after_the_empty_timeout_without_members() {
    let mut w = World::new();
    let a = open_with_empty_timeout(&mut w);
    let c = w.connect_with(ConnectionConfig { ping: None, ..without_position() });
    w.subscribe(a, c);
    w.run_for(secs(1_000));
    assert_eq!(w.hub.channel("a"), Some(a));
    w.hub.unsubscribe(w.now, a, c);
    w.run_for(secs(9));
    assert_eq!(w.hub.channel("a"), Some(a));
    w.subscribe(a, c);
    w.run_for(secs(100));
    w.hub.disconnect(w.now, c);
    assert_eq!(w.run_until_action(), (secs(10), vec![channel_closed(a, ChannelCloseReason::Empty)]));
}

#[test]
fn k2_a_member_that_returns_in_time_finds_the_history() {
    let mut w = World::new();
    let a = open_with_empty_timeout(&mut w);
    let c = w.follow(a);
    w.hub.disconnect(w.now, c);
    w.publish_numbers(a, 1..=2);
    w.run_for(secs(9));
    let back = w.reconnect("e-0");
    assert_eq!(w.subscribe(a, back), Resume::Replayed { events: 2 });
    w.run_for(secs(9));
    assert_eq!(w.data(back), ["1", "2"]);
    assert_eq!(w.hub.channel("a"), Some(a));
}

#[test]
fn k2_without_an_empty_timeout_a_channel_stays_open() {
    let mut w = World::new();
    let a = w.open("a");
    assert_eq!(w.run_for(secs(1_000_000)), []);
    assert_eq!(w.hub.channel("a"), Some(a));
}

#[test]
fn k3_closing_ends_publishing_and_subscribing_at_once() {
    let mut w = World::new();
    let (a, b) = (w.open("a"), w.open("b"));
    let c = w.follow(a);
    w.publish(a, "1");
    w.hub.close_channel(w.now, a);
    let event = Event::new().data("x");
    assert_eq!(w.hub.publish(w.now, a, &event), Err(PublishError::UnknownChannel(a)));
    let both = w.hub.publish_to(w.now, &[b, a], &event, Default::default());
    assert_eq!(both, Err(PublishError::UnknownChannel(a)));
    assert_eq!(
        w.hub.channel_stats(b).unwrap().history_events,
        0,
        "the event goes to all channels or to none"
    );
    let d = w.connect();
    assert_eq!(w.hub.subscribe(w.now, a, d), Err(SubscribeError::UnknownChannel(a)));
    assert_eq!(w.hub.subscribe(w.now, a, c), Err(SubscribeError::UnknownChannel(a)));
}

#[test]
fn k3_events_published_before_the_close_are_still_delivered() {
    let mut w = World::new();
    let (a, b) = (w.open("a"), w.open("b"));
    w.publish(a, "1");
    let c = w.reconnect("e-0");
    w.subscribe(a, c);
    w.subscribe(b, c);
    w.publish(a, "bye");
    w.hub.close_channel(w.now, a);
    let again = w.open("a");
    w.publish(again, "another");
    w.publish(b, "3");
    assert_eq!(w.actions(), [channel_closed(a, ChannelCloseReason::Requested), Action::Transmit(c)]);
    assert_eq!(w.data(c), ["1", "bye", "3"]);
    assert_eq!(
        w.hub.subscriptions(c).collect::<Vec<_>>(),
        [b],
        "the subscription ended and the connection did not"
    );
    assert_eq!(w.hub.stats().channels, 2);
}

#[test]
fn k3_the_log_is_freed_when_its_last_member_took_it_or_left() {
    let mut w = World::new();
    let a = w.open("a");
    let members = [w.follow(a), w.follow(a), w.follow(a)];
    w.publish(a, "bye");
    w.hub.close_channel(w.now, a);
    w.actions();
    assert_eq!(w.data(members[0]), ["bye"]);
    assert!(w.hub.stats().history_bytes > 0);
    w.hub.disconnect(w.now, members[1]);
    assert_eq!(w.data(members[2]), ["bye"]);
    assert_eq!((w.hub.stats().channels, w.hub.stats().history_bytes), (0, 0));
}

#[test]
fn k3_the_sweep_ends_the_subscription_of_a_member_that_took_everything() {
    let mut w = World::new();
    let a = w.open("a");
    let c = w.follow(a);
    w.publish(a, "1");
    w.data(c);
    w.hub.close_channel(w.now, a);
    assert_eq!(w.actions(), [channel_closed(a, ChannelCloseReason::Requested)]);
    assert_eq!((w.hub.subscriptions(c).count(), w.hub.stats().channels), (0, 0));
}

#[test]
fn k3_on_close_can_close_each_member_after_its_pending_events() {
    let mut w = World::new();
    let a = open_closing_connections(&mut w, "a");
    let (idle, behind) = (w.follow(a), w.follow(a));
    w.publish(a, "bye");
    w.data(idle);
    w.hub.close_channel(w.now, a);
    assert_eq!(w.close_reasons(), [(idle, CloseReason::ChannelClosed)]);
    assert_eq!(w.data(behind), ["bye"]);
    assert_eq!(w.close_reasons(), [(behind, CloseReason::ChannelClosed)]);
    assert_eq!(w.hub.stats().closed.channel_closed, 2);
}

#[test]
fn k3_a_member_that_catches_up_before_the_sweep_is_closed_too() {
    let mut w = World::new();
    let a = open_closing_connections(&mut w, "a");
    let c = w.follow(a);
    w.publish(a, "bye");
    assert_eq!(w.actions(), [Action::Transmit(c)]);
    w.hub.close_channel(w.now, a);
    assert_eq!(w.data(c), ["bye"]);
    assert_eq!(w.close_reasons(), [(c, CloseReason::ChannelClosed)]);
}

#[test]
fn k3_a_member_closed_with_its_channel_receives_nothing_published_later() {
    let mut w = World::new();
    let (a, b) = (open_closing_connections(&mut w, "a"), w.open("b"));
    let c = w.follow(a);
    w.subscribe(b, c);
    w.publish(a, "bye");
    w.publish(b, "before");
    w.hub.close_channel(w.now, a);
    w.actions();
    w.publish(b, "later");
    assert_eq!(w.data(c), ["bye", "before"]);
    assert_eq!(w.close_reasons(), [(c, CloseReason::ChannelClosed)]);
}

#[test]
fn k3_a_closed_channel_ends_after_a_reader_with_a_gap() {
    let mut w = World::new();
    let a = w.open_with("a", ChannelConfig { history: history_of(1), ..ChannelConfig::default() });
    w.publish_numbers(a, 1..=3);
    let c = w.reconnect("e-0");
    w.subscribe(a, c);
    w.hub.close_channel(w.now, a);
    assert_eq!(w.data(c), ["reset e-2", "3"]);
    w.actions();
    assert_eq!((w.hub.stats().channels, w.hub.stats().connections), (0, 1));
}

#[test]
fn k3_the_subscriptions_of_five_thousand_members_end_with_their_channels() {
    let mut w = World::new();
    let (a, b) = (w.open("a"), open_closing_connections(&mut w, "b"));
    for n in 0..5_000 {
        let c = w.connect_with(ConnectionConfig::default());
        w.subscribe(if n % 2 == 0 { a } else { b }, c);
        w.take(c);
    }
    w.hub.close_channel(w.now, a);
    w.hub.close_channel(w.now, b);
    assert_eq!(w.close_reasons().len(), 2_500);
    assert_eq!((w.hub.stats().channels, w.hub.stats().connections), (0, 2_500));
}

#[test]
fn k3_a_member_closed_with_its_channel_receives_what_is_pending_at_the_sweep() {
    let mut w = World::new();
    let (a, b) = (open_closing_connections(&mut w, "a"), w.open("b"));
    let c = w.follow(a);
    w.subscribe(b, c);
    w.publish(a, "bye");
    w.hub.close_channel(w.now, a);
    w.publish(b, "before the sweep");
    w.actions();
    w.publish(b, "behind the sweep");
    assert_eq!(w.data(c), ["bye", "before the sweep"]);
    assert_eq!(w.close_reasons(), [(c, CloseReason::ChannelClosed)]);
}

#[test]
fn k1_an_open_channel_with_another_configuration_is_an_error() {
    let mut w = World::new();
    let a = w.open("a");
    let config = ChannelConfig { on_close: OnClose::CloseConnections, ..ChannelConfig::default() };
    let refused = w.hub.open_channel(w.now, "a", config.clone());
    assert_eq!(refused, Err(OpenError::OtherConfig));
    assert_eq!(refused.unwrap_err().to_string(), "the channel is open with another configuration");
    assert_eq!(w.hub.open_channel(w.now, "a", ChannelConfig::default()), Ok(a));
    assert_eq!(w.hub.channel("a"), Some(a));
    w.hub.close_channel(w.now, a);
    assert!(w.hub.open_channel(w.now, "a", config).is_ok());
}
