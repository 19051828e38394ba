//! Memory of the hub, counted by the allocator: nothing for each delivery, nothing for ended connections and
//! channels, and never more than the bounds.

mod common;

use std::time::Duration;

use allocation_counter::measure;
use bytes::Buf;
use common::{World, history_of, without_position};
use sse_core::{
    Action, BacklogConfig, ChannelConfig, ChannelId, ConnectionConfig, ConnectionId, Event, Except,
    HubConfig, Limits, OpenError, PublishOptions,
};

/// Takes all bytes that the hub reports, and returns the number of deliveries.
fn deliver(world: &mut World) -> usize {
    let mut deliveries = 0;
    loop {
        match world.hub.poll_action() {
            Some(Action::Transmit(connection)) => {
                let mut window = world.hub.transmit(world.now, connection);
                while window.has_remaining() {
                    let count = window.chunk().len();
                    window.advance(count);
                    deliveries += 1;
                }
            }
            Some(_) => {}
            None if world.hub.poll_timeout().is_some_and(|at| at <= world.now) => {
                world.hub.handle_timeout(world.now)
            }
            None => return deliveries,
        }
    }
}

fn add_members(world: &mut World, channel: ChannelId, count: usize) {
    for _ in 0..count {
        world.follow(channel);
    }
}

#[test]
fn a_delivery_allocates_nothing_and_an_event_allocates_one_buffer() {
    let mut w = World::new();
    let a = w.open("a");
    add_members(&mut w, a, 1000);
    // Warm up, so that the queues have reached their size.
    for _ in 0..600 {
        w.publish(a, "warm");
        deliver(&mut w);
    }
    let data = "x".repeat(5000);
    let event = Event::new().data(&data);
    let published = measure(|| drop(w.hub.publish(w.now, a, &event).unwrap()));
    assert!(published.count_total <= 2, "the frame and its reference count: {published:?}");
    assert!(published.bytes_total < 5000 + 100, "{published:?}");
    let mut deliveries = 0;
    let delivered = measure(|| deliveries = deliver(&mut w));
    assert_eq!((deliveries, delivered.count_total), (1000, 0), "{delivered:?}");
}

#[test]
fn pings_leave_no_memory_behind() {
    let mut w = World::new();
    let a = w.open("a");
    add_members(&mut w, a, 100);
    let mut ping_all = |times: u64| {
        let enough = w.hub.stats().pings + times * 100;
        while w.hub.stats().pings < enough {
            w.now = w.hub.poll_timeout().unwrap().max(w.now);
            w.hub.handle_timeout(w.now);
            deliver(&mut w);
        }
    };
    ping_all(1);
    // The nodes of the timer queue come and go. What is left does not grow.
    let pinged = measure(|| ping_all(10));
    assert!(pinged.bytes_current.abs() < 4096, "{pinged:?}");
}

#[test]
fn d8_a_million_ended_connections_leave_no_memory_behind() {
    let mut w = World::new();
    let a = w.open("a");
    let stays = w.follow(a);
    w.publish(a, "x");
    let cycle = |w: &mut World, polls: bool| {
        let config = ConnectionConfig { last_event_id: Some("e-0".into()), ..ConnectionConfig::default() };
        let connection = w.hub.connect(w.now, config).unwrap();
        w.subscribe(a, connection);
        if polls {
            w.hub.poll_action();
        }
        w.hub.disconnect(w.now, connection);
    };
    for polls in [false, true] {
        cycle(&mut w, polls);
        let info = measure(|| (0..500_000).for_each(|_| cycle(&mut w, polls)));
        assert!(info.bytes_current.abs() < 64 * 1024, "{info:?}");
        assert!(info.bytes_max < 64 * 1024, "{info:?}");
    }
    w.publish(a, "y");
    assert_eq!(w.data(stays), ["x", "y"]);
}

/// The bytes of the direct sends that [`fill`] makes pending.
const PENDING: i64 = 64 * 10_000;

