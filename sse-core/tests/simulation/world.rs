//! The simulated world and its random steps.

use std::collections::HashMap;
use std::time::Duration;

use sse_core::{
    ConnectionConfig, ConnectionId, Event, Frame, Hub, HubConfig, Instant, LastEventId, OnMaxLifetime,
    Position, SendError,
};

use super::client::Client;
use super::connection::{Connection, Direct, FirstBlock};
use super::random::Random;
use super::server::{Server, Truth, client_key};
use super::settings::{self, Settings};

const STEPS: usize = 200;
pub(crate) const CLIENTS: usize = 4;
pub(crate) const NAMES: [&str; 4] = ["a", "b", "c", "d"];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PositionSource {
    Local,
    External,
    /// A log, whose pasts channels are opened with.
    Log,
}

pub(crate) struct World {
    pub(crate) random: Random,
    pub(crate) settings: Settings,
    pub(crate) positions: PositionSource,
    pub(crate) now: Instant,
    /// The latest instant at which a deadline was handled late.
    pub(crate) late_at: Instant,
    pub(crate) servers: Vec<Server>,
    pub(crate) clients: Vec<Client>,
    pub(crate) truth: Vec<Truth>,
    /// The event number of each block.
    pub(crate) blocks: HashMap<Vec<u8>, usize>,
    /// Events for all servers with external positions.
    pub(crate) feed: Vec<super::publish::FeedEvent>,
    pub(crate) configs: Vec<sse_core::ChannelConfig>,
    sent: usize,
    is_verbose: bool,
    /// Publishing has ended.
    pub(crate) is_quiescing: bool,
}

impl World {
    pub(crate) fn new(seed: u64, positions: PositionSource, is_verbose: bool) -> World {
        let mut random = Random::new(seed);
        let settings = Settings::new(&mut random);
        let clients = (0..CLIENTS)
            .map(|_| {
                let count = 1 + random.below(3);
                let mut names: Vec<usize> = (0..settings.channels).collect();
                while names.len() > count {
                    names.remove(random.below(names.len()));
                }
                Client::new(names)
            })
            .collect();
        let configs = NAMES.iter().map(|_| settings::channel(&mut random)).collect();
        let mut world = World {
            random,
            settings,
            positions,
            now: Instant::from_millis(1),
            late_at: Instant::ORIGIN,
            servers: Vec::new(),
            clients,
            truth: Vec::new(),
            blocks: HashMap::new(),
            feed: Vec::new(),
            configs,
            sent: 0,
            is_verbose,
            is_quiescing: false,
        };
        let servers = if positions == PositionSource::Local { 1 } else { 2 };
        for _ in 0..servers {
            let server = Server::new(world.hub(0, 0), 0, 0);
            world.servers.push(server);
        }
        world
    }

    pub(crate) fn run(mut self) {
        for step in 0..STEPS {
            self.log(|_| format!("step {step}"));
            self.step();
            self.check_always();
            if self.random.chance(30) {
                self.drain_all();
                self.check_drained();
            }
        }
        self.reach_quiescence();
        for client in &self.clients {
            client.check(&self.truth, self.settings.reuses_ids);
        }
        self.tear_down();
    }

    pub(crate) fn log(&self, what: impl FnOnce(&World) -> String) {
        if self.is_verbose {
            eprintln!("{:>9} ms  {}", self.now.as_nanos() / 1_000_000, what(self));
        }
    }

    /// Returns the current instant, or sometimes an earlier one, which the hub treats as the latest instant seen
    /// (D5).
    pub(crate) fn clock(&mut self) -> Instant {
        if self.random.chance(3) {
            return Instant::from_nanos(self.now.as_nanos() / 2);
        }
        self.now
    }

