//! What holds after every step, when nothing is pending, and at the end.

use std::time::Duration;

use super::connection::{Connection, Opening};
use super::server::Server;
use super::world::{CLIENTS, PositionSource, World};

impl World {
    /// What holds whenever one looks: bounds, and what the counters say.
    pub(crate) fn check_always(&mut self) {
        for server in 0..self.servers.len() {
            let ids: Vec<_> = self.servers[server].channels.keys().copied().collect();
            let mut history_bytes = 0;
            for id in ids {
                let state = &mut self.servers[server];
                let Some(stats) = state.hub.channel_stats(id) else {
                    // It is gone: it was closed, or will be reported as empty.
                    if state.channels[&id].is_closed {
                        state.channels.remove(&id);
                    }
                    continue;
                };
                let channel = state.channels.get_mut(&id).expect("known");
                let config = &channel.config;
                history_bytes += stats.history_bytes;
                assert!(stats.history_events <= config.history.events);
                assert!(config.history.bytes.is_none_or(|limit| stats.history_bytes <= limit));
                let frames = config.backlog.frames.get();
                assert!(stats.backlog_frames <= frames, "{} frames, {frames} may be", stats.backlog_frames);
                assert!(stats.backlog_bytes <= config.backlog.bytes || stats.backlog_frames == 1);
                let floor = stats.floor.get();
                assert!(floor >= channel.opened);
                let kept = channel.kept(&stats);
                assert_eq!(stats.history_events, kept.len(), "all above the floor is kept, nothing else");
                assert_eq!(stats.history_bytes, kept.iter().map(|entry| entry.bytes).sum::<usize>());
                let is_unbounded = config.history.bytes.is_none() && config.history.age.is_none();
                if is_unbounded
                    && self.settings.history_bytes > 1 << 20
                    && stats.history_events < config.history.events
                {
                    assert_eq!(floor, channel.opened, "something was let go of too early");
                }
                channel.empty_since = match stats.members {
                    0 => channel.empty_since.or(Some(self.now)),
                    _ => None,
                };
            }
            let stats = self.servers[server].hub.stats();
            assert_eq!(stats.history_bytes, history_bytes, "bytes in total");
            assert!(stats.history_bytes <= self.settings.history_bytes);
            assert_eq!(stats.bytes, self.servers[server].bytes);
            assert_eq!(stats.delivered, self.servers[server].delivered);
            assert_eq!(stats.published, self.servers[server].published);
        }
    }

    /// What holds when all actions were polled and nothing is due yet.
    pub(crate) fn check_drained(&mut self) {
        self.check_always();
        for client in 0..CLIENTS {
            let Some(mut connection) = self.clients[client].connection.take() else { continue };
            self.check_deadlines(&connection);
            if !connection.is_named {
                check_idle(&mut self.servers[connection.server], &mut connection);
            }
            self.clients[client].connection = Some(connection);
        }
        for server in 0..self.servers.len() {
            let state = &self.servers[server];
            let lost = state.hub.stats().live_only_lost;
            // What comes for one channel after the other may be passed by the connections of both.
            let is_exact = self.positions == PositionSource::Local;
            assert!(state.missed_live_only <= lost || !is_exact, "live-only events were lost");
            self.check_channels(server);
        }
    }

