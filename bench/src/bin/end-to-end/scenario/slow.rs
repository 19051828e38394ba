//! Two of the clients do not read.

use std::time::Duration;

use crate::client::Stage;
use crate::load::LoadGenerator;
use crate::options::{Options, Program};
use crate::process::Server;
use crate::{Failure, table};

use super::format_faults;

const SLOW: usize = 2;
const OTHERS: usize = 20;

/// Events of 64 KiB each: more than all kernel buffers hold.
const EVENTS: usize = 700;
const BYTES: usize = 64 * 1024;

/// The time in which the slow clients can catch up.
const CATCH_UP: Duration = Duration::from_secs(3);

pub(crate) fn run(options: &Options) -> Result<(), Failure> {
    let mut rows = Vec::new();
    // The limit disconnects slow clients, so it is not measured here.
    for program in options.servers.iter().filter(|program| program.name != "limit") {
        rows.push(row(program)?);
    }
    let mebibytes = (EVENTS * BYTES) as f64 / f64::from(1 << 20);
    let heading = format!(
        "## Slow readers\n\n{SLOW} of {} clients do not read {EVENTS} events of {mebibytes:.0} MiB in total, and read them later. \
         Memory is the growth over a run of the same events without slow clients.",
        SLOW + OTHERS
    );
    let columns = [
        "server",
        "memory grown, MiB",
        "p99 of the others, ms: without slow clients, with them",
        "others: lost, doubled",
        "the slow clients, when they read again",
    ];
    table::print(&heading, &columns, &rows);
    Ok(())
}

fn row(program: &Program) -> Result<Vec<String>, Failure> {
    let server = Server::start(program)?;
    let mut load = LoadGenerator::new(server.address)?;
    load.paused = SLOW;
    load.connect_all(SLOW + OTHERS)?;

    // Without slow clients, all read. This also fills the history.
    load.resume();
    load.publish_in_lockstep(EVENTS, BYTES)?;
    let (without, before) = (p99(&mut load), server.memory());

    load.paused = SLOW;
    load.publish_in_lockstep(EVENTS, BYTES)?;
    let with = p99(&mut load);
    let grown = server.memory().zip(before);
    let grown = grown.map(|(after, before)| after.saturating_sub(before) as f64 / f64::from(1 << 20));
    let faults = format_faults(load.faults());

    load.resume();
    load.run_for(CATCH_UP)?;
    let slow: Vec<String> = (0..SLOW).map(|index| outcome(&load, index)).collect();
    let delays = format!("{without:.2}, {with:.2}");
    Ok(vec![program.name.clone(), table::figure(grown, 1), delays, faults, slow.join("; ")])
}

/// Returns the 99th percentile of the delays in milliseconds, and clears the delays.
fn p99(load: &mut LoadGenerator) -> f64 {
    let delays = core::mem::take(&mut load.delays);
    table::percentile(&delays, 99).unwrap_or_default() as f64 / 1e6
}

/// Describes the result of a slow client.
fn outcome(load: &LoadGenerator, index: usize) -> String {
    let Some(client) = &load.clients[index] else { return "–".to_owned() };
    let missing = client.faults.lost + load.next.saturating_sub(client.next);
    match (client.stage, missing) {
        (Stage::Closed, _) => "closed, to resume".to_owned(),
        (_, 0) => "received everything".to_owned(),
        (_, missing) if client.is_reset => format!("{missing} lost, with a reset"),
        (_, missing) => format!("{missing} lost, without a reset"),
    }
}
