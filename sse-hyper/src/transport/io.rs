//! One transport.

use std::fmt;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::rt::{Read, ReadBufCursor, Write};

use super::deadlines::Deadlines;
use super::group::{Group, Registration};
use super::head_scan::HeadScan;
use super::read_ahead::{READ_SIZE, ReadAhead, read_into};

/// The time in which hyper has to take the bytes that a peer sent before its end. Pipelined requests are answered meanwhile.
const PEER_END_TIME: Duration = Duration::from_millis(500);

/// A transport with limits, created by [`Transports::wrap`](crate::Transports::wrap).
///
/// Reads and writes fail when a limit of the [`TransportConfig`](crate::TransportConfig) is reached, or when the peer has
/// disconnected behind bytes that hyper does not use ([X3](sse_core::rules#x3)).
pub struct Transport<I> {
    io: I,
    registration: Registration,
    deadlines: Deadlines,
    /// The search for the end of the first head, if its time is limited.
    head: Option<HeadScan>,
    ahead: ReadAhead,
    /// Whether hyper waits for bytes of the peer.
    is_reading: bool,
    /// Whether hyper has written. Before its first response it leaves bytes unused only while a handler runs.
    has_written: bool,
}

impl<I> Transport<I> {
    pub(super) fn new(io: I, group: Arc<Group>) -> Transport<I> {
        let head = group.after(group.config().head_timeout);
        Transport {
            io,
            registration: Registration::new(group),
            deadlines: Deadlines::new(head),
            head: head.map(|_| HeadScan::default()),
            ahead: ReadAhead::default(),
            is_reading: false,
            has_written: false,
        }
    }

    /// Returns the transport inside.
    pub fn get_ref(&self) -> &I {
        &self.io
    }

    /// Returns the transport inside, without limits. Bytes that were read ahead of hyper are lost.
    pub fn into_inner(self) -> I {
        self.io
    }

    /// Returns the number of bytes that were read ahead of hyper.
    pub(crate) fn bytes_ahead(&self) -> usize {
        self.ahead.len()
    }

    /// Fails if a limit is reached. Otherwise the task is woken at the next one.
    fn check(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        let group = self.registration.group();
        self.deadlines.check(&**group.timer(), group.close_at(), cx)
    }

    /// Fails if a limit is reached, and registers the task for a shutdown.
    fn wait(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        self.registration.register(cx.waker());
        self.check(cx)
    }

    /// Fails if the transport should have ended. A peer that keeps hyper busy does not escape the shutdown.
    fn check_shutdown(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        if self.registration.group().close_at().is_some() { self.check(cx) } else { Ok(()) }
    }
}

impl<I: Read + Unpin> Transport<I> {
    /// Reads while hyper does not: it writes a response, and has bytes of the peer that it does not use yet.
    fn read_ahead(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        if self.is_reading || !self.has_written {
            return Ok(());
        }
        let group = self.registration.group();
        if self.ahead.fill(&mut self.io, cx)? && !group.config().half_close {
            self.deadlines.peer_end = group.after(Some(PEER_END_TIME));
        }
        Ok(())
    }

    /// Reads bytes of the first head, and looks for its end.
    fn poll_read_head(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let mut chunk = [0; READ_SIZE];
        let size = chunk.len().min(buffer.remaining());
        let chunk = chunk.get_mut(..size).unwrap_or_default();
        read_into(&mut self.io, cx, chunk).map_ok(|bytes| {
            buffer.put_slice(bytes);
            if self.head.as_mut().is_some_and(|head| head.ends_in(bytes)) {
                self.head = None;
                self.deadlines.head = None;
            }
        })
    }
}

impl<I: Read + Write + Unpin> Transport<I> {
    /// Completes a write with the result of the transport inside.
    fn finish_write(
        &mut self,
        cx: &mut Context<'_>,
        result: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        self.has_written |= matches!(result, Poll::Ready(Ok(_)));
        self.finish(cx, result)
    }

    /// Completes a write, a flush or a shutdown with the result of the transport inside.
    fn finish<T>(&mut self, cx: &mut Context<'_>, result: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if let Poll::Ready(Err(error)) = result {
            return Poll::Ready(Err(error));
        }
        self.read_ahead(cx)?;
        if result.is_ready() {
            self.deadlines.write = None;
        } else if self.deadlines.write.is_none() {
            let group = self.registration.group();
            self.deadlines.write = group.after(group.config().write_timeout);
        }
        if result.is_pending() || !self.is_reading {
            self.wait(cx)?;
        }
        result
    }
}

impl<I: Read + Unpin> Read for Transport<I> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.check_shutdown(cx)?;
        if let Some(count) = this.ahead.take(&mut buffer) {
            // After zero bytes hyper knows of the end. The bytes before it can be a request, which takes its time.
            let renewed = this.deadlines.peer_end.filter(|_| count > 0).map(|_| PEER_END_TIME);
            this.deadlines.peer_end = this.registration.group().after(renewed);
            return Poll::Ready(Ok(()));
        }
        let result = if this.head.is_some() {
            this.poll_read_head(cx, &mut buffer)
        } else {
            Pin::new(&mut this.io).poll_read(cx, buffer)
        };
        this.is_reading = result.is_pending();
        if this.is_reading {
            this.wait(cx)?;
        }
        result
    }
}

impl<I: Read + Write + Unpin> Write for Transport<I> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.check_shutdown(cx)?;
        let result = Pin::new(&mut this.io).poll_write(cx, bytes);
        this.finish_write(cx, result)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.check_shutdown(cx)?;
        let result = Pin::new(&mut this.io).poll_write_vectored(cx, slices);
        this.finish_write(cx, result)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.check_shutdown(cx)?;
        let result = Pin::new(&mut this.io).poll_flush(cx);
        this.finish(cx, result)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.check_shutdown(cx)?;
        let result = Pin::new(&mut this.io).poll_shutdown(cx);
        this.finish(cx, result)
    }
}

impl<I: fmt::Debug> fmt::Debug for Transport<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Transport").field(&self.io).finish()
    }
}
