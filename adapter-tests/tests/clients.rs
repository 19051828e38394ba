//! Third-party clients and a proxy.
//!
//! Tests that need a program are ignored where it is not installed. With `CI` set they fail instead.
#![expect(clippy::disallowed_types, clippy::disallowed_methods, reason = "other programs live in real time")]

mod clients_kit;

use std::time::{Duration, Instant};

use adapter_tests::programs::{self, Follower, Missing, needs, trial};
use adapter_tests::{Path, paths};
use libtest_mimic::Trial;
use serde_json::{Value, json};
use sse_core::Event;

use clients_kit::resumption::{self, CHANNELS};
use clients_kit::{Browser, Nginx, Relay, Server, node, python};

/// A delay that a buffering proxy would exceed by far, and a busy machine does not.
const PROMPT: Duration = Duration::from_secs(5);

/// Texts that are easy to decode wrongly.
const TEXTS: [&str; 6] =
    ["plain", "two\nlines", " leading and trailing ", "\n\n", "colon: at the end:", "žluťoučký 🐎"];

/// The server of a path.
type Run = fn(adapter_tests::Setup, std::sync::mpsc::Sender<adapter_tests::Listening>, adapter_tests::Stop);

/// A test for a path.
type Test = fn(Path) -> Result<(), Missing>;

fn main() {
    let mut tests = trials_of("hyper_body", paths::hyper::axum_body);
    tests.extend(trials_of("tokio_attached", paths::tokio::attached));
    programs::run(tests, false);
}

/// Returns all tests for one path.
fn trials_of(name: &str, run: Run) -> Vec<Trial> {
    let path = Path { run, is_http2: false, reads_requests: true };
    let tests: [(&str, Test); 11] = [
        ("curl_receives_each_event_and_its_disconnect_is_noticed", curl_receives_each_event),
        ("python_receives_missed_and_live_events", python_receives_missed_and_live_events),
        ("node_reconnects_by_itself_and_misses_nothing", node_reconnects_by_itself),
        ("nginx_forwards_events_at_once_and_disconnects_with_its_client", nginx_forwards_events_at_once),
        ("pings_keep_a_stream_open_through_nginx", pings_keep_a_stream_open_through_nginx),
        ("firefox_resumes_from_its_position", firefox_resumes),
        ("chromium_resumes_from_its_position", chromium_resumes),
        ("eventsource_3_resumes_from_its_position", eventsource_3_resumes),
        ("eventsource_4_resumes_from_its_position", eventsource_4_resumes),
        ("fetch_event_source_resumes_from_its_position", fetch_event_source_resumes),
        ("httpx_sse_resumes_from_its_position", httpx_sse_resumes),
    ];
    tests.map(|(test, check)| trial(format!("{name}::{test}"), move || check(path))).into()
}

fn curl_receives_each_event(path: Path) -> Result<(), Missing> {
    needs("curl", "--version")?;
    let server = Server::start(path);
    let mut curl = Follower::start("curl", &["-sN", &server.url("/sse/news")]);
    curl.wait_for("id: ");
    for n in 0..100 {
        server.publish("news", &Event::new().data(format!("headline {n}")));
        curl.wait_for(&format!("data: headline {n}"));
    }
    assert_eq!(server.connections(), 1);
    curl.kill();
    server.wait_for_connections(0);
    Ok(())
}

fn python_receives_missed_and_live_events(path: Path) -> Result<(), Missing> {
    let python = python()?;
    let server = Server::start(path);
    let first = server.publish("news", &Event::new().data("seen before"));
    let id = first.frame.id().expect("the hub assigns ids");
    let missed = server.publish("news", &Event::new().event("note").id("7").data(TEXTS[0]));
    assert_eq!(missed.frame.id(), Some("7"));
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients_kit/follow.py");
    let mut client = Follower::start(&python, &[script, &server.url("/sse/news"), id]);
    let parsed = |line: String| serde_json::from_str::<Value>(&line).expect("the script prints JSON");
    assert_eq!(
        parsed(client.wait_for("[")),
        json!(["7", "note", TEXTS[0]]),
        "the missed event follows, and not the last one seen"
    );
    for text in TEXTS {
        let published = server.publish("news", &Event::new().data(text));
        let id = published.frame.id().expect("the hub assigns ids");
        assert_eq!(parsed(client.wait_for("[")), json!([id, "message", text]));
    }
    client.kill();
    server.wait_for_connections(0);
    Ok(())
}

