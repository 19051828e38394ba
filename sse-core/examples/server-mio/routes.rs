//! The routes: `GET /sse/{channel}` and `POST /publish/{channel}`.

use std::fmt::Write;

use sse_core::adapter::HEADERS;
use sse_core::{
    ChannelConfig, ConnectionConfig, ConnectionId, Event, Hub, Instant, LastEventId, PublishError,
};

use crate::request::{NO_FIELDS, Request, percent_decode};

/// The next state of a socket after a response.
pub(crate) enum Next {
    KeepAlive,
    Close,
    /// Streams a connection. The flag is true for chunked framing.
    Stream(ConnectionId, bool),
}

/// The response at a limit. Browsers reconnect only after status 200.
const RETRY_LATER: &str =
    "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\nretry: 10000\n\n";

/// A response, the next state of the socket, and the length of the request.
type Answer = (String, Next, usize);

/// Responds to the first request in `input`. Returns `None` if it is incomplete.
pub(crate) fn respond(input: &[u8], hub: &mut Hub, now: Instant) -> Option<Answer> {
    let mut fields = NO_FIELDS;
    let request = match Request::parse(input, &mut fields) {
        Ok(request) => request?,
        Err(status) => return Some((without_body(status, true), Next::Close, input.len())),
    };
    let status = match (request.method, request.path.split_at(request.path.rfind('/').map_or(0, |at| at + 1)))
    {
        ("GET", ("/sse/", name)) => {
            let is_chunked = request.is_http_1_1;
            return Some(match follow(hub, now, name, &request) {
                Some(connection) => {
                    (stream_head(is_chunked), Next::Stream(connection, is_chunked), request.len)
                }
                None => (RETRY_LATER.to_owned(), Next::Close, request.len),
            });
        }
        ("POST", ("/publish/", name)) => publish(hub, now, name, &request),
        (_, ("/sse/" | "/publish/", _)) => "405 Method Not Allowed",
        _ => "404 Not Found",
    };
    let is_last = request.is_last();
    Some((without_body(status, is_last), if is_last { Next::Close } else { Next::KeepAlive }, request.len))
}

fn follow(hub: &mut Hub, now: Instant, name: &str, request: &Request<'_, '_>) -> Option<ConnectionId> {
    let last_event_id = request.field("last-event-id").and_then(LastEventId::new);
    let last_event_id = last_event_id.or_else(|| LastEventId::new(&request.parameter("lastEventId")?));
    // By default, a channel keeps 500 events, and an idle connection receives a ping every 50 seconds.
    let channel = hub.open_channel(now, &text(percent_decode(name)), ChannelConfig::default()).ok()?;
    let connection =
        hub.connect(now, ConnectionConfig { last_event_id, ..ConnectionConfig::default() }).ok()?;
    if hub.subscribe(now, channel, connection).is_err() {
        hub.disconnect(now, connection);
        return None;
    }
    Some(connection)
}

fn publish(hub: &mut Hub, now: Instant, name: &str, request: &Request<'_, '_>) -> &'static str {
    let id = request.field("x-event-id").map(<[u8]>::to_vec).or_else(|| request.parameter("id"));
    let Ok(data) = str::from_utf8(request.body) else { return "400 Bad Request" };
    let mut event = Event::new().data(data);
    if let Some(id) = id {
        event = event.id(text(id));
    }
    let Ok(channel) = hub.open_channel(now, &text(percent_decode(name)), ChannelConfig::default()) else {
        return "503 Service Unavailable";
    };
    match hub.publish(now, channel, &event) {
        Ok(_) => "202 Accepted",
        Err(PublishError::TooLarge { .. }) => "413 Content Too Large",
        Err(_) => "400 Bad Request",
    }
}

fn stream_head(is_chunked: bool) -> String {
    let framing = if is_chunked { "transfer-encoding: chunked" } else { "connection: close" };
    let mut head = format!("HTTP/1.1 200 OK\r\n{framing}\r\n");
    for (name, value) in HEADERS {
        let _ = write!(head, "{name}: {value}\r\n");
    }
    head + "\r\n"
}

fn without_body(status: &str, is_last: bool) -> String {
    let connection = if is_last { "connection: close\r\n" } else { "" };
    format!("HTTP/1.1 {status}\r\n{connection}content-length: 0\r\n\r\n")
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8_lossy(&bytes).into_owned()
}
