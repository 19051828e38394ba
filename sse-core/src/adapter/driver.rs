//! What one task per hub does: timers that have come, and wakers of those that something is due to.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use crate::{Action, Instant};

use crate::shared::lock::Shared;
use crate::shared::observe::Notes;
use crate::shared::state::State;
use crate::shared::sync::{Arc, Weak};
use crate::shared::wakers::WakeBatch;

/// How many actions one turn takes: then others get the lock and the thread. It is also how many are written to before
/// the next event can be published, where one thread does both.
const ACTIONS_PER_TURN: usize = 64;

/// The longest time for which a timer is set: a year, which is far within what any clock can represent.
const LONGEST_SLEEP: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// The driver of one [`SharedHub`](super::SharedHub). An adapter runs it on a task, with its runtime's timer.
///
/// It ends when the last handle on its hub is dropped.
///
/// A thread is runtime enough:
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
    /// Kept for the next turn, so that a turn allocates nothing.
    woken: WakeBatch,
    notes: Notes,
    /// What the timer is set for.
    set_for: Option<Instant>,
}

/// The timer of a driver, by the clock of its hub: what an adapter has to say of its runtime's.
///
/// The adapters' `driver.rs` are examples: some twelve lines around the timer of a runtime.
pub trait Timer {
    /// Sets the timer to an instant, at most a year from now. The former setting is forgotten.
    fn set(&mut self, at: Instant);

    /// Ready when the instant came that it was last set for.
    fn poll_elapsed(&mut self, cx: &mut Context<'_>) -> Poll<()>;

    /// Has the task polled again after others had the thread. A runtime that can look at its sockets before should:
    /// what is published meanwhile goes out together with what is due now.
    fn yield_now(&mut self, cx: &mut Context<'_>) {
        cx.waker().wake_by_ref();
    }
}

/// What a [`Driver`] does after a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// Let others run, then take another turn.
    Yield,
    /// Sleep until then, or until woken; `None` waits for being woken alone.
    Sleep(Option<Instant>),
    /// No handle on the hub is left.
    Done,
}

impl Driver {
    pub(crate) fn new(shared: Weak<Shared>) -> Driver {
        Driver { shared, woken: WakeBatch::default(), notes: Notes::default(), set_for: None }
    }

    /// Does what is due: a bounded number of actions, then it says how to go on. `waker` is woken when something
    /// becomes due earlier than [`Turn::Sleep`] said.
    ///
    /// Whether a deadline has come is decided from the clock, never from a timer that says so (X5).
    pub fn turn(&mut self, waker: &Waker) -> Turn {
        let Some(shared) = self.shared.upgrade() else { return Turn::Done };
        let now = (shared.clock)();
        let mut state = shared.lock_state();
        state.hub.handle_timeout(now);
        for _ in 0..ACTIONS_PER_TURN {
            let Some(action) = state.hub.poll_action() else { break };
            self.act(&mut state, action);
        }
        let State { hub, observer, .. } = &mut *state;
        let report = observer.report(hub, now);
        let until = observer.next_turn(hub.poll_timeout());
        let (turn, replaced) = if until.is_some_and(|until| until <= now) {
            (Turn::Yield, None)
        } else {
            (Turn::Sleep(until), state.park_driver(waker, until))
        };
        drop(state);
        drop(replaced);
        self.woken.wake();
        self.notes.tell();
        report.tell(&shared.clock);
        // Whoever dropped their handle meanwhile counted on this one: the driver must not be the last to know.
        self.release(shared, turn)
    }

    /// Takes turns as the task of an adapter: ready when no handle on the hub is left.
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
            if self.set_for != until {
                timer.set(self.bounded(at));
                self.set_for = until;
            }
            // That it went off means only that the clock has to be asked (X5): one that is early is set again.
            ready!(timer.poll_elapsed(cx));
            self.set_for = None;
        }
    }

    /// Bounds a deadline to one that every clock can represent. A timer that fires early is set again (X5).
    fn bounded(&self, at: Instant) -> Instant {
        let now = self.shared.upgrade().map_or(Instant::ORIGIN, |shared| (shared.clock)());
        at.min(now.saturating_add(LONGEST_SLEEP))
    }

    fn act(&mut self, state: &mut State, action: Action) {
        if let Action::Transmit(connection) = action {
            let registration = state.registry.find_mut(connection);
            let target = registration.and_then(|registration| registration.take_target());
            return target.into_iter().for_each(|target| self.woken.add(target));
        }
        self.notes.add(state.observer.acted(&state.hub, action));
        match action {
            Action::Close { connection, reason } => state.registry.close(connection, reason, &mut self.woken),
            Action::TimedOut(connection) => {
                if let Some(registration) = state.registry.find_mut(connection) {
                    registration.status().time_out(&mut self.woken.wakers);
                }
            }
            Action::ChannelClosed { channel, reason } => {
                if let Some(status) = state.channels.remove(&channel) {
                    status.close(reason, &mut self.woken.wakers);
                }
            }
            Action::Transmit(_) | Action::Lagged { .. } => {}
        }
    }

    fn release(&self, shared: Arc<Shared>, turn: Turn) -> Turn {
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
        f.debug_struct("Driver").field("set_for", &self.set_for).finish_non_exhaustive()
    }
}
