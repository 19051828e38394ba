//! Frames for one connection alone: direct sends (S2) and resets (H7).

use alloc::boxed::Box;
use alloc::collections::VecDeque;

use crate::id::Position;
use crate::time::Instant;
use crate::wire::Frame;

/// A frame for one connection alone, and its place among the published events.
pub(crate) struct OwnFrame {
    pub(crate) key: OrderKey,
    pub(crate) frame: Frame,
    pub(crate) pending_since: Instant,
}

/// The place of a frame in the order of a connection: just before, at, or just behind the events of a position.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct OrderKey(pub(crate) Position, pub(crate) Rank);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Rank {
    /// A reset: it stands where a loss ends (H7).
    Before,
    Event,
    /// A direct send: it stands behind the hub's head at the time of the call (O1).
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
}

impl OwnFrames {
    /// Returns the frame with this index, counted from the next one.
    #[inline]
    pub(crate) fn get(&self, index: usize) -> Option<&OwnFrame> {
        self.0.as_ref()?.frames.get(index)
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// Returns the pending bytes of direct sends, and the number of all frames.
    pub(crate) fn queued(&self) -> (usize, usize) {
        self.0.as_ref().map_or((0, 0), |queued| (queued.direct_bytes, queued.frames.len()))
    }

    /// Inserts a reset just before the events of a position. It replaces a reset that is there.
    pub(crate) fn insert_reset(&mut self, now: Instant, before: Position, frame: Frame) {
        let key = OrderKey(before, Rank::Before);
        let frames = &mut self.0.get_or_insert_default().frames;
        match frames.binary_search_by_key(&key, |own| own.key) {
            Ok(index) => {
                if let Some(own) = frames.get_mut(index) {
                    own.frame = frame;
                }
            }
            Err(index) => frames.insert(index, OwnFrame { key, frame, pending_since: now }),
        }
    }

    /// Appends a direct send behind `head`. The caller has checked the limits.
    pub(crate) fn push_direct(&mut self, now: Instant, head: Position, frame: Frame) {
        let queued = self.0.get_or_insert_default();
        queued.direct_bytes = queued.direct_bytes.saturating_add(frame.len());
        queued.frames.push_back(OwnFrame { key: OrderKey(head, Rank::After), frame, pending_since: now });
    }

    /// Removes the next frame.
    pub(crate) fn pop(&mut self) {
        let Some(queued) = &mut self.0 else { return };
        if let Some(popped) = queued.frames.pop_front()
            && popped.key.1 == Rank::After
        {
            queued.direct_bytes = queued.direct_bytes.saturating_sub(popped.frame.len());
        }
        if queued.frames.is_empty() {
            self.0 = None;
        }
    }

    /// Removes all resets.
    pub(crate) fn remove_resets(&mut self) {
        if let Some(queued) = &mut self.0 {
            queued.frames.retain(|own| own.key.1 == Rank::After);
            if queued.frames.is_empty() {
                self.0 = None;
            }
        }
    }
}
