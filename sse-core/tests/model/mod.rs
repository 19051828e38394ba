//! Compares a hub with a naive model of it, which keeps everything that was ever published in lists and loops over
//! them.
//!
//! `op.rs` defines the steps. `naive/` is the model: it derives the pending frames of a connection from the rules
//! whenever they are needed. `harness.rs` (with `publications.rs`, `principals.rs` and `driver.rs`) applies each step to both and compares the results, `check.rs` compares
//! their state afterwards. The property test, the saved regressions and the fuzz target share this engine.

mod check;
mod driver;
mod naive;
mod op;

mod harness;
mod principals;
mod publications;
mod settings;

pub(crate) use op::*;

/// Runs the steps and panics where the hub differs from the model.
pub(crate) fn run(ops: &[Op]) {
    let mut harness = harness::Harness::new(HubSetup::default());
    for op in ops {
        harness.step(op);
        check::after_step(&mut harness);
    }
    harness.finish();
}
