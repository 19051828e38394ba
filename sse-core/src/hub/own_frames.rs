//! Frames for one connection alone: direct sends (S2), resets (H7), the positions of late subscriptions (O9), and the
//! farewell (T5).

use alloc::boxed::Box;
use alloc::collections::VecDeque;

use crate::id::Position;
use crate::time::Instant;
use crate::wire::Frame;

/// A frame for one connection alone, and its place among the published events.
pub(crate) struct OwnFrame {
    pub(crate) key: OrderKey,
    kind: OwnKind,
    pub(crate) frame: Frame,
    pub(crate) pending_since: Instant,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum OwnKind {
    Direct,
    /// A reset, and the position of its id.
    Reset(Position),
    /// The event `position` behind a late subscription.
    Position,
    /// The last frame of a closing connection.
    Farewell,
}

/// The place of a frame in the order of a connection: just before, at, or just behind the events of a position.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct OrderKey(pub(crate) Position, pub(crate) Rank);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Rank {
    /// A reset: it stands where a loss ends (H7).
    Before,
    Event,
    /// A direct send, or the position of a late subscription: it stands behind the hub's head at the time of the call
    /// (O1, O9).
    After,
}

/// The frames for one connection alone, in order. Most connections have none, and no memory for them.
#[derive(Default)]
pub(crate) struct OwnFrames(Option<Box<Queued>>);

#[derive(Default)]
struct Queued {
    frames: VecDeque<OwnFrame>,
    /// The bytes of the direct sends among the frames.
    direct_bytes: usize,
    /// The farewell, until the connection begins to close.
    farewell: Option<Frame>,
}

impl OwnFrames {
    /// Returns the frame with this index, counted from the next one.
    #[inline]
    pub(crate) fn get(&self, index: usize) -> Option<&OwnFrame> {
        self.0.as_ref()?.frames.get(index)
    }

    /// Returns whether no frame is pending.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.0.as_ref().is_none_or(|queued| queued.frames.is_empty())
    }

    /// Sets the frame with which the connection ends.
    pub(crate) fn set_farewell(&mut self, farewell: Option<Frame>) {
        if farewell.is_some() || self.0.is_some() {
            self.0.get_or_insert_default().farewell = farewell;
        }
        self.free_if_unused();
    }

    /// Appends the farewell, behind everything.
    pub(crate) fn push_farewell(&mut self, now: Instant) {
        let Some(queued) = &mut self.0 else { return };
        let Some(frame) = queued.farewell.take() else { return };
        let key = OrderKey(Position::MAX, Rank::After);
        queued.insert_last(OwnFrame { key, kind: OwnKind::Farewell, frame, pending_since: now });
    }

    fn free_if_unused(&mut self) {
        if self.0.as_ref().is_some_and(|queued| queued.frames.is_empty() && queued.farewell.is_none()) {
            self.0 = None;
        }
    }

    /// Returns the pending bytes of direct sends, and the number of all frames.
    pub(crate) fn queued(&self) -> (usize, usize) {
        self.0.as_ref().map_or((0, 0), |queued| (queued.direct_bytes, queued.frames.len()))
    }

    /// Inserts a reset just before the events of a position, with the id of position `id`. It replaces a reset that is
    /// there.
    pub(crate) fn insert_reset(&mut self, now: Instant, before: Position, id: Position, frame: Frame) {
        let key = OrderKey(before, Rank::Before);
        let kind = OwnKind::Reset(id);
        let frames = &mut self.0.get_or_insert_default().frames;
        match frames.binary_search_by_key(&key, |own| own.key) {
            Ok(index) => {
                if let Some(own) = frames.get_mut(index) {
                    (own.kind, own.frame) = (kind, frame);
                }
            }
            Err(index) => frames.insert(index, OwnFrame { key, kind, frame, pending_since: now }),
        }
    }

    /// Returns the positions before which resets stand, each with the position of its id.
    pub(crate) fn resets(&self) -> impl Iterator<Item = (Position, Position)> + '_ {
        self.0.iter().flat_map(|queued| &queued.frames).filter_map(|own| match own.kind {
            OwnKind::Reset(id) => Some((own.key.0, id)),
            OwnKind::Direct | OwnKind::Position | OwnKind::Farewell => None,
        })
    }

    /// Returns whether a reset stands before everything above a position.
    pub(crate) fn begins_with_reset(&self, position: Position) -> bool {
        self.resets().next().is_some_and(|(before, _)| before <= position)
    }

    /// Inserts the event `position` behind everything at `position`. It replaces the one of an earlier late subscription:
    /// its id stands for both.
    pub(crate) fn insert_position(&mut self, now: Instant, position: Position, frame: Frame) {
        self.remove_position();
        let queued = self.0.get_or_insert_default();
        let key = OrderKey(position, Rank::After);
        queued.insert_last(OwnFrame { key, kind: OwnKind::Position, frame, pending_since: now });
    }

    /// Removes the event `position`.
    pub(crate) fn remove_position(&mut self) {
        if let Some(queued) = &mut self.0 {
            queued.frames.retain(|own| own.kind != OwnKind::Position);
        }
        self.free_if_unused();
    }

    /// Appends a direct send behind `head`. The caller has checked the limits.
    pub(crate) fn push_direct(&mut self, now: Instant, head: Position, frame: Frame) {
        let queued = self.0.get_or_insert_default();
        queued.direct_bytes = queued.direct_bytes.saturating_add(frame.len());
        let key = OrderKey(head, Rank::After);
        queued.insert_last(OwnFrame { key, kind: OwnKind::Direct, frame, pending_since: now });
    }

    /// Returns whether the next frame is the farewell.
    pub(crate) fn next_is_farewell(&self) -> bool {
        self.get(0).is_some_and(|own| own.kind == OwnKind::Farewell)
    }

    /// Removes the next frame. Returns the position at which its client stands then, if the frame has an id of the hub.
    pub(crate) fn pop(&mut self) -> Option<Position> {
        let queued = self.0.as_mut()?;
        let popped = queued.frames.pop_front();
        if let Some(direct) = popped.as_ref().filter(|own| own.kind == OwnKind::Direct) {
            queued.direct_bytes = queued.direct_bytes.saturating_sub(direct.frame.len());
        }
        self.free_if_unused();
        let popped = popped?;
        match popped.kind {
            OwnKind::Direct | OwnKind::Farewell => None,
            OwnKind::Reset(id) => Some(id),
            OwnKind::Position => Some(popped.key.0),
        }
    }

    /// Removes the reset just before the events of a position.
    pub(crate) fn remove_reset(&mut self, before: Position) {
        let Some(queued) = &mut self.0 else { return };
        let key = OrderKey(before, Rank::Before);
        if let Ok(index) = queued.frames.binary_search_by_key(&key, |own| own.key) {
            queued.frames.remove(index);
        }
        self.free_if_unused();
    }

    /// Removes all resets.
    pub(crate) fn remove_resets(&mut self) {
        if let Some(queued) = &mut self.0 {
            queued.frames.retain(|own| !matches!(own.kind, OwnKind::Reset(_)));
        }
        self.free_if_unused();
    }
}

impl Queued {
    /// Inserts a frame behind all frames whose key is not greater.
    fn insert_last(&mut self, own: OwnFrame) {
        let index = match self.frames.back() {
            Some(last) if last.key > own.key => self.frames.partition_point(|other| other.key <= own.key),
            _ => self.frames.len(),
        };
        self.frames.insert(index, own);
    }
}
