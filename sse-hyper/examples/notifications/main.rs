//! Notifications on one channel for each user. The channels close when they are not used, and the session of a stream is
//! checked periodically, so that no stream outlives its session.
//!
//! Run `cargo run --package sse-hyper --example notifications`. Then run `curl -d ada http://127.0.0.1:3000/sessions`,
//! which prints a token, `curl -N 'http://127.0.0.1:3000/notifications?token=…'`, and in another terminal
//! `curl -d 'you have mail' http://127.0.0.1:3000/notify/ada`. After
//! `curl -X DELETE 'http://127.0.0.1:3000/sessions?token=…'` the stream ends at its next check, and the token is no longer
//! valid. One minute after the last stream of a user has ended, the channel closes together with its history.

#[path = "../server/mod.rs"]
mod server;
mod sessions;

use std::collections::HashMap;
use std::error::Error;
use std::future::pending;
use std::time::Duration;

use axum::Router;
use axum::extract::{Path, Query, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use sse_core::shared::SharedHub;
use sse_core::{ChannelConfig, Event, HubConfig, OpenError};
use sse_hyper::Refusal;
use tokio::net::TcpListener;

use sessions::Sessions;

/// How long a user can be disconnected without missing notifications.
const USER_AWAY: Duration = Duration::from_secs(60);

type Parameters = HashMap<String, String>;

#[derive(Clone)]
struct App {
    hub: SharedHub,
    sessions: Sessions,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let epoch = sse_hyper::epoch_from_clock();
    let hub = sse_hyper::start(epoch, HubConfig::default(), &TokioExecutor::new(), TokioTimer::new())?;
    let app = Router::new()
        .route("/sessions", post(log_in).delete(log_out))
        .route("/notifications", get(follow))
        .route("/notify/{user}", post(notify))
        .with_state(App { hub, sessions: Sessions::default() });
    let port = std::env::var("PORT").unwrap_or("3000".to_owned());
    let listener = TcpListener::bind(format!("127.0.0.1:{port}")).await?;
    println!("http://{}/", listener.local_addr()?);
    server::serve(listener, app, pending::<()>()).await;
    Ok(())
}

/// Starts a session. A real server checks a password.
async fn log_in(State(app): State<App>, user: String) -> String {
    app.sessions.begin(user) + "\n"
}

async fn log_out(State(app): State<App>, Query(query): Query<Parameters>) -> StatusCode {
    let has_ended = query.get("token").is_some_and(|token| app.sessions.end(token));
    if has_ended { StatusCode::NO_CONTENT } else { StatusCode::NOT_FOUND }
}

async fn follow(State(app): State<App>, Query(query): Query<Parameters>, request: Request) -> Response {
    let version = request.version();
    let session = query.get("token").and_then(|token| Some((token, app.sessions.user_of(token)?)));
    // After a status other than 200 a browser does not reconnect, which is right without a session.
    let Some((token, user)) = session else { return StatusCode::UNAUTHORIZED.into_response() };
    let config = sessions::with_pings_and_checks(sse_hyper::connection_config(&request));
    // The session determines the channel, so a client cannot follow the channel of another user.
    let channel = match app.hub.open_channel(&format!("user/{user}"), user_channel_config()) {
        Ok(channel) => channel,
        // The name of a user can be too long for good.
        Err(error) => return Refusal::from(error).into_response(version).into_response(),
    };
    match app.hub.connect(config) {
        Ok(outbound) if outbound.subscribe(&channel).is_ok() => {
            tokio::spawn(app.sessions.check_periodically(outbound.handle(), token.clone()));
            sse_hyper::response(version, outbound).into_response()
        }
        _ => Refusal::default().into_response(version).into_response(),
    }
}

async fn notify(State(app): State<App>, Path(user): Path<String>, text: String) -> (StatusCode, String) {
    match app.hub.open_channel(&format!("user/{user}"), user_channel_config()) {
        Ok(channel) => match channel.publish(&Event::new().event("note").data(text)) {
            Ok(published) => (StatusCode::ACCEPTED, format!("{} streams\n", published.subscriptions)),
            Err(error) => (StatusCode::BAD_REQUEST, error.to_string()),
        },
        Err(error @ OpenError::NameTooLong { .. }) => (StatusCode::BAD_REQUEST, error.to_string()),
        Err(error) => (StatusCode::SERVICE_UNAVAILABLE, error.to_string()),
    }
}

fn user_channel_config() -> ChannelConfig {
    ChannelConfig { empty_timeout: Some(USER_AWAY), ..ChannelConfig::default() }
}
