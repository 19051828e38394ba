//! The servers that are measured. Each is this same binary, started again as a child with the name of one of them: it
//! listens on a port that it prints, serves on one thread, and knows two requests.
//!
//! - `GET /sse/bench` follows; where the server keeps history, `Last-Event-ID` replays
//! - `POST /publish/bench` publishes one event with the body as its data
//!
//! Other servers that keep to this can be measured beside them, see `--also`.

mod axum_sse;
mod hub;
mod limit;

use std::error::Error;

use crate::Failure;

/// A server's name, and what it is.
pub(crate) const SERVERS: [(&str, &str); 4] = [
    ("limit", "one `write` of a shared buffer for each delivery, from one loop, and nothing else"),
    ("attached", "`sse-tokio`'s `Sockets`, heads by hyper and axum"),
    ("body", "`sse-hyper`'s body under axum"),
    ("axum-sse", "axum's own `Sse` on tokio's broadcast channel; it keeps no history"),
];

/// What a request asks for.
const FOLLOW: &str = "/sse/bench";
const PUBLISH: &str = "/publish/bench";

/// Serves until the process is ended.
pub(crate) fn run(name: &str) -> Result<(), Failure> {
    match name {
        "limit" => limit::serve()?,
        "attached" => on_one_thread(hub::serve_attached())?,
        "body" => on_one_thread(hub::serve_body())?,
        "axum-sse" => on_one_thread(axum_sse::serve())?,
        _ => return Err(format!("there is no server {name}").into()),
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