    fn check_deadlines(&self, connection: &Connection) {
        let id = connection.id;
        assert!(connection.expires.is_none_or(|at| at > self.now) || connection.may_be_closing());
        let flush = self.settings.stall.unwrap_or(Duration::from_secs(30));
        let is_over = |since: sse_core::Instant, time: Duration| since.saturating_add(time) <= self.now;
        assert!(
            !connection.closing_since.is_some_and(|since| is_over(since, flush)),
            "{id} is closing for ever"
        );
        if !connection.has_unsubscribed
            && let (Some(since), Some(stall)) = (connection.due_since(false), self.settings.stall)
        {
            let since = since.max(connection.taken_at).max(connection.named_at);
            assert!(!is_over(since, stall), "{id} stalls for ever");
        }
        if let Some(interval) = connection.ping.filter(|_| !connection.is_named) {
            let since = connection.idle_since.max(connection.ping_since);
            assert!(!is_over(since, interval), "{id} was not sent a ping");
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
            let is_behind = members.iter().any(|c| c.is_named || !c.owed.is_empty());
            if !is_behind {
                assert_eq!((stats.backlog_frames, stats.backlog_bytes), (0, 0), "nobody is behind in {id}");
                assert!(!channel.is_closed, "{id} is closed, and everybody took what it had");
            }
            if !channel.is_closed {
                // One that is being closed leaves when it has all that it gets.
                let closing = members.iter().filter(|c| c.may_be_closing()).count();
                assert!((members.len() - closing..=members.len()).contains(&stats.members));
            }
            if let (Some(since), Some(time), false) =
                (channel.empty_since, channel.config.empty_timeout, channel.is_closed)
            {
                assert!(since.saturating_add(time) > self.now, "{id} is empty and still open");
            }
            if let Some(age) = channel.config.history.age {
                let kept = channel.kept(&stats);
                assert!(kept.iter().all(|entry| entry.at.saturating_add(age) > self.now), "too old");
            }
        }
    }

    /// Everybody comes back, twice, and reads all there is.
    pub(crate) fn settle(&mut self) {
        self.say(|_| "quiescence".to_owned());
        self.is_settling = true;
        if self.positions == PositionSource::External {
            for server in 0..self.servers.len() {
                while self.servers[server].fed < self.feed.len() {
                    self.feed(server);
                }
            }
        }
        self.read_all();
        for client in 0..CLIENTS {
            self.go_away(client);
        }
        self.read_all();
    }

    fn read_all(&mut self) {
        for _ in 0..2_000 {
            for client in 0..CLIENTS {
                self.come_back(client);
                while self.has_pending(client) {
                    self.subscribe_next(client);
                }
            }
            self.drain_all();
            self.take_all();
            self.drain_all();
            self.check_drained();
            if (0..CLIENTS).all(|client| self.id_of(client).is_some() && !self.is_named(client)) {
                return;
            }
            let returns = self.clients.iter().filter(|c| c.connection.is_none()).map(|c| c.reconnects_at);
            if let Some(at) = returns.min() {
                self.now = self.now.max(at);
                self.drain_all();
            }
        }
        panic!("the clients never come to rest");
    }

    /// When all are gone a hub is as empty as a new one (D8).
    pub(crate) fn tear_down(mut self) {
        for client in 0..CLIENTS {
            self.go_away(client);
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

/// A connection that was not named is due nothing: all that it was owed came, or it was told what did not.
fn check_idle(server: &mut Server, connection: &mut Connection) {
    let id = connection.id;
    assert!(connection.partial.is_empty(), "{id} waits for the rest of a frame");
    assert!(connection.directs.is_empty(), "{id} waits for a direct frame");
    assert!(connection.resets.is_empty(), "{id} waits for a reset: {:?}", connection.resets);
    assert!(connection.late_reset.is_none(), "{id} waits for the reset of a late subscription");
    assert!(connection.unexplained.is_empty(), "{id} got resets for nothing: {:?}", connection.unexplained);
    assert!(connection.has_taken || connection.opening == Opening::None, "{id} waits for its first block");
    assert!(connection.closing_since.is_none() && !connection.must_close, "{id} has to be closed");
    connection.owed.retain(|_, owed| {
        assert!(owed.is_optional || !owed.is_replayable, "event {} is due to {id}", owed.number);
        // Planned anew, it is owed again what it has missed before.
        let is_missed = !owed.is_optional && connection.missed.insert(owed.number);
        server.missed_live_only += u64::from(is_missed);
        false
    });
}
