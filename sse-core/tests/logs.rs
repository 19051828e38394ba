//! Hubs that follow a log: L1 to L4.
mod common;

use common::{World, data_frame, secs, without_position};
use sse_core::{
    Action, ChannelConfig, ChannelId, ConnectionConfig, Event, Frame, GapPolicy, HistoryConfig, HubConfig,
    IdSource, Instant, LagPolicy, Limits, OpenError, Past, PastEvent, Position, PositionSource, PublishError,
    PublishOptions, Resume, StartFrom,
};

fn past_event(position: u64) -> PastEvent {
    let frame = data_frame(&position.to_string());
    PastEvent { position: Position::new(position), published_at: Instant::ORIGIN, frame }
}

/// Opens a channel with a past of events whose data is their position.
fn open_with_past(w: &mut World, config: ChannelConfig, floor: u64, positions: &[u64]) -> ChannelId {
    let events: Vec<PastEvent> = positions.iter().copied().map(past_event).collect();
    let past = Past { floor: Position::new(floor), is_complete: false, events: &events };
    w.hub.open_channel_with(w.now, "a", config, &past).unwrap()
}

/// Resumes after a position, and returns the outcome and the data.
fn resume(w: &mut World, channel: ChannelId, after: u64) -> (Resume, Vec<String>) {
    let c = w.reconnect(&format!("e-{after}"));
    let resume = w.subscribe(channel, c);
    (resume, w.data(c))
}

fn gap(lost_through: u64, events: usize) -> Resume {
    Resume::Gap { lost_through: Position::new(lost_through), events }
}

#[test]
fn l1_nothing_is_still_to_come_at_the_head() {
    let mut w = World::log(40);
    let (a, b) = (w.open("a"), w.open("b"));
    w.publish_at(a, 45);
    assert_eq!(w.publish_at(b, 45).subscriptions, 0, "ignored");
    assert_eq!(w.hub.channel_stats(b).unwrap().history_events, 0);
    let c = w.connect_with(ConnectionConfig::default());
    w.subscribe(a, c);
    assert_eq!(w.data(c), ["position e-45"], "not the position before");
    assert_eq!(w.hub.resume_id(), "e-45");
    assert_eq!(w.hub.stats().published, 1);
}

#[test]
fn l1_one_call_publishes_to_all_channels() {
    let mut w = World::log(40);
    let (a, b) = (w.open("a"), w.open("b"));
    let c = w.follow(a);
    w.subscribe(b, c);
    let frame = data_frame("both");
    let at = Position::new(41);
    let published = w.hub.publish_at(w.now, &[a, b], at, &frame, PublishOptions::default()).unwrap();
    assert_eq!((published.subscriptions, published.frame.id()), (2, Some("e-41")));
    assert_eq!(w.data(c), ["both"]);
    assert_eq!(w.hub.publish(w.now, a, &Event::new().data("x")), Err(PublishError::PositionsAreExternal));
    let finished = w.hub.finish_channel(w.now, a, None, secs(1));
    assert_eq!(finished.unwrap_err(), PublishError::PositionsAreExternal);
}

#[test]
fn l1_a_client_that_is_ahead_receives_what_is_later() {
    let mut w = World::log(40);
    let a = w.open("a");
    let c = w.reconnect("e-50");
    assert_eq!(w.subscribe(a, c), Resume::UpToDate);
    for position in [45, 50, 51] {
        w.publish_at(a, position);
    }
    assert_eq!(w.data(c), ["51"]);
}

#[test]
fn o5_a_publication_from_outside_can_exclude_a_connection() {
    for mut w in [World::log(40), World::external(40)] {
        let a = w.open("a");
        let (sender, other) = (w.follow(a), w.follow(a));
        let options = PublishOptions { except: Some(sender.into()) };
        w.hub.publish_at(w.now, &[a], Position::new(41), &data_frame("x"), options).unwrap();
        assert_eq!((w.data(sender), w.data(other)), (vec![], vec!["x".to_owned()]));
        assert_eq!(resume(&mut w, a, 40).1, ["x"], "an exclusion of a connection ends with it");
    }
}

