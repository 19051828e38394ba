//! What all adapters put on an HTTP response that streams events.

/// The fields of the head of an event stream (X1): it is never kept, changed or delayed in between. On HTTP/1 comes
/// `connection: keep-alive` beside them, which HTTP/2 does not have.
///
/// ```
/// let mut head = String::from("HTTP/1.1 200 OK\r\nconnection: keep-alive\r\ntransfer-encoding: chunked\r\n");
/// for (name, value) in sse_core::adapter::HEADERS {
///     head += &format!("{name}: {value}\r\n");
/// }
/// head += "\r\n";
/// assert!(head.contains("content-type: text/event-stream; charset=utf-8\r\n"));
/// ```
pub const HEADERS: [(&str, &str); 3] = [
    ("content-type", "text/event-stream; charset=utf-8"),
    ("cache-control", "no-store, no-transform"),
    ("x-accel-buffering", "no"),
];

/// How the body of a response is laid on a socket that carries it (RFC 9112, section 6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Framing {
    /// `transfer-encoding: chunked`, for a client of HTTP/1.1. A write is one chunk, and an end has a mark of its own.
    Chunked,
    /// The bytes as they are, until the socket is closed: for a client of HTTP/1.0, and where there is no HTTP.
    UntilClose,
}
