//! One client: it reads a response of chunks, decodes it, and checks that every event comes once and in order.

use std::io::{self, Read, Write};
use std::net::SocketAddr;

use mio::net::TcpStream;
use mio::{Interest, Registry, Token};
use sse_core::Decoder;

/// A client, and what it has got.
pub(crate) struct Client {
    socket: TcpStream,
    /// What is not written yet; empty when the request is out.
    request: Vec<u8>,
    /// The response head, until all of it is there.
    head: Vec<u8>,
    body: Body,
    decoder: Decoder,
    pub(crate) stage: Stage,
    /// The number of the event that has to come next.
    pub(crate) next: u64,
    pub(crate) faults: Faults,
    /// It was told that something is lost.
    pub(crate) is_reset: bool,
    /// How often something was read. Each is one write of the server's, or several that came together.
    pub(crate) reads: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    Connecting,
    Streaming,
    /// The server ended the stream, or the connection.
    Closed,
}

/// Events that did not come as they should.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Faults {
    pub(crate) lost: u64,
    /// Or out of order.
    pub(crate) doubled: u64,
}

/// An event that came as it should: its number, and when it was published.
pub(crate) type Arrived = (u64, u64);

impl Client {
    /// Connects and asks. `next` is the number of the first event that it has to get.
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

    /// The id of the newest event that it has got.
    pub(crate) fn last_event_id(&self) -> &str {
        self.decoder.last_event_id()
    }

    /// Writes and reads what it can. `arrived` is called for each event that is new to it.
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
                        // It has no more; the reactor says when it has.
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

/// An error that only means that it has to be tried again.
pub(crate) fn is_retryable(error: &io::Error) -> bool {
    use io::ErrorKind::{Interrupted, NotConnected, WouldBlock};
    matches!(error.kind(), WouldBlock | Interrupted | NotConnected)
}

/// What a head says of a body in chunks, in lower case.
const CHUNKED: &[u8] = b"\r\ntransfer-encoding: chunked";

/// A body in chunks (RFC 9112, section 7.1), and what comes next of it; or one that ends with its connection.
enum Body {
    UntilClose,
    /// Digits of a size, of which so much is known.
    Size(usize),
    /// So many bytes, and the line break behind them.
    Data(usize),
    /// The last one has come.
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
