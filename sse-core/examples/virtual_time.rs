//! A test of a hub on virtual time, without a clock, sockets or waiting. A day of a browser with a bad connection takes
//! milliseconds, and the same seed gives the same day.
//!
//! Run `cargo run --package sse-core --example virtual_time [SEED]`.

use std::time::Duration;

use bytes::Buf;
use sse_core::{
    Action, ChannelConfig, ChannelId, ConnectionConfig, ConnectionId, ControlEvents, Decoder, Event, Hub,
    HubConfig, Instant, LastEventId,
};

/// The state of an `EventSource`, which reconnects after `retry` with its last event id.
struct Browser {
    decoder: Decoder,
    last_event_id: String,
    connection: Option<ConnectionId>,
    reconnects_at: Instant,
    seen: Vec<String>,
}

impl Browser {
    fn connect(&mut self, hub: &mut Hub, now: Instant, channel: ChannelId) {
        let last_event_id = LastEventId::new(self.last_event_id.as_bytes());
        let config = ConnectionConfig { last_event_id, ..ConnectionConfig::default() };
        let connection = hub.connect(now, config).expect("there is room");
        hub.subscribe(now, channel, connection).expect("both are open");
        self.decoder = Decoder::new().with_last_event_id(&self.last_event_id);
        self.connection = Some(connection);
    }

    fn read(&mut self, hub: &mut Hub, now: Instant, connection: ConnectionId) {
        let mut window = hub.transmit(now, connection);
        while window.has_remaining() {
            let chunk = window.chunk();
            self.decoder.push(chunk);
            let count = chunk.len();
            window.advance(count);
        }
        while let Some(message) = self.decoder.next_message() {
            let message = message.expect("events are small");
            // A page does not listen for the event that tells a new connection its position.
            if message.event != ControlEvents::POSITION {
                self.seen.push(message.data);
            }
        }
        self.last_event_id = self.decoder.last_event_id().to_owned();
    }

    /// Disconnects, and waits for the reconnection time.
    fn lose_connection(&mut self, hub: &mut Hub, now: Instant) {
        if let Some(connection) = self.connection.take() {
            hub.disconnect(now, connection);
        }
        let retry = self.decoder.retry().unwrap_or(Duration::from_secs(3));
        self.reconnects_at = now.saturating_add(retry);
    }
}

fn main() {
    let mut random = std::env::args().nth(1).map_or(1, |seed| seed.parse().expect("a number"));
    let mut random_below = |limit: u64| {
        // The upper bits of a linear congruential generator are random enough for this purpose.
        random = u64::wrapping_mul(random, 6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) % limit
    };
    let mut hub = Hub::new(HubConfig::default()).expect("the default configuration is valid");
    let mut now = Instant::ORIGIN;
    let channel = hub.open_channel(now, "news", ChannelConfig::default()).expect("there is room");
    let mut browser = Browser {
        decoder: Decoder::new(),
        last_event_id: String::new(),
        connection: None,
        reconnects_at: now,
        seen: Vec::new(),
    };
    browser.connect(&mut hub, now, channel);
    let mut published = Vec::new();
    let mut publishes_at = now;
    let mut disconnects_at = Instant::from_millis(random_below(60_000));
    let end = Instant::from_millis(24 * 60 * 60 * 1000);
    while now < end {
        hub.handle_timeout(now);
        if publishes_at <= now {
            published.push(format!("headline {}", published.len()));
            let event = Event::new().data(published.last().expect("one was pushed"));
            hub.publish(now, channel, &event).expect("the channel is open");
            publishes_at = now.saturating_add(Duration::from_millis(random_below(20_000)));
        }
        if disconnects_at <= now {
            browser.lose_connection(&mut hub, now);
            disconnects_at = now.saturating_add(Duration::from_millis(random_below(60_000)));
        }
        if browser.connection.is_none() && browser.reconnects_at <= now {
            browser.connect(&mut hub, now, channel);
        }
        while let Some(action) = hub.poll_action() {
            match action {
                Action::Transmit(connection) => browser.read(&mut hub, now, connection),
                Action::Close { connection, .. } if browser.connection == Some(connection) => {
                    browser.lose_connection(&mut hub, now);
                }
                _ => {}
            }
        }
        // Advance the time to the next event.
        let reconnects = browser.connection.is_none().then_some(browser.reconnects_at);
        let next = [Some(publishes_at), Some(disconnects_at), reconnects, hub.poll_timeout()];
        now = next.into_iter().flatten().min().unwrap_or(end).max(now);
    }
    if browser.connection.is_none() {
        browser.connect(&mut hub, now, channel);
    }
    let connection = browser.connection.expect("the browser is connected");
    browser.read(&mut hub, now, connection);
    assert_eq!(browser.seen, published, "each event arrives once, in order");
    let stats = hub.stats();
    println!(
        "{} events, {} connections, {} replayed, {} pings",
        stats.published, stats.opened, stats.replayed, stats.pings
    );
}
