//! Repeats one operation, for a count of its instructions. `.ci/instructions` runs this program under valgrind, with `times`
//! and with twice as many repetitions, so that setup and teardown cancel out.
//! usage: instructions encode|publish|deliver|socket-set|ping times

use std::hint::black_box;

use sse_bench::{AttachedHub, deliver, hub_with_members};
use sse_core::{ConnectionConfig, Event, Instant};

/// Members of the channel. Each of the `times` deliveries goes to one of them.
const MEMBERS: usize = 1000;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let what = arguments.next().unwrap_or_default();
    let times =
        arguments.next().and_then(|times| times.parse().ok()).expect("usage: instructions what times");
    let data = "0123456789abcdef".repeat(64);
    let event = Event::new().event("weather").data(&data);
    let (mut hub, channel) = hub_with_members(MEMBERS, &ConnectionConfig::default());
    match what.as_str() {
        "encode" => {
            let event = event.id("1k9f2-123456");
            for _ in 0..times {
                drop(black_box(black_box(&event).encode()));
            }
        }
        "publish" => {
            for _ in 0..times {
                drop(black_box(hub.publish(Instant::ORIGIN, channel, &event)));
            }
        }
        "deliver" => {
            for _ in 0..times / MEMBERS {
                drop(hub.publish(Instant::ORIGIN, channel, &event));
                deliver(&mut hub, Instant::ORIGIN);
            }
        }
        "socket-set" => {
            let mut hub = AttachedHub::new(MEMBERS);
            for _ in 0..times / MEMBERS {
                hub.broadcast(&event);
            }
        }
        "ping" => {
            while hub.stats().pings < times as u64 {
                let now = hub.poll_timeout().expect("pings never end");
                hub.handle_timeout(now);
                deliver(&mut hub, now);
            }
        }
        other => panic!("unknown operation: {other}"),
    }
}
