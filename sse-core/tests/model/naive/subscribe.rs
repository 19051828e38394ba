//! Start of subscriptions, and the `Resume` that they report.

use sse_core::{GapPolicy, Resume, StartFrom, SubscribeError};

use super::{Chan, Model, OwnFrame, State, Sub, position_event, reset};

impl Model {
    /// Subscribes a connection. `join` says what the client has of the channel: nothing, or everything up to an id.
    pub(crate) fn subscribe(
        &mut self,
        chan: usize,
        conn: usize,
        join: Option<Option<Option<&str>>>,
    ) -> Result<Resume, SubscribeError> {
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
        self.expire(chan);
        let resume = self.attach(chan, conn, join);
        if matches!(resume, Resume::Gap { .. } | Resume::Unknown) {
            self.counters.gaps += 1;
        }
        self.finish_if_idle(conn);
        Ok(resume)
    }

    fn attach(&mut self, chan: usize, conn: usize, join: Option<Option<Option<&str>>>) -> Resume {
        let (complete_through, now) = (self.complete_through(), self.now);
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
            replay_through: 0,
            starts_anew: false,
        };
        let c = &mut self.conns[conn];
        let is_plain = join.is_none() || join == Some(None) && c.resume_point.is_none();
        if !c.start_is_open || !is_plain {
            self.end_first_step(conn);
            self.conns[conn].subs.push(sub);
            return self.attach_late(chan, conn, join);
        }
        c.subs.push(sub);
        if let Some((Some(id), position)) = &mut c.resume_point
            && let Some(found) = newest_use(channel, id)
        {
            *position = Some(position.map_or(found, |known| known.min(found)));
        }
        self.decide_start(conn);
        let (channel, c) = (&self.chans[chan], &self.conns[conn]);
        let sub = c.subs.last().expect("just subscribed");
        let is_replayed = |position: u64| position > sub.starts_after && position <= sub.live_after;
        let events = channel.readable().filter(|event| is_replayed(event.position)).count();
        match &c.resume_point {
            None if sub.has_lost_beginning(channel) => {
                Resume::Gap { lost_through: sub.known_floor(channel).into(), events }
            }
            None => Resume::Fresh,
            Some((_, None)) => Resume::Unknown,
            Some((_, Some(position))) if *position < channel.floor() => {
                Resume::Gap { lost_through: channel.floor().into(), events }
            }
            Some(_) if events > 0 => Resume::Replayed { events },
            Some(_) => up_to_date(channel),
        }
    }

    /// A late subscription begins behind what the client has (O3, O6), and is followed by a position (O9).
    fn attach_late(&mut self, chan: usize, conn: usize, join: Option<Option<Option<&str>>>) -> Resume {
        let (now, head, complete_through, is_external) =
            (self.now, self.head, self.complete_through(), self.is_external);
        let (channel, c) = (&self.chans[chan], &mut self.conns[conn]);
        let client = c.client_position();
        let lost_through = head.max(client);
        let had = match join {
            Some(Some(id)) => {
                let in_order = |position: &u64| is_external || *position <= head;
                let own = id.and_then(super::publish::position_in).filter(in_order);
                Some(own.or_else(|| newest_use(channel, id?)))
            }
            None if c.resume_point.is_some() => Some(None),
            _ => None,
        };
        let given = c.resume_point.as_ref().and_then(|(_, position)| *position);
        let is_ahead = |announced: u64| {
            given.is_some_and(|given| given >= announced) || had.flatten().is_some_and(|had| had > announced)
        };
        let owed = |after: u64| {
            let owed = channel.history().filter(move |event| event.position > after);
            owed.filter(|event| !c.is_named(event)).map(|event| event.position).next()
        };
        let (starts_after, resets, resume) = match had {
            None => (c.subs.last().expect("a subscription").live_after.max(client), false, Resume::Fresh),
            Some(Some(had))
                if (had >= client || complete_through >= client)
                    && had >= channel.floor()
                    && owed(had).is_none_or(|first| first > client) =>
            {
                let after = had.max(client);
                let live_after = c.subs.last().expect("a subscription").live_after;
                let is_replayed =
                    |event: &&super::Pub| event.position > after && event.position <= live_after;
                let events = channel.readable().filter(is_replayed).count();
                (after, false, if events > 0 { Resume::Replayed { events } } else { up_to_date(channel) })
            }
            Some(_) => {
                let gap = Resume::Gap { lost_through: lost_through.into(), events: 0 };
                (lost_through, channel.config.on_gap == GapPolicy::Reset, gap)
            }
        };
        let sub = c.subs.last_mut().expect("a subscription");
        sub.starts_after = starts_after;
        sub.plan_replay(channel, u64::MAX);
        let announced = complete_through.max(c.position);
        let (announces, is_ahead) = (c.config.announce_position, is_ahead(announced));
        if announces && !is_ahead {
            c.own_frames.retain(|frame| !frame.is_after || frame.id.is_none());
            c.push_own(OwnFrame {
                position: announced,
                is_after: true,
                is_farewell: false,
                id: Some(announced),
                wire: position_event(announced),
                since: now,
            });
        }
        if resets {
            let position = c.position;
            c.push_reset(now, position);
        }
        self.decide_reset_ids(conn);
        resume
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
            let (floor, policy) = (sub.floor(channel), channel.config.on_gap);
            let (from, resets) = match resume_point {
                Some(Some(position)) if position >= floor => (position, false),
                Some(Some(position)) if policy == GapPolicy::Live => (sub.subscribed_at.max(position), false),
                Some(Some(_)) => (floor, policy == GapPolicy::Reset),
                Some(None) if policy == GapPolicy::Live => (sub.subscribed_at, false),
                Some(None) => (start(channel, &sub), false),
                None if sub.has_lost_beginning(channel) && policy == GapPolicy::Live => {
                    (sub.subscribed_at, false)
                }
                None if sub.has_lost_beginning(channel) => {
                    (sub.known_floor(channel), policy == GapPolicy::Reset)
                }
                None => (start(channel, &sub), false),
            };
            c.subs[number].starts_after = if from >= sub.live_after { from.max(sub.passed) } else { from };
            c.subs[number].plan_replay(channel, u64::MAX);
            c.subs[number].starts_anew = resets || resume_point.flatten().is_none();
            if resets {
                let is_new = resume_point.is_none();
                c.push_reset(now, if is_new { sub.known_floor(channel) } else { floor });
            }
        }
        if let Some(start) = c.subs.iter().map(|sub| sub.starts_after.min(sub.live_after)).min() {
            c.position = start;
        }
        for number in 0..self.conns[conn].subs.len() {
            self.release_retained(self.conns[conn].subs[number].chan);
        }
        self.decide_reset_ids(conn);
    }

    /// Decides the ids of the pending resets (H7): the position before, if another channel has an event at the position.
    pub(crate) fn decide_reset_ids(&mut self, conn: usize) {
        let c = &self.conns[conn];
        let complete_through = self.complete_through();
        let id = |before: u64| {
            if before <= c.position {
                return c.client_position();
            }
            let has_event = c.subs.iter().any(|sub| {
                let is_there = |event: &u64| *event == before;
                let may_come = before > complete_through
                    || self
                        .readable(sub, before - 1)
                        .iter()
                        .map(|(event, _)| event.position)
                        .any(|p| is_there(&p));
                sub.starts_after < before && may_come
            });
            before - u64::from(has_event)
        };
        let ids: Vec<Option<u64>> =
            c.own_frames.iter().map(|frame| (!frame.is_after).then(|| id(frame.position))).collect();
        for (frame, id) in self.conns[conn].own_frames.iter_mut().zip(ids) {
            if let Some(id) = id {
                (frame.id, frame.wire) = (Some(id), reset(id));
            }
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
        self.conns[conn].has_given_up |= !self.has_pending(conn);
        self.finish_if_idle(conn);
        true
    }
}