    fn hub(&mut self, epoch: usize, after: u64) -> Hub {
        let after = Position::new(after);
        let positions = match self.positions {
            PositionSource::Local => sse_core::PositionSource::Local { after },
            PositionSource::External => sse_core::PositionSource::External { after },
            PositionSource::Log => sse_core::PositionSource::Log { after },
        };
        let mut hub = Hub::new(HubConfig {
            epoch: epoch_name(epoch),
            positions,
            seed: self.random.next(),
            stall_timeout: self.settings.stall,
            limits: self.settings.limits(),
            ..HubConfig::default()
        })
        .expect("a valid configuration");
        // The hub has to know the current instant before the first step.
        hub.handle_timeout(self.now);
        hub
    }

    fn step(&mut self) {
        let client = self.random.below(CLIENTS);
        match self.random.below(100) {
            0..26 => self.publish(),
            26..50 => self.take(client),
            50..60 => self.poll(),
            60..70 => self.reconnect(client),
            70..76 => self.disconnect(client),
            76..79 => self.close(client),
            79..81 => self.close_channel(),
            81 => self.finish_channel(),
            82..84 => self.unsubscribe(client),
            84..89 => self.send(client),
            89..91 => self.check_empty_window(client),
            91..95 => self.advance_a_little(),
            95..98 => self.jump_to_deadline(),
            98 => self.set_timers(client),
            _ => self.maybe_restart(),
        }
        self.maybe_subscribe(client);
    }

    /// Opens a connection for a client without one, if its reconnection time has come.
    pub(crate) fn reconnect(&mut self, client: usize) {
        if self.clients[client].connection.is_some() || self.clients[client].reconnects_at > self.now {
            return;
        }
        let server = self.random.below(self.servers.len());
        let last_event_id = Some(self.clients[client].last_id.clone()).filter(|id| !id.is_empty());
        let config = ConnectionConfig {
            last_event_id: last_event_id.as_deref().and_then(|id| LastEventId::new(id.as_bytes())),
            ping: self.random.pick(&[None, Some(Duration::from_secs(1)), Some(Duration::from_secs(50))]),
            max_lifetime: self.random.pick(&[None, None, None, Some(Duration::from_secs(5))]),
            on_max_lifetime: self.random.pick(&[OnMaxLifetime::Close, OnMaxLifetime::Report]),
            announce_position: self.settings.announces,
            farewell: self.random.chance(25).then(farewell),
            direct_bytes: self.random.pick(&[1 << 20, 100]),
            client: Some(client_key(client).into()),
            principal: None,
        };
        let now = self.clock();
        let hub = &mut self.servers[server].hub;
        let id = hub.connect(now, config.clone()).expect("no limit");
        let mut connection = Connection::new(server, id, self.now, last_event_id);
        connection.resume_position =
            connection.last_event_id.as_deref().and_then(|id| self.position_in(server, id));
        connection.announces = config.announce_position;
        connection.has_farewell = config.farewell.is_some();
        connection.ping = config.ping;
        connection.expires = config.max_lifetime.and_then(|life| self.now.checked_add(life));
        connection.on_max_lifetime = config.on_max_lifetime;
        if connection.last_event_id.is_none() && connection.announces {
            connection.first_block = FirstBlock::Announce;
        }
        connection.to_subscribe = self.clients[client].follows.clone();
        self.log(|_| {
            format!("client {client} connects to {server} as {id}, last id {:?}", connection.last_event_id)
        });
        self.clients[client].connection = Some(connection);
        while self.random.chance(85) || !self.settings.has_late_subscriptions && self.random.chance(85) {
            self.subscribe_next(client);
        }
        if !self.settings.has_late_subscriptions {
            // Events may be published in between. No byte may be taken.
            while self.has_subscriptions_left(client) {
                if !self.is_quiescing && self.random.chance(20) {
                    self.publish();
                }
                self.subscribe_next(client);
            }
        }
        self.check_over(client);
    }

    pub(crate) fn has_subscriptions_left(&self, client: usize) -> bool {
        let connection = self.clients[client].connection.as_ref();
        self.open_connection(client).is_some() && connection.is_some_and(|c| !c.to_subscribe.is_empty())
    }

    fn maybe_subscribe(&mut self, client: usize) {
        if self.random.chance(30) {
            self.subscribe_next(client);
        }
    }

