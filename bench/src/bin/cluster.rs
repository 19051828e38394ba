//! What a cluster costs, on a Redis server that this program starts: appends, the way to another node, the log, cold opens, restarts.
//!
//! `cargo run --release -p sse-bench --bin cluster`. `FSYNC=always` writes each batch to the disk before it is acknowledged.
#![expect(clippy::disallowed_types, clippy::disallowed_methods, reason = "a benchmark measures time")]

use std::future::Future;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use sse_core::{ChannelConfig, ConnectionConfig, Event, HistoryConfig, HubConfig, LastEventId, Resume};
use sse_redis::{Channel, Cluster, ClusterConfig};
use tokio::runtime::Runtime;

/// The bytes of an event.
const DATA: usize = 170;

/// The histories of the channels.
const KEPT: usize = 100;

struct Redis {
    process: Child,
    port: u16,
    folder: std::path::PathBuf,
}

impl Redis {
    fn start() -> std::io::Result<Redis> {
        let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let folder = std::env::temp_dir().join(format!("sse-bench-{port}"));
        std::fs::create_dir_all(&folder)?;
        let process = Redis::launch(port, &folder)?;
        Ok(Redis { process, port, folder })
    }

    fn launch(port: u16, folder: &std::path::Path) -> std::io::Result<Child> {
        let fsync = std::env::var("FSYNC").unwrap_or_else(|_| "everysec".to_owned());
        let mut command = Command::new("redis-server");
        command.args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "yes", "--appendfsync", &fsync]);
        command.args(["--port", &port.to_string(), "--dir"]).arg(folder).stdout(Stdio::null());
        command.spawn()
    }

    fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/", self.port)
    }

    fn kill(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }

    fn restart(&mut self) -> std::io::Result<()> {
        self.kill();
        self.process = Redis::launch(self.port, &self.folder)?;
        Ok(())
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.kill();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

async fn node(url: &str) -> Cluster {
    loop {
        let Ok(mut node) = sse_redis::connect(ClusterConfig::new(url, "bench")).await else {
            tokio::time::sleep(Duration::from_millis(1)).await;
            continue;
        };
        let config = node.hub_config(HubConfig::default());
        let hub = sse_hyper::start(node.epoch(), config, &TokioExecutor::new(), TokioTimer::new());
        return node.run(hub.expect("a valid epoch")).expect("its own hub");
    }
}

fn config() -> ChannelConfig {
    let history = HistoryConfig { events: KEPT, ..HistoryConfig::default() };
    ChannelConfig { history, ..ChannelConfig::default() }
}

fn channels(cluster: &Cluster, prefix: &str, count: usize) -> Vec<Channel> {
    (0..count).map(|number| cluster.channel(format!("{prefix}{number}"), config())).collect()
}

/// Returns the time at a fraction of the sorted times.
fn at(times: &mut [Duration], fraction: f64) -> Duration {
    times.sort_unstable();
    let index = (times.len() as f64 * fraction) as usize;
    times.get(index.min(times.len().saturating_sub(1))).copied().unwrap_or_default()
}

fn print_times(what: &str, count: usize, elapsed: Duration, times: &mut [Duration]) {
    let rate = count as f64 / elapsed.as_secs_f64();
    println!("{what}: {rate:.0}/s, p50 {:.2?}, p99 {:.2?}", at(times, 0.5), at(times, 0.99));
}

async fn timed<T>(work: impl Future<Output = T>) -> (Duration, T) {
    let start = Instant::now();
    let result = work.await;
    (start.elapsed(), result)
}

async fn appends(what: &str, in_flight: usize, channels: &[Channel], count: usize) {
    let data = "x".repeat(DATA);
    let start = Instant::now();
    let publish = |number: usize| {
        let (channel, data) = (channels[number % channels.len()].clone(), data.clone());
        async move {
            let event = Event::new().data(data);
            let (time, published) = timed(channel.publish(&event)).await;
            published.expect("it is stored");
            time
        }
    };
    let mut times: Vec<Duration> =
        futures_util::stream::iter((0..count).map(publish)).buffer_unordered(in_flight).collect().await;
    print_times(what, count, start.elapsed(), &mut times);
}

/// Publishes on one node, and reads from a socket of the other.
async fn way_to_another_node(url: &str, rate: u64, count: usize) {
    use tokio::io::AsyncReadExt as _;
    let (east, west) = (node(url).await, node(url).await);
    let [news, news_west] = [&east, &west].map(|node| node.channel("way", config()));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let mut socket =
        tokio::net::TcpStream::connect(listener.local_addr().expect("a port")).await.expect("it listens");
    let (peer, _) = listener.accept().await.expect("a client");
    let config = ConnectionConfig { announce_position: false, ..ConnectionConfig::default() };
    let outbound = west.hub().connect(config).expect("few connections");
    news_west.follow(&outbound).await.expect("it is there");
    let serving = tokio::spawn(sse_tokio::serve(outbound, sse_core::adapter::Framing::UntilClose, peer));
    let start = Instant::now();
    let publishing = tokio::spawn(async move {
        let mut ticks = tokio::time::interval(Duration::from_micros(1_000_000 / rate));
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Burst);
        for _ in 0..count {
            ticks.tick().await;
            let (news, sent) = (news.clone(), start.elapsed().as_nanos());
            tokio::spawn(async move { drop(news.publish(&Event::new().data(sent.to_string())).await) });
        }
    });
    let (mut times, mut decoder, mut buffer) = (Vec::new(), sse_core::Decoder::new(), vec![0; 65_536]);
    while times.len() < count {
        let read = socket.read(&mut buffer).await.expect("the stream goes on");
        decoder.push(&buffer[..read]);
        while let Some(Ok(message)) = decoder.next_message() {
            let sent = message.data.parse().map(Duration::from_nanos).expect("a time");
            times.push(start.elapsed().saturating_sub(sent));
        }
    }
    publishing.await.expect("it ends");
    serving.abort();
    print_times(&format!("to a socket of another node, {rate} a second"), count, start.elapsed(), &mut times);
}

