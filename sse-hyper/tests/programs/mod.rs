//! External programs.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

/// The time after which a wait fails the test.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Returns whether a program is installed, by running it with the argument `ask`. With `CI` set it has to be.
pub(crate) fn has(program: &str, ask: &str) -> bool {
    let found = succeeds(Command::new(program).arg(ask));
    if !found {
        missing(&format!("{program} is not installed"));
    }
    found
}

/// Reports that a test is skipped. Fails the test if `CI` is set.
pub(crate) fn missing(what: &str) {
    assert!(std::env::var_os("CI").is_none(), "{what}, and CI is set");
    println!("skipped: {what}");
}

/// Runs a program without output, and returns whether it succeeded.
pub(crate) fn succeeds(command: &mut Command) -> bool {
    let command = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// A program whose output is read line by line.
pub(crate) struct Follower {
    process: Child,
    lines: Receiver<String>,
}

impl Follower {
    pub(crate) fn start(program: &str, arguments: &[&str]) -> Follower {
        let mut process = Command::new(program)
            .args(arguments)
            .stdout(Stdio::piped())
            .spawn()
            .expect("the program is installed");
        let stdout = process.stdout.take().expect("it was piped");
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Follower { process, lines }
    }

    /// Waits for a line that contains `text`, and returns the line.
    pub(crate) fn wait_for(&mut self, text: &str) -> String {
        loop {
            match self.lines.recv_timeout(TIMEOUT) {
                Ok(line) if line.contains(text) => return line,
                Ok(_) => {}
                Err(_) => panic!("{text:?} did not arrive"),
            }
        }
    }

    pub(crate) fn kill(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.kill();
    }
}
