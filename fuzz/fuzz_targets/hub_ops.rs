//! Any list of steps: the hub answers, holds and sends what the naive model of the tests says, and does not panic.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../sse-core/tests/model/mod.rs"]
mod model;

/// The model loops over all that ever was: longer lists take their time and find nothing new.
const MOST: usize = 300;

fuzz_target!(|ops: Vec<model::Op>| {
    model::run(&ops[..ops.len().min(MOST)]);
});
