//! Helpers of the rule tests: a hub with a clock, and clients that collect what they receive.
#![allow(dead_code, reason = "each test file uses a part of them")]

use std::num::NonZeroUsize;
use std::time::Duration;

use bytes::Buf;
use sse_core::{
    Action, BacklogConfig, ChannelConfig, ChannelId, CloseReason, ConnectionConfig, ConnectionId, Decoder,
    Event, Frame, HistoryConfig, Hub, HubConfig, Instant, LastEventId, Message, OnMaxLifetime, Position,
    PositionSource, PublishOptions, Published, Resume,
};

/// A hub with the epoch `e`, and the clock that drives it.
pub(crate) struct World {
    pub(crate) hub: Hub,
    pub(crate) now: Instant,
}

impl World {
    pub(crate) fn new() -> World {
        World::with(HubConfig::default())
    }

    pub(crate) fn with(config: HubConfig) -> World {
        let hub = Hub::new(HubConfig { epoch: "e".into(), ..config }).unwrap();
        World { hub, now: Instant::ORIGIN }
    }

    /// Creates a hub that receives its positions, all of them above `after`.
    pub(crate) fn external(after: u64) -> World {
        let positions = PositionSource::External { after: Position::new(after) };
        World::with(HubConfig { positions, ..HubConfig::default() })
    }

    /// Creates a hub that follows a log above `after`.
    pub(crate) fn log(after: u64) -> World {
        let positions = PositionSource::Log { after: Position::new(after) };
        World::with(HubConfig { positions, ..HubConfig::default() })
    }

    /// Runs a driver for a time and returns its actions. The driver sleeps exactly until each deadline.
    pub(crate) fn run_for(&mut self, time: Duration) -> Vec<Action> {
        let end = self.now.saturating_add(time);
        let mut actions = self.actions();
        while let Some(at) = self.hub.poll_timeout().filter(|at| *at <= end) {
            self.now = at;
            actions.extend(self.actions());
        }
        self.now = end;
        actions.extend(self.actions());
        actions
    }

    /// Runs a driver until there are actions, and returns the time that passed and the actions.
    pub(crate) fn run_until_action(&mut self) -> (Duration, Vec<Action>) {
        let start = self.now;
        loop {
            let actions = self.actions();
            if !actions.is_empty() {
                return (self.now.saturating_duration_since(start), actions);
            }
            self.now = self.hub.poll_timeout().expect("the driver would sleep for ever");
        }
    }

    pub(crate) fn open(&mut self, name: &str) -> ChannelId {
        self.open_with(name, ChannelConfig::default())
    }

    pub(crate) fn open_with(&mut self, name: &str, config: ChannelConfig) -> ChannelId {
        self.hub.open_channel(self.now, name, config).unwrap()
    }

    /// Opens a channel that keeps this many events.
    pub(crate) fn open_with_history(&mut self, name: &str, events: usize) -> ChannelId {
        self.open_with(name, ChannelConfig { history: history_of(events), ..ChannelConfig::default() })
    }

    /// Opens a connection without a position as first block, so that tests see events only.
    pub(crate) fn connect(&mut self) -> ConnectionId {
        self.connect_with(without_position())
    }

    /// Opens a connection with a last event id.
    pub(crate) fn reconnect(&mut self, last_event_id: &str) -> ConnectionId {
        let last_event_id = LastEventId::new(last_event_id.as_bytes());
        self.connect_with(ConnectionConfig { last_event_id, ..ConnectionConfig::default() })
    }

    pub(crate) fn connect_with(&mut self, config: ConnectionConfig) -> ConnectionId {
        self.hub.connect(self.now, config).unwrap()
    }

    /// Opens a connection and subscribes it to a channel.
    pub(crate) fn follow(&mut self, channel: ChannelId) -> ConnectionId {
        let connection = self.connect();
        self.subscribe(channel, connection);
        connection
    }

    pub(crate) fn subscribe(&mut self, channel: ChannelId, connection: ConnectionId) -> Resume {
        self.hub.subscribe(self.now, channel, connection).unwrap()
    }

    pub(crate) fn publish(&mut self, channel: ChannelId, data: &str) -> Published {
        self.publish_event(channel, Event::new().data(data))
    }

    /// Publishes events whose data is their number.
    pub(crate) fn publish_numbers(&mut self, channel: ChannelId, numbers: std::ops::RangeInclusive<u64>) {
        for number in numbers {
            self.publish(channel, &number.to_string());
        }
    }

    pub(crate) fn publish_event(&mut self, channel: ChannelId, event: Event<'_>) -> Published {
        self.hub.publish(self.now, channel, &event).unwrap()
    }

    /// Publishes one event to several channels.
    pub(crate) fn publish_to(&mut self, channels: &[ChannelId], data: &str) -> Published {
        let event = Event::new().data(data);
        self.hub.publish_to(self.now, channels, &event, PublishOptions::default()).unwrap()
    }

    pub(crate) fn publish_except(&mut self, except: ConnectionId, channel: ChannelId, data: &str) {
        let options = PublishOptions { except: Some(except.into()) };
        self.hub.publish_to(self.now, &[channel], &Event::new().data(data), options).unwrap();
    }

