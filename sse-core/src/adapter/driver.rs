//! The task of a hub: it handles deadlines, and wakes connections that have pending bytes.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use crate::{Action, Instant};

use crate::shared::lock::Shared;
use crate::shared::observe::DeferredEvents;
use crate::shared::state::State;
use crate::shared::sync::{Arc, Weak};
use crate::shared::wakers::{WakeBatch, clone_waker};

/// The most actions of one turn. Then other threads get the lock, and other tasks get the thread. Where one thread writes and
/// publishes, it is also the most connections that are written to before the next event can be published.
const ACTIONS_PER_TURN: usize = 64;

/// The longest time for which a timer is set: a year, which every clock can represent.
const LONGEST_SLEEP: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// The driver of one [`SharedHub`](crate::shared::SharedHub): an adapter runs it on a task with the timer of its runtime,
/// for example by [`DriveHub`].
///
/// It ends when the last handle on its hub is dropped.
///
/// A driver can also run on a thread:
///
/// ```
/// use std::sync::Arc;
/// use std::task::{Wake, Waker};
/// use std::thread::{self, Thread};
///
/// use sse_core::adapter::Turn;
/// use sse_core::shared::SharedHub;
/// use sse_core::{HubConfig, Instant};
///
/// struct Unpark(Thread);
///
/// impl Wake for Unpark {
///     fn wake(self: Arc<Self>) {
///         self.0.unpark();
///     }
/// }
///
/// let start = std::time::Instant::now();
/// let now = move || Instant::from_nanos(u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX));
/// let (hub, mut driver) = SharedHub::new("1k9f2", HubConfig::default(), now)?;
/// let thread = thread::spawn(move || {
///     let waker = Waker::from(Arc::new(Unpark(thread::current())));
///     loop {
///         match driver.turn(&waker) {
///             Turn::Yield => {}
///             Turn::Sleep(None) => thread::park(),
///             Turn::Sleep(Some(until)) => thread::park_timeout(until.saturating_duration_since(now())),
///             Turn::Done => return,
///         }
///     }
/// });
/// drop(hub);
/// thread.join().expect("it ends with the last handle");
/// # Ok::<(), sse_core::ConfigError>(())
/// ```
pub struct Driver {
    shared: Weak<Shared>,
    /// The waker for the next time that the driver sleeps, cloned without the lock.
    waker: Option<Waker>,
    /// Kept for the next turn, so that a turn allocates nothing.
    batch: WakeBatch,
    events: DeferredEvents,
    /// The deadline for which the timer is set.
    timer_deadline: Option<Instant>,
}

/// The timer of a driver: the part of a runtime's timer that an adapter supplies. Its instants are those of the hub's clock.
///
/// The files `driver.rs` of the adapter crates are examples, of about twelve lines each.
pub trait Timer {
    /// Sets the timer to an instant, at most a year from now. This replaces the former setting.
    fn set(&mut self, at: Instant);

    /// Waits until the instant to which the timer was set last.
    fn poll_elapsed(&mut self, cx: &mut Context<'_>) -> Poll<()>;

    /// Schedules the task for another poll after other tasks have run. A runtime that can poll its reactor before should do
    /// so: events that are published meanwhile are then written together with those that are pending now.
    fn yield_now(&mut self, cx: &mut Context<'_>) {
        cx.waker().wake_by_ref();
    }
}

/// How a task goes on after a turn of a [`Driver`] or a [`SocketSet`](super::SocketSet).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// Let other tasks run, then take another turn.
    Yield,
    /// Sleep until the instant, or until woken. `None` means until woken.
    Sleep(Option<Instant>),
    /// End: no handle on the hub or the set is left, and the set has no connection.
    Done,
}

impl Driver {
    pub(crate) fn new(shared: Weak<Shared>) -> Driver {
        Driver {
            shared,
            waker: None,
            batch: WakeBatch::default(),
            events: DeferredEvents::default(),
            timer_deadline: None,
        }
    }

