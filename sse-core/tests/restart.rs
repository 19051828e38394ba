//! Restarts: R1 to R4.
mod common;

use std::time::Duration;

use common::{World, secs};
use proptest::collection::vec;
use proptest::prelude::*;
use sse_core::{
    ChannelConfig, ChannelId, ConnectionConfig, Event, Except, GapPolicy, HistoryConfig, Hub, HubConfig,
    Instant, LastEventId, Limits, Position, PositionSource, PublishError, PublishOptions, RestoreError,
    Resume, StartFrom,
};

fn config(epoch: &str) -> HubConfig {
    HubConfig { epoch: epoch.into(), ..HubConfig::default() }
}

/// Seals the hub, and returns the world of the next run.
fn restart(w: &mut World, epoch: &str) -> World {
    w.hub.seal(w.now);
    let export = w.hub.export(w.now).unwrap();
    let hub = Hub::restore(config(epoch), w.now, Duration::ZERO, &export).unwrap();
    World { hub, now: w.now }
}

/// Resumes with an id, and returns the outcome and the data.
fn resume(w: &mut World, channel: ChannelId, id: &str) -> (Resume, Vec<String>) {
    let c = w.reconnect(id);
    let resume = w.subscribe(channel, c);
    (resume, w.data(c))
}

#[test]
fn r1_a_sealed_hub_publishes_nothing() {
    let mut w = World::new();
    let a = w.open("a");
    let c = w.follow(a);
    w.publish(a, "1");
    w.hub.seal(w.now);
    let event = Event::new().data("2");
    assert_eq!(w.hub.publish(w.now, a, &event), Err(PublishError::Sealed));
    assert_eq!(w.hub.finish_channel(w.now, a, None, secs(1)).unwrap_err(), PublishError::Sealed);
    let frame = event.encode().unwrap();
    let options = PublishOptions::default();
    assert_eq!(w.hub.publish_frame(w.now, &[a], &frame, options), Err(PublishError::Sealed));
    assert_eq!(w.data(c), ["1"], "what was published is delivered");
    let mut w = World::external(0);
    let a = w.open("a");
    w.hub.seal(w.now);
    let published = w.hub.publish_at(w.now, &[a], Position::new(1), &frame, options);
    assert_eq!(published, Err(PublishError::Sealed));
    assert!(w.hub.export(w.now).is_err(), "its positions come from outside");
}

#[test]
fn r2_an_id_of_the_former_run_is_its_position_up_to_the_head() {
    let mut w = World::new();
    let a = w.open("a");
    w.publish_numbers(a, 1..=3);
    let mut w = restart(&mut w, "f");
    let a = w.open("a");
    assert_eq!(w.hub.head(), Position::new(3));
    assert_eq!(resume(&mut w, a, "e-1"), (Resume::Replayed { events: 2 }, vec!["2".into(), "3".into()]));
    assert_eq!(resume(&mut w, a, "e-3").0, Resume::UpToDate);
    assert_eq!(resume(&mut w, a, "e-4").0, Resume::Unknown, "beyond the head");
    assert_eq!(resume(&mut w, a, "f-2").0, Resume::Replayed { events: 1 });
    assert_eq!(w.publish(a, "4").frame.id(), Some("f-4"));
    let c = w.reconnect("e-2");
    w.subscribe(a, c);
    assert_eq!(w.take(c), "id: f-3\ndata: 3\n\nid: f-4\ndata: 4\n\n", "replayed events have ids of this run");
}

#[test]
fn r2_a_copy_makes_every_id_of_its_run_unknown() {
    let mut w = World::new();
    let a = w.open("a");
    w.publish_numbers(a, 1..=3);
    let export = w.hub.export(w.now).unwrap();
    let hub = Hub::restore(config("f"), w.now, Duration::ZERO, &export).unwrap();
    let mut w = World { hub, now: w.now };
    let a = w.open("a");
    for id in ["e-1", "e-3"] {
        assert_eq!(resume(&mut w, a, id).0, Resume::Unknown, "{id}");
    }
    let all = ChannelConfig { start: StartFrom::All, ..ChannelConfig::default() };
    assert_eq!(w.hub.open_channel(w.now, "a", all).unwrap_err(), sse_core::OpenError::OtherConfig);
    assert_eq!(resume(&mut w, a, "f-1").1, ["2", "3"], "the events are there");
}

