//! What records of the log do to the hub of a node.

use bytes::Bytes;
use sse_core::shared::HubMut;
use sse_core::{Except, Frame, Instant, Position, PublishOptions};

use crate::opens::Opens;
use crate::protocol::record::{Description, Excluded};

/// Returns the instant of a position: positions are microseconds since 1970, and so are instants.
pub(crate) fn instant_of(position: Position) -> Instant {
    Instant::from_nanos(position.get().saturating_mul(1000))
}

/// Publishes an event to the channels that are open here, or closes them.
pub(crate) fn apply(
    hub: &mut HubMut<'_>,
    now: Instant,
    opens: &Opens,
    publisher: u64,
    position: Position,
    description: &Description,
    frame: &Bytes,
) {
    let mut open = Vec::with_capacity(description.channels.len());
    for name in &description.channels {
        match hub.channel(name) {
            Some(channel) => open.push(channel),
            None => opens.arrive(name, position, frame),
        }
    }
    if description.closes {
        for channel in open {
            hub.close_channel(now, channel);
        }
    } else if !open.is_empty() {
        let connection = match &description.except {
            Excluded::Connection(id) if description.publisher == publisher => id.parse().ok(),
            _ => None,
        };
        let except = match &description.except {
            Excluded::Client(key) => Some(Except::Client(key)),
            _ => connection.map(Except::Connection),
        };
        let parsed = Frame::parse(frame.clone());
        let parsed = parsed.map(|frame| if description.is_live_only { frame.live_only() } else { frame });
        let published = parsed
            .ok()
            .map(|frame| hub.publish_at(now, &open, position, &frame, PublishOptions { except }).is_ok());
        if published != Some(true) {
            // The limits of this node refuse the event: its members are told.
            for channel in open {
                hub.lose(now, channel, position);
            }
        }
    }
    hub.advance(now, position);
}

/// Declares that everything up to a position is lost, in all channels.
pub(crate) fn lose_all(hub: &mut HubMut<'_>, now: Instant, opens: &Opens, through: Position) {
    opens.lose();
    let open: Vec<_> = hub.channels().map(|(channel, _)| channel).collect();
    for channel in open {
        hub.lose(now, channel, through);
    }
    hub.advance(now, through);
}
