//! How events come in.

use crate::config::{IdSource, PositionSource, PublishOptions};
use crate::hub::logs::Entry;
use crate::id::{ChannelId, Position};
use crate::time::Instant;
use crate::wire::Event;
use crate::wire::Frame;

use super::{Hub, PublishError};

/// What became of an event that was published.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Published {
    /// Where it stands.
    pub position: Position,
    /// What goes on the wire; [`Frame::id`] is its id.
    pub frame: Frame,
    /// How many subscriptions the channels have that it went to: a connection counts once for each of them.
    pub subscriptions: usize,
}

impl Hub {
    /// Publishes an event to a channel.
    ///
    /// It takes the hub's next position. One without an id is given `<epoch>-<position>` (H2), unless it is
    /// [live only](Event::live_only), or the channel keeps no history or leaves ids to the application.
    ///
    /// # Errors
    ///
    /// [`PublishError`]; nothing was published then.
    ///
    /// # Cost
    ///
    /// O(1), however many members the channel has (D7): one buffer for the event, and its reference count.
    ///
    /// ```
    /// # use sse_core::{ChannelConfig, Event, Hub, HubConfig, Instant};
    /// # let mut hub = Hub::new(HubConfig::default()).unwrap();
    /// # let now = Instant::ORIGIN;
    /// let weather = hub.open_channel(now, "weather", ChannelConfig::default()).unwrap();
    /// let published = hub.publish(now, weather, &Event::new().data("sunny"))?;
    /// assert_eq!(published.frame.as_bytes(), b"id: 0-1\ndata: sunny\n\n");
    /// # Ok::<(), sse_core::PublishError>(())
    /// ```
    pub fn publish(
        &mut self,
        now: Instant,
        channel: ChannelId,
        event: &Event<'_>,
    ) -> Result<Published, PublishError> {
        self.publish_to(now, &[channel], event, PublishOptions::default())
    }

    /// Publishes one event to several channels: a connection that follows more than one of them gets it once (O2).
    ///
    /// It is given an id if any of the channels gives one. It goes to all of the channels or, on an error, to none.
    ///
    /// # Errors
    ///
    /// [`PublishError`]; nothing was published then.
    ///
    /// # Cost
    ///
    /// O(channels); the event is encoded once.
    ///
    /// ```
    /// # use sse_core::{ChannelConfig, ConnectionConfig, Event, Hub, HubConfig, Instant, PublishOptions};
    /// # let mut hub = Hub::new(HubConfig::default()).unwrap();
    /// # let now = Instant::ORIGIN;
    /// let rooms = ["red", "blue"].map(|name| hub.open_channel(now, name, ChannelConfig::default()).unwrap());
    /// let sender = hub.connect(now, ConnectionConfig::default()).unwrap();
    /// hub.subscribe(now, rooms[0], sender).unwrap();
    /// let options = PublishOptions { except: Some(sender) };
    /// let published = hub.publish_to(now, &rooms, &Event::new().data("hello, the others"), options)?;
    /// assert_eq!(published.subscriptions, 1);
    /// # Ok::<(), sse_core::PublishError>(())
    /// ```
    pub fn publish_to(
        &mut self,
        now: Instant,
        channels: &[ChannelId],
        event: &Event<'_>,
        options: PublishOptions,
    ) -> Result<Published, PublishError> {
        let now = self.observe(now);
        if matches!(self.config.positions, PositionSource::External { .. }) {
            return Err(PublishError::PositionsAreExternal);
        }
        self.check_channels(channels)?;
        let position = self.head.next().ok_or(PublishError::PositionsExhausted)?;
        let frame = if !event.has_id() && !event.is_live_only() && self.gives_ids(channels) {
            event.encode_as(self.epoch.as_str(), position.get())?
        } else {
            event.encode()?
        };
        self.check_frame(&frame, position)?;
        Ok(self.append(channels, Entry { position, at: now, except: options.except, frame }))
    }

