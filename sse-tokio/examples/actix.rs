//! A server with actix-web. A connection is a stream of bytes, which the `streaming` bodies of actix-web accept.
//!
//! Run `cargo run --package sse-tokio --example actix`, then `curl -N http://127.0.0.1:3000/sse/news` and
//! `curl -d 'hello' http://127.0.0.1:3000/publish/news`. Try `-H 'Last-Event-ID: …'` or `?lastEventId=…` with an earlier
//! id. Stop the server with Ctrl-C while a stream is open: it returns at once. `docs/examples.md` describes the routes.

use std::borrow::Cow;
use std::collections::HashMap;
use std::error::Error;
use std::str::{self, Utf8Error};
use std::time::Duration;

use actix_web::rt::net::TcpStream;
use actix_web::web::{self, Data, Query};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer};
use percent_encoding::percent_decode_str;
use sse_core::adapter::HEADERS;
use sse_core::shared::SharedHub;
use sse_core::{ChannelConfig, ConnectionConfig, Event, HubConfig, LastEventId, OpenError, PublishError};
use sse_tokio::EventStream;

/// The reason for refusing a name or an id.
const NOT_UTF_8: &str = "a name or an id is not UTF-8";

/// The interval of pings, shorter than the idle timeout of common proxies and load balancers.
const PING: Duration = Duration::from_secs(25);

/// The time after which the system closes a connection whose peer takes no bytes.
#[cfg(target_os = "linux")]
const UNREAD_TIMEOUT: Duration = Duration::from_secs(35);

#[actix_web::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // All threads of actix-web share one hub. Its driver task runs on this thread.
    let hub = sse_tokio::start(sse_tokio::epoch_from_clock(), HubConfig::default())?;
    let port = std::env::var("PORT").unwrap_or("3000".to_owned());
    let data = Data::new(hub.clone());
    let server = HttpServer::new(move || {
        App::new()
            .app_data(data.clone())
            .route("/sse/{channel}", web::get().to(follow))
            .route("/publish/{channel}", web::post().to(publish))
    })
    // actix-web owns the socket, and the hub cannot close it: the system closes it if the peer does not read.
    .on_connect(|connection, _| {
        if let Some(socket) = connection.downcast_ref::<TcpStream>() {
            close_if_unread(socket);
        }
    })
    // Connections that do not complete the head of a request in this time are closed. The default, 5 seconds, is short for a
    // busy machine.
    .client_request_timeout(Duration::from_secs(30))
    .disable_signals()
    .bind(format!("127.0.0.1:{port}"))?;
    for address in server.addrs() {
        println!("http://{address}/");
    }
    let server = server.run();
    let handle = server.handle();
    tokio::spawn(async move {
        let _ = tokio::signal::ctrl_c().await;
        // A graceful stop waits for open streams, so the hub has to end them.
        hub.shut_down();
        handle.stop(true).await;
    });
    server.await?;
    Ok(())
}

/// Lets the system close a connection whose peer takes no bytes for a little longer than the stall timeout of the hub.
#[cfg(target_os = "linux")]
fn close_if_unread(socket: &TcpStream) {
    let _ = socket2::SockRef::from(socket).set_tcp_user_timeout(Some(UNREAD_TIMEOUT));
}

#[cfg(not(target_os = "linux"))]
fn close_if_unread(_: &TcpStream) {}

/// Returns the name of a channel, which is the last segment of the path. The extractor `Path` would replace bytes that are not
/// UTF-8.
fn channel_name(request: &HttpRequest) -> Result<Cow<'_, str>, Utf8Error> {
    let name = request.uri().path().rsplit('/').next();
    percent_decode_str(name.unwrap_or_default()).decode_utf8()
}

async fn follow(
    hub: Data<SharedHub>,
    query: Query<HashMap<String, String>>,
    request: HttpRequest,
) -> HttpResponse {
    let Ok(name) = channel_name(&request) else { return HttpResponse::BadRequest().body(NOT_UTF_8) };
    let header = request.headers().get("last-event-id").and_then(|id| LastEventId::new(id.as_bytes()));
    let last_event_id = header.or_else(|| LastEventId::new(query.get("lastEventId")?.as_bytes()));
    let channel = match hub.open_channel(&name, ChannelConfig::default()) {
        Err(error @ OpenError::NameTooLong { .. }) => {
            return HttpResponse::BadRequest().body(error.to_string());
        }
        channel => channel.ok(),
    };
    let config = ConnectionConfig { last_event_id, ping: Some(PING), ..ConnectionConfig::default() };
    let outbound = hub.connect(config).ok();
    let outbound = outbound.zip(channel).filter(|(outbound, channel)| outbound.subscribe(channel).is_ok());
    let mut response = HttpResponse::Ok();
    for field in HEADERS {
        response.insert_header(field);
    }
    match outbound {
        Some((outbound, _)) => response.streaming(EventStream::new(outbound)),
        // At a limit. Browsers reconnect only after status 200, so the response asks them to retry later.
        None => response.body("retry: 10000\n"),
    }
}

async fn publish(
    hub: Data<SharedHub>,
    query: Query<HashMap<String, String>>,
    request: HttpRequest,
    text: String,
) -> HttpResponse {
    let Ok(name) = channel_name(&request) else { return HttpResponse::BadRequest().body(NOT_UTF_8) };
    let header = request.headers().get("x-event-id").map(|id| str::from_utf8(id.as_bytes()));
    let Ok(id) = header.unwrap_or(Ok(query.get("id").map_or("", String::as_str))) else {
        return HttpResponse::BadRequest().body(NOT_UTF_8);
    };
    let mut event = Event::new().data(text);
    if !id.is_empty() {
        event = event.id(id);
    }
    let channel = match hub.open_channel(&name, ChannelConfig::default()) {
        Ok(channel) => channel,
        Err(error @ OpenError::NameTooLong { .. }) => {
            return HttpResponse::BadRequest().body(error.to_string());
        }
        Err(error) => return HttpResponse::ServiceUnavailable().body(error.to_string()),
    };
    match channel.publish(&event) {
        Ok(_) => HttpResponse::Accepted().finish(),
        Err(error @ PublishError::TooLarge { .. }) => HttpResponse::PayloadTooLarge().body(error.to_string()),
        Err(error) => HttpResponse::BadRequest().body(error.to_string()),
    }
}
