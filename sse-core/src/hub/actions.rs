//! The actions of the driver, and the sweeps over members that find them.

use crate::id::{ChannelId, ConnectionId, Position};
use crate::stats::CloseReason;

use super::arena::ConnectionSlot;
use super::connection::Notify;
use super::{Hub, Unwanted};

/// The most members that one [`Hub::poll_action`] visits, and the most queued connections that it checks.
const VISITS_PER_POLL: usize = 256;

/// The number of members of one channel that are visited before the next channel has its turn.
const VISITS_PER_TURN: usize = 64;

/// What the embedder has to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Action {
    /// Bytes are pending for a connection that had none: write the window of [`Hub::transmit`]. A connection is
    /// reported once, and again only after everything pending was taken or a window was used up
    /// ([D3](crate::rules#d3)).
    Transmit(ConnectionId),
    /// The hub has ended a connection and forgotten it: end its transport.
    Close {
        /// The connection.
        connection: ConnectionId,
        /// The reason of the end.
        reason: CloseReason,
    },
    /// The maximum lifetime of a connection is over ([T2](crate::rules#t2)), and the connection is configured to report
    /// that: extend the lifetime by [`Hub::set_max_lifetime`], or close the connection.
    TimedOut(ConnectionId),
    /// A connection fell behind and lost events of a channel. It continues behind the loss ([S1](crate::rules#s1)).
    Lagged {
        /// The connection.
        connection: ConnectionId,
        /// The channel.
        channel: ChannelId,
        /// The newest position that the connection may have lost.
        lost_through: Position,
    },
    /// Nobody wants more events of a channel: [`Unwanted::Absent`] once for each time that nobody has followed it for its
    /// time ([P1](crate::rules#p1)), [`Unwanted::Stopped`] once after [`Hub::stop`] ([P2](crate::rules#p2)). The channel stays
    /// open.
    Unwanted {
        /// The channel.
        channel: ChannelId,
        /// The reason.
        why: Unwanted,
    },
    /// The producer of a channel can go on: half of what it may be ahead of its readers is free, or the channel is stopped,
    /// finished or closed ([P3](crate::rules#p3)).
    Room(ChannelId),
    /// A channel was finished ([K4](crate::rules#k4)).
    ChannelFinished(ChannelId),
    /// A channel was closed ([K2](crate::rules#k2), [K3](crate::rules#k3)).
    ChannelClosed {
        /// The channel.
        channel: ChannelId,
        /// The reason of the end.
        reason: ChannelCloseReason,
    },
}

/// The reason why a channel was closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ChannelCloseReason {
    /// [`Hub::close_channel`] was called.
    Requested,
    /// The channel had no member for its empty timeout ([K2](crate::rules#k2)).
    Empty,
    /// The channel was finished, and the time for which it was kept is over ([K7](crate::rules#k7)).
    Finished,
}

impl Hub {
    /// Returns the next action, if there is one.
    ///
    /// A broadcast is not a queue: the members of a channel are visited here, a bounded number in one call. So `None`
    /// can come before a sweep is complete; then [`poll_timeout`](Hub::poll_timeout) is not in the future
    /// ([D2](crate::rules#d2), [D7](crate::rules#d7)).
    ///
    /// # Cost
    ///
    /// O(1), amortised over the members of the channels that were published to. One call visits at most 256 members.
    /// Nothing is allocated.
    ///
    /// ```
    /// # use sse_core::{Action, ChannelConfig, ConnectionConfig, Event, Hub, HubConfig, Instant};
    /// # let mut hub = Hub::new(HubConfig::default()).unwrap();
    /// # let now = Instant::ORIGIN;
    /// let weather = hub.open_channel(now, "weather", ChannelConfig::default()).unwrap();
    /// let connection = hub.connect(now, ConnectionConfig::default()).unwrap();
    /// hub.subscribe(now, weather, connection).unwrap();
    /// hub.publish(now, weather, &Event::new().data("sunny")).unwrap();
    /// assert_eq!(hub.poll_action(), Some(Action::Transmit(connection)));
    /// assert_eq!(hub.poll_action(), None);
    /// ```
    pub fn poll_action(&mut self) -> Option<Action> {
        if !self.notices.is_empty()
            && let Some(notice) = self.next_notice()
        {
            return Some(notice);
        }
        // Sweeps and the queue take turns, so that neither waits for the other to run dry (D10).
        if !self.notify_queue.is_empty() {
            self.is_sweeps_turn = !self.is_sweeps_turn;
            if !self.is_sweeps_turn
                && let Some(connection) = self.report_queued()
            {
                return Some(Action::Transmit(connection));
            }
        }
        if let Some(connection) = self.sweep() {
            return Some(Action::Transmit(connection));
        }
        if let Some(connection) = self.report_queued() {
            return Some(Action::Transmit(connection));
        }
        self.release_queues();
        // Closing connections may have been ended by the visits.
        self.next_notice()
    }

