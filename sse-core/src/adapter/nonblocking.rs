//! Calls on sockets that never block.

use std::io::{self, Read};
use std::task::{Poll, ready};

/// Number of reads by [`discard_received`], of 4 KiB each.
const DISCARD_READS: usize = 16;

/// Calls a non-blocking read or write, and keeps in `is_ready` whether the next call can succeed.
///
/// While `is_ready` is false, `poll_ready` is polled before the call: it registers the waker with the reactor of the
/// adapter and is ready when the reactor reports readiness. A readiness that turns out to be wrong only costs one more
/// call. An adapter whose reactor sets `is_ready` by itself passes `|| Poll::Pending`.
///
/// # Errors
///
/// Returns the errors of `poll_ready` and of `call`, except [`WouldBlock`](io::ErrorKind::WouldBlock), which is pending,
/// and [`Interrupted`](io::ErrorKind::Interrupted), which repeats the call.
///
/// ```
/// use std::io::{self, ErrorKind};
/// use std::task::Poll;
///
/// use sse_core::adapter::try_io;
///
/// let mut is_ready = true;
/// let full = || Err(io::Error::from(ErrorKind::WouldBlock));
/// assert!(try_io(&mut is_ready, || Poll::Pending, full).is_pending());
/// assert!(!is_ready);
///
/// let written = try_io(&mut is_ready, || Poll::Ready(Ok(())), || Ok(7));
/// assert!(matches!(written, Poll::Ready(Ok(7))));
/// ```
pub fn try_io(
    is_ready: &mut bool,
    mut poll_ready: impl FnMut() -> Poll<io::Result<()>>,
    mut call: impl FnMut() -> io::Result<usize>,
) -> Poll<io::Result<usize>> {
    loop {
        if !*is_ready {
            ready!(poll_ready())?;
            *is_ready = true;
        }
        match call() {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => *is_ready = false,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return Poll::Ready(result),
        }
    }
}

/// Reads and discards what a peer has sent, up to 64 KiB, before its socket is closed.
///
/// TCP resets a connection that is closed with unread bytes. After a reset the peer can lose the end of the stream.
pub fn discard_received(socket: &mut impl Read) {
    let mut buffer = [0; 4096];
    for _ in 0..DISCARD_READS {
        if !matches!(socket.read(&mut buffer), Ok(1..)) {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A delivery must not cost a read beside its write.
    #[test]
    fn a_call_that_would_block_is_not_repeated_before_the_reactor_reports() {
        let (mut calls, mut polls) = (0, 0);
        let mut refused = || {
            calls += 1;
            Err(io::ErrorKind::WouldBlock.into())
        };
        let mut is_ready = true;
        for _ in 0..3 {
            let poll_ready = || {
                polls += 1;
                Poll::Pending
            };
            assert!(try_io(&mut is_ready, poll_ready, &mut refused).is_pending());
        }
        assert_eq!((calls, polls), (1, 3));
    }

    #[test]
    fn a_reactor_that_reports_too_early_is_polled_again() {
        let (mut calls, mut polls) = (0, 0);
        let call = || {
            calls += 1;
            if calls < 3 { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(7) }
        };
        let poll_ready = || {
            polls += 1;
            Poll::Ready(Ok(()))
        };
        let mut is_ready = true;
        assert!(matches!(try_io(&mut is_ready, poll_ready, call), Poll::Ready(Ok(7))));
        assert_eq!((calls, polls, is_ready), (3, 2, true));
    }

    #[test]
    fn discarding_ends_where_nothing_more_was_received() {
        let mut received = io::Cursor::new([0; 10_000]);
        discard_received(&mut received);
        assert_eq!(received.position(), 10_000);
        discard_received(&mut io::empty());
        let mut endless = io::repeat(0).take(1_000_000);
        discard_received(&mut endless);
        assert_eq!(endless.limit(), 1_000_000 - 65_536);
    }
}
