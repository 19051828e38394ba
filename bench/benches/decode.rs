//! Decoding compared with the crates `eventsource-stream` and `sse-stream`, in chunks of 16 KiB as from a socket.
//! `cargo bench -p sse-bench --bench decode`

use std::convert::Infallible;
use std::hint::black_box;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use eventsource_stream::Eventsource;
use futures_util::Stream;
use sse_bench::{nanos, verdict};
use sse_core::{Decoder, Event};
use sse_stream::SseStream;

/// Size of the stream of each measurement, in bytes.
const STREAM: usize = 1 << 20;
const CHUNK: usize = 16 * 1024;

fn main() {
    for size in [32, 1024] {
        let (chunks, bytes, events) = stream_of(size);
        let gigabytes = |nanos: f64| bytes as f64 / nanos;
        let ours = gigabytes(nanos(|| assert_eq!(ours(&chunks), events)));
        let first = gigabytes(nanos(|| assert_eq!(theirs(source(&chunks).eventsource()), events)));
        let second = gigabytes(nanos(|| {
            assert_eq!(theirs(SseStream::from_bytes_stream(source(&chunks))), events);
        }));
        println!(
            "events of {size} bytes: {ours:.2} GB/s, eventsource-stream {first:.2}, sse-stream {second:.2}"
        );
        if size == 1024 {
            verdict("  GB/s", ours, ">= 1", ours >= 1.0);
        }
        verdict("  times eventsource-stream", ours / first, ">= 3", ours / first >= 3.0);
        verdict("  times sse-stream", ours / second, ">= 3", ours / second >= 3.0);
    }
}

/// Returns a stream of events in chunks, with its number of bytes and of events.
fn stream_of(size: usize) -> (Vec<Bytes>, usize, usize) {
    let data = "x".repeat(size);
    let frame =
        Event::new().id("1k9f2-123456").event("weather").data(data).encode().expect("the event is valid");
    let events = STREAM / frame.len();
    let stream = frame.as_bytes().repeat(events);
    (stream.chunks(CHUNK).map(Bytes::copy_from_slice).collect(), stream.len(), events)
}

fn ours(chunks: &[Bytes]) -> usize {
    let mut decoder = Decoder::new();
    let mut events = 0;
    for chunk in chunks {
        decoder.push(chunk);
        while let Some(message) = decoder.next_message() {
            black_box(message).expect("the event is within the limit");
            events += 1;
        }
    }
    events
}

fn source(chunks: &[Bytes]) -> impl Stream<Item = Result<Bytes, Infallible>> + Unpin + '_ {
    futures_util::stream::iter(chunks.iter().map(|chunk| Ok(chunk.clone())))
}

fn theirs<T, E>(stream: impl Stream<Item = Result<T, E>>) -> usize {
    let mut stream = Box::pin(stream);
    let mut context = Context::from_waker(Waker::noop());
    let mut events = 0;
    while let Poll::Ready(Some(event)) = Pin::new(&mut stream).poll_next(&mut context) {
        assert!(black_box(event).is_ok());
        events += 1;
    }
    events
}
