//! The load generator: clients and a publisher in one loop that never sleeps.

use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};

use crate::Failure;
use crate::client::{Client, Faults, Stage, is_retryable};

/// Number of clients that connect at the same time.
const CONNECTING: usize = 64;

/// The time without an event after which missing events count as lost.
const IDLE_TIMEOUT: Duration = Duration::from_secs(5);

const PUBLISHER: Token = Token(usize::MAX);

/// The clients and the publisher of one server.
pub(crate) struct LoadGenerator {
    poll: Poll,
    events: Events,
    buffer: Vec<u8>,
    address: SocketAddr,
    /// The clients. `None` is a removed client.
    pub(crate) clients: Vec<Option<Client>>,
    /// The number of clients, from the first on, that do not read.
    pub(crate) paused: usize,
    publisher: Publisher,
    started: Instant,
    /// The number of the next event to publish.
    pub(crate) next: u64,
    /// The number of deliveries.
    pub(crate) arrived: u64,
    /// The time from publication to delivery of each event, in nanoseconds.
    pub(crate) delays: Vec<u64>,
    removed_faults: Faults,
}

struct Publisher {
    socket: TcpStream,
    request: Vec<u8>,
    answer: Vec<u8>,
    is_waiting: bool,
}

impl LoadGenerator {
    pub(crate) fn new(address: SocketAddr) -> io::Result<LoadGenerator> {
        let poll = Poll::new()?;
        let mut socket = TcpStream::connect(address)?;
        poll.registry().register(&mut socket, PUBLISHER, Interest::READABLE | Interest::WRITABLE)?;
        Ok(LoadGenerator {
            poll,
            events: Events::with_capacity(1024),
            buffer: vec![0; 256 * 1024],
            address,
            clients: Vec::new(),
            paused: 0,
            publisher: Publisher { socket, request: Vec::new(), answer: Vec::new(), is_waiting: false },
            started: Instant::now(),
            next: 0,
            arrived: 0,
            delays: Vec::new(),
            removed_faults: Faults::default(),
        })
    }

    /// Connects more clients, and waits until all have their response heads.
    pub(crate) fn connect_all(&mut self, count: usize) -> Result<(), Failure> {
        let first = self.clients.len();
        let mut connected = first;
        while connected < first + count {
            while self.clients.len() < (connected + CONNECTING).min(first + count) {
                self.connect(None, self.next)?;
            }
            self.wait_until("clients connect", |load| load.stage(connected) != Stage::Connecting)?;
            if self.stage(connected) == Stage::Closed {
                return Err(format!("client {connected} was refused").into());
            }
            connected += 1;
        }
        Ok(())
    }

    /// Starts to connect a client, and returns its index.
    pub(crate) fn connect(&mut self, last_event_id: Option<&str>, next: u64) -> io::Result<usize> {
        let mut client = Client::connect(self.address, last_event_id, next)?;
        let index = self.clients.len();
        client.register(self.poll.registry(), Token(index))?;
        self.clients.push(Some(client));
        Ok(index)
    }

    pub(crate) fn stage(&self, index: usize) -> Stage {
        self.clients[index].as_ref().map_or(Stage::Closed, |client| client.stage)
    }

    /// Removes a client, and returns it.
    pub(crate) fn remove(&mut self, index: usize) -> Option<Client> {
        let client = self.clients[index].take()?;
        self.removed_faults.lost += client.faults.lost;
        self.removed_faults.doubled += client.faults.doubled;
        Some(client)
    }

    /// Publishes events. Each follows when every reading client has the previous one.
    pub(crate) fn publish_in_lockstep(&mut self, count: usize, bytes: usize) -> Result<(), Failure> {
        for _ in 0..count {
            self.publish(bytes)?;
            let all = self.arrived + self.reading();
            self.wait_for(all)?;
        }
        Ok(())
    }

    /// Publishes events, each when the server has confirmed the previous one. Then waits for all deliveries.
    pub(crate) fn publish_back_to_back(&mut self, count: usize, bytes: usize) -> Result<(), Failure> {
        let all = self.arrived + self.reading() * count as u64;
        for _ in 0..count {
            self.publish(bytes)?;
            self.wait_until("an event is published", |load| !load.publisher.is_waiting)?;
        }
        self.wait_for(all)
    }

    fn publish(&mut self, bytes: usize) -> Result<(), Failure> {
        self.wait_until("an event is published", |load| !load.publisher.is_waiting)?;
        let mut data = format!("{} {} ", self.next, self.started.elapsed().as_nanos());
        data.extend(std::iter::repeat_n('x', bytes.saturating_sub(data.len())));
        self.next += 1;
        let head = format!(
            "POST /publish/bench HTTP/1.1\r\nhost: {}\r\ncontent-length: {}\r\n\r\n",
            self.address,
            data.len()
        );
        self.publisher.publish(head + &data)?;
        Ok(())
    }

