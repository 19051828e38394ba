//! A minimal HTTP server for adapters without HTTP.

use sse_core::adapter::HEADERS;
use sse_core::{ConnectionConfig, Event, LastEventId};

use crate::RETRY_AFTER;

/// Parses the path and the last event id of a request. Returns `None` if the request is incomplete.
pub(super) fn request(bytes: &[u8]) -> Option<(String, ConnectionConfig)> {
    let mut fields = [httparse::EMPTY_HEADER; 32];
    let mut request = httparse::Request::new(&mut fields);
    let parsed = request.parse(bytes).expect("the request is valid");
    if parsed.is_partial() {
        return None;
    }
    let id = request.headers.iter().find(|field| field.name.eq_ignore_ascii_case("last-event-id"));
    let last_event_id = id.and_then(|field| LastEventId::new(field.value));
    let path = request.path.unwrap_or_default().to_owned();
    Some((path, ConnectionConfig { last_event_id, ..ConnectionConfig::default() }))
}

/// Returns the head of a response with a chunked or an unchunked body.
pub(super) fn head(is_chunked: bool) -> String {
    let fields: String = HEADERS.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let framing = if is_chunked { "transfer-encoding: chunked\r\n" } else { "" };
    format!("HTTP/1.1 200 OK\r\n{fields}connection: keep-alive\r\n{framing}\r\n")
}

/// Returns the response to a client beyond the limit.
pub(super) fn refusal() -> Vec<u8> {
    [head(false).as_bytes(), &retry()].concat()
}

/// Returns the body of the response to a client beyond the limit.
pub(super) fn retry() -> Vec<u8> {
    Event::new().retry(RETRY_AFTER).encode().expect("the time is in range").as_bytes().to_vec()
}
