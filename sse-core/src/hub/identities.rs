//! The principals and the client keys of connections (U1), and the client keys that published events exclude (U3).

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::iter;
use core::num::NonZeroU32;

use crate::id::{ChannelId, ClientId, ConnectionId, Position, PrincipalId};

use super::arena::{ConnectionSlot, Slot};
use super::names::Names;
use super::packed_slot::PackedSlot;

pub(crate) type PrincipalSlot = Slot<PrincipalId>;
pub(crate) type ClientSlot = Slot<ClientId>;

/// The names of principals and client keys, as numbers that live as long as a connection or a kept event has them (U5).
///
/// # Cost
///
/// The connections of a principal are a list that is linked through `links`, so adding and removing one is O(1). A hub
/// without principals has no links.
pub(crate) struct Identities {
    principals: Names<PrincipalId, Principal>,
    /// The links of the connection in each slot.
    links: Vec<Link>,
    clients: Names<ClientId, References>,
    /// The client keys that events exclude, in the order of publication. A channel may have let go of an event since.
    excluded: VecDeque<ExcludedClient>,
    /// The length of `excluded` at which it is searched for events that are gone.
    longest: usize,
}

#[derive(Default)]
struct Principal {
    newest: Option<PackedSlot<ConnectionId>>,
    connections: usize,
}

/// The principal of a connection, and its neighbours among the connections of that principal.
#[derive(Clone, Copy, Default)]
struct Link {
    principal: Option<PackedSlot<PrincipalId>>,
    newer: Option<PackedSlot<ConnectionId>>,
    older: Option<PackedSlot<ConnectionId>>,
}

/// The number of connections and of entries in `excluded` that have a client key.
#[derive(Default)]
struct References(usize);

/// An event of a channel that excludes a client key.
#[derive(Clone, Copy)]
struct ExcludedClient {
    position: Position,
    channel: ChannelId,
    client: ClientSlot,
}

/// The number of entries that are gone for which `excluded` is not searched, and the capacity of it that is never given
/// back.
const KEPT_GONE: usize = 64;

impl Identities {
    pub(crate) fn new(origin: NonZeroU32) -> Identities {
        Identities {
            principals: Names::new(origin),
            links: Vec::new(),
            clients: Names::new(origin),
            excluded: VecDeque::new(),
            longest: KEPT_GONE,
        }
    }

    pub(crate) fn principal(&self, name: &str) -> Option<PrincipalSlot> {
        self.principals.find(name)
    }

