//! What a subscription is told, and what it is owed.

use sse_core::{ChannelId, GapPolicy, OnClose, Position, Resume, SubscribeError};

use super::connection::{Opening, Owed, Subscription};
use super::world::{PositionSource, World};

impl World {
    /// Makes the next subscription that a client's connection still has to make.
    pub(crate) fn subscribe_next(&mut self, client: usize) {
        let Some((server, id)) = self.open_connection(client) else { return };
        let connection = self.clients[client].connection.as_mut().expect("open");
        if connection.pending.is_empty() {
            return;
        }
        let name = connection.pending.swap_remove(0);
        let channel = self.channel(server, name);
        let now = self.clock();
        let told = self.servers[server].hub.subscribe(now, channel, id);
        self.say(|_| format!("{id} subscribes to {name} ({channel}): {told:?}"));
        let connection = self.clients[client].connection.as_mut().expect("open");
        connection.pending.retain(|pending| *pending != name);
        if let Some(channel) = self.servers[server].channels.get_mut(&channel) {
            channel.empty_since = None;
        }
        match told {
            Ok(told) => self.is_subscribed(client, channel, name, told),
            Err(SubscribeError::Closing(_)) => {
                assert!(connection.may_be_closing());
            }
            Err(error) => panic!("{error}"),
        }
    }

    fn is_subscribed(&mut self, client: usize, channel: ChannelId, name: usize, told: Resume) {
        let state = &mut self.clients[client];
        let connection = state.connection.as_mut().expect("open");
        let server = &self.servers[connection.server];
        let head = server.head();
        let (log, floor, all_kept) = server.channel(channel).expect("an open channel");
        if connection.follows(channel) {
            assert_eq!(told, Resume::UpToDate, "it is subscribed already");
            return;
        }
        let (epoch, is_late) = (server.epoch, connection.is_planned);
        let mut subscription = Subscription { channel, name, live_index: log.log.len(), head, live_after: 0 };
        if is_late {
            let expected = match connection.asked {
                None => Resume::Fresh,
                Some(_) => {
                    let end = connection.asked_position.unwrap_or(0).max(head);
                    subscription.live_after = end;
                    if log.config.on_gap == GapPolicy::Reset {
                        // A later one takes the place of one that is still due.
                        if let Some(known) = connection.late_reset.replace(end) {
                            assert!(known <= end);
                            connection.skipped.insert(known);
                        }
                        connection.begun_before_reset = !connection.partial.is_empty();
                    }
                    Resume::Gap { lost_through: Position::new(end), events: 0 }
                }
            };
            assert_eq!(told, expected, "a late subscription");
            // Its id had passed these before anybody could know.
            let begun = connection.owed.keys().next().copied().filter(|_| !connection.partial.is_empty());
            let passed = connection.newest_event.max(begun.unwrap_or(0));
            let is_excused = connection.asked.is_none() || log.config.on_gap != GapPolicy::Reset;
            let excused = if is_excused { subscription.live_after.max(head) } else { passed };
            if connection.asked_position.is_none() {
                state.starts_anew();
            }
            state.excuse_through(&self.truth, name, epoch, excused);
            state.connection.as_mut().expect("open").subscriptions.push(subscription);
            return;
        }
        if let Some(asked) = connection.asked.as_deref() {
            let found = all_kept
                .iter()
                .rfind(|entry| self.truth[entry.number].id.as_deref() == Some(asked))
                .map(|entry| entry.position);
            if let Some(found) = found {
                connection.asked_position =
                    Some(connection.asked_position.map_or(found, |known| known.min(found)));
            }
        }
        let kept = |after: u64| all_kept.iter().filter(|entry| entry.position > after).count();
        let expected = match (&connection.asked, connection.asked_position) {
            (None, _) => Resume::Fresh,
            (Some(_), None) => Resume::Unknown,
            (Some(_), Some(asked)) if asked < floor => Resume::Gap {
                lost_through: Position::new(floor),
                events: if log.config.on_gap == GapPolicy::Live { 0 } else { kept(floor) },
            },
            (Some(_), Some(asked)) if kept(asked) > 0 => Resume::Replayed { events: kept(asked) },
            _ => Resume::UpToDate,
        };
        assert_eq!(told, expected, "an early subscription");
        connection.subscriptions.push(subscription);
        self.plan(client);
    }

