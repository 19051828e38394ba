//! Attached sockets, as the operating system sees them: resets, and bounded send buffers.
#![cfg(target_os = "linux")]
#![expect(clippy::disallowed_methods, reason = "tests over real sockets take real time")]

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::Duration;

use adapter_tests::{Path, Running, Setup, TIMEOUT, paths, wait_until};
use sse_core::{Event, HubConfig};

/// Defines a module for each path with attached sockets, with each test.
macro_rules! paths {
    ($($path:ident: $run:path;)*) => {
        $(mod $path {
            use super::*;

            const PATH: Path = Path { run: $run, is_http2: false, reads_requests: true };

            tests! {
                x7_a_stalled_socket_is_reset
                x7_a_socket_that_is_closed_by_the_hub_is_not_reset
                x7_a_peer_that_ends_its_side_and_does_not_read_is_reset
                t3_a_peer_that_does_not_read_has_few_bytes_in_the_system
                t3_a_slow_reader_is_not_stalled
            }
        })*
    };
}

macro_rules! tests {
    ($($name:ident)*) => {
        $(#[test] fn $name() { super::$name(PATH); })*
    };
}

paths! {
    tokio_attached: paths::tokio::attached;
    async_std_attached: paths::async_std::attached;
    smol_attached: paths::smol::attached;
}

/// A channel with more bytes than the system keeps for a connection.
const EVENTS: usize = 400;

fn start(path: Path, stall_timeout: Duration) -> Running {
    let hub = HubConfig { stall_timeout: Some(stall_timeout), ..HubConfig::default() };
    path.start(Setup { hub, ..Setup::default() })
}

/// Connects a client that follows a channel and has read the response head.
fn connect(server: &Running) -> TcpStream {
    let mut client = TcpStream::connect(("127.0.0.1", server.port)).unwrap();
    client.set_read_timeout(Some(TIMEOUT)).unwrap();
    client.write_all(b"GET /sse/a HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        client.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    client
}

fn publish_much(server: &Running) {
    let channel = server.hub.channel("a").unwrap();
    let data = "x".repeat(20_000);
    for _ in 0..EVENTS {
        channel.publish(&Event::new().data(&data)).unwrap();
    }
}

/// Returns the bytes in the send buffer of the server for a client; `None` if the system has no such connection.
fn unacknowledged(server: &Running, client: &TcpStream) -> Option<usize> {
    let ends = [server.port, client.local_addr().unwrap().port()].map(|port| format!("0100007F:{port:04X}"));
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let line = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let of_server = line.into_iter().find(|fields| fields[1..3] == ends)?;
    usize::from_str_radix(of_server[4].split(':').next()?, 16).ok()
}

/// Reads to the end, and returns whether the connection was reset.
fn is_reset(client: &mut TcpStream) -> bool {
    match client.read_to_end(&mut Vec::new()) {
        Ok(_) => client.take_error().unwrap().is_some(),
        Err(error) if error.kind() == ErrorKind::ConnectionReset => true,
        Err(error) => panic!("{error}"),
    }
}

fn x7_a_stalled_socket_is_reset(path: Path) {
    let server = start(path, Duration::from_millis(500));
    let mut client = connect(&server);
    publish_much(&server);
    wait_until("the connection stalls", || server.hub.stats().closed.stalled == 1);
    wait_until("the system keeps nothing", || unacknowledged(&server, &client).is_none());
    assert!(is_reset(&mut client));
}

fn x7_a_socket_that_is_closed_by_the_hub_is_not_reset(path: Path) {
    let server = start(path, TIMEOUT);
    let mut client = connect(&server);
    let handle = server.opened.recv_timeout(TIMEOUT).unwrap();
    publish_much(&server);
    handle.close();
    let mut received = Vec::new();
    client.read_to_end(&mut received).unwrap();
    assert!(received.len() > EVENTS * 20_000 && received.ends_with(b"\r\n0\r\n\r\n"));
    assert!(client.take_error().unwrap().is_none());
    assert_eq!(server.hub.stats().closed.requested, 1);
}

fn x7_a_peer_that_ends_its_side_and_does_not_read_is_reset(path: Path) {
    let server = start(path, TIMEOUT);
    let mut client = connect(&server);
    publish_much(&server);
    wait_until("the socket is full", || unacknowledged(&server, &client).is_some_and(|bytes| bytes > 0));
    client.shutdown(std::net::Shutdown::Write).unwrap();
    wait_until("the end is noticed", || server.hub.stats().closed.disconnected == 1);
    wait_until("the system keeps nothing", || unacknowledged(&server, &client).is_none());
    assert!(is_reset(&mut client));
}

fn t3_a_peer_that_does_not_read_has_few_bytes_in_the_system(path: Path) {
    let server = start(path, TIMEOUT);
    let client = connect(&server);
    publish_much(&server);
    let mut last = 0;
    // The peer's window is closed when the number no longer changes.
    wait_until("the socket is full", || {
        thread::sleep(Duration::from_millis(300));
        let bytes = unacknowledged(&server, &client).unwrap();
        std::mem::replace(&mut last, bytes) == bytes && bytes > 0
    });
    assert!(last <= 256 * 1024, "{last}");
}

/// The system reports room for a peer that reads only when a third of its buffer is free, which took such a reader longer
/// than the stall timeout.
fn t3_a_slow_reader_is_not_stalled(path: Path) {
    let server = start(path, Duration::from_secs(3));
    let mut client = connect(&server);
    publish_much(&server);
    let mut bytes = [0; 4096];
    for _ in 0..256 {
        client.read_exact(&mut bytes).unwrap();
        thread::sleep(Duration::from_millis(27));
    }
    assert_eq!(server.hub.stats().closed.stalled, 0);
    assert_eq!(server.hub.stats().connections, 1);
}
