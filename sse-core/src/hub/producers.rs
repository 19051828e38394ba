//! What producers are told: nobody reads (P1), stop (P2), wait (P3).

use alloc::boxed::Box;

use crate::id::{ChannelId, Position};
use crate::time::Instant;

use super::arena::{ChannelSlot, ConnectionSlot};
use super::channel::ChannelState;
use super::{Action, Hub};

/// The reason why nobody wants more events of a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Unwanted {
    /// Nobody has followed the channel for [`ChannelConfig::unwanted_after`](crate::ChannelConfig::unwanted_after)
    /// ([P1](crate::rules#p1)).
    Absent,
    /// [`Hub::stop`] was called ([P2](crate::rules#p2)).
    Stopped,
    /// The channel is finished or closed, and accepts no events.
    Ended,
}

/// What a channel knows of its producer.
pub(crate) struct ProducerState {
    /// The present absence of readers was reported (P1).
    absence_is_reported: bool,
    /// The report waits to be polled. It stands for a later absence as well.
    report_is_queued: bool,
    is_stopped: bool,
    /// Only where the producer is to stay close to its readers.
    pub(crate) lead: Option<Box<Lead>>,
}

/// How far a producer is ahead of the readers of its channel (P3).
pub(crate) struct Lead {
    /// The bytes that it may be ahead.
    limit: usize,
    /// The newest position that a transport has begun to take. It never goes back.
    mark: Position,
    /// [`Hub::room`] returned 0, and that there is room again was not reported.
    is_waiting: bool,
}

impl ProducerState {
    pub(crate) fn new(ahead: Option<usize>, opened_at: Position) -> ProducerState {
        // A producer that may never be ahead could publish nothing.
        let lead =
            ahead.map(|limit| Box::new(Lead { limit: limit.max(1), mark: opened_at, is_waiting: false }));
        ProducerState { absence_is_reported: false, report_is_queued: false, is_stopped: false, lead }
    }

    /// Begins an absence of readers: the last member has left.
    pub(crate) fn begin_absence(&mut self) {
        self.absence_is_reported = false;
    }
}

impl ChannelState {
    /// Returns the instant at which the absence of readers is reported (P1).
    pub(crate) fn unwanted_at(&self) -> Option<Instant> {
        let is_due = self.accepts_events() && self.members.is_empty() && !self.producer.absence_is_reported;
        self.config.unwanted_after.filter(|_| is_due).and_then(|after| self.empty_since.checked_add(after))
    }

    /// Returns why nobody wants more events of the channel.
    fn unwanted(&self) -> Option<Unwanted> {
        if !self.accepts_events() {
            Some(Unwanted::Ended)
        } else if self.producer.is_stopped {
            Some(Unwanted::Stopped)
        } else {
            (self.producer.absence_is_reported && self.members.is_empty()).then_some(Unwanted::Absent)
        }
    }

    /// Returns the bytes that the producer is ahead of the fastest reader.
    fn bytes_ahead(&self, lead: &Lead) -> usize {
        self.history.bytes_above(lead.mark)
    }
}

impl Hub {
    /// Returns why nobody wants more events of a channel now; `None` while somebody may ([P1](crate::rules#p1),
    /// [P2](crate::rules#p2)). A channel that is not open is [`Unwanted::Ended`].
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use sse_core::{Action, ChannelConfig, Hub, HubConfig, Instant, Unwanted};
    /// # let mut hub = Hub::new(HubConfig::default()).unwrap();
    /// let config = ChannelConfig { unwanted_after: Some(Duration::from_secs(60)), ..ChannelConfig::default() };
    /// let answer = hub.open_channel(Instant::ORIGIN, "answer 7", config).unwrap();
    /// assert_eq!(hub.unwanted(answer), None, "a reader may come");
    /// hub.handle_timeout(Instant::from_millis(60_000));
    /// assert_eq!(hub.poll_action(), Some(Action::Unwanted { channel: answer, why: Unwanted::Absent }));
    /// assert_eq!(hub.unwanted(answer), Some(Unwanted::Absent));
    /// ```
    pub fn unwanted(&self, channel: ChannelId) -> Option<Unwanted> {
        self.channels.get(channel).map_or(Some(Unwanted::Ended), ChannelState::unwanted)
    }

    /// Asks the producer of a channel to end ([P2](crate::rules#p2)): [`Action::Unwanted`] follows once. The channel still
    /// accepts events, such as a last one. Returns false when the channel is not open, is finished, or was stopped before.
    ///
    /// ```
    /// # use sse_core::{Action, ChannelConfig, Event, Hub, HubConfig, Instant, Unwanted};
    /// # let mut hub = Hub::new(HubConfig::default()).unwrap();
    /// # let now = Instant::ORIGIN;
    /// let answer = hub.open_channel(now, "answer 7", ChannelConfig::answer()).unwrap();
    /// assert!(hub.stop(now, answer));
    /// assert_eq!(hub.poll_action(), Some(Action::Unwanted { channel: answer, why: Unwanted::Stopped }));
    /// assert!(hub.is_stopped(answer));
    /// assert!(hub.publish(now, answer, &Event::new().data("stopped")).is_ok());
    /// ```
    pub fn stop(&mut self, now: Instant, channel: ChannelId) -> bool {
        self.advance_clock(now);
        let Some(slot) = self.channels.slot(channel) else { return false };
        let Some(state) = self.channels.at_mut(slot).filter(|state| state.accepts_events()) else {
            return false;
        };
        if core::mem::replace(&mut state.producer.is_stopped, true) {
            return false;
        }
        self.notices.push_back(Action::Unwanted { channel, why: Unwanted::Stopped });
        self.end_wait_for_room(slot);
        true
    }

