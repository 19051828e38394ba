//! Finished channels: K4 to K8, and `StartFrom::Beginning` of H8.
mod common;

use std::time::Duration;

use common::{World, data, secs, without_position};
use sse_core::{
    Action, ChannelCloseReason, ChannelConfig, ChannelId, CloseReason, ConnectionConfig, ConnectionId, Event,
    Finished, HistoryConfig, Join, LastEventId, Limits, OnClose, Position, PublishError, PublishOptions,
    Resume, StartFrom,
};

const KEEP: Duration = Duration::from_secs(600);

fn finish(w: &mut World, channel: ChannelId, last: &str) -> Finished {
    finish_with(w, channel, Some(&Event::new().data(last)))
}

fn finish_with(w: &mut World, channel: ChannelId, last: Option<&Event<'_>>) -> Finished {
    let finished = w.hub.finish_channel(w.now, channel, last, KEEP).unwrap();
    assert_eq!(w.hub.poll_action(), Some(Action::ChannelFinished(channel)));
    finished
}

fn finish_without_last(w: &mut World, channel: ChannelId) -> Finished {
    finish_with(w, channel, None)
}

fn close(connection: ConnectionId) -> Action {
    Action::Close { connection, reason: CloseReason::Finished }
}

/// Takes everything, and returns the data and the actions that follow.
fn read(w: &mut World, connection: ConnectionId) -> (Vec<String>, Vec<Action>) {
    w.actions();
    let taken = w.data(connection);
    (taken, w.actions())
}

#[test]
fn k4_the_last_event_and_the_end_are_one_step() {
    let mut w = World::new();
    let a = w.open_with("a", ChannelConfig::answer());
    let reader = w.follow(a);
    w.publish(a, "1");
    let finished = finish(&mut w, a, "done");
    assert_eq!((finished.end, finished.complete_after), (Position::new(2), Position::ORIGIN));
    assert!(finished.is_complete && w.hub.is_finished(a));
    assert_eq!(read(&mut w, reader), (vec!["1".into(), "done".into()], vec![close(reader)]));
}

#[test]
fn k4_a_finished_channel_accepts_no_events_and_no_second_end() {
    let mut w = World::new();
    let a = w.open("a");
    finish_without_last(&mut w, a);
    let event = Event::new().data("late");
    let refused = PublishError::Finished(a);
    assert_eq!(w.hub.publish(w.now, a, &event), Err(refused.clone()));
    assert_eq!(w.hub.finish_channel(w.now, a, None, KEEP), Err(refused.clone()));
    assert!(refused.to_string().ends_with("is finished"));
}

#[test]
fn k4_of_a_publication_to_several_channels_nothing_is_published() {
    let mut w = World::new();
    let (a, b) = (w.open("a"), w.open("b"));
    let reader = w.follow(b);
    finish_without_last(&mut w, a);
    let event = Event::new().data("both");
    let published = w.hub.publish_to(w.now, &[b, a], &event, PublishOptions::default());
    assert_eq!(published, Err(PublishError::Finished(a)));
    assert_eq!((w.hub.head(), w.pending_bytes(reader)), (Position::ORIGIN, 0));
}

#[test]
fn k4_an_end_that_cannot_be_published_leaves_the_channel_open() {
    let mut w = World::new();
    let a = w.open("a");
    let broken = Event::new().event("a\nb");
    assert!(matches!(w.hub.finish_channel(w.now, a, Some(&broken), KEEP), Err(PublishError::Encode(_))));
    assert!(!w.hub.is_finished(a));
    w.publish(a, "still open");
}

#[test]
fn k4_the_name_stays_taken_in_place_of_the_empty_timeout() {
    let mut w = World::new();
    let a = w.open_with("a", ChannelConfig { empty_timeout: Some(secs(1)), ..ChannelConfig::default() });
    finish_without_last(&mut w, a);
    w.run_for(secs(599));
    assert_eq!(w.hub.channel("a"), Some(a));
    w.run_for(secs(1));
    assert_eq!(w.hub.channel("a"), None);
}

#[test]
fn k4_closing_a_finished_channel_ends_the_time_for_which_it_is_kept() {
    let mut w = World::new();
    let a = w.open("a");
    finish_without_last(&mut w, a);
    assert!(w.hub.close_channel(w.now, a));
    let reason = ChannelCloseReason::Requested;
    assert_eq!(w.run_for(secs(1000)), [Action::ChannelClosed { channel: a, reason }]);
}

