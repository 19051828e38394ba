//! Encoding compared with axum's `sse::Event`, and with copying the same bytes.
//! `cargo bench -p sse-bench --bench encode`

use std::convert::Infallible;
use std::hint::black_box;
use std::pin::Pin;
use std::task::{Context, Waker};

use axum::response::IntoResponse;
use axum::response::sse::{self, Sse};
use http_body::Body;
use sse_bench::{nanos, verdict};
use sse_core::Event;

fn main() {
    for size in [32, 1024] {
        let data = "x".repeat(size);
        let ours = nanos(|| ours(&data));
        let axums = axum_nanos(&data);
        println!("{{id, event, data}} of {size} bytes: {ours:.0} ns, axum {axums:.0} ns");
        verdict(&format!("  of axum's time, {size} bytes"), ours / axums, "<= 0.33", ours / axums <= 0.334);
    }
    let one_line = "x".repeat(64 * 1024);
    of_copying("64 KiB in one line", &one_line, 0.7);
    let lines = format!("{}\n", "x".repeat(1047)).repeat(1000);
    of_copying("1 MiB in 1,000 lines", lines.trim_end(), 0.5);
}

fn ours(data: &str) -> sse_core::Frame {
    Event::new()
        .id("1k9f2-123456")
        .event("weather")
        .data(black_box(data))
        .encode()
        .expect("the event is valid")
}

/// Measures axum for each event of a stream. axum has no other API that returns the bytes.
fn axum_nanos(data: &str) -> f64 {
    let data = data.to_owned();
    let events = futures_util::stream::repeat_with(move || {
        Ok::<_, Infallible>(
            sse::Event::default().id("1k9f2-123456").event("weather").data(black_box(data.as_str())),
        )
    });
    let mut body = Sse::new(events).into_response().into_body();
    let mut context = Context::from_waker(Waker::noop());
    nanos(|| Pin::new(&mut body).poll_frame(&mut context))
}

/// Measures encoding as a fraction of the speed of copying the data into a new `Vec`.
fn of_copying(what: &str, data: &str, target: f64) {
    let copied = nanos(|| black_box(data).as_bytes().to_vec());
    let encoded = nanos(|| Event::new().data(black_box(data)).encode());
    println!("{what}: {encoded:.0} ns, a copy {copied:.0} ns");
    let speed = copied / encoded;
    verdict("  of the speed of copying", speed, &format!(">= {target}"), speed >= target);
}
