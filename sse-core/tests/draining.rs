//! The end of all connections: A2.

mod common;

use std::time::Duration;

use common::World;
use sse_core::{Action, CloseReason, ConnectError, ConnectionConfig, ConnectionId, DrainConfig, Instant};

const SECOND: Duration = Duration::from_secs(1);

fn drain_config() -> DrainConfig {
    DrainConfig { over: SECOND * 10, within: SECOND * 30, retry: Some((SECOND * 2, SECOND * 5)) }
}

/// Drives a hub until nothing is left to do. Peers take bytes only if `reads` is set. Returns each closed connection with
/// its instant, its reason and the bytes taken.
fn run_drain(world: &mut World, reads: bool) -> Vec<(ConnectionId, Instant, CloseReason, String)> {
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
fn a2_each_connection_has_its_own_closing_moment_and_retry_time() {
    let mut w = World::new();
    let channel = w.open("a");
    for _ in 0..100 {
        let connection = w.connect();
        w.subscribe(channel, connection);
    }
    w.publish(channel, "the last");
    w.hub.drain(w.now, drain_config());
    w.hub.close_channel(w.now, channel);
    let ended = run_drain(&mut w, true);
    assert_eq!(ended.len(), 100);
    let mut moments: Vec<_> = ended.iter().map(|(_, at, ..)| at.as_nanos()).collect();
    moments.dedup();
    assert_eq!(moments.len(), 100, "no two connections close at one instant");
    assert!(moments.iter().all(|at| *at < 10_000_000_000), "all connections close within the spread");
    let mut retries = std::collections::HashSet::new();
    for (_, _, reason, read) in &ended {
        assert_eq!(*reason, CloseReason::ShuttingDown);
        let retry = read
            .strip_prefix("id: e-1\ndata: the last\n\nretry: ")
            .expect("pending events come before the retry");
        let millis: u64 = retry.strip_suffix("\n").unwrap().parse().unwrap();
        assert!((2000..=5000).contains(&millis), "{millis}");
        retries.insert(millis);
    }
    assert!(retries.len() > 50, "the times are spread: {}", retries.len());
    assert_eq!(w.hub.stats().closed.shutting_down, 100);
}

#[test]
fn a2_by_default_a_drain_closes_within_10_seconds_and_ends_after_30() {
    let expected = DrainConfig { over: SECOND * 10, within: SECOND * 30, retry: Some((SECOND, SECOND * 10)) };
    assert_eq!(DrainConfig::default(), expected);
}

#[test]
fn a2_new_connections_are_refused_during_a_drain() {
    let mut w = World::new();
    w.hub.drain(w.now, drain_config());
    let refused = w.hub.connect(w.now, ConnectionConfig::default());
    assert_eq!(refused, Err(ConnectError::ShuttingDown));
}

#[test]
fn a2_a_drain_is_over_at_its_deadline_even_if_peers_do_not_read() {
    let mut w = World::new();
    for _ in 0..10 {
        w.connect();
    }
    let started = w.now;
    w.hub.drain(w.now, DrainConfig { within: SECOND * 12, ..drain_config() });
    let ended = run_drain(&mut w, false);
    assert_eq!(ended.len(), 10);
    for (connection, at, ..) in ended {
        assert!(at <= started.saturating_add(SECOND * 12), "{connection} at {at:?}");
    }
    assert_eq!(w.hub.poll_timeout(), None);
}

#[test]
fn a2_the_retry_is_sent_even_if_the_bound_on_direct_sends_is_reached() {
    let mut w = World::new();
    let config =
        ConnectionConfig { direct_bytes: 0, announce_position: false, ..ConnectionConfig::default() };
    w.connect_with(config);
    w.hub.drain(w.now, drain_config());
    let ended = run_drain(&mut w, true);
    assert!(ended[0].3.starts_with("retry: "), "{ended:?}");
}

#[test]
fn a2_starting_a_drain_touches_no_connection_and_one_call_closes_at_most_1024() {
    let mut w = World::new();
    for _ in 0..5_000 {
        w.connect();
    }
    w.actions();
    w.hub.shut_down(w.now);
    assert_eq!(w.hub.stats().connections, 5_000);
    w.hub.handle_timeout(w.now);
    assert!(w.hub.poll_timeout() <= Some(w.now), "work is left");
    assert_eq!(w.hub.stats().connections, 5_000 - 1_024);
    assert_eq!(run_drain(&mut w, true).len(), 5_000);
}

#[test]
fn a2_a_second_drain_can_shorten_the_deadline() {
    let mut w = World::new();
    for _ in 0..10 {
        w.connect();
    }
    w.hub.drain(w.now, DrainConfig { over: SECOND * 3600, within: SECOND * 3600, retry: None });
    w.hub.handle_timeout(w.now);
    w.hub.drain(w.now, DrainConfig { over: SECOND, within: SECOND * 2, retry: None });
    let ended = run_drain(&mut w, false);
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
    assert_eq!(w.close_reasons(), [(reader, CloseReason::ShuttingDown)]);
    assert_eq!(common::close_reasons(&w.run_for(SECOND * 30 - Duration::from_nanos(1))), []);
    assert_eq!(common::close_reasons(&w.run_for(Duration::from_nanos(1))), [(stalled, CloseReason::Stalled)]);
}
