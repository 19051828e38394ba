//! The HTTP service of the example.

use std::borrow::Cow;
use std::error::Error;
use std::str;
use std::time::Duration;

use http_body_util::{BodyExt, Either, Full, LengthLimitError, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::{Method, Request, Response, StatusCode};
use percent_encoding::percent_decode_str;
use sse_core::shared::SharedHub;
use sse_core::{ChannelConfig, ConnectionConfig, Event, OpenError, PublishError};
use sse_hyper::{Refusal, SseBody};

/// An event stream or a short text.
type HttpResponse = Response<Either<SseBody, Full<Bytes>>>;

/// A status and the reason of an error.
type HttpError = (StatusCode, String);

/// The largest event, in bytes.
const MAX_EVENT_BYTES: usize = 1 << 20;

/// The interval of pings, shorter than the idle timeout of common proxies and load balancers.
const PING: Duration = Duration::from_secs(25);

pub(crate) async fn respond(hub: &SharedHub, request: Request<Incoming>) -> HttpResponse {
    let path = request.uri().path().to_owned();
    let result = match (request.method(), name_of(&path, "/sse/"), name_of(&path, "/publish/")) {
        (&Method::GET, Some(name), _) => follow(hub, name, &request),
        (&Method::POST, _, Some(name)) => publish(hub, name, request).await,
        _ => Err((StatusCode::NOT_FOUND, "GET /sse/{channel} or POST /publish/{channel}".into())),
    };
    result.unwrap_or_else(|(status, text)| text_response(status, text))
}

/// Returns the name in a path: one segment, and not empty.
fn name_of<'p>(path: &'p str, prefix: &str) -> Option<&'p str> {
    path.strip_prefix(prefix).filter(|name| !name.is_empty() && !name.contains('/'))
}

fn follow(hub: &SharedHub, name: &str, request: &Request<Incoming>) -> Result<HttpResponse, HttpError> {
    let channel = match hub.open_channel(&decoded(name)?, ChannelConfig::default()) {
        Err(error @ OpenError::NameTooLong { .. }) => return Err(bad_request(error)),
        channel => channel.ok(),
    };
    let config = ConnectionConfig { ping: Some(PING), ..sse_hyper::connection_config(request) };
    let response = match hub.connect(config).ok().zip(channel) {
        Some((outbound, channel)) if outbound.subscribe(&channel).is_ok() => {
            sse_hyper::response(request.version(), outbound)
        }
        _ => Refusal::default().into_response(request.version()),
    };
    Ok(response.map(Either::Left))
}

async fn publish(hub: &SharedHub, name: &str, request: Request<Incoming>) -> Result<HttpResponse, HttpError> {
    let channel =
        hub.open_channel(&decoded(name)?, ChannelConfig::default()).map_err(|error| match error {
            OpenError::TooManyChannels { .. } => (StatusCode::SERVICE_UNAVAILABLE, error.to_string()),
            _ => bad_request(error),
        })?;
    let id = event_id(&request)?;
    let body = Limited::new(request.into_body(), MAX_EVENT_BYTES).collect().await;
    let body = body.map_err(|error| match error.is::<LengthLimitError>() {
        true => (StatusCode::PAYLOAD_TOO_LARGE, error.to_string()),
        false => (StatusCode::BAD_REQUEST, error.to_string()),
    })?;
    let body = body.to_bytes();
    let mut event = Event::new().data(str::from_utf8(&body).map_err(bad_request)?);
    if !id.is_empty() {
        event = event.id(id);
    }
    channel.publish(&event).map_err(|error| match error {
        PublishError::TooLarge { .. } => (StatusCode::PAYLOAD_TOO_LARGE, error.to_string()),
        _ => bad_request(error),
    })?;
    Ok(text_response(StatusCode::ACCEPTED, String::new()))
}

/// Returns the id of the request for the event: the header `X-Event-Id`, or else `?id=`.
fn event_id(request: &Request<Incoming>) -> Result<String, HttpError> {
    if let Some(id) = request.headers().get("x-event-id") {
        return Ok(str::from_utf8(id.as_bytes()).map_err(bad_request)?.to_owned());
    }
    let query = request.uri().query().unwrap_or_default();
    let id = form_urlencoded::parse(query.as_bytes()).find(|(key, _)| key == "id");
    Ok(id.map_or(String::new(), |(_, id)| id.into_owned()))
}

fn decoded(name: &str) -> Result<Cow<'_, str>, HttpError> {
    percent_decode_str(name).decode_utf8().map_err(bad_request)
}

fn bad_request(error: impl Error) -> HttpError {
    (StatusCode::BAD_REQUEST, error.to_string())
}

fn text_response(status: StatusCode, text: String) -> HttpResponse {
    let mut response = Response::new(Either::Right(Full::from(text)));
    *response.status_mut() = status;
    response
}
