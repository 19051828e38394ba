//! Event streams over real sockets (X1 to X6).

mod common;

use std::pin::Pin;
use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, Version};
use common::{Client, TIMEOUT, hub, router, serve, wait_until};
use http_body::Body as _;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use sse_core::{ChannelConfig, ConnectionConfig, Event, HubConfig, Limits};
use sse_hyper::SseBody;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

#[tokio::test]
async fn x1_the_head_is_sent_at_once_with_all_its_fields() {
    let port = serve(hub(HubConfig::default())).await;
    let client = Client::get(port, "/sse/quiet", Some("e-0")).await;
    assert!(client.head.starts_with("HTTP/1.1 200 OK\r\n"), "{}", client.head);
    for line in [
        "content-type: text/event-stream; charset=utf-8\r\n",
        "cache-control: no-store, no-transform\r\n",
        "x-accel-buffering: no\r\n",
        "connection: keep-alive\r\n",
    ] {
        assert!(client.head.contains(line), "{line:?} in {}", client.head);
    }
    assert!(!client.head.contains("content-length"));
    assert!(!client.head.contains("access-control"));
    assert!(client.body.is_empty(), "nothing is pending: {:?}", client.body);
}

#[tokio::test]
async fn events_arrive_in_the_order_of_publication() {
    let hub = hub(HubConfig::default());
    let port = serve(hub.clone()).await;
    let mut client = Client::get(port, "/sse/weather", None).await;
    let weather = hub.channel("weather").unwrap();
    for n in 0..1000 {
        weather.publish(&Event::new().data(n.to_string())).unwrap();
    }
    let expected: Vec<_> = (0..1000).map(|n| n.to_string()).collect();
    assert_eq!(client.data(1000).await, expected);
    assert_eq!(client.last_event_id(), "e-1000");
}

#[tokio::test]
async fn h4_a_client_of_two_channels_reconnects_and_misses_nothing() {
    let hub = hub(HubConfig::default());
    let port = serve(hub.clone()).await;
    let mut client = Client::get(port, "/sse/a,b", None).await;
    let [a, b] = ["a", "b"].map(|name| hub.channel(name).unwrap());
    a.publish(&Event::new().data("1")).unwrap();
    b.publish(&Event::new().data("2")).unwrap();
    assert_eq!(client.data(2).await, ["1", "2"]);
    let id = client.last_event_id().to_owned();
    drop(client);
    for (channel, data) in [(&b, "3"), (&a, "4"), (&a, "5"), (&b, "6")] {
        channel.publish(&Event::new().data(data)).unwrap();
    }
    let mut client = Client::get(port, "/sse/a,b", Some(&id)).await;
    a.publish(&Event::new().data("7")).unwrap();
    assert_eq!(client.data(5).await, ["3", "4", "5", "6", "7"]);
}

#[tokio::test]
async fn h6_an_id_from_before_a_restart_causes_a_reset() {
    let port = serve(hub(HubConfig::default())).await;
    let mut client = Client::get(port, "/sse/a", Some("before-12")).await;
    let reset = client.message().await;
    assert_eq!((reset.event.as_str(), reset.id.as_str(), reset.data.as_str()), ("reset", "e-0", ""));
}

#[tokio::test]
async fn x2_the_last_event_id_can_be_in_the_query_and_can_be_any_bytes() {
    let hub = hub(HubConfig::default());
    let port = serve(hub.clone()).await;
    let channel = hub.open_channel("a", ChannelConfig::default()).unwrap();
    for n in 1..=3 {
        channel.publish(&Event::new().data(n.to_string())).unwrap();
    }
    let mut client = Client::get(port, "/sse/a?lastEventId=e-1", None).await;
    assert_eq!(client.data(2).await, ["2", "3"]);
    let mut client = Client::get(port, "/sse/a", Some("\u{fffd}\u{7fff}")).await;
    assert_eq!(client.message().await.event, "reset");

    let mut raw = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    raw.write_all(b"GET /sse/a HTTP/1.1\r\nHost: a\r\nLast-Event-ID: \xff\xfe\x80\r\n\r\n").await.unwrap();
    wait_until("bytes that are not UTF-8 are an unknown id", || hub.stats().gaps == 2).await;
}

