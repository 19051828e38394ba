//! Failures that the model found, each reduced to the shortest list of steps that shows it.

use crate::engine::{
    ChannelSetup, ConnectionSetup, Content, Excluded, GivenId, HubSetup, LastId, Op, Take, run,
};

fn connect(id: LastId) -> Op {
    Op::Connect(ConnectionSetup { id, ..ConnectionSetup::default() })
}

fn open(name: u8, log: ChannelSetup) -> Op {
    Op::Open { name, log }
}

fn subscribe(channel: u8, connection: u8) -> Op {
    Op::Subscribe { channel, connection }
}

fn publish(channels: u8) -> Op {
    Op::Publish { channels, event: Content::default(), except: None }
}

fn live(channels: u8) -> Op {
    Op::Publish { channels, event: Content { live_only: true, ..Content::default() }, except: None }
}

fn read_window(connection: u8) -> Op {
    Op::Transmit { connection, take: Take::Nothing }
}

/// A reader that had lost only a live-only event was closed as lagged after history evicted a later event.
#[test]
fn s1_losing_a_live_only_event_is_no_lag_when_history_is_empty() {
    let channel = ChannelSetup { bytes: Some(0), backlog_bytes: Some(0), ..ChannelSetup::default() };
    run(&[open(0, channel), connect(LastId::None), subscribe(0, 0), live(1), publish(1), read_window(0)]);
}

/// A loss beyond the end of a closing connection removed frames that were still pending for it.
#[test]
fn s1_a_loss_beyond_the_end_of_a_closing_connection_removes_no_pending_frame() {
    let setup = HubSetup { history_bytes: Some(0), ..HubSetup::default() };
    let channel = ChannelSetup { backlog_frames: Some(0), ..ChannelSetup::default() };
    run(&[
        Op::Configure(setup),
        open(0, channel),
        connect(LastId::None),
        subscribe(0, 0),
        Op::Close(0),
        publish(1),
        publish(1),
        read_window(0),
    ]);
}

/// With `LagPolicy::Skip`, the id of the reset was beyond the end of the connection. Earlier events of another
/// channel were hidden by it.
#[test]
fn h7_the_reset_of_a_closing_connection_is_not_beyond_its_end() {
    let channel =
        ChannelSetup { events: Some(1), backlog_frames: Some(0), skips: true, ..ChannelSetup::default() };
    run(&[
        open(0, ChannelSetup::default()),
        open(1, channel),
        connect(LastId::None),
        subscribe(0, 0),
        subscribe(1, 0),
        publish(1),
        Op::Close(0),
        publish(2),
        publish(1),
        publish(1),
        Op::Transmit { connection: 0, take: Take::All },
    ]);
}

/// The floor of a channel that opened in a hub with external positions was taken for an event that its first reader
/// had lost.
#[test]
fn o4_the_floor_of_a_new_channel_is_no_loss() {
    let external = HubSetup { external: true, after: 22, ..HubSetup::default() };
    let publish_at = |step, channels| Op::PublishAt { channels, step };
    run(&[
        Op::Configure(external),
        open(0, ChannelSetup::default()),
        publish_at(10, 1),
        open(1, ChannelSetup { backlog_bytes: Some(0), ..ChannelSetup::default() }),
        connect(LastId::Application(0)),
        subscribe(0, 0),
        publish_at(9, 1),
        publish_at(9, 1),
        read_window(0),
    ]);
}

/// A connection took a part of a frame before it was reported and then left the channel. It was never reported for
/// the rest.
#[test]
fn d3_a_connection_that_leaves_a_channel_is_reported_for_its_frame_in_progress() {
    run(&[
        open(0, ChannelSetup { application_ids: true, ..ChannelSetup::default() }),
        connect(LastId::None),
        Op::Transmit { connection: 0, take: Take::All },
        Op::PollAll,
        subscribe(0, 0),
        publish(1),
        Op::Transmit { connection: 0, take: Take::Bytes(1) },
        Op::Unsubscribe { channel: 0, connection: 0 },
        Op::PollAll,
    ]);
}

/// An event that excluded a connection counted as lost for it when the event expired, and nothing reported the loss.
#[test]
fn o5_an_excluded_event_that_expires_is_no_loss() {
    let channel = ChannelSetup { age: Some(1), start: 1, ..ChannelSetup::default() };
    run(&[
        open(0, channel),
        Op::Connect(ConnectionSetup { without_position: true, ..ConnectionSetup::default() }),
        Op::Publish { channels: 1, event: Content::default(), except: Some(Excluded::Connection(0)) },
        Op::PollAll,
        subscribe(0, 0),
        Op::Advance(1),
        Op::HandleTimeout,
        connect(LastId::None),
    ]);
}

/// A reader fell out of the backlog and subscribed again before its first byte. Events from before its subscription
/// counted as lost.
#[test]
fn s1_subscribing_again_before_the_first_byte_adds_no_loss() {
    let none = ChannelSetup { events: Some(0), backlog_bytes: Some(0), on_gap: 2, ..ChannelSetup::default() };
    let content = Content { id: GivenId::Application(0), ..Content::default() };
    run(&[
        open(1, ChannelSetup { application_ids: true, ..ChannelSetup::default() }),
        open(0, none),
        connect(LastId::None),
        subscribe(0, 0),
        publish(3),
        Op::Publish { channels: 3, event: content, except: None },
        read_window(0),
        subscribe(1, 0),
        read_window(0),
    ]);
}

