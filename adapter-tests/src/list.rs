//! The list.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use futures_lite::future::block_on;
use sse_core::{
    ChannelConfig, CloseReason, ConnectionConfig, DrainConfig, Event, HubConfig, Limits, OnMaxLifetime,
};

use crate::client::Client;
use crate::{Path, RETRY_AFTER, Setup, TIMEOUT, wait_until};

/// X1: the head comes at once, and says what it has to.
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
    assert!(client.body.is_empty(), "nothing was due: {:?}", client.body);
}

/// Events arrive as they are published, in order.
pub fn events_arrive_in_order(path: Path) {
    let server = path.start(Setup::default());
    let mut client = Client::get(&server, "weather", None);
    let weather = server.hub.channel("weather").expect("it was opened");
    for number in 0..1000 {
        weather.publish(&Event::new().data(number.to_string())).expect("it is open");
    }
    let expected: Vec<_> = (0..1000).map(|number| number.to_string()).collect();
    assert_eq!(client.data(1000), expected);
    assert_eq!(client.last_event_id(), "e-1000");
}

/// H3, H4: who comes back gets what was missed, of both channels, and then what is live.
pub fn a_reconnecting_client_receives_what_it_missed(path: Path) {
    let server = path.start(Setup { connection: ConnectionConfig::default(), ..Setup::default() });
    let mut client = Client::get(&server, "a,b", None);
    assert_eq!(client.bytes(9), "id: e-0\n\n", "it can come back before its first event");
    let [a, b] = ["a", "b"].map(|name| server.hub.channel(name).expect("it was opened"));
    a.publish(&Event::new().data("1")).expect("it is open");
    b.publish(&Event::new().data("2")).expect("it is open");
    assert_eq!(client.data(2), ["1", "2"]);
    let id = client.last_event_id().to_owned();
    drop(client);
    for (channel, data) in [(&b, "3"), (&a, "4"), (&a, "5"), (&b, "6")] {
        channel.publish(&Event::new().data(data)).expect("it is open");
    }
    let mut client = Client::get(&server, "a,b", Some(&id));
    a.publish(&Event::new().data("7")).expect("it is open");
    assert_eq!(client.data(5), ["3", "4", "5", "6", "7"]);
    let mut unknown = Client::get(&server, "a", Some("before-12"));
    assert_eq!(unknown.message().event, "reset", "H6");
}

/// A frame of every size arrives whole: smaller and larger than any buffer on the way.
pub fn frames_of_every_size_arrive_whole(path: Path) {
    let server = path.start(Setup::default());
    let mut client = Client::get(&server, "a", None);
    let channel = server.hub.channel("a").expect("it was opened");
    let sizes = [0, 1, 1_000, 8_170, 8_200, 16_384, 70_000, 1_000_000, 3];
    for size in sizes {
        channel.publish(&Event::new().data("x".repeat(size))).expect("it is open");
    }
    for size in sizes {
        assert_eq!(client.message().data.len(), size);
    }
}

/// T1: a comment comes when nothing else did.
pub fn an_idle_connection_receives_pings(path: Path) {
    let mut setup = Setup::default();
    setup.connection.ping = Some(Duration::from_millis(100));
    let server = path.start(setup);
    let start = Instant::now();
    let mut client = Client::get(&server, "quiet", None);
    assert_eq!(client.bytes(9), ":\n\n:\n\n:\n\n");
    assert!(start.elapsed() >= Duration::from_millis(250), "the first is spread over half of the interval");
}

/// T2: a connection ends when its longest life is over.
pub fn a_connection_ends_at_its_max_lifetime(path: Path) {
    let mut setup = Setup::default();
    setup.connection.max_lifetime = Some(Duration::from_millis(100));
    let server = path.start(setup);
    let mut client = Client::get(&server, "a", None);
    client.end();
    wait_until("it is counted", || server.hub.stats().closed.timed_out == 1);
}

/// T2: the application is asked instead, and may extend the life or end it.
pub fn the_application_can_extend_a_max_lifetime(path: Path) {
    let mut setup = Setup::default();
    setup.connection.max_lifetime = Some(Duration::from_millis(50));
    setup.connection.on_max_lifetime = OnMaxLifetime::Report;
    let server = path.start(setup);
    let mut client = Client::get(&server, "a", None);
    let handle = server.opened.recv_timeout(TIMEOUT).expect("it was opened");
    block_on(handle.timed_out());
    assert!(handle.set_max_lifetime(Some(Duration::from_millis(50))));
    block_on(handle.timed_out());
    handle.try_send(&Event::new().data("your time is over")).expect("there is room");
    assert!(handle.close());
    assert_eq!(client.message().data, "your time is over");
    assert!(client.end(), "the end is a clean one");
    assert_eq!(block_on(handle.closed()), CloseReason::Requested);
}

/// X3: a peer that goes is noticed when it goes, not at the next write.
pub fn a_disconnect_is_noticed_without_a_write(path: Path) {
    let server = path.start(Setup::default());
    let client = Client::get(&server, "a", None);
    let handle = server.opened.recv_timeout(TIMEOUT).expect("it was opened");
    assert_eq!(server.hub.stats().connections, 1);
    drop(client);
    assert_eq!(block_on(handle.closed()), CloseReason::Disconnected);
    assert_eq!(server.hub.stats().closed.disconnected, 1);
}

