//! A Redis server for a test, on a port of its own.
#![allow(dead_code, reason = "each test uses its part")]
#![expect(clippy::disallowed_types, clippy::disallowed_methods, reason = "the test waits for a process")]

mod namespace;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

pub(crate) use namespace::Namespace;

/// A server that is killed when it is dropped.
pub(crate) struct RedisServer {
    pub(crate) host: String,
    pub(crate) port: u16,
    folder: PathBuf,
    options: Vec<String>,
    /// A library that sets the clock of the process back.
    clock: Option<PathBuf>,
    child: Option<Child>,
    /// The network namespace in which it runs.
    pub(crate) namespace: Option<Namespace>,
}

/// Starts a server with options of the command line. `None` if there is no `redis-server`: then the test says so, and does
/// nothing. With `CI` that is an error.
pub(crate) fn start(options: &[&str]) -> Option<RedisServer> {
    start_as(options, false, None)
}

/// Starts a server whose clock is one hour behind.
pub(crate) fn start_an_hour_behind(options: &[&str]) -> Option<RedisServer> {
    start_as(options, true, None)
}

/// Starts a server in a network namespace of its own. `None` as well if this process may not create one.
pub(crate) fn start_in_namespace(options: &[&str]) -> Option<RedisServer> {
    let namespace = Namespace::create();
    if namespace.is_none() {
        skip("network namespaces are not permitted");
    }
    start_as(&[options, &["--protected-mode", "no"]].concat(), false, Some(namespace?))
}

/// Says that a test is skipped. The harness does not capture this.
fn skip(reason: &str) {
    let _ = writeln!(std::io::stderr(), "SKIPPED: {reason}");
}

fn start_as(options: &[&str], is_behind: bool, namespace: Option<Namespace>) -> Option<RedisServer> {
    let is_missing = Command::new("redis-server").arg("--version").stdout(Stdio::null()).status().is_err();
    if is_missing {
        assert!(std::env::var_os("CI").is_none(), "redis-server is required");
        skip("redis-server is not installed");
        return None;
    }
    let port = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
    let folder = std::env::temp_dir().join(format!("sse-redis-{}-{port}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let options = options.iter().map(|option| (*option).to_owned()).collect();
    let clock = is_behind.then(|| clock_behind(&folder));
    let host = namespace.as_ref().map_or("127.0.0.1", |namespace| &namespace.host).to_owned();
    let mut server = RedisServer { host, port, folder, options, clock, child: None, namespace };
    server.launch();
    Some(server)
}

/// Builds a library that takes the place of the calls by which Redis reads the clock. The tools that fake a clock do not get along
/// with the allocator of Redis.
fn clock_behind(folder: &Path) -> PathBuf {
    let (source, library) = (folder.join("clock.c"), folder.join("clock.so"));
    let text = "#define _GNU_SOURCE\n#include <sys/syscall.h>\n#include <sys/time.h>\n#include <time.h>\n#include <unistd.h>\n\
        int gettimeofday(struct timeval *restrict now, void *restrict zone) {\n\
        int result = syscall(SYS_gettimeofday, now, zone);\n  now->tv_sec -= 3600;\n  return result;\n}\n\
        time_t time(time_t *now) {\n  struct timeval clock;\n  syscall(SYS_gettimeofday, &clock, 0);\n\
        time_t result = clock.tv_sec - 3600;\n\
        if (now) *now = result;\n  return result;\n}\n";
    std::fs::write(&source, text).unwrap();
    let built = Command::new("cc").args(["-shared", "-fPIC", "-o"]).arg(&library).arg(&source).status();
    assert!(built.unwrap().success());
    library
}

/// The options of an append-only file.
pub(crate) const EVERYSEC: &[&str] = &["--appendonly", "yes", "--appendfsync", "everysec"];
pub(crate) const ALWAYS: &[&str] = &["--appendonly", "yes", "--appendfsync", "always"];

impl RedisServer {
    pub(crate) fn url(&self) -> String {
        format!("redis://{}:{}/", self.host, self.port)
    }

    /// Starts the process, on the data that is there, and waits until it answers.
    pub(crate) fn launch(&mut self) {
        let port = self.port.to_string();
        let mut command = match &self.namespace {
            Some(namespace) => namespace.command("redis-server"),
            None => Command::new("redis-server"),
        };
        command.args(["--port", &port, "--bind", &self.host, "--save", "", "--loglevel", "warning", "--dir"]);
        command.envs(self.clock.iter().map(|library| ("LD_PRELOAD", library)));
        command.arg(&self.folder).args(&self.options).stdout(Stdio::null()).stderr(Stdio::null());
        self.child = Some(command.spawn().unwrap());
        let start = Instant::now();
        while self.try_command(&["PING"]).as_deref() != Some("+PONG") {
            assert!(start.elapsed() < Duration::from_secs(20), "redis-server answers");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Kills the process, as a crash does.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Sends a signal to the process, such as `STOP` or `CONT`.
    pub(crate) fn signal(&self, signal: &str) {
        let id = self.child.as_ref().expect("it runs").id().to_string();
        assert!(Command::new("kill").args([&format!("-{signal}"), &id]).status().unwrap().success());
    }

    /// Returns the files of the append-only file.
    pub(crate) fn append_only_files(&self) -> Vec<PathBuf> {
        let folder: &Path = &self.folder.join("appendonlydir");
        let files = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|file| file.path());
        files.filter(|file| file.extension().is_some_and(|extension| extension == "aof")).collect()
    }

    /// Sends a command, and returns the first line of the reply, or for a bulk reply its text.
    pub(crate) fn command(&self, arguments: &[&str]) -> String {
        self.try_command(arguments).unwrap_or_else(|| panic!("{arguments:?}"))
    }

    fn try_command(&self, arguments: &[&str]) -> Option<String> {
        let mut socket = TcpStream::connect((&*self.host, self.port)).ok()?;
        socket.set_read_timeout(Some(Duration::from_secs(10))).ok()?;
        let mut request = format!("*{}\r\n", arguments.len());
        for argument in arguments {
            request.push_str(&format!("${}\r\n{argument}\r\n", argument.len()));
        }
        socket.write_all(request.as_bytes()).ok()?;
        let mut reply = Vec::new();
        let mut buffer = [0; 4096];
        loop {
            let count = socket.read(&mut buffer).ok()?;
            reply.extend_from_slice(&buffer[..count]);
            let text = String::from_utf8_lossy(&reply).into_owned();
            let (first, rest) = match text.split_once("\r\n") {
                Some(lines) => lines,
                None if count == 0 => return None,
                None => continue,
            };
            let Some(length) = first.strip_prefix('$').and_then(|length| length.parse::<i64>().ok()) else {
                return Some(first.to_owned());
            };
            let length = usize::try_from(length).unwrap_or(0);
            if rest.len() >= length {
                return Some(rest[..length].to_owned());
            }
            if count == 0 {
                return None;
            }
        }
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.kill();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}
