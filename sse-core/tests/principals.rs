//! U: principals and client keys.

mod common;

use std::task::{Context, Poll, Waker};

use common::{World, history_of, without_position};
use sse_core::shared::SharedHub;
use sse_core::{
    ChannelConfig, ChannelId, CloseReason, ConnectError, ConnectionConfig, ConnectionId, Event, Except,
    GapPolicy, HubConfig, Instant, Join, LastEventId, Limits, PublishOptions, Resume, StartFrom,
};

fn config(principal: &str, client: &str) -> ConnectionConfig {
    let word = |word: &str| (!word.is_empty()).then(|| word.into());
    ConnectionConfig { principal: word(principal), client: word(client), ..without_position() }
}

/// Opens a connection of a page load that comes with a last event id.
fn resume(w: &mut World, key: &str, last_event_id: &str) -> ConnectionId {
    let last_event_id = LastEventId::new(last_event_id.as_bytes());
    w.connect_with(ConnectionConfig { last_event_id, ..config("", key) })
}

fn publish_except(w: &mut World, key: &str, channel: ChannelId, data: &str) {
    let options = PublishOptions { except: Some(Except::Client(key)) };
    w.hub.publish_to(w.now, &[channel], &Event::new().data(data), options).unwrap();
}

#[test]
fn u1_a_connection_can_have_a_principal_and_a_client_key() {
    let mut w = World::new();
    let c = w.connect_with(config("user 7", "k1"));
    assert_eq!((w.hub.principal(c), w.hub.client(c)), (Some("user 7"), Some("k1")));
    let neither = w.connect();
    assert_eq!((w.hub.principal(neither), w.hub.client(neither)), (None, None));
    w.hub.disconnect(w.now, c);
    assert_eq!((w.hub.principal(c), w.hub.client(c)), (None, None), "it has ended");
}

#[test]
fn u1_the_empty_word_is_a_principal() {
    let mut w = World::new();
    let empty =
        ConnectionConfig { principal: Some("".into()), client: Some("".into()), ..without_position() };
    let c = w.connect_with(empty);
    w.connect();
    assert_eq!((w.hub.principal(c), w.hub.client(c)), (Some(""), Some("")));
    assert_eq!(w.hub.of_principal("").collect::<Vec<_>>(), [c]);
}

#[test]
fn u1_a_longer_word_is_refused() {
    let mut w = World::new();
    let limit = ConnectionConfig::MAX_PRINCIPAL_BYTES;
    let refused = w.hub.connect(w.now, config(&"p".repeat(limit + 1), ""));
    assert_eq!(refused, Err(ConnectError::PrincipalTooLong { bytes: limit + 1, limit }));
    let limit = ConnectionConfig::MAX_CLIENT_BYTES;
    let refused = w.hub.connect(w.now, config("", &"k".repeat(limit + 1)));
    assert_eq!(refused, Err(ConnectError::ClientTooLong { bytes: limit + 1, limit }));
    let longest = config(&"p".repeat(ConnectionConfig::MAX_PRINCIPAL_BYTES), &"k".repeat(limit));
    w.connect_with(longest);
}

#[test]
fn u1_connections_are_found_by_principal_the_newest_first() {
    let mut w = World::new();
    let [first, second, third] = [(); 3].map(|()| w.connect_with(config("user 7", "")));
    let other = w.connect_with(config("user 8", ""));
    assert_eq!(w.hub.of_principal("user 7").collect::<Vec<_>>(), [third, second, first]);
    assert_eq!(w.hub.of_principal("user 8").collect::<Vec<_>>(), [other]);
    assert_eq!(w.hub.of_principal("user 9").count(), 0);
    let mut principals: Vec<_> = w.hub.principals().collect();
    principals.sort_unstable();
    assert_eq!(principals, ["user 7", "user 8"]);
    for (ended, left) in [(second, vec![third, first]), (third, vec![first]), (first, vec![])] {
        w.hub.disconnect(w.now, ended);
        assert_eq!(w.hub.of_principal("user 7").collect::<Vec<_>>(), left);
    }
    assert_eq!(w.hub.principals().collect::<Vec<_>>(), ["user 8"]);
}

