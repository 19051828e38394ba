//! The hub beside a naive model, step by step, under random inputs: what it answers, holds and sends is what the model
//! says. `PROPTEST_CASES` is how many lists of steps are tried, `PROPTEST_RNG_SEED` which ones.

#[path = "model/mod.rs"]
mod engine;
#[path = "model/regressions.rs"]
mod regressions;
#[path = "model/strategies.rs"]
mod strategies;

use std::panic::catch_unwind;

use proptest::test_runner::{Config, RngSeed, TestCaseError, TestError, TestRunner};

#[test]
fn the_hub_does_as_the_model() {
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
    // One step a line: what is found goes into regressions.rs.
    if let Err(TestError::Fail(reason, ops)) = outcome {
        let ops: String = ops.iter().map(|op| format!("    {op:?},\n")).collect();
        panic!("{reason}\n{ops}");
    }
    outcome.unwrap_or_else(|error| panic!("{error}"));
}
