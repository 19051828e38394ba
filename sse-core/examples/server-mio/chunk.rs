//! Chunks, in which HTTP/1.1 sends a body of unknown length (RFC 9112, section 7.1), and the writing of bytes.

use std::io::{self, ErrorKind, Write};

use mio::net::TcpStream;

/// Appends the head of a chunk: its size in eight hexadecimal digits, which may have leading zeros.
pub(crate) fn begin(len: usize, buffer: &mut Vec<u8>) {
    let digit = |place: usize| b"0123456789abcdef"[len >> (28 - 4 * place) & 15];
    buffer.extend_from_slice(&std::array::from_fn::<u8, 8, _>(digit));
    buffer.extend_from_slice(b"\r\n");
}

/// Writes as much as the socket takes, and returns how many bytes that is.
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
