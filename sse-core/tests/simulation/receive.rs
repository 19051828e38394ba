//! The blocks that arrive at a client, compared with those that it has to receive.

use sse_core::{ChannelId, Instant};

use super::connection::{Block, Connection, FirstBlock};
use super::window::{position_block, reset_block};
use super::world::{PositionSource, World, farewell};

impl World {
    pub(super) fn receive(&mut self, client: usize, connection: &mut Connection, block: Block) {
        assert!(!connection.has_received_farewell, "T5: {:?} behind the farewell", block.bytes);
        let is_first = !std::mem::replace(&mut connection.has_opened, true);
        let mut first_block = if is_first { connection.first_block } else { FirstBlock::None };
        let epoch = self.servers[connection.server].epoch;
        self.log(|_| format!("{} received {:.40?}", connection.id, String::from_utf8_lossy(&block.bytes)));
        if block.bytes == b":\n" {
            assert_eq!(first_block, FirstBlock::None);
            return connection.check_ping(self.now);
        }
        if let Some(position) = position_block(epoch, &block) {
            if first_block != FirstBlock::Announce {
                assert!(connection.has_late, "the position {position} was announced");
            } else {
                connection.announced = position;
            }
            if first_block == FirstBlock::Announce && self.positions == PositionSource::External {
                // The position may be published to a channel that was subscribed to after the first byte.
                connection.expected.remove(&position);
            }
            let mut required =
                connection.expected.iter().filter(|(_, event)| event.is_replayable && !event.is_optional);
            // The action that reports a loss may not have been polled yet.
            let covered = connection.received_resets.last().copied().unwrap_or(0);
            // A loss that ends behind the position is told later: a client that leaves before has an id below the floor.
            let hub = &self.servers[connection.server].hub;
            let is_lost = |channel: &ChannelId| {
                hub.channel_stats(*channel).is_none_or(|stats| stats.floor.get() > position)
            };
            let next = required.find(|(at, event)| **at > covered && !event.channels.iter().all(is_lost));
            let next = next.map(|(position, _)| *position);
            assert!(next.is_none_or(|next| next > position), "announced {position}, but {next:?} is pending");
            if first_block != FirstBlock::Announce {
                return;
            }
            for name in self.clients[client].follows.clone() {
                self.clients[client].excuse_through(&self.truth, name, epoch, position);
            }
            return;
        }
        if let Some(position) = reset_block(epoch, &block) {
            if first_block == FirstBlock::Announce && connection.has_lost_beginning {
                // The reset stands in place of the position (H8).
                (first_block, connection.announced) = (FirstBlock::None, position);
            }
            return self.receive_reset(client, connection, position, first_block);
        }
        if block.bytes == farewell().as_bytes() {
            assert!(connection.has_farewell && connection.directs.is_empty(), "T5");
            connection.has_received_farewell = true;
            return;
        }
        if connection.has_lost_beginning && connection.resets.first().is_some() {
            // A direct send can stand before the reset that takes the place of the position (H8).
            first_block = FirstBlock::None;
        }
        assert_eq!(first_block, FirstBlock::None, "{:?}", String::from_utf8_lossy(&block.bytes));
        let Some(number) = self.blocks.get(&block.bytes).copied() else {
            let direct = connection.directs.pop_front().expect("a direct frame that was sent");
            assert_eq!(block.bytes, direct.frame.as_bytes(), "direct frames in their order");
            assert!(direct.head >= connection.newest_event, "a direct frame behind later events");
            connection.newest_direct = direct.head;
            return;
        };
        self.receive_event(client, connection, block, number);
    }