    /// Waits for a total number of deliveries. Deliveries that do not arrive are counted as lost.
    fn wait_for(&mut self, arrived: u64) -> Result<(), Failure> {
        let (mut known, mut since) = (self.arrived, Instant::now());
        while self.arrived < arrived || self.publisher.is_waiting {
            self.poll_once(Duration::ZERO)?;
            if self.arrived != known {
                (known, since) = (self.arrived, Instant::now());
            } else if since.elapsed() > IDLE_TIMEOUT {
                break;
            }
        }
        Ok(())
    }

    /// Runs the loop until a condition holds.
    pub(crate) fn wait_until(
        &mut self,
        what: &str,
        mut condition: impl FnMut(&LoadGenerator) -> bool,
    ) -> Result<(), Failure> {
        let since = Instant::now();
        while !condition(self) {
            self.poll_once(Duration::ZERO)?;
            if since.elapsed() > 6 * IDLE_TIMEOUT {
                return Err(format!("timeout: {what}").into());
            }
        }
        Ok(())
    }

    /// Runs the loop for some time.
    pub(crate) fn run_for(&mut self, time: Duration) -> io::Result<()> {
        let since = Instant::now();
        while let Some(left) = time.checked_sub(since.elapsed()) {
            self.poll_once(left)?;
        }
        Ok(())
    }

    /// Polls the sockets once, and handles their events.
    pub(crate) fn poll_once(&mut self, timeout: Duration) -> io::Result<()> {
        match self.poll.poll(&mut self.events, Some(timeout)) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(()),
            result => result?,
        }
        for event in &self.events {
            let Token(index) = event.token();
            if event.token() == PUBLISHER {
                self.publisher.ready(&mut self.buffer)?;
                continue;
            }
            let Some(Some(client)) = self.clients.get_mut(index) else { continue };
            if index < self.paused && client.stage == Stage::Streaming {
                continue;
            }
            let now = u64::try_from(self.started.elapsed().as_nanos()).unwrap_or(u64::MAX);
            client.ready(&mut self.buffer, |(_, published)| {
                self.arrived += 1;
                self.delays.push(now.saturating_sub(published));
            });
        }
        Ok(())
    }

    /// Lets the paused clients read.
    pub(crate) fn resume(&mut self) {
        for client in self.clients.iter_mut().take(self.paused).flatten() {
            client.ready(&mut self.buffer, |_| {});
        }
        self.paused = 0;
    }

    /// Returns the faults so far.
    pub(crate) fn faults(&self) -> Faults {
        let mut faults = self.removed_faults;
        for client in self.clients.iter().skip(self.paused).flatten() {
            faults.lost += client.faults.lost + self.next.saturating_sub(client.next);
            faults.doubled += client.faults.doubled;
        }
        faults
    }

    fn reading(&self) -> u64 {
        (self.clients.iter().flatten().count() - self.paused) as u64
    }
}

impl Publisher {
    fn publish(&mut self, request: String) -> io::Result<()> {
        (self.request, self.is_waiting) = (request.into_bytes(), true);
        self.write()
    }

    fn ready(&mut self, buffer: &mut [u8]) -> io::Result<()> {
        self.write()?;
        loop {
            match self.socket.read(buffer) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(count) => self.answer.extend_from_slice(&buffer[..count]),
                Err(error) if is_retryable(&error) => break,
                Err(error) => return Err(error),
            }
        }
        if self.is_waiting && is_whole(&self.answer) {
            if !self.answer.starts_with(b"HTTP/1.1 2") {
                return Err(io::Error::other(String::from_utf8_lossy(&self.answer).into_owned()));
            }
            self.answer.clear();
            self.is_waiting = false;
        }
        Ok(())
    }

    fn write(&mut self) -> io::Result<()> {
        while !self.request.is_empty() {
            match self.socket.write(&self.request) {
                Ok(count) => drop(self.request.drain(..count)),
                Err(error) if is_retryable(&error) => break,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// Returns whether a response is complete, including the body that its head declares.
fn is_whole(answer: &[u8]) -> bool {
    let Some(head) = answer.windows(4).position(|part| part == b"\r\n\r\n") else { return false };
    let lines = String::from_utf8_lossy(&answer[..head]).to_ascii_lowercase();
    let body = lines.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok());
    answer.len() >= head + 4 + body.unwrap_or(0)
}
