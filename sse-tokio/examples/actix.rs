//! A server with actix-web. A connection is a stream of bytes, which the `streaming` bodies of actix-web accept.
//!
//! Run `cargo run --package sse-tokio --example actix`, then `curl -N http://127.0.0.1:3000/sse/news` and
//! `curl -d 'hello' http://127.0.0.1:3000/publish/news`. Try `-H 'Last-Event-ID: …'` or `?lastEventId=…` with an earlier
//! id. Stop the server with Ctrl-C while a stream is open: it returns at once.

use std::collections::HashMap;
use std::error::Error;

use actix_web::web::{self, Data, Path, Query};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer};
use sse_core::adapter::HEADERS;
use sse_core::shared::SharedHub;
use sse_core::{ChannelConfig, ConnectionConfig, Event, HubConfig, LastEventId};
use sse_tokio::EventStream;

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

async fn follow(
    hub: Data<SharedHub>,
    name: Path<String>,
    query: Query<HashMap<String, String>>,
    request: HttpRequest,
) -> HttpResponse {
    let header = request.headers().get("last-event-id").and_then(|id| LastEventId::new(id.as_bytes()));
    let last_event_id = header.or_else(|| LastEventId::new(query.get("lastEventId")?.as_bytes()));
    let channel = hub.open_channel(&name, ChannelConfig::default()).ok();
    let outbound = hub.connect(ConnectionConfig { last_event_id, ..ConnectionConfig::default() }).ok();
    let outbound = outbound.zip(channel).filter(|(outbound, channel)| outbound.subscribe(channel).is_ok());
    let mut response = HttpResponse::Ok();
    for field in HEADERS {
        response.insert_header(field);
    }
    match outbound {
        Some((outbound, _)) => response.streaming(EventStream::new(outbound)),
        // At a limit. Browsers reconnect only after status 200, so the response asks them to retry later.
        None => response.body("retry: 10000\n\n"),
    }
}

async fn publish(hub: Data<SharedHub>, name: Path<String>, text: String) -> HttpResponse {
    let Ok(channel) = hub.open_channel(&name, ChannelConfig::default()) else {
        return HttpResponse::ServiceUnavailable().finish();
    };
    match channel.publish(&Event::new().data(text)) {
        Ok(published) => HttpResponse::Accepted().body(published.frame.id().unwrap_or_default().to_owned()),
        Err(error) => HttpResponse::BadRequest().body(error.to_string()),
    }
}
