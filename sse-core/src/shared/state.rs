//! The state behind the lock of a shared hub.

use std::task::Waker;

use hashbrown::HashMap;

use crate::{ChannelId, ConnectError, ConnectionConfig, ConnectionId, Hub, Instant};

use super::channel::SharedChannel;
use super::observe::Observer;
use super::registry::{RegistrationId, Registry};
use super::sync::Arc;

pub(crate) struct State {
    pub(crate) hub: Hub,
    pub(crate) registry: Registry,
    /// What the handles share, for each channel for which a handle was created.
    pub(crate) channels: HashMap<ChannelId, Arc<SharedChannel>>,
    pub(crate) driver: Option<ParkedDriver>,
    pub(crate) observer: Observer,
}

/// The driver while it sleeps.
pub(crate) struct ParkedDriver {
    pub(crate) waker: Waker,
    until: Option<Instant>,
}

impl State {
    pub(crate) fn new(hub: Hub) -> State {
        State {
            hub,
            registry: Registry::default(),
            channels: HashMap::new(),
            driver: None,
            observer: Observer::default(),
        }
    }

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

    /// Parks the driver until an instant, or until it is woken. Takes the waker if it is not the registered one. Returns a waker
    /// that was replaced, to be dropped without the lock.
    pub(crate) fn park_driver(
        &mut self,
        waker: &mut Option<Waker>,
        until: Option<Instant>,
    ) -> Option<ParkedDriver> {
        match (&mut self.driver, &waker) {
            (Some(parked), Some(waker)) if parked.waker.will_wake(waker) => {
                parked.until = until;
                None
            }
            (driver, _) => driver.replace(ParkedDriver { waker: waker.take()?, until }),
        }
    }

    /// Takes the waker of the driver if it is parked for longer than the hub allows.
    pub(crate) fn take_driver_to_wake(&mut self) -> Option<Waker> {
        let next = self.observer.next_wakeup(self.hub.poll_timeout())?;
        self.driver.take_if(|driver| driver.until.is_none_or(|until| next < until)).map(|driver| driver.waker)
    }
}
