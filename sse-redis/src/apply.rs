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
        let parsed = if description.has_hub_id {
            identified(hub, position, frame)
        } else {
            Frame::parse(frame.clone()).ok()
        };
        let parsed = parsed.map(|frame| if description.is_live_only { frame.live_only() } else { frame });
        let published = parsed
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

/// Reads the frame of an event that a history keeps. Only events with an id are kept: one without an id of the application has that
/// of its position. `None` if it is not a frame.
pub(crate) fn identified(hub: &HubMut<'_>, position: Position, frame: &Bytes) -> Option<Frame> {
    let frame = Frame::parse(frame.clone()).ok()?;
    if frame.id().is_some() { Some(frame) } else { frame.with_id(&hub.id_of(position)).ok() }
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

#[cfg(test)]
mod tests {
    use sse_core::shared::SharedHub;
    use sse_core::{ChannelConfig, HubConfig, PositionSource};

    use super::*;
    use crate::protocol::floor::Floor;
    use crate::protocol::repair::ChannelHistory;

    fn hub() -> SharedHub {
        let positions = PositionSource::Log { after: Position::new(40) };
        let config = HubConfig { positions, ..HubConfig::default() };
        SharedHub::new("test", config, || Instant::ORIGIN).unwrap().0
    }

    fn description(channels: &[&str]) -> Description {
        let channels = channels.iter().map(|name| (*name).to_owned()).collect();
        Description { publisher: 7, channels, ..Description::default() }
    }

    #[test]
    fn what_arrives_while_a_past_is_read_is_kept_for_it() {
        let (hub, opens) = (hub(), Opens::default());
        hub.open_channel("open", ChannelConfig::default()).unwrap();
        let opening = opens.begin(vec!["opening".into()], Position::new(40));
        let frame = Bytes::from_static(b"data: x\n\n");
        hub.with(|hub, now| {
            for (position, channels) in
                [(41, &["open", "opening"][..]), (42, &["opening"]), (43, &["closed"])]
            {
                let position = Position::new(position);
                apply(hub, now, &opens, 7, position, &description(channels), &frame);
            }
        });
        let floor = Floor { position: Position::new(30), is_complete: false };
        let complete = opening.complete(vec![ChannelHistory { floor, entries: Vec::new() }]).unwrap();
        let arrived: Vec<u64> = complete[0].entries.iter().map(|entry| entry.position.get()).collect();
        assert_eq!(arrived, [41, 42]);
        assert_eq!(hub.with(|hub, _| hub.head()), Position::new(43), "the head moves over what nobody wants");
        assert_eq!(hub.channel("open").unwrap().stats().unwrap().history_events, 1);
    }

    #[test]
    fn an_event_that_this_node_refuses_is_told_as_a_loss() {
        let (hub, opens) = (hub(), Opens::default());
        let channel = hub.open_channel("open", ChannelConfig::default()).unwrap();
        let outbound = hub.connect(Default::default()).unwrap();
        outbound.subscribe(&channel).unwrap();
        let large = Bytes::from(format!("data: {}\n\n", "x".repeat(2 << 20)));
        hub.with(|hub, now| apply(hub, now, &opens, 7, Position::new(41), &description(&["open"]), &large));
        assert_eq!(hub.stats().lagged, 1);
        assert_eq!(channel.stats().unwrap().floor, Position::new(41));
    }

    #[test]
    fn a_loss_reaches_every_channel_and_every_past_that_is_read() {
        let (hub, opens) = (hub(), Opens::default());
        let channel = hub.open_channel("open", ChannelConfig::default()).unwrap();
        let opening = opens.begin(vec!["opening".into()], Position::new(40));
        hub.with(|hub, now| lose_all(hub, now, &opens, Position::new(50)));
        assert_eq!(channel.stats().unwrap().floor, Position::new(50));
        let floor = Floor { position: Position::new(30), is_complete: false };
        assert!(opening.complete(vec![ChannelHistory { floor, entries: Vec::new() }]).is_none());
    }
}
