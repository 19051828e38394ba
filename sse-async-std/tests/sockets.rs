//! Attached sockets on async-std. The clients use the standard library.
#![cfg(feature = "async-std")]
#![expect(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "tests over real sockets take real time"
)]

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use async_std::net::TcpListener;
use async_std::task;
use sse_async_std::Sockets;
use sse_core::adapter::Framing;
use sse_core::shared::{Channel, Outbound, SharedHub};
use sse_core::{BacklogConfig, ChannelConfig, CloseReason, ConnectionConfig, Decoder, Event, HubConfig};

/// The time after which a wait fails the test.
const TIMEOUT: Duration = Duration::from_secs(20);

/// A server that attaches every socket and subscribes it to one channel. Only one server exists at a time, because a test
/// counts open files.
struct Server {
    hub: SharedHub,
    channel: Channel,
    sockets: Sockets,
    listener: TcpListener,
    _exclusive: MutexGuard<'static, ()>,
}

impl Server {
    fn new() -> Server {
        Server::with(HubConfig::default(), ChannelConfig::default())
    }

    fn with(hub: HubConfig, channel: ChannelConfig) -> Server {
        static EXCLUSIVE: Mutex<()> = Mutex::new(());
        let _exclusive = EXCLUSIVE.lock().unwrap_or_else(PoisonError::into_inner);
        let hub = sse_async_std::start("e", hub).unwrap();
        let channel = hub.open_channel("news", channel).unwrap();
        let listener = task::block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        Server { hub, channel, sockets: Sockets::start(), listener, _exclusive }
    }

    fn address(&self) -> SocketAddr {
        self.listener.local_addr().unwrap()
    }

    /// Connects a client, and returns it with the socket of the server.
    fn pair(&self) -> (TcpStream, async_std::net::TcpStream) {
        let client = TcpStream::connect(self.address()).unwrap();
        client.set_read_timeout(Some(TIMEOUT)).unwrap();
        (client, task::block_on(self.listener.accept()).unwrap().0)
    }

    fn outbound(&self) -> Outbound {
        let config = ConnectionConfig { announce_position: false, ..Default::default() };
        let outbound = self.hub.connect(config).unwrap();
        outbound.subscribe(&self.channel).unwrap();
        outbound
    }

    fn connect(&self, framing: Framing) -> Client {
        let (client, socket) = self.pair();
        self.sockets.attach(socket, self.outbound(), framing).unwrap();
        Client { socket: client, seen: Vec::new() }
    }

    fn publish(&self, text: &str) {
        self.channel.publish(&Event::new().data(text)).unwrap();
    }
}

struct Client {
    socket: TcpStream,
    seen: Vec<u8>,
}

impl Client {
    /// Reads until the received bytes end with `end`.
    fn wait_for(&mut self, end: &str) {
        while !self.seen.ends_with(end.as_bytes()) {
            assert_ne!(self.read(), 0, "the stream ended with {:?}", String::from_utf8_lossy(&self.seen));
        }
    }

    fn read(&mut self) -> usize {
        let mut buffer = [0; 64 * 1024];
        let count = self.socket.read(&mut buffer).unwrap();
        self.seen.extend_from_slice(&buffer[..count]);
        count
    }

    fn wait_for_end(&mut self) {
        while self.read() > 0 {}
    }
}

fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !condition() {
        assert!(begin.elapsed() < TIMEOUT, "not within {TIMEOUT:?}: {what}");
        thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn an_event_reaches_chunked_and_unchunked_clients() {
    let server = Server::new();
    let mut chunked = server.connect(Framing::Chunked);
    let mut plain = server.connect(Framing::UntilClose);
    thread::sleep(Duration::from_millis(30));
    server.publish("one");
    chunked.wait_for("13\r\nid: e-1\ndata: one\n\n\r\n");
    plain.wait_for("id: e-1\ndata: one\n\n");
    server.publish("two");
    chunked.wait_for("13\r\nid: e-2\ndata: two\n\n\r\n");
    plain.wait_for("id: e-1\ndata: one\n\nid: e-2\ndata: two\n\n");
}

#[test]
fn an_idle_socket_receives_pings() {
    let server = Server::new();
    let mut client = server.connect(Framing::UntilClose);
    server.hub.with(|hub, now| {
        let all: Vec<_> = hub.members(server.channel.id()).collect();
        all.iter().for_each(|id| assert!(hub.set_ping(now, *id, Some(Duration::from_millis(20)))));
    });
    client.wait_for(":\n:\n:\n");
}

#[test]
fn a_disconnect_is_noticed_without_a_write() {
    let server = Server::new();
    let closing = server.connect(Framing::Chunked);
    let half_closed = server.connect(Framing::Chunked);
    let (resetting, socket) = server.pair();
    server.sockets.attach(socket, server.outbound(), Framing::Chunked).unwrap();
    let mut staying = server.connect(Framing::Chunked);
    thread::sleep(Duration::from_millis(30));
    assert_eq!(server.hub.stats().connections, 4);

    drop(closing);
    wait_until("a close", || server.hub.stats().connections == 3);
    half_closed.socket.shutdown(Shutdown::Write).unwrap();
    wait_until("a half close", || server.hub.stats().connections == 2);
    // A close with unread bytes is a reset.
    server.publish("unread");
    thread::sleep(Duration::from_millis(30));
    drop(resetting);
    wait_until("a reset", || server.hub.stats().connections == 1);
    assert_eq!(server.hub.stats().closed.disconnected, 3);
    staying.wait_for("data: unread\n\n\r\n");
}

#[test]
fn a_disconnect_before_the_attachment_is_noticed() {
    let server = Server::new();
    let (client, socket) = server.pair();
    drop(client);
    server.sockets.attach(socket, server.outbound(), Framing::Chunked).unwrap();
    wait_until("the disconnect", || server.hub.stats().connections == 0);
}

#[test]
fn a_stream_closed_by_the_hub_is_complete() {
    let server = Server::new();
    let (mut chunked, mut plain) = (server.connect(Framing::Chunked), server.connect(Framing::UntilClose));
    thread::sleep(Duration::from_millis(30));
    server.publish("last");
    server.hub.shut_down();
    chunked.wait_for_end();
    plain.wait_for_end();
    assert_eq!(chunked.seen, b"14\r\nid: e-1\ndata: last\n\n\r\n0\r\n\r\n");
    assert_eq!(plain.seen, b"id: e-1\ndata: last\n\n");
    assert_eq!(server.hub.stats().closed.shutting_down, 2);
}

/// A close with unread bytes is a reset, after which the client can lose bytes that it has not read yet.
#[test]
fn bytes_sent_by_a_client_do_not_truncate_its_stream() {
    let server = Server::new();
    for round in 0..300 {
        let (mut client, socket) = server.pair();
        let outbound = server.outbound();
        let handle = outbound.handle();
        client.write_all(b"the rest of a request").unwrap();
        // By round, the close happens before the attachment, after more bytes were sent, or right after the attachment.
        if round % 3 == 0 {
            handle.close();
        }
        server.sockets.attach(socket, outbound, Framing::Chunked).unwrap();
        if round % 3 == 1 {
            thread::sleep(Duration::from_millis(1));
            client.write_all(b"and more").unwrap();
        }
        handle.close();
        let mut seen = Vec::new();
        let end = client.read_to_end(&mut seen);
        assert_eq!(end.map_err(|error| error.kind()), Ok(5), "round {round}");
        assert_eq!(seen, b"0\r\n\r\n");
        if round % 3 == 0 {
            // A reset after the end of the stream shows only here. Bytes in flight at the close cause one in any case.
            assert!(client.take_error().unwrap().is_none(), "round {round}");
        }
    }
}

#[test]
fn a_client_that_sends_without_end_is_closed() {
    let server = Server::new();
    let mut client = server.connect(Framing::Chunked);
    let part = vec![b'x'; 64 * 1024];
    let error = (0..1024).find_map(|_| client.socket.write_all(&part).err()).expect("the socket is closed");
    assert!(matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe), "{error}");
    assert_eq!(server.hub.stats().connections, 0);
}

