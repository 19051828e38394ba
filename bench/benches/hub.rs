//! The cost of a delivery, a ping and a connection, with a million connections.
//! `cargo bench -p sse-bench --bench hub [-- fan-out | idle | memory]`; `MEMBERS` and `MINUTES` make it smaller.

use std::time::Duration;

use allocation_counter::measure;
use sse_bench::{busy_time, deliver, hub_with_members, time, verdict};
use sse_core::{ConnectionConfig, Event, Instant};

fn main() {
    let members = number("MEMBERS", 1_000_000);
    let selected = std::env::args().skip(1).find(|argument| !argument.starts_with('-'));
    let is_selected = |name| selected.as_ref().is_none_or(|selected| selected == name);
    if is_selected("fan-out") {
        fan_out(members);
    }
    if is_selected("memory") {
        memory(members);
    }
    if is_selected("idle") {
        idle(members, number("MINUTES", 60));
    }
}

fn number(name: &str, default: usize) -> usize {
    std::env::var(name).map_or(default, |value| value.parse().expect("a number"))
}

fn fan_out(members: usize) {
    let (mut hub, channel) = hub_with_members(members, &armed());
    let event = Event::new().data("0123456789abcdef0123456789abcdef");
    let mut best = (f64::MAX, f64::MAX);
    let mut allocations = 0;
    for round in 0..10 {
        let published = time(|| drop(hub.publish(Instant::ORIGIN, channel, &event)));
        let mut delivered = Duration::ZERO;
        delivered += busy_time(|| {
            let counted = measure(|| assert_eq!(deliver(&mut hub, Instant::ORIGIN), members));
            allocations = counted.count_total;
        });
        if round > 0 {
            best = (best.0.min(published.as_nanos() as f64), best.1.min(per(delivered, members)));
        }
    }
    println!("fan-out to {members} members: publish {:.0} ns, {allocations} allocations in a sweep", best.0);
    verdict("  nanoseconds for each delivery", best.1, "<= 40", best.1 <= 40.0);
    verdict("  allocations for each delivery", allocations as f64 / members as f64, "0", allocations == 0);
}

fn memory(members: usize) {
    // With a power of two, no vector has spare capacity.
    for members in [members, members.next_power_of_two()] {
        let mut kept = None;
        let counted = measure(|| kept = Some(hub_with_members(members, &armed())));
        let each = counted.bytes_current as f64 / members as f64;
        println!("memory of {members} connections, including spare capacity of vectors");
        verdict("  bytes for each connection", each, "<= 256", each <= 256.0);
        println!("  peak during growth: {:.1}", counted.bytes_max as f64 / members as f64);
    }
}

fn idle(members: usize, minutes: usize) {
    let (mut hub, _) = hub_with_members(members, &armed());
    let pings = hub.stats().pings;
    let end = Instant::ORIGIN.saturating_add(Duration::from_secs(60 * minutes as u64));
    let mut wakes = 0u64;
    let spent = busy_time(|| {
        while let Some(now) = hub.poll_timeout().filter(|now| *now <= end) {
            hub.handle_timeout(now);
            deliver(&mut hub, now);
            wakes += 1;
        }
    });
    let pings = hub.stats().pings - pings;
    println!("{minutes} idle minutes of {members} connections: {pings} pings, {wakes} wake-ups, {spent:.1?}");
    let each = spent.as_nanos() as f64 / pings as f64;
    verdict("  nanoseconds for each ping", each, "<= 300", each <= 300.0);
}

/// Returns a configuration with a ping and a max lifetime.
fn armed() -> ConnectionConfig {
    ConnectionConfig { max_lifetime: Some(Duration::from_secs(24 * 60 * 60)), ..ConnectionConfig::default() }
}

fn per(time: Duration, count: usize) -> f64 {
    time.as_nanos() as f64 / count as f64
}
