//! The connections of a principal: who they are, and the verbs for all of them (U1, U2).

use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use crate::config::ConnectionConfig;
use crate::id::{ChannelId, ConnectionId};
use crate::stats::CloseReason;
use crate::time::Instant;
use crate::wire::Frame;

use super::arena::{ConnectionSlot, Slot};
use super::connection::ConnectionState;
use super::{ConnectError, Hub};

impl Hub {
    /// Returns the principals that have connections, in no particular order ([U1](crate::rules#u1)). A closing connection
    /// counts until it has ended.
    ///
    /// ```
    /// # use sse_core::{ConnectionConfig, Hub, HubConfig, Instant};
    /// # let mut hub = Hub::new(HubConfig::default()).unwrap();
    /// let config = ConnectionConfig { principal: Some("user 7".into()), ..ConnectionConfig::default() };
    /// let connection = hub.connect(Instant::ORIGIN, config)?;
    /// assert_eq!(hub.principals().collect::<Vec<_>>(), ["user 7"]);
    /// assert_eq!(hub.of_principal("user 7").collect::<Vec<_>>(), [connection]);
    /// assert_eq!((hub.principal(connection), hub.client(connection)), (Some("user 7"), None));
    /// # Ok::<(), sse_core::ConnectError>(())
    /// ```
    pub fn principals(&self) -> impl Iterator<Item = &str> + '_ {
        self.identities.principals()
    }

    /// Returns the principals of the members of a channel, each once and in no particular order; none when the channel is not
    /// open ([U1](crate::rules#u1)).
    ///
    /// # Cost
    ///
    /// O(m · log m) in the members, at the call.
    ///
    /// ```
    /// # use sse_core::{ChannelConfig, ConnectionConfig, Hub, HubConfig, Instant};
    /// # let mut hub = Hub::new(HubConfig::default()).unwrap();
    /// # let now = Instant::ORIGIN;
    /// let room = hub.open_channel(now, "room", ChannelConfig::default()).unwrap();
    /// for _tab in 0..2 {
    ///     let config = ConnectionConfig { principal: Some("user 7".into()), ..ConnectionConfig::default() };
    ///     let connection = hub.connect(now, config).unwrap();
    ///     hub.subscribe(now, room, connection).unwrap();
    /// }
    /// assert_eq!(hub.principals_in(room).collect::<Vec<_>>(), ["user 7"]);
    /// ```
    pub fn principals_in(&self, channel: ChannelId) -> impl Iterator<Item = &str> + '_ {
        let members = self.members(channel).filter_map(|member| self.connections.slot(member));
        let principals = members.filter_map(|member| self.identities.principal_of(member));
        let each_once: BTreeSet<u32> = principals.map(|principal| principal.get()).collect();
        each_once.into_iter().filter_map(|index| self.identities.principal_name(Slot::new(index)))
    }

    /// Returns the connections of a principal, the newest first ([U1](crate::rules#u1)).
    ///
    /// # Cost
    ///
    /// O(1) for each connection of the principal.
    pub fn of_principal(&self, principal: &str) -> impl Iterator<Item = ConnectionId> + use<'_> {
        self.slots_of(principal).filter_map(|slot| self.connections.id(slot))
    }

    /// Returns the members of a channel that belong to a principal, the newest connection first ([U1](crate::rules#u1)).
    ///
    /// # Cost
    ///
    /// O(subscriptions) for each connection of the principal, however many members the channel has.
    ///
    /// ```
    /// # use sse_core::{ChannelConfig, ConnectionConfig, Hub, HubConfig, Instant};
    /// # let mut hub = Hub::new(HubConfig::default()).unwrap();
    /// # let now = Instant::ORIGIN;
    /// let room = hub.open_channel(now, "room", ChannelConfig::default()).unwrap();
    /// let config = ConnectionConfig { principal: Some("user 7".into()), ..ConnectionConfig::default() };
    /// let [member, _elsewhere] = [(); 2].map(|()| hub.connect(now, config.clone()).unwrap());
    /// hub.subscribe(now, room, member).unwrap();
    /// assert_eq!(hub.members_of_principal(room, "user 7").collect::<Vec<_>>(), [member]);
    /// ```
    pub fn members_of_principal(
        &self,
        channel: ChannelId,
        principal: &str,
    ) -> impl Iterator<Item = ConnectionId> + use<'_> {
        let channel = self.channels.slot(channel);
        let follows = move |slot: &ConnectionSlot| {
            let connection = self.connections.at(*slot);
            channel.is_some_and(|channel| connection.is_some_and(|c| c.subscriptions.find(channel).is_some()))
        };
        self.slots_of(principal).filter(follows).filter_map(|slot| self.connections.id(slot))
    }

    /// Returns the principal of a connection; `None` when it has none or is not open ([U1](crate::rules#u1)).
    pub fn principal(&self, connection: ConnectionId) -> Option<&str> {
        let principal = self.identities.principal_of(self.connections.slot(connection)?)?;
        self.identities.principal_name(principal)
    }

    /// Returns the client key of a connection; `None` when it has none or is not open ([U1](crate::rules#u1)).
    pub fn client(&self, connection: ConnectionId) -> Option<&str> {
        self.identities.client_key(self.connections.get(connection)?.client()?)
    }

    /// Sends a frame to each connection of a principal, as [`send`](Hub::send) does. Returns the number of connections it was
    /// sent to: those that are closing, or have no room for it, are left out.
    ///
    /// A direct send does not survive a reconnection. What has to arrive belongs in a channel of the principal.
    ///
    /// # Cost
    ///
    /// O(1) for each connection of the principal, and one allocation.
    ///
    /// ```
    /// # use sse_core::{ConnectionConfig, Event, Hub, HubConfig, Instant};
    /// # let mut hub = Hub::new(HubConfig::default()).unwrap();
    /// # let now = Instant::ORIGIN;
    /// let config = ConnectionConfig { principal: Some("user 7".into()), ..ConnectionConfig::default() };
    /// let tabs = [(); 2].map(|()| hub.connect(now, config.clone()).unwrap());
    /// let signed_out = Event::new().event("signed-out").data("").encode().unwrap();
    /// assert_eq!(hub.send_to_principal(now, "user 7", &signed_out), 2);
    /// ```
    pub fn send_to_principal(&mut self, now: Instant, principal: &str, frame: &Frame) -> usize {
        self.advance_clock(now);
        let connections: Vec<ConnectionId> = self.of_principal(principal).collect();
        connections.into_iter().filter(|connection| self.send(now, *connection, frame).is_ok()).count()
    }

    /// Closes each connection of a principal, as [`close_connection`](Hub::close_connection) does. Returns the number of
    /// connections that were open.
    ///
    /// A browser comes back after that: the application has to refuse the principal, with status 204.
    ///
    /// # Cost
    ///
    /// That of `close_connection` for each connection of the principal, and one allocation.
    ///
    /// ```
    /// # use sse_core::{ConnectionConfig, Hub, HubConfig, Instant};
    /// # let mut hub = Hub::new(HubConfig::default()).unwrap();
    /// # let now = Instant::ORIGIN;
    /// let config = ConnectionConfig { principal: Some("user 7".into()), ..ConnectionConfig::default() };
    /// hub.connect(now, config).unwrap();
    /// assert_eq!(hub.close_principal(now, "user 7"), 1);
    /// ```
    pub fn close_principal(&mut self, now: Instant, principal: &str) -> usize {
        self.advance_clock(now);
        let slots: Vec<ConnectionSlot> = self.slots_of(principal).collect();
        let mut closed = 0usize;
        for slot in slots {
            if self.connections.at(slot).is_some_and(|connection| connection.is_open()) {
                self.begin_close(slot, CloseReason::Requested);
                closed = closed.saturating_add(1);
            }
        }
        closed
    }

    /// Unsubscribes each connection of a principal from a channel, as [`unsubscribe`](Hub::unsubscribe) does. Returns the
    /// number of subscriptions that ended.
    ///
    /// # Cost
    ///
    /// That of `unsubscribe` for each connection of the principal, and one allocation.
    ///
    /// ```
    /// # use sse_core::{ChannelConfig, ConnectionConfig, Hub, HubConfig, Instant};
    /// # let mut hub = Hub::new(HubConfig::default()).unwrap();
    /// # let now = Instant::ORIGIN;
    /// let room = hub.open_channel(now, "room", ChannelConfig::default()).unwrap();
    /// let config = ConnectionConfig { principal: Some("user 7".into()), ..ConnectionConfig::default() };
    /// let connection = hub.connect(now, config).unwrap();
    /// hub.subscribe(now, room, connection).unwrap();
    /// assert_eq!(hub.unsubscribe_principal(now, room, "user 7"), 1);
    /// assert!(hub.is_connection_open(connection));
    /// ```
    pub fn unsubscribe_principal(&mut self, now: Instant, channel: ChannelId, principal: &str) -> usize {
        self.advance_clock(now);
        let members: Vec<ConnectionId> = self.members_of_principal(channel, principal).collect();
        members.into_iter().filter(|member| self.unsubscribe(now, channel, *member)).count()
    }

    fn slots_of(&self, principal: &str) -> impl Iterator<Item = ConnectionSlot> + use<'_> {
        let principal = self.identities.principal(principal);
        principal.into_iter().flat_map(|principal| self.identities.connections_of(principal))
    }

    /// Returns the connection whose place a new one takes, if its principal is at the limit (U2): the oldest with the same
    /// client key.
    pub(super) fn replaceable(
        &self,
        config: &ConnectionConfig,
    ) -> Result<Option<ConnectionSlot>, ConnectError> {
        let limit = self.config.limits.per_principal;
        let Some(name) = &config.principal else { return Ok(None) };
        let principal = self.identities.principal(name);
        if principal.map_or(0, |principal| self.identities.connections(principal)) < limit {
            return Ok(None);
        }
        let client = config.client.as_deref().and_then(|key| self.identities.client(key));
        let is_same = |slot: &ConnectionSlot| {
            client.is_some() && self.connections.at(*slot).and_then(ConnectionState::client) == client
        };
        match self.slots_of(name).filter(is_same).last() {
            Some(former) => Ok(Some(former)),
            None => Err(ConnectError::TooManyOfPrincipal { limit }),
        }
    }

    /// Removes the principal and the client key of a connection that ends.
    pub(super) fn remove_identity(&mut self, slot: ConnectionSlot) {
        self.identities.leave(slot);
        if let Some(client) = self.connections.at(slot).and_then(ConnectionState::client) {
            self.identities.release_client(client);
        }
    }
}

