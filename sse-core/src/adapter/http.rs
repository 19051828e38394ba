//! The HTTP response of an event stream.

/// The header fields of an event stream ([X1](crate::rules#x1)). They keep intermediaries from storing, changing or
/// delaying it. Responses to HTTP/1.1 also have `connection: keep-alive`. It does not exist in HTTP/2, and would be wrong for
/// HTTP/1.0, where the end of the connection is the end of the stream.
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

/// The framing of a response body on a socket (RFC 9112, section 6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Framing {
    /// `transfer-encoding: chunked`, for HTTP/1.1. Each write is one chunk, and the last chunk ends the stream.
    Chunked,
    /// The bytes without framing, until the socket is closed: for HTTP/1.0, and for transports without HTTP.
    UntilClose,
}
