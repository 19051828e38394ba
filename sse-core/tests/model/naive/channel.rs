//! One channel and everything that was ever published to it.

use std::num::NonZeroUsize;

use sse_core::{ChannelConfig, ChannelId, Instant};

use super::{Lead, Model, Pub};

pub(crate) struct Chan {
    pub(crate) id: ChannelId,
    pub(crate) name: String,
    pub(crate) config: ChannelConfig,
    /// The floor when the channel opened.
    pub(crate) first_floor: u64,
    /// The end of the loss that was declared last (L4).
    pub(crate) told_through: u64,
    /// The channel accepts no event at or below this position.
    pub(crate) last: u64,
    pub(crate) pubs: Vec<Pub>,
    pub(crate) state: State,
    pub(crate) empty_since: Instant,
    /// The channel accepts no events, and closes at `kept_until` (K4).
    pub(crate) is_finished: bool,
    pub(crate) kept_until: Option<Instant>,
    /// The first position that lingers, and the end of the linger (T6).
    pub(crate) lingers: Option<(u64, Option<Instant>)>,
    /// The present absence of readers was reported (P1).
    pub(crate) absence_is_reported: bool,
    pub(crate) is_stopped: bool,
    pub(crate) lead: Option<Lead>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Open,
    /// Closed, and kept for the events that its members have not taken (K3).
    Closed,
    Gone,
}

impl Chan {
    pub(crate) fn history(&self) -> impl Iterator<Item = &Pub> {
        self.pubs.iter().filter(|event| event.is_kept)
    }

    /// Returns the events that a subscription can read from history: those that it keeps, and those that are retained.
    pub(crate) fn readable(&self) -> impl Iterator<Item = &Pub> {
        self.pubs.iter().filter(|event| event.is_kept || event.is_retained)
    }

    /// Returns the number of retained events and their bytes.
    pub(crate) fn retained(&self) -> (usize, usize) {
        let retained = self.pubs.iter().filter(|event| event.is_retained);
        retained.fold((0, 0), |(count, bytes), event| (count + 1, bytes + event.wire.len()))
    }

    /// Returns the newest position of an event with an id that nobody can read from history.
    pub(crate) fn gone_through(&self) -> u64 {
        let is_gone = |event: &&Pub| event.is_replayable() && !event.is_kept && !event.is_retained;
        self.pubs.iter().filter(is_gone).map(|event| event.position).max().unwrap_or(0)
    }

    pub(crate) fn history_bytes(&self) -> usize {
        self.history().map(|event| event.wire.len()).sum()
    }

    /// Returns the newest position of an event with an id that cannot be replayed (H5).
    pub(crate) fn floor(&self) -> u64 {
        let evicted = self.pubs.iter().filter(|event| event.is_replayable() && !event.is_kept);
        evicted.map(|event| event.position).max().unwrap_or(0).max(self.first_floor).max(self.told_through)
    }

    /// Evicts the oldest event of the history. Returns `false` if history is empty.
    pub(crate) fn evict(&mut self) -> bool {
        let oldest = self.pubs.iter_mut().find(|event| event.is_kept);
        oldest.map(|event| (event.is_kept, event.is_retained) = (false, true)).is_some()
    }

    /// Returns the instant at which the oldest event of the history expires (H1).
    pub(crate) fn next_expiry(&self) -> Option<Instant> {
        let oldest = self.history().next().filter(|_| !self.is_finished)?;
        oldest.at.checked_add(self.config.history.age?)
    }

    pub(crate) fn expire(&mut self, now: Instant) {
        while self.next_expiry().is_some_and(|at| at <= now) {
            self.evict();
        }
    }

    /// Returns the newest position that a bound removed from the backlog.
    pub(crate) fn lost_through(&self) -> u64 {
        self.pubs.iter().filter(|event| event.is_removed).map(|event| event.position).max().unwrap_or(0)
    }

    pub(crate) fn assigns_ids(&self) -> bool {
        self.config.ids == sse_core::IdSource::Hub && self.config.history.events > 0
    }
}

impl Model {
    /// Returns the backlog (S1): the events that a member waits for and that no bound removed.
    pub(crate) fn backlog(&self, chan: usize) -> Vec<&Pub> {
        let needed_after = self.members(chan).map(|(_, sub)| sub.counted_at).min();
        let is_needed = |event: &&Pub| needed_after.is_some_and(|counted_at| counted_at < event.position);
        self.chans[chan].pubs.iter().filter(|event| !event.is_removed).filter(is_needed).collect()
    }

    /// Gives up the retained events that no member needs, or that exceed the bounds of the backlog (H6).
    pub(crate) fn release_retained(&mut self, chan: usize) {
        let replays = self.members(chan).filter(|(_, sub)| sub.is_replaying());
        let needed_after = replays.map(|(_, sub)| sub.starts_after).min().unwrap_or(u64::MAX);
        let channel = &mut self.chans[chan];
        for event in &mut channel.pubs {
            event.is_retained &= event.position > needed_after;
        }
        let limits = channel.config.backlog.clone();
        while {
            let (frames, bytes) = channel.retained();
            frames > limits.frames.get() || bytes > limits.bytes
        } {
            let oldest = channel.pubs.iter_mut().find(|event| event.is_retained);
            oldest.expect("one is retained").is_retained = false;
        }
    }

    /// Expires the events of a channel.
    pub(crate) fn expire(&mut self, chan: usize) {
        let now = self.now;
        self.chans[chan].expire(now);
        self.release_retained(chan);
        self.report_room(chan);
    }

    /// Applies the bounds after a publication. The newest event stays.
    pub(crate) fn bound_backlog(&mut self, chan: usize) {
        loop {
            let limits = &self.chans[chan].config.backlog;
            let frames = self.backlog(chan);
            let bytes: usize = frames.iter().map(|event| event.wire.len()).sum();
            let within = frames.len() <= NonZeroUsize::get(limits.frames) && bytes <= limits.bytes;
            if frames.len() <= 1 || within {
                return;
            }
            let (oldest, is_replayable) = (frames[0].position, frames[0].is_replayable());
            if !is_replayable {
                let losers = self.members(chan).filter(|(_, sub)| sub.counted_at < oldest).count();
                self.counters.live_only_lost += losers as u64;
            }
            let lost = self.chans[chan].pubs.iter_mut().find(|event| event.position == oldest);
            lost.expect("it was just found").is_removed = true;
        }
    }

    /// Returns the instant at which the channel closes: a finished one, or another one unless a member joins (K2, K7).
    pub(crate) fn open_until(&self, chan: usize) -> Option<Instant> {
        let channel = &self.chans[chan];
        if channel.state == State::Open && channel.is_finished {
            return channel.kept_until;
        }
        if channel.state != State::Open || self.members(chan).next().is_some() {
            return None;
        }
        channel.empty_since.checked_add(channel.config.empty_timeout?)
    }
}
