//! The steps of a driver: time, actions, bytes.

use sse_core::bytes::Buf;
use sse_core::{Action, Transmit};

use super::harness::Harness;
use super::op::Take;

impl Harness {
    pub(crate) fn handle_timeout(&mut self) {
        self.model.observe(self.clock);
        self.hub.handle_timeout(self.clock);
        let hub = &self.hub;
        self.model.handle_timeout(|id| hub.is_connection_open(id));
    }

    pub(crate) fn poll(&mut self) {
        self.model.drop_stale_actions();
        if self.model.visits_matter() {
            return self.poll_all();
        }
        match self.hub.poll_action() {
            Some(action) => self.check_action(action),
            None => self.check_drained(),
        }
    }

    pub(crate) fn poll_all(&mut self) {
        let mut actions = Vec::new();
        while let Some(action) = self.hub.poll_action() {
            actions.push(action);
            assert!(actions.len() < 10_000, "actions without end");
        }
        self.model.visit_all();
        for action in actions {
            self.check_action(action);
        }
        self.check_drained();
    }

    /// Checks that a polled action is pending in the model.
    fn check_action(&mut self, action: Action) {
        if let Action::Transmit(id) = action {
            let conn = self.model_conn(&action).expect("D6: the connection is alive");
            assert!(!self.model.conns[conn].is_reported, "D3: {id} was already reported");
            let has_reason = self.model.has_pending(conn) || self.model.waits_to_leave(conn);
            assert!(has_reason, "D3: {id} has nothing pending");
            return self.model.report(conn);
        }
        let known = self.model.actions.iter().position(|known| *known == action);
        self.model.actions.remove(known.unwrap_or_else(|| panic!("{action:?} is not pending")));
    }

    fn check_drained(&self) {
        assert_eq!(self.model.actions, [], "D2: actions that were not reported");
        assert_eq!(self.model.unreported(), [], "D3: connections that were not reported");
    }

    /// Handles deadlines and actions until nothing is pending. The hub then lets the driver sleep (D2).
    pub(crate) fn turn(&mut self) {
        self.clock = self.clock.max(self.model.now);
        for _ in 0..10 {
            self.handle_timeout();
            self.poll_all();
            if self.hub.poll_timeout().is_none_or(|at| at > self.clock) {
                return;
            }
        }
        panic!("D2: the driver can never sleep");
    }

    /// Takes turns at each of the next deadlines.
    pub(crate) fn sleep(&mut self, deadlines: u8) {
        self.turn();
        for _ in 0..deadlines.min(8) {
            let Some(deadline) = self.hub.poll_timeout() else { return };
            self.clock = deadline;
            self.turn();
        }
    }

    pub(crate) fn take_reported(&mut self) {
        for conn in 0..self.model.conns.len() {
            if self.model.conns[conn].is_alive && self.model.conns[conn].is_reported {
                self.transmit(conn, Take::All);
            }
        }
    }

    pub(crate) fn transmit(&mut self, conn: usize, take: Take) {
        if matches!(take, Take::All) {
            while self.window(conn, Take::Window) > 0 {}
        } else {
            self.window(conn, take);
        }
    }

