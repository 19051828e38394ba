//! Many connections on sockets of their own, driven by one loop: no task, no timer and no queue for any of them.

use std::collections::VecDeque;
use std::io;
use std::task::{Context, Wake, Waker};
use std::vec::Vec;

use crate::shared::Outbound;
use crate::shared::sync::{Arc, AtomicBool, Mutex, MutexGuard, Ordering, PoisonError};
use crate::shared::wakers::{ReadyQueue, WakeTargetRef};

use super::driver::Turn;
use super::http::Framing;
use super::socket::{Served, Socket, WRITES_PER_LOOK, Wired};
use super::writer::{ConnectionWriter, Load};

/// How many lines one turn looks at: then the task yields.
const LOOKS_PER_TURN: usize = 256;

/// How many lines are looked at together.
const LOOKS_AT_ONCE: usize = 64;

/// When so many bytes were copied for lines that are looked at together, these are written first.
const SCRATCH_BYTES: usize = 64 * 1024;

/// The connections of one loop, each a [`ConnectionWriter`](super::ConnectionWriter) on a [`Socket`]. An adapter owns it in a task and calls
/// [`turn`](SocketSet::turn) when it is woken.
///
/// A peer that ends its side is gone (X3). What peers still send is read and dropped, up to a mebibyte.
///
/// The adapters' `attach.rs` are examples: in `sse-tokio` with a reactor of its own, in `sse-async-std` on the runtime's.
pub struct SocketSet<S> {
    slots: Vec<Option<Slot<S>>>,
    vacant: Vec<u32>,
    len: usize,
    /// Those to be looked at, each once: what is due to a line must not be taken twice before it is written.
    due: VecDeque<u32>,
    desk: Arc<Desk<S>>,
    /// Those that others have woken. Its room is kept between two turns.
    woken: Vec<u32>,
    /// Empty between two turns, as the scratch buffer is.
    looks: Vec<Look>,
    scratch: Vec<u8>,
}

/// Where new connections are handed to a [`SocketSet`]. Cloning gives another handle; when the last one is dropped, and the
/// last connection ended, the loop ends.
pub struct SocketSetHandle<S> {
    desk: Arc<Desk<S>>,
}

struct Slot<S> {
    wired: Wired<S>,
    /// Whether it is among those to be looked at.
    is_due: bool,
    /// For its socket, if that wakes whom it is polled by.
    bell: Option<std::sync::Arc<Bell>>,
}

/// A line that is looked at.
struct Look {
    index: u32,
    /// What its socket is polled with, if it is not the loop's.
    waker: Option<Waker>,
    has_more_to_read: bool,
    writes: usize,
    /// What was found for it and is not written yet.
    load: Option<Load>,
}

/// What other threads leave for the loop.
struct Desk<S> {
    inbox: Mutex<Inbox<S>>,
    ready: Arc<ReadyQueue>,
}

struct Inbox<S> {
    arrived: Vec<(S, Outbound, Framing)>,
    handles: usize,
    is_running: bool,
}

/// The waker of one socket: it puts the line's index on the list.
struct Bell {
    ready: Arc<ReadyQueue>,
    index: u32,
    has_rung: AtomicBool,
}

