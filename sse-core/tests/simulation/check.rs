//! Checks after every step, while nothing is pending, and at the end.

use std::time::Duration;

use super::connection::{Connection, FirstBlock};
use super::server::Server;
use super::world::{CLIENTS, PositionSource, World};

impl World {
    /// Checks what holds at any time: bounds and counters.
    pub(crate) fn check_always(&mut self) {
        for server in 0..self.servers.len() {
            let ids: Vec<_> = self.servers[server].channels.keys().copied().collect();
            let mut history_bytes = 0;
            for id in ids {
                let state = &mut self.servers[server];
                let Some(stats) = state.hub.channel_stats(id) else {
                    // The channel no longer exists. It was closed, or an action will report it as empty.
                    if state.channels[&id].is_closed {
                        state.channels.remove(&id);
                    }
                    continue;
                };
                let channel = state.channels.get_mut(&id).expect("known");
                let config = &channel.config;
                history_bytes += stats.history_bytes;
                history_bytes += stats.history_events * sse_core::Limits::HISTORY_EVENT_OVERHEAD;
                assert!(stats.history_events <= config.history.events);
                assert!(config.history.bytes.is_none_or(|limit| stats.history_bytes <= limit));
                let frames = config.backlog.frames.get();
                assert!(
                    stats.backlog_frames <= frames,
                    "{} frames, the limit is {frames}",
                    stats.backlog_frames
                );
                assert!(stats.backlog_bytes <= config.backlog.bytes || stats.backlog_frames == 1);
                let floor = stats.floor.get();
                assert!(floor >= channel.first_floor);
                let kept = channel.kept(&stats);
                assert_eq!(stats.history_events, kept.len(), "history is exactly what lies above the floor");
                assert_eq!(stats.history_bytes, kept.iter().map(|entry| entry.bytes).sum::<usize>());
                let is_unbounded = config.history.bytes.is_none() && config.history.age.is_none();
                if is_unbounded
                    && self.settings.history_bytes > 1 << 20
                    && stats.history_events < config.history.events
                {
                    assert_eq!(floor, channel.first_floor, "an event was evicted too early");
                }
                channel.empty_since = match stats.members {
                    0 => channel.empty_since.or(Some(self.now)),
                    _ => None,
                };
            }
            let stats = self.servers[server].hub.stats();
            assert_eq!(stats.history_bytes, history_bytes, "total history bytes");
            assert!(stats.history_bytes <= self.settings.history_bytes);
            assert_eq!(stats.bytes, self.servers[server].bytes);
            assert_eq!(stats.delivered, self.servers[server].delivered);
            assert_eq!(stats.published, self.servers[server].published);
        }
    }

    /// Checks what holds when all actions were polled and no deadline has passed.
    pub(crate) fn check_drained(&mut self) {
        self.check_always();
        for client in 0..CLIENTS {
            let Some(mut connection) = self.clients[client].connection.take() else { continue };
            let lingers = self.lingers(&connection);
            if !lingers {
                self.check_deadlines(&connection);
            }
            if !connection.is_reported && !lingers {
                check_idle(&mut self.servers[connection.server], &mut connection);
            }
            self.clients[client].connection = Some(connection);
        }
        for server in 0..self.servers.len() {
            let state = &self.servers[server];
            let lost = state.hub.stats().live_only_lost;
            // An event may be published to one channel after the other. Connections that follow both may have passed
            // it by then.
            let is_exact = self.positions != PositionSource::External;
            assert!(state.missed_live_only <= lost || !is_exact, "live-only events were lost");
            self.check_channels(server);
        }
    }

    /// Returns whether events can be gathering for a connection (T6).
    pub(crate) fn lingers(&self, connection: &Connection) -> bool {
        let server = &self.servers[connection.server];
        connection.subscriptions.iter().any(|subscription| {
            let Some(channel) = server.channels.get(&subscription.channel) else { return false };
            let Some(linger) = channel.config.linger else { return false };
            channel.log.last().is_some_and(|newest| newest.at.saturating_add(linger) > self.now)
        })
    }

    fn check_deadlines(&self, connection: &Connection) {
        let id = connection.id;
        assert!(connection.expires.is_none_or(|at| at > self.now) || connection.may_be_closing());
        let flush = self.settings.stall.unwrap_or(Duration::from_secs(30));
        let is_over = |since: sse_core::Instant, time: Duration| since.saturating_add(time) <= self.now;
        assert!(
            !connection.closing_since.is_some_and(|since| is_over(since, flush)),
            "{id} exceeds its flush time"
        );
        if !connection.has_unsubscribed
            && let (Some(since), Some(stall)) = (connection.pending_since(), self.settings.stall)
        {
            let since = since.max(connection.taken_at).max(connection.reported_at);
            // After a late check there is another one.
            let has_another = !is_over(self.late_at, stall / 4);
            assert!(has_another || !is_over(since, stall), "{id} exceeds the stall timeout");
        }
        if let Some(interval) = connection.ping.filter(|_| !connection.is_reported) {
            let since = connection.idle_since.max(connection.ping_since);
            assert!(!is_over(since, interval), "{id} has no ping pending");
        }
    }

