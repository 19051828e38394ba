//! What a driver does: time, actions, bytes.

use sse_core::bytes::Buf;
use sse_core::{Action, Transmit};

use super::op::Take;
use super::side::Side;

impl Side {
    pub(crate) fn handle_timeout(&mut self) {
        self.model.observe(self.clock);
        self.hub.handle_timeout(self.clock);
        let hub = &self.hub;
        self.model.handle_timeout(|id| hub.is_connection_open(id));
    }

    pub(crate) fn poll(&mut self) {
        self.model.forget_stale_notices();
        if self.model.visits_matter() {
            return self.poll_all();
        }
        match self.hub.poll_action() {
            Some(action) => self.done(action),
            None => self.nothing_left(),
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
            self.done(action);
        }
        self.nothing_left();
    }

    /// An action was polled: it has to be one that is pending.
    fn done(&mut self, action: Action) {
        if let Action::Transmit(id) = action {
            let conn = self.model_conn(&action).expect("D6: it names the living");
            assert!(!self.model.conns[conn].is_named, "D3: {id} was named before");
            assert!(self.model.is_due(conn), "D3: {id} has nothing due");
            return self.model.name(conn);
        }
        let known = self.model.notices.iter().position(|notice| *notice == action);
        self.model.notices.remove(known.unwrap_or_else(|| panic!("{action:?} is not pending")));
    }

    fn nothing_left(&self) {
        assert_eq!(self.model.notices, [], "D2: it was not said");
        assert_eq!(self.model.unnamed(), [], "D3: they were not named");
    }

    /// Deadlines and actions until nothing is pending; then the hub wants to sleep (D2).
    pub(crate) fn turn(&mut self) {
        self.clock = self.clock.max(self.model.now);
        for _ in 0..10 {
            self.handle_timeout();
            self.poll_all();
            if self.hub.poll_timeout().is_none_or(|at| at > self.clock) {
                return;
            }
        }
        panic!("D2: it does not let the driver sleep");
    }

    pub(crate) fn take_named(&mut self) {
        for conn in 0..self.model.conns.len() {
            if self.model.conns[conn].is_alive && self.model.conns[conn].is_named {
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

    /// Looks at a window, takes a part of it, and says how many bytes that is.
    fn window(&mut self, conn: usize, take: Take) -> usize {
        self.lifted.remove(&conn);
        self.model.observe(self.clock);
        if self.model.conns[conn].is_alive {
            self.model.resolve_losses(conn);
        }
        let expected = self.expected(conn);
        let whole = expected.concat();
        let mut window = self.hub.transmit(self.clock, self.model.conns[conn].id);
        assert_eq!(window.remaining(), whole.len(), "the window should be {:?}", text(&whole));
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
            Take::AllButOne => whole.len().saturating_sub(1),
        };
        match take {
            Take::Copied(asked) => {
                let taken = window.copy_to_bytes(asked.into());
                assert_eq!(text(&taken), text(&whole[..count]));
            }
            Take::Window => {
                while window.has_remaining() {
                    let chunk = window.chunk().len();
                    assert!(chunk > 0, "there is more");
                    window.advance(chunk);
                }
            }
            Take::Bytes(asked) => window.advance(asked.into()),
            _ => window.advance(count),
        }
        assert_eq!(window.remaining(), whole.len() - count);
        drop(window);
        if self.model.conns[conn].is_alive {
            self.model.take(conn, count);
            if count == whole.len() {
                self.model.window_taken(conn);
            }
        }
        count
    }

    pub(crate) fn lift(&mut self, conn: usize) {
        let seen = self.model.conns[conn].seen.len();
        let bytes = self.window(conn, Take::AllButOne);
        if bytes > 0 {
            let mut lifted = self.model.conns[conn].seen[seen..].to_vec();
            lifted.extend_from_slice(&self.model.conns[conn].progress);
            self.lifted.insert(conn, lifted);
        }
    }

    /// The socket refused some bytes of what was lifted, or none.
    pub(crate) fn land(&mut self, conn: usize, refused: u8) {
        let Some(lifted) = self.lifted.remove(&conn) else { return };
        let rest = lifted[lifted.len().saturating_sub(refused.into())..].to_vec();
        if rest.is_empty() {
            self.window(conn, Take::Bytes(1));
            return;
        }
        self.model.observe(self.clock);
        let is_back = self.hub.put_back(self.clock, self.id(conn), rest.clone().into());
        assert_eq!(is_back, self.model.put_back(conn, rest), "S3");
    }

    /// The frames of the window: as many as fit, and at least one.
    fn expected(&self, conn: usize) -> Vec<Vec<u8>> {
        let mut frames = Vec::new();
        let mut bytes = 0;
        for item in self.model.due(conn).into_iter().take(Transmit::MAX_FRAMES) {
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
