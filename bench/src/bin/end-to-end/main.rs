//! Whole servers under load, beside each other and beside the physical limit, in one run:
//!
//! ```console
//! $ cargo run --release --package sse-bench --bin end-to-end
//! $ cargo run --release --package sse-bench --bin end-to-end -- --help
//! ```
//!
//! # Method
//!
//! This binary is the loader, and starts itself again as each server ([`server`]), one at a time. With two processors or
//! more the server has the first and the loader the second, where it spins: a loader that slept would have the server pay
//! for waking it. In every round each server is started, loaded and ended in turn, so that what else happens on the
//! machine meets all of them. What is told is the median of the ratios to the limit of the same round.
//!
//! - *Fan-out*: some connections follow one channel. In *lockstep* the next event is published when everybody has the
//!   last; with *open throttle*, as soon as the last request to publish was answered, so that events gather.
//! - *Idle*: what one more connection costs the server in memory, when nothing happens.
//! - *Replay*: clients come back, each with 100 events missed.
//! - *Churn*: clients come, wait for the response head and go.
//! - *Slow*: two of the clients do not read what is published.
//!
//! In all of them it is checked that every client has got each event once, and in order.
//!
//! # How to read it
//!
//! CPU times are the server process's, kernel and all. On loopback that includes the receiver's half of TCP, for which a
//! client on another machine would pay itself: so nearly all of the limit is the kernel's, and ratios say how much a
//! server adds. Absolute times differ between machines, and on a busy one from minute to minute: compare within one run.
//! Memory is what the server's own (PSS): buffers of the kernel for sockets are not in it.
#![expect(clippy::disallowed_types, clippy::disallowed_methods, reason = "a bench reads the clock")]

mod client;
mod load;
mod options;
mod process;
mod scenario;
mod server;
mod table;

use options::Options;
use scenario::{churn, fanout, idle, replay, slow};

/// What went wrong, in words.
pub(crate) type Failure = Box<dyn std::error::Error>;

/// Measures all servers in one way, and prints a table.
type Scenario = fn(&Options) -> Result<(), Failure>;

/// The processor of the loader, where there are two. The servers have the first.
const LOADER_PROCESSOR: usize = 1;

fn main() -> Result<(), Failure> {
    // As many clients as the system allows are wanted; where that cannot be asked for, fewer are.
    let _ = rlimit::increase_nofile_limit(u64::MAX);
    let mut arguments = std::env::args().skip(1);
    if let (Some("serve"), Some(name)) = (arguments.next().as_deref(), arguments.next()) {
        return server::run(&name);
    }
    let Some(options) = Options::read(std::env::args().skip(1))? else { return Ok(()) };
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let is_pinned = processors > 1 && process::pin(None, LOADER_PROCESSOR);
    let pinned = if is_pinned { "server and loader each on their own" } else { "not pinned" };
    println!("{processors} processors ({pinned}), {}", std::env::consts::OS);
    if !process::IS_SUPPORTED {
        println!(
            "Processor times and memory are not supported on this system: they are told on Linux alone."
        );
    }
    let scenarios: [(&str, Scenario); 5] = [
        ("fanout", fanout::run),
        ("idle", idle::run),
        ("replay", replay::run),
        ("churn", churn::run),
        ("slow", slow::run),
    ];
    for (name, run) in scenarios {
        if options.scenarios.iter().any(|wanted| wanted == name) {
            run(&options)?;
        }
    }
    Ok(())
}
