//! A server as a child process, and its resources.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::Failure;
use crate::options::Program;

/// The processor of the servers, if there are two or more.
const SERVER_PROCESSOR: usize = 0;

/// Whether the system reports processor times and memory of other processes.
pub(crate) const IS_SUPPORTED: bool = cfg!(target_os = "linux");

/// A running server. Dropping it ends the process.
pub(crate) struct Server {
    child: Child,
    pub(crate) address: SocketAddr,
}

impl Server {
    /// Starts a server on its own processor, if there are two, and waits until it listens.
    pub(crate) fn start(program: &Program) -> Result<Server, Failure> {
        let mut command = match &program.path {
            Some(path) => Command::new(path),
            None => Command::new(std::env::current_exe()?),
        };
        if program.path.is_none() {
            command.args(["serve", &program.name]);
        }
        let command =
            command.env("PORT", "0").env("THREADS", "1").stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = command.spawn()?;
        // The child inherits the processor of the load generator.
        pin(Some(child.id()), SERVER_PROCESSOR);
        let mut line = String::new();
        if let Some(output) = child.stdout.as_mut() {
            BufReader::new(output).read_line(&mut line)?;
        }
        let address = line.rsplit("http://").next().unwrap_or_default();
        let address = address.trim().trim_end_matches('/').parse();
        let address =
            address.map_err(|_| format!("{} printed {line:?} instead of an address", program.name))?;
        Ok(Server { child, address })
    }

    /// Returns the process and its descendants.
    fn processes(&self) -> Vec<u32> {
        let mut known = vec![self.child.id()];
        let mut next = 0;
        while let Some(process) = known.get(next) {
            let children = format!("/proc/{process}/task/{process}/children");
            let children = std::fs::read_to_string(children).unwrap_or_default();
            known.extend(children.split_whitespace().filter_map(|child| child.parse::<u32>().ok()));
            next += 1;
        }
        known
    }

    /// Returns the processor time of all threads, in the kernel and in user space.
    pub(crate) fn busy(&self) -> Option<Duration> {
        let mut nanos = 0u64;
        for process in self.processes() {
            for thread in std::fs::read_dir(format!("/proc/{process}/task")).ok()? {
                let stat = std::fs::read_to_string(thread.ok()?.path().join("schedstat")).ok()?;
                nanos += stat.split_whitespace().next()?.parse::<u64>().ok()?;
            }
        }
        Some(Duration::from_nanos(nanos))
    }

    /// Returns the proportional set size in bytes, without kernel buffers of sockets.
    pub(crate) fn memory(&self) -> Option<u64> {
        self.processes().into_iter().map(memory_of).sum()
    }
}

fn memory_of(process: u32) -> Option<u64> {
    let rollup = std::fs::read_to_string(format!("/proc/{process}/smaps_rollup")).ok()?;
    let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:"))?;
    line.split_whitespace().next()?.parse::<u64>().ok().map(|kibibytes| kibibytes * 1024)
}

impl Drop for Server {
    fn drop(&mut self) {
        // Errors mean that the process has already ended.
        #[cfg(target_os = "linux")]
        for process in self.processes() {
            let process = i32::try_from(process).ok().and_then(rustix::process::Pid::from_raw);
            let _ =
                process.map(|process| rustix::process::kill_process(process, rustix::process::Signal::KILL));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Pins a process, or this thread, to one processor. Returns false if that is not possible.
pub(crate) fn pin(process: Option<u32>, processor: usize) -> bool {
    #[cfg(target_os = "linux")]
    {
        let process = process.and_then(|id| rustix::thread::Pid::from_raw(i32::try_from(id).ok()?));
        let mut processors = rustix::thread::CpuSet::new();
        processors.set(processor);
        rustix::thread::sched_setaffinity(process, &processors).is_ok()
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = (process, processor);
        false
    }
}
