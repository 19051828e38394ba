//! A client: it follows channels on one node, then on another, with the id that it has.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use sse_core::Decoder;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

use super::{Random, SHARED, World};

/// What a client has received.
pub(crate) struct Received {
    pub(crate) channels: Vec<String>,
    pub(crate) connects: usize,
    pub(crate) messages: Vec<Arrived>,
}

/// A message, with the position of its id.
#[derive(Debug)]
pub(crate) struct Arrived {
    pub(crate) position: u64,
    pub(crate) what: What,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum What {
    Position,
    Reset,
    Event(String),
}

/// The data of the last event of a channel.
pub(crate) fn last_data(channel: &str) -> String {
    format!("last of {channel}")
}

/// Returns the channels of a client: one of its own, and two of many.
pub(crate) fn channels(number: usize) -> Vec<String> {
    let shared = [number % SHARED, (number * 5 + 1) % SHARED];
    let mut channels = vec![format!("u{number}")];
    channels
        .extend(shared.into_iter().collect::<BTreeSet<_>>().into_iter().map(|shared| format!("s{shared}")));
    channels
}

/// Moves between nodes until the run is over, and then reads until the last event of each channel.
pub(crate) async fn follow(world: Arc<World>, number: usize, seed: u64) -> Received {
    let mut random = Random(seed ^ (number as u64) << 20);
    let mut received = Received { channels: channels(number), connects: 0, messages: Vec::new() };
    let mut id = String::new();
    let mut missing: BTreeSet<String> = received.channels.iter().map(|channel| last_data(channel)).collect();
    tokio::time::sleep(random.millis(0, 500)).await;
    while !missing.is_empty() {
        let until = Instant::now() + random.millis(50, 1_500);
        let port = world.port(random.below(3) as usize);
        received.connects += 1;
        let _ = read(port, until, &mut id, &mut received, &mut missing).await;
        tokio::time::sleep(random.millis(10, 400)).await;
    }
    received
}

/// Reads the stream of a node for a time.
async fn read(
    port: u16,
    until: Instant,
    id: &mut String,
    received: &mut Received,
    missing: &mut BTreeSet<String>,
) -> Option<()> {
    let mut socket = timeout_at(until, TcpStream::connect(("127.0.0.1", port))).await.ok()?.ok()?;
    let header = if id.is_empty() { String::new() } else { format!("Last-Event-ID: {id}\r\n") };
    // The body of a response to HTTP/1.0 is not framed.
    let channels = received.channels.join(",");
    let request = format!("GET /events?channels={channels} HTTP/1.0\r\nHost: a\r\n{header}\r\n");
    socket.write_all(request.as_bytes()).await.ok()?;
    let mut decoder = Decoder::new();
    let (mut head, mut is_body) = (Vec::new(), false);
    let mut buffer = vec![0; 16 * 1024];
    while !missing.is_empty() {
        let count =
            timeout_at(until, socket.read(&mut buffer)).await.ok()?.ok().filter(|count| *count > 0)?;
        if is_body {
            decoder.push(&buffer[..count]);
        } else {
            head.extend_from_slice(&buffer[..count]);
            let Some(end) = head.windows(4).position(|bytes| bytes == b"\r\n\r\n") else { continue };
            assert!(head.starts_with(b"HTTP/1.0 200"), "{}", String::from_utf8_lossy(&head));
            is_body = true;
            decoder.push(&head[end + 4..]);
        }
        while let Some(message) = decoder.next_message() {
            let message = message.expect("a valid event");
            if message.id.is_empty() {
                continue;
            }
            id.clear();
            id.push_str(&message.id);
            let position = id.rsplit('-').next().and_then(|position| position.parse().ok());
            let position = position.unwrap_or_else(|| panic!("{id}"));
            let what = match message.event.as_str() {
                "position" => What::Position,
                "reset" => What::Reset,
                _ => What::Event(message.data),
            };
            if let What::Event(data) = &what {
                missing.remove(data);
            }
            received.messages.push(Arrived { position, what });
        }
    }
    Some(())
}

/// Waits a little.
pub(crate) async fn pause(millis: u64) {
    tokio::time::sleep(Duration::from_millis(millis)).await;
}
