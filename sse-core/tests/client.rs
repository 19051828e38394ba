//! The client follows the standard (WHATWG HTML 9.2) and its contract with a driver.

#[path = "client/contract.rs"]
mod contract;

use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::{any, proptest};
use proptest::test_runner::Config;
use sse_core::client::{
    BackoffConfig, Client, ClientAction, ClientConfig, ClientState, ResponseHead, StopReason,
};
use sse_core::{DecodeError, Instant};

const EVENT_STREAM: Option<&[u8]> = Some(b"text/event-stream");

/// The head of an event stream.
const OPEN: ResponseHead<'_> =
    ResponseHead { status: 200, content_type: EVENT_STREAM, location: None, retry_after: None };

/// Returns a head without headers.
fn status(status: u16) -> ResponseHead<'static> {
    ResponseHead { status, ..ResponseHead::default() }
}

fn at(millis: u64) -> Instant {
    Instant::from_millis(millis)
}

/// Returns a configuration without jitter, so that waits are exact.
fn config() -> ClientConfig {
    let backoff = BackoffConfig { jitter_percent: 0, ..BackoffConfig::default() };
    ClientConfig { backoff, idle_timeout: None, ..ClientConfig::default() }
}

/// Creates a client with a stream that is open since the origin.
fn open(config: ClientConfig) -> Client {
    let mut client = Client::new(config);
    connect(&mut client);
    client.opened(at(0), OPEN);
    assert_eq!(client.state(), ClientState::Open);
    client
}

/// Takes the only pending action, a request, and returns its last event id.
fn connect(client: &mut Client) -> Option<String> {
    let Some(ClientAction::Connect { last_event_id }) = client.poll_action() else { panic!("{client:?}") };
    assert_eq!(client.poll_action(), None);
    last_event_id
}

/// Advances to the end of the wait and takes the request.
fn reconnect(client: &mut Client) -> Option<String> {
    let next = client.poll_timeout().expect("the client waits");
    client.handle_timeout(next);
    connect(client)
}

fn data(client: &mut Client) -> Vec<String> {
    std::iter::from_fn(|| client.next_message()).map(|message| message.unwrap().data).collect()
}

#[test]
fn status_200_with_the_content_type_opens_with_any_parameters() {
    for content_type in
        ["text/event-stream", "Text/Event-Stream", "text/event-stream; charset=x", " text/event-stream ;"]
    {
        let mut client = Client::new(config());
        connect(&mut client);
        assert_eq!(client.state(), ClientState::Connecting);
        client.opened(at(0), ResponseHead { content_type: Some(content_type.as_bytes()), ..OPEN });
        assert_eq!(client.state(), ClientState::Open, "{content_type}");
    }
}

#[test]
fn any_other_status_or_type_stops_the_client() {
    let responses: [(u16, Option<&[u8]>, _); 10] = [
        (200, None, StopReason::ContentType),
        (200, Some(b""), StopReason::ContentType),
        (200, Some(b"text/event-streams"), StopReason::ContentType),
        (200, Some(b"text/html; text/event-stream"), StopReason::ContentType),
        (204, EVENT_STREAM, StopReason::NoContent),
        (201, EVENT_STREAM, StopReason::Status(201)),
        (301, None, StopReason::Status(301)),
        (404, None, StopReason::Status(404)),
        (429, None, StopReason::Status(429)),
        (503, EVENT_STREAM, StopReason::Status(503)),
    ];
    for (status, content_type, reason) in responses {
        let mut client = Client::new(config());
        connect(&mut client);
        client.opened(at(0), ResponseHead { status, content_type, location: None, retry_after: Some(b"1") });
        assert_eq!(client.state(), ClientState::Stopped(reason));
        assert_eq!(client.poll_action(), Some(ClientAction::Close), "the body is not read");
        assert_eq!(client.poll_action(), Some(ClientAction::Stop(reason)));
        assert_eq!((client.poll_action(), client.poll_timeout()), (None, None));
        for input in [Client::ended, Client::failed, Client::handle_timeout, Client::close] {
            input(&mut client, at(1_000_000));
        }
        assert_eq!(
            (client.poll_action(), client.poll_timeout()),
            (None, None),
            "a stopped client stays stopped"
        );
    }
}