    /// Publishes an event whose position comes from a broker (O4).
    ///
    /// Positions only grow: what comes late, and what a channel already has, is ignored, and its subscriptions are
    /// not counted. The same position in another channel is the same event (O2). A frame without an id gets the
    /// hub's, as with [`publish`](Hub::publish): nodes with the same epoch give an event the same id.
    ///
    /// # Errors
    ///
    /// [`PublishError::PositionsAreLocal`] in a hub that makes its positions, and the others of [`PublishError`].
    ///
    /// ```
    /// # use sse_core::{ChannelConfig, Event, Hub, HubConfig, Instant, Position, PositionSource};
    /// # let now = Instant::ORIGIN;
    /// let positions = PositionSource::External { after: Position::new(40) };
    /// let mut hub = Hub::new(HubConfig { positions, ..HubConfig::default() }).unwrap();
    /// let weather = hub.open_channel(now, "weather", ChannelConfig::default()).unwrap();
    /// let frame = Event::new().data("sunny").encode().unwrap();
    /// let published = hub.publish_at(now, &[weather], Position::new(42), &frame)?;
    /// assert_eq!(published.frame.id(), Some("0-42"));
    /// # Ok::<(), sse_core::PublishError>(())
    /// ```
    pub fn publish_at(
        &mut self,
        now: Instant,
        channels: &[ChannelId],
        position: Position,
        frame: &Frame,
    ) -> Result<Published, PublishError> {
        let now = self.observe(now);
        if matches!(self.config.positions, PositionSource::Local { .. }) {
            return Err(PublishError::PositionsAreLocal);
        }
        self.check_channels(channels)?;
        let frame = if frame.id().is_none() && !frame.is_live_only() && self.gives_ids(channels) {
            frame.with_id(&self.epoch.id(position))?
        } else {
            frame.clone()
        };
        self.check_frame(&frame, position)?;
        if position < self.head {
            return Ok(Published { position, frame, subscriptions: 0 });
        }
        Ok(self.append(channels, Entry { position, at: now, except: None, frame }))
    }

    fn check_channels(&self, channels: &[ChannelId]) -> Result<(), PublishError> {
        if channels.is_empty() {
            return Err(PublishError::NoChannel);
        }
        match channels.iter().find(|channel| self.live_channel(**channel).is_none()) {
            Some(unknown) => Err(PublishError::UnknownChannel(*unknown)),
            None => Ok(()),
        }
    }

    /// Whether any of the channels gives ids to events without one (H2).
    fn gives_ids(&self, channels: &[ChannelId]) -> bool {
        channels.iter().any(|channel| {
            self.channels
                .get(*channel)
                .is_some_and(|c| c.config.ids == IdSource::Hub && c.history.keeps_any())
        })
    }

    fn check_frame(&self, frame: &Frame, position: Position) -> Result<(), PublishError> {
        let limit = self.config.limits.event_bytes;
        if frame.len() > limit {
            return Err(PublishError::TooLarge { bytes: frame.len(), limit });
        }
        match frame.id().and_then(|id| self.epoch.position(id)) {
            Some(other) if other != position => Err(PublishError::ReservedId { position: other }),
            _ => Ok(()),
        }
    }

    fn append(&mut self, channels: &[ChannelId], entry: Entry) -> Published {
        if entry.position > self.head {
            self.head = entry.position;
            self.stats.published = self.stats.published.saturating_add(1);
        }
        let mut subscriptions = 0usize;
        for channel in channels {
            subscriptions = subscriptions.saturating_add(self.append_to(*channel, &entry));
        }
        Published { position: entry.position, frame: entry.frame, subscriptions }
    }

    /// Appends to the log of one channel, unless it has the event, and says how many members that has.
    fn append_to(&mut self, id: ChannelId, entry: &Entry) -> usize {
        let Some(index) = self.channels.index(id) else { return 0 };
        let Some(channel) = self.channels.at_mut(index) else { return 0 };
        if entry.position <= channel.last {
            return 0;
        }
        channel.last = entry.position;
        if entry.is_replayable() {
            let foreign_id = entry.frame.id().filter(|id| self.epoch.position(id).is_none());
            let others = self.stats.history_bytes.saturating_sub(channel.history.bytes());
            channel.history.push(entry, foreign_id);
            let limit = self.config.limits.history_bytes;
            while others.saturating_add(channel.history.bytes()) > limit && channel.history.evict() {}
            self.stats.history_bytes = others.saturating_add(channel.history.bytes());
        }
        let lost = channel.backlog.push(entry.clone());
        self.stats.live_only_lost = self.stats.live_only_lost.saturating_add(lost);
        let members = channel.members.len();
        if members > 0 && channel.members.ask_sweep() {
            self.sweeps.push_back(id);
        }
        self.arm_channel(index);
        members
    }
}