fn node_reconnects_by_itself(path: Path) -> Result<(), Missing> {
    let modules = node()?;
    let server = Server::start(path);
    let script = modules.join("follow.mjs");
    let script = script.to_str().expect("the path is UTF-8");
    let mut client = Follower::start("node", &[script, &server.url("/sse/news")]);
    server.wait_for_connections(1);
    server.publish("news", &Event::new().retry(Duration::from_millis(200)).data("first"));
    let mut expected = vec!["first".to_owned()];
    let mut seen = vec![client.wait_for("\"data\"")];
    for round in 0..3 {
        server.close_all();
        server.wait_for_connections(0);
        for text in TEXTS {
            let text = format!("{round} {text}");
            server.publish("news", &Event::new().data(&text));
            expected.push(text);
        }
        // Some of these events arrive live, the others by replay.
        for _ in TEXTS {
            seen.push(client.wait_for("\"data\""));
        }
    }
    let seen: Vec<String> = seen
        .iter()
        .map(|line| {
            serde_json::from_str::<Value>(line).expect("JSON")["data"].as_str().expect("text").to_owned()
        })
        .collect();
    assert_eq!(seen, expected, "each event arrives once, in order");
    assert!(server.hub.stats().replayed >= TEXTS.len() as u64, "some events arrive by replay");
    Ok(())
}

fn nginx_forwards_events_at_once(path: Path) -> Result<(), Missing> {
    needs("curl", "--version")?;
    needs("nginx", "-v")?;
    let server = Server::start(path);
    let nginx = Nginx::start(server.port, "");
    let mut curl = Follower::start("curl", &["-sN", "-i", &nginx.url("/sse/news")]);
    curl.wait_for("id: ");
    for n in 0..20 {
        let published_at = Instant::now();
        server.publish("news", &Event::new().data(format!("headline {n}")));
        curl.wait_for(&format!("data: headline {n}"));
        assert!(published_at.elapsed() < PROMPT, "{:?}", published_at.elapsed());
    }
    assert_eq!(server.connections(), 1);
    // Nothing more is published, so nginx has to close its connection to the server.
    curl.kill();
    server.wait_for_connections(0);
    Ok(())
}

fn pings_keep_a_stream_open_through_nginx(path: Path) -> Result<(), Missing> {
    needs("curl", "--version")?;
    needs("nginx", "-v")?;
    let server = Server::start(path);
    // The read timeout of nginx is 60 seconds by default, the ping interval 50 seconds.
    let nginx = Nginx::start(server.port, "proxy_read_timeout 1s;");
    let mut silent = Follower::start("curl", &["-sN", &nginx.url("/sse/silent")]);
    silent.wait_for("id: ");
    server.wait_for_connections(0);

    let mut curl = Follower::start("curl", &["-sN", &nginx.url("/sse/news")]);
    curl.wait_for("data: ");
    server.ping_every(Duration::from_millis(300));
    let started = Instant::now();
    while started.elapsed() < Duration::from_secs(3) {
        assert_eq!(curl.wait_for(":"), ":");
    }
    server.publish("news", &Event::new().data("still here"));
    curl.wait_for("data: still here");
    Ok(())
}

fn firefox_resumes(path: Path) -> Result<(), Missing> {
    resumption::check(path, |relay| Browser::firefox(&relay.url()))
}

fn chromium_resumes(path: Path) -> Result<(), Missing> {
    resumption::check(path, |relay| Browser::chromium(&relay.url()))
}

fn eventsource_3_resumes(path: Path) -> Result<(), Missing> {
    resumption::check(path, |relay| follow_in_node("eventsource-3", relay))
}

fn eventsource_4_resumes(path: Path) -> Result<(), Missing> {
    resumption::check(path, |relay| follow_in_node("eventsource-4", relay))
}

fn fetch_event_source_resumes(path: Path) -> Result<(), Missing> {
    resumption::check(path, |relay| follow_in_node("@microsoft/fetch-event-source", relay))
}

/// Follows the channels of the test with a library for Node.js.
fn follow_in_node(library: &str, relay: &Relay) -> Result<Follower, Missing> {
    let script = node()?.join("streams_in_node.mjs");
    let script = script.to_str().expect("the path is UTF-8");
    let [ended, reset] = CHANNELS;
    Ok(Follower::start("node", &[script, library, &relay.url(), &relay.reports_url(), ended, reset]))
}

fn httpx_sse_resumes(path: Path) -> Result<(), Missing> {
    resumption::check(path, |relay| {
        let python = python()?;
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients_kit/streams.py");
        let [ended, reset] = CHANNELS;
        Ok(Follower::start(&python, &[script, &relay.url(), &relay.reports_url(), ended, reset]))
    })
}
