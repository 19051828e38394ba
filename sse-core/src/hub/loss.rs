//! Events that a log has lost (L4).

use alloc::vec::Vec;

use crate::config::GapPolicy;
use crate::id::{ChannelId, Position};
use crate::time::Instant;

use super::arena::{ChannelSlot, ConnectionSlot};
use super::logs::HistorySize;
use super::{Action, Hub};

impl Hub {
    /// Declares that events of a channel at or below `through` are lost, and may not have arrived here: the log of a cluster
    /// was rewound, or trimmed before this node had read it ([L4](crate::rules#l4)).
    ///
    /// What history has up to there goes, and the floor rises to it. Each open member is sent one reset, unless the
    /// [`GapPolicy`] of the channel sends none; what the backlog has up to there comes before it. Returns false when the channel
    /// is not open.
    ///
    /// In a hub that follows a log, the head rises to `through`. In another, `through` is at most the head.
    ///
    /// # Cost
    ///
    /// O(members · subscriptions). A cluster that has lost events declares this for each of its channels: spread the calls.
    ///
    /// ```
    /// # use sse_core::{Action, ChannelConfig, ConnectionConfig, Hub, HubConfig, Instant, Position, PositionSource};
    /// # let now = Instant::ORIGIN;
    /// let positions = PositionSource::Log { after: Position::new(40) };
    /// let mut hub = Hub::new(HubConfig { positions, ..HubConfig::default() }).unwrap();
    /// let weather = hub.open_channel(now, "weather", ChannelConfig::default()).unwrap();
    /// let config = ConnectionConfig { announce_position: false, ..ConnectionConfig::default() };
    /// let connection = hub.connect(now, config).unwrap();
    /// hub.subscribe(now, weather, connection).unwrap();
    /// assert!(hub.lose(now, weather, Position::new(45)));
    /// let reset = b"id: 0-45\nevent: reset\ndata: \n\n";
    /// assert_eq!(bytes::Buf::chunk(&hub.transmit(now, connection)), reset);
    /// ```
    pub fn lose(&mut self, now: Instant, channel: ChannelId, through: Position) -> bool {
        self.advance_clock(now);
        let Some(slot) = self.live_channel(channel) else { return false };
        // Clients with an id from there have passed the loss on another node.
        let ahead = if through > self.head { through } else { Position::MAX };
        self.advance(now, through);
        let through = through.min(self.complete_through());
        let Some(state) = self.channels.at_mut(slot) else { return false };
        let former = state.history.told_through();
        let before = HistorySize::of(&state.history);
        state.history.lose_through(through);
        self.history_order.changed(before, &state.history);
        let members: Vec<ConnectionSlot> = state.members.iter().collect();
        for member in members {
            let point =
                self.connections.at(member).and_then(|connection| connection.resume_point().position());
            if point.is_none_or(|point| point < ahead) {
                self.report_loss(member, slot, former, through);
            }
        }
        self.tidy_history_order();
        self.report_room_of(slot);
        self.arm_channel_timer(slot);
        true
    }

    /// Reports a loss to one member, with a reset where the loss ends.
    fn report_loss(
        &mut self,
        slot: ConnectionSlot,
        followed: ChannelSlot,
        former: Position,
        through: Position,
    ) {
        let Some((channel, state)) = self.channels.entry(followed) else { return };
        let resets = state.config.on_gap == GapPolicy::Reset;
        let Some((id, connection)) = self.connections.entry_mut(slot) else { return };
        if !connection.is_open() {
            return;
        }
        // A later subscription must not give the connection an opening frame that it does not have now.
        connection.end_first_step(&self.channels);
        let before = through.max(connection.client_position());
        self.stats.lagged = self.stats.lagged.saturating_add(1);
        self.notices.push_back(Action::Lagged { connection: id, channel, lost_through: through });
        if !resets {
            // With the first step, the subscriptions to closed channels end as well.
            self.finish_if_idle(slot);
            self.notify_if_leaving(slot);
            return;
        }
        if former > connection.position && !self.needs_reset(slot, former) {
            // Both losses are one now: the second ends later.
            if let Some(connection) = self.connections.at_mut(slot) {
                connection.own_frames.remove_reset(former);
            }
        }
        self.insert_reset(slot, before);
        self.notify(slot);
    }

    /// Returns whether a loss of a channel of a connection ends at a position.
    fn needs_reset(&self, slot: ConnectionSlot, before: Position) -> bool {
        let Some(connection) = self.connections.at(slot) else { return false };
        connection.subscriptions.as_slice().iter().any(|subscription| {
            let told = |slot| self.channels.at(slot).is_some_and(|c| c.history.told_through() == before);
            subscription.owed_after == before || told(subscription.channel)
        })
    }
}