/// The events exceed the socket buffers, so the driver waits for the peer in the middle of frames.
#[test]
fn a_reader_that_pauses_receives_every_byte() {
    const EVENTS: usize = 3000;
    let backlog = BacklogConfig { frames: NonZeroUsize::new(10_000).unwrap(), bytes: 64 << 20 };
    let server = Server::with(HubConfig::default(), ChannelConfig { backlog, ..Default::default() });
    let mut clients = [server.connect(Framing::UntilClose), server.connect(Framing::UntilClose)];
    let text = "x".repeat(9000);
    for _ in 0..EVENTS {
        server.publish(&text);
    }
    thread::sleep(Duration::from_millis(200));
    assert!(server.channel.stats().unwrap().backlog_frames > 0, "the events fit into the socket buffers");
    server.hub.shut_down();
    for client in &mut clients {
        client.wait_for_end();
        let mut decoder = Decoder::new();
        decoder.push(&client.seen);
        for number in 1..=EVENTS {
            let message = decoder.next_message().unwrap().unwrap();
            assert_eq!(message.id, format!("e-{number}"));
            assert_eq!(message.data.len(), text.len());
        }
        assert!(decoder.next_message().is_none());
    }
    assert_eq!(server.hub.stats().closed.shutting_down, 2);
}

#[test]
fn a_stalled_reader_is_bounded_and_delays_no_other_reader() {
    const EVENTS: usize = 4000;
    let hub = HubConfig { stall_timeout: Some(Duration::from_millis(1500)), ..Default::default() };
    let backlog = BacklogConfig { frames: NonZeroUsize::new(200).unwrap(), bytes: 2 << 20 };
    let history = sse_core::HistoryConfig { events: 10, ..Default::default() };
    let server = Server::with(hub, ChannelConfig { backlog, history, ..Default::default() });
    let _stalled = server.connect(Framing::Chunked);
    let mut fast = server.connect(Framing::UntilClose);

    let read = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&read);
    let reads = thread::spawn(move || {
        let mut decoder = Decoder::new();
        for number in 1..=EVENTS {
            let message = loop {
                match decoder.next_message() {
                    Some(message) => break message.unwrap(),
                    None => {
                        fast.seen.clear();
                        assert_ne!(fast.read(), 0, "the stream ended before event {number}");
                        decoder.push(&fast.seen);
                    }
                }
            };
            assert_eq!(message.id, format!("e-{number}"));
            counter.store(number, Ordering::Release);
        }
        fast
    });
    let text = "x".repeat(5000);
    let mut most_bytes = 0;
    for number in 1..=EVENTS {
        // The fast reader never falls out of the backlog.
        wait_until("the fast reader", || number - read.load(Ordering::Acquire) < 50);
        server.publish(&text);
        most_bytes = most_bytes.max(server.channel.stats().unwrap().backlog_bytes);
    }
    let _fast = reads.join().unwrap();
    assert!(most_bytes > 500_000, "the backlog stayed small: {most_bytes}");
    assert!(most_bytes <= 2 << 20, "{most_bytes}");
    wait_until("the stall timeout", || server.hub.stats().closed.stalled == 1);
    assert_eq!(server.hub.stats().connections, 1);
}

/// Returns the number of file descriptors of this process.
#[cfg(target_os = "linux")]
fn open_files() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

#[cfg(target_os = "linux")]
#[test]
fn thousands_of_disconnected_clients_leave_nothing_behind() {
    const ROUNDS: u64 = 30;
    const CLIENTS: u64 = 100;
    let server = Server::new();
    drop(server.connect(Framing::Chunked));
    wait_until("the first client disconnects", || server.hub.stats().connections == 0);
    let files = open_files();
    for round in 0..ROUNDS {
        let mut clients: Vec<_> = (0..CLIENTS).map(|_| server.connect(Framing::Chunked)).collect();
        server.publish("all");
        match round % 3 {
            0 => clients[0].wait_for("data: all\n\n\r\n"),
            1 => {
                server.hub.with(|hub, now| {
                    let all: Vec<_> = hub.members(server.channel.id()).collect();
                    all.iter().for_each(|id| assert!(hub.close_connection(now, *id)));
                });
                clients.iter_mut().for_each(Client::wait_for_end);
            }
            _ => {}
        }
        drop(clients);
        wait_until("all clients disconnect", || server.hub.stats().connections == 0);
    }
    wait_until("the sockets are closed", || open_files() <= files);
    let stats = server.hub.stats();
    assert_eq!(stats.opened, ROUNDS * CLIENTS + 1);
    assert_eq!(stats.closed.total(), stats.opened);
    assert_eq!(stats.closed.requested, ROUNDS / 3 * CLIENTS);
    assert_eq!(stats.closed.disconnected, stats.opened - stats.closed.requested);
    assert_eq!(server.channel.stats().unwrap().members, 0);
}

