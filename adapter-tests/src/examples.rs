//! The examples of the workspace as processes.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::TIMEOUT;

/// A running example that serves HTTP. Dropping it kills the process.
pub struct Example {
    process: Child,
    /// The port on which it listens.
    pub port: u16,
    /// The time in which clients expect a response.
    pub timeout: Duration,
}

impl Example {
    /// Starts an example. Port 0 chooses a free port.
    pub fn start(name: &str, port: u16) -> Example {
        Example::listening(Command::new(executable(name)), port)
    }

    /// Starts an example with variables of its environment.
    pub fn start_with(name: &str, variables: &[(&str, &str)]) -> Example {
        let mut command = Command::new(executable(name));
        command.envs(variables.iter().copied());
        Example::listening(command, 0)
    }

    /// Starts an example on a port, with variables of its environment. Port 0 chooses a free port.
    pub fn start_on(name: &str, port: u16, variables: &[(&str, &str)]) -> Example {
        let mut command = Command::new(executable(name));
        command.envs(variables.iter().copied());
        Example::listening(command, port)
    }

    /// Starts an example that can open only a number of files, on Unix.
    pub fn start_with_files(name: &str, files: u64) -> Example {
        let mut shell = Command::new("sh");
        shell.args(["-c", &format!("ulimit -n {files} && exec \"$0\"")]).arg(executable(name));
        shell.stderr(Stdio::null());
        Example::listening(shell, 0)
    }

    fn listening(mut command: Command, port: u16) -> Example {
        let command = command.env("PORT", port.to_string()).stdout(Stdio::piped());
        let mut process = command.spawn().expect("the example starts");
        let mut line = String::new();
        let mut stdout = BufReader::new(process.stdout.take().expect("it was piped"));
        stdout.read_line(&mut line).expect("the example prints its address");
        // A program that prints to a closed pipe would panic.
        std::thread::spawn(move || std::io::copy(&mut stdout, &mut std::io::sink()));
        let address = line.trim().rsplit(':').next().unwrap_or_default();
        let digits: String = address.chars().take_while(char::is_ascii_digit).collect();
        let port = digits.parse().unwrap_or_else(|_| panic!("no port in {line:?}"));
        Example { process, port, timeout: TIMEOUT }
    }

    /// Returns the status of the process if it has exited.
    pub fn exit_status(&mut self) -> Option<ExitStatus> {
        self.process.try_wait().expect("the process has a status")
    }

    /// Returns the number of files that the process has open, or 0 where the system does not show them.
    pub fn open_files(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.process.id())).map_or(0, Iterator::count)
    }

    /// Sends SIGINT, as Ctrl-C does.
    pub fn interrupt(&self) {
        self.signal("INT");
    }

    /// Sends a signal, such as `STOP`.
    pub fn signal(&self, signal: &str) {
        let arguments = [format!("-{signal}"), self.process.id().to_string()];
        let killed = Command::new("kill").args(arguments).status();
        assert!(killed.expect("the program `kill` runs").success());
    }

    /// Waits until the process exits with success. Fails the test otherwise, and after a time.
    pub fn wait_for_exit(&mut self, time: Duration) {
        let start = Instant::now();
        while self.exit_status().is_none() {
            assert!(start.elapsed() < time, "the process does not exit within {time:?}");
            std::thread::sleep(Duration::from_millis(10));
        }
        assert!(self.exit_status().is_some_and(|status| status.success()), "the process exits with success");
    }

    /// Connects a client.
    pub fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).expect("the example listens");
        stream.set_read_timeout(Some(self.timeout)).expect("a timeout can be set");
        stream
    }

    /// Sends the request for a stream.
    pub fn open_stream(&self, path: &str) -> TcpStream {
        let mut stream = self.connect();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").expect("the request is accepted");
        stream
    }

    /// Sends a request, and returns the status and text of the response.
    ///
    /// `line` is the request without its version, such as `GET /`. `header` is one header field, or empty.
    pub fn http(&self, line: &str, header: &str, body: &[u8]) -> (u16, String) {
        let mut stream = self.connect();
        let header = if header.is_empty() { String::new() } else { format!("{header}\r\n") };
        let length = body.len();
        write!(
            stream,
            "{line} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {length}\r\n{header}\r\n"
        )
        .and_then(|()| stream.write_all(body))
        .expect("the example accepts the request");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).expect("the example responds and closes");
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok());
        let text = answer.split_once("\r\n\r\n").map(|(_, text)| text.to_owned()).unwrap_or_default();
        (status.unwrap_or_else(|| panic!("no status in {answer:?}")), text)
    }
}

impl Drop for Example {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Builds examples unless they are up to date.
pub fn build(names: &[&str]) {
    static BUILT: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    let mut built = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
    let missing = || names.iter().filter(|name| !built.contains(**name));
    if missing().next().is_none() {
        return;
    }
    let profile = profile();
    let mut cargo = Command::new(env!("CARGO"));
    // With the selection of `cargo test --workspace`, cargo finds that nothing is left to build.
    cargo.args(["build", "--quiet", "--workspace"]).args(missing().flat_map(|name| ["--example", name]));
    cargo.arg("--target-dir").arg(profile.parent().expect("a folder of targets"));
    if profile.ends_with("release") {
        cargo.arg("--release");
    }
    assert!(cargo.status().expect("cargo runs").success(), "the examples {names:?} compile");
    built.extend(names.iter().map(|name| name.to_string()));
}

/// Builds an example unless it is up to date, and returns its executable.
fn executable(name: &str) -> PathBuf {
    build(&[name]);
    profile().join("examples").join(format!("{name}{}", std::env::consts::EXE_SUFFIX))
}

/// Returns the folder of the profile with which this test was built.
fn profile() -> PathBuf {
    let test = std::env::current_exe().expect("this test is a file");
    let profile = test.parent().and_then(|deps| deps.parent()).expect("the test is in target/PROFILE/deps");
    profile.to_owned()
}
