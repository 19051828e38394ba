//! Streams of bytes on actix-web, which owns its sockets.

use std::sync::mpsc::Sender;
use std::time::Duration;

use actix_web::rt::net::TcpStream;
use actix_web::web::{self, Data};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer};
use sse_core::adapter::HEADERS;
use sse_core::{ConnectionConfig, LastEventId};
use sse_tokio::EventStream;

use super::{listen, raw, stopped};
use crate::{Handler, Listening, Setup, Stop};

/// A stream of bytes as the body of actix-web.
pub fn stream(setup: Setup, ready: Sender<Listening>, stop: Stop) {
    actix_web::rt::System::new().block_on(async {
        let hub = sse_tokio::start("e", setup.hub.clone()).expect("the epoch is valid");
        let (listener, handler) = listen(&hub, &setup, &ready).await;
        let data = Data::new(handler);
        let write_timeout = setup.transport.write_timeout;
        let server = HttpServer::new(move || {
            App::new().app_data(data.clone()).route("/sse/{channels}", web::get().to(follow))
        })
        .workers(1)
        .disable_signals()
        .on_connect(move |connection, _| {
            if let Some(socket) = connection.downcast_ref::<TcpStream>() {
                close_if_unread(socket, write_timeout);
            }
        })
        .shutdown_timeout(setup.transport.shutdown_timeout.map_or(30, |time| time.as_secs()))
        .listen(listener.into_std().expect("a listener"))
        .expect("the server listens")
        .run();
        let handle = server.handle();
        actix_web::rt::spawn(async move {
            stopped(stop).await;
            hub.shut_down();
            handle.stop(true).await;
        });
        server.await.expect("the server runs");
    });
}

/// Lets the system close a connection whose peer takes no bytes: actix-web gives no other hold on it.
#[cfg(target_os = "linux")]
fn close_if_unread(socket: &TcpStream, time: Option<Duration>) {
    socket2::SockRef::from(socket).set_tcp_user_timeout(time).expect("an option");
}

#[cfg(not(target_os = "linux"))]
fn close_if_unread(_: &TcpStream, _: Option<Duration>) {}

async fn follow(handler: Data<Handler>, request: HttpRequest) -> HttpResponse {
    let id = request.headers().get("last-event-id").and_then(|id| LastEventId::new(id.as_bytes()));
    let config = ConnectionConfig { last_event_id: id, ..ConnectionConfig::default() };
    let mut response = HttpResponse::Ok();
    for field in HEADERS {
        response.insert_header(field);
    }
    match handler.subscribe(request.uri().path(), config) {
        Some(outbound) => response.streaming(EventStream::new(outbound)),
        None => response.body(raw::retry()),
    }
}
