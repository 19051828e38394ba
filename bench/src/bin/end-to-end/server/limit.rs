//! The lower limit for every server that writes to each client: one loop, one encoded buffer for an event, and one `write`
//! for each delivery. It parses a minimum of HTTP and disconnects slow clients.

use std::collections::VecDeque;
use std::io::{self, Read, Write};

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};

use super::{FOLLOW, PUBLISH};

const LISTENER: Token = Token(usize::MAX);

const HEAD: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\n\
    cache-control: no-store\r\ntransfer-encoding: chunked\r\n\r\n";

/// The default number of events in the history of a channel.
const HISTORY: usize = 500;

struct Limit {
    poll: Poll,
    listener: TcpListener,
    clients: Vec<Option<Client>>,
    vacant: Vec<usize>,
    /// The framed events.
    history: VecDeque<Vec<u8>>,
    next: usize,
}

struct Client {
    socket: TcpStream,
    request: Vec<u8>,
    follows: bool,
}

pub(super) fn serve() -> io::Result<()> {
    let poll = Poll::new()?;
    let address = ([127, 0, 0, 1], 0).into();
    let mut listener = TcpListener::bind(address)?;
    println!("http://{}/", listener.local_addr()?);
    poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
    let (clients, vacant, history) = (Vec::new(), Vec::new(), VecDeque::new());
    let mut limit = Limit { poll, listener, clients, vacant, history, next: 1 };
    let mut events = Events::with_capacity(1024);
    loop {
        match limit.poll.poll(&mut events, None) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            result => result?,
        }
        for event in &events {
            match event.token() {
                LISTENER => limit.accept(),
                Token(index) => limit.read(index),
            }
        }
    }
}

impl Limit {
    fn accept(&mut self) {
        while let Ok((mut socket, _)) = self.listener.accept() {
            let index = self.vacant.pop().unwrap_or(self.clients.len());
            if index == self.clients.len() {
                self.clients.push(None);
            }
            let registered = self.poll.registry().register(&mut socket, Token(index), Interest::READABLE);
            match socket.set_nodelay(true).and(registered) {
                Ok(()) => self.clients[index] = Some(Client { socket, request: Vec::new(), follows: false }),
                Err(_) => self.vacant.push(index),
            }
        }
    }

    fn read(&mut self, index: usize) {
        let mut buffer = [0; 64 * 1024];
        loop {
            let Some(client) = &mut self.clients[index] else { return };
            match client.socket.read(&mut buffer) {
                Ok(count @ 1..) if !client.follows => {
                    client.request.extend_from_slice(&buffer[..count]);
                    if !self.answer(index) {
                        return self.end(index);
                    }
                }
                Ok(1..) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Ok(_) | Err(_) => return self.end(index),
            }
        }
    }

    /// Responds to a complete request. Returns false if the client has to be disconnected.
    fn answer(&mut self, index: usize) -> bool {
        let Some(client) = &mut self.clients[index] else { return false };
        let Some(end) = client.request.windows(4).position(|part| part == b"\r\n\r\n") else { return true };
        let head = String::from_utf8_lossy(&client.request[..end]).to_ascii_lowercase();
        let field = |name: &str| head.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
        if head.starts_with(&format!("get {FOLLOW} ")) {
            let last = field("last-event-id:").and_then(|id| id.split_once('-')?.1.parse::<usize>().ok());
            // Free the memory of the request.
            (client.request, client.follows) = (Vec::new(), true);
            let missed = last.map_or(0, |last| (self.next - 1).saturating_sub(last));
            let mut bytes = HEAD.to_vec();
            for event in self.history.range(self.history.len().saturating_sub(missed)..) {
                bytes.extend_from_slice(event);
            }
            return write(&mut client.socket, &bytes);
        }
        let length = field("content-length:").and_then(|length| length.parse().ok()).unwrap_or(0);
        if !head.starts_with(&format!("post {PUBLISH} ")) || client.request.len() < end + 4 + length {
            return head.starts_with("post");
        }
        let data = client.request.split_off(end + 4);
        client.request.clear();
        self.publish(&data);
        self.clients[index]
            .as_mut()
            .is_some_and(|client| write(&mut client.socket, b"HTTP/1.1 204 No Content\r\n\r\n"))
    }

    fn publish(&mut self, data: &[u8]) {
        let id = format!("id: mywpiww0-{}\ndata: ", self.next);
        let mut framed = format!("{:x}\r\n{id}", id.len() + data.len() + 2).into_bytes();
        framed.extend_from_slice(data);
        framed.extend_from_slice(b"\n\n\r\n");
        for index in 0..self.clients.len() {
            if let Some(client) = &mut self.clients[index]
                && client.follows
                && !write(&mut client.socket, &framed)
            {
                self.end(index);
            }
        }
        self.next += 1;
        self.history.push_back(framed);
        if self.history.len() > HISTORY {
            self.history.pop_front();
        }
    }

    fn end(&mut self, index: usize) {
        if self.clients[index].take().is_some() {
            self.vacant.push(index);
        }
    }
}

/// Writes to a socket, and returns whether the socket took all bytes.
fn write(socket: &mut TcpStream, bytes: &[u8]) -> bool {
    socket.write(bytes).is_ok_and(|count| count == bytes.len())
}
