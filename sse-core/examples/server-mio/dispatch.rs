//! What is done when a socket is ready, and when the hub says so.

use sse_core::{Action, Instant};

use crate::server::Server;

impl Server {
    /// A socket is ready for something, or was: looking at it once too often does no harm.
    pub(crate) fn handle_ready(&mut self, slot: usize, now: Instant) {
        if let Some(client) = self.clients[slot].as_mut() {
            let result = client.handle_ready(&mut self.hub, now, &mut self.scratch);
            if let Some(connection) = client.connection() {
                let len = self.slot_of_index.len().max(connection.index() + 1);
                self.slot_of_index.resize(len, usize::MAX);
                self.slot_of_index[connection.index()] = slot;
            }
            if result.is_err() {
                self.close(slot, now);
            }
        }
        // At once: the index of a connection that the hub ends now is free for the next one.
        self.handle_actions(now);
    }

    /// Does what the hub says, until it says nothing more.
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
                Action::Close { connection, .. } => {
                    let Some(slot) = self.slot_of(connection) else { continue };
                    if let Some(client) = self.clients[slot].as_mut() {
                        client.finish();
                    }
                    self.close(slot, now);
                }
                _ => {}
            }
        }
    }
}
