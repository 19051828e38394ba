//! The end of a transport: an abrupt end aborts it, a proper end shuts it down (X7).
#![cfg(feature = "std")]

mod clocked;
mod transport;

use std::num::NonZeroUsize;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use clocked::World;
use sse_core::adapter::{Framing, ServeConnection, SocketSet};
use sse_core::shared::Channel;
use sse_core::{BacklogConfig, ChannelConfig, CloseReason, Event, HistoryConfig};
use transport::Wire;

/// Opens a channel that keeps one frame, and one event of history.
fn narrow_channel(w: &World) -> Channel {
    let backlog = BacklogConfig { frames: NonZeroUsize::MIN, ..BacklogConfig::default() };
    let history = HistoryConfig { events: 1, ..HistoryConfig::default() };
    w.hub.open_channel("a", ChannelConfig { backlog, history, ..ChannelConfig::default() }).unwrap()
}

/// Attaches a transport that takes these bytes in each write, follows a channel, publishes, and acts. Returns the transport
/// after its end.
fn end(takes: &[usize], act: impl Fn(&mut World, &Wire, &Channel)) -> Wire {
    let mut w = World::new();
    let channel = narrow_channel(&w);
    let (mut set, sockets) = SocketSet::new();
    let wire = Wire::taking(takes.iter().copied());
    let outbound = w.connect();
    outbound.subscribe(&channel).unwrap();
    sockets.attach(wire.clone(), outbound, Framing::Chunked);
    channel.publish(&Event::new().data("1")).unwrap();
    let cx = &mut Context::from_waker(Waker::noop());
    set.turn(cx, |_, _| Ok(()));
    w.drive();
    act(&mut w, &wire, &channel);
    for _ in 0..1_000 {
        set.wake(0);
        set.turn(cx, |_, _| Ok(()));
        w.drive();
    }
    assert_eq!(set.len(), 0, "the connection has ended");
    wire
}

fn is_aborted(wire: &Wire) -> bool {
    let state = wire.0.lock().unwrap();
    assert_ne!(state.is_aborted, state.is_shut_down);
    state.is_aborted
}

#[test]
fn x7_the_transport_of_a_stalled_connection_is_aborted() {
    for takes in [&[][..], &[5]] {
        assert!(is_aborted(&end(takes, |w, _, _| w.drive_until(30_000))));
    }
}

#[test]
fn x7_the_transport_of_a_lagged_connection_is_aborted() {
    let wire = end(&[], |w, wire, channel| {
        // The first event is in progress. The second leaves the backlog.
        for number in 2..=3 {
            channel.publish(&Event::new().data(number.to_string())).unwrap();
        }
        w.drive();
        wire.takes([1000; 5]);
    });
    assert!(is_aborted(&wire));
    assert_eq!(wire.text(), "11\r\nid: e-1\ndata: 1\n\n\r\n0\r\n\r\n", "whole frames");
}

#[test]
fn x7_the_transport_of_a_peer_that_disconnected_is_aborted() {
    assert!(is_aborted(&end(&[1000], |_, wire, _| wire.0.lock().unwrap().peer_is_closed = true)));
    let flood = |_: &mut World, wire: &Wire, _: &Channel| {
        wire.0.lock().unwrap().peer_sends.extend([512; 1].repeat(3_000));
    };
    assert!(is_aborted(&end(&[1000], flood)));
}

#[test]
fn x7_a_proper_end_is_no_abort() {
    let close = |w: &mut World, wire: &Wire, _: &Channel| {
        w.hub.shut_down();
        wire.takes([1000; 5]);
    };
    for takes in [&[][..], &[5], &[1000]] {
        let wire = end(takes, close);
        assert!(!is_aborted(&wire), "after {takes:?}");
        assert_eq!(wire.text(), "11\r\nid: e-1\ndata: 1\n\n\r\n0\r\n\r\n");
    }
}

/// The end of a lifetime flushes what is pending (T2), in the middle of a chunk as well.
#[test]
fn x7_the_end_of_a_lifetime_is_no_abort() {
    for takes in [&[5][..], &[1000, 1000]] {
        let wire = end(takes, |w, wire, _| {
            w.hub.with(|hub, now| {
                let channel = hub.channel("a").unwrap();
                let members: Vec<_> = hub.members(channel).collect();
                assert!(hub.set_max_lifetime(now, members[0], Some(Duration::from_secs(1))));
            });
            w.drive_until(1_000);
            wire.takes([1000; 5]);
        });
        assert!(!is_aborted(&wire), "after {takes:?}");
        assert_eq!(wire.text(), "11\r\nid: e-1\ndata: 1\n\n\r\n0\r\n\r\n");
    }
}

/// The hub ends a connection at once, and its driver reports the reason a moment later.
#[test]
fn x7_a_transport_ends_when_the_reason_is_known() {
    let mut w = World::new();
    let outbound = w.connect();
    let handle = outbound.handle();
    let wire = Wire::taking([1000]);
    let mut serve = pin!(ServeConnection::new(outbound, Framing::Chunked, wire.clone()));
    let cx = &mut Context::from_waker(Waker::noop());
    assert!(serve.as_mut().poll(cx).is_pending());
    handle.close();
    assert!(serve.as_mut().poll(cx).is_pending());
    assert_eq!(wire.text(), "0\r\n\r\n", "the end of the stream does not wait");
    assert!(!wire.0.lock().unwrap().is_shut_down);
    w.drive();
    assert!(matches!(serve.as_mut().poll(cx), Poll::Ready(Ok(CloseReason::Requested))));
    assert!(!is_aborted(&wire));
}
