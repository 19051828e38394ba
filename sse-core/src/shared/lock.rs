//! The lock of a shared hub.

use core::ops::{Deref, DerefMut};
use std::boxed::Box;

use super::held::{Holder, Mark, Released};
use super::registry::RegistrationId;
use super::state::State;
use super::sync::{Mutex, MutexGuard, PoisonError};
use super::wakers::{PreparedTarget, WakeBatch, contain_panic};
use crate::Instant;

/// What the handles, the outbounds and the driver of one hub share.
pub(crate) struct Shared {
    state: Mutex<State>,
    holder: Holder,
    pub(crate) clock: Box<dyn Fn() -> Instant + Send + Sync>,
}

/// The locked state of a hub, and what is to be woken when the lock is free.
///
/// Dropping it wakes the driver if the hub has work before the driver's own deadline.
pub(crate) struct Locked<'a> {
    // Fields are dropped in this order: the lock is free when the batch calls wakers.
    state: StateGuard<'a>,
    batch: WakeBatch,
    /// The time at which the lock was requested.
    pub(crate) now: Instant,
}

/// The lock itself.
pub(crate) struct StateGuard<'a> {
    // Fields are dropped in this order.
    _mark: Mark<'a>,
    state: MutexGuard<'a, State>,
    _released: Released,
}

impl Shared {
    pub(crate) fn new(state: State, clock: impl Fn() -> Instant + Send + Sync + 'static) -> Shared {
        Shared { state: Mutex::new(state), holder: Holder::default(), clock: Box::new(clock) }
    }

    /// Locks the state for a call of an application or a transport.
    pub(crate) fn lock(&self) -> Locked<'_> {
        let now = (self.clock)();
        Locked { state: self.lock_state(), batch: WakeBatch::default(), now }
    }

    /// Locks the state without waking anything afterwards.
    ///
    /// # Panics
    ///
    /// Panics if the current thread holds the lock already: it would wait for itself.
    #[inline]
    pub(crate) fn lock_state(&self) -> StateGuard<'_> {
        if self.is_held_here() {
            panic_about_reentry();
        }
        // A thread that panicked elsewhere leaves no half-done work here: the hub does not panic.
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let (mark, released) = self.holder.mark();
        StateGuard { _mark: mark, state, _released: released }
    }

    /// Returns whether the current thread holds the lock.
    #[inline]
    pub(crate) fn is_held_here(&self) -> bool {
        self.holder.is_current_thread()
    }
}

#[cold]
#[expect(clippy::panic, reason = "the alternative is a thread that waits for itself for ever")]
fn panic_about_reentry() -> ! {
    panic!(
        "a handle on a hub was used while its thread holds the lock of that hub: inside `SharedHub::with`, use the calls of \
         the `HubMut`"
    );
}

impl Locked<'_> {
    /// Registers what is woken when a connection has pending bytes or ends. Returns false when the driver has reported the
    /// end already.
    pub(crate) fn register(&mut self, registration: RegistrationId, target: &mut PreparedTarget<'_>) -> bool {
        let Locked { state, batch, .. } = self;
        state.registry.get_mut(registration).is_some_and(|registration| registration.register(target, batch))
    }

    /// Registers what is woken when a connection with a full transport ends. If the driver has reported the end already, the
    /// target is woken at once: the transport alone might never wake it.
    pub(crate) fn register_for_end(&mut self, registration: RegistrationId, target: &mut PreparedTarget<'_>) {
        if !self.register(registration, target)
            && let Some(target) = target.take()
        {
            self.batch.add(target);
        }
    }

    /// Wakes the handles that wait for capacity of a connection.
    pub(crate) fn notify_capacity(&mut self, registration: RegistrationId) {
        let Locked { state, batch, .. } = self;
        if let Some(registration) = state.registry.get_mut(registration) {
            registration.notify_capacity(batch);
        }
    }

    /// Removes the registration of a dropped outbound, as [`Registry::remove`](super::registry::Registry::remove).
    pub(crate) fn remove(
        &mut self,
        registration: RegistrationId,
        connection: crate::ConnectionId,
        is_disconnected: bool,
    ) {
        let Locked { state, batch, .. } = self;
        state.registry.remove(registration, connection, is_disconnected, batch);
    }
}

impl Deref for Locked<'_> {
    type Target = State;

    fn deref(&self) -> &State {
        &self.state
    }
}

impl DerefMut for Locked<'_> {
    fn deref_mut(&mut self) -> &mut State {
        &mut self.state
    }
}

impl Deref for StateGuard<'_> {
    type Target = State;

    fn deref(&self) -> &State {
        &self.state
    }
}

impl DerefMut for StateGuard<'_> {
    fn deref_mut(&mut self) -> &mut State {
        &mut self.state
    }
}

impl Drop for Locked<'_> {
    fn drop(&mut self) {
        let State { hub, observer, .. } = &mut *self.state;
        observer.observe_changes(hub, self.now);
        self.batch.set_driver(self.state.take_driver_to_wake());
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // The driver finds out that no handle is left.
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some(driver) = state.driver.take() {
            contain_panic(|| driver.waker.wake());
        }
        state.observer.last_report(&state.hub).record(&self.clock);
    }
}