#[test]
fn k4_the_end_is_the_newest_event_with_an_id() {
    let mut w = World::new();
    let a = w.open_with("a", ChannelConfig::answer());
    w.publish(a, "1");
    let bye = Event::new().data("bye").live_only();
    let finished = w.hub.finish_channel(w.now, a, Some(&bye), KEEP).unwrap();
    assert_eq!(finished.end, Position::new(1));
    let back = w.reconnect("e-1");
    assert_eq!(w.subscribe(a, back), Resume::Finished, "a live-only event is nobody's position");
}

#[test]
fn k4_a_hub_with_external_positions_finishes_nothing() {
    let mut w = World::external(0);
    let a = w.open("a");
    let refused = w.hub.finish_channel(w.now, a, None, KEEP);
    assert_eq!(refused, Err(PublishError::PositionsAreExternal));
}

#[test]
fn k4_the_result_says_from_where_on_the_channel_is_complete() {
    let mut w = World::new();
    let a = w.open_with_history("a", 2);
    w.publish_numbers(a, 1..=3);
    let finished = finish_without_last(&mut w, a);
    assert_eq!((finished.end, finished.complete_after), (Position::new(3), Position::new(1)));
    assert!(!finished.is_complete);
}

#[test]
fn k5_a_reader_of_several_channels_stays_until_all_are_over() {
    let mut w = World::new();
    let (a, b) = (w.open("a"), w.open("b"));
    let reader = w.follow(a);
    w.subscribe(b, reader);
    finish(&mut w, a, "end of a");
    assert_eq!(read(&mut w, reader), (vec!["end of a".into()], vec![]));
    assert_eq!(w.hub.subscriptions(reader).collect::<Vec<_>>(), [b]);
    w.publish(b, "go on");
    assert_eq!(read(&mut w, reader), (vec!["go on".into()], vec![]));
    finish(&mut w, b, "end of b");
    assert_eq!(read(&mut w, reader), (vec!["end of b".into()], vec![close(reader)]));
}

#[test]
fn k5_a_connection_that_follows_another_channel_comes_back_once_and_not_for_ever() {
    let mut w = World::new();
    let (a, c) = (w.open("a"), w.open("c"));
    w.publish(a, "1");
    finish(&mut w, a, "end");
    let back = w.reconnect("e-2");
    assert_eq!(w.subscribe(a, back), Resume::Finished);
    assert_eq!(w.subscribe(c, back), Resume::UpToDate);
    assert_eq!(read(&mut w, back), (vec![], vec![]));
    assert!(w.hub.is_connection_open(back), "it follows the other channel");
}

#[test]
fn k5_a_driver_that_polls_between_two_subscriptions_closes_nothing() {
    let mut w = World::new();
    let (a, c) = (w.open("a"), w.open("c"));
    finish(&mut w, a, "end");
    let back = w.reconnect("e-1");
    assert_eq!(w.subscribe(a, back), Resume::Finished);
    assert_eq!(w.actions(), [Action::Transmit(back)], "the transport is asked to ask");
    assert_eq!(w.actions(), [], "once");
    assert_eq!(w.subscribe(c, back), Resume::UpToDate);
    assert_eq!(read(&mut w, back), (vec![], vec![]));
}

#[test]
fn k5_a_reader_that_has_everything_is_reported_once_and_closed_when_it_asks() {
    let mut w = World::new();
    let a = w.open("a");
    let reader = w.follow(a);
    assert_eq!(w.actions(), []);
    finish_without_last(&mut w, a);
    assert_eq!(w.actions(), [Action::Transmit(reader)]);
    assert_eq!(w.actions(), []);
    assert_eq!(w.take(reader), "");
    assert_eq!(w.actions(), [close(reader)]);
}

#[test]
fn k5_who_waits_to_leave_is_not_stalled() {
    let mut w = World::new();
    let a = w.open("a");
    let reader = w.connect_with(ConnectionConfig { ping: None, ..without_position() });
    w.subscribe(a, reader);
    finish_without_last(&mut w, a);
    assert_eq!(w.run_for(secs(300)), [Action::Transmit(reader)], "no byte waits for the peer");
}

#[test]
fn k5_an_event_that_excludes_the_reader_does_not_hold_it() {
    let mut w = World::new();
    let a = w.open("a");
    let reader = w.follow(a);
    w.publish_except(reader, a, "not for you");
    finish_without_last(&mut w, a);
    assert_eq!(read(&mut w, reader), (vec![], vec![close(reader)]));
}

#[test]
fn k5_unsubscribing_the_other_channel_lets_the_connection_leave() {
    let mut w = World::new();
    let (a, b) = (w.open("a"), w.open("b"));
    let reader = w.follow(a);
    w.subscribe(b, reader);
    w.actions();
    finish_without_last(&mut w, a);
    w.hub.unsubscribe(w.now, b, reader);
    assert_eq!(read(&mut w, reader), (vec![], vec![close(reader)]));
}

