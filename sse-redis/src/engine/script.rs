//! The script that appends, and the fence, which is a batch without records.

use redis::{Script, Value};
use sse_core::Position;

use crate::keys::Keys;
use crate::protocol::batch::{Appended, Batch, Publication};

use super::{Link, LogError, parse};

/// The script `append.lua`, with what is the same in all calls.
pub(crate) struct AppendScript {
    script: Script,
    keys: Keys,
    log_entries: usize,
}

/// The time for which the log remembers the numbers of a publisher, in seconds: a day.
const PUBLISHER_SECONDS: u32 = 24 * 60 * 60;

impl AppendScript {
    pub(crate) fn new(keys: Keys, log_entries: usize) -> AppendScript {
        AppendScript { script: Script::new(include_str!("../append.lua")), keys, log_entries }
    }

    /// Appends a batch. `floor` is the newest position that the node has seen.
    pub(crate) async fn append<T>(
        &self,
        link: &mut Link,
        publisher: u64,
        floor: Position,
        batch: &Batch<T>,
    ) -> Result<Appended, LogError> {
        self.append_as(link, publisher, floor, false, batch).await
    }

    /// Appends a batch, and says whether the node found the log rewound.
    pub(super) async fn append_as<T>(
        &self,
        link: &mut Link,
        publisher: u64,
        floor: Position,
        found_rewound: bool,
        batch: &Batch<T>,
    ) -> Result<Appended, LogError> {
        let (keys, arguments) =
            self.arguments(floor, batch.first_number(), found_rewound, batch.publications());
        self.call(link, publisher, keys, arguments).await
    }

    /// Asks for the end of the log. A log that ends before `floor` was rewound, and so is one of which the node says so.
    pub(crate) async fn fence(
        &self,
        link: &mut Link,
        floor: Position,
        found_rewound: bool,
    ) -> Result<Appended, LogError> {
        let (keys, arguments) = self.arguments(floor, 0, found_rewound, &[]);
        self.call(link, 0, keys, arguments).await
    }

    /// Returns the keys of the channels, each once, and the arguments.
    fn arguments(
        &self,
        floor: Position,
        first_number: u64,
        found_rewound: bool,
        publications: &[Publication],
    ) -> (Vec<String>, Vec<Vec<u8>>) {
        let mut keys: Vec<String> = Vec::new();
        let mut numbers = std::collections::HashMap::new();
        let text = |number: u64| number.to_string().into_bytes();
        let flag = |is_set: bool| if is_set { b"1".to_vec() } else { b"0".to_vec() };
        let mut arguments = vec![
            text(floor.get()),
            text(first_number),
            text(self.log_entries as u64),
            text(PUBLISHER_SECONDS.into()),
            flag(found_rewound),
            text(publications.len() as u64),
        ];
        for publication in publications {
            let description = &publication.description;
            arguments.extend([
                flag(description.closes),
                description.encode(),
                publication.frame.to_vec(),
                text(description.channels.len() as u64),
            ]);
            for (channel, retention) in description.channels.iter().zip(&publication.retention) {
                let number = *numbers.entry(channel.as_str()).or_insert_with(|| {
                    keys.push(self.keys.history(channel));
                    keys.len() as u64
                });
                arguments.extend([text(number), text(retention.events as u64), text(retention.seconds)]);
            }
        }
        (keys, arguments)
    }

    async fn call(
        &self,
        link: &mut Link,
        publisher: u64,
        keys: Vec<String>,
        arguments: Vec<Vec<u8>>,
    ) -> Result<Appended, LogError> {
        let mut call = self.script.prepare_invoke();
        call.key(self.keys.log()).key(self.keys.meta()).key(self.keys.publisher(publisher));
        for key in keys {
            call.key(key);
        }
        for argument in arguments {
            call.arg(argument);
        }
        let mut connection = link.share().await?;
        let reply: Result<Value, LogError> = call.invoke_async(&mut connection).await.map_err(LogError::from);
        if reply.as_ref().is_err_and(LogError::is_temporary) {
            link.disconnect();
        }
        appended(&reply?).ok_or(LogError::Reply("the script"))
    }
}

/// Reads `[last, count, first, known, rewound, born]`.
fn appended(reply: &Value) -> Option<Appended> {
    let [last, count, first, _known, rewound, born] = parse::array(reply)? else { return None };
    let first = parse::number(first)?;
    Some(Appended {
        last: Position::new(parse::number(last)?),
        count: parse::number(count)?,
        first: (first > 0).then(|| Position::new(first)),
        is_rewound: parse::number(rewound)? == 1,
        born: Position::new(parse::number(born)?),
    })
}
