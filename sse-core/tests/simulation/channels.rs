//! How channels are opened and closed.

use sse_core::ChannelId;

use super::server::Channel;
use super::settings;
use super::world::{CLIENTS, NAMES, PositionSource, World};

impl World {
    pub(crate) fn close_channel(&mut self) {
        let server = self.random.below(self.servers.len());
        let name = self.random.below(self.settings.channels);
        let Some(channel) = self.servers[server].hub.channel(NAMES[name]) else { return };
        self.say(|_| format!("server {server} closes channel {} ({channel})", NAMES[name]));
        let now = self.clock();
        assert!(self.servers[server].hub.close_channel(now, channel));
        self.channel_is_closed(server, channel);
    }

    /// The channel of a name on a server; clients that follow it and are there may be subscribed to a new one.
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
        let state = &mut self.servers[server];
        let channel = state.hub.open_channel(now, NAMES[name], config.clone()).expect("no limit");
        let opened = state.head();
        self.say(|_| {
            format!("server {server} opens {} as {channel} after {opened}: {config:?}", NAMES[name])
        });
        let log = Vec::new();
        let empty_since = Some(self.now);
        let known = Channel { name, config, opened, log, is_closed: false, empty_since };
        assert!(self.servers[server].channels.insert(channel, known).is_none(), "an id is used again");
        for client in 0..CLIENTS {
            if self.random.chance(70) {
                self.follow_again(client, server, name);
            }
        }
        channel
    }

    fn follow_again(&mut self, client: usize, server: usize, name: usize) {
        let is_wanted = self.clients[client].follows.contains(&name);
        let Some(connection) = &mut self.clients[client].connection else { return };
        let is_late = connection.asked.is_some() && !self.settings.has_late_subscriptions;
        if is_wanted && connection.server == server && !connection.pending.contains(&name) && !is_late {
            connection.pending.push(name);
        }
    }
}