/// Makes direct sends pending for a connection.
fn fill(w: &mut World, connection: ConnectionId) {
    for _ in 0..64 {
        w.send(connection, &"x".repeat(10_000 - 8));
    }
}

/// Takes all pending bytes and drops them.
fn take_all(w: &mut World, connection: ConnectionId) {
    while w.pending_bytes(connection) > 0 {
        w.hub.transmit(w.now, connection).advance(usize::MAX);
    }
}

/// Returns the number of bytes that a call frees.
fn freed(call: impl FnOnce()) -> i64 {
    -measure(call).bytes_current
}

#[test]
fn d8_disconnect_frees_everything_at_once() {
    let mut w = World::new();
    let c = w.connect();
    fill(&mut w, c);
    w.take_bytes(c, 1);
    assert!(freed(|| assert!(w.hub.disconnect(w.now, c))) >= PENDING);
}

#[test]
fn d8_a_stall_frees_everything_at_once() {
    let mut w = World::new();
    let c = w.connect_with(ConnectionConfig { ping: None, ..without_position() });
    fill(&mut w, c);
    w.run_for(Duration::from_secs(30) - Duration::from_nanos(1));
    w.now = w.now.saturating_add(Duration::from_nanos(1));
    assert!(freed(|| w.hub.handle_timeout(w.now)) >= PENDING);
}

#[test]
fn d8_a_lagged_connection_frees_everything_at_once() {
    let mut w = World::new();
    let a = w.open_with("a", ChannelConfig { history: history_of(1), ..common::narrow_backlog() });
    w.publish(a, "1");
    let c = w.reconnect("e-0");
    w.subscribe(a, c);
    fill(&mut w, c);
    w.publish_numbers(a, 2..=3);
    assert!(freed(|| assert_eq!(w.pending_bytes(c), 0)) >= PENDING);
}

#[test]
fn d8_close_frees_everything_when_the_last_byte_was_taken() {
    let mut w = World::new();
    let c = w.connect();
    fill(&mut w, c);
    let freed = freed(|| {
        w.hub.close_connection(w.now, c);
        assert!(w.hub.is_connection_open(c), "the frames are pending");
        take_all(&mut w, c);
    });
    assert!(freed >= PENDING, "{freed}");
    assert!(!w.hub.is_connection_open(c));
}

#[test]
fn d8_close_channel_frees_the_log_when_the_last_member_took_its_last_byte() {
    for has_member in [false, true] {
        let mut w = World::new();
        let a = w.open("a");
        let member = has_member.then(|| w.follow(a));
        for _ in 0..500 {
            w.publish(a, &"x".repeat(1_000));
        }
        let at_close = freed(|| assert!(w.hub.close_channel(w.now, a)));
        assert_eq!(at_close >= 500_000, !has_member, "{at_close}");
        if let Some(member) = member {
            let after_close = freed(|| take_all(&mut w, member));
            assert!(after_close >= 500_000, "{after_close}");
        }
    }
}

#[test]
fn d8_a_queue_that_had_more_than_1024_entries_gives_its_memory_back() {
    // With external positions, no ends of names are remembered.
    let mut w = World::external(0);
    let info = measure(|| {
        let channels: Vec<ChannelId> = (0..1_500).map(|number| w.open(&number.to_string())).collect();
        // All connections are queued for a first check, all channels for a sweep, and the end of each is an action.
        let members: Vec<ConnectionId> = channels.iter().map(|channel| w.follow(*channel)).collect();
        for (position, channel) in (1..).zip(channels) {
            w.publish_at(channel, position);
            w.hub.close_channel(w.now, channel);
        }
        for member in members {
            w.hub.disconnect(w.now, member);
        }
        assert_eq!(w.actions().len(), 1_500);
    });
    assert!(info.bytes_max > 100_000 && info.bytes_current < 4_096, "{info:?}");
}

#[test]
fn d8_claims_without_a_poll_pile_up_nothing() {
    let mut w = World::new();
    let c = w.connect();
    let info = measure(|| {
        for _ in 0..10_000 {
            w.send(c, "x");
            let (_, claim) = w.hub.transmit(w.now, c).claim_frame().unwrap();
            assert!(w.hub.confirm(w.now, claim));
        }
    });
    assert!(info.bytes_current < 4_096, "{info:?}");
}

