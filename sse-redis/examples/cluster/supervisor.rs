//! Starts Redis and three nodes, and starts each again when it ends.

use std::error::Error;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::{Child, Command};

/// The ports of the nodes.
pub(crate) const PORTS: [u16; 3] = [3001, 3002, 3003];

pub(crate) async fn run() -> Result<(), Box<dyn Error>> {
    let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let folder = std::env::temp_dir().join(format!("sse-cluster-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let _redis = redis(port, &folder).map_err(|error| format!("redis-server cannot be started: {error}"))?;
    let url = format!("redis://127.0.0.1:{port}/");
    let nodes = PORTS.map(|port| tokio::spawn(keep_running(port, url.clone())));
    println!("http://127.0.0.1:{}/", PORTS[0]);
    tokio::signal::ctrl_c().await?;
    nodes.iter().for_each(tokio::task::JoinHandle::abort);
    Ok(std::fs::remove_dir_all(&folder)?)
}

fn redis(port: u16, folder: &std::path::Path) -> std::io::Result<Child> {
    let mut command = Command::new("redis-server");
    command.args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "yes", "--appendfsync", "everysec"]);
    command.args(["--port", &port.to_string(), "--dir"]).arg(folder);
    command.stdout(Stdio::null()).kill_on_drop(true).spawn()
}

/// Runs a node, and starts it again one second after its end.
async fn keep_running(port: u16, url: String) {
    let Ok(program) = std::env::current_exe() else { return };
    loop {
        let mut command = Command::new(&program);
        command.env("REDIS_URL", &url).env("PORT", port.to_string());
        command.stdout(Stdio::null()).kill_on_drop(true);
        if let Ok(mut node) = command.spawn() {
            let _ = node.wait().await;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}
