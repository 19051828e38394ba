//! The script on a real server, against a model of it.

#[path = "../../tests/kit/mod.rs"]
mod kit;

use std::collections::{HashMap, HashSet};

use bytes::Bytes;
use redis::{Client, Value};
use sse_core::{Instant, Position};

use super::parse::{self, StreamEntry};
use super::{AppendScript, Link, LogError, RESPONSE_TIMEOUT};
use crate::keys::Keys;
use crate::protocol::batch::{Appended, Batch, Item, Numbers, Publication, Retention};
use crate::protocol::record::Description;

const CHANNELS: [&str; 4] = ["a", "b", "c", "d"];
const PUBLISHERS: u64 = 2;

/// The state that the script has to leave.
#[derive(Default)]
struct Model {
    /// The newest position and the count.
    end: Option<(u64, u64)>,
    /// The positions of the log.
    log: Vec<u64>,
    /// The first and last number of the last batch of a publisher, and its position.
    publishers: HashMap<u64, (u64, u64, u64)>,
    born: u64,
    /// The histories: positions, and whether each is the marker of a close.
    histories: HashMap<&'static str, Vec<(u64, bool)>>,
    wrong_types: HashSet<&'static str>,
    /// The histories whose time was shortened, and not renewed since.
    shortened: HashSet<&'static str>,
}

impl Model {
    /// Checks a reply, and applies the call to the model.
    fn append(&mut self, call: &Call, reply: &Result<Appended, LogError>) {
        let is_refused = call.channels().any(|channel| self.wrong_types.contains(channel));
        let Ok(reply) = reply else {
            assert!(is_refused && matches!(reply, Err(LogError::Refused(_))), "{reply:?}");
            return;
        };
        assert!(!is_refused);
        let is_rewound = self.end.is_none_or(|(last, _)| call.floor > last) || call.found_rewound;
        assert_eq!(reply.is_rewound, is_rewound);
        if self.end.is_none() {
            self.log.clear();
        }
        let (mut last, mut count) = self.end.unwrap_or_default();
        let records = call.records.len() as u64;
        let known =
            self.publishers.get(&call.publisher).filter(|known| records > 0 && call.first_number <= known.1);
        let is_stored = known.is_some();
        let expected_first = known.map(|known| (call.first_number == known.0).then_some(known.2));
        if is_rewound {
            // The position of the rewind is the one before the records, or the last one.
            let stored = if is_stored { 0 } else { records };
            let born = reply.last.get() - stored;
            assert!(born > last.max(call.floor));
            (last, count) = (born, count + 1);
            self.log.push(born);
            self.born = born;
        }
        if let Some(first) = expected_first {
            assert_eq!(reply.first.map(Position::get), first, "a retry");
        } else if records > 0 {
            let first = reply.first.expect("it was stored").get();
            assert!(first > last && first > call.floor);
            self.publishers
                .insert(call.publisher, (call.first_number, call.first_number + records - 1, first));
            for (position, record) in (first..).zip(&call.records) {
                self.log.push(position);
                record.channels.iter().for_each(|channel| self.store(channel, position, record));
            }
            (last, count) = (first + records - 1, count + records);
        }
        assert_eq!((reply.last.get(), reply.count, reply.born.get()), (last, count, self.born));
        self.end = Some((last, count));
    }

    fn store(&mut self, channel: &'static str, position: u64, record: &RecordOf) {
        let history = self.histories.entry(channel).or_default();
        if record.closes || record.kept > 0 {
            self.shortened.remove(channel);
        }
        if record.closes {
            *history = vec![(position, true)];
        } else if record.kept > 0 {
            history.push((position, false));
            history.drain(..history.len().saturating_sub(record.kept + 1));
        }
    }
}

/// A call of the script.
struct Call {
    publisher: u64,
    first_number: u64,
    floor: u64,
    found_rewound: bool,
    records: Vec<RecordOf>,
}

#[derive(Clone)]
struct RecordOf {
    channels: Vec<&'static str>,
    kept: usize,
    closes: bool,
}

impl Call {
    fn channels(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.records.iter().flat_map(|record| record.channels.iter().copied())
    }

    fn batch(&self) -> Batch<()> {
        let item = |record: &RecordOf| {
            let channels = record.channels.iter().map(|name| (*name).to_owned()).collect();
            let description = Description { closes: record.closes, channels, ..Description::default() };
            let frame = if record.closes { Bytes::new() } else { Bytes::from_static(b"data: x\n\n") };
            let retention = Retention { events: record.kept, seconds: 100 };
            let retention = vec![retention; record.channels.len()];
            Item {
                publication: Publication { description, frame, retention },
                deadline: Instant::MAX,
                token: (),
            }
        };
        Numbers::starting_at(self.publisher, self.first_number).batch(self.records.iter().map(item).collect())
    }
}

struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        (self.0 >> 33) % limit
    }

    fn chance(&mut self, one_in: u64) -> bool {
        self.below(one_in) == 0
    }

    fn record(&mut self) -> RecordOf {
        let mut channels = CHANNELS.to_vec();
        while channels.len() > 1 && !self.chance(3) {
            let gone = self.below(channels.len() as u64) as usize;
            channels.remove(gone);
        }
        RecordOf { channels, kept: self.below(4) as usize, closes: self.chance(10) }
    }
}

