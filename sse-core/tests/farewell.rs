//! The farewell (T5), and the end of a lifetime (T2).
mod common;

use std::time::Duration;

use bytes::Buf;
use common::{World, connect_with_lifetime, data_frame, narrow_backlog, secs, without_position};
use sse_core::{
    Action, ChannelConfig, CloseReason, ConnectError, ConnectionConfig, ConnectionId, DrainConfig, Event,
    Frame, HistoryConfig, LagPolicy, Limits, OnClose, OnMaxLifetime,
};

fn bye() -> Frame {
    data_frame("bye")
}

fn connect(w: &mut World) -> ConnectionId {
    w.connect_with(ConnectionConfig { farewell: Some(bye()), ping: None, ..without_position() })
}

fn closed(w: &mut World, reason: CloseReason, connection: ConnectionId) {
    assert_eq!(w.close_reasons(), [(connection, reason)]);
}

#[test]
fn t5_a_farewell_is_the_last_frame_behind_everything_that_was_pending() {
    let mut w = World::new();
    let a = w.open("a");
    let c = connect(&mut w);
    w.subscribe(a, c);
    w.publish(a, "1");
    w.send(c, "direct");
    w.hub.close_connection(w.now, c);
    w.publish(a, "after the close");
    assert_eq!(w.data(c), ["1", "direct", "bye"]);
    closed(&mut w, CloseReason::Requested, c);
}

#[test]
fn t5_every_end_that_flushes_has_one() {
    type End = fn(&mut World, ConnectionId);
    let ends: [(CloseReason, End); 4] = [
        (CloseReason::Requested, |w, c| _ = w.hub.close_connection(w.now, c)),
        (CloseReason::ShuttingDown, |w, _| w.hub.shut_down(w.now)),
        (CloseReason::TimedOut, |w, c| {
            w.hub.set_max_lifetime(w.now, c, Some(secs(1)));
            w.run_for(secs(1));
        }),
        (CloseReason::ChannelClosed, |w, c| {
            let config = ChannelConfig { on_close: OnClose::CloseConnections, ..ChannelConfig::default() };
            let a = w.open_with("closing", config);
            w.subscribe(a, c);
            w.hub.close_channel(w.now, a);
        }),
    ];
    for (reason, end) in ends {
        let mut w = World::new();
        let c = connect(&mut w);
        end(&mut w, c);
        w.run_for(Duration::ZERO);
        assert_eq!(w.data(c), ["bye"], "{reason}");
        closed(&mut w, reason, c);
    }
}

#[test]
fn t5_the_end_of_a_finished_channel_has_one() {
    let mut w = World::new();
    let a = w.open("a");
    let c = connect(&mut w);
    w.subscribe(a, c);
    w.hub.finish_channel(w.now, a, Some(&Event::new().data("done")), secs(60)).unwrap();
    w.actions();
    assert!(w.take_frame(c).ends_with("data: done\n\n"));
    assert_eq!(w.actions(), [Action::Transmit(c)]);
    assert_eq!(w.data(c), ["bye"]);
    closed(&mut w, CloseReason::Finished, c);
}

#[test]
fn t5_a_drain_sends_its_retry_before() {
    let mut w = World::new();
    let c = connect(&mut w);
    w.hub.drain(w.now, DrainConfig { over: Duration::ZERO, ..DrainConfig::default() });
    w.actions();
    let taken = w.take(c);
    assert!(taken.starts_with("retry: ") && taken.ends_with("\ndata: bye\n\n"), "{taken:?}");
}

#[test]
fn t5_it_stands_behind_a_frame_in_progress_and_a_claim() {
    let mut w = World::new();
    let c = connect(&mut w);
    w.send(c, "in progress");
    w.take_bytes(c, 3);
    w.hub.close_connection(w.now, c);
    assert_eq!(w.take(c), "a: in progress\n\ndata: bye\n\n");

    let c = connect(&mut w);
    w.send(c, "claimed");
    let (frame, claim) = w.hub.transmit(w.now, c).claim_frame().unwrap();
    w.hub.close_connection(w.now, c);
    assert!(!w.hub.completes(&claim), "the farewell follows");
    assert!(w.hub.put_back(w.now, claim, frame.slice(4..)));
    assert_eq!(w.take(c), ": claimed\n\ndata: bye\n\n");
}

#[test]
fn t5_a_second_close_adds_none() {
    let mut w = World::new();
    let c = connect(&mut w);
    w.hub.close_connection(w.now, c);
    w.hub.close_connection(w.now, c);
    w.hub.shut_down(w.now);
    w.run_for(Duration::ZERO);
    assert_eq!(w.data(c), ["bye"]);
}

#[test]
fn t5_it_is_pending_and_its_reader_can_stall() {
    let mut w = World::new();
    let c = connect(&mut w);
    w.hub.close_connection(w.now, c);
    assert_eq!(w.actions(), [Action::Transmit(c)]);
    assert_eq!(w.pending_bytes(c), bye().len());
    let actions = w.run_for(secs(30));
    assert_eq!(common::close_reasons(&actions), [(c, CloseReason::Stalled)]);
}

