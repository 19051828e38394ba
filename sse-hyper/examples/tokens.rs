//! Answers that are generated while they are read, such as those of a language model, and that survive a lost connection.
//! Each answer is a channel. A task publishes to it and continues while the reader is disconnected.
//!
//! Run `cargo run --package sse-hyper --example tokens`. Then run
//! `curl -d 'one two three four five six seven eight nine ten' http://127.0.0.1:3000/answers`, which prints the path of the
//! answer, and `curl -N http://127.0.0.1:3000/answers/1`. Stop it in the middle and start it again with
//! `-H 'Last-Event-ID: …'` and the last id that it printed: nothing is missing or repeated. The last event is `done`, and the
//! stream ends behind it, also for a reader that comes within a minute after the end. A client that reconnects after `done`
//! receives 204, so an `EventSource` stops.

mod server;

use std::error::Error;
use std::future::pending;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::{Path, Request, State};
use axum::http::{Response, StatusCode};
use axum::routing::{get, post};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use sse_core::shared::{Channel, SharedHub};
use sse_core::{ChannelConfig, ConnectionConfig, Event, HubConfig, PublishError};
use sse_hyper::{Refusal, SseBody};
use tokio::net::TcpListener;

/// How long an answer is kept without a reader while it is generated, and how long after it is complete.
const RETENTION: Duration = Duration::from_secs(60);

/// The interval of pings, shorter than the idle timeout of common proxies and load balancers.
const PING: Duration = Duration::from_secs(25);

/// The number of the newest answer. A real server uses names that cannot be guessed.
static ANSWERS_CREATED: AtomicU64 = AtomicU64::new(0);

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let epoch = sse_hyper::epoch_from_clock();
    let hub = sse_hyper::start(epoch, HubConfig::default(), &TokioExecutor::new(), TokioTimer::new())?;
    let app = Router::new().route("/answers", post(ask)).route("/answers/{name}", get(read)).with_state(hub);
    let port = std::env::var("PORT").unwrap_or("3000".to_owned());
    let listener = TcpListener::bind(format!("127.0.0.1:{port}")).await?;
    println!("http://{}/answers", listener.local_addr()?);
    server::serve(listener, app, pending::<()>()).await;
    Ok(())
}

async fn ask(State(hub): State<SharedHub>, question: String) -> (StatusCode, String) {
    let path = format!("/answers/{}", ANSWERS_CREATED.fetch_add(1, Ordering::Relaxed) + 1);
    // A new client receives the whole answer, and a reconnecting client the rest of it.
    let config = ChannelConfig { empty_timeout: Some(RETENTION), ..ChannelConfig::answer() };
    let Ok(channel) = hub.open_channel(&path, config) else {
        return (StatusCode::SERVICE_UNAVAILABLE, "too many answers are open\n".to_owned());
    };
    // An error means that the channel was closed because no reader came back. The rest is not needed then.
    tokio::spawn(async move { answer(&channel, &question).await });
    (StatusCode::CREATED, path + "\n")
}

/// Generates the answer: the words of the question in reverse order.
async fn answer(channel: &Channel, question: &str) -> Result<(), PublishError> {
    for token in question.split_whitespace().rev() {
        channel.publish(&Event::new().event("token").data(token))?;
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    // Readers receive everything, and their streams end. Readers that are disconnected find the rest for a while.
    channel.finish(Some(&Event::new().event("done").data("")), RETENTION)?;
    Ok(())
}

async fn read(State(hub): State<SharedHub>, Path(name): Path<String>, request: Request) -> Response<SseBody> {
    let config = ConnectionConfig { ping: Some(PING), ..sse_hyper::connection_config(&request) };
    let channel = hub.channel(&format!("/answers/{name}"));
    let Some(channel) = channel else { return Refusal::StayAway.into_response(request.version()) };
    let outbound = hub.connect(config).ok().filter(|outbound| outbound.subscribe(&channel).is_ok());
    let Some(outbound) = outbound else { return Refusal::default().into_response(request.version()) };
    sse_hyper::finite_response(request.version(), outbound)
}
