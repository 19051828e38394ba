//! A server in front of the example: a page, its stream, and what the page reports.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// The page reports each message: its name and its data.
const PAGE: &str = r#"<!DOCTYPE html><meta charset="utf-8"><title>Restart</title><script>
  // One report after the other: replayed messages come at once.
  let last = Promise.resolve();
  const report = text => last = last.then(() => fetch("/report", { method: "POST", body: text }));
  const source = new EventSource("/events");
  source.onmessage = event => report(event.data);
  source.addEventListener("reset", () => report("reset"));
</script>"#;

/// A front server. It serves until the process ends.
pub(crate) struct Front {
    pub(crate) url: String,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    /// The port of the process that serves the stream.
    behind: AtomicU16,
    reports: Mutex<Vec<String>>,
}

impl Front {
    pub(crate) fn start() -> Front {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}/", listener.local_addr().expect("a port"));
        let shared = Arc::new(Shared::default());
        let serving = Arc::clone(&shared);
        std::thread::spawn(move || {
            for socket in listener.incoming().flatten() {
                let shared = Arc::clone(&serving);
                std::thread::spawn(move || drop(serve(&shared, socket)));
            }
        });
        Front { url, shared }
    }

    pub(crate) fn lead_to(&self, port: u16) {
        self.shared.behind.store(port, Ordering::Relaxed);
    }

    pub(crate) fn reports(&self) -> Vec<String> {
        self.shared.reports.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Answers one request, and closes the connection.
fn serve(shared: &Shared, mut socket: TcpStream) -> std::io::Result<()> {
    let mut reader = BufReader::new(socket.try_clone()?);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") && reader.read_line(&mut head)? > 0 {}
    let field = |name: &str| {
        let line = head.lines().find(|line| line.to_lowercase().starts_with(name));
        line.and_then(|line| Some(line.split_once(':')?.1.trim().to_owned()))
    };
    if head.starts_with("GET /events ") {
        let mut behind = TcpStream::connect(("127.0.0.1", shared.behind.load(Ordering::Relaxed)))?;
        let id = field("last-event-id:").map_or(String::new(), |id| format!("Last-Event-ID: {id}\r\n"));
        write!(behind, "GET / HTTP/1.0\r\nHost: a\r\n{id}\r\n")?;
        std::io::copy(&mut behind, &mut socket)?;
    } else if head.starts_with("POST /report ") {
        let length = field("content-length:").and_then(|length| length.parse().ok()).unwrap_or(0);
        let mut body = String::new();
        reader.take(length).read_to_string(&mut body)?;
        shared.reports.lock().unwrap_or_else(PoisonError::into_inner).push(body);
        write!(socket, "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")?;
    } else {
        let page = if head.starts_with("GET / ") { PAGE } else { "" };
        let length = page.len();
        let fields = format!("Content-Type: text/html\r\nContent-Length: {length}\r\nConnection: close");
        write!(socket, "HTTP/1.1 200 OK\r\n{fields}\r\n\r\n{page}")?;
    }
    Ok(())
}
