//! Any bytes in any chunks and with any limit decode like the whole stream in the naive decoder.
#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use sse_core::Decoder;

#[path = "../../sse-core/tests/wire/naive.rs"]
#[allow(dead_code, reason = "the tests use the other helpers")]
mod naive;

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    limit: Option<u8>,
    /// The lengths of the first pieces of the stream. The rest is one piece.
    pieces: Vec<u8>,
    stream: &'a [u8],
}

fuzz_target!(|input: Input<'_>| {
    let limit = input.limit.map_or(usize::MAX, usize::from);
    let mut cuts = Vec::new();
    let mut at = 0;
    for piece in input.pieces {
        at += usize::from(piece);
        if at > input.stream.len() {
            break;
        }
        cuts.push(at);
    }
    let decoded = naive::decode_cut(Decoder::with_limit(limit), input.stream, &cuts);
    assert_eq!(decoded, naive::naive(input.stream, "", limit));
});
