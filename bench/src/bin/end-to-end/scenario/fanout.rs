//! Connections follow one channel, and every event goes to all of them.

use crate::client::Faults;
use crate::load::LoadGenerator;
use crate::options::{Options, Program};
use crate::process::Server;
use crate::{Failure, table};

use super::{Meter, format_faults};

/// Events before the first phase.
const WARM_UP: usize = 30;

/// The results of one server in one round, in microseconds for each delivery.
#[derive(Default)]
struct Round {
    lockstep: Option<f64>,
    open: Option<f64>,
    faults: Faults,
}

pub(crate) fn run(options: &Options) -> Result<(), Failure> {
    let mut rounds: Vec<Vec<Round>> = options.servers.iter().map(|_| Vec::new()).collect();
    for _ in 0..options.rounds {
        for (program, rounds) in options.servers.iter().zip(&mut rounds) {
            rounds.push(round(program, options)?);
        }
    }
    let Options { connections, events, bytes, .. } = options;
    let heading = format!(
        "## Fan-out\n\n{connections} connections, {events} events of {bytes} bytes in each phase, {} rounds. Ratios are \
         medians (least..most) of processor time to that of `{}` in the same round.",
        options.rounds, options.servers[0].name
    );
    let columns =
        ["server", "lockstep: CPU µs per delivery", "x limit", "open: CPU µs", "x limit", "lost, doubled"];
    let rows: Vec<_> = options
        .servers
        .iter()
        .zip(&rounds)
        .map(|(program, own)| {
            let (lockstep, lockstep_ratio) = compare(own, &rounds[0], |round| round.lockstep);
            let (open, open_ratio) = compare(own, &rounds[0], |round| round.open);
            let faults = own.iter().fold(Faults::default(), |all, round| Faults {
                lost: all.lost + round.faults.lost,
                doubled: all.doubled + round.faults.doubled,
            });
            vec![program.name.clone(), lockstep, lockstep_ratio, open, open_ratio, format_faults(faults)]
        })
        .collect();
    table::print(&heading, &columns, &rows);
    Ok(())
}

fn round(program: &Program, options: &Options) -> Result<Round, Failure> {
    let server = Server::start(program)?;
    let mut load = LoadGenerator::new(server.address)?;
    load.connect_all(options.connections)?;
    load.publish_in_lockstep(WARM_UP, options.bytes)?;
    let deliveries = options.connections * options.events;
    let meter = Meter::start(&server);
    load.publish_in_lockstep(options.events, options.bytes)?;
    let lockstep = meter.micros_each(&server, deliveries);
    let meter = Meter::start(&server);
    load.publish_back_to_back(options.events, options.bytes)?;
    let open = meter.micros_each(&server, deliveries);
    Ok(Round { lockstep, open, faults: load.faults() })
}

/// Returns the median in microseconds, and the ratios to the first server.
fn compare(own: &[Round], limit: &[Round], of: impl Fn(&Round) -> Option<f64>) -> (String, String) {
    let micros: Vec<f64> = own.iter().filter_map(&of).collect();
    let pairs = own.iter().zip(limit).filter_map(|(own, limit)| Some((of(own)?, of(limit)?)));
    let ratios: Vec<f64> = pairs.map(|(own, limit)| own / limit).collect();
    (table::figure(table::median(&micros), 2), table::spread(&ratios))
}
