//! A planned restart of the example `deploy`: clients continue in the next process, and a crash is told.

#![expect(clippy::disallowed_methods, reason = "a process needs time")]

use std::io::{Read, Write};
use std::time::Duration;

use adapter_tests::examples::{Example, build};
use adapter_tests::programs::{self, Missing};
use adapter_tests::{trials, wait_until};
use sse_core::Decoder;

#[path = "clients_kit/browser.rs"]
mod browser;
mod restart_kit;

use browser::Browser;
use restart_kit::Front;

fn main() {
    let tests = trials![
        r2_clients_continue_behind_a_planned_restart_and_learn_of_a_crash,
        r2_chromium_continues_behind_a_planned_restart,
        r2_firefox_continues_behind_a_planned_restart,
    ];
    programs::run(tests, true);
}

/// Returns the variables of a server that leaves its export to the next one.
fn export_of(test: &str) -> String {
    std::env::temp_dir()
        .join(format!("sse-deploy-{test}-{}", std::process::id()))
        .to_string_lossy()
        .into_owned()
}

fn r2_chromium_continues_behind_a_planned_restart() -> Result<(), Missing> {
    browser_continues("chromium", Browser::chromium)
}

fn r2_firefox_continues_behind_a_planned_restart() -> Result<(), Missing> {
    browser_continues("firefox", Browser::firefox)
}

/// A page gets every second of the clock of both runs, once and in order, and no reset.
fn browser_continues(name: &str, open: fn(&str) -> Result<Browser, Missing>) -> Result<(), Missing> {
    build(&["deploy"]);
    let export = export_of(name);
    let start = || Example::start_with("deploy", &[("EXPORT", &export)]);
    let front = Front::start();
    let mut first = start();
    front.lead_to(first.port);
    let _browser = open(&front.url)?;
    wait_until("the page receives events", || front.reports().len() >= 3);
    first.interrupt();
    first.wait_for_exit(Duration::from_secs(30));
    let second = start();
    front.lead_to(second.port);
    let of_first = front.reports().len();
    wait_until("the page receives events of the second run", || front.reports().len() >= of_first + 4);
    let seconds: Vec<u64> = front
        .reports()
        .iter()
        .map(|report| report.trim_end_matches(" s").parse().unwrap_or_else(|_| panic!("{report}")))
        .collect();
    // The clock of each run counts from zero.
    let runs: Vec<&[u64]> = seconds.chunk_by(|former, next| next == &(former + 1)).collect();
    assert_eq!(runs.len(), 2, "{seconds:?}");
    assert_eq!(runs[1][0], 0, "{seconds:?}");
    let _ = std::fs::remove_file(format!("{export}.used"));
    Ok(())
}

/// Reads the stream with a last event id until some events have come. Returns their names with ids and data.
fn read(server: &Example, id: &str, count: usize) -> Vec<(String, String, String)> {
    let mut socket = server.connect();
    let header = if id.is_empty() { String::new() } else { format!("Last-Event-ID: {id}\r\n") };
    write!(socket, "GET / HTTP/1.0\r\nHost: a\r\n{header}\r\n").expect("the request is accepted");
    let (mut decoder, mut head, mut buffer) = (Decoder::new(), Vec::new(), [0; 4096]);
    let (mut is_body, mut events) = (false, Vec::new());
    while events.len() < count {
        let read = socket.read(&mut buffer).expect("the stream goes on");
        assert!(read > 0, "the stream goes on");
        if is_body {
            decoder.push(&buffer[..read]);
        } else {
            head.extend_from_slice(&buffer[..read]);
            let Some(end) = head.windows(4).position(|bytes| bytes == b"\r\n\r\n") else { continue };
            is_body = true;
            decoder.push(&head[end + 4..]);
        }
        while let Some(message) = decoder.next_message() {
            let message = message.expect("a valid event");
            if message.event != "position" {
                events.push((message.event, message.id.to_string(), message.data));
            }
        }
    }
    events
}

fn r2_clients_continue_behind_a_planned_restart_and_learn_of_a_crash() -> Result<(), Missing> {
    build(&["deploy"]);
    let text = export_of("client");
    let start = || Example::start_with("deploy", &[("EXPORT", &text)]);
    let mut first = start();
    let before = read(&first, "", 1);
    // What is published from here on is in the history of the next run.
    std::thread::sleep(Duration::from_millis(2_500));
    first.interrupt();
    first.wait_for_exit(Duration::from_secs(30));

    let second = start();
    let (_, id, data) = &before[0];
    let number: u64 = data.trim_end_matches(" s").parse().expect("a number");
    let after = read(&second, id, 3);
    assert!(after.iter().all(|(event, ..)| event != "reset"), "{before:?} {after:?}");
    let expected = [1, 2].map(|next| format!("{} s", number + next));
    assert_eq!([&after[0].2, &after[1].2], [&expected[0], &expected[1]], "{before:?} {after:?}");
    let (_, id, _) = after.last().expect("three events");
    assert_eq!(read(&second, id, 1)[0].0, "message", "ids of the new run go on");

    // A crash: the export was used, and is not used again.
    let lost = id.clone();
    drop(second);
    let third = start();
    let events = read(&third, &lost, 2);
    assert_eq!(events.iter().filter(|(event, ..)| event == "reset").count(), 1, "{events:?}");
    drop(third);
    let _ = std::fs::remove_file(format!("{text}.used"));
    Ok(())
}
