//! External programs, and tests that are skipped where a program is not installed.

use std::fmt::Display;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use libtest_mimic::{Arguments, Completion, Failed, Trial};

use crate::TIMEOUT;

/// The arguments of a Chromium that runs without a screen, as any user, and requests nothing on its own.
pub const CHROMIUM_ARGUMENTS: [&str; 9] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
];

/// The reason for which a test cannot run here, such as a program that is not installed.
#[derive(Clone, Debug)]
pub struct Missing(String);

impl Missing {
    /// Creates the reason for a skipped test.
    pub fn new(reason: impl Into<String>) -> Missing {
        Missing(reason.into())
    }
}

/// Returns an error unless a program is installed. The program runs with one argument, such as `--version`.
pub fn needs(program: &str, argument: &str) -> Result<(), Missing> {
    if succeeds(Command::new(program).arg(argument)) {
        return Ok(());
    }
    Err(Missing::new(format!("{program} is not installed")))
}

/// Creates a test for [`run`]. The test is reported as ignored if something is missing, and fails if `CI` is set.
///
/// The harness of the standard library knows only at compile time that a test is ignored.
pub fn trial(name: impl Into<String>, test: impl FnOnce() -> Result<(), Missing> + Send + 'static) -> Trial {
    Trial::ignorable_test(name, move || match test() {
        Ok(()) => Ok(Completion::Completed),
        Err(Missing(reason)) if is_ci() => Err(Failed::from(format!("{reason}, and CI is set"))),
        Err(Missing(reason)) => Ok(Completion::ignored_with(reason)),
    })
}

/// Creates a list of tests from functions, with their names.
#[macro_export]
macro_rules! trials {
    ($($test:ident),* $(,)?) => {
        vec![$($crate::programs::trial(stringify!($test), $test)),*]
    };
}

/// Runs tests and exits. Without `--test-threads`, all of them run at the same time if `at_once` is true.
pub fn run(trials: Vec<Trial>, at_once: bool) -> ! {
    let mut arguments = Arguments::from_args();
    if at_once {
        arguments.test_threads.get_or_insert(trials.len());
    }
    libtest_mimic::run(&arguments, trials).exit()
}

fn is_ci() -> bool {
    std::env::var_os("CI").is_some()
}

/// Prints a message that the test harness does not capture.
pub fn warn(message: impl Display) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "{message}");
}

/// Runs a program without output, and returns whether it succeeded.
pub fn succeeds(command: &mut Command) -> bool {
    let command = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// A program whose output is read line by line. Dropping it kills the process.
pub struct Follower {
    process: Child,
    lines: Receiver<String>,
}

impl Follower {
    /// Starts a program.
    pub fn start(program: &str, arguments: &[&str]) -> Follower {
        Follower::spawn(Command::new(program).args(arguments))
    }

    /// Starts a program with the environment and the error output of a command.
    pub fn spawn(command: &mut Command) -> Follower {
        let mut process = command.stdout(Stdio::piped()).spawn().expect("the program is installed");
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
    pub fn wait_for(&mut self, text: &str) -> String {
        let line = self.wait_within(TIMEOUT, |line| line.contains(text));
        line.unwrap_or_else(|| panic!("{text:?} did not arrive"))
    }

    /// Waits for a line. Returns `None` if no line arrives for the time.
    pub fn wait_within(&mut self, time: Duration, is_wanted: impl Fn(&str) -> bool) -> Option<String> {
        loop {
            let line = self.lines.recv_timeout(time).ok()?;
            if is_wanted(&line) {
                return Some(line);
            }
        }
    }

    /// Kills the process.
    pub fn kill(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.kill();
    }
}
