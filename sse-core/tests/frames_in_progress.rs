//! Frames in progress are completed, whatever happens to channel, log and subscription (S3).
mod common;
use std::num::NonZeroUsize;

use common::{World, history_of, secs};
use sse_core::{
    Action, BacklogConfig, ChannelConfig, ChannelId, CloseReason, ConnectionConfig, ConnectionId, LagPolicy,
    OnClose,
};

const FRAME: &str = "id: e-1\ndata: 1\n\n";

/// Returns a reader of `channel` that took `taken` bytes of its first event.
fn reader_in_progress(w: &mut World, channel: ChannelId, taken: usize) -> ConnectionId {
    let c = w.follow(channel);
    w.publish(channel, "1");
    w.actions();
    assert_eq!(w.take_bytes(c, taken), FRAME[..taken]);
    c
}

fn open_with_one_frame(w: &mut World, on_lag: LagPolicy) -> ChannelId {
    let backlog = BacklogConfig { frames: NonZeroUsize::MIN, ..Default::default() };
    w.open_with("a", ChannelConfig { backlog, history: history_of(1), on_lag, ..Default::default() })
}

#[test]
fn s3_a_frame_can_be_split_at_any_byte() {
    for taken in 1..FRAME.len() {
        let mut w = World::new();
        let a = w.open("a");
        let c = reader_in_progress(&mut w, a, taken);
        w.publish(a, "2");
        assert_eq!(w.take(c), format!("{}id: e-2\ndata: 2\n\n", &FRAME[taken..]));
    }
}

#[test]
fn s3_a_frame_is_completed_when_it_falls_out_of_log_and_history() {
    let mut w = World::new();
    let a = open_with_one_frame(&mut w, LagPolicy::Skip);
    let c = reader_in_progress(&mut w, a, 4);
    w.publish_numbers(a, 2..=9);
    assert_eq!(w.backlog(a), (1, 1), "the frame in progress does not count");
    let rest = &FRAME[4..];
    assert_eq!(w.take(c), format!("{rest}id: e-8\nevent: reset\ndata: \n\nid: e-9\ndata: 9\n\n"));
}

#[test]
fn s3_a_frame_is_completed_before_the_connection_is_closed_for_lag() {
    let mut w = World::new();
    let a = open_with_one_frame(&mut w, LagPolicy::Close);
    let c = reader_in_progress(&mut w, a, 4);
    w.publish_numbers(a, 2..=9);
    assert_eq!(w.take_bytes(c, 1), "e");
    assert_eq!(w.close_reasons(), []);
    assert_eq!(w.take(c), FRAME[5..]);
    assert_eq!(w.close_reasons(), [(c, CloseReason::Lagged)]);
}

#[test]
fn s3_a_lagged_connection_that_does_not_take_the_rest_stalls() {
    let mut w = World::new();
    let a = open_with_one_frame(&mut w, LagPolicy::Close);
    let c = reader_in_progress(&mut w, a, 4);
    w.publish_numbers(a, 2..=9);
    assert_eq!(w.pending_bytes(c), FRAME.len() - 4);
    assert_eq!(common::close_reasons(&w.run_for(secs(30))), [(c, CloseReason::Stalled)]);
    assert_eq!(w.backlog(a), (0, 0));
}

#[test]
fn s3_a_frame_is_completed_when_its_channel_closes() {
    let mut w = World::new();
    let a = w.open("a");
    let c = reader_in_progress(&mut w, a, 4);
    w.hub.close_channel(w.now, a);
    w.actions();
    assert_eq!(w.take(c), FRAME[4..]);
    assert_eq!(w.hub.stats().channels, 0);
    assert_eq!(w.hub.stats().connections, 1);
}

#[test]
fn s3_a_frame_is_completed_when_its_channel_closes_the_connection() {
    let mut w = World::new();
    let config = ChannelConfig { on_close: OnClose::CloseConnections, ..Default::default() };
    let a = w.open_with("a", config);
    let c = reader_in_progress(&mut w, a, 4);
    w.hub.close_channel(w.now, a);
    assert_eq!(w.close_reasons(), []);
    assert_eq!(w.take(c), FRAME[4..]);
    assert_eq!(w.close_reasons(), [(c, CloseReason::ChannelClosed)]);
}

