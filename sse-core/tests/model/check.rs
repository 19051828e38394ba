//! What has to hold after every step, whatever was done.

use std::collections::BTreeSet;

use sse_core::ConnectionId;

use super::naive::State;
use super::side::Side;

pub(crate) fn after_step(side: &mut Side) {
    side.model.forget_stale_notices();
    let side = &*side;
    assert_eq!(side.hub.stats(), side.model.stats(), "A3");
    assert_eq!(side.hub.head().get(), side.model.head);
    (0..side.model.conns.len()).for_each(|conn| connection(side, conn));
    (0..side.model.chans.len()).for_each(|chan| channel(side, chan));
    let open: BTreeSet<ConnectionId> = side.hub.connections().collect();
    let alive = side.model.conns.iter().filter(|conn| conn.is_alive).map(|conn| conn.id);
    assert_eq!(open, alive.collect());
    pending(side);
}

/// D2: while something is pending, and when a deadline has come, the driver does not sleep.
fn pending(side: &Side) {
    let (timeout, now) = (side.hub.poll_timeout(), side.model.now);
    if !side.model.notices.is_empty() || !side.model.unnamed().is_empty() {
        assert!(timeout.is_some_and(|at| at <= now), "D2: {timeout:?} at {now:?}");
    }
    if let Some(first) = side.model.deadlines().into_iter().min() {
        assert!(timeout.is_some_and(|at| at <= first.max(now)), "D2: {timeout:?} for {first:?}");
    }
}

fn connection(side: &Side, conn: usize) {
    let (c, id) = (&side.model.conns[conn], side.id(conn));
    assert_eq!(side.hub.is_connection_open(id), c.is_alive, "{id}");
    let followed: Vec<_> = side.hub.subscriptions(id).collect();
    let expected: Vec<_> = c.subs.iter().map(|sub| side.model.chans[sub.chan].id).collect();
    assert_eq!(followed, if c.is_alive { expected } else { vec![] });
    let origin = side.hub.connection_origin(id).map(|(at, last)| (at, last.cloned()));
    assert_eq!(origin, c.is_alive.then(|| (c.opened_at, c.config.last_event_id.clone())));
}

fn channel(side: &Side, chan: usize) {
    let channel = &side.model.chans[chan];
    let is_open = channel.state == State::Open;
    assert_eq!(side.hub.channel_name(channel.id), is_open.then_some(channel.name.as_str()));
    if is_open {
        assert_eq!(side.hub.channel(&channel.name), Some(channel.id));
    }
    let members: BTreeSet<ConnectionId> = side.hub.members(channel.id).collect();
    let expected: BTreeSet<ConnectionId> = side.model.members(chan).map(|(conn, _)| side.id(conn)).collect();
    assert_eq!(members, expected);
    let Some(stats) = side.hub.channel_stats(channel.id) else {
        return assert_eq!(channel.state, State::Gone);
    };
    assert_ne!(channel.state, State::Gone);
    let backlog = side.model.backlog(chan);
    let bytes: usize = backlog.iter().map(|event| event.wire.len()).sum();
    assert_eq!(stats.members, expected.len());
    assert_eq!(
        (stats.history_events, stats.history_bytes),
        (channel.history().count(), channel.history_bytes())
    );
    assert_eq!(stats.floor.get(), channel.floor(), "H5");
    assert_eq!((stats.backlog_frames, stats.backlog_bytes), (backlog.len(), bytes), "S1");
    let limits = &channel.config;
    assert!(stats.history_events <= limits.history.events);
    assert!(limits.history.bytes.is_none_or(|limit| stats.history_bytes <= limit));
    assert!(stats.backlog_frames <= limits.backlog.frames.get());
    assert!(stats.backlog_frames <= 1 || stats.backlog_bytes <= limits.backlog.bytes);
}
