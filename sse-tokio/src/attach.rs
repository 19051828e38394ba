//! Connections on sockets: one task for all of them, which writes frames straight from the logs (X7, X9).

use std::fmt;
use std::future::Future;
use std::io::{self, IoSlice, Read, Write};
use std::net::Shutdown;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use mio::{Events, Interest, Token};
use socket2::SockRef;
use sse_core::adapter::{Framing, Socket, SocketSet, SocketSetHandle, Turn, discard_received, try_io};
use sse_core::shared::Outbound;
use tokio::io::unix::AsyncFd;
use tokio::net::TcpStream;

use crate::driver::yield_now;
use crate::options;

/// Number of events that one poll of the reactor can return.
const EVENT_CAPACITY: usize = 1024;

/// Number of polls of the reactor in one poll of the task, before the task yields.
const REACTOR_POLLS_PER_TURN: usize = 16;

/// A handle on a task that drives the sockets of many connections. A socket has no task, no timer and no buffer of its own.
///
/// Clones are handles on the same task. The task ends after the last handle was dropped and the last connection ended.
///
/// # Cost
///
/// The task has its own reactor, which is one file descriptor for tokio. A delivery costs one write. A disconnect is noticed
/// without a write.
#[derive(Clone)]
pub struct Sockets {
    handle: SocketSetHandle<TcpSocket>,
    user_timeout: Option<Duration>,
}

impl Sockets {
    /// Spawns the task on the current runtime.
    ///
    /// # Errors
    ///
    /// Returns the error of the system if it has no file descriptor for the reactor.
    ///
    /// # Panics
    ///
    /// Panics outside a tokio runtime with enabled I/O, as [`AsyncFd::new`] does.
    pub fn start() -> io::Result<Sockets> {
        #[allow(deprecated, reason = "the alternative is unsafe, and this reactor owns its descriptor")]
        let reactor = AsyncFd::with_interest(mio::Poll::new()?, tokio::io::Interest::READABLE)?;
        let (sockets, handle) = SocketSet::new();
        let driver = DriveSockets { reactor, events: Events::with_capacity(EVENT_CAPACITY), sockets };
        // The task bounds its turns itself. tokio's budget would make a ready reactor appear pending.
        tokio::spawn(tokio::task::unconstrained(driver));
        Ok(Sockets { handle, user_timeout: None })
    }

    /// Returns a handle on the same task that also sets `TCP_USER_TIMEOUT` on the sockets that it attaches. Without it, and
    /// on systems other than Linux and Android, the defaults of the system apply.
    ///
    /// It bounds how long sent bytes may stay unacknowledged, and how long a peer may offer no room for more. The system then
    /// ends the connection, which ends as [`Disconnected`](sse_core::CloseReason::Disconnected). So a peer that vanished is
    /// noticed at most this time after the next event or ping; by default Linux takes about 15 minutes. A silent connection
    /// has nothing to acknowledge, so this needs pings. A time below the stall timeout also cuts readers that only pause.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> std::io::Result<()> {
    /// use std::time::Duration;
    ///
    /// let sockets = sse_tokio::Sockets::start()?.with_user_timeout(Duration::from_secs(30));
    /// # Ok(()) }
    /// ```
    pub fn with_user_timeout(self, timeout: Duration) -> Sockets {
        Sockets { user_timeout: Some(timeout), ..self }
    }

    /// Hands a socket over to the task. The head of its response must already be written. From now on the socket and the
    /// connection end together. When the connection ends abruptly (stalled, lagged, disconnected), the socket is reset
    /// ([X7](sse_core::rules#x7)).
    ///
    /// On Linux and Android, the socket then has at most 64 KiB of unsent bytes (`TCP_NOTSENT_LOWAT`), so that a slow reader
    /// is not taken for a stalled one.
    ///
    /// ```no_run
    /// # async fn attach(socket: tokio::net::TcpStream, outbound: sse_core::shared::Outbound) -> std::io::Result<()> {
    /// use sse_core::adapter::Framing;
    ///
    /// let sockets = sse_tokio::Sockets::start()?;
    /// sockets.attach(socket, outbound, Framing::Chunked)?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// Returns the errors of the system. Both the socket and the connection are closed in that case.
    pub fn attach(&self, socket: TcpStream, outbound: Outbound, framing: Framing) -> io::Result<()> {
        // The conversion removes the socket from tokio's reactor and frees its registration there.
        let stream = mio::net::TcpStream::from_std(socket.into_std()?);
        options::bound(SockRef::from(&stream), self.user_timeout)?;
        self.handle.attach(TcpSocket { stream, is_readable: false, is_writable: true }, outbound, framing);
        Ok(())
    }
}

