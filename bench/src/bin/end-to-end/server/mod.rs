//! The measured servers. Each runs in a child process of this binary, prints its address, serves on one thread, and supports
//! two requests:
//!
//! - `GET /sse/bench` follows the channel. Servers with a history replay after `Last-Event-ID`.
//! - `POST /publish/bench` publishes one event with the body as its data.
//!
//! Other servers with these requests can be added with `--also`.

mod axum_sse;
mod hub;
mod limit;

use std::error::Error;

use crate::Failure;

/// The names of the servers, and their descriptions.
pub(crate) const SERVERS: [(&str, &str); 4] = [
    ("limit", "only one `write` of a shared buffer for each delivery, from one loop"),
    ("attached", "`Sockets` of `sse-tokio`, heads by hyper and axum"),
    ("body", "the body of `sse-hyper` with axum"),
    ("axum-sse", "axum's `Sse` on a broadcast channel of tokio, without history"),
];

/// The path to follow the channel.
const FOLLOW: &str = "/sse/bench";
const PUBLISH: &str = "/publish/bench";

/// Runs a server until the process is killed.
pub(crate) fn run(name: &str) -> Result<(), Failure> {
    match name {
        "limit" => limit::serve()?,
        "attached" => on_one_thread(hub::serve_attached())?,
        "body" => on_one_thread(hub::serve_body())?,
        "axum-sse" => on_one_thread(axum_sse::serve())?,
        _ => return Err(format!("unknown server {name}").into()),
    }
    Ok(())
}

fn on_one_thread(serve: impl Future<Output = Result<(), Box<dyn Error>>>) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(serve).map_err(|error| error.to_string().into())
}

async fn listen() -> std::io::Result<tokio::net::TcpListener> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    println!("http://{}/", listener.local_addr()?);
    Ok(listener)
}
