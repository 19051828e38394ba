//! Shared parts of the benchmarks: measurements, verdicts, and hubs with members.
#![expect(clippy::disallowed_types, clippy::disallowed_methods, reason = "benchmarks read the clock")]

mod attached;

use std::hint::black_box;
use std::time::{Duration, Instant as Clock};

use bytes::Buf;
use sse_core::{Action, ChannelConfig, ChannelId, ConnectionConfig, Hub, HubConfig, Instant, Limits};

pub use attached::AttachedHub;

/// Number of repetitions of a measurement. The fastest counts, because other programs share the machine.
const ROUNDS: usize = 15;

/// Returns the nanoseconds of one call, from the fastest of several rounds of at least three milliseconds.
pub fn nanos<T>(mut call: impl FnMut() -> T) -> f64 {
    let mut calls = 1u32;
    while time(|| repeat(calls, &mut call)) < Duration::from_millis(3) {
        calls = calls.saturating_mul(2);
    }
    let rounds = (0..ROUNDS).map(|_| time(|| repeat(calls, &mut call)));
    rounds.min().unwrap_or_default().as_nanos() as f64 / f64::from(calls)
}

fn repeat<T>(calls: u32, call: &mut impl FnMut() -> T) {
    for _ in 0..calls {
        black_box(call());
    }
}

/// Returns the elapsed time of one call.
pub fn time(call: impl FnOnce()) -> Duration {
    let start = Clock::now();
    call();
    start.elapsed()
}

/// Returns the processor time of one call on this thread, with a precision of a few milliseconds. On a busy machine the
/// elapsed time would include other programs. Systems without this information return the elapsed time.
pub fn busy_time(call: impl FnOnce()) -> Duration {
    let before = on_processor();
    let elapsed = time(call);
    match (before, on_processor()) {
        (Some(before), Some(after)) => after.saturating_sub(before),
        _ => elapsed,
    }
}

fn on_processor() -> Option<Duration> {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    stat.split_whitespace().next()?.parse().ok().map(Duration::from_nanos)
}

/// Prints a measurement, its target, and whether the target is met.
pub fn verdict(what: &str, measured: f64, target: &str, holds: bool) {
    println!("{what:<58} {measured:>9.2}   target {target:<10} {}", if holds { "met" } else { "MISSED" });
}

/// Creates a hub with one channel and a number of members that have taken their first bytes.
pub fn hub_with_members(members: usize, config: &ConnectionConfig) -> (Hub, ChannelId) {
    let limits = Limits { connections: members, members, ..Limits::default() };
    let mut hub = Hub::new(HubConfig { limits, ..HubConfig::default() }).expect("the epoch is allowed");
    let channel = hub.open_channel(Instant::ORIGIN, "a", ChannelConfig::default()).expect("there is room");
    for _ in 0..members {
        let connection = hub.connect(Instant::ORIGIN, config.clone()).expect("there is room");
        hub.subscribe(Instant::ORIGIN, channel, connection).expect("there is room");
    }
    deliver(&mut hub, Instant::ORIGIN);
    (hub, channel)
}

/// Takes all pending bytes of all reported connections, as a driver does. Returns the number of windows.
pub fn deliver(hub: &mut Hub, now: Instant) -> usize {
    let mut windows = 0;
    loop {
        match hub.poll_action() {
            Some(Action::Transmit(connection)) => {
                let mut window = hub.transmit(now, connection);
                let all = window.remaining();
                black_box(window.chunk());
                window.advance(all);
                windows += 1;
            }
            Some(_) => {}
            None if hub.poll_timeout().is_some_and(|at| at <= now) => hub.handle_timeout(now),
            None => return windows,
        }
    }
}