    fn receive_reset(
        &mut self,
        client: usize,
        connection: &mut Connection,
        position: u64,
        first: FirstBlock,
    ) {
        let server = &self.servers[connection.server];
        assert!(position <= server.head().max(connection.resume_position.unwrap_or(0)));
        if first == FirstBlock::Reset {
            self.clients[client].record_reset(server.epoch, position);
            let begins = connection.first_head;
            // The subscription that required the reset may have ended together with its channel.
            let ends = connection.subscriptions.iter().map(|s| s.head).max().unwrap_or(begins);
            assert!(position <= ends.max(begins));
            for subscription in &connection.subscriptions {
                let (name, head) = (subscription.name, subscription.head);
                self.clients[client].excuse_through(&self.truth, name, server.epoch, head);
            }
            return;
        }
        assert_eq!(first, FirstBlock::None);
        assert!(position >= connection.newest_event, "the id of a reset went back");
        if !connection.late_gaps.is_empty() {
            for (name, lost_through) in std::mem::take(&mut connection.late_gaps) {
                self.clients[client].excuse_through(&self.truth, name, server.epoch, lost_through);
            }
            // It may take the place of a reset where the connection stands, and may come again behind the rest of a frame.
            if connection.resets.remove(&position) {
                self.clients[client].record_reset(server.epoch, position);
            }
            connection.received_resets.insert(position);
            return;
        }
        // The id is the position before, if another channel has an event at the end of the loss.
        let is_known = |end: &u64| connection.resets.contains(end) || connection.skipped.contains(end);
        let known = [position + 1, position].into_iter().find(is_known);
        if known.is_none() && !connection.received_resets.contains(&position) {
            connection.unexplained.insert(position);
        }
        self.clients[client].record_reset(server.epoch, known.unwrap_or(position));
        for end in [position, position + 1] {
            if connection.resets.remove(&end) {
                connection.skipped.insert(end);
            }
        }
        connection.received_resets.insert(position);
    }

    fn receive_event(&mut self, client: usize, connection: &mut Connection, block: Block, number: usize) {
        let truth = &self.truth[number];
        let message = block.message.expect("an event with data is dispatched");
        assert_eq!((&message.event, &message.data), (&truth.event, &truth.data));
        if let Some(id) = &truth.id {
            assert_eq!(&message.id, id);
        }
        let position = truth.position;
        let is_expected = connection.expected.remove(&position).is_some_and(|event| event.number == number);
        let is_orphan = std::mem::take(&mut connection.has_orphan) && !is_expected;
        assert!(is_expected || is_orphan, "event {number} was not expected");
        assert!(position > connection.newest_event, "event {number} is out of order");
        let tie = u64::from(self.positions != PositionSource::External);
        assert!(
            position >= connection.newest_direct + tie || is_orphan || connection.newest_direct == 0,
            "event {number} behind a later direct frame"
        );
        let newest_reset = connection.received_resets.last().copied().unwrap_or(0);
        let first_reset = connection.resets.iter().copied().find(|reset| *reset > newest_reset);
        let was_begun = std::mem::take(&mut connection.begun_before_reset);
        // The loss may have become longer; the action that says so was not polled yet.
        let hub = &self.servers[connection.server].hub;
        let is_longer = |channel: &ChannelId| {
            // A closing connection has left a channel that has nothing more for it.
            let is_left = hub.subscriptions(connection.id).all(|followed| followed != *channel);
            is_left || hub.channel_stats(*channel).is_none_or(|stats| stats.floor.get() >= position)
        };
        let mut losses = connection.loss_ends.iter().filter(|(_, end)| Some(**end) == first_reset);
        let is_superseded = losses.all(|(channel, _)| is_longer(channel));
        assert!(
            connection.late_gaps.is_empty() && first_reset.is_none_or(|reset| reset > position)
                || is_orphan
                || was_begun
                || is_superseded,
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
}

impl Connection {
    /// Checks that nothing was written for the ping interval. The first interval is shortened by up to half (T1).
    fn check_ping(&mut self, now: Instant) {
        let (interval, quiet_since) = (self.ping_at_begin.expect("an interval"), self.quiet_since);
        let interval = if self.is_first_ping { interval / 2 } else { interval };
        self.is_first_ping = false;
        // Frames of a start that was decided again become available after the ping.
        let is_silent = quiet_since.saturating_add(interval) <= now
            || self.start_decisions > 1
            || self.first_block == FirstBlock::Reset;
        assert!(is_silent, "a ping at {now:?}, last bytes at {quiet_since:?}");
    }
}
