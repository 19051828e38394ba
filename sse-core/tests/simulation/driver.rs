//! How actions are polled and bytes move.

use bytes::Buf;
use sse_core::{Action, CloseReason, ConnectionId, Instant, OnMaxLifetime, Transmit};

use super::connection::{Block, Connection, Opening};
use super::window::{examine, position_block, reset_block, take_part};
use super::world::{CLIENTS, PositionSource, World};

impl World {
    /// Polls some of the actions of a server.
    pub(crate) fn poll(&mut self) {
        let server = self.random.below(self.servers.len());
        for _ in 0..=self.random.below(4) {
            if !self.poll_one(server) {
                return;
            }
        }
    }

    /// Polls one action; `poll_timeout` has told of it (D2).
    fn poll_one(&mut self, server: usize) -> bool {
        let before = self.servers[server].hub.poll_timeout();
        let Some(action) = self.servers[server].hub.poll_action() else { return false };
        self.say(|_| format!("server {server}: {action:?}"));
        assert!(
            before.is_some_and(|at| at <= self.now),
            "{action:?} was pending, poll_timeout was {before:?}"
        );
        self.act(server, action);
        true
    }

    /// Does all that is pending and due.
    pub(crate) fn drain(&mut self, server: usize) {
        for _ in 0..20_000 {
            if self.poll_one(server) {
                continue;
            }
            match self.servers[server].hub.poll_timeout() {
                Some(at) if at <= self.now => self.servers[server].hub.handle_timeout(self.now),
                _ => return,
            }
        }
        panic!("something is pending for ever");
    }

    pub(crate) fn drain_all(&mut self) {
        for server in 0..self.servers.len() {
            // Before its time it does nothing (D4), at its time what is due.
            self.servers[server].hub.handle_timeout(self.now);
            self.drain(server);
        }
    }

    fn act(&mut self, server: usize, action: Action) {
        match action {
            Action::Transmit(id) => {
                let client = self.client_of(server, id).expect("an open connection");
                let connection = self.clients[client].connection.as_mut().expect("open");
                assert!(!connection.is_named, "{id} was named twice");
                (connection.is_named, connection.named_at) = (true, self.now);
            }
            Action::Close { connection, reason } => {
                let client = self.client_of(server, connection).expect("an open connection");
                let connection = self.connection_is_gone(client);
                self.check_close(&connection, reason);
            }
            Action::TimedOut(id) => {
                let client = self.client_of(server, id).expect("an open connection");
                let connection = self.clients[client].connection.as_mut().expect("open");
                assert_eq!(connection.on_max_lifetime, OnMaxLifetime::Report);
                // It may have been given more time before this was polled.
                let expired = connection.expires.take_if(|at| *at <= self.now);
                assert!(expired.is_some() || connection.has_new_timers);
            }
            Action::Lagged { connection, channel, lost_through } => {
                let client = self.client_of(server, connection).expect("an open connection");
                let connection = self.clients[client].connection.as_mut().expect("open");
                let through = lost_through.get();
                connection.skipped.insert(through);
                let name = self.servers[server].channels.get(&channel).map(|channel| channel.name);
                if !connection.unexplained.remove(&through)
                    && !connection.came_resets.contains(&through)
                    && connection.follows(channel)
                    && (connection.plans == 1 || through > connection.newest_event)
                {
                    connection.resets.insert(through);
                }
                for (_, owed) in connection.owed.range_mut(..=through) {
                    owed.channels.retain(|known| *known != channel);
                    owed.is_optional |= owed.channels.is_empty();
                }
                if let (Some(name), PositionSource::External) = (name, self.positions) {
                    // Another server may not know of the loss, once the id has passed a part of it.
                    let epoch = self.servers[server].epoch;
                    self.clients[client].excuse_through(&self.truth, name, epoch, through);
                }
            }
            Action::ChannelClosed { channel, .. } => {
                // It was written down when the call was made, but for a channel that was empty for too long.
                if let Some(known) = self.servers[server].channels.get(&channel)
                    && !known.is_closed
                {
                    assert!(known.config.empty_timeout.is_some(), "nobody closed {channel}");
                    assert_eq!(self.servers[server].hub.members(channel).count(), 0);
                    self.channel_is_closed(server, channel);
                }
            }
            other => panic!("{other:?}"),
        }
    }

