//! The locks of hubs that the current thread holds, and what is dropped when it holds none.
//!
//! Bytes that an application made with [`Bytes::from_owner`] run its code when they are dropped. That code may use the hub, so
//! it must not run under the lock (X4).

use core::cell::{Cell, RefCell};
use core::sync::atomic::{AtomicUsize, Ordering};
use std::borrow::Cow;
use std::vec::Vec;

use bytes::Bytes;

use crate::Frame;

use super::Outbound;
use super::sync::thread_local;
use super::wakers::contain_panic;

thread_local! {
    static HELD: Held = const { Held { locks: Cell::new(0), has_deferred: Cell::new(false) } };
    static DEFERRED: RefCell<Vec<Deferred>> = const { RefCell::new(Vec::new()) };
}

/// The locks of hubs that one thread holds. Its address names the thread.
struct Held {
    locks: Cell<usize>,
    has_deferred: Cell<bool>,
}

/// What is dropped when the thread holds no lock.
pub(crate) enum Deferred {
    Bytes(#[expect(dead_code, reason = "it is there to be dropped")] Bytes),
    Outbound(#[expect(dead_code, reason = "it is there to be dropped")] Outbound),
}

/// The thread that holds one lock.
#[derive(Default)]
pub(crate) struct Holder(AtomicUsize);

/// The mark of a holder. Dropping it removes the mark; the lock is still held then.
pub(crate) struct Mark<'a>(&'a Holder);

/// Dropped after the lock was released: drops what was deferred, unless the thread holds another lock.
pub(crate) struct Released(());

impl Holder {
    /// Returns whether the current thread holds the lock.
    #[inline]
    pub(crate) fn is_current_thread(&self) -> bool {
        // Only the current thread stores its own name, so the order of other accesses does not matter.
        self.0.load(Ordering::Relaxed) == current_thread()
    }

    /// Marks the current thread as the holder of the lock that it has just taken.
    #[inline]
    pub(crate) fn mark(&self) -> (Mark<'_>, Released) {
        self.0.store(current_thread(), Ordering::Relaxed);
        let _ = HELD.try_with(|held| held.locks.set(held.locks.get().saturating_add(1)));
        (Mark(self), Released(()))
    }
}

impl Drop for Mark<'_> {
    #[inline]
    fn drop(&mut self) {
        self.0.0.store(NO_THREAD, Ordering::Relaxed);
    }
}

impl Drop for Released {
    #[inline]
    fn drop(&mut self) {
        let is_deferred = HELD.try_with(|held| {
            held.locks.set(held.locks.get().saturating_sub(1));
            held.locks.get() == 0 && held.has_deferred.replace(false)
        });
        if is_deferred == Ok(true) {
            drop_deferred();
        }
    }
}

/// No thread: no variable has this address.
const NO_THREAD: usize = 0;

#[inline]
fn current_thread() -> usize {
    // A thread whose variables cannot be used has no name, and no lock is found to be its own.
    HELD.try_with(|held| core::ptr::from_ref(held).addr()).unwrap_or(usize::MAX)
}

/// Returns whether the current thread holds the lock of any hub.
pub(crate) fn is_any() -> bool {
    HELD.try_with(|held| held.locks.get() > 0).unwrap_or(false)
}

/// Drops a value when the current thread holds no lock of a hub any more. A value that cannot be kept, because the thread is
/// ending, is leaked: dropping it here would defer it again.
pub(crate) fn defer(value: Deferred) {
    let mut value = Some(value);
    let _ = DEFERRED.try_with(|deferred| {
        if let Ok(mut deferred) = deferred.try_borrow_mut() {
            deferred.extend(value.take());
        }
    });
    core::mem::forget(value);
    let _ = HELD.try_with(|held| held.has_deferred.set(true));
}

#[cold]
fn drop_deferred() {
    let deferred = DEFERRED.try_with(|deferred| deferred.take()).unwrap_or_default();
    for value in deferred {
        contain_panic(|| drop(value));
    }
}

/// Returns a frame that a locked hub can drop: one that the application parsed is wrapped, since dropping its bytes may run
/// code of the application.
///
/// # Cost
///
/// One allocation for a frame that was parsed, none for a frame that was encoded. The bytes are not copied.
pub(crate) fn droppable(frame: &Frame) -> Cow<'_, Frame> {
    if !frame.has_foreign_bytes() {
        return Cow::Borrowed(frame);
    }
    Cow::Owned(frame.replace_bytes(|bytes| Bytes::from_owner(ForeignBytes(bytes))))
}

/// Bytes of the application.
struct ForeignBytes(Bytes);

impl AsRef<[u8]> for ForeignBytes {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for ForeignBytes {
    fn drop(&mut self) {
        if is_any() {
            defer(Deferred::Bytes(core::mem::take(&mut self.0)));
        }
    }
}
