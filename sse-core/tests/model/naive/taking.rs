//! Bytes that transports take, and claims.

use super::connection::ClaimedFrames;
use super::{Kind, Model, Stage};

impl Model {
    /// Takes pending bytes, frame by frame.
    pub(crate) fn take(&mut self, conn: usize, mut bytes: usize) {
        while bytes > 0 {
            let item = self.pending(conn).into_iter().next().expect("a window has only pending bytes");
            let taken = bytes.min(item.wire.len());
            bytes -= taken;
            let now = self.now;
            let c = &mut self.conns[conn];
            c.is_starting = false;
            c.start_is_open = false;
            c.mark_taken(now);
            c.received.extend_from_slice(&item.wire[..taken]);
            c.in_progress = item.wire[taken..].to_vec();
            self.counters.bytes += taken as u64;
            self.counters.delivered += u64::from(taken == item.wire.len());
            self.begin(conn, item.kind);
        }
    }

    /// Counts a frame as begun.
    fn begin(&mut self, conn: usize, kind: Kind) {
        let c = &mut self.conns[conn];
        match kind {
            Kind::InProgress | Kind::Opening => {}
            Kind::OwnFrame if c.own_frames[0].is_farewell => {
                c.own_frames.remove(0);
                if let Stage::Closing { reason, .. } = c.stage {
                    c.stage = Stage::Ending { reason };
                }
            }
            Kind::OwnFrame => {
                // The id of a frame of the hub stands for all channels.
                if let Some(position) = c.own_frames.remove(0).id.filter(|position| *position > c.position) {
                    self.move_to(conn, position);
                }
            }
            Kind::Ping => {
                c.pending_ping = None;
                c.spread = Default::default();
                self.counters.pings += 1;
            }
            Kind::Event { position, in_history } => {
                let is_open = c.is_open();
                self.counters.replayed += u64::from(in_history);
                self.move_to(conn, position);
                if !is_open {
                    self.drop_drained(conn);
                }
            }
        }
    }

    /// Returns whether the hub hands out bytes of a connection: not while its bytes are claimed (D9).
    pub(crate) fn can_transmit(&self, conn: usize) -> bool {
        self.conns[conn].is_alive && self.conns[conn].claim.is_none()
    }

    /// Claims the first frames.
    pub(crate) fn claim(&mut self, conn: usize, frames: usize) {
        let (now, mut bytes) = (self.now, Vec::new());
        for _ in 0..frames {
            let item = self.pending(conn).into_iter().next().expect("a window has only pending bytes");
            let c = &mut self.conns[conn];
            c.is_starting = false;
            c.start_is_open = false;
            c.in_progress.clear();
            bytes.extend_from_slice(&item.wire);
            self.begin(conn, item.kind);
        }
        let c = &mut self.conns[conn];
        if !c.is_reported {
            c.mark_reported(now);
        }
        c.claim = Some(ClaimedFrames { bytes, frames });
    }

    /// Returns the last bytes of a claim.
    pub(crate) fn claimed_tail(&self, conn: usize, len: usize) -> Vec<u8> {
        let bytes = self.conns[conn].claim.as_ref().map_or(&[][..], |claim| &claim.bytes);
        bytes[bytes.len().saturating_sub(len)..].to_vec()
    }

    /// Returns whether the confirmation of a claim closes the connection.
    pub(crate) fn completes(&self, conn: usize) -> bool {
        let c = &self.conns[conn];
        c.is_alive && !c.is_open() && self.pending(conn).is_empty() && !self.has_loss(conn)
    }

    /// Ends a claim. The bytes `rest` were not written: they are in progress now (S3).
    pub(crate) fn put_back(&mut self, conn: usize, rest: Vec<u8>) -> bool {
        let now = self.now;
        let c = &mut self.conns[conn];
        let Some(claim) = c.claim.take().filter(|_| c.is_alive) else { return false };
        let written = claim.bytes.len() - rest.len();
        c.received.extend_from_slice(&claim.bytes[..written]);
        if written > 0 {
            c.mark_taken(now);
        }
        self.counters.bytes += written as u64;
        self.counters.delivered += claim.frames as u64 - u64::from(!rest.is_empty());
        c.in_progress = rest;
        if c.in_progress.is_empty() {
            self.window_taken(conn);
        }
        true
    }

    /// Handles a window that was used up or empty. If more is pending, the connection is reported again (D3).
    pub(crate) fn window_taken(&mut self, conn: usize) {
        self.drop_drained(conn);
        self.conns[conn].is_reported = false;
        self.finish_if_idle(conn);
        self.leave_finished(conn);
    }
}
