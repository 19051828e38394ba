//! The parts of a request that configure a connection.

use http::{HeaderName, Request};
use sse_core::{ConnectionConfig, LastEventId};

/// The header in which a reconnecting client sends its last event id (WHATWG HTML 9.2.4).
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// The query parameter for clients that cannot set the header, such as a page that creates a new `EventSource`.
const PARAMETER: &str = "lastEventId";

/// Returns the default configuration of a connection with the last event id of the request ([X2](sse_core::rules#x2)).
///
/// The last event id is the value of the header `Last-Event-ID`, or else of the query parameter `lastEventId`. No value is
/// an error: a value that cannot be an id is an unknown id.
///
/// ```
/// let request = http::Request::get("/sse?lastEventId=1k9f2-7").body(()).unwrap();
/// let config = sse_hyper::connection_config(&request);
/// assert_eq!(config.last_event_id.unwrap().as_str(), Some("1k9f2-7"));
/// ```
pub fn connection_config<B>(request: &Request<B>) -> ConnectionConfig {
    let header = request.headers().get(LAST_EVENT_ID).and_then(|value| LastEventId::new(value.as_bytes()));
    let last_event_id = header.or_else(|| {
        let query = request.uri().query()?;
        let (_, value) = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == PARAMETER)?;
        LastEventId::new(value.as_bytes())
    });
    ConnectionConfig { last_event_id, ..ConnectionConfig::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn last_event_id_of(uri: &str, header: Option<&[u8]>) -> Option<LastEventId> {
        let mut request = Request::get(uri).body(()).unwrap();
        if let Some(value) = header {
            request.headers_mut().insert(LAST_EVENT_ID, http::HeaderValue::from_bytes(value).unwrap());
        }
        connection_config(&request).last_event_id
    }

    #[test]
    fn x2_the_header_takes_precedence_over_the_parameter() {
        assert_eq!(last_event_id_of("/?lastEventId=b", Some(b"a")), Some("a".into()));
        assert_eq!(last_event_id_of("/?lastEventId=b", None), Some("b".into()));
        assert_eq!(last_event_id_of("/?lastEventId=b", Some(b"")), Some("b".into()));
        assert_eq!(last_event_id_of("/", None), None);
        assert_eq!(last_event_id_of("/?lastEventId=", None), None);
    }

    #[test]
    fn x2_a_value_that_cannot_be_an_id_is_an_unknown_id() {
        assert_eq!(last_event_id_of("/", Some("grün".as_bytes())).unwrap().as_str(), Some("grün"));
        assert_eq!(last_event_id_of("/", Some(b"gr\xfcn")).unwrap().as_str(), None);
        assert_eq!(last_event_id_of("/", Some(&[b'x'; 1025])).unwrap().as_str(), None);
        assert_eq!(last_event_id_of("/?lastEventId=gr%C3%BCn", None).unwrap().as_str(), Some("grün"));
        assert_eq!(last_event_id_of("/?lastEventId=%00", None).unwrap().as_str(), None);
    }
}
