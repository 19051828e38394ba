//! Opening and closing channels.

use sse_core::ChannelId;

use super::server::Channel;
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
        let state = &mut self.servers[server];
        let channel = state.hub.open_channel(now, NAMES[name], config.clone()).expect("no limit");
        let is_external = self.positions == PositionSource::External;
        let first_floor = if is_external { state.head() } else { state.floor(name) };
        let floor = state.hub.channel_stats(channel).expect("an open channel").floor.get();
        assert_eq!(floor, first_floor, "H5");
        self.log(|_| format!("server {server} opens {} as {channel} after {floor}: {config:?}", NAMES[name]));
        let log = Vec::new();
        let empty_since = Some(self.now);
        let known =
            Channel { name, config, first_floor, log, is_closed: false, is_finished: false, empty_since };
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
