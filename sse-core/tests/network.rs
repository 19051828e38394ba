//! Clients behind a bad network: bytes are delayed and get lost when a link is cut, and the server may detect a dead
//! link much later. Servers restart with a new epoch. At the end every client has every event of its channels exactly
//! once and in order, or a reset that covers the loss.
//!
//! `SEED=7 cargo test --package sse-core --test network` repeats one seed.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use bytes::Buf;
use sse_core::{
    Action, ChannelConfig, ChannelId, ConnectionConfig, ConnectionId, Decoder, Event, HistoryConfig, Hub,
    HubConfig, Instant, LastEventId,
};

const CLIENTS: usize = 4;
const CHANNELS: usize = 3;
/// Bytes that a socket accepts without an acknowledgement.
const SOCKET_BUFFER: usize = 300;
const END: Instant = Instant::from_millis(600_000);

struct Random(u64);

impl Random {
    fn below(&mut self, most: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (bits ^ (bits >> 31)) % most
    }

    fn after(&mut self, now: Instant, most_millis: u64) -> Instant {
        now.saturating_add(Duration::from_millis(self.below(most_millis)))
    }
}

/// A run of the server, and a position in that run.
type At = (u64, u64);

struct Published {
    at: At,
    channel: usize,
}

/// The transport of one connection.
struct Link {
    connection: ConnectionId,
    in_flight: VecDeque<(Instant, Vec<u8>)>,
    /// More bytes are pending than the socket accepts.
    is_blocked: bool,
}

struct Client {
    follows: Vec<usize>,
    last_event_id: String,
    decoder: Decoder,
    link: Option<Link>,
    reconnects_at: Instant,
    cut_at: Instant,
    received: BTreeSet<usize>,
    newest: At,
    /// The position at which the client began, or that of its newest reset.
    lost_through: At,
}

struct World {
    random: Random,
    now: Instant,
    run: u64,
    hub: Hub,
    channels: Vec<ChannelId>,
    clients: Vec<Client>,
    /// Connections whose client disconnected without notice, and when the server detects that.
    undetected: Vec<(Instant, ConnectionId)>,
    published: Vec<Published>,
    publish_at: Instant,
    restart_at: Instant,
    /// Whether links are still cut.
    is_faulty: bool,
}

fn hub(run: u64, random: &mut Random) -> (Hub, Vec<ChannelId>) {
    let config = HubConfig { epoch: format!("r{run}"), seed: random.below(1000), ..HubConfig::default() };
    let mut hub = Hub::new(config).unwrap();
    let channels = (0..CHANNELS)
        .map(|number| {
            let events = [500, 40, 4][number];
            let history = HistoryConfig { events, ..HistoryConfig::default() };
            let config = ChannelConfig { history, ..ChannelConfig::default() };
            hub.open_channel(Instant::ORIGIN, &number.to_string(), config).unwrap()
        })
        .collect();
    (hub, channels)
}

impl World {
    fn new(seed: u64) -> World {
        let mut random = Random(seed);
        let (hub, channels) = hub(0, &mut random);
        let clients = (0..CLIENTS)
            .map(|_| Client {
                follows: (0..CHANNELS).filter(|_| random.below(2) == 0).collect(),
                last_event_id: String::new(),
                decoder: Decoder::new(),
                link: None,
                reconnects_at: random.after(Instant::ORIGIN, 5000),
                cut_at: random.after(Instant::ORIGIN, 60_000),
                received: BTreeSet::new(),
                newest: (0, 0),
                lost_through: (0, 0),
            })
            .collect();
        let (publish_at, restart_at) =
            (random.after(Instant::ORIGIN, 1000), random.after(Instant::ORIGIN, 900_000));
        World {
            random,
            now: Instant::ORIGIN,
            run: 0,
            hub,
            channels,
            clients,
            undetected: Vec::new(),
            published: Vec::new(),
            publish_at,
            restart_at,
            is_faulty: true,
        }
    }