#[test]
fn retry_refusals_reconnects_after_temporary_statuses_but_not_before_retry_after() {
    let refused = |status, retry_after: Option<&[u8]>| {
        let mut client = Client::new(ClientConfig { retry_refusals: true, ..config() });
        connect(&mut client);
        client.opened(at(0), ResponseHead { status, retry_after, ..ResponseHead::default() });
        let is_closed = client.poll_action() == Some(ClientAction::Close) && client.poll_action().is_none();
        client.poll_timeout().filter(|_| is_closed)
    };
    assert_eq!(refused(503, None), Some(at(6000)), "a failed attempt doubles the wait");
    assert_eq!(
        refused(429, Some(b" 120 ")),
        Some(at(120_000)),
        "`Retry-After` can exceed the longest backoff"
    );
    assert_eq!(refused(500, Some(b"1")), Some(at(6000)), "a short `Retry-After` does not shorten the wait");
    assert_eq!(refused(599, Some(b"Fri, 31 Dec 1999 23:59:59 GMT")), Some(at(6000)), "dates are ignored");
    assert_eq!(refused(404, Some(b"1")), None, "404 is not temporary");
}

#[test]
fn the_client_reconnects_after_the_end_of_the_stream_and_the_reconnection_time() {
    let mut client = open(config());
    client.ended(at(500));
    assert_eq!((client.state(), client.poll_timeout()), (ClientState::Waiting, Some(at(3500))));
    client.handle_timeout(at(3499));
    assert_eq!(client.poll_action(), None);
    client.handle_timeout(at(3500));
    assert_eq!(connect(&mut client), None, "the stream set no id");
}

#[test]
fn retry_sets_the_reconnection_time_of_all_later_connections() {
    let mut client = open(config());
    client.bytes(at(0), b"retry: 700\nretry: 1e3\n");
    // The line takes effect although no message was taken: it was received before the end (9.2.6).
    for end in [1000, 5000] {
        client.ended(at(end));
        assert_eq!(client.poll_timeout(), Some(at(end + 700)));
        reconnect(&mut client);
        client.opened(at(end + 700), OPEN);
    }
    assert_eq!(client.reconnection_time(), Duration::from_millis(700));
    client.bytes(at(6000), b"retry: 0\n");
    client.ended(at(7000));
    assert_eq!(
        client.poll_timeout(),
        Some(at(7100)),
        "`retry: 0` is raised to the shortest reconnection time"
    );
}

/// Reconnects, opens a stream that receives `bytes` and ends after `lifetime`, and returns the wait behind it.
fn wait_after_stream(client: &mut Client, bytes: &[u8], lifetime: Duration) -> Duration {
    let opened_at = client.poll_timeout().expect("the client waits");
    reconnect(client);
    client.opened(opened_at, OPEN);
    client.bytes(opened_at, bytes);
    let ended_at = opened_at.saturating_add(lifetime);
    client.ended(ended_at);
    client.poll_timeout().expect("the client waits").saturating_duration_since(ended_at)
}

#[test]
fn c3_failed_attempts_double_the_wait() {
    let mut client = Client::new(config());
    for wait in [6, 12, 24, 48, 60, 60].map(Duration::from_secs) {
        let now = client.poll_timeout().unwrap();
        reconnect(&mut client);
        client.failed(now);
        assert_eq!(client.poll_timeout(), Some(now.saturating_add(wait)));
    }
}

