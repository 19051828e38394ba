//! The rule C4: redirects.

use std::time::Duration;

use sse_core::client::{Client, ClientAction, ClientConfig, ClientState, ResponseHead, StopReason};

use super::{OPEN, at, config, connect, data, reconnect, status};

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
