//! A client that prints the events of a stream. It reconnects after lost connections and restarts of the server, and
//! follows redirects.
//!
//! Run `cargo run --example follow -- http://127.0.0.1:3000/sse/weather`. The environment variable `AUTHORIZATION` is
//! the value of the request header of that name. Redirects to another origin do not receive it.

use std::error::Error;
use std::pin::Pin;
use std::time::Duration;

use axum::body::{Body, Bytes};
use http_body::Body as _;
use hyper::Request;
use hyper::body::Incoming;
use hyper::header::{ACCEPT, AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, HeaderValue, LOCATION, RETRY_AFTER};
use hyper_util::client::legacy::{self, connect::HttpConnector};
use hyper_util::rt::TokioExecutor;
use sse_core::client::{Client, ClientAction, ClientConfig, ResponseHead, StopReason};
use sse_core::{Instant, Message};
use tokio::time::{Instant as Clock, sleep_until};
use url::Url;

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

/// The URL and the credentials of a request.
#[derive(Clone)]
pub(crate) struct Target {
    /// The URL.
    pub(crate) url: Url,
    /// The value of the `Authorization` header.
    pub(crate) authorization: Option<HeaderValue>,
}

impl Target {
    /// Returns the target of a redirect, or `None` if it is not an HTTP URL. Another origin receives no credentials.
    fn redirect(&self, location: &str) -> Option<Target> {
        let url = self.url.join(location).ok().filter(|url| matches!(url.scheme(), "http" | "https"))?;
        let is_same_origin = url.origin() == self.url.origin();
        Some(Target { url, authorization: self.authorization.clone().filter(|_| is_same_origin) })
    }

    fn request(&self, last_event_id: Option<String>) -> Result<Request<Body>, hyper::http::Error> {
        let mut request = Request::get(self.url.as_str())
            .header(ACCEPT, "text/event-stream")
            .header(CACHE_CONTROL, "no-store");
        if let Some(id) = last_event_id {
            request = request.header("last-event-id", HeaderValue::from_bytes(id.as_bytes())?);
        }
        if let Some(authorization) = &self.authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        request.body(Body::empty())
    }
}

/// Follows a stream until the client stops, and returns the reason.
///
/// # Errors
///
/// The error of a request that cannot be built.
pub(crate) async fn follow(
    mut client: Client,
    stream: Target,
    mut on_message: impl FnMut(Message),
) -> Result<StopReason, Box<dyn Error>> {
    let http: legacy::Client<HttpConnector, Body> =
        legacy::Client::builder(TokioExecutor::new()).build_http();
    let origin = Clock::now();
    let now = || Instant::from_nanos(u64::try_from(origin.elapsed().as_nanos()).unwrap_or(u64::MAX));
    let send = |request| Connection::Requested(Box::pin(http.request(request)));
    let mut connection = Connection::None;
    let mut target = stream.clone();
    loop {
        client.handle_timeout(now());
        while let Some(action) = client.poll_action() {
            match action {
                ClientAction::Connect { last_event_id } => {
                    eprintln!("connecting after {last_event_id:?}");
                    target = stream.clone();
                    connection = send(target.request(last_event_id)?);
                }
                ClientAction::Redirect { location, last_event_id } => {
                    eprintln!("redirected to {location:?}");
                    let next = target.redirect(&location);
                    match next.and_then(|next| Some((next.request(last_event_id).ok()?, next))) {
                        Some((request, next)) => (connection, target) = (send(request), next),
                        None => client.failed(now()),
                    }
                }
                ClientAction::Close => connection = Connection::None,
                ClientAction::Stop(reason) => return Ok(reason),
                _ => {}
            }
        }
        while let Some(message) = client.next_message() {
            match message {
                Ok(message) => on_message(message),
                Err(error) => eprintln!("{error}"),
            }
        }
        let deadline = client.poll_timeout().map(|at| origin + Duration::from_nanos(at.as_nanos()));
        let input = tokio::select! {
            // Input comes before the deadline: after a pause of this program, bytes that have arrived show that the
            // connection is alive.
            biased;
            input = connection.next() => input,
            () = sleep_until(deadline.unwrap_or(origin)), if deadline.is_some() => continue,
        };
        match input {
            Input::Head(Ok(response)) => {
                let header = |name| response.headers().get(name).map(HeaderValue::as_bytes);
                let head = ResponseHead {
                    status: response.status().as_u16(),
                    content_type: header(CONTENT_TYPE),
                    location: header(LOCATION),
                    retry_after: header(RETRY_AFTER),
                };
                client.opened(now(), head);
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

fn connection_lost(client: &mut Client, connection: &mut Connection, now: Instant, error: &dyn Error) {
    eprintln!("{error}");
    *connection = Connection::None;
    client.failed(now);
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let url = std::env::args().nth(1).ok_or("usage: follow http://HOST/PATH")?.parse()?;
    let authorization = std::env::var("AUTHORIZATION").ok().map(HeaderValue::try_from).transpose()?;
    // Different seeds keep clients that lose the same server from reconnecting at the same moment.
    let seed = u64::from(std::process::id());
    let client = Client::new(ClientConfig { seed, retry_refusals: true, ..ClientConfig::default() });
    let print = |message: Message| println!("{} {} {}", message.id, message.event, message.data);
    let reason = follow(client, Target { url, authorization }, print).await?;
    Err(reason.to_string().into())
}
