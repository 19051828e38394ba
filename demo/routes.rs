//! The routes of the demo.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, Query, Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::json;
use sse_core::shared::{Channel, Connection, SharedHub};
use sse_core::{
    ChannelConfig, ConnectionConfig, Event, HistoryConfig, Limits, OpenError, PublishError, Resume, StartFrom,
};
use sse_hyper::Refusal;

use crate::readme;

/// How long the channel of a user stays open without a connection of the user.
const USER_AWAY: Duration = Duration::from_secs(300);

/// The time after which a browser reconnects when it lost the connection.
const RETRY: Duration = Duration::from_secs(1);

/// The longest time for which a client can drop its connection.
const MAX_DROP: Duration = Duration::from_secs(60);

/// The interval of pings, shorter than the idle timeout of common proxies and load balancers.
const PING: Duration = Duration::from_secs(25);

/// The number of events of a channel with which a new page begins. The chart shows two minutes, with a report every second.
const EVENTS_AT_START: usize = 120;

/// The state that all requests share.
#[derive(Clone)]
pub(crate) struct Demo {
    pub(crate) hub: SharedHub,
    /// The connections that can be dropped, by the token of their page.
    clients: Arc<Mutex<HashMap<String, Connection>>>,
}

/// A status and the reason of an error.
type HttpError = (StatusCode, String);

pub(crate) fn router(demo: Demo) -> Router {
    Router::new()
        .route("/", get(async || Html(include_str!("index.html"))))
        .route("/readme", get(readme::page))
        .route("/sse", get(follow_several))
        .route("/sse/{channel}", get(follow))
        .route("/sse/user/{id}", get(follow_user))
        .route("/publish/{channel}", post(publish))
        .route("/publish/user/{id}", post(publish_to_user))
        .route("/drop/{client}", post(drop_client))
        .with_state(demo)
}

impl Demo {
    pub(crate) fn new(hub: SharedHub) -> Result<Demo, OpenError> {
        let demo = Demo { hub, clients: Arc::default() };
        demo.open("weather")?;
        demo.open("stats")?;
        Ok(demo)
    }

    /// Opens a channel on first use. The channel of a user closes some time after the user has disconnected.
    pub(crate) fn open(&self, name: &str) -> Result<Channel, OpenError> {
        let config = ChannelConfig {
            history: HistoryConfig { events: 500, ..HistoryConfig::default() },
            start: StartFrom::Last(EVENTS_AT_START),
            empty_timeout: name.starts_with("user/").then_some(USER_AWAY),
            ..ChannelConfig::default()
        };
        self.hub.open_channel(name, config)
    }

    /// Removes the handles of clients that have disconnected.
    pub(crate) fn remove_closed_clients(&self) {
        self.clients().retain(|_, connection| connection.is_open());
    }

    fn clients(&self) -> MutexGuard<'_, HashMap<String, Connection>> {
        self.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Responds with a stream of these channels. A client with a token receives the result of its resumption, and its
    /// connection can be dropped.
    fn subscribe(
        &self,
        names: &[String],
        client: Option<&str>,
        request: &Request,
    ) -> Result<Response, HttpError> {
        for name in names.iter().map(String::as_str).chain(client) {
            check_name(name)?;
        }
        let version = request.version();
        let refusal = || Ok(Refusal::default().into_response(version).into_response());
        let config = ConnectionConfig { ping: Some(PING), ..sse_hyper::connection_config(request) };
        let Ok(outbound) = self.hub.connect(config) else { return refusal() };
        let mut resumed = Vec::new();
        for name in names {
            let Ok(channel) = self.open(name) else { return refusal() };
            resumed.push(outbound.subscribe(&channel).map_err(|e| bad_request(e.to_string()))?);
        }
        if let Some(client) = client {
            let handle = outbound.handle();
            let (outcome, events) = summary(&resumed);
            let report = json!({ "outcome": outcome, "events": events }).to_string();
            let event = Event::new().event("resume").data(report).retry(RETRY);
            handle.try_send(&event).map_err(|e| (StatusCode::INTERNAL_SERVER_ERROR, e.to_string()))?;
            self.clients().insert(client.to_owned(), handle);
        }
        Ok(sse_hyper::response(version, outbound).into_response())
    }

    fn publish(&self, channel: &str, event: Event<'_>) -> Result<StatusCode, HttpError> {
        check_name(channel)?;
        let channel =
            self.open(channel).map_err(|error| (StatusCode::SERVICE_UNAVAILABLE, error.to_string()))?;
        channel.publish(&event).map_err(|error| {
            let status = match error {
                PublishError::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
                _ => StatusCode::BAD_REQUEST,
            };
            (status, error.to_string())
        })?;
        Ok(StatusCode::ACCEPTED)
    }
}

async fn follow(
    State(demo): State<Demo>,
    Path(channel): Path<String>,
    request: Request,
) -> Result<Response, HttpError> {
    demo.subscribe(&[channel], None, &request)
}