#[test]
fn c3_streams_that_end_at_once_double_the_wait() {
    let waits = |bytes: &[u8]| {
        let mut client = Client::new(config());
        [(); 7].map(|()| wait_after_stream(&mut client, bytes, Duration::ZERO).as_millis())
    };
    assert_eq!(waits(b""), [3000, 6000, 12_000, 24_000, 48_000, 60_000, 60_000]);
    assert_eq!(waits(b"data: no id\n\n"), waits(b""));
    assert_eq!(waits(b"retry: 0\n"), [100, 200, 400, 800, 1600, 3200, 6400]);
    assert_eq!(
        waits(b"id: 1\ndata: always the same\n\n"),
        [3000, 6000, 12_000, 24_000, 48_000, 60_000, 60_000],
        "only the first stream brings a new id"
    );
}

#[test]
fn c3_a_stream_that_lives_as_long_as_the_wait_before_it_resets_the_backoff() {
    for failures in 0..5 {
        let mut client = Client::new(config());
        // The wait behind a first stream is the reconnection time.
        let mut wait = wait_after_stream(&mut client, b"", Duration::ZERO);
        for _ in 0..failures {
            wait = wait_after_stream(&mut client, b"", Duration::ZERO);
        }
        let mut shorter = client.clone();
        assert_eq!(wait_after_stream(&mut client, b"", wait), Duration::from_secs(3));
        let next = wait_after_stream(&mut shorter, b"", wait - Duration::from_nanos(1));
        assert_eq!(next, (wait * 2).min(Duration::from_secs(60)));
    }
}

#[test]
fn c3_a_stream_that_brings_a_new_id_resets_the_backoff() {
    let mut client = Client::new(ClientConfig { max_event_bytes: 5, ..config() });
    assert_eq!(wait_after_stream(&mut client, b"", Duration::ZERO), Duration::from_secs(3));
    let blocks: [&[u8]; 3] = [b"id: 1\ndata: a\n\n", b"id: 2\n\n", b"id: 3\ndata: cloudy\n\n"];
    for block in blocks {
        for wait in [6, 12] {
            assert_eq!(wait_after_stream(&mut client, b"", Duration::ZERO), Duration::from_secs(wait));
        }
        assert_eq!(wait_after_stream(&mut client, block, Duration::ZERO), Duration::from_secs(3));
    }
}

#[test]
fn c3_the_waits_that_a_server_asks_for_are_bounded() {
    let wait = |backoff, retry: &str| {
        let mut client = open(ClientConfig { backoff, ..config() });
        client.bytes(at(0), format!("retry: {retry}\n").as_bytes());
        client.ended(at(0));
        assert_eq!(client.poll_timeout(), Some(at(0).saturating_add(client.reconnection_time())));
        client.reconnection_time()
    };
    let refused = |backoff, retry_after: &str| {
        let mut client = Client::new(ClientConfig { retry_refusals: true, backoff, ..config() });
        connect(&mut client);
        client.opened(at(0), ResponseHead { retry_after: Some(retry_after.as_bytes()), ..status(503) });
        assert_eq!(client.poll_action(), Some(ClientAction::Close));
        client.poll_timeout().unwrap().saturating_duration_since(at(0))
    };
    let default = config().backoff;
    let hour = Duration::from_secs(3600);
    for longest in ["3600000", "3600001", "18446744073709551615", "99999999999999999999999"] {
        assert_eq!(wait(default, longest), hour, "retry: {longest}");
        assert_eq!(refused(default, longest), hour, "Retry-After: {longest}");
    }
    assert_eq!(wait(default, "3599999"), Duration::from_millis(3_599_999));
    assert_eq!(refused(default, "3599"), Duration::from_secs(3599));

    let bounded = BackoffConfig { max_server_wait: Duration::from_secs(10), ..default };
    assert_eq!(wait(bounded, "11000"), Duration::from_secs(10));
    assert_eq!(refused(bounded, "11"), Duration::from_secs(10));
    // The bound applies to the server and not to the configuration.
    let patient = BackoffConfig { initial: 2 * hour, shortest: 2 * hour, ..default };
    assert_eq!(wait(patient, "1"), 2 * hour);
    assert_eq!(wait(patient, "invalid"), 2 * hour);
}

