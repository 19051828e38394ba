//! A connection on any transport: TLS, a Unix socket, a pipe.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use sse_core::CloseReason;
use sse_core::adapter::{Framing, ServeConnection, Socket};
use sse_core::shared::Outbound;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Writes a connection to a writer until the connection ends, and returns the reason. Dropping the future disconnects
/// ([X4](sse_core::rules#x4)).
///
/// Write the response head before. Bytes count as taken once they are written and flushed. The connection is closed if the
/// writer takes no bytes for the stall timeout. A writer reports a disconnect only at the next write; use [`serve`] to
/// notice it at once.
///
/// # Errors
///
/// Returns the errors of the writer.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use sse_core::adapter::Framing;
/// use sse_core::{CloseReason, ConnectionConfig, HubConfig};
///
/// let hub = sse_tokio::start("1k9f2", HubConfig::default())?;
/// let outbound = hub.connect(ConnectionConfig::default())?;
/// outbound.handle().close();
/// let mut file = Vec::new();
/// let reason = sse_tokio::write_to(outbound, Framing::UntilClose, &mut file).await?;
/// assert_eq!((reason, file.as_slice()), (CloseReason::Requested, b"id: 1k9f2-0\nevent: position\ndata: \n\n".as_slice()));
/// # Ok(()) }
/// ```
pub async fn write_to(
    outbound: Outbound,
    framing: Framing,
    writer: impl AsyncWrite + Unpin,
) -> io::Result<CloseReason> {
    ServeConnection::new(outbound, framing, Transport { inner: writer, read: |_, _, _| Poll::Pending }).await
}

/// Drives a connection on a transport until the connection ends or the peer disconnects ([X3](sse_core::rules#x3)), and
/// returns the reason.
///
/// Bytes that the peer sends are read and discarded, up to 1 MiB. Dropping the future disconnects
/// ([X4](sse_core::rules#x4)).
///
/// # Errors
///
/// Returns the errors of the transport.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # use sse_core::adapter::Framing;
/// # use sse_core::{CloseReason, ConnectionConfig, HubConfig};
/// let hub = sse_tokio::start("1k9f2", HubConfig::default())?;
/// let (here, there) = tokio::io::duplex(64);
/// drop(there);
/// let outbound = hub.connect(ConnectionConfig::default())?;
/// let reason = sse_tokio::serve(outbound, Framing::UntilClose, here).await?;
/// assert_eq!(reason, CloseReason::Disconnected);
/// # Ok(()) }
/// ```
pub async fn serve(
    outbound: Outbound,
    framing: Framing,
    transport: impl AsyncRead + AsyncWrite + Unpin,
) -> io::Result<CloseReason> {
    ServeConnection::new(outbound, framing, Transport { inner: transport, read }).await
}

/// A transport and the function that reads from it. For a writer, the function is always pending.
struct Transport<T> {
    inner: T,
    read: fn(&mut T, &mut Context<'_>, &mut [u8]) -> Poll<io::Result<usize>>,
}

impl<T: AsyncWrite + Unpin> Socket for Transport<T> {
    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        (self.read)(&mut self.inner, cx, buffer)
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let inner = Pin::new(&mut self.inner);
        match slices {
            // `write` is cheaper than `writev` with one slice.
            [only] => inner.poll_write(cx, only),
            _ => inner.poll_write_vectored(cx, slices),
        }
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shut_down(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

fn read(
    transport: &mut (impl AsyncRead + Unpin),
    cx: &mut Context<'_>,
    buffer: &mut [u8],
) -> Poll<io::Result<usize>> {
    let mut buffer = ReadBuf::new(buffer);
    ready!(Pin::new(transport).poll_read(cx, &mut buffer))?;
    Poll::Ready(Ok(buffer.filled().len()))
}
