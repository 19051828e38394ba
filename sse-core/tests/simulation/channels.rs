//! Opening and closing channels.

use sse_core::{ChannelConfig, ChannelId, Past, PastEvent, Position};

use super::publish::FeedEvent;
use super::server::{Channel, Entry};
use super::settings;
use super::world::{CLIENTS, NAMES, PositionSource, World};

impl World {
    pub(crate) fn close_channel(&mut self) {
        let server = self.random.below(self.servers.len());
        let name = self.random.below(self.settings.channels);
        let Some(channel) = self.servers[server].hub.channel(NAMES[name]) else { return };
        self.log(|_| format!("server {server} closes channel {} ({channel})", NAMES[name]));
        let now = self.clock();
        assert!(self.servers[server].hub.close_channel(now, channel));
        self.record_channel_close(server, channel);
    }

    /// Returns the open channel of a name, or opens one. Connected clients that follow the name may subscribe to the
    /// new channel.
    pub(crate) fn channel(&mut self, server: usize, name: usize) -> ChannelId {
        if let Some(channel) = self.servers[server].hub.channel(NAMES[name]) {
            assert!(self.servers[server].channels.contains_key(&channel));
            return channel;
        }
        if self.positions == PositionSource::Local {
            self.configs[name] = settings::channel(&mut self.random);
        }
        let config = self.configs[name].clone();
        let now = self.clock();
        if self.positions == PositionSource::Log && self.random.chance(70) {
            return self.open_with_past(server, name, config);
        }
        let state = &mut self.servers[server];
        let channel = state.hub.open_channel(now, NAMES[name], config.clone()).expect("no limit");
        let is_local = self.positions == PositionSource::Local;
        let first_floor = if is_local { state.floor(name) } else { state.head() };
        let floor = state.hub.channel_stats(channel).expect("an open channel").floor.get();
        assert_eq!(floor, first_floor, "H5");
        self.log(|_| format!("server {server} opens {} as {channel} after {floor}: {config:?}", NAMES[name]));
        self.record_open(server, name, channel, Channel::new(name, config, first_floor, Vec::new(), self.now))
    }

    /// Opens a channel with the events that the log has of it, or with the newest of them.
    fn open_with_past(&mut self, server: usize, name: usize, config: ChannelConfig) -> ChannelId {
        let (head, read) = (self.servers[server].head(), self.servers[server].feed_index);
        let lead = self.random.below(3);
        // The ids of events that no server has read yet are not known: those are left to the log, and stand above the head.
        let is_known =
            |event: &&FeedEvent| self.truth[event.number].is_replayable && event.names.contains(&name);
        let past: Vec<&FeedEvent> = self.feed.iter().take(read + lead).filter(is_known).collect();
        let kept = self.random.pick(&[0, 1, 3, 100]);
        let (gone, kept) = past.split_at(past.len().saturating_sub(kept));
        let floor = gone.last().map_or(0, |event| event.position);
        let (mut events, mut log) = (Vec::new(), Vec::new());
        for event in kept {
            let id = self.truth[event.number].id.clone().expect("a replayable event has an id");
            let frame = if event.frame.id().is_some() {
                event.frame.clone()
            } else {
                event.frame.with_id(&id).expect("an id")
            };
            let (number, position, at, bytes) = (event.number, event.position, self.now, frame.len());
            events.push(PastEvent { position: Position::new(position), published_at: at, frame });
            if position <= head {
                log.push(Entry { number, position, at, bytes, is_replayable: true, except: None });
            }
        }
        let past = Past { floor: Position::new(floor), is_complete: true, events: &events };
        let now = self.now;
        let opened = self.servers[server].hub.open_channel_with(now, NAMES[name], config.clone(), &past);
        let channel = opened.expect("no limit");
        self.log(|_| format!("server {server} opens {} as {channel} with a past above {floor}", NAMES[name]));
        let known = Channel::new(name, config, floor.min(head), log, self.now);
        self.record_open(server, name, channel, known)
    }

    fn record_open(&mut self, server: usize, name: usize, channel: ChannelId, known: Channel) -> ChannelId {
        assert!(
            self.servers[server].channels.insert(channel, known).is_none(),
            "a channel id was used before"
        );
        for client in 0..CLIENTS {
            if self.random.chance(70) {
                self.maybe_subscribe_again(client, server, name);
            }
        }
        channel
    }

    fn maybe_subscribe_again(&mut self, client: usize, server: usize, name: usize) {
        let is_wanted = self.clients[client].follows.contains(&name);
        let Some(connection) = &mut self.clients[client].connection else { return };
        let is_late = connection.last_event_id.is_some() && !self.settings.has_late_subscriptions;
        if is_wanted && connection.server == server && !connection.to_subscribe.contains(&name) && !is_late {
            connection.to_subscribe.push(name);
        }
    }
}
