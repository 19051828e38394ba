//! One channel: all that was ever published to it.

use std::num::NonZeroUsize;

use sse_core::{ChannelConfig, ChannelId, Instant};

use super::{Model, Pub};

pub(crate) struct Chan {
    pub(crate) id: ChannelId,
    pub(crate) name: String,
    pub(crate) config: ChannelConfig,
    /// Where the hub stood when it opened.
    pub(crate) opened: u64,
    /// Nothing at or below it comes any more.
    pub(crate) last: u64,
    pub(crate) pubs: Vec<Pub>,
    pub(crate) state: State,
    pub(crate) empty_since: Instant,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Open,
    /// It lives for what its members have not taken (K3).
    Closed,
    Gone,
}

impl Chan {
    pub(crate) fn history(&self) -> impl Iterator<Item = &Pub> {
        self.pubs.iter().filter(|event| event.is_kept)
    }

    pub(crate) fn history_bytes(&self) -> usize {
        self.history().map(|event| event.wire.len()).sum()
    }

    /// The newest event with an id that cannot be replayed (H5).
    pub(crate) fn floor(&self) -> u64 {
        let gone = self.pubs.iter().filter(|event| event.is_replayable() && !event.is_kept);
        gone.map(|event| event.position).max().unwrap_or(0).max(self.opened)
    }

    /// Lets the oldest kept event go; false when there is none.
    pub(crate) fn evict(&mut self) -> bool {
        let oldest = self.pubs.iter_mut().find(|event| event.is_kept);
        oldest.map(|event| event.is_kept = false).is_some()
    }

    /// When the oldest kept event becomes too old (H1).
    pub(crate) fn next_expiry(&self) -> Option<Instant> {
        self.history().next()?.at.checked_add(self.config.history.age?)
    }

    pub(crate) fn expire(&mut self, now: Instant) {
        while self.next_expiry().is_some_and(|at| at <= now) {
            self.evict();
        }
    }

    /// The newest position that left the backlog by its bounds.
    pub(crate) fn lost_through(&self) -> u64 {
        self.pubs.iter().filter(|event| event.is_lost).map(|event| event.position).max().unwrap_or(0)
    }

    pub(crate) fn gives_ids(&self) -> bool {
        self.config.ids == sse_core::IdSource::Hub && self.config.history.events > 0
    }
}

impl Model {
    /// What live readers have not taken (S1): events that a member still waits for and that are within the bounds.
    pub(crate) fn backlog(&self, chan: usize) -> Vec<&Pub> {
        let needed_after = self.members(chan).map(|(_, sub)| sub.stands).min();
        let is_needed = |event: &&Pub| needed_after.is_some_and(|stands| stands < event.position);
        self.chans[chan].pubs.iter().filter(|event| !event.is_lost).filter(is_needed).collect()
    }

    /// Keeps the bounds after something was published. The newest stays.
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
                let losers = self.members(chan).filter(|(_, sub)| sub.stands < oldest).count();
                self.counted.live_only_lost += losers as u64;
            }
            let lost = self.chans[chan].pubs.iter_mut().find(|event| event.position == oldest);
            lost.expect("it was just found").is_lost = true;
        }
    }

    /// When it closes if nobody comes (K2).
    pub(crate) fn empty_until(&self, chan: usize) -> Option<Instant> {
        let channel = &self.chans[chan];
        if channel.state != State::Open || self.members(chan).next().is_some() {
            return None;
        }
        channel.empty_since.checked_add(channel.config.empty_timeout?)
    }
}