#[test]
fn o5_channels_are_listed_while_they_are_open() {
    let mut w = World::log(40);
    let (a, b) = (w.open("a"), w.open("b"));
    assert_eq!(w.hub.channels().collect::<Vec<_>>(), [(a, "a"), (b, "b")]);
    let member = w.follow(a);
    w.publish_at(a, 41);
    w.hub.close_channel(w.now, a);
    assert_eq!(w.hub.channels().collect::<Vec<_>>(), [(b, "b")], "it still has a member");
    w.take(member);
}

#[test]
fn l2_a_past_is_replayed_as_if_the_channel_had_been_open() {
    let mut w = World::log(40);
    let a = open_with_past(&mut w, ChannelConfig::default(), 20, &[30, 35, 40]);
    assert_eq!(resume(&mut w, a, 30), (Resume::Replayed { events: 2 }, vec!["35".into(), "40".into()]));
    assert_eq!(resume(&mut w, a, 40).0, Resume::UpToDate);
    assert_eq!(resume(&mut w, a, 20).0, Resume::Replayed { events: 3 }, "the floor itself is complete");
    let (outcome, data) = resume(&mut w, a, 19);
    assert_eq!((outcome, data.first().map(String::as_str)), (gap(20, 3), Some("reset e-20")));
}

#[test]
fn l2_what_stands_above_the_head_is_left_to_the_log() {
    let mut w = World::log(40);
    let a = open_with_past(&mut w, ChannelConfig::default(), 20, &[30, 45]);
    let c = w.follow(a);
    w.publish_at(a, 45);
    assert_eq!(w.data(c), ["45"], "once");
    assert_eq!(resume(&mut w, a, 30).0, Resume::Replayed { events: 1 });
    let b = w.hub.open_channel_with(
        w.now,
        "b",
        ChannelConfig::default(),
        &Past { floor: Position::new(50), is_complete: false, events: &[] },
    );
    assert_eq!(w.hub.channel_stats(b.unwrap()).unwrap().floor, Position::new(45), "lowered to the head");
}

#[test]
fn l2_events_at_or_below_the_head_are_not_taken_twice() {
    let mut w = World::log(40);
    let a = open_with_past(&mut w, ChannelConfig::default(), 20, &[30]);
    w.publish_at(a, 30);
    w.publish_at(a, 40);
    assert_eq!(resume(&mut w, a, 20).1, ["30"]);
    assert_eq!(w.backlog(a).1, 0);
}

#[test]
fn l2_events_out_of_order_or_below_the_floor_are_left_out() {
    let mut w = World::log(40);
    let a = open_with_past(&mut w, ChannelConfig::default(), 20, &[15, 20, 31, 30, 31, 32]);
    assert_eq!(resume(&mut w, a, 20).1, ["31", "32"]);
}

#[test]
fn l2_an_open_channel_stays_as_it_is() {
    let mut w = World::log(40);
    let a = w.open("a");
    assert_eq!(open_with_past(&mut w, ChannelConfig::default(), 20, &[30]), a);
    assert_eq!(resume(&mut w, a, 30).0, gap(40, 0));
    let other = ChannelConfig { history: HistoryConfig::whole(1 << 20), ..ChannelConfig::default() };
    let past = Past { floor: Position::ORIGIN, is_complete: false, events: &[] };
    assert_eq!(w.hub.open_channel_with(w.now, "a", other, &past), Err(OpenError::OtherConfig));
}

#[test]
fn l2_a_hub_with_its_own_positions_takes_a_past_up_to_its_head() {
    let positions = PositionSource::Local { after: Position::new(40) };
    let mut w = World::with(HubConfig { positions, ..HubConfig::default() });
    let beyond = [past_event(41)];
    let past = Past { floor: Position::new(20), is_complete: false, events: &beyond };
    let refused = w.hub.open_channel_with(w.now, "a", ChannelConfig::default(), &past);
    let (position, head) = (Position::new(41), Position::new(40));
    assert_eq!(refused, Err(OpenError::BeyondHead { position, head }));
    assert_eq!(w.hub.channel("a"), None);
    let a = open_with_past(&mut w, ChannelConfig::default(), 20, &[40]);
    w.publish(a, "41");
    assert_eq!(resume(&mut w, a, 20).1, ["40", "41"]);

    let mut w = World::external(40);
    let refused = w.hub.open_channel_with(w.now, "a", ChannelConfig::default(), &past);
    assert_eq!(refused, Err(OpenError::PositionsAreExternal));
}

