//! The parts of the test of pages, shared with the fuzz target.

pub(crate) mod finished;
pub(crate) mod link;
pub(crate) mod node;
pub(crate) mod page;
pub(crate) mod settle;
pub(crate) mod steps;
pub(crate) mod world;

/// A source of choices: returns a number below the given one.
pub(crate) type Choices = Box<dyn FnMut(usize) -> usize>;

/// Returns the choices of a seed.
#[allow(dead_code, reason = "the fuzz target makes its choices from its input")]
pub(crate) fn seeded(seed: u64) -> Choices {
    let mut state = seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    Box::new(move |most| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let mixed = (state ^ (state >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        (mixed >> 33) as usize % most.max(1)
    })
}

/// Returns the world of an input of the fuzz target.
pub(crate) fn of_input(input: &[u8], is_verbose: bool) -> world::World {
    let (first, rest) = input.split_first().unwrap_or((&0, &[]));
    let mut bytes = Vec::from(rest).into_iter();
    let choices = Box::new(move |most: usize| usize::from(bytes.next().unwrap_or(0)) % most.max(1));
    world::World::new(choices, 1 + usize::from(first % 2), is_verbose)
}
