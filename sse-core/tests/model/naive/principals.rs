//! Principals, client keys and what they exclude.

use sse_core::{ConnectError, ConnectionConfig, ConnectionId};

use super::{Conn, Model, Pub, Sub};

/// What an event excludes (U3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Exclusion {
    Connection(ConnectionId),
    Client(Box<str>),
}

impl Model {
    /// Returns the connections of a principal, the oldest first.
    pub(crate) fn of_principal(&self, name: &str) -> Vec<usize> {
        let is_of = |conn: &Conn| conn.is_alive && conn.config.principal.as_deref() == Some(name);
        let conns = self.conns.iter().enumerate().filter(|(_, conn)| is_of(conn));
        conns.map(|(index, _)| index).collect()
    }

    /// Returns the connection that a new one replaces (U2).
    pub(crate) fn replaced(&self, config: &ConnectionConfig) -> Result<Option<usize>, ConnectError> {
        let Some(name) = &config.principal else { return Ok(None) };
        let limit = self.limits.per_principal;
        let conns = self.of_principal(name);
        if conns.len() < limit {
            return Ok(None);
        }
        let is_same =
            |conn: &usize| config.client.is_some() && self.conns[*conn].config.client == config.client;
        let former = conns.into_iter().find(is_same);
        former.map(Some).ok_or(ConnectError::TooManyOfPrincipal { limit })
    }
}

impl Conn {
    /// Returns whether an event is not for a subscription. An exclusion does not hold for what a start or a reset replays
    /// (U3).
    pub(crate) fn is_excluded(&self, sub: &Sub, event: &Pub) -> bool {
        self.is_named(event) && !(sub.starts_anew && event.position <= sub.subscribed_at)
    }

    /// Returns whether the exclusion of an event names this connection or its client key.
    pub(crate) fn is_named(&self, event: &Pub) -> bool {
        match &event.except {
            None => false,
            Some(Exclusion::Connection(id)) => *id == self.id,
            Some(Exclusion::Client(key)) => self.config.client.as_ref() == Some(key),
        }
    }
}