#[test]
fn u1_members_and_their_principals_are_found() {
    let mut w = World::new();
    let (a, b) = (w.open("a"), w.open("b"));
    let [first, second] = [(); 2].map(|()| w.connect_with(config("user 7", "")));
    let other = w.connect_with(config("user 8", ""));
    let nobody = w.connect();
    for c in [first, second, other, nobody] {
        w.subscribe(a, c);
    }
    w.subscribe(b, second);
    assert_eq!(w.hub.members_of_principal(a, "user 7").collect::<Vec<_>>(), [second, first]);
    assert_eq!(w.hub.members_of_principal(b, "user 7").collect::<Vec<_>>(), [second]);
    assert_eq!(w.hub.members_of_principal(b, "user 8").count(), 0);
    let mut principals: Vec<_> = w.hub.principals_in(a).collect();
    principals.sort_unstable();
    assert_eq!(principals, ["user 7", "user 8"], "each once");
    assert_eq!(w.hub.principals_in(b).collect::<Vec<_>>(), ["user 7"]);
}

#[test]
fn u1_a_frame_is_sent_to_each_connection_that_has_room() {
    let mut w = World::new();
    let [first, closing] = [(); 2].map(|()| w.connect_with(config("user 7", "")));
    let full = w.connect_with(ConnectionConfig { direct_bytes: 10, ..config("user 7", "") });
    let other = w.connect_with(config("user 8", ""));
    w.send(closing, "1");
    w.hub.close_connection(w.now, closing);
    let frame = common::data_frame("hello");
    assert_eq!(w.hub.send_to_principal(w.now, "user 7", &frame), 1);
    assert_eq!(w.hub.send_to_principal(w.now, "user 9", &frame), 0);
    assert_eq!(w.data(first), ["hello"]);
    assert_eq!((w.data(closing), w.pending_bytes(full), w.pending_bytes(other)), (vec!["1".into()], 0, 0));
}

#[test]
fn u1_closing_a_principal_delivers_what_is_pending() {
    let mut w = World::new();
    let a = w.open("a");
    let [first, second] = [(); 2].map(|()| w.connect_with(config("user 7", "")));
    let other = w.connect_with(config("user 8", ""));
    w.subscribe(a, first);
    w.publish(a, "1");
    assert_eq!(w.hub.close_principal(w.now, "user 7"), 2);
    assert_eq!(w.hub.close_principal(w.now, "user 7"), 0, "they are closing");
    assert_eq!(w.data(first), ["1"]);
    let reason = CloseReason::Requested;
    assert_eq!(w.close_reasons(), [(second, reason), (first, reason)]);
    assert!(w.hub.is_connection_open(other));
}

#[test]
fn u1_unsubscribing_a_principal_ends_its_subscriptions_to_one_channel() {
    let mut w = World::new();
    let (a, b) = (w.open("a"), w.open("b"));
    let [first, second] = [(); 2].map(|()| w.connect_with(config("user 7", "")));
    let other = w.connect_with(config("user 8", ""));
    for c in [first, second, other] {
        w.subscribe(a, c);
    }
    w.subscribe(b, first);
    assert_eq!(w.hub.unsubscribe_principal(w.now, a, "user 7"), 2);
    assert_eq!(w.hub.unsubscribe_principal(w.now, a, "user 7"), 0);
    assert_eq!(w.hub.members(a).collect::<Vec<_>>(), [other]);
    assert_eq!(w.hub.members(b).collect::<Vec<_>>(), [first]);
    assert!(w.hub.is_connection_open(second));
}

#[test]
fn u1_a_connection_id_is_found_again_by_its_text_and_by_no_other() {
    let mut w = World::new();
    for _ in 0..3 {
        let c = w.connect();
        assert_eq!(c.to_string().parse(), Ok(c));
        let text = c.to_string();
        let others = [
            format!("+{text}"),
            format!("0{text}"),
            format!(" {text}"),
            format!("{text} "),
            text.replace('.', ".0"),
            text.replace('.', ".+"),
            text.replace('.', ","),
            format!("{text}.1"),
        ];
        for other in others {
            let error = other.parse::<ConnectionId>().expect_err(&other);
            assert_eq!(error.to_string(), "a connection id has the form <slot>.<generation>");
        }
    }
    for text in ["", ".", "1", "1.", ".1", "0.0", "4294967296.1", "1.4294967296", "a.b"] {
        assert!(text.parse::<ConnectionId>().is_err(), "{text}");
    }
}