    /// Handles everything that happens at the current instant.
    fn step(&mut self) {
        self.hub.handle_timeout(self.now);
        if self.publish_at <= self.now {
            self.publish();
        }
        if self.restart_at <= self.now {
            self.restart();
        }
        let (detected, undetected) = self.undetected.drain(..).partition(|(at, _)| *at <= self.now);
        self.undetected = undetected;
        for (_, connection) in detected as Vec<_> {
            self.hub.disconnect(self.now, connection);
        }
        for client in 0..CLIENTS {
            if self.is_faulty && self.clients[client].cut_at <= self.now {
                self.cut(client);
            }
            self.arrive(client);
            if self.clients[client].link.is_none() && self.clients[client].reconnects_at <= self.now {
                self.connect(client);
            }
        }
        while let Some(action) = self.hub.poll_action() {
            match action {
                Action::Transmit(connection) => self.write(connection),
                Action::Close { connection, .. } => self.handle_close(connection),
                _ => {}
            }
        }
    }

    fn next(&self) -> Instant {
        let arrivals = self.clients.iter().filter_map(|client| client.link.as_ref()?.in_flight.front());
        let reconnects =
            self.clients.iter().filter(|client| client.link.is_none()).map(|client| client.reconnects_at);
        let cuts = self.clients.iter().filter(|_| self.is_faulty).map(|client| client.cut_at);
        let next = arrivals
            .map(|(at, _)| *at)
            .chain(reconnects)
            .chain(cuts)
            .chain(self.undetected.iter().map(|dead| dead.0));
        let next = next.chain([self.publish_at, self.restart_at]).chain(self.hub.poll_timeout());
        next.min().unwrap_or(END).max(self.now)
    }

    fn publish(&mut self) {
        for _ in 0..=self.random.below(3) {
            let channel = self.random.below(CHANNELS as u64) as usize;
            let data = format!("{}{}", self.published.len(), "\n.".repeat(self.random.below(60) as usize));
            let event = Event::new().data(data);
            let published = self.hub.publish(self.now, self.channels[channel], &event).unwrap();
            self.published.push(Published { at: (self.run, published.position.get()), channel });
        }
        self.publish_at = self.random.after(self.now, 2000);
    }

    /// Replaces the server by a new one without its state.
    fn restart(&mut self) {
        self.run += 1;
        (self.hub, self.channels) = hub(self.run, &mut self.random);
        self.undetected.clear();
        for client in 0..CLIENTS {
            self.drop_link(client);
        }
        self.restart_at = self.random.after(self.now, 900_000);
    }

    /// Cuts a link. Bytes in flight are lost, and the server mostly detects the cut later.
    fn cut(&mut self, client: usize) {
        self.clients[client].cut_at = self.random.after(self.now, 60_000);
        let Some(link) = &self.clients[client].link else { return };
        let connection = link.connection;
        match self.random.below(3) {
            0 => drop(self.hub.disconnect(self.now, connection)),
            _ => self.undetected.push((self.random.after(self.now, 120_000), connection)),
        }
        self.drop_link(client);
    }

    fn drop_link(&mut self, client: usize) {
        let retry = self.clients[client].decoder.retry().unwrap_or(Duration::from_secs(3));
        self.clients[client].link = None;
        self.clients[client].reconnects_at = self.now.saturating_add(retry);
    }

    /// Handles a close by the server. Bytes in flight still arrive before the end.
    fn handle_close(&mut self, connection: ConnectionId) {
        self.undetected.retain(|(_, dead)| *dead != connection);
        if let Some(client) = self.client_of(connection) {
            for (_, bytes) in self.clients[client].link.take().unwrap().in_flight {
                self.receive(client, &bytes);
            }
            self.drop_link(client);
        }
    }

    fn connect(&mut self, client: usize) {
        let state = &mut self.clients[client];
        let last_event_id = LastEventId::new(state.last_event_id.as_bytes());
        let is_new = last_event_id.is_none();
        let config = ConnectionConfig { last_event_id, ..ConnectionConfig::default() };
        let connection = self.hub.connect(self.now, config).unwrap();
        for channel in &state.follows {
            self.hub.subscribe(self.now, self.channels[*channel], connection).unwrap();
        }
        if is_new {
            // Without an id the client begins at the head.
            state.lost_through = (self.run, self.hub.head().get());
        }
        state.decoder = Decoder::new().with_last_event_id(&state.last_event_id);
        state.link = Some(Link { connection, in_flight: VecDeque::new(), is_blocked: false });
    }

    fn client_of(&self, connection: ConnectionId) -> Option<usize> {
        self.clients.iter().position(|c| c.link.as_ref().is_some_and(|link| link.connection == connection))
    }

