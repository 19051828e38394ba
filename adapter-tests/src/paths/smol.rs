//! Bodies and attached sockets on smol, with requests by hyper.

use std::sync::mpsc::Sender;
use std::time::Duration;

use futures_lite::{AsyncRead, AsyncWrite};
use hyper::server::conn::http1;
use smol::net::TcpListener;
use smol_hyper::rt::{FuturesIo, SmolExecutor, SmolTimer};
use sse_async_std::Sockets;
use sse_core::adapter::Framing;
use sse_core::shared::{Outbound, SharedHub};
use sse_hyper::{Outcome, Transports};

use super::{service, stopped};
use crate::{Handler, Listening, Setup, Stop};

/// A body with the server of hyper.
pub fn body(setup: Setup, ready: Sender<Listening>, stop: Stop) {
    let executor = std::sync::Arc::new(smol::Executor::new());
    let hub =
        sse_hyper::start("e", setup.hub.clone(), &SmolExecutor::new(executor.clone()), SmolTimer::new());
    let hub = hub.expect("the epoch is valid");
    smol::block_on(executor.run(async {
        let (listener, handler) = listen(&hub, &setup, &ready).await;
        let transports = Transports::new(setup.transport.clone(), SmolTimer::new());
        let serving = async {
            loop {
                let (socket, _) = listener.accept().await.expect("a client connects");
                let mut builder = http1::Builder::new();
                builder.timer(SmolTimer::new());
                let io = transports.wrap(FuturesIo::new(socket));
                let connection = builder.serve_connection(io, service(handler.clone()));
                executor.spawn(async { drop(connection.await) }).detach();
            }
        };
        futures_lite::future::or(serving, stopped(stop)).await;
        shut_down(&hub).await;
        // hyper still has to write the last bytes of the bodies.
        smol::Timer::after(Duration::from_millis(50)).await;
    }));
}

/// Attached sockets, with requests and heads by hyper.
pub fn attached(setup: Setup, ready: Sender<Listening>, stop: Stop) {
    let executor = smol::Executor::new();
    let (hub, driver) = sse_async_std::drive("e", setup.hub.clone()).expect("the epoch is valid");
    executor.spawn(driver).detach();
    let (sockets, serving) = Sockets::drive();
    executor.spawn(serving).detach();
    smol::block_on(executor.run(async {
        let (listener, handler) = listen(&hub, &setup, &ready).await;
        let transports = Transports::new(setup.transport.clone(), SmolTimer::new());
        let accepting = async {
            loop {
                let (socket, _) = listener.accept().await.expect("a client connects");
                let (handler, sockets, transports) = (handler.clone(), sockets.clone(), transports.clone());
                let serving = async move {
                    if let Some(detached) = serve_requests(socket, handler, &transports).await {
                        let socket: std::sync::Arc<smol::Async<std::net::TcpStream>> = detached.io.into();
                        sockets.attach(socket, detached.outbound, detached.framing).expect("a socket");
                    }
                };
                executor.spawn(serving).detach();
            }
        };
        futures_lite::future::or(accepting, stopped(stop)).await;
        shut_down(&hub).await;
    }));
}

/// Listens on smol, and creates the handler of the server.
async fn listen(hub: &SharedHub, setup: &Setup, ready: &Sender<Listening>) -> (TcpListener, Handler) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("a port").port();
    (listener, Handler::start(hub.clone(), setup, port, ready))
}

/// A socket with an event stream that has left hyper.
pub(super) struct Detached<I> {
    pub(super) io: I,
    pub(super) outbound: Outbound,
    pub(super) framing: Framing,
}

/// Serves the requests on a socket with hyper until a response is an event stream.
pub(super) async fn serve_requests<I>(
    socket: I,
    handler: Handler,
    transports: &Transports,
) -> Option<Detached<I>>
where
    I: AsyncRead + AsyncWrite + Unpin,
{
    let mut builder = http1::Builder::new();
    builder.timer(SmolTimer::new());
    match sse_hyper::serve_connection(transports, &builder, FuturesIo::new(socket), service(handler)).await {
        Ok(Outcome::Detached(detached)) => {
            let (outbound, framing) = (detached.outbound, detached.framing);
            Some(Detached { io: detached.io.into_inner(), outbound, framing })
        }
        _ => None,
    }
}

/// Shuts the hub down, and waits until all connections have ended.
pub(super) async fn shut_down(hub: &SharedHub) {
    hub.shut_down();
    while hub.stats().connections > 0 {
        smol::Timer::after(Duration::from_millis(1)).await;
    }
}
