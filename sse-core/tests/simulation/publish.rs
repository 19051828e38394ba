//! Publication of events.

use std::collections::VecDeque;
use std::time::Duration;

use sse_core::{ChannelId, Event, Except, Frame, Position, PublishError, PublishOptions, Published};

use super::connection::ExpectedEvent;
use super::server::{Entry, Excluded, Truth, client_key};
use super::world::{CLIENTS, PositionSource, World};

/// One event that all servers receive.
pub(crate) struct FeedEvent {
    pub(crate) position: u64,
    pub(crate) frame: Frame,
    pub(crate) names: Vec<usize>,
    /// The event may be published to one channel after the other.
    pub(crate) may_be_split: bool,
    pub(crate) number: usize,
}

impl World {
    pub(crate) fn publish(&mut self) {
        let times = match self.random.below(100) {
            0..3 => 20,
            3..4 => 300,
            _ => 1,
        };
        for _ in 0..times {
            match self.positions {
                PositionSource::Local => self.publish_local(),
                PositionSource::External | PositionSource::Log => {
                    if self.random.chance(40) {
                        self.publish_to_feed();
                    }
                    let server = self.random.below(self.servers.len());
                    self.feed(server);
                }
            }
        }
    }

    fn names(&mut self) -> Vec<usize> {
        let count = self.random.pick(&[1, 1, 1, 2, 3]);
        let mut names: Vec<usize> = (0..self.settings.channels).collect();
        while names.len() > count {
            names.remove(self.random.below(names.len()));
        }
        names
    }

