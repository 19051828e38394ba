//! What operators see of a node.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use sse_core::Position;

/// The state of a node: [`Cluster::status`](crate::Cluster::status).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Status {
    /// How far the node has read the log.
    pub position: Position,
    /// Whether the node is connected to the log, and reads it. A node that is not is not ready for clients.
    pub is_connected: bool,
    /// The number of times that the connection was lost.
    pub reconnects: u64,
    /// The number of gaps that the node found in the log.
    pub gaps: u64,
    /// The number of events that the node read from histories to fill gaps.
    pub repaired: u64,
    /// The number of times that the log had lost acknowledged records.
    pub rewound: u64,
    /// The number of channels that were opened with a past.
    pub cold_opens: u64,
    /// The number of subscriptions that were refused because a past could not be read.
    pub refused_opens: u64,
}

/// The counters of a node.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) position: AtomicU64,
    pub(crate) is_connected: AtomicBool,
    pub(crate) reconnects: AtomicU64,
    pub(crate) gaps: AtomicU64,
    pub(crate) repaired: AtomicU64,
    pub(crate) rewound: AtomicU64,
    pub(crate) cold_opens: AtomicU64,
    pub(crate) refused_opens: AtomicU64,
}

impl Counters {
    pub(crate) fn status(&self) -> Status {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Status {
            position: Position::new(read(&self.position)),
            is_connected: self.is_connected.load(Ordering::Relaxed),
            reconnects: read(&self.reconnects),
            gaps: read(&self.gaps),
            repaired: read(&self.repaired),
            rewound: read(&self.rewound),
            cold_opens: read(&self.cold_opens),
            refused_opens: read(&self.refused_opens),
        }
    }
}

/// Counts one more.
pub(crate) fn count(counter: &AtomicU64, by: u64) {
    counter.fetch_add(by, Ordering::Relaxed);
}