    /// What a connection is owed that took nothing yet: all its subscriptions are one step (O3).
    fn plan(&mut self, client: usize) {
        let state = &mut self.clients[client];
        let mut connection = state.connection.take().expect("open");
        let server = &self.servers[connection.server];
        let epoch = server.epoch;
        connection.owed.clear();
        connection.resets.clear();
        connection.opening = match (&connection.asked, connection.asked_position) {
            (None, _) if connection.announces => Opening::Announce,
            _ => Opening::None,
        };
        connection.plans += 1;
        connection.first_head = connection.subscriptions.iter().map(|s| s.head).min().unwrap_or(0);
        for subscription in &mut connection.subscriptions {
            let Some((channel, floor, kept)) = server.channel(subscription.channel) else { continue };
            let name = subscription.name;
            let policy = channel.config.on_gap;
            let (replay_after, live_after) = match (&connection.asked, connection.asked_position) {
                (None, _) => {
                    state.excuse_through(&self.truth, name, epoch, subscription.head);
                    (channel.start(floor, &kept, subscription.live_index), 0)
                }
                (Some(_), Some(asked)) if asked >= floor => (Some(asked), asked),
                (Some(_), Some(_)) => match policy {
                    GapPolicy::Reset => {
                        connection.resets.insert(floor);
                        if self.positions == PositionSource::External {
                            // Another server may not know of the loss, once the id has passed a part of it.
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
                        (None, connection.asked_position.unwrap_or(0))
                    }
                    other => panic!("the simulation does not know {other:?}"),
                },
                (Some(_), None) => {
                    state.starts_anew();
                    if policy == GapPolicy::Reset {
                        connection.opening = Opening::Reset;
                    } else {
                        state.excuse_through(&self.truth, name, epoch, subscription.head);
                    }
                    (
                        if policy == GapPolicy::Kept {
                            channel.start(floor, &kept, subscription.live_index)
                        } else {
                            None
                        },
                        0,
                    )
                }
            };
            subscription.live_after = live_after;
            for (index, entry) in channel.log.iter().enumerate() {
                let is_due = if index >= subscription.live_index {
                    entry.position > live_after
                } else {
                    let is_kept = kept.iter().any(|kept| kept.position == entry.position);
                    is_kept
                        && entry.position > floor
                        && replay_after.is_some_and(|after| entry.position > after)
                };
                if is_due
                    && entry.except != Some(connection.id)
                    && connection.end.is_none_or(|end| entry.position <= end)
                {
                    let owed = connection.owed.entry(entry.position).or_insert(Owed {
                        number: entry.number,
                        at: if index < subscription.live_index { self.now } else { entry.at },
                        is_replayable: entry.is_replayable,
                        channels: Vec::new(),
                        is_optional: connection.may_close,
                    });
                    owed.channels.push(subscription.channel);
                }
            }
        }
        state.connection = Some(connection);
    }

    /// A client's connection follows a channel no longer.
    pub(crate) fn forget_subscription(&mut self, client: usize, channel: ChannelId) {
        let state = &mut self.clients[client];
        let Some(connection) = &mut state.connection else { return };
        connection.subscriptions.retain(|subscription| subscription.channel != channel);
        // It may have left before its closed channel took it along.
        connection.must_close = false;
        connection.has_orphan |= !connection.partial.is_empty();
        (connection.has_unsubscribed, connection.idle_since) = (true, self.now);
        connection.has_left |= !connection.partial.is_empty();
        let server = &self.servers[connection.server];
        let name = server.channels.get(&channel).map(|channel| channel.name);
        let mut given_up = Vec::new();
        for owed in connection.owed.values_mut() {
            if owed.channels.contains(&channel) {
                given_up.push(owed.number);
            }
            owed.channels.retain(|known| *known != channel);
            // The event of its end may have come for another channel afterwards.
            owed.is_optional |= connection.end.is_some() || connection.may_close;
        }
        connection.owed.retain(|_, owed| owed.is_optional || !owed.channels.is_empty());
        let resets = |channel: ChannelId| {
            server.channels.get(&channel).is_some_and(|known| known.config.on_gap == GapPolicy::Reset)
        };
        let tells_of_one = connection.has_taken || connection.subscriptions.iter().any(|s| resets(s.channel));
        if connection.opening == Opening::Reset && !tells_of_one {
            connection.opening = Opening::None;
        }
        // What is due to one that is being closed stands.
        let is_planned = connection.is_planned || connection.end.is_some();
        for (number, name) in given_up.into_iter().zip(name.into_iter().cycle()) {
            state.excuse(number, name);
        }
        if !is_planned {
            self.plan_anew(client);
        }
    }

    /// Plans a connection again that took nothing yet. Where nobody knows whether it is being closed, its plan may stand.
    fn plan_anew(&mut self, client: usize) {
        let standing = self.clients[client].connection.as_ref().filter(|connection| connection.may_close);
        let standing = standing.map(|connection| (connection.owed.clone(), connection.resets.clone()));
        self.plan(client);
        let (Some((owed, resets)), Some(connection)) = (standing, &mut self.clients[client].connection)
        else {
            return;
        };
        for (position, owed) in owed {
            connection.owed.entry(position).or_insert(Owed { is_optional: true, ..owed });
        }
        connection.skipped.extend(connection.resets.symmetric_difference(&resets));
        connection.resets.retain(|reset| resets.contains(reset));
    }

    /// A channel was closed: nobody is owed anything new of it.
    pub(crate) fn channel_is_closed(&mut self, server: usize, id: ChannelId) {
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