#[test]
fn c3_a_call_ends_a_wait() {
    let mut client = open(config());
    client.reconnect_now(at(0));
    assert_eq!((client.state(), client.poll_action()), (ClientState::Open, None), "a stream is not cut");
    client.bytes(at(0), b"id: 7\nretry: 3600000\n\n");
    client.ended(at(0));
    client.reconnect_now(at(10));
    assert_eq!(client.poll_timeout(), Some(at(10)));
    assert_eq!(connect(&mut client), Some("7".into()));
    client.reconnect_now(at(20));
    assert_eq!((client.state(), client.poll_action()), (ClientState::Connecting, None));

    // The failures before still count.
    client.failed(at(20));
    assert_eq!(client.poll_timeout(), Some(at(20 + 3_600_000)));
    client.close(at(20));
    client.reconnect_now(at(30));
    assert_eq!(client.poll_action(), Some(ClientAction::Stop(StopReason::Closed)));
    assert_eq!((client.poll_action(), client.poll_timeout()), (None, None));

    // The wait before a stream is the one that the backoff set, or many calls would hide that streams end at once.
    let mut client = open(config());
    client.ended(at(0));
    for wait in [6000, 12_000, 24_000] {
        client.reconnect_now(at(0));
        connect(&mut client);
        client.opened(at(0), OPEN);
        client.ended(at(0));
        assert_eq!(client.poll_timeout(), Some(at(wait)));
    }

    // An end of the wait that has passed already is not moved.
    let mut client = open(config());
    client.ended(at(0));
    client.reconnect_now(at(5000));
    assert_eq!(client.poll_timeout(), Some(at(3000)));
    assert_eq!(connect(&mut client), None);
}

#[test]
fn c3_a_wait_ends_after_the_connection_before_it_was_closed() {
    let idle_timeout = Some(Duration::from_secs(60));
    let mut client = open(ClientConfig { idle_timeout, ..config() });
    client.handle_timeout(at(60_000));
    client.reconnect_now(at(60_000));
    assert_eq!(client.poll_action(), Some(ClientAction::Close));
    assert_eq!(connect(&mut client), None);
}

fn redirect(status: u16, location: &[u8]) -> ResponseHead<'_> {
    ResponseHead { status, location: Some(location), ..ResponseHead::default() }
}

/// Takes the only pending actions, a close and a redirect, and returns the location and the last event id.
fn follow_redirect(client: &mut Client) -> (String, Option<String>) {
    assert_eq!(client.poll_action(), Some(ClientAction::Close));
    let Some(ClientAction::Redirect { location, last_event_id }) = client.poll_action() else {
        panic!("{client:?}")
    };
    assert_eq!((client.poll_action(), client.state()), (None, ClientState::Connecting));
    (location, last_event_id)
}

#[test]
fn c4_redirects_are_followed_with_the_last_event_id() {
    for status in [301, 302, 303, 307, 308] {
        let mut client = Client::new(ClientConfig { last_event_id: "7".into(), ..config() });
        connect(&mut client);
        client.opened(at(0), redirect(status, b"/b"));
        assert_eq!(follow_redirect(&mut client), ("/b".into(), Some("7".into())), "{status}");
        client.opened(at(0), redirect(status, b"http://[::1]:3000/c?d"));
        assert_eq!(follow_redirect(&mut client), ("http://[::1]:3000/c?d".into(), Some("7".into())));
        client.opened(at(0), OPEN);
        client.bytes(at(0), b"id: 8\ndata: a\n\n");
        assert_eq!(data(&mut client), ["a"]);
        // A reconnection begins at the URL of the stream again, and is redirected again.
        client.ended(at(0));
        assert_eq!(reconnect(&mut client), Some("8".into()), "{status}");
        client.opened(at(3000), redirect(status, b"../d"));
        assert_eq!(follow_redirect(&mut client), ("../d".into(), Some("8".into())));
        client.opened(at(3000), OPEN);
        assert_eq!(client.state(), ClientState::Open);
    }
}

