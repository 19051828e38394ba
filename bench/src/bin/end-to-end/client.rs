//! A client that decodes a chunked response and checks that every event arrives once and in order.

use std::io::{self, Read, Write};
use std::net::SocketAddr;

use mio::net::TcpStream;
use mio::{Interest, Registry, Token};
use sse_core::Decoder;

/// A client and its results.
pub(crate) struct Client {
    socket: TcpStream,
    /// The unsent part of the request.
    request: Vec<u8>,
    /// The received part of the response head, until it is complete.
    head: Vec<u8>,
    body: Body,
    decoder: Decoder,
    pub(crate) stage: Stage,
    /// The number of the next expected event.
    pub(crate) next: u64,
    pub(crate) faults: Faults,
    /// Whether the client received a reset.
    pub(crate) is_reset: bool,
    /// The number of reads. Each read corresponds to one or several writes of the server.
    pub(crate) reads: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    Connecting,
    Streaming,
    /// The server ended the stream or the connection.
    Closed,
}

/// Events that are missing or wrong.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Faults {
    pub(crate) lost: u64,
    /// Repeated events, and events out of order.
    pub(crate) doubled: u64,
}

/// A correct event: its number, and the time of its publication.
pub(crate) type Arrived = (u64, u64);

impl Client {
    /// Connects and sends the request. `next` is the number of the first expected event.
    pub(crate) fn connect(address: SocketAddr, last_event_id: Option<&str>, next: u64) -> io::Result<Client> {
        let last = last_event_id.map(|id| format!("last-event-id: {id}\r\n")).unwrap_or_default();
        let request =
            format!("GET /sse/bench HTTP/1.1\r\nhost: {address}\r\naccept: text/event-stream\r\n{last}\r\n");
        Ok(Client {
            socket: TcpStream::connect(address)?,
            request: request.into_bytes(),
            head: Vec::new(),
            body: Body::Size(0),
            decoder: Decoder::new(),
            stage: Stage::Connecting,
            next,
            faults: Faults::default(),
            is_reset: false,
            reads: 0,
        })
    }

    pub(crate) fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        registry.register(&mut self.socket, token, Interest::READABLE | Interest::WRITABLE)
    }

    /// Returns the id of the newest received event.
    pub(crate) fn last_event_id(&self) -> &str {
        self.decoder.last_event_id()
    }

    /// Writes and reads as much as possible, and calls `arrived` for each new event.
    pub(crate) fn ready(&mut self, buffer: &mut [u8], mut arrived: impl FnMut(Arrived)) {
        if !self.request.is_empty() {
            match self.socket.write(&self.request) {
                Ok(count) => drop(self.request.drain(..count)),
                Err(error) if is_retryable(&error) => return,
                Err(_) => self.stage = Stage::Closed,
            }
        }
        while self.stage != Stage::Closed {
            match self.socket.read(buffer) {
                Ok(count @ 1..) => {
                    self.reads += 1;
                    self.take(&buffer[..count], &mut arrived);
                    if count < buffer.len() {
                        // The socket is empty, so wait for the reactor.
                        return;
                    }
                }
                Err(error) if is_retryable(&error) => return,
                Ok(_) | Err(_) => self.stage = Stage::Closed,
            }
        }
    }

    fn take(&mut self, bytes: &[u8], arrived: &mut impl FnMut(Arrived)) {
        let (head, mut bytes) = (core::mem::take(&mut self.head), bytes);
        let whole;
        if self.stage == Stage::Connecting {
            whole = [&head, bytes].concat();
            let Some(end) = whole.windows(4).position(|part| part == b"\r\n\r\n") else {
                self.head = whole;
                return;
            };
            let is_good = whole.starts_with(b"HTTP/1.1 200");
            self.stage = if is_good { Stage::Streaming } else { Stage::Closed };
            let head = whole[..end].to_ascii_lowercase();
            if !head.windows(CHUNKED.len()).any(|part| part == CHUNKED) {
                self.body = Body::UntilClose;
            }
            bytes = &whole[end + 4..];
        }
        let Client { body, decoder, .. } = self;
        body.push(bytes, |data| decoder.push(data));
        if matches!(body, Body::End) {
            self.stage = Stage::Closed;
        }
        while let Some(message) = self.decoder.next_message() {
            let Ok(message) = message else { continue };
            if message.event == "reset" {
                self.is_reset = true;
                continue;
            }
            let mut words = message.data.split(' ');
            let mut word = || words.next().and_then(|word| word.parse().ok());
            let (Some(number), Some(published)) = (word(), word()) else { continue };
            self.count((number, published), arrived);
        }
    }

    fn count(&mut self, event: Arrived, arrived: &mut impl FnMut(Arrived)) {
        let (number, _) = event;
        if number < self.next {
            self.faults.doubled += 1;
            return;
        }
        self.faults.lost += number - self.next;
        self.next = number + 1;
        arrived(event);
    }
}

/// Returns whether an error only means that the call has to be repeated later.
pub(crate) fn is_retryable(error: &io::Error) -> bool {
    use io::ErrorKind::{Interrupted, NotConnected, WouldBlock};
    matches!(error.kind(), WouldBlock | Interrupted | NotConnected)
}

/// The field of a chunked response, in lower case.
const CHUNKED: &[u8] = b"\r\ntransfer-encoding: chunked";

/// The state of a chunked body (RFC 9112, section 7.1), or of a body that ends with its connection.
enum Body {
    UntilClose,
    /// Within the digits of a size. The value is the size so far.
    Size(usize),
    /// Within the data. The value is the number of remaining bytes, including the line break.
    Data(usize),
    /// After the last chunk.
    End,
}

impl Body {
    fn push(&mut self, mut bytes: &[u8], mut data: impl FnMut(&[u8])) {
        while let [first, rest @ ..] = bytes {
            match self {
                Body::Size(size) => {
                    if let Some(digit) = char::from(*first).to_digit(16) {
                        *size = *size * 16 + digit as usize;
                    } else if *first == b'\n' {
                        *self = if *size == 0 { Body::End } else { Body::Data(*size + 2) };
                    }
                    bytes = rest;
                }
                Body::Data(left) => {
                    let now = bytes.len().min(*left);
                    let of_data = now.min(left.saturating_sub(2));
                    data(&bytes[..of_data]);
                    bytes = &bytes[now..];
                    *left -= now;
                    if *left == 0 {
                        *self = Body::Size(0);
                    }
                }
                Body::UntilClose => return data(bytes),
                Body::End => return,
            }
        }
    }
}
