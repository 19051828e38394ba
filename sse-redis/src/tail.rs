//! The task that reads the log into the hub of a node.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use sse_core::Position;
use tokio::time::{Instant, sleep};

use crate::apply::{apply, lose_all};
use crate::cluster::Shared;
use crate::engine::{Link, LogError, read_pasts, read_records};
use crate::observe;
use crate::protocol::continuity::{Cursor, Step};
use crate::protocol::record::{Content, Description, Record};
use crate::protocol::repair::{ChannelHistory, Repaired, merge};
use crate::status::count;

/// The pause between attempts to reach Redis.
const RETRY: Duration = Duration::from_millis(100);

/// The pause after a short read that came soon after the one before. A read costs a node as much as thirty records, and the
/// records of the pause come together.
const PAUSE: Duration = Duration::from_millis(1);

/// A read within this time came soon.
const SOON: Duration = Duration::from_micros(500);

/// A read with fewer records is short.
const SHORT_READ: usize = 10;

/// The most channels whose histories are read in one transaction.
const CHANNELS_PER_READ: usize = 100;

/// Reads the log until the task is aborted.
pub(crate) struct Tail {
    shared: Arc<Shared>,
    link: Link,
    cursor: Cursor,
    /// The count fell behind this position, and no record has said yet that the log was rewound.
    fell_behind: Option<Position>,
}

impl Tail {
    pub(crate) fn new(shared: Arc<Shared>, link: Link, cursor: Cursor) -> Tail {
        Tail { shared, link, cursor, fell_behind: None }
    }

    pub(crate) async fn run(mut self) {
        loop {
            if let Err(error) = self.follow().await {
                let counters = &self.shared.counters;
                if counters.is_connected.swap(false, Ordering::Relaxed) {
                    count(&counters.reconnects, 1);
                    observe::connection_lost(&error);
                }
                self.link.disconnect();
                sleep(RETRY).await;
            }
        }
    }

    /// Reads the log until an error. Each connection begins with a fence: so a log that was rewound says so, also if nobody
    /// publishes.
    async fn follow(&mut self) -> Result<(), LogError> {
        self.fence().await?;
        let mut former_read = Instant::now();
        loop {
            let records = read_records(&mut self.link, &self.shared.keys, self.cursor.position).await?;
            self.process(&records).await?;
            if !self.shared.counters.is_connected.swap(true, Ordering::Relaxed) {
                observe::connected();
            }
            let read = Instant::now();
            if (1..SHORT_READ).contains(&records.len()) && read.duration_since(former_read) < SOON {
                sleep(PAUSE).await;
            }
            former_read = read;
        }
    }

    async fn fence(&mut self) -> Result<(), LogError> {
        let script = &self.shared.script;
        let reply = script.fence(&mut self.link, self.cursor.position, false).await?;
        let has_fallen = reply.count < self.cursor.count;
        let fell_behind = self.fell_behind.or(has_fallen.then_some(self.cursor.position));
        // Another node may have noticed it before: then the record that says so is still to be read.
        if fell_behind.is_some_and(|position| reply.born <= position) {
            script.fence(&mut self.link, self.cursor.position, true).await?;
        }
        self.fell_behind = None;
        Ok(())
    }

    async fn process(&mut self, records: &[Record]) -> Result<(), LogError> {
        let mut rest = records;
        while let Some(first) = rest.first() {
            if self.cursor.check(first) == Step::Gap {
                self.repair().await?;
                // A record that stands in the gap was repaired with it. Otherwise the histories end before it.
                if self.cursor.check(first) == Step::Gap {
                    self.publish(std::slice::from_ref(first));
                }
                rest = rest.get(1..).unwrap_or_default();
            } else {
                let published = self.publish(rest);
                rest = rest.get(published.max(1)..).unwrap_or_default();
            }
        }
        if self.fell_behind.is_some() { self.fence().await } else { Ok(()) }
    }