#[test]
fn c4_no_other_status_and_no_response_without_a_location_is_a_redirect() {
    let mut heads = vec![status(301), status(308)];
    heads.extend([201, 300, 304, 305, 306, 309, 404].map(|status| redirect(status, b"/b")));
    for head in heads {
        let mut client = Client::new(config());
        connect(&mut client);
        client.opened(at(0), head);
        assert_eq!(client.state(), ClientState::Stopped(StopReason::Status(head.status)));
    }
    let mut client = Client::new(ClientConfig { retry_refusals: true, ..config() });
    connect(&mut client);
    client.opened(at(0), redirect(503, b"/b"));
    assert_eq!((client.poll_action(), client.poll_action()), (Some(ClientAction::Close), None));
}

#[test]
fn c4_an_attempt_follows_at_most_20_redirects() {
    assert_eq!(Client::MAX_REDIRECTS, 20);
    let mut client = Client::new(config());
    // Each attempt has its own count. The wait behind it is that of a failed attempt.
    for wait in [6, 12, 24].map(Duration::from_secs) {
        let now = client.poll_timeout().unwrap();
        reconnect(&mut client);
        for number in 0..20 {
            client.opened(now, redirect(302, number.to_string().as_bytes()));
            assert_eq!(follow_redirect(&mut client).0, number.to_string());
        }
        client.opened(now, redirect(302, b"20"));
        assert_eq!((client.poll_action(), client.poll_action()), (Some(ClientAction::Close), None));
        assert_eq!(client.poll_timeout(), Some(now.saturating_add(wait)));
    }
    let now = client.poll_timeout().unwrap();
    reconnect(&mut client);
    for _ in 0..20 {
        client.opened(now, redirect(307, b"x"));
        follow_redirect(&mut client);
    }
    client.opened(now, OPEN);
    assert_eq!(client.state(), ClientState::Open, "the twentieth redirect leads to a stream");
}

#[test]
fn c4_a_location_is_passed_on_as_ascii() {
    let locations: [(&[u8], &str); 4] =
        [(b"", ""), (b" /a ", "/a"), ("/gr\u{fc}n".as_bytes(), "/gr%C3%BCn"), (b"/\xff", "/%FF")];
    for (value, location) in locations {
        let mut client = Client::new(config());
        connect(&mut client);
        client.opened(at(0), redirect(302, value));
        assert_eq!(follow_redirect(&mut client).0, location);
    }
}

#[test]
fn c4_input_of_a_redirected_request_is_ignored() {
    let mut client = Client::new(config());
    connect(&mut client);
    client.opened(at(0), redirect(302, b"/b"));
    // The end of the response that redirected, before its actions were polled.
    client.bytes(at(0), b"data: moved\n\n");
    client.ended(at(0));
    client.failed(at(0));
    client.opened(at(0), status(404));
    client.reconnect_now(at(0));
    client.handle_timeout(at(100_000));
    assert_eq!(client.poll_timeout(), Some(at(100_000)), "an action is pending");
    assert_eq!(follow_redirect(&mut client).0, "/b");
    assert_eq!(data(&mut client), [""; 0]);

    // A target that cannot be requested is a failed attempt.
    client.failed(at(100_000));
    assert_eq!(client.poll_timeout(), Some(at(106_000)));

    // A closed client follows no redirect.
    reconnect(&mut client);
    client.opened(at(106_000), redirect(302, b"/b"));
    client.close(at(106_000));
    assert_eq!(client.poll_action(), Some(ClientAction::Close));
    assert_eq!(client.poll_action(), Some(ClientAction::Stop(StopReason::Closed)));
    assert_eq!((client.poll_action(), client.poll_timeout()), (None, None));
}

#[test]
fn c4_each_redirected_request_has_the_idle_timeout() {
    let idle_timeout = Some(Duration::from_secs(60));
    let mut client = Client::new(ClientConfig { idle_timeout, ..config() });
    connect(&mut client);
    client.opened(at(50_000), redirect(302, b"/b"));
    follow_redirect(&mut client);
    assert_eq!(client.poll_timeout(), Some(at(110_000)));
    client.handle_timeout(at(110_000));
    assert_eq!(client.poll_action(), Some(ClientAction::Close));
    assert_eq!(client.poll_timeout(), Some(at(116_000)), "the attempt has failed");
}

