//! The publication of events.

use alloc::vec::Vec;

use crate::config::{ConnectionConfig, Except, IdSource, PublishOptions};
use crate::id::{ChannelId, Position};
use crate::time::Instant;
use crate::wire::{Event, Frame};

use super::arena::ChannelSlot;
use super::channel::ChannelState;
use super::exclusion::Exclusion;
use super::identities::ClientSlot;
use super::logs::{HistorySize, LogEntry};
use super::{Hub, PublishError};

/// A published event.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Published {
    /// The position of the event.
    pub position: Position,
    /// The encoded event; [`Frame::id`] returns its id.
    pub frame: Frame,
    /// Total number of subscriptions on the target channels. A connection that follows several of them is counted once per
    /// channel.
    pub subscriptions: usize,
}

impl Hub {
    /// Publishes an event to a channel.
    ///
    /// The event takes the hub's next position. An event without an id is given the id `<epoch>-<position>`
    /// ([H2](crate::rules#h2)), unless it is [live only](Event::live_only), or the channel keeps no history or leaves
    /// ids to the application.
    ///
    /// # Errors
    ///
    /// [`PublishError`]; nothing was published then.
    ///
    /// # Cost
    ///
    /// O(1), however many members the channel has ([D7](crate::rules#d7)): one allocation for the event, and one for
    /// its reference count.
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

