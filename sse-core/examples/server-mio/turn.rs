//! What is done when a socket is ready, and when the hub says so.

use sse_core::{Action, Instant};

use crate::server::Server;

impl Server {
    /// A socket is ready for something, or was: looking at it once too often does no harm.
    pub(crate) fn look_at(&mut self, slot: usize, now: Instant) {
        if let Some(client) = self.clients[slot].as_mut() {
            let looked = client.look(&mut self.hub, now, &mut self.scratch);
            if let Some(connection) = client.connection() {
                let places = self.slots.len().max(connection.index() + 1);
                self.slots.resize(places, usize::MAX);
                self.slots[connection.index()] = slot;
            }
            if looked.is_err() {
                self.end(slot, now);
            }
        }
        // At once: the index of a connection that the hub ends now is free for the next one.
        self.act(now);
    }

    /// Does what the hub says, until it says nothing more.
    pub(crate) fn act(&mut self, now: Instant) {
        while let Some(action) = self.hub.poll_action() {
            match action {
                Action::Transmit(connection) => {
                    let Some(slot) = self.slot_of(connection) else { continue };
                    let Some(client) = self.clients[slot].as_mut() else { continue };
                    if client.write_pending(&mut self.hub, now, &mut self.scratch).is_err() {
                        self.end(slot, now);
                    }
                }
                Action::Close { connection, .. } => {
                    let Some(slot) = self.slot_of(connection) else { continue };
                    if let Some(client) = self.clients[slot].as_mut() {
                        client.say_end();
                    }
                    self.end(slot, now);
                }
                _ => {}
            }
        }
    }
}
