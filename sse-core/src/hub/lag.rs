//! Readers that fell behind what is kept for them (S1).

use crate::config::LagPolicy;
use crate::id::Position;
use crate::stats::CloseReason;

use super::arena::ConnectionSlot;
use super::subscription::SubscriptionNumber;
use super::{Action, Hub};

impl Hub {
    /// Resolves the losses of a connection before its bytes are handed out. This may end the connection.
    pub(super) fn resolve_losses(&mut self, slot: ConnectionSlot) {
        while let Some(connection) = self.connections.at(slot)
            && !connection.is_ending()
            && let Some((number, loss)) = connection.first_loss(&self.channels)
        {
            let Some(subscription) = connection.subscriptions.get(number) else { return };
            let policy = self.channels.at(subscription.channel).map(|channel| channel.config.on_lag);
            let Some(through) = loss.through else {
                self.read_from_history(slot, number, Position::ORIGIN);
                continue;
            };
            self.stats.lagged = self.stats.lagged.saturating_add(1);
            if policy != Some(LagPolicy::Skip) {
                return self.end_after_partial_frame(slot, CloseReason::Lagged);
            }
            self.skip_loss(slot, number, through);
        }
        // Only now it is known what stands at the positions of the resets.
        self.refresh_resets(slot);
    }

    /// Lets a reader continue behind a loss, with a reset frame where the loss ends (H7).
    fn skip_loss(&mut self, slot: ConnectionSlot, number: SubscriptionNumber, through: Position) {
        let Some((id, connection)) = self.connections.entry_mut(slot) else { return };
        // A later subscription must not give the connection an opening frame that it does not have now.
        connection.end_first_step(&self.channels);
        let channel = connection.subscriptions.get(number).map(|subscription| subscription.channel);
        let former = connection.subscriptions.get(number).map(|subscription| subscription.owed_after);
        self.read_from_history(slot, number, through);
        if let Some(former) = former {
            self.remove_superseded_reset(slot, former);
        }
        self.insert_reset(slot, through);
        if let Some(channel) = channel.and_then(|channel| self.channels.id(channel)) {
            self.notices.push_back(Action::Lagged { connection: id, channel, lost_through: through });
        }
    }

    /// Removes the reset of a loss that was skipped before, if the reader has lost what came behind it as well: both are one
    /// loss now. So no more resets are pending than the connection has subscriptions.
    fn remove_superseded_reset(&mut self, slot: ConnectionSlot, former: Position) {
        let Some(connection) = self.connections.at_mut(slot) else { return };
        let is_needed =
            connection.subscriptions.as_slice().iter().any(|subscription| subscription.owed_after == former);
        if former > connection.position && !is_needed {
            connection.own_frames.remove_reset(former);
        }
    }

    /// Lets a reader that has fallen out read history above `from` up to the oldest frame of the backlog, and then the
    /// backlog.
    fn read_from_history(&mut self, slot: ConnectionSlot, number: SubscriptionNumber, from: Position) {
        let Some(connection) = self.connections.at_mut(slot) else { return };
        let (position, end) = (connection.position, connection.end());
        let Some(subscription) = connection.subscriptions.get_mut(number) else { return };
        let Some(channel) = self.channels.at_mut(subscription.channel) else { return };
        let owed_after = subscription.owed_after.max(position).max(from);
        let reads_after = subscription.reads_after(position).max(subscription.counted_at);
        if channel.backlog.has_lost_after(reads_after) {
            let counted_at = subscription.counted_at;
            subscription.live_after = channel.backlog.lost_through();
            // It joins before it leaves: in between, no reader might wait for the frames that are left.
            subscription.join(channel, position);
            channel.backlog.leave(counted_at);
        }
        subscription.replay_between(channel, owed_after, end);
    }

    /// Ends a connection behind its partial frame if there is one: no client sees half an event and then another (S3).
    fn end_after_partial_frame(&mut self, slot: ConnectionSlot, reason: CloseReason) {
        let Some(connection) = self.connections.at_mut(slot) else { return };
        if connection.partial_frame.is_none() {
            return self.end_connection(slot, reason);
        }
        let was_open = connection.is_open();
        connection.begin_ending(reason);
        let flushed_by = self.now.checked_add(self.flush_timeout());
        if let Some(connection) = self.connections.at_mut(slot).filter(|_| was_open) {
            connection.expires_at = flushed_by;
        }
        self.arm_timer(slot);
    }
}
