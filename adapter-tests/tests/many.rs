//! Ten thousand clients on attached sockets. The server is a separate process that reports its resources.
#![cfg(target_os = "linux")]
#![expect(clippy::disallowed_methods, reason = "tests over real sockets take real time")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use adapter_tests::{Path, Setup, TIMEOUT, list, paths, programs};
use sse_core::Event;

/// The number of clients, unless the limit of open files is lower.
const CLIENTS: usize = 10_000;

/// Open files of a process other than its sockets.
const OTHER_FILES: u64 = 200;

#[test]
fn ten_thousand_clients_connect_and_disconnect_without_a_leak() {
    let allowed = rlimit::increase_nofile_limit(CLIENTS as u64 + OTHER_FILES).expect("a limit");
    let clients = CLIENTS.min(allowed.saturating_sub(OTHER_FILES) as usize);
    if clients < CLIENTS {
        programs::warn(format!("only {clients} clients: the system allows {allowed} files"));
    }
    let mut server = Server::start();
    // After the first client, the server has opened all files that it keeps.
    drop(server.connect());
    let before = server.usage_with(0);
    let mut sockets: Vec<TcpStream> = (0..clients).map(|_| server.connect()).collect();
    let full = server.usage_with(clients);
    assert_eq!(full.files, before.files + clients as u64);

    assert_eq!(server.ask("publish first"), clients.to_string());
    for socket in &mut sockets {
        assert!(read_until(socket, b"\n\n\r\n").ends_with("data: first\n\n\r\n"));
    }
    let half = clients / 2;
    sockets.truncate(clients - half);
    let left = server.usage_with(clients - half);
    assert_eq!(left.files, full.files - half as u64);
    assert_eq!(server.ask("publish second"), (clients - half).to_string());
    for socket in &mut sockets {
        assert!(read_until(socket, b"\n\n\r\n").ends_with("data: second\n\n\r\n"));
    }
    drop(sockets);
    let after = server.usage_with(0);
    assert_eq!(after.files, before.files);

    // Later clients reuse the freed memory. That shows while they are connected: the allocator returns free memory to the system
    // in some rounds only.
    const ROUNDS: u64 = 6;
    let mut usage = Vec::new();
    for _ in 0..=ROUNDS {
        let sockets: Vec<TcpStream> = (0..clients).map(|_| server.connect()).collect();
        usage.push(server.usage_with(clients));
        drop(sockets);
        server.usage_with(0);
    }
    // Fragmentation can add a little, but less than a leak, which shows in the smallest of the last ones, too.
    let last = usage.iter().rev().take(3).map(|usage| usage.resident).min().unwrap_or_default();
    let grown = last.saturating_sub(usage[0].resident);
    assert!(grown < 64 * clients as u64 * (ROUNDS - 2), "{usage:?}");
    let end = server.usage();
    let all = clients as u64 * (ROUNDS + 2) + 1;
    assert_eq!((end.opened, end.closed), (all, all));
}

#[test]
fn x6_a_graceful_shutdown_returns_with_a_thousand_streams_open() {
    for run in [paths::hyper::axum_body, paths::tokio::attached] {
        list::graceful_shutdown_with(Path { run, is_http2: false, reads_requests: true }, 1000);
    }
}

/// The process of the server, and the pipes to it.
struct Server {
    process: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
    port: u16,
}

/// The resources of a server.
#[derive(Debug)]
struct Usage {
    connections: usize,
    opened: u64,
    closed: u64,
    files: u64,
    /// Resident memory in bytes.
    resident: u64,
}

