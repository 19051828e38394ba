//! The least that a server needs that reads requests itself: for adapters that have nothing to do with HTTP.

use sse_core::adapter::HEADERS;
use sse_core::{ConnectionConfig, Event, LastEventId};

use crate::RETRY_AFTER;

/// A request: its path, and what it says of its client. `None` when more of it has to come.
pub(super) fn request(bytes: &[u8]) -> Option<(String, ConnectionConfig)> {
    let mut fields = [httparse::EMPTY_HEADER; 32];
    let mut request = httparse::Request::new(&mut fields);
    let parsed = request.parse(bytes).expect("a request of this test");
    if parsed.is_partial() {
        return None;
    }
    let id = request.headers.iter().find(|field| field.name.eq_ignore_ascii_case("last-event-id"));
    let last_event_id = id.and_then(|field| LastEventId::new(field.value));
    let path = request.path.unwrap_or_default().to_owned();
    Some((path, ConnectionConfig { last_event_id, ..ConnectionConfig::default() }))
}

/// The head of a response, whose body is in chunks or not.
pub(super) fn head(is_chunked: bool) -> String {
    let fields: String = HEADERS.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let framing = if is_chunked { "transfer-encoding: chunked\r\n" } else { "" };
    format!("HTTP/1.1 200 OK\r\n{fields}connection: keep-alive\r\n{framing}\r\n")
}

/// The whole response to one too many.
pub(super) fn refusal() -> Vec<u8> {
    let retry = Event::new().retry(RETRY_AFTER).encode().expect("it is a whole number of milliseconds");
    [head(false).as_bytes(), retry.as_bytes()].concat()
}
