//! A proxy between the nodes and Redis: it can hold the bytes back, as a network that is cut, and change the server behind it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

pub(crate) struct Proxy {
    port: u16,
    state: Arc<State>,
}

struct State {
    /// The host and the port.
    server: Mutex<(String, u16)>,
    is_cut: AtomicBool,
    /// Connections of an earlier generation end.
    generation: watch::Sender<u64>,
}

impl Proxy {
    pub(crate) async fn start(host: &str, server: u16) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("a port").port();
        let state = Arc::new(State {
            server: Mutex::new((host.to_owned(), server)),
            is_cut: AtomicBool::new(false),
            generation: watch::channel(0).0,
        });
        let accepting = Arc::clone(&state);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(serve(Arc::clone(&accepting), client));
            }
        });
        Proxy { port, state }
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/", self.port)
    }

    /// Holds all bytes back, or no longer. Connections stay open, as those of a network that is cut.
    pub(crate) fn set_cut(&self, is_cut: bool) {
        self.state.is_cut.store(is_cut, Ordering::Relaxed);
    }

    /// Leads new connections to another server, and ends the present ones.
    pub(crate) fn move_to(&self, host: &str, server: u16) {
        *self.state.server.lock().unwrap_or_else(PoisonError::into_inner) = (host.to_owned(), server);
        self.state.generation.send_modify(|generation| *generation += 1);
    }
}

async fn serve(state: Arc<State>, client: TcpStream) {
    let mut generation = state.generation.subscribe();
    let server = state.server.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let Ok(server) = TcpStream::connect(server).await else { return };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let (client, server) = (client.into_split(), server.into_split());
    tokio::select! {
        () = copy(&state, client.0, server.1) => {}
        () = copy(&state, server.0, client.1) => {}
        _ = generation.changed() => {}
    }
}

async fn copy(state: &State, mut from: impl AsyncReadExt + Unpin, mut to: impl AsyncWriteExt + Unpin) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        while state.is_cut.load(Ordering::Relaxed) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        if to.write_all(&buffer[..count]).await.is_err() {
            return;
        }
    }
}
