//! The heads of requests and responses.

use alloc::format;
use alloc::string::String;
use core::time::Duration;

use super::action::StopReason;

/// The parts of a response head that a [`Client`](super::Client) reads.
///
/// Header values are bytes, since HTTP does not restrict them to UTF-8. A header that the response does not have is
/// `None`.
///
/// ```
/// use sse_core::client::ResponseHead;
///
/// let head = ResponseHead { status: 200, content_type: Some(b"text/event-stream"), ..ResponseHead::default() };
/// assert_eq!(head.location, None);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ResponseHead<'a> {
    /// The status code.
    pub status: u16,
    /// The value of the `Content-Type` header.
    pub content_type: Option<&'a [u8]>,
    /// The value of the `Location` header.
    pub location: Option<&'a [u8]>,
    /// The value of the `Retry-After` header. Seconds are supported, and dates are ignored.
    pub retry_after: Option<&'a [u8]>,
}

/// The meaning of a response head.
pub(super) enum Response {
    /// The body is an event stream.
    Stream,
    /// The server redirects the request to this location.
    Redirect(String),
    /// The server refuses until the time of `Retry-After` has passed.
    Refused(Duration),
    /// The client stops.
    Final(StopReason),
}

impl ResponseHead<'_> {
    pub(super) fn classify(&self, retry_refusals: bool) -> Response {
        match self.status {
            200 if self.content_type.is_some_and(is_event_stream) => Response::Stream,
            200 => Response::Final(StopReason::ContentType),
            204 => Response::Final(StopReason::NoContent),
            status if retry_refusals && is_retryable(status) => {
                Response::Refused(self.retry_after.and_then(parse_retry_after).unwrap_or_default())
            }
            status => match self.location {
                Some(location) if is_redirect(status) => Response::Redirect(encode_location(location)),
                _ => Response::Final(StopReason::Status(status)),
            },
        }
    }
}

/// The longest last event id that is sent, in bytes: half of the 8 KiB that common servers allow for a header line.
const MAX_SENT_ID_BYTES: usize = 4096;

/// Returns whether a `Last-Event-ID` header can carry the id unchanged.
///
/// Header values cannot contain control characters except tab, and lose white space at both ends (RFC 9110, 5.5). A
/// longer id could make the server refuse every request.
pub(super) fn is_sendable(id: &str) -> bool {
    let is_blank = |byte: Option<&u8>| matches!(byte, Some(b' ' | b'\t'));
    let bytes = id.as_bytes();
    bytes.len() <= MAX_SENT_ID_BYTES
        && !is_blank(bytes.first())
        && !is_blank(bytes.last())
        && bytes.iter().all(|byte| !byte.is_ascii_control() || *byte == b'\t')
}

/// Returns whether the content type is `text/event-stream`, with any parameters (9.2.2).
fn is_event_stream(content_type: &[u8]) -> bool {
    let essence = content_type.split(|byte| *byte == b';').next().unwrap_or_default();
    essence.trim_ascii().eq_ignore_ascii_case(b"text/event-stream")
}

/// Returns whether a status is a temporary failure.
const fn is_retryable(status: u16) -> bool {
    matches!(status, 429 | 500..=599)
}

/// Returns whether a status redirects a request (Fetch, "redirect status").
const fn is_redirect(status: u16) -> bool {
    matches!(status, 301 | 302 | 303 | 307 | 308)
}

/// Returns the value of a `Location` header as text. Bytes beyond ASCII are percent-encoded, as browsers do: in a URL
/// they stand for themselves.
fn encode_location(value: &[u8]) -> String {
    let mut location = String::new();
    for byte in value.trim_ascii() {
        match byte {
            0..=0x7f => location.push(char::from(*byte)),
            _ => location.push_str(&format!("%{byte:02X}")),
        }
    }
    location
}

/// Parses the seconds of a `Retry-After` header (RFC 9110, 10.2.3). Dates are ignored: converting one would need a
/// calendar and the time of day.
fn parse_retry_after(value: &[u8]) -> Option<Duration> {
    crate::wire::parse_digits(value.trim_ascii()).map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_sendable_if_a_header_carries_it_unchanged() {
        for id in ["", "7", "a b", "a\tb", "\u{85}ü", "日本", &"x".repeat(4096)] {
            assert!(is_sendable(id), "{id:?}");
        }
        for id in ["\u{1}", "a\u{7f}", " a", "a ", "\ta", "a\t", &"x".repeat(4097)] {
            assert!(!is_sendable(id), "{id:?}");
        }
    }

    #[test]
    fn a_location_becomes_ascii() {
        assert_eq!(encode_location(b" /a?b=c%20d#e\t"), "/a?b=c%20d#e");
        assert_eq!(encode_location("/grün".as_bytes()), "/gr%C3%BCn");
        assert_eq!(encode_location(b"\x80\xff"), "%80%FF");
    }
}
