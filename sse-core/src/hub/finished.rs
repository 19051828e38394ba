//! Channels that are finished: no event follows, and readers leave them when they took everything (K4 to K7).

use core::time::Duration;

use crate::id::{ChannelId, ConnectionId, Position};
use crate::stats::CloseReason;
use crate::time::Instant;
use crate::wire::Event;

use super::arena::ConnectionSlot;
use super::linger::Gathered;
use super::subscription::SubscriptionNumber;
use super::{Action, Hub, PublishError};

/// What [`Hub::finish_channel`] returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Finished {
    /// The end of the channel: the position of its newest event with an id. A client with the id of this position, or of a
    /// later one, has missed nothing.
    pub end: Position,
    /// Every event with an id above this position is kept for readers.
    pub complete_after: Position,
    /// Whether the channel keeps every event with an id that it ever had.
    pub is_complete: bool,
}

impl Hub {
    /// Finishes a channel: publishes its last event, if one is given, and accepts no more ([K4](crate::rules#k4)).
    ///
    /// For streams that end, such as a generated text or the progress of a job. Readers receive what was published, and
    /// leave the channel. A connection that then follows no channel is closed with [`CloseReason::Finished`]
    /// ([K5](crate::rules#k5)). For the time `keep`, the name stays taken, and clients that come late or come back receive
    /// what a channel usually gives them ([K6](crate::rules#k6)). Then the channel is closed ([K7](crate::rules#k7)).
    ///
    /// History decides how much is kept: [`HistoryConfig::whole`](crate::HistoryConfig::whole) keeps everything up to a
    /// bound on bytes. The result states whether the channel is complete.
    ///
    /// # Errors
    ///
    /// Nothing has changed then. [`PublishError::Finished`] when the channel is finished already,
    /// [`PublishError::PositionsAreExternal`] when another node could still publish to it, and the other errors of
    /// [`publish`](Hub::publish).
    ///
    /// # Cost
    ///
    /// O(1). The members are visited by [`poll_action`](Hub::poll_action).
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use sse_core::{ChannelConfig, Event, Hub, HubConfig, Instant, Position, PublishError};
    /// # let mut hub = Hub::new(HubConfig::default()).unwrap();
    /// # let now = Instant::ORIGIN;
    /// let answer = hub.open_channel(now, "answer 7", ChannelConfig::answer()).unwrap();
    /// hub.publish(now, answer, &Event::new().data("Hel"))?;
    /// hub.publish(now, answer, &Event::new().data("lo"))?;
    /// let done = Event::new().event("done").data("");
    /// let finished = hub.finish_channel(now, answer, Some(&done), Duration::from_secs(600))?;
    /// assert_eq!((finished.end, finished.is_complete), (Position::new(3), true));
    /// let late = hub.publish(now, answer, &Event::new().data("!"));
    /// assert_eq!(late, Err(PublishError::Finished(answer)));
    /// # Ok::<(), PublishError>(())
    /// ```
    pub fn finish_channel(
        &mut self,
        now: Instant,
        channel: ChannelId,
        last: Option<&Event<'_>>,
        keep: Duration,
    ) -> Result<Finished, PublishError> {
        let now = self.advance_clock(now);
        if !self.config.positions.is_local() {
            return Err(PublishError::PositionsAreExternal);
        }
        self.check_channels(&[channel])?;
        if let Some(last) = last {
            self.publish(now, channel, last)?;
        }
        let unknown = PublishError::UnknownChannel(channel);
        let slot = self.live_channel(channel).ok_or(unknown.clone())?;
        let state = self.channels.at_mut(slot).ok_or(unknown)?;
        (state.is_finished, state.is_plain) = (true, false);
        state.gathered = Gathered::default();
        state.kept_until = now.checked_add(keep);
        let history = &state.history;
        let finished = Finished {
            end: history.end(),
            complete_after: history.floor(),
            is_complete: !history.has_let_go(),
        };
        if !state.members.is_empty() && state.members.request_sweep() {
            self.sweeps.push_back(channel);
        }
        self.notices.push_back(Action::ChannelFinished(channel));
        self.end_wait_for_room(slot);
        self.arm_channel_timer(slot);
        Ok(finished)
    }

    /// Makes a channel of a former run finished again. It keeps any configuration until it is opened with one (R4).
    pub(super) fn restore_finished(&mut self, channel: ChannelId, kept_until: Option<Instant>) {
        let Some(state) = self.channels.slot(channel).and_then(|slot| self.channels.at_mut(slot)) else {
            return;
        };
        (state.is_finished, state.is_plain, state.is_unconfigured) = (true, false, true);
        state.kept_until = kept_until;
    }

    /// Returns whether a channel is finished ([K4](crate::rules#k4)). False when it is not open.
    pub fn is_finished(&self, channel: ChannelId) -> bool {
        self.channels.get(channel).is_some_and(|channel| channel.is_finished && !channel.is_closed)
    }

