//! Nodes as processes, one Redis, clients that move between nodes, and what they have to receive.

mod check;
mod client;
mod fault;
mod proxy;
mod publisher;
#[path = "../../../sse-redis/tests/kit/mod.rs"]
pub(crate) mod redis;

use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use adapter_tests::examples::Example;

pub(crate) use fault::Fault;
use proxy::Proxy;

/// The channels that many clients follow.
const SHARED: usize = 12;

/// What a run is made of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Run {
    pub(crate) seed: u64,
    pub(crate) clients: usize,
    pub(crate) seconds: u64,
    /// The events that are published in a second.
    pub(crate) rate: u64,
    pub(crate) log_entries: usize,
}

/// The result of a run.
#[derive(Debug, Default)]
pub(crate) struct Report {
    pub(crate) connects: usize,
    pub(crate) delivered: usize,
    pub(crate) missed: usize,
    pub(crate) doubled: usize,
    pub(crate) out_of_order: usize,
    pub(crate) unknown: usize,
    pub(crate) resets: usize,
    pub(crate) faults: usize,
    /// The first violations, in words.
    pub(crate) details: Vec<String>,
}

/// What the tasks of a run share.
pub(crate) struct World {
    nodes: Vec<Node>,
    proxy: Proxy,
    redis: Mutex<redis::RedisServer>,
    publications: Mutex<Vec<publisher::Publication>>,
    clients: usize,
    /// Publishers and clients that move stop.
    is_over: AtomicBool,
}

/// A node as a process. It has the same port after a restart.
struct Node {
    process: Mutex<Option<Example>>,
    port: AtomicU16,
}

impl World {
    /// Returns the port of a node.
    fn port(&self, node: usize) -> u16 {
        self.nodes[node % self.nodes.len()].port.load(Ordering::Relaxed)
    }

    fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Relaxed)
    }

    /// Kills a node, and starts another one in its place.
    async fn restart_node(self: &Arc<Self>, node: usize) {
        let world = Arc::clone(self);
        let url = self.proxy.url();
        let restarted = tokio::task::spawn_blocking(move || {
            let node = &world.nodes[node];
            let mut process = node.process.lock().unwrap_or_else(PoisonError::into_inner);
            drop(process.take());
            std::thread::sleep(Duration::from_millis(400));
            let started = start_node(&url, node.port.load(Ordering::Relaxed), "");
            node.port.store(started.port, Ordering::Relaxed);
            *process = Some(started);
        });
        restarted.await.expect("the node starts");
    }
}

fn start_node(url: &str, port: u16, log_entries: &str) -> Example {
    Example::start_on("cluster", port, &[("REDIS_URL", url), ("LOG_ENTRIES", log_entries)])
}

/// Runs nodes, clients and publishers while faults happen.
pub(crate) async fn run(run: Run, redis: redis::RedisServer, faults: &[Fault]) -> Report {
    let proxy = Proxy::start(&redis.host, redis.port).await;
    let entries = run.log_entries.to_string();
    let node = |_| {
        let process = start_node(&proxy.url(), 0, &entries);
        let port = AtomicU16::new(process.port);
        Node { process: Mutex::new(Some(process)), port }
    };
    let nodes: Vec<Node> = (0..3).map(node).collect();
    let world = Arc::new(World {
        nodes,
        proxy,
        redis: Mutex::new(redis),
        publications: Mutex::default(),
        clients: run.clients,
        is_over: AtomicBool::new(false),
    });
    let clients: Vec<_> = (0..run.clients)
        .map(|number| tokio::spawn(client::follow(Arc::clone(&world), number, run.seed)))
        .collect();
    let publishers: Vec<_> = (0..4)
        .map(|number| tokio::spawn(publisher::publish(Arc::clone(&world), number, run.seed, run.rate)))
        .collect();
    let count = fault::cause(&world, run, faults).await;
    world.is_over.store(true, Ordering::Relaxed);
    for publisher in publishers {
        publisher.await.expect("a publisher ends");
    }
    publisher::publish_last(&world).await;
    let mut received = Vec::new();
    for client in clients {
        let client = tokio::time::timeout(Duration::from_secs(60), client).await;
        received.push(client.expect("each client receives the last events").expect("a client ends"));
    }
    let publications =
        std::mem::take(&mut *world.publications.lock().unwrap_or_else(PoisonError::into_inner));
    Report { faults: count, ..check::check(&publications, &received) }
}

/// A small generator of random numbers (SplitMix64).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit.max(1)
    }

    pub(crate) fn millis(&mut self, from: u64, to: u64) -> Duration {
        Duration::from_millis(from + self.below(to - from))
    }
}