async fn positions(link: &mut Link, key: &str) -> Vec<(u64, bool)> {
    let reply = link.call(redis::cmd("XRANGE").arg(key).arg("-").arg("+")).await.unwrap();
    let read = |value: &Value| {
        let entry = StreamEntry::read(value).unwrap();
        (entry.position.get(), entry.data("d").unwrap().is_empty())
    };
    parse::array(&reply).unwrap().iter().map(read).collect()
}

/// Compares the keys with the model, and shortens the time of all histories.
async fn assert_state(link: &mut Link, keys: &Keys, model: &mut Model) {
    let log: Vec<u64> =
        positions(link, &keys.log()).await.into_iter().map(|(position, _)| position).collect();
    // The log is bounded: the newest records are there.
    assert_eq!(log, model.log[model.log.len() - log.len()..]);
    for channel in CHANNELS.into_iter().filter(|channel| !model.wrong_types.contains(channel)) {
        let expected = model.histories.get(channel).cloned().unwrap_or_default();
        assert_eq!(positions(link, &keys.history(channel)).await, expected, "{channel}");
        let left = link.call(redis::cmd("TTL").arg(keys.history(channel))).await.unwrap();
        let expected = match (expected.is_empty(), model.shortened.contains(channel)) {
            (true, _) => -2..=-2,
            (false, true) => 0..=50,
            (false, false) => 51..=100,
        };
        assert!(
            matches!(left, Value::Int(left) if expected.contains(&left)),
            "the time is renewed: {left:?}"
        );
        link.call(redis::cmd("EXPIRE").arg(keys.history(channel)).arg(50)).await.unwrap();
        model.shortened.insert(channel);
    }
}

async fn run(seed: u64, calls: usize) {
    let Some(server) = kit::start(&[]) else { return };
    let keys = Keys::new("test");
    let script = AppendScript::new(keys.clone(), 1_000);
    let mut link = Link::new(Client::open(server.url()).unwrap(), RESPONSE_TIMEOUT);
    let (mut model, mut random) = (Model::default(), Random(seed));
    let mut numbers = HashMap::new();
    let mut last_batches: HashMap<u64, (u64, Vec<RecordOf>)> = HashMap::new();
    for number in 0..calls {
        if random.chance(200) {
            link.call(&redis::cmd("FLUSHALL")).await.unwrap();
            model = Model::default();
        }
        let channel = CHANNELS[random.below(4) as usize];
        if random.chance(50) {
            let key = keys.history(channel);
            link.call(redis::cmd("DEL").arg(&key)).await.unwrap();
            model.histories.remove(channel);
            if !model.wrong_types.remove(channel) && random.chance(2) {
                link.call(redis::cmd("SET").arg(&key).arg("x")).await.unwrap();
                model.wrong_types.insert(channel);
            }
        }
        if random.chance(50) && !model.wrong_types.contains(channel) {
            // It expires.
            link.call(redis::cmd("PEXPIRE").arg(keys.history(channel)).arg(1)).await.unwrap();
            tokio::time::sleep(std::time::Duration::from_millis(3)).await;
            model.histories.remove(channel);
        }
        let publisher = 1 + random.below(PUBLISHERS);
        let next: &mut u64 = numbers.entry(publisher).or_insert(1);
        let (first_number, records) = match last_batches.get(&publisher) {
            Some((first, records)) if random.chance(5) => (*first, records.clone()),
            Some((first, records)) if random.chance(10) => {
                ((*first).saturating_sub(1).max(1), records.clone())
            }
            _ => {
                // Numbers can be skipped: what was given up keeps its number.
                let first = *next + random.below(2);
                (first, (0..random.below(4)).map(|_| random.record()).collect())
            }
        };
        let last = model.end.map_or(0, |(last, _)| last);
        let floor =
            if random.chance(20) { last + random.below(3) } else { last.saturating_sub(random.below(9)) };
        let call = Call { publisher, first_number, floor, found_rewound: random.chance(100), records };
        let reply = if call.records.is_empty() {
            script.fence(&mut link, Position::new(floor), call.found_rewound).await
        } else {
            let (batch, call_floor) = (call.batch(), Position::new(floor));
            script.append_as(&mut link, publisher, call_floor, call.found_rewound, &batch).await
        };
        model.append(&call, &reply);
        if reply.is_ok() && !call.records.is_empty() {
            *next = (*next).max(first_number + call.records.len() as u64);
            last_batches.insert(publisher, (first_number, call.records));
        }
        if number % 50 == 0 {
            assert_state(&mut link, &keys, &mut model).await;
        }
    }
    assert_state(&mut link, &keys, &mut model).await;
}

#[tokio::test]
async fn the_script_does_what_its_model_does() {
    let seed = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1);
    run(seed, 10_000).await;
}

#[tokio::test]
async fn a_floor_more_than_a_day_ahead_is_refused() {
    let Some(server) = kit::start(&[]) else { return };
    let script = AppendScript::new(Keys::new("test"), 1_000);
    let mut link = Link::new(Client::open(server.url()).unwrap(), RESPONSE_TIMEOUT);
    let end = script.fence(&mut link, Position::ORIGIN, false).await.unwrap();
    let day = 24 * 60 * 60 * 1_000_000;
    let far = Position::new(end.last.get() + 2 * day);
    assert!(matches!(script.fence(&mut link, far, false).await, Err(LogError::Refused(_))));
    let near = Position::new(end.last.get() + day / 2);
    assert!(script.fence(&mut link, near, false).await.unwrap().last > near);
}
