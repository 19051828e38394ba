//! Locks by name: a channel is opened by one task at a time.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::OwnedMutexGuard;

/// The names that are being opened, each with a lock.
#[derive(Debug, Default)]
pub(crate) struct NameLocks(Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>);

/// The locks of some names. Dropping it releases them, and forgets those for which no other task waits.
#[derive(Debug)]
pub(crate) struct LockedNames<'a> {
    locks: &'a NameLocks,
    names: Vec<String>,
    guards: Vec<OwnedMutexGuard<()>>,
}

impl NameLocks {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Arc<tokio::sync::Mutex<()>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Locks names, in the order of the list: all tasks have to use one order.
    pub(crate) async fn lock_all(&self, names: Vec<String>) -> LockedNames<'_> {
        let mut locked = LockedNames { locks: self, names, guards: Vec::new() };
        for index in 0..locked.names.len() {
            let Some(name) = locked.names.get(index) else { break };
            let lock = Arc::clone(self.lock().entry(name.clone()).or_default());
            locked.guards.push(lock.lock_owned().await);
        }
        locked
    }
}

impl Drop for LockedNames<'_> {
    fn drop(&mut self) {
        self.guards.clear();
        let mut locks = self.locks.lock();
        for name in &self.names {
            if locks.get(name).is_some_and(|lock| Arc::strong_count(lock) == 1) {
                locks.remove(name);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;

    #[test]
    fn a_name_is_locked_once_and_forgotten_also_when_the_wait_is_given_up() {
        let locks = NameLocks::default();
        let mut cx = Context::from_waker(Waker::noop());
        let Poll::Ready(first) = pin!(locks.lock_all(vec!["a".into(), "b".into()])).poll(&mut cx) else {
            panic!("both are free")
        };
        {
            let mut second = pin!(locks.lock_all(vec!["0".into(), "b".into(), "c".into()]));
            assert!(second.as_mut().poll(&mut cx).is_pending());
            assert_eq!(locks.lock().len(), 3);
        }
        assert_eq!(locks.lock().len(), 2, "the second task gave up");
        drop(first);
        assert!(locks.lock().is_empty());
    }
}
