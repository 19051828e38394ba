//! The routes: `GET /sse/{channel}` and `POST /publish/{channel}`.

use std::fmt::Write;
use std::time::Duration;

use sse_core::adapter::HEADERS;
use sse_core::{
    ChannelConfig, ConnectionConfig, ConnectionId, Event, Hub, Instant, LastEventId, OpenError, PublishError,
};

use crate::request::{NO_FIELDS, Request, percent_decode};

/// The next state of a socket after a response.
pub(crate) enum Next {
    KeepAlive,
    Close,
    /// Streams a connection. The flag is true for chunked framing.
    Stream(ConnectionId, bool),
}

/// The interval of pings, shorter than the idle timeout of common proxies and load balancers.
const PING: Duration = Duration::from_secs(25);

/// The response at a limit. Browsers reconnect only after status 200.
const RETRY_LATER: &str =
    "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\nretry: 10000\n";

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
        (_, ("/sse/" | "/publish/", "")) => "404 Not Found",
        ("GET", ("/sse/", name)) => match follow(hub, now, name, &request) {
            Ok(Some(connection)) => {
                let is_chunked = request.is_http_1_1;
                return Some((stream_head(is_chunked), Next::Stream(connection, is_chunked), request.len));
            }
            Ok(None) => return Some((RETRY_LATER.to_owned(), Next::Close, request.len)),
            Err(status) => status,
        },
        ("POST", ("/publish/", name)) => publish(hub, now, name, &request),
        (_, ("/sse/" | "/publish/", _)) => "405 Method Not Allowed",
        _ => "404 Not Found",
    };
    let is_last = request.is_last();
    Some((without_body(status, is_last), if is_last { Next::Close } else { Next::KeepAlive }, request.len))
}

/// Subscribes a request. Returns `None` at a limit of the hub, and the status of the response as an error.
fn follow(
    hub: &mut Hub,
    now: Instant,
    name: &str,
    request: &Request<'_, '_>,
) -> Result<Option<ConnectionId>, &'static str> {
    let last_event_id = request.field("last-event-id").and_then(LastEventId::new);
    let last_event_id = last_event_id.or_else(|| LastEventId::new(&request.parameter("lastEventId")?));
    // By default, a channel keeps 500 events.
    let channel = match hub.open_channel(now, &text(percent_decode(name))?, ChannelConfig::default()) {
        Ok(channel) => channel,
        Err(OpenError::NameTooLong { .. }) => return Err("400 Bad Request"),
        Err(_) => return Ok(None),
    };
    let config = ConnectionConfig { last_event_id, ping: Some(PING), ..ConnectionConfig::default() };
    let Ok(connection) = hub.connect(now, config) else { return Ok(None) };
    if hub.subscribe(now, channel, connection).is_err() {
        hub.disconnect(now, connection);
        return Ok(None);
    }
    Ok(Some(connection))
}

/// Publishes the body of a request, and returns the status of the response.
fn publish(hub: &mut Hub, now: Instant, name: &str, request: &Request<'_, '_>) -> &'static str {
    let id = request.field("x-event-id").map(<[u8]>::to_vec).or_else(|| request.parameter("id"));
    let (Ok(name), Ok(id)) = (text(percent_decode(name)), text(id.unwrap_or_default())) else {
        return "400 Bad Request";
    };
    let Ok(data) = str::from_utf8(request.body) else { return "400 Bad Request" };
    let mut event = Event::new().data(data);
    if !id.is_empty() {
        event = event.id(id);
    }
    let channel = match hub.open_channel(now, &name, ChannelConfig::default()) {
        Ok(channel) => channel,
        Err(OpenError::NameTooLong { .. }) => return "400 Bad Request",
        Err(_) => return "503 Service Unavailable",
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

fn text(bytes: Vec<u8>) -> Result<String, &'static str> {
    String::from_utf8(bytes).map_err(|_| "400 Bad Request")
}
