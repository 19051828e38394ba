//! How connections move on: what is pending for them, and what they took.

use bytes::{Buf, Bytes};

use crate::id::ConnectionId;
use crate::stats::CloseReason;
use crate::time::Instant;
use crate::wire::Frame;

use super::Hub;
use super::arena::ConnectionSlot;
use super::connection::{ConnectionState, Notify, OpeningFrame, Stage};
use super::pending::{self, Cursor, FastPending, PendingItem};
use super::subscription::{LogIndex, SubscriptionNumber};

/// The capacity of the notify queue that is kept for connections that are gone.
const KEPT_NOTIFICATIONS: usize = 64;

impl Hub {
    /// Returns the first pending item of a connection, behind the claimed bytes if there are any.
    pub(super) fn first_pending(&self, slot: ConnectionSlot) -> Option<PendingItem> {
        let (id, connection) = self.connections.entry(slot)?;
        Cursor::new(connection).next(id, connection, &self.channels)
    }

    /// Returns whether a connection has pending or claimed bytes, or a loss that is not resolved yet.
    pub(super) fn has_pending(&self, slot: ConnectionSlot) -> bool {
        match self.fast_pending(slot) {
            FastPending::Empty => false,
            FastPending::Single(_) => true,
            FastPending::SlowPath => {
                self.first_pending(slot).is_some() || self.has_loss(slot) || self.is_claimed(slot)
            }
        }
    }

    /// Returns what is pending for a connection, as far as that is known without a walk.
    #[inline(always)]
    pub(super) fn fast_pending(&self, slot: ConnectionSlot) -> FastPending {
        let Some((id, connection)) = self.connections.entry(slot) else { return FastPending::SlowPath };
        let found = pending::fast_pending(id, connection, &self.channels);
        pending::assert_agreement(&found, id, connection, &self.channels);
        found
    }

    pub(super) fn is_claimed(&self, slot: ConnectionSlot) -> bool {
        self.connections.at(slot).is_some_and(|connection| connection.claim.is_some())
    }

    /// Returns whether a connection has a loss that is not resolved yet.
    pub(super) fn has_loss(&self, slot: ConnectionSlot) -> bool {
        self.connections.at(slot).is_some_and(|c| !c.is_ending() && c.first_loss(&self.channels).is_some())
    }

    /// Returns the instant since which a connection could have taken a byte and did not: the later of its last byte and the
    /// report of its pending bytes (T3). Bytes that the driver was not told of do not count.
    pub(super) fn stalled_since(&self, slot: ConnectionSlot) -> Option<Instant> {
        let connection =
            self.connections.at(slot).filter(|connection| connection.notify == Notify::Reported)?;
        let since = connection.pending_since?.max(connection.last_taken_at);
        self.has_pending(slot).then_some(since)
    }

    /// Restarts the stall clock of a reported connection after its ping was given up: the clock counts from the oldest
    /// item that is left (T3). That need not be the first one in order: a reset stands before the events that were there
    /// earlier.
    pub(super) fn restart_stall_clock(&mut self, slot: ConnectionSlot) {
        if self.is_claimed(slot) {
            // The claimed bytes come first, and their clock runs on.
            return;
        }
        let Some((id, connection)) = self.connections.entry(slot) else { return };
        let mut walk = Cursor::new(connection);
        let items = core::iter::from_fn(|| walk.next(id, connection, &self.channels));
        let oldest = items.filter_map(|item| self.item_pending_since(slot, item)).min();
        let has_pending = self.has_pending(slot);
        if let Some(connection) = self.connections.at_mut(slot).filter(|_| oldest.is_some() || !has_pending) {
            connection.pending_since = oldest;
        }
    }

    /// Returns the instant at which an item became pending. Events published before the subscription was made are pending
    /// from now on.
    fn item_pending_since(&self, slot: ConnectionSlot, item: PendingItem) -> Option<Instant> {
        let connection = self.connections.at(slot)?;
        match item {
            PendingItem::PartialFrame => Some(connection.last_taken_at),
            PendingItem::Opening if connection.resume_request().is_none() => Some(connection.opened_at),
            PendingItem::Opening | PendingItem::Event(LogIndex { in_history: true, .. }) => Some(self.now),
            PendingItem::Ping => connection.ping.pending_since,
            PendingItem::Own(index) => connection.own_frames.get(index).map(|own| own.pending_since),
            PendingItem::Event(place) => {
                pending::entry(place, &self.channels).map(|entry| entry.published_at)
            }
        }
    }