#[test]
fn u3_a_publication_can_exclude_a_client_key() {
    let mut w = World::new();
    let (a, b) = (w.open("a"), w.open("b"));
    let [author, duplicate] = [(); 2].map(|()| w.connect_with(config("user 7", "k1")));
    let second_tab = w.connect_with(config("user 7", "k2"));
    for c in [author, duplicate, second_tab] {
        w.subscribe(a, c);
        w.subscribe(b, c);
    }
    let options = PublishOptions { except: Some(Except::Client("k1")) };
    w.hub.publish_to(w.now, &[a, b], &Event::new().data("1"), options).unwrap();
    w.publish(a, "2");
    assert_eq!((w.data(author), w.data(duplicate)), (vec!["2".into()], vec!["2".into()]));
    assert_eq!(w.data(second_tab), ["1", "2"], "the second tab of the user sees it");
}

#[test]
fn u3_nothing_is_reported_or_kept_for_an_excluded_client() {
    let mut w = World::new();
    let a = w.open("a");
    let c = w.connect_with(config("", "k1"));
    w.subscribe(a, c);
    publish_except(&mut w, "k1", a, "1");
    assert_eq!(w.actions(), []);
    assert_eq!(w.backlog(a), (1, 0));
}

#[test]
fn u3_the_exclusion_of_a_client_key_holds_for_what_is_resumed() {
    let mut w = World::new();
    let a = w.open("a");
    let author = w.connect_with(config("", "k1"));
    w.subscribe(a, author);
    w.publish(a, "1");
    w.hub.disconnect(w.now, author);
    // The page publishes while it has no connection.
    publish_except(&mut w, "k1", a, "2");
    w.publish(a, "3");
    let back = resume(&mut w, "k1", "e-1");
    assert_eq!(w.subscribe(a, back), Resume::Replayed { events: 2 });
    assert_eq!(w.data(back), ["3"]);
    let other = resume(&mut w, "k2", "e-1");
    w.subscribe(a, other);
    assert_eq!(w.data(other), ["2", "3"]);
}

#[test]
fn u3_the_exclusion_of_a_client_key_holds_for_a_late_subscription() {
    let mut w = World::new();
    let (a, b) = (w.open("a"), w.open("b"));
    let c = resume(&mut w, "k1", "e-0");
    w.subscribe(a, c);
    publish_except(&mut w, "k1", b, "1");
    w.publish(b, "2");
    let joined = w.hub.join(w.now, b, c, Join::After(&"e-0".into()));
    assert_eq!(joined, Ok(Resume::Replayed { events: 2 }));
    assert_eq!(w.data(c), ["2"]);
}

#[test]
fn u3_the_exclusion_of_a_client_key_holds_for_a_reader_that_fell_out_of_the_backlog() {
    let mut w = World::new();
    let a = w.open_with("a", ChannelConfig { start: StartFrom::All, ..common::narrow_backlog() });
    w.publish(a, "1");
    let c = w.connect_with(config("", "k1"));
    w.subscribe(a, c);
    publish_except(&mut w, "k1", a, "2");
    w.publish_numbers(a, 3..=9);
    assert_eq!(w.data(c), ["1", "3", "4", "5", "6", "7", "8", "9"]);
}

#[test]
fn u3_a_page_that_is_loaded_again_starts_with_its_own_events() {
    let mut w = World::new();
    let a = w.open_with("a", ChannelConfig { start: StartFrom::All, ..ChannelConfig::default() });
    let author = w.connect_with(config("", "first load"));
    w.subscribe(a, author);
    publish_except(&mut w, "first load", a, "1");
    w.hub.disconnect(w.now, author);
    let loaded = w.connect_with(config("", "second load"));
    w.subscribe(a, loaded);
    assert_eq!(w.data(loaded), ["1"]);
}