#[test]
fn d8_the_ends_of_former_names_take_at_most_140_kib() {
    let mut w = World::new();
    let info = measure(|| {
        for number in 0..100_000 {
            let channel = w.open(&number.to_string());
            w.publish(channel, "x");
            w.hub.close_channel(w.now, channel);
            w.actions();
        }
    });
    assert!(info.bytes_current <= 140 << 10, "{info:?}");
}

#[test]
fn a1_a_million_refused_channels_leave_no_memory_behind() {
    let limits = Limits { channels: 10_000, ..Limits::default() };
    let mut w = World::with(HubConfig { limits, ..HubConfig::default() });
    for number in 0..10_000 {
        w.open(&format!("channel {number}"));
    }
    let mut name = String::with_capacity(64);
    let info = measure(|| {
        for number in 0..1_000_000 {
            name.clear();
            std::fmt::Write::write_fmt(&mut name, format_args!("other {number}")).unwrap();
            let refused = w.hub.open_channel(w.now, &name, ChannelConfig::default());
            assert_eq!(refused, Err(OpenError::TooManyChannels { limit: 10_000 }));
        }
    });
    assert_eq!(info.bytes_current, 0);
    assert!(w.hub.channel("channel 9999").is_some());
}

#[test]
fn a1_history_takes_no_more_memory_than_it_counts() {
    for (channels, data, ids) in
        [(1, "x", false), (200, "x", false), (200, "x", true), (50, "0123456789abcdef", false)]
    {
        let limits = Limits { history_bytes: 4 << 20, ..Limits::default() };
        let mut w = World::with(HubConfig { limits, ..HubConfig::default() });
        let data = data.repeat(if data.len() > 1 { 64 } else { 1 });
        let history = sse_core::HistoryConfig { events: 1_000_000, ..Default::default() };
        let channels: Vec<ChannelId> = (0..channels)
            .map(|n| {
                w.open_with(&n.to_string(), ChannelConfig { history: history.clone(), ..Default::default() })
            })
            .collect();
        let info = measure(|| {
            for number in 0..60_000 {
                let event = Event::new().data(&data);
                let event = if ids { event.id(format!("own{number}")) } else { event };
                w.hub.publish(w.now, channels[number % channels.len()], &event).unwrap();
            }
        });
        let counted = i64::try_from(w.hub.stats().history_bytes).unwrap();
        assert!(counted > (4 << 20) * 9 / 10, "{counted} bytes are kept");
        // The allocator counts the bytes that were requested. It takes some more for each of the two allocations of a frame.
        assert!(info.bytes_current < counted, "{info:?} of {counted}");
        assert!(info.bytes_current > counted / 3, "{info:?} of {counted}");
    }
}

#[test]
fn s1_one_stalled_reader_among_a_thousand_costs_no_more_than_the_bounds() {
    let mut w = World::with(HubConfig { stall_timeout: None, ..HubConfig::default() });
    let backlog = BacklogConfig { bytes: 1 << 16, ..BacklogConfig::default() };
    let a = w.open_with("a", ChannelConfig { backlog, ..ChannelConfig::default() });
    let stalled = w.follow(a);
    add_members(&mut w, a, 999);
    deliver(&mut w);
    w.publish(a, "x");
    for action in w.actions() {
        let Action::Transmit(connection) = action else { continue };
        // The stalled reader begins the frame and takes nothing afterwards.
        if connection == stalled {
            w.take_bytes(stalled, 3)
        } else {
            w.take(connection)
        };
    }
    // `EVENTS=1000000 cargo test --release --test memory s1` takes some minutes.
    let events = std::env::var("EVENTS").map_or(5_000, |events| events.parse().unwrap());
    let before = w.hub.stats();
    let info = measure(|| {
        for number in 0..events {
            w.hub.publish(w.now, a, &Event::new().data("0123456789")).unwrap();
            // The other readers catch up together from time to time.
            if number % 500 == 499 {
                deliver(&mut w);
            }
        }
    });
    // 500 frames of history, the frames of the backlog, and the overhead of each.
    assert!(info.bytes_max < 1 << 20, "{info:?}");
    assert!(w.backlog(a).1 <= 1 << 16);
    let delivered = w.hub.stats().delivered - before.delivered;
    assert!(delivered >= events * 998, "{delivered} of {}", events * 999);
    assert_eq!(w.hub.stats().lagged, 0, "the lag is detected when the stalled reader reads");
}

