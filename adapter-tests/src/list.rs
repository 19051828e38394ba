//! The list of tests.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use futures_lite::future::block_on;
use sse_core::{
    ChannelConfig, CloseReason, ConnectionConfig, ControlEvents, DrainConfig, Event, HubConfig, Limits,
    OnMaxLifetime,
};

use crate::client::Client;
use crate::{Path, RETRY_AFTER, Setup, TIMEOUT, wait_until};

/// X1: the head is sent at once, with all its fields.
pub fn the_head_is_sent_before_any_event(path: Path) {
    let server = path.start(Setup::default());
    let client = Client::get(&server, "quiet", Some("e-0"));
    assert_eq!(client.status, 200);
    for (name, value) in sse_core::adapter::HEADERS {
        assert_eq!(client.head.get(name).map(String::as_str), Some(value));
    }
    let keep_alive = client.head.get("connection").map(String::as_str);
    assert_eq!(keep_alive, (!path.is_http2).then_some("keep-alive"));
    assert!(!client.head.contains_key("content-length"));
    assert!(client.body.is_empty(), "nothing is pending: {:?}", client.body);
}

/// O1: events arrive in the order of publication.
pub fn events_arrive_in_order(path: Path) {
    let server = path.start(Setup::default());
    let mut client = Client::get(&server, "weather", None);
    let weather = server.hub.channel("weather").expect("the channel is open");
    for number in 0..1000 {
        weather.publish(&Event::new().data(number.to_string())).expect("the channel is open");
    }
    let expected: Vec<_> = (0..1000).map(|number| number.to_string()).collect();
    assert_eq!(client.data(1000), expected);
    assert_eq!(client.last_event_id(), "e-1000");
}

/// H3, H4: a reconnecting client receives the missed events of both channels, then live events.
pub fn a_reconnecting_client_receives_what_it_missed(path: Path) {
    let server = path.start(Setup { connection: ConnectionConfig::default(), ..Setup::default() });
    let mut client = Client::get(&server, "a,b", None);
    assert_eq!(
        client.bytes(32),
        "id: e-0\nevent: position\ndata: \n\n",
        "the client can resume before its first event"
    );
    let position = client.message();
    assert_eq!((position.event.as_str(), position.id.as_str()), (ControlEvents::POSITION, "e-0"));
    let [a, b] = ["a", "b"].map(|name| server.hub.channel(name).expect("the channel is open"));
    a.publish(&Event::new().data("1")).expect("the channel is open");
    b.publish(&Event::new().data("2")).expect("the channel is open");
    assert_eq!(client.data(2), ["1", "2"]);
    let id = client.last_event_id().to_owned();
    drop(client);
    for (channel, data) in [(&b, "3"), (&a, "4"), (&a, "5"), (&b, "6")] {
        channel.publish(&Event::new().data(data)).expect("the channel is open");
    }
    let mut client = Client::get(&server, "a,b", Some(&id));
    a.publish(&Event::new().data("7")).expect("the channel is open");
    assert_eq!(client.data(5), ["3", "4", "5", "6", "7"]);
    let mut unknown = Client::get(&server, "a", Some("before-12"));
    assert_eq!(unknown.message().event, "reset", "H6");
}

/// S3: frames arrive complete, whether smaller or larger than the buffers on the path.
pub fn frames_of_every_size_arrive_whole(path: Path) {
    let server = path.start(Setup::default());
    let mut client = Client::get(&server, "a", None);
    let channel = server.hub.channel("a").expect("the channel is open");
    let sizes = [0, 1, 1_000, 8_170, 8_200, 16_384, 70_000, 1_000_000, 3];
    for size in sizes {
        channel.publish(&Event::new().data("x".repeat(size))).expect("the channel is open");
    }
    for size in sizes {
        assert_eq!(client.message().data.len(), size);
    }
}

/// T1: an idle connection receives comments.
pub fn an_idle_connection_receives_pings(path: Path) {
    let mut setup = Setup::default();
    setup.connection.ping = Some(Duration::from_millis(100));
    let server = path.start(setup);
    let start = Instant::now();
    let mut client = Client::get(&server, "quiet", None);
    assert_eq!(client.bytes(6), ":\n:\n:\n");
    assert!(start.elapsed() >= Duration::from_millis(250), "the first interval is shortened by up to half");
}

/// T2: a connection ends when its max lifetime is reached.
pub fn a_connection_ends_at_its_max_lifetime(path: Path) {
    let mut setup = Setup::default();
    setup.connection.max_lifetime = Some(Duration::from_millis(100));
    let server = path.start(setup);
    let mut client = Client::get(&server, "a", None);
    client.end();
    wait_until("the end is counted", || server.hub.stats().closed.timed_out == 1);
}

