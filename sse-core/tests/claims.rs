//! Drivers that write without holding the hub: D9.
mod common;

use bytes::Bytes;
use common::{World, data_frame, secs, without_position};
use sse_core::bytes::Buf;
use sse_core::{Claim, CloseReason, ConnectionId};

/// Claims everything that is pending, as a copy.
fn claim(w: &mut World, c: ConnectionId) -> (Vec<u8>, Claim) {
    let mut buffer = Vec::new();
    let claim = w.hub.transmit(w.now, c).claim_into(usize::MAX, &mut buffer).expect("pending bytes");
    assert_eq!((claim.connection(), claim.len()), (c, buffer.len()));
    (buffer, claim)
}

fn frame(data: &str) -> Vec<u8> {
    data_frame(data).as_bytes().to_vec()
}

fn with_events(w: &mut World, events: &[&str]) -> ConnectionId {
    let c = w.connect_with(without_position());
    for event in events {
        w.send(c, event);
    }
    w.actions();
    c
}

#[test]
fn d9_nothing_else_is_handed_out_while_a_claim_is_out() {
    let mut w = World::new();
    let c = with_events(&mut w, &["1"]);
    let (bytes, claim) = claim(&mut w, c);
    assert_eq!(bytes, frame("1"));
    w.send(c, "2");
    assert_eq!(w.hub.transmit(w.now, c).remaining(), 0);
    assert!(w.hub.transmit(w.now, c).claim_frame().is_none());
    assert_eq!(w.actions(), [], "the driver has the connection");
    assert!(w.hub.confirm(w.now, claim));
    assert_eq!(w.take(c), String::from_utf8_lossy(&frame("2")));
}

#[test]
fn d9_a_confirmed_claim_counts_as_taken_and_more_is_reported() {
    let mut w = World::new();
    let a = w.open("a");
    let c = w.follow(a);
    w.publish(a, "1");
    w.publish(a, "2");
    w.actions();
    let (first, claim) = w.hub.transmit(w.now, c).claim_frame().unwrap();
    let stats = w.hub.stats();
    assert!(w.hub.confirm(w.now, claim));
    assert_eq!(w.hub.stats().bytes, stats.bytes + first.len() as u64);
    assert_eq!(w.hub.stats().delivered, stats.delivered + 1);
    assert_eq!(w.actions().len(), 1, "the second event");
}

#[test]
fn d9_what_the_transport_refused_comes_first() {
    for taken in 0..=26 {
        let mut w = World::new();
        let c = with_events(&mut w, &["1", "2"]);
        let (bytes, claim) = claim(&mut w, c);
        assert_eq!(bytes.len(), 18);
        let rest = Bytes::from(bytes).slice(taken.min(18)..);
        w.send(c, "3");
        let before = w.hub.stats();
        assert!(w.hub.put_back(w.now, claim, rest.clone()));
        assert_eq!(w.hub.stats().bytes - before.bytes, 18 - rest.len() as u64);
        let all = [&rest[..], &frame("3")].concat();
        assert_eq!(w.take(c).as_bytes(), all);
        assert_eq!(w.hub.stats().delivered - before.delivered, 3);
        assert_eq!(w.hub.stats().bytes - before.bytes, 27);
    }
}

#[test]
fn a3_the_frames_of_a_claim_that_was_put_back_count_except_for_the_last() {
    let mut w = World::new();
    let c = with_events(&mut w, &["1", "2", "3"]);
    let (bytes, claim) = claim(&mut w, c);
    assert!(w.hub.put_back(w.now, claim, bytes.into()));
    assert_eq!((w.hub.stats().delivered, w.hub.stats().bytes), (2, 0));
    w.take_bytes(c, 26);
    assert_eq!((w.hub.stats().delivered, w.hub.stats().bytes), (2, 26));
    w.take_bytes(c, 1);
    assert_eq!((w.hub.stats().delivered, w.hub.stats().bytes), (3, 27));
}

