//! Transports, readers and attached sockets on async-std.

use std::sync::mpsc::Sender;

use async_std::net::{TcpListener, TcpStream};
use async_std::task;
use futures_lite::{AsyncReadExt, AsyncWriteExt, StreamExt};
use smol_hyper::rt::SmolTimer;
use sse_async_std::{EventReader, Sockets};
use sse_core::adapter::Framing;
use sse_core::shared::Outbound;
use sse_hyper::Transports;

use super::smol::{serve_requests, shut_down};
use super::{raw, stopped};
use crate::{Handler, Listening, Setup, Stop};

/// Any transport, here a socket on which the server writes the head.
pub fn transport(setup: Setup, ready: Sender<Listening>, stop: Stop) {
    listen(setup, ready, stop, |socket, handler| {
        task::spawn(async move {
            if let Some((outbound, mut socket)) = read_request(socket, &handler).await
                && socket.write_all(raw::head(true).as_bytes()).await.is_ok()
            {
                // A disconnect is not an error of the server.
                let _ = sse_async_std::serve(outbound, Framing::Chunked, socket).await;
            }
        });
    });
}

/// A reader as frameworks accept it for bodies, here copied to a socket.
pub fn reader(setup: Setup, ready: Sender<Listening>, stop: Stop) {
    listen(setup, ready, stop, |socket, handler| {
        task::spawn(async move {
            if let Some((outbound, mut socket)) = read_request(socket, &handler).await
                && socket.write_all(raw::head(false).as_bytes()).await.is_ok()
            {
                let mut peer = socket.clone();
                let copied = futures_lite::io::copy(EventReader::new(outbound), &mut socket);
                // A framework reads from the peer as well, to notice a disconnect.
                let gone = async { drop(peer.read(&mut [0]).await) };
                futures_lite::future::or(async { drop(copied.await) }, gone).await;
            }
        });
    });
}

/// Attached sockets, with requests and heads by hyper.
pub fn attached(setup: Setup, ready: Sender<Listening>, stop: Stop) {
    let sockets = Sockets::start();
    let transports = Transports::new(setup.transport.clone(), SmolTimer::new());
    listen(setup, ready, stop, move |socket, handler| {
        let (sockets, transports) = (sockets.clone(), transports.clone());
        task::spawn(async move {
            if let Some(detached) = serve_requests(socket, handler, &transports).await {
                sockets.attach(detached.io, detached.outbound, detached.framing).expect("a socket");
            }
        });
    });
}

/// Serves until the test stops the server, then ends all streams.
fn listen(setup: Setup, ready: Sender<Listening>, stop: Stop, client: impl Fn(TcpStream, Handler)) {
    task::block_on(async {
        let hub = sse_async_std::start("e", setup.hub.clone()).expect("the epoch is valid");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("a port").port();
        let handler = Handler::start(hub.clone(), &setup, port, &ready);
        let accepting = async {
            let mut arriving = listener.incoming();
            while let Some(socket) = arriving.next().await {
                client(socket.expect("a client connects"), handler.clone());
            }
        };
        futures_lite::future::or(accepting, stopped(stop)).await;
        shut_down(&hub).await;
    });
}

/// Reads a request and subscribes it. Refuses it at a limit of the hub.
async fn read_request(mut socket: TcpStream, handler: &Handler) -> Option<(Outbound, TcpStream)> {
    let mut bytes = Vec::new();
    loop {
        let mut more = [0; 1024];
        let count = socket.read(&mut more).await.unwrap_or(0);
        bytes.extend_from_slice(more.get(..count).filter(|more| !more.is_empty())?);
        let Some((path, config)) = raw::request(&bytes) else { continue };
        let Some(outbound) = handler.subscribe(&path, config) else {
            let _ = socket.write_all(&raw::refusal()).await;
            return None;
        };
        return Some((outbound, socket));
    }
}