    /// Reports the next queued connection that has pending bytes.
    #[inline(never)]
    fn report_queued(&mut self) -> Option<ConnectionId> {
        for _ in 0..VISITS_PER_POLL {
            let connection = self.notify_queue.pop_front()?;
            let Some(slot) = self.connections.slot(connection) else { continue };
            let Some(state) = self.connections.at_mut(slot) else { continue };
            state.is_in_queue = false;
            if state.notify == Notify::Queued && self.report_if_pending(slot).is_some() {
                return Some(connection);
            }
        }
        None
    }

    /// Visits members of the channels that wait for a sweep, until one has to be reported or the call has visited enough.
    fn sweep(&mut self) -> Option<ConnectionId> {
        for _ in 0..VISITS_PER_POLL {
            let id = *self.sweeps.front()?;
            let channel = self.channels.slot(id).and_then(|slot| self.channels.at_mut(slot));
            let Some(channel) = channel else {
                self.sweeps.pop_front();
                continue;
            };
            let closes_connections = channel.closes_connections();
            match channel.members.visit() {
                Some(member) => {
                    if self.sweeps.len() > 1 {
                        self.count_visit();
                    }
                    if let Some(reported) = self.visit_member(member, closes_connections) {
                        return Some(reported);
                    }
                }
                None => {
                    let needs_another_pass = channel.members.finish_pass();
                    self.visits_in_turn = 0;
                    self.sweeps.pop_front();
                    if needs_another_pass {
                        self.sweeps.push_back(id);
                    }
                }
            }
        }
        None
    }

    /// Counts a visit in the turn of a channel. After its turn the channel continues behind the others (D10).
    #[inline(never)]
    fn count_visit(&mut self) {
        self.visits_in_turn = self.visits_in_turn.saturating_add(1);
        if self.visits_in_turn >= VISITS_PER_TURN {
            self.visits_in_turn = 0;
            self.sweeps.rotate_left(1);
        }
    }

    /// Visits a member of a channel that was published to or closed. Returns the member when it has to be reported.
    fn visit_member(&mut self, member: ConnectionSlot, closes_connections: bool) -> Option<ConnectionId> {
        if closes_connections {
            self.begin_close(member, CloseReason::ChannelClosed);
        }
        match self.connections.at(member)?.notify {
            Notify::Idle => self.report_if_pending(member),
            // The driver has the connection or will get it, and finds the event itself.
            Notify::Reported | Notify::Queued => {
                self.notify(member);
                None
            }
        }
    }

    /// Returns the next notice that is still valid: its subject may be gone (D6).
    fn next_notice(&mut self) -> Option<Action> {
        loop {
            let notice = self.notices.pop_front()?;
            let is_valid = match notice {
                Action::TimedOut(connection) | Action::Lagged { connection, .. } => {
                    self.is_connection_open(connection)
                }
                Action::Unwanted { channel, why } => self.take_unwanted(channel, why),
                Action::Transmit(_)
                | Action::Close { .. }
                | Action::Room(_)
                | Action::ChannelFinished(_)
                | Action::ChannelClosed { .. } => true,
            };
            if is_valid {
                return Some(notice);
            }
        }
    }

    /// Releases the memory of queues that grew and are empty now (D8).
    fn release_queues(&mut self) {
        if self.notices.capacity() > KEPT_CAPACITY && self.notices.is_empty() {
            self.notices = Default::default();
        }
        if self.notify_queue.capacity() > KEPT_CAPACITY && self.notify_queue.is_empty() {
            self.notify_queue = Default::default();
        }
        if self.sweeps.capacity() > KEPT_CAPACITY && self.sweeps.is_empty() {
            self.sweeps = Default::default();
        }
    }
}

/// The capacity that an empty queue keeps, so that a steady trickle does not allocate.
const KEPT_CAPACITY: usize = 1024;
