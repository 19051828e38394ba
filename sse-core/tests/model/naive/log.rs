//! Hubs that follow a log (L3, L4).

use sse_core::{Action, GapPolicy};

use super::{Model, State};

impl Model {
    /// Moves the head (L3).
    pub(crate) fn advance_head(&mut self, position: u64) {
        if self.is_log {
            self.head = self.head.max(position);
        }
    }

    /// Loses the events of a channel up to a position (L4).
    pub(crate) fn lose(&mut self, chan: usize, through: u64) -> bool {
        if self.chans[chan].state != State::Open {
            return false;
        }
        let ahead = if through > self.head { through } else { u64::MAX };
        self.advance_head(through);
        let through = through.min(self.complete_through());
        let channel = &mut self.chans[chan];
        let former = channel.told_through;
        channel.told_through = former.max(through);
        while channel.history().next().is_some_and(|oldest| oldest.position <= through) {
            channel.evict();
        }
        let members: Vec<usize> = self.members(chan).map(|(conn, _)| conn).collect();
        for conn in members {
            let point = self.conns[conn].resume_point.as_ref().and_then(|(_, position)| *position);
            if self.conns[conn].is_open() && point.is_none_or(|point| point < ahead) {
                self.report_loss(conn, chan, former, through);
            }
        }
        self.release_retained(chan);
        self.report_room(chan);
        true
    }

    fn report_loss(&mut self, conn: usize, chan: usize, former: u64, through: u64) {
        self.end_first_step(conn);
        self.counters.lagged += 1;
        let (connection, channel) = (self.conns[conn].id, self.chans[chan].id);
        self.actions.push(Action::Lagged { connection, channel, lost_through: through.into() });
        if self.chans[chan].config.on_gap != GapPolicy::Reset {
            self.finish_if_idle(conn);
            return;
        }
        let (now, chans) = (self.now, &self.chans);
        let c = &mut self.conns[conn];
        let is_needed =
            c.subs.iter().any(|sub| sub.starts_after == former || chans[sub.chan].told_through == former);
        if former > c.position && !is_needed {
            c.own_frames.retain(|frame| frame.is_after || frame.position != former);
        }
        let before = through.max(c.client_position());
        c.push_reset(now, before);
        self.decide_reset_ids(conn);
    }
}