#[test]
fn u3_no_exclusion_holds_for_what_a_start_replays() {
    for start in [StartFrom::All, StartFrom::Last(2)] {
        let mut w = World::new();
        let a = w.open_with("a", ChannelConfig { start, ..ChannelConfig::default() });
        let author = w.connect_with(config("", "k1"));
        publish_except(&mut w, "k1", a, "1");
        w.publish_except(author, a, "2");
        // The client key was kept over a reload, or the first connection was cut before an id arrived.
        let again = w.connect_with(config("", "k1"));
        for c in [again, author] {
            assert_eq!(w.subscribe(a, c), Resume::Fresh);
        }
        publish_except(&mut w, "k1", a, "live");
        assert_eq!(w.data(again), ["1", "2"], "{start:?}");
        assert_eq!(w.data(author), ["1", "2"], "of either kind");
    }
}

#[test]
fn u3_no_exclusion_holds_for_what_stands_behind_a_reset() {
    let cases = [(GapPolicy::Reset, vec!["reset e-2", "3", "4"]), (GapPolicy::Kept, vec!["4"])];
    for (on_gap, expected) in cases {
        let mut w = World::new();
        let history = history_of(2);
        let a = w.open_with("a", ChannelConfig { on_gap, history, ..ChannelConfig::default() });
        w.publish_numbers(a, 1..=2);
        publish_except(&mut w, "k1", a, "3");
        w.publish(a, "4");
        let back = resume(&mut w, "k1", "e-1");
        assert!(matches!(w.subscribe(a, back), Resume::Gap { events: 2, .. }));
        publish_except(&mut w, "k1", a, "live");
        assert_eq!(w.data(back), expected, "{on_gap:?}");
    }
}

#[test]
fn u3_after_an_unknown_id_no_exclusion_holds_for_what_a_start_replays() {
    for (on_gap, expected) in [(GapPolicy::Kept, vec!["1"]), (GapPolicy::Reset, vec!["reset e-0", "1"])] {
        let mut w = World::new();
        let config = ChannelConfig { on_gap, start: StartFrom::All, ..ChannelConfig::default() };
        let a = w.open_with("a", config);
        publish_except(&mut w, "k1", a, "1");
        let back = resume(&mut w, "k1", "unknown");
        assert_eq!(w.subscribe(a, back), Resume::Unknown);
        assert_eq!(w.data(back), expected);
    }
}

#[test]
fn u3_another_channel_of_a_connection_with_a_reset_is_resumed() {
    let mut w = World::new();
    let (a, b) = (w.open_with_history("a", 1), w.open("b"));
    w.publish_numbers(a, 1..=2);
    publish_except(&mut w, "k1", b, "3");
    publish_except(&mut w, "k1", a, "4");
    let back = resume(&mut w, "k1", "e-0");
    w.subscribe(a, back);
    assert_eq!(w.subscribe(b, back), Resume::Replayed { events: 1 });
    assert_eq!(w.data(back), ["reset e-2", "4"], "a reset, and what the channel with the loss kept");
}

#[test]
fn u3_a_key_that_no_connection_can_have_excludes_nobody() {
    let mut w = World::new();
    let a = w.open("a");
    let c = w.follow(a);
    publish_except(&mut w, &"k".repeat(ConnectionConfig::MAX_CLIENT_BYTES + 1), a, "1");
    publish_except(&mut w, "of nobody", a, "2");
    publish_except(&mut w, "", a, "3");
    assert_eq!(w.data(c), ["1", "2", "3"]);
}

#[test]
fn u5_the_number_of_a_client_key_lives_as_long_as_an_event_excludes_it() {
    let mut w = World::new();
    let a = w.open("a");
    let author = w.connect_with(config("", "k1"));
    w.subscribe(a, author);
    publish_except(&mut w, "k1", a, "1");
    w.hub.disconnect(w.now, author);
    // If its number was free now, one of these would get it.
    let others: Vec<ConnectionId> = (0..100).map(|n| resume(&mut w, &format!("other {n}"), "e-0")).collect();
    for other in others {
        assert_eq!(w.subscribe(a, other), Resume::Replayed { events: 1 });
        assert_eq!(w.data(other), ["1"]);
    }
    let back = resume(&mut w, "k1", "e-0");
    w.subscribe(a, back);
    assert_eq!(w.data(back), [""; 0]);
}