    fn check_channels(&mut self, server: usize) {
        let state = &self.servers[server];
        for (id, channel) in &state.channels {
            let Some(stats) = state.hub.channel_stats(*id) else { continue };
            let members: Vec<&Connection> = self
                .clients
                .iter()
                .filter_map(|client| client.connection.as_ref())
                .filter(|connection| connection.server == server && connection.follows(*id))
                .collect();
            let is_behind =
                members.iter().any(|c| c.is_reported || !c.expected.is_empty() || self.lingers(c));
            let is_starting = members.iter().any(|c| !c.start_is_fixed);
            if !is_behind {
                assert_eq!(
                    (stats.backlog_frames, stats.backlog_bytes),
                    (0, 0),
                    "no member of {id} is behind"
                );
                assert!(
                    !channel.is_closed || is_starting || channel.is_finished,
                    "{id} is closed and has nothing pending for any member"
                );
            }
            if !channel.is_closed && !channel.is_finished {
                // A closing connection leaves the channel once it has everything that it still gets.
                let closing = members.iter().filter(|c| c.may_be_closing()).count();
                assert!((members.len() - closing..=members.len()).contains(&stats.members));
            }
            if let (Some(since), Some(time), false) =
                (channel.empty_since, channel.config.empty_timeout, channel.is_closed || channel.is_finished)
            {
                assert!(since.saturating_add(time) > self.now, "{id} is empty and still open");
            }
            if let Some(age) = channel.config.history.age.filter(|_| !channel.is_finished) {
                let kept = channel.kept(&stats);
                assert!(kept.iter().all(|entry| entry.at.saturating_add(age) > self.now), "too old");
            }
        }
    }

    /// Reconnects all clients twice and lets them read everything.
    pub(crate) fn reach_quiescence(&mut self) {
        self.log(|_| "quiescence".to_owned());
        self.is_quiescing = true;
        if self.positions != PositionSource::Local {
            for server in 0..self.servers.len() {
                while self.servers[server].feed_index < self.feed.len() {
                    self.feed(server);
                }
            }
        }
        self.read_all();
        for client in 0..CLIENTS {
            self.disconnect(client);
        }
        self.read_all();
    }

    fn read_all(&mut self) {
        for _ in 0..2_000 {
            for client in 0..CLIENTS {
                self.reconnect(client);
                while self.has_subscriptions_left(client) {
                    self.subscribe_next(client);
                }
            }
            self.drain_all();
            self.take_all();
            self.drain_all();
            self.check_drained();
            if (0..CLIENTS).all(|client| self.id_of(client).is_some() && !self.is_reported(client)) {
                return;
            }
            let returns = self.clients.iter().filter(|c| c.connection.is_none()).map(|c| c.reconnects_at);
            if let Some(at) = returns.min() {
                self.now = self.now.max(at);
                self.drain_all();
            }
        }
        panic!("the clients never become idle");
    }

    /// Checks that a hub without connections and channels is as empty as a new one (D8).
    pub(crate) fn tear_down(mut self) {
        for client in 0..CLIENTS {
            self.disconnect(client);
        }
        for server in 0..self.servers.len() {
            self.drain(server);
            let ids: Vec<_> = self.servers[server].channels.keys().copied().collect();
            let hub = &mut self.servers[server].hub;
            for id in ids {
                hub.close_channel(self.now, id);
            }
            for _ in 0..100 {
                hub.poll_action();
            }
            let stats = hub.stats();
            assert_eq!((stats.connections, stats.channels, stats.history_bytes), (0, 0, 0));
            assert_eq!(stats.opened, stats.closed.total());
            assert_eq!(hub.poll_timeout(), None);
        }
    }
}

/// Checks a connection that was not reported: everything that it has to receive has arrived or was reported as lost.
fn check_idle(server: &mut Server, connection: &mut Connection) {
    let id = connection.id;
    assert!(connection.partial.is_empty(), "{id} waits for the rest of a frame");
    assert!(connection.directs.is_empty(), "{id} waits for a direct frame");
    assert!(connection.resets.is_empty(), "{id} waits for a reset: {:?}", connection.resets);
    assert!(connection.late_gaps.is_empty(), "{id} waits for the reset of a late subscription");
    assert!(
        connection.unexplained.is_empty(),
        "{id} received resets without a reason: {:?}",
        connection.unexplained
    );
    assert!(
        connection.has_taken || connection.first_block == FirstBlock::None,
        "{id} waits for its first block"
    );
    assert!(connection.closing_since.is_none() && !connection.must_close, "{id} has to be closed");
    connection.expected.retain(|_, event| {
        assert!(event.is_optional || !event.is_replayable, "event {} is pending for {id}", event.number);
        // After another start, the connection may have to receive events again that it has missed before.
        let is_missed = !event.is_optional && connection.missed.insert(event.number);
        server.missed_live_only += u64::from(is_missed);
        false
    });
}
