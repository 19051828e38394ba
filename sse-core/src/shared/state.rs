//! The state behind the lock of a shared hub.

use std::boxed::Box;
use std::task::Waker;

use hashbrown::HashMap;

use crate::{ChannelCloseReason, ChannelId, ConnectError, ConnectionConfig, ConnectionId, Hub, Instant};

use super::observe::Observer;
use super::registry::{RegistrationId, Registry};
use super::status::Status;
use super::sync::{Arc, Mutex, MutexGuard, PoisonError};
use super::wakers::{WakeBatch, WakeTargetRef};

pub(crate) struct Shared {
    pub(crate) state: Mutex<State>,
    pub(crate) clock: Box<dyn Fn() -> Instant + Send + Sync>,
}

pub(crate) struct State {
    pub(crate) hub: Hub,
    pub(crate) registry: Registry,
    /// Of the channels that a handle was made for.
    pub(crate) channels: HashMap<ChannelId, Arc<Status<ChannelCloseReason>>>,
    pub(crate) driver: Option<ParkedDriver>,
    pub(crate) observer: Observer,
}

/// The driver, while it sleeps.
pub(crate) struct ParkedDriver {
    pub(crate) waker: Waker,
    pub(crate) until: Option<Instant>,
}

impl Shared {
    /// A thread that panicked elsewhere leaves no half-done work here: the hub does not panic.
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Opens a connection and its registration.
    pub(crate) fn connect(
        &mut self,
        now: Instant,
        config: ConnectionConfig,
    ) -> Result<(ConnectionId, RegistrationId), ConnectError> {
        let full = ConnectError::TooManyConnections { limit: Registry::MAX };
        if self.registry.is_full() {
            return Err(full);
        }
        let id = self.hub.connect(now, config)?;
        let registration = self.registry.insert(id).ok_or(full)?;
        Ok((id, registration))
    }

    /// Registers what is woken when a connection has pending bytes or ends. Returns false when the driver has reported the
    /// end already.
    pub(crate) fn register(
        &mut self,
        registration: RegistrationId,
        target: WakeTargetRef<'_>,
        batch: &mut WakeBatch,
    ) -> bool {
        self.registry.get_mut(registration).is_some_and(|registration| registration.register(target, batch))
    }

    /// Registers what is woken when a connection ends whose transport is full. The target is woken at once when the driver
    /// has reported the end already: the transport alone might never wake it.
    pub(crate) fn register_for_end(
        &mut self,
        registration: RegistrationId,
        target: WakeTargetRef<'_>,
        batch: &mut WakeBatch,
    ) {
        if !self.register(registration, target, batch) {
            batch.add(target.to_owned());
        }
    }

    /// Wakes the handles that wait for capacity of a connection.
    pub(crate) fn made_room(&mut self, registration: RegistrationId, batch: &mut WakeBatch) {
        if let Some(registration) = self.registry.get_mut(registration) {
            registration.made_room(batch);
        }
    }

    /// The driver's waker, if it sleeps longer than it may.
    pub(crate) fn driver_to_wake(&mut self) -> Option<Waker> {
        let next = self.observer.next_turn(self.hub.poll_timeout())?;
        match &self.driver {
            Some(sleeping) if sleeping.until.is_none_or(|until| next < until) => {
                self.driver.take().map(|sleeping| sleeping.waker)
            }
            _ => None,
        }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // The driver finds out that nobody is left to drive for.
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some(driver) = state.driver.take() {
            driver.waker.wake();
        }
        state.observer.last_report(&state.hub).tell(&self.clock);
    }
}
