//! Memory of the wire format (E5, C2), counted by the allocator.

use std::hint::black_box;
use std::time::Duration;

use allocation_counter::{AllocationInfo, measure};
use bytes::Bytes;
use sse_core::{Decoder, Event, Frame};

fn assert_none(info: &AllocationInfo) {
    assert_eq!(info.count_total, 0);
}

#[test]
fn e5_an_event_takes_one_allocation_of_its_exact_size() {
    let long = "0123456789".repeat(10_000);
    let lines = "a\r\nb\rc\n".repeat(10_000);
    let full = Event::new().id("7").event("e").retry(Duration::from_millis(100)).comment("c\rd");
    for event in [Event::new(), Event::new().data("x"), full.clone().data(&long), full.data(&lines)] {
        let mut frame = None;
        let info = measure(|| frame = Some(event.encode()));
        let len = frame.unwrap().unwrap().len() as u64;
        assert_eq!((info.count_total, info.bytes_total), (1, len));
    }
}

#[test]
fn e5_building_or_refusing_an_event_allocates_nothing() {
    assert_none(&measure(|| {
        black_box(Event::new().id("a\n").event("e").data("d").encode()).unwrap_err();
    }));
}

#[test]
fn e5_a_clone_copies_no_bytes() {
    let frame = Event::new().data("x".repeat(10_000)).encode().unwrap();
    // The first clone allocates the reference count.
    let info = measure(|| drop(black_box(frame.clone())));
    assert!(info.count_total <= 1 && info.bytes_total <= 32, "{info:?}");
    assert_none(&measure(|| drop(black_box(frame.clone()))));
}

#[test]
fn e5_replacing_an_id_takes_one_allocation_of_the_exact_size() {
    let frame = Frame::parse("data: x\r\nid: 7\r\ndata: y\r\n\r\n").unwrap();
    let mut other = None;
    let info = measure(|| other = Some(frame.with_id("8")));
    assert_eq!((info.count_total, info.bytes_total), (1, other.unwrap().unwrap().len() as u64));
}

#[test]
fn e6_parsing_a_frame_does_not_copy_it() {
    let raw = Bytes::from_static(b"id: 7\ndata: x\n\n");
    let mut frame = None;
    assert_none(&measure(|| frame = Frame::parse(raw.clone()).ok()));
    assert_eq!(frame.unwrap().as_bytes().as_ptr(), raw.as_ptr());
}

/// Pushes `chunk` a hundred times and takes all messages after each. Returns the largest number of bytes held, and
/// the number at the end.
fn decode_chunks(limit: usize, start: &[u8], chunk: &[u8]) -> (u64, i64) {
    let mut decoder = Decoder::with_limit(limit);
    let info = measure(|| {
        decoder.push(start);
        for _ in 0..100 {
            while decoder.next_message().is_some() {}
            decoder.push(chunk);
        }
        while decoder.next_message().is_some() {}
    });
    (info.bytes_max, info.bytes_current)
}

#[test]
fn c2_memory_is_bounded_by_the_limit() {
    const LIMIT: usize = 100_000;
    let chunk = vec![b'x'; 10_000];
    let lines = b"data: 0123456789\nid: 7\nevent: e\n".repeat(300);
    let blocks = b"data: 0123456789\nid: 7\nevent: e\n\n".repeat(300);
    let starts = ["data: ", "id: ", "event: ", "retry: ", ":", "unknown", "unknown:", ""];
    for start in starts {
        for chunk in [&chunk, &lines, &blocks, &vec![b'\n'; 10_000], &vec![0xff; 10_000]] {
            let (most, end) = decode_chunks(LIMIT, start.as_bytes(), chunk);
            // A buffer doubles when it grows. It can have twice the limit, and three times while its content moves.
            assert!(most < 6 * LIMIT as u64, "{start:?}: {most} bytes at most");
            assert!(end < 4 * LIMIT as i64, "{start:?}: {end} bytes at the end");
        }
    }
}

#[test]
fn c2_ignored_bytes_are_not_stored() {
    let chunk = vec![b'x'; 10_000];
    for start in [":", "unknown", "unknown:", "datax: "] {
        let (most, _) = decode_chunks(usize::MAX, start.as_bytes(), &chunk);
        assert!(most < 50_000, "{start:?}: {most} bytes at most");
    }
    // The rest of an event that is too large is not stored either.
    let (most, _) = decode_chunks(10, b"data: ", &chunk);
    assert!(most < 50_000, "{most} bytes at most");
}

#[test]
fn c2_the_memory_of_a_large_push_is_released() {
    let mut decoder = Decoder::new();
    let info = measure(|| {
        decoder.push(&b"data: 0123456789\n\n".repeat(100_000));
        while decoder.next_message().is_some() {}
    });
    assert!(info.bytes_current <= 256 * 1024, "{} bytes are kept", info.bytes_current);
}

#[test]
fn c2_a_caller_that_stays_behind_holds_only_the_undecoded_bytes() {
    let mut decoder = Decoder::new();
    decoder.push(&b"data: 0123456789\n\n".repeat(100));
    let info = measure(|| {
        for _ in 0..100_000 {
            decoder.push(b"data: 0123456789\n\n");
            assert!(decoder.next_message().is_some());
        }
    });
    assert!(info.bytes_max < 20_000, "{} bytes at most", info.bytes_max);
}

#[test]
fn c2_the_cost_of_a_long_line_in_small_chunks_is_linear() {
    let mut cost = Vec::new();
    for mebibytes in [1, 2, 4, 8] {
        let mut line = b"data: ".to_vec();
        line.resize(mebibytes << 20, b'x');
        line.extend_from_slice(b"\n\n");
        let mut decoder = Decoder::with_limit(16 << 20);
        let mut message = None;
        let info = measure(|| {
            for piece in line.chunks(1460) {
                decoder.push(piece);
                if let Some(decoded) = decoder.next_message() {
                    message = Some(decoded);
                }
            }
        });
        assert_eq!(message.unwrap().unwrap().data.len(), line.len() - 8);
        cost.push((info.bytes_total >> 20) / mebibytes as u64);
        assert!(info.count_total < 64, "{info:?}");
    }
    // Bytes allocated in total, per byte of the line. Buffers that double add up to a few times its length.
    assert!(cost.iter().all(|times| *times <= 6), "{cost:?}");
}
