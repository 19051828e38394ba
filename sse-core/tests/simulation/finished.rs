//! Streams that end: finished channels (K4 to K8), and the ends of lifetimes (T2).

use std::time::Duration;

use sse_core::{ChannelId, IdSource, OnMaxLifetime, PublishError};

use super::world::{NAMES, PositionSource, World};

impl World {
    pub(crate) fn finish_channel(&mut self) {
        let name = self.random.below(self.settings.channels);
        let keep = self.random.pick(&[Duration::ZERO, Duration::from_secs(1), Duration::from_secs(20)]);
        let (event, has_last) = (self.event(), self.random.chance(70));
        let Some(channel) = self.servers[0].hub.channel(NAMES[name]) else { return };
        let now = self.clock();
        let last = has_last.then_some(&event);
        let finished = self.servers[0].hub.finish_channel(now, channel, last, keep);
        self.log(|_| format!("channel {} ({channel}) is finished, with {last:?}: {finished:?}", NAMES[name]));
        if self.positions != PositionSource::Local {
            return assert_eq!(finished, Err(PublishError::PositionsAreExternal));
        }
        let known = self.servers[0].channels.get_mut(&channel).expect("an open channel");
        if known.is_finished {
            return assert_eq!(finished, Err(PublishError::Finished(channel)));
        }
        known.is_finished = true;
        let gives_id = known.config.ids == IdSource::Hub && known.config.history.events > 0;
        if has_last {
            let position = self.servers[0].head();
            let frame = event.encode().expect("a valid event");
            let has_own = frame.id().is_some() || frame.is_live_only();
            let id = self.servers[0].hub.id_of(position.into());
            let frame = if gives_id && !has_own { frame.with_id(&id).expect("a valid id") } else { frame };
            let number = self.record(&[name], 0, position, &frame);
            self.servers[0].published += 1;
            self.append(0, number, &[name], &[channel], (position, &frame), None);
        }
        let finished = finished.expect("finished");
        let stats = self.servers[0].hub.channel_stats(channel).expect("it is kept");
        assert_eq!(finished.complete_after, stats.floor);
        let known = &self.servers[0].channels[&channel];
        assert_eq!(finished.end.get(), known.end().max(stats.floor.get()));
        let kept = known.kept(&stats).len();
        let all = known.log.iter().filter(|entry| entry.is_replayable).count();
        assert_eq!(finished.is_complete, kept == all, "K4");
    }

    /// A client for which nothing more will come has everything (K6).
    pub(crate) fn check_over(&self, client: usize) {
        let Some((server, id)) = self.open_connection(client) else { return };
        if !self.servers[server].hub.is_over(id) {
            return;
        }
        let connection = self.clients[client].connection.as_ref().expect("open");
        let required = |name: &usize| connection.subscriptions.iter().any(|s| s.name == *name);
        assert!(connection.last_event_id.is_some() && connection.directs.is_empty());
        for (position, event) in &connection.expected {
            let is_owed = event.is_replayable && !event.is_optional;
            assert!(!is_owed, "event {} at {position} is owed to a client that is over", event.number);
        }
        assert!(self.clients[client].follows.iter().any(required));
    }

    /// Records the finished channels that a connection has left because its transport asked for bytes (K5).
    pub(crate) fn record_left(&mut self, client: usize) {
        if self.open_connection(client).is_none() {
            return;
        }
        let Some(connection) = &mut self.clients[client].connection else { return };
        let server = &self.servers[connection.server];
        let followed: Vec<_> = server.hub.subscriptions(connection.id).collect();
        let has_left = |channel: &ChannelId| {
            let is_finished = server.channels.get(channel).is_none_or(|channel| channel.is_finished);
            is_finished && !followed.contains(channel)
        };
        let left: Vec<_> = connection.subscriptions.iter().map(|s| s.channel).filter(has_left).collect();
        // Who follows nothing then is closed, behind its farewell.
        connection.may_close |= !left.is_empty() && followed.is_empty();
        for channel in left {
            let is_known = server.channels.contains_key(&channel);
            // The action that reports a loss may not have been polled yet. The id of its reset may be the position before.
            let covered = connection.received_resets.last().map_or(0, |reset| reset + 1);
            let is_closing = connection.closing_since.is_some() || connection.may_close;
            for (position, event) in &mut connection.expected {
                event.channels.retain(|known| *known != channel);
                let is_owed = event.channels.is_empty() && event.is_replayable && !event.is_optional;
                let is_excused = is_closing || !is_known || *position <= covered;
                assert!(!is_owed || is_excused, "event {} was owed by a finished channel", event.number);
            }
            connection.start_is_fixed = true;
            connection.subscriptions.retain(|subscription| subscription.channel != channel);
        }
    }

    /// Records the finished channels that are closed (K7), and the connections whose lifetime is over: these are closed
    /// behind what is pending (T2).
    pub(crate) fn record_ends(&mut self, server: usize) {
        let state = &self.servers[server];
        let is_over = |id: &ChannelId| state.hub.channel_name(*id).is_none();
        let finished = state
            .channels
            .iter()
            .filter(|(id, channel)| channel.is_finished && !channel.is_closed && is_over(id));
        for channel in finished.map(|(id, _)| *id).collect::<Vec<_>>() {
            self.record_channel_close(server, channel);
        }
        let (now, head) = (self.now, self.servers[server].head());
        for client in &mut self.clients {
            let Some(connection) = client.connection.as_mut().filter(|c| c.server == server) else {
                continue;
            };
            let closes =
                connection.on_max_lifetime == OnMaxLifetime::Close && connection.closing_since.is_none();
            if closes && connection.expires.take_if(|at| *at <= now).is_some() {
                connection.closing_since = Some(now);
                connection.end = connection.end.or(Some(head));
            }
        }
    }
}
