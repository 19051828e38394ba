//! Where subscriptions start, and what a client is told of that.

use sse_core::{GapPolicy, Resume, StartFrom, SubscribeError};

use super::{Chan, Model, State, Sub, reset};

impl Model {
    pub(crate) fn subscribe(&mut self, chan: usize, conn: usize) -> Result<Resume, SubscribeError> {
        let (channel, c) = (&self.chans[chan], &self.conns[conn]);
        if !c.is_alive {
            return Err(SubscribeError::UnknownConnection(c.id));
        }
        if channel.state != State::Open {
            return Err(SubscribeError::UnknownChannel(channel.id));
        }
        if !c.is_open() {
            return Err(SubscribeError::Closing(c.id));
        }
        if c.subs.iter().any(|sub| sub.chan == chan) {
            return Ok(Resume::UpToDate);
        }
        let (subscriptions, members) = (self.limits.subscriptions, self.limits.members);
        if c.subs.len() >= subscriptions {
            return Err(SubscribeError::TooManySubscriptions { limit: subscriptions });
        }
        if self.members(chan).count() >= members {
            return Err(SubscribeError::TooManyMembers { limit: members });
        }
        let now = self.now;
        self.chans[chan].expire(now);
        let resume = self.attach(chan, conn);
        if matches!(resume, Resume::Gap { .. } | Resume::Unknown) {
            self.counted.gaps += 1;
        }
        self.settle(conn);
        Ok(resume)
    }

    fn attach(&mut self, chan: usize, conn: usize) -> Resume {
        let (settled, head, now) = (self.settled(), self.head, self.now);
        let channel = &self.chans[chan];
        let made = channel.last.max(settled);
        let sub = Sub {
            chan,
            made,
            made_at: now,
            from: made,
            live_from: made,
            stands: channel.last,
            passed: channel.last,
        };
        let c = &mut self.conns[conn];
        c.subs.push(sub);
        if !c.is_planning {
            // O3: a late subscription never resumes.
            let Some((_, position)) = &c.asked else { return Resume::Fresh };
            let lost_through = position.map_or(head, |position| position.max(head));
            c.subs.last_mut().expect("just made").from = lost_through;
            if channel.config.on_gap == GapPolicy::Reset {
                c.push_reset(now, c.position, reset(lost_through));
            }
            return Resume::Gap { lost_through: lost_through.into(), events: 0 };
        }
        if let Some((Some(id), position)) = &mut c.asked
            && let Some(found) = newest_use(channel, id)
        {
            *position = Some(position.map_or(found, |known| known.min(found)));
        }
        self.plan(conn);
        let (channel, c) = (&self.chans[chan], &self.conns[conn]);
        let sub = c.subs.last().expect("just made");
        let is_replayed = |position: u64| position > sub.from && position <= sub.live_from;
        let events = channel.history().filter(|event| is_replayed(event.position)).count();
        match &c.asked {
            None => Resume::Fresh,
            Some((_, None)) => Resume::Unknown,
            Some((_, Some(position))) if *position < channel.floor() => {
                Resume::Gap { lost_through: channel.floor().into(), events }
            }
            Some(_) if events > 0 => Resume::Replayed { events },
            Some(_) => Resume::UpToDate,
        }
    }

    /// Until a byte was taken, all subscriptions are one step: each starts where the rules say now (O3). What is due to one
    /// that is being closed stands.
    pub(crate) fn plan(&mut self, conn: usize) {
        if !self.conns[conn].is_planning || !self.conns[conn].is_open() {
            return;
        }
        let now = self.now;
        let c = &mut self.conns[conn];
        c.own.retain(|own| own.is_after);
        let asked = c.asked.as_ref().map(|(_, position)| *position);
        for number in 0..c.subs.len() {
            let sub = c.subs[number];
            let channel = &self.chans[sub.chan];
            let (floor, policy) = (channel.floor(), channel.config.on_gap);
            let (from, resets) = match asked {
                Some(Some(position)) if position >= floor => (position, false),
                Some(Some(position)) if policy == GapPolicy::Live => (sub.made.max(position), false),
                Some(Some(_)) => (floor, policy == GapPolicy::Reset),
                Some(None) if policy == GapPolicy::Kept => (start(channel, &sub), false),
                Some(None) => (sub.made, false),
                None => (start(channel, &sub), false),
            };
            c.subs[number].from = if sub.passed > sub.live_from { from.max(sub.passed) } else { from };
            if resets {
                c.push_reset(now, floor, reset(floor));
            }
        }
        if let Some(start) = c.subs.iter().map(|sub| sub.from.min(sub.live_from)).min() {
            c.position = start;
        }
    }

    pub(crate) fn unsubscribe(&mut self, chan: usize, conn: usize) -> bool {
        let c = &self.conns[conn];
        if !c.is_alive || self.chans[chan].state == State::Gone {
            return false;
        }
        let Some(number) = c.subs.iter().position(|sub| sub.chan == chan) else { return false };
        self.detach(conn, number);
        self.plan(conn);
        self.settle(conn);
        true
    }
}

/// Where a connection without a last event id starts (H8).
fn start(channel: &Chan, sub: &Sub) -> u64 {
    let floor = channel.floor();
    let from = match channel.config.start {
        StartFrom::Live => sub.made,
        StartFrom::Last(events) => {
            let kept: Vec<u64> = channel.history().map(|event| event.position).collect();
            let before = kept.iter().filter(|position| **position <= sub.made).count();
            let newest = kept.last().copied().unwrap_or(floor);
            kept.get(before.saturating_sub(events)).map_or(newest, |first| first - 1).max(floor)
        }
        StartFrom::All => floor,
        other => panic!("the model does not know {other:?}"),
    };
    from.min(sub.made)
}

/// Where the newest kept use of one of the application's ids stands (H4).
fn newest_use(channel: &Chan, id: &str) -> Option<u64> {
    if super::publish::position_in(id).is_some() {
        return None;
    }
    let uses = channel.history().filter(|event| event.id.as_deref() == Some(id));
    uses.map(|event| event.position).max()
}
