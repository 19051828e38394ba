//! Every example that is a server: with few file descriptors and hostile clients, and with the names of channels that
//! `docs/examples.md` describes.
#![expect(clippy::disallowed_methods, reason = "other programs live in real time")]

mod hostile;

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use adapter_tests::examples::{self, Example};
use adapter_tests::programs::{self, Follower, Missing, needs, trial};
use adapter_tests::trials;
use libtest_mimic::Trial;

/// The time in which an ordinary client receives an event. Examples close connections without a request after 30 seconds.
const BOUND: Duration = Duration::from_secs(75);

/// The number of files that an example can open. Its runtime needs about twenty.
const FILES: u64 = 64;

/// An example that serves HTTP.
#[derive(Clone, Copy)]
struct Server {
    name: &'static str,
    /// Returns the path of a stream. Some examples need a request for that.
    stream: fn(&Example) -> String,
    /// Publishes an event. Examples without this publish by themselves.
    publish: Option<fn(&Example)>,
    /// A request that ends with the name of a channel.
    named: Option<&'static str>,
    is_tls: bool,
}

const CLOCK: Server = Server { name: "", stream: |_| "/".into(), publish: None, named: None, is_tls: false };

/// An example with the routes `/sse/{channel}` and `/publish/{channel}`.
const CHANNELS: Server = Server {
    stream: |_| "/sse/news".into(),
    publish: Some(|example| publish(example, "/publish/news", 202)),
    named: Some("GET /sse/"),
    ..CLOCK
};

const SERVERS: [Server; 14] = [
    Server {
        name: "axum",
        stream: |_| "/events".into(),
        publish: Some(|example| publish(example, "/events", 202)),
        ..CLOCK
    },
    Server { name: "http2", ..CLOCK },
    Server {
        name: "tokens",
        stream: |example| example.http("POST /answers", "", b"one two three").1.trim().to_owned(),
        named: Some("GET /answers/"),
        ..CLOCK
    },
    Server { name: "gateway", stream: answer_of_the_gateway, named: Some("GET /v1/answers/"), ..CLOCK },
    Server {
        name: "notifications",
        stream: |example| {
            format!("/notifications?token={}", example.http("POST /sessions", "", b"ada").1.trim())
        },
        publish: Some(|example| publish(example, "/notify/ada", 202)),
        named: Some("POST /notify/"),
        ..CLOCK
    },
    Server { name: "deploy", ..CLOCK },
    Server { name: "metrics", stream: |_| "/events".into(), ..CLOCK },
    Server { name: "tls", is_tls: true, ..CLOCK },
    Server { name: "server-hyper", ..CHANNELS },
    Server { name: "server-tokio", ..CHANNELS },
    Server { name: "server-async-std", ..CHANNELS },
    Server { name: "server-mio", ..CHANNELS },
    Server { name: "actix", ..CHANNELS },
    Server { name: "demo", ..CHANNELS },
];

/// Examples that are not servers.
// `cluster.rs` tests the nodes of a cluster.
const OTHERS: [&str; 3] = ["cluster", "follow", "virtual_time"];

fn main() {
    let mut tests = trials![
        the_list_of_examples_is_complete,
        tokens_ends_the_stream_of_a_reader_that_comes_after_the_end,
        x6_deploy_exits_although_peers_do_not_read_or_send_half_a_head
    ];
    let on_each = |test: &str, check: Check, servers: &mut dyn Iterator<Item = &Server>| -> Vec<Trial> {
        let name = |server: &Server| format!("{}::{test}", server.name);
        servers.map(|&server| trial(name(&server), move || check(server))).collect()
    };
    tests.extend(on_each(
        "hostile_clients_do_not_stop_it",
        hostile_clients_do_not_stop_it,
        &mut SERVERS.iter(),
    ));
    let mut with_channels = SERVERS.iter().filter(|server| server.named == CHANNELS.named);
    tests.extend(on_each(
        "names_of_channels_follow_the_contract",
        names_follow_the_contract,
        &mut with_channels,
    ));
    // The tests wait for timeouts most of the time.
    programs::run(tests, true);
}

type Check = fn(Server) -> Result<(), Missing>;

