//! The decision on resuming: where a subscription starts, where a reset stands, and what [`Resume`] reports (H4 to H8, O3).
//!
//! [`decide`] is the only place where this is decided. `docs/architecture.md` shows it as a flow chart.

use crate::config::{GapPolicy, StartFrom};
use crate::id::{ConnectionId, Position};
use crate::resume::Resume;

use super::channel::ChannelState;
use super::identities::ClientSlot;
use super::subscription::Subscription;

/// The position in the hub's order at which a client wants to resume, by its last event id (H4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ResumePoint {
    /// The client gave no id.
    None,
    /// The client gave an id of which the hub knows nothing.
    Unknown,
    At(Position),
}

impl ResumePoint {
    /// Returns the position, if it is known.
    pub(crate) fn position(self) -> Option<Position> {
        match self {
            ResumePoint::At(position) => Some(position),
            ResumePoint::None | ResumePoint::Unknown => None,
        }
    }
}

/// When a subscription was made in the life of its connection (O3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum JoinTime {
    /// Before the first byte: the subscription resumes together with all others.
    BeforeFirstByte,
    /// Later: the subscription begins behind what the client has.
    Later(LateJoin),
}

/// A late subscription, and the connection that makes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LateJoin {
    pub(crate) joined: JoinPoint,
    /// The position of the connection: everything that is pending stands above.
    pub(crate) position: Position,
    /// The id of the client stands for this position, which is beyond `position` if the client is ahead of the hub (O4).
    pub(crate) client: Position,
    /// The position up to which no event can arrive any more.
    pub(crate) complete_through: Position,
    /// The position through which the channel counts as lost if the hub cannot know what the client has.
    pub(crate) lost_through: Position,
}

/// Where a client stands in a channel that it joins late (O6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum JoinPoint {
    /// The client never had the channel.
    New,
    /// The client may have had the channel; the hub cannot know what.
    Unknown,
    /// The client has everything up to this position.
    At(Position),
}

impl JoinPoint {
    /// Returns the position, if it is known.
    pub(crate) fn position(self) -> Option<Position> {
        match self {
            JoinPoint::At(position) => Some(position),
            JoinPoint::New | JoinPoint::Unknown => None,
        }
    }
}

/// What [`decide`] has decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Decision {
    /// The subscription starts after this position.
    pub(crate) start_after: Position,
    /// A reset stands just before the events of this position.
    pub(crate) reset_before: Option<Position>,
    /// What history replays is a start or stands behind a reset: exclusions do not hold for it (U3).
    pub(crate) starts_anew: bool,
    pub(crate) outcome: Resume,
}

/// A connection and its client key.
type Recipient = (ConnectionId, Option<ClientSlot>);

/// Decides where a subscription of a connection starts.
pub(crate) fn decide(
    recipient: Recipient,
    subscription: &Subscription,
    channel: &ChannelState,
    point: ResumePoint,
    time: JoinTime,
) -> Decision {
    match time {
        JoinTime::BeforeFirstByte => decide_first(subscription, channel, point),
        JoinTime::Later(late) => decide_later(recipient, subscription, channel, late),
    }
}

