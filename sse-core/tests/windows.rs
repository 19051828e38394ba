//! Windows: D9, and the bounds of D3.
mod common;
use std::io::IoSlice;

use bytes::Buf;
use common::{World, data_frame};
use sse_core::{ConnectionConfig, Transmit};

#[test]
fn d9_all_views_of_a_window_show_the_same_bytes() {
    let mut w = World::new();
    let a = w.open("a");
    let c = w.connect_with(ConnectionConfig::default());
    w.subscribe(a, c);
    w.publish_numbers(a, 1..=2);
    w.send(c, "x");
    w.take_bytes(c, 3);
    let whole = " e-0\nevent: position\ndata: \n\nid: e-1\ndata: 1\n\nid: e-2\ndata: 2\n\ndata: x\n\n";
    let mut window = w.hub.transmit(w.now, c);
    let mut slices = [IoSlice::new(b""); 16];
    let filled = window.chunks_vectored(&mut slices);
    assert_eq!((window.remaining(), filled), (whole.len(), 4), "one slice for each frame");
    let vectored: Vec<u8> = slices[..filled].iter().flat_map(|slice| slice.to_vec()).collect();
    assert_eq!(String::from_utf8(vectored).unwrap(), whole);
    let mut two = [IoSlice::new(b""); 2];
    assert_eq!(window.chunks_vectored(&mut two), 2);
    assert_eq!(window.copy_to_bytes(whole.len() - 3), whole[..whole.len() - 3]);
    assert_eq!(window.chunk(), b"x\n\n");
}

#[test]
fn d9_bytes_that_were_not_taken_may_be_missing_from_the_next_window() {
    let mut w = World::new();
    let a = w.open("a");
    let c = w.follow(a);
    w.publish_numbers(a, 1..=2);
    assert_eq!(w.pending_bytes(c), 34);
    w.take_bytes(c, 5);
    w.hub.unsubscribe(w.now, a, c);
    assert_eq!(w.take(c), "-1\ndata: 1\n\n", "the rest of a frame in progress stays");
}

#[test]
fn d9_taken_frames_belong_to_the_driver_and_are_not_copied() {
    let mut w = World::new();
    let a = w.open("a");
    let c = w.follow(a);
    let frame = w.publish(a, "1").frame;
    let taken = w.hub.transmit(w.now, c).copy_to_bytes(17);
    assert_eq!(taken.as_ptr(), frame.as_bytes().as_ptr(), "without a copy");
    w.hub.disconnect(w.now, c);
    w.hub.close_channel(w.now, a);
    assert_eq!(taken, frame.as_bytes());
}

#[test]
fn d3_a_window_is_bounded_by_frames_and_by_bytes() {
    let mut w = World::new();
    let a = w.open("a");
    let (many, large) = (w.connect(), w.follow(a));
    for _ in 0..Transmit::MAX_FRAMES + 10 {
        w.send(many, "x");
    }
    assert_eq!(w.pending_bytes(many), Transmit::MAX_FRAMES * data_frame("x").len());
    let half = "x".repeat(Transmit::MAX_BYTES / 2);
    for _ in 0..3 {
        w.publish(a, &half);
    }
    let whole_frames = w.publish(a, &"y".repeat(Transmit::MAX_BYTES)).frame.len();
    assert!(w.pending_bytes(large) <= Transmit::MAX_BYTES);
    for _ in 0..3 {
        assert_eq!(data_len(&w.take_frame(large)), half.len());
    }
    assert_eq!(w.pending_bytes(large), whole_frames, "at least one whole frame");
}

#[test]
fn d3_a_window_has_at_most_64_kib_and_256_frames() {
    assert_eq!((Transmit::MAX_BYTES, Transmit::MAX_FRAMES), (64 << 10, 256));
}

fn data_len(frame: &str) -> usize {
    common::data(frame)[0].len()
}

#[test]
fn d3_chunks_vectored_has_the_bounds_of_the_window() {
    let mut w = World::new();
    let c = w.connect();
    for _ in 0..Transmit::MAX_FRAMES + 10 {
        w.send(c, "x");
    }
    let window = w.hub.transmit(w.now, c);
    let mut slices = [IoSlice::new(b""); Transmit::MAX_FRAMES + 10];
    let filled = window.chunks_vectored(&mut slices);
    assert_eq!(filled, Transmit::MAX_FRAMES);
    let bytes: usize = slices[..filled].iter().map(|slice| slice.len()).sum();
    assert_eq!(bytes, window.remaining());
}
