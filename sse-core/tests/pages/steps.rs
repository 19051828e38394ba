//! What happens: publications, bytes, cuts, joins; and the end, when all links heal.

use std::time::Duration;

use sse_core::bytes::Buf;
use sse_core::{
    Action, ConnectionConfig, Event, Except, Join, LastEventId, Position, PublishOptions, Resume, StartFrom,
    SubscribeError,
};

use super::finished::farewell;
use super::link::Link;
use super::node::{Published, ROOMS, known_position};
use super::page::{Membership, Room};
use super::world::World;

impl World {
    pub(crate) fn step(&mut self) {
        let page = self.choose(self.pages.len());
        match self.choose(32) {
            0..8 => self.publish(),
            8..14 => {
                let bytes = [1, 10, 40, 200][self.choose(4)];
                self.take(page, bytes);
            }
            14..19 => {
                let bytes = [1, 10, 40, 200][self.choose(4)];
                self.receive_bytes(page, bytes);
            }
            19..21 => {
                self.log(|| format!("page {page} is cut"));
                self.pages[page].lose_link();
            }
            21..24 => self.connect(page),
            24..27 => self.join_new(page),
            27..29 => self.rejoin_next(page),
            29 => self.leave(page),
            30 if self.choose(3) == 0 => {
                self.log(|| format!("page {page} is loaded again"));
                self.loads += 1;
                let key = format!("load {}", self.loads);
                self.pages[page].reload(key);
            }
            30 if !self.is_external() && self.choose(2) == 0 => self.close_room(),
            31 if !self.is_external() && self.choose(2) == 0 => self.finish_room(),
            _ => {
                let node = self.choose(self.nodes.len());
                self.poll(node);
            }
        }
    }

    fn publish(&mut self) {
        if self.is_external() && self.choose(2) == 0 {
            let node = self.choose(self.nodes.len());
            return self.feed(node);
        }
        let count = [1, 1, 1, 2][self.choose(4)];
        let mut names: Vec<usize> = (0..ROOMS).collect();
        while names.len() > count {
            let index = self.choose(names.len());
            names.remove(index);
        }
        names.retain(|name| !self.finished[*name]);
        if !names.is_empty() {
            self.publish_to(&names, None);
        }
    }

    /// Publishes an event to rooms. With `keep`, it is the last one of its room.
    pub(super) fn publish_to(&mut self, names: &[usize], keep: Option<Duration>) {
        let number = self.events.len();
        let is_replayable = self.choose(8) > 0;
        let application_id = (is_replayable && self.has_application_ids && self.choose(2) == 0)
            .then(|| format!("app-{number}"));
        let author = (!self.is_external() && keep.is_none() && self.choose(4) == 0).then(|| {
            let page = self.choose(self.pages.len());
            self.pages[page].key.clone()
        });
        let rooms = names.iter().map(|name| (*name, self.generations[*name])).collect();
        let newest = self.events.last().map_or(0, |event| event.position);
        let step = if self.is_external() { 1 + self.choose(2) as u64 } else { 1 };
        let position = newest + step;
        self.log(|| {
            format!("event {number} at {position} in {names:?}, {is_replayable}, {application_id:?}, by {author:?}")
        });
        self.events.push(Published { position, rooms, is_replayable, application_id, author });
        if !self.is_external() {
            let event = self.event(number);
            let except = self.events[number].author.as_deref().map(Except::Client);
            let node = &mut self.nodes[0];
            let channels: Vec<_> =
                names.iter().map(|name| node.channel(*name, &self.configs[*name])).collect();
            let published = match keep {
                Some(keep) => node.hub.finish_channel(node.now, channels[0], Some(&event), keep).map(drop),
                None => node.hub.publish_to(node.now, &channels, &event, PublishOptions { except }).map(drop),
            };
            published.expect("published");
            assert_eq!(node.hub.head().get(), position);
        }
    }

