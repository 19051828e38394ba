//! The headers of requests and responses.

use core::time::Duration;

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
pub(super) fn is_event_stream(content_type: &[u8]) -> bool {
    let essence = content_type.split(|byte| *byte == b';').next().unwrap_or_default();
    essence.trim_ascii().eq_ignore_ascii_case(b"text/event-stream")
}

/// Returns whether a status is a temporary failure.
pub(super) const fn is_retryable(status: u16) -> bool {
    matches!(status, 429 | 500..=599)
}

/// Parses the seconds of a `Retry-After` header (RFC 9110, 10.2.3). Dates are ignored: converting one would need a
/// calendar and the time of day.
pub(super) fn parse_retry_after(value: &[u8]) -> Option<Duration> {
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
}