    /// Returns the position of an id in the form of the hub (H4).
    fn position_in(&self, server: usize, id: &str) -> Option<u64> {
        let server = &self.servers[server];
        let position: u64 = id.strip_prefix(&epoch_name(server.epoch))?.strip_prefix('-')?.parse().ok()?;
        (self.positions != PositionSource::Local || position <= server.head()).then_some(position)
    }

    /// Returns the connection of a client, if it is open in the hub.
    pub(crate) fn open_connection(&self, client: usize) -> Option<(usize, ConnectionId)> {
        let connection = self.clients[client].connection.as_ref()?;
        let hub = &self.servers[connection.server].hub;
        hub.connection_origin(connection.id).map(|_| (connection.server, connection.id))
    }

    /// Disconnects a client without notice.
    pub(crate) fn disconnect(&mut self, client: usize) {
        let Some((server, id)) = self.open_connection(client) else { return };
        self.log(|_| format!("client {client} disconnects"));
        let now = self.clock();
        assert!(self.servers[server].hub.disconnect(now, id), "{id} is open");
        self.record_disconnect(client);
    }

    /// Records the end of a connection.
    pub(crate) fn record_disconnect(&mut self, client: usize) -> Connection {
        let state = &mut self.clients[client];
        let connection = state.connection.take().expect("a connection");
        state.last_id = connection.last_id().to_owned();
        // The id of the client may have passed events of channels that it did not follow.
        let server = &self.servers[connection.server];
        for name in state.follows.clone() {
            let is_followed = connection.subscriptions.iter().any(|subscription| subscription.name == name);
            if connection.has_taken && !is_followed {
                state.excuse_through(&self.truth, name, server.epoch, server.head());
            }
        }
        let wait = connection.retry().unwrap_or(Duration::from_millis(50));
        state.reconnects_at = self.now.saturating_add(wait);
        connection
    }

    fn close(&mut self, client: usize) {
        let Some((server, id)) = self.open_connection(client) else { return };
        let connection = self.clients[client].connection.as_mut().expect("open");
        connection.closing_since = connection.closing_since.or(Some(self.now));
        connection.end = connection.end.or(Some(self.servers[server].head()));
        self.log(|_| format!("the server closes {id}"));
        let now = self.clock();
        assert!(self.servers[server].hub.close_connection(now, id));
    }

    fn unsubscribe(&mut self, client: usize) {
        let Some((server, id)) = self.open_connection(client) else { return };
        let connection = self.clients[client].connection.as_ref().expect("open");
        let Some(subscription) = connection.subscriptions.first() else { return };
        let (channel, name) = (subscription.channel, subscription.name);
        // A reader that has moved from the backlog to history has retained events of which the world does not know.
        let is_unsure = |channel| {
            self.servers[server].hub.channel_stats(channel).is_some_and(|stats| stats.retained_frames > 0)
        };
        let others =
            connection.subscriptions.iter().filter(|s| s.channel != channel && s.replays_after.is_none());
        if !connection.start_is_fixed && others.map(|s| s.channel).any(is_unsure) {
            return;
        }
        self.log(|_| format!("{id} unsubscribes from {} ({channel})", NAMES[name]));
        let now = self.clock();
        if self.servers[server].hub.unsubscribe(now, channel, id) {
            return self.remove_subscription(client, channel);
        }
        // The subscription had nothing left to deliver, and its channel or the connection was closed.
        let is_closed = self.servers[server].hub.channel_name(channel).is_none()
            || self.servers[server].hub.is_finished(channel);
        let connection = self.clients[client].connection.as_mut().expect("open");
        assert!(is_closed || connection.may_be_closing());
        connection.subscriptions.retain(|subscription| subscription.channel != channel);
    }

