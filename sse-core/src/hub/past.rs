//! Channels that are opened with a past (L2).

use crate::config::{ChannelConfig, Except, PositionSource};
use crate::id::{ChannelId, Position};
use crate::time::Instant;
use crate::wire::Frame;

use super::arena::ChannelSlot;
use super::logs::{HistorySize, LogEntry};
use super::{Hub, OpenError};

/// What was published to a channel before it is opened here: [`Hub::open_channel_with`].
#[derive(Clone, Copy, Debug)]
pub struct Past<'a> {
    /// The newest position of an event that the past lacks: clients with ids below it missed events that cannot be replayed
    /// ([H5](crate::rules#h5)). The past has every event of the channel above the floor.
    pub floor: Position,
    /// Whether the channel never had an event that the past lacks. [`StartFrom::Beginning`](crate::StartFrom::Beginning)
    /// depends on it.
    pub is_complete: bool,
    /// The events, oldest first.
    pub events: &'a [PastEvent],
}

/// An event of a [`Past`].
#[derive(Clone, Debug)]
pub struct PastEvent {
    /// The position of the event.
    pub position: Position,
    /// The instant of its publication, from which its age counts ([H1](crate::rules#h1)). An instant in the future is taken as
    /// now.
    pub published_at: Instant,
    /// The event. A frame without an id is given the hub's, as by [`Hub::publish`]. An event that has its id from another of its
    /// channels comes with the id.
    pub frame: Frame,
}

impl Hub {
    /// Opens a channel with its past, as a log has it or an earlier run of the server ([L2](crate::rules#l2)). Clients resume
    /// as if the channel had been open here all the time.
    ///
    /// A channel of this name that is open stays as it is. In a hub that follows a log, events above the
    /// [head](Hub::head) are left out: the log still brings them. A caller that fetches the past while it goes on to read the
    /// log passes what it fetched and what arrived meanwhile.
    ///
    /// # Errors
    ///
    /// As [`open_channel`](Hub::open_channel); [`OpenError::PositionsAreExternal`], and [`OpenError::BeyondHead`] in a hub that
    /// assigns its positions.
    ///
    /// # Cost
    ///
    /// O(events · log n) in the events of all pasts.
    ///
    /// ```
    /// # use sse_core::{ChannelConfig, ConnectionConfig, Event, Hub, HubConfig, Instant, Past, PastEvent, Position, PositionSource, Resume};
    /// # let now = Instant::ORIGIN;
    /// let positions = PositionSource::Log { after: Position::new(40) };
    /// let mut hub = Hub::new(HubConfig { positions, ..HubConfig::default() }).unwrap();
    /// let sunny = Event::new().data("sunny").encode().unwrap();
    /// let events = [PastEvent { position: Position::new(38), published_at: now, frame: sunny }];
    /// let past = Past { floor: Position::new(30), is_complete: false, events: &events };
    /// let weather = hub.open_channel_with(now, "weather", ChannelConfig::default(), &past)?;
    ///
    /// let config = ConnectionConfig { last_event_id: Some("0-31".into()), ..ConnectionConfig::default() };
    /// let connection = hub.connect(now, config).unwrap();
    /// assert_eq!(hub.subscribe(now, weather, connection), Ok(Resume::Replayed { events: 1 }));
    /// # Ok::<(), sse_core::OpenError>(())
    /// ```
    pub fn open_channel_with(
        &mut self,
        now: Instant,
        name: &str,
        config: ChannelConfig,
        past: &Past<'_>,
    ) -> Result<ChannelId, OpenError> {
        self.advance_clock(now);
        if let Some(open) = self.open_as(name, &config)? {
            return Ok(open);
        }
        if let Some(restored) = self.open_waiting(name, &config)? {
            return Ok(restored);
        }
        match self.config.positions {
            PositionSource::Local { .. } => self.check_end(past)?,
            PositionSource::External { .. } => return Err(OpenError::PositionsAreExternal),
            PositionSource::Log { .. } => {}
        }
        let floor = past.floor.min(self.head);
        let channel = self.insert_channel(name, config, floor)?;
        self.fill_history(channel, floor, past);
        Ok(channel)
    }

    /// Checks that a hub with its own positions does not assign one of the past again.
    fn check_end(&self, past: &Past<'_>) -> Result<(), OpenError> {
        let head = self.head;
        let positions = past.events.iter().map(|event| event.position);
        let position = positions.fold(past.floor, Position::max);
        if position > head { Err(OpenError::BeyondHead { position, head }) } else { Ok(()) }
    }

    /// Fills the history of a channel that was just opened. The bounds hold as if the events were published (H1, A1).
    fn fill_history(&mut self, id: ChannelId, floor: Position, past: &Past<'_>) {
        let Some(slot) = self.channels.slot(id) else { return };
        if let Some(channel) = self.channels.at_mut(slot).filter(|_| !past.is_complete) {
            channel.history.begin_incomplete(floor);
        }
        let (mut after, mut published_at) = (floor, Instant::ORIGIN);
        for event in past.events {
            if event.position > after && event.position <= self.head {
                after = event.position;
                published_at = published_at.max(event.published_at.min(self.now));
                self.push_past(id, event.position, &event.frame, published_at, None);
            }
        }
        self.finish_past(slot);
    }

    /// Applies the bounds to a past, except for those on single events.
    pub(super) fn finish_past(&mut self, slot: ChannelSlot) {
        self.expire_history(slot);
        self.limit_history();
        self.arm_channel_timer(slot);
    }

    /// Adds the newest event of a past. `except` is the client key that does not receive it.
    pub(super) fn push_past(
        &mut self,
        id: ChannelId,
        position: Position,
        frame: &Frame,
        published_at: Instant,
        except: Option<&str>,
    ) {
        let frame = self.identified(&[id], position, frame);
        let frame = frame.ok().filter(|frame| self.check_frame(frame, position).is_ok());
        if frame.as_ref().is_some_and(|frame| !frame.has_id() || frame.is_live_only()) {
            return;
        }
        let (except, client) = self.exclusion(except.map(Except::Client));
        if let Some(channel) = self.channels.slot(id).and_then(|slot| self.channels.at_mut(slot)) {
            let before = HistorySize::of(&channel.history);
            if let Some(frame) = frame {
                let entry = LogEntry { position, published_at, except, frame };
                let application_id = entry.frame.id().filter(|id| self.epoch.position(id).is_none());
                channel.history.push(&entry, application_id);
            } else {
                // The limits of this hub refuse the event: nobody can be sent it.
                channel.history.evict_through(position);
            }
            self.history_order.changed(before, &channel.history);
            self.history_order.push_past(position, id);
        }
        if let Some(client) = client {
            self.keep_exclusion(&[id], position, client);
        }
    }
}