#[tokio::test]
async fn x3_a_disconnect_is_noticed_without_a_write() {
    let hub = hub(HubConfig::default());
    let port = serve(hub.clone()).await;
    let client = Client::get(port, "/sse/a", None).await;
    assert_eq!(hub.stats().connections, 1);
    drop(client);
    // Nothing is published, so the server can notice only the end of the socket.
    wait_until("the connection ends", || hub.stats().connections == 0).await;
    assert_eq!(hub.stats().closed.disconnected, 1);
}

#[tokio::test]
async fn x4_dropping_the_response_disconnects() {
    let hub = hub(HubConfig::default());
    let outbound = hub.connect(ConnectionConfig::default()).unwrap();
    let handle = outbound.handle();
    let response = sse_hyper::response(Version::HTTP_11, outbound);
    assert!(handle.is_open());
    drop(response);
    assert!(!handle.is_open());
    assert_eq!(handle.closed().await, sse_core::CloseReason::Disconnected);
}

#[tokio::test]
async fn x4_a_client_that_does_not_read_delays_no_other_client() {
    let hub = hub(HubConfig::default());
    let port = serve(hub.clone()).await;
    let stalled = Client::get(port, "/sse/a", None).await;
    let mut reader = Client::get(port, "/sse/a", None).await;
    let channel = hub.channel("a").unwrap();
    let data = "x".repeat(64 * 1024);
    for n in 0..200 {
        channel.publish(&Event::new().event("big").data(&data)).unwrap();
        assert_eq!(reader.data(1).await[0].len(), data.len(), "{n}");
    }
    let kept = channel.stats().unwrap();
    assert!(kept.backlog_bytes <= 8 << 20, "{kept:?}");
    drop(stalled);
}

#[tokio::test(start_paused = true)]
async fn x5_pings_follow_the_clock_of_the_runtime() {
    let hub = hub(HubConfig::default());
    let mut outbound =
        hub.connect(ConnectionConfig { announce_position: false, ..Default::default() }).unwrap();
    let start = tokio::time::Instant::now();
    let mut ping_after = Vec::new();
    for _ in 0..3 {
        let bytes = std::future::poll_fn(|cx| outbound.poll_bytes(cx)).await;
        assert_eq!(bytes.unwrap(), ":\n");
        ping_after.push(start.elapsed().as_secs());
    }
    assert!((25..=50).contains(&ping_after[0]), "the first interval is shortened: {ping_after:?}");
    assert_eq!(ping_after[2] - ping_after[1], 50);
}

/// A connection that receives nothing.
fn silent() -> ConnectionConfig {
    ConnectionConfig { ping: None, announce_position: false, ..ConnectionConfig::default() }
}

#[tokio::test(start_paused = true)]
async fn x5_an_idle_hub_sleeps_until_its_next_deadline() {
    let hub = hub(HubConfig { stall_timeout: None, ..HubConfig::default() });
    let config = ConnectionConfig { max_lifetime: Some(Duration::from_secs(3600)), ..silent() };
    let outbound = hub.connect(config).unwrap();
    let handle = outbound.handle();
    let start = tokio::time::Instant::now();
    assert_eq!(handle.closed().await, sse_core::CloseReason::TimedOut);
    assert_eq!(start.elapsed().as_secs(), 3600);
}

#[tokio::test(start_paused = true)]
async fn x5_an_earlier_deadline_wakes_a_sleeping_driver() {
    let hub = hub(HubConfig { stall_timeout: None, ..HubConfig::default() });
    let lives = |seconds| ConnectionConfig { max_lifetime: Some(Duration::from_secs(seconds)), ..silent() };
    let _long = hub.connect(lives(3600)).unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let short = hub.connect(lives(10)).unwrap();
    let start = tokio::time::Instant::now();
    assert_eq!(short.handle().closed().await, sse_core::CloseReason::TimedOut);
    assert_eq!(start.elapsed().as_secs(), 10);
}