    /// What was due before an orderly end was delivered; nobody sees half an event, unless the end is abrupt.
    fn check_close(&mut self, connection: &Connection, reason: CloseReason) {
        let is_whole = connection.partial.is_empty();
        let server = &mut self.servers[connection.server];
        match reason {
            CloseReason::Requested | CloseReason::ChannelClosed => {
                assert!(is_whole, "half an event before the close");
                assert!(connection.directs.is_empty(), "a direct frame was not sent before the close");
                assert!(connection.closing_since.is_some() || connection.may_close);
                let newest_reset = connection.came_resets.last().copied().unwrap_or(0);
                for (position, owed) in connection.owed.iter().filter(|(_, owed)| !owed.is_optional) {
                    if owed.is_replayable {
                        assert!(*position <= newest_reset, "event {} was not flushed", owed.number);
                    } else if !connection.missed.contains(&owed.number) {
                        server.missed_live_only += 1;
                    }
                }
            }
            CloseReason::Lagged => {
                assert!(is_whole, "half an event before the close");
                let has_lost = connection.subscriptions.iter().any(|subscription| {
                    let Some(stats) = server.hub.channel_stats(subscription.channel) else { return true };
                    let Some(channel) = server.channels.get(&subscription.channel) else { return true };
                    let lost = connection.newest_event + 1..=stats.floor.get();
                    // Where a fed hub stands, something may have been lost or be still to come.
                    let is_unsure =
                        stats.floor.get() == channel.opened && self.positions == PositionSource::External;
                    is_unsure
                        || channel
                            .log
                            .iter()
                            .any(|entry| entry.is_replayable && lost.contains(&entry.position))
                });
                assert!(has_lost || connection.has_left, "it lagged, but lost nothing");
            }
            CloseReason::TimedOut => {
                assert_eq!(connection.on_max_lifetime, OnMaxLifetime::Close);
                assert!(connection.expires.is_some_and(|at| at <= self.now));
            }
            CloseReason::Stalled => {
                let stall = self.settings.stall.unwrap_or(std::time::Duration::from_secs(30));
                let named_at = if connection.is_named { connection.named_at } else { self.now };
                let since =
                    connection.taken_at.max(connection.due_since(true).unwrap_or(named_at).min(named_at));
                let since = connection.closing_since.map_or(since, |closing| closing.min(since));
                let may_be_closing = !is_whole || connection.may_close;
                assert!(
                    may_be_closing || connection.has_unsubscribed || since.saturating_add(stall) <= self.now,
                    "it was closed as stalled too early"
                );
            }
            other => panic!("{other:?}"),
        }
    }

    /// Has a client that the driver may serve take some of its bytes.
    pub(crate) fn take(&mut self, client: usize) {
        let Some(connection) = self.clients[client].connection.as_ref().filter(|c| c.is_named) else {
            return;
        };
        let (server, id) = (connection.server, connection.id);
        let how = self.random.below(10);
        let now = self.clock();
        let lagged = self.servers[server].hub.stats().lagged;
        let mut window = self.servers[server].hub.transmit(now, id);
        let shown = examine(&window);
        let mut taken = Vec::new();
        match how {
            0 => {}
            1..5 => take_part(&mut window, self.random.below(shown.len() + 1), &mut taken),
            5..7 => {
                let count = self.random.below(shown.len() + 1);
                let copy = window.copy_to_bytes(count);
                assert_eq!(copy.len(), count);
                taken.extend_from_slice(&copy);
            }
            _ => {
                let count = shown.len();
                take_part(&mut window, count, &mut taken);
            }
        }
        assert_eq!(taken, shown[..taken.len()], "other bytes than the window showed");
        let remaining = window.remaining();
        assert_eq!(remaining, shown.len() - taken.len());
        drop(window);
        let has_lagged = self.servers[server].hub.stats().lagged > lagged;
        let taken_nothing = taken.is_empty();
        self.has_taken(client, &shown, taken, has_lagged);
        // Of one that has ended, with the action that says so still to be polled, what was known stands.
        let has_ended = taken_nothing && !self.servers[server].hub.is_connection_open(id);
        if remaining == 0
            && !has_ended
            && let Some(connection) = &mut self.clients[client].connection
        {
            (connection.is_named, connection.idle_since) = (false, self.now);
        }
    }