    /// Creates an event whose data contains its number.
    pub(super) fn event(&mut self) -> Event<'static> {
        let number = self.truth.len();
        let size = match self.random.below(100) {
            0 if self.settings.has_large_events => 40_000,
            0..10 => 300,
            _ => self.random.below(40),
        };
        let mut event = Event::new().data(format!("event {number}\n{}", "x".repeat(size)));
        if self.random.chance(20) {
            event = event.event("named");
        }
        if self.random.chance(5) {
            event = event.retry(Duration::from_millis(self.random.below(500) as u64));
        }
        if self.random.chance(5) {
            event = event.comment("a comment");
        }
        if self.random.chance(10) {
            return event.live_only();
        }
        if self.settings.reuses_ids && self.random.chance(20) {
            return event.id(format!("again-{}", self.random.below(3)));
        }
        if self.settings.has_app_ids && self.random.chance(30) {
            return event.id(format!("app-{number}"));
        }
        event
    }

    fn publish_local(&mut self) {
        let names = self.names();
        let channels: Vec<ChannelId> = names.iter().map(|name| self.channel(0, *name)).collect();
        let event = self.event();
        let except = self.exception();
        let key = match except {
            Some(Excluded::Client(client)) => client_key(client),
            _ => String::new(),
        };
        let options = PublishOptions {
            except: except.map(|except| match except {
                Excluded::Connection(id) => Except::Connection(id),
                Excluded::Client(_) => Except::Client(&key),
            }),
        };
        let now = self.clock();
        let published = self.servers[0].hub.publish_to(now, &channels, &event, options);
        let finished = channels.iter().find(|channel| self.servers[0].channels[*channel].is_finished);
        if let Some(finished) = finished {
            return assert_eq!(published, Err(PublishError::Finished(*finished)), "K4");
        }
        let Published { position, frame, subscriptions, .. } = published.expect("published");
        let members = channels.iter().map(|channel| self.servers[0].hub.members(*channel).count());
        assert_eq!(subscriptions, members.sum::<usize>());
        let number = self.record(&names, 0, position.get(), &frame);
        self.servers[0].published += 1;
        self.append(0, number, &names, &channels, (position.get(), &frame), except);
    }

    fn exception(&mut self) -> Option<Excluded> {
        if !self.random.chance(8) {
            return None;
        }
        let client = self.random.below(CLIENTS);
        if self.random.chance(50) {
            return Some(Excluded::Client(client));
        }
        self.clients[client].connection.as_ref().map(|connection| Excluded::Connection(connection.id))
    }

    /// Records an event at its first publication.
    pub(super) fn record(&mut self, names: &[usize], server: usize, position: u64, frame: &Frame) -> usize {
        let number = self.truth.len();
        let mut decoder = sse_core::Decoder::new();
        decoder.push(frame.as_bytes());
        let message = decoder.next_message().expect("an event").expect("a small event");
        self.truth.push(Truth {
            epoch: self.servers[server].epoch,
            position,
            names: names.to_vec(),
            id: frame.id().map(str::to_owned),
            event: message.event,
            data: message.data,
            is_replayable: frame.id().is_some() && !frame.is_live_only(),
        });
        number
    }

    fn publish_to_feed(&mut self) {
        let position = self.feed.last().map_or(0, |event| event.position) + 1 + self.random.below(2) as u64;
        let names = self.names();
        let event = self.event();
        let frame = event.encode().expect("a valid event");
        // A record of a log names all channels.
        let is_log = self.positions == PositionSource::Log;
        let may_be_split = !is_log && (frame.id().is_some() || frame.is_live_only());
        let number = self.truth.len();
        // The id and the content are known once the first server has published the event.
        self.truth.push(Truth {
            epoch: 0,
            position,
            names: names.clone(),
            id: frame.id().map(str::to_owned),
            event: String::new(),
            data: String::new(),
            is_replayable: frame.id().is_some() && !frame.is_live_only(),
        });
        self.feed.push(FeedEvent { position, frame, names, may_be_split, number });
    }

    /// Publishes the next event of the feed to a server, and sometimes an earlier one again.
    pub(crate) fn feed(&mut self, server: usize) {
        if self.random.chance(5) {
            self.feed_duplicate(server);
        }
        if self.servers[server].next_channels.is_empty() {
            let Some(next) = self.feed.get(self.servers[server].feed_index) else { return };
            self.servers[server].next_channels = next.names.iter().copied().collect();
        }
        let next = &self.feed[self.servers[server].feed_index];
        let (position, frame, number) = (next.position, next.frame.clone(), next.number);
        let is_split = next.may_be_split && self.random.chance(50);
        let next_channels = &mut self.servers[server].next_channels;
        let is_first = next_channels.len() == next.names.len();
        let names: Vec<usize> =
            if is_split { next_channels.drain(..1).collect() } else { next_channels.drain(..).collect() };
        if next_channels.is_empty() {
            self.servers[server].feed_index += 1;
        }
        let channels: Vec<ChannelId> = names.iter().map(|name| self.channel(server, *name)).collect();
        let now = self.clock();
        let hub = &mut self.servers[server].hub;
        let published = hub
            .publish_at(now, &channels, Position::new(position), &frame, PublishOptions::default())
            .expect("published");
        assert_eq!(published.position.get(), position);
        let mut decoder = sse_core::Decoder::new();
        decoder.push(published.frame.as_bytes());
        let message = decoder.next_message().expect("an event").expect("a small event");
        let truth = &mut self.truth[number];
        truth.id = published.frame.id().map(str::to_owned);
        (truth.event, truth.data) = (message.event, message.data);
        truth.is_replayable = truth.id.is_some() && !published.frame.is_live_only();
        // The parts of a split event count as one.
        self.servers[server].published += u64::from(is_first);
        let members = channels.iter().map(|channel| self.servers[server].hub.members(*channel).count());
        assert_eq!(published.subscriptions, members.sum::<usize>());
        self.append(server, number, &names, &channels, (position, &published.frame), None);
    }

    /// Publishes an earlier event again, which the hub ignores (O4).
    fn feed_duplicate(&mut self, server: usize) {
        let feed_index = self.servers[server].feed_index;
        if feed_index == 0 || !self.servers[server].next_channels.is_empty() {
            return;
        }
        let old = &self.feed[self.random.below(feed_index)];
        let (position, frame, names) = (old.position, old.frame.clone(), old.names.clone());
        let known: VecDeque<ChannelId> = names
            .iter()
            .filter_map(|name| {
                let server = &self.servers[server];
                server
                    .channels
                    .iter()
                    .find(|(id, c)| c.name == *name && server.hub.channel_name(**id).is_some())
            })
            .filter(|(_, channel)| position < self.servers[server].head() || channel.newest() >= position)
            .map(|(id, _)| *id)
            .collect();
        let channels: Vec<ChannelId> = known.into_iter().collect();
        if channels.is_empty() {
            return;
        }
        self.log(|_| format!("server {server} receives {position} again"));
        let hub = &mut self.servers[server].hub;
        let before = (hub.head(), hub.stats());
        let published = hub
            .publish_at(self.now, &channels, Position::new(position), &frame, PublishOptions::default())
            .expect("ignored");
        assert_eq!(published.subscriptions, 0);
        let after = hub.stats();
        assert_eq!((hub.head(), after.history_bytes), (before.0, before.1.history_bytes));
        self.servers[server].published += after.published - before.1.published;
    }

    /// Records the effect of a publication on channels and connections.
    pub(super) fn append(
        &mut self,
        server: usize,
        number: usize,
        names: &[usize],
        channels: &[ChannelId],
        (position, frame): (u64, &Frame),
        except: Option<Excluded>,
    ) {
        self.blocks.insert(frame.as_bytes().to_vec(), number);
        let is_replayable = frame.id().is_some() && !frame.is_live_only();
        self.log(|_| {
            format!(
                "server {server}: event {number} at {position} to {channels:?}, id {:?}, live only {}, without {except:?}",
                frame.id(),
                frame.is_live_only(),
            )
        });
        for channel in channels {
            let state = self.servers[server].channels.get_mut(channel).expect("an open channel");
            let bytes = frame.len();
            state.log.push(Entry { number, position, at: self.now, bytes, is_replayable, except });
        }
        for client in 0..CLIENTS {
            for (name, channel) in names.iter().zip(channels) {
                self.expect_event(client, server, number, *name, *channel, except);
            }
        }
    }

    fn expect_event(
        &mut self,
        client: usize,
        server: usize,
        number: usize,
        name: usize,
        channel: ChannelId,
        except: Option<Excluded>,
    ) {
        let truth = &self.truth[number];
        // A connection may have passed the position before later parts arrive, by an event of that position or by a
        // reset.
        let is_later_part = truth.names.first() != Some(&name);
        let state = &mut self.clients[client];
        if except == Some(Excluded::Client(client)) {
            return state.excuse(number, name);
        }
        let Some(connection) = state.connection.as_mut().filter(|c| c.server == server) else { return };
        if except == Some(Excluded::Connection(connection.id)) {
            return state.excuse(number, name);
        }
        if connection.end.is_some_and(|end| truth.position > end) {
            return;
        }
        let Some(subscription) = connection.subscriptions.iter().find(|s| s.channel == channel) else {
            let resumes = connection.last_event_id.is_some() && !connection.start_is_fixed;
            let is_soon = connection.to_subscribe.contains(&name) && !self.settings.has_late_subscriptions;
            if !resumes || !is_soon {
                state.excuse(number, name);
            }
            return;
        };
        if truth.position <= subscription.live_after.max(connection.announced)
            || connection.received.contains(&number)
        {
            return;
        }
        let event = connection.expected.entry(truth.position).or_insert(ExpectedEvent {
            number,
            at: self.now,
            is_replayable: truth.is_replayable,
            channels: Vec::new(),
            is_optional: (self.positions == PositionSource::External && is_later_part)
                || connection.may_close
                || connection.end.is_some(),
        });
        event.channels.push(channel);
    }
}
