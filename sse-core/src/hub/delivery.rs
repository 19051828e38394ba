//! How connections move on: what is due to them, what they took, what they lost.

use bytes::{Buf, Bytes};

use crate::config::LagPolicy;
use crate::hub::connection::{Opening, Stage, Wake};
use crate::hub::subscription::Place;
use crate::id::{ConnectionId, Position};
use crate::stats::CloseReason;
use crate::time::Instant;
use crate::wire::Frame;

use super::pending::{self as due, Cursor, Glance, Item, Only};
use super::{Action, Hub, position_frame, reset_frame};

/// Room in the line for connections that are gone.
const KEPT_WAKES: usize = 64;

impl Hub {
    /// What is due first to a connection.
    pub(super) fn first_item(&self, index: u32) -> Option<Item> {
        let (id, connection) = self.connections.entry(index)?;
        Cursor::new(connection).next(id, connection, &self.channels)
    }

    /// Whether a connection has bytes due, or something to find out about what it has lost.
    pub(super) fn is_due(&self, index: u32) -> bool {
        match self.glance(index) {
            Glance::Nothing => false,
            Glance::One(_) => true,
            Glance::Unknown => self.first_item(index).is_some() || self.has_loss(index),
        }
    }

    /// What is due to a connection, as far as it is known without a walk.
    #[inline]
    pub(super) fn glance(&self, index: u32) -> Glance {
        let Some((id, connection)) = self.connections.entry(index) else { return Glance::Unknown };
        due::glance(id, connection, &self.channels)
    }

    /// Whether a connection has something to find out about what it has lost.
    fn has_loss(&self, index: u32) -> bool {
        self.connections.at(index).is_some_and(|c| !c.is_ending() && c.first_loss(&self.channels).is_some())
    }

    /// Since when a connection could have taken a byte and did not (T3).
    pub(super) fn waiting_since(&self, index: u32) -> Option<Instant> {
        let connection = self.connections.at(index).filter(|_| self.is_due(index))?;
        let since = match (connection.wake, connection.due_since.get()) {
            // The frame that it was named for may have left its log since (S1), and all others too.
            (Wake::Named, Some(since)) => since,
            _ => self.due_since(index, self.first_item(index)?)?,
        };
        Some(since.max(connection.taken_at))
    }

    /// Since when an item is due. What was published before its subscription was made is due from now on.
    fn due_since(&self, index: u32, item: Item) -> Option<Instant> {
        let connection = self.connections.at(index)?;
        match item {
            Item::Progress => Some(connection.taken_at),
            Item::Opening if connection.asked.is_none() => Some(connection.opened_at),
            Item::Opening | Item::Event(Place { in_history: true, .. }) => Some(self.now),
            Item::Ping => connection.ping.due_since.get(),
            Item::Own(number) => connection.own_frame(number).map(|own| own.since),
            Item::Event(place) => due::entry(place, &self.channels).map(|entry| entry.at),
        }
    }

    /// Something that was due to a connection was given up: its stall time counts from the oldest that is left (T3). That
    /// need not be the first in order: a reset stands before the events that it was put in front of.
    pub(super) fn count_from_what_is_left(&mut self, index: u32) {
        let Some((id, connection)) = self.connections.entry(index) else { return };
        let mut items = Cursor::new(connection);
        let items = core::iter::from_fn(|| items.next(id, connection, &self.channels));
        let oldest = items.filter_map(|item| self.due_since(index, item)).min();
        let is_due = self.is_due(index);
        if let Some(connection) = self.connections.at_mut(index).filter(|_| oldest.is_some() || !is_due) {
            connection.due_since = oldest.into();
        }
    }

    /// The frame that a connection begins with.
    pub(super) fn opening_frame(&self, index: u32) -> Option<Frame> {
        Some(match self.connections.at(index)?.opening(&self.channels)? {
            Opening::Announce(position) => position_frame(&self.epoch, position),
            Opening::Reset(position) => reset_frame(&self.epoch, position),
        })
    }

    /// Puts a connection in line for being named, if the driver waits for that (D3).
    pub(super) fn wake(&mut self, index: u32) {
        let Some(id) = self.connections.key(index) else { return };
        let now = self.now;
        let Some(connection) = self.connections.at_mut(index) else { return };
        match connection.wake {
            Wake::Idle => {
                connection.wake = Wake::Queued;
                self.wakes.push_back(id);
                self.forget_gone_wakes();
            }
            Wake::Named => connection.due_since = connection.due_since.get().or(Some(now)).into(),
            Wake::Queued => {}
        }
    }