impl<S: Socket + Send + 'static> SocketSet<S> {
    /// A loop without connections, and the handle by which they come.
    pub fn new() -> (SocketSet<S>, SocketSetHandle<S>) {
        let inbox = Mutex::new(Inbox { arrived: Vec::new(), handles: 1, is_running: true });
        let desk = Arc::new(Desk { inbox, ready: Arc::default() });
        let lines = SocketSet {
            slots: Vec::new(),
            vacant: Vec::new(),
            len: 0,
            due: VecDeque::new(),
            desk: Arc::clone(&desk),
            woken: Vec::new(),
            looks: Vec::new(),
            scratch: Vec::new(),
        };
        (lines, SocketSetHandle { desk })
    }

    /// How many connections there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Serves the lines that have something to do: a bounded number, then it says how to go on. `register` is called
    /// for each new socket with its index, for a reactor that the adapter has; a socket that cannot be registered is
    /// closed.
    pub fn turn(
        &mut self,
        cx: &mut Context<'_>,
        mut register: impl FnMut(usize, &mut S) -> io::Result<()>,
    ) -> Turn {
        let (arrived, handles) = self.take_news(cx.waker());
        for (socket, outbound, framing) in arrived {
            self.insert(socket, outbound, framing, &mut register);
        }
        for _ in 0..LOOKS_PER_TURN / LOOKS_AT_ONCE {
            self.look_at_some(cx);
        }
        if !self.due.is_empty() {
            Turn::Yield
        } else if self.len == 0 && handles == 0 {
            Turn::Done
        } else {
            Turn::Sleep(None)
        }
    }

    /// The socket of an index that `register` was given.
    pub fn socket_mut(&mut self, index: usize) -> Option<&mut S> {
        Some(&mut self.slots.get_mut(index)?.as_mut()?.wired.socket)
    }

    /// Has a line looked at in the next turn: its socket became ready.
    pub fn wake(&mut self, index: usize) {
        let Some(Some(slot)) = self.slots.get_mut(index) else { return };
        if let Ok(index) = u32::try_from(index)
            && !core::mem::replace(&mut slot.is_due, true)
        {
            self.due.push_back(index);
        }
    }

    /// Takes what others left. The loop's waker is there before, so that nothing is missed.
    fn take_news(&mut self, waker: &Waker) -> (Vec<(S, Outbound, Framing)>, usize) {
        let mut woken = core::mem::take(&mut self.woken);
        self.desk.ready.take(waker, &mut woken);
        woken.drain(..).for_each(|index| self.wake(index as usize));
        self.woken = woken;
        let mut inbox = self.desk.lock();
        (core::mem::take(&mut inbox.arrived), inbox.handles)
    }

    fn insert(
        &mut self,
        mut socket: S,
        outbound: Outbound,
        framing: Framing,
        register: &mut impl FnMut(usize, &mut S) -> io::Result<()>,
    ) {
        let index = self.vacant.last().copied().map_or(self.slots.len(), |index| index as usize);
        let Ok(short) = u32::try_from(index) else { return };
        if register(index, &mut socket).is_err() {
            return;
        }
        let bell = socket.registers_waker().then(|| {
            let ready = Arc::clone(&self.desk.ready);
            std::sync::Arc::new(Bell { ready, index: short, has_rung: AtomicBool::new(false) })
        });
        let slot = Some(Slot { wired: Wired::new(outbound, framing, socket), is_due: false, bell });
        if self.vacant.pop().is_some() {
            if let Some(place) = self.slots.get_mut(index) {
                *place = slot;
            }
        } else {
            self.slots.push(slot);
        }
        self.len = self.len.saturating_add(1);
        self.wake(index);
    }

    /// Looks at some lines together, step by step: first all are read from, then what is due to them is found out under
    /// one turn of the lock, then it is written. The code and the data of a step stay in the nearest cache this way; after
    /// each write they would have to be fetched again.
    fn look_at_some(&mut self, cx: &mut Context<'_>) {
        let mut looks = core::mem::take(&mut self.looks);
        for _ in 0..LOOKS_AT_ONCE {
            let Some(index) = self.due.pop_front() else { break };
            looks.extend(self.begin(cx, index));
        }
        while !looks.is_empty() {
            self.scratch.clear();
            self.load(&mut looks);
            looks.retain_mut(|look| self.send(cx, look));
        }
        self.looks = looks;
    }

    /// Begins to look at a line; `None` when the look is over with that.
    fn begin(&mut self, cx: &mut Context<'_>, index: u32) -> Option<Look> {
        let slot = self.slots.get_mut(index as usize)?.as_mut()?;
        slot.is_due = false;
        // Made for each look: one that is kept is more memory than this is time.
        let waker = slot.bell.as_ref().map(|bell| {
            // From here on it may ring again.
            bell.has_rung.store(false, Ordering::Release);
            Waker::from(std::sync::Arc::clone(bell))
        });
        let target = WakeTargetRef::Line(&self.desk.ready, index);
        match slot.wired.begin(&mut Context::from_waker(waker.as_ref().unwrap_or(cx.waker())), target) {
            Ok(has_more_to_read) => Some(Look { index, waker, has_more_to_read, writes: 0, load: None }),
            Err(served) => {
                self.served(index, served);
                None
            }
        }
    }

    /// Finds out what is due, as long as there is room for it: with one turn of the lock for all that are of one hub.
    fn load(&mut self, looks: &mut [Look]) {
        let (slots, scratch, ready) = (&self.slots, &mut self.scratch, &self.desk.ready);
        let line = |look: &Look| Some(&slots.get(look.index as usize)?.as_ref()?.wired.line);
        let mut looks = looks.iter_mut().peekable();
        while let Some(hub) = looks.peek().and_then(|look| line(look)).map(ConnectionWriter::hub)
            && scratch.len() < SCRATCH_BYTES
        {
            let mut state = hub.lock();
            while scratch.len() < SCRATCH_BYTES
                && let Some(look) = looks.next_if(|look| line(look).is_some_and(|line| line.hub().is(hub)))
            {
                let target = WakeTargetRef::Line(ready, look.index);
                look.load = line(look).map(|line| line.load(&mut state, target, scratch));
            }
        }
    }

    /// Writes what was found for a line; false when the look at it is over.
    fn send(&mut self, cx: &mut Context<'_>, look: &mut Look) -> bool {
        let Some(Some(slot)) = self.slots.get_mut(look.index as usize) else { return false };
        let Some(load) = look.load.take() else { return true };
        let cx = &mut Context::from_waker(look.waker.as_ref().unwrap_or(cx.waker()));
        let target = WakeTargetRef::Line(&self.desk.ready, look.index);
        let written = slot.wired.send(cx, target, load, &self.scratch);
        look.writes = look.writes.saturating_add(1);
        let served = match slot.wired.wrote(cx, written, look.has_more_to_read) {
            None if look.writes < WRITES_PER_LOOK => return true,
            None => Served::Part,
            Some(served) => served,
        };
        self.served(look.index, served);
        false
    }

    /// What follows from a look that is over.
    fn served(&mut self, index: u32, served: Served) {
        match served {
            Served::All => {}
            Served::Part => self.wake(index as usize),
            Served::Ended | Served::Gone | Served::Failed(_) => self.remove(index),
        }
    }

    fn remove(&mut self, index: u32) {
        let slot = self.slots.get_mut(index as usize).and_then(Option::take);
        if slot.is_none() {
            return;
        }
        self.len = self.len.saturating_sub(1);
        self.vacant.push(index);
        if self.len == 0 {
            (self.slots, self.vacant) = (Vec::new(), Vec::new());
            self.due = VecDeque::new();
        }
    }
}

