//! Invariants that hold after every step.

use std::collections::BTreeSet;

use sse_core::ConnectionId;

use super::harness::Harness;
use super::naive::State;

pub(crate) fn after_step(harness: &mut Harness) {
    harness.model.drop_stale_actions();
    let harness = &*harness;
    assert_eq!(harness.hub.stats(), harness.model.stats(), "A3");
    assert_eq!(harness.hub.head().get(), harness.model.head);
    (0..harness.model.conns.len()).for_each(|conn| connection(harness, conn));
    (0..harness.model.chans.len()).for_each(|chan| channel(harness, chan));
    let open: BTreeSet<ConnectionId> = harness.hub.connections().collect();
    let alive = harness.model.conns.iter().filter(|conn| conn.is_alive).map(|conn| conn.id);
    assert_eq!(open, alive.collect());
    harness.check_principals();
    pending(harness);
}

/// Checks that the driver does not sleep while work is pending or after a deadline has passed (D2).
fn pending(harness: &Harness) {
    let (timeout, now) = (harness.hub.poll_timeout(), harness.model.now);
    if !harness.model.actions.is_empty() || !harness.model.unreported().is_empty() {
        assert!(timeout.is_some_and(|at| at <= now), "D2: {timeout:?} at {now:?}");
    }
    if let Some(first) = harness.model.deadlines().into_iter().min() {
        assert!(timeout.is_some_and(|at| at <= first.max(now)), "D2: {timeout:?} for {first:?}");
    }
}

fn connection(harness: &Harness, conn: usize) {
    let (c, id) = (&harness.model.conns[conn], harness.id(conn));
    assert_eq!(harness.hub.is_connection_open(id), c.is_alive, "{id}");
    assert_eq!(harness.hub.is_over(id), harness.model.is_over(conn), "K6: {id}");
    let followed: Vec<_> = harness.hub.subscriptions(id).collect();
    let expected: Vec<_> = c.subs.iter().map(|sub| harness.model.chans[sub.chan].id).collect();
    assert_eq!(followed, if c.is_alive { expected } else { vec![] });
    let origin = harness.hub.connection_origin(id).map(|(at, last)| (at, last.cloned()));
    assert_eq!(origin, c.is_alive.then(|| (c.opened_at, c.config.last_event_id.clone())));
}

fn channel(harness: &Harness, chan: usize) {
    let channel = &harness.model.chans[chan];
    let is_open = channel.state == State::Open;
    assert_eq!(harness.hub.channel_name(channel.id), is_open.then_some(channel.name.as_str()));
    assert_eq!(harness.hub.unwanted(channel.id), harness.model.unwanted(chan), "P1");
    assert_eq!(harness.hub.is_stopped(channel.id), is_open && channel.is_stopped, "P2");
    assert_eq!(harness.hub.is_finished(channel.id), is_open && channel.is_finished, "K4");
    if !harness.model.is_external {
        let end = harness.model.ended_names.get(&channel.name).copied();
        assert_eq!(harness.hub.ended(&channel.name).map(|end| end.get()), end, "K7");
    }
    if is_open {
        assert_eq!(harness.hub.channel(&channel.name), Some(channel.id));
    }
    let members: BTreeSet<ConnectionId> = harness.hub.members(channel.id).collect();
    let expected: BTreeSet<ConnectionId> =
        harness.model.members(chan).map(|(conn, _)| harness.id(conn)).collect();
    assert_eq!(members, expected);
    let Some(stats) = harness.hub.channel_stats(channel.id) else {
        return assert_eq!(channel.state, State::Gone);
    };
    assert_ne!(channel.state, State::Gone);
    let backlog = harness.model.backlog(chan);
    let bytes: usize = backlog.iter().map(|event| event.wire.len()).sum();
    assert_eq!(stats.members, expected.len());
    assert_eq!(
        (stats.history_events, stats.history_bytes),
        (channel.history().count(), channel.history_bytes())
    );
    assert_eq!(stats.floor.get(), channel.floor(), "H5");
    assert_eq!((stats.backlog_frames, stats.backlog_bytes), (backlog.len(), bytes), "S1");
    assert_eq!((stats.retained_frames, stats.retained_bytes), channel.retained(), "H6");
    let limits = &channel.config;
    assert!(stats.history_events <= limits.history.events);
    assert!(limits.history.bytes.is_none_or(|limit| stats.history_bytes <= limit));
    assert!(stats.backlog_frames <= limits.backlog.frames.get());
    assert!(stats.backlog_frames <= 1 || stats.backlog_bytes <= limits.backlog.bytes);
}
