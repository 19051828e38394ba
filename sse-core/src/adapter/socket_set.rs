//! Many connections on sockets, driven by one task: no task, timer or queue for each of them.

use std::collections::VecDeque;
use std::io;
use std::task::{Context, Wake, Waker};
use std::vec::Vec;

use crate::shared::sync::{Arc, AtomicBool, Mutex, MutexGuard, Ordering, PoisonError};
use crate::shared::wakers::{PreparedTarget, ReadyQueue, WakeTargetRef};
use crate::shared::{Outbound, SharedHub};

use super::driver::Turn;
use super::http::Framing;
use super::socket::{Socket, SocketConnection, Step, WRITES_PER_PASS};
use super::writer::NextWrite;

/// The most passes in one turn. Then the task yields.
const PASSES_PER_TURN: usize = 256;

/// The most passes that are made together.
const BATCH: usize = 64;

/// When so many bytes were copied for the connections of a batch, they are written before more is copied.
const SCRATCH_BYTES: usize = 64 * 1024;

/// The connections of one task, each with a [`Socket`]. An adapter owns the set in a task, and calls
/// [`turn`](SocketSet::turn) when the task is woken.
///
/// A connection ends when its peer disconnects ([X3](crate::rules#x3)). Bytes that peers still send are read and
/// dropped, up to 1 MiB.
///
/// The files `attach.rs` of the adapter crates are examples: `sse-tokio` has a reactor of its own, `sse-async-std` uses the
/// reactor of the runtime.
pub struct SocketSet<S> {
    slots: Vec<Option<SocketEntry<S>>>,
    vacant: Vec<u32>,
    len: usize,
    /// The sockets that need a pass, each once: pending bytes must not be taken twice before they are written.
    ready: VecDeque<u32>,
    mailbox: Arc<Mailbox<S>>,
    /// The sockets that were woken by other threads. Its capacity is kept between turns.
    woken: Vec<u32>,
    /// Empty between turns. Its capacity is kept.
    passes: Vec<Pass>,
    /// The bytes to write, of all passes of a batch.
    scratch: Vec<u8>,
}

/// A handle that adds connections to a [`SocketSet`]. Cloning gives another handle. The task of the set ends when the last
/// handle is dropped and the last connection has ended.
pub struct SocketSetHandle<S> {
    mailbox: Arc<Mailbox<S>>,
}

struct SocketEntry<S> {
    connection: SocketConnection<S>,
    /// Whether the socket is in the queue of those that need a pass.
    is_ready: bool,
    /// The waker of the socket, if the socket registers wakers.
    waker: Option<std::sync::Arc<SocketWaker>>,
}

/// A pass over one socket.
struct Pass {
    index: u32,
    /// The waker that the socket is polled with, unless it is that of the task.
    waker: Option<Waker>,
    has_more_to_read: bool,
    writes: usize,
    /// What the socket has to write next.
    next: Option<NextWrite>,
}

/// What a set receives from its handles and from other threads.
struct Mailbox<S> {
    inbox: Mutex<Inbox<S>>,
    woken: Arc<ReadyQueue>,
}

struct Inbox<S> {
    attached: Vec<(S, Outbound, Framing)>,
    handles: usize,
    is_running: bool,
}

/// The waker of one socket: it queues the socket's index.
struct SocketWaker {
    queue: Arc<ReadyQueue>,
    index: u32,
    is_woken: AtomicBool,
}

