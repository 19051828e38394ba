//! Any calls of a client in any order: it keeps the contract with its driver, and does not panic.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../sse-core/tests/client/contract.rs"]
mod contract;

fuzz_target!(|calls: &[u8]| contract::run(calls));
