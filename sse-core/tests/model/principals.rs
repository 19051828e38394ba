//! The steps by principal.

use sse_core::{ConnectionId, Frame};

use super::harness::{Harness, newest};
use super::naive::{Exclusion, wire};
use super::op::Excluded;
use super::settings;

impl Harness {
    pub(crate) fn exclusion(&self, except: Excluded) -> Option<Exclusion> {
        match except {
            Excluded::Connection(reference) => {
                let conn = newest(self.model.conns.len(), reference)?;
                Some(Exclusion::Connection(self.id(conn)))
            }
            Excluded::Client(key) => Some(Exclusion::Client(settings::client_key(key))),
        }
    }

    pub(crate) fn send_to_principal(&mut self, principal: u8, bytes: u8) {
        let now = self.observed();
        let wire = wire(None, None, &"s".repeat(bytes.into()));
        let frame = Frame::parse(wire.clone()).expect("the bytes are one block");
        let name = settings::principal(principal);
        let sent = self.hub.send_to_principal(now, &name, &frame);
        let conns = self.model.of_principal(&name);
        let expected = conns.into_iter().filter(|conn| self.model.send(*conn, &wire).is_ok()).count();
        assert_eq!(sent, expected, "U1");
    }

    pub(crate) fn close_principal(&mut self, principal: u8) {
        let now = self.observed();
        let name = settings::principal(principal);
        let closed = self.hub.close_principal(now, &name);
        let mut expected = 0;
        for conn in self.model.of_principal(&name) {
            expected += usize::from(self.model.conns[conn].is_open());
            self.model.begin_close(conn, sse_core::CloseReason::Requested);
        }
        assert_eq!(closed, expected, "U1");
    }

    pub(crate) fn unsubscribe_principal(&mut self, chan: usize, principal: u8) {
        let now = self.observed();
        let name = settings::principal(principal);
        let ended = self.hub.unsubscribe_principal(now, self.model.chans[chan].id, &name);
        let conns = self.model.of_principal(&name);
        let expected = conns.into_iter().filter(|conn| self.model.unsubscribe(chan, *conn)).count();
        assert_eq!(ended, expected, "U1");
    }

    /// Checks what the hub says of principals and client keys (U1).
    pub(crate) fn check_principals(&self) {
        let mut known: Vec<Box<str>> = Vec::new();
        for number in 0..3 {
            let name = settings::principal(number);
            let mut conns = self.model.of_principal(&name);
            known.extend((!conns.is_empty()).then(|| name.clone()));
            conns.reverse();
            let ids: Vec<ConnectionId> = conns.iter().map(|conn| self.id(*conn)).collect();
            assert_eq!(self.hub.of_principal(&name).collect::<Vec<_>>(), ids, "U1");
            for (chan, channel) in self.model.chans.iter().enumerate() {
                let follows =
                    |conn: &&usize| self.model.conns[**conn].subs.iter().any(|sub| sub.chan == chan);
                let members: Vec<_> = conns.iter().filter(follows).map(|conn| self.id(*conn)).collect();
                let found: Vec<_> = self.hub.members_of_principal(channel.id, &name).collect();
                assert_eq!(found, members, "U1");
                let is_in = self.hub.principals_in(channel.id).filter(|other| **other == *name).count();
                assert_eq!(is_in, usize::from(!members.is_empty()), "U1");
            }
        }
        let mut principals: Vec<Box<str>> = self.hub.principals().map(Box::from).collect();
        principals.sort();
        assert_eq!(principals, known, "U1");
        for conn in self.model.conns.iter() {
            let (principal, client) = (self.hub.principal(conn.id), self.hub.client(conn.id));
            assert_eq!(principal, conn.config.principal.as_deref().filter(|_| conn.is_alive), "U1");
            assert_eq!(client, conn.config.client.as_deref().filter(|_| conn.is_alive), "U1");
        }
    }
}
