//! The demo with a browser and with curl, while the server drops connections, restarts and is interrupted.
//!
//! Tests that need a program are ignored where it is not installed. With `CI` set they fail instead.

mod demo_browser;

use std::io::Read;
use std::process::Command;

use adapter_tests::examples::Example;
use adapter_tests::programs::{self, Follower, Missing, needs};
use adapter_tests::trials;

use demo_browser::Browser;

fn main() {
    let tests = trials![
        curl_receives_each_event_at_once_and_its_disconnect_is_noticed,
        bad_input_gets_a_4xx_with_the_reason,
        a_new_page_begins_with_history,
        the_links_of_the_page_have_targets,
        an_interrupt_ends_the_server_at_once_with_open_streams,
        a_browser_misses_nothing_when_the_server_drops_its_connection,
    ];
    programs::run(tests, false);
}

fn curl_receives_each_event_at_once_and_its_disconnect_is_noticed() -> Result<(), Missing> {
    needs("curl", "--version")?;
    let demo = Example::start("demo", 0);
    let url = format!("http://127.0.0.1:{}", demo.port);
    let mut curl = Follower::start("curl", &["-sN", "-i", &format!("{url}/sse/news")]);
    curl.wait_for("content-type: text/event-stream; charset=utf-8");
    curl.wait_for("id: ");
    for n in 1..=3 {
        let published = Command::new("curl")
            .args(["-sf", "-d", &format!("headline {n}"), &format!("{url}/publish/news")])
            .status();
        assert!(published.unwrap().success());
        curl.wait_for(&format!("data: headline {n}"));
    }
    assert_eq!(counter(&demo, "connections"), 1 + OF_THE_TEST);
    // Nothing more is published, so the demo can notice only the end of the socket.
    curl.kill();
    while counter(&demo, "connections") > OF_THE_TEST {}
    Ok(())
}

fn bad_input_gets_a_4xx_with_the_reason() -> Result<(), Missing> {
    let demo = Example::start("demo", 0);
    let cases: [(&str, &str, &[u8], u16, &str); 9] = [
        ("POST /publish/a", "X-Event-Id: a\tb", b"x", 400, "control character"),
        ("POST /publish/a?id=a%0Ab", "", b"x", 400, "line break"),
        ("POST /publish/a?id=%00", "", b"x", 400, "control character"),
        ("POST /publish/a", "", b"\xff", 400, "not UTF-8"),
        ("GET /sse", "", b"", 400, "at least one channel"),
        ("GET /sse?channel=", "", b"", 400, "empty"),
        ("POST /publish/user/7", "", b"", 400, "empty"),
        ("POST /drop/nobody", "", b"", 404, "no client"),
        ("POST /drop/nobody?for=soon", "", b"", 400, "not a number"),
    ];
    for (line, header, body, status, reason) in cases {
        let (got, text) = demo.http(line, header, body);
        assert_eq!((got, text.contains(reason)), (status, true), "{line}: {got} {text:?}");
    }
    let large = vec![b'x'; (1 << 20) + 1];
    let (status, text) = demo.http("POST /publish/a", "", &large);
    assert_eq!(status, 413, "{text}");
    assert_eq!(demo.http("POST /publish/a", "X-Event-Id: 7", b"good").0, 202);
    Ok(())
}

fn a_new_page_begins_with_history() -> Result<(), Missing> {
    let demo = Example::start("demo", 0);
    while counter(&demo, "history") < 3 {}
    let mut seen = String::new();
    let mut stream = demo.open_stream("/sse?channel=weather&client=page");
    read_until(&mut stream, &mut seen, "event: resume");
    assert!(seen.matches("event: weather").count() >= 3, "history comes before the report: {seen}");
    Ok(())
}

fn the_links_of_the_page_have_targets() -> Result<(), Missing> {
    let demo = Example::start("demo", 0);
    let (_, page) = demo.http("GET /", "", b"");
    let (status, readme) = demo.http("GET /readme", "", b"");
    assert_eq!(status, 200);
    let anchors: Vec<_> =
        page.split("href=\"/readme#").skip(1).filter_map(|link| link.split('"').next()).collect();
    assert!(anchors.len() >= 3, "axum, sockets and the core: {anchors:?}");
    for anchor in anchors {
        assert!(readme.contains(&format!("id=\"{anchor}\"")), "the README has no section {anchor}");
    }
    Ok(())
}