#[test]
fn l2_the_bounds_of_the_history_hold() {
    let mut w = World::log(40);
    let history = HistoryConfig { events: 2, ..HistoryConfig::default() };
    let a = open_with_past(&mut w, ChannelConfig { history, ..ChannelConfig::default() }, 20, &[30, 31, 32]);
    let stats = w.hub.channel_stats(a).unwrap();
    assert_eq!((stats.history_events, stats.floor), (2, Position::new(30)));

    let mut w = World::log(40);
    w.now = Instant::from_millis(10_000);
    let history = HistoryConfig { age: Some(secs(5)), ..HistoryConfig::default() };
    let config = ChannelConfig { history, ..ChannelConfig::default() };
    let at =
        |position, millis| PastEvent { published_at: Instant::from_millis(millis), ..past_event(position) };
    let events = [at(30, 1_000), at(31, 8_000), at(32, 60_000)];
    let past = Past { floor: Position::new(20), is_complete: false, events: &events };
    let a = w.hub.open_channel_with(w.now, "a", config, &past).unwrap();
    assert_eq!(resume(&mut w, a, 30).1, ["31", "32"]);
    assert_eq!(resume(&mut w, a, 29).0, gap(30, 2), "too old");
    w.run_for(secs(5));
    assert_eq!(w.hub.channel_stats(a).unwrap().history_events, 0, "an instant in the future is taken as now");
}

#[test]
fn l2_the_limit_on_all_histories_evicts_the_oldest_whether_past_or_not() {
    let limit = 3 * (Limits::HISTORY_EVENT_OVERHEAD + 30);
    let limits = Limits { history_bytes: limit, ..Limits::default() };
    let positions = PositionSource::Log { after: Position::new(40) };
    let mut w = World::with(HubConfig { positions, limits, ..HubConfig::default() });
    let b = w.open("b");
    w.publish_at(b, 45);
    let a = open_with_past(&mut w, ChannelConfig::default(), 20, &[30, 31, 44]);
    let events = |w: &World, channel| w.hub.channel_stats(channel).unwrap().history_events;
    assert_eq!((events(&w, a), events(&w, b)), (2, 1), "the oldest event of the past went");
    assert_eq!(w.hub.channel_stats(a).unwrap().floor, Position::new(30));
    w.publish_at(b, 46);
    w.publish_at(b, 47);
    assert_eq!((events(&w, a), events(&w, b)), (0, 3));
    w.publish_at(b, 48);
    assert_eq!(w.hub.channel_stats(b).unwrap().floor, Position::new(45));
}

#[test]
fn l2_an_event_that_the_limits_refuse_raises_the_floor() {
    let limits = Limits { event_bytes: 30, ..Limits::default() };
    let positions = PositionSource::Log { after: Position::new(40) };
    let mut w = World::with(HubConfig { positions, limits, ..HubConfig::default() });
    let large = PastEvent { frame: data_frame(&"x".repeat(50)), ..past_event(31) };
    let reserved = PastEvent { frame: Frame::parse("id: e-7\ndata: x\n\n").unwrap(), ..past_event(33) };
    for refused in [large, reserved] {
        let through = refused.position;
        let events = [past_event(30), refused, past_event(34)];
        let past = Past { floor: Position::new(20), is_complete: false, events: &events };
        let a = w.hub.open_channel_with(w.now, "a", ChannelConfig::default(), &past).unwrap();
        let stats = w.hub.channel_stats(a).unwrap();
        assert_eq!((stats.floor, stats.history_events), (through, 1));
        w.hub.close_channel(w.now, a);
    }
}

