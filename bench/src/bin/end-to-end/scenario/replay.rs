//! Clients reconnect, each with 100 missed events.

use crate::client::Stage;
use crate::load::LoadGenerator;
use crate::options::{Options, Program};
use crate::process::Server;
use crate::{Failure, table};

use super::{Meter, format_faults};

const MISSED: usize = 100;

/// Number of clients at the same time.
const CONCURRENT: usize = 32;

pub(crate) fn run(options: &Options) -> Result<(), Failure> {
    let rows: Vec<_> =
        options.servers.iter().map(|program| row(program, options)).collect::<Result<_, _>>()?;
    let heading = format!(
        "## Replay\n\n{} clients reconnect, each with {MISSED} missed events of {} bytes. A read of the client is \
         one or several writes of the server.",
        options.replay, options.bytes
    );
    let columns = ["server", "CPU µs per client", "reads per client", "lost, doubled"];
    table::print(&heading, &columns, &rows);
    Ok(())
}

fn row(program: &Program, options: &Options) -> Result<Vec<String>, Failure> {
    let server = Server::start(program)?;
    let mut load = LoadGenerator::new(server.address)?;
    load.connect_all(1)?;
    load.publish_in_lockstep(MISSED, options.bytes)?;
    let seen = load.clients[0].as_ref().map(|client| client.last_event_id().to_owned()).unwrap_or_default();
    let missed_from = load.next;
    load.publish_in_lockstep(MISSED, options.bytes)?;

    // The first client finds out whether the server supports replay.
    let first = load.connect(Some(&seen), missed_from)?;
    load.wait_until("the response arrives", |load| load.stage(first) != Stage::Connecting)?;
    load.run_for(super::SETTLE)?;
    if load.clients[first].as_ref().is_none_or(|client| client.next == missed_from) {
        return Ok(vec![program.name.clone(), "no replay".into(), "–".into(), "–".into()]);
    }
    let meter = Meter::start(&server);
    let (mut started, mut done, mut reads) = (0, 0, 0);
    let mut replaying = Vec::new();
    while done < options.replay {
        while replaying.len() < CONCURRENT && started < options.replay {
            replaying.push(load.connect(Some(&seen), missed_from)?);
            started += 1;
        }
        load.poll_once(std::time::Duration::ZERO)?;
        let (all, is_closed) = (load.next, load.stage(replaying[0]) == Stage::Closed);
        if load.clients[replaying[0]].as_ref().is_some_and(|client| client.next == all) || is_closed {
            reads += load.remove(replaying.remove(0)).map_or(0, |client| client.reads);
            done += 1;
        }
    }
    let micros = meter.micros_each(&server, options.replay);
    let reads = reads as f64 / options.replay as f64;
    let name = program.name.clone();
    Ok(vec![name, table::figure(micros, 1), format!("{reads:.1}"), format_faults(load.faults())])
}
