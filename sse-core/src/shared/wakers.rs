//! Wake-ups: of tasks, and of sockets that share one task.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::Waker;
use std::vec::Vec;

use super::held;
use super::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What is woken when a connection has pending bytes or ends.
pub(crate) enum WakeTarget {
    Task(Waker),
    /// A socket of a set, by its index. Compared with a waker, it saves an allocation for each socket.
    Socket(Arc<ReadyQueue>, u32),
}

/// A borrowed [`WakeTarget`].
#[derive(Clone, Copy)]
pub(crate) enum WakeTargetRef<'a> {
    Task(&'a Waker),
    Socket(&'a Arc<ReadyQueue>, u32),
}

/// A [`WakeTarget`] to be registered under a lock. Cloning and dropping a waker run code of an executor, so a waker was cloned
/// before, and a target that is not taken is dropped afterwards.
pub(crate) enum PreparedTarget<'a> {
    Task(Option<Waker>),
    Socket(&'a Arc<ReadyQueue>, u32),
}

/// The sockets of one task that other threads have woken.
#[derive(Default)]
pub(crate) struct ReadyQueue {
    state: Mutex<QueueState>,
}

#[derive(Default)]
struct QueueState {
    sockets: Vec<u32>,
    task: Option<Waker>,
}

/// What is to be woken and dropped after the lock is free: waking, and dropping a waker, runs code of an executor.
///
/// Dropping the batch wakes.
#[derive(Default)]
pub(crate) struct WakeBatch {
    /// Kept apart from the other wakers, so that waking the driver alone allocates nothing.
    driver: Option<Waker>,
    pub(crate) wakers: Vec<Waker>,
    sockets: Vec<(Arc<ReadyQueue>, u32)>,
    /// Targets that are not woken.
    discarded: Vec<WakeTarget>,
}

impl ReadyQueue {
    /// Registers the waker of the task, and appends the woken sockets to `sockets`.
    pub(crate) fn register_and_drain(&self, waker: &Waker, sockets: &mut Vec<u32>) {
        let waker = clone_waker(waker);
        let mut state = self.lock();
        sockets.append(&mut state.sockets);
        let replaced = state.task.replace(waker);
        drop(state);
        drop(replaced);
    }

    /// Queues sockets, and wakes the task if none was queued.
    pub(crate) fn push(&self, sockets: impl IntoIterator<Item = u32>) {
        let mut state = self.lock();
        let is_task_woken = !state.sockets.is_empty();
        state.sockets.extend(sockets);
        if !is_task_woken {
            unlock_and_wake(state);
        }
    }

    /// Wakes the task without queueing a socket.
    pub(crate) fn wake_task(&self) {
        unlock_and_wake(self.lock());
    }

    /// Removes the waker of a task that has ended.
    pub(crate) fn clear_task(&self) {
        let task = self.lock().task.take();
        drop(task);
    }

    fn lock(&self) -> MutexGuard<'_, QueueState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Wakes the task. It registers its waker again when it runs.
fn unlock_and_wake(mut state: MutexGuard<'_, QueueState>) {
    let task = state.task.take();
    drop(state);
    if let Some(task) = task {
        wake(task);
    }
}

impl<'a> WakeTargetRef<'a> {
    /// Prepares the target for a registration. No lock may be held.
    pub(crate) fn prepare(self) -> PreparedTarget<'a> {
        match self {
            Self::Task(waker) => PreparedTarget::Task(Some(clone_waker(waker))),
            Self::Socket(queue, index) => PreparedTarget::Socket(queue, index),
        }
    }
}

impl PreparedTarget<'_> {
    pub(crate) fn is(&self, known: &WakeTarget) -> bool {
        match (self, known) {
            (Self::Task(Some(waker)), WakeTarget::Task(known)) => known.will_wake(waker),
            (Self::Socket(queue, index), WakeTarget::Socket(known, known_index)) => {
                index == known_index && Arc::ptr_eq(queue, known)
            }
            _ => false,
        }
    }

    /// Takes the target; `None` if the waker of a task was taken already.
    pub(crate) fn take(&mut self) -> Option<WakeTarget> {
        match self {
            Self::Task(waker) => waker.take().map(WakeTarget::Task),
            Self::Socket(queue, index) => Some(WakeTarget::Socket(Arc::clone(queue), *index)),
        }
    }
}