/// A ping was sent before the reset for a loss that no action had reported yet.
#[test]
fn t1_no_ping_is_sent_before_an_unreported_loss() {
    let content = Content { id: GivenId::Application(0), ..Content::default() };
    run(&[
        open(0, ChannelSetup { age: Some(1), skips: true, ..ChannelSetup::default() }),
        Op::Publish { channels: 1, event: content, except: None },
        publish(1),
        Op::Connect(ConnectionSetup {
            id: LastId::Application(0),
            ping: Some(0),
            ..ConnectionSetup::default()
        }),
        subscribe(0, 0),
        Op::Advance(2),
        Op::Turn,
        read_window(0),
    ]);
}

/// A second subscription moved a reader back to its start. An event that excluded the reader counted as lost.
#[test]
fn o3_recomputing_the_start_loses_no_excluded_event() {
    run(&[
        open(1, ChannelSetup { events: Some(2), backlog_bytes: Some(0), ..ChannelSetup::default() }),
        Op::Connect(ConnectionSetup { without_position: true, ..ConnectionSetup::default() }),
        subscribe(0, 0),
        Op::Publish { channels: 1, event: Content::default(), except: Some(Excluded::Connection(0)) },
        open(2, ChannelSetup::default()),
        Op::PollAll,
        subscribe(0, 0),
        publish(6),
        publish(2),
        read_window(0),
    ]);
}

/// A reader skipped a loss before its first byte. When its subscriptions changed afterwards, the reset disappeared.
#[test]
fn s1_a_reset_before_the_first_byte_survives_a_new_subscription() {
    run(&[
        open(
            0,
            ChannelSetup { events: Some(1), backlog_frames: Some(0), skips: true, ..ChannelSetup::default() },
        ),
        open(1, ChannelSetup::default()),
        connect(LastId::Invalid(0)),
        subscribe(1, 0),
        publish(2),
        publish(2),
        read_window(0),
        subscribe(0, 0),
        Op::Transmit { connection: 0, take: Take::All },
    ]);
}

/// A second subscription resolved the id. The reader then lost events that its channel never had.
#[test]
fn h4_an_id_found_by_a_second_subscription_loses_nothing_in_the_first() {
    let content = Content { id: GivenId::Application(1), ..Content::default() };
    run(&[
        open(0, ChannelSetup { bytes: Some(0), ..ChannelSetup::default() }),
        open(1, ChannelSetup::default()),
        Op::Publish { channels: 3, event: content, except: None },
        publish(1),
        connect(LastId::Application(1)),
        subscribe(1, 0),
        subscribe(0, 0),
        publish(2),
        read_window(0),
    ]);
}

/// A closing connection continued from history beyond its end. The model reported a loss up to the end, although none
/// of the events before the end was lost.
#[test]
fn s1_a_closing_connection_that_continues_from_history_reports_only_real_losses() {
    let external = HubSetup { external: true, after: 19, ..HubSetup::default() };
    let channel = ChannelSetup {
        events: Some(1),
        backlog_bytes: Some(0),
        application_ids: true,
        start: 1,
        skips: true,
        ..ChannelSetup::default()
    };
    let publish_at = |step| Op::PublishAt { channels: 1, step };
    run(&[
        Op::Configure(external),
        open(0, channel),
        publish_at(21),
        publish_at(21),
        publish_at(23),
        connect(LastId::None),
        subscribe(0, 0),
        Op::ShutDown,
        publish_at(21),
        publish_at(15),
        Op::Transmit { connection: 0, take: Take::All },
    ]);
}

/// A closing connection left a channel before its first byte and got a reset beyond its end. Earlier events of other
/// channels were hidden by it.
#[test]
fn h7_unsubscribing_does_not_move_the_start_of_a_closing_connection() {
    run(&[
        open(0, ChannelSetup { events: Some(1), ..ChannelSetup::default() }),
        open(1, ChannelSetup::default()),
        open(2, ChannelSetup::default()),
        publish(1),
        connect(LastId::Behind(0)),
        subscribe(0, 0),
        subscribe(1, 0),
        subscribe(2, 0),
        publish(2),
        Op::Close(0),
        publish(2),
        publish(4),
        publish(4),
        Op::Unsubscribe { channel: 0, connection: 0 },
        Op::Transmit { connection: 0, take: Take::All },
    ]);
}

/// A closing connection continued from history beyond its end. Events beyond the end that were kept at that time
/// counted as lost.
#[test]
fn s1_history_beyond_the_end_of_a_closing_connection_is_no_loss() {
    let content = |id| Content { id: GivenId::Application(id), ..Content::default() };
    let with_id = |id| Op::Publish { channels: 1, event: content(id), except: None };
    run(&[
        open(1, ChannelSetup::default()),
        open(
            0,
            ChannelSetup {
                events: Some(1),
                backlog_frames: Some(0),
                application_ids: true,
                ..ChannelSetup::default()
            },
        ),
        connect(LastId::None),
        subscribe(0, 0),
        subscribe(1, 0),
        publish(2),
        publish(2),
        Op::Close(0),
        with_id(0),
        publish(1),
        publish(1),
        read_window(0),
        with_id(1),
        read_window(0),
    ]);
}
