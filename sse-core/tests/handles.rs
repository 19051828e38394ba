//! What the handles of a shared hub refuse: another hub, a closed channel, a second epoch.
#![cfg(feature = "std")]

mod clocked;

use clocked::World;
use sse_core::shared::SharedHub;
use sse_core::{
    ChannelConfig, ConfigError, Event, HubConfig, Instant, PublishError, PublishOptions, SubscribeError,
};

#[test]
fn d6_a_channel_of_another_hub_is_an_error() {
    let worlds = [World::new(), World::new()];
    let [own, other] = worlds.each_ref().map(|w| w.hub.open_channel("a", ChannelConfig::default()).unwrap());
    let outbound = worlds[0].connect();
    let handle = outbound.handle();
    let event = Event::new().data("x");
    let published = worlds[0].hub.publish_to(&[&own, &other], &event, PublishOptions::default());
    let error = published.unwrap_err();
    assert_eq!(error, PublishError::OtherHub { name: "a".into() });
    assert_eq!(error.to_string(), "channel \"a\" belongs to another hub");
    assert_eq!((own.stats().unwrap().history_events, other.stats().unwrap().history_events), (0, 0));
    let error = SubscribeError::OtherHub { name: "a".into() };
    assert_eq!(outbound.subscribe(&other), Err(error.clone()));
    assert_eq!(handle.subscribe(&other), Err(error));
    outbound.subscribe(&own).unwrap();
    assert!(!handle.unsubscribe(&other));
    assert_eq!(own.stats().unwrap().members, 1);
    let by_id = worlds[0].hub.with(|hub, now| hub.publish(now, other.id(), &event));
    assert_eq!(by_id, Err(PublishError::UnknownChannel(other.id())));
}

#[test]
fn k3_the_error_of_a_closed_channel_has_its_name() {
    let w = World::new();
    let [open, closed] =
        ["open", "weather"].map(|name| w.hub.open_channel(name, ChannelConfig::default()).unwrap());
    assert!(closed.close());
    assert_eq!(closed.name(), "weather");
    let event = Event::new().data("x");
    let error = closed.publish(&event).unwrap_err();
    assert_eq!(error.to_string(), "channel \"weather\" was closed");
    let both = w.hub.publish_to(&[&open, &closed], &event, PublishOptions::default());
    assert_eq!(both, Err(error));
    let error = w.connect().subscribe(&closed).unwrap_err();
    assert_eq!(error, SubscribeError::ChannelClosed { name: "weather".into() });
    assert_eq!(error.to_string(), "channel \"weather\" was closed");
}

#[test]
fn h2_an_epoch_in_the_configuration_beside_another_one_is_an_error() {
    let new = |epoch: &str| {
        let config = HubConfig { epoch: epoch.into(), ..HubConfig::default() };
        SharedHub::new("e", config, || Instant::ORIGIN).map(drop)
    };
    let two = ConfigError::TwoEpochs { passed: "e".into(), configured: "f".into() };
    assert_eq!(two.to_string(), "the epoch \"e\" was passed, and the configuration has the epoch \"f\"");
    assert_eq!(new("f"), Err(two));
    assert_eq!((new("e"), new("0")), (Ok(()), Ok(())));
}
