//! The paths: servers, each in the way that an application would use its adapter.

pub mod async_std;
pub mod hyper;
mod raw;
pub mod smol;
pub mod tokio;

use ::hyper::Request;
use sse_hyper::{Refusal, SseBody};

use crate::{COME_BACK, Desk, Stop};

/// Answers a request by a body, which is what becomes of it on every path that has hyper read requests.
fn answer<B>(desk: &Desk, request: &Request<B>) -> ::hyper::Response<SseBody> {
    match desk.stream(request.uri().path(), sse_hyper::connection_config(request)) {
        Some(stream) => sse_hyper::response(request.version(), stream),
        None => Refusal::Later(COME_BACK).into_response(request.version()),
    }
}

/// A runtime of tokio with one thread.
fn tokio_runtime() -> ::tokio::runtime::Runtime {
    ::tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

/// Ready when the server is to stop: the test said so, or is over.
async fn stopped(stop: Stop) {
    let _ = stop.await;
}