/// T2: the hub can report the end of a max lifetime instead, and the application extends or closes the connection.
pub fn the_application_can_extend_a_max_lifetime(path: Path) {
    let mut setup = Setup::default();
    setup.connection.max_lifetime = Some(Duration::from_millis(50));
    setup.connection.on_max_lifetime = OnMaxLifetime::Report;
    let server = path.start(setup);
    let mut client = Client::get(&server, "a", None);
    let handle = server.opened.recv_timeout(TIMEOUT).expect("a connection is opened");
    block_on(handle.timed_out());
    assert!(handle.set_max_lifetime(Some(Duration::from_millis(50))));
    block_on(handle.timed_out());
    handle.try_send(&Event::new().data("your time is over")).expect("there is room");
    assert!(handle.close());
    assert_eq!(client.message().data, "your time is over");
    assert!(client.end(), "the body is complete");
    assert_eq!(block_on(handle.closed()), CloseReason::Requested);
}

/// X3: a disconnect is noticed at once, not at the next write.
pub fn a_disconnect_is_noticed_without_a_write(path: Path) {
    let server = path.start(Setup::default());
    let client = Client::get(&server, "a", None);
    let handle = server.opened.recv_timeout(TIMEOUT).expect("a connection is opened");
    assert_eq!(server.hub.stats().connections, 1);
    drop(client);
    assert_eq!(block_on(handle.closed()), CloseReason::Disconnected);
    assert_eq!(server.hub.stats().closed.disconnected, 1);
}

/// S1: a peer that does not read delays no other peer and uses no more memory than the backlog.
pub fn a_peer_that_does_not_read_delays_no_other_peer(path: Path) {
    let server = path.start(Setup::default());
    let stalled = Client::get(&server, "a", None);
    let mut reader = Client::get(&server, "a", None);
    let channel = server.hub.channel("a").expect("the channel is open");
    let data = "x".repeat(64 * 1024);
    for number in 0..200 {
        channel.publish(&Event::new().event("big").data(&data)).expect("the channel is open");
        assert_eq!(reader.message().data.len(), data.len(), "{number}");
        assert!(channel.stats().expect("the channel is open").backlog_bytes <= 8 << 20);
    }
    drop(stalled);
    wait_until("the disconnect is noticed", || server.hub.stats().connections <= 1);
}

/// S1, S3: a peer that reads late receives the whole backlog, in order and without partial frames.
pub fn a_slow_reader_receives_the_whole_backlog(path: Path) {
    let server = path.start(Setup::default());
    let mut late = Client::get(&server, "a", None);
    let channel = server.hub.channel("a").expect("the channel is open");
    for number in 0..400 {
        let data = format!("{number} {}", "x".repeat(10_000));
        channel.publish(&Event::new().data(data)).expect("the channel is open");
    }
    std::thread::sleep(Duration::from_millis(50));
    for number in 0..400 {
        let data = late.message().data;
        assert!(data.len() > 10_000 && data.starts_with(&format!("{number} ")), "{number}");
    }
}

/// T3: a close delivers pending events, and completes the body of the response.
pub fn a_close_delivers_pending_events_first(path: Path) {
    let server = path.start(Setup::default());
    let mut client = Client::get(&server, "a", None);
    let handle = server.opened.recv_timeout(TIMEOUT).expect("a connection is opened");
    for number in 0..100 {
        block_on(handle.send(&Event::new().data(number.to_string()))).expect("the connection is open");
    }
    assert!(handle.close());
    assert_eq!(client.data(100).last().map(String::as_str), Some("99"));
    assert!(client.end(), "the body is complete");
    assert_eq!(block_on(handle.closed()), CloseReason::Requested);
}

/// A2: a drain sends a retry time to each client and ends its stream.
pub fn a_drain_sends_each_client_a_retry_time(path: Path) {
    let server = path.start(Setup::default());
    let mut clients: Vec<_> = (0..5).map(|_| Client::get(&server, "a", None)).collect();
    let retry = (Duration::from_secs(1), Duration::from_secs(2));
    server.hub.drain(DrainConfig {
        over: Duration::from_millis(100),
        within: Duration::from_secs(5),
        retry: Some(retry),
    });
    for client in &mut clients {
        assert!(client.end(), "the body is complete");
        let retry_time = client.retry().expect("a retry time arrives");
        assert!((retry.0..=retry.1).contains(&retry_time), "{retry_time:?}");
    }
    wait_until("all ends are counted", || server.hub.stats().closed.shutting_down == 5);
}

