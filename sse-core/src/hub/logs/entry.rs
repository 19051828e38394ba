//! One published event, as the logs of a channel keep it.

use crate::hub::exclusion::Exclusion;
use crate::id::Position;
use crate::time::Instant;
use crate::wire::Frame;

#[derive(Clone, Debug)]
pub(crate) struct LogEntry {
    pub(crate) position: Position,
    pub(crate) published_at: Instant,
    /// The connection or the client key that does not receive the event (O5).
    pub(crate) except: Option<Exclusion>,
    pub(crate) frame: Frame,
}

impl LogEntry {
    /// Returns whether history may keep the event (H1).
    pub(crate) fn is_replayable(&self) -> bool {
        self.frame.has_id() && !self.frame.is_live_only()
    }
}
