//! The example `gateway`: streams that end, for clients that know nothing of it.
#![expect(clippy::disallowed_methods, clippy::disallowed_types, reason = "other programs live in real time")]

#[path = "clients_kit/browser.rs"]
mod browser;
#[path = "clients_kit/install.rs"]
mod install;
#[path = "gateway_kit/page.rs"]
mod page;

use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use adapter_tests::examples::{self, Example};
use adapter_tests::programs::{self, Follower, Missing, needs};
use adapter_tests::trials;
use browser::Browser;

fn main() {
    examples::build(&["gateway"]);
    let tests = trials![
        an_answer_is_cut_at_every_frame_and_resumed,
        a_finished_answer_is_replayed_and_then_over,
        after_its_time_an_answer_is_204,
        a_slow_reader_receives_two_thousand_events,
        an_answer_without_readers_is_stopped,
        a_reader_can_stop_an_answer,
        an_error_in_the_middle_ends_the_answer,
        curl_ends_by_itself,
        node_ends_by_itself,
        chromium_ends_by_itself,
        firefox_ends_by_itself,
        the_library_of_openai_ends_by_itself,
    ];
    programs::run(tests, true);
}

const ASK: &str = "POST /v1/chat/completions";

fn gateway(retention: u32) -> Example {
    Example::start_with("gateway", &[("RETENTION", &retention.to_string())])
}

fn question(text: &str) -> Vec<u8> {
    format!(r#"{{"messages":[{{"role":"user","content":"{text}"}}]}}"#).into_bytes()
}

/// Asks, and returns the stream after its head, and the path of the answer.
fn ask(gateway: &Example, text: &str) -> (std::net::TcpStream, String) {
    let mut stream = gateway.connect();
    let body = question(text);
    write!(stream, "{ASK} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n", body.len()).unwrap();
    stream.write_all(&body).unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).expect("a response");
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap();
    let location = head.lines().find_map(|line| line.strip_prefix("location: ")).expect("a location");
    (stream, location.to_owned())
}

/// Returns the events of a stream: the id and the data of each.
fn events(text: &str) -> Vec<(String, String)> {
    let mut decoder = sse_core::Decoder::new();
    decoder.push(text.as_bytes());
    let messages = std::iter::from_fn(|| decoder.next_message()).map(Result::unwrap);
    messages.filter(|it| it.event != "position").map(|message| (message.id, message.data)).collect()
}

fn get(gateway: &Example, path: &str, last_event_id: &str) -> (u16, Vec<(String, String)>) {
    let header =
        if last_event_id.is_empty() { String::new() } else { format!("Last-Event-ID: {last_event_id}") };
    let (status, text) = gateway.http(&format!("GET {path}"), &header, b"");
    (status, events(&dechunked(&text)))
}

/// Removes the sizes of the chunks.
fn dechunked(text: &str) -> String {
    let mut rest = text;
    let mut whole = String::new();
    while let Some((size, after)) = rest.split_once("\r\n") {
        let Ok(size) = usize::from_str_radix(size, 16) else { return text.to_owned() };
        whole.push_str(&after[..size]);
        rest = after[size..].trim_start_matches("\r\n");
    }
    whole
}

fn an_answer_is_cut_at_every_frame_and_resumed() -> Result<(), Missing> {
    let gateway = gateway(60);
    for frames in 0..=6 {
        let (mut stream, path) = ask(&gateway, "a b c d e");
        let mut text = String::new();
        // A frame is complete at its blank line, which the chunks do not cut.
        while text.matches("\n\n").count() < frames {
            let mut bytes = [0; 4096];
            let count = stream.read(&mut bytes).expect("the stream goes on");
            text.push_str(std::str::from_utf8(&bytes[..count]).unwrap());
        }
        drop(stream);
        let text: String =
            text.lines().filter(|line| !line.ends_with('\r')).map(|line| format!("{line}\n")).collect();
        let mut received = events(&text);
        let id = received.last().map(|(id, _)| id.clone()).unwrap_or_default();
        let (status, rest) = get(&gateway, &path, &id);
        assert_eq!(status, if received.len() == 6 { 204 } else { 200 }, "after {frames} frames");
        received.extend(rest);
        let (_, whole) = get(&gateway, &path, "");
        assert_eq!((received.len(), &received), (6, &whole), "after {frames} frames");
        assert_eq!(whole.last().unwrap().1, "[DONE]");
    }
    Ok(())
}

fn a_finished_answer_is_replayed_and_then_over() -> Result<(), Missing> {
    let gateway = gateway(60);
    let (mut stream, path) = ask(&gateway, "5");
    stream.read_to_end(&mut Vec::new()).map_or_else(|_| (), drop);
    let (status, whole) = get(&gateway, &path, "");
    assert_eq!((status, whole.len()), (200, 6));
    assert_eq!(get(&gateway, &path, &whole[2].0).1, whole[3..]);
    assert_eq!(get(&gateway, &path, &whole[5].0), (204, vec![]));
    assert_eq!(get(&gateway, &path, "of-another-run-7").1.len(), 7, "a reset, and the whole answer");
    Ok(())
}

fn after_its_time_an_answer_is_204() -> Result<(), Missing> {
    let gateway = gateway(1);
    let (_stream, path) = ask(&gateway, "5");
    wait_until(|| get(&gateway, &path, "").0 == 204);
    Ok(())
}

