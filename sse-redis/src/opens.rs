//! Channels that are being opened: what the log brings while their pasts are read.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use sse_core::Position;

use crate::protocol::floor::Floor;
use crate::protocol::repair::{ChannelHistory, HistoryEntry};

/// The channels that are being opened, by name. Each is opened by one task at a time.
#[derive(Debug, Default)]
pub(crate) struct Opens(Mutex<HashMap<String, Arrived>>);

/// What the log brought for a channel since its past was asked for.
#[derive(Debug, Default)]
struct Arrived {
    entries: Vec<HistoryEntry>,
    /// Events were lost meanwhile: the past has to be read again.
    is_stale: bool,
}

/// The channels that one task opens. Dropping it forgets what arrived for them.
#[derive(Debug)]
pub(crate) struct Opening<'a> {
    opens: &'a Opens,
    names: Vec<String>,
    /// The head of the hub when the task began to listen.
    since: Position,
}

impl Opens {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Arrived>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins to listen for channels. Call this under the lock of the hub, with its head.
    pub(crate) fn begin(&self, names: Vec<String>, since: Position) -> Opening<'_> {
        let mut opens = self.lock();
        for name in &names {
            opens.insert(name.clone(), Arrived::default());
        }
        drop(opens);
        Opening { opens: self, names, since }
    }

    /// Adds an entry of the log for a channel that is being opened. An empty frame says that the channel was closed.
    pub(crate) fn arrive(&self, name: &str, position: Position, frame: &Bytes) {
        if let Some(arrived) = self.lock().get_mut(name) {
            arrived.entries.push(HistoryEntry { position, frame: frame.clone() });
        }
    }

    /// Lets all channels read their pasts again, because events were lost.
    pub(crate) fn lose(&self) {
        self.lock().values_mut().for_each(|arrived| arrived.is_stale = true);
    }
}

impl Opening<'_> {
    /// Returns the names of the channels.
    pub(crate) fn names(&self) -> &[String] {
        &self.names
    }

    /// Adds what arrived to the pasts that were read, in the order of the names. `None` if events were lost meanwhile. Call this
    /// under the lock of the hub.
    pub(crate) fn complete(&self, read: Vec<ChannelHistory>) -> Option<Vec<ChannelHistory>> {
        let mut opens = self.opens.lock();
        let complete = |(name, history): (&String, ChannelHistory)| {
            let arrived = opens.get_mut(name).filter(|arrived| !arrived.is_stale)?;
            Some(combine(history, self.since, std::mem::take(&mut arrived.entries)))
        };
        self.names.iter().zip(read).map(complete).collect()
    }
}

impl Drop for Opening<'_> {
    fn drop(&mut self) {
        let mut opens = self.opens.lock();
        for name in &self.names {
            opens.remove(name);
        }
    }
}

/// Combines a past with what arrived above `since`. Until there the past has everything, since the log had it.
fn combine(read: ChannelHistory, since: Position, arrived: Vec<HistoryEntry>) -> ChannelHistory {
    let ChannelHistory { mut floor, entries: read } = read;
    let mut entries = Vec::with_capacity(read.len().saturating_add(arrived.len()));
    for entry in read.into_iter().filter(|entry| entry.position <= since).chain(arrived) {
        if !entry.frame.is_empty() {
            entries.push(entry);
        } else if entry.position >= floor.position {
            entries.clear();
            floor = Floor { position: entry.position, is_complete: false };
        }
    }
    ChannelHistory { floor, entries }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(position: u64, frame: &'static str) -> HistoryEntry {
        HistoryEntry { position: Position::new(position), frame: Bytes::from_static(frame.as_bytes()) }
    }

    fn past(floor: u64, entries: Vec<HistoryEntry>) -> ChannelHistory {
        ChannelHistory { floor: Floor { position: Position::new(floor), is_complete: false }, entries }
    }

    fn positions(history: &ChannelHistory) -> (u64, Vec<u64>) {
        (history.floor.position.get(), history.entries.iter().map(|entry| entry.position.get()).collect())
    }

    #[test]
    fn what_arrives_continues_the_past() {
        let opens = Opens::default();
        let opening = opens.begin(vec!["a".into()], Position::new(20));
        opens.arrive("a", Position::new(25), &Bytes::from_static(b"x"));
        opens.arrive("b", Position::new(26), &Bytes::from_static(b"x"));
        let read = past(10, vec![entry(15, "x"), entry(20, "x"), entry(25, "x"), entry(30, "x")]);
        let complete = opening.complete(vec![read]).unwrap();
        assert_eq!(positions(&complete[0]), (10, vec![15, 20, 25]), "30 is still to come by the log");
    }

    #[test]
    fn a_close_ends_the_past() {
        let opens = Opens::default();
        let opening = opens.begin(vec!["a".into()], Position::new(20));
        opens.arrive("a", Position::new(25), &Bytes::new());
        opens.arrive("a", Position::new(26), &Bytes::from_static(b"x"));
        let complete = opening.complete(vec![past(10, vec![entry(15, "x")])]).unwrap();
        assert_eq!(positions(&complete[0]), (25, vec![26]));
    }

    #[test]
    fn a_loss_makes_a_past_stale_and_a_drop_forgets_it() {
        let opens = Opens::default();
        let opening = opens.begin(vec!["a".into()], Position::new(20));
        opens.lose();
        assert!(opening.complete(vec![past(10, Vec::new())]).is_none());
        drop(opening);
        assert!(opens.lock().is_empty());
    }
}
