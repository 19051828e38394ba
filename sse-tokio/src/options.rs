//! Options of attached sockets ([T3](sse_core::rules#t3), [X7](sse_core::rules#x7)).

use std::io;
use std::time::Duration;

use socket2::SockRef;

/// The most unsent bytes of a socket, in bytes. Beyond them the socket is not writable, so the progress of a slow reader is
/// seen in small steps.
#[cfg(any(target_os = "android", target_os = "linux"))]
const UNSENT_BYTES: u32 = 64 * 1024;

/// Bounds the unsent bytes of a socket, and the time for which sent bytes stay unacknowledged. Where the system has no such
/// option, this does nothing.
pub(crate) fn bound(socket: SockRef<'_>, user_timeout: Option<Duration>) -> io::Result<()> {
    #[cfg(any(target_os = "android", target_os = "linux"))]
    {
        // Without the option, the socket works as well: only the progress of a slow reader shows later.
        let _ = socket.set_tcp_notsent_lowat(UNSENT_BYTES);
        if user_timeout.is_some() {
            socket.set_tcp_user_timeout(user_timeout)?;
        }
    }
    let _ = (socket, user_timeout);
    Ok(())
}

/// Lets the system discard the unsent bytes of a socket and reset it, when it is closed next.
pub(crate) fn reset_on_close(socket: SockRef<'_>) {
    let _ = socket.set_linger(Some(Duration::ZERO));
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use sse_core::ConnectionConfig;
    use sse_core::adapter::Framing;

    use super::*;

    /// Returns a socket and another handle on it.
    fn socket() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let socket = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        socket.set_nonblocking(true).unwrap();
        let observed = socket.try_clone().unwrap();
        (socket, observed)
    }

    #[tokio::test]
    async fn x7_an_attached_socket_has_the_options() {
        let hub = crate::start("e", sse_core::HubConfig::default()).unwrap();
        let sockets = crate::Sockets::start().unwrap().with_user_timeout(Duration::from_secs(30));
        let (socket, observed) = socket();
        let socket = tokio::net::TcpStream::from_std(socket).unwrap();
        sockets.attach(socket, hub.connect(ConnectionConfig::default()).unwrap(), Framing::Chunked).unwrap();
        let observed = SockRef::from(&observed);
        assert_eq!(observed.tcp_user_timeout().unwrap(), Some(Duration::from_secs(30)));
        assert_eq!(observed.tcp_notsent_lowat().unwrap(), UNSENT_BYTES);
        assert_eq!(observed.linger().unwrap(), None, "a proper end is no reset");
        reset_on_close(observed);
    }
}