#[test]
fn d9_a_claim_has_whole_frames() {
    let mut w = World::new();
    let c = with_events(&mut w, &["1", "2", "3"]);
    assert_eq!(w.hub.transmit(w.now, c).bytes_within(20), 18);
    let mut buffer = b"head".to_vec();
    let claim = w.hub.transmit(w.now, c).claim_into(20, &mut buffer).unwrap();
    assert_eq!(buffer, [b"head", &frame("1")[..], &frame("2")].concat());
    assert!(w.hub.confirm(w.now, claim));
    let claim = w.hub.transmit(w.now, c).claim_into(1, &mut buffer).unwrap();
    assert_eq!(claim.len(), 9, "at least one frame");
    assert!(w.hub.confirm(w.now, claim));
    assert!(w.hub.transmit(w.now, c).claim_into(20, &mut buffer).is_none());
}

#[test]
fn d9_close_waits_for_a_claim() {
    let mut w = World::new();
    let c = with_events(&mut w, &["1"]);
    let (_, claim) = claim(&mut w, c);
    w.hub.close_connection(w.now, c);
    assert_eq!(w.close_reasons(), []);
    assert!(w.hub.completes(&claim));
    assert!(w.hub.confirm(w.now, claim));
    assert_eq!(w.close_reasons(), [(c, CloseReason::Requested)]);
}

#[test]
fn d9_only_the_last_claim_of_a_closing_connection_completes_it() {
    let mut w = World::new();
    let c = with_events(&mut w, &["1", "2"]);
    let (_, claim) = w.hub.transmit(w.now, c).claim_frame().unwrap();
    assert!(!w.hub.completes(&claim), "the connection is open");
    w.hub.close_connection(w.now, c);
    assert!(!w.hub.completes(&claim), "another frame is pending");
    assert!(w.hub.confirm(w.now, claim));
    let (_, claim) = w.hub.transmit(w.now, c).claim_frame().unwrap();
    assert!(w.hub.completes(&claim));
    assert!(w.hub.put_back(w.now, claim, Bytes::from_static(b"\n")));
    assert_eq!(w.close_reasons(), []);
    assert_eq!(w.take(c), "\n");
    assert_eq!(w.close_reasons(), [(c, CloseReason::Requested)]);
}

#[test]
fn d9_a_claim_that_is_never_returned_stalls() {
    let mut w = World::new();
    let c = with_events(&mut w, &["1"]);
    let (_, claim) = claim(&mut w, c);
    let actions = w.run_for(secs(29));
    assert_eq!(common::close_reasons(&actions), []);
    let actions = w.run_for(secs(2));
    assert_eq!(common::close_reasons(&actions), [(c, CloseReason::Stalled)]);
    assert!(!w.hub.confirm(w.now, claim));
}

#[test]
fn d9_a_claim_of_another_connection_in_the_same_slot_is_refused() {
    let mut w = World::new();
    let c = with_events(&mut w, &["1"]);
    let (bytes, stale) = claim(&mut w, c);
    w.hub.disconnect(w.now, c);
    let d = with_events(&mut w, &["2"]);
    assert_eq!(c.index(), d.index());
    let (_, current) = claim(&mut w, d);
    assert!(!w.hub.completes(&stale));
    assert!(!w.hub.put_back(w.now, stale, bytes.into()));
    assert!(w.hub.confirm(w.now, current));
    assert_eq!(w.take(d), "");
}

#[test]
fn d9_more_bytes_than_were_claimed_are_refused() {
    let mut w = World::new();
    let c = with_events(&mut w, &["1"]);
    let (_, claim) = claim(&mut w, c);
    assert!(!w.hub.put_back(w.now, claim, Bytes::from_static(b"data: 1\n\n\n")));
    assert_eq!(w.hub.transmit(w.now, c).remaining(), 0);
}

#[test]
fn t1_a_claimed_connection_is_not_pinged() {
    let mut w = World::new();
    let c = with_events(&mut w, &["1"]);
    w.hub.set_ping(w.now, c, Some(secs(5)));
    let (_, claim) = claim(&mut w, c);
    assert_eq!(w.run_for(secs(20)), []);
    assert!(w.hub.confirm(w.now, claim));
    assert_eq!(w.run_for(secs(2)), []);
    assert_eq!(w.run_for(secs(3)).len(), 1, "at most five seconds after the last byte");
}
