//! The paths: servers that use their adapter as applications do.

pub mod actix;
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
use ::tokio::net::{TcpListener, TcpSocket};
use sse_core::shared::SharedHub;
use sse_hyper::{Refusal, SseBody};

use crate::{Handler, Listening, RETRY_AFTER, Setup, Stop};

/// Responds to a request with a body, on every path on which hyper parses requests.
fn respond<B>(handler: &Handler, request: &Request<B>) -> Response<SseBody> {
    match handler.subscribe(request.uri().path(), sse_hyper::connection_config(request)) {
        Some(outbound) => sse_hyper::response(request.version(), outbound),
        None => Refusal::Later(RETRY_AFTER).into_response(request.version()),
    }
}

/// Returns a service of hyper that calls [`respond`].
fn service(
    handler: Handler,
) -> impl Service<Request<Incoming>, Response = Response<SseBody>, Error = Infallible, Future = RespondFuture>
{
    service_fn(move |request| ready(Ok(respond(&handler, &request))))
}

type RespondFuture = Ready<Result<Response<SseBody>, Infallible>>;

/// Listens on tokio, and creates the handler of the server.
async fn listen(hub: &SharedHub, setup: &Setup, ready: &Sender<Listening>) -> (TcpListener, Handler) {
    let socket = TcpSocket::new_v4().expect("a socket");
    if let Some(size) = setup.send_buffer {
        // Accepted sockets inherit it.
        socket.set_send_buffer_size(size).expect("a size");
    }
    socket.bind(([127, 0, 0, 1], 0).into()).expect("a port");
    let listener = socket.listen(1024).expect("a listener");
    let port = listener.local_addr().expect("a port").port();
    (listener, Handler::start(hub.clone(), setup, port, ready))
}

/// Creates a single-threaded runtime of tokio.
fn tokio_runtime() -> ::tokio::runtime::Runtime {
    ::tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

/// Waits until the test stops the server or ends.
async fn stopped(stop: Stop) {
    let _ = stop.await;
}