#[test]
fn k5_a_closed_channel_of_the_first_step_holds_no_reader() {
    let mut w = World::new();
    let (closed, a) = (w.open("closed"), w.open("a"));
    finish_without_last(&mut w, a);
    let reader = w.follow(closed);
    w.hub.close_channel(w.now, closed);
    w.subscribe(a, reader);
    w.actions();
    assert_eq!(w.take(reader), "");
    assert_eq!(w.actions(), [close(reader)]);
}

#[test]
fn k5_a_claim_is_confirmed_before_the_connection_ends() {
    let mut w = World::new();
    let a = w.open("a");
    let reader = w.follow(a);
    finish(&mut w, a, "end");
    w.actions();
    let (_, claim) = w.hub.transmit(w.now, reader).claim_frame().unwrap();
    assert!(!w.hub.completes(&claim), "another subscription can still come");
    assert_eq!(w.actions(), []);
    assert!(w.hub.confirm(w.now, claim));
    assert_eq!(w.actions(), [close(reader)]);
}

#[test]
fn k6_who_comes_while_the_channel_is_kept_receives_everything_and_the_end() {
    let mut w = World::new();
    let a = w.open_with("a", ChannelConfig::answer());
    w.publish_numbers(a, 1..=600);
    finish(&mut w, a, "done");
    let late = w.connect();
    assert_eq!(w.subscribe(a, late), Resume::Fresh);
    let (taken, actions) = read(&mut w, late);
    assert_eq!((taken.len(), taken.last().unwrap().as_str()), (601, "done"));
    assert_eq!(actions, [close(late)]);
    let back = w.reconnect("e-599");
    assert_eq!(w.subscribe(a, back), Resume::Replayed { events: 2 });
    assert_eq!(read(&mut w, back), (vec!["600".into(), "done".into()], vec![close(back)]));
}

#[test]
fn k6_over_is_who_has_everything_and_said_so() {
    let mut w = World::new();
    let (a, c) = (w.open_with("a", ChannelConfig::answer()), w.open("c"));
    w.publish(a, "1");
    finish(&mut w, a, "done");
    let is_over = |w: &mut World, id: &str, channels: &[ChannelId]| {
        let connection = w.reconnect(id);
        for channel in channels {
            w.subscribe(*channel, connection);
        }
        w.hub.is_over(connection)
    };
    assert!(is_over(&mut w, "e-2", &[a]));
    assert!(!is_over(&mut w, "e-1", &[a]), "an event is pending");
    assert!(!is_over(&mut w, "", &[a]), "it gave no id");
    assert!(!is_over(&mut w, "f-2", &[a]), "the id is unknown");
    assert!(!is_over(&mut w, "e-2", &[a, c]), "another channel goes on");
    assert!(!is_over(&mut w, "e-2", &[]), "it follows nothing");
}

#[test]
fn k6_an_id_that_another_channel_finds_lower_owes_the_rest_of_a_finished_one() {
    let mut w = World::new();
    let (a, c) = (w.open("a"), w.open("c"));
    let event = |data: &'static str| Event::new().id("x").data(data);
    w.publish_event(c, event("c1"));
    w.publish(a, "a1");
    w.hub.finish_channel(w.now, a, Some(&event("a2")), KEEP).unwrap();
    let back = w.reconnect("x");
    assert_eq!(w.subscribe(a, back), Resume::Finished);
    w.actions();
    assert_eq!(w.subscribe(c, back), Resume::UpToDate);
    assert_eq!(w.data(back), ["a1", "a2"]);
}

#[test]
fn k6_a_late_join_after_the_end_is_finished() {
    let mut w = World::new();
    let (a, b) = (w.open("a"), w.open("b"));
    w.publish(a, "1");
    finish(&mut w, a, "end");
    let reader = w.follow(b);
    w.publish(b, "first");
    w.take(reader);
    let had = LastEventId::from("e-2");
    assert_eq!(w.hub.join(w.now, a, reader, Join::After(&had)), Ok(Resume::Finished));
    assert_eq!(read(&mut w, reader), (vec![], vec![]));
    assert_eq!(w.hub.subscriptions(reader).collect::<Vec<_>>(), [b]);
}

#[test]
fn k7_after_that_time_the_channel_is_closed_and_its_end_is_known() {
    let mut w = World::new();
    let a = w.open("a");
    w.publish(a, "1");
    finish(&mut w, a, "end");
    assert_eq!(w.hub.ended("a"), None, "it is still there");
    let reason = ChannelCloseReason::Finished;
    assert_eq!(w.run_for(KEEP), [Action::ChannelClosed { channel: a, reason }]);
    assert_eq!((w.hub.channel("a"), w.hub.ended("a")), (None, Some(Position::new(2))));
    assert_eq!(w.hub.ended("b"), None);
}

