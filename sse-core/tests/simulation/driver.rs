//! Polling actions and moving bytes.

use bytes::Buf;
use sse_core::{Action, CloseReason, ConnectionId, OnMaxLifetime, Transmit};

use super::connection::Connection;
use super::server::Channel;
use super::window::{claim, read_window, take_bytes};
use super::world::{CLIENTS, PositionSource, World};

impl World {
    /// Polls some actions of a server.
    pub(crate) fn poll(&mut self) {
        let server = self.random.below(self.servers.len());
        for _ in 0..=self.random.below(4) {
            if !self.poll_one(server) {
                return;
            }
        }
    }

    /// Polls one action. `poll_timeout` must have shown it before (D2).
    fn poll_one(&mut self, server: usize) -> bool {
        let before = self.servers[server].hub.poll_timeout();
        let Some(action) = self.servers[server].hub.poll_action() else { return false };
        self.log(|_| format!("server {server}: {action:?}"));
        assert!(
            before.is_some_and(|at| at <= self.now),
            "{action:?} was pending, poll_timeout was {before:?}"
        );
        self.act(server, action);
        true
    }

    /// Polls all actions and handles all deadlines that have passed.
    pub(crate) fn drain(&mut self, server: usize) {
        for _ in 0..20_000 {
            if self.poll_one(server) {
                continue;
            }
            match self.servers[server].hub.poll_timeout() {
                Some(at) if at <= self.now => self.handle_timeout(server),
                _ => return,
            }
        }
        panic!("the hub never runs out of work");
    }

    pub(crate) fn drain_all(&mut self) {
        for server in 0..self.servers.len() {
            // Before the deadline this call does nothing (D4).
            self.handle_timeout(server);
            self.drain(server);
        }
    }

    pub(crate) fn handle_timeout(&mut self, server: usize) {
        let hub = &mut self.servers[server].hub;
        if hub.poll_timeout().is_some_and(|at| at < self.now) {
            self.late_at = self.now;
        }
        hub.handle_timeout(self.now);
        self.record_ends(server);
    }

    fn act(&mut self, server: usize, action: Action) {
        match action {
            Action::Transmit(id) => {
                let client = self.client_of(server, id).expect("an open connection");
                let connection = self.clients[client].connection.as_mut().expect("open");
                assert!(!connection.is_reported, "{id} was reported twice");
                (connection.is_reported, connection.reported_at) = (true, self.now);
                let stats = self.servers[server].hub.connection_stats(self.now, id).expect("open");
                // Who waits to leave a finished channel has no byte whose clock could run.
                connection.has_unsubscribed |= stats.pending_bytes == 0;
            }
            Action::Close { connection, reason } => {
                let client = self.client_of(server, connection).expect("an open connection");
                let connection = self.record_disconnect(client);
                self.check_close(&connection, reason);
            }
            Action::TimedOut(id) => {
                let client = self.client_of(server, id).expect("an open connection");
                let connection = self.clients[client].connection.as_mut().expect("open");
                assert_eq!(connection.on_max_lifetime, OnMaxLifetime::Report);
                // The lifetime may have been extended before the action was polled.
                let expired = connection.expires.take_if(|at| *at <= self.now);
                assert!(expired.is_some() || connection.has_new_timers);
            }
            Action::Lagged { connection, channel, lost_through } => {
                let client = self.client_of(server, connection).expect("an open connection");
                let connection = self.clients[client].connection.as_mut().expect("open");
                let through = lost_through.get();
                connection.skipped.insert(through);
                // A loss whose reset was not taken is a part of the next loss of its channel.
                let followed: Vec<_> = self.servers[server].hub.subscriptions(connection.id).collect();
                if let Some(former) = connection.loss_ends.insert(channel, through)
                    && followed.iter().all(|channel| connection.loss_ends.get(channel) != Some(&former))
                    && connection.resets.remove(&former)
                {
                    connection.skipped.insert(former);
                }
                let name = self.servers[server].channels.get(&channel).map(|channel| channel.name);
                // The id of the reset may be the position before.
                let ids = [through.saturating_sub(1), through];
                connection.unexplained.retain(|id| !ids.contains(id));
                // A later reset covers a loss whose own reset was not taken.
                let was_received = connection.received_resets.last().is_some_and(|newest| *newest >= ids[0]);
                if was_received {
                    let epoch = self.servers[server].epoch;
                    self.clients[client].record_reset(epoch, through);
                }
                let connection = self.clients[client].connection.as_mut().expect("open");
                if !was_received
                    && connection.follows(channel)
                    && (connection.start_decisions == 1 || through > connection.newest_event)
                {
                    connection.resets.insert(through);
                }
                for (_, event) in connection.expected.range_mut(..=through) {
                    event.channels.retain(|known| *known != channel);
                    event.is_optional |= event.channels.is_empty();
                }
                if let (Some(name), PositionSource::External | PositionSource::Log) = (name, self.positions) {
                    // Another server may not detect the loss once the id of the client has passed a part of it.
                    let epoch = self.servers[server].epoch;
                    self.clients[client].excuse_through(&self.truth, name, epoch, through);
                }
            }
            Action::ChannelClosed { channel, .. } => {
                // Closes by call are already recorded, so the channel was empty for too long.
                if let Some(known) = self.servers[server].channels.get(&channel)
                    && !known.is_closed
                {
                    if !known.is_finished {
                        assert!(known.config.empty_timeout.is_some(), "{channel} closed without a reason");
                        assert_eq!(self.servers[server].hub.members(channel).count(), 0);
                    }
                    self.record_channel_close(server, channel);
                }
            }
            Action::Unwanted { channel, why } => {
                assert_eq!(self.servers[server].hub.unwanted(channel), Some(why));
            }
            Action::Room(_) | Action::ChannelFinished(_) => {}
            other => panic!("{other:?}"),
        }
    }