#[test]
fn u1_a_handle_is_found_by_the_id_of_its_connection_and_does_not_own_it() {
    let (hub, _driver) = SharedHub::new("e", HubConfig::default(), || Instant::ORIGIN).unwrap();
    let room = hub.open_channel("room", ChannelConfig::default()).unwrap();
    let outbound = hub.connect(config("user 7", "k1")).unwrap();
    let id: ConnectionId = outbound.id().to_string().parse().unwrap();
    let found = hub.connection(id).unwrap();
    found.join(&room, Join::New).unwrap();
    found.try_send(&Event::new().data("joined")).unwrap();
    assert_eq!((found.principal().as_deref(), found.client().as_deref()), (Some("user 7"), Some("k1")));
    drop(found);
    assert_eq!(hub.with(|hub, _| hub.members(room.id()).collect::<Vec<_>>()), [id]);
    let found = hub.connection(id).unwrap();
    drop(outbound);
    assert!(!found.is_open() && hub.connection(id).is_none());
    assert_eq!(found.principal(), None);
}

#[test]
fn u1_a_handle_is_found_for_the_principal_of_the_connection_alone() {
    let (hub, _driver) = SharedHub::new("e", HubConfig::default(), || Instant::ORIGIN).unwrap();
    let (outbound, nobody) =
        (hub.connect(config("user 7", "")).unwrap(), hub.connect(without_position()).unwrap());
    assert!(hub.connection_of("user 7", outbound.id()).is_some());
    assert!(hub.connection_of("user 8", outbound.id()).is_none());
    assert!(hub.connection_of("", nobody.id()).is_none());
}

#[test]
fn u1_handles_act_on_a_principal() {
    let (hub, _driver) = SharedHub::new("e", HubConfig::default(), || Instant::ORIGIN).unwrap();
    let room = hub.open_channel("room", ChannelConfig::default()).unwrap();
    let [first, second] = [(); 2].map(|()| hub.connect(config("user 7", "")).unwrap());
    let other = hub.connect(config("user 8", "")).unwrap();
    for outbound in [&first, &other] {
        outbound.subscribe(&room).unwrap();
    }
    let ids: Vec<_> = hub.of_principal("user 7").iter().map(|handle| handle.id()).collect();
    assert_eq!(ids, [second.id(), first.id()]);
    assert_eq!(hub.send_to_principal("user 7", &Event::new().data("1")), Ok(2));
    assert!(hub.send_to_principal("user 7", &Event::new().event("a\nb")).is_err());
    assert_eq!(hub.send_frame_to_principal("user 8", &common::data_frame("1")), 1);
    assert_eq!(room.unsubscribe_principal("user 7"), 1);
    assert_eq!(hub.close_principal("user 7"), 2);
    assert_eq!(hub.with(|hub, now| hub.close_principal(now, "user 8")), 1);
}

#[test]
fn u2_the_transport_of_a_replaced_connection_ends() {
    let limits = Limits { per_principal: 1, ..Limits::default() };
    let config_of_hub = HubConfig { limits, ..HubConfig::default() };
    let (hub, mut driver) = SharedHub::new("e", config_of_hub, || Instant::ORIGIN).unwrap();
    let mut former = hub.connect(config("user 7", "k1")).unwrap();
    let handle = former.handle();
    handle.try_send(&Event::new().data("never read")).unwrap();
    let back = hub.connect(config("user 7", "k1")).unwrap();
    let cx = &mut Context::from_waker(Waker::noop());
    assert_eq!(former.poll_bytes(cx), Poll::Ready(None), "nothing is flushed");
    driver.turn(Waker::noop());
    assert_eq!(former.poll_ended(cx), Poll::Ready(CloseReason::Replaced));
    drop(former);
    assert!(!handle.is_open() && back.handle().is_open());
}
