//! A transport in memory that takes as many bytes as a test allows.
#![allow(dead_code, reason = "each test file uses a part of it")]

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use sse_core::adapter::Socket;

/// A transport that takes a given number of bytes in each write, and none when no number is left.
#[derive(Clone, Default)]
pub(crate) struct Wire(pub(crate) Arc<Mutex<State>>);

#[derive(Default)]
pub(crate) struct State {
    pub(crate) takes: VecDeque<usize>,
    pub(crate) is_buffering: bool,
    pub(crate) peer_sends: VecDeque<usize>,
    pub(crate) peer_is_closed: bool,
    pub(crate) wire: Vec<u8>,
    pub(crate) writes: usize,
    pub(crate) is_shut_down: bool,
    pub(crate) is_aborted: bool,
    pub(crate) reads: usize,
    /// The waker of the last write that was refused.
    pub(crate) refused: Option<Waker>,
    /// Whether the adapter has a reactor that reports readiness.
    pub(crate) has_reactor: bool,
}

impl Wire {
    pub(crate) fn taking(takes: impl IntoIterator<Item = usize>) -> Wire {
        let wire = Wire::default();
        wire.0.lock().unwrap().takes.extend(takes);
        wire
    }

    pub(crate) fn takes(&self, takes: impl IntoIterator<Item = usize>) {
        self.0.lock().unwrap().takes.extend(takes);
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().wire.clone()).unwrap()
    }

    pub(crate) fn writes(&self) -> usize {
        self.0.lock().unwrap().writes
    }
}

impl Socket for Wire {
    fn registers_waker(&self) -> bool {
        !self.0.lock().unwrap().has_reactor
    }

    fn poll_read(&mut self, _: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut state = self.0.lock().unwrap();
        state.reads += 1;
        if state.peer_is_closed {
            return Poll::Ready(Ok(0));
        }
        state.peer_sends.pop_front().map_or(Poll::Pending, |count| Poll::Ready(Ok(count.min(buffer.len()))))
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let mut state = self.0.lock().unwrap();
        let Some(most) = state.takes.pop_front() else {
            state.refused = Some(cx.waker().clone());
            return Poll::Pending;
        };
        let bytes: Vec<u8> = slices.iter().flat_map(|slice| slice.iter().copied()).take(most).collect();
        state.wire.extend_from_slice(&bytes);
        state.writes += 1;
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.0.lock().unwrap().is_buffering { Poll::Pending } else { Poll::Ready(Ok(())) }
    }

    fn poll_shut_down(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.lock().unwrap().is_shut_down = true;
        Poll::Ready(Ok(()))
    }

    fn abort(&mut self, _: &mut Context<'_>) {
        self.0.lock().unwrap().is_aborted = true;
    }
}
