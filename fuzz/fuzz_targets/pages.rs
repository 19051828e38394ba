//! Any sequence of publications, joins and cuts: pages receive every event exactly once and in order, or a reset covers
//! what is missing.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../sse-core/tests/pages/mod.rs"]
mod pages;

fuzz_target!(|input: &[u8]| pages::of_input(input, false).run());
