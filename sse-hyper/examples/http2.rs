//! Plain hyper with HTTP/2 and HTTP/1.1 on one port. Over HTTP/2, the limit of browsers of six connections for each host
//! does not apply: all streams share one connection.
//!
//! Run `cargo run --package sse-hyper --example http2`, then `curl -N --http2-prior-knowledge http://127.0.0.1:3000/` and
//! `curl -N http://127.0.0.1:3000/`. Add `-i` to compare the heads. Browsers use HTTP/2 over TLS only, and the same
//! `serve_connection` serves a TLS stream.

use std::convert::Infallible;
use std::error::Error;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use sse_core::shared::{Channel, SharedHub};
use sse_core::{ChannelConfig, ConnectionConfig, Event, HubConfig};
use sse_hyper::{Refusal, SseBody, TransportConfig, Transports};
use tokio::net::TcpListener;
use tokio::time::sleep;

/// The interval of pings, shorter than the idle timeout of common proxies and load balancers.
const PING: Duration = Duration::from_secs(25);

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let epoch = sse_hyper::epoch_from_clock();
    let hub = sse_hyper::start(epoch, HubConfig::default(), &TokioExecutor::new(), TokioTimer::new())?;
    let clock = hub.open_channel("clock", ChannelConfig::default())?;
    tokio::spawn(tick(hub.clone(), clock.clone()));

    // Closes connections that send no complete request within 30 seconds, and those whose peer takes no bytes for 35. Over
    // HTTP/2, a stream whose peer grants no window is reset, and the others continue.
    let transports = Transports::new(TransportConfig::default(), TokioTimer::new());
    let mut server = Builder::new(transports.executor(TokioExecutor::new()));
    // With a timer, hyper closes HTTP/1 connections that do not complete a further request within 30 seconds, and HTTP/2
    // connections whose peer does not respond to a ping.
    server.http1().timer(TokioTimer::new());
    server.http2().timer(TokioTimer::new()).keep_alive_interval(Duration::from_secs(20));
    let port = std::env::var("PORT").unwrap_or("3000".to_owned());
    let listener = TcpListener::bind(format!("127.0.0.1:{port}")).await?;
    println!("http://{}/", listener.local_addr()?);
    loop {
        let (socket, _) = match listener.accept().await {
            Ok(accepted) => accepted,
            // Most likely no file descriptor is free. Wait until other connections end.
            Err(error) => {
                eprintln!("cannot accept a connection: {error}");
                sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let (server, io) = (server.clone(), transports.wrap(TokioIo::new(socket)));
        let (hub, clock) = (hub.clone(), clock.clone());
        tokio::spawn(async move {
            let service = service_fn(move |request| {
                let response = follow(&hub, &clock, &request);
                async { Ok::<_, Infallible>(response) }
            });
            if let Err(error) = server.serve_connection(io, service).await {
                eprintln!("{error}");
            }
        });
    }
}

/// Subscribes a request to the clock. The head depends on the version: HTTP/2 has no `connection: keep-alive`.
fn follow(hub: &SharedHub, clock: &Channel, request: &Request<Incoming>) -> Response<SseBody> {
    let config = ConnectionConfig { ping: Some(PING), ..sse_hyper::connection_config(request) };
    let outbound = hub.connect(config).ok();
    match outbound.filter(|outbound| outbound.subscribe(clock).is_ok()) {
        Some(outbound) => sse_hyper::response(request.version(), outbound),
        None => Refusal::default().into_response(request.version()),
    }
}

async fn tick(hub: SharedHub, clock: Channel) {
    let mut seconds = tokio::time::interval(Duration::from_secs(1));
    for second in 0.. {
        seconds.tick().await;
        let text = format!("{second} s, {} streams", hub.stats().connections);
        if clock.publish(&Event::new().data(text)).is_err() {
            return;
        }
    }
}