    fn send(&mut self, client: usize) {
        self.sent += 1;
        let data = format!("direct {}", self.sent);
        let mut event = Event::new().event("direct").data(data);
        if self.random.chance(5) {
            event = event.id(format!("direct-{}", self.sent));
        }
        let frame = event.encode().expect("a valid event");
        let Some((server, id)) = self.open_connection(client) else { return };
        let server = &mut self.servers[server];
        let connection = self.clients[client].connection.as_mut().expect("open");
        match server.hub.send(self.now, id, &frame) {
            Ok(()) => {
                assert!(connection.closing_since.is_none(), "a closing connection accepts no direct send");
                connection.directs.push_back(Direct { frame, head: server.head(), at: self.now });
            }
            Err(SendError::Closing(_)) => {
                assert!(connection.may_be_closing());
            }
            Err(SendError::Full { queued, limit }) => assert!(queued + frame.len() > limit),
            Err(error) => panic!("{error}"),
        }
        self.log(|_| format!("a direct frame to {id}"));
    }

    /// Advances time by less than most deadlines.
    fn advance_a_little(&mut self) {
        let millis = self.random.below(200) as u64;
        self.now = self.now.saturating_add(Duration::from_millis(millis));
        for server in 0..self.servers.len() {
            self.handle_timeout(server);
        }
    }

    /// Advances time to the next deadline, or before or beyond it.
    pub(crate) fn jump_to_deadline(&mut self) {
        self.drain_all();
        self.check_drained();
        let deadlines = self.servers.iter().filter_map(|server| server.hub.poll_timeout());
        let returns = self.clients.iter().filter(|c| c.connection.is_none()).map(|c| c.reconnects_at);
        let Some(next) = deadlines.chain(returns).filter(|at| *at > self.now).min() else { return };
        let span = next.saturating_duration_since(self.now);
        self.now = match self.random.below(10) {
            0..7 => next,
            7..9 => self.now.saturating_add(span / 2),
            _ => next.saturating_add(Duration::from_millis(self.random.below(60_000) as u64)),
        };
        self.log(|_| "time jumps".to_owned());
        self.drain_all();
        self.check_drained();
    }

    fn set_timers(&mut self, client: usize) {
        let life = self.random.pick(&[None, Some(Duration::from_secs(10))]);
        let ping = self.random.pick(&[None, Some(Duration::from_secs(3))]);
        let Some((server, id)) = self.open_connection(client) else { return };
        let hub = &mut self.servers[server].hub;
        let connection = self.clients[client].connection.as_mut().expect("open");
        if hub.set_max_lifetime(self.now, id, life) {
            connection.expires = life.and_then(|life| self.now.checked_add(life));
        }
        assert!(hub.set_ping(self.now, id, ping));
        (connection.ping, connection.ping_since, connection.is_first_ping) = (ping, self.now, true);
        connection.has_new_timers = true;
    }

    /// Replaces a server without notice by a new one.
    fn maybe_restart(&mut self) {
        if self.random.chance(50) {
            return;
        }
        let server = self.random.below(self.servers.len());
        for client in 0..CLIENTS {
            if self.clients[client].connection.as_ref().is_some_and(|connection| connection.server == server)
            {
                self.record_disconnect(client);
            }
        }
        let old = &self.servers[server];
        let is_new_run = self.positions == PositionSource::Local && self.random.chance(70);
        let (epoch, after) = if is_new_run { (old.epoch + 1, 0) } else { (old.epoch, old.head()) };
        let feed_index = old.feed_index + usize::from(!old.next_channels.is_empty());
        self.log(|_| format!("server {server} restarts as {epoch} after {after}"));
        self.servers[server] = Server::new(self.hub(epoch, after), epoch, feed_index);
    }

    pub(crate) fn client_of(&self, server: usize, id: ConnectionId) -> Option<usize> {
        self.clients.iter().position(|client| {
            client.connection.as_ref().is_some_and(|known| known.server == server && known.id == id)
        })
    }
}

/// Returns the last frame of connections (T5).
pub(crate) fn farewell() -> Frame {
    Event::new().event("farewell").data("bye").encode().expect("a valid event")
}

pub(crate) fn epoch_name(epoch: usize) -> String {
    format!("run{epoch}")
}