impl Server {
    fn start() -> Server {
        let this = std::env::current_exe().expect("this program");
        let mut process = Command::new(this)
            .args(["--exact", "server", "--ignored", "--nocapture"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the server starts");
        let stdin = process.stdin.take().expect("the pipe exists");
        let stdout = BufReader::new(process.stdout.take().expect("the pipe exists"));
        let mut server = Server { process, stdin, stdout, port: 0 };
        server.port = server.answer().parse().expect("a port");
        server
    }

    /// Connects a client and reads the head. Clients connect one by one, because more would overflow the accept queue and
    /// retry a second later.
    fn connect(&self) -> TcpStream {
        let mut socket = TcpStream::connect(("127.0.0.1", self.port)).expect("the server listens");
        socket.set_read_timeout(Some(TIMEOUT)).expect("a timeout can be set");
        socket
            .write_all(b"GET /sse/a HTTP/1.1\r\nHost: localhost\r\n\r\n")
            .expect("the server accepts the request");
        read_until(&mut socket, b"\r\n\r\n");
        socket
    }

    fn ask(&mut self, question: &str) -> String {
        writeln!(self.stdin, "{question}").expect("the server reads questions");
        self.answer()
    }

    /// Reads the next answer, and skips the output of the test harness.
    fn answer(&mut self) -> String {
        loop {
            let mut line = String::new();
            assert!(self.stdout.read_line(&mut line).expect("the server answers") > 0, "the server ended");
            if let Some((_, answer)) = line.trim_end().split_once("answer: ") {
                return answer.to_owned();
            }
        }
    }

    fn usage(&mut self) -> Usage {
        let answer = self.ask("usage");
        let numbers: Vec<u64> = answer.split(' ').map(|number| number.parse().expect("a number")).collect();
        let [connections, opened, closed, files, resident] = numbers[..] else { panic!("{answer}") };
        Usage { connections: connections as usize, opened, closed, files, resident }
    }

    /// Waits until a number of clients is connected, and returns the resources.
    fn usage_with(&mut self, clients: usize) -> Usage {
        let mut usage = self.usage();
        // A socket is closed shortly after the hub has counted the end.
        let mut files = u64::MAX;
        for _ in 0..TIMEOUT.as_millis() / 20 {
            if usage.connections == clients && usage.files == files {
                return usage;
            }
            files = usage.files;
            std::thread::sleep(Duration::from_millis(20));
            usage = self.usage();
        }
        panic!("{clients} clients are not connected: {usage:?}");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn read_until(socket: &mut TcpStream, end: &[u8]) -> String {
    let mut read = Vec::new();
    while !read.ends_with(end) {
        let mut bytes = [0; 1024];
        let count = socket.read(&mut bytes).expect("bytes arrive");
        assert!(count > 0, "the server ended the stream");
        read.extend_from_slice(&bytes[..count]);
    }
    String::from_utf8(read).expect("the stream is UTF-8")
}

/// The server process, which answers questions on its standard input.
#[test]
#[ignore = "the test above runs this as a separate process"]
fn server() {
    let _ = rlimit::increase_nofile_limit(CLIENTS as u64 + OTHER_FILES);
    let path = Path { run: paths::tokio::attached, is_http2: false, reads_requests: true };
    let mut setup = Setup::default();
    // The clients do not expect pings, and the test can take minutes on a busy machine.
    setup.connection.ping = None;
    let server = path.start(setup);
    println!("answer: {}", server.port);
    for question in std::io::stdin().lines() {
        let question = question.expect("a line");
        if let Some(data) = question.strip_prefix("publish ") {
            let channel = server.hub.channel("a").expect("the channel is open");
            let published = channel.publish(&Event::new().data(data)).expect("the channel is open");
            println!("answer: {}", published.subscriptions);
        } else {
            // The handles of opened connections would accumulate.
            while server.opened.try_recv().is_ok() {}
            let stats = server.hub.stats();
            let files = std::fs::read_dir("/proc/self/fd").expect("the system is Linux").count();
            let pages = std::fs::read_to_string("/proc/self/statm").expect("the system is Linux");
            let resident: u64 = pages.split(' ').nth(1).and_then(|it| it.parse().ok()).expect("pages");
            let (opened, closed) = (stats.opened, stats.closed.total());
            println!("answer: {} {opened} {closed} {files} {}", stats.connections, resident * 4096);
        }
    }
}
