//! Complete servers under load, compared with each other and with the physical limit in one run:
//!
//! ```console
//! $ cargo run --release --package sse-bench --bin end-to-end
//! $ cargo run --release --package sse-bench --bin end-to-end -- --help
//! ```
//!
//! # Method
//!
//! This binary is the load generator. It starts itself again as each server ([`server`]), one at a time. With two or more
//! processors, the server runs on the first and the load generator spins on the second. A sleeping load generator would
//! charge its wake-ups to the server. In every round each server is started, loaded and ended in turn, so that other activity
//! on the machine affects all of them. The results are medians of the ratios to the limit of the same round.
//!
//! - *Fan-out*: connections follow one channel. In *lockstep*, an event is published when every client has the previous one.
//!   In the *open* phase it is published once the previous publication was confirmed, so that events accumulate.
//! - *Idle*: the memory of one more connection without events.
//! - *Replay*: clients reconnect, each with 100 missed events.
//! - *Churn*: clients connect, wait for the response head, and disconnect.
//! - *Slow*: two of the clients do not read.
//!
//! Every scenario checks that each client receives each event once, and in order.
//!
//! # How to read the results
//!
//! CPU times are those of the server process, including the kernel. On loopback they include the receiving half of TCP, for
//! which a client on another machine would pay itself. Nearly all of the limit is therefore kernel time, and the ratios show
//! what a server adds. Absolute times differ between machines, and over time on a busy machine, so compare within one run.
//! Memory is the proportional set size of the server, without kernel buffers of sockets.
#![expect(clippy::disallowed_types, clippy::disallowed_methods, reason = "benchmarks read the clock")]

mod client;
mod load;
mod options;
mod process;
mod scenario;
mod server;
mod table;

use options::Options;
use scenario::{churn, fanout, idle, replay, slow};

/// The error of a run.
pub(crate) type Failure = Box<dyn std::error::Error>;

/// Measures all servers in one scenario, and prints a table.
type Scenario = fn(&Options) -> Result<(), Failure>;

/// The processor of the load generator, if there are two or more.
const LOADER_PROCESSOR: usize = 1;

fn main() -> Result<(), Failure> {
    // Without the increase, fewer clients are measured.
    let _ = rlimit::increase_nofile_limit(u64::MAX);
    let mut arguments = std::env::args().skip(1);
    if let (Some("serve"), Some(name)) = (arguments.next().as_deref(), arguments.next()) {
        return server::run(&name);
    }
    let Some(options) = Options::read(std::env::args().skip(1))? else { return Ok(()) };
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let is_pinned = processors > 1 && process::pin(None, LOADER_PROCESSOR);
    let pinned = if is_pinned { "server and load generator pinned to one each" } else { "not pinned" };
    println!("{processors} processors ({pinned}), {}", std::env::consts::OS);
    if !process::IS_SUPPORTED {
        println!("Processor times and memory are measured on Linux only.");
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
