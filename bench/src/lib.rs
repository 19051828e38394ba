//! What the benches share: a stopwatch, a table, and a hub with members.
#![expect(clippy::disallowed_types, clippy::disallowed_methods, reason = "a bench reads the clock")]

mod attached;

use std::hint::black_box;
use std::time::{Duration, Instant as Clock};

use bytes::Buf;
use sse_core::{Action, ChannelConfig, ChannelId, ConnectionConfig, Hub, HubConfig, Instant, Limits};

pub use attached::AttachedHub;

/// How many times each measurement is repeated; the quickest counts, since others share the machine.
const ROUNDS: usize = 15;

/// Nanoseconds of one call, the quickest of some rounds of at least three milliseconds each.
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

/// How long one call takes.
pub fn time(call: impl FnOnce()) -> Duration {
    let start = Clock::now();
    call();
    start.elapsed()
}

/// How long one call keeps this thread on a processor, to a few milliseconds: on a busy machine the clock would count
/// what others do. Where the system does not tell, it is the clock.
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

/// Prints a target, what was measured, and whether that is enough.
pub fn verdict(what: &str, measured: f64, target: &str, holds: bool) {
    println!("{what:<58} {measured:>9.2}   target {target:<10} {}", if holds { "met" } else { "MISSED" });
}

/// A hub with one channel, and so many members that took what they begin with.
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

/// Takes everything that connections are named for, as a driver does; returns how many windows that was.
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
