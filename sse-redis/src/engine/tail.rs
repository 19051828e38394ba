//! Reading the log.

use redis::Value;
use sse_core::Position;

use crate::keys::Keys;
use crate::protocol::record::{Content, Description, REWOUND, Record};

use super::parse::{self, StreamEntry};
use super::{Link, LogError};

/// The most records of one read.
const RECORDS_PER_READ: usize = 1000;

/// The time for which Redis waits for a record.
const BLOCK_MILLIS: usize = 1000;

/// Reads the records above a position, and waits for one for up to a second.
pub(crate) async fn read_records(
    link: &mut Link,
    keys: &Keys,
    after: Position,
) -> Result<Vec<Record>, LogError> {
    let mut command = redis::cmd("XREAD");
    command.arg("COUNT").arg(RECORDS_PER_READ).arg("BLOCK").arg(BLOCK_MILLIS);
    command.arg("STREAMS").arg(keys.log()).arg(format!("{after}-0"));
    let reply = link.call(&command).await?;
    if reply == Value::Nil {
        return Ok(Vec::new());
    }
    records(&reply).filter(|records| !records.is_empty()).ok_or(LogError::Reply("XREAD"))
}

fn records(reply: &Value) -> Option<Vec<Record>> {
    let [stream] = parse::array(reply)? else { return None };
    let [_, entries] = parse::array(stream)? else { return None };
    Some(parse::array(entries)?.iter().filter_map(record).collect())
}

fn record(value: &Value) -> Option<Record> {
    let entry = StreamEntry::read(value)?;
    let count = parse::number(entry.field("k")?)?;
    let description = parse::bytes(entry.field("m")?)?;
    let content = if description == REWOUND {
        Content::Rewound
    } else {
        match (Description::decode(description), entry.data("d")) {
            (Ok(description), Some(frame)) => Content::Entry { description, frame },
            _ => Content::Unreadable,
        }
    };
    Some(Record { position: entry.position, count, content })
}
