//! Transports for `axum::serve`.

use std::fmt;
use std::io;

use axum::serve::Listener;
use hyper_util::rt::{TokioIo, TokioTimer};

use crate::{Transport, TransportConfig, Transports};

/// A listener for `axum::serve` whose transports have limits (feature `axum`).
///
/// `axum::serve` sets no limits itself: peers that do not read, or never complete a request, keep their descriptors, and the
/// graceful shutdown waits for them. With this listener it returns within
/// [`shutdown_timeout`](TransportConfig::shutdown_timeout), because the shutdown drops the listener.
///
/// Errors of `accept` do not end the server: the listener inside retries, as those of axum and tokio do. Set socket options on
/// the listener inside (`axum::serve::ListenerExt::tap_io`). `axum::serve` takes no executor, so streams of HTTP/2 are not
/// reset one by one.
///
/// ```no_run
/// use axum::Router;
/// use axum::serve::ListenerExt;
/// use sse_hyper::{TransportConfig, TransportListener};
///
/// # async fn serve(app: Router) -> std::io::Result<()> {
/// let tcp = tokio::net::TcpListener::bind("127.0.0.1:3000").await?.tap_io(|socket| {
///     // Nagle's algorithm would delay small events until the previous ones are acknowledged.
///     let _ = socket.set_nodelay(true);
/// });
/// axum::serve(TransportListener::new(tcp, TransportConfig::default()), app).await
/// # }
/// ```
///
/// For `ConnectInfo<SocketAddr>`, call `tap_io` on this listener as well: axum implements `Connected` for its result.
pub struct TransportListener<L> {
    listener: L,
    transports: Transports,
    config: TransportConfig,
}

impl<L> TransportListener<L> {
    /// Creates a listener that accepts from `listener`. Its transports are a group of their own.
    pub fn new(listener: L, config: TransportConfig) -> TransportListener<L> {
        let transports = Transports::new(config.clone(), TokioTimer::new());
        TransportListener { listener, transports, config }
    }

    /// Returns the group of the transports, for [`Transports::close_within`].
    pub fn transports(&self) -> Transports {
        self.transports.clone()
    }
}

impl<L: Listener> Listener for TransportListener<L> {
    type Io = TokioIo<Transport<TokioIo<L::Io>>>;
    type Addr = L::Addr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        let (io, address) = self.listener.accept().await;
        (TokioIo::new(self.transports.wrap(TokioIo::new(io))), address)
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        self.listener.local_addr()
    }
}

impl<L> Drop for TransportListener<L> {
    fn drop(&mut self) {
        if let Some(time) = self.config.shutdown_timeout {
            self.transports.close_within(time);
        }
    }
}

impl<L: fmt::Debug> fmt::Debug for TransportListener<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TransportListener").field(&self.listener).finish()
    }
}
