//! The task that appends the publications of a node to the log.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use redis::Value;
use sse_core::Position;
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};
use tokio::time::sleep;

use crate::cluster::Shared;
use crate::engine::{Link, LogError};
use crate::observe;
use crate::protocol::batch::{Appended, Batch, Item, MAX_BYTES, MAX_PUBLICATIONS, Numbers, Outcome};

/// Who waits for the outcome of a publication, and the room that it takes.
pub(crate) struct Waiter {
    pub(crate) token: oneshot::Sender<Outcome>,
    pub(crate) _room: OwnedSemaphorePermit,
}

impl Waiter {
    fn report(self, outcome: Outcome) {
        // Who does not wait any more needs no outcome.
        let _ = self.token.send(outcome);
    }
}

/// The pauses between attempts, each twice as long as the one before.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_millis(200);

/// Appends publications, one batch at a time.
pub(crate) struct Publisher {
    shared: Arc<Shared>,
    link: Link,
    numbers: Numbers,
    queue: VecDeque<Item<Waiter>>,
    /// The newest position that the log has acknowledged.
    acknowledged: Position,
}

impl Publisher {
    pub(crate) fn new(shared: Arc<Shared>, link: Link) -> Publisher {
        let numbers = Numbers::new(shared.publisher);
        Publisher { shared, link, numbers, queue: VecDeque::new(), acknowledged: Position::ORIGIN }
    }

    /// Appends publications until no handle on the cluster is left, and everything is appended.
    pub(crate) async fn run(mut self, mut publications: mpsc::Receiver<Item<Waiter>>) {
        let mut received = Vec::new();
        loop {
            if self.queue.is_empty() {
                if publications.recv_many(&mut received, MAX_PUBLICATIONS).await == 0 {
                    return;
                }
                self.queue.extend(received.drain(..));
            }
            let items = self.next_items();
            if !items.is_empty() {
                let batch = self.numbers.batch(items);
                self.append(batch).await;
            }
        }
    }

    /// Takes the items of the next batch. Those for which nobody waits any more are dropped: they were never sent.
    fn next_items(&mut self) -> Vec<Item<Waiter>> {
        let now = self.shared.now();
        let (mut items, mut bytes) = (Vec::new(), 0usize);
        while let Some(item) = self.queue.front() {
            let size = item.publication.frame.len();
            if !items.is_empty() && bytes.saturating_add(size) > MAX_BYTES {
                break;
            }
            let Some(item) = self.queue.pop_front() else { break };
            if item.token.token.is_closed() {
                continue;
            }
            if item.deadline <= now {
                item.token.report(Outcome::Refused);
                continue;
            }
            bytes = bytes.saturating_add(size);
            items.push(item);
        }
        items
    }

    /// Appends a batch. After an error that can pass, the same batch is tried again, as long as somebody waits for it.
    async fn append(&mut self, mut batch: Batch<Waiter>) {
        let mut pause = FIRST_PAUSE;
        loop {
            let position = Position::new(self.shared.counters.position.load(Ordering::Relaxed));
            let floor = self.acknowledged.max(position);
            let script = &self.shared.script;
            match script.append(&mut self.link, self.shared.publisher, floor, &batch).await {
                Ok(reply) => {
                    self.acknowledged = reply.last;
                    return self.acknowledge(batch, reply).await;
                }
                Err(error) => {
                    if error.may_have_happened() {
                        batch.fail();
                    }
                    observe::append_failed(&error, !error.is_temporary());
                    if !error.is_temporary() {
                        return report(batch.refuse());
                    }
                }
            }
            report(batch.expire(self.shared.now()));
            if batch.next_deadline().is_none() {
                return;
            }
            sleep(pause).await;
            pause = pause.saturating_mul(2).min(LONGEST_PAUSE);
        }
    }

    /// Reports a batch as stored, once enough replicas have it.
    async fn acknowledge(&mut self, mut batch: Batch<Waiter>, reply: Appended) {
        if !self.is_replicated().await {
            batch.fail();
            return report(batch.refuse());
        }
        report(batch.acknowledge(reply));
    }

    async fn is_replicated(&mut self) -> bool {
        let Some((replicas, timeout)) = self.shared.config.replicas else { return true };
        let mut command = redis::cmd("WAIT");
        command.arg(replicas).arg(u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX).max(1));
        let reply: Result<Value, LogError> = self.link.call(&command).await;
        matches!(reply, Ok(Value::Int(count)) if usize::try_from(count).is_ok_and(|count| count >= replicas))
    }
}

fn report(outcomes: Vec<(Waiter, Outcome)>) {
    for (waiter, outcome) in outcomes {
        waiter.report(outcome);
    }
}