    /// Publishes one event to several channels. A connection that follows more than one of them receives it once
    /// ([O2](crate::rules#o2)).
    ///
    /// The event is given an id if any of the channels gives one. It is published to all of the channels or, on an error, to
    /// none.
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
    /// let options = PublishOptions { except: Some(sender.into()) };
    /// let published = hub.publish_to(now, &rooms, &Event::new().data("hello, the others"), options)?;
    /// assert_eq!(published.subscriptions, 1);
    /// # Ok::<(), sse_core::PublishError>(())
    /// ```
    pub fn publish_to(
        &mut self,
        now: Instant,
        channels: &[ChannelId],
        event: &Event<'_>,
        options: PublishOptions<'_>,
    ) -> Result<Published, PublishError> {
        self.advance_clock(now);
        if !self.config.positions.is_local() {
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
        Ok(self.append_except(channels, position, frame, options))
    }

    /// Publishes a frame that is encoded already to several channels, as [`publish_to`](Hub::publish_to) does: an event that
    /// was received from another server, or that is sent to connections as well. A frame without an id is given the hub's.
    ///
    /// # Errors
    ///
    /// [`PublishError`]; nothing was published then.
    ///
    /// # Cost
    ///
    /// O(channels). The bytes are copied once if the frame is given an id.
    ///
    /// ```
    /// # use sse_core::{ChannelConfig, Frame, Hub, HubConfig, Instant, PublishOptions};
    /// # let mut hub = Hub::new(HubConfig::default()).unwrap();
    /// # let now = Instant::ORIGIN;
    /// let weather = hub.open_channel(now, "weather", ChannelConfig::default()).unwrap();
    /// let frame = Frame::parse("data: sunny\n\n").unwrap();
    /// let published = hub.publish_frame(now, &[weather], &frame, PublishOptions::default())?;
    /// assert_eq!(published.frame.as_bytes(), b"id: 0-1\ndata: sunny\n\n");
    /// # Ok::<(), sse_core::PublishError>(())
    /// ```
    pub fn publish_frame(
        &mut self,
        now: Instant,
        channels: &[ChannelId],
        frame: &Frame,
        options: PublishOptions<'_>,
    ) -> Result<Published, PublishError> {
        self.advance_clock(now);
        if !self.config.positions.is_local() {
            return Err(PublishError::PositionsAreExternal);
        }
        self.check_channels(channels)?;
        let position = self.head.next().ok_or(PublishError::PositionsExhausted)?;
        let frame = self.identified(channels, position, frame)?;
        self.check_frame(&frame, position)?;
        Ok(self.append_except(channels, position, frame, options))
    }

    /// Publishes an event whose position comes from a broker ([O4](crate::rules#o4)) or a log ([L1](crate::rules#l1)).
    ///
    /// Positions only grow. An event below the head, and an event that a channel already holds, is ignored, and its
    /// subscriptions are not counted. With external positions, the same position in another channel is the same event
    /// ([O2](crate::rules#o2)). In a hub that follows a log, one call names all channels of an event, and an event at the head
    /// is ignored, too. A frame without an id is given the hub's, as by [`publish`](Hub::publish): nodes with the same epoch
    /// give an event the same id.
    ///
    /// An [excluded connection](Except::Connection) is one of this node. Other nodes do not know it, and deliver the event to
    /// its client if that reconnects ([O5](crate::rules#o5)).
    ///
    /// # Errors
    ///
    /// [`PublishError::PositionsAreLocal`] in a hub that assigns its positions, and the others of [`PublishError`].
    ///
    /// ```
    /// # use sse_core::{ChannelConfig, Event, Hub, HubConfig, Instant, Position, PositionSource, PublishOptions};
    /// # let now = Instant::ORIGIN;
    /// let positions = PositionSource::External { after: Position::new(40) };
    /// let mut hub = Hub::new(HubConfig { positions, ..HubConfig::default() }).unwrap();
    /// let weather = hub.open_channel(now, "weather", ChannelConfig::default()).unwrap();
    /// let frame = Event::new().data("sunny").encode().unwrap();
    /// let published = hub.publish_at(now, &[weather], Position::new(42), &frame, PublishOptions::default())?;
    /// assert_eq!(published.frame.id(), Some("0-42"));
    /// # Ok::<(), sse_core::PublishError>(())
    /// ```
    pub fn publish_at(
        &mut self,
        now: Instant,
        channels: &[ChannelId],
        position: Position,
        frame: &Frame,
        options: PublishOptions<'_>,
    ) -> Result<Published, PublishError> {
        self.advance_clock(now);
        if self.config.positions.is_local() {
            return Err(PublishError::PositionsAreLocal);
        }
        self.check_channels(channels)?;
        let frame = self.identified(channels, position, frame)?;
        self.check_frame(&frame, position)?;
        if position <= self.complete_through() {
            return Ok(Published { position, frame, subscriptions: 0 });
        }
        Ok(self.append_except(channels, position, frame, options))
    }

    /// Returns the exclusion of a publication, and the client key that it names.
    pub(super) fn exclusion(
        &mut self,
        except: Option<Except<'_>>,
    ) -> (Option<Exclusion>, Option<ClientSlot>) {
        match except {
            Some(Except::Connection(id)) => (Some(Exclusion::connection(id)), None),
            Some(Except::Client(key)) if key.len() <= ConnectionConfig::MAX_CLIENT_BYTES => {
                let named = self.identities.exclude_client(key);
                (named.map(|(_, id)| Exclusion::client(id)), named.map(|(client, _)| client))
            }
            Some(Except::Client(_)) | None => (None, None),
        }
    }

    /// Keeps the number of an excluded client key for as long as one of the channels has the event (U5).
    pub(super) fn keep_exclusion(&mut self, channels: &[ChannelId], position: Position, client: ClientSlot) {
        for id in channels {
            if self.channels.get(*id).is_some_and(|channel| channel.holds(position)) {
                self.identities.keep_excluded(position, *id, client);
            }
        }
        self.identities.release_client(client);
    }

    /// Releases the numbers of excluded client keys that no event has any more (U5).
    pub(super) fn tidy_exclusions(&mut self) {
        let Hub { channels, identities, .. } = self;
        identities
            .tidy_excluded(|position, id| channels.get(id).is_some_and(|channel| channel.holds(position)));
    }

    pub(super) fn check_channels(&self, channels: &[ChannelId]) -> Result<(), PublishError> {
        self.check_seal()?;
        if channels.is_empty() {
            return Err(PublishError::NoChannel);
        }
        let state = |channel: ChannelId| self.channels.get(channel).filter(|channel| !channel.is_closed);
        for channel in channels {
            match state(*channel) {
                None => return Err(PublishError::UnknownChannel(*channel)),
                Some(state) if state.is_finished => return Err(PublishError::Finished(*channel)),
                Some(_) => {}
            }
        }
        Ok(())
    }

    /// Returns a frame with the id of its position, if it needs one (H2).
    pub(super) fn identified(
        &self,
        channels: &[ChannelId],
        position: Position,
        frame: &Frame,
    ) -> Result<Frame, PublishError> {
        if frame.id().is_none() && !frame.is_live_only() && self.gives_ids(channels) {
            return Ok(frame.with_id(&self.epoch.id(position))?);
        }
        Ok(frame.clone())
    }

    /// Returns whether any of the channels gives ids to events without one (H2).
    fn gives_ids(&self, channels: &[ChannelId]) -> bool {
        channels.iter().any(|channel| {
            self.channels
                .get(*channel)
                .is_some_and(|c| c.config.ids == IdSource::Hub && c.history.keeps_any())
        })
    }

    pub(super) fn check_frame(&self, frame: &Frame, position: Position) -> Result<(), PublishError> {
        let limit = self.config.limits.event_bytes;
        if frame.len() > limit {
            return Err(PublishError::TooLarge { bytes: frame.len(), limit });
        }
        match frame.id().and_then(|id| self.epoch.position(id)) {
            Some(other) if other != position => Err(PublishError::ReservedId { position: other }),
            _ => Ok(()),
        }
    }

    /// Appends an event with the exclusion of a publication (O5).
    fn append_except(
        &mut self,
        channels: &[ChannelId],
        position: Position,
        frame: Frame,
        options: PublishOptions<'_>,
    ) -> Published {
        let (except, client) = self.exclusion(options.except);
        let published = self.append(channels, LogEntry { position, published_at: self.now, except, frame });
        if let Some(client) = client {
            self.keep_exclusion(channels, position, client);
        }
        published
    }

    fn append(&mut self, channels: &[ChannelId], entry: LogEntry) -> Published {
        if entry.position > self.head {
            self.head = entry.position;
            self.stats.published = self.stats.published.saturating_add(1);
        }
        let mut subscriptions = 0usize;
        for channel in channels {
            subscriptions = subscriptions.saturating_add(self.append_to(*channel, &entry));
        }
        self.tidy_exclusions();
        Published { position: entry.position, frame: entry.frame, subscriptions }
    }

    /// Appends an event to the logs of one channel, unless the channel has it. Returns the number of members.
    fn append_to(&mut self, id: ChannelId, entry: &LogEntry) -> usize {
        let Some(slot) = self.channels.slot(id) else { return 0 };
        let Some(channel) = self.channels.at_mut(slot) else { return 0 };
        if entry.position <= channel.last {
            return 0;
        }
        channel.last = entry.position;
        if entry.is_replayable() {
            let application_id = entry.frame.id().filter(|id| self.epoch.position(id).is_none());
            let before = HistorySize::of(&channel.history);
            channel.history.push(entry, application_id);
            self.history_order.changed(before, &channel.history);
            self.history_order.push(entry.position, id, &channel.history);
        }
        let lost = channel.backlog.push(entry.clone());
        self.stats.live_only_lost = self.stats.live_only_lost.saturating_add(lost);
        let members = channel.members.len();
        let (has_lead, lingers) = (channel.producer.lead.is_some(), channel.config.linger.is_some());
        let is_gathered = members == 0 || lingers && self.lets_linger(slot, entry.frame.len());
        if !is_gathered && self.channels.at_mut(slot).is_some_and(|channel| channel.members.request_sweep()) {
            self.sweeps.push_back(id);
        }
        self.arm_channel_timer(slot);
        if has_lead {
            // Its bounds may have evicted what nobody had read.
            self.report_room_of(slot);
        }
        if !self.history_order.is_within(self.config.limits.history_bytes) {
            self.limit_history();
        }
        members
    }

    /// Evicts the oldest events of the hub until its histories are within the limit (A1). Those of finished channels stay:
    /// they were within the limit when their channels finished (K8).
    #[cold]
    pub(super) fn limit_history(&mut self) {
        // The channels whose producers have room because of that.
        let mut lightened = Vec::new();
        let Hub { channels, history_order, config, .. } = self;
        while history_order.total() > config.limits.history_bytes
            && let Some((position, id)) = history_order.pop()
        {
            let Some(slot) = channels.slot(id) else { continue };
            let may_evict =
                |channel: &&mut ChannelState| !channel.is_finished && channel.history.keeps(position);
            let Some(channel) = channels.at_mut(slot).filter(may_evict) else { continue };
            let before = HistorySize::of(&channel.history);
            channel.history.evict();
            history_order.changed(before, &channel.history);
            if channel.producer.lead.is_some() {
                lightened.push(slot);
            }
        }
        lightened.into_iter().for_each(|slot| self.report_room_of(slot));
        self.tidy_history_order();
    }

    /// Keeps the order of histories as small as the histories.
    pub(super) fn tidy_history_order(&mut self) {
        let Hub { channels, history_order, .. } = self;
        history_order.remove_gone(|position, id| {
            channels.get(id).is_some_and(|channel| channel.history.keeps(position))
        });
        self.tidy_exclusions();
    }

    /// Evicts the events of a channel that are too old.
    pub(super) fn expire_history(&mut self, slot: ChannelSlot) {
        let now = self.now;
        let Some(channel) = self.channels.at_mut(slot) else { return };
        if channel.next_expiry().is_none_or(|at| at > now) {
            return;
        }
        let before = HistorySize::of(&channel.history);
        channel.history.expire(now);
        self.history_order.changed(before, &channel.history);
        self.tidy_history_order();
        self.report_room_of(slot);
    }
}
