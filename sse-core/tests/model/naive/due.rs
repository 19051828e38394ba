//! What is due to a connection, in order, and what it has lost.

use sse_core::{GapPolicy, Instant};

use super::{Model, Pub, Stage, Sub, reset};

/// One frame that is due, or the rest of one.
#[derive(Clone, Debug)]
pub(crate) struct Item {
    pub(crate) kind: Kind,
    pub(crate) wire: Vec<u8>,
    /// When it came, at the earliest and at the latest: T3 leaves that open for what is older than its subscription.
    pub(crate) came: (Instant, Instant),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Progress,
    /// The position at the start (H3), or the reset for an unknown id (H7).
    Opening,
    Ping,
    Own,
    Event {
        position: u64,
        in_history: bool,
    },
}

impl Model {
    /// All frames that are due to a connection, from the first to the last.
    pub(crate) fn due(&self, conn: usize) -> Vec<Item> {
        let c = &self.conns[conn];
        let mut items = Vec::new();
        if !c.is_alive {
            return items;
        }
        let mut push = |kind, wire: &[u8], came| items.push(Item { kind, wire: wire.to_vec(), came });
        if !c.progress.is_empty() {
            push(Kind::Progress, &c.progress, (c.taken_at, c.taken_at));
        }
        if matches!(c.stage, Stage::Ending { .. }) {
            return items;
        }
        if let Some(opening) = self.opening(conn) {
            let latest = if c.asked.is_none() { c.opened_at } else { self.now };
            push(Kind::Opening, &opening, (c.opened_at, latest));
        }
        if let Some(since) = c.ping_due {
            push(Kind::Ping, b":\n\n", (since, since));
        }
        let mut own = c.own.iter().peekable();
        for (position, event, in_history, made_at) in self.due_events(conn) {
            while let Some(own) = own.next_if(|own| (own.position, own.is_after) < (position, true)) {
                push(Kind::Own, &own.wire, (own.since, own.since));
            }
            let came = if in_history { (event.at.max(made_at), self.now) } else { (event.at, event.at) };
            push(Kind::Event { position, in_history }, &event.wire, came);
        }
        for own in own {
            push(Kind::Own, &own.wire, (own.since, own.since));
        }
        items
    }

    /// The events that are due, each once, in the order of their positions (O1, O2).
    fn due_events(&self, conn: usize) -> Vec<(u64, &Pub, bool, Instant)> {
        let c = &self.conns[conn];
        let mut due: Vec<(u64, &Pub, bool, Instant)> = Vec::new();
        for sub in &c.subs {
            for (event, in_history) in self.readable(sub, c.position) {
                let is_due =
                    event.position > sub.from && event.except != Some(c.id) && c.wants(event.position);
                if is_due && due.iter().all(|(position, ..)| *position != event.position) {
                    due.push((event.position, event, in_history, sub.made_at));
                }
            }
        }
        due.sort_by_key(|(position, ..)| *position);
        due
    }

    /// The events above a position that a subscription can read: from history what was published before it became
    /// live, from the backlog what came since.
    pub(crate) fn readable(&self, sub: &Sub, after: u64) -> Vec<(&Pub, bool)> {
        let owed_after = after.max(sub.from);
        let old = self.chans[sub.chan].history();
        let old = old.filter(|event| event.position > owed_after && event.position <= sub.live_from);
        let new = self.backlog(sub.chan).into_iter().filter(|event| event.position > sub.reader(after));
        old.map(|event| (event, true)).chain(new.map(|event| (event, false))).collect()
    }

    /// Whether there are bytes, or a loss that the next look at them finds out.
    pub(crate) fn is_due(&self, conn: usize) -> bool {
        !self.due(conn).is_empty() || self.has_loss(conn)
    }

    pub(crate) fn has_loss(&self, conn: usize) -> bool {
        self.conns[conn].is_alive && self.first_loss(conn).is_some()
    }

    /// The first subscription that has lost something, and the newest event with an id that is lost for good.
    pub(crate) fn first_loss(&self, conn: usize) -> Option<(usize, Option<u64>)> {
        let c = &self.conns[conn];
        if matches!(c.stage, Stage::Ending { .. }) {
            return None;
        }
        let loss = |sub: &Sub| self.loss(conn, sub);
        c.subs.iter().enumerate().find_map(|(number, sub)| Some((number, loss(sub)?)))
    }

    /// What a subscription has lost: a place in the backlog, and perhaps events with ids that are kept nowhere (S1).
    pub(crate) fn loss(&self, conn: usize, sub: &Sub) -> Option<Option<u64>> {
        let (c, channel) = (&self.conns[conn], &self.chans[sub.chan]);
        let owed_after = c.position.max(sub.from);
        let is_lost = |event: &&Pub| {
            let left_backlog = event.position <= sub.made || event.is_lost && event.position > sub.passed;
            event.position > owed_after && event.is_replayable() && !event.is_kept && left_backlog
        };
        let reader = sub.reader(c.position).max(sub.stands);
        let has_fallen = c.wants(reader.saturating_add(1)) && channel.lost_through() > reader;
        let lost = channel.pubs.iter().filter(is_lost).map(|event| event.position);
        // One that is being closed is told of a loss up to its end, and of none beyond.
        let through = match c.stage {
            Stage::Closing { end, .. } => {
                let is_told = |position: u64| {
                    let is_live = position > sub.live_from;
                    if is_live { end > sub.reader(owed_after) } else { position <= end }
                };
                lost.filter(|position| is_told(*position)).map(|position| end.min(position)).max()
            }
            _ => lost.max(),
        };
        (has_fallen || through.is_some()).then_some(through)
    }

    /// The block that a connection begins with.
    pub(super) fn opening(&self, conn: usize) -> Option<Vec<u8>> {
        let c = &self.conns[conn];
        match &c.asked {
            _ if !c.is_starting => None,
            None => c.config.announce_position.then(|| format!("id: e-{}\n\n", c.position).into_bytes()),
            Some((_, Some(_))) => None,
            Some((_, None)) => {
                let resets = |sub: &Sub| self.chans[sub.chan].config.on_gap == GapPolicy::Reset;
                let first = c.subs.iter().map(|sub| sub.made).min()?;
                c.subs.iter().any(resets).then(|| reset(first))
            }
        }
    }
}
