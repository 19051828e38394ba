//! The rule C3: the waits between connections.

use std::time::Duration;

use sse_core::client::{
    BackoffConfig, Client, ClientAction, ClientConfig, ClientState, ResponseHead, StopReason,
};

use super::{OPEN, at, config, connect, open, reconnect, status};

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
