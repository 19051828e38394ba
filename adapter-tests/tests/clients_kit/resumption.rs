//! What a client has to see while its streams are cut: by the end of a response, and by a reset of the transport.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use adapter_tests::Path;
use adapter_tests::programs::Missing;
use sse_core::shared::Channel;
use sse_core::{ChannelConfig, ConnectionConfig, ControlEvents, Event, Frame, PublishOptions};

use super::relay::Relay;
use super::{Server, TIMEOUT, wait_until};

/// The channels that a client follows: the server ends the streams of one, the relay resets those of the other.
pub(crate) const CHANNELS: [&str; 2] = [ENDED, RESET];
const ENDED: &str = "ended";
const RESET: &str = "reset";

/// Pings are frequent, so that some of them are between any two events.
const PING: Duration = Duration::from_millis(50);

/// The reconnection time.
const RETRY: Duration = Duration::from_millis(200);

/// The type, id and data of an event.
type Seen = [String; 3];

/// Checks that a client comes back by itself after each cut, and that its user sees each event once and nothing else.
///
/// The first cut comes before the first event. The argument starts the client, which reports to the relay what it sees.
pub(crate) fn check<C>(path: Path, start: impl FnOnce(&Relay) -> Result<C, Missing>) -> Result<(), Missing> {
    let server = Server::with(path, ConnectionConfig { ping: Some(PING), ..ConnectionConfig::default() });
    let relay = Relay::start(server.port, &CHANNELS, RESET);
    let _client = start(&relay)?;
    let seen = CHANNELS.map(|name| (name.to_owned(), Vec::new())).into();
    let mut check = Check { server, relay, seen, expected: Vec::new() };

    check.server.wait_for_connections(CHANNELS.len());
    check.server.send(&Frame::retry(RETRY).expect("the time is in range"));
    check.expect(ControlEvents::POSITION, "e-0", "");
    // What has arrived before a reset is lost unless the client has read it. Before an end, nothing is lost.
    check.wait_for(RESET);
    check.wait_for_pings();
    check.cut();
    check.publish("missed");
    check.relay.release();
    check.wait_for_all();

    check.wait_for_pings();
    check.publish("live");
    check.wait_for_all();

    check.cut();
    let lost_through = check.lose_an_event();
    check.expect(ControlEvents::RESET, &lost_through, "");
    check.relay.release();
    check.wait_for_all();

    // Without the id of the reset, the client would come back with an older id and receive another reset.
    check.cut();
    check.publish("missed after the reset");
    check.relay.release();
    check.wait_for_all();

    check.wait_for_pings();
    check.publish("last");
    check.wait_for_all();
    Ok(())
}

/// A client, what it has seen, and what it has to see.
struct Check {
    server: Server,
    relay: Relay,
    /// The events that the client has seen in each of the channels.
    seen: BTreeMap<String, Vec<Seen>>,
    /// The events of each channel.
    expected: Vec<Seen>,
}

impl Check {
    fn expect(&mut self, kind: &str, id: &str, data: &str) {
        self.expected.push([kind, id, data].map(str::to_owned));
    }

    /// Publishes an event to both channels.
    fn publish(&mut self, data: &str) {
        let id = self.publish_to_both(data);
        self.expect("message", &id, data);
    }

    /// Returns the id of the event.
    fn publish_to_both(&self, data: &str) -> String {
        let channels = CHANNELS.map(|name| self.channel(name));
        let [ended, reset] = &channels;
        let event = Event::new().data(data);
        let published = self.server.hub.publish_to(&[ended, reset], &event, PublishOptions::default());
        published.expect("both channels are open").frame.id().expect("the hub assigns ids").to_owned()
    }

    /// Opens a channel unless it is open.
    fn channel(&self, name: &str) -> Channel {
        self.server.hub.open_channel(name, ChannelConfig::default()).expect("there is room")
    }

    /// Cuts both streams. The client cannot come back before [`Relay::release`].
    fn cut(&self) {
        self.relay.hold();
        self.relay.reset();
        self.end();
        self.server.wait_for_connections(0);
    }

    /// Ends the streams that the relay does not reset.
    fn end(&self) {
        let channel = self.channel(ENDED).id();
        self.server.hub.with(|hub, now| {
            for connection in hub.members(channel).collect::<Vec<_>>() {
                hub.close_connection(now, connection);
            }
        });
    }

    /// Publishes an event, and closes the channels with their history. Returns the id of the event.
    fn lose_an_event(&self) -> String {
        let id = self.publish_to_both("lost");
        for name in CHANNELS {
            self.channel(name).close();
            // A channel that is opened now cannot replay anything older.
            self.channel(name);
        }
        id
    }

    /// Waits for a ping on each connection.
    fn wait_for_pings(&self) {
        let pings = || self.server.hub.stats().pings;
        let before = pings();
        wait_until("pings", || pings() >= before + 2 * CHANNELS.len() as u64);
    }

    fn wait_for_all(&mut self) {
        for channel in CHANNELS {
            self.wait_for(channel);
        }
    }

    /// Waits until the client has seen the expected events of a channel, and checks that it has seen nothing else.
    fn wait_for(&mut self, channel: &str) {
        let started = Instant::now();
        while self.seen[channel].len() < self.expected.len() {
            if let Some(report) = self.relay.report_within(Duration::from_secs(1)) {
                let [channel, seen @ ..]: [String; 4] = serde_json::from_str(&report).expect("four texts");
                self.seen.entry(channel).or_default().push(seen);
            }
            let (expected, seen) = (&self.expected, &self.seen[channel]);
            assert!(started.elapsed() < TIMEOUT, "{channel}: of {expected:?}, only {seen:?}");
        }
        assert_eq!(self.seen[channel], self.expected, "{channel}");
    }
}