    /// Writes as many pending bytes as the socket accepts.
    fn write(&mut self, connection: ConnectionId) {
        // A dead link acknowledges nothing, so its socket stays full and the connection stalls.
        let Some(client) = self.client_of(connection) else { return };
        let link = self.clients[client].link.as_mut().unwrap();
        let unacknowledged: usize = link.in_flight.iter().map(|(_, bytes)| bytes.len()).sum();
        let mut window = self.hub.transmit(self.now, connection);
        let pending = window.remaining();
        let taken = window.copy_to_bytes(pending.min(SOCKET_BUFFER.saturating_sub(unacknowledged)));
        link.is_blocked = taken.len() < pending;
        if !taken.is_empty() {
            let behind = link.in_flight.back().map_or(self.now, |(at, _)| *at);
            let arrives = self.random.after(self.now, 400).max(behind);
            link.in_flight.push_back((arrives, taken.to_vec()));
        }
    }

    fn arrive(&mut self, client: usize) {
        while let Some(link) = self.clients[client].link.as_mut()
            && link.in_flight.front().is_some_and(|(at, _)| *at <= self.now)
            && let Some((_, bytes)) = link.in_flight.pop_front()
        {
            let (connection, was_blocked) = (link.connection, link.is_blocked);
            self.receive(client, &bytes);
            if was_blocked {
                self.write(connection);
            }
        }
    }

    fn receive(&mut self, client: usize, bytes: &[u8]) {
        let run = self.run;
        let state = &mut self.clients[client];
        state.decoder.push(bytes);
        while let Some(message) = state.decoder.next_message() {
            let message = message.unwrap();
            let position = message.id.rsplit('-').next().and_then(|position| position.parse().ok());
            let at = (run, position.expect("each message has an id of the hub"));
            if message.event == "reset" {
                state.lost_through = state.lost_through.max(at);
                continue;
            }
            if message.event == "position" {
                continue;
            }
            let number: usize = message.data.split('\n').next().unwrap().parse().unwrap();
            assert_eq!(self.published[number].at, at, "{message:?}");
            assert!(state.follows.contains(&self.published[number].channel), "client {client}: {message:?}");
            assert!(state.received.insert(number), "client {client} received event {number} twice");
            assert!(at > state.newest, "client {client}: {at:?} after {:?}", state.newest);
            state.newest = at;
        }
        state.last_event_id = state.decoder.last_event_id().to_owned();
    }

    fn check(&self) {
        for (number, published) in self.published.iter().enumerate() {
            for (name, client) in self.clients.iter().enumerate() {
                let is_expected =
                    client.follows.contains(&published.channel) && published.at > client.lost_through;
                assert!(
                    !is_expected || client.received.contains(&number),
                    "client {name} lost {number} at {:?}",
                    published.at
                );
            }
        }
    }
}

fn simulate(seed: u64) -> (usize, usize) {
    let mut world = World::new(seed);
    while world.now < END {
        world.step();
        world.now = world.next();
    }
    // The network recovers, publishing ends, and the time is enough for everything to arrive.
    world.is_faulty = false;
    let never = Instant::from_nanos(u64::MAX);
    (world.publish_at, world.restart_at) = (never, never);
    let healed = END.saturating_add(Duration::from_secs(600));
    while world.now < healed {
        world.step();
        world.now = world.next();
    }
    world.check();
    let received = world.clients.iter().map(|client| client.received.len()).sum();
    (received, world.hub.stats().replayed as usize)
}

#[test]
fn every_event_arrives_once_or_is_covered_by_a_reset() {
    let seeds = match std::env::var("SEED") {
        Ok(seed) => vec![seed.parse().unwrap()],
        Err(_) => (0..std::env::var("SEEDS").map_or(60, |seeds| seeds.parse().unwrap())).collect(),
    };
    let (mut received, mut replayed) = (0, 0);
    for seed in seeds {
        let result = std::panic::catch_unwind(|| simulate(seed));
        let Ok(result) = result else {
            panic!("repeat with: SEED={seed} cargo test --package sse-core --test network");
        };
        received += result.0;
        replayed += result.1;
    }
    assert!(received > 1000 && replayed > 10, "{received} received, {replayed} replayed");
}