impl fmt::Debug for Sockets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sockets").finish_non_exhaustive()
    }
}

/// A socket and its readiness, as far as the reactor has reported it.
struct TcpSocket {
    stream: mio::net::TcpStream,
    is_readable: bool,
    is_writable: bool,
}

impl Socket for TcpSocket {
    fn registers_waker(&self) -> bool {
        false
    }

    fn poll_read(&mut self, _: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        try_io(&mut self.is_readable, || Poll::Pending, || self.stream.read(buffer))
    }

    fn poll_write(&mut self, _: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let write = || match slices {
            // `write` is cheaper than `writev` with one slice.
            [only] => self.stream.write(only),
            _ => self.stream.write_vectored(slices),
        };
        try_io(&mut self.is_writable, || Poll::Pending, write)
    }

    fn abort(&mut self, _: &mut Context<'_>) {
        options::reset_on_close(SockRef::from(&self.stream));
    }

    fn poll_shut_down(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = self.stream.shutdown(Shutdown::Write);
        discard_received(&mut self.stream);
        Poll::Ready(result)
    }
}

/// The task of [`Sockets`].
struct DriveSockets {
    reactor: AsyncFd<mio::Poll>,
    events: Events,
    sockets: SocketSet<TcpSocket>,
}

impl DriveSockets {
    /// Marks sockets as ready until the reactor has no more events.
    fn poll_reactor(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        for _ in 0..REACTOR_POLLS_PER_TURN {
            let Poll::Ready(ready) = self.reactor.poll_read_ready_mut(cx) else { return Ok(()) };
            let mut ready = ready?;
            match ready.get_inner_mut().poll(&mut self.events, Some(Duration::ZERO)) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                result => result?,
            }
            let mut count = 0;
            for event in &self.events {
                count += 1;
                let index = event.token().0;
                if let Some(socket) = self.sockets.socket_mut(index) {
                    socket.is_readable |= event.is_readable() || event.is_read_closed() || event.is_error();
                    socket.is_writable |= event.is_writable() || event.is_write_closed() || event.is_error();
                    self.sockets.wake(index);
                }
            }
            if count < EVENT_CAPACITY {
                ready.clear_ready();
            }
        }
        yield_now(cx);
        Ok(())
    }
}

impl Future for DriveSockets {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        // The task cannot continue without its reactor. Dropping the sockets disconnects them.
        if self.poll_reactor(cx).is_err() {
            return Poll::Ready(());
        }
        let DriveSockets { reactor, sockets, .. } = &mut *self;
        let registry = reactor.get_ref().registry();
        let both = Interest::READABLE | Interest::WRITABLE;
        let turn =
            sockets.turn(cx, |index, socket| registry.register(&mut socket.stream, Token(index), both));
        match turn {
            Turn::Done => return Poll::Ready(()),
            Turn::Yield => yield_now(cx),
            Turn::Sleep(_) => {}
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;

    /// Bytes that the reactor has not reported yet are discarded as well.
    #[test]
    fn a_socket_is_closed_without_unread_bytes() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let mut client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let stream = listener.accept().unwrap().0;
        stream.set_nonblocking(true).unwrap();
        let stream = mio::net::TcpStream::from_std(stream);
        let mut socket = TcpSocket { stream, is_readable: false, is_writable: true };
        let mut cx = Context::from_waker(Waker::noop());
        assert!(matches!(socket.poll_write(&mut cx, &[IoSlice::new(b"last")]), Poll::Ready(Ok(4))));
        client.write_all(b"and more").unwrap();
        assert!(matches!(socket.poll_shut_down(&mut cx), Poll::Ready(Ok(()))));
        drop(socket);
        let mut seen = String::new();
        client.read_to_string(&mut seen).unwrap();
        assert_eq!(seen, "last");
        // A reset after the end of the stream shows only here.
        assert!(client.take_error().unwrap().is_none());
    }
}
