//! What operators see of a shared hub: counters for the `metrics` facade, spans and events for `tracing`.
//!
//! Each is a feature. Without it a file of empty stand-ins takes its place, so that the rest of the code asks for no
//! feature, and nothing is left of it in the program.
//!
//! Subscribers and recorders are the application's code: they are called when the hub's lock is free. One that
//! publishes what it is told to a channel of the same hub is no deadlock.

#[cfg_attr(not(feature = "metrics"), path = "no_meter.rs")]
mod meter;
#[cfg_attr(not(feature = "tracing"), path = "no_trace.rs")]
mod trace;

use crate::{Action, ChannelId, ConnectError, ConnectionId, Hub, Instant, OpenError, Resume, SubscribeError};

#[cfg(feature = "metrics")]
pub use meter::MetricsConfig;
pub(crate) use meter::Report;
pub(crate) use trace::{Note, Notes, Opening, draining, shutting_down};

use meter::{Call, Meter};
use trace::Spans;

/// What is observed of one hub, under its lock. What is to be told of it is told when the lock is free.
#[derive(Default)]
pub(crate) struct Observer {
    spans: Spans,
    meter: Meter,
}

impl Observer {
    /// A connection was opened, or refused.
    #[inline]
    pub(crate) fn connected(&mut self, opening: &Opening, connected: &Result<ConnectionId, ConnectError>) {
        match connected {
            Ok(connection) => self.spans.insert(*connection, opening),
            Err(_) => self.meter.refused(Call::Connect),
        }
    }

    /// A channel was opened, or refused.
    #[inline]
    pub(crate) fn opened<T>(&mut self, opened: &Result<T, OpenError>) {
        if opened.is_err() {
            self.meter.refused(Call::Open);
        }
    }

    /// A connection was to follow a channel.
    #[inline]
    pub(crate) fn followed(
        &mut self,
        hub: &Hub,
        channel: ChannelId,
        connection: ConnectionId,
        resumed: &Result<Resume, SubscribeError>,
    ) -> Note {
        if resumed.is_err() {
            self.meter.refused(Call::Subscribe);
        }
        self.spans.followed(hub, channel, connection, resumed)
    }

    /// The transport of a connection went. Where the hub had ended it, the driver is told why.
    #[inline]
    pub(crate) fn left(&mut self, connection: ConnectionId, is_disconnected: bool) -> Note {
        if is_disconnected { self.spans.disconnected(connection) } else { Note::default() }
    }

    /// The driver was given an action, which is none that says that there are bytes.
    #[inline]
    pub(crate) fn acted(&mut self, hub: &Hub, action: Action) -> Note {
        self.spans.acted(hub, action)
    }

    /// Something was done to the hub.
    #[inline]
    pub(crate) fn worked(&mut self, hub: &Hub, now: Instant) {
        self.meter.worked(hub, now);
    }

    /// When the driver has to take a turn, if the hub has it take one at `due`.
    #[inline]
    pub(crate) fn next_turn(&self, due: Option<Instant>) -> Option<Instant> {
        self.meter.next_turn(due)
    }

    /// What there is to be counted after a turn of the driver.
    #[inline]
    pub(crate) fn report(&mut self, hub: &Hub, now: Instant) -> Report {
        self.meter.report(hub, now)
    }

    /// What there is to be counted when the last handle on the hub is gone.
    #[inline]
    pub(crate) fn last_report(&mut self, hub: &Hub) -> Report {
        self.meter.last_report(hub)
    }
}

/// A channel was opened, or refused.
#[inline]
pub(crate) fn opened<T>(name: &str, opened: &Result<T, OpenError>) {
    if let Err(error) = opened {
        trace::open_refused(name, error);
    }
}

#[cfg(all(test, not(feature = "metrics"), not(feature = "tracing")))]
mod tests {
    use core::mem::size_of;

    use super::*;

    #[test]
    fn what_is_off_has_no_bytes() {
        assert_eq!(size_of::<(Observer, Opening, Note, Notes, Report)>(), 0);
    }
}