    /// Handles deadlines that have passed and a bounded number of actions, and returns how the task goes on. `waker` is woken
    /// when there is work before the instant of [`Turn::Sleep`].
    ///
    /// The clock decides whether a deadline has passed, not the timer ([X5](crate::rules#x5)).
    ///
    /// # Cost
    ///
    /// One lock of the hub. A turn allocates nothing.
    pub fn turn(&mut self, waker: &Waker) -> Turn {
        let Some(shared) = self.shared.upgrade() else { return Turn::Done };
        if !self.waker.as_ref().is_some_and(|known| known.will_wake(waker)) {
            self.waker = Some(clone_waker(waker));
        }
        let now = (shared.clock)();
        let mut state = shared.lock_state();
        state.hub.handle_timeout(now);
        for _ in 0..ACTIONS_PER_TURN {
            let Some(action) = state.hub.poll_action() else { break };
            self.handle_action(&mut state, action);
        }
        let State { hub, observer, .. } = &mut *state;
        let report = observer.report(hub, now);
        let until = observer.next_wakeup(hub.poll_timeout());
        // Another thread may have passed a later instant since the clock was read: work of that instant is not in the future.
        let now = hub.latest_instant();
        let (turn, replaced) = if until.is_some_and(|until| until <= now) {
            (Turn::Yield, None)
        } else {
            (Turn::Sleep(until), state.park_driver(&mut self.waker, until))
        };
        drop(state);
        drop(replaced);
        self.batch.wake();
        self.events.emit();
        report.record(&shared.clock);
        // If the last handle was dropped during this turn, nothing else wakes the driver.
        self.finish_turn(shared, turn)
    }

    /// Takes turns until no handle on the hub is left.
    fn poll_turns(&mut self, cx: &mut Context<'_>, timer: &mut impl Timer) -> Poll<()> {
        loop {
            let until = match self.turn(cx.waker()) {
                Turn::Done => return Poll::Ready(()),
                Turn::Yield => {
                    timer.yield_now(cx);
                    return Poll::Pending;
                }
                Turn::Sleep(until) => until,
            };
            let Some(at) = until else { return Poll::Pending };
            if self.timer_deadline != until {
                timer.set(self.clamp_deadline(at));
                self.timer_deadline = until;
            }
            // A timer that fires is a reason to read the clock (X5). A timer that fires early is set again.
            ready!(timer.poll_elapsed(cx));
            self.timer_deadline = None;
        }
    }

    /// Bounds a deadline to one that every clock can represent. A timer that fires early is set again (X5).
    fn clamp_deadline(&self, at: Instant) -> Instant {
        let now = self.shared.upgrade().map_or(Instant::ORIGIN, |shared| (shared.clock)());
        at.min(now.saturating_add(LONGEST_SLEEP))
    }

    fn handle_action(&mut self, state: &mut State, action: Action) {
        if let Action::Transmit(connection) = action {
            let registration = state.registry.find_mut(connection);
            let target = registration.and_then(|registration| registration.take_target());
            return target.into_iter().for_each(|target| self.batch.add(target));
        }
        self.events.add(state.observer.action_polled(&state.hub, action));
        match action {
            Action::Close { connection, reason } => state.registry.close(connection, reason, &mut self.batch),
            Action::TimedOut(connection) => {
                if let Some(registration) = state.registry.find_mut(connection) {
                    registration.status().time_out(&mut self.batch.wakers);
                }
            }
            Action::ChannelClosed { channel, reason } => {
                if let Some(shared) = state.channels.remove(&channel) {
                    shared.status.close(reason, &mut self.batch.wakers);
                }
            }
            Action::Unwanted { channel, .. } | Action::Room(channel) | Action::ChannelFinished(channel) => {
                if let Some(shared) = state.channels.get(&channel) {
                    shared.status.notify_all(&mut self.batch.wakers);
                }
            }
            Action::Transmit(_) | Action::Lagged { .. } => {}
        }
    }

    fn finish_turn(&self, shared: Arc<Shared>, turn: Turn) -> Turn {
        drop(shared);
        if self.shared.strong_count() == 0 { Turn::Done } else { turn }
    }
}

/// The task of one hub, as a future: it sleeps until the hub's next deadline and is woken when something becomes pending
/// earlier. It completes when the last handle on the hub is dropped.
///
/// Adapters spawn it with the timer of their runtime. Without it no event is delivered and no deadline is kept.
#[derive(Debug)]
#[must_use = "futures do nothing unless polled"]
pub struct DriveHub<T> {
    driver: Driver,
    timer: T,
}

impl<T: Timer> DriveHub<T> {
    /// Creates the task of a hub from its driver and a timer.
    pub fn new(driver: Driver, timer: T) -> DriveHub<T> {
        DriveHub { driver, timer }
    }
}

impl<T: Timer + Unpin> Future for DriveHub<T> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let DriveHub { driver, timer } = &mut *self;
        driver.poll_turns(cx, timer)
    }
}

impl core::fmt::Debug for Driver {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Driver").field("timer_deadline", &self.timer_deadline).finish_non_exhaustive()
    }
}
