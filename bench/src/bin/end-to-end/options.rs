//! What the command line asks for.

use crate::Failure;
use crate::server::SERVERS;

const HELP: &str = "end-to-end [OPTIONS]   (default)

  --only NAME,NAME      scenarios: fanout,idle,replay,churn,slow (all)
  --servers NAME,NAME   limit,attached,body,axum-sse (all); what is first is what the others are compared with
  --also NAME=PROGRAM   another server; it is started with PORT=0 and prints its address (may be repeated)
  --rounds 5            how often each server has its turn
  --connections 1000    who follow
  --events 300          events in each phase
  --bytes 100           bytes of data in each event
  --idle 10000          idle connections, or as many as the limit on open files allows
  --churn 5000          clients that come and go
  --replay 2000         clients that come back with 100 events missed
";

/// What the command line asks for.
pub(crate) struct Options {
    pub(crate) scenarios: Vec<String>,
    pub(crate) servers: Vec<Program>,
    pub(crate) rounds: usize,
    pub(crate) connections: usize,
    pub(crate) events: usize,
    pub(crate) bytes: usize,
    pub(crate) idle: usize,
    pub(crate) churn: usize,
    pub(crate) replay: usize,
}

/// A server to be measured: one of this binary's own, unless it has a path.
#[derive(Clone)]
pub(crate) struct Program {
    pub(crate) name: String,
    pub(crate) path: Option<String>,
}

impl Options {
    /// `None` when it was asked for help, which is printed.
    pub(crate) fn read(mut arguments: impl Iterator<Item = String>) -> Result<Option<Options>, Failure> {
        let own = SERVERS.map(|(name, _)| name).join(",");
        let mut options = Options {
            scenarios: list("fanout,idle,replay,churn,slow"),
            servers: programs(&own),
            rounds: 5,
            connections: 1000,
            events: 300,
            bytes: 100,
            idle: 10_000,
            churn: 5000,
            replay: 2000,
        };
        let mut also = Vec::new();
        while let Some(name) = arguments.next() {
            if matches!(name.as_str(), "--help" | "-h") {
                print!("{HELP}");
                return Ok(None);
            }
            let value = arguments.next().ok_or_else(|| format!("{name} needs a value"))?;
            match name.as_str() {
                "--only" => options.scenarios = list(&value),
                "--servers" => options.servers = programs(&value),
                "--also" => also.push(program(&value)?),
                "--rounds" => options.rounds = number(&name, &value)?,
                "--connections" => options.connections = number(&name, &value)?,
                "--events" => options.events = number(&name, &value)?,
                "--bytes" => options.bytes = number(&name, &value)?,
                "--idle" => options.idle = number(&name, &value)?,
                "--churn" => options.churn = number(&name, &value)?,
                "--replay" => options.replay = number(&name, &value)?,
                _ => return Err(format!("{name} is not known, see --help").into()),
            }
        }
        options.servers.extend(also);
        Ok(Some(options))
    }
}

fn list(names: &str) -> Vec<String> {
    names.split(',').map(str::to_owned).collect()
}

fn programs(names: &str) -> Vec<Program> {
    list(names).into_iter().map(|name| Program { name, path: None }).collect()
}

fn program(value: &str) -> Result<Program, Failure> {
    let (name, path) = value.split_once('=').ok_or("--also needs NAME=PROGRAM")?;
    Ok(Program { name: name.to_owned(), path: Some(path.to_owned()) })
}

fn number(name: &str, value: &str) -> Result<usize, Failure> {
    value
        .parse()
        .ok()
        .filter(|number| *number > 0)
        .ok_or_else(|| format!("{name} {value} is no number").into())
}
