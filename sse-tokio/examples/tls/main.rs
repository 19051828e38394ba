//! Events over TLS without a web framework. The example parses the head of the request and serves the connection on the TLS
//! stream.
//!
//! Run `cargo run --package sse-tokio --example tls`, then `curl -kN https://localhost:3000/`, which prints the time every
//! second. The server creates a self-signed certificate at its start, hence the `-k`. Try `--http1.0`, and
//! `-H 'Last-Event-ID: …'` with an earlier id.

mod request;

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use sse_core::adapter::{Framing, HEADERS};
use sse_core::shared::{Channel, SharedHub};
use sse_core::{ChannelConfig, ConnectionConfig, Event, HubConfig};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::PrivatePkcs8KeyDer;

/// The time limit for the TLS handshake, and for the head of the request.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// The interval of pings, shorter than the idle timeout of common proxies and load balancers.
const PING: Duration = Duration::from_secs(25);

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let certificate = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
    let key = PrivatePkcs8KeyDer::from(certificate.signing_key.serialize_der());
    let config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.cert.der().clone()], key.into())?;
    let acceptor = TlsAcceptor::from(Arc::new(config));

    let hub = sse_tokio::start(sse_tokio::epoch_from_clock(), HubConfig::default())?;
    let clock = hub.open_channel("clock", ChannelConfig::default())?;
    tokio::spawn(tick(clock.clone()));
    let port = std::env::var("PORT").unwrap_or("3000".to_owned());
    let listener = TcpListener::bind(format!("127.0.0.1:{port}")).await?;
    println!("https://localhost:{}/", listener.local_addr()?.port());
    loop {
        let socket = match listener.accept().await {
            Ok((socket, _)) => socket,
            // Most likely no file descriptor is free. Wait until other connections end.
            Err(error) => {
                eprintln!("cannot accept a connection: {error}");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let (acceptor, hub, clock) = (acceptor.clone(), hub.clone(), clock.clone());
        tokio::spawn(async move {
            if let Err(error) = follow(socket, &acceptor, &hub, &clock).await {
                eprintln!("{error}");
            }
        });
    }
}

async fn follow(
    socket: TcpStream,
    acceptor: &TlsAcceptor,
    hub: &SharedHub,
    clock: &Channel,
) -> Result<(), Box<dyn Error>> {
    socket.set_nodelay(true)?;
    let mut stream = timeout(REQUEST_TIMEOUT, acceptor.accept(socket)).await??;
    let (framing, last_event_id) = timeout(REQUEST_TIMEOUT, request::read(&mut stream)).await??;
    let config = ConnectionConfig { last_event_id, ping: Some(PING), ..ConnectionConfig::default() };
    let outbound = hub.connect(config)?;
    outbound.subscribe(clock)?;

    let mut head = "HTTP/1.1 200 OK\r\n".to_owned();
    for (name, value) in HEADERS {
        head += &format!("{name}: {value}\r\n");
    }
    head += if framing == Framing::Chunked { "transfer-encoding: chunked\r\n\r\n" } else { "\r\n" };
    stream.write_all(head.as_bytes()).await?;
    // From here on, pings keep the stream open, and it ends when the peer disconnects or stalls.
    let reason = sse_tokio::serve(outbound, framing, stream).await?;
    println!("a stream ended: {reason}");
    Ok(())
}

async fn tick(clock: Channel) {
    let mut seconds = tokio::time::interval(Duration::from_secs(1));
    for second in 0.. {
        seconds.tick().await;
        if clock.publish(&Event::new().data(format!("{second} s"))).is_err() {
            return;
        }
    }
}
