//! What is pending for a connection, in order: the merge of its channels with the frames for this connection alone.

use bytes::Bytes;

use crate::id::{ConnectionId, Position};
use crate::wire::Frame;

use super::channel::ChannelState;
use super::connection::{Channels, ConnectionState};
use super::logs::LogEntry;
use super::own_frames::{OrderKey, Rank};
use super::subscription::{LogIndex, Subscription};

/// Something that is pending for a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PendingItem {
    /// The rest of a frame that was taken in part (S3).
    PartialFrame,
    /// The position at the very start (H3), or the reset for an unknown id (H7).
    Opening,
    Ping,
    /// A frame for this connection alone, by its index among those.
    Own(usize),
    Event(LogIndex),
}

/// A walk over the pending items. It changes nothing, so a window can be read twice.
///
/// A claim is not part of the walk: what the walk finds is pending behind the claimed bytes.
///
/// # Cost
///
/// A step is O(subscriptions).
#[derive(Clone, Copy, Debug)]
pub(super) struct Cursor {
    front: Front,
    own: usize,
    position: Position,
}

/// The next of the items that come before all events.
#[derive(Clone, Copy, Debug)]
enum Front {
    PartialFrame,
    Opening,
    Ping,
    Passed,
}

impl Cursor {
    #[inline]
    pub(super) fn new(connection: &ConnectionState) -> Cursor {
        let front = if connection.has_front() { Front::PartialFrame } else { Front::Passed };
        Cursor { front, own: 0, position: connection.position }
    }