impl<S: Socket + Send + 'static> SocketSet<S> {
    /// Creates a set without connections, and its first handle.
    pub fn new() -> (SocketSet<S>, SocketSetHandle<S>) {
        let inbox = Mutex::new(Inbox { attached: Vec::new(), handles: 1, is_running: true });
        let mailbox = Arc::new(Mailbox { inbox, woken: Arc::default() });
        let set = SocketSet {
            slots: Vec::new(),
            vacant: Vec::new(),
            len: 0,
            ready: VecDeque::new(),
            mailbox: Arc::clone(&mailbox),
            woken: Vec::new(),
            passes: Vec::new(),
            scratch: Vec::new(),
        };
        (set, SocketSetHandle { mailbox })
    }

    /// Returns the number of connections.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Returns whether there are no connections.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Reads from and writes to the sockets that are ready, up to a bound, and returns how the task goes on.
    ///
    /// `register` is called for each new socket with its index, for an adapter that has a reactor. A socket that cannot be
    /// registered is closed.
    pub fn turn(
        &mut self,
        cx: &mut Context<'_>,
        mut register: impl FnMut(usize, &mut S) -> io::Result<()>,
    ) -> Turn {
        let (attached, handles) = self.receive(cx.waker());
        for (socket, outbound, framing) in attached {
            self.insert(socket, outbound, framing, &mut register);
        }
        for _ in 0..PASSES_PER_TURN / BATCH {
            self.run_batch(cx);
        }
        if !self.ready.is_empty() {
            Turn::Yield
        } else if self.len == 0 && handles == 0 {
            Turn::Done
        } else {
            Turn::Sleep(None)
        }
    }

    /// Returns the socket with an index that `register` was called with.
    pub fn socket_mut(&mut self, index: usize) -> Option<&mut S> {
        Some(&mut self.slots.get_mut(index)?.as_mut()?.connection.socket)
    }

    /// Schedules a socket for the next turn, because it became ready.
    pub fn wake(&mut self, index: usize) {
        let Some(Some(slot)) = self.slots.get_mut(index) else { return };
        if let Ok(index) = u32::try_from(index)
            && !core::mem::replace(&mut slot.is_ready, true)
        {
            self.ready.push_back(index);
        }
    }

    /// Takes new connections and wake-ups out of the mailbox. The waker of the task is registered before, so that none is
    /// missed.
    fn receive(&mut self, waker: &Waker) -> (Vec<(S, Outbound, Framing)>, usize) {
        let mut woken = core::mem::take(&mut self.woken);
        self.mailbox.woken.register_and_drain(waker, &mut woken);
        woken.drain(..).for_each(|index| self.wake(index as usize));
        self.woken = woken;
        let mut inbox = self.mailbox.lock();
        (core::mem::take(&mut inbox.attached), inbox.handles)
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
        let waker = socket.registers_waker().then(|| {
            let queue = Arc::clone(&self.mailbox.woken);
            std::sync::Arc::new(SocketWaker { queue, index: short, is_woken: AtomicBool::new(false) })
        });
        let connection = SocketConnection::new(outbound, framing, socket);
        let slot = Some(SocketEntry { connection, is_ready: false, waker });
        if self.vacant.pop().is_some() {
            if let Some(vacant) = self.slots.get_mut(index) {
                *vacant = slot;
            }
        } else {
            self.slots.push(slot);
        }
        self.len = self.len.saturating_add(1);
        self.wake(index);
    }

    /// Makes the passes of several sockets together, step by step: reads from all, takes the pending bytes of all under one
    /// lock of the hub, then writes to all.
    ///
    /// The code and the data of each step stay in the nearest cache this way. After a write they would have to be fetched
    /// again.
    fn run_batch(&mut self, cx: &mut Context<'_>) {
        let mut passes = core::mem::take(&mut self.passes);
        for _ in 0..BATCH {
            let Some(index) = self.ready.pop_front() else { break };
            passes.extend(self.begin_pass(cx, index));
        }
        while !passes.is_empty() {
            self.scratch.clear();
            self.prepare_writes(&mut passes);
            passes.retain_mut(|pass| self.write(cx, pass));
        }
        self.passes = passes;
    }

    /// Begins the pass of a socket; returns `None` when the pass is over already.
    fn begin_pass(&mut self, cx: &mut Context<'_>, index: u32) -> Option<Pass> {
        let slot = self.slots.get_mut(index as usize)?.as_mut()?;
        slot.is_ready = false;
        // Created for each pass: keeping it would cost more memory than this costs time.
        let waker = slot.waker.as_ref().map(|waker| {
            // From here on it may queue the socket again.
            waker.is_woken.store(false, Ordering::Release);
            Waker::from(std::sync::Arc::clone(waker))
        });
        let target = WakeTargetRef::Socket(&self.mailbox.woken, index);
        let socket_cx = &mut Context::from_waker(waker.as_ref().unwrap_or(cx.waker()));
        match slot.connection.begin_pass(socket_cx, target) {
            Ok(has_more_to_read) => Some(Pass { index, waker, has_more_to_read, writes: 0, next: None }),
            Err(step) => {
                self.finish_pass(index, step);
                None
            }
        }
    }

    /// Takes the pending bytes of each pass while there is room in the scratch buffer, with one lock for consecutive passes
    /// of one hub.
    fn prepare_writes(&mut self, passes: &mut [Pass]) {
        let mut passes = passes.iter_mut().peekable();
        while self.scratch.len() < SCRATCH_BYTES
            && let Some(hub) = passes.peek().and_then(|pass| self.hub(pass.index)).cloned()
        {
            let mut state = hub.lock();
            while self.scratch.len() < SCRATCH_BYTES
                && let Some(pass) =
                    passes.next_if(|pass| self.hub(pass.index).is_some_and(|other| other.is(&hub)))
            {
                let Some(Some(slot)) = self.slots.get_mut(pass.index as usize) else { continue };
                let mut target = PreparedTarget::Socket(&self.mailbox.woken, pass.index);
                let writer = &mut slot.connection.writer;
                pass.next = Some(writer.next_write(&mut state, &mut target, &mut self.scratch));
            }
        }
    }

    fn hub(&self, index: u32) -> Option<&SharedHub> {
        Some(self.slots.get(index as usize)?.as_ref()?.connection.writer.hub())
    }

    /// Writes what a pass has to write next; returns false when the pass is over.
    fn write(&mut self, cx: &mut Context<'_>, pass: &mut Pass) -> bool {
        let Some(Some(slot)) = self.slots.get_mut(pass.index as usize) else { return false };
        let Some(next) = pass.next.take() else { return true };
        let cx = &mut Context::from_waker(pass.waker.as_ref().unwrap_or(cx.waker()));
        let target = WakeTargetRef::Socket(&self.mailbox.woken, pass.index);
        let written = slot.connection.write(cx, target, next, &self.scratch);
        pass.writes = pass.writes.saturating_add(1);
        let step = match slot.connection.step_after(cx, target, written, pass.has_more_to_read) {
            None if pass.writes < WRITES_PER_PASS => return true,
            None => Step::Continue,
            Some(step) => step,
        };
        self.finish_pass(pass.index, step);
        false
    }

    fn finish_pass(&mut self, index: u32, step: Step) {
        match step {
            Step::Idle => {}
            Step::Continue => self.wake(index as usize),
            Step::Closed(_) | Step::PeerClosed | Step::Failed(_) => self.remove(index),
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
            self.ready = VecDeque::new();
        }
    }
}