    /// Returns whether the client of a connection has everything that it will ever receive: it gave a last event id,
    /// follows finished channels only, and nothing is pending ([K6](crate::rules#k6)).
    ///
    /// A browser's `EventSource` reconnects after every end of a stream, until it receives the status 204. A handler
    /// therefore answers with 204 when the result is true and the page wants no other channel.
    ///
    /// # Cost
    ///
    /// O(subscriptions).
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use sse_core::{ChannelConfig, ConnectionConfig, Event, Hub, HubConfig, Instant, Resume};
    /// # let mut hub = Hub::new(HubConfig::default()).unwrap();
    /// # let now = Instant::ORIGIN;
    /// let answer = hub.open_channel(now, "answer 7", ChannelConfig::answer()).unwrap();
    /// let done = Event::new().event("done").data("");
    /// hub.finish_channel(now, answer, Some(&done), Duration::from_secs(600)).unwrap();
    /// let config = ConnectionConfig { last_event_id: Some("0-1".into()), ..ConnectionConfig::default() };
    /// let connection = hub.connect(now, config).unwrap();
    /// assert_eq!(hub.subscribe(now, answer, connection), Ok(Resume::Finished));
    /// assert!(hub.is_over(connection));
    /// ```
    pub fn is_over(&self, connection: ConnectionId) -> bool {
        let Some(slot) = self.connections.slot(connection) else { return false };
        let Some(state) = self.connections.at(slot) else { return false };
        let subscriptions = state.subscriptions.as_slice();
        let is_finished = |channel| self.channels.at(channel).is_some_and(|channel| channel.is_finished);
        state.resume_request().is_some()
            && !subscriptions.is_empty()
            && subscriptions.iter().all(|subscription| is_finished(subscription.channel))
            && !self.has_pending(slot)
    }

    /// Returns the end of the last channel that was closed with a name: the position of its newest event with an id. `None`
    /// when the hub does not know the name, or no longer ([H5](crate::rules#h5)).
    ///
    /// After the time for which a finished channel was kept, this tells an answer that was there from one that never was.
    /// Names are known by their hashes: a name that was never used is known by mistake once in about 10^16 calls.
    ///
    /// ```
    /// # use sse_core::{ChannelConfig, Event, Hub, HubConfig, Instant, Position};
    /// # let mut hub = Hub::new(HubConfig::default()).unwrap();
    /// # let now = Instant::ORIGIN;
    /// let answer = hub.open_channel(now, "answer 7", ChannelConfig::answer()).unwrap();
    /// hub.publish(now, answer, &Event::new().data("Hello")).unwrap();
    /// hub.close_channel(now, answer);
    /// assert_eq!(hub.ended("answer 7"), Some(Position::new(1)));
    /// assert_eq!(hub.ended("answer 8"), None);
    /// ```
    pub fn ended(&self, name: &str) -> Option<Position> {
        self.ended_names.end(name)
    }

    /// Returns whether a connection follows a finished channel that has nothing more for it, and nothing is pending: it
    /// waits for its transport to ask for bytes (K5).
    pub(super) fn waits_to_leave(&self, slot: ConnectionSlot) -> bool {
        let is_free = |slot| self.connections.at(slot).is_some_and(|c| c.is_open() && c.claim.is_none());
        is_free(slot) && self.first_finished(slot).is_some()
    }

    /// Queues a connection for being reported if it waits for its transport to ask for bytes.
    pub(super) fn notify_if_leaving(&mut self, slot: ConnectionSlot) {
        if self.waits_to_leave(slot) && !self.has_pending(slot) {
            self.notify(slot);
        }
    }

    /// Lets a connection for which nothing is pending leave the finished channels that it has read, because its transport
    /// asked for bytes. It is closed when it follows nothing then (K5).
    pub(super) fn leave_finished(&mut self, slot: ConnectionSlot) {
        let mut has_left = false;
        while self.waits_to_leave(slot)
            && let Some(number) = self.first_finished(slot)
        {
            if let Some(connection) = self.connections.at_mut(slot) {
                // A later subscription must not change what this one was owed.
                connection.end_first_step(&self.channels);
            }
            self.remove_subscription(slot, number);
            has_left = true;
        }
        if has_left {
            // With the first step, the subscriptions to closed channels end as well.
            self.remove_drained_subscriptions(slot);
        }
        let follows_none = self.connections.at(slot).is_some_and(|c| c.subscriptions.as_slice().is_empty());
        if has_left && follows_none {
            self.begin_close(slot, CloseReason::Finished);
        }
    }

    /// Returns the first subscription to a finished channel that has nothing more for its connection.
    fn first_finished(&self, slot: ConnectionSlot) -> Option<SubscriptionNumber> {
        let connection = self.connections.at(slot)?;
        connection.subscriptions.numbered().find_map(|(number, subscription)| {
            let channel = self.channels.at(subscription.channel).filter(|channel| channel.is_finished)?;
            let after = connection.position.max(subscription.owed_after);
            let is_drained = subscription.next(channel, after).is_none()
                && subscription.loss(channel, connection.position, connection.end()).is_none();
            is_drained.then_some(number)
        })
    }
}
