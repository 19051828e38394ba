//! Hostile clients.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::{JoinHandle, sleep, spawn};
use std::time::Duration;

use adapter_tests::client::connect_with_small_buffer;
use adapter_tests::examples::Example;
use adapter_tests::http2;

/// One flood at a time, because a flood takes a processor.
static FLOOD: Mutex<()> = Mutex::new(());

/// A client that sends requests without an end, and reads the responses. Dropping it ends the flood.
pub(crate) struct Flood {
    socket: TcpStream,
    threads: Vec<JoinHandle<()>>,
    _only: MutexGuard<'static, ()>,
}

impl Flood {
    pub(crate) fn start(port: u16) -> Flood {
        let only = FLOOD.lock().unwrap_or_else(PoisonError::into_inner);
        let socket = TcpStream::connect(("127.0.0.1", port)).expect("the example listens");
        let (mut reader, mut writer) =
            (socket.try_clone().expect("a copy"), socket.try_clone().expect("a copy"));
        let requests = "GET /nothing HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(2000);
        let write = spawn(move || while writer.write_all(requests.as_bytes()).is_ok() {});
        let read = spawn(move || {
            let mut bytes = vec![0; 1 << 16];
            while reader.read(&mut bytes).is_ok_and(|count| count > 0) {}
        });
        // The flood is under way before the next client comes.
        sleep(Duration::from_millis(300));
        Flood { socket, threads: vec![write, read], _only: only }
    }
}

impl Drop for Flood {
    fn drop(&mut self) {
        let _ = self.socket.shutdown(Shutdown::Both);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

/// Opens a stream of HTTP/2, and allows the server to send no byte of its body.
pub(crate) fn open_http2_stream_without_window(example: &Example) -> TcpStream {
    let mut socket = example.connect();
    http2::begin(&mut socket, 0);
    http2::get(&mut socket, 1, "/");
    socket
}

/// Opens a connection that sends requests and never reads, until no buffer between the server and this client has room.
pub(crate) fn open_deaf(example: &Example) -> TcpStream {
    let mut socket = connect_with_small_buffer(example.port);
    socket.set_write_timeout(Some(Duration::from_millis(500))).expect("a timeout can be set");
    let requests = "GET /nothing HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(2000);
    while socket.write_all(requests.as_bytes()).is_ok() {}
    socket
}

/// Connects clients that send nothing until an example can open no more files. Two of them send half of a head.
pub(crate) fn take_all_files(example: &Example, files: usize) -> Vec<TcpStream> {
    let mut held = Vec::new();
    for number in 0..4 * files {
        if example.open_files() >= files {
            break;
        }
        let mut socket = example.connect();
        if number < 2 {
            socket.write_all(b"GET / HT").expect("the socket has room");
        }
        held.push(socket);
        // A server that runs accepts the connection in this time.
        sleep(Duration::from_millis(20));
    }
    // These wait for a free descriptor.
    held.extend((0..4).map(|_| example.connect()));
    sleep(Duration::from_millis(500));
    held
}
