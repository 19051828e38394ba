//! The demo as a process, and its clients.

pub(crate) mod browser;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// The time after which a wait fails the test.
const TIMEOUT: Duration = Duration::from_secs(30);

/// A running demo. Dropping it kills the process.
pub(crate) struct Demo {
    process: Child,
    pub(crate) port: u16,
}

impl Demo {
    /// Starts the demo. Port 0 chooses a free port.
    pub(crate) fn start(port: u16) -> Demo {
        let mut process = Command::new(executable())
            .env("PORT", port.to_string())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the demo starts");
        let mut line = String::new();
        let stdout = process.stdout.take().expect("it was piped");
        BufReader::new(stdout).read_line(&mut line).expect("the demo prints its address");
        let port = line.trim().trim_end_matches('/').rsplit(':').next().and_then(|port| port.parse().ok());
        Demo { port: port.unwrap_or_else(|| panic!("no port in {line:?}")), process }
    }

    /// Returns the number of open connections, from the channel `stats` of the demo.
    pub(crate) fn connections(&self) -> u64 {
        let mut stream = open_stream(self.port, "/sse/stats", None);
        let mut seen = String::new();
        let mut bytes = [0; 4096];
        loop {
            if let Some((_, rest)) = seen.split_once("\"connections\":")
                && let Some((number, _)) = rest.split_once(',')
            {
                return number.parse::<u64>().expect("a number").saturating_sub(1);
            }
            let count = stream.read(&mut bytes).expect("counters arrive every second");
            seen.push_str(&String::from_utf8_lossy(&bytes[..count]));
        }
    }

    /// Sends SIGINT, as Ctrl-C does.
    #[cfg(unix)]
    pub(crate) fn interrupt(&self) {
        let killed = Command::new("kill").args(["-INT", &self.process.id().to_string()]).status();
        assert!(killed.expect("the program `kill` runs").success());
    }

    /// Waits until the process exits, and returns whether it succeeded.
    #[cfg(unix)]
    pub(crate) fn wait(&mut self) -> bool {
        self.process.wait().expect("the process exits").success()
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Returns the executable of the example. `cargo test` builds it, but `cargo test --test demo` does not.
fn executable() -> PathBuf {
    let test = std::env::current_exe().expect("this test is a file");
    let profile = test.parent().and_then(|deps| deps.parent()).expect("the test is in target/PROFILE/deps");
    let demo = profile.join("examples").join(format!("demo{}", std::env::consts::EXE_SUFFIX));
    if !demo.exists() {
        let built = Command::new(env!("CARGO"))
            .args(["build", "--package", "sse-hyper", "--example", "demo"])
            .status();
        assert!(built.expect("cargo runs").success());
    }
    demo
}

/// Connects and sends the request for a stream.
pub(crate) fn open_stream(port: u16, path: &str, last_event_id: Option<&str>) -> TcpStream {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("the demo listens");
    stream.set_read_timeout(Some(TIMEOUT)).expect("a timeout can be set");
    let id = last_event_id.map_or(String::new(), |id| format!("Last-Event-ID: {id}\r\n"));
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\n{id}\r\n")
        .expect("the demo accepts the request");
    stream
}

/// Sends a request, and returns the status and text of the response.
pub(crate) fn http(port: u16, line: &str, header: &str, body: &[u8]) -> (u16, String) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("the demo listens");
    stream.set_read_timeout(Some(TIMEOUT)).expect("a timeout can be set");
    let header = if header.is_empty() { String::new() } else { format!("{header}\r\n") };
    let length = body.len();
    write!(
        stream,
        "{line}\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {length}\r\n{header}\r\n"
    )
    .and_then(|()| stream.write_all(body))
    .expect("the demo accepts the request");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("the demo responds and closes");
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok());
    let text = answer.split_once("\r\n\r\n").map(|(_, text)| text.to_owned()).unwrap_or_default();
    (status.unwrap_or_else(|| panic!("no status in {answer:?}")), text)
}
