//! A client keeps the contract with its driver, and does not panic, for any calls in any order.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../sse-core/tests/client/contract.rs"]
mod contract;

fuzz_target!(|calls: &[u8]| contract::run(calls));