#[test]
fn r2_former_runs_are_known_for_a_bounded_number_of_runs() {
    let mut w = World::new();
    let a = w.open("a");
    w.publish_numbers(a, 1..=2);
    for run in 0..9 {
        w = restart(&mut w, &format!("r{run}"));
        let a = w.open("a");
        let known = if run < 8 { Resume::Replayed { events: 1 } } else { Resume::Unknown };
        assert_eq!(resume(&mut w, a, "e-1").0, known, "{run}");
    }
    w.hub.seal(w.now);
    let export = w.hub.export(w.now).unwrap();
    for epoch in ["r8", "r3"] {
        let restored = Hub::restore(config(epoch), w.now, Duration::ZERO, &export);
        assert_eq!(restored.unwrap_err(), RestoreError::SameEpoch { epoch: epoch.into() });
    }
    let positions = PositionSource::Log { after: Position::ORIGIN };
    let restored = Hub::restore(HubConfig { positions, ..config("x") }, w.now, Duration::ZERO, &export);
    assert_eq!(restored.unwrap_err(), RestoreError::PositionsAreNotLocal);
}

#[test]
fn r3_a_second_run_of_one_export_does_not_know_the_ids_of_the_first() {
    let mut w = World::new();
    let a = w.open("a");
    w.publish(a, "1");
    w.hub.seal(w.now);
    let export = w.hub.export(w.now).unwrap();
    let run = |epoch| World {
        hub: Hub::restore(config(epoch), w.now, Duration::ZERO, &export).unwrap(),
        now: w.now,
    };
    let (mut first, mut second) = (run("f"), run("g"));
    let a = first.open("a");
    first.publish(a, "2");
    let a = second.open("a");
    second.publish(a, "another 2");
    assert_eq!(resume(&mut second, a, "f-2").0, Resume::Unknown, "so nothing is lost without a word");
}

#[test]
fn r4_a_channel_waits_for_its_configuration() {
    let mut w = World::new();
    let a = w.open("a");
    w.publish_numbers(a, 1..=3);
    let mut w = restart(&mut w, "f");
    assert_eq!((w.hub.channel("a"), w.hub.stats().channels), (None, 0));
    let a = w.open_with_history("a", 2);
    assert_eq!(resume(&mut w, a, "e-1").1, ["2", "3"]);
    assert_eq!(resume(&mut w, a, "e-0").0, Resume::Gap { lost_through: Position::new(1), events: 2 });
}

#[test]
fn r4_a_channel_that_nobody_opens_is_let_go() {
    let mut w = World::new();
    let (a, _) = (w.open("a"), w.open("b"));
    w.publish_numbers(a, 1..=3);
    let mut w = restart(&mut w, "f");
    let b = w.open("b");
    w.run_for(secs(599));
    assert_eq!(w.hub.ended("a"), None);
    w.run_for(secs(2));
    assert_eq!(w.hub.ended("a"), Some(Position::new(3)), "its end counts");
    let a = w.open("a");
    assert_eq!(resume(&mut w, a, "e-2").0, Resume::Gap { lost_through: Position::new(3), events: 0 });
    assert_eq!(resume(&mut w, b, "e-2").0, Resume::UpToDate);
}

#[test]
fn r4_a_finished_channel_needs_no_opening() {
    let mut w = World::new();
    let answer = w.open_with("answer", ChannelConfig::answer());
    w.publish_numbers(answer, 1..=2);
    w.hub.finish_channel(w.now, answer, None, secs(100)).unwrap();
    w.now = w.now.saturating_add(secs(40));
    let mut w = restart(&mut w, "f");
    let answer = w.hub.channel("answer").unwrap();
    assert!(w.hub.is_finished(answer));
    assert_eq!(resume(&mut w, answer, "e-1").1, ["2"]);
    let c = w.connect();
    w.subscribe(answer, c);
    assert_eq!(w.data(c), ["1", "2"]);
    assert_eq!(w.open_with("answer", ChannelConfig::default()), answer, "it takes a configuration");
    w.run_for(secs(59));
    assert!(w.hub.is_finished(answer));
    w.run_for(secs(2));
    assert_eq!(w.hub.channel("answer"), None, "the rest of the time for which it was kept has passed");
}

