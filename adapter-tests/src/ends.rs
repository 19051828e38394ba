//! The list of tests on the ends of transports: what the hub ends, and peers that end where nobody reads.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::thread::sleep;
use std::time::{Duration, SystemTime};

use sse_core::{Event, HubConfig};
use sse_hyper::TransportConfig;

use crate::client::{Client, connect_with_small_buffer};
use crate::{Path, Running, Setup, TIMEOUT, http2, wait_until};

/// Bytes that fill all buffers between a hub and a peer that does not read.
const FILL: usize = 12 << 20;

/// Returns a setup in which peers that do not read are gone in about a second.
fn impatient() -> Setup {
    let mut setup = Setup {
        hub: HubConfig { stall_timeout: Some(Duration::from_millis(300)), ..HubConfig::default() },
        transport: TransportConfig {
            write_timeout: Some(Duration::from_millis(600)),
            stream_timeout: Some(Duration::from_millis(300)),
            shutdown_timeout: Some(Duration::from_secs(1)),
            ..TransportConfig::default()
        },
        send_buffer: Some(16 * 1024),
        ..Setup::default()
    };
    setup.connection.ping = None;
    setup
}

/// Opens a stream of the channel `a`, whose bytes the peer never reads.
fn open_deaf(server: &Running) -> TcpStream {
    let mut socket = connect_with_small_buffer(server.port);
    if server.is_http2 {
        // The windows of HTTP/2 have room, and the socket has none.
        http2::begin(&mut socket, i32::MAX as u32);
        http2::grant(&mut socket, 0, 1 << 30);
        http2::get(&mut socket, 1, "/sse/a");
    } else {
        socket.write_all(b"GET /sse/a HTTP/1.1\r\nHost: a\r\n\r\n").expect("the socket has room");
    }
    server.opened.recv_timeout(TIMEOUT).expect("the stream is opened");
    socket
}

/// Publishes events to the channel `a`, until no buffer has room for more.
fn fill(server: &Running) {
    let channel = server.hub.channel("a").expect("the channel is open");
    let data = "x".repeat(500_000);
    for _ in 0..FILL / data.len() {
        channel.publish(&Event::new().data(&data)).expect("the channel is open");
        sleep(Duration::from_millis(2));
    }
}

/// Returns whether the server has a descriptor for its end of a socket. The kernel keeps a socket without one until the peer
/// has taken its bytes.
fn has_descriptor(server: &Running, client: &TcpStream) -> bool {
    let client = client.local_addr().expect("an address").port();
    let (local, remote) = (format!(":{:04X}", server.port), format!(":{client:04X}"));
    let sockets = std::fs::read_to_string("/proc/net/tcp").expect("the table of sockets");
    sockets.lines().any(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        matches!(fields[..], [_, here, there, _, _, _, _, _, _, inode, ..]
            if here.ends_with(&local) && there.ends_with(&remote) && inode != "0")
    })
}

/// T3: a peer that never reads is gone from the process after the stall timeout: its descriptor, and the task that holds it.
pub fn t3_a_peer_that_never_reads_is_gone_from_the_process(path: Path) {
    if !cfg!(target_os = "linux") {
        return;
    }
    let server = path.start(impatient());
    let peers: Vec<_> = (0..5).map(|_| open_deaf(&server)).collect();
    assert!(peers.iter().all(|peer| has_descriptor(&server, peer)));
    fill(&server);
    wait_until("the hub ends the connections", || server.hub.stats().connections == 0);
    wait_until("the transports end", || !peers.iter().any(|peer| has_descriptor(&server, peer)));
}

/// X6: a graceful shutdown returns although peers do not read, and although a request is incomplete.
pub fn x6_a_graceful_shutdown_returns_although_peers_do_not_read(path: Path) {
    let mut server = path.start(impatient());
    let deaf = open_deaf(&server);
    let mut half = TcpStream::connect(("127.0.0.1", server.port)).expect("the server listens");
    // Where the test's own server parses requests, it waits for the rest.
    if path.reads_requests {
        let start: &[u8] = if path.is_http2 { b"PRI * HT" } else { b"GET / HT" };
        half.write_all(start).expect("the socket has room");
    }
    let mut without_window = None;
    if path.is_http2 {
        let socket = without_window.insert(connect_with_small_buffer(server.port));
        http2::begin(socket, 0);
        http2::get(socket, 1, "/sse/a");
        server.opened.recv_timeout(TIMEOUT).expect("the stream is opened");
    }
    fill(&server);
    if !path.reads_requests {
        drop(half);
    }
    server.stop();
    drop((deaf, without_window));
}

/// T3: a peer that reads slowly receives everything that was pending at a close, although that takes longer than the write
/// timeout.
pub fn t3_the_tail_of_a_slow_reader_is_whole_after_a_close(path: Path) {
    const EVENTS: usize = 256;
    let setup = Setup {
        hub: HubConfig { stall_timeout: Some(Duration::from_secs(25)), ..HubConfig::default() },
        transport: TransportConfig {
            write_timeout: Some(Duration::from_secs(4)),
            ..TransportConfig::default()
        },
        send_buffer: Some(16 * 1024),
        ..Setup::default()
    };
    let server = path.start(setup);
    let mut client = Client::get_slowly(&server, "a");
    let handle = server.opened.recv_timeout(TIMEOUT).expect("a connection is opened");
    let channel = server.hub.channel("a").expect("the channel is open");
    for number in 0..EVENTS {
        let data = format!("{number} {}", "x".repeat(4000));
        channel.publish(&Event::new().data(data)).expect("the channel is open");
    }
    assert!(handle.close());
    for number in 0..EVENTS {
        let data = client.message().data;
        assert!(data.len() > 4000 && data.starts_with(&format!("{number} ")), "{number}");
        sleep(Duration::from_millis(20));
    }
    assert!(client.end(), "the body is complete");
}

