//! The client follows the standard (WHATWG HTML 9.2) and its contract with a driver.

#[path = "client/backoff.rs"]
mod backoff;
#[path = "client/contract.rs"]
mod contract;
#[path = "client/idle.rs"]
mod idle;
#[path = "client/redirects.rs"]
mod redirects;

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
