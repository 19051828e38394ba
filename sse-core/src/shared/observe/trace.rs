//! Spans and events of connections, for `tracing`. The page of [`shared`](crate::shared) lists them.

use std::string::String;
use std::sync::Arc;
use std::vec::Vec;

use hashbrown::HashMap;
use tracing::field::{Empty, display};
use tracing::level_filters::LevelFilter;
use tracing::{Span, debug, info, info_span, warn};

use crate::{
    Action, ChannelCloseReason, ChannelId, CloseReason, ConnectError, ConnectionConfig, ConnectionId,
    DrainConfig, Hub, LastEventId, OpenError, Position, Resume, SubscribeError, Unwanted,
};

/// The target by which filters select the spans and events.
const TARGET: &str = "sse_core";

/// The spans of the open connections that a subscriber enabled.
///
/// They are shared, because cloning or dropping a [`Span`] calls the subscriber, which must not happen under the lock.
#[derive(Default)]
pub(crate) struct Spans {
    open: HashMap<ConnectionId, Arc<Span>>,
}

/// The span of a connection that is being opened; `None` if no subscriber enabled it.
pub(crate) struct ConnectionSpan {
    span: Option<Arc<Span>>,
}

/// An event that is emitted when the lock is free.
#[derive(Default)]
pub(crate) struct DeferredEvent(Option<(EventScope, EventKind)>);

/// The events of one turn of the driver.
#[derive(Default)]
pub(crate) struct DeferredEvents(Vec<DeferredEvent>);

/// The connection and span of an event.
struct EventScope {
    connection: Option<ConnectionId>,
    span: Option<Arc<Span>>,
}

enum EventKind {
    Subscribed { channel: String, resume: Resume },
    SubscribeRefused { channel: ChannelId, error: SubscribeError },
    Closed(CloseReason),
    TimedOut,
    Lagged { channel: String, lost_through: Position },
    Unwanted { channel: String, why: Unwanted },
    ChannelFinished { channel: String },
    ChannelClosed { channel: ChannelId, reason: ChannelCloseReason },
}

impl Spans {
    pub(crate) fn insert(&mut self, connection: ConnectionId, span: &ConnectionSpan) {
        if let Some(span) = &span.span {
            self.open.insert(connection, Arc::clone(span));
        }
    }

    pub(crate) fn subscribed(
        &self,
        hub: &Hub,
        channel: ChannelId,
        connection: ConnectionId,
        resumed: &Result<Resume, SubscribeError>,
    ) -> DeferredEvent {
        if is_disabled() {
            return DeferredEvent::default();
        }
        let kind = match resumed {
            Ok(resume) => EventKind::Subscribed { channel: channel_name(hub, channel), resume: *resume },
            Err(error) => EventKind::SubscribeRefused { channel, error: error.clone() },
        };
        DeferredEvent(Some((self.scope(connection), kind)))
    }

    pub(crate) fn disconnected(&mut self, connection: ConnectionId) -> DeferredEvent {
        self.closed(connection, CloseReason::Disconnected)
    }

    pub(crate) fn action_polled(&mut self, hub: &Hub, action: Action) -> DeferredEvent {
        if is_disabled() && self.open.is_empty() {
            return DeferredEvent::default();
        }
        let event = match action {
            Action::Transmit(_) => return DeferredEvent::default(),
            Action::Close { connection, reason } => return self.closed(connection, reason),
            Action::TimedOut(connection) => (self.scope(connection), EventKind::TimedOut),
            Action::Lagged { connection, channel, lost_through } => (
                self.scope(connection),
                EventKind::Lagged { channel: channel_name(hub, channel), lost_through },
            ),
            Action::Room(_) => return DeferredEvent::default(),
            Action::Unwanted { channel, why } => {
                let channel = channel_name(hub, channel);
                (EventScope { connection: None, span: None }, EventKind::Unwanted { channel, why })
            }
            Action::ChannelFinished(channel) => {
                let channel = channel_name(hub, channel);
                (EventScope { connection: None, span: None }, EventKind::ChannelFinished { channel })
            }
            Action::ChannelClosed { channel, reason } => {
                (EventScope { connection: None, span: None }, EventKind::ChannelClosed { channel, reason })
            }
        };
        DeferredEvent(Some(event))
    }

    fn closed(&mut self, connection: ConnectionId, reason: CloseReason) -> DeferredEvent {
        let span = self.open.remove(&connection);
        if self.open.is_empty() && self.open.capacity() > 0 {
            self.open = HashMap::new();
        }
        DeferredEvent(Some((EventScope { connection: Some(connection), span }, EventKind::Closed(reason))))
    }

    fn scope(&self, connection: ConnectionId) -> EventScope {
        EventScope { connection: Some(connection), span: self.open.get(&connection).map(Arc::clone) }
    }
}

impl ConnectionSpan {
    pub(crate) fn new(config: &ConnectionConfig) -> ConnectionSpan {
        let span = info_span!(
            target: TARGET,
            "connection",
            connection = Empty,
            last_event_id = config.last_event_id.as_ref().map(displayable),
            channel = Empty,
            reason = Empty,
        );
        ConnectionSpan { span: (!span.is_disabled()).then(|| Arc::new(span)) }
    }

