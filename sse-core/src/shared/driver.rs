//! What one task per hub does: timers that have come, and wakers of those that something is due to.

use std::task::Waker;
use std::vec::Vec;

use crate::{Action, Instant};

use super::sync::{Arc, Weak};
use super::{Shared, Sleeping, State};

/// How many actions one turn takes: then others get the lock and the thread.
const ACTIONS_PER_TURN: usize = 256;

/// The driver of one [`SharedHub`](super::SharedHub). An adapter runs it on a task, with its runtime's timer.
///
/// It ends when the last handle on its hub is dropped.
#[derive(Debug)]
pub struct Driver {
    shared: Weak<Shared>,
    /// Kept for the next turn, so that a turn allocates nothing.
    wakers: Vec<Waker>,
}

/// What a [`Driver`] does after a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// Let others run, then take another turn.
    Again,
    /// Sleep until then, or until woken; `None` waits for being woken alone.
    Sleep(Option<Instant>),
    /// No handle on the hub is left.
    Done,
}

impl Driver {
    pub(super) fn new(shared: Weak<Shared>) -> Driver {
        Driver { shared, wakers: Vec::new() }
    }

    /// Does what is due: a bounded number of actions, then it says how to go on. `waker` is woken when something
    /// becomes due earlier than [`Turn::Sleep`] said.
    ///
    /// Whether a deadline has come is decided from the clock, never from a timer that says so (X5).
    pub fn turn(&mut self, waker: &Waker) -> Turn {
        let Some(shared) = self.shared.upgrade() else { return Turn::Done };
        let now = (shared.clock)();
        let mut state = shared.lock();
        state.hub.handle_timeout(now);
        for _ in 0..ACTIONS_PER_TURN {
            let Some(action) = state.hub.poll_action() else { break };
            self.act(&mut state, action);
        }
        let until = state.hub.poll_timeout();
        let turn = if until.is_some_and(|until| until <= now) {
            Turn::Again
        } else {
            state.driver = Some(Sleeping { waker: waker.clone(), until });
            Turn::Sleep(until)
        };
        drop(state);
        for waker in self.wakers.drain(..) {
            waker.wake();
        }
        // Whoever dropped their handle meanwhile counted on this one: the driver must not be the last to know.
        self.release(shared, turn)
    }

    fn act(&mut self, state: &mut State, action: Action) {
        match action {
            Action::Transmit(connection) => {
                let seat = state.seats.get_mut(connection);
                self.wakers.extend(seat.and_then(|seat| seat.waker.take()));
            }
            Action::Close { connection, reason } => state.seats.close(connection, reason, &mut self.wakers),
            Action::TimedOut(connection) => {
                if let Some(seat) = state.seats.get_mut(connection) {
                    seat.status().time_out(&mut self.wakers);
                }
            }
            Action::ChannelClosed { channel, reason } => {
                if let Some(status) = state.channels.remove(&channel) {
                    status.close(reason, &mut self.wakers);
                }
            }
            Action::Lagged { .. } => {}
        }
    }

    fn release(&self, shared: Arc<Shared>, turn: Turn) -> Turn {
        drop(shared);
        if self.shared.strong_count() == 0 { Turn::Done } else { turn }
    }
}