impl Sub {
    /// Plans the replay of what history can give now, and of what it could give before.
    pub(crate) fn plan_replay(&mut self, channel: &Chan, end: u64) {
        let last = self.live_after.min(end);
        let newest =
            channel.readable().map(|event| event.position).filter(|position| *position <= last).max();
        self.replay_through = self.replay_through.max(newest.unwrap_or(0));
    }

    /// Returns the floor among what was published before the subscription.
    fn known_floor(&self, channel: &Chan) -> u64 {
        self.floor(channel).min(self.subscribed_at)
    }

    /// Returns whether the channel promises its beginning and has let go of a part of it (H8).
    pub(crate) fn has_lost_beginning(&self, channel: &Chan) -> bool {
        channel.config.start == StartFrom::Beginning && self.known_floor(channel) > channel.first_floor
    }

    /// Returns the position after which the subscription can start: what is retained for it is not lost (H6).
    pub(crate) fn floor(&self, channel: &Chan) -> u64 {
        let has_all = self.is_replaying() && channel.gone_through() <= self.starts_after;
        if has_all { channel.floor().min(self.starts_after) } else { channel.floor() }
    }
}

/// Returns the result for a client that has missed nothing.
fn up_to_date(channel: &Chan) -> Resume {
    if channel.is_finished { Resume::Finished } else { Resume::UpToDate }
}

/// Returns the start of a subscription without a last event id (H8).
fn start(channel: &Chan, sub: &Sub) -> u64 {
    let floor = sub.floor(channel);
    let from = match channel.config.start {
        StartFrom::Live => sub.subscribed_at,
        StartFrom::Last(events) => {
            let kept: Vec<u64> = channel.readable().map(|event| event.position).collect();
            let before = kept.iter().filter(|position| **position <= sub.subscribed_at).count();
            let newest = kept.last().copied().unwrap_or(floor);
            kept.get(before.saturating_sub(events)).map_or(newest, |first| first - 1).max(floor)
        }
        StartFrom::All | StartFrom::Beginning => floor,
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
