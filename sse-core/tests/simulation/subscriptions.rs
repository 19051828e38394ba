//! Subscriptions: the result of each, and the events that it has to deliver.

use sse_core::{ChannelId, GapPolicy, OnClose, Position, Resume, SubscribeError};

use super::connection::{ExpectedEvent, FirstBlock, Subscription};
use super::world::{PositionSource, World};

impl World {
    /// Makes the next subscription of a client.
    pub(crate) fn subscribe_next(&mut self, client: usize) {
        let Some((server, id)) = self.open_connection(client) else { return };
        let connection = self.clients[client].connection.as_mut().expect("open");
        if connection.to_subscribe.is_empty() {
            return;
        }
        let name = connection.to_subscribe.swap_remove(0);
        let channel = self.channel(server, name);
        let now = self.clock();
        let resume = self.servers[server].hub.subscribe(now, channel, id);
        self.log(|_| format!("{id} subscribes to {name} ({channel}): {resume:?}"));
        let connection = self.clients[client].connection.as_mut().expect("open");
        connection.to_subscribe.retain(|pending| *pending != name);
        if let Some(channel) = self.servers[server].channels.get_mut(&channel) {
            channel.empty_since = None;
        }
        match resume {
            Ok(resume) => self.check_resume(client, channel, name, resume),
            Err(SubscribeError::Closing(_)) => {
                assert!(connection.may_be_closing());
            }
            Err(error) => panic!("{error}"),
        }
    }

    fn check_resume(&mut self, client: usize, channel: ChannelId, name: usize, resume: Resume) {
        let state = &mut self.clients[client];
        let connection = state.connection.as_mut().expect("open");
        let server = &self.servers[connection.server];
        let head = server.head();
        let (log, floor, all_kept) = server.channel(channel).expect("an open channel");
        if connection.follows(channel) {
            assert_eq!(resume, Resume::UpToDate, "a second subscription");
            return;
        }
        let (epoch, is_late) = (server.epoch, connection.start_is_fixed);
        let live_index = log.log.len();
        let is_external = self.positions == PositionSource::External;
        // With external positions, the event of the head can still arrive (O4).
        let complete_through = if is_external { head.saturating_sub(1).max(server.after) } else { head };
        let starts_live = complete_through.max(log.newest());
        let mut subscription =
            Subscription { channel, name, live_index, head, starts_live, live_after: 0, replays_after: None };
        if is_late {
            let expected = match connection.last_event_id {
                None => Resume::Fresh,
                Some(_) => {
                    let end = connection.resume_position.unwrap_or(0).max(head);
                    subscription.live_after = end;
                    if log.config.on_gap == GapPolicy::Reset {
                        connection.late_gaps.push((name, end));
                        connection.begun_before_reset = !connection.partial.is_empty();
                    }
                    Resume::Gap { lost_through: Position::new(end), events: 0 }
                }
            };
            assert_eq!(resume, expected, "a late subscription");
            connection.has_late = true;
            let announced = std::mem::replace(&mut connection.newest_announced, head);
            // The id of the client had passed these events before the subscription.
            let begun = connection.expected.keys().next().copied().filter(|_| !connection.partial.is_empty());
            let passed = connection.newest_event.max(begun.unwrap_or(0)).max(announced);
            let is_excused = connection.last_event_id.is_none() || log.config.on_gap != GapPolicy::Reset;
            let excused = if is_excused { subscription.live_after.max(head) } else { passed };
            if connection.resume_position.is_none() {
                state.forget_received();
            }
            state.excuse_through(&self.truth, name, epoch, excused);
            state.connection.as_mut().expect("open").subscriptions.push(subscription);
            return;
        }
        if let Some(last_event_id) = connection.last_event_id.as_deref() {
            let found = all_kept
                .iter()
                .rfind(|entry| self.truth[entry.number].id.as_deref() == Some(last_event_id))
                .map(|entry| entry.position);
            if let Some(found) = found {
                connection.resume_position =
                    Some(connection.resume_position.map_or(found, |known| known.min(found)));
            }
        }
        let kept = |after: u64| all_kept.iter().filter(|entry| entry.position > after).count();
        let expected = match (&connection.last_event_id, connection.resume_position) {
            (None, _) if log.has_lost_beginning(floor.min(starts_live)) => Resume::Gap {
                lost_through: Position::new(floor.min(starts_live)),
                events: if log.config.on_gap == GapPolicy::Live { 0 } else { kept(floor) },
            },
            (None, _) => Resume::Fresh,
            (Some(_), None) => Resume::Unknown,
            (Some(_), Some(last_event_id)) if last_event_id < floor => Resume::Gap {
                lost_through: Position::new(floor),
                events: if log.config.on_gap == GapPolicy::Live { 0 } else { kept(floor) },
            },
            (Some(_), Some(last_event_id)) if kept(last_event_id) > 0 => {
                Resume::Replayed { events: kept(last_event_id) }
            }
            _ if log.is_finished => Resume::Finished,
            _ => Resume::UpToDate,
        };
        assert_eq!(resume, expected, "an early subscription");
        connection.subscriptions.push(subscription);
        self.decide_start(client);
    }

