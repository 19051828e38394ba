//! What has to be done: actions, and the sweeps over members that find them.

use crate::hub::connection::Wake;
use crate::id::{ChannelId, ConnectionId, Position};
use crate::stats::CloseReason;

use super::Hub;

/// How many members one [`Hub::poll_action`] visits at most, and how many connections that wait in line.
const VISITS_PER_POLL: usize = 256;

/// What the embedder has to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Action {
    /// A connection that had nothing to take has now: write what [`Hub::transmit`] gives. It is named once, and again
    /// only after everything due was taken, or a window was used up (D3).
    Transmit(ConnectionId),
    /// End the transport of a connection. The hub has forgotten it.
    Close {
        /// Which.
        connection: ConnectionId,
        /// Why.
        reason: CloseReason,
    },
    /// The life of a connection is over (T2), and it is configured to only say so: extend it with
    /// [`Hub::set_max_lifetime`], or close it.
    TimedOut(ConnectionId),
    /// A connection fell behind and lost events of a channel; it goes on behind the loss (S1).
    Lagged {
        /// Which.
        connection: ConnectionId,
        /// In which channel.
        channel: ChannelId,
        /// The newest position that it may have lost.
        lost_through: Position,
    },
    /// A channel was closed (K2, K3).
    ChannelClosed {
        /// Which.
        channel: ChannelId,
        /// Why.
        reason: ChannelCloseReason,
    },
}

/// Why a channel was closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ChannelCloseReason {
    /// [`Hub::close_channel`] was called.
    Requested,
    /// It had no member for its empty timeout (K2).
    Empty,
}

impl Hub {
    /// The next thing to do, if there is one.
    ///
    /// A broadcast is not a queue: its members are visited here, a bounded number in one call. So `None` may come
    /// before a sweep is over; [`poll_timeout`](Hub::poll_timeout) is not in the future then (D2, D7).
    ///
    /// # Cost
    ///
    /// O(1), amortised over the members of the channels that were published to; at most 256 of them in one call.
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
        if let Some(notice) = self.next_notice() {
            return Some(notice);
        }
        if let Some(connection) = self.sweep() {
            return Some(Action::Transmit(connection));
        }
        for _ in 0..VISITS_PER_POLL {
            let Some(connection) = self.wakes.pop_front() else { break };
            if let Some(index) = self.connections.index(connection)
                && self.connections.at(index).is_some_and(|state| state.wake == Wake::Queued)
                && self.name_if_due(index).is_some()
            {
                return Some(Action::Transmit(connection));
            }
        }
        self.release_queues();
        // Some that only had the rest to take may have been ended.
        self.next_notice()
    }

    /// Visits members of channels that wait for it, until one has to be named or the turn is over.
    fn sweep(&mut self) -> Option<ConnectionId> {
        for _ in 0..VISITS_PER_POLL {
            let id = *self.sweeps.front()?;
            let channel = self.channels.index(id).and_then(|index| self.channels.at_mut(index));
            let Some(channel) = channel else {
                self.sweeps.pop_front();
                continue;
            };
            let is_taken_along = channel.takes_connections();
            match channel.members.visit() {
                Some(member) => {
                    if let Some(named) = self.visit(member, is_taken_along) {
                        return Some(named);
                    }
                }
                None => {
                    let has_to_go_on = channel.members.finish_pass();
                    self.sweeps.pop_front();
                    if has_to_go_on {
                        self.sweeps.push_back(id);
                    }
                }
            }
        }
        None
    }

    /// Visits a member of a channel in which something happened; returns it when it has to be named.
    fn visit(&mut self, member: u32, is_taken_along: bool) -> Option<ConnectionId> {
        if is_taken_along {
            self.begin_close(member, CloseReason::ChannelClosed);
        }
        match self.connections.at(member)?.wake {
            Wake::Idle => self.name_if_due(member),
            // The driver has it, or will: it finds out itself.
            Wake::Named | Wake::Queued => {
                self.wake(member);
                None
            }
        }
    }

    /// The next action that still means something: what it is about may have gone since (D6).
    fn next_notice(&mut self) -> Option<Action> {
        loop {
            let notice = self.notices.pop_front()?;
            let still_holds = match notice {
                Action::TimedOut(connection) | Action::Lagged { connection, .. } => {
                    self.is_connection_open(connection)
                }
                Action::Transmit(_) | Action::Close { .. } | Action::ChannelClosed { .. } => true,
            };
            if still_holds {
                return Some(notice);
            }
        }
    }

    /// Queues that grew are given back when they are empty (D8).
    fn release_queues(&mut self) {
        if self.notices.capacity() > KEPT_CAPACITY && self.notices.is_empty() {
            self.notices = Default::default();
        }
        if self.wakes.capacity() > KEPT_CAPACITY && self.wakes.is_empty() {
            self.wakes = Default::default();
        }
        if self.sweeps.capacity() > KEPT_CAPACITY && self.sweeps.is_empty() {
            self.sweeps = Default::default();
        }
    }
}

/// Room that an empty queue keeps, so that a steady trickle does not allocate.
const KEPT_CAPACITY: usize = 1024;