    /// Keeps the line from growing by connections that came and went without a poll in between.
    fn forget_gone_wakes(&mut self) {
        let most = self.connections.len().saturating_mul(2).saturating_add(KEPT_WAKES);
        if self.wakes.len() > most {
            let connections = &self.connections;
            self.wakes.retain(|id| connections.index(*id).is_some());
        }
    }

    /// Names a connection if something is due to it; else finds out whether it is done.
    pub(super) fn name_if_due(&mut self, index: u32) -> Option<ConnectionId> {
        let (id, connection) = self.connections.entry_mut(index)?;
        let (is_due, since) = match due::glance(id, connection, &self.channels) {
            Glance::One(Only { since, .. }) => {
                connection.name(since);
                return Some(id);
            }
            Glance::Nothing => (false, None),
            Glance::Unknown => {
                let first = self.first_item(index);
                (
                    first.is_some() || self.has_loss(index),
                    first.and_then(|first| self.due_since(index, first)),
                )
            }
        };
        let now = self.now;
        let connection = self.connections.at_mut(index)?;
        if is_due {
            connection.name(since.unwrap_or(now));
            return Some(id);
        }
        connection.wake = Wake::Idle;
        self.settle_idle(index);
        None
    }

    /// Settles a connection if nothing is due to it.
    pub(super) fn settle(&mut self, index: u32) {
        if !self.is_due(index) {
            self.settle_idle(index);
        }
    }

    /// For a connection that nothing is due to: lets go of events that it does not get, and ends it if it was only
    /// to take the rest.
    fn settle_idle(&mut self, index: u32) {
        let Some(connection) = self.connections.at(index) else { return };
        match connection.stage {
            Stage::Open => {}
            Stage::Closing(reason) | Stage::Ending(reason) => return self.end(index, reason),
        }
        let Some(id) = self.connections.key(index) else { return };
        let settled = self.settled();
        while let Some(connection) = self.connections.at(index) {
            let position = connection.position;
            let next = due::next_read(id, connection, &self.channels, position);
            let next = next.map(|(place, _)| place.position);
            let Some(connection) = self.connections.at_mut(index) else { break };
            match next {
                Some(next) if next <= settled => connection.move_to(&mut self.channels, next),
                // It may still come for another channel, and be due from there (O4).
                Some(next) => {
                    connection.pass(&mut self.channels, next);
                    break;
                }
                // It stays, and passes what it has from another channel.
                None => {
                    connection.move_to(&mut self.channels, position);
                    break;
                }
            }
        }
        self.drop_drained(index);
    }

    /// Before bytes are handed out: deals with what a connection has lost (S1). It may be ended by that.
    pub(super) fn resolve_losses(&mut self, index: u32) {
        while let Some(connection) = self.connections.at(index)
            && !connection.is_ending()
            && let Some((number, loss)) = connection.first_loss(&self.channels)
        {
            let Some(subscription) = connection.subscriptions.as_slice().get(number) else { return };
            let policy = self.channels.at(subscription.channel).map(|channel| channel.config.on_lag);
            match loss.through {
                None => self.read_on(index, number, Position::ORIGIN),
                Some(through) => {
                    self.stats.lagged = self.stats.lagged.saturating_add(1);
                    if policy == Some(LagPolicy::Skip) {
                        self.skip(index, number, through);
                    } else {
                        return self.end_after_progress(index, CloseReason::Lagged);
                    }
                }
            }
        }
    }

    /// Counts an item as begun: what is left of its bytes, if anything, is the connection's own from now on (S3).
    pub(super) fn commit(&mut self, index: u32, item: Item, rest: Option<Bytes>) {
        let Some(connection) = self.connections.at_mut(index) else { return };
        connection.is_starting = false;
        connection.is_planning = false;
        connection.progress = rest;
        match item {
            Item::Progress | Item::Opening => {}
            Item::Ping => {
                connection.ping.sent();
                self.stats.pings = self.stats.pings.saturating_add(1);
            }
            Item::Own(_) => connection.pop_own(),
            Item::Event(Place { position, in_history, .. }) => {
                let is_open = connection.is_open();
                self.stats.replayed = self.stats.replayed.saturating_add(u64::from(in_history));
                connection.move_to(&mut self.channels, position);
                if !is_open {
                    self.drop_drained(index);
                }
            }
        }
    }

    /// Takes `bytes` of the frame in progress.
    pub(super) fn continue_progress(&mut self, index: u32, bytes: usize) {
        let Some(connection) = self.connections.at_mut(index) else { return };
        match &mut connection.progress {
            Some(rest) if rest.len() > bytes => rest.advance(bytes),
            _ => connection.progress = None,
        }
    }