/// Lets a node read a log of channels that nobody follows there. Its runtime runs only meanwhile.
fn unwanted_events(runtime: &Runtime, url: &str, count: usize) {
    let reader = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let behind = reader.block_on(node(url));
    let last = runtime.block_on(async {
        let writer = node(url).await;
        let channels = channels(&writer, "unwanted", 1);
        appends("append, 1,024 in flight, 1 channel", 1_024, &channels, count).await;
        channels[0].publish(&Event::new().data("last")).await.expect("it is stored").position
    });
    let (wall, cpu) = (Instant::now(), processor_time());
    reader.block_on(async {
        while Some(behind.status().position) < last {
            tokio::time::sleep(Duration::from_micros(200)).await;
        }
    });
    let per_event = |time: Duration| time.as_secs_f64() * 1e6 / count as f64;
    let cpu = processor_time().saturating_sub(cpu);
    println!(
        "an unwanted event in full reads: {:.1} µs of a processor, {:.1} µs in all",
        per_event(cpu),
        per_event(wall.elapsed())
    );
}

/// Returns the processor time of this thread.
fn processor_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
}

async fn cold_opens(url: &str, redis_port: u16) {
    let writer = node(url).await;
    let filled = channels(&writer, "cold", 1_000);
    for _ in 0..10 {
        appends_quietly(&filled).await;
    }
    let reader = node(url).await;
    let before = calls(redis_port, "exec");
    let mut times = Vec::new();
    let start = Instant::now();
    for channel in channels(&reader, "cold", 500) {
        let outbound = reader.hub().connect(ConnectionConfig::default()).expect("few connections");
        let (time, followed) = timed(channel.follow(&outbound)).await;
        followed.expect("it is there");
        times.push(time);
    }
    print_times("cold open, 10 events, one at a time", 500, start.elapsed(), &mut times);
    println!("  round trips of 500 cold opens: {}", calls(redis_port, "exec") - before);
    let reader = node(url).await;
    let (time, ()) = timed(follow_all(&reader, "")).await;
    println!("1,000 cold opens at once: {time:.2?}");
}

async fn appends_quietly(channels: &[Channel]) {
    let publish = |channel: &Channel| {
        let channel = channel.clone();
        async move { drop(channel.publish(&Event::new().data("x".repeat(DATA))).await) }
    };
    futures_util::stream::iter(channels.iter().map(publish))
        .buffer_unordered(1_024)
        .collect::<Vec<()>>()
        .await;
}

/// Subscribes a connection to each of a thousand channels.
async fn follow_all(cluster: &Cluster, id: &str) {
    let follow = |channel: Channel| {
        let hub = cluster.hub().clone();
        let last_event_id = LastEventId::new(id.as_bytes()).filter(|_| !id.is_empty());
        async move {
            let config = ConnectionConfig { last_event_id, ..ConnectionConfig::default() };
            let outbound = hub.connect(config).expect("few connections");
            (channel.follow(&outbound).await.expect("it is there"), outbound)
        }
    };
    let opened = channels(cluster, "cold", 1_000).into_iter().map(follow);
    let opened: Vec<(Resume, _)> = futures_util::stream::iter(opened).buffer_unordered(1_000).collect().await;
    assert!(
        id.is_empty() || opened.iter().all(|(resume, _)| matches!(resume, Resume::Replayed { events: 10 }))
    );
}

/// Returns the number of calls of a command that the server has counted.
fn calls(port: u16, command: &str) -> u64 {
    let output = Command::new("redis-cli").args(["-p", &port.to_string(), "INFO", "commandstats"]).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(&format!("cmdstat_{command}:calls=")));
    line.and_then(|line| line.split(',').next()?.parse().ok()).unwrap_or(0)
}

fn main() -> std::io::Result<()> {
    let _ = rlimit::increase_nofile_limit(20_000);
    let mut redis = Redis::start()?;
    let url = redis.url();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let first = runtime.block_on(node(&url));
    // Every history begins above this position.
    let beginning = first.status().position;
    let (ready, second) = runtime.block_on(timed(node(&url)));
    println!("a node is ready after {ready:.2?}");
    drop(second);
    let one = channels(&first, "a", 1);
    runtime.block_on(appends("append and acknowledge, one at a time", 1, &one, 5_000));
    let many = channels(&first, "b", 10_000);
    runtime.block_on(appends("append, 1,024 in flight, 10,000 channels", 1_024, &many, 100_000));
    drop((first, one, many));
    unwanted_events(&runtime, &url, 90_000);
    for rate in [100, 1_000, 5_000] {
        runtime.block_on(way_to_another_node(&url, rate, rate as usize * 3));
    }
    runtime.block_on(cold_opens(&url, redis.port));
    runtime.block_on(async {
        let restarted = node(&url).await;
        let (time, ()) = timed(follow_all(&restarted, &format!("bench-{beginning}"))).await;
        println!("1,000 clients of 1,000 channels resumed after a restart: {time:.2?}");
    });
    let cluster = runtime.block_on(node(&url));
    let channel = cluster.channel("again", config());
    redis.restart()?;
    let resumed = runtime.block_on(async {
        let answering = Instant::now();
        channel.publish(&Event::new().data("x")).await.expect("within the deadline");
        answering.elapsed()
    });
    println!("a publication that waits for Redis to start again: {resumed:.2?}");
    Ok(())
}
