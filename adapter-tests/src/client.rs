//! A blocking client for HTTP/1.1 and HTTP/2 that checks the bytes on the wire.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::mpsc::sync_channel;
use std::time::Duration;

use http_body_util::{BodyExt, Empty};
use hyper::body::Bytes;
use hyper_util::rt::{TokioExecutor, TokioIo};
use sse_core::{Decoder, Message};
use tokio::sync::mpsc::error::TryRecvError;

use crate::{Running, TIMEOUT, wait_until};

/// A client with one request for a stream.
pub struct Client {
    source: Source,
    /// The status of the response.
    pub status: u16,
    /// The header fields, with names in lower case.
    pub head: HashMap<String, String>,
    /// The received body without the framing of HTTP.
    pub body: Vec<u8>,
    decoder: Decoder,
}

enum Source {
    Http1 { socket: TcpStream, raw: Vec<u8>, framing: Framing },
    Http2(tokio::sync::mpsc::Receiver<Bytes>),
}

/// The bytes that a slow client lets the server send ahead.
const SMALL: u32 = 16 * 1024;

/// Connects a socket with a small receive buffer.
pub fn connect_with_small_buffer(port: u16) -> TcpStream {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let socket = runtime.block_on(async {
        let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
        socket.set_recv_buffer_size(SMALL).expect("a size");
        socket.connect(([127, 0, 0, 1], port).into()).await.expect("the server listens")
    });
    let socket = socket.into_std().expect("a socket");
    socket.set_nonblocking(false).expect("a mode");
    socket
}

/// The framing of an HTTP/1 body.
enum Framing {
    Chunked { has_ended: bool },
    Length(usize),
    UntilClose,
}

impl Client {
    /// Sends a request for `/sse/{channels}`, and reads the head.
    pub fn get(server: &Running, channels: &str, last_event_id: Option<&str>) -> Client {
        let path = format!("/sse/{channels}");
        if server.is_http2 {
            Client::http2(server.port, path, last_event_id.map(str::to_owned), None)
        } else {
            let socket = TcpStream::connect(("127.0.0.1", server.port)).expect("the server listens");
            Client::http1(socket, &path, last_event_id)
        }
    }

    /// Opens a stream through small buffers and windows: most bytes wait on the server until they are read.
    pub fn get_slowly(server: &Running, channels: &str) -> Client {
        let path = format!("/sse/{channels}");
        if server.is_http2 {
            return Client::http2(server.port, path, None, Some(SMALL));
        }
        Client::http1(connect_with_small_buffer(server.port), &path, None)
    }

    fn http1(mut socket: TcpStream, path: &str, last_event_id: Option<&str>) -> Client {
        socket.set_read_timeout(Some(TIMEOUT)).expect("a timeout can be set");
        let id = last_event_id.map_or(String::new(), |id| format!("Last-Event-ID: {id}\r\n"));
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{id}\r\n");
        socket.write_all(request.as_bytes()).expect("the server accepts the request");
        let mut raw = Vec::new();
        let head = loop {
            let mut bytes = [0; 4096];
            let count = socket.read(&mut bytes).expect("the head arrives");
            assert!(count > 0, "the connection ended before the head");
            raw.extend_from_slice(&bytes[..count]);
            if let Some(end) = raw.windows(4).position(|four| four == b"\r\n\r\n") {
                break String::from_utf8(raw.drain(..end + 4).collect()).expect("a head is text");
            }
        };
        let mut lines = head.lines();
        let status = lines.next().and_then(|line| line.split(' ').nth(1)).expect("a status line");
        let status = status.parse().expect("a number");
        let fields = lines.filter_map(|line| line.split_once(": "));
        let head: HashMap<_, _> = fields.map(|(n, v)| (n.to_lowercase(), v.to_owned())).collect();
        let framing = match head.get("content-length") {
            Some(length) => Framing::Length(length.parse().expect("a number")),
            None if head.contains_key("transfer-encoding") => Framing::Chunked { has_ended: false },
            None => Framing::UntilClose,
        };
        let source = Source::Http1 { socket, raw, framing };
        let mut client = Client { source, status, head, body: Vec::new(), decoder: Decoder::new() };
        client.unframe();
        client
    }