    /// Returns whether the producer of a channel was asked to end ([P2](crate::rules#p2)). False when the channel is not open.
    pub fn is_stopped(&self, channel: ChannelId) -> bool {
        self.channels.get(channel).is_some_and(|channel| channel.producer.is_stopped && !channel.is_closed)
    }

    /// Returns how many bytes of events a producer may publish to a channel now, so that it stays close to the fastest reader
    /// ([P3](crate::rules#p3)). Without [`ChannelConfig::ahead`](crate::ChannelConfig::ahead), this is `usize::MAX`. `None`
    /// when the channel does not accept events.
    ///
    /// This is advice: the hub refuses no event for it. After the result 0, [`Action::Room`] follows once when half of the
    /// bytes are free, or when the channel is stopped, finished or closed.
    ///
    /// # Cost
    ///
    /// O(n) in the events that the producer is ahead.
    ///
    /// ```
    /// # use sse_core::{ChannelConfig, Event, Hub, HubConfig, Instant};
    /// # let mut hub = Hub::new(HubConfig::default()).unwrap();
    /// # let now = Instant::ORIGIN;
    /// let config = ChannelConfig { ahead: Some(100), ..ChannelConfig::default() };
    /// let answer = hub.open_channel(now, "answer 7", config).unwrap();
    /// let published = hub.publish(now, answer, &Event::new().data("Hello")).unwrap();
    /// assert_eq!(hub.room(answer), Some(100 - published.frame.len()));
    /// ```
    pub fn room(&mut self, channel: ChannelId) -> Option<usize> {
        let slot = self.channels.slot(channel)?;
        let state = self.channels.at(slot).filter(|state| state.accepts_events())?;
        let Some(lead) = &state.producer.lead else { return Some(usize::MAX) };
        let room = lead.limit.saturating_sub(state.bytes_ahead(lead));
        let waits = room == 0 && !state.producer.is_stopped;
        if let Some(lead) = self.channels.at_mut(slot).and_then(|state| state.producer.lead.as_mut()) {
            lead.is_waiting |= waits;
        }
        if waits {
            // What lingers is what the producer waits for.
            self.end_linger(slot);
        }
        Some(room)
    }

    /// Reports a channel that nobody has followed for its time (P1).
    pub(super) fn report_absence(&mut self, slot: ChannelSlot) {
        let now = self.now;
        let Some((channel, state)) = self.channels.entry_mut(slot) else { return };
        if state.unwanted_at().is_some_and(|at| at <= now) {
            state.producer.absence_is_reported = true;
            if !core::mem::replace(&mut state.producer.report_is_queued, true) {
                self.notices.push_back(Action::Unwanted { channel, why: Unwanted::Absent });
            }
        }
    }

    /// Tells the channels of a connection how far it has come, if there are any that ask for that (P3).
    #[inline]
    pub(super) fn advance_leads(&mut self, slot: ConnectionSlot) {
        if self.leads > 0 {
            self.advance_leads_of(slot);
        }
    }

    #[cold]
    fn advance_leads_of(&mut self, slot: ConnectionSlot) {
        let mut number = 0usize;
        while let Some(connection) = self.connections.at(slot)
            && let Some(subscription) = connection.subscriptions.as_slice().get(number)
        {
            let (channel, position) = (subscription.channel, connection.position);
            if let Some(state) = self.channels.at_mut(channel)
                && let Some(lead) = &mut state.producer.lead
            {
                lead.mark = lead.mark.max(position);
                self.report_room_of(channel);
            }
            number = number.saturating_add(1);
        }
    }

    /// Reports the room of a channel whose producer waits, if half of it is free.
    pub(super) fn report_room_of(&mut self, slot: ChannelSlot) {
        let Some(state) = self.channels.at(slot) else { return };
        let Some(lead) = state.producer.lead.as_ref().filter(|lead| lead.is_waiting) else { return };
        if state.bytes_ahead(lead) <= lead.limit / 2 {
            self.end_wait_for_room(slot);
        }
    }

    /// Tells a producer that waits for room to go on: its channel is stopped, finished or closed.
    pub(super) fn end_wait_for_room(&mut self, slot: ChannelSlot) {
        let Some((id, state)) = self.channels.entry_mut(slot) else { return };
        if let Some(lead) = &mut state.producer.lead
            && core::mem::take(&mut lead.is_waiting)
        {
            self.notices.push_back(Action::Room(id));
        }
    }

    /// Takes the notice that nobody wants a channel. Returns whether it is still true (P1).
    pub(super) fn take_unwanted(&mut self, channel: ChannelId, why: Unwanted) -> bool {
        if why == Unwanted::Absent
            && let Some(slot) = self.channels.slot(channel)
            && let Some(state) = self.channels.at_mut(slot)
        {
            state.producer.report_is_queued = false;
        }
        self.unwanted(channel) == Some(why)
    }
}