    /// Decides what a connection without a byte taken has to receive. All its subscriptions are one step (O3).
    fn decide_start(&mut self, client: usize) {
        let state = &mut self.clients[client];
        let mut connection = state.connection.take().expect("open");
        let server = &self.servers[connection.server];
        let epoch = server.epoch;
        connection.expected.clear();
        connection.resets.clear();
        connection.loss_ends.clear();
        connection.first_block = match (&connection.last_event_id, connection.resume_position) {
            (None, _) if connection.announces => FirstBlock::Announce,
            _ => FirstBlock::None,
        };
        connection.start_decisions += 1;
        connection.first_head = connection.subscriptions.iter().map(|s| s.head).min().unwrap_or(0);
        for subscription in &mut connection.subscriptions {
            let Some((channel, mut floor, mut kept)) = server.channel(subscription.channel) else { continue };
            let stats = server.hub.channel_stats(subscription.channel).expect("it exists");
            let (retained, gone_through) = channel.retained(&stats);
            if let Some(start) = subscription.replays_after.filter(|start| gone_through <= *start) {
                floor = floor.min(start);
                kept.splice(0..0, retained);
            }
            let name = subscription.name;
            let policy = channel.config.on_gap;
            let is_resumed = connection
                .resume_position
                .is_some_and(|position| position >= floor || policy != GapPolicy::Reset);
            let starts_anew = connection.last_event_id.is_none() || !is_resumed;
            let (replay_after, live_after) = match (&connection.last_event_id, connection.resume_position) {
                (None, _) if channel.has_lost_beginning(floor.min(subscription.starts_live)) => {
                    let floor = floor.min(subscription.starts_live);
                    state.excuse_through(&self.truth, name, epoch, subscription.head);
                    if policy == GapPolicy::Reset {
                        connection.has_lost_beginning = true;
                        connection.resets.insert(floor);
                        connection.loss_ends.insert(subscription.channel, floor);
                    }
                    if policy == GapPolicy::Live { (None, 0) } else { (Some(floor), floor) }
                }
                (None, _) => {
                    state.excuse_through(&self.truth, name, epoch, subscription.head);
                    (channel.start(floor, &kept, subscription.live_index), 0)
                }
                (Some(_), Some(last_event_id)) if last_event_id >= floor => {
                    (Some(last_event_id), last_event_id)
                }
                (Some(_), Some(_)) => match policy {
                    GapPolicy::Reset => {
                        connection.resets.insert(floor);
                        connection.loss_ends.insert(subscription.channel, floor);
                        if self.positions != PositionSource::Local {
                            // Another server may not detect the loss once the id of the client has passed a part of
                            // it.
                            state.excuse_through(&self.truth, name, epoch, floor);
                        }
                        (Some(floor), floor)
                    }
                    GapPolicy::Kept => {
                        state.excuse_through(&self.truth, name, epoch, floor);
                        (Some(floor), floor)
                    }
                    GapPolicy::Live => {
                        state.excuse_through(&self.truth, name, epoch, subscription.head);
                        (None, connection.resume_position.unwrap_or(0))
                    }
                    other => panic!("the simulation does not know {other:?}"),
                },
                (Some(_), None) => {
                    state.forget_received();
                    if policy == GapPolicy::Reset {
                        connection.first_block = FirstBlock::Reset;
                    } else {
                        state.excuse_through(&self.truth, name, epoch, subscription.head);
                    }
                    (
                        if policy != GapPolicy::Live {
                            channel.start(floor, &kept, subscription.live_index)
                        } else {
                            None
                        },
                        0,
                    )
                }
            };
            subscription.live_after = live_after;
            let live_from = channel.log.get(subscription.live_index).map_or(u64::MAX, |entry| entry.position);
            subscription.replays_after = replay_after
                .filter(|after| kept.iter().any(|entry| (after + 1..live_from).contains(&entry.position)));
            for (index, entry) in channel.log.iter().enumerate() {
                let is_expected = if index >= subscription.live_index {
                    entry.position > live_after
                } else {
                    let is_kept = kept.iter().any(|kept| kept.position == entry.position);
                    is_kept
                        && entry.position > floor
                        && replay_after.is_some_and(|after| entry.position > after)
                };
                // An exclusion does not hold for what a start or a reset replays (U3).
                let is_excluded = entry.except.is_some_and(|except| except.is_of(client, connection.id))
                    && (index >= subscription.live_index || !starts_anew);
                if is_expected && !is_excluded && connection.end.is_none_or(|end| entry.position <= end) {
                    let event = connection.expected.entry(entry.position).or_insert(ExpectedEvent {
                        number: entry.number,
                        at: if index < subscription.live_index { self.now } else { entry.at },
                        is_replayable: entry.is_replayable,
                        channels: Vec::new(),
                        is_optional: connection.may_close,
                    });
                    event.channels.push(subscription.channel);
                }
            }
        }
        state.connection = Some(connection);
    }