fn the_list_of_examples_is_complete() -> Result<(), Missing> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let folders = ["sse-core", "sse-hyper", "sse-tokio", "sse-async-std", "sse-redis"]
        .map(|crate_| root.join(crate_).join("examples"));
    let entries = folders.iter().flat_map(|folder| std::fs::read_dir(folder).expect("a folder of examples"));
    let is_example = |path: &Path| path.extension().is_some() || path.join("main.rs").exists();
    let paths = entries.map(|entry| entry.expect("an entry").path()).filter(|path| is_example(path));
    let name = |path: std::path::PathBuf| path.file_stem().map(|name| name.to_string_lossy().into_owned());
    let found: BTreeSet<String> = paths.filter_map(name).chain(["demo".to_owned()]).collect();
    let listed = SERVERS.iter().map(|server| server.name).chain(OTHERS).map(str::to_owned).collect();
    assert_eq!(found, listed);
    let page = std::fs::read_to_string(root.join("docs/examples.md")).expect("the page of examples");
    for name in found {
        let command = format!("--example {name}");
        assert!(page.contains(&format!("{command}`")) || page.contains(&format!("{command} ")), "{name}");
    }
    Ok(())
}

/// Asks for an answer, and returns its path.
fn answer_of_the_gateway(example: &Example) -> String {
    let mut stream = example.connect();
    let body = format!(r#"{{"messages":[{{"content":"{}"}}]}}"#, "word ".repeat(3_000));
    let length = body.len();
    write!(
        stream,
        "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n{body}"
    )
    .expect("the request is accepted");
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).expect("a response");
        head.push(byte[0].into());
    }
    head.lines().find_map(|line| line.strip_prefix("location: ")).expect("a location").to_owned()
}

fn tokens_ends_the_stream_of_a_reader_that_comes_after_the_end() -> Result<(), Missing> {
    let tokens = Example::start("tokens", 0);
    let path = tokens.http("POST /answers", "", b"one two three").1.trim().to_owned();
    let request = format!("GET {path}");
    let live = tokens.http(&request, "", b"").1;
    let late = tokens.http(&request, "", b"").1;
    let resumed = tokens.http(&request, "Last-Event-ID: unknown", b"").1;
    for (reader, seen) in [("during the answer", &live), ("after it", &late)] {
        let data: Vec<_> = seen.lines().filter_map(|line| line.strip_prefix("data: ")).collect();
        assert_eq!(data, ["", "three", "two", "one", ""], "{reader}: {seen}");
    }
    // An open stream would have a ping after some time, and would end when the answer is no longer kept.
    for seen in [&late, &resumed] {
        assert!(!seen.lines().any(|line| line == ":"), "the stream stays open: {seen}");
    }
    let data: Vec<_> = resumed.lines().filter_map(|line| line.strip_prefix("data: ")).collect();
    assert_eq!(data, ["", "three", "two", "one", ""], "all of it behind the reset: {resumed}");
    let done = late.lines().filter_map(|line| line.strip_prefix("id: ")).next_back().expect("an id");
    assert_eq!(tokens.http(&request, &format!("Last-Event-ID: {done}"), b"").0, 204);
    Ok(())
}

/// X6: the example promises one second more than its drain, which ends within ten.
fn x6_deploy_exits_although_peers_do_not_read_or_send_half_a_head() -> Result<(), Missing> {
    if !cfg!(unix) {
        return Err(Missing::new("this system has no signals"));
    }
    examples::build(&SERVERS.map(|server| server.name));
    let mut deploy = Example::start("deploy", 0);
    let _stream = deploy.open_stream("/");
    let _deaf = hostile::open_deaf(&deploy);
    let _without_window = hostile::open_http2_stream_without_window(&deploy);
    let mut half = deploy.connect();
    half.write_all(b"GET / HT").expect("the socket has room");
    sleep(Duration::from_millis(500));
    deploy.interrupt();
    deploy.wait_for_exit(Duration::from_secs(14));
    Ok(())
}

fn hostile_clients_do_not_stop_it(server: Server) -> Result<(), Missing> {
    if !cfg!(target_os = "linux") {
        return Err(Missing::new("the number of open files is read from /proc"));
    }
    if server.is_tls {
        needs("curl", "--version")?;
    }
    examples::build(&SERVERS.map(|server| server.name));
    let mut example = Example::start_with_files(server.name, FILES);
    example.timeout = BOUND;
    receives_an_event(server, &example, "an idle server");

    let flood = hostile::Flood::start(example.port);
    receives_an_event(server, &example, "a client that sends requests without an end");
    drop(flood);

    if let Some(request) = server.named {
        let (status, text) = example.http(&format!("{request}{}", "n".repeat(2000)), "", b"text");
        assert!((400..500).contains(&status) || status == 204, "a name that is too long: {status} {text}");
    }
    let held = hostile::take_all_files(&example, FILES as usize);
    receives_an_event(server, &example, "clients that hold all descriptors without a request");
    assert_eq!(example.exit_status(), None, "the process still runs");
    drop(held);
    Ok(())
}