    fn http2(port: u16, path: String, last_event_id: Option<String>, window: Option<u32>) -> Client {
        let (send_head, head) = sync_channel(1);
        // The small capacity lets a paused reader block the connection after a few frames.
        let (send_body, body) = tokio::sync::mpsc::channel(1);
        std::thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async move {
                let socket = tokio::net::TcpStream::connect(("127.0.0.1", port)).await.expect("a server");
                let mut builder = hyper::client::conn::http2::Builder::new(TokioExecutor::new());
                builder.initial_stream_window_size(window);
                let (mut sender, connection) = builder.handshake(TokioIo::new(socket)).await.expect("HTTP/2");
                tokio::spawn(connection);
                let mut request = hyper::Request::get(format!("http://localhost{path}"));
                if let Some(id) = last_event_id {
                    request = request.header("last-event-id", id);
                }
                let request = request.body(Empty::<Bytes>::new()).expect("a request");
                let response = sender.send_request(request).await.expect("a response");
                let (parts, mut body) = response.into_parts();
                let fields = parts.headers.iter();
                let fields = fields.map(|(n, v)| (n.to_string(), v.to_str().unwrap_or("").to_owned()));
                let _ = send_head.send((parts.status.as_u16(), fields.collect::<HashMap<_, _>>()));
                loop {
                    let frame = tokio::select! {
                        frame = body.frame() => frame,
                        // The client was dropped.
                        () = send_body.closed() => return,
                    };
                    let Some(Ok(frame)) = frame else { return };
                    let Ok(data) = frame.into_data() else { continue };
                    if send_body.send(data).await.is_err() {
                        return;
                    }
                }
            });
        });
        let (status, head) = head.recv_timeout(TIMEOUT).expect("the head arrives");
        Client { source: Source::Http2(body), status, head, body: Vec::new(), decoder: Decoder::new() }
    }

    /// Waits for the next message.
    pub fn message(&mut self) -> Message {
        loop {
            if let Some(message) = self.decoder.next_message() {
                return message.expect("the message is small");
            }
            assert!(self.read(), "the stream ended before the message");
        }
    }

    /// Waits for a number of messages, and returns their data.
    pub fn data(&mut self, count: usize) -> Vec<String> {
        (0..count).map(|_| self.message().data).collect()
    }

    /// Waits until a number of bytes of the body arrived, and returns the body.
    pub fn bytes(&mut self, count: usize) -> String {
        while self.body.len() < count {
            assert!(self.read(), "the stream ended too early");
        }
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Waits until the server ends the stream, and returns whether the body is complete according to HTTP.
    pub fn end(&mut self) -> bool {
        while self.read() {}
        match &self.source {
            Source::Http1 { framing: Framing::Chunked { has_ended }, .. } => *has_ended,
            _ => true,
        }
    }

    /// Returns the id with which the client would reconnect.
    pub fn last_event_id(&self) -> &str {
        self.decoder.last_event_id()
    }

    /// Returns the reconnection time from the server.
    pub fn retry(&mut self) -> Option<Duration> {
        let message = self.decoder.next_message();
        assert!(message.is_none(), "{message:?}");
        self.decoder.retry()
    }

    /// Reads more of the body. Returns false at its end.
    fn read(&mut self) -> bool {
        match &mut self.source {
            Source::Http2(body) => {
                let mut received = None;
                wait_until("bytes arrive", || match body.try_recv() {
                    Err(TryRecvError::Empty) => false,
                    result => {
                        received = result.ok();
                        true
                    }
                });
                let Some(bytes) = received else { return false };
                self.decoder.push(&bytes);
                self.body.extend_from_slice(&bytes);
                true
            }
            Source::Http1 { socket, raw, framing } => {
                if matches!(framing, Framing::Chunked { has_ended: true } | Framing::Length(0)) {
                    return false;
                }
                let mut bytes = [0; 16 * 1024];
                // A server that closes a socket with unread bytes resets the connection.
                let count = socket.read(&mut bytes).unwrap_or_else(|error| {
                    assert!(error.kind() == std::io::ErrorKind::ConnectionReset, "{error}");
                    0
                });
                raw.extend_from_slice(&bytes[..count]);
                self.unframe();
                count > 0
            }
        }
    }

    /// Decodes the received bytes, as far as they are complete.
    fn unframe(&mut self) {
        let Source::Http1 { raw, framing, .. } = &mut self.source else { return };
        match framing {
            Framing::UntilClose => {
                self.decoder.push(raw);
                self.body.append(raw);
            }
            Framing::Length(left) => {
                *left -= raw.len();
                self.decoder.push(raw);
                self.body.append(raw);
            }
            Framing::Chunked { has_ended } => loop {
                let Some(line) = raw.windows(2).position(|two| two == b"\r\n") else { return };
                let size = std::str::from_utf8(&raw[..line]).expect("digits");
                let size = usize::from_str_radix(size, 16).expect("a chunk's size");
                let end = line + 2 + size + 2;
                if raw.len() < end {
                    return;
                }
                assert_eq!(&raw[end - 2..end], b"\r\n", "a chunk ends where it says");
                *has_ended |= size == 0;
                let data = &raw[line + 2..end - 2];
                self.decoder.push(data);
                self.body.extend_from_slice(data);
                raw.drain(..end);
            },
        }
    }
}
