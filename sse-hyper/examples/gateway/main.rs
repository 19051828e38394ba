//! A gateway to a language model in the style of OpenAI. Answers survive lost connections, and end by themselves.
//!
//! - `POST /v1/chat/completions` starts an answer and streams it. `Location` names it.
//! - `GET` of that path resumes it after `Last-Event-ID`, or replays it. When all of it was received, the status is 204.
//! - `DELETE` of that path stops it. It is also stopped when nobody has read it for a minute.
//!
//! Run `cargo run --package sse-hyper --example gateway`, and
//! `curl -Ni -d '{"messages":[{"content":"Hello"}]}' http://127.0.0.1:3000/v1/chat/completions`. The model counts to the number
//! in the message, or says the message backwards; it fails at the word `fail`.

mod model;
#[path = "../server/mod.rs"]
mod server;

use std::error::Error;
use std::future::pending;
use std::time::Duration;

use axum::Router;
use axum::body::to_bytes;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderValue, Response, StatusCode, Version};
use axum::routing::{get, post};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use sse_core::shared::{Channel, SharedHub};
use sse_core::{ChannelConfig, ConnectionConfig, Event, HubConfig, PublishError};
use sse_hyper::{Refusal, SseBody};
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let epoch = sse_hyper::epoch_from_clock();
    let hub = sse_hyper::start(epoch, HubConfig::default(), &TokioExecutor::new(), TokioTimer::new())?;
    let app = Router::new()
        .route("/v1/chat/completions", post(ask))
        .route("/v1/answers/{name}", get(read).delete(stop))
        .with_state(hub);
    let port = std::env::var("PORT").unwrap_or("3000".to_owned());
    let listener = TcpListener::bind(format!("127.0.0.1:{port}")).await?;
    println!("http://{}/v1", listener.local_addr()?);
    server::serve(listener, app, pending::<()>()).await;
    Ok(())
}

/// How long an answer is generated without a reader, and kept after its end.
fn retention() -> Duration {
    let seconds = std::env::var("RETENTION").ok().and_then(|seconds| seconds.parse().ok());
    Duration::from_secs(seconds.unwrap_or(60))
}

async fn ask(State(hub): State<SharedHub>, request: Request) -> Result<Response<SseBody>, StatusCode> {
    let version = request.version();
    let body = to_bytes(request.into_body(), 1 << 20).await.map_err(|_| StatusCode::PAYLOAD_TOO_LARGE)?;
    let prompt = model::prompt(&body).ok_or(StatusCode::BAD_REQUEST)?;
    let path = format!("/v1/answers/{}", sse_hyper::epoch_from_clock());
    let config = ChannelConfig {
        unwanted_after: Some(retention()),
        ahead: Some(64 << 10), // the model waits for its fastest reader
        ..ChannelConfig::answer()
    };
    let answer = hub.open_channel(&path, config).map_err(|_| StatusCode::SERVICE_UNAVAILABLE)?;
    // Libraries for this protocol take every event for a part of the answer.
    let config = ConnectionConfig { announce_position: false, ..ConnectionConfig::default() };
    let mut response = send(&hub, &answer, version, config);
    response.headers_mut().insert("location", HeaderValue::try_from(path).expect("letters and digits"));
    tokio::spawn(async move { generate(&answer, &prompt).await });
    Ok(response)
}

/// Generates an answer until it is complete, fails, or nobody wants more of it.
async fn generate(answer: &Channel, prompt: &str) -> Result<(), PublishError> {
    let mut failure = None;
    let tokens = model::tokens(prompt, &mut failure);
    let unwanted = sse_core::adapter::publish_all(answer, tokens).await?;
    let end = match (unwanted, failure) {
        (Some(_), _) => Event::new().event("stopped").data(r#"{"finish_reason":"stopped"}"#),
        (None, Some(error)) => Event::new().event("error").data(error),
        (None, None) => Event::new().data("[DONE]"),
    };
    answer.finish(Some(&end), retention())?;
    Ok(())
}

async fn read(State(hub): State<SharedHub>, request: Request) -> Response<SseBody> {
    match hub.channel(request.uri().path()) {
        Some(answer) => send(&hub, &answer, request.version(), sse_hyper::connection_config(&request)),
        None => Refusal::StayAway.into_response(request.version()),
    }
}

fn send(hub: &SharedHub, answer: &Channel, version: Version, config: ConnectionConfig) -> Response<SseBody> {
    let outbound = hub.connect(config).ok().filter(|outbound| outbound.subscribe(answer).is_ok());
    let Some(outbound) = outbound else { return Refusal::default().into_response(version) };
    sse_hyper::finite_response(version, outbound)
}

async fn stop(State(hub): State<SharedHub>, Path(name): Path<String>) -> StatusCode {
    let answer = hub.channel(&format!("/v1/answers/{name}"));
    if answer.is_some_and(|answer| answer.stop()) { StatusCode::ACCEPTED } else { StatusCode::NOT_FOUND }
}
