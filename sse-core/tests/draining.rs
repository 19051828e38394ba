//! The end of all connections: A2.

mod common;

use std::time::Duration;

use common::World;
use sse_core::{Action, CloseReason, ConnectError, ConnectionConfig, ConnectionId, DrainConfig, Instant};

const SECOND: Duration = Duration::from_secs(1);

fn spread() -> DrainConfig {
    DrainConfig { over: SECOND * 10, within: SECOND * 30, retry: Some((SECOND * 2, SECOND * 5)) }
}

/// Drives until nothing is left to do, with peers that read or do not; returns who was closed when, and what they read.
fn drive(world: &mut World, reads: bool) -> Vec<(ConnectionId, Instant, CloseReason, String)> {
    let mut read = std::collections::HashMap::<ConnectionId, String>::new();
    let mut ended = Vec::new();
    for _ in 0..100_000 {
        world.hub.handle_timeout(world.now);
        while let Some(action) = world.hub.poll_action() {
            match action {
                Action::Transmit(connection) if reads => {
                    let taken = world.take(connection);
                    read.entry(connection).or_default().push_str(&taken);
                }
                Action::Close { connection, reason } => {
                    ended.push((connection, world.now, reason, read.remove(&connection).unwrap_or_default()));
                }
                _ => {}
            }
        }
        match world.hub.poll_timeout() {
            Some(at) => world.now = world.now.max(at),
            None => return ended,
        }
    }
    panic!("the drain does not end");
}

#[test]
fn a2_each_connection_is_closed_at_a_moment_of_its_own_and_told_when_to_come_back() {
    let mut w = World::new();
    let channel = w.open("a");
    for _ in 0..100 {
        let connection = w.connect();
        w.subscribe(channel, connection);
    }
    w.publish(channel, "the last");
    w.hub.drain(w.now, spread());
    w.hub.close_channel(w.now, channel);
    let ended = drive(&mut w, true);
    assert_eq!(ended.len(), 100);
    let mut moments: Vec<_> = ended.iter().map(|(_, at, ..)| at.as_nanos()).collect();
    moments.dedup();
    assert_eq!(moments.len(), 100, "no two at once");
    assert!(moments.iter().all(|at| *at < 10_000_000_000), "all within the time");
    let mut retries = std::collections::HashSet::new();
    for (_, _, reason, read) in &ended {
        assert_eq!(*reason, CloseReason::ShuttingDown);
        let retry =
            read.strip_prefix("id: e-1\ndata: the last\n\nretry: ").expect("what was due comes first");
        let millis: u64 = retry.strip_suffix("\n\n").unwrap().parse().unwrap();
        assert!((2000..=5000).contains(&millis), "{millis}");
        retries.insert(millis);
    }
    assert!(retries.len() > 50, "the times are spread: {}", retries.len());
    assert_eq!(w.hub.stats().closed.shutting_down, 100);
}

#[test]
fn a2_no_new_connections_are_taken() {
    let mut w = World::new();
    w.hub.drain(w.now, spread());
    let refused = w.hub.connect(w.now, ConnectionConfig::default());
    assert_eq!(refused, Err(ConnectError::ShuttingDown));
}

#[test]
fn a2_it_is_over_at_the_deadline_although_peers_do_not_read() {
    let mut w = World::new();
    for _ in 0..10 {
        w.connect();
    }
    let started = w.now;
    w.hub.drain(w.now, DrainConfig { within: SECOND * 12, ..spread() });
    let ended = drive(&mut w, false);
    assert_eq!(ended.len(), 10);
    for (connection, at, ..) in ended {
        assert!(at <= started.saturating_add(SECOND * 12), "{connection} at {at:?}");
    }
    assert_eq!(w.hub.poll_timeout(), None);
}

#[test]
fn a2_a_full_connection_is_told_too() {
    let mut w = World::new();
    let config =
        ConnectionConfig { direct_bytes: 0, announce_position: false, ..ConnectionConfig::default() };
    w.connect_with(config);
    w.hub.drain(w.now, spread());
    let ended = drive(&mut w, true);
    assert!(ended[0].3.starts_with("retry: "), "{ended:?}");
}

#[test]
fn a2_the_start_touches_no_connection_and_a_turn_is_bounded() {
    let mut w = World::new();
    for _ in 0..5_000 {
        w.connect();
    }
    w.actions();
    w.hub.shut_down(w.now);
    assert_eq!(w.hub.stats().connections, 5_000);
    w.hub.handle_timeout(w.now);
    assert!(w.hub.poll_timeout() <= Some(w.now), "more is to be done");
    assert!(w.hub.stats().connections > 3_000, "{}", w.hub.stats().connections);
    assert_eq!(drive(&mut w, true).len(), 5_000);
}

#[test]
fn a2_a_second_drain_may_be_in_more_haste() {
    let mut w = World::new();
    for _ in 0..10 {
        w.connect();
    }
    w.hub.drain(w.now, DrainConfig { over: SECOND * 3600, within: SECOND * 3600, retry: None });
    w.hub.handle_timeout(w.now);
    w.hub.drain(w.now, DrainConfig { over: SECOND, within: SECOND * 2, retry: None });
    let ended = drive(&mut w, false);
    assert_eq!(ended.len(), 10);
    assert!(ended.iter().all(|(_, at, ..)| *at <= Instant::from_millis(2000)), "{ended:?}");
}

#[test]
fn a2_a_shut_down_lasts_for_the_stall_timeout_and_sends_no_retry() {
    let mut w = World::new();
    let channel = w.open("a");
    let (reader, stalled) = (w.follow(channel), w.follow(channel));
    w.publish(channel, "the last");
    w.hub.shut_down(w.now);
    w.hub.handle_timeout(w.now);
    assert_eq!(w.take(reader), "id: e-1\ndata: the last\n\n");
    assert_eq!(w.ends(), [(reader, CloseReason::ShuttingDown)]);
    assert_eq!(common::ends(&w.pass(SECOND * 30 - Duration::from_nanos(1))), []);
    assert_eq!(common::ends(&w.pass(Duration::from_nanos(1))), [(stalled, CloseReason::Stalled)]);
}
