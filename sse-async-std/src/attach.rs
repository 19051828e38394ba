//! Connections on sockets: one task for all of them, which writes frames straight from the logs (X7, X9).

use std::fmt;
use std::future::Future;
use std::io::{self, IoSlice, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use async_io::Async;
use socket2::SockRef;
use sse_core::adapter::{Framing, Socket, SocketSet, SocketSetHandle, Turn, discard_received, try_io};
use sse_core::shared::Outbound;

use crate::options;

/// A handle on a task that drives the sockets of many connections. A socket has no task, no timer and no buffer of its own.
///
/// Clones are handles on the same task. The task ends after the last handle was dropped and the last connection ended.
///
/// # Cost
///
/// A socket is registered with the reactor that async-std and smol share, and has a waker of its own. A delivery costs one
/// write. A disconnect is noticed without a write.
#[derive(Clone)]
pub struct Sockets {
    handle: SocketSetHandle<TcpSocket>,
    user_timeout: Option<Duration>,
}

impl Sockets {
    /// Spawns the task on the executor of async-std.
    ///
    /// ```
    /// let sockets = sse_async_std::Sockets::start();
    /// ```
    #[cfg(feature = "async-std")]
    pub fn start() -> Sockets {
        let (sockets, task) = Sockets::drive();
        async_std::task::spawn(task);
        sockets
    }

    /// Creates a handle and the task as a future. Spawn the future on any executor.
    ///
    /// ```
    /// let (sockets, task) = sse_async_std::Sockets::drive();
    /// smol::spawn(task).detach();
    /// ```
    pub fn drive() -> (Sockets, DriveSockets) {
        let (sockets, handle) = SocketSet::new();
        (Sockets { handle, user_timeout: None }, DriveSockets { sockets })
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
    /// use std::time::Duration;
    ///
    /// let (sockets, task) = sse_async_std::Sockets::drive();
    /// let sockets = sockets.with_user_timeout(Duration::from_secs(30));
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
    /// # async fn attach(socket: smol::net::TcpStream, outbound: sse_core::shared::Outbound) -> std::io::Result<()> {
    /// use std::sync::Arc;
    ///
    /// use sse_core::adapter::Framing;
    ///
    /// let (sockets, task) = sse_async_std::Sockets::drive();
    /// smol::spawn(task).detach();
    /// // A socket of smol needs this conversion. A socket of async-std does not.
    /// let socket: Arc<smol::Async<std::net::TcpStream>> = socket.into();
    /// sockets.attach(socket, outbound, Framing::Chunked)?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// Returns the errors of the system, and an error if the socket has a clone, because the reactor could wake the clone
    /// instead. Both the socket and the connection are closed in that case.
    pub fn attach(&self, socket: impl IntoSocket, outbound: Outbound, framing: Framing) -> io::Result<()> {
        let stream = socket.into_socket()?;
        options::bound(SockRef::from(stream.get_ref()), self.user_timeout)?;
        let socket = TcpSocket { stream, is_readable: true, is_writable: true };
        self.handle.attach(socket, outbound, framing);
        Ok(())
    }
}

impl fmt::Debug for Sockets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sockets").finish_non_exhaustive()
    }
}

/// A TCP socket that [`Sockets::attach`] accepts: of async-std, of async-io (and so of smol), or of the standard library.
pub trait IntoSocket {
    /// Converts the socket into a non-blocking socket that is registered with the reactor.
    ///
    /// # Errors
    ///
    /// Returns the errors of the system, and an error if the socket has a clone.
    fn into_socket(self) -> io::Result<Async<TcpStream>>;
}

impl IntoSocket for Async<TcpStream> {
    fn into_socket(self) -> io::Result<Async<TcpStream>> {
        Ok(self)
    }
}

impl IntoSocket for Arc<Async<TcpStream>> {
    fn into_socket(self) -> io::Result<Async<TcpStream>> {
        Arc::try_unwrap(self).map_err(|_| io::Error::other("the socket has a clone"))
    }
}

impl IntoSocket for TcpStream {
    fn into_socket(self) -> io::Result<Async<TcpStream>> {
        Async::new(self)
    }
}

#[cfg(feature = "async-std")]
impl IntoSocket for async_std::net::TcpStream {
    fn into_socket(self) -> io::Result<Async<TcpStream>> {
        // The detour removes the old registration, which may hold a waker of the task that wrote the head.
        Async::new(TcpStream::try_from(self)?)
    }
}

/// A socket and its readiness, as far as it is known. Calls on a direction that is not ready wait for the reactor.
struct TcpSocket {
    stream: Async<TcpStream>,
    is_readable: bool,
    is_writable: bool,
}

impl Socket for TcpSocket {
    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        let TcpSocket { stream, is_readable, .. } = self;
        try_io(is_readable, || stream.poll_readable(cx), || stream.get_ref().read(buffer))
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let TcpSocket { stream, is_writable, .. } = self;
        let write = || match slices {
            // `write` is cheaper than `writev` with one slice.
            [only] => stream.get_ref().write(only),
            _ => stream.get_ref().write_vectored(slices),
        };
        try_io(is_writable, || stream.poll_writable(cx), write)
    }

    fn abort(&mut self, _: &mut Context<'_>) {
        options::reset_on_close(SockRef::from(self.stream.get_ref()));
    }

    fn poll_shut_down(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut stream = self.stream.get_ref();
        let result = stream.shutdown(Shutdown::Write);
        discard_received(&mut stream);
        Poll::Ready(result)
    }
}

/// The task of [`Sockets`] as a future, created by [`Sockets::drive`]. It completes after the last handle was dropped and
/// the last connection ended.
///
/// Dropping the future closes all attached sockets.
#[must_use = "futures do nothing unless polled"]
pub struct DriveSockets {
    sockets: SocketSet<TcpSocket>,
}

impl Future for DriveSockets {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        match self.sockets.turn(cx, |_, _| Ok(())) {
            Turn::Done => return Poll::Ready(()),
            Turn::Yield => cx.waker().wake_by_ref(),
            Turn::Sleep(_) => {}
        }
        Poll::Pending
    }
}

impl fmt::Debug for DriveSockets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DriveSockets").field("connections", &self.sockets.len()).finish()
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
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let stream = listener.accept().unwrap().0.into_socket().unwrap();
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
