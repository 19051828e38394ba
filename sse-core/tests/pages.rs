//! Pages that follow several rooms over links that are cut after any byte.
//!
//! The model of `tests/model` compares the hub with the rules, so it cannot find a wrong rule. These pages judge the
//! rules: after each message, a page that holds an id has every event with an id of its rooms up to that id, or a hub
//! would report a gap for the id. After all links have healed, every page has every event exactly once and in order, or
//! a reset covers what is missing.
//!
//! `SEEDS` is the number of seeds (4,000 by default) and `START` the first one. A failing seed is repeated and printed
//! step by step with `SEED`, an input of the fuzz target `pages` with `INPUT`, the path of its file.

#[path = "pages/mod.rs"]
mod parts;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use parts::world::World;

/// One server that assigns its positions.
#[test]
fn local_positions() {
    run("local_positions", 1);
}

/// Two servers that receive the same events at different speeds.
#[test]
fn external_positions() {
    run("external_positions", 2);
}

fn run(name: &str, nodes: usize) {
    if let Ok(path) = std::env::var("INPUT") {
        let input = std::fs::read(path).expect("an input of the fuzzer");
        return parts::of_input(&input, true).run();
    }
    if let Some(seed) = variable("SEED") {
        return World::new(parts::seeded(seed), nodes, true).run();
    }
    let (start, seeds) = (variable("START").unwrap_or(0), variable("SEEDS").unwrap_or(4000));
    for seed in start..start.saturating_add(seeds) {
        let world = AssertUnwindSafe(|| World::new(parts::seeded(seed), nodes, false).run());
        if let Err(panic) = catch_unwind(world) {
            eprintln!("SEED={seed} cargo test -p sse-core --test pages {name} -- --nocapture");
            resume_unwind(panic);
        }
    }
}

fn variable(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|value| value.parse().expect("a number"))
}
