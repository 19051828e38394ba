//! Who is woken when something is due to a connection, or it ended: a task, or a line of a loop.

use std::task::Waker;
use std::vec::Vec;

use super::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Who waits for the bytes of a connection, or for its end.
pub(crate) enum WakeTarget {
    Task(Waker),
    /// A line by its index: it needs no waker, which would be an allocation for each.
    Line(Arc<ReadyQueue>, u32),
}

/// The same, lent.
#[derive(Clone, Copy)]
pub(crate) enum WakeTargetRef<'a> {
    Task(&'a Waker),
    Line(&'a Arc<ReadyQueue>, u32),
}

/// The lines of a loop that are to be looked at, and the loop's task.
#[derive(Default)]
pub(crate) struct ReadyQueue {
    listed: Mutex<Listed>,
}

#[derive(Default)]
struct Listed {
    lines: Vec<u32>,
    task: Option<Waker>,
}

/// What work under the lock leaves to be done without it: wakers are an executor's code, and so is dropping one.
#[derive(Default)]
pub(crate) struct WakeBatch {
    /// Kept apart from the other wakers, so that waking the driver alone allocates nothing.
    driver: Option<Waker>,
    pub(crate) wakers: Vec<Waker>,
    lines: Vec<(Arc<ReadyQueue>, u32)>,
    /// Only to be dropped later.
    replaced: Vec<WakeTarget>,
}

impl ReadyQueue {
    /// Has the task woken by this waker, and takes the lines that are to be looked at.
    pub(crate) fn take(&self, waker: &Waker, lines: &mut Vec<u32>) {
        let mut listed = self.lock();
        lines.append(&mut listed.lines);
        let replaced = match &mut listed.task {
            Some(known) if known.will_wake(waker) => None,
            known => known.replace(waker.clone()),
        };
        drop(listed);
        drop(replaced);
    }

    /// Has lines looked at.
    pub(crate) fn wake(&self, lines: impl IntoIterator<Item = u32>) {
        let mut listed = self.lock();
        let is_awake = !listed.lines.is_empty();
        listed.lines.extend(lines);
        if !is_awake {
            ring(listed);
        }
    }

    /// Wakes the task, for something else than a line.
    pub(crate) fn wake_task(&self) {
        ring(self.lock());
    }

    /// The task is gone.
    pub(crate) fn forget_task(&self) {
        let gone = self.lock().task.take();
        drop(gone);
    }

    fn lock(&self) -> MutexGuard<'_, Listed> {
        self.listed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn ring(listed: MutexGuard<'_, Listed>) {
    let task = listed.task.clone();
    drop(listed);
    if let Some(task) = task {
        task.wake();
    }
}

impl WakeTargetRef<'_> {
    pub(crate) fn is(self, known: &WakeTarget) -> bool {
        match (self, known) {
            (Self::Task(waker), WakeTarget::Task(known)) => known.will_wake(waker),
            (Self::Line(list, line), WakeTarget::Line(known, known_line)) => {
                line == *known_line && Arc::ptr_eq(list, known)
            }
            _ => false,
        }
    }

    pub(crate) fn to_owned(self) -> WakeTarget {
        match self {
            Self::Task(waker) => WakeTarget::Task(waker.clone()),
            Self::Line(list, line) => WakeTarget::Line(Arc::clone(list), line),
        }
    }
}

impl WakeBatch {
    pub(crate) fn add(&mut self, target: WakeTarget) {
        match target {
            WakeTarget::Task(waker) => self.wakers.push(waker),
            WakeTarget::Line(list, line) => self.lines.push((list, line)),
        }
    }

    pub(crate) fn set_driver(&mut self, driver: Option<Waker>) {
        self.driver = driver;
    }

    /// Keeps a target that is not to be woken, until it can be dropped without the lock.
    pub(crate) fn discard(&mut self, target: Option<WakeTarget>) {
        self.replaced.extend(target);
    }

    /// Wakes them; the lock must be free.
    pub(crate) fn wake(&mut self) {
        self.driver.take().into_iter().for_each(Waker::wake);
        for of_one_loop in self.lines.chunk_by(|(list, _), (next, _)| Arc::ptr_eq(list, next)) {
            if let Some((list, _)) = of_one_loop.first() {
                list.wake(of_one_loop.iter().map(|(_, line)| *line));
            }
        }
        self.lines.clear();
        self.wakers.drain(..).for_each(Waker::wake);
        self.replaced.clear();
    }
}

impl Drop for WakeBatch {
    fn drop(&mut self) {
        self.wake();
    }
}

#[cfg(all(test, not(shuttle)))]
mod tests {
    use std::task::Wake;
    use std::vec;

    use super::*;

    struct Nobody;

    impl Wake for Nobody {
        fn wake(self: Arc<Self>) {}
    }

    fn lines_of(list: &ReadyQueue) -> Vec<u32> {
        let mut lines = Vec::new();
        list.take(Waker::noop(), &mut lines);
        lines
    }

    #[test]
    fn a_line_is_woken_in_its_loop_once() {
        let lists = [Arc::default(), Arc::default()];
        let mut woken = WakeBatch::default();
        for (list, line) in [(0, 3), (0, 1), (1, 3), (0, 2)] {
            woken.add(WakeTargetRef::Line(&lists[list], line).to_owned());
        }
        woken.wake();
        assert_eq!(lists.each_ref().map(|list| lines_of(list)), [vec![3, 1, 2], vec![3]]);
        woken.wake();
        assert_eq!(lists.each_ref().map(|list| lines_of(list).len()), [0, 0]);
    }

    #[test]
    fn only_the_same_line_of_the_same_loop_is_known_already() {
        let [list, other] = [Arc::default(), Arc::default()];
        let known = WakeTargetRef::Line(&list, 1).to_owned();
        assert!(WakeTargetRef::Line(&list, 1).is(&known));
        assert!(!WakeTargetRef::Line(&list, 2).is(&known));
        assert!(!WakeTargetRef::Line(&other, 1).is(&known));
        assert!(!WakeTargetRef::Task(Waker::noop()).is(&known));
    }

    #[test]
    fn a_task_that_is_gone_leaves_no_waker_behind() {
        let (list, task) = (ReadyQueue::default(), Arc::new(Nobody));
        list.take(&Waker::from(Arc::clone(&task)), &mut Vec::new());
        assert_eq!(Arc::strong_count(&task), 2);
        list.forget_task();
        assert_eq!(Arc::strong_count(&task), 1);
    }
}
