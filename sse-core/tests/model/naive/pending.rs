//! The pending frames of a connection, in order, and its losses.

use sse_core::{GapPolicy, Instant};

use super::{Model, Pub, Stage, Sub, position_event, reset};

/// One pending frame, or the rest of one.
#[derive(Clone, Debug)]
pub(crate) struct Item {
    pub(crate) kind: Kind,
    pub(crate) wire: Vec<u8>,
    /// The earliest and the latest instant at which the frame became available. T3 allows both for events that are
    /// older than the subscription.
    pub(crate) available_from: (Instant, Instant),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    InProgress,
    /// The block with the position (H3), or the reset for an unknown id (H7).
    Opening,
    Ping,
    OwnFrame,
    Event {
        position: u64,
        in_history: bool,
    },
}

impl Model {
    /// Returns all pending frames of a connection in order.
    pub(crate) fn pending(&self, conn: usize) -> Vec<Item> {
        let c = &self.conns[conn];
        let mut items = Vec::new();
        if !c.is_alive {
            return items;
        }
        let mut push = |kind, wire: &[u8], available_from| {
            items.push(Item { kind, wire: wire.to_vec(), available_from })
        };
        if !c.in_progress.is_empty() {
            push(Kind::InProgress, &c.in_progress, (c.taken_at, c.taken_at));
        }
        if matches!(c.stage, Stage::Ending { .. }) {
            return items;
        }
        if let Some(opening) = self.opening(conn) {
            let latest = if c.resume_point.is_none() { c.opened_at } else { self.now };
            push(Kind::Opening, &opening, (c.opened_at, latest));
        }
        if let Some(since) = c.pending_ping {
            push(Kind::Ping, b":\n", (since, since));
        }
        let mut own_frames = c.own_frames.iter().peekable();
        for (position, event, in_history, subscribed_time) in self.pending_events(conn) {
            while let Some(frame) =
                own_frames.next_if(|frame| (frame.position, frame.is_after) < (position, true))
            {
                push(Kind::OwnFrame, &frame.wire, (frame.since, frame.since));
            }
            let available_from =
                if in_history { (event.at.max(subscribed_time), self.now) } else { (event.at, event.at) };
            push(Kind::Event { position, in_history }, &event.wire, available_from);
        }
        for frame in own_frames {
            push(Kind::OwnFrame, &frame.wire, (frame.since, frame.since));
        }
        items
    }

    /// Returns the pending events, each once, in the order of their positions (O1, O2).
    fn pending_events(&self, conn: usize) -> Vec<(u64, &Pub, bool, Instant)> {
        let c = &self.conns[conn];
        let mut events: Vec<(u64, &Pub, bool, Instant)> = Vec::new();
        for sub in &c.subs {
            for (event, in_history) in self.readable(sub, c.position) {
                let has_pending = event.position > sub.starts_after
                    && !c.is_excluded(sub, event)
                    && c.receives(event.position);
                if has_pending && events.iter().all(|(position, ..)| *position != event.position) {
                    events.push((event.position, event, in_history, sub.subscribed_time));
                }
            }
        }
        events.sort_by_key(|(position, ..)| *position);
        events
    }

    /// Returns the events above a position that a subscription can read. Events up to `live_after` come from history,
    /// later ones from the backlog.
    pub(crate) fn readable(&self, sub: &Sub, after: u64) -> Vec<(&Pub, bool)> {
        let pending_after = after.max(sub.starts_after);
        let old = self.chans[sub.chan].readable();
        let old = old.filter(|event| event.position > pending_after && event.position <= sub.live_after);
        let new =
            self.backlog(sub.chan).into_iter().filter(|event| event.position > sub.live_position(after));
        old.map(|event| (event, true)).chain(new.map(|event| (event, false))).collect()
    }

    /// Returns whether the connection has pending bytes, or a loss that the next `transmit` detects.
    pub(crate) fn has_pending(&self, conn: usize) -> bool {
        self.conns[conn].claim.is_some() || !self.pending(conn).is_empty() || self.has_loss(conn)
    }

    pub(crate) fn has_loss(&self, conn: usize) -> bool {
        self.conns[conn].is_alive && self.first_loss(conn).is_some()
    }

    /// Returns the first subscription with a loss, and the newest position of an event with an id that is lost.
    pub(crate) fn first_loss(&self, conn: usize) -> Option<(usize, Option<u64>)> {
        let c = &self.conns[conn];
        if matches!(c.stage, Stage::Ending { .. }) {
            return None;
        }
        let loss = |sub: &Sub| self.loss(conn, sub);
        c.subs.iter().enumerate().find_map(|(number, sub)| Some((number, loss(sub)?)))
    }

    /// Returns the loss of a subscription, if there is one. The inner value is the newest position of an event with
    /// an id that neither backlog nor history has (S1).
    pub(crate) fn loss(&self, conn: usize, sub: &Sub) -> Option<Option<u64>> {
        let (c, channel) = (&self.conns[conn], &self.chans[sub.chan]);
        let pending_after = c.position.max(sub.starts_after);
        let is_removed = |event: &&Pub| {
            let left_backlog =
                event.position <= sub.subscribed_at || event.is_removed && event.position > sub.passed;
            let is_readable = event.is_kept || event.is_retained;
            event.position > pending_after && event.is_replayable() && !is_readable && left_backlog
        };
        let reader = sub.live_position(c.position).max(sub.counted_at);
        let has_fallen = c.receives(reader.saturating_add(1)) && channel.lost_through() > reader;
        let lost = channel.pubs.iter().filter(is_removed).map(|event| event.position);
        // A closing connection reports losses up to its end and none beyond.
        let through = match c.stage {
            Stage::Closing { end, .. } => {
                let counts = |position: u64| {
                    let is_live = position > sub.live_after;
                    if is_live { end > sub.live_position(pending_after) } else { position <= end }
                };
                lost.filter(|position| counts(*position)).map(|position| end.min(position)).max()
            }
            _ => lost.max(),
        };
        (has_fallen || through.is_some()).then_some(through)
    }

    /// Returns the first block of a connection.
    pub(super) fn opening(&self, conn: usize) -> Option<Vec<u8>> {
        let c = &self.conns[conn];
        match &c.resume_point {
            _ if !c.is_starting => None,
            None => {
                // A reset there has the same id (H8).
                let is_reset = c.own_frames.iter().any(|own| !own.is_after && own.position <= c.position);
                (c.config.announce_position && !is_reset).then(|| position_event(c.position))
            }
            Some((_, Some(_))) => None,
            Some((_, None)) => {
                let resets = |sub: &Sub| self.chans[sub.chan].config.on_gap == GapPolicy::Reset;
                c.subs.iter().any(resets).then(|| reset(c.position))
            }
        }
    }
}