impl<S> SocketSetHandle<S> {
    /// Adds a socket and its connection, after the response head was written. If the set was dropped, both are dropped, which
    /// disconnects.
    pub fn attach(&self, socket: S, outbound: Outbound, framing: Framing) {
        let mut inbox = self.mailbox.lock();
        if !inbox.is_running {
            drop(inbox);
            return;
        }
        inbox.attached.push((socket, outbound, framing));
        drop(inbox);
        self.mailbox.woken.wake_task();
    }
}

impl<S> Clone for SocketSetHandle<S> {
    fn clone(&self) -> SocketSetHandle<S> {
        let mut inbox = self.mailbox.lock();
        inbox.handles = inbox.handles.saturating_add(1);
        drop(inbox);
        SocketSetHandle { mailbox: Arc::clone(&self.mailbox) }
    }
}

impl<S> Drop for SocketSetHandle<S> {
    fn drop(&mut self) {
        let mut inbox = self.mailbox.lock();
        inbox.handles = inbox.handles.saturating_sub(1);
        let is_last = inbox.handles == 0;
        drop(inbox);
        if is_last {
            self.mailbox.woken.wake_task();
        }
    }
}

impl<S> Drop for SocketSet<S> {
    fn drop(&mut self) {
        let mut inbox = self.mailbox.lock();
        inbox.is_running = false;
        let attached = core::mem::take(&mut inbox.attached);
        drop(inbox);
        drop(attached);
        self.mailbox.woken.clear_task();
    }
}

impl<S> Mailbox<S> {
    fn lock(&self) -> MutexGuard<'_, Inbox<S>> {
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wake for SocketWaker {
    fn wake(self: std::sync::Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &std::sync::Arc<Self>) {
        if !self.is_woken.swap(true, Ordering::AcqRel) {
            self.queue.push([self.index]);
        }
    }
}
#[cfg(all(test, target_pointer_width = "64"))]
mod tests {
    use super::*;

    /// Each byte here is a megabyte for a million clients. The socket has 8 of them.
    #[test]
    fn a_slot_is_small() {
        assert!(
            size_of::<Option<SocketEntry<[u32; 2]>>>() <= 96,
            "{}",
            size_of::<Option<SocketEntry<[u32; 2]>>>()
        );
    }
}
