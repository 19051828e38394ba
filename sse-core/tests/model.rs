//! Compares the hub with a naive model, step by step, under random inputs: results, state and bytes have to be equal.
//!
//! `PROPTEST_CASES` is the number of lists of steps, `PROPTEST_RNG_SEED` the seed that they are generated from.

#[path = "model/mod.rs"]
mod engine;
#[path = "model/regressions.rs"]
mod regressions;
#[path = "model/strategies.rs"]
mod strategies;

use std::panic::catch_unwind;

use proptest::test_runner::{Config, RngSeed, TestCaseError, TestError, TestRunner};

#[test]
fn the_hub_agrees_with_the_model() {
    let mut config = Config { failure_persistence: None, max_shrink_iters: 20_000, ..Config::default() };
    if config.rng_seed == RngSeed::Random {
        config.rng_seed = RngSeed::Fixed(1);
    }
    let outcome = TestRunner::new(config).run(&strategies::ops(), |ops| {
        catch_unwind(|| engine::run(&ops)).map_err(|panic| {
            let text = panic.downcast::<String>().map_or_else(|_| "it panicked".into(), |text| *text);
            TestCaseError::fail(text)
        })
    });
    // One step per line, so that a failure can be copied into regressions.rs.
    if let Err(TestError::Fail(reason, ops)) = outcome {
        let ops: String = ops.iter().map(|op| format!("    {op:?},\n")).collect();
        panic!("{reason}\n{ops}");
    }
    outcome.unwrap_or_else(|error| panic!("{error}"));
}
