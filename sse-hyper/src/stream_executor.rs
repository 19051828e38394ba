//! The executor of HTTP/2 streams, which share one transport (T3).

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::rt::{Executor, Timer};
use pin_project_lite::pin_project;
use sse_core::CloseReason;
use sse_core::adapter::find_connection;
use sse_core::shared::Connection;

type SharedTimer = Arc<dyn Timer + Send + Sync>;

/// An executor for hyper's HTTP/2 server that resets the streams of ended connections, created by
/// [`Transports::executor`](crate::Transports::executor).
///
/// hyper runs each stream as a task, and polls the body of its response only while the peer grants a window. After the hub
/// has ended the connection of the body, the task has the stream timeout to write the last bytes. Then it is dropped, and
/// the peer receives `RST_STREAM`. The other streams of the transport continue. Tasks without a connection of a hub run as
/// on the executor inside.
#[derive(Clone)]
pub struct StreamExecutor<E> {
    executor: E,
    timer: SharedTimer,
    timeout: Option<Duration>,
}

impl<E> StreamExecutor<E> {
    pub(crate) fn new(executor: E, timer: SharedTimer, timeout: Option<Duration>) -> StreamExecutor<E> {
        StreamExecutor { executor, timer, timeout }
    }
}

impl<E, F> Executor<F> for StreamExecutor<E>
where
    F: Future,
    E: Executor<StreamTask<F>>,
{
    fn execute(&self, future: F) {
        let limit = self.timeout.map(|timeout| Limit { timer: Arc::clone(&self.timer), timeout });
        self.executor.execute(StreamTask { future, limit, expired: None });
    }
}

impl<E: fmt::Debug> fmt::Debug for StreamExecutor<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("StreamExecutor").field(&self.executor).finish()
    }
}

pin_project! {
    /// A task of a [`StreamExecutor`]. It is public because the bounds of the executor name it.
    pub struct StreamTask<F> {
        #[pin]
        future: F,
        // `None` without a limit, and after a connection was found.
        limit: Option<Limit>,
        // Completes when the connection has ended and the time after it has passed.
        expired: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    }
}

struct Limit {
    timer: SharedTimer,
    timeout: Duration,
}

impl Limit {
    /// Waits for the end of a connection, and for the time after it.
    async fn expired(self, connection: Connection) {
        if connection.closed().await == CloseReason::Disconnected {
            // The response no longer streams this connection.
            return std::future::pending().await;
        }
        let Some(at) = self.timer.now().checked_add(self.timeout) else {
            return std::future::pending().await;
        };
        while self.timer.now() < at {
            self.timer.sleep_until(at).await;
        }
    }
}

impl<F: Future> Future for StreamTask<F> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.project();
        let is_complete = if this.limit.is_none() {
            this.future.poll(cx).is_ready()
        } else {
            let (result, connection) = find_connection(|| this.future.poll(cx).is_ready());
            if let Some(connection) = connection
                && let Some(limit) = this.limit.take()
            {
                *this.expired = Some(Box::pin(limit.expired(connection)));
            }
            result
        };
        if is_complete {
            return Poll::Ready(());
        }
        this.expired.as_mut().map_or(Poll::Pending, |expired| expired.as_mut().poll(cx))
    }
}

impl<F> fmt::Debug for StreamTask<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamTask").finish_non_exhaustive()
    }
}