    /// Returns the frame with which the bytes of a connection begin.
    pub(super) fn opening_frame(&self, slot: ConnectionSlot) -> Option<Frame> {
        Some(match self.connections.at(slot)?.opening(&self.channels)? {
            OpeningFrame::Position(position) => self.control_frames.position(&self.epoch, position),
            OpeningFrame::Reset(position) => self.control_frames.reset(&self.epoch, position),
        })
    }

    /// Queues a connection for being reported, if the driver waits for that (D3).
    pub(super) fn notify(&mut self, slot: ConnectionSlot) {
        let now = self.now;
        let Some((id, connection)) = self.connections.entry_mut(slot) else { return };
        match connection.notify {
            Notify::Idle => {
                connection.notify = Notify::Queued;
                if !core::mem::replace(&mut connection.is_in_queue, true) {
                    self.notify_queue.push_back(id);
                    self.compact_notify_queue();
                }
            }
            Notify::Reported => connection.pending_since = connection.pending_since.or(Some(now)),
            Notify::Queued => {}
        }
    }

    /// Keeps the queue from growing by connections that were opened and closed without a poll in between.
    fn compact_notify_queue(&mut self) {
        let limit = self.connections.len().saturating_mul(2).saturating_add(KEPT_NOTIFICATIONS);
        if self.notify_queue.len() > limit {
            let connections = &self.connections;
            self.notify_queue.retain(|id| connections.slot(*id).is_some());
        }
    }

    /// Reports a connection if something is pending for it. Otherwise the connection is finished if it can be.
    pub(super) fn report_if_pending(&mut self, slot: ConnectionSlot) -> Option<ConnectionId> {
        let (id, connection) = self.connections.entry_mut(slot)?;
        let found = pending::fast_pending(id, connection, &self.channels);
        pending::assert_agreement(&found, id, connection, &self.channels);
        let has_pending = match found {
            FastPending::Single(_) => true,
            FastPending::Empty => false,
            FastPending::SlowPath => self.first_pending(slot).is_some() || self.has_loss(slot),
        };
        let now = self.now;
        let connection = self.connections.at_mut(slot)?;
        if has_pending {
            connection.mark_reported(now);
            return Some(id);
        }
        connection.notify = Notify::Idle;
        self.finish_idle(slot);
        self.report_if_leaving(slot)
    }

    /// Reports a connection that waits for its transport to ask for bytes, so that it can leave a finished channel (K5).
    fn report_if_leaving(&mut self, slot: ConnectionSlot) -> Option<ConnectionId> {
        if !self.waits_to_leave(slot) {
            return None;
        }
        let (id, connection) = self.connections.entry_mut(slot)?;
        connection.notify = Notify::Reported;
        // No byte waits for the peer.
        connection.pending_since = None;
        Some(id)
    }

    /// Finishes a connection if nothing is pending for it.
    pub(super) fn finish_if_idle(&mut self, slot: ConnectionSlot) {
        if !self.has_pending(slot) {
            self.finish_idle(slot);
        }
    }

    /// Finishes a connection for which nothing is pending: it passes events that are not for it, and ends if it is closing.
    pub(super) fn finish_idle(&mut self, slot: ConnectionSlot) {
        match self.connections.at(slot).map(|connection| connection.stage) {
            None => return,
            Some(Stage::Open) => {}
            Some(Stage::Closing(reason) | Stage::Ending(reason)) => return self.end_connection(slot, reason),
        }
        self.pass_foreign(slot);
        self.remove_drained_subscriptions(slot);
    }

    /// Lets a connection for which nothing is pending pass the events that are not for it.
    pub(super) fn pass_foreign(&mut self, slot: ConnectionSlot) {
        let Some((id, _)) = self.connections.entry(slot) else { return };
        let complete_through = self.complete_through();
        while let Some(connection) = self.connections.at(slot) {
            let position = connection.position;
            let next = pending::next_logged(id, connection, &self.channels, position);
            let next = next.map(|(place, _)| place.position);
            let Some(connection) = self.connections.at_mut(slot) else { break };
            match next {
                Some(next) if next <= complete_through => connection.move_to(&mut self.channels, next),
                // The event may still arrive in another channel, and be pending from there (O4).
                Some(next) => {
                    connection.pass(&mut self.channels, next);
                    break;
                }
                // The connection stays, and its readers pass what it took from other channels.
                None => {
                    connection.move_to(&mut self.channels, position);
                    break;
                }
            }
        }
        self.advance_leads(slot);
    }

