//! Clients connect, wait for the response head, and disconnect.

use std::time::{Duration, Instant};

use crate::client::Stage;
use crate::load::LoadGenerator;
use crate::options::{Options, Program};
use crate::process::Server;
use crate::{Failure, table};

use super::{Meter, SETTLE};

/// Number of clients at the same time.
const CONCURRENT: usize = 32;

/// Clients before the measurement.
const WARM_UP: usize = 200;

pub(crate) fn run(options: &Options) -> Result<(), Failure> {
    let rows: Vec<_> =
        options.servers.iter().map(|program| row(program, options)).collect::<Result<_, _>>()?;
    let heading =
        format!("## Churn\n\n{} clients connect, receive the response head and disconnect.", options.churn);
    let columns = ["server", "connects per second", "CPU µs per connect", "memory kept for each, bytes"];
    table::print(&heading, &columns, &rows);
    Ok(())
}

fn row(program: &Program, options: &Options) -> Result<Vec<String>, Failure> {
    let server = Server::start(program)?;
    let mut load = LoadGenerator::new(server.address)?;
    connect_and_leave(&mut load, WARM_UP)?;
    load.run_for(SETTLE)?;
    let before = server.memory();
    let (meter, since) = (Meter::start(&server), Instant::now());
    connect_and_leave(&mut load, options.churn)?;
    let per_second = options.churn as f64 / since.elapsed().as_secs_f64();
    // The server also pays for the disconnects.
    load.run_for(SETTLE)?;
    let micros = meter.micros_each(&server, options.churn);
    let kept = server.memory().zip(before);
    let kept = kept.map(|(after, before)| after.saturating_sub(before) as f64 / options.churn as f64);
    let name = program.name.clone();
    Ok(vec![name, format!("{per_second:.0}"), table::figure(micros, 1), table::figure(kept, 0)])
}

fn connect_and_leave(load: &mut LoadGenerator, count: usize) -> Result<(), Failure> {
    let mut open = Vec::new();
    let (mut started, mut gone) = (0, 0);
    while gone < count {
        while open.len() < CONCURRENT && started < count {
            open.push(load.connect(None, load.next)?);
            started += 1;
        }
        load.poll_once(Duration::ZERO)?;
        let stages = open.iter().position(|index| load.stage(*index) != Stage::Connecting);
        if let Some(place) = stages {
            load.remove(open.swap_remove(place));
            gone += 1;
        }
    }
    Ok(())
}
