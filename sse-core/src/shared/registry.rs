//! Per-connection wake-up state: the task or socket that waits for bytes, and the handles that wait for the end.

use core::num::NonZeroU32;
use std::vec::Vec;

use crate::id::ArenaKey;
use crate::{CloseReason, ConnectionId};

use super::status::Status;
use super::sync::Arc;
use super::wakers::{PreparedTarget, WakeBatch, WakeTarget};

/// The registrations of a hub: one for each [`Outbound`](super::Outbound), which owns its slot.
///
/// The driver finds a registration by its connection. A connection that has ended can have a successor at the same index
/// of the hub before the driver has polled its end, so the registrations of one index are linked, newest first.
#[derive(Default)]
pub(crate) struct Registry {
    slots: Vec<RegistrySlot>,
    first_vacant: Option<RegistrationId>,
    occupied: usize,
    /// The newest registration of each connection index, among those without a reported end.
    by_connection: Vec<Option<RegistrationId>>,
}

/// The number of a slot of the registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RegistrationId(NonZeroU32);

enum RegistrySlot {
    Vacant { next: Option<RegistrationId> },
    Occupied(Registration),
}

/// What is to be woken for one connection.
pub(crate) struct Registration {
    /// Distinguishes the connection from its predecessors at the same index.
    generation: NonZeroU32,
    /// The registration of the predecessor, while its end was not reported.
    older: Option<RegistrationId>,
    state: RegistrationState,
    /// Created with the first handle.
    status: Option<Arc<Status<CloseReason>>>,
}

enum RegistrationState {
    /// The end of the connection was not reported. The target waits for bytes or for the end.
    Open(Option<WakeTarget>),
    /// The hub has ended the connection and the outbound was dropped, but the driver has not polled the end.
    Detached,
    /// The driver has polled the end. The outbound still exists.
    Closed(CloseReason),
}

impl Registry {
    /// The most registrations that can exist.
    pub(crate) const MAX: usize = u32::MAX as usize - 1;

    pub(crate) fn is_full(&self) -> bool {
        self.occupied >= Self::MAX
    }

    /// Returns `None` when the registry is full.
    pub(crate) fn insert(&mut self, connection: ConnectionId) -> Option<RegistrationId> {
        let index = connection.index();
        if self.by_connection.len() <= index {
            self.by_connection.resize(index.saturating_add(1), None);
        }
        let older = *self.by_connection.get(index)?;
        let (_, generation) = connection.parts();
        let registration =
            Registration { generation, older, state: RegistrationState::Open(None), status: None };
        let id = self.occupy(registration)?;
        if let Some(newest) = self.by_connection.get_mut(index) {
            *newest = Some(id);
        }
        Some(id)
    }

    pub(crate) fn get_mut(&mut self, id: RegistrationId) -> Option<&mut Registration> {
        match self.slots.get_mut(id.index()) {
            Some(RegistrySlot::Occupied(registration)) => Some(registration),
            _ => None,
        }
    }

    /// Returns the registration of a connection. There is none after the end was reported.
    pub(crate) fn find_mut(&mut self, connection: ConnectionId) -> Option<&mut Registration> {
        let mut id = (*self.by_connection.get(connection.index())?)?;
        while !self.get_mut(id)?.is_of(connection) {
            id = self.get_mut(id)?.older?;
        }
        self.get_mut(id)
    }

    /// Reports the end of a connection to everything that waits for it.
    pub(crate) fn close(&mut self, connection: ConnectionId, reason: CloseReason, batch: &mut WakeBatch) {
        let Some(id) = self.unlink(connection) else { return };
        let Some(registration) = self.get_mut(id) else { return };
        if let Some(status) = &registration.status {
            status.close(reason, &mut batch.wakers);
        }
        match core::mem::replace(&mut registration.state, RegistrationState::Closed(reason)) {
            RegistrationState::Open(target) => target.into_iter().for_each(|target| batch.add(target)),
            RegistrationState::Detached => self.vacate(id),
            RegistrationState::Closed(_) => {}
        }
    }

    /// Removes the registration of a dropped outbound. If `is_disconnected`, the drop has ended the connection. Otherwise the hub
    /// had ended it before, and the driver reports the reason.
    pub(crate) fn remove(
        &mut self,
        id: RegistrationId,
        connection: ConnectionId,
        is_disconnected: bool,
        batch: &mut WakeBatch,
    ) {
        if is_disconnected {
            self.close(connection, CloseReason::Disconnected, batch);
        }
        let Some(registration) = self.get_mut(id) else { return };
        match &mut registration.state {
            RegistrationState::Open(target) => {
                batch.discard(target.take());
                registration.state = RegistrationState::Detached;
            }
            RegistrationState::Detached => {}
            RegistrationState::Closed(_) => self.vacate(id),
        }
    }

    /// Takes a registration out of the list of its connection index.
    fn unlink(&mut self, connection: ConnectionId) -> Option<RegistrationId> {
        let (mut newer, mut next) = (None, *self.by_connection.get(connection.index())?);
        while let Some(id) = next {
            let registration = self.get_mut(id)?;
            next = registration.older;
            if registration.is_of(connection) {
                registration.older = None;
                match newer {
                    Some(newer) => self.get_mut(newer)?.older = next,
                    None => *self.by_connection.get_mut(connection.index())? = next,
                }
                return Some(id);
            }
            newer = Some(id);
        }
        None
    }

