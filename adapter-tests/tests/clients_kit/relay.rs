//! A relay between clients and a server: it resets streams, holds requests back, and receives reports of clients.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use axum::Router;
use axum::http::header::CONNECTION;
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::map_response;
use axum::response::{Html, Response};
use axum::routing::{get, post};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{Notify, watch};

/// The relay. A page that it serves has the origin of the streams.
pub(crate) struct Relay {
    port: u16,
    pages: u16,
    gate: Arc<Gate>,
    reports: Receiver<String>,
    _runtime: Runtime,
}

/// What the relay does with streams.
struct Gate {
    /// Whether requests are forwarded.
    is_open: watch::Sender<bool>,
    /// The beginning of the requests whose streams are reset.
    request: Vec<u8>,
    reset: Notify,
}

impl Relay {
    /// Starts a relay in front of a server, with a page that follows channels. Streams of the channel `reset` can be reset.
    pub(crate) fn start(server: u16, channels: &[&str], reset: &str) -> Relay {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
        let (listener, port) = runtime.block_on(listen());
        let (pages_listener, pages) = runtime.block_on(listen());
        let (sender, reports) = channel();
        let app = app(page(pages, channels), sender);
        runtime.spawn(async { axum::serve(pages_listener, app).await });

        let request = format!("GET /sse/{reset} ").into_bytes();
        let gate = Gate { is_open: watch::Sender::new(true), request, reset: Notify::new() };
        let gate = Arc::new(gate);
        let relayed = gate.clone();
        runtime.spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(relay(client, server, pages, relayed.clone()));
            }
        });
        Relay { port, pages, gate, reports, _runtime: runtime }
    }

    /// Returns the URL of the page, without the slash: the start of the URL of each stream.
    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Returns the URL to which clients report.
    pub(crate) fn reports_url(&self) -> String {
        reports_url(self.pages)
    }

    /// Waits for a report.
    pub(crate) fn report_within(&self, time: Duration) -> Option<String> {
        self.reports.recv_timeout(time).ok()
    }

    /// Holds further requests back until [`Relay::release`]. Open streams stay open.
    pub(crate) fn hold(&self) {
        self.gate.is_open.send_replace(false);
    }

    /// Forwards the requests that were held back.
    pub(crate) fn release(&self) {
        self.gate.is_open.send_replace(true);
    }

    /// Resets the TCP connections of the streams that can be reset.
    pub(crate) fn reset(&self) {
        self.gate.reset.notify_waiters();
    }
}

/// Relays one connection, which can have several requests, until one side closes it or it is reset.
async fn relay(mut client: TcpStream, server: u16, pages: u16, gate: Arc<Gate>) -> io::Result<()> {
    let request = read(&mut client).await?;
    let port = if request.starts_with(b"GET /sse/") { server } else { pages };
    let mut upstream = TcpStream::connect(("127.0.0.1", port)).await?;
    let (mut from_client, mut to_client) = client.split();
    let (mut from_server, mut to_server) = upstream.split();
    let forward = async {
        let mut request = request;
        while !request.is_empty() {
            let _ = gate.is_open.subscribe().wait_for(|is_open| *is_open).await;
            let can_be_reset = request.starts_with(&gate.request);
            let reset = gate.reset.notified();
            to_server.write_all(&request).await?;
            request = tokio::select! {
                next = read(&mut from_client) => next?,
                () = reset, if can_be_reset => return Ok(true),
            };
        }
        Ok::<bool, io::Error>(false)
    };
    let is_reset = tokio::select! {
        is_reset = forward => is_reset?,
        copied = tokio::io::copy(&mut from_server, &mut to_client) => copied.map(|_| false)?,
    };
    if is_reset {
        client.set_zero_linger()?;
    }
    Ok(())
}

/// Reads some bytes. A request of a test fits into them. Returns nothing at the end.
async fn read(source: &mut (impl AsyncReadExt + Unpin)) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(16 * 1024);
    source.read_buf(&mut bytes).await?;
    Ok(bytes)
}

/// Serves the page, and receives reports.
fn app(page: String, reports: Sender<String>) -> Router {
    let receive = move |report: String| async move {
        let _ = reports.send(report);
        StatusCode::NO_CONTENT
    };
    // Without its own connection, a browser might request a stream on the connection of the page.
    let close = async |mut response: Response| {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        response
    };
    let router = Router::new().route("/", get(async || Html(page))).route("/reports", post(receive));
    router.layer(map_response(close))
}

/// Returns a page that follows channels, and reports to a port.
fn page(port: u16, channels: &[&str]) -> String {
    let script = include_str!("streams.mjs");
    let reports = reports_url(port);
    format!(
        "<!doctype html><script type=module>{script}
         follow(EventSource, location.origin, {channels:?}, reporter('{reports}'))</script>"
    )
}

fn reports_url(port: u16) -> String {
    format!("http://127.0.0.1:{port}/reports")
}

async fn listen() -> (TcpListener, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
    let port = listener.local_addr().expect("the listener is bound").port();
    (listener, port)
}
