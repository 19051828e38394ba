//! Programs beside the tests.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

/// Longer than anything here takes, unless it never comes.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Whether a program is there, which `ask` has it answer. On a machine that runs the whole suite it has to be.
pub(crate) fn has(program: &str, ask: &str) -> bool {
    let found = succeeds(Command::new(program).arg(ask));
    if !found {
        missing(&format!("{program} is not installed"));
    }
    found
}

/// A test is passed over, unless `CI` is set.
pub(crate) fn missing(what: &str) {
    assert!(std::env::var_os("CI").is_none(), "{what}, and CI is set");
    println!("skipped: {what}");
}

/// Runs a program to its end, without a word.
pub(crate) fn succeeds(command: &mut Command) -> bool {
    let command = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// A program whose lines are read as they come.
pub(crate) struct Follower {
    process: Child,
    lines: Receiver<String>,
}

impl Follower {
    pub(crate) fn start(program: &str, arguments: &[&str]) -> Follower {
        let mut process =
            Command::new(program).args(arguments).stdout(Stdio::piped()).spawn().expect("it was looked for");
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

    /// Reads lines up to one that contains `text`, which has to come; returns it.
    pub(crate) fn wait_for(&mut self, text: &str) -> String {
        loop {
            match self.lines.recv_timeout(TIMEOUT) {
                Ok(line) if line.contains(text) => return line,
                Ok(_) => {}
                Err(_) => panic!("{text:?} did not come"),
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
