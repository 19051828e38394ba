//! The paths: servers, each in the way that an application would use its adapter.

pub mod async_std;
pub mod hyper;
mod raw;
pub mod smol;
pub mod tokio;

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::sync::mpsc::Sender;

use ::hyper::body::Incoming;
use ::hyper::service::{Service, service_fn};
use ::hyper::{Request, Response};
use ::tokio::net::TcpListener;
use sse_core::shared::SharedHub;
use sse_hyper::{Refusal, SseBody};

use crate::{COME_BACK, Desk, Listening, Setup, Stop};

/// Answers a request by a body, which is what becomes of it on every path that has hyper read requests.
fn answer<B>(desk: &Desk, request: &Request<B>) -> Response<SseBody> {
    match desk.stream(request.uri().path(), sse_hyper::connection_config(request)) {
        Some(stream) => sse_hyper::response(request.version(), stream),
        None => Refusal::Later(COME_BACK).into_response(request.version()),
    }
}

/// The same for hyper's own servers.
fn service(
    desk: Desk,
) -> impl Service<Request<Incoming>, Response = Response<SseBody>, Error = Infallible, Future = Answered> {
    service_fn(move |request| ready(Ok(answer(&desk, &request))))
}

type Answered = Ready<Result<Response<SseBody>, Infallible>>;

/// Opens the desk of a server on tokio, and listens for it.
async fn listen(hub: &SharedHub, setup: &Setup, told: &Sender<Listening>) -> (TcpListener, Desk) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("a port").port();
    (listener, Desk::open(hub.clone(), setup, port, told))
}

/// A runtime of tokio with one thread.
fn tokio_runtime() -> ::tokio::runtime::Runtime {
    ::tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

/// Ready when the server is to stop: the test said so, or is over.
async fn stopped(stop: Stop) {
    let _ = stop.await;
}
