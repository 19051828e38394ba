//! The locks of the shared hub: those of the standard library, or, under `--cfg shuttle`, those of a scheduler that explores
//! schedules of threads.

pub(crate) use std::sync::PoisonError;
#[cfg(not(all(test, shuttle)))]
pub(crate) use std::sync::atomic::AtomicBool;
pub(crate) use std::sync::atomic::Ordering;
#[cfg(not(all(test, shuttle)))]
pub(crate) use std::sync::{Arc, Mutex, MutexGuard, Weak};

#[cfg(all(test, shuttle))]
pub(crate) use shuttle::sync::atomic::AtomicBool;
#[cfg(not(all(test, shuttle)))]
pub(crate) use std::thread_local;

#[cfg(all(test, shuttle))]
pub(crate) use shuttle::sync::{Arc, Mutex, MutexGuard, Weak};
#[cfg(all(test, shuttle))]
pub(crate) use shuttle::thread_local;