    /// Publishes records up to the next gap, under one lock of the hub. Returns their number; the first is published in any case.
    fn publish(&mut self, records: &[Record]) -> usize {
        let Tail { shared, cursor, fell_behind, .. } = self;
        let mut rewound = None;
        let published = shared.hub.with(|hub, now| {
            let mut published = 0usize;
            for record in records {
                let step = cursor.check(record);
                if step == Step::Gap && published > 0 {
                    break;
                }
                published = published.saturating_add(1);
                match (step, &record.content) {
                    (Step::Stale, _) => continue,
                    (_, Content::Rewound) => {
                        count(&shared.counters.rewound, 1);
                        rewound = Some(record.position);
                        *fell_behind = None;
                        lose_all(hub, now, &shared.opens, record.position);
                    }
                    (_, Content::Entry { description, frame }) => {
                        if step == Step::Fallen {
                            fell_behind.get_or_insert(cursor.position);
                        }
                        apply(hub, now, &shared.opens, shared.publisher, record.position, description, frame);
                    }
                    // It can be read from no history.
                    (_, Content::Unreadable) => lose_all(hub, now, &shared.opens, record.position),
                }
                cursor.pass(record);
            }
            published
        });
        rewound.into_iter().for_each(observe::rewound);
        shared.counters.position.store(cursor.position.get(), Ordering::Relaxed);
        published
    }

    /// Fills a gap from the histories of the open channels. No channel is opened meanwhile: what arrives for it would have the
    /// same gap.
    async fn repair(&mut self) -> Result<(), LogError> {
        let shared = Arc::clone(&self.shared);
        let _no_opens = shared.repairs.write().await;
        count(&shared.counters.gaps, 1);
        observe::gap(self.cursor.position);
        let names: Vec<String> =
            shared.hub.with(|hub, _| hub.channels().map(|(_, name)| name.to_owned()).collect());
        let mut connection = self.link.share().await?;
        let mut end = None;
        let mut histories: Vec<Option<ChannelHistory>> = Vec::with_capacity(names.len());
        // Without channels, one empty read finds the end of the log.
        let chunks = names.chunks(CHANNELS_PER_READ).chain(names.is_empty().then_some(&[][..]));
        for chunk in chunks {
            let channels: Vec<_> = chunk.iter().map(|name| (name.as_str(), shared.keep_for(name))).collect();
            let past = read_pasts(&mut connection, &shared.keys, &channels, self.cursor.position).await?;
            end.get_or_insert((past.last, past.count));
            histories.extend(past.histories);
        }
        let Some((Some(last), last_count)) = end else { return Err(LogError::Reply("there is no log")) };
        self.fill(&names, histories, Cursor { position: last, count: last_count });
        Ok(())
    }

    fn fill(&mut self, names: &[String], histories: Vec<Option<ChannelHistory>>, end: Cursor) {
        let (shared, from) = (&self.shared, self.cursor.position);
        let unreadable: Vec<&String> =
            names.iter().zip(&histories).filter(|(_, it)| it.is_none()).map(|(name, _)| name).collect();
        let empty = || ChannelHistory {
            floor: crate::protocol::floor::Floor { position: Position::ORIGIN, is_complete: false },
            entries: Vec::new(),
        };
        let histories = histories.into_iter().map(|history| history.unwrap_or_else(empty)).collect();
        let steps = merge(from, end.position, histories);
        let events = steps.iter().filter(|step| matches!(step, Repaired::Event { .. })).count();
        count(&shared.counters.repaired, events as u64);
        shared.hub.with(|hub, now| {
            for step in steps {
                let (position, channels, frame, closes) = match step {
                    Repaired::Lost { channel, through } => {
                        if let Some(channel) = names.get(channel).and_then(|name| hub.channel(name)) {
                            hub.lose(now, channel, through);
                        }
                        continue;
                    }
                    Repaired::Event { position, channels, frame } => (position, channels, frame, false),
                    Repaired::Closed { position, channel } => {
                        (position, vec![channel], bytes::Bytes::new(), true)
                    }
                };
                let channels =
                    channels.into_iter().filter_map(|channel| names.get(channel).cloned()).collect();
                // A history keeps events with ids alone.
                let description =
                    Description { closes, channels, has_hub_id: !closes, ..Description::default() };
                apply(hub, now, &shared.opens, shared.publisher, position, &description, &frame);
            }
            for name in unreadable {
                if let Some(channel) = hub.channel(name) {
                    hub.lose(now, channel, end.position);
                }
            }
            hub.advance(now, end.position);
        });
        self.cursor = end;
        shared.counters.position.store(end.position.get(), Ordering::Relaxed);
    }
}
