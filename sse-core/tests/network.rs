//! Clients behind a bad network: bytes take their time, are lost on the way when a line is cut, and a line may be dead
//! long before the server finds out. Servers restart under a new epoch. In the end every client has every event that was
//! published to its channels exactly once and in order, or a reset told it where it lost some.
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
/// What a socket takes before the other side has acknowledged anything, in bytes.
const SOCKET: usize = 300;
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

/// Which run of the server, and where in it.
type At = (u64, u64);

struct Published {
    at: At,
    channel: usize,
}

/// The line of one connection, as the server's socket has it.
struct Link {
    connection: ConnectionId,
    in_flight: VecDeque<(Instant, Vec<u8>)>,
    /// The server has more than the socket takes.
    is_blocked: bool,
}

struct Client {
    follows: Vec<usize>,
    last_event_id: String,
    decoder: Decoder,
    line: Option<Link>,
    back_at: Instant,
    cut_at: Instant,
    got: BTreeSet<usize>,
    newest: At,
    /// Where it began, or was told last that events are lost.
    told: At,
}

struct World {
    random: Random,
    now: Instant,
    run: u64,
    hub: Hub,
    channels: Vec<ChannelId>,
    clients: Vec<Client>,
    /// Connections whose client has gone without a word, and when the server's socket finds out.
    dead: Vec<(Instant, ConnectionId)>,
    truth: Vec<Published>,
    publish_at: Instant,
    restart_at: Instant,
    /// Whether lines are still cut.
    is_bad: bool,
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
                line: None,
                back_at: random.after(Instant::ORIGIN, 5000),
                cut_at: random.after(Instant::ORIGIN, 60_000),
                got: BTreeSet::new(),
                newest: (0, 0),
                told: (0, 0),
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
            dead: Vec::new(),
            truth: Vec::new(),
            publish_at,
            restart_at,
            is_bad: true,
        }
    }

    /// Everything that happens at this instant.
    fn step(&mut self) {
        self.hub.handle_timeout(self.now);
        if self.publish_at <= self.now {
            self.publish();
        }
        if self.restart_at <= self.now {
            self.restart();
        }
        let (found, dead) = self.dead.drain(..).partition(|(at, _)| *at <= self.now);
        self.dead = dead;
        for (_, connection) in found as Vec<_> {
            self.hub.disconnect(self.now, connection);
        }
        for client in 0..CLIENTS {
            if self.is_bad && self.clients[client].cut_at <= self.now {
                self.cut(client);
            }
            self.arrive(client);
            if self.clients[client].line.is_none() && self.clients[client].back_at <= self.now {
                self.connect(client);
            }
        }
        while let Some(action) = self.hub.poll_action() {
            match action {
                Action::Transmit(connection) => self.write(connection),
                Action::Close { connection, .. } => self.closed(connection),
                _ => {}
            }
        }
    }

    fn next(&self) -> Instant {
        let arrivals = self.clients.iter().filter_map(|client| client.line.as_ref()?.in_flight.front());
        let backs = self.clients.iter().filter(|client| client.line.is_none()).map(|client| client.back_at);
        let cuts = self.clients.iter().filter(|_| self.is_bad).map(|client| client.cut_at);
        let next =
            arrivals.map(|(at, _)| *at).chain(backs).chain(cuts).chain(self.dead.iter().map(|dead| dead.0));
        let next = next.chain([self.publish_at, self.restart_at]).chain(self.hub.poll_timeout());
        next.min().unwrap_or(END).max(self.now)
    }

    fn publish(&mut self) {
        for _ in 0..=self.random.below(3) {
            let channel = self.random.below(CHANNELS as u64) as usize;
            let data = format!("{}{}", self.truth.len(), "\n.".repeat(self.random.below(60) as usize));
            let event = Event::new().data(data);
            let published = self.hub.publish(self.now, self.channels[channel], &event).unwrap();
            self.truth.push(Published { at: (self.run, published.position.get()), channel });
        }
        self.publish_at = self.random.after(self.now, 2000);
    }

    /// The server dies, and one that knows nothing takes its place.
    fn restart(&mut self) {
        self.run += 1;
        (self.hub, self.channels) = hub(self.run, &mut self.random);
        self.dead.clear();
        for client in 0..CLIENTS {
            self.lose(client);
        }
        self.restart_at = self.random.after(self.now, 900_000);
    }

    /// What is on its way is lost. Mostly the server learns of it late.
    fn cut(&mut self, client: usize) {
        self.clients[client].cut_at = self.random.after(self.now, 60_000);
        let Some(line) = &self.clients[client].line else { return };
        let connection = line.connection;
        match self.random.below(3) {
            0 => drop(self.hub.disconnect(self.now, connection)),
            _ => self.dead.push((self.random.after(self.now, 120_000), connection)),
        }
        self.lose(client);
    }

    fn lose(&mut self, client: usize) {
        let retry = self.clients[client].decoder.retry().unwrap_or(Duration::from_secs(3));
        self.clients[client].line = None;
        self.clients[client].back_at = self.now.saturating_add(retry);
    }

    /// The server ended it: what is on its way still arrives, and then the end.
    fn closed(&mut self, connection: ConnectionId) {
        self.dead.retain(|(_, dead)| *dead != connection);
        if let Some(client) = self.client_of(connection) {
            for (_, bytes) in self.clients[client].line.take().unwrap().in_flight {
                self.receive(client, &bytes);
            }
            self.lose(client);
        }
    }

    fn connect(&mut self, client: usize) {
        let state = &mut self.clients[client];
        let last_event_id = LastEventId::new(state.last_event_id.as_bytes());
        let is_fresh = last_event_id.is_none();
        let config = ConnectionConfig { last_event_id, ..ConnectionConfig::default() };
        let connection = self.hub.connect(self.now, config).unwrap();
        for channel in &state.follows {
            self.hub.subscribe(self.now, self.channels[*channel], connection).unwrap();
        }
        if is_fresh {
            // Nothing told it where it stands: it is owed what comes from now on.
            state.told = (self.run, self.hub.head().get());
        }
        state.decoder = Decoder::new().with_last_event_id(&state.last_event_id);
        state.line = Some(Link { connection, in_flight: VecDeque::new(), is_blocked: false });
    }

    fn client_of(&self, connection: ConnectionId) -> Option<usize> {
        self.clients.iter().position(|c| c.line.as_ref().is_some_and(|line| line.connection == connection))
    }

    /// The socket takes what it has room for; that is on its way then.
    fn write(&mut self, connection: ConnectionId) {
        // A line that is dead acknowledges nothing: its socket is full, and the hub finds out by itself.
        let Some(client) = self.client_of(connection) else { return };
        let line = self.clients[client].line.as_mut().unwrap();
        let waiting: usize = line.in_flight.iter().map(|(_, bytes)| bytes.len()).sum();
        let mut window = self.hub.transmit(self.now, connection);
        let due = window.remaining();
        let taken = window.copy_to_bytes(due.min(SOCKET.saturating_sub(waiting)));
        line.is_blocked = taken.len() < due;
        if !taken.is_empty() {
            let behind = line.in_flight.back().map_or(self.now, |(at, _)| *at);
            let arrives = self.random.after(self.now, 400).max(behind);
            line.in_flight.push_back((arrives, taken.to_vec()));
        }
    }

    fn arrive(&mut self, client: usize) {
        while let Some(line) = self.clients[client].line.as_mut()
            && line.in_flight.front().is_some_and(|(at, _)| *at <= self.now)
            && let Some((_, bytes)) = line.in_flight.pop_front()
        {
            let (connection, was_blocked) = (line.connection, line.is_blocked);
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
            let at = (run, position.expect("each has an id of the hub"));
            if message.event == "reset" {
                state.told = state.told.max(at);
                continue;
            }
            let number: usize = message.data.split('\n').next().unwrap().parse().unwrap();
            assert_eq!(self.truth[number].at, at, "{message:?}");
            assert!(state.follows.contains(&self.truth[number].channel), "client {client}: {message:?}");
            assert!(state.got.insert(number), "client {client} got event {number} twice");
            assert!(at > state.newest, "client {client}: {at:?} after {:?}", state.newest);
            state.newest = at;
        }
        state.last_event_id = state.decoder.last_event_id().to_owned();
    }

    fn check(&self) {
        for (number, published) in self.truth.iter().enumerate() {
            for (name, client) in self.clients.iter().enumerate() {
                let is_owed = client.follows.contains(&published.channel) && published.at > client.told;
                assert!(
                    !is_owed || client.got.contains(&number),
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
    // The network heals, nobody publishes any more, and there is time for everything to arrive.
    world.is_bad = false;
    let never = Instant::from_nanos(u64::MAX);
    (world.publish_at, world.restart_at) = (never, never);
    let healed = END.saturating_add(Duration::from_secs(600));
    while world.now < healed {
        world.step();
        world.now = world.next();
    }
    world.check();
    let got = world.clients.iter().map(|client| client.got.len()).sum();
    (got, world.hub.stats().replayed as usize)
}

#[test]
fn every_event_arrives_once_or_a_reset_says_where_not() {
    let seeds = match std::env::var("SEED") {
        Ok(seed) => vec![seed.parse().unwrap()],
        Err(_) => (0..std::env::var("SEEDS").map_or(60, |seeds| seeds.parse().unwrap())).collect(),
    };
    let (mut got, mut replayed) = (0, 0);
    for seed in seeds {
        let result = std::panic::catch_unwind(|| simulate(seed));
        let Ok(result) = result else {
            panic!("repeat with: SEED={seed} cargo test --package sse-core --test network");
        };
        got += result.0;
        replayed += result.1;
    }
    assert!(got > 1000 && replayed > 10, "{got} received, {replayed} replayed");
}