#[test]
fn waits_are_spread_by_the_seed() {
    let wait = |seed| {
        let mut client = open(ClientConfig { seed, ..ClientConfig::default() });
        client.ended(at(0));
        client.poll_timeout().unwrap()
    };
    let waits: Vec<_> = (0..100).map(wait).collect();
    assert!(
        waits.iter().all(|wait| (at(3000)..=at(4500)).contains(wait)),
        "never below the reconnection time"
    );
    assert!(waits.iter().min() < Some(&at(3100)) && waits.iter().max() > Some(&at(4400)));
    assert_eq!(wait(7), wait(7));
}

#[test]
fn the_request_carries_the_last_event_id() {
    let mut client = open(config());
    client.bytes(at(0), b"id: 7\ndata: a\n\nid: 8\n\nid: 9\ndata: unfinished\n");
    assert_eq!(data(&mut client), ["a"]);
    client.ended(at(0));
    assert_eq!(
        reconnect(&mut client),
        Some("8".into()),
        "the id of the newest complete block, with or without data"
    );
    // The id outlives the connection, and messages carry it.
    client.opened(at(3000), OPEN);
    client.bytes(at(3000), b"data: b\n\n");
    assert_eq!(client.next_message().unwrap().unwrap().id, "8");
    client.bytes(at(3000), b"id:\n\n");
    client.ended(at(3000));
    assert_eq!(reconnect(&mut client), None, "an empty id clears it");
}

#[test]
fn an_id_that_a_header_cannot_carry_is_not_sent() {
    let mut client = open(ClientConfig { last_event_id: " a".into(), ..config() });
    let mut injected = Client::new(ClientConfig { last_event_id: "a\r\nX: y".into(), ..config() });
    assert_eq!(connect(&mut injected), None);
    client.bytes(at(0), "id: ü\ndata: a\n\nid: \u{1}\ndata: b\n\nid: 9\0\ndata: c\n\n".as_bytes());
    let ids = [(); 3].map(|()| client.next_message().unwrap().unwrap().id);
    assert_eq!(ids, ["ü", "\u{1}", "\u{1}"], "messages carry all ids that the standard accepts");
    client.ended(at(0));
    assert_eq!(reconnect(&mut client), Some("ü".into()));
}

#[test]
fn messages_from_before_the_end_stay_available_and_are_not_requested_again() {
    let mut client = open(config());
    client.bytes(at(0), b"id: 1\ndata: a\n\nid: 2\ndata: b\n\ndata: half");
    client.ended(at(0));
    assert_eq!(reconnect(&mut client), Some("2".into()));
    client.opened(at(3000), OPEN);
    client.bytes(at(3000), b"data: c\n\nid: 4\ndata: d\n\n");
    assert_eq!(client.next_message().unwrap().unwrap().data, "a");
    client.close(at(3000));
    assert_eq!(data(&mut client), ["b", "c", "d"]);

    let mut client = open(config());
    client.bytes(at(0), b"data: old\n\n");
    client.ended(at(0));
    reconnect(&mut client);
    client.opened(at(3000), OPEN);
    client.bytes(at(3000), b"data: new\n\n");
    assert_eq!(data(&mut client), ["old", "new"]);
}

#[test]
fn an_event_above_the_limit_is_an_error_and_the_stream_continues() {
    let mut client = open(ClientConfig { max_event_bytes: 5, ..config() });
    client.bytes(at(0), b"data: cloudy\n\ndata: sunny\n\n");
    assert_eq!(client.next_message(), Some(Err(DecodeError::EventTooLarge { limit: 5, id: None })));
    assert_eq!(data(&mut client), ["sunny"]);
    client.bytes(at(0), b"data: cloudy");
    client.ended(at(0));
    assert_eq!(client.next_message(), Some(Err(DecodeError::EventTooLarge { limit: 5, id: None })));
    reconnect(&mut client);
    client.opened(at(3000), OPEN);
    client.bytes(at(3000), b"data: cloudy\n\n");
    assert_eq!(
        client.next_message(),
        Some(Err(DecodeError::EventTooLarge { limit: 5, id: None })),
        "the limit applies to later connections"
    );
}

