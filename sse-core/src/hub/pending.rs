//! What is due to a connection, in order: the merge of all that it follows with the frames of its own.

use bytes::Bytes;

use crate::hub::channel::Channel;
use crate::hub::connection::{Channels, Connection, Key, Rank};
use crate::hub::logs::Entry;
use crate::hub::subscription::{Place, Subscription};
use crate::id::{ConnectionId, Position};
use crate::time::Instant;
use crate::wire::Frame;

/// Something that is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Item {
    /// The rest of a frame of which a byte was taken (S3).
    Progress,
    /// The id at the very start (H3), or the reset for an unknown id (H7).
    Opening,
    Ping,
    /// A frame of the connection's own: how many others are before it.
    Own(usize),
    Event(Place),
}

/// How far a walk through what is due has come. It changes nothing, so that a window can be looked at twice.
///
/// # Cost
///
/// A step is O(subscriptions).
#[derive(Clone, Copy, Debug)]
pub(super) struct Cursor {
    next: Front,
    own: usize,
    position: Position,
}

/// What comes before everything that stands at a position.
#[derive(Clone, Copy, Debug)]
enum Front {
    Progress,
    Opening,
    Ping,
    Passed,
}

impl Cursor {
    #[inline]
    pub(super) fn new(connection: &Connection) -> Cursor {
        let next = if connection.has_front() { Front::Progress } else { Front::Passed };
        Cursor { next, own: 0, position: connection.position }
    }

    #[inline]
    pub(super) fn next(
        &mut self,
        id: ConnectionId,
        connection: &Connection,
        channels: &Channels,
    ) -> Option<Item> {
        loop {
            match self.next {
                Front::Progress => {
                    self.next = Front::Opening;
                    if connection.progress.is_some() {
                        return Some(Item::Progress);
                    }
                }
                Front::Opening => {
                    if connection.is_ending() {
                        return None;
                    }
                    self.next = Front::Ping;
                    if connection.opening(channels).is_some() {
                        return Some(Item::Opening);
                    }
                }
                Front::Ping => {
                    self.next = Front::Passed;
                    if connection.ping.due_since.get().is_some() {
                        return Some(Item::Ping);
                    }
                }
                Front::Passed => return self.next_in_order(id, connection, channels),
            }
        }
    }

    #[inline]
    fn next_in_order(
        &mut self,
        id: ConnectionId,
        connection: &Connection,
        channels: &Channels,
    ) -> Option<Item> {
        if has_all(connection, channels, self.position) {
            return None;
        }
        let event = next_event(id, connection, channels, self.position);
        if let Some(own) = connection.own_frame(self.own)
            && event.is_none_or(|event| own.key < Key(event.position, Rank::Event))
        {
            let item = Item::Own(self.own);
            self.own = self.own.saturating_add(1);
            return Some(item);
        }
        self.position = event?.position;
        event.map(Item::Event)
    }
}

/// Whether there is nothing for a connection above `position`. It is told at once for the usual one, that follows one
/// channel and has no frames of its own; of others it may not be known, and a walk tells.
#[inline]
pub(super) fn has_all(connection: &Connection, channels: &Channels, position: Position) -> bool {
    let [subscription] = connection.subscriptions.as_slice() else { return false };
    connection.own_frame(0).is_none() && channels.at(subscription.channel).is_some_and(|c| c.last <= position)
}

