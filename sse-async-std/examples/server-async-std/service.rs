//! The HTTP service of the example.

use std::error::Error;

use http_body_util::{BodyExt, Either, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::{Method, Request, Response, StatusCode};
use sse_core::shared::SharedHub;
use sse_core::{ChannelConfig, Event};
use sse_hyper::{Refusal, SseBody};

/// An event stream or a short text.
type HttpResponse = Response<Either<SseBody, Full<Bytes>>>;

/// The largest event, in bytes.
const MAX_EVENT_BYTES: usize = 1 << 20;

pub(crate) async fn respond(hub: &SharedHub, request: Request<Incoming>) -> HttpResponse {
    let path = request.uri().path().to_owned();
    if let Some(name) = path.strip_prefix("/sse/").filter(|_| request.method() == Method::GET) {
        let outbound = hub.connect(sse_hyper::connection_config(&request)).ok();
        let subscription = outbound.zip(hub.open_channel(name, ChannelConfig::default()).ok());
        let response = match subscription {
            Some((outbound, channel)) if outbound.subscribe(&channel).is_ok() => {
                sse_hyper::response(request.version(), outbound)
            }
            _ => Refusal::default().into_response(request.version()),
        };
        return response.map(Either::Left);
    }
    let Some(name) = path.strip_prefix("/publish/").filter(|_| request.method() == Method::POST) else {
        return text_response(StatusCode::NOT_FOUND, "GET /sse/{channel} or POST /publish/{channel}".into());
    };
    match publish(hub, name, request).await {
        Ok(()) => text_response(StatusCode::ACCEPTED, String::new()),
        Err(error) => text_response(StatusCode::BAD_REQUEST, error.to_string()),
    }
}

async fn publish(
    hub: &SharedHub,
    name: &str,
    request: Request<Incoming>,
) -> Result<(), Box<dyn Error + Send + Sync>> {
    let id = request.headers().get("x-event-id").map(|id| id.to_str().map(str::to_owned)).transpose()?;
    let body = Limited::new(request.into_body(), MAX_EVENT_BYTES).collect().await?.to_bytes();
    let mut event = Event::new().data(std::str::from_utf8(&body)?);
    if let Some(id) = id {
        event = event.id(id);
    }
    hub.open_channel(name, ChannelConfig::default())?.publish(&event)?;
    Ok(())
}

fn text_response(status: StatusCode, text: String) -> HttpResponse {
    let mut response = Response::new(Either::Right(Full::from(text)));
    *response.status_mut() = status;
    response
}