#[test]
fn k7_who_is_still_reading_reads_to_the_end() {
    let mut w = World::new();
    let a = w.open("a");
    let reader = w.follow(a);
    w.publish_numbers(a, 1..=2);
    w.hub.finish_channel(w.now, a, None, Duration::ZERO).unwrap();
    w.actions();
    assert_eq!(w.hub.channel("a"), None);
    assert_eq!(read(&mut w, reader), (vec!["1".into(), "2".into()], vec![close(reader)]));
}

#[test]
fn k7_closing_connections_goes_on_after_that_time() {
    let mut w = World::new();
    let config = ChannelConfig { on_close: OnClose::CloseConnections, ..ChannelConfig::default() };
    let (a, b) = (w.open_with("a", config), w.open("b"));
    let reader = w.follow(a);
    w.subscribe(b, reader);
    w.hub.finish_channel(w.now, a, Some(&Event::new().data("end")), secs(1)).unwrap();
    w.run_for(secs(1));
    assert_eq!(w.data(reader), ["end"]);
    let reason = CloseReason::ChannelClosed;
    assert_eq!(w.actions(), [Action::Close { connection: reader, reason }]);
}

#[test]
fn k8_a_finite_stream_is_not_truncated_by_the_number_of_events() {
    let config = ChannelConfig::answer();
    assert_eq!(config.history, HistoryConfig { events: usize::MAX, bytes: Some(16 << 20), age: None });
    assert_eq!(config.start, StartFrom::Beginning);
}

#[test]
fn k8_age_does_not_touch_a_finished_channel() {
    let mut w = World::new();
    let history = HistoryConfig { age: Some(secs(10)), ..HistoryConfig::default() };
    let a = w.open_with("a", ChannelConfig { history, ..ChannelConfig::answer() });
    w.publish(a, "1");
    finish(&mut w, a, "end");
    w.run_for(secs(100));
    let late = w.follow(a);
    assert_eq!(w.data(late), ["1", "end"]);
}

#[test]
fn k8_the_total_of_the_hub_evicts_from_open_channels() {
    let overhead = Limits::HISTORY_EVENT_OVERHEAD;
    let limits = Limits { history_bytes: 4 * (overhead + 20), ..Limits::default() };
    let mut w = World::with(sse_core::HubConfig { limits, ..Default::default() });
    let (a, b) = (w.open_with("a", ChannelConfig::answer()), w.open("b"));
    w.publish(a, "1");
    let finished = finish(&mut w, a, "end");
    assert!(finished.is_complete);
    w.publish_numbers(b, 1..=20);
    assert!(w.hub.stats().history_bytes <= 4 * (overhead + 20));
    let late = w.follow(a);
    assert_eq!(w.data(late), ["1", "end"]);
}

#[test]
fn k8_at_its_end_a_channel_yields_its_own_events_to_the_total() {
    let overhead = Limits::HISTORY_EVENT_OVERHEAD;
    let limits = Limits { history_bytes: 3 * (overhead + 20), ..Limits::default() };
    let mut w = World::with(sse_core::HubConfig { limits, ..Default::default() });
    let a = w.open_with("a", ChannelConfig::answer());
    w.publish_numbers(a, 1..=3);
    let finished = finish(&mut w, a, "end");
    assert_eq!((finished.complete_after, finished.is_complete), (Position::new(1), false));
}

#[test]
fn h6_behind_the_reset_for_an_unknown_id_a_channel_starts_as_for_a_new_connection() {
    let mut w = World::new();
    let a = w.open_with("a", ChannelConfig::answer());
    w.publish_numbers(a, 1..=2);
    finish(&mut w, a, "done");
    let back = w.reconnect("before-a-restart-7");
    assert_eq!(w.subscribe(a, back), Resume::Unknown);
    let (taken, actions) = read(&mut w, back);
    assert_eq!(taken, ["reset e-0", "1", "2", "done"], "the page has cleared itself for something");
    assert_eq!(actions, [close(back)]);
}

#[test]
fn k6_a_client_that_comes_back_makes_two_requests_at_most() {
    let mut w = World::new();
    let a = w.open_with("a", ChannelConfig::answer());
    w.publish_numbers(a, 1..=5);
    finish(&mut w, a, "done");
    for id in ["", "e-0", "e-3", "unknown"] {
        let first = w.reconnect(id);
        w.subscribe(a, first);
        let stream = w.take(first);
        assert_eq!(data(&stream).last().unwrap(), "done");
        let second = w.reconnect("e-6");
        w.subscribe(a, second);
        assert!(w.hub.is_over(second));
    }
}
