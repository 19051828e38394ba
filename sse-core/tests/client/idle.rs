//! The rule C5: the idle timeout.

use std::time::Duration;

use sse_core::client::{Client, ClientAction, ClientConfig, ClientState, StopReason};

use super::{OPEN, at, config, connect, data, open, reconnect};

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