    /// Checks the reason of a close. An orderly end delivers the pending frames first, and only an abrupt end cuts an
    /// event.
    fn check_close(&mut self, connection: &Connection, reason: CloseReason) {
        let is_whole = connection.partial.is_empty();
        let server = &mut self.servers[connection.server];
        match reason {
            CloseReason::Requested
            | CloseReason::ChannelClosed
            | CloseReason::TimedOut
            | CloseReason::Finished => {
                assert_eq!(connection.has_received_farewell, connection.has_farewell, "T5");
                assert!(is_whole, "the close cut an event");
                assert!(connection.directs.is_empty(), "a direct frame was not sent before the close");
                let is_over = |channel: &Channel| channel.is_finished || channel.is_closed;
                let mut followed = connection.subscriptions.iter().map(|s| server.channels.get(&s.channel));
                let is_finished =
                    reason == CloseReason::Finished && followed.all(|it| it.is_none_or(is_over));
                assert!(connection.closing_since.is_some() || connection.may_close || is_finished);
                let newest_reset = connection.received_resets.last().copied().unwrap_or(0);
                for (position, event) in connection.expected.iter().filter(|(_, event)| !event.is_optional) {
                    if event.is_replayable {
                        // The id of the reset may be the position before.
                        assert!(*position <= newest_reset + 1, "event {} was not flushed", event.number);
                    } else if !connection.missed.contains(&event.number) {
                        server.missed_live_only += 1;
                    }
                }
            }
            CloseReason::Lagged => {
                assert!(is_whole, "the close cut an event");
                let has_lost = connection.subscriptions.iter().any(|subscription| {
                    let Some(stats) = server.hub.channel_stats(subscription.channel) else { return true };
                    let Some(channel) = server.channels.get(&subscription.channel) else { return true };
                    let lost = connection.newest_event + 1..=stats.floor.get();
                    // At the starting position of a hub with external positions, an event may be lost or still to
                    // come.
                    let is_unsure = stats.floor.get() == channel.first_floor
                        && self.positions == PositionSource::External;
                    is_unsure
                        || channel
                            .log
                            .iter()
                            .any(|entry| entry.is_replayable && lost.contains(&entry.position))
                });
                assert!(has_lost || connection.has_left, "a lagged connection lost nothing");
            }
            CloseReason::Stalled => {
                let stall = self.settings.stall.unwrap_or(std::time::Duration::from_secs(30));
                // Unless the flush of a close is over, only reported bytes count.
                let reported_at = if connection.is_reported { connection.reported_at } else { self.now };
                let since = connection.taken_at.max(reported_at);
                let since = connection.closing_since.map_or(since, |closing| closing.min(since));
                let may_be_closing = !is_whole || connection.may_close;
                assert!(
                    may_be_closing || connection.has_unsubscribed || since.saturating_add(stall) <= self.now,
                    "the connection was closed as stalled too early"
                );
            }
            other => panic!("{other:?}"),
        }
    }

