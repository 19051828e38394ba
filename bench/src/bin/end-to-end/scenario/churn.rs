//! Clients come, wait for the response head, and go.

use std::time::{Duration, Instant};

use crate::client::Stage;
use crate::load::Load;
use crate::options::{Options, Program};
use crate::process::Server;
use crate::{Failure, table};

use super::{Meter, SETTLE};

/// How many come at the same time.
const AT_ONCE: usize = 32;

/// Clients before the measurement.
const WARM_UP: usize = 200;

pub(crate) fn run(options: &Options) -> Result<(), Failure> {
    let rows: Vec<_> =
        options.servers.iter().map(|program| row(program, options)).collect::<Result<_, _>>()?;
    let heading = format!("## Churn\n\n{} clients come, get the response head and go.", options.churn);
    let columns = ["server", "connects per second", "CPU µs per connect", "memory kept for each, bytes"];
    table::print(&heading, &columns, &rows);
    Ok(())
}

fn row(program: &Program, options: &Options) -> Result<Vec<String>, Failure> {
    let server = Server::start(program)?;
    let mut load = Load::new(server.address)?;
    come_and_go(&mut load, WARM_UP)?;
    load.rest(SETTLE)?;
    let before = server.memory();
    let (meter, since) = (Meter::start(&server), Instant::now());
    come_and_go(&mut load, options.churn)?;
    let per_second = options.churn as f64 / since.elapsed().as_secs_f64();
    // The ends are the server's work, too.
    load.rest(SETTLE)?;
    let micros = meter.micros_each(&server, options.churn);
    let kept = server.memory().zip(before);
    let kept = kept.map(|(after, before)| after.saturating_sub(before) as f64 / options.churn as f64);
    let name = program.name.clone();
    Ok(vec![name, format!("{per_second:.0}"), table::figure(micros, 1), table::figure(kept, 0)])
}

fn come_and_go(load: &mut Load, count: usize) -> Result<(), Failure> {
    let mut here = Vec::new();
    let (mut begun, mut gone) = (0, 0);
    while gone < count {
        while here.len() < AT_ONCE && begun < count {
            here.push(load.connect(None, load.next)?);
            begun += 1;
        }
        load.turn(Duration::ZERO)?;
        let stages = here.iter().position(|index| load.stage(*index) != Stage::Asking);
        if let Some(place) = stages {
            load.leave(here.swap_remove(place));
            gone += 1;
        }
    }
    Ok(())
}