#[test]
fn l2_ids_are_those_of_a_publication() {
    let live_only =
        PastEvent { frame: Event::new().data("live").live_only().encode().unwrap(), ..past_event(31) };
    let own = PastEvent { frame: Frame::parse("id: own\ndata: own\n\n").unwrap(), ..past_event(32) };
    for (ids, expected) in [(IdSource::Hub, 3), (IdSource::Application, 1)] {
        let mut w = World::log(40);
        let events = [past_event(30), live_only.clone(), own.clone(), past_event(33)];
        let past = Past { floor: Position::new(20), is_complete: false, events: &events };
        let config = ChannelConfig { ids, ..ChannelConfig::default() };
        let a = w.hub.open_channel_with(w.now, "a", config, &past).unwrap();
        assert_eq!(w.hub.channel_stats(a).unwrap().history_events, expected);
        let c = w.reconnect("own");
        let replayed = if ids == IdSource::Hub { Resume::Replayed { events: 1 } } else { Resume::UpToDate };
        assert_eq!(w.subscribe(a, c), replayed, "the id of the application is known");
    }
}

#[test]
fn l2_a_start_from_the_beginning_needs_a_complete_past() {
    for (is_complete, first) in [(true, "position e-20"), (false, "reset e-20")] {
        let mut w = World::log(40);
        let config = ChannelConfig { start: StartFrom::Beginning, ..ChannelConfig::default() };
        let events = [past_event(30)];
        let past = Past { floor: Position::new(20), is_complete, events: &events };
        let a = w.hub.open_channel_with(w.now, "a", config, &past).unwrap();
        let c = w.connect_with(ConnectionConfig::default());
        w.subscribe(a, c);
        assert_eq!(w.data(c), [first, "30"]);
    }
}

#[test]
fn l3_the_head_moves_over_what_nobody_here_wants() {
    let mut w = World::log(40);
    w.hub.advance(w.now, Position::new(60));
    w.hub.advance(w.now, Position::new(50));
    assert_eq!(w.hub.head(), Position::new(60));
    assert_eq!(w.hub.poll_action(), None);
    let a = open_with_past(&mut w, ChannelConfig::default(), 20, &[55]);
    assert_eq!(resume(&mut w, a, 52).1, ["55"]);

    for mut other in [World::external(40), World::new()] {
        let head = other.hub.head();
        other.hub.advance(other.now, Position::new(60));
        assert_eq!(other.hub.head(), head, "only in a hub that follows a log");
    }
}

#[test]
fn l4_a_loss_sends_each_member_one_reset_behind_its_backlog() {
    let mut w = World::log(40);
    let a = w.open("a");
    let c = w.follow(a);
    w.publish_at(a, 41);
    assert!(w.hub.lose(w.now, a, Position::new(50)));
    w.publish_at(a, 51);
    assert_eq!(w.data(c), ["41", "reset e-50", "51"]);
    assert_eq!(resume(&mut w, a, 49).0, gap(50, 1));
    assert_eq!(resume(&mut w, a, 50).0, Resume::Replayed { events: 1 });
    assert_eq!(w.hub.stats().lagged, 1);
    assert!(w.actions().contains(&Action::Lagged {
        connection: c,
        channel: a,
        lost_through: Position::new(50)
    }));
    w.hub.close_channel(w.now, a);
    assert!(!w.hub.lose(w.now, a, Position::new(60)));
}

#[test]
fn l4_a_member_beyond_the_loss_is_told_at_its_position() {
    let mut w = World::log(40);
    let (a, b) = (w.open("a"), w.open("b"));
    let c = w.follow(a);
    w.subscribe(b, c);
    w.publish_at(b, 60);
    assert_eq!(w.data(c), ["60"]);
    w.hub.lose(w.now, a, Position::new(50));
    assert_eq!(w.data(c), ["reset e-60"]);
}

