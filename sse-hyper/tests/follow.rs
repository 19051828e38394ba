//! The example `follow` over real sockets: redirects, credentials, and a pause of the program.

#![expect(clippy::disallowed_methods, reason = "tests over real sockets take real time")]

#[path = "../examples/follow.rs"]
#[expect(dead_code, reason = "its main function is not run here")]
mod example;

use std::io::{Read, Write};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::http::HeaderValue;
use sse_core::client::{BackoffConfig, Client, ClientConfig, StopReason};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};

/// The time after which a wait fails the test.
const TIMEOUT: Duration = Duration::from_secs(20);

/// The head of a stream that ends with its connection.
const STREAM: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n";

/// A received request.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Received {
    port: u16,
    path: String,
    last_event_id: Option<String>,
    authorization: Option<String>,
}

/// The requests that servers received, in order.
type Log = Arc<Mutex<Vec<Received>>>;

/// Reads a request, and returns it without headers that the tests do not check.
async fn read_request(socket: &mut TcpStream, port: u16) -> Received {
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"\r\n\r\n") {
        assert_ne!(socket.read_buf(&mut bytes).await.unwrap(), 0, "the request ended early");
    }
    let head = String::from_utf8(bytes).unwrap();
    let header = |name: &str| {
        let mut headers = head.lines().filter_map(|line| line.split_once(": "));
        headers.find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.to_owned())
    };
    Received {
        port,
        path: head.split(' ').nth(1).unwrap().to_owned(),
        last_event_id: header("last-event-id"),
        authorization: header("authorization"),
    }
}

/// Serves on a free port. `respond` returns the response to a path and to the number of earlier requests for that path.
async fn serve(listener: TcpListener, log: Log, respond: impl Fn(&str, usize) -> String + Send + 'static) {
    let port = listener.local_addr().unwrap().port();
    loop {
        let (mut socket, _) = listener.accept().await.unwrap();
        let received = read_request(&mut socket, port).await;
        let earlier = log.lock().unwrap().iter().filter(|earlier| earlier.path == received.path).count();
        let response = respond(&received.path, earlier);
        log.lock().unwrap().push(received);
        socket.write_all(response.as_bytes()).await.unwrap();
    }
}