#[test]
fn s3_a_frame_is_completed_when_the_subscription_ends() {
    let mut w = World::new();
    let a = w.open("a");
    let c = reader_in_progress(&mut w, a, 4);
    w.publish(a, "2");
    w.hub.unsubscribe(w.now, a, c);
    assert_eq!(w.take(c), FRAME[4..], "nothing else is pending");
    assert_eq!(w.backlog(a), (0, 0));
}

#[test]
fn s3_a_frame_is_completed_when_the_connection_is_closed() {
    let mut w = World::new();
    let a = w.open("a");
    let c = reader_in_progress(&mut w, a, 4);
    w.hub.close_connection(w.now, c);
    w.publish(a, "2");
    assert_eq!(w.take(c), FRAME[4..]);
    assert_eq!(w.actions(), [Action::Close { connection: c, reason: CloseReason::Requested }]);
}

#[test]
fn s3_only_an_end_without_a_flush_abandons_a_frame() {
    let mut w = World::new();
    let a = w.open("a");
    let disconnected = reader_in_progress(&mut w, a, 4);
    w.hub.disconnect(w.now, disconnected);
    assert_eq!(w.take(disconnected), "");
    let stalled = reader_in_progress(&mut w, a, 4);
    assert_eq!(common::close_reasons(&w.run_for(secs(30))), [(stalled, CloseReason::Stalled)]);
    assert_eq!(w.take(stalled), "");
}

#[test]
fn s3_the_end_of_a_lifetime_completes_a_frame() {
    let mut w = World::new();
    let a = w.open("a");
    let c = reader_in_progress(&mut w, a, 4);
    w.hub.set_max_lifetime(w.now, c, Some(secs(1)));
    assert_eq!(w.run_for(secs(1)), []);
    assert_eq!(w.take(c), FRAME[4..]);
    assert_eq!(w.close_reasons(), [(c, CloseReason::TimedOut)]);
}

#[test]
fn s3_no_ping_or_direct_send_is_inserted_into_a_frame() {
    let mut w = World::new();
    let a = w.open("a");
    let c = reader_in_progress(&mut w, a, 4);
    w.send(c, "x");
    for _ in 0..10 {
        w.run_for(secs(20));
        assert_eq!(w.take_bytes(c, 1).len(), 1);
    }
    assert_eq!(w.take(c), format!("{}data: x\n\n", &FRAME[14..]));
}

#[test]
fn s3_first_blocks_direct_sends_and_resets_are_frames_too() {
    let mut w = World::new();
    let a = w.open_with_history("a", 1);
    w.publish_numbers(a, 1..=3);
    let announced = w.connect_with(ConnectionConfig::default());
    let back = w.reconnect("e-0");
    let unknown = w.reconnect("?");
    for c in [announced, back, unknown] {
        w.send(c, "x");
        assert_eq!(w.take_bytes(c, 1).len(), 1);
    }
    // These events are late and do not change the first blocks.
    w.publish_numbers(a, 4..=5);
    assert_eq!(w.take(announced), "d: e-3\nevent: position\ndata: \n\ndata: x\n\n");
    assert_eq!(w.take(back), "ata: x\n\n");
    assert_eq!(w.take(unknown), "ata: x\n\n");
    let (back, unknown) = (w.reconnect("e-0"), w.reconnect("?"));
    for (c, expected) in [(back, "d: e-4"), (unknown, "d: e-7")] {
        w.subscribe(a, c);
        w.take_bytes(c, 1);
        w.publish_numbers(a, 6..=7);
        let rest = w.take(c);
        assert!(rest.starts_with(&format!("{expected}\nevent: reset\ndata: \n\n")), "{rest}");
        w.hub.disconnect(w.now, c);
    }
}
