//! One published event, as the logs of a channel keep it.

use crate::id::{ConnectionId, Position};
use crate::time::Instant;
use crate::wire::Frame;

/// One published event, as history and backlog keep it.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) position: Position,
    /// When it was published.
    pub(crate) at: Instant,
    /// The one connection that does not get it (O5).
    pub(crate) except: Option<ConnectionId>,
    pub(crate) frame: Frame,
}

impl Entry {
    /// Whether history may keep it (H1).
    pub(crate) fn is_replayable(&self) -> bool {
        self.frame.id().is_some() && !self.frame.is_live_only()
    }
}
