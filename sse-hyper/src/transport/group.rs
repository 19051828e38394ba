//! What the transports of a group share.
#![expect(clippy::disallowed_types, reason = "the adapter owns the clock")]

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::{Duration, Instant};

use hyper::rt::Timer;

use super::TransportConfig;

/// The value of [`Group::close_at`] before a shutdown.
const NEVER: u64 = u64::MAX;

/// The limits, the clock and the shutdown of a group of transports.
pub(super) struct Group {
    config: TransportConfig,
    timer: Arc<dyn Timer + Send + Sync>,
    origin: Instant,
    /// When the open transports end, in nanoseconds after `origin`.
    close_at: AtomicU64,
    wakers: Mutex<HashMap<u64, Waker>>,
    next_key: AtomicU64,
}

impl Group {
    pub(super) fn new(config: TransportConfig, timer: Arc<dyn Timer + Send + Sync>) -> Group {
        let origin = timer.now();
        let close_at = AtomicU64::new(NEVER);
        Group { config, timer, origin, close_at, wakers: Mutex::default(), next_key: AtomicU64::new(0) }
    }

    pub(super) fn config(&self) -> &TransportConfig {
        &self.config
    }

    pub(super) fn timer(&self) -> &Arc<dyn Timer + Send + Sync> {
        &self.timer
    }

    /// Returns the instant after a limit. There is none without a limit, or if the limit is too long for the clock.
    pub(super) fn after(&self, limit: Option<Duration>) -> Option<Instant> {
        limit.and_then(|limit| self.timer.now().checked_add(limit))
    }

    /// Returns the instant at which the open transports end.
    pub(super) fn close_at(&self) -> Option<Instant> {
        let at = self.close_at.load(Ordering::Acquire);
        self.origin.checked_add(Duration::from_nanos(at)).filter(|_| at != NEVER)
    }

    pub(super) fn close_within(&self, time: Duration) {
        let at = self.timer.now().saturating_duration_since(self.origin).saturating_add(time);
        // A time beyond five hundred years is none.
        let at = u64::try_from(at.as_nanos()).unwrap_or(NEVER);
        self.close_at.fetch_min(at, Ordering::AcqRel);
        let wakers = std::mem::take(&mut *self.lock());
        for waker in wakers.into_values() {
            waker.wake();
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Waker>> {
        self.wakers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The place of one transport in its group.
pub(super) struct Registration {
    group: Arc<Group>,
    key: u64,
    waker: Option<Waker>,
}

impl Registration {
    pub(super) fn new(group: Arc<Group>) -> Registration {
        let key = group.next_key.fetch_add(1, Ordering::Relaxed);
        Registration { group, key, waker: None }
    }

    pub(super) fn group(&self) -> &Group {
        &self.group
    }

    /// Registers the task for [`Group::close_within`]. Read [`Group::close_at`] after it.
    pub(super) fn register(&mut self, waker: &Waker) {
        if self.waker.as_ref().is_some_and(|registered| registered.will_wake(waker)) {
            return;
        }
        self.waker = Some(waker.clone());
        let replaced = self.group.lock().insert(self.key, waker.clone());
        // Dropping a waker may run code of an executor, so the lock is released before.
        drop(replaced);
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        let removed = self.group.lock().remove(&self.key);
        drop(removed);
    }
}
