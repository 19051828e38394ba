//! A hub beside a model of it that has no cleverness: lists of all that was ever published, and loops over them.
//!
//! `op.rs` is what can happen; `naive/` is the model, which derives what is due to a connection from the rules each time
//! it is asked; `side.rs` does each step to both and compares what they answer, `check.rs` what they hold after it. One
//! engine for the property test, the saved regressions and the fuzz target.

mod check;
mod driver;
mod naive;
mod op;

mod settings;
mod side;

pub(crate) use op::*;

/// Does the steps, and panics where the hub differs from the model.
pub(crate) fn run(ops: &[Op]) {
    let mut side = side::Side::new(Setup::default());
    for op in ops {
        side.step(op);
        check::after_step(&mut side);
    }
    side.finish();
}