#[test]
fn r1_ends_of_names_and_excluded_clients_are_written() {
    let mut w = World::new();
    let (a, b) = (w.open("a"), w.open("b"));
    w.publish(a, "1");
    w.hub.close_channel(w.now, a);
    let options = PublishOptions { except: Some(Except::Client("tab")) };
    w.hub.publish_to(w.now, &[b], &Event::new().data("2"), options).unwrap();
    let mut w = restart(&mut w, "f");
    assert_eq!(w.hub.ended("a"), Some(Position::new(1)));
    let (a, b) = (w.open("a"), w.open("b"));
    assert!(matches!(resume(&mut w, a, "e-0").0, Resume::Gap { .. }));
    for (client, expected) in [("tab", vec![]), ("other", vec!["2".to_owned()])] {
        let last_event_id = Some("e-1".into());
        let client = Some(client.into());
        let c = w.connect_with(ConnectionConfig { last_event_id, client, ..ConnectionConfig::default() });
        w.subscribe(b, c);
        assert_eq!(w.data(c), expected);
    }
}

#[test]
fn r2_ages_go_on_while_no_process_runs() {
    let mut w = World::new();
    let history = HistoryConfig { age: Some(secs(100)), ..HistoryConfig::default() };
    let channel = ChannelConfig { history, ..ChannelConfig::default() };
    let a = w.open_with("a", channel.clone());
    w.publish(a, "1");
    w.now = w.now.saturating_add(secs(50));
    w.publish(a, "2");
    w.hub.seal(w.now);
    let export = w.hub.export(w.now).unwrap();
    // The clock of the next run counts from another origin.
    let now = Instant::ORIGIN.saturating_add(secs(1_000));
    let hub = Hub::restore(config("f"), now, secs(60), &export).unwrap();
    let mut w = World { hub, now };
    let a = w.open_with("a", channel);
    assert_eq!(resume(&mut w, a, "e-1").1, ["2"]);
    assert!(matches!(resume(&mut w, a, "e-0").0, Resume::Gap { .. }), "110 seconds old");
    w.run_for(secs(41));
    assert_eq!(w.hub.channel_stats(a).unwrap().history_events, 0);
}

#[test]
fn r2_a_second_restart_keeps_the_channels_that_still_wait() {
    let mut w = World::new();
    let a = w.open("a");
    w.publish_numbers(a, 1..=2);
    let mut w = restart(&mut w, "f");
    let mut w = restart(&mut w, "g");
    let a = w.open("a");
    assert_eq!(resume(&mut w, a, "e-1").1, ["2"]);
    assert_eq!(resume(&mut w, a, "f-1").1, ["2"]);
}

#[test]
fn r4_the_limit_of_channels_holds() {
    let mut w = World::new();
    for name in ["a", "b"] {
        let channel = w.open_with(name, ChannelConfig::answer());
        w.publish(channel, "1");
        w.hub.finish_channel(w.now, channel, None, secs(100)).unwrap();
    }
    w.hub.seal(w.now);
    let export = w.hub.export(w.now).unwrap();
    let limits = Limits { channels: 1, ..Limits::default() };
    let hub = Hub::restore(HubConfig { limits, ..config("f") }, w.now, Duration::ZERO, &export).unwrap();
    assert_eq!(hub.stats().channels, 1);
    assert!(hub.ended("a").is_some() != hub.ended("b").is_some());
}