#[test]
fn c2_the_client_requests_the_events_after_a_large_event() {
    let too_large =
        |id: Option<&str>| Some(Err(DecodeError::EventTooLarge { limit: 5, id: id.map(String::from) }));
    let mut client = open(ClientConfig { last_event_id: "6".into(), max_event_bytes: 5, ..config() });
    client.bytes(at(0), b"id: 7\ndata: cloudy\n\n");
    assert_eq!(client.next_message(), too_large(Some("7")));
    client.ended(at(0));
    assert_eq!(reconnect(&mut client), Some("7".into()));

    // The connection breaks within the event, or before the error was taken.
    client.opened(at(3000), OPEN);
    client.bytes(at(3000), b"id: 8\ndata: cloudy and");
    client.failed(at(3000));
    assert_eq!(reconnect(&mut client), Some("8".into()));
    assert_eq!(client.next_message(), too_large(Some("8")));

    // The id comes behind the data.
    client.opened(at(6000), OPEN);
    client.bytes(at(6000), b"data: cloudy\nid: 9\n\n");
    assert_eq!(client.next_message(), too_large(None));
    client.ended(at(6000));
    assert_eq!(reconnect(&mut client), Some("9".into()));
    client.opened(at(9000), OPEN);
    client.bytes(at(9000), b"data: x\n\n");
    assert_eq!(client.next_message().unwrap().unwrap().id, "9");
}

#[test]
fn an_idle_connection_is_abandoned() {
    let idle_timeout = Some(Duration::from_secs(60));
    let mut client = open(ClientConfig { idle_timeout, ..config() });
    client.bytes(at(50_000), b":\n\n");
    client.bytes(at(70_000), b"");
    assert_eq!(client.poll_timeout(), Some(at(110_000)), "a ping counts, an empty chunk does not");
    client.handle_timeout(at(109_999));
    assert_eq!(client.poll_action(), None);
    client.handle_timeout(at(110_000));
    assert_eq!(client.poll_timeout(), Some(at(110_000)), "an action is pending");
    assert_eq!(client.poll_action(), Some(ClientAction::Close));
    assert_eq!((client.poll_action(), client.poll_timeout()), (None, Some(at(113_000))));
    client.bytes(at(110_000), b"data: late\n\n");
    client.ended(at(110_000));
    assert_eq!(client.poll_timeout(), Some(at(113_000)), "input of the abandoned connection is ignored");
    assert_eq!(data(&mut client), [""; 0]);

    // A missing response head is handled in the same way and counts as a failed attempt.
    reconnect(&mut client);
    client.handle_timeout(at(173_000));
    assert_eq!(client.poll_action(), Some(ClientAction::Close));
    assert_eq!(client.poll_timeout(), Some(at(179_000)));
}

#[test]
fn a_late_driver_closes_the_old_connection_first() {
    let idle_timeout = Some(Duration::from_secs(60));
    let mut client = open(ClientConfig { idle_timeout, ..config() });
    client.handle_timeout(at(60_000));
    client.handle_timeout(at(90_000));
    assert_eq!(client.poll_action(), Some(ClientAction::Close));
    assert_eq!(connect(&mut client), None);
}

