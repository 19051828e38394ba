//! Three nodes and one Redis. A page follows a channel on one of the nodes, and moves to another when its node is killed: no event
//! is lost or shown twice.
//!
//! Run `cargo run --release --example cluster`. It needs `redis-server` (Debian: `apt-get install redis-server`), which it starts
//! on a port of its own. Open <http://127.0.0.1:3001/>, and press "kill this node".
//!
//! With `REDIS_URL`, the program is one node: it listens on `PORT`, and uses that Redis.

mod node;
mod supervisor;

use std::error::Error;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    match std::env::var("REDIS_URL") {
        Ok(url) => node::run(url).await,
        Err(_) => supervisor::run().await,
    }
}