    pub(crate) fn emit(self, connected: &Result<ConnectionId, ConnectError>) {
        let span = self.span.as_deref().unwrap_or(&NO_SPAN);
        match connected {
            Ok(connection) => {
                span.record("connection", display(connection));
                debug!(target: TARGET, parent: span, %connection, "connected");
            }
            Err(error @ ConnectError::ShuttingDown) => {
                debug!(target: TARGET, parent: span, call = "connect", %error, "refused");
            }
            Err(error) => warn!(target: TARGET, parent: span, call = "connect", %error, "refused"),
        }
    }
}

impl DeferredEvent {
    pub(crate) fn emit(self) {
        let Some((EventScope { connection, span }, kind)) = self.0 else { return };
        let span = span.as_deref().unwrap_or(&NO_SPAN);
        let connection = connection.map(display);
        match kind {
            EventKind::Subscribed { channel, resume } => {
                span.record("channel", channel.as_str());
                let channel = channel.as_str();
                match resume {
                    Resume::Gap { lost_through, events } => {
                        info!(target: TARGET, parent: span, connection, channel, %lost_through, events, "gap");
                    }
                    Resume::Unknown => {
                        info!(target: TARGET, parent: span, connection, channel, "unknown last event id");
                    }
                    Resume::Replayed { events } => {
                        debug!(target: TARGET, parent: span, connection, channel, events, "followed");
                    }
                    Resume::Fresh | Resume::UpToDate | Resume::Finished => {
                        debug!(target: TARGET, parent: span, connection, channel, "followed");
                    }
                }
            }
            EventKind::SubscribeRefused { channel, error } => match error {
                SubscribeError::TooManySubscriptions { .. } | SubscribeError::TooManyMembers { .. } => {
                    warn!(target: TARGET, parent: span, connection, %channel, call = "subscribe", %error, "refused");
                }
                SubscribeError::UnknownConnection(_)
                | SubscribeError::UnknownChannel(_)
                | SubscribeError::ChannelClosed { .. }
                | SubscribeError::OtherHub { .. }
                | SubscribeError::Closing(_) => {
                    debug!(target: TARGET, parent: span, connection, %channel, call = "subscribe", %error, "refused");
                }
            },
            EventKind::Closed(reason) => {
                span.record("reason", reason.as_str());
                let reason = reason.as_str();
                match reason {
                    "stalled" | "lagged" => info!(target: TARGET, parent: span, connection, reason, "closed"),
                    _ => debug!(target: TARGET, parent: span, connection, reason, "closed"),
                }
            }
            EventKind::TimedOut => debug!(target: TARGET, parent: span, connection, "timed out"),
            EventKind::Lagged { channel, lost_through } => {
                let channel = channel.as_str();
                info!(target: TARGET, parent: span, connection, channel, %lost_through, "lagged");
            }
            EventKind::Unwanted { channel, why } => {
                debug!(target: TARGET, parent: span, channel, ?why, "unwanted");
            }
            EventKind::ChannelFinished { channel } => {
                debug!(target: TARGET, parent: span, channel, "channel finished");
            }
            EventKind::ChannelClosed { channel, reason } => {
                debug!(target: TARGET, parent: span, %channel, ?reason, "channel closed");
            }
        }
    }
}

impl DeferredEvents {
    pub(crate) fn add(&mut self, event: DeferredEvent) {
        self.0.push(event);
    }

    pub(crate) fn emit(&mut self) {
        self.0.drain(..).for_each(DeferredEvent::emit);
    }
}

impl core::fmt::Debug for DeferredEvents {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_tuple("DeferredEvents").field(&self.0.len()).finish()
    }
}

pub(crate) fn open_refused(channel: &str, error: &OpenError) {
    let bytes = channel.len();
    match error {
        // The caller decides how long the name is.
        OpenError::NameTooLong { .. } => {
            warn!(target: TARGET, parent: None, call = "open", bytes, %error, "refused");
        }
        _ => warn!(target: TARGET, parent: None, channel, call = "open", %error, "refused"),
    }
}

pub(crate) fn draining(drain: &DrainConfig) {
    info!(target: TARGET, over = ?drain.over, within = ?drain.within, retry = ?drain.retry, "draining");
}

pub(crate) fn shutting_down() {
    info!(target: TARGET, "shutting down");
}

/// The parent of events without a span.
static NO_SPAN: Span = Span::none();

/// Returns whether no subscriber is interested in anything.
fn is_disabled() -> bool {
    LevelFilter::current() == LevelFilter::OFF
}

fn channel_name(hub: &Hub, channel: ChannelId) -> String {
    hub.channel_name(channel).map(String::from).unwrap_or_default()
}

/// Returns the last event id for the span, if it is text.
fn displayable(id: &LastEventId) -> &str {
    id.as_str().unwrap_or("(unusable)")
}
