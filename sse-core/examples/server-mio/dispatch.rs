//! Handling of ready sockets and of actions of the hub.

use sse_core::{Action, Instant};

use crate::server::Server;

impl Server {
    /// Handles a socket that is ready. Spurious calls are harmless.
    pub(crate) fn handle_ready(&mut self, slot: usize, now: Instant) {
        if let Some(client) = self.clients[slot].as_mut() {
            let result = client.handle_ready(&mut self.hub, now, &mut self.scratch);
            if let Some(connection) = client.connection() {
                let len = self.slot_of_index.len().max(connection.index() + 1);
                self.slot_of_index.resize(len, usize::MAX);
                self.slot_of_index[connection.index()] = slot;
            }
            match result {
                Ok(true) if !client.is_queued => {
                    client.is_queued = true;
                    self.unread.push_back(slot);
                }
                Ok(_) => {}
                Err(_) => self.close(slot, now),
            }
        }
        // Handle actions now, because the next connection can reuse the index of one that the hub has closed.
        self.handle_actions(now);
    }

    /// Continues with each socket whose input was not read to its end. mio does not report these sockets again.
    pub(crate) fn handle_unread(&mut self, now: Instant) {
        for _ in 0..self.unread.len() {
            let Some(slot) = self.unread.pop_front() else { return };
            if let Some(client) = self.clients[slot].as_mut() {
                client.is_queued = false;
            }
            self.handle_ready(slot, now);
        }
    }

    /// Handles all actions of the hub.
    pub(crate) fn handle_actions(&mut self, now: Instant) {
        while let Some(action) = self.hub.poll_action() {
            match action {
                Action::Transmit(connection) => {
                    let Some(slot) = self.slot_of(connection) else { continue };
                    let Some(client) = self.clients[slot].as_mut() else { continue };
                    if client.write_pending(&mut self.hub, now, &mut self.scratch).is_err() {
                        self.close(slot, now);
                    }
                }
                Action::Close { connection, reason } => {
                    let Some(slot) = self.slot_of(connection) else { continue };
                    match self.clients[slot].as_mut() {
                        Some(client) if reason.is_abrupt() => client.reset_on_close(),
                        Some(client) => client.finish(),
                        None => {}
                    }
                    self.close(slot, now);
                }
                _ => {}
            }
        }
    }
}