/// Returns the export of a hub with a bit of everything.
fn export() -> Vec<u8> {
    let mut w = World::new();
    let (a, b) = (w.open("a"), w.open_with("b", ChannelConfig::answer()));
    w.publish_numbers(a, 1..=3);
    w.publish_event(a, Event::new().id("own").data("x"));
    w.publish(b, "answer");
    w.hub.finish_channel(w.now, b, None, secs(10)).unwrap();
    let closed = w.open("closed");
    w.hub.close_channel(w.now, closed);
    w.hub.seal(w.now);
    w.hub.export(w.now).unwrap()
}

#[test]
fn r2_a_damaged_export_restores_nothing() {
    let export = export();
    let restore = |bytes: &[u8]| Hub::restore(config("f"), Instant::ORIGIN, Duration::ZERO, bytes);
    assert!(restore(&export).is_ok());
    for end in 0..export.len() {
        assert!(restore(&export[..end]).is_err(), "cut at {end}");
    }
    for index in 0..export.len() {
        let mut damaged = export.clone();
        damaged[index] ^= 1;
        assert!(restore(&damaged).is_err(), "byte {index}");
    }
    assert!(restore(&[&export[..], b"x"].concat()).is_err());
    let mut later = export.clone();
    later[6] = 9;
    assert_eq!(restore(&later).unwrap_err(), RestoreError::Version { found: 9 });
    assert_eq!(restore(b"SSE").unwrap_err(), RestoreError::NotAnExport);
}

fn channel_config() -> impl Strategy<Value = ChannelConfig> {
    let start = prop_oneof![
        Just(StartFrom::Live),
        (0usize..4).prop_map(StartFrom::Last),
        Just(StartFrom::All),
        Just(StartFrom::Beginning),
    ];
    let on_gap = prop_oneof![Just(GapPolicy::Reset), Just(GapPolicy::Kept), Just(GapPolicy::Live)];
    (0usize..5, start, on_gap).prop_map(|(events, start, on_gap)| ChannelConfig {
        history: HistoryConfig { events, ..HistoryConfig::default() },
        start,
        on_gap,
        ..ChannelConfig::default()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// The next run answers every id of the former one as that run would: with the same outcome, and the same events.
    #[test]
    fn r2_the_next_run_answers_as_the_former_one(
        config in channel_config(),
        events in vec((0u8..4, 0u8..4), 0..30),
        closes in vec(0usize..2, 0..3),
    ) {
        let mut former = World::new();
        let names = ["a", "b"];
        for name in names {
            former.open_with(name, config.clone());
        }
        for (number, (channels, kind)) in events.iter().enumerate() {
            let open: Vec<_> = (0..2).filter(|name| channels & 1 << name != 0)
                .filter_map(|name| former.hub.channel(names[name])).collect();
            let data = number.to_string();
            let event = Event::new().data(data.as_str());
            let event = match kind {
                0 => event.live_only(),
                1 => event.id(format!("own-{}", number % 3)),
                _ => event,
            };
            if !open.is_empty() {
                former.hub.publish_to(former.now, &open, &event, PublishOptions::default()).unwrap();
            }
            if number % 7 == 3 && let Some(close) = closes.get(number / 7) {
                let channel = former.hub.channel(names[*close]).unwrap();
                former.hub.close_channel(former.now, channel);
                former.open_with(names[*close], config.clone());
            }
        }
        let mut next = restart(&mut former, "f");
        for name in names {
            next.open_with(name, config.clone());
        }
        let head = former.hub.head().get();
        let ids = (0..=head).map(|id| format!("e-{id}")).chain(["own-0", "own-1", "unknown"].map(String::from));
        for id in ids.map(Some).chain([None]) {
            let answers = [&mut former, &mut next].map(|w| {
                let last_event_id = id.as_ref().and_then(|id| LastEventId::new(id.as_bytes()));
                let c = w.connect_with(ConnectionConfig { last_event_id, ..ConnectionConfig::default() });
                let resumes = names.map(|name| {
                    let channel = w.hub.channel(name).unwrap();
                    w.subscribe(channel, c)
                });
                let bytes = w.take(c).replace("id: f-", "id: e-");
                w.hub.disconnect(w.now, c);
                (resumes, bytes)
            });
            prop_assert_eq!(&answers[0], &answers[1], "{:?}", id);
        }
    }
}