    #[inline]
    pub(super) fn next(
        &mut self,
        id: ConnectionId,
        connection: &ConnectionState,
        channels: &Channels,
    ) -> Option<PendingItem> {
        loop {
            match self.front {
                Front::PartialFrame => {
                    self.front = Front::Opening;
                    if connection.partial_frame.is_some() {
                        return Some(PendingItem::PartialFrame);
                    }
                }
                Front::Opening => {
                    if connection.is_ending() {
                        return None;
                    }
                    self.front = Front::Ping;
                    if connection.opening(channels).is_some() {
                        return Some(PendingItem::Opening);
                    }
                }
                Front::Ping => {
                    self.front = Front::Passed;
                    if connection.ping.pending_since.is_some() {
                        return Some(PendingItem::Ping);
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
        connection: &ConnectionState,
        channels: &Channels,
    ) -> Option<PendingItem> {
        if is_known_complete(connection, channels, self.position) {
            return None;
        }
        let event = next_event(id, connection, channels, self.position);
        if let Some(own) = connection.own_frames.get(self.own)
            && event.is_none_or(|event| own.key < OrderKey(event.position, Rank::Event))
        {
            let item = PendingItem::Own(self.own);
            self.own = self.own.saturating_add(1);
            return Some(item);
        }
        self.position = event?.position;
        event.map(PendingItem::Event)
    }
}

/// Returns whether a connection is known to have nothing pending above `position`. This is decided without a walk for a
/// connection that follows one channel and has no frames of its own. For others a false only means that a walk decides.
#[inline]
fn is_known_complete(connection: &ConnectionState, channels: &Channels, position: Position) -> bool {
    let [subscription] = connection.subscriptions.as_slice() else { return false };
    connection.own_frames.is_empty() && channels.at(subscription.channel).is_some_and(|c| c.last <= position)
}

/// What [`fast_pending`] finds.
pub(super) enum FastPending {
    /// Nothing is pending, nothing was lost, and the connection has nothing to finish.
    Empty,
    /// One item is pending, and nothing was lost.
    Single(SinglePending),
    /// A walk has to decide.
    SlowPath,
}

/// The only item that is pending for a connection.
pub(super) struct SinglePending {
    pub(super) item: PendingItem,
    pub(super) bytes: usize,
}

/// Fast path: finds what is pending without walking the logs.
///
/// It applies only to an open connection that follows a single channel that accepts events and whose producer waits for nobody, has no frames of its own, and whose bytes
/// are not claimed. Then at most one item can be pending: the newest event, the rest of a partly taken frame, or a ping.
#[inline(always)]
pub(super) fn fast_pending(
    id: ConnectionId,
    connection: &ConnectionState,
    channels: &Channels,
) -> FastPending {
    let [subscription] = connection.subscriptions.as_slice() else { return FastPending::SlowPath };
    let Some(channel) = channels.at(subscription.channel) else { return FastPending::SlowPath };
    if !channel.is_plain || !connection.is_open() || !connection.own_frames.is_empty() {
        return FastPending::SlowPath;
    }
    let is_caught_up = channel.last <= connection.position && channel.last == subscription.counted_at;
    if !connection.has_front() {
        return if is_caught_up { FastPending::Empty } else { newest(id, connection, subscription, channel) };
    }
    match (&connection.partial_frame, connection.ping.pending_since) {
        _ if !is_caught_up => FastPending::SlowPath,
        (None, Some(_)) if connection.front_is_ping() => {
            FastPending::Single(SinglePending { item: PendingItem::Ping, bytes: PING.len() })
        }
        (Some(rest), None) => {
            FastPending::Single(SinglePending { item: PendingItem::PartialFrame, bytes: rest.len() })
        }
        _ => FastPending::SlowPath,
    }
}

/// Finds the newest event if nothing else is pending for a reader.
#[inline(always)]
fn newest(
    id: ConnectionId,
    connection: &ConnectionState,
    subscription: &Subscription,
    channel: &ChannelState,
) -> FastPending {
    match subscription.newest(channel, connection.position) {
        Some((place, entry)) if is_for(entry, id, connection, subscription) => {
            FastPending::Single(SinglePending { item: PendingItem::Event(place), bytes: entry.frame.len() })
        }
        _ => FastPending::SlowPath,
    }
}

/// Asserts in debug builds that the fast path and the walk agree: so every random run of the model, the simulation and the
/// fuzz targets checks the fast path.
#[inline]
pub(super) fn assert_agreement(
    found: &FastPending,
    id: ConnectionId,
    connection: &ConnectionState,
    channels: &Channels,
) {
    if !cfg!(debug_assertions) {
        return;
    }
    let mut walk = Cursor::new(connection);
    let items = [(); 2].map(|()| walk.next(id, connection, channels));
    let loss = connection.first_loss(channels);
    match found {
        FastPending::Empty => {
            debug_assert_eq!(
                (items, loss),
                ([None, None], None),
                "the fast path found nothing pending for {id}"
            );
            debug_assert!(connection.claim.is_none(), "the fast path overlooked the claim of {id}");
        }
        FastPending::Single(single) => {
            debug_assert_eq!((items, loss), ([Some(single.item), None], None), "the fast path of {id}");
            debug_assert!(connection.claim.is_none(), "the fast path overlooked the claim of {id}");
            let len = bytes(single.item, connection, channels, None).map(Bytes::len);
            debug_assert_eq!(len, Some(single.bytes), "the fast path counted other bytes for {id}");
        }
        FastPending::SlowPath => {}
    }
}

/// Returns the next pending event above `after`.
#[inline]
fn next_event(
    id: ConnectionId,
    connection: &ConnectionState,
    channels: &Channels,
    mut after: Position,
) -> Option<LogIndex> {
    loop {
        let (place, is_pending) = next_logged(id, connection, channels, after)?;
        if !connection.receives(place.position) {
            return None;
        }
        if is_pending {
            return Some(place);
        }
        after = place.position;
    }
}

/// Returns the next event above `after` in any of the followed channels, and whether it is for this connection. The same
/// event in several channels counts once (O2), and is pending when it is for one of the subscriptions.
#[inline]
pub(super) fn next_logged(
    id: ConnectionId,
    connection: &ConnectionState,
    channels: &Channels,
    after: Position,
) -> Option<(LogIndex, bool)> {
    let mut first: Option<(LogIndex, bool)> = None;
    for subscription in connection.subscriptions.as_slice() {
        let Some(channel) = channels.at(subscription.channel) else { continue };
        let Some(place) = subscription.next(channel, after) else { continue };
        if first.is_some_and(|(known, _)| known.position < place.position) {
            continue;
        }
        let is_pending = place.position > subscription.owed_after
            && channel
                .entry(place.in_history, place.index)
                .is_some_and(|entry| is_for(entry, id, connection, subscription));
        first = match first {
            Some((known, was_pending)) if known.position == place.position && was_pending => {
                Some((known, true))
            }
            _ => Some((place, is_pending)),
        };
    }
    first
}

/// Returns whether an event does not exclude a connection.
#[inline(always)]
fn is_for(entry: &LogEntry, id: ConnectionId, connection: &ConnectionState, reader: &Subscription) -> bool {
    entry.except.is_none() || !is_excluded(entry, id, connection, reader)
}

/// Returns whether an event excludes a connection. An exclusion does not hold for what a start or a reset replays (U3).
#[cold]
#[inline(never)]
fn is_excluded(
    entry: &LogEntry,
    id: ConnectionId,
    connection: &ConnectionState,
    reader: &Subscription,
) -> bool {
    entry.except.is_some_and(|except| except.is_of(id, connection.client()))
        && !reader.starts_anew_through(entry.position)
}

#[inline]
pub(super) fn entry(place: LogIndex, channels: &Channels) -> Option<&LogEntry> {
    channels.at(place.channel)?.entry(place.in_history, place.index)
}

/// Returns the bytes of an item. `opening` is the frame of [`PendingItem::Opening`].
#[inline]
pub(super) fn bytes<'a>(
    item: PendingItem,
    connection: &'a ConnectionState,
    channels: &'a Channels,
    opening: Option<&'a Frame>,
) -> Option<&'a Bytes> {
    match item {
        PendingItem::PartialFrame => connection.partial_frame.as_ref(),
        PendingItem::Opening => opening.map(Frame::as_shared),
        PendingItem::Ping => Some(PING.as_shared()),
        PendingItem::Own(index) => connection.own_frames.get(index).map(|own| own.frame.as_shared()),
        PendingItem::Event(place) => entry(place, channels).map(|entry| entry.frame.as_shared()),
    }
}

/// An empty comment, which clients ignore and proxies count as traffic (T1).
static PING: Frame = Frame::ping();