    /// Takes some bytes of a client that was reported.
    pub(crate) fn take(&mut self, client: usize) {
        let Some(connection) = self.clients[client].connection.as_ref().filter(|c| c.is_reported) else {
            return;
        };
        let (server, id) = (connection.server, connection.id);
        let how = self.random.below(14);
        let now = self.clock();
        let lagged = self.servers[server].hub.stats().lagged;
        let mut window = self.servers[server].hub.transmit(now, id);
        let shown = read_window(&window);
        let mut taken = Vec::new();
        match how {
            10.. => {
                let claimed = claim(window, how, self.random.below(shown.len() + 1));
                return self.return_claim(client, &shown, claimed, lagged);
            }
            0 => {}
            1..5 => take_bytes(&mut window, self.random.below(shown.len() + 1), &mut taken),
            5..7 => {
                let count = self.random.below(shown.len() + 1);
                let copy = window.copy_to_bytes(count);
                assert_eq!(copy.len(), count);
                taken.extend_from_slice(&copy);
            }
            _ => {
                let count = shown.len();
                take_bytes(&mut window, count, &mut taken);
            }
        }
        assert_eq!(taken, shown[..taken.len()], "bytes differ from those that the window showed");
        let remaining = window.remaining();
        assert_eq!(remaining, shown.len() - taken.len());
        drop(window);
        let has_lagged = self.servers[server].hub.stats().lagged > lagged;
        let taken_nothing = taken.is_empty();
        self.record_taken(client, &shown, taken, has_lagged);
        // A connection that ended keeps its recorded state until the action about its end is polled.
        let has_ended = taken_nothing && !self.servers[server].hub.is_connection_open(id);
        if remaining == 0
            && !has_ended
            && let Some(connection) = &mut self.clients[client].connection
        {
            (connection.is_reported, connection.idle_since) = (false, self.now);
        }
        self.record_left(client);
    }

    /// Checks that a connection that was not reported has an empty window, and that reading the window changes
    /// nothing (D3, D4).
    pub(crate) fn check_empty_window(&mut self, client: usize) {
        self.drain_all();
        let Some(connection) = self.clients[client].connection.as_ref().filter(|c| !c.is_reported) else {
            return;
        };
        if self.lingers(connection) {
            return;
        }
        let (server, id) = (connection.server, connection.id);
        let remaining = self.servers[server].hub.transmit(self.now, id).remaining();
        assert_eq!(remaining, 0, "{id} has pending bytes and was not reported");
        assert!(self.servers[server].hub.poll_action().is_none(), "reading a window had an effect");
    }

    pub(super) fn record_taken(&mut self, client: usize, shown: &[u8], taken: Vec<u8>, has_lagged: bool) {
        let mut connection = self.clients[client].connection.take().expect("open");
        connection.start_is_fixed |= has_lagged || !taken.is_empty();
        let server = connection.server;
        let begun = connection.partial.len();
        let is_over = shown.is_empty() && self.servers[server].hub.connection_origin(connection.id).is_none();
        self.log(|_| format!("{} takes {} of {}", connection.id, taken.len(), shown.len()));
        let whole: Vec<u8> = connection.partial.iter().chain(shown).copied().collect();
        let is_whole = whole.is_empty() || whole.ends_with(b"\n\n") || whole.ends_with(b":\n");
        assert!(is_whole || is_over, "whole frames");
        let frames = whole.windows(2).filter(|pair| pair == b"\n\n").count();
        assert!(frames <= Transmit::MAX_FRAMES);
        assert!(shown.len() <= Transmit::MAX_BYTES || frames == 1, "{} bytes after {begun}", shown.len());
        if !taken.is_empty() {
            if connection.partial.is_empty() {
                (connection.ping_at_begin, connection.quiet_since) = (connection.ping, connection.taken_at);
            }
            connection.taken_at = self.now;
            let blocks = connection.push(&taken);
            self.servers[server].bytes += taken.len() as u64;
            self.servers[server].delivered += blocks.len() as u64;
            for block in blocks {
                self.receive(client, &mut connection, block);
                connection.has_taken = true;
            }
            connection.has_taken = true;
        }
        self.clients[client].connection = Some(connection);
    }

    pub(crate) fn take_all(&mut self) {
        for client in 0..CLIENTS {
            self.take(client);
        }
    }

    pub(crate) fn is_reported(&self, client: usize) -> bool {
        self.clients[client].connection.as_ref().is_some_and(|connection| connection.is_reported)
    }

    pub(crate) fn id_of(&self, client: usize) -> Option<ConnectionId> {
        self.clients[client].connection.as_ref().map(|connection| connection.id)
    }
}