    /// Returns the names of the principals that have connections.
    pub(crate) fn principals(&self) -> impl Iterator<Item = &str> + '_ {
        self.principals.iter()
    }

    pub(crate) fn principal_name(&self, principal: PrincipalSlot) -> Option<&str> {
        self.principals.name(principal)
    }

    /// Returns the principal of a connection.
    pub(crate) fn principal_of(&self, connection: ConnectionSlot) -> Option<PrincipalSlot> {
        Some(self.link(connection)?.principal?.slot())
    }

    /// Returns the number of connections of a principal.
    pub(crate) fn connections(&self, principal: PrincipalSlot) -> usize {
        self.principals.value(principal).map_or(0, |principal| principal.connections)
    }

    /// Returns the connections of a principal, the newest first.
    pub(crate) fn connections_of(
        &self,
        principal: PrincipalSlot,
    ) -> impl Iterator<Item = ConnectionSlot> + '_ {
        let newest = self.principals.value(principal).and_then(|principal| principal.newest);
        iter::successors(newest, |connection| self.link(connection.slot())?.older).map(PackedSlot::slot)
    }

    /// Adds a connection to those of a principal.
    pub(crate) fn join(&mut self, name: &str, connection: ConnectionSlot) {
        let index = connection.get() as usize;
        let Some(slot) = self.principals.intern(name) else { return };
        let Some(principal) = self.principals.value_mut(slot) else { return };
        principal.connections = principal.connections.saturating_add(1);
        let older = principal.newest.replace(connection.into());
        if self.links.len() <= index {
            self.links.resize(index.saturating_add(1), Link::default());
        }
        if let Some(link) = self.links.get_mut(index) {
            *link = Link { principal: Some(slot.into()), newer: None, older };
        }
        if let Some(link) = older.and_then(|older| self.link_mut(older.slot())) {
            link.newer = Some(connection.into());
        }
    }

    /// Removes a connection from those of its principal, if it has one.
    pub(crate) fn leave(&mut self, connection: ConnectionSlot) {
        let Some(link) = self.link_mut(connection).map(core::mem::take) else { return };
        let Some(slot) = link.principal.map(PackedSlot::slot) else { return };
        if let Some(older) = link.older.and_then(|older| self.link_mut(older.slot())) {
            older.newer = link.newer;
        }
        if let Some(newer) = link.newer.and_then(|newer| self.link_mut(newer.slot())) {
            newer.older = link.older;
        }
        let Some(principal) = self.principals.value_mut(slot) else { return };
        if link.newer.is_none() {
            principal.newest = link.older;
        }
        principal.connections = principal.connections.saturating_sub(1);
        if principal.connections == 0 {
            self.principals.remove(slot);
        }
        if self.principals.len() == 0 {
            self.links = Vec::new();
        }
    }

    pub(crate) fn client(&self, key: &str) -> Option<ClientSlot> {
        self.clients.find(key)
    }

    pub(crate) fn client_key(&self, client: ClientSlot) -> Option<&str> {
        self.clients.name(client)
    }

    /// Returns the number of a client key for a connection that has it.
    pub(crate) fn add_client(&mut self, key: &str) -> Option<ClientSlot> {
        let client = self.clients.intern(key)?;
        self.refer_to(client);
        Some(client)
    }

    /// Returns the number of a client key for an event that excludes it. [`Identities::release_client`] has to follow.
    pub(crate) fn exclude_client(&mut self, key: &str) -> Option<(ClientSlot, ClientId)> {
        let client = self.add_client(key)?;
        Some((client, self.clients.id(client)?))
    }

    /// Records that a channel keeps an event that excludes a client key.
    pub(crate) fn keep_excluded(&mut self, position: Position, channel: ChannelId, client: ClientSlot) {
        self.refer_to(client);
        self.excluded.push_back(ExcludedClient { position, channel, client });
    }

    fn refer_to(&mut self, client: ClientSlot) {
        if let Some(References(count)) = self.clients.value_mut(client) {
            *count = count.saturating_add(1);
        }
    }

    /// Removes a reference to a client key, and the key with the last one.
    pub(crate) fn release_client(&mut self, client: ClientSlot) {
        let Some(References(count)) = self.clients.value_mut(client) else { return };
        *count = count.saturating_sub(1);
        if *count == 0 {
            self.clients.remove(client);
        }
    }

    /// Releases the client keys of events that no channel keeps any more: those at the front, and all if more than half
    /// may be gone.
    ///
    /// # Cost
    ///
    /// O(1) amortised. Without events that exclude a client key, one comparison.
    #[inline]
    pub(crate) fn tidy_excluded(&mut self, is_kept: impl Fn(Position, ChannelId) -> bool) {
        if !self.excluded.is_empty() {
            self.remove_gone(is_kept);
        }
    }

    #[cold]
    fn remove_gone(&mut self, is_kept: impl Fn(Position, ChannelId) -> bool) {
        while let Some(oldest) = self.excluded.front().copied()
            && !is_kept(oldest.position, oldest.channel)
        {
            self.excluded.pop_front();
            self.release_client(oldest.client);
        }
        let is_searched = self.excluded.len() > self.longest;
        if is_searched {
            for _ in 0..self.excluded.len() {
                let Some(oldest) = self.excluded.pop_front() else { break };
                if is_kept(oldest.position, oldest.channel) {
                    self.excluded.push_back(oldest);
                } else {
                    self.release_client(oldest.client);
                }
            }
        }
        let longest = self.excluded.len().saturating_mul(2).saturating_add(KEPT_GONE);
        self.longest = if is_searched { longest } else { longest.min(self.longest) };
        if self.excluded.capacity() > self.longest.saturating_mul(2) {
            self.excluded.shrink_to(self.longest);
        }
    }

    fn link(&self, connection: ConnectionSlot) -> Option<&Link> {
        self.links.get(connection.get() as usize)
    }

    fn link_mut(&mut self, connection: ConnectionSlot) -> Option<&mut Link> {
        self.links.get_mut(connection.get() as usize)
    }
}