/// Checks the lengths of a principal and a client key (U1).
pub(super) fn check_identity(config: &ConnectionConfig) -> Result<(), ConnectError> {
    let len = |word: &Option<Box<str>>| word.as_ref().map_or(0, |word| word.len());
    let (principal, client) = (len(&config.principal), len(&config.client));
    if principal > ConnectionConfig::MAX_PRINCIPAL_BYTES {
        let limit = ConnectionConfig::MAX_PRINCIPAL_BYTES;
        return Err(ConnectError::PrincipalTooLong { bytes: principal, limit });
    }
    if client > ConnectionConfig::MAX_CLIENT_BYTES {
        return Err(ConnectError::ClientTooLong { bytes: client, limit: ConnectionConfig::MAX_CLIENT_BYTES });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use bytes::Buf;

    use super::*;
    use crate::config::{ChannelConfig, Except, HistoryConfig, HubConfig, PublishOptions};
    use crate::wire::Event;

    /// Publishes an event that excludes a client key.
    fn publish_except(hub: &mut Hub, channel: ChannelId, key: &str) {
        let options = PublishOptions { except: Some(Except::Client(key)) };
        hub.publish_to(Instant::ORIGIN, &[channel], &Event::new().data("x"), options).unwrap();
    }

    fn has_number(hub: &Hub, key: &str) -> bool {
        hub.identities.client(key).is_some()
    }

    fn hub_with(events: usize) -> (Hub, ChannelId) {
        let mut hub = Hub::new(HubConfig::default()).unwrap();
        let history = HistoryConfig { events, ..HistoryConfig::default() };
        let config = ChannelConfig { history, ..ChannelConfig::default() };
        let channel = hub.open_channel(Instant::ORIGIN, "a", config).unwrap();
        (hub, channel)
    }

    #[test]
    fn u5_a_client_key_has_a_number_while_a_history_or_a_backlog_has_an_event_that_excludes_it() {
        let now = Instant::ORIGIN;
        let (mut hub, channel) = hub_with(1);
        publish_except(&mut hub, channel, "k1");
        assert!(has_number(&hub, "k1"), "in the history");
        let reader = hub.connect(now, ConnectionConfig::default()).unwrap();
        hub.subscribe(now, channel, reader).unwrap();
        publish_except(&mut hub, channel, "k2");
        assert!(!has_number(&hub, "k1"), "evicted");
        hub.publish(now, channel, &Event::new().data("x")).unwrap();
        assert!(has_number(&hub, "k2"), "in the backlog");
        hub.transmit(now, reader).advance(usize::MAX);
        hub.publish(now, channel, &Event::new().data("x")).unwrap();
        assert!(!has_number(&hub, "k2"), "taken");
        publish_except(&mut hub, channel, "k3");
        hub.close_channel(now, channel);
        hub.disconnect(now, reader);
        assert!(!has_number(&hub, "k3"), "closed");
    }

    #[test]
    fn u5_a_client_key_has_a_number_while_a_connection_has_it() {
        let now = Instant::ORIGIN;
        let (mut hub, channel) = hub_with(0);
        let config = || ConnectionConfig { client: Some("k1".into()), ..ConnectionConfig::default() };
        let [first, second] = [(); 2].map(|()| hub.connect(now, config()).unwrap());
        publish_except(&mut hub, channel, "k1");
        hub.disconnect(now, first);
        assert!(has_number(&hub, "k1"));
        hub.disconnect(now, second);
        assert!(!has_number(&hub, "k1"));
        publish_except(&mut hub, channel, "k1");
        assert!(!has_number(&hub, "k1"), "no log keeps the event");
    }
}