fn a_slow_reader_receives_two_thousand_events() -> Result<(), Missing> {
    let gateway = gateway(60);
    let (mut stream, path) = ask(&gateway, "2000");
    // The model waits for its reader, who does not read yet.
    sleep(Duration::from_millis(300));
    let mut bytes = vec![0; 4096];
    for _ in 0..50 {
        let _ = stream.read(&mut bytes).expect("the stream goes on");
        sleep(Duration::from_millis(10));
    }
    drop(stream);
    let (_, whole) = get(&gateway, &path, "");
    assert_eq!(whole.len(), 2_001);
    for (number, (_, data)) in (1..=2_000).zip(&whole) {
        assert!(data.contains(&format!(r#""content":"{number} ""#)), "{number}: {data}");
    }
    Ok(())
}

fn an_answer_without_readers_is_stopped() -> Result<(), Missing> {
    let gateway = gateway(1);
    let (stream, path) = ask(&gateway, &"word ".repeat(600));
    drop(stream);
    // It would take a minute.
    sleep(Duration::from_millis(1500));
    let (_, events) = get(&gateway, &path, "");
    let last = events.last().map(|(_, data)| data.as_str());
    assert!(matches!(last, None | Some(r#"{"finish_reason":"stopped"}"#)), "{last:?}");
    Ok(())
}

fn a_reader_can_stop_an_answer() -> Result<(), Missing> {
    let gateway = gateway(60);
    let (mut stream, path) = ask(&gateway, &"word ".repeat(600));
    assert_eq!(gateway.http(&format!("DELETE {path}"), "", b"").0, 202);
    let mut text = Vec::new();
    let read = stream.read(&mut [0]).and_then(|_| read_until(&mut stream, &mut text, "stopped"));
    assert!(read.is_ok(), "{:?}", String::from_utf8_lossy(&text));
    assert_eq!(gateway.http(&format!("DELETE {path}"), "", b"").0, 404);
    Ok(())
}

fn read_until(stream: &mut std::net::TcpStream, text: &mut Vec<u8>, end: &str) -> std::io::Result<()> {
    let mut bytes = [0; 4096];
    while !String::from_utf8_lossy(text).contains(end) {
        match stream.read(&mut bytes)? {
            0 => return Err(std::io::ErrorKind::UnexpectedEof.into()),
            count => text.extend(&bytes[..count]),
        }
    }
    Ok(())
}

fn an_error_in_the_middle_ends_the_answer() -> Result<(), Missing> {
    let gateway = gateway(60);
    let (mut stream, path) = ask(&gateway, "never fail twice");
    read_until(&mut stream, &mut Vec::new(), "server_error").expect("the error arrives");
    let (_, events) = get(&gateway, &path, "");
    assert_eq!(events.len(), 2);
    assert!(events[1].1.contains("the model failed"));
    Ok(())
}

fn curl_ends_by_itself() -> Result<(), Missing> {
    needs("curl", "--version")?;
    let gateway = gateway(60);
    let url = format!("http://127.0.0.1:{}/v1/chat/completions", gateway.port);
    let mut curl = Command::new("curl");
    curl.args(["-sN", "--max-time", "30", "--data-binary", "@-", &url]);
    let output = with_input(&mut curl, &question("20"));
    assert_eq!(events(&output).len(), 21);
    Ok(())
}

fn with_input(command: &mut Command, input: &[u8]) -> String {
    let mut process = command
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("it starts");
    process.stdin.take().expect("it was piped").write_all(input).expect("it reads");
    let output = process.wait_with_output().expect("it ends");
    assert!(output.status.success(), "{:?}", output.status);
    String::from_utf8(output.stdout).expect("UTF-8")
}

fn node_ends_by_itself() -> Result<(), Missing> {
    let folder = install::node()?;
    let gateway = gateway(60);
    let (_stream, path) = ask(&gateway, "20");
    let script = folder.join("ends.mjs");
    let url = format!("http://127.0.0.1:{}{path}", gateway.port);
    let mut node = Follower::start("node", &[script.to_str().expect("UTF-8"), &url]);
    assert_eq!(node.wait_for("["), r#"[21,"[DONE]"]"#);
    Ok(())
}

fn chromium_ends_by_itself() -> Result<(), Missing> {
    browser_ends(Browser::chromium)
}

fn firefox_ends_by_itself() -> Result<(), Missing> {
    browser_ends(Browser::firefox)
}

/// The page reports when its `EventSource` has given up.
fn browser_ends(open: fn(&str) -> Result<Browser, Missing>) -> Result<(), Missing> {
    let gateway = gateway(60);
    let (_stream, path) = ask(&gateway, "20");
    let page = page::Page::serve(gateway.port, &path);
    let _browser = open(&page.url)?;
    assert_eq!(page.report(), r#"[21,"[DONE]"]"#);
    Ok(())
}

fn the_library_of_openai_ends_by_itself() -> Result<(), Missing> {
    let python = install::python()?;
    let gateway = gateway(60);
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients_kit/openai_chat.py");
    let url = format!("http://127.0.0.1:{}/v1", gateway.port);
    for (question, expected) in [("3", "1 2 3 end"), ("you fail here", "here error: the model failed")] {
        let mut python = Follower::start(&python, &[script, &url, question]);
        assert_eq!(python.wait_for("e"), expected);
    }
    Ok(())
}

fn wait_until(condition: impl Fn() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < Duration::from_secs(30), "not within 30 seconds");
        sleep(Duration::from_millis(50));
    }
}

/// Creates a folder below the target folder.
fn folder(name: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::create_dir_all(&folder).expect("the target folder can be written");
    folder
}
