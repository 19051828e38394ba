//! What a linger saves (T6): a channel with 100 events a second and 1,000 readers on loopback sockets. Prints how often each
//! reader is written to for each event, as its reads show, and the CPU time of the server for each event, with a linger of 0,
//! 10 and 100 milliseconds.
//! usage: linger SECONDS READERS
//!
//! The readers are a process of their own. Linux only: the numbers come from `/proc/self`.

use std::error::Error;
use std::fs;
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::Duration;

use sse_core::adapter::Framing;
use sse_core::{ChannelConfig, ConnectionConfig, Event, HubConfig};
use sse_tokio::Sockets;
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;
use tokio::time::{MissedTickBehavior, interval};

/// The events of one second.
const RATE: u64 = 100;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |index: usize, default: u64| arguments.get(index).map_or(Ok(default), |text| text.parse());
    if arguments.first().is_some_and(|mode| mode == "read") {
        return read(number(1, 0)? as u16, number(2, 0)?);
    }
    let (seconds, readers) = (number(0, 5)?, number(1, 1_000)?);
    println!("linger   writes/event   CPU µs/event   ({readers} readers, {RATE} events/s, {seconds} s)");
    for linger in [0, 10, 100] {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (reads, cpu) = runtime.block_on(serve(Duration::from_millis(linger), seconds, readers))?;
        let events = (seconds * RATE) as f64;
        println!(
            "{linger:>3} ms {:>14.2} {:>14.0}",
            reads as f64 / events / readers as f64,
            cpu.as_secs_f64() * 1e6 / events
        );
    }
    Ok(())
}

/// The readers: each takes what comes, until its stream ends. Prints the number of reads.
fn read(port: u16, readers: u64) -> Result<(), Box<dyn Error>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut tasks = Vec::new();
        for _ in 0..readers {
            let socket = TcpStream::connect(("127.0.0.1", port))?;
            socket.set_nonblocking(true)?;
            let mut socket = tokio::net::TcpStream::from_std(socket)?;
            tasks.push(tokio::spawn(async move {
                let mut buffer = vec![0; 16 << 10];
                let mut reads = 0;
                while socket.read(&mut buffer).await.is_ok_and(|count| count > 0) {
                    reads += 1;
                }
                reads
            }));
        }
        let mut reads: u64 = 0;
        for task in tasks {
            reads += task.await?;
        }
        println!("{reads}");
        Ok(())
    })
}

/// Returns the reads of all readers, and the CPU time of the server.
async fn serve(linger: Duration, seconds: u64, readers: u64) -> Result<(u64, Duration), Box<dyn Error>> {
    let hub = sse_tokio::start(sse_tokio::epoch_from_clock(), HubConfig::default())?;
    let linger = (!linger.is_zero()).then_some(linger);
    let channel = hub.open_channel("news", ChannelConfig { linger, ..ChannelConfig::default() })?;
    let sockets = Sockets::start()?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let port = listener.local_addr()?.port().to_string();
    let mut process = Command::new(std::env::current_exe()?);
    process.args(["read", &port, &readers.to_string()]).stdout(Stdio::piped());
    let process = process.spawn()?;
    for _ in 0..readers {
        let (socket, _) = listener.accept().await?;
        let outbound = hub.connect(ConnectionConfig { ping: None, ..ConnectionConfig::default() })?;
        outbound.subscribe(&channel)?;
        sockets.attach(socket, outbound, Framing::UntilClose)?;
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    let mut ticks = interval(Duration::from_micros(1_000_000 / RATE));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let event = Event::new().event("news").data("0123456789abcdef0123456789abcdef");
    let before = cpu()?;
    for _ in 0..seconds * RATE {
        ticks.tick().await;
        channel.publish(&event)?;
    }
    tokio::time::sleep(Duration::from_millis(200)).await;
    let cpu = cpu()? - before;
    hub.shut_down();
    // The sockets are closed meanwhile.
    let output = tokio::task::spawn_blocking(move || process.wait_with_output()).await??;
    let output = String::from_utf8(output.stdout)?;
    // The first read of each has its position.
    Ok((output.trim().parse::<u64>()?.saturating_sub(readers), cpu))
}

/// Returns the CPU time of all threads.
fn cpu() -> Result<Duration, Box<dyn Error>> {
    let mut total = 0;
    for task in fs::read_dir("/proc/self/task")? {
        let times = fs::read_to_string(task?.path().join("schedstat"))?;
        total += times.split(' ').next().ok_or("no time")?.parse::<u64>()?;
    }
    Ok(Duration::from_nanos(total))
}
