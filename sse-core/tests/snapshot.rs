//! The statistics of one connection (A3).

use std::time::Duration;

use bytes::Buf;
use sse_core::{
    Action, ChannelConfig, ConnectionConfig, Event, Hub, HubConfig, Instant, PublishOptions, Transmit,
};

fn without_position() -> ConnectionConfig {
    ConnectionConfig { announce_position: false, ..ConnectionConfig::default() }
}

#[test]
fn a3_connection_stats_show_pending_frames_and_how_far_behind_a_connection_is() {
    let mut hub = Hub::new(HubConfig::default()).unwrap();
    let at = Instant::from_millis;
    let [news, other] =
        ["news", "other"].map(|name| hub.open_channel(at(0), name, ChannelConfig::default()).unwrap());
    let id = hub.connect(at(1_000), without_position()).unwrap();
    hub.subscribe(at(1_000), news, id).unwrap();

    let stats = hub.connection_stats(at(3_000), id).unwrap();
    assert_eq!((stats.age, stats.last_taken_at), (Duration::from_secs(2), at(1_000)));
    assert_eq!((stats.pending_bytes, stats.pending_frames, stats.behind), (0, 0, 0));
    assert_eq!((stats.stalled_since, stats.is_closing), (None, false));
    assert_eq!(stats.channels, [news]);

    let except = PublishOptions { except: Some(id.into()) };
    hub.publish_to(at(3_000), &[news], &Event::new().data("for all others"), except).unwrap();
    let stats = hub.connection_stats(at(3_000), id).unwrap();
    assert_eq!(
        (stats.pending_frames, stats.behind, stats.stalled_since),
        (0, 0, None),
        "an excluded event is not pending"
    );
    while hub.poll_action().is_some() {}

    let first = hub.publish(at(4_000), news, &Event::new().data("1")).unwrap().frame;
    for _ in 0..3 {
        hub.publish(at(5_000), other, &Event::new().data("for others")).unwrap();
    }
    assert_eq!(hub.connection_stats(at(5_000), id).unwrap().behind, 1, "only followed channels count");
    let last = hub.publish(at(6_000), news, &Event::new().data("2")).unwrap().frame;
    let stats = hub.connection_stats(at(6_000), id).unwrap();
    assert_eq!((stats.pending_bytes, stats.pending_frames), (first.len() + last.len(), 2));
    assert_eq!((stats.behind, stats.stalled_since), (5, None), "the driver was not told yet");
    assert_eq!(hub.poll_action(), Some(Action::Transmit(id)));
    assert_eq!(hub.connection_stats(at(6_000), id).unwrap().stalled_since, Some(at(6_000)));

    let mut window = hub.transmit(at(7_000), id);
    window.advance(first.len() + 1);
    drop(window);
    let stats = hub.connection_stats(at(7_000), id).unwrap();
    assert_eq!((stats.pending_bytes, stats.pending_frames), (last.len() - 1, 1), "the rest of a frame");
    assert_eq!((stats.last_taken_at, stats.stalled_since), (at(7_000), Some(at(7_000))));
    hub.close_connection(at(7_000), id);
    assert!(hub.connection_stats(at(7_000), id).unwrap().is_closing);
    hub.disconnect(at(7_000), id);
    assert_eq!(hub.connection_stats(at(7_000), id), None);
}

/// The cost of the statistics is bounded, however much is pending.
#[test]
fn a3_connection_stats_count_at_most_one_window() {
    let mut hub = Hub::new(HubConfig::default()).unwrap();
    let now = Instant::ORIGIN;
    let news = hub.open_channel(now, "news", ChannelConfig::default()).unwrap();
    let id = hub.connect(now, without_position()).unwrap();
    hub.subscribe(now, news, id).unwrap();
    for _ in 0..2 * Transmit::MAX_FRAMES {
        hub.publish(now, news, &Event::new().data("x")).unwrap();
    }
    let stats = hub.connection_stats(now, id).unwrap();
    assert_eq!(
        (stats.pending_frames, stats.pending_bytes),
        (Transmit::MAX_FRAMES, hub.transmit(now, id).remaining())
    );
    assert_eq!(stats.behind, 2 * Transmit::MAX_FRAMES as u64);

    let large = hub.connect(now, without_position()).unwrap();
    hub.subscribe(now, news, large).unwrap();
    for _ in 0..5 {
        hub.publish(now, news, &Event::new().data("x".repeat(20_000))).unwrap();
    }
    let stats = hub.connection_stats(now, large).unwrap();
    assert_eq!((stats.pending_frames, stats.pending_bytes), (3, hub.transmit(now, large).remaining()));
    assert!(stats.pending_bytes <= Transmit::MAX_BYTES);
}