async fn follow_user(
    State(demo): State<Demo>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, HttpError> {
    demo.subscribe(&[format!("user/{id}")], None, &request)
}

/// Follows several channels over one connection: `/sse?channel=weather&channel=user/7&client=token`.
async fn follow_several(
    State(demo): State<Demo>,
    Query(query): Query<Vec<(String, String)>>,
    request: Request,
) -> Result<Response, HttpError> {
    let named = |name: &'static str| query.iter().filter(move |(key, _)| key == name).map(|(_, value)| value);
    let channels: Vec<String> = named("channel").cloned().collect();
    if channels.is_empty() {
        return Err((StatusCode::BAD_REQUEST, "name at least one channel: /sse?channel=weather".into()));
    }
    demo.subscribe(&channels, named("client").next().map(String::as_str), &request)
}

async fn publish(
    State(demo): State<Demo>,
    Path(channel): Path<String>,
    Query(query): Query<HashMap<String, String>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<StatusCode, HttpError> {
    demo.publish(&channel, event(text(&body)?, event_id(&headers, &query)?))
}

async fn publish_to_user(
    State(demo): State<Demo>,
    Path(id): Path<String>,
    Query(query): Query<HashMap<String, String>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<StatusCode, HttpError> {
    let text = text(&body)?;
    if text.is_empty() {
        return Err((StatusCode::BAD_REQUEST, "the text is empty".into()));
    }
    let event = event(text, event_id(&headers, &query)?).event("note");
    demo.publish(&format!("user/{id}"), event)
}

/// Drops the connection of a client, and asks the client to reconnect after `?for=` milliseconds.
async fn drop_client(
    State(demo): State<Demo>,
    Path(client): Path<String>,
    Query(query): Query<HashMap<String, String>>,
) -> Result<StatusCode, HttpError> {
    let millis = query.get("for").map_or("1000", String::as_str);
    let millis: u64 =
        millis.parse().map_err(|_| bad_request(format!("for={millis} is not a number of milliseconds")))?;
    let retry = Duration::from_millis(millis);
    if retry > MAX_DROP {
        return Err(bad_request(format!("for={millis} is more than {} milliseconds", MAX_DROP.as_millis())));
    }
    let connection = demo.clients().remove(&client).filter(Connection::is_open);
    let connection =
        connection.ok_or((StatusCode::NOT_FOUND, "no client with this token is connected".into()))?;
    connection.try_send(&Event::new().retry(retry)).map_err(|e| (StatusCode::CONFLICT, e.to_string()))?;
    connection.close();
    Ok(StatusCode::NO_CONTENT)
}

fn event<'a>(text: &'a str, id: Option<String>) -> Event<'a> {
    let event = Event::new().data(text);
    match id {
        Some(id) => event.id(id),
        None => event,
    }
}

/// Returns the id of the request for the event: the header `X-Event-Id`, or else `?id=`. An empty value is no id.
fn event_id(headers: &HeaderMap, query: &HashMap<String, String>) -> Result<Option<String>, HttpError> {
    let id = match headers.get("x-event-id") {
        Some(id) => std::str::from_utf8(id.as_bytes()).map_err(|_| bad_request("X-Event-Id is not UTF-8"))?,
        None => query.get("id").map_or("", String::as_str),
    };
    Ok(Some(id.to_owned()).filter(|id| !id.is_empty()))
}

fn text(body: &[u8]) -> Result<&str, HttpError> {
    std::str::from_utf8(body).map_err(|error| bad_request(format!("the body is not UTF-8: {error}")))
}

/// Checks the name of a channel or a client. `docs/examples.md` describes the names of all examples.
fn check_name(name: &str) -> Result<(), HttpError> {
    let limit = Limits::MAX_NAME_BYTES;
    match name.len() {
        0 => Err(bad_request("a name is empty")),
        bytes if bytes > limit => Err(bad_request(format!("a name has {bytes} bytes, the limit is {limit}"))),
        _ => Ok(()),
    }
}

fn bad_request(what: impl Into<String>) -> HttpError {
    (StatusCode::BAD_REQUEST, what.into())
}

/// Returns the worst of several results, and the total number of replayed events.
fn summary(resumed: &[Resume]) -> (&'static str, usize) {
    let (mut rank, mut outcome, mut replayed) = (0, "up-to-date", 0);
    for resume in resumed {
        let (this_rank, this, events) = match *resume {
            Resume::Replayed { events } => (1, "replayed", events),
            Resume::Fresh => (2, "fresh", 0),
            Resume::Gap { events, .. } => (3, "gap", events),
            Resume::Unknown => (4, "unknown", 0),
            _ => (0, "up-to-date", 0),
        };
        replayed += events;
        if this_rank > rank {
            (rank, outcome) = (this_rank, this);
        }
    }
    (outcome, replayed)
}
