//! A simulation of servers and browsers under random inputs: virtual time, no clock, no threads, and one seed for
//! everything.
//!
//! Channels have random bounds. Four clients reconnect with their last event id. The driver reads only from
//! connections that were reported or whose window was not used up. A model beside the hub tracks the events that each
//! connection has to receive. At the end each client must have received every event with an id exactly once, or a
//! reset that covers it.
//!
//! A failing seed prints the command that repeats it with each step. `SEEDS` is the number of seeds (600 by default)
//! and `START` the first one; `SEED` runs a single seed.

#[path = "simulation/mod.rs"]
mod parts;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use parts::world::{PositionSource, World};

/// One server that assigns its positions and restarts now and then.
#[test]
fn local_positions() {
    run("local_positions", PositionSource::Local);
}

/// Two servers that receive the same events at different speeds. Clients move between them.
#[test]
fn external_positions() {
    run("external_positions", PositionSource::External);
}

/// Two servers that follow one log. Their channels are opened with the pasts of the log.
#[test]
fn log_positions() {
    run("log_positions", PositionSource::Log);
}

fn run(name: &str, positions: PositionSource) {
    if let Some(seed) = variable("SEED") {
        return World::new(seed, positions, true).run();
    }
    let (start, seeds) = (variable("START").unwrap_or(0), variable("SEEDS").unwrap_or(600));
    let mut failures = 0;
    let mut last = None;
    for seed in start..start.saturating_add(seeds) {
        let outcome = catch_unwind(AssertUnwindSafe(|| World::new(seed, positions, false).run()));
        if let Err(panic) = outcome {
            eprintln!("SEED={seed} cargo test -p sse-core --test simulation {name} -- --nocapture");
            failures += 1;
            last = Some(panic);
            if failures == variable("FAILURES").unwrap_or(1) {
                break;
            }
        }
    }
    if let Some(panic) = last {
        eprintln!("{failures} seeds failed");
        resume_unwind(panic);
    }
}

fn variable(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|value| value.parse().expect("a number"))
}
