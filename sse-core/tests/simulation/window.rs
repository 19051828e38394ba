//! Reading windows, and recognizing the blocks of the hub.

use std::io::IoSlice;

use bytes::Buf;
use sse_core::{Claim, Event, Transmit};

use super::connection::Block;
use super::world::epoch_name;

/// Returns the bytes of a window, after checking that all methods of reading it agree.
pub(crate) fn read_window(window: &Transmit<'_>) -> Vec<u8> {
    let remaining = window.remaining();
    let mut slices = vec![IoSlice::new(&[]); Transmit::MAX_FRAMES + 1];
    let filled = window.chunks_vectored(&mut slices);
    let bytes: Vec<u8> = slices[..filled].iter().flat_map(|slice| slice.iter().copied()).collect();
    assert_eq!(bytes.len(), remaining, "chunks_vectored and remaining");
    assert_eq!(window.has_remaining(), !window.chunk().is_empty());
    assert!(window.chunk().len() <= remaining);
    assert_eq!(window.chunk(), filled.checked_sub(1).map_or(&[][..], |_| &slices[0][..]));
    assert!(slices[..filled].iter().all(|slice| !slice.is_empty()));
    let mut two = [IoSlice::new(&[]); 2];
    assert_eq!(window.chunks_vectored(&mut two), filled.min(2));
    bytes
}

/// Takes `count` bytes, in one piece or chunk by chunk.
pub(crate) fn take_bytes(window: &mut Transmit<'_>, count: usize, taken: &mut Vec<u8>) {
    if count.is_multiple_of(2) {
        taken.extend(read_window(window).into_iter().take(count));
        return window.advance(count);
    }
    while taken.len() < count {
        let part = window.chunk().len().min(count - taken.len());
        assert!(part > 0, "a chunk while bytes remain");
        taken.extend_from_slice(&window.chunk()[..part]);
        window.advance(part);
        read_window(window);
    }
}

/// Claims the first frame, or whole frames of at most `most` bytes.
pub(crate) fn claim(window: Transmit<'_>, how: usize, most: usize) -> Option<(Vec<u8>, Claim)> {
    if how.is_multiple_of(2) {
        let (frame, claim) = window.claim_frame()?;
        return Some((frame.to_vec(), claim));
    }
    let mut bytes = Vec::new();
    let claim = window.claim_into(most, &mut bytes)?;
    Some((bytes, claim))
}

/// Returns the position in a position event.
pub(crate) fn position_block(epoch: usize, block: &Block) -> Option<u64> {
    let message = block.message.as_ref().filter(|message| message.event == "position")?;
    message.id.strip_prefix(&epoch_name(epoch))?.strip_prefix('-')?.parse().ok()
}

/// Returns the position in a reset.
pub(crate) fn reset_block(epoch: usize, block: &Block) -> Option<u64> {
    let message = block.message.as_ref().filter(|message| message.event == "reset")?;
    let position = message.id.strip_prefix(&epoch_name(epoch))?.strip_prefix('-')?.parse().ok()?;
    let reset = Event::new().id(message.id.as_str()).event("reset").data("");
    assert_eq!(block.bytes, reset.encode().expect("a reset").as_bytes());
    Some(position)
}