fn decide_first(subscription: &Subscription, channel: &ChannelState, point: ResumePoint) -> Decision {
    let floor = subscription.floor(channel);
    let policy = channel.config.on_gap;
    let live = subscription.subscribed_at;
    // What was published after the subscription is live for it, also if history has let go of that by now.
    let known_floor = floor.min(live);
    let (start_after, has_reset) = match point {
        ResumePoint::None if has_lost_beginning(channel, known_floor) => match policy {
            GapPolicy::Reset => (known_floor, true),
            GapPolicy::Kept => (known_floor, false),
            GapPolicy::Live => (live, false),
        },
        ResumePoint::None => (fresh_start(subscription, channel, floor), false),
        ResumePoint::At(position) if position >= floor => (position, false),
        // A client that is ahead of this node has the events below its id (O4).
        ResumePoint::At(position) if policy == GapPolicy::Live => (live.max(position), false),
        ResumePoint::At(_) => (floor, policy == GapPolicy::Reset),
        // The one reset for an unknown id is the opening frame of the connection (H7).
        ResumePoint::Unknown if policy == GapPolicy::Live => (live, false),
        ResumePoint::Unknown => (fresh_start(subscription, channel, floor), false),
    };
    let starts_anew = has_reset || !matches!(point, ResumePoint::At(_));
    let events = channel.history.count(subscription.start_after(start_after), subscription.live_after);
    let outcome = match point {
        ResumePoint::None if has_lost_beginning(channel, floor) => {
            Resume::Gap { lost_through: floor, events }
        }
        ResumePoint::None => Resume::Fresh,
        ResumePoint::Unknown => Resume::Unknown,
        ResumePoint::At(position) if position < floor => Resume::Gap { lost_through: floor, events },
        ResumePoint::At(_) if events > 0 => Resume::Replayed { events },
        ResumePoint::At(_) => up_to_date(channel),
    };
    let reset_before = if point == ResumePoint::None { known_floor } else { floor };
    Decision { start_after, reset_before: has_reset.then_some(reset_before), starts_anew, outcome }
}

/// Decides where a late subscription starts (O3, O6). What the client is owed comes in the order of positions, so none of
/// it may stand at or below the position of the client: the ids would go back.
fn decide_later(
    (id, client_key): Recipient,
    subscription: &Subscription,
    channel: &ChannelState,
    late: LateJoin,
) -> Decision {
    let LateJoin { joined, position, client, complete_through, lost_through } = late;
    // Events up to the position of a client that is ahead can still arrive, and it would not receive them (O4).
    let is_known = |point: Position| point >= client || complete_through >= client;
    match joined {
        JoinPoint::New => {
            let start_after = subscription.live_after.max(client);
            return Decision { start_after, reset_before: None, starts_anew: false, outcome: Resume::Fresh };
        }
        JoinPoint::At(point) if point >= channel.history.floor() && is_known(point) => {
            let first_owed = channel
                .history
                .above(point)
                .find(|entry| !entry.except.is_some_and(|except| except.is_of(id, client_key)));
            if first_owed.is_none_or(|entry| entry.position > client) {
                let start_after = point.max(client);
                let events = channel.history.count(start_after, subscription.live_after);
                let outcome = if events > 0 { Resume::Replayed { events } } else { up_to_date(channel) };
                return Decision { start_after, reset_before: None, starts_anew: false, outcome };
            }
        }
        JoinPoint::At(_) | JoinPoint::Unknown => {}
    }
    // The reset stands before everything that is pending: behind it, it would hide events of other channels (H7).
    let reset_before = (channel.config.on_gap == GapPolicy::Reset).then_some(position);
    let outcome = Resume::Gap { lost_through, events: 0 };
    Decision { start_after: lost_through, reset_before, starts_anew: false, outcome }
}

/// Returns where a connection without a last event id starts (H8).
fn fresh_start(subscription: &Subscription, channel: &ChannelState, floor: Position) -> Position {
    let live = subscription.subscribed_at;
    match channel.config.start {
        StartFrom::Live => live,
        StartFrom::Last(events) => channel.history.before_newest(events, live, floor).min(live),
        StartFrom::All | StartFrom::Beginning => floor.min(live),
    }
}

/// Returns whether a channel that new connections receive from the beginning has let go of events (H8).
fn has_lost_beginning(channel: &ChannelState, floor: Position) -> bool {
    channel.config.start == StartFrom::Beginning && floor > channel.history.first_floor()
}

/// Returns the outcome for a client that has missed nothing.
fn up_to_date(channel: &ChannelState) -> Resume {
    if channel.is_finished { Resume::Finished } else { Resume::UpToDate }
}