impl<S> SocketSetHandle<S> {
    /// Hands over a socket whose response head was written. When the loop does not run any more, both are dropped: that
    /// disconnects.
    pub fn attach(&self, socket: S, outbound: Outbound, framing: Framing) {
        let mut inbox = self.desk.lock();
        if !inbox.is_running {
            drop(inbox);
            return;
        }
        inbox.arrived.push((socket, outbound, framing));
        drop(inbox);
        self.desk.ready.wake_task();
    }
}

impl<S> Clone for SocketSetHandle<S> {
    fn clone(&self) -> SocketSetHandle<S> {
        let mut inbox = self.desk.lock();
        inbox.handles = inbox.handles.saturating_add(1);
        drop(inbox);
        SocketSetHandle { desk: Arc::clone(&self.desk) }
    }
}

impl<S> Drop for SocketSetHandle<S> {
    fn drop(&mut self) {
        let mut inbox = self.desk.lock();
        inbox.handles = inbox.handles.saturating_sub(1);
        let is_last = inbox.handles == 0;
        drop(inbox);
        if is_last {
            self.desk.ready.wake_task();
        }
    }
}

impl<S> Drop for SocketSet<S> {
    fn drop(&mut self) {
        let mut inbox = self.desk.lock();
        inbox.is_running = false;
        let arrived = core::mem::take(&mut inbox.arrived);
        drop(inbox);
        drop(arrived);
        self.desk.ready.forget_task();
    }
}

impl<S> Desk<S> {
    fn lock(&self) -> MutexGuard<'_, Inbox<S>> {
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wake for Bell {
    fn wake(self: std::sync::Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &std::sync::Arc<Self>) {
        if !self.has_rung.swap(true, Ordering::AcqRel) {
            self.ready.wake([self.index]);
        }
    }
}
