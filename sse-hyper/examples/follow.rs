//! A client that prints the events of a stream and reconnects after lost connections and restarts of the server.
//!
//! Run `cargo run --example follow -- http://127.0.0.1:3000/sse/weather`.

use std::error::Error;
use std::pin::Pin;
use std::time::Duration;

use axum::body::{Body, Bytes};
use http_body::Body as _;
use hyper::body::Incoming;
use hyper::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use hyper::{Request, Uri};
use hyper_util::client::legacy::{self, connect::HttpConnector};
use hyper_util::rt::TokioExecutor;
use sse_core::Instant;
use sse_core::client::{Client, ClientAction, ClientConfig};
use tokio::time::{Instant as Clock, sleep_until};

type Response = Result<hyper::Response<Incoming>, legacy::Error>;

/// The connection of the client to its server.
enum Connection {
    None,
    Requested(Pin<Box<dyn Future<Output = Response>>>),
    Open(Incoming),
}

/// Input from the network.
enum Input {
    Head(Response),
    Bytes(Bytes),
    Failed(hyper::Error),
    Ended,
}

impl Connection {
    async fn next(&mut self) -> Input {
        match self {
            Connection::None => std::future::pending().await,
            Connection::Requested(response) => Input::Head(response.await),
            Connection::Open(body) => {
                match std::future::poll_fn(|cx| Pin::new(&mut *body).poll_frame(cx)).await {
                    None => Input::Ended,
                    Some(Err(error)) => Input::Failed(error),
                    // Trailers are ignored.
                    Some(Ok(frame)) => Input::Bytes(frame.into_data().unwrap_or_default()),
                }
            }
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let uri: Uri = std::env::args().nth(1).ok_or("usage: follow http://HOST/PATH")?.parse()?;
    let http: legacy::Client<HttpConnector, Body> =
        legacy::Client::builder(TokioExecutor::new()).build_http();
    let origin = Clock::now();
    let now = || Instant::from_nanos(u64::try_from(origin.elapsed().as_nanos()).unwrap_or(u64::MAX));
    // Different seeds keep clients that lose the same server from reconnecting at the same moment.
    let seed = u64::from(std::process::id());
    let mut client = Client::new(ClientConfig { seed, retry_refusals: true, ..ClientConfig::default() });
    let mut connection = Connection::None;
    loop {
        client.handle_timeout(now());
        while let Some(action) = client.poll_action() {
            match action {
                ClientAction::Connect { last_event_id } => {
                    eprintln!("connecting after {last_event_id:?}");
                    connection = Connection::Requested(Box::pin(http.request(request(&uri, last_event_id)?)));
                }
                ClientAction::Close => connection = Connection::None,
                ClientAction::Stop(reason) => return Err(reason.to_string().into()),
                _ => {}
            }
        }
        while let Some(message) = client.next_message() {
            match message {
                Ok(message) => println!("{} {} {}", message.id, message.event, message.data),
                Err(error) => eprintln!("{error}"),
            }
        }
        let deadline = client.poll_timeout().map(|at| origin + Duration::from_nanos(at.as_nanos()));
        let input = tokio::select! {
            input = connection.next() => input,
            () = sleep_until(deadline.unwrap_or(origin)), if deadline.is_some() => continue,
        };
        match input {
            Input::Head(Ok(response)) => {
                let header = |name| response.headers().get(name).map(HeaderValue::as_bytes);
                let status = response.status().as_u16();
                client.opened(now(), status, header(CONTENT_TYPE), header(RETRY_AFTER));
                connection = Connection::Open(response.into_body());
            }
            Input::Bytes(bytes) => client.bytes(now(), &bytes),
            Input::Head(Err(error)) => connection_lost(&mut client, &mut connection, now(), &error),
            Input::Failed(error) => connection_lost(&mut client, &mut connection, now(), &error),
            Input::Ended => {
                connection = Connection::None;
                client.ended(now());
            }
        }
    }
}

fn request(uri: &Uri, last_event_id: Option<String>) -> Result<Request<Body>, hyper::http::Error> {
    let request = Request::get(uri).header(ACCEPT, "text/event-stream").header(CACHE_CONTROL, "no-store");
    let id = last_event_id.map(|id| HeaderValue::from_bytes(id.as_bytes())).transpose()?;
    match id {
        Some(id) => request.header("last-event-id", id).body(Body::empty()),
        None => request.body(Body::empty()),
    }
}

fn connection_lost(client: &mut Client, connection: &mut Connection, now: Instant, error: &dyn Error) {
    eprintln!("{error}");
    *connection = Connection::None;
    client.failed(now);
}