/// A second version of `async-io` in the build would start a second reactor.
#[cfg(target_os = "linux")]
#[test]
fn sockets_wait_in_the_reactor_of_async_std() {
    let server = Server::new();
    let mut client = server.connect(Framing::UntilClose);
    server.publish("one");
    client.wait_for("data: one\n\n");
    let threads = std::fs::read_dir("/proc/self/task").unwrap().flatten();
    let names = threads.filter_map(|thread| std::fs::read_to_string(thread.path().join("comm")).ok());
    assert_eq!(names.filter(|name| name == "async-io\n").count(), 1);
}

#[test]
fn a_socket_with_a_clone_is_refused() {
    let server = Server::new();
    let (mut client, socket) = server.pair();
    let clone = socket.clone();
    server.sockets.attach(socket, server.outbound(), Framing::Chunked).unwrap_err();
    assert_eq!(server.hub.stats().connections, 0, "the connection ends");
    drop(clone);
    assert_eq!(client.read(&mut [0]).unwrap(), 0);
}

#[test]
fn sockets_of_async_io_and_of_std_can_be_attached() {
    let server = Server::new();
    let address = server.address();
    let pair = || {
        let client = TcpStream::connect(address).unwrap();
        let socket = task::block_on(server.listener.accept()).unwrap().0;
        (Client { socket: client, seen: Vec::new() }, TcpStream::try_from(socket).unwrap())
    };
    let ((mut one, first), (mut two, second), (mut three, third)) = (pair(), pair(), pair());
    let first = async_io::Async::new(first).unwrap();
    server.sockets.attach(first, server.outbound(), Framing::UntilClose).unwrap();
    let second = Arc::new(async_io::Async::new(second).unwrap());
    let clone = Arc::clone(&second);
    server.sockets.attach(clone, server.outbound(), Framing::UntilClose).unwrap_err();
    server.sockets.attach(second, server.outbound(), Framing::UntilClose).unwrap();
    server.sockets.attach(third, server.outbound(), Framing::UntilClose).unwrap();
    server.publish("all");
    for client in [&mut one, &mut two, &mut three] {
        client.wait_for("data: all\n\n");
    }
}

#[test]
fn the_task_ends_with_its_last_handle_and_connection() {
    let server = Server::new();
    let (sockets, driver) = Sockets::drive();
    let driver = task::spawn(driver);
    let (client, socket) = server.pair();
    sockets.clone().attach(socket, server.outbound(), Framing::Chunked).unwrap();
    drop(sockets);
    thread::sleep(Duration::from_millis(30));
    assert_eq!(server.hub.stats().connections, 1, "the connection stays open");
    drop(client);
    task::block_on(async_std::future::timeout(TIMEOUT, driver)).unwrap();
    assert_eq!(server.hub.stats().connections, 0);
}

#[test]
fn sockets_are_closed_after_the_task_was_dropped() {
    let server = Server::new();
    let (sockets, driver) = Sockets::drive();
    let (mut client, socket) = server.pair();
    let outbound = server.outbound();
    let handle = outbound.handle();
    sockets.attach(socket, outbound, Framing::Chunked).unwrap();
    drop(driver);
    assert_eq!(client.read(&mut [0]).unwrap(), 0);
    assert_eq!(task::block_on(handle.closed()), CloseReason::Disconnected);
    let (mut client, socket) = server.pair();
    sockets.attach(socket, server.outbound(), Framing::Chunked).unwrap();
    assert_eq!(client.read(&mut [0]).unwrap(), 0);
    assert_eq!(server.hub.stats().connections, 0);
}
