//! Restarts: what a hub leaves to the next run, and what that makes of it (R1 to R4).

mod error;
mod export;
mod format;
mod restore;

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::time::Duration;

use hashbrown::HashMap;

use crate::id::Position;
use crate::time::Instant;
use crate::wire::Frame;

use super::Hub;

pub use error::{PositionsAreNotLocal, RestoreError};

/// The former runs whose ids a hub still knows: their epochs, each with the position up to which its ids are known (R2).
#[derive(Debug, Default)]
pub(super) struct FormerEpochs(Vec<(Box<str>, Position)>);

impl FormerEpochs {
    /// The number of former runs that are known.
    const MAX: usize = 8;

    /// Returns the position of an id of a former run.
    pub(super) fn position(&self, id: &str) -> Option<Position> {
        self.0.iter().find_map(|(epoch, through)| {
            let position = super::epoch::position_in(epoch, id)?;
            (position <= *through).then_some(position)
        })
    }
}

/// The channels of the former run that wait for their configuration (R4).
#[derive(Debug, Default)]
pub(super) struct WaitingChannels {
    channels: HashMap<Box<str>, StoredChannel>,
    /// The instant at which those that are left are let go.
    until: Option<Instant>,
}

/// A channel of an export.
#[derive(Debug)]
struct StoredChannel {
    /// The floor at the opening of the channel, and the newest event that was evicted.
    first_floor: Position,
    evicted_through: Position,
    /// The time for which the channel is still kept if it is finished; `None` inside is for ever.
    kept_for: Option<Option<Duration>>,
    events: Vec<StoredEvent>,
}

/// An event of an export.
#[derive(Clone, Debug)]
struct StoredEvent {
    position: Position,
    published_at: Instant,
    /// The id is that of a hub, and is replaced by the one of this run.
    has_hub_id: bool,
    /// The client key that does not receive the event.
    except: Option<Box<str>>,
    frame: Frame,
}

impl StoredChannel {
    /// Returns the newest position of an event that the channel had.
    fn end(&self) -> Position {
        let floor = self.first_floor.max(self.evicted_through);
        self.events.last().map_or(floor, |newest| newest.position.max(floor))
    }
}

impl Hub {
    /// Ends publishing for good: every further publication is [`PublishError::Sealed`](crate::PublishError::Sealed)
    /// ([R1](crate::rules#r1)). What was published is still delivered.
    ///
    /// A server seals its hub behind the drain and before the [export](Hub::export), so that no event is lost in between without
    /// an error.
    ///
    /// ```
    /// # use sse_core::{ChannelConfig, Event, Hub, HubConfig, Instant, PublishError};
    /// # let mut hub = Hub::new(HubConfig::default()).unwrap();
    /// # let now = Instant::ORIGIN;
    /// let weather = hub.open_channel(now, "weather", ChannelConfig::default()).unwrap();
    /// hub.seal(now);
    /// assert_eq!(hub.publish(now, weather, &Event::new().data("late")), Err(PublishError::Sealed));
    /// ```
    pub fn seal(&mut self, now: Instant) {
        self.advance_clock(now);
        self.is_sealed = true;
    }

    /// Returns the instant at which the channels that nobody opened are let go.
    pub(super) fn waiting_until(&self) -> Option<Instant> {
        self.waiting.until
    }

    /// Lets the channels go that nobody opened in time: their ends count (R4).
    pub(super) fn drop_unclaimed(&mut self) {
        if self.waiting.until.is_none_or(|until| until > self.now) {
            return;
        }
        let WaitingChannels { channels, .. } = core::mem::take(&mut self.waiting);
        for (name, channel) in channels {
            self.ended_names.insert(&name, channel.end());
        }
    }
}
