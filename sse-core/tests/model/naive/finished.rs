//! Finished channels (K4 to K7), and the last frame of a connection (T5).

use std::time::Duration;

use sse_core::{Action, CloseReason, PublishError};

use super::{Draft, Model, OwnFrame, State};

impl Model {
    /// Finishes a channel. Returns its end, the position above which it is complete, and whether it let go of nothing.
    pub(crate) fn finish_channel(
        &mut self,
        chan: usize,
        last: Option<&Draft>,
        keep: Duration,
    ) -> Result<(u64, u64, bool), PublishError> {
        if self.is_external {
            return Err(PublishError::PositionsAreExternal);
        }
        self.check_channels(&[chan])?;
        if let Some(last) = last {
            self.publish(&[chan], last, None)?;
        }
        let kept_until = self.now.checked_add(keep);
        let channel = &mut self.chans[chan];
        (channel.is_finished, channel.kept_until) = (true, kept_until);
        channel.lingers = None;
        self.actions.push(Action::ChannelFinished(channel.id));
        self.end_wait_for_room(chan);
        let channel = &self.chans[chan];
        let newest = channel.history().map(|event| event.position).max().unwrap_or(0);
        let has_all = channel.pubs.iter().all(|event| !event.is_replayable() || event.is_kept);
        let is_complete = has_all && channel.told_through == 0;
        Ok((newest.max(channel.floor()), channel.floor(), is_complete))
    }

    pub(crate) fn check_channels(&self, chans: &[usize]) -> Result<(), PublishError> {
        for chan in chans {
            let channel = &self.chans[*chan];
            if channel.state != State::Open {
                return Err(PublishError::UnknownChannel(channel.id));
            }
            if channel.is_finished {
                return Err(PublishError::Finished(channel.id));
            }
        }
        Ok(())
    }

    /// Returns whether the client has everything that it will ever receive (K6).
    pub(crate) fn is_over(&self, conn: usize) -> bool {
        let c = &self.conns[conn];
        c.is_alive
            && c.resume_point.is_some()
            && !c.subs.is_empty()
            && c.subs.iter().all(|sub| self.chans[sub.chan].is_finished)
            && !self.has_pending(conn)
    }

    /// Returns the number of a subscription to a finished channel that has nothing more for its connection.
    fn first_finished(&self, conn: usize) -> Option<usize> {
        let c = &self.conns[conn];
        c.subs.iter().position(|sub| {
            let more = self.readable(sub, c.position.max(sub.starts_after));
            self.chans[sub.chan].is_finished && more.is_empty() && self.loss(conn, sub).is_none()
        })
    }

    /// Returns whether the connection leaves a channel when its transport asks for bytes (K5).
    pub(crate) fn waits_to_leave(&self, conn: usize) -> bool {
        let c = &self.conns[conn];
        c.is_alive && c.is_open() && !self.has_pending(conn) && self.first_finished(conn).is_some()
    }

    /// The transport asked for bytes, and there are none.
    pub(crate) fn leave_finished(&mut self, conn: usize) {
        if !self.waits_to_leave(conn) {
            return;
        }
        while let Some(number) = self.first_finished(conn) {
            self.end_first_step(conn);
            self.detach(conn, number);
        }
        self.drop_drained(conn);
        if self.conns[conn].subs.is_empty() {
            self.begin_close(conn, CloseReason::Finished);
        }
    }

    /// Appends the farewell, if there is one.
    pub(crate) fn push_farewell(&mut self, conn: usize) {
        let now = self.now;
        let c = &mut self.conns[conn];
        if let Some(farewell) = c.config.farewell.take() {
            let wire = farewell.as_bytes().to_vec();
            let position = u64::MAX;
            c.push_own(OwnFrame { position, is_after: true, is_farewell: true, id: None, wire, since: now });
        }
    }
}
