//! What happens to connections, for `tracing`. The page of [`shared`](crate::shared) lists it.

use std::string::String;
use std::sync::Arc;
use std::vec::Vec;

use hashbrown::HashMap;
use tracing::field::{Empty, display};
use tracing::level_filters::LevelFilter;
use tracing::{Span, debug, info, info_span, warn};

use crate::{
    Action, ChannelCloseReason, ChannelId, CloseReason, ConnectError, ConnectionConfig, ConnectionId,
    DrainConfig, Hub, LastEventId, OpenError, Position, Resume, SubscribeError,
};

/// What filters know it by.
const TARGET: &str = "sse_core";

/// The spans of the connections, as far as anybody wants them.
///
/// They are shared: to clone or drop a [`Span`] is the subscriber's work, which is not done under the hub's lock.
#[derive(Default)]
pub(crate) struct Spans {
    open: HashMap<ConnectionId, Arc<Span>>,
}

/// The span of a connection that is being opened; `None` if nobody wants it.
pub(crate) struct Opening {
    span: Option<Arc<Span>>,
}

/// What is to be told when the lock is free.
#[derive(Default)]
pub(crate) struct Note(Option<(Subject, What)>);

/// Several of them.
#[derive(Default)]
pub(crate) struct Notes(Vec<Note>);

/// Which connection it is about.
struct Subject {
    connection: Option<ConnectionId>,
    span: Option<Arc<Span>>,
}

enum What {
    Followed { channel: String, resume: Resume },
    NotFollowed { channel: ChannelId, error: SubscribeError },
    Ended(CloseReason),
    TimedOut,
    Lagged { channel: String, lost_through: Position },
    ChannelClosed { channel: ChannelId, reason: ChannelCloseReason },
}

impl Spans {
    pub(crate) fn insert(&mut self, connection: ConnectionId, opening: &Opening) {
        if let Some(span) = &opening.span {
            self.open.insert(connection, Arc::clone(span));
        }
    }

    pub(crate) fn followed(
        &self,
        hub: &Hub,
        channel: ChannelId,
        connection: ConnectionId,
        resumed: &Result<Resume, SubscribeError>,
    ) -> Note {
        if is_off() {
            return Note::default();
        }
        let what = match *resumed {
            Ok(resume) => What::Followed { channel: name(hub, channel), resume },
            Err(error) => What::NotFollowed { channel, error },
        };
        Note(Some((self.subject(connection), what)))
    }

    pub(crate) fn disconnected(&mut self, connection: ConnectionId) -> Note {
        self.ended(connection, CloseReason::Disconnected)
    }

    pub(crate) fn acted(&mut self, hub: &Hub, action: Action) -> Note {
        if is_off() && self.open.is_empty() {
            return Note::default();
        }
        let note = match action {
            Action::Transmit(_) => return Note::default(),
            Action::Close { connection, reason } => return self.ended(connection, reason),
            Action::TimedOut(connection) => (self.subject(connection), What::TimedOut),
            Action::Lagged { connection, channel, lost_through } => {
                (self.subject(connection), What::Lagged { channel: name(hub, channel), lost_through })
            }
            Action::ChannelClosed { channel, reason } => {
                (Subject { connection: None, span: None }, What::ChannelClosed { channel, reason })
            }
        };
        Note(Some(note))
    }

    fn ended(&mut self, connection: ConnectionId, reason: CloseReason) -> Note {
        let span = self.open.remove(&connection);
        if self.open.is_empty() && self.open.capacity() > 0 {
            self.open = HashMap::new();
        }
        Note(Some((Subject { connection: Some(connection), span }, What::Ended(reason))))
    }

    fn subject(&self, connection: ConnectionId) -> Subject {
        Subject { connection: Some(connection), span: self.open.get(&connection).map(Arc::clone) }
    }
}

impl Opening {
    pub(crate) fn new(config: &ConnectionConfig) -> Opening {
        let span = info_span!(
            target: TARGET,
            "connection",
            connection = Empty,
            last_event_id = config.last_event_id.as_ref().map(usable),
            channel = Empty,
            reason = Empty,
        );
        Opening { span: (!span.is_disabled()).then(|| Arc::new(span)) }
    }

    pub(crate) fn tell(self, connected: &Result<ConnectionId, ConnectError>) {
        let span = self.span.as_deref().unwrap_or(&NOBODYS);
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

impl Note {
    pub(crate) fn tell(self) {
        let Some((Subject { connection, span }, what)) = self.0 else { return };
        let span = span.as_deref().unwrap_or(&NOBODYS);
        let connection = connection.map(display);
        match what {
            What::Followed { channel, resume } => {
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
                    Resume::Fresh | Resume::UpToDate => {
                        debug!(target: TARGET, parent: span, connection, channel, "followed");
                    }
                }
            }
            What::NotFollowed { channel, error } => match error {
                SubscribeError::TooManySubscriptions { .. } | SubscribeError::TooManyMembers { .. } => {
                    warn!(target: TARGET, parent: span, connection, %channel, call = "subscribe", %error, "refused");
                }
                SubscribeError::UnknownConnection(_)
                | SubscribeError::UnknownChannel(_)
                | SubscribeError::Closing(_) => {
                    debug!(target: TARGET, parent: span, connection, %channel, call = "subscribe", %error, "refused");
                }
            },
            What::Ended(reason) => {
                span.record("reason", reason.as_str());
                let reason = reason.as_str();
                match reason {
                    "stalled" | "lagged" => info!(target: TARGET, parent: span, connection, reason, "closed"),
                    _ => debug!(target: TARGET, parent: span, connection, reason, "closed"),
                }
            }
            What::TimedOut => debug!(target: TARGET, parent: span, connection, "timed out"),
            What::Lagged { channel, lost_through } => {
                let channel = channel.as_str();
                info!(target: TARGET, parent: span, connection, channel, %lost_through, "lagged");
            }
            What::ChannelClosed { channel, reason } => {
                debug!(target: TARGET, parent: span, %channel, ?reason, "channel closed");
            }
        }
    }
}

impl Notes {
    pub(crate) fn add(&mut self, note: Note) {
        self.0.push(note);
    }

    pub(crate) fn tell(&mut self) {
        self.0.drain(..).for_each(Note::tell);
    }
}

impl core::fmt::Debug for Notes {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_tuple("Notes").field(&self.0.len()).finish()
    }
}

pub(crate) fn open_refused(channel: &str, error: &OpenError) {
    let bytes = channel.len();
    match error {
        // It is as long as the one who asks wants it.
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

/// Where nobody wants spans, events have none.
static NOBODYS: Span = Span::none();

/// Whether nobody listens at all.
fn is_off() -> bool {
    LevelFilter::current() == LevelFilter::OFF
}

fn name(hub: &Hub, channel: ChannelId) -> String {
    hub.channel_name(channel).map(String::from).unwrap_or_default()
}

/// What the client gave, if it can be shown.
fn usable(id: &LastEventId) -> &str {
    id.as_str().unwrap_or("(unusable)")
}
