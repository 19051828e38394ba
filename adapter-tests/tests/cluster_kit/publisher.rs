//! Publishers, and what they know of their events.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::client::{channels, last_data, pause};
use super::{Random, SHARED, World};

/// An event that was published, or may be.
#[derive(Clone, Debug)]
pub(crate) struct Publication {
    pub(crate) data: String,
    pub(crate) channels: Vec<String>,
    /// The position, if the event was acknowledged.
    pub(crate) position: Option<u64>,
}

/// Publishes to random nodes until the run is over.
pub(crate) async fn publish(world: Arc<World>, number: u64, seed: u64, rate: u64) {
    let mut random = Random(seed ^ number << 40);
    let interval = Duration::from_micros(4_000_000 / rate);
    let mut count = 0u64;
    while !world.is_over() {
        let one = |random: &mut Random| match random.below(3) {
            0 => format!("u{}", random.below(world.clients as u64)),
            _ => format!("s{}", random.below(SHARED as u64)),
        };
        let extra = if random.below(10) == 0 { random.below(3) } else { 0 };
        let mut names: Vec<String> = (0..=extra).map(|_| one(&mut random)).collect();
        names.sort_unstable();
        names.dedup();
        count += 1;
        let data = format!("{number}/{count}");
        let node = random.below(3) as usize;
        let position = post(world.port(node), &names, &data).await;
        let publication = Publication { data, channels: names, position };
        world.publications.lock().unwrap_or_else(PoisonError::into_inner).push(publication);
        tokio::time::sleep(interval).await;
    }
}

/// Publishes the last event of each channel.
pub(crate) async fn publish_last(world: &World) {
    let mut names: Vec<String> = (0..world.clients).flat_map(channels).collect();
    names.sort_unstable();
    names.dedup();
    for (number, name) in names.into_iter().enumerate() {
        let data = last_data(&name);
        loop {
            let names = vec![name.clone()];
            let position = post(world.port(number), &names, &data).await;
            let publication = Publication { data: data.clone(), channels: names, position };
            world.publications.lock().unwrap_or_else(PoisonError::into_inner).push(publication);
            if position.is_some() {
                break;
            }
            pause(200).await;
        }
    }
}

/// Returns the position of an acknowledged event.
async fn post(port: u16, channels: &[String], data: &str) -> Option<u64> {
    let request = async {
        let mut socket = TcpStream::connect(("127.0.0.1", port)).await.ok()?;
        let (channels, length) = (channels.join(","), data.len());
        let head = format!(
            "POST /publish?channels={channels} HTTP/1.0\r\nHost: a\r\nContent-Length: {length}\r\n\r\n"
        );
        socket.write_all((head + data).as_bytes()).await.ok()?;
        let mut response = String::new();
        socket.read_to_string(&mut response).await.ok()?;
        let (head, id) = response.split_once("\r\n\r\n")?;
        if !head.starts_with("HTTP/1.0 200") {
            return None;
        }
        id.rsplit('-').next()?.parse().ok()
    };
    tokio::time::timeout(Duration::from_secs(20), request).await.ok().flatten()
}
