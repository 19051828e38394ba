//! The state behind the lock of a shared hub.

use std::boxed::Box;
use std::task::Waker;

use hashbrown::HashMap;

use crate::{ChannelCloseReason, ChannelId, Hub, Instant};

use super::observe::Observer;
use super::registry::Seats;
use super::status::Status;
use super::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub(crate) struct Shared {
    pub(crate) state: Mutex<State>,
    pub(crate) clock: Box<dyn Fn() -> Instant + Send + Sync>,
}

pub(crate) struct State {
    pub(crate) hub: Hub,
    pub(crate) seats: Seats,
    /// Of the channels that a handle was made for.
    pub(crate) channels: HashMap<ChannelId, Arc<Status<ChannelCloseReason>>>,
    pub(crate) driver: Option<Sleeping>,
    pub(crate) observer: Observer,
}

/// The driver, while it sleeps.
pub(crate) struct Sleeping {
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
