//! The demo with a browser and with curl, while the server drops connections, restarts and is interrupted.
//!
//! Tests of programs that are not installed are skipped with a message. With `CI` set they fail instead.

mod demo_process;
mod programs;

use std::process::Command;

use demo_process::{Demo, http};
use programs::{Follower, has};

#[test]
fn curl_receives_each_event_at_once_and_its_disconnect_is_noticed() {
    if !has("curl", "--version") {
        return;
    }
    let demo = Demo::start(0);
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
    assert_eq!(demo.connections(), 1);
    // Nothing more is published, so the demo can notice only the end of the socket.
    curl.kill();
    while demo.connections() > 0 {}
}

#[test]
fn bad_input_gets_a_4xx_with_the_reason() {
    let demo = Demo::start(0);
    let cases: [(&str, &str, &[u8], u16, &str); 9] = [
        ("POST /publish/a HTTP/1.1", "X-Event-Id: a\tb", b"x", 400, "control character"),
        ("POST /publish/a?id=a%0Ab HTTP/1.1", "", b"x", 400, "line break"),
        ("POST /publish/a?id=%00 HTTP/1.1", "", b"x", 400, "control character"),
        ("POST /publish/a HTTP/1.1", "", b"\xff", 400, "not UTF-8"),
        ("POST /publish/a%0A HTTP/1.1", "", b"x", 400, "control characters"),
        ("GET /sse HTTP/1.1", "", b"", 400, "at least one channel"),
        ("POST /publish/user/7 HTTP/1.1", "", b"", 400, "empty"),
        ("POST /drop/nobody HTTP/1.1", "", b"", 404, "no client"),
        ("POST /drop/nobody?for=soon HTTP/1.1", "", b"", 400, "not a number"),
    ];
    for (line, header, body, status, reason) in cases {
        let (got, text) = http(demo.port, line, header, body);
        assert_eq!((got, text.contains(reason)), (status, true), "{line}: {got} {text:?}");
    }
    let large = vec![b'x'; (1 << 20) + 1];
    let (status, text) = http(demo.port, "POST /publish/a HTTP/1.1", "", &large);
    assert_eq!(status, 413, "{text}");
    let long = format!("GET /sse/{} HTTP/1.1", "n".repeat(201));
    assert_eq!(http(demo.port, &long, "", b"").0, 400);
    assert_eq!(http(demo.port, "POST /publish/a HTTP/1.1", "X-Event-Id: 7", b"good").0, 202);
}

#[cfg(unix)]
#[test]
fn an_interrupt_ends_the_server_at_once_with_open_streams() {
    let mut demo = Demo::start(0);
    let _streams: Vec<_> =
        (0..20).map(|_| demo_process::open_stream(demo.port, "/sse/weather", None)).collect();
    demo.interrupt();
    assert!(demo.wait(), "the demo exits with success");
}

#[test]
fn a_browser_misses_nothing_when_the_server_drops_its_connection() {
    if !(has("chromedriver", "--version") && has("chromium", "--version")) {
        return;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let demo = Demo::start(0);
        let browser = demo_process::browser::Browser::start().await;
        browser.page(demo.port).await;
        browser.wait_for("the page is live and receives the weather", LIVE).await;
        let user = browser.text("return document.querySelector('#note-user').value").await;
        let publish = |text: &str| {
            let (status, _) =
                http(demo.port, &format!("POST /publish/user/{user} HTTP/1.1"), "", text.as_bytes());
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
        let _restarted = Demo::start(port);
        browser.wait_for("the page reconnects", LIVE).await;
        browser
            .wait_for("the reset is shown", "return rows().some(row => row.dataset.type === 'reset')")
            .await;
        browser.close().await;
    });
}

const LIVE: &str = "return state() === 'live' && rows().some(row => row.dataset.type === 'weather')";
