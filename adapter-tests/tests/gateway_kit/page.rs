//! A page in front of a server: an `EventSource` that reports when it has given up.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::spawn;
use std::time::Duration;

/// A page at an address of its own. Requests that are not for it go to the server.
pub(crate) struct Page {
    pub(crate) url: String,
    reports: Receiver<String>,
}

impl Page {
    pub(crate) fn serve(server: u16, stream: &str) -> Page {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let url = format!("http://{}/", listener.local_addr().expect("it is bound"));
        let (sender, reports) = channel();
        let page = HTML.replace("STREAM", stream);
        spawn(move || {
            for connection in listener.incoming().map_while(Result::ok) {
                let (page, sender) = (page.clone(), sender.clone());
                spawn(move || handle(connection, server, &page, &sender));
            }
        });
        Page { url, reports }
    }

    /// Waits for what the page reports.
    pub(crate) fn report(&self) -> String {
        self.reports.recv_timeout(Duration::from_secs(60)).expect("the page reports")
    }
}

const HTML: &str = "<!doctype html><script>
const source = new EventSource('STREAM')
const data = []
source.onmessage = (event) => data.push(event.data)
source.onerror = () => {
  if (source.readyState === EventSource.CLOSED) fetch('/report?' + encodeURIComponent(JSON.stringify([data.length, data.at(-1)])))
}
</script>";

fn handle(mut client: TcpStream, server: u16, page: &str, reports: &Sender<String>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        if client.read_exact(&mut byte).is_err() {
            return;
        }
        head.push(byte[0]);
    }
    let text = String::from_utf8_lossy(&head).into_owned();
    let path = text.split(' ').nth(1).unwrap_or_default();
    let answer = |kind: &str, body: &str| {
        let length = body.len();
        format!(
            "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\r\n{body}"
        )
    };
    if path == "/" {
        let _ = client.write_all(answer("text/html", page).as_bytes());
    } else if let Some(report) = path.strip_prefix("/report?") {
        let _ = client.write_all(answer("text/plain", "").as_bytes());
        let _ = reports.send(decoded(report));
    } else {
        forward(client, server, &text);
    }
}

/// Sends a request to the server, and its response to the client.
fn forward(mut client: TcpStream, server: u16, head: &str) {
    let head = head.replacen("\r\n", "\r\nX-Forwarded: yes\r\n", 1).replace("keep-alive", "close");
    let Ok(mut upstream) = TcpStream::connect(("127.0.0.1", server)) else { return };
    if upstream.write_all(head.as_bytes()).is_ok() {
        let _ = std::io::copy(&mut upstream, &mut client);
    }
    let _ = client.shutdown(Shutdown::Both);
}

/// Decodes `%XX`.
fn decoded(text: &str) -> String {
    let mut parts = text.split('%');
    let mut decoded = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let (digits, rest) = part.split_at(2);
        decoded.push(u8::from_str_radix(digits, 16).expect("two digits"));
        decoded.extend(rest.as_bytes());
    }
    String::from_utf8(decoded).expect("UTF-8")
}
