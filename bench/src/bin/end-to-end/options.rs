//! The options of the command line.

use crate::Failure;
use crate::server::SERVERS;

const HELP: &str = "end-to-end [OPTIONS]   (default)

  --only NAME,NAME      scenarios: fanout,idle,replay,churn,slow (all)
  --servers NAME,NAME   limit,attached,body,axum-sse (all); the others are compared with the first
  --also NAME=PROGRAM   another server, started with PORT=0, that prints its address (repeatable)
  --rounds 5            rounds, in each of which every server is measured
  --connections 1000    connections of the fan-out
  --events 300          events in each phase
  --bytes 100           bytes of data in each event
  --idle 10000          idle connections, or as many as the limit on open files allows
  --churn 5000          clients that connect and disconnect
  --replay 2000         clients that reconnect with 100 missed events
";

/// The options of the command line.
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

/// A server to measure: a server of this binary, or the program at `path`.
#[derive(Clone)]
pub(crate) struct Program {
    pub(crate) name: String,
    pub(crate) path: Option<String>,
}

impl Options {
    /// Parses the arguments. Prints the help and returns `None` if the arguments request it.
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
                _ => return Err(format!("unknown option {name}, see --help").into()),
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
        .ok_or_else(|| format!("{name} {value} is not a positive number").into())
}