#[test]
fn t5_who_lost_something_is_not_told_goodbye() {
    let mut w = World::new();
    let config = ChannelConfig {
        history: HistoryConfig { events: 0, ..HistoryConfig::default() },
        on_lag: LagPolicy::Close,
        ..narrow_backlog()
    };
    let a = w.open_with("a", config);
    let c = connect(&mut w);
    w.subscribe(a, c);
    for id in ["x", "y"] {
        w.publish_event(a, Event::new().id(id).data(id));
    }
    w.hub.close_connection(w.now, c);
    assert_eq!(w.data(c), [""; 0]);
    closed(&mut w, CloseReason::Lagged, c);
}

#[test]
fn t5_an_abrupt_end_has_none() {
    let mut w = World::new();
    let c = connect(&mut w);
    w.hub.disconnect(w.now, c);
    assert_eq!((w.take(c), w.actions()), (String::new(), vec![]));
}

#[test]
fn t5_it_is_no_direct_send() {
    let mut w = World::new();
    let config = ConnectionConfig { farewell: Some(bye()), direct_bytes: 20, ..without_position() };
    let c = w.connect_with(config);
    w.hub.send(w.now, c, &data_frame("twelve chars")).unwrap();
    w.hub.close_connection(w.now, c);
    assert_eq!(w.data(c), ["twelve chars", "bye"]);
}

#[test]
fn t5_a_farewell_with_an_id_or_beyond_the_limit_is_refused() {
    let limits = Limits { event_bytes: 12, ..Limits::default() };
    let mut w = World::with(sse_core::HubConfig { limits, ..Default::default() });
    let with_id = Event::new().id("7").encode().unwrap();
    let too_large = data_frame("too large");
    let refused = |w: &mut World, frame: &Frame| {
        let config = ConnectionConfig { farewell: Some(frame.clone()), ..ConnectionConfig::default() };
        w.hub.connect(w.now, config).unwrap_err()
    };
    assert_eq!(refused(&mut w, &with_id), ConnectError::FarewellHasId);
    let error = refused(&mut w, &too_large);
    assert_eq!(error, ConnectError::FarewellTooLarge { bytes: 17, limit: 12 });
    assert_eq!(error.to_string(), "the farewell has 17 bytes, the limit is 12");
    let c = connect(&mut w);
    assert!(!w.hub.set_farewell(w.now, c, Some(with_id)));
    assert!(!w.hub.set_farewell(w.now, c, Some(too_large)));
    w.hub.close_connection(w.now, c);
    assert_eq!(w.data(c), ["bye"], "the former one stays");
}

#[test]
fn t5_it_can_be_set_and_removed_while_the_connection_is_open() {
    let mut w = World::new();
    let (set, removed) = (w.connect(), connect(&mut w));
    assert!(w.hub.set_farewell(w.now, set, Some(data_frame("signed out"))));
    assert!(w.hub.set_farewell(w.now, removed, None));
    for c in [set, removed] {
        w.hub.close_connection(w.now, c);
        assert!(!w.hub.set_farewell(w.now, c, Some(bye())), "it is closing, or gone");
    }
    assert_eq!((w.data(set), w.data(removed)), (vec!["signed out".into()], vec![]));
}

#[test]
fn t5_other_frames_come_and_go_before_it() {
    let mut w = World::new();
    let c = connect(&mut w);
    for number in 0..3 {
        w.send(c, &number.to_string());
        assert_eq!(w.data(c), [number.to_string()], "and the farewell stays where it is");
    }
    w.hub.close_connection(w.now, c);
    assert_eq!(w.data(c), ["bye"]);
}

#[test]
fn t2_the_end_of_a_lifetime_flushes_what_is_pending() {
    let mut w = World::new();
    let a = w.open("a");
    let c = connect_with_lifetime(&mut w, secs(60), OnMaxLifetime::Close);
    w.subscribe(a, c);
    w.publish(a, "1");
    w.take_bytes(c, 5);
    w.run_for(secs(20));
    w.publish(a, "2");
    w.take_bytes(c, 1);
    w.run_for(secs(25));
    w.take_bytes(c, 1);
    w.run_for(secs(15));
    w.publish(a, "after the end");
    assert!(w.hub.transmit(w.now, c).has_remaining());
    assert!(w.take(c).ends_with("data: 2\n\n"));
    closed(&mut w, CloseReason::TimedOut, c);
}

#[test]
fn t2_at_its_end_an_idle_connection_ends_at_once() {
    let mut w = World::new();
    let c = connect_with_lifetime(&mut w, secs(60), OnMaxLifetime::Close);
    w.hub.set_ping(w.now, c, None);
    w.run_for(secs(59));
    let actions = w.run_for(secs(1));
    assert_eq!(common::close_reasons(&actions), [(c, CloseReason::TimedOut)]);
}
