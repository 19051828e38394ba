//! Chunks, in which HTTP/1.1 sends a body of unknown length (RFC 9112, section 7.1), and the writing of bytes.

use std::io::{self, ErrorKind, Write};

use mio::net::TcpStream;

/// The size in eight digits and a line break: leading zeros are allowed, and every head is of one length.
pub(crate) const HEAD: usize = 10;

/// What a chunk has beside its bytes: the head, and a line break at its end.
pub(crate) const FRAMING: usize = HEAD + 2;

pub(crate) fn put(bytes: &[u8], into: &mut Vec<u8>) {
    let digit = |place: usize| b"0123456789abcdef"[bytes.len() >> (28 - 4 * place) & 15];
    into.extend_from_slice(&std::array::from_fn::<u8, 8, _>(digit));
    into.extend_from_slice(b"\r\n");
    into.extend_from_slice(bytes);
    into.extend_from_slice(b"\r\n");
}

/// Writes as much as the socket takes.
pub(crate) fn write(socket: &mut TcpStream, bytes: &[u8]) -> io::Result<usize> {
    let mut sent = 0;
    while sent < bytes.len() {
        match socket.write(&bytes[sent..]) {
            Ok(count) => sent += count,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(error) => return Err(error),
        }
    }
    Ok(sent)
}