    /// Looks at a connection that nothing is due to, as far as the driver knows: it may, and it is true (D3, D4).
    pub(crate) fn look_again(&mut self, client: usize) {
        self.drain_all();
        let Some(connection) = self.clients[client].connection.as_ref().filter(|c| !c.is_named) else {
            return;
        };
        let (server, id) = (connection.server, connection.id);
        let remaining = self.servers[server].hub.transmit(self.now, id).remaining();
        assert_eq!(remaining, 0, "{id} has bytes due and was not named");
        assert!(self.servers[server].hub.poll_action().is_none(), "a look has changed something");
    }

    fn has_taken(&mut self, client: usize, shown: &[u8], taken: Vec<u8>, has_lagged: bool) {
        let mut connection = self.clients[client].connection.take().expect("open");
        connection.is_planned |= has_lagged || !taken.is_empty();
        let server = connection.server;
        let begun = connection.partial.len();
        let is_over = shown.is_empty() && self.servers[server].hub.connection_origin(connection.id).is_none();
        self.say(|_| format!("{} takes {} of {}", connection.id, taken.len(), shown.len()));
        let whole: Vec<u8> = connection.partial.iter().chain(shown).copied().collect();
        assert!(whole.is_empty() || whole.ends_with(b"\n\n") || is_over, "a window of whole frames");
        let frames = whole.windows(2).filter(|pair| pair == b"\n\n").count();
        assert!(frames <= Transmit::MAX_FRAMES);
        assert!(shown.len() <= Transmit::MAX_BYTES || frames == 1, "{} bytes, {begun} begun", shown.len());
        if !taken.is_empty() {
            if connection.partial.is_empty() {
                (connection.begun_ping, connection.quiet_since) = (connection.ping, connection.taken_at);
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

    fn receive(&mut self, client: usize, connection: &mut Connection, block: Block) {
        let is_first = !std::mem::replace(&mut connection.has_opened, true);
        let opening = if is_first { connection.opening } else { Opening::None };
        let epoch = self.servers[connection.server].epoch;
        self.say(|_| format!("{} got {:.40?}", connection.id, String::from_utf8_lossy(&block.bytes)));
        if block.bytes == b":\n\n" {
            assert_eq!(opening, Opening::None);
            return connection.check_ping(self.now);
        }
        if let Some(position) = position_block(epoch, &block) {
            assert_eq!(opening, Opening::Announce, "the position {position} was announced");
            connection.announced = position;
            if self.positions == PositionSource::External {
                // It may be fed for a channel that was followed since the first byte.
                connection.owed.remove(&position);
            }
            let owed = connection.owed.iter().find(|(_, owed)| owed.is_replayable && !owed.is_optional);
            let owed = owed.map(|(position, _)| *position);
            assert!(owed.is_none_or(|owed| owed > position), "announced {position}, but {owed:?} is due");
            for name in self.clients[client].follows.clone() {
                self.clients[client].excuse_through(&self.truth, name, epoch, position);
            }
            return;
        }
        if let Some(position) = reset_block(epoch, &block) {
            return self.receive_reset(client, connection, position, opening);
        }
        assert_eq!(opening, Opening::None, "{:?}", String::from_utf8_lossy(&block.bytes));
        let Some(number) = self.blocks.get(&block.bytes).copied() else {
            let direct = connection.directs.pop_front().expect("a direct frame that was sent");
            assert_eq!(block.bytes, direct.frame.as_bytes(), "direct frames in their order");
            assert!(direct.head >= connection.newest_event, "a direct frame behind later events");
            connection.newest_direct = direct.head;
            return;
        };
        self.receive_event(client, connection, block, number);
    }

    fn receive_reset(&mut self, client: usize, connection: &mut Connection, position: u64, opening: Opening) {
        let server = &self.servers[connection.server];
        self.clients[client].is_told(server.epoch, position);
        assert!(position <= server.head().max(connection.asked_position.unwrap_or(0)));
        if opening == Opening::Reset {
            let begins = connection.first_head;
            let tie = u64::from(self.positions == PositionSource::External);
            // One that tells of nothing may have ended with its channel.
            let ends = connection.subscriptions.iter().map(|s| s.head).max().unwrap_or(begins);
            assert!((begins.saturating_sub(tie)..=ends.max(begins)).contains(&position));
            for subscription in &connection.subscriptions {
                let (name, head) = (subscription.name, subscription.head);
                self.clients[client].excuse_through(&self.truth, name, server.epoch, head);
            }
            return;
        }
        assert_eq!(opening, Opening::None);
        if connection.late_reset == Some(position) {
            connection.late_reset = None;
            // It may have taken the place of an earlier one, which it covers.
            connection.skipped.extend(connection.resets.pop_first());
            connection.came_resets.insert(position);
            return;
        }
        if !connection.resets.remove(&position) {
            let is_explained =
                connection.came_resets.contains(&position) || connection.skipped.contains(&position);
            if !is_explained {
                connection.unexplained.insert(position);
            }
        }
        connection.came_resets.insert(position);
    }

    fn receive_event(&mut self, client: usize, connection: &mut Connection, block: Block, number: usize) {
        let truth = &self.truth[number];
        let message = block.message.expect("an event with data is dispatched");
        assert_eq!((&message.event, &message.data), (&truth.event, &truth.data));
        if let Some(id) = &truth.id {
            assert_eq!(&message.id, id);
        }
        let position = truth.position;
        let is_due = connection.owed.remove(&position).is_some_and(|owed| owed.number == number);
        let is_orphan = std::mem::take(&mut connection.has_orphan) && !is_due;
        assert!(is_due || is_orphan, "event {number} was not due");
        assert!(position > connection.newest_event, "event {number} is out of order");
        let tie = u64::from(self.positions == PositionSource::Local);
        assert!(
            position >= connection.newest_direct + tie || is_orphan || connection.newest_direct == 0,
            "event {number} behind a later direct frame"
        );
        let first_reset = connection.resets.first().copied();
        let was_begun = std::mem::take(&mut connection.begun_before_reset);
        assert!(
            connection.late_reset.is_none() && first_reset.is_none_or(|reset| reset > position)
                || is_orphan
                || was_begun,
            "event {number} at {position} before the reset {first_reset:?}"
        );
        connection.newest_event = position;
        connection.received.insert(number);
        if !self.settings.reuses_ids {
            self.clients[client]
                .receive(number, truth.is_replayable || self.positions == PositionSource::Local);
        } else {
            self.clients[client].receive(number, false);
        }
    }

    pub(crate) fn take_all(&mut self) {
        for client in 0..CLIENTS {
            self.take(client);
        }
    }

    pub(crate) fn is_named(&self, client: usize) -> bool {
        self.clients[client].connection.as_ref().is_some_and(|connection| connection.is_named)
    }

    pub(crate) fn id_of(&self, client: usize) -> Option<ConnectionId> {
        self.clients[client].connection.as_ref().map(|connection| connection.id)
    }
}

impl Connection {
    /// A ping comes when nothing else was written for its interval; the first is spread over half of it (T1).
    fn check_ping(&mut self, now: Instant) {
        let (interval, quiet_since) = (self.begun_ping.expect("an interval"), self.quiet_since);
        let interval = if self.is_first_ping { interval / 2 } else { interval };
        self.is_first_ping = false;
        // What became due at the start stands before it.
        let is_silent =
            quiet_since.saturating_add(interval) <= now || self.plans > 1 || self.opening == Opening::Reset;
        assert!(is_silent, "a ping at {now:?}, last bytes at {quiet_since:?}");
    }
}