    fn occupy(&mut self, registration: Registration) -> Option<RegistrationId> {
        let id = match self.first_vacant {
            Some(id) => id,
            None => RegistrationId::new(self.slots.len())?,
        };
        let slot = RegistrySlot::Occupied(registration);
        match self.slots.get_mut(id.index()) {
            Some(vacant) => {
                if let RegistrySlot::Vacant { next } = core::mem::replace(vacant, slot) {
                    self.first_vacant = next;
                }
            }
            None => self.slots.push(slot),
        }
        self.occupied = self.occupied.saturating_add(1);
        Some(id)
    }

    fn vacate(&mut self, id: RegistrationId) {
        let Some(slot) = self.slots.get_mut(id.index()) else { return };
        *slot = RegistrySlot::Vacant { next: self.first_vacant };
        self.first_vacant = Some(id);
        self.occupied = self.occupied.saturating_sub(1);
        if self.occupied == 0 {
            // D8: the memory is given back.
            *self = Registry::default();
        }
    }
}

impl Registration {
    /// Returns why the connection ended, once the driver has polled that.
    pub(crate) fn close_reason(&self) -> Option<CloseReason> {
        match self.state {
            RegistrationState::Closed(reason) => Some(reason),
            RegistrationState::Open(_) | RegistrationState::Detached => None,
        }
    }

    /// Registers what is woken for bytes or for the end. Returns false when the end was reported already.
    pub(crate) fn register(&mut self, target: &mut PreparedTarget<'_>, batch: &mut WakeBatch) -> bool {
        match &mut self.state {
            RegistrationState::Open(Some(known)) if target.is(known) => true,
            RegistrationState::Open(registered) => {
                if let Some(target) = target.take() {
                    batch.discard(registered.replace(target));
                }
                true
            }
            RegistrationState::Detached | RegistrationState::Closed(_) => false,
        }
    }

    /// Takes what is woken for bytes.
    pub(crate) fn take_target(&mut self) -> Option<WakeTarget> {
        match &mut self.state {
            RegistrationState::Open(target) => target.take(),
            RegistrationState::Detached | RegistrationState::Closed(_) => None,
        }
    }

    pub(crate) fn status(&mut self) -> &Arc<Status<CloseReason>> {
        let reason = self.close_reason();
        self.status.get_or_insert_with(|| Arc::new(reason.map_or_else(Status::default, Status::of_closed)))
    }

    /// Wakes the handles that wait for capacity.
    pub(crate) fn notify_capacity(&self, batch: &mut WakeBatch) {
        if let Some(status) = &self.status {
            status.notify_capacity(&mut batch.wakers);
        }
    }

    fn is_of(&self, connection: ConnectionId) -> bool {
        self.generation == connection.parts().1
    }
}

impl RegistrationId {
    fn new(index: usize) -> Option<RegistrationId> {
        let number = u32::try_from(index).ok()?.checked_add(1)?;
        NonZeroU32::new(number).map(RegistrationId)
    }

    fn index(self) -> usize {
        self.0.get().saturating_sub(1) as usize
    }
}

#[cfg(all(test, not(shuttle)))]
mod tests {
    use std::task::{Context, Poll, Waker};

    use super::super::status::Interest;
    use super::*;

    /// The id of a connection in the hub's first slot.
    fn connection(generation: u32) -> ConnectionId {
        ConnectionId::new(0, NonZeroU32::new(generation).unwrap())
    }

    #[cfg(target_pointer_width = "64")]
    #[test]
    fn a_registration_is_small() {
        // Each byte here is a megabyte for a million clients.
        assert!(size_of::<RegistrySlot>() <= 40, "{}", size_of::<RegistrySlot>());
        assert_eq!(size_of::<Option<RegistrationId>>(), 4);
    }

    #[test]
    fn ends_of_connections_at_one_index_are_reported_in_any_order() {
        for order in [[1, 2, 3], [1, 3, 2], [2, 1, 3], [2, 3, 1], [3, 1, 2], [3, 2, 1]] {
            let (mut registry, mut batch) = (Registry::default(), WakeBatch::default());
            let ids = [1, 2, 3].map(|generation| registry.insert(connection(generation)).unwrap());
            for generation in order {
                assert!(registry.find_mut(connection(generation)).is_some());
                registry.close(connection(generation), CloseReason::Requested, &mut batch);
                assert!(registry.find_mut(connection(generation)).is_none());
            }
            for (id, generation) in ids.into_iter().zip(1..) {
                let reason = registry.get_mut(id).unwrap().close_reason();
                assert_eq!(reason, Some(CloseReason::Requested), "{order:?}");
                registry.remove(id, connection(generation), false, &mut batch);
            }
            assert_eq!((registry.slots.capacity(), registry.by_connection.capacity()), (0, 0));
        }
    }

    #[test]
    fn a_slot_is_vacant_only_after_the_outbound_and_the_report() {
        let (mut registry, mut batch) = (Registry::default(), WakeBatch::default());
        let first = registry.insert(connection(1)).unwrap();
        let status = Arc::clone(registry.get_mut(first).unwrap().status());
        registry.remove(first, connection(1), false, &mut batch);
        let second = registry.insert(connection(2)).unwrap();
        assert_ne!(first, second);
        registry.close(connection(1), CloseReason::Stalled, &mut batch);
        let mut cx = Context::from_waker(Waker::noop());
        let reason = status.waiter(Interest::Lifecycle).poll(&mut cx, |status| status.closed);
        assert_eq!(reason, Poll::Ready(CloseReason::Stalled));
        let third = registry.insert(connection(3)).unwrap();
        assert_eq!(third, first);
        for (id, generation) in [(second, 2), (third, 3)] {
            registry.close(connection(generation), CloseReason::Requested, &mut batch);
            registry.remove(id, connection(generation), false, &mut batch);
        }
        assert_eq!(registry.occupied, 0);
    }
}