impl WakeBatch {
    pub(crate) fn add(&mut self, target: WakeTarget) {
        match target {
            WakeTarget::Task(waker) => self.wakers.push(waker),
            WakeTarget::Socket(queue, index) => self.sockets.push((queue, index)),
        }
    }

    pub(crate) fn set_driver(&mut self, driver: Option<Waker>) {
        self.driver = driver;
    }

    /// Keeps a target that is not to be woken until it can be dropped without the lock.
    pub(crate) fn discard(&mut self, target: Option<WakeTarget>) {
        self.discarded.extend(target);
    }

    /// Wakes everything and keeps the capacity. The lock must be free.
    ///
    /// A panic of a waker is contained: the other wakers are woken, and the caller goes on (X4).
    pub(crate) fn wake(&mut self) {
        self.driver.take().into_iter().for_each(wake);
        for of_one_queue in self.sockets.chunk_by(|(queue, _), (next, _)| Arc::ptr_eq(queue, next)) {
            if let Some((queue, _)) = of_one_queue.first() {
                contain_panic(|| queue.push(of_one_queue.iter().map(|(_, index)| *index)));
            }
        }
        self.sockets.clear();
        self.wakers.drain(..).for_each(wake);
        self.discarded.drain(..).for_each(|target| contain_panic(|| drop(target)));
    }
}

impl Drop for WakeBatch {
    fn drop(&mut self) {
        self.wake();
    }
}

fn wake(waker: Waker) {
    contain_panic(|| waker.wake());
}

/// Clones a waker, which runs code of an executor.
pub(crate) fn clone_waker(waker: &Waker) -> Waker {
    debug_assert!(!held::is_any(), "X4: a waker is cloned under the lock of a hub");
    waker.clone()
}

/// Calls code of an executor or an application, so that a panic of it ends nothing else. The panic hook has reported it.
pub(crate) fn contain_panic(call: impl FnOnce()) {
    let _ = catch_unwind(AssertUnwindSafe(call));
}

#[cfg(all(test, not(shuttle)))]
mod tests {
    use std::task::Wake;
    use std::vec;

    use super::*;

    struct Inert;

    impl Wake for Inert {
        fn wake(self: Arc<Self>) {}
    }

    fn sockets_of(queue: &ReadyQueue) -> Vec<u32> {
        let mut sockets = Vec::new();
        queue.register_and_drain(Waker::noop(), &mut sockets);
        sockets
    }

    #[test]
    fn a_batch_queues_each_socket_in_its_own_queue_once() {
        let queues = [Arc::default(), Arc::default()];
        let mut batch = WakeBatch::default();
        for (queue, index) in [(0, 3), (0, 1), (1, 3), (0, 2)] {
            batch.add(PreparedTarget::Socket(&queues[queue], index).take().unwrap());
        }
        batch.wake();
        assert_eq!(queues.each_ref().map(|queue| sockets_of(queue)), [vec![3, 1, 2], vec![3]]);
        batch.wake();
        assert_eq!(queues.each_ref().map(|queue| sockets_of(queue).len()), [0, 0]);
    }

    #[test]
    fn a_target_is_known_only_if_both_queue_and_index_are_the_same() {
        let [queue, other] = [Arc::default(), Arc::default()];
        let known = PreparedTarget::Socket(&queue, 1).take().unwrap();
        assert!(PreparedTarget::Socket(&queue, 1).is(&known));
        assert!(!PreparedTarget::Socket(&queue, 2).is(&known));
        assert!(!PreparedTarget::Socket(&other, 1).is(&known));
        assert!(!WakeTargetRef::Task(Waker::noop()).prepare().is(&known));
    }

    #[test]
    fn a_queue_keeps_no_waker_of_a_task_that_has_ended() {
        let (queue, task) = (ReadyQueue::default(), Arc::new(Inert));
        queue.register_and_drain(&Waker::from(Arc::clone(&task)), &mut Vec::new());
        assert_eq!(Arc::strong_count(&task), 2);
        queue.clear_task();
        assert_eq!(Arc::strong_count(&task), 1);
    }
}
