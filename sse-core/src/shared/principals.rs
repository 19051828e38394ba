//! Handles by principal, and handles that other parts of a program find by the id of a connection (U1).

use std::string::String;
use std::vec::Vec;

use super::sync::Arc;
use super::{Channel, Connection, SharedHub, held};
use crate::{ConnectionId, EncodeError, Event, Frame};

impl SharedHub {
    /// Returns a handle on a connection by its id; `None` when the connection is not open. Like every
    /// [`Connection`], the handle does not own the connection: dropping it changes nothing.
    ///
    /// An id that came from a client is guessable. [`connection_of`](SharedHub::connection_of) checks that the connection
    /// belongs to the principal of the request.
    ///
    /// # Cost
    ///
    /// One lock of the hub, and one allocation with the first handle on the connection.
    ///
    /// ```
    /// # use sse_core::shared::SharedHub;
    /// # use sse_core::{ConnectionConfig, HubConfig, Instant};
    /// # let (hub, _driver) = SharedHub::new("1k9f2", HubConfig::default(), || Instant::ORIGIN)?;
    /// let outbound = hub.connect(ConnectionConfig::default())?;
    /// let text = outbound.id().to_string();
    /// let connection = hub.connection(text.parse()?).expect("it is open");
    /// drop(connection);
    /// assert!(hub.connection(outbound.id()).is_some());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn connection(&self, id: ConnectionId) -> Option<Connection> {
        let mut state = self.lock();
        if !state.hub.is_connection_open(id) {
            return None;
        }
        let status = Arc::clone(state.registry.find_mut(id)?.status());
        drop(state);
        Some(Connection::new(self.clone(), id, status))
    }

    /// Returns a handle on a connection of a principal by its id; `None` when the connection is not open, or does not belong
    /// to the principal.
    ///
    /// A page sends the id of its connection with the request to join a room. The id says which connection is meant, and not
    /// whose it is: the principal has to come from the session of the request.
    ///
    /// # Cost
    ///
    /// As [`connection`](SharedHub::connection).
    ///
    /// ```
    /// # use sse_core::shared::SharedHub;
    /// # use sse_core::{ChannelConfig, ConnectionConfig, HubConfig, Instant, Join};
    /// # let (hub, _driver) = SharedHub::new("1k9f2", HubConfig::default(), || Instant::ORIGIN)?;
    /// let config = ConnectionConfig { principal: Some("user 7".into()), ..ConnectionConfig::default() };
    /// let outbound = hub.connect(config)?;
    /// let (session, id) = ("user 7", outbound.id().to_string());
    ///
    /// // POST /rooms/red with the id
    /// let room = hub.open_channel("red", ChannelConfig::default())?;
    /// let connection = hub.connection_of(session, id.parse()?).ok_or("not a connection of this user")?;
    /// connection.join(&room, Join::New)?;
    ///
    /// assert!(hub.connection_of("user 8", outbound.id()).is_none());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn connection_of(&self, principal: &str, id: ConnectionId) -> Option<Connection> {
        let is_own = self.lock().hub.principal(id) == Some(principal);
        // Ids are not reused, so the principal of the connection is the same at the next lock.
        if is_own { self.connection(id) } else { None }
    }

    /// Returns handles on the connections of a principal, the newest first ([U1](crate::rules#u1)).
    ///
    /// # Cost
    ///
    /// One lock of the hub, and O(1) for each connection of the principal.
    ///
    /// ```
    /// # use sse_core::shared::SharedHub;
    /// # use sse_core::{ConnectionConfig, HubConfig, Instant};
    /// # let (hub, _driver) = SharedHub::new("1k9f2", HubConfig::default(), || Instant::ORIGIN)?;
    /// let config = ConnectionConfig { principal: Some("user 7".into()), ..ConnectionConfig::default() };
    /// let outbound = hub.connect(config)?;
    /// let connections = hub.of_principal("user 7");
    /// assert_eq!(connections[0].id(), outbound.id());
    /// assert_eq!(connections[0].principal().as_deref(), Some("user 7"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn of_principal(&self, principal: &str) -> Vec<Connection> {
        let mut state = self.lock();
        let ids: Vec<ConnectionId> = state.hub.of_principal(principal).collect();
        let mut found = Vec::with_capacity(ids.len());
        for id in ids {
            if let Some(registration) = state.registry.find_mut(id) {
                found.push((id, Arc::clone(registration.status())));
            }
        }
        drop(state);
        found.into_iter().map(|(id, status)| Connection::new(self.clone(), id, status)).collect()
    }

    /// Sends an event to each connection of a principal: [`Hub::send_to_principal`](crate::Hub::send_to_principal). Returns
    /// the number of connections it was sent to.
    ///
    /// # Errors
    ///
    /// [`EncodeError`] when the event cannot be encoded. Nothing is sent then.
    pub fn send_to_principal(&self, principal: &str, event: &Event<'_>) -> Result<usize, EncodeError> {
        Ok(self.send_frame_to_principal(principal, &event.encode()?))
    }

    /// Sends a frame to each connection of a principal: [`Hub::send_to_principal`](crate::Hub::send_to_principal). Returns
    /// the number of connections it was sent to.
    pub fn send_frame_to_principal(&self, principal: &str, frame: &Frame) -> usize {
        let frame = held::droppable(frame);
        let mut state = self.lock();
        let now = state.now;
        state.hub.send_to_principal(now, principal, &frame)
    }

    /// Closes each connection of a principal once it has taken its pending bytes:
    /// [`Hub::close_principal`](crate::Hub::close_principal). Returns the number of connections that were open.
    pub fn close_principal(&self, principal: &str) -> usize {
        let mut state = self.lock();
        let now = state.now;
        state.hub.close_principal(now, principal)
    }
}

impl Channel {
    /// Ends the subscriptions of a principal to this channel:
    /// [`Hub::unsubscribe_principal`](crate::Hub::unsubscribe_principal). Returns their number.
    pub fn unsubscribe_principal(&self, principal: &str) -> usize {
        let mut state = self.hub().lock();
        let now = state.now;
        state.hub.unsubscribe_principal(now, self.id(), principal)
    }
}

impl Connection {
    /// Returns the principal of the connection; `None` when it has none or has ended ([U1](crate::rules#u1)).
    pub fn principal(&self) -> Option<String> {
        self.hub().lock().hub.principal(self.id()).map(String::from)
    }

    /// Returns the client key of the connection; `None` when it has none or has ended ([U1](crate::rules#u1)).
    pub fn client(&self) -> Option<String> {
        self.hub().lock().hub.client(self.id()).map(String::from)
    }
}
