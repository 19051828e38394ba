//! A simulation of servers and browsers under random inputs: virtual time, no clock, no threads, one seed for all.
//!
//! Channels with random bounds, four clients that come back with their last event id, a driver that reads only when it
//! was named or has left a window unfinished. A model beside the hub knows what every connection is owed, and what every
//! client has to know at the end: each event with an id exactly once, or a reset that covers it.
//!
//! A failing seed prints the command that repeats it and shows each step. `SEEDS` is how many seeds are run (600
//! unless given), `START` is the first of them; `SEED` runs one.

#[path = "simulation/mod.rs"]
mod parts;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use parts::world::{PositionSource, World};

/// One server that makes its positions. It is restarted now and then.
#[test]
fn own_positions() {
    run("own_positions", PositionSource::Local);
}

/// Two servers that are fed the same events at different speeds. Clients move between them.
#[test]
fn fed_positions() {
    run("fed_positions", PositionSource::External);
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
