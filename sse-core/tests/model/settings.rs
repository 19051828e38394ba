//! Configuration of hubs, connections and channels, made from small numbers.

use std::num::NonZeroUsize;
use std::time::Duration;

use sse_core::{
    BacklogConfig, ChannelConfig, ConnectionConfig, Event, Frame, GapPolicy, HistoryConfig, HubConfig,
    IdSource, LagPolicy, LastEventId, Limits, OnClose, OnMaxLifetime, Position, PositionSource, StartFrom,
};

use super::naive::EPOCH;
use super::op::{ChannelSetup, ConnectionSetup, HubSetup, LastId, Limit};

/// Durations that are zero, equal, far apart, and too long for any clock.
pub(crate) fn time(number: u8) -> Duration {
    const MS: Duration = Duration::from_millis(1);
    let times = [
        Duration::ZERO,
        Duration::from_nanos(1),
        MS,
        MS * 2,
        MS * 3,
        MS * 10,
        MS * 1_000,
        MS * 30_000,
        MS * 50_000,
        MS * 3_600_000,
        Duration::from_nanos(u64::MAX),
        Duration::MAX,
    ];
    times[usize::from(number) % times.len()]
}

fn limit(limit: Limit, otherwise: usize) -> usize {
    limit.map_or(otherwise, |limit| usize::from(limit % 5))
}

pub(crate) fn hub(setup: &HubSetup) -> HubConfig {
    // The largest value selects a hub that has only three positions left.
    let after = if setup.after == u8::MAX { u64::MAX - 3 } else { u64::from(setup.after) };
    let after = Position::new(after);
    let all = Limits::default();
    HubConfig {
        epoch: EPOCH.into(),
        positions: match (setup.external, setup.log) {
            (true, false) => PositionSource::External { after },
            (true, true) => PositionSource::Log { after },
            (false, _) => PositionSource::Local { after },
        },
        seed: u64::from(setup.seed),
        stall_timeout: setup.stall.map(time),
        limits: Limits {
            connections: limit(setup.connections, all.connections),
            channels: limit(setup.channels, all.channels),
            subscriptions: limit(setup.subscriptions, all.subscriptions),
            members: limit(setup.members, all.members),
            event_bytes: setup.event_bytes.map_or(all.event_bytes, usize::from),
            per_principal: limit(setup.per_principal, all.per_principal),
            history_bytes: setup.history_bytes.map_or(all.history_bytes, |bytes| usize::from(bytes) * 8),
        },
        ..HubConfig::default()
    }
}

pub(crate) fn connection(client: &ConnectionSetup, head: u64) -> ConnectionConfig {
    ConnectionConfig {
        last_event_id: last_event_id(client.id, head),
        ping: client.ping.map(time),
        max_lifetime: client.timeout.map(time),
        on_max_lifetime: if client.reports_lifetime { OnMaxLifetime::Report } else { OnMaxLifetime::Close },
        announce_position: !client.without_position,
        farewell: client.has_farewell.then(farewell),
        direct_bytes: client.direct_bytes.map_or(1 << 20, usize::from),
        principal: client.principal.map(principal),
        client: client.client.map(client_key),
    }
}

/// Returns the last frame of a connection.
pub(crate) fn farewell() -> Frame {
    Event::new().data("bye").encode().expect("a valid event")
}

/// Returns one of a few principals.
pub(crate) fn principal(number: u8) -> Box<str> {
    format!("user {}", number % 3).into()
}

/// Returns one of a few client keys.
pub(crate) fn client_key(number: u8) -> Box<str> {
    format!("key {}", number % 3).into()
}

pub(crate) fn last_event_id(last: LastId, head: u64) -> Option<LastEventId> {
    let text = match last {
        LastId::None => return None,
        LastId::Behind(steps) => format!("{EPOCH}-{}", head.saturating_sub(u64::from(steps))),
        LastId::Beyond(steps) => format!("{EPOCH}-{}", head.saturating_add(u64::from(steps) + 1)),
        LastId::Application(number) => application_id(number),
        LastId::Invalid(number) => {
            let values: [&[u8]; 10] = [
                b"",
                b"\xff\xfe",
                b"a\nb",
                b"a\0",
                b" a",
                &[b'x'; 1025],
                b"e-",
                b"e-007",
                b"e-18446744073709551616",
                b"f-1",
            ];
            return LastEventId::new(values[usize::from(number) % values.len()]);
        }
    };
    LastEventId::new(text.as_bytes())
}

/// Returns one of a few ids of the application.
pub(crate) fn application_id(number: u8) -> String {
    format!("own{}", number % 6)
}

pub(crate) fn channel(log: &ChannelSetup) -> ChannelConfig {
    ChannelConfig {
        history: HistoryConfig {
            events: log.events.map_or(500, |events| usize::from(events % 5)),
            bytes: log.bytes.map(usize::from),
            age: log.age.map(time),
        },
        backlog: BacklogConfig {
            frames: log.backlog_frames.map_or(NonZeroUsize::MIN.saturating_add(999), |more| {
                NonZeroUsize::MIN.saturating_add(usize::from(more % 4))
            }),
            bytes: log.backlog_bytes.map_or(1 << 20, usize::from),
        },
        ids: if log.application_ids { IdSource::Application } else { IdSource::Hub },
        start: match log.start % 6 {
            0 => StartFrom::Live,
            1 => StartFrom::All,
            5 => StartFrom::Beginning,
            events => StartFrom::Last(usize::from(events) - 2),
        },
        on_gap: [GapPolicy::Reset, GapPolicy::Kept, GapPolicy::Live][usize::from(log.on_gap % 3)],
        on_lag: if log.skips { LagPolicy::Skip } else { LagPolicy::Close },
        empty_timeout: log.empty_timeout.map(time),
        unwanted_after: log.unwanted_after.map(time),
        linger: log.linger.map(time),
        ahead: log.ahead.map(usize::from),
        on_close: if log.closes_connections { OnClose::CloseConnections } else { OnClose::Unsubscribe },
    }
}
