//! The demo as a process of its own, and those who talk to it.

pub(crate) mod browser;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Longer than anything here takes, unless it never comes.
const TIMEOUT: Duration = Duration::from_secs(30);

/// A running demo. It is killed when dropped.
pub(crate) struct Demo {
    process: Child,
    pub(crate) port: u16,
}

impl Demo {
    /// Starts the demo; port 0 takes a free one.
    pub(crate) fn start(port: u16) -> Demo {
        let mut process = Command::new(executable())
            .env("PORT", port.to_string())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the demo starts");
        let mut line = String::new();
        let stdout = process.stdout.take().expect("it was piped");
        BufReader::new(stdout).read_line(&mut line).expect("it says where it listens");
        let port = line.trim().trim_end_matches('/').rsplit(':').next().and_then(|port| port.parse().ok());
        Demo { port: port.unwrap_or_else(|| panic!("no port in {line:?}")), process }
    }

    /// How many connections are open, as the demo itself says on its channel of counters.
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
            let count = stream.read(&mut bytes).expect("counters come every second");
            seen.push_str(&String::from_utf8_lossy(&bytes[..count]));
        }
    }

    /// As Ctrl-C does.
    #[cfg(unix)]
    pub(crate) fn interrupt(&self) {
        let killed = Command::new("kill").args(["-INT", &self.process.id().to_string()]).status();
        assert!(killed.expect("kill is there").success());
    }

    /// Waits for its end; whether that was a good one.
    #[cfg(unix)]
    pub(crate) fn wait(&mut self) -> bool {
        self.process.wait().expect("it ends").success()
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The example beside this test. `cargo test` builds it, but not when one test file alone is asked for.
fn executable() -> PathBuf {
    let test = std::env::current_exe().expect("this test is a file");
    let profile = test.parent().and_then(|deps| deps.parent()).expect("it lies in target/PROFILE/deps");
    let demo = profile.join("examples").join(format!("demo{}", std::env::consts::EXE_SUFFIX));
    if !demo.exists() {
        let built = Command::new(env!("CARGO"))
            .args(["build", "--package", "sse-hyper", "--example", "demo"])
            .status();
        assert!(built.expect("cargo runs").success());
    }
    demo
}

/// Opens a stream and sends the request for it.
pub(crate) fn open_stream(port: u16, path: &str, last_event_id: Option<&str>) -> TcpStream {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("the demo listens");
    stream.set_read_timeout(Some(TIMEOUT)).expect("a time out can be set");
    let id = last_event_id.map_or(String::new(), |id| format!("Last-Event-ID: {id}\r\n"));
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\n{id}\r\n").expect("it takes the request");
    stream
}

/// One request and its answer: status and text.
pub(crate) fn http(port: u16, line: &str, header: &str, body: &[u8]) -> (u16, String) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("the demo listens");
    stream.set_read_timeout(Some(TIMEOUT)).expect("a time out can be set");
    let header = if header.is_empty() { String::new() } else { format!("{header}\r\n") };
    let length = body.len();
    write!(
        stream,
        "{line}\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {length}\r\n{header}\r\n"
    )
    .and_then(|()| stream.write_all(body))
    .expect("it takes the request");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("it answers and closes");
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok());
    let text = answer.split_once("\r\n\r\n").map(|(_, text)| text.to_owned()).unwrap_or_default();
    (status.unwrap_or_else(|| panic!("no status in {answer:?}")), text)
}