/// What is due to a connection, as far as it is known without a walk: to a reader that follows one open channel, is
/// open itself, and has no frames of its own. That is the newest event where it took all before, and where it took that,
/// too, the rest of a frame, a ping, or nothing.
#[inline(always)]
pub(super) fn glance(id: ConnectionId, connection: &Connection, channels: &Channels) -> Glance {
    let [subscription] = connection.subscriptions.as_slice() else { return Glance::Unknown };
    let Some(channel) = channels.at(subscription.channel) else { return Glance::Unknown };
    if channel.is_closed || !connection.is_open() || connection.own_frame(0).is_some() {
        return Glance::Unknown;
    }
    let has_all = channel.last <= connection.position && channel.last == subscription.stands;
    if !connection.has_front() {
        return if has_all { Glance::Nothing } else { newest(id, connection, subscription, channel) };
    }
    match (&connection.progress, connection.ping.due_since.get()) {
        _ if !has_all => Glance::Unknown,
        (None, Some(since)) if connection.front_is_ping() => {
            Glance::One(Only { item: Item::Ping, since, bytes: PING.len() })
        }
        (Some(rest), None) => {
            Glance::One(Only { item: Item::Progress, since: connection.taken_at, bytes: rest.len() })
        }
        _ => Glance::Unknown,
    }
}

/// Whether the newest event is all that is due to a reader.
#[inline(always)]
fn newest(
    id: ConnectionId,
    connection: &Connection,
    subscription: &Subscription,
    channel: &Channel,
) -> Glance {
    match subscription.newest(channel, connection.position) {
        Some((place, entry)) if entry.except != Some(id) => {
            Glance::One(Only { item: Item::Event(place), since: entry.at, bytes: entry.frame.len() })
        }
        _ => Glance::Unknown,
    }
}

/// What [`glance`] says.
pub(super) enum Glance {
    /// Nothing is due, and there is nothing to find out.
    Nothing,
    /// One item is due, and nothing was lost.
    One(Only),
    /// A walk tells.
    Unknown,
}

/// All that is due to a connection, when that is one item.
pub(super) struct Only {
    pub(super) item: Item,
    /// Since when it is due.
    pub(super) since: Instant,
    pub(super) bytes: usize,
}

/// The next event above `after` that is due.
#[inline]
fn next_event(
    id: ConnectionId,
    connection: &Connection,
    channels: &Channels,
    mut after: Position,
) -> Option<Place> {
    loop {
        let (place, is_due) = next_read(id, connection, channels, after)?;
        if !connection.wants(place.position) {
            return None;
        }
        if is_due {
            return Some(place);
        }
        after = place.position;
    }
}

/// The next event above `after` in any of the followed channels, and whether it is due. The same event in several
/// channels is one (O2), and due when one of the subscriptions says so.
#[inline]
pub(super) fn next_read(
    id: ConnectionId,
    connection: &Connection,
    channels: &Channels,
    after: Position,
) -> Option<(Place, bool)> {
    let mut first: Option<(Place, bool)> = None;
    for subscription in connection.subscriptions.as_slice() {
        let Some(channel) = channels.at(subscription.channel) else { continue };
        let Some(place) = subscription.next(channel, after) else { continue };
        if first.is_some_and(|(known, _)| known.position < place.position) {
            continue;
        }
        let is_due = place.position > subscription.from
            && channel.entry(place.in_history, place.index).is_some_and(|entry| entry.except != Some(id));
        first = match first {
            Some((known, was_due)) if known.position == place.position && was_due => Some((known, true)),
            _ => Some((place, is_due)),
        };
    }
    first
}

#[inline]
pub(super) fn entry(place: Place, channels: &Channels) -> Option<&Entry> {
    channels.at(place.channel)?.entry(place.in_history, place.index)
}

/// The bytes of an item; `opening` is the frame that [`Item::Opening`] stands for.
#[inline]
pub(super) fn bytes<'a>(
    item: Item,
    connection: &'a Connection,
    channels: &'a Channels,
    opening: Option<&'a Frame>,
) -> Option<&'a Bytes> {
    match item {
        Item::Progress => connection.progress.as_ref(),
        Item::Opening => opening.map(Frame::as_shared),
        Item::Ping => Some(PING.as_shared()),
        Item::Own(index) => connection.own_frame(index).map(|own| own.frame.as_shared()),
        Item::Event(place) => entry(place, channels).map(|entry| entry.frame.as_shared()),
    }
}

/// An empty comment, which every client ignores and every proxy counts as traffic (T1).
static PING: Frame = Frame::ping();