#[tokio::test]
async fn x6_a_graceful_shutdown_returns_with_streams_open() {
    let hub = hub(HubConfig::default());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let stopping = hub.clone();
    let server = axum::serve(listener, router(hub.clone())).with_graceful_shutdown(async move {
        let _ = stopped.await;
        stopping.shut_down();
    });
    let server = tokio::spawn(server.into_future());
    let mut clients = Vec::new();
    for _ in 0..50 {
        clients.push(Client::get(port, "/sse/a", None).await);
    }
    hub.channel("a").unwrap().publish(&Event::new().data("the last")).unwrap();
    stop.send(()).unwrap();
    timeout(TIMEOUT, server).await.expect("the server returns").unwrap().unwrap();
    for client in &mut clients {
        assert_eq!(client.data(1).await, ["the last"]);
        client.end().await;
    }
    assert_eq!(hub.stats().closed.shutting_down, 50);
}

#[tokio::test]
async fn a1_a_client_beyond_the_limit_is_refused_with_a_retry_time() {
    let limits = Limits { connections: 1, ..Limits::default() };
    let port = serve(hub(HubConfig { limits, ..HubConfig::default() })).await;
    let _first = Client::get(port, "/sse/a", None).await;
    let mut second = Client::get(port, "/sse/a", None).await;
    assert!(second.head.starts_with("HTTP/1.1 200 OK\r\n"));
    assert!(second.head.contains("content-type: text/event-stream; charset=utf-8\r\n"));
    assert_eq!(second.retry().await, Duration::from_secs(3));
}

#[tokio::test]
async fn the_body_serves_http_2() {
    let hub = hub(HubConfig::default());
    let (client, server) = tokio::io::duplex(64 * 1024);
    let service = hyper_util::service::TowerToHyperService::new(router(hub.clone()));
    let builder = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
    tokio::spawn(async move { builder.serve_connection(TokioIo::new(server), service).await.map_err(drop) });

    let (mut sender, connection) = hyper::client::conn::http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .handshake::<_, Body>(TokioIo::new(client))
        .await
        .unwrap();
    tokio::spawn(connection);
    let request = Request::get("http://localhost/sse/a").body(Body::empty()).unwrap();
    let mut response = sender.send_request(request).await.unwrap();
    assert_eq!(response.version(), Version::HTTP_2);
    assert!(response.headers().get("connection").is_none());
    hub.channel("a").unwrap().publish(&Event::new().data("1")).unwrap();
    let mut received = Vec::new();
    while !received.ends_with(b"data: 1\n\n") {
        let frame = std::future::poll_fn(|cx| {
            http_body::Body::poll_frame(std::pin::Pin::new(response.body_mut()), cx)
        });
        received.extend_from_slice(frame.await.unwrap().unwrap().data_ref().unwrap());
    }
    assert_eq!(received, b"id: e-0\nevent: position\ndata: \n\nid: e-1\ndata: 1\n\n");
    drop(response);
    wait_until("the reset of the stream disconnects", || hub.stats().connections == 0).await;
}

#[tokio::test]
async fn thousands_of_disconnected_clients_leave_nothing_behind() {
    let hub = hub(HubConfig::default());
    let port = serve(hub.clone()).await;
    for _ in 0..100 {
        let clients: Vec<_> = (0..20).map(|_| tokio::spawn(Client::get(port, "/sse/a,b,c", None))).collect();
        for client in clients {
            drop(client.await.unwrap());
        }
    }
    wait_until("all connections end", || hub.stats().connections == 0).await;
    let stats = hub.stats();
    assert_eq!((stats.opened, stats.closed.total()), (2000, 2000));
    assert_eq!(hub.channel("a").unwrap().stats().unwrap().members, 0);
}

#[tokio::test]
async fn x9_frames_of_a_body_have_at_most_64_kib() {
    let hub = hub(HubConfig::default());
    let channel = hub.open_channel("a", ChannelConfig::default()).unwrap();
    let config = ConnectionConfig { announce_position: false, ..Default::default() };
    let outbound = hub.connect(config).unwrap();
    outbound.subscribe(&channel).unwrap();
    let handle = outbound.handle();
    let large = channel.publish(&Event::new().data("x".repeat(1_000_000))).unwrap().frame;
    handle.close();
    let mut body = SseBody::new(outbound);
    let mut received = Vec::new();
    while let Some(frame) = std::future::poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
        let bytes = frame.unwrap().into_data().unwrap();
        assert!(bytes.len() <= 64 * 1024, "{}", bytes.len());
        received.extend_from_slice(&bytes);
    }
    assert_eq!(received, large.as_bytes());
    assert_eq!(hub.stats().delivered, 1);
}
