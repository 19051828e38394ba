//! Any sequence of publications, joins and cuts: pages receive every event exactly once and in order, or a reset covers
//! what is missing.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../sse-core/tests/pages/mod.rs"]
mod pages;

fuzz_target!(|input: &[u8]| {
    let Some((first, rest)) = input.split_first() else { return };
    let mut bytes = rest.to_vec().into_iter();
    let choices = Box::new(move |most: usize| usize::from(bytes.next().unwrap_or(0)) % most.max(1));
    pages::world::World::new(choices, 1 + usize::from(first % 2), false).run();
});