/// A1: a client beyond the limit is asked to reconnect later, and no other client is affected.
pub fn a_client_beyond_the_limit_is_refused_with_a_retry_time(path: Path) {
    let limits = Limits { connections: 1, ..Limits::default() };
    let server = path.start(Setup { hub: HubConfig { limits, ..HubConfig::default() }, ..Setup::default() });
    let mut first = Client::get(&server, "a", None);
    let mut second = Client::get(&server, "a", None);
    assert_eq!(second.status, 200, "a browser reconnects only after status 200");
    assert!(second.end());
    assert_eq!(second.retry(), Some(RETRY_AFTER));
    server
        .hub
        .channel("a")
        .expect("the channel is open")
        .publish(&Event::new().data("1"))
        .expect("the channel is open");
    assert_eq!(first.message().data, "1");
}

/// X6: a graceful shutdown returns with open streams, and each stream receives its pending events.
pub fn a_graceful_shutdown_returns_with_open_streams(path: Path) {
    graceful_shutdown_with(path, 200);
}

/// Shuts a server down with a number of open streams (X6).
pub fn graceful_shutdown_with(path: Path, streams: u64) {
    let mut server = path.start(Setup::default());
    let mut clients: Vec<_> = (0..streams).map(|_| Client::get(&server, "a", None)).collect();
    let channel = server.hub.channel("a").expect("the channel is open");
    channel.publish(&Event::new().data("the last")).expect("the channel is open");
    server.stop();
    for client in &mut clients {
        assert_eq!(client.message().data, "the last");
        assert!(client.end(), "the body is complete");
    }
    assert_eq!(server.hub.stats().closed.shutting_down, streams);
}

/// X2: a server survives malformed requests and keeps no connection for them.
pub fn malformed_requests_do_no_harm(path: Path) {
    let server = path.start(Setup::default());
    let mut inputs: Vec<Vec<u8>> = vec![
        b"".to_vec(),
        b"\0\0\0\0\r\n\r\n".to_vec(),
        b"GET /sse/a".to_vec(),
        b"GET /sse/a HTTP/1.1\r\nHost: a\r\nX: ".to_vec(),
        b"POST /sse/a HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\n".to_vec(),
        b"GET /sse/a HTTP/9.9\r\n\r\n".to_vec(),
        [b"GET /sse/a HTTP/1.1\r\nHost: a\r\nX: ".to_vec(), vec![b'x'; 1 << 20], b"\r\n\r\n".to_vec()]
            .concat(),
        [b"GET /sse/a HTTP/1.1\r\n".to_vec(), b"X: y\r\n".repeat(10_000), b"\r\n".to_vec()].concat(),
    ];
    let ids: [&[u8]; 6] = [b"\xff\xfe", b"e-99999999999999999999", b"e--1", b"", b"\x01", &[b'9'; 4000]];
    for id in ids {
        let head = b"GET /sse/a HTTP/1.1\r\nHost: a\r\nLast-Event-ID: ".to_vec();
        inputs.push([head, id.to_vec(), b"\r\n\r\n".to_vec()].concat());
    }
    for bytes in inputs {
        let mut socket = TcpStream::connect(("127.0.0.1", server.port)).expect("the server listens");
        socket.set_read_timeout(Some(Duration::from_millis(20))).expect("a timeout can be set");
        // The server can close the socket before it has read everything.
        let _ = socket.write_all(&bytes);
        let _ = socket.read(&mut [0; 100]);
    }
    wait_until("no connection is left", || server.hub.stats().connections == 0);
    let mut client = Client::get(&server, "a", None);
    server
        .hub
        .channel("a")
        .expect("the channel is open")
        .publish(&Event::new().data("1"))
        .expect("the channel is open");
    assert_eq!(client.message().data, "1");
}

/// D8: thousands of disconnected clients leave nothing behind.
pub fn disconnected_clients_leave_nothing_behind(path: Path) {
    let server = path.start(Setup::default());
    let rounds = if path.is_http2 { 3 } else { 20 };
    for _ in 0..rounds {
        let clients: Vec<_> = (0..100).map(|_| Client::get(&server, "a", None)).collect();
        drop(clients);
    }
    wait_until("all clients disconnect", || server.hub.stats().connections == 0);
    let stats = server.hub.stats();
    assert_eq!((stats.opened, stats.closed.total()), (rounds * 100, rounds * 100));
    let channel = server.hub.open_channel("a", ChannelConfig::default()).expect("there is room");
    let held = channel.stats().expect("the channel is open");
    assert_eq!((held.members, held.backlog_frames), (0, 0));
}