    /// Records that a connection no longer follows a channel.
    pub(crate) fn remove_subscription(&mut self, client: usize, channel: ChannelId) {
        let state = &mut self.clients[client];
        let Some(connection) = &mut state.connection else { return };
        connection.subscriptions.retain(|subscription| subscription.channel != channel);
        // The next loss of another channel may take the place of the reset of this one.
        if let Some(end) = connection.loss_ends.remove(&channel)
            && connection.loss_ends.values().all(|other| *other != end)
            && connection.resets.remove(&end)
        {
            connection.skipped.insert(end);
        }
        // The connection may have left before the closed channel could close it.
        connection.must_close = false;
        connection.has_orphan |= !connection.partial.is_empty();
        (connection.has_unsubscribed, connection.idle_since) = (true, self.now);
        connection.has_left |= !connection.partial.is_empty();
        let server = &self.servers[connection.server];
        let name = server.channels.get(&channel).map(|channel| channel.name);
        let mut given_up = Vec::new();
        for event in connection.expected.values_mut() {
            if event.channels.contains(&channel) {
                given_up.push(event.number);
            }
            event.channels.retain(|known| *known != channel);
            // The last event before the end may have been published to another channel afterwards.
            event.is_optional |= connection.end.is_some() || connection.may_close;
        }
        connection.expected.retain(|_, event| event.is_optional || !event.channels.is_empty());
        let resets = |channel: ChannelId| {
            server.channels.get(&channel).is_some_and(|known| known.config.on_gap == GapPolicy::Reset)
        };
        let tells_of_one = connection.has_taken || connection.subscriptions.iter().any(|s| resets(s.channel));
        if connection.first_block == FirstBlock::Reset && !tells_of_one {
            connection.first_block = FirstBlock::None;
        }
        // The start of a closing connection is fixed.
        let start_is_fixed = connection.start_is_fixed || connection.end.is_some();
        for (number, name) in given_up.into_iter().zip(name.into_iter().cycle()) {
            state.excuse(number, name);
        }
        if !start_is_fixed {
            self.decide_start_again(client);
        }
    }

    /// Decides the start of a connection again. If the connection is possibly closing, the previous start stays
    /// allowed.
    fn decide_start_again(&mut self, client: usize) {
        let standing = self.clients[client].connection.as_ref().filter(|connection| connection.may_close);
        let standing = standing.map(|connection| (connection.expected.clone(), connection.resets.clone()));
        self.decide_start(client);
        let (Some((expected, resets)), Some(connection)) = (standing, &mut self.clients[client].connection)
        else {
            return;
        };
        for (position, event) in expected {
            connection.expected.entry(position).or_insert(ExpectedEvent { is_optional: true, ..event });
        }
        connection.skipped.extend(connection.resets.symmetric_difference(&resets));
        connection.resets.retain(|reset| resets.contains(reset));
    }

    /// Records that a channel was closed: no event of it is expected any more.
    pub(crate) fn record_channel_close(&mut self, server: usize, id: ChannelId) {
        self.servers[server].record_end(id);
        let channel = self.servers[server].channels.get_mut(&id).expect("an open channel");
        channel.is_closed = true;
        if channel.config.on_close == OnClose::CloseConnections {
            for client in &mut self.clients {
                if let Some(connection) = client.connection.as_mut().filter(|c| c.server == server)
                    && connection.follows(id)
                {
                    (connection.may_close, connection.must_close) = (true, true);
                }
            }
        }
        if self.servers[server].hub.channel_stats(id).is_none() {
            self.servers[server].channels.remove(&id);
        }
    }
}