    /// Publishes an event at a position, in a hub with external positions.
    pub(crate) fn publish_at(&mut self, channel: ChannelId, position: u64) -> Published {
        let frame = data_frame(&position.to_string());
        self.hub
            .publish_at(self.now, &[channel], Position::new(position), &frame, PublishOptions::default())
            .unwrap()
    }

    pub(crate) fn send(&mut self, connection: ConnectionId, data: &str) {
        self.hub.send(self.now, connection, &data_frame(data)).unwrap();
    }

    /// Returns all pending actions, after handling the deadlines that have passed.
    pub(crate) fn actions(&mut self) -> Vec<Action> {
        let mut actions = Vec::new();
        for _ in 0..1_000_000 {
            match self.hub.poll_action() {
                Some(action) => actions.push(action),
                None if self.hub.poll_timeout().is_some_and(|at| at <= self.now) => {
                    self.hub.handle_timeout(self.now);
                }
                None => return actions,
            }
        }
        panic!("actions without end");
    }

    /// Takes all pending bytes of a connection.
    pub(crate) fn take(&mut self, connection: ConnectionId) -> String {
        let mut taken = Vec::new();
        loop {
            let mut window = self.hub.transmit(self.now, connection);
            if !window.has_remaining() {
                return String::from_utf8(taken).unwrap();
            }
            let chunk = window.chunk().len();
            taken.extend_from_slice(window.chunk());
            window.advance(chunk);
        }
    }

    /// Takes at most this many of the pending bytes.
    pub(crate) fn take_bytes(&mut self, connection: ConnectionId, count: usize) -> String {
        let taken = self.hub.transmit(self.now, connection).copy_to_bytes(count);
        String::from_utf8(taken.to_vec()).unwrap()
    }

    /// Takes the first pending frame.
    pub(crate) fn take_frame(&mut self, connection: ConnectionId) -> String {
        let frame = self.hub.transmit(self.now, connection).chunk().len();
        self.take_bytes(connection, frame)
    }

    /// Returns the number of bytes in the next window.
    pub(crate) fn pending_bytes(&mut self, connection: ConnectionId) -> usize {
        self.hub.transmit(self.now, connection).remaining()
    }

    /// Takes all pending bytes and returns the data of the events, with `reset <id>` and `position <id>` for the hub's own.
    pub(crate) fn data(&mut self, connection: ConnectionId) -> Vec<String> {
        data(&self.take(connection))
    }

    /// Returns the number of members and of frames in the backlog.
    pub(crate) fn backlog(&self, channel: ChannelId) -> (usize, usize) {
        let stats = self.hub.channel_stats(channel).unwrap();
        (stats.members, stats.backlog_frames)
    }

    /// Polls all actions and returns the closed connections with their reasons.
    pub(crate) fn close_reasons(&mut self) -> Vec<(ConnectionId, CloseReason)> {
        close_reasons(&self.actions())
    }
}

/// Decodes a stream as a client does.
pub(crate) fn messages(stream: &str) -> Vec<Message> {
    let mut decoder = Decoder::new();
    decoder.push(stream.as_bytes());
    std::iter::from_fn(|| decoder.next_message()).map(Result::unwrap).collect()
}

/// Returns the data of the events in a stream, with `reset <id>` and `position <id>` for the hub's own.
pub(crate) fn data(stream: &str) -> Vec<String> {
    let show = |message: Message| match message.event.as_str() {
        "reset" | "position" => format!("{} {}", message.event, message.id),
        _ => message.data,
    };
    messages(stream).into_iter().map(show).collect()
}

pub(crate) fn data_frame(data: &str) -> Frame {
    Event::new().data(data).encode().unwrap()
}

pub(crate) fn close_reasons(actions: &[Action]) -> Vec<(ConnectionId, CloseReason)> {
    let end = |action: &Action| match action {
        Action::Close { connection, reason } => Some((*connection, *reason)),
        _ => None,
    };
    actions.iter().filter_map(end).collect()
}

/// Returns the configuration of a connection without a position as first block.
pub(crate) fn without_position() -> ConnectionConfig {
    ConnectionConfig { announce_position: false, ..ConnectionConfig::default() }
}

/// Returns the configuration of a channel whose backlog has a single frame.
pub(crate) fn narrow_backlog() -> ChannelConfig {
    let backlog = BacklogConfig { frames: NonZeroUsize::MIN, ..BacklogConfig::default() };
    ChannelConfig { backlog, ..ChannelConfig::default() }
}

pub(crate) fn history_of(events: usize) -> HistoryConfig {
    HistoryConfig { events, ..HistoryConfig::default() }
}

pub(crate) fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

pub(crate) fn connect_without_pings(w: &mut World) -> ConnectionId {
    w.connect_with(ConnectionConfig { ping: None, ..without_position() })
}

/// Returns a connection that has taken its first ping. The following intervals are exact.
pub(crate) fn pinged(w: &mut World) -> ConnectionId {
    let c = w.connect();
    w.run_until_action();
    assert_eq!(w.take(c), ":\n");
    c
}

pub(crate) fn connect_with_lifetime(
    w: &mut World,
    lifetime: Duration,
    on_max_lifetime: OnMaxLifetime,
) -> ConnectionId {
    w.connect_with(ConnectionConfig { max_lifetime: Some(lifetime), on_max_lifetime, ..without_position() })
}