/// S1: a peer that does not read delays nobody, and costs no more than the backlog.
pub fn a_peer_that_does_not_read_delays_no_other_peer(path: Path) {
    let server = path.start(Setup::default());
    let stalled = Client::get(&server, "a", None);
    let mut reader = Client::get(&server, "a", None);
    let channel = server.hub.channel("a").expect("it was opened");
    let data = "x".repeat(64 * 1024);
    for number in 0..200 {
        channel.publish(&Event::new().event("big").data(&data)).expect("it is open");
        assert_eq!(reader.message().data.len(), data.len(), "{number}");
        assert!(channel.stats().expect("it is open").backlog_bytes <= 8 << 20);
    }
    drop(stalled);
    wait_until("both are known", || server.hub.stats().connections <= 1);
}

/// A peer that reads late gets all that was kept for it, in order, and no half of anything.
pub fn a_slow_reader_receives_the_whole_backlog(path: Path) {
    let server = path.start(Setup::default());
    let mut late = Client::get(&server, "a", None);
    let channel = server.hub.channel("a").expect("it was opened");
    for number in 0..400 {
        let data = format!("{number} {}", "x".repeat(10_000));
        channel.publish(&Event::new().data(data)).expect("it is open");
    }
    std::thread::sleep(Duration::from_millis(50));
    for number in 0..400 {
        let data = late.message().data;
        assert!(data.len() > 10_000 && data.starts_with(&format!("{number} ")), "{number}");
    }
}

/// A close delivers what was due, and ends the stream as HTTP has it.
pub fn a_close_delivers_pending_events_first(path: Path) {
    let server = path.start(Setup::default());
    let mut client = Client::get(&server, "a", None);
    let handle = server.opened.recv_timeout(TIMEOUT).expect("it was opened");
    for number in 0..100 {
        block_on(handle.send(&Event::new().data(number.to_string()))).expect("there will be room");
    }
    assert!(handle.close());
    assert_eq!(client.data(100).last().map(String::as_str), Some("99"));
    assert!(client.end(), "the end is a clean one");
    assert_eq!(block_on(handle.closed()), CloseReason::Requested);
}

/// A2: a drain asks each client to come back, and ends it.
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
        assert!(client.end(), "the end is a clean one");
        let retry_time = client.retry().expect("it is asked to wait");
        assert!((retry.0..=retry.1).contains(&retry_time), "{retry_time:?}");
    }
    wait_until("they are counted", || server.hub.stats().closed.shutting_down == 5);
}

/// A1: one too many is asked to come back later, and nobody is evicted for it.
pub fn a_client_beyond_the_limit_is_refused_with_a_retry_time(path: Path) {
    let limits = Limits { connections: 1, ..Limits::default() };
    let server = path.start(Setup { hub: HubConfig { limits, ..HubConfig::default() }, ..Setup::default() });
    let mut first = Client::get(&server, "a", None);
    let mut second = Client::get(&server, "a", None);
    assert_eq!(second.status, 200, "a browser never comes back after anything else");
    assert!(second.end());
    assert_eq!(second.retry(), Some(RETRY_AFTER));
    server.hub.channel("a").expect("it is open").publish(&Event::new().data("1")).expect("it is open");
    assert_eq!(first.message().data, "1");
}

/// X6: a graceful shutdown returns although streams are open, and each gets what was due.
pub fn a_graceful_shutdown_returns_with_open_streams(path: Path) {
    graceful_shutdown_with(path, 200);
}

/// The same with so many streams.
pub fn graceful_shutdown_with(path: Path, streams: u64) {
    let mut server = path.start(Setup::default());
    let mut clients: Vec<_> = (0..streams).map(|_| Client::get(&server, "a", None)).collect();
    let channel = server.hub.channel("a").expect("it was opened");
    channel.publish(&Event::new().data("the last")).expect("it is open");
    server.stop();
    for client in &mut clients {
        assert_eq!(client.message().data, "the last");
        assert!(client.end(), "the end is a clean one");
    }
    assert_eq!(server.hub.stats().closed.shutting_down, streams);
}

/// X2: whatever bytes come instead of a request or in it, the server goes on, and holds nothing for them.
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
        socket.set_read_timeout(Some(Duration::from_millis(20))).expect("a time");
        // The server may close before it has read all of it.
        let _ = socket.write_all(&bytes);
        let _ = socket.read(&mut [0; 100]);
    }
    wait_until("nothing is left of them", || server.hub.stats().connections == 0);
    let mut client = Client::get(&server, "a", None);
    server.hub.channel("a").expect("it is open").publish(&Event::new().data("1")).expect("it is open");
    assert_eq!(client.message().data, "1");
}

/// D8: thousands of connects and disconnects leave nothing behind.
pub fn disconnected_clients_leave_nothing_behind(path: Path) {
    let server = path.start(Setup::default());
    let rounds = if path.is_http2 { 3 } else { 20 };
    for _ in 0..rounds {
        let clients: Vec<_> = (0..100).map(|_| Client::get(&server, "a", None)).collect();
        drop(clients);
    }
    wait_until("they are gone", || server.hub.stats().connections == 0);
    let stats = server.hub.stats();
    assert_eq!((stats.opened, stats.closed.total()), (rounds * 100, rounds * 100));
    let channel = server.hub.open_channel("a", ChannelConfig::default()).expect("there is room");
    let held = channel.stats().expect("it is open");
    assert_eq!((held.members, held.backlog_frames), (0, 0));
}