/// Checks that an ordinary client receives an event in time.
fn receives_an_event(server: Server, example: &Example, beside: &str) {
    let path = (server.stream)(example);
    if server.is_tls {
        let url = format!("https://127.0.0.1:{}{path}", example.port);
        let limit = BOUND.as_secs().to_string();
        let mut curl = Follower::start("curl", &["-skN", "--max-time", &limit, &url]);
        assert!(curl.wait_within(BOUND, has_event).is_some(), "{beside}: no event arrives");
        return;
    }
    let mut stream = example.open_stream(&path);
    let mut seen = String::new();
    read_until(&mut stream, &mut seen, beside, |seen| seen.contains("\r\n\r\n"));
    if let Some(publish) = server.publish {
        publish(example);
    }
    read_until(&mut stream, &mut seen, beside, has_event);
}

/// Returns whether a stream contains an event with data. The first event of a stream can be without data.
fn has_event(seen: &str) -> bool {
    seen.lines().any(|line| line.strip_prefix("data: ").is_some_and(|data| !data.is_empty()))
}

fn read_until(stream: &mut TcpStream, seen: &mut String, what: &str, is_done: impl Fn(&str) -> bool) {
    let mut bytes = [0; 4096];
    while !is_done(seen) {
        let count = stream.read(&mut bytes).unwrap_or_else(|error| panic!("{what}: {error} after {seen:?}"));
        assert_ne!(count, 0, "{what}: the stream ended after {seen:?}");
        seen.push_str(&String::from_utf8_lossy(&bytes[..count]));
    }
}

fn publish(example: &Example, path: &str, expected: u16) {
    let (status, text) = example.http(&format!("POST {path}"), "", b"something new");
    assert_eq!(status, expected, "POST {path}: {text}");
}

fn names_follow_the_contract(server: Server) -> Result<(), Missing> {
    examples::build(&SERVERS.map(|server| server.name));
    let example = Example::start(server.name, 0);
    // A name is percent-decoded, and the case of the digits has no meaning.
    let mut stream = example.open_stream("/sse/gr%c3%bcn%2fb");
    let mut seen = String::new();
    read_until(&mut stream, &mut seen, "the head", |seen| seen.contains("\r\n\r\n"));
    publish(&example, "/publish/gr%C3%BCn%2Fb", 202);
    read_until(&mut stream, &mut seen, "an event of the channel `grün/b`", has_event);

    // The id of an event is the header, or else the parameter. An empty value is no id.
    let (status, text) = example.http("POST /publish/gr%C3%BCn%2Fb?id=a%20b+c", "", b"parameter");
    assert_eq!(status, 202, "{text}");
    read_until(&mut stream, &mut seen, "the parameter `id`", |seen| {
        seen.contains("id: a b c\ndata: parameter")
    });
    let (status, text) = example.http("POST /publish/gr%C3%BCn%2Fb?id=9", "X-Event-Id: 8", b"header");
    assert_eq!(status, 202, "{text}");
    read_until(&mut stream, &mut seen, "the header", |seen| seen.contains("id: 8\ndata: header"));
    let (status, text) = example.http("POST /publish/gr%C3%BCn%2Fb?id=", "", b"without");
    assert_eq!(status, 202, "{text}");
    read_until(&mut stream, &mut seen, "an empty parameter", |seen| seen.contains("data: without"));
    assert!(!seen.contains("id: \ndata: without"), "the hub assigns an id: {seen}");

    let longest = "n".repeat(1024);
    publish(&example, &format!("/publish/{longest}"), 202);
    publish(&example, &format!("/publish/{}", "%C3%BC".repeat(512)), 202);
    let refused = [("", 404), ("a/b", 404), ("a%FF", 400), (&*format!("{longest}n"), 400)];
    for (name, status) in refused {
        publish(&example, &format!("/publish/{name}"), status);
        let (got, text) = example.http(&format!("GET /sse/{name}"), "", b"");
        assert_eq!(got, status, "GET /sse/{name}: {text}");
    }
    Ok(())
}