#[test]
fn u5_numbers_of_client_keys_are_bounded_by_the_events_that_are_kept() {
    let mut w = World::new();
    let (busy, silent) = (w.open_with_history("busy", 10), w.open_with_history("silent", 10));
    let exclude = |w: &mut World, channel, number: usize| {
        let key = format!("the key of page load {number}");
        let options = PublishOptions { except: Some(Except::Client(&key)) };
        w.hub.publish_to(w.now, &[channel], &Event::new().data("x"), options).unwrap();
    };
    exclude(&mut w, silent, 0);
    (1..1000).for_each(|number| exclude(&mut w, busy, number));
    let info = measure(|| (1000..50_000).for_each(|number| exclude(&mut w, busy, number)));
    assert!(info.bytes_current.abs() < 16 * 1024 && info.bytes_max < 32 * 1024, "{info:?}");
}

#[test]
fn d8_principals_and_client_keys_hold_no_memory_when_everything_has_ended() {
    let cycle = |w: &mut World, rounds: usize| {
        for _ in 0..rounds {
            let a = w.open("a");
            let connections: Vec<ConnectionId> = (0..500)
                .map(|n| {
                    let word = |kind: &str, n: usize| Some(format!("{kind} {n}").into());
                    let (principal, client) = (word("user", n % 100), word("page load", n));
                    w.connect_with(ConnectionConfig { principal, client, ..without_position() })
                })
                .collect();
            for (n, c) in connections.iter().enumerate() {
                w.subscribe(a, *c);
                let key = format!("page load {n}");
                let options = PublishOptions { except: Some(Except::Client(&key)) };
                w.hub.publish_to(w.now, &[a], &Event::new().data("x"), options).unwrap();
            }
            for c in connections {
                w.hub.disconnect(w.now, c);
            }
            w.hub.close_channel(w.now, a);
            w.actions();
        }
    };
    let mut w = World::new();
    cycle(&mut w, 1);
    let info = measure(|| cycle(&mut w, 3));
    assert!(info.bytes_current.abs() < 8 * 1024, "{info:?}");
}

#[test]
fn u1_a_principal_costs_only_the_connections_that_have_one() {
    const CONNECTIONS: usize = 1 << 13;
    let bytes_of_each = |principal: fn(usize) -> Option<String>, client: fn(usize) -> Option<String>| {
        let mut w = World::new();
        let info = measure(|| {
            for n in 0..CONNECTIONS {
                let [principal, client] = [principal(n), client(n)].map(|word| word.map(Into::into));
                w.connect_with(ConnectionConfig { principal, client, ping: None, ..without_position() });
            }
            w.actions();
        });
        info.bytes_current as usize / CONNECTIONS
    };
    let plain = bytes_of_each(|_| None, |_| None);
    assert!(plain <= 256, "{plain}");
    // The links of one list.
    let of_one = bytes_of_each(|_| Some("user".into()), |_| None);
    assert!(of_one <= plain + 12, "{of_one}, {plain}");
    // A user with one connection each: the links, the number, the name with its place in the index.
    let of_many = bytes_of_each(|n| Some(format!("user {n:05}")), |_| None);
    assert!(of_many <= plain + 96, "{of_many}, {plain}");
    let with_keys = bytes_of_each(|_| None, |n| Some(format!("{n:036}")));
    assert!(with_keys <= plain + 160, "{with_keys}, {plain}");
}
