//! Clients that follow a hub through a bad network, with both sides as state machines. Links are cut or fall silent,
//! bytes in flight are lost, servers refuse and restart. At the end every client has every event exactly once and in
//! order, or a reset that covers the loss.
//!
//! `SEED=7 cargo test --package sse-core --test following` repeats one seed.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Buf;
use sse_core::client::{Client, ClientAction, ClientConfig, ClientState, ResponseHead};
use sse_core::{
    Action, ChannelConfig, ChannelId, ConnectionConfig, ConnectionId, Event, HistoryConfig, Hub, HubConfig,
    Instant, LastEventId,
};

const CLIENTS: usize = 3;
/// Until this instant events are published and links fail.
const HEALED: Instant = Instant::from_millis(600_000);
const END: Instant = Instant::from_millis(1_200_000);

struct Random(u64);

impl Random {
    fn below(&mut self, most: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % most
    }

    fn after(&mut self, now: Instant, most_millis: u64) -> Instant {
        now.saturating_add(Duration::from_millis(1 + self.below(most_millis)))
    }
}

/// Bytes that arrive at a client, or `None` for the end of the stream.
type Arrival = (Instant, Option<Vec<u8>>);

/// A run of the server, and a position in that run.
type At = (u64, u64);

struct Follower {
    client: Client,
    /// The connection of the client at the server.
    connection: Option<ConnectionId>,
    /// Nothing gets through any more, and neither side has detected it.
    is_silent: bool,
    in_flight: VecDeque<Arrival>,
    fails_at: Instant,
    received: Vec<usize>,
    /// The position at which the client began, or that of its newest reset.
    lost_through: At,
}

struct World {
    random: Random,
    now: Instant,
    run: u64,
    hub: Hub,
    channel: ChannelId,
    followers: Vec<Follower>,
    published: Vec<At>,
    publishes_at: Instant,
    restarts_at: Instant,
}

fn hub(run: u64) -> (Hub, ChannelId) {
    let mut hub = Hub::new(HubConfig { epoch: format!("r{run}"), ..HubConfig::default() }).unwrap();
    let history = HistoryConfig { events: 20, ..HistoryConfig::default() };
    let config = ChannelConfig { history, ..ChannelConfig::default() };
    let channel = hub.open_channel(Instant::ORIGIN, "news", config).unwrap();
    (hub, channel)
}

impl World {
    fn new(seed: u64) -> World {
        let mut random = Random(seed);
        let (hub, channel) = hub(0);
        let followers = (0..CLIENTS)
            .map(|number| Follower {
                client: Client::new(ClientConfig {
                    seed: seed + number as u64,
                    retry_refusals: true,
                    ..ClientConfig::default()
                }),
                connection: None,
                is_silent: false,
                in_flight: VecDeque::new(),
                fails_at: random.after(Instant::ORIGIN, 60_000),
                received: Vec::new(),
                lost_through: (0, 0),
            })
            .collect();
        let publishes_at = random.after(Instant::ORIGIN, 1000);
        let restarts_at = random.after(Instant::ORIGIN, 900_000);
        let (now, published) = (Instant::ORIGIN, Vec::new());
        World { random, now, run: 0, hub, channel, followers, published, publishes_at, restarts_at }
    }

    fn simulate(&mut self) {
        while self.now < END {
            self.hub.handle_timeout(self.now);
            if self.now < HEALED {
                self.publish_and_fail();
            }
            for number in 0..CLIENTS {
                self.follow(number);
            }
            while let Some(action) = self.hub.poll_action() {
                match action {
                    Action::Transmit(connection) => self.write(connection),
                    Action::Close { connection, .. } => self.arrives(connection, None),
                    _ => {}
                }
            }
            self.now = self.next();
        }
    }

    fn next(&self) -> Instant {
        let mut next = self.hub.poll_timeout().unwrap_or(END);
        for follower in &self.followers {
            next = next.min(follower.client.poll_timeout().unwrap_or(END));
            next = next.min(follower.in_flight.front().map_or(END, |(at, _)| *at));
        }
        if self.now < HEALED {
            let fails = self.followers.iter().map(|follower| follower.fails_at);
            next = fails.chain([self.publishes_at, self.restarts_at]).min().unwrap_or(END).min(next);
        }
        next.max(self.now)
    }

    /// Causes publications, restarts, and links that are cut or fall silent.
    fn publish_and_fail(&mut self) {
        if self.publishes_at <= self.now {
            let event = Event::new().data(self.published.len().to_string());
            let published = self.hub.publish(self.now, self.channel, &event).unwrap();
            self.published.push((self.run, published.position.get()));
            self.publishes_at = self.random.after(self.now, 2000);
        }
        if self.restarts_at <= self.now {
            self.run += 1;
            (self.hub, self.channel) = hub(self.run);
            self.restarts_at = self.random.after(self.now, 900_000);
            for number in 0..CLIENTS {
                self.cut(number);
            }
        }
        for number in 0..CLIENTS {
            if self.followers[number].fails_at <= self.now {
                self.followers[number].fails_at = self.random.after(self.now, 60_000);
                match self.random.below(2) {
                    0 => self.followers[number].is_silent = true,
                    _ => self.cut(number),
                }
            }
        }
    }

    /// Cuts a link. Bytes in flight are lost, and both sides detect it.
    fn cut(&mut self, number: usize) {
        let follower = &mut self.followers[number];
        if let Some(connection) = follower.connection.take() {
            self.hub.disconnect(self.now, connection);
        }
        if !follower.is_silent {
            follower.in_flight.clear();
            follower.client.failed(self.now);
        }
    }