#[test]
fn c5_a_late_driver_has_time_to_report_what_arrived() {
    let idle_timeout = Some(Duration::from_secs(60));
    let late = |client: &mut Client, now| {
        client.handle_timeout(now);
        assert_eq!(client.poll_action(), None);
        assert_eq!(client.poll_timeout(), Some(now.saturating_add(Duration::from_secs(1))));
    };
    // Bytes, or the response head, arrived while the program was suspended.
    let mut client = open(ClientConfig { idle_timeout, ..config() });
    for now in [90_000, 180_000, 270_000] {
        late(&mut client, at(now));
        client.bytes(at(now), b":\n");
        assert_eq!(client.poll_timeout(), Some(at(now + 60_000)));
    }
    let mut client = Client::new(ClientConfig { idle_timeout, ..config() });
    connect(&mut client);
    late(&mut client, at(90_000));
    client.opened(at(90_500), OPEN);
    assert_eq!((client.state(), client.poll_timeout()), (ClientState::Open, Some(at(150_500))));

    // Nothing arrived. One silence has one grace, also if the driver is late again.
    for now in [91_000, 200_000] {
        let mut client = open(ClientConfig { idle_timeout, ..config() });
        late(&mut client, at(90_000));
        client.handle_timeout(at(90_999));
        client.bytes(at(90_999), b"");
        assert_eq!(client.poll_action(), None);
        client.handle_timeout(at(now));
        assert_eq!(client.poll_action(), Some(ClientAction::Close));
        reconnect(&mut client);
        let now = client.poll_timeout().unwrap();
        late(&mut client, now.saturating_add(Duration::from_nanos(1)));
    }

    let mut client = open(ClientConfig { idle_timeout: Some(Duration::from_millis(100)), ..config() });
    client.handle_timeout(at(500));
    assert_eq!(client.poll_timeout(), Some(at(600)), "the grace is no longer than the idle timeout");
}

#[test]
fn the_idle_timeout_is_never_zero() {
    let client = open(ClientConfig { idle_timeout: Some(Duration::ZERO), ..config() });
    assert_eq!(client.poll_timeout(), Some(at(1)));
}

#[test]
fn closing_after_the_idle_timeout_still_closes_the_connection() {
    let idle_timeout = Some(Duration::from_secs(60));
    let mut client = open(ClientConfig { idle_timeout, ..config() });
    client.handle_timeout(at(60_000));
    client.close(at(60_000));
    assert_eq!(client.poll_action(), Some(ClientAction::Close));
    assert_eq!(client.poll_action(), Some(ClientAction::Stop(StopReason::Closed)));
}

#[test]
fn closing_stops_the_client_in_any_state() {
    let mut waiting = open(config());
    waiting.ended(at(0));
    let mut connecting = Client::new(config());
    connect(&mut connecting);
    for (mut client, has_connection) in
        [(Client::new(config()), false), (connecting, true), (open(config()), true), (waiting, false)]
    {
        client.close(at(1));
        client.close(at(2));
        assert!(client.poll_timeout() <= Some(at(2)) && client.poll_timeout().is_some());
        assert_eq!(
            has_connection.then(|| client.poll_action()),
            has_connection.then_some(Some(ClientAction::Close))
        );
        assert_eq!(client.poll_action(), Some(ClientAction::Stop(StopReason::Closed)));
        assert_eq!((client.poll_action(), client.poll_timeout()), (None, None));
    }
}

#[test]
fn early_inputs_do_nothing() {
    let mut client = Client::new(config());
    client.opened(at(0), status(404));
    client.bytes(at(0), b"data: x\n\n");
    client.ended(at(0));
    assert_eq!(data(&mut client), [""; 0]);
    assert_eq!(connect(&mut client), None);
    client.opened(at(0), OPEN);
    client.opened(at(0), status(404));
    assert_eq!(client.state(), ClientState::Open, "a second response head is ignored");
}

#[test]
fn d5_time_does_not_run_backwards() {
    let mut client = open(config());
    client.bytes(at(10_000), b":\n");
    client.ended(at(1));
    assert_eq!(client.poll_timeout(), Some(at(13_000)));
}

proptest! {
    #![proptest_config(Config { failure_persistence: None, ..Config::default() })]
    #[test]
    fn any_calls_in_any_order_keep_the_contract(calls in vec(any::<u8>(), 0..400)) {
        contract::run(&calls);
    }
}
