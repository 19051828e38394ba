//! What stands beside each connection of the hub: who waits for its bytes, and who asks about its end.

use std::vec::Vec;

use hashbrown::HashMap;

use crate::{CloseReason, ConnectionId};

use super::status::Status;
use super::sync::Arc;
use super::wakers::{Sleeper, Woken};

/// What stands beside one connection.
pub(crate) struct Seat {
    id: ConnectionId,
    /// Who waits for its bytes, or for its end.
    pub(crate) sleeper: Option<Sleeper>,
    /// Made for the first handle that the application takes.
    status: Option<Arc<Status<CloseReason>>>,
}

/// The seats of a hub.
///
/// A connection's place is its index. Until its driver polled that it was closed, a connection may have a successor at
/// that index: then it waits among the displaced.
#[derive(Default)]
pub(crate) struct Seats {
    seats: Vec<Option<Seat>>,
    displaced: HashMap<ConnectionId, Seat>,
    /// Why the hub closed those whose [`Outbound`](super::Outbound) is still held.
    closed: HashMap<ConnectionId, CloseReason>,
    /// Those that the hub closed and whose [`Outbound`](super::Outbound) was dropped before the driver polled that.
    abandoned: HashMap<ConnectionId, Option<Arc<Status<CloseReason>>>>,
}

impl Seat {
    pub(crate) fn status(&mut self) -> &Arc<Status<CloseReason>> {
        self.status.get_or_insert_with(Arc::default)
    }

    /// Adds those who wait for room to send.
    pub(crate) fn made_room(&self, woken: &mut Woken) {
        if let Some(status) = &self.status {
            status.made_room(&mut woken.wakers);
        }
    }
}

impl Seats {
    pub(crate) fn insert(&mut self, id: ConnectionId) {
        let index = id.index();
        if self.seats.len() <= index {
            self.seats.resize_with(index.saturating_add(1), || None);
        }
        let Some(place) = self.seats.get_mut(index) else { return };
        if let Some(before) = place.replace(Seat { id, sleeper: None, status: None }) {
            self.displaced.insert(before.id, before);
        }
    }

    pub(crate) fn get_mut(&mut self, id: ConnectionId) -> Option<&mut Seat> {
        match self.seats.get_mut(id.index()) {
            Some(Some(seat)) if seat.id == id => Some(seat),
            _ => self.displaced.get_mut(&id),
        }
    }

    /// The hub closed a connection: those who wait for anything of it are added to `woken`.
    pub(crate) fn close(&mut self, id: ConnectionId, reason: CloseReason, woken: &mut Woken) {
        match self.abandoned.remove(&id) {
            Some(status) => {
                if let Some(status) = status {
                    status.close(reason, &mut woken.wakers);
                }
            }
            None => {
                self.remove(id, reason, woken);
                self.closed.insert(id, reason);
            }
        }
        release(&mut self.abandoned);
        release(&mut self.displaced);
    }

    /// The transport of a connection is gone, which the hub has ended before: handles hear why when the driver does.
    pub(crate) fn abandon(&mut self, id: ConnectionId) {
        if let Some(seat) = self.take(id) {
            self.abandoned.insert(id, seat.status);
        }
    }

    /// The transport of a connection is gone, and the hub knows.
    pub(crate) fn leave(&mut self, id: ConnectionId, woken: &mut Woken) {
        if self.closed.remove(&id).is_none() {
            self.remove(id, CloseReason::Disconnected, woken);
        }
        release(&mut self.closed);
    }

    /// Why the hub closed a connection whose [`Outbound`](super::Outbound) is still held.
    pub(crate) fn closed(&self, id: ConnectionId) -> Option<CloseReason> {
        self.closed.get(&id).copied()
    }

    fn remove(&mut self, id: ConnectionId, reason: CloseReason, woken: &mut Woken) {
        let Some(seat) = self.take(id) else { return };
        if let Some(sleeper) = seat.sleeper {
            woken.add(sleeper);
        }
        if let Some(status) = seat.status {
            status.close(reason, &mut woken.wakers);
        }
    }

    fn take(&mut self, id: ConnectionId) -> Option<Seat> {
        let place = self.seats.get_mut(id.index());
        let seat = match place.and_then(|place| place.take_if(|seat| seat.id == id)) {
            None => return self.displaced.remove(&id),
            seat => seat,
        };
        while matches!(self.seats.last(), Some(None)) {
            self.seats.pop();
        }
        if self.seats.is_empty() {
            self.seats = Vec::new();
        }
        seat
    }
}

/// Gives back the room of a map that is empty.
fn release<T>(map: &mut HashMap<ConnectionId, T>) {
    if map.is_empty() && map.capacity() > 0 {
        *map = HashMap::new();
    }
}

#[cfg(all(test, target_pointer_width = "64"))]
mod tests {
    use super::*;

    /// Each byte here is a megabyte for a million clients.
    #[test]
    fn a_seat_is_small() {
        assert!(size_of::<Option<Seat>>() <= 40, "{}", size_of::<Option<Seat>>());
    }
}
