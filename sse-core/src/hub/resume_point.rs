//! The decision on resuming: where a subscription starts, where a reset stands, and what [`Resume`] reports (H4 to H8, O3).
//!
//! [`decide`] is the only place where this is decided. `docs/architecture.md` shows it as a flow chart.

use crate::config::{GapPolicy, StartFrom};
use crate::id::Position;
use crate::resume::Resume;

use super::channel::ChannelState;
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

/// When a subscription was made in the life of its connection (O3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum JoinTime {
    /// Before the first byte: the subscription resumes together with all others.
    BeforeFirstByte,
    /// Later: the subscription starts live. The connection and the head of the hub have these positions.
    Later { connection: Position, head: Position },
}

/// What [`decide`] has decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Decision {
    /// The subscription starts after this position.
    pub(crate) start_after: Position,
    pub(crate) reset: Option<Reset>,
    pub(crate) outcome: Resume,
}

/// A reset frame and its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reset {
    /// The frame stands just before the events of this position.
    pub(crate) before: Position,
    /// The frame has the id of this position.
    pub(crate) id: Position,
}

/// Decides where a subscription starts.
pub(crate) fn decide(
    subscription: &Subscription,
    channel: &ChannelState,
    point: ResumePoint,
    joined: JoinTime,
) -> Decision {
    match joined {
        JoinTime::BeforeFirstByte => decide_first(subscription, channel, point),
        JoinTime::Later { connection, head } => decide_later(subscription, channel, point, connection, head),
    }
}

fn decide_first(subscription: &Subscription, channel: &ChannelState, point: ResumePoint) -> Decision {
    let floor = channel.history.floor();
    let policy = channel.config.on_gap;
    let live = subscription.subscribed_at;
    let (start_after, has_reset) = match point {
        ResumePoint::None => (fresh_start(subscription, channel), false),
        ResumePoint::At(position) if position >= floor => (position, false),
        // A client that is ahead of this node has the events below its id (O4).
        ResumePoint::At(position) if policy == GapPolicy::Live => (live.max(position), false),
        ResumePoint::At(_) => (floor, policy == GapPolicy::Reset),
        // The one reset for an unknown id is the opening frame of the connection (H7).
        ResumePoint::Unknown if policy == GapPolicy::Kept => (fresh_start(subscription, channel), false),
        ResumePoint::Unknown => (live, false),
    };
    let events = channel.history.count(subscription.start_after(start_after), subscription.live_after);
    let outcome = match point {
        ResumePoint::None => Resume::Fresh,
        ResumePoint::Unknown => Resume::Unknown,
        ResumePoint::At(position) if position < floor => Resume::Gap { lost_through: floor, events },
        ResumePoint::At(_) if events > 0 => Resume::Replayed { events },
        ResumePoint::At(_) => Resume::UpToDate,
    };
    Decision { start_after, reset: has_reset.then_some(Reset { before: floor, id: floor }), outcome }
}

/// The hub cannot know what the client has of a channel that it joins later: a client with an id has a gap (O3).
fn decide_later(
    subscription: &Subscription,
    channel: &ChannelState,
    point: ResumePoint,
    connection: Position,
    head: Position,
) -> Decision {
    let lost_through = match point {
        ResumePoint::None => {
            let start_after = subscription.live_after;
            return Decision { start_after, reset: None, outcome: Resume::Fresh };
        }
        ResumePoint::Unknown => head,
        // A client may be ahead of a hub with external positions (O4).
        ResumePoint::At(position) => position.max(head),
    };
    // The reset stands before everything that is pending: behind it, it would hide events of other channels (H7).
    let reset =
        (channel.config.on_gap == GapPolicy::Reset).then_some(Reset { before: connection, id: lost_through });
    Decision { start_after: lost_through, reset, outcome: Resume::Gap { lost_through, events: 0 } }
}

/// Returns where a connection without a last event id starts (H8).
fn fresh_start(subscription: &Subscription, channel: &ChannelState) -> Position {
    let live = subscription.subscribed_at;
    match channel.config.start {
        StartFrom::Live => live,
        StartFrom::Last(events) => channel.history.before_newest(events, live).min(live),
        StartFrom::All => channel.history.floor().min(live),
    }
}