async fn listen() -> (TcpListener, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

fn redirect(status: u16, location: &str) -> String {
    format!(
        "HTTP/1.1 {status} Moved\r\nLocation: {location}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    )
}

fn no_content() -> String {
    "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n".into()
}

fn client(initial_wait: Duration) -> Client {
    let backoff =
        BackoffConfig { initial: initial_wait, shortest: Duration::from_millis(1), ..Default::default() };
    Client::new(ClientConfig { backoff, ..ClientConfig::default() })
}

fn target(port: u16, path: &str, authorization: Option<&'static str>) -> example::Target {
    let url = format!("http://127.0.0.1:{port}{path}").parse().unwrap();
    example::Target { url, authorization: authorization.map(HeaderValue::from_static) }
}

/// Follows a stream until the client stops, and returns the data of its messages and the reason.
async fn follow(client: Client, target: example::Target) -> (Vec<String>, StopReason) {
    let mut data = Vec::new();
    let followed = timeout(TIMEOUT, example::follow(client, target, |message| data.push(message.data)));
    let reason = followed.await.expect("the client stops").unwrap();
    (data, reason)
}

/// Returns the paths and last event ids of requests.
fn requests(log: &Log) -> Vec<(String, Option<String>)> {
    log.lock().unwrap().iter().map(|request| (request.path.clone(), request.last_event_id.clone())).collect()
}

#[tokio::test]
async fn c4_redirects_are_followed_on_each_connection_with_the_last_event_id() {
    for status in [301, 302, 303, 307, 308] {
        let (listener, port) = listen().await;
        let log = Log::default();
        let server = serve(listener, log.clone(), move |path, earlier| match (path, earlier) {
            ("/old/stream", _) => redirect(status, "../new?a=b"),
            ("/new?a=b", _) => redirect(status, &format!("http://127.0.0.1:{port}/newest#part")),
            ("/newest", 0) => format!("{STREAM}id: 7\ndata: first\n\n"),
            ("/newest", 1) => format!("{STREAM}id: 8\ndata: second\n\n"),
            _ => no_content(),
        });
        let server = tokio::spawn(server);
        let (data, reason) =
            follow(client(Duration::from_millis(1)), target(port, "/old/stream", None)).await;
        assert_eq!(
            (data, reason),
            (vec!["first".into(), "second".into()], StopReason::NoContent),
            "{status}"
        );
        let expected = [None, Some("7"), Some("8")].into_iter().flat_map(|id| {
            ["/old/stream", "/new?a=b", "/newest"].map(|path| (path.to_owned(), id.map(String::from)))
        });
        assert_eq!(requests(&log), expected.collect::<Vec<_>>(), "{status}");
        server.abort();
    }
}

#[tokio::test]
async fn c4_credentials_are_not_sent_to_another_origin() {
    let (own, port) = listen().await;
    let (other, other_port) = listen().await;
    let log = Log::default();
    let own = serve(own, log.clone(), move |path, _| match path {
        "/stream" => redirect(302, "/same-origin"),
        "/same-origin" => redirect(302, &format!("//127.0.0.1:{other_port}/other-origin")),
        _ => redirect(302, &format!("http://127.0.0.1:{other_port}/again")),
    });
    let other = serve(other, log.clone(), move |path, earlier| match (path, earlier) {
        ("/other-origin", _) => redirect(302, &format!("http://127.0.0.1:{port}/back")),
        (_, 0) => format!("{STREAM}id: 7\n\n"),
        _ => no_content(),
    });
    let (own, other) = (tokio::spawn(own), tokio::spawn(other));
    let (_, reason) =
        follow(client(Duration::from_millis(1)), target(port, "/stream", Some("Bearer secret"))).await;
    assert_eq!(reason, StopReason::NoContent);
    let received = log.lock().unwrap().clone();
    let credentials: Vec<_> = received
        .iter()
        .map(|request| (request.port == port, request.path.as_str(), request.authorization.as_deref()))
        .collect();
    let attempt = [
        (true, "/stream", Some("Bearer secret")),
        (true, "/same-origin", Some("Bearer secret")),
        (false, "/other-origin", None),
        // The other origin chose this URL, so it receives no credentials although its origin is the first one.
        (true, "/back", None),
        (false, "/again", None),
    ];
    assert_eq!(credentials, [attempt, attempt].concat(), "each attempt begins with the credentials again");
    assert!(
        received[5..].iter().all(|request| request.last_event_id.as_deref() == Some("7")),
        "{received:?}"
    );
    own.abort();
    other.abort();
}

#[tokio::test]
async fn c4_a_loop_of_redirects_ends_after_20() {
    let (listener, port) = listen().await;
    let log = Log::default();
    let server = tokio::spawn(serve(listener, log.clone(), |_, _| redirect(307, "")));
    let follower = follow(client(Duration::from_secs(3600)), target(port, "/stream", None));
    let loops = async {
        while log.lock().unwrap().len() < 21 {
            sleep(Duration::from_millis(5)).await;
        }
        sleep(Duration::from_millis(100)).await;
    };
    tokio::select! {
        _ = follower => unreachable!("the client waits"),
        done = timeout(TIMEOUT, loops) => done.expect("20 redirects are followed"),
    }
    assert_eq!(log.lock().unwrap().len(), 21, "the request and 20 redirects");
    server.abort();
}

#[tokio::test]
async fn c4_a_target_that_cannot_be_requested_is_a_failed_attempt() {
    let (listener, port) = listen().await;
    let log = Log::default();
    let server = serve(listener, log.clone(), |_, earlier| match earlier {
        0 => redirect(302, "ftp://127.0.0.1/stream"),
        1 => redirect(302, "http://[/stream"),
        _ => no_content(),
    });
    let server = tokio::spawn(server);
    let (_, reason) = follow(client(Duration::from_millis(1)), target(port, "/stream", None)).await;
    assert_eq!((reason, log.lock().unwrap().len()), (StopReason::NoContent, 3));
    server.abort();
}

/// Serves a stream with an event every 10 milliseconds to each connection, from threads of its own, and counts the
/// connections.
fn serve_without_pause(connections: Arc<AtomicUsize>) -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for socket in listener.incoming() {
            connections.fetch_add(1, Ordering::Relaxed);
            let mut socket = socket.unwrap();
            std::thread::spawn(move || {
                let _ = socket.read(&mut [0; 4096]).unwrap();
                socket.write_all(STREAM.as_bytes()).unwrap();
                while socket.write_all(b"data: x\n\n").is_ok() {
                    std::thread::sleep(Duration::from_millis(10));
                }
            });
        }
    });
    port
}

#[tokio::test]
async fn c5_a_pause_of_the_program_cuts_no_healthy_stream() {
    let connections = Arc::new(AtomicUsize::new(0));
    let port = serve_without_pause(connections.clone());
    let idle_timeout = Some(Duration::from_secs(1));
    let client = Client::new(ClientConfig { idle_timeout, ..ClientConfig::default() });
    let mut messages = 0;
    let followed = example::follow(client, target(port, "/", None), |_| {
        messages += 1;
        if messages == 20 || messages == 40 {
            // The whole program pauses, as if it were suspended.
            std::thread::sleep(Duration::from_millis(1500));
        }
    });
    assert!(timeout(Duration::from_secs(5), followed).await.is_err(), "the stream goes on");
    assert!(messages > 40, "{messages} messages");
    assert_eq!(connections.load(Ordering::Relaxed), 1, "the client never reconnected");
}