fn an_interrupt_ends_the_server_at_once_with_open_streams() -> Result<(), Missing> {
    if !cfg!(unix) {
        return Err(Missing::new("this system has no signals"));
    }
    let mut demo = Example::start("demo", 0);
    let _streams: Vec<_> = (0..20).map(|_| demo.open_stream("/sse/weather")).collect();
    demo.interrupt();
    demo.wait_for_exit(adapter_tests::TIMEOUT);
    Ok(())
}

fn a_browser_misses_nothing_when_the_server_drops_its_connection() -> Result<(), Missing> {
    needs("chromedriver", "--version")?;
    needs("chromium", "--version")?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let demo = Example::start("demo", 0);
        let browser = Browser::start().await;
        browser.page(demo.port).await;
        browser.wait_for("the page is live and receives the weather", LIVE).await;
        let user = browser.text("return document.querySelector('#note-user').value").await;
        let publish = |text: &str| {
            let (status, _) = demo.http(&format!("POST /publish/user/{user}"), "", text.as_bytes());
            assert_eq!(status, 202);
        };

        publish("while connected");
        browser
            .wait_for(
                "a note arrives",
                "return notes().length === 1 && notes()[0].dataset.replayed === 'false'",
            )
            .await;

        browser.run("document.querySelector('#drop').click()").await;
        browser.wait_for("the connection is dropped", "return state() !== 'live'").await;
        for n in 1..=3 {
            publish(&format!("missed {n}"));
        }
        browser.wait_for("the page reconnects by itself", LIVE).await;
        browser
            .wait_for(
                "missed notes arrive by replay",
                "return Number(document.querySelector('#replay-summary').dataset.count) >= 3
                     && notes().filter(note => note.dataset.replayed === 'true').length === 3",
            )
            .await;
        browser
            .wait_for(
                "nothing arrives twice",
                "return document.querySelector('#doubled').textContent.trim() === '0'",
            )
            .await;
        let gaps = browser
            .text(
                "const ids = rows().map(row => row.dataset.id);
                 return String(new Set(ids).size - ids.length)",
            )
            .await;
        assert_eq!(gaps, "0", "every row has its own id");

        // A note from the form of the page reaches the page.
        browser
            .run(
                "document.querySelector('#note-text').value = '<b>from the form</b>';
                 document.querySelector('#note-send').click()",
            )
            .await;
        browser
            .wait_for(
                "the form works",
                "return notes().some(n => n.textContent.includes('<b>from the form</b>'))",
            )
            .await;

        // After a restart of the server, the ids of the page are unknown and the page receives a reset.
        let port = demo.port;
        drop(demo);
        browser.wait_for("the server is gone", "return state() !== 'live'").await;
        let _restarted = Example::start("demo", port);
        browser.wait_for("the page reconnects", LIVE).await;
        browser
            .wait_for("the reset is shown", "return rows().some(row => row.dataset.type === 'reset')")
            .await;
        browser.close().await;
    });
    Ok(())
}

const LIVE: &str = "return state() === 'live' && rows().some(row => row.dataset.type === 'weather')";

/// The connections that [`counter`] itself opens.
const OF_THE_TEST: u64 = 1;

/// Returns a counter of the hub, from the channel `stats` of the demo.
fn counter(demo: &Example, name: &str) -> u64 {
    let mut stream = demo.open_stream("/sse/stats");
    let mut seen = String::new();
    let name = format!("\"{name}\":");
    read_until(&mut stream, &mut seen, &name);
    let value = seen.split(&name).nth(1).expect("it was read");
    value.chars().take_while(char::is_ascii_digit).collect::<String>().parse().expect("a number")
}

fn read_until(stream: &mut impl Read, seen: &mut String, text: &str) {
    let mut bytes = [0; 4096];
    while !seen.contains(text) || !seen.ends_with('\n') {
        let count = stream.read(&mut bytes).expect("events arrive every second");
        assert_ne!(count, 0, "the stream ended: {seen}");
        seen.push_str(&String::from_utf8_lossy(&bytes[..count]));
    }
}