/// X3: a disconnect is noticed without a write, whatever the peer sent behind its request.
pub fn x3_a_disconnect_behind_unread_bytes_is_noticed(path: Path) {
    if path.is_http2 {
        // HTTP/2 reads at all times.
        return;
    }
    let server = path.start(impatient());
    let long = vec![b'x'; 10_000];
    let behind: [&[u8]; 5] = [b"", b"\r\n", b"x", b"GET /sse/a HTTP/1.1\r\nHost: a\r\n\r\n", &long];
    for (round, behind) in behind.into_iter().enumerate() {
        for is_reset in [false, true] {
            let mut socket = TcpStream::connect(("127.0.0.1", server.port)).expect("the server listens");
            socket.set_read_timeout(Some(TIMEOUT)).expect("a timeout can be set");
            let request = [b"GET /sse/a HTTP/1.1\r\nHost: a\r\n\r\n", behind].concat();
            socket.write_all(&request).expect("the socket has room");
            if is_reset {
                // A socket that is dropped with unread bytes resets the connection.
                socket.peek(&mut [0]).expect("the head arrives");
                drop(socket);
            } else {
                socket.read_exact(&mut [0; 20]).expect("the head arrives");
                socket.shutdown(Shutdown::Write).expect("the socket is open");
            }
            wait_until(&format!("the disconnect is noticed: round {round}, reset {is_reset}"), || {
                server.hub.stats().connections == 0
            });
        }
    }
    assert_eq!(server.hub.stats().closed.disconnected, 10);
}

/// X1: a response to HTTP/1.0 does not promise to keep the connection, whose end is the end of the stream.
pub fn x1_a_response_to_http_1_0_ends_with_the_connection(path: Path) {
    if path.is_http2 || !path.reads_requests {
        return;
    }
    let server = path.start(Setup::default());
    for field in ["", "Connection: keep-alive\r\n"] {
        let mut socket = TcpStream::connect(("127.0.0.1", server.port)).expect("the server listens");
        socket.set_read_timeout(Some(TIMEOUT)).expect("a timeout can be set");
        write!(socket, "GET /sse/a HTTP/1.0\r\n{field}\r\n").expect("the socket has room");
        let handle = server.opened.recv_timeout(TIMEOUT).expect("a connection is opened");
        server.hub.channel("a").expect("it is open").publish(&Event::new().data("1")).expect("it is open");
        handle.close();
        let mut response = String::new();
        socket.read_to_string(&mut response).expect("the server ends the connection");
        let (head, body) = response.split_once("\r\n\r\n").expect("a head");
        assert!(head.starts_with("HTTP/1.0 200"), "{head}");
        let head = head.to_lowercase();
        assert!(!head.contains("keep-alive") && !head.contains("transfer-encoding"), "{head}");
        assert!(body.ends_with("data: 1\n\n"), "{body}");
    }
}

/// X5: the instants of the hub count from 1970.
pub fn x5_instants_count_from_1970(path: Path) {
    let server = path.start(Setup::default());
    let since_1970 = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("it is later");
    let now = Duration::from_nanos(server.hub.with(|_, now| now.as_nanos()));
    assert!(now.abs_diff(since_1970) < Duration::from_secs(600), "{now:?}, {since_1970:?}");
}

/// T3: a stream of HTTP/2 whose peer grants no window is reset after the stall timeout, and the other streams live.
pub fn t3_a_stream_without_a_window_is_reset_and_the_others_live(path: Path) {
    let server = path.start(impatient());
    let mut socket = TcpStream::connect(("127.0.0.1", server.port)).expect("the server listens");
    socket.set_read_timeout(Some(TIMEOUT)).expect("a timeout can be set");
    http2::begin(&mut socket, 0);
    http2::get(&mut socket, 1, "/sse/a");
    http2::get(&mut socket, 3, "/sse/a");
    http2::grant(&mut socket, 0, 1 << 20);
    http2::grant(&mut socket, 3, 1 << 20);
    for _ in 0..2 {
        server.opened.recv_timeout(TIMEOUT).expect("both streams are opened");
    }
    let channel = server.hub.channel("a").expect("the channel is open");
    // hyper takes the first event, and the rest stays pending.
    for _ in 0..40 {
        channel.publish(&Event::new().data("x".repeat(10_000))).expect("the channel is open");
    }
    loop {
        let frame = http2::read(&mut socket);
        assert!(frame.kind != http2::DATA || frame.stream == 3, "stream {} has no window", frame.stream);
        if frame.kind == http2::RST_STREAM {
            assert_eq!(frame.stream, 1);
            break;
        }
    }
    assert_eq!(server.hub.stats().closed.stalled, 1);
    channel.publish(&Event::new().data("the other stream lives")).expect("the channel is open");
    let mut received = Vec::new();
    while !received.ends_with(b"data: the other stream lives\n\n") {
        let frame = http2::read(&mut socket);
        if frame.kind == http2::DATA {
            received.extend(frame.payload);
        }
    }
}
