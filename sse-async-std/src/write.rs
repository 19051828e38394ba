//! A connection on a transport of any kind: TLS, a Unix socket, a pipe.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_io::{AsyncRead, AsyncWrite};
use sse_core::CloseReason;
use sse_core::adapter::{Framing, ServeConnection, Socket};
use sse_core::shared::Outbound;

/// Writes a connection to a transport until it ended, and says why. Dropping the future disconnects (X4).
///
/// The response head has to be written before. What the transport takes counts as taken when it was flushed, too; a peer
/// that takes nothing for the stall time is closed. A writer alone cannot tell that its peer has gone before the next
/// write: [`serve`] reads, too.
///
/// # Errors
///
/// Those of the writer.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> { smol::block_on(async {
/// use sse_core::adapter::Framing;
/// use sse_core::{CloseReason, ConnectionConfig, HubConfig};
///
/// let (hub, task) = sse_async_std::drive("1k9f2", HubConfig::default())?;
/// smol::spawn(task).detach();
/// let outbound = hub.connect(ConnectionConfig::default())?;
/// outbound.handle().close();
/// let mut file = Vec::new();
/// let reason = sse_async_std::write_to(outbound, Framing::UntilClose, &mut file).await?;
/// assert_eq!((reason, file.as_slice()), (CloseReason::Requested, b"id: 1k9f2-0\n\n".as_slice()));
/// # Ok(()) }) }
/// ```
pub async fn write_to(
    outbound: Outbound,
    framing: Framing,
    writer: impl AsyncWrite + Unpin,
) -> io::Result<CloseReason> {
    ServeConnection::new(outbound, framing, Transport { inner: writer, read: |_, _, _| Poll::Pending }).await
}

/// Drives a connection on a transport until it ended, or the peer went (X3), and says why. What the peer still sends is
/// dropped, up to a mebibyte. Dropping the future disconnects (X4).
///
/// The transport is dropped at the end. Closing one of async-std's TCP streams does nothing more, so a clone of it that is
/// kept elsewhere keeps the peer waiting.
///
/// # Errors
///
/// Those of the transport.
///
/// ```
/// # #[cfg(not(unix))] fn main() {}
/// # #[cfg(unix)] fn main() -> Result<(), Box<dyn std::error::Error>> { smol::block_on(async {
/// # use sse_core::adapter::Framing;
/// # use sse_core::{CloseReason, ConnectionConfig, HubConfig};
/// let (hub, task) = sse_async_std::drive("1k9f2", HubConfig::default())?;
/// smol::spawn(task).detach();
/// let (here, there) = smol::net::unix::UnixStream::pair()?;
/// drop(there);
/// let outbound = hub.connect(ConnectionConfig::default())?;
/// let reason = sse_async_std::serve(outbound, Framing::UntilClose, here).await?;
/// assert_eq!(reason, CloseReason::Disconnected);
/// # Ok(()) }) }
/// ```
pub async fn serve(
    outbound: Outbound,
    framing: Framing,
    transport: impl AsyncRead + AsyncWrite + Unpin,
) -> io::Result<CloseReason> {
    ServeConnection::new(outbound, framing, Transport { inner: transport, read }).await
}

/// A transport, and how its peer is heard: one that is only written to never says anything.
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
            // A plain write is the cheaper call.
            [only] => inner.poll_write(cx, only),
            _ => inner.poll_write_vectored(cx, slices),
        }
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shut_down(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_close(cx)
    }
}

fn read(
    transport: &mut (impl AsyncRead + Unpin),
    cx: &mut Context<'_>,
    buffer: &mut [u8],
) -> Poll<io::Result<usize>> {
    Pin::new(transport).poll_read(cx, buffer)
}
