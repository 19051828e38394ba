//! The memory of a connection without events.

use crate::load::LoadGenerator;
use crate::options::{Options, Program};
use crate::process::Server;
use crate::{Failure, table};

use super::SETTLE;

/// File descriptors for other purposes.
const RESERVE: u64 = 100;

/// Connections before the first measurement of memory.
const FIRST: usize = 200;

pub(crate) fn run(options: &Options) -> Result<(), Failure> {
    let allowed = rlimit::getrlimit(rlimit::Resource::NOFILE).map_or(1024, |(soft, _)| soft);
    let count = options.idle.min(usize::try_from(allowed.saturating_sub(RESERVE + FIRST as u64))?);
    let mut rows = Vec::new();
    for program in &options.servers {
        rows.push(vec![program.name.clone(), table::figure(bytes_each(program, count)?, 0)]);
    }
    let heading = format!("## Idle\n\n{count} connections without events.");
    table::print(&heading, &["server", "user memory per connection, bytes"], &rows);
    Ok(())
}

fn bytes_each(program: &Program, count: usize) -> Result<Option<f64>, Failure> {
    let server = Server::start(program)?;
    let mut load = LoadGenerator::new(server.address)?;
    // The first connections also allocate shared memory, such as buffers for concurrent requests.
    load.connect_all(FIRST)?;
    load.run_for(SETTLE)?;
    let before = server.memory();
    load.connect_all(count)?;
    load.run_for(SETTLE)?;
    let pair = server.memory().zip(before);
    Ok(pair.map(|(after, before)| after.saturating_sub(before) as f64 / count as f64))
}
