//! Observability of a shared hub: counters for the `metrics` facade, spans and events for `tracing`.
//!
//! Each is a feature. Without the feature, a file of empty stand-ins takes its place. The rest of the code therefore tests no
//! feature, and the program contains nothing of it.
//!
//! Subscribers and recorders are code of the application, and are called when the lock of the hub is free. A subscriber that
//! publishes events to a channel of the same hub does not deadlock.

#[cfg_attr(not(feature = "metrics"), path = "no_meter.rs")]
mod meter;
#[cfg_attr(not(feature = "tracing"), path = "no_trace.rs")]
mod trace;

use crate::{Action, ChannelId, ConnectError, ConnectionId, Hub, Instant, OpenError, Resume, SubscribeError};

#[cfg(feature = "metrics")]
pub use meter::MetricsConfig;
pub(crate) use meter::Report;
pub(crate) use trace::{ConnectionSpan, DeferredEvent, DeferredEvents, draining, shutting_down};

use meter::{Call, Meter};
use trace::Spans;

/// The observer of one hub. It collects under the lock, and returns what is to be emitted when the lock is free.
#[derive(Default)]
pub(crate) struct Observer {
    spans: Spans,
    meter: Meter,
}

impl Observer {
    /// Observes that a connection was opened or refused.
    #[inline]
    pub(crate) fn connected(
        &mut self,
        span: &ConnectionSpan,
        connected: &Result<ConnectionId, ConnectError>,
    ) {
        match connected {
            Ok(connection) => self.spans.insert(*connection, span),
            Err(_) => self.meter.refused(Call::Connect),
        }
    }

    /// Observes that a channel was opened or refused.
    #[inline]
    pub(crate) fn channel_opened<T>(&mut self, opened: &Result<T, OpenError>) {
        if opened.is_err() {
            self.meter.refused(Call::Open);
        }
    }

    /// Observes that a subscription was made or refused.
    #[inline]
    pub(crate) fn subscribed(
        &mut self,
        hub: &Hub,
        channel: ChannelId,
        connection: ConnectionId,
        resumed: &Result<Resume, SubscribeError>,
    ) -> DeferredEvent {
        if resumed.is_err() {
            self.meter.refused(Call::Subscribe);
        }
        self.spans.subscribed(hub, channel, connection, resumed)
    }

    /// Observes that an outbound was dropped. If the hub had ended the connection before, the driver reports the end.
    #[inline]
    pub(crate) fn outbound_dropped(
        &mut self,
        connection: ConnectionId,
        is_disconnected: bool,
    ) -> DeferredEvent {
        if is_disconnected { self.spans.disconnected(connection) } else { DeferredEvent::default() }
    }

    /// Observes an action of the driver, other than `Action::Transmit`.
    #[inline]
    pub(crate) fn action_polled(&mut self, hub: &Hub, action: Action) -> DeferredEvent {
        self.spans.action_polled(hub, action)
    }

    /// Compares the hub with the last report, after each use of the hub.
    #[inline]
    pub(crate) fn observe_changes(&mut self, hub: &Hub, now: Instant) {
        self.meter.observe_changes(hub, now);
    }

    /// Returns when the driver has to take its next turn, given the deadline of the hub.
    #[inline]
    pub(crate) fn next_wakeup(&self, deadline: Option<Instant>) -> Option<Instant> {
        self.meter.next_wakeup(deadline)
    }

    /// Returns the metrics to record after a turn of the driver.
    #[inline]
    pub(crate) fn report(&mut self, hub: &Hub, now: Instant) -> Report {
        self.meter.report(hub, now)
    }

    /// Returns the metrics to record when the last handle on the hub was dropped.
    #[inline]
    pub(crate) fn last_report(&mut self, hub: &Hub) -> Report {
        self.meter.last_report(hub)
    }
}

/// Emits an event if a channel was refused.
#[inline]
pub(crate) fn channel_opened<T>(name: &str, opened: &Result<T, OpenError>) {
    if let Err(error) = opened {
        trace::open_refused(name, error);
    }
}

#[cfg(all(test, not(feature = "metrics"), not(feature = "tracing")))]
mod tests {
    use core::mem::size_of;

    use super::*;

    #[test]
    fn disabled_features_have_no_state() {
        assert_eq!(size_of::<(Observer, ConnectionSpan, DeferredEvent, DeferredEvents, Report)>(), 0);
    }
}
