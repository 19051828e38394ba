//! Hubs that follow a log (L1, L3).

use crate::config::PositionSource;
use crate::id::Position;
use crate::time::Instant;

use super::Hub;

impl Hub {
    /// Moves the head of a hub that follows a log: every record up to `position` was read, and those for channels of this hub
    /// were published ([L3](crate::rules#l3)). Call this once for each batch of records, with the position of the last one.
    ///
    /// The head has to move over records of channels that are closed here, too. Otherwise, a channel that is opened later would
    /// take itself for complete up to a head that lies before them.
    ///
    /// A smaller position changes nothing, and neither does the call in a hub with another
    /// [source of positions](PositionSource).
    ///
    /// # Cost
    ///
    /// O(1).
    ///
    /// ```
    /// # use sse_core::{Hub, HubConfig, Instant, Position, PositionSource};
    /// let positions = PositionSource::Log { after: Position::new(40) };
    /// let mut hub = Hub::new(HubConfig { positions, ..HubConfig::default() }).unwrap();
    /// hub.advance(Instant::ORIGIN, Position::new(45));
    /// assert_eq!(hub.head(), Position::new(45));
    /// ```
    pub fn advance(&mut self, now: Instant, position: Position) {
        self.advance_clock(now);
        if matches!(self.config.positions, PositionSource::Log { .. }) {
            self.head = self.head.max(position);
        }
    }
}
