//! A server on real sockets, and a client that reads raw bytes.

use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, Request, State};
use axum::http::Response;
use axum::routing::{get, post};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use sse_core::shared::SharedHub;
use sse_core::{ChannelConfig, ControlEvents, Decoder, Event, HubConfig, Message};
use sse_hyper::{Refusal, SseBody};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

/// The time after which a wait fails the test.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(20);

pub(crate) fn hub(config: HubConfig) -> SharedHub {
    sse_hyper::start("e", config, &TokioExecutor::new(), TokioTimer::new()).unwrap()
}

/// Returns a router with `GET /sse/{channels, separated by commas}` and `POST /publish/{channel}`.
pub(crate) fn router(hub: SharedHub) -> Router {
    Router::new()
        .route("/sse/{channels}", get(subscribe))
        .route("/publish/{channel}", post(publish))
        .with_state(hub)
}

async fn subscribe(
    State(hub): State<SharedHub>,
    Path(channels): Path<String>,
    request: Request,
) -> Response<SseBody> {
    let version = request.version();
    let Ok(outbound) = hub.connect(sse_hyper::connection_config(&request)) else {
        return Refusal::Later(Duration::from_secs(3)).into_response(version);
    };
    for name in channels.split(',') {
        outbound.subscribe(&hub.open_channel(name, ChannelConfig::default()).unwrap()).unwrap();
    }
    sse_hyper::response(version, outbound)
}

async fn publish(State(hub): State<SharedHub>, Path(channel): Path<String>, body: Bytes) -> String {
    let channel = hub.open_channel(&channel, ChannelConfig::default()).unwrap();
    let published = channel.publish(&Event::new().data(String::from_utf8_lossy(&body))).unwrap();
    published.frame.id().unwrap_or_default().to_owned()
}

/// Serves on a free port, and returns the port.
pub(crate) async fn serve(hub: SharedHub) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move { axum::serve(listener, router(hub)).await.unwrap() });
    port
}

/// A client over HTTP/1.1 that checks the bytes on the wire.
pub(crate) struct Client {
    socket: TcpStream,
    raw: Vec<u8>,
    pub(crate) head: String,
    /// The received body without its chunked coding.
    pub(crate) body: Vec<u8>,
    decoder: Decoder,
}

impl Client {
    /// Sends a request for a stream, and reads the head.
    pub(crate) async fn get(port: u16, path: &str, last_event_id: Option<&str>) -> Client {
        let mut socket = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        let id = last_event_id.map_or(String::new(), |id| format!("Last-Event-ID: {id}\r\n"));
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{id}\r\n");
        socket.write_all(request.as_bytes()).await.unwrap();
        let mut client = Client {
            socket,
            raw: Vec::new(),
            head: String::new(),
            body: Vec::new(),
            decoder: Decoder::new(),
        };
        while client.head.is_empty() {
            assert!(client.read().await, "the connection ended before the head");
            if let Some(end) = client.raw.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
                client.head = String::from_utf8(client.raw.drain(..end + 4).collect()).unwrap();
            }
        }
        client.unframe();
        client
    }

    /// Waits for the next message.
    pub(crate) async fn message(&mut self) -> Message {
        loop {
            if let Some(message) = self.decoder.next_message() {
                return message.unwrap();
            }
            assert!(self.read().await, "the stream ended before the message");
            self.unframe();
        }
    }

    /// Waits for a number of messages other than the position event (H3), and returns their data.
    pub(crate) async fn data(&mut self, count: usize) -> Vec<String> {
        let mut data = Vec::new();
        while data.len() < count {
            let message = self.message().await;
            if message.event != ControlEvents::POSITION {
                data.push(message.data);
            }
        }
        data
    }

    /// Waits until the server ends the stream.
    pub(crate) async fn end(&mut self) {
        while self.read().await {
            self.unframe();
        }
    }

    pub(crate) fn last_event_id(&self) -> &str {
        self.decoder.last_event_id()
    }

    /// Waits for the reconnection time from the server.
    pub(crate) async fn retry(&mut self) -> Duration {
        loop {
            let message = self.decoder.next_message();
            assert!(message.is_none(), "{message:?}");
            if let Some(retry) = self.decoder.retry() {
                return retry;
            }
            assert!(self.read().await, "the stream ended before a retry time");
            self.unframe();
        }
    }

    /// Reads from the socket. Returns false at its end, and after the last chunk.
    async fn read(&mut self) -> bool {
        if self.raw.starts_with(b"0\r\n\r\n") {
            return false;
        }
        let mut bytes = [0; 4096];
        let count = timeout(TIMEOUT, self.socket.read(&mut bytes)).await.expect("bytes arrive").unwrap();
        self.raw.extend_from_slice(&bytes[..count]);
        count > 0
    }

    /// Decodes complete chunks. A body of a known length is not chunked.
    fn unframe(&mut self) {
        if self.head.contains("content-length") {
            self.decoder.push(&self.raw);
            return self.body.append(&mut self.raw);
        }
        loop {
            let Some(line_end) = self.raw.windows(2).position(|bytes| bytes == b"\r\n") else { return };
            let size =
                usize::from_str_radix(std::str::from_utf8(&self.raw[..line_end]).unwrap(), 16).unwrap();
            let end = line_end + 2 + size + 2;
            if size == 0 || self.raw.len() < end {
                return;
            }
            let data = &self.raw[line_end + 2..end - 2];
            self.body.extend_from_slice(data);
            self.decoder.push(data);
            self.raw.drain(..end);
        }
    }
}

/// Waits until a condition holds. Fails the test otherwise.
pub(crate) async fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let waited = timeout(TIMEOUT, async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    });
    assert!(waited.await.is_ok(), "{what}");
}