    /// Takes a part of a window and returns the number of bytes taken.
    fn window(&mut self, conn: usize, take: Take) -> usize {
        self.model.observe(self.clock);
        if self.model.can_transmit(conn) {
            self.model.resolve_losses(conn);
        }
        let expected = self.expected(conn);
        let whole = expected.concat();
        let mut window = self.hub.transmit(self.clock, self.model.conns[conn].id);
        assert_eq!(window.remaining(), whole.len(), "expected the window {:?}", text(&whole));
        assert_eq!(text(window.chunk()), text(expected.first().map_or(&[][..], Vec::as_slice)));
        let mut slices = [std::io::IoSlice::new(b""); Transmit::MAX_FRAMES + 1];
        let filled = window.chunks_vectored(&mut slices);
        let vectored: Vec<u8> = slices[..filled].iter().flat_map(|slice| slice.to_vec()).collect();
        assert_eq!(text(&vectored), text(&whole), "D9");
        let count = match take {
            Take::Nothing => 0,
            Take::Bytes(count) | Take::Copied(count) => whole.len().min(count.into()),
            Take::Frame => window.chunk().len(),
            Take::Window | Take::All => whole.len(),
        };
        match take {
            Take::Copied(requested) => {
                let taken = window.copy_to_bytes(requested.into());
                assert_eq!(text(&taken), text(&whole[..count]));
            }
            Take::Window => {
                while window.has_remaining() {
                    let chunk = window.chunk().len();
                    assert!(chunk > 0, "an empty chunk while bytes remain");
                    window.advance(chunk);
                }
            }
            Take::Bytes(count) => window.advance(count.into()),
            _ => window.advance(count),
        }
        assert_eq!(window.remaining(), whole.len() - count);
        drop(window);
        if self.model.can_transmit(conn) {
            self.model.take(conn, count);
            if count == whole.len() {
                self.model.window_taken(conn);
            }
        }
        count
    }

    /// Claims whole frames of at most `most` bytes as a copy, or the first frame.
    pub(crate) fn claim(&mut self, conn: usize, most: Option<u8>) {
        self.model.observe(self.clock);
        if self.model.can_transmit(conn) {
            self.model.resolve_losses(conn);
        }
        let expected = self.expected(conn);
        let window = self.hub.transmit(self.clock, self.model.conns[conn].id);
        let (bytes, claim) = match most {
            None => window.claim_frame().map(|(frame, claim)| (frame.to_vec(), claim)).unzip(),
            Some(most) => {
                let mut buffer = Vec::new();
                let claim = window.claim_into(most.into(), &mut buffer);
                (claim.is_some().then_some(buffer), claim)
            }
        };
        let mut frames = expected.len().min(1);
        let mut len = expected.first().map_or(0, Vec::len);
        while let Some(most) = most
            && let Some(next) = expected.get(frames)
            && len + next.len() <= usize::from(most)
        {
            (frames, len) = (frames + 1, len + next.len());
        }
        let whole = expected.concat();
        assert_eq!(bytes.as_deref().map(text), (frames > 0).then(|| text(&whole[..len])), "D9");
        if let Some(claim) = claim {
            assert_eq!(claim.len(), len);
            self.model.claim(conn, frames);
            self.claims.insert(conn, claim);
        } else if self.model.can_transmit(conn) {
            self.model.window_taken(conn);
        }
    }

    /// Returns a claim. The last `refused` of the claimed bytes were not written.
    pub(crate) fn put_back(&mut self, conn: usize, refused: u8) {
        let Some(claim) = self.claims.remove(&conn) else { return };
        self.model.observe(self.clock);
        let rest = self.model.claimed_tail(conn, refused.into());
        assert_eq!(self.hub.completes(&claim), self.model.completes(conn));
        let is_current = if rest.is_empty() {
            self.hub.confirm(self.clock, claim)
        } else {
            self.hub.put_back(self.clock, claim, rest.clone().into())
        };
        assert_eq!(is_current, self.model.put_back(conn, rest), "D9");
    }

    /// Returns the frames that the window should have: as many as fit, and at least one.
    fn expected(&self, conn: usize) -> Vec<Vec<u8>> {
        let mut frames = Vec::new();
        let mut bytes = 0;
        if !self.model.can_transmit(conn) {
            return frames;
        }
        for item in self.model.pending(conn).into_iter().take(Transmit::MAX_FRAMES) {
            bytes += item.wire.len();
            if bytes > Transmit::MAX_BYTES && !frames.is_empty() {
                break;
            }
            frames.push(item.wire);
        }
        frames
    }
}

fn text(bytes: &[u8]) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(bytes)
}