    /// Takes the one item of a [`glance`](Hub::glance), whole: nothing is due then, and there is nothing to find out.
    pub(super) fn take_only_item(&mut self, index: u32, item: Item) {
        let Some(connection) = self.connections.at_mut(index) else { return };
        connection.taken_at = self.now;
        connection.rest();
        match item {
            Item::Event(place) => connection.move_to(&mut self.channels, place.position),
            Item::Ping => {
                connection.ping.sent();
                self.stats.pings = self.stats.pings.saturating_add(1);
            }
            Item::Progress | Item::Opening | Item::Own(_) => connection.progress = None,
        }
    }

    /// A window was taken whole: what is due beyond it is named anew, behind the others (D3).
    pub(super) fn window_taken(&mut self, index: u32) {
        self.drop_drained(index);
        let is_due = self.is_due(index);
        let Some(connection) = self.connections.at_mut(index) else { return };
        connection.rest();
        if is_due {
            self.wake(index);
        } else {
            self.settle_idle(index);
        }
    }

    /// Ends the subscriptions to closed channels that have nothing more for this connection, and the connection where
    /// the channel takes it along (K3). One that is being closed needs none that has nothing more for it either: what
    /// is lost there later does not concern it.
    pub(super) fn drop_drained(&mut self, index: u32) {
        while let Some((number, takes_connections)) = self.first_drained(index) {
            self.detach(index, number);
            if takes_connections {
                self.begin_close(index, CloseReason::ChannelClosed);
            }
        }
    }

    fn first_drained(&self, index: u32) -> Option<(usize, bool)> {
        let connection = self.connections.at(index)?;
        if connection.is_starting && self.is_due(index) {
            // What it starts with tells of all of them.
            return None;
        }
        connection.subscriptions.as_slice().iter().enumerate().find_map(|(number, subscription)| {
            let channel = self.channels.at(subscription.channel)?;
            if connection.is_open() && !channel.is_closed {
                return None;
            }
            let next = subscription.next(channel, connection.position.max(subscription.from));
            let is_drained = next.is_none_or(|place| !connection.wants(place.position))
                && subscription.loss(channel, connection.position, connection.end()).is_none();
            is_drained.then(|| (number, channel.takes_connections()))
        })
    }

    /// Has a reader go on behind a loss, with a reset frame where the loss ends (S1, H7).
    fn skip(&mut self, index: u32, number: usize, through: Position) {
        let (now, reset) = (self.now, reset_frame(&self.epoch, through));
        let Some(connection) = self.connections.at_mut(index) else { return };
        connection.push_reset(now, through, reset);
        connection.is_planning = false;
        // Nor does a late subscription give it an opening that it does not have.
        connection.is_starting = connection.opening(&self.channels).is_some();
        let channel =
            connection.subscriptions.as_slice().get(number).map(|subscription| subscription.channel);
        self.read_on(index, number, through);
        let channel = channel.and_then(|channel| self.channels.key(channel));
        if let (Some(connection), Some(channel)) = (self.connections.key(index), channel) {
            self.notices.push_back(Action::Lagged { connection, channel, lost_through: through });
        }
    }

    /// Has a reader that has fallen read history above `from` up to what the backlog still has, and then that.
    fn read_on(&mut self, index: u32, number: usize, from: Position) {
        let Some(connection) = self.connections.at_mut(index) else { return };
        let (position, end) = (connection.position, connection.end());
        let Some(subscription) = connection.subscriptions.as_mut_slice().get_mut(number) else { return };
        let Some(channel) = self.channels.at_mut(subscription.channel) else { return };
        let owed_after = subscription.from.max(position).max(from);
        if channel.backlog.has_lost_after(subscription.reader(position).max(subscription.stands)) {
            let stood = subscription.stands;
            subscription.live_from = channel.backlog.lost_through();
            // It joins before it leaves: between the two, nobody might wait for what is left.
            subscription.join(channel, position);
            channel.backlog.leave(stood);
        }
        subscription.replay_between(channel, owed_after, end);
    }

    /// Ends a connection, with the frame in progress if there is one: nobody sees half an event (S3).
    fn end_after_progress(&mut self, index: u32, reason: CloseReason) {
        let Some(connection) = self.connections.at_mut(index) else { return };
        if connection.progress.is_none() {
            return self.end(index, reason);
        }
        let was_open = connection.is_open();
        connection.begin_end(reason);
        let flushed_by = self.now.checked_add(self.flush_time());
        if let Some(connection) = self.connections.at_mut(index).filter(|_| was_open) {
            connection.expires = flushed_by.into();
        }
        self.arm(index);
    }
}
