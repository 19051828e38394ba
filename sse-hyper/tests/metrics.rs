//! Scrapes of the example `metrics` over real sockets.

#[path = "../examples/metrics.rs"]
#[expect(dead_code, reason = "its main function is not run here")]
mod example;

use std::time::Duration;

use hyper_util::rt::{TokioExecutor, TokioTimer};
use sse_core::shared::MetricsConfig;
use sse_core::{ChannelConfig, Event, HubConfig, Limits};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

/// The time after which a wait fails the test.
const TIMEOUT: Duration = Duration::from_secs(20);

async fn request(port: u16, path: &str) -> TcpStream {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    stream
}

async fn read_until(stream: &mut TcpStream, text: &str) {
    let mut read = Vec::new();
    while !read.windows(text.len()).any(|part| part == text.as_bytes()) {
        assert_ne!(timeout(TIMEOUT, stream.read_buf(&mut read)).await.expect("the text arrives").unwrap(), 0);
    }
}

/// Scrapes until the page contains a line, and returns the page.
async fn scrape_until(port: u16, line: &str) -> String {
    let scrapes = async {
        loop {
            let mut page = String::new();
            request(port, "/metrics").await.read_to_string(&mut page).await.unwrap();
            if page.lines().any(|found| found == line) {
                return page;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(TIMEOUT, scrapes).await.unwrap_or_else(|_| panic!("{line} did not appear"))
}

fn value(page: &str, name: &str) -> f64 {
    let line = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("{name} is not in {page}")).parse().unwrap()
}

#[tokio::test]
async fn a_scrape_reports_the_state_of_the_hub() {
    let limits = Limits { connections: 2, ..Limits::default() };
    let config = HubConfig { limits, ..HubConfig::default() };
    let hub = sse_hyper::start("e", config, &TokioExecutor::new(), TokioTimer::new()).unwrap();
    let recorder = example::prometheus().unwrap().build_recorder();
    let metrics = MetricsConfig { every: Duration::from_millis(10), ..MetricsConfig::default() };
    metrics::with_local_recorder(&recorder, || hub.record_metrics(metrics));
    let news = hub.open_channel("news", ChannelConfig::default()).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let app = example::app(news.clone(), recorder.handle());
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });

    let mut reader = request(port, "/events").await;
    read_until(&mut reader, "id: e-0").await;
    let mut leaver = request(port, "/events").await;
    read_until(&mut leaver, "id: e-0").await;
    let mut refused = request(port, "/events").await;
    read_until(&mut refused, "retry: ").await;
    news.publish(&Event::new().data("hello")).unwrap();
    read_until(&mut reader, "hello").await;
    read_until(&mut leaver, "hello").await;
    drop(leaver);

    let page = scrape_until(port, "sse_connections 1").await;
    assert_eq!(value(&page, "sse_connections_opened_total"), 2.0);
    assert_eq!(value(&page, "sse_connections_closed_total{reason=\"disconnected\"}"), 1.0);
    assert_eq!(value(&page, "sse_connections_closed_total{reason=\"stalled\"}"), 0.0);
    assert_eq!(value(&page, "sse_refused_total{call=\"connect\"}"), 1.0);
    assert_eq!(value(&page, "sse_slowest_reader_frames"), 0.0);
    assert_eq!(value(&page, "sse_fan_out_seconds_count"), 1.0);
    assert!(value(&page, "sse_fan_out_seconds_sum") > 0.0);

    // A connection without a transport falls behind, and the page reports how far.
    let behind = hub.connect(sse_core::ConnectionConfig::default()).unwrap();
    behind.subscribe(&news).unwrap();
    for _ in 0..3 {
        news.publish(&Event::new().data("more")).unwrap();
    }
    let page = scrape_until(port, "sse_slowest_reader_frames 3").await;
    let first = value(&page, "sse_slowest_reader_seconds");
    tokio::time::sleep(Duration::from_millis(50)).await;
    let page = scrape_until(port, "sse_slowest_reader_frames 3").await;
    assert!(value(&page, "sse_slowest_reader_seconds") > first);
}
