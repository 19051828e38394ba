//! What producers are told (P1 to P3).

use sse_core::{Action, Instant, Unwanted};

use super::{Chan, Model, State};

/// How far a producer is ahead of its readers.
pub(crate) struct Lead {
    pub(crate) limit: usize,
    pub(crate) mark: u64,
    pub(crate) is_waiting: bool,
}

impl Chan {
    pub(crate) fn accepts_events(&self) -> bool {
        self.state == State::Open && !self.is_finished
    }

    fn bytes_ahead(&self, lead: &Lead) -> usize {
        self.history().filter(|event| event.position > lead.mark).map(|event| event.wire.len()).sum()
    }
}

impl Model {
    pub(crate) fn unwanted(&self, chan: usize) -> Option<Unwanted> {
        let channel = &self.chans[chan];
        if !channel.accepts_events() {
            return Some(Unwanted::Ended);
        }
        let is_absent = channel.absence_is_reported && self.members(chan).next().is_none();
        if channel.is_stopped { Some(Unwanted::Stopped) } else { is_absent.then_some(Unwanted::Absent) }
    }

    /// Returns the instant at which the absence of readers is reported.
    pub(crate) fn unwanted_at(&self, chan: usize) -> Option<Instant> {
        let channel = &self.chans[chan];
        let is_followed = self.members(chan).next().is_some();
        if is_followed || channel.absence_is_reported || !channel.accepts_events() {
            return None;
        }
        channel.empty_since.checked_add(channel.config.unwanted_after?)
    }

    pub(crate) fn report_absence(&mut self, chan: usize) {
        if self.unwanted_at(chan).is_some_and(|at| at <= self.now) {
            let channel = &mut self.chans[chan];
            channel.absence_is_reported = true;
            self.actions.push(Action::Unwanted { channel: channel.id, why: Unwanted::Absent });
        }
    }

    pub(crate) fn stop(&mut self, chan: usize) -> bool {
        let channel = &mut self.chans[chan];
        if !channel.accepts_events() || std::mem::replace(&mut channel.is_stopped, true) {
            return false;
        }
        self.actions.push(Action::Unwanted { channel: channel.id, why: Unwanted::Stopped });
        self.end_wait_for_room(chan);
        true
    }

    pub(crate) fn room(&mut self, chan: usize) -> Option<usize> {
        let channel = &self.chans[chan];
        if !channel.accepts_events() {
            return None;
        }
        let Some(lead) = &channel.lead else { return Some(usize::MAX) };
        let room = lead.limit.saturating_sub(channel.bytes_ahead(lead));
        let waits = room == 0 && !channel.is_stopped;
        if let Some(lead) = &mut self.chans[chan].lead {
            lead.is_waiting |= waits;
        }
        if waits {
            self.chans[chan].lingers = None;
        }
        Some(room)
    }

    /// A reader has come to a position.
    pub(crate) fn advance_mark(&mut self, chan: usize, position: u64) {
        let channel = &mut self.chans[chan];
        if let Some(lead) = &mut channel.lead {
            lead.mark = lead.mark.max(position);
        }
        self.report_room(chan);
    }

    pub(crate) fn report_room(&mut self, chan: usize) {
        let channel = &self.chans[chan];
        let Some(lead) = &channel.lead else { return };
        if lead.is_waiting && channel.bytes_ahead(lead) <= lead.limit / 2 {
            self.end_wait_for_room(chan);
        }
    }

    pub(crate) fn end_wait_for_room(&mut self, chan: usize) {
        let channel = &mut self.chans[chan];
        if let Some(lead) = channel.lead.as_mut().filter(|lead| lead.is_waiting) {
            lead.is_waiting = false;
            self.actions.push(Action::Room(channel.id));
        }
    }
}