    fn event(&self, number: usize) -> Event<'static> {
        let published = &self.events[number];
        let event = Event::new().data(number.to_string());
        match &published.application_id {
            Some(id) => event.id(id.clone()),
            None if published.is_replayable => event,
            None => event.live_only(),
        }
    }

    /// Lets a node receive the next event, or a part of it: one room after the other.
    pub(super) fn feed(&mut self, number: usize) {
        let node = &mut self.nodes[number];
        let Some(event) = self.events.get(node.next_event) else { return };
        if node.next_rooms.is_empty() {
            node.next_rooms = event.rooms.iter().map(|(name, _)| *name).collect();
        }
        let position = event.position;
        let parts = if self.choose(2) == 0 { 1 } else { ROOMS };
        let frame = self.event(self.nodes[number].next_event).encode().expect("a valid event");
        let node = &mut self.nodes[number];
        let names: Vec<usize> = node.next_rooms.drain(..parts.min(node.next_rooms.len())).collect();
        if node.next_rooms.is_empty() {
            node.next_event += 1;
        }
        let channels: Vec<_> = names.iter().map(|name| node.channel(*name, &self.configs[*name])).collect();
        node.hub
            .publish_at(node.now, &channels, Position::new(position), &frame, PublishOptions::default())
            .expect("published");
        self.log(|| format!("node {number} receives {position} in {names:?}"));
    }

    /// Lets the transport of a page take bytes.
    pub(crate) fn take(&mut self, number: usize, bytes: usize) -> bool {
        let page = &mut self.pages[number];
        let Some(link) = page.link.as_mut().filter(|link| !link.has_ended) else { return false };
        let node = &mut self.nodes[link.node];
        let mut window = node.hub.transmit(node.now, link.connection);
        let count = window.remaining().min(bytes);
        let taken = window.copy_to_bytes(count);
        drop(window);
        link.send(&taken);
        link.has_ended = !node.hub.is_connection_open(link.connection);
        self.log(|| format!("page {number}: {count} bytes leave"));
        count > 0
    }

    pub(crate) fn receive_bytes(&mut self, number: usize, mut bytes: usize) {
        while let Some(message) = self.pages[number].link.as_mut().and_then(|link| link.receive(&mut bytes)) {
            self.arrive(number, &message);
        }
        let page = &mut self.pages[number];
        if page.link.as_ref().is_some_and(|link| link.has_ended && link.is_empty()) {
            page.lose_link();
        }
    }

    fn poll(&mut self, number: usize) {
        let node = &mut self.nodes[number];
        while let Some(action) = node.hub.poll_action() {
            let Action::Close { connection, .. } = action else { continue };
            for page in &mut self.pages {
                if let Some(link) = page.link.as_mut()
                    && (link.node, link.connection) == (number, connection)
                {
                    link.has_ended = true;
                }
            }
        }
    }

    /// Opens a connection. The handler subscribes the rooms that were complete at the id of the client; the page joins
    /// the others with the id at which each was complete.
    pub(super) fn connect(&mut self, number: usize) {
        let page = &self.pages[number];
        if page.link.is_some() || page.rooms.is_empty() || page.is_over {
            return;
        }
        self.disconnect_all(number);
        let node = self.choose(self.nodes.len());
        let page = &self.pages[number];
        let last_id = page.last_id.clone();
        let last_event_id = LastEventId::new(last_id.as_bytes());
        let is_new = last_event_id.is_none();
        let (mut first, mut later) = (Vec::new(), Vec::new());
        for name in page.rooms.keys().copied().collect::<Vec<_>>() {
            let is_known = is_new || self.pages[number].rooms[&name].since == last_id;
            let is_late = !is_known || !is_new && !self.is_healing && self.choose(3) == 0;
            if is_late { later.push(name) } else { first.push(name) }
        }
        let farewell = (self.choose(3) == 0).then(farewell);
        let client = Some(self.pages[number].key.as_str().into());
        let config =
            ConnectionConfig { last_event_id, ping: None, farewell, client, ..ConnectionConfig::default() };
        let state = &mut self.nodes[node];
        let connection = state.hub.connect(state.now, config).expect("no limit");
        self.log(|| format!("page {number} connects to {node} with {last_id:?}: {first:?}, later {later:?}"));
        // An id of the application may be unknown by now, and a new connection begins where the hub is.
        let newest = if last_id.starts_with("e-") { self.position_of(&last_id) } else { 0 };
        let mut link = Link::new(node, connection, &last_id, newest);
        link.to_rejoin = later;
        link.head = self.nodes[node].hub.head().get();
        self.pages[number].link = Some(link);
        if is_new {
            self.pages[number].received.clear();
            self.pages[number].unrepeatable.clear();
        }
        let has_later = !self.pages[number].link.as_ref().expect("a link").to_rejoin.is_empty();
        for name in first {
            self.subscribe_first(number, name, is_new);
        }
        if !has_later {
            self.stop_if_over(number);
        }
    }

    /// The server does not know yet that the page is gone: in the test its former connections end when it comes back.
    fn disconnect_all(&mut self, number: usize) {
        for (index, node) in self.nodes.iter_mut().enumerate() {
            let known: Vec<_> = node.hub.connections().collect();
            for connection in known {
                let is_used = self.pages.iter().enumerate().any(|(other, page)| {
                    other != number
                        && page.link.as_ref().is_some_and(|l| (l.node, l.connection) == (index, connection))
                });
                if !is_used {
                    node.hub.disconnect(node.now, connection);
                }
            }
        }
    }

    fn subscribe_first(&mut self, number: usize, name: usize, is_new: bool) {
        let is_external = self.is_external();
        let page = &mut self.pages[number];
        let link = page.link.as_mut().expect("a link");
        let node = &mut self.nodes[link.node];
        let channel = node.channel(name, &self.configs[name]);
        let resume = node.hub.subscribe(node.now, channel, link.connection).expect("subscribed");
        let head = node.hub.head().get();
        let room = page.rooms.get_mut(&name).expect("a room");
        if is_new && !is_external && self.configs[name].start == StartFrom::Beginning {
            // It receives the room from its beginning, or a reset.
            room.base = 0;
        } else if is_new {
            room.base =
                self.events.iter().map(|event| event.position).filter(|p| *p <= head).max().unwrap_or(0);
        }
        if resume == Resume::Unknown {
            link.is_unknown = true;
            room.base = room.base.max(head);
        }
        room.generation = self.generations[name];
        room.membership = Membership::Inside;
        self.log(|| format!("  room {name}: {resume:?}, head {head}"));
    }

    /// The page opens a room that it did not have.
    fn join_new(&mut self, number: usize) {
        let name = self.choose(ROOMS);
        if self.pages[number].rooms.contains_key(&name) {
            return;
        }
        let room = Room {
            generation: self.generations[name],
            base: u64::MAX,
            since: String::new(),
            membership: Membership::Outside,
        };
        self.pages[number].rooms.insert(name, room);
        self.pages[number].is_over = false;
        if self.pages[number].link.is_some() {
            self.join(number, name);
        } else if !self.pages[number].last_id.is_empty() {
            self.connect(number);
        }
    }

    pub(super) fn rejoin_next(&mut self, number: usize) {
        let Some(link) = self.pages[number].link.as_mut() else { return };
        if let Some(name) = link.to_rejoin.pop() {
            self.join(number, name);
        }
    }

    /// Joins a room on an open connection, and asks for an acknowledgement.
    fn join(&mut self, number: usize, name: usize) {
        let page = &mut self.pages[number];
        let Some(link) = page.link.as_mut().filter(|link| !link.has_ended) else { return };
        let Some(room) = page.rooms.get_mut(&name) else { return };
        let node = &mut self.nodes[link.node];
        let channel = node.channel(name, &self.configs[name]);
        let head = node.hub.head().get();
        let since = LastEventId::new(room.since.as_bytes());
        let join = since.as_ref().map_or(Join::New, Join::After);
        let resume = match node.hub.join(node.now, channel, link.connection, join) {
            Ok(resume) => resume,
            Err(SubscribeError::UnknownConnection(_) | SubscribeError::Closing(_)) => return,
            Err(error) => panic!("{error}"),
        };
        // Before the first byte, the room may start with what it keeps.
        link.head = link.head.max(head);
        self.acknowledgements += 1;
        let ack = Event::new().event("ack").data(self.acknowledgements.to_string());
        let frame = ack.encode().expect("a valid event");
        node.hub.send(node.now, link.connection, &frame).expect("room for it");
        let (base, resets_before) = match resume {
            // The state that the page loads is as new as the id of the page, at a node that is behind, too. Events up to
            // there may come again: the page may have left the room before.
            Resume::Fresh => (head.max(link.resumed_at), None),
            Resume::Gap { lost_through, .. } => {
                // The server may not know an id of the application: behind the reset, events may come again.
                link.is_unknown |= page.last_id.starts_with("app-");
                // The gap of a beginning belongs to the first step, and can become longer before it is told (H8).
                (lost_through.get(), since.is_some().then_some(link.resets))
            }
            _ => (0, None),
        };
        if resume == Resume::Fresh {
            let events = &self.events;
            page.unrepeatable.retain(|event| {
                !(events[*event].is_in(name, self.generations[name]) && events[*event].position <= base)
            });
        }
        if matches!(resume, Resume::Replayed { .. }) && page.last_id.starts_with("app-") {
            // The server may not know an id of the application, and begins where the room was complete: an event that
            // came by another room comes again.
            let (events, since) = (&self.events, known_position(&self.events, &room.since));
            page.unrepeatable.retain(|event| {
                !(events[*event].is_in(name, self.generations[name]) && events[*event].position > since)
            });
        }
        room.generation = self.generations[name];
        let is_over = resume == Resume::Finished;
        room.membership = Membership::Joining { number: self.acknowledgements, base, resets_before, is_over };
        if room.base == u64::MAX {
            room.base = head.max(link.resumed_at);
        }
        self.log(|| format!("page {number} joins {name}: {resume:?}, head {head}"));
    }

    fn leave(&mut self, number: usize) {
        let page = &mut self.pages[number];
        let Some(link) = page.link.as_mut() else { return };
        let Some(name) = page.rooms.keys().next().copied() else { return };
        page.rooms.remove(&name);
        link.to_rejoin.retain(|other| *other != name);
        let node = &mut self.nodes[link.node];
        if let Some(channel) = node.channels[name] {
            node.hub.unsubscribe(node.now, channel, link.connection);
        }
        self.log(|| format!("page {number} leaves {name}"));
    }

    /// Closes a room. All pages are told, and give it up.
    fn close_room(&mut self) {
        let name = self.choose(ROOMS);
        let node = &mut self.nodes[0];
        let Some(channel) = node.channels[name].take() else { return };
        node.hub.close_channel(node.now, channel);
        self.generations[name] += 1;
        self.finished[name] = false;
        for page in &mut self.pages {
            page.rooms.remove(&name);
            if let Some(link) = &mut page.link {
                link.to_rejoin.retain(|other| *other != name);
            }
        }
        self.log(|| format!("room {name} is closed"));
    }
}