    /// Delivers bytes to a client and handles its actions.
    fn follow(&mut self, number: usize) {
        let follower = &mut self.followers[number];
        while follower.in_flight.front().is_some_and(|(at, _)| *at <= self.now)
            && let Some((_, bytes)) = follower.in_flight.pop_front()
        {
            match bytes.filter(|_| !follower.is_silent) {
                Some(bytes) => follower.client.bytes(self.now, &bytes),
                None if follower.is_silent => {}
                None => follower.client.ended(self.now),
            }
        }
        // After the input (C5).
        follower.client.handle_timeout(self.now);
        // An application that does not read messages at every step.
        if self.now >= HEALED || self.random.below(3) > 0 {
            self.take(number);
        }
        while let Some(action) = self.followers[number].client.poll_action() {
            match action {
                ClientAction::Connect { last_event_id } => self.connect(number, last_event_id),
                ClientAction::Close => {
                    let follower = &mut self.followers[number];
                    follower.in_flight.clear();
                    if let Some(connection) = follower.connection.take() {
                        self.hub.disconnect(self.now, connection);
                    }
                }
                other => panic!("{other:?}"),
            }
        }
    }

    fn connect(&mut self, number: usize, last_event_id: Option<String>) {
        let follower = &mut self.followers[number];
        assert_eq!(follower.connection, None, "one connection at a time");
        follower.is_silent = false;
        let last_event_id = last_event_id.and_then(|id| LastEventId::new(id.as_bytes()));
        if self.now < HEALED {
            match self.random.below(8) {
                0 => return follower.client.failed(self.now),
                1 => {
                    let refusal =
                        ResponseHead { status: 503, retry_after: Some(b"10"), ..ResponseHead::default() };
                    return follower.client.opened(self.now, refusal);
                }
                // The attempt to connect is never answered.
                2 => return follower.is_silent = true,
                _ => {}
            }
        }
        if last_event_id.is_none() {
            // Without an id the client begins at the head.
            follower.lost_through = (self.run, self.hub.head().get());
        }
        let config = ConnectionConfig { last_event_id, ..ConnectionConfig::default() };
        let connection = self.hub.connect(self.now, config).unwrap();
        self.hub.subscribe(self.now, self.channel, connection).unwrap();
        let content_type = Some(&b"text/event-stream; charset=utf-8"[..]);
        follower
            .client
            .opened(self.now, ResponseHead { status: 200, content_type, ..ResponseHead::default() });
        assert_eq!(follower.client.state(), ClientState::Open);
        follower.connection = Some(connection);
    }

    fn write(&mut self, connection: ConnectionId) {
        // Writes small pieces, so that links are cut within events.
        let mut window = self.hub.transmit(self.now, connection);
        let mut pieces = Vec::new();
        while window.has_remaining() {
            let piece = window.remaining().min(1 + self.random.below(30) as usize);
            pieces.push(window.copy_to_bytes(piece).to_vec());
        }
        for piece in pieces {
            self.arrives(connection, Some(piece));
        }
    }

    fn arrives(&mut self, connection: ConnectionId, bytes: Option<Vec<u8>>) {
        let follower = self.followers.iter_mut().find(|follower| follower.connection == Some(connection));
        let Some(follower) = follower else { return };
        if bytes.is_none() {
            follower.connection = None;
        }
        let behind = follower.in_flight.back().map_or(self.now, |(at, _)| *at);
        follower.in_flight.push_back((self.random.after(self.now, 300).max(behind), bytes));
    }

    fn take(&mut self, number: usize) {
        let follower = &mut self.followers[number];
        while let Some(message) = follower.client.next_message() {
            let message = message.unwrap();
            let (run, position) = message.id[1..].split_once('-').unwrap();
            let at = (run.parse().unwrap(), position.parse().unwrap());
            if message.event == "reset" {
                follower.lost_through = follower.lost_through.max(at);
                continue;
            }
            if message.event == "position" {
                continue;
            }
            let event: usize = message.data.parse().unwrap();
            assert_eq!(self.published[event], at, "{message:?}");
            assert!(
                follower.received.last() < Some(&event),
                "client {number} received {event} after {:?}",
                follower.received.last()
            );
            follower.received.push(event);
        }
    }

    fn check(&self) {
        for (number, follower) in self.followers.iter().enumerate() {
            assert_eq!(follower.client.state(), ClientState::Open, "client {number} has reconnected");
            for (event, at) in self.published.iter().enumerate() {
                let has = follower.received.binary_search(&event).is_ok();
                assert!(
                    has || *at <= follower.lost_through,
                    "client {number} lost {event} at {at:?}, last reset {:?}",
                    follower.lost_through
                );
            }
        }
    }
}

#[test]
fn every_event_arrives_once_or_is_covered_by_a_reset() {
    let seeds = match std::env::var("SEED") {
        Ok(seed) => vec![seed.parse().unwrap()],
        Err(_) => (0..40).collect::<Vec<u64>>(),
    };
    let (mut received, mut replayed, mut gaps) = (0, 0, 0);
    for seed in seeds {
        let mut world = World::new(seed);
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            world.simulate();
            world.check();
        }));
        assert!(result.is_ok(), "repeat with: SEED={seed} cargo test --package sse-core --test following");
        received += world.followers.iter().map(|follower| follower.received.len()).sum::<usize>();
        replayed += world.hub.stats().replayed;
        gaps += world.hub.stats().gaps;
    }
    assert!(
        received > 1000 && replayed > 10 && gaps > 10,
        "{received} received, {replayed} replayed, {gaps} gaps"
    );
}
