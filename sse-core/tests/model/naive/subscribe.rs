//! Start of subscriptions, and the `Resume` that they report.

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
            self.counters.gaps += 1;
        }
        self.finish_if_idle(conn);
        Ok(resume)
    }

    fn attach(&mut self, chan: usize, conn: usize) -> Resume {
        let (complete_through, head, now) = (self.complete_through(), self.head, self.now);
        let channel = &self.chans[chan];
        let subscribed_at = channel.last.max(complete_through);
        let sub = Sub {
            chan,
            subscribed_at,
            subscribed_time: now,
            starts_after: subscribed_at,
            live_after: subscribed_at,
            counted_at: channel.last,
            passed: channel.last,
        };
        let c = &mut self.conns[conn];
        c.subs.push(sub);
        if !c.start_is_open {
            // A late subscription replays nothing (O3).
            let Some((_, position)) = &c.resume_point else { return Resume::Fresh };
            let lost_through = position.map_or(head, |position| position.max(head));
            c.subs.last_mut().expect("just subscribed").starts_after = lost_through;
            if channel.config.on_gap == GapPolicy::Reset {
                c.push_reset(now, c.position, reset(lost_through));
            }
            return Resume::Gap { lost_through: lost_through.into(), events: 0 };
        }
        if let Some((Some(id), position)) = &mut c.resume_point
            && let Some(found) = newest_use(channel, id)
        {
            *position = Some(position.map_or(found, |known| known.min(found)));
        }
        self.decide_start(conn);
        let (channel, c) = (&self.chans[chan], &self.conns[conn]);
        let sub = c.subs.last().expect("just subscribed");
        let is_replayed = |position: u64| position > sub.starts_after && position <= sub.live_after;
        let events = channel.history().filter(|event| is_replayed(event.position)).count();
        match &c.resume_point {
            None => Resume::Fresh,
            Some((_, None)) => Resume::Unknown,
            Some((_, Some(position))) if *position < channel.floor() => {
                Resume::Gap { lost_through: channel.floor().into(), events }
            }
            Some(_) if events > 0 => Resume::Replayed { events },
            Some(_) => Resume::UpToDate,
        }
    }

    /// Recomputes where all subscriptions start, until the first byte was taken (O3). The start of a closing
    /// connection is fixed.
    pub(crate) fn decide_start(&mut self, conn: usize) {
        if !self.conns[conn].start_is_open || !self.conns[conn].is_open() {
            return;
        }
        let now = self.now;
        let c = &mut self.conns[conn];
        c.own_frames.retain(|frame| frame.is_after);
        let resume_point = c.resume_point.as_ref().map(|(_, position)| *position);
        for number in 0..c.subs.len() {
            let sub = c.subs[number];
            let channel = &self.chans[sub.chan];
            let (floor, policy) = (channel.floor(), channel.config.on_gap);
            let (from, resets) = match resume_point {
                Some(Some(position)) if position >= floor => (position, false),
                Some(Some(position)) if policy == GapPolicy::Live => (sub.subscribed_at.max(position), false),
                Some(Some(_)) => (floor, policy == GapPolicy::Reset),
                Some(None) if policy == GapPolicy::Kept => (start(channel, &sub), false),
                Some(None) => (sub.subscribed_at, false),
                None => (start(channel, &sub), false),
            };
            c.subs[number].starts_after =
                if sub.passed > sub.live_after { from.max(sub.passed) } else { from };
            if resets {
                c.push_reset(now, floor, reset(floor));
            }
        }
        if let Some(start) = c.subs.iter().map(|sub| sub.starts_after.min(sub.live_after)).min() {
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
        self.decide_start(conn);
        self.finish_if_idle(conn);
        true
    }
}

/// Returns the start of a subscription without a last event id (H8).
fn start(channel: &Chan, sub: &Sub) -> u64 {
    let floor = channel.floor();
    let from = match channel.config.start {
        StartFrom::Live => sub.subscribed_at,
        StartFrom::Last(events) => {
            let kept: Vec<u64> = channel.history().map(|event| event.position).collect();
            let before = kept.iter().filter(|position| **position <= sub.subscribed_at).count();
            let newest = kept.last().copied().unwrap_or(floor);
            kept.get(before.saturating_sub(events)).map_or(newest, |first| first - 1).max(floor)
        }
        StartFrom::All => floor,
        other => panic!("the model does not know {other:?}"),
    };
    from.min(sub.subscribed_at)
}

/// Returns the newest kept position of an id of the application (H4).
fn newest_use(channel: &Chan, id: &str) -> Option<u64> {
    if super::publish::position_in(id).is_some() {
        return None;
    }
    let uses = channel.history().filter(|event| event.id.as_deref() == Some(id));
    uses.map(|event| event.position).max()
}
