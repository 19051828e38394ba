//! A client for HTTP/2 that writes its frames itself, and so can do what libraries do not.

use std::io::{Read, Write};
use std::net::TcpStream;

const SETTINGS: u8 = 4;
const INITIAL_WINDOW_SIZE: u8 = 4;
const WINDOW_UPDATE: u8 = 8;
const HEADERS: u8 = 1;
const END_STREAM_AND_HEADERS: u8 = 0x5;
const ACK: u8 = 1;

/// The kind of a frame with bytes of a body.
pub const DATA: u8 = 0;
/// The kind of a frame that resets a stream.
pub const RST_STREAM: u8 = 3;

/// A frame from the server.
pub struct Frame {
    /// The kind of the frame.
    pub kind: u8,
    /// The stream of the frame.
    pub stream: u32,
    /// The bytes of the frame.
    pub payload: Vec<u8>,
}

/// Begins HTTP/2. The server may send a number of bytes on each stream.
pub fn begin(socket: &mut TcpStream, window: u32) {
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    let setting = [&[0, INITIAL_WINDOW_SIZE][..], &window.to_be_bytes()].concat();
    bytes.extend(frame(SETTINGS, 0, 0, &setting));
    socket.write_all(&bytes).expect("the socket has room");
}

/// Sends the request for a path on a stream.
pub fn get(socket: &mut TcpStream, stream: u32, path: &str) {
    // The fields of the static table: GET, http. The path and the authority are literals with indexed names.
    let mut fields = vec![0x82, 0x86, 0x04, u8::try_from(path.len()).expect("a short path")];
    fields.extend(path.as_bytes());
    fields.extend([0x41, 9]);
    fields.extend(b"localhost");
    socket.write_all(&frame(HEADERS, END_STREAM_AND_HEADERS, stream, &fields)).expect("the socket has room");
}

/// Allows the server to send more bytes on a stream, or on all streams together (stream 0).
pub fn grant(socket: &mut TcpStream, stream: u32, count: u32) {
    socket.write_all(&frame(WINDOW_UPDATE, 0, stream, &count.to_be_bytes())).expect("the socket has room");
}

/// Reads a frame. Settings are acknowledged.
pub fn read(socket: &mut TcpStream) -> Frame {
    let mut head = [0; 9];
    socket.read_exact(&mut head).expect("a frame arrives");
    let [a, b, c, kind, flags, d, e, f, g] = head;
    let mut payload = vec![0; u32::from_be_bytes([0, a, b, c]) as usize];
    socket.read_exact(&mut payload).expect("the frame is complete");
    if kind == SETTINGS && flags & ACK == 0 {
        socket.write_all(&frame(SETTINGS, ACK, 0, &[])).expect("the socket has room");
    }
    Frame { kind, stream: u32::from_be_bytes([d, e, f, g]), payload }
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let [_, a, b, c] = u32::try_from(payload.len()).expect("a short frame").to_be_bytes();
    [&[a, b, c, kind, flags][..], &stream.to_be_bytes(), payload].concat()
}