    /// Counts an item as begun. `rest` is what is left of its bytes; it belongs to the connection from now on (S3).
    pub(super) fn begin_item(&mut self, slot: ConnectionSlot, item: PendingItem, rest: Option<Bytes>) {
        let Some(connection) = self.connections.at_mut(slot) else { return };
        connection.is_starting = false;
        connection.start_is_open = false;
        connection.partial_frame = rest;
        match item {
            PendingItem::PartialFrame | PendingItem::Opening => {}
            PendingItem::Ping => {
                connection.ping.mark_sent();
                self.stats.pings = self.stats.pings.saturating_add(1);
            }
            PendingItem::Own(_) if connection.own_frames.next_is_farewell() => {
                connection.own_frames.pop();
                connection.end_behind_farewell();
            }
            PendingItem::Own(_) => {
                // The id of a reset or of a position stands for all channels, as that of an event does.
                if let Some(position) = connection.own_frames.pop().filter(|at| *at > connection.position) {
                    connection.move_to(&mut self.channels, position);
                    self.advance_leads(slot);
                }
            }
            PendingItem::Event(LogIndex { position, in_history, .. }) => {
                let is_open = connection.is_open();
                self.stats.replayed = self.stats.replayed.saturating_add(u64::from(in_history));
                connection.move_to(&mut self.channels, position);
                self.advance_leads(slot);
                if !is_open {
                    self.remove_drained_subscriptions(slot);
                }
            }
        }
    }

    /// Takes bytes of the partial frame.
    pub(super) fn advance_partial_frame(&mut self, slot: ConnectionSlot, bytes: usize) {
        let Some(connection) = self.connections.at_mut(slot) else { return };
        match &mut connection.partial_frame {
            Some(rest) if rest.len() > bytes => rest.advance(bytes),
            _ => connection.partial_frame = None,
        }
    }

    /// Moves past the single item that the [fast path](Hub::fast_pending) found, and applies `update` to the connection.
    /// Nothing is pending behind the item.
    #[inline(always)]
    pub(super) fn pass_single(
        &mut self,
        slot: ConnectionSlot,
        item: PendingItem,
        update: impl FnOnce(&mut ConnectionState),
    ) {
        let Some(connection) = self.connections.at_mut(slot) else { return };
        update(connection);
        match item {
            PendingItem::Event(place) => connection.move_to(&mut self.channels, place.position),
            PendingItem::Ping => {
                connection.ping.mark_sent();
                self.stats.pings = self.stats.pings.saturating_add(1);
            }
            PendingItem::PartialFrame | PendingItem::Opening | PendingItem::Own(_) => {
                connection.partial_frame = None;
            }
        }
    }

    /// Handles the end of a window: what is pending beyond it is reported anew, behind the other connections (D3).
    pub(super) fn window_used_up(&mut self, slot: ConnectionSlot) {
        self.remove_drained_subscriptions(slot);
        let has_pending = self.has_pending(slot);
        let Some(connection) = self.connections.at_mut(slot) else { return };
        connection.mark_idle();
        if has_pending {
            self.notify(slot);
        } else {
            self.finish_idle(slot);
            self.leave_finished(slot);
        }
    }

    /// Removes the subscriptions to closed channels that have nothing more for this connection, and closes the connection
    /// if the channel is configured to do so (K3). A closing connection needs no subscription that has nothing more for it
    /// either: what is lost there later does not concern the connection.
    pub(super) fn remove_drained_subscriptions(&mut self, slot: ConnectionSlot) {
        while let Some((number, closes_connections)) = self.first_drained(slot) {
            self.remove_subscription(slot, number);
            if closes_connections {
                self.begin_close(slot, CloseReason::ChannelClosed);
            }
        }
    }

    fn first_drained(&self, slot: ConnectionSlot) -> Option<(SubscriptionNumber, bool)> {
        let connection = self.connections.at(slot)?;
        if connection.opening(&self.channels).is_some() {
            // The opening frame depends on all subscriptions.
            return None;
        }
        let start_is_open = connection.start_is_open && connection.is_open();
        connection.subscriptions.numbered().find_map(|(number, subscription)| {
            let channel = self.channels.at(subscription.channel)?;
            // A finished channel is left when the transport asks for bytes (K5).
            let stays = !channel.is_closed || channel.is_finished && !channel.closes_connections();
            if connection.is_open() && stays {
                return None;
            }
            let next = subscription.next(channel, connection.position.max(subscription.owed_after));
            let is_drained = next.is_none_or(|place| !connection.receives(place.position))
                && subscription.loss(channel, connection.position, connection.end()).is_none();
            // Until the transport has asked for bytes, a later subscription may still change what this one is owed (O3).
            let may_end = !start_is_open || channel.closes_connections();
            (is_drained && may_end).then(|| (number, channel.closes_connections()))
        })
    }
}
