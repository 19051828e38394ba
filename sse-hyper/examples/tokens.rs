//! Answers that are made while they are read, as those of a language model, and that survive a lost connection: each is
//! a channel of its own, fed by a task that goes on while its reader is away.
//!
//! `cargo run --package sse-hyper --example tokens`, then
//! `curl -d 'one two three four five six seven eight nine ten' http://127.0.0.1:3000/answers`, which says where the
//! answer is, and `curl -N http://127.0.0.1:3000/answers/1`. Stop it in the middle and start it again with
//! `-H 'Last-Event-ID: …'` and the last id that it showed: nothing is missing or doubled. The last event is `done`; a
//! client that comes back after it gets 204, and so an `EventSource` stays away for good.

use std::error::Error;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::{Path, Request, State};
use axum::http::{Response, StatusCode};
use axum::routing::{get, post};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use sse_core::shared::{Channel, SharedHub};
use sse_core::{ChannelConfig, Event, HistoryConfig, HubConfig, OnClose, PublishError, StartFrom};
use sse_hyper::{Refusal, SseBody};
use tokio::net::TcpListener;

/// How long an answer waits for its reader, while it is made and after.
const RETENTION: Duration = Duration::from_secs(60);

/// The id of the last event of each answer. Ids have to differ among the channels of one connection, which has one here.
const DONE: &str = "done";

/// A real server has names that nobody guesses.
static ANSWERS_CREATED: AtomicU64 = AtomicU64::new(0);

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let epoch = sse_hyper::epoch_from_clock();
    let hub = sse_hyper::start(epoch, HubConfig::default(), &TokioExecutor::new(), TokioTimer::new())?;
    let app = Router::new().route("/answers", post(ask)).route("/answers/{name}", get(read)).with_state(hub);
    let port = std::env::var("PORT").unwrap_or("3000".to_owned());
    let listener = TcpListener::bind(format!("127.0.0.1:{port}")).await?;
    println!("http://{}/answers", listener.local_addr()?);
    axum::serve(listener, app).await?;
    Ok(())
}

async fn ask(State(hub): State<SharedHub>, question: String) -> (StatusCode, String) {
    let path = format!("/answers/{}", ANSWERS_CREATED.fetch_add(1, Ordering::Relaxed) + 1);
    let config = ChannelConfig {
        // Who comes for the first time gets all of it, and who comes back the rest.
        start: StartFrom::All,
        history: HistoryConfig { events: 10_000, ..HistoryConfig::default() },
        empty_timeout: Some(RETENTION),
        on_close: OnClose::CloseConnections,
        ..ChannelConfig::default()
    };
    let Ok(channel) = hub.open_channel(&path, config) else {
        return (StatusCode::SERVICE_UNAVAILABLE, "too many answers are open\n".to_owned());
    };
    tokio::spawn(async move {
        // An error says that the channel was closed: nobody came back for it, and it need not be made.
        if answer(&hub, &channel, &question).await.is_ok() {
            tokio::time::sleep(RETENTION).await;
            channel.close();
        }
    });
    (StatusCode::CREATED, path + "\n")
}

/// The model: it says the question's words backwards.
async fn answer(hub: &SharedHub, channel: &Channel, question: &str) -> Result<(), PublishError> {
    for token in question.split_whitespace().rev() {
        channel.publish(&Event::new().event("token").data(token))?;
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    channel.publish(&Event::new().id(DONE).event("done").data(""))?;
    // Who reads now is let go once it took that; who is away finds the rest and `done` for a while.
    hub.with(|hub, now| {
        for reader in hub.members(channel.id()).collect::<Vec<_>>() {
            hub.close_connection(now, reader);
        }
    });
    Ok(())
}

async fn read(State(hub): State<SharedHub>, Path(name): Path<String>, request: Request) -> Response<SseBody> {
    let config = sse_hyper::connection_config(&request);
    let is_complete = config.last_event_id.as_ref().is_some_and(|id| id.as_str() == Some(DONE));
    let channel = hub.channel(&format!("/answers/{name}")).filter(|_| !is_complete);
    let Some(channel) = channel else { return Refusal::StayAway.into_response(request.version()) };
    match hub.connect(config).ok().filter(|outbound| outbound.subscribe(&channel).is_ok()) {
        Some(outbound) => sse_hyper::response(request.version(), outbound),
        None => Refusal::default().into_response(request.version()),
    }
}