#[test]
fn l4_two_losses_before_the_reset_is_taken_leave_one() {
    let mut w = World::log(40);
    let (a, b) = (w.open("a"), w.open("b"));
    let (one, both) = (w.follow(a), w.follow(a));
    w.subscribe(b, both);
    w.hub.lose(w.now, a, Position::new(50));
    w.hub.lose(w.now, a, Position::new(60));
    assert_eq!(w.data(one), ["reset e-60"]);
    w.hub.lose(w.now, b, Position::new(60));
    assert_eq!(w.data(both), ["reset e-60"], "one for both channels");
    w.hub.lose(w.now, a, Position::new(70));
    w.hub.lose(w.now, b, Position::new(70));
    w.hub.lose(w.now, a, Position::new(80));
    assert_eq!(w.data(both), ["reset e-70", "reset e-80"], "the other channel needs the first one");
}

#[test]
fn l4_the_pending_resets_are_bounded_by_the_subscriptions() {
    let mut w = World::log(40);
    let channels = ["a", "b", "c"].map(|name| w.open(name));
    let c = w.follow(channels[0]);
    for channel in &channels[1..] {
        w.subscribe(*channel, c);
    }
    for position in 50..200 {
        w.hub.lose(w.now, channels[position % 3], Position::new(position as u64));
    }
    assert!(w.hub.connection_stats(w.now, c).unwrap().pending_frames <= 4);
}

#[test]
fn l4_a_client_that_passed_the_loss_on_another_node_is_told_nothing() {
    let mut w = World::log(40);
    let a = w.open("a");
    let [ahead, beyond, behind] = ["e-50", "e-55", "e-49"].map(|id| w.reconnect(id));
    for c in [ahead, beyond, behind] {
        w.subscribe(a, c);
    }
    w.hub.lose(w.now, a, Position::new(50));
    assert_eq!((w.data(ahead), w.data(beyond), w.data(behind)), (vec![], vec![], vec!["reset e-50".into()]));
    w.hub.lose(w.now, a, Position::new(45));
    assert_eq!(w.data(ahead), ["reset e-50"], "a loss that this node has read past is new to it");
}

#[test]
fn l4_a_policy_without_resets_raises_the_floor_only() {
    for on_gap in [GapPolicy::Kept, GapPolicy::Live] {
        let mut w = World::log(40);
        let a = w.open_with("a", ChannelConfig { on_gap, ..ChannelConfig::default() });
        let c = w.follow(a);
        w.hub.lose(w.now, a, Position::new(50));
        assert_eq!(w.data(c), [""; 0]);
        assert_eq!(w.hub.channel_stats(a).unwrap().floor, Position::new(50));
    }
}

#[test]
fn l4_a_reader_in_a_replay_keeps_what_is_retained_for_it() {
    let mut w = World::log(40);
    let config = ChannelConfig { on_lag: LagPolicy::Close, ..ChannelConfig::default() };
    let a = open_with_past(&mut w, config, 20, &[30, 31, 32]);
    let c = w.reconnect("e-20");
    w.subscribe(a, c);
    assert!(w.take_frame(c).contains("data: 30"));
    w.hub.lose(w.now, a, Position::new(50));
    assert_eq!(w.data(c), ["31", "32", "reset e-50"]);
    assert_eq!(w.hub.channel_stats(a).unwrap().retained_frames, 0);
}

#[test]
fn l4_a_connection_that_was_told_counts_as_begun() {
    let mut w = World::log(40);
    let (a, b) = (w.open("a"), w.open("b"));
    let c = w.connect_with(ConnectionConfig::default());
    w.subscribe(a, c);
    w.hub.lose(w.now, a, Position::new(50));
    w.subscribe(b, c);
    assert_eq!(w.data(c), ["position e-40", "reset e-50", "position e-50"]);
}

#[test]
fn l4_a_hub_with_its_own_positions_loses_up_to_its_head() {
    let mut w = World::new();
    let a = w.open("a");
    w.publish_numbers(a, 1..=3);
    let c = w.connect_with(without_position());
    w.subscribe(a, c);
    w.hub.lose(w.now, a, Position::new(9));
    assert_eq!(w.hub.head(), Position::new(3));
    assert_eq!(w.data(c), ["reset e-3"]);
    assert_eq!(resume(&mut w, a, 2).0, gap(3, 0));
}
