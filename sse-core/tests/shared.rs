//! The shared hub and its handles, with a clock that the tests set.
#![cfg(feature = "std")]

mod clocked;

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use clocked::{Count, World};
use sse_core::adapter::{SourceConnection, Turn};
use sse_core::shared::{Connection, ConnectionSendError, Outbound};
use sse_core::{
    ChannelCloseReason, ChannelConfig, Claim, CloseReason, ConnectionConfig, EncodeError, EncodeField, Event,
    OnMaxLifetime, SendError,
};

fn poll(outbound: &mut Outbound, waker: &Waker) -> Poll<Option<String>> {
    let bytes = outbound.poll_bytes(&mut Context::from_waker(waker));
    bytes.map(|bytes| bytes.map(|bytes| String::from_utf8(bytes.to_vec()).unwrap()))
}

#[test]
fn a_reader_is_woken_once_for_events_that_are_pending_together() {
    let mut w = World::new();
    let channel = w.hub.open_channel("a", ChannelConfig::default()).unwrap();
    let mut outbound = w.connect();
    outbound.subscribe(&channel).unwrap();
    let count = Arc::new(Count::default());
    let waker = Waker::from(Arc::clone(&count));
    assert_eq!(poll(&mut outbound, &waker), Poll::Pending);
    channel.publish(&Event::new().data("1")).unwrap();
    channel.publish(&Event::new().data("2")).unwrap();
    w.drive();
    assert_eq!(count.0.load(Ordering::Relaxed), 1);
    let both = "id: e-1\ndata: 1\n\nid: e-2\ndata: 2\n\n";
    assert_eq!(poll(&mut outbound, &waker), Poll::Ready(Some(both.into())));
    assert_eq!(poll(&mut outbound, &waker), Poll::Pending);
}

#[test]
fn x9_a_large_frame_is_returned_by_itself_and_without_a_copy() {
    let w = World::new();
    let channel = w.hub.open_channel("a", ChannelConfig::default()).unwrap();
    let mut outbound = w.connect();
    outbound.subscribe(&channel).unwrap();
    let large = channel.publish(&Event::new().data("x".repeat(60_000))).unwrap().frame;
    channel.publish(&Event::new().data("small")).unwrap();
    let Poll::Ready(Some(bytes)) = outbound.poll_bytes(&mut Context::from_waker(Waker::noop())) else {
        panic!()
    };
    assert_eq!(bytes.as_ptr(), large.as_bytes().as_ptr());
    assert_eq!(bytes.len(), large.len());
    assert_eq!(poll(&mut outbound, Waker::noop()), Poll::Ready(Some("id: e-2\ndata: small\n\n".into())));
}

/// Libraries copy what they are handed, and their buffers keep the size of the largest slice.
#[test]
fn x9_an_event_of_a_megabyte_is_returned_in_slices_of_at_most_64_kib() {
    let w = World::new();
    let channel = w.hub.open_channel("a", ChannelConfig::default()).unwrap();
    let mut outbound = w.connect();
    outbound.subscribe(&channel).unwrap();
    let large = channel.publish(&Event::new().data("x".repeat(1_000_000))).unwrap().frame;
    channel.publish(&Event::new().data("small")).unwrap();
    let mut received = Vec::new();
    while received.len() < large.len() {
        assert_eq!(w.hub.stats().delivered, 0, "A3: the last byte was not taken");
        let Poll::Ready(Some(bytes)) = outbound.poll_bytes(&mut Context::from_waker(Waker::noop())) else {
            panic!("the rest of the event is pending")
        };
        assert!(bytes.len() <= 64 * 1024, "{}", bytes.len());
        let begin = received.len();
        assert_eq!(bytes.as_ptr(), large.as_bytes()[begin..].as_ptr(), "without a copy");
        received.extend_from_slice(&bytes);
        assert_eq!(w.hub.stats().bytes, received.len() as u64);
    }
    assert_eq!(received, large.as_bytes());
    assert_eq!(w.hub.stats().delivered, 1);
    assert_eq!(poll(&mut outbound, Waker::noop()), Poll::Ready(Some("id: e-2\ndata: small\n\n".into())));
}

#[test]
fn the_driver_is_woken_only_for_work_before_its_deadline() {
    let mut w = World::new();
    let channel = w.hub.open_channel("a", ChannelConfig::default()).unwrap();
    let outbound = w.connect();
    outbound.subscribe(&channel).unwrap();
    let count = Arc::new(Count::default());
    let waker = Waker::from(Arc::clone(&count));
    while w.driver.turn(&waker) == Turn::Yield {}
    w.hub.stats();
    let _ = w.hub.channel("a");
    assert_eq!(count.0.load(Ordering::Relaxed), 0);
    channel.publish(&Event::new().data("1")).unwrap();
    channel.publish(&Event::new().data("2")).unwrap();
    assert_eq!(count.0.load(Ordering::Relaxed), 1, "for the second it is awake already");
}

#[test]
fn x5_the_clock_decides_and_not_the_wake_up() {
    let mut w = World::new();
    let mut outbound = w.connect();
    let until = w.drive().unwrap();
    assert_eq!(w.drive(), Some(until), "woken too early, it does nothing");
    assert_eq!(poll(&mut outbound, Waker::noop()), Poll::Pending);
    w.millis.store(50_000, Ordering::Relaxed);
    w.drive();
    assert_eq!(poll(&mut outbound, Waker::noop()), Poll::Ready(Some(":\n".into())));
}

#[test]
fn x4_dropping_the_outbound_disconnects_and_handles_return_the_reason() {
    let w = World::new();
    let outbound = w.connect();
    let handle = outbound.handle();
    let mut closed = pin!(handle.closed());
    let mut cx = Context::from_waker(Waker::noop());
    assert_eq!(closed.as_mut().poll(&mut cx), Poll::Pending);
    drop(outbound);
    assert_eq!(closed.as_mut().poll(&mut cx), Poll::Ready(CloseReason::Disconnected));
    assert!(!handle.is_open() && !handle.close() && !handle.set_ping(None));
    assert_eq!(w.hub.stats().connections, 0);
}

#[test]
fn a3_an_outbound_that_is_dropped_after_the_end_keeps_the_reason() {
    let mut w = World::new();
    let mut outbound = w.connect();
    let handle = outbound.handle();
    handle.close();
    assert_eq!(poll(&mut outbound, Waker::noop()), Poll::Ready(None));
    drop(outbound);
    w.drive();
    let mut closed = pin!(handle.closed());
    let mut cx = Context::from_waker(Waker::noop());
    assert_eq!(closed.as_mut().poll(&mut cx), Poll::Ready(CloseReason::Requested));
}

#[test]
fn t2_the_end_of_a_lifetime_is_reported_once() {
    let mut w = World::new();
    let config = ConnectionConfig { on_max_lifetime: OnMaxLifetime::Report, ..ConnectionConfig::default() };
    let mut outbound = w.hub.connect(config).unwrap();
    let _ = poll(&mut outbound, Waker::noop());
    let handle = outbound.handle();
    assert!(handle.set_max_lifetime(Some(Duration::from_secs(20))));
    let mut cx = Context::from_waker(Waker::noop());
    w.drive();
    assert!(pin!(handle.timed_out()).poll(&mut cx).is_pending());
    w.millis.store(20_000, Ordering::Relaxed);
    w.drive();
    assert!(pin!(handle.timed_out()).poll(&mut cx).is_ready());
    assert!(pin!(handle.timed_out()).poll(&mut cx).is_pending());
    assert!(handle.is_open());
}

#[test]
fn s2_an_event_that_cannot_be_sent_is_an_error_with_the_reason() {
    let w = World::new();
    let config = ConnectionConfig { direct_bytes: 40, ..ConnectionConfig::default() };
    let handle = w.hub.connect(config).unwrap();
    let handle_after = handle.handle();
    let sender = handle.handle();
    let bad = sender.try_send(&Event::new().id("a\nb"));
    assert_eq!(
        bad,
        Err(ConnectionSendError::Encode(EncodeError::LineBreak { field: EncodeField::Id, offset: 1 }))
    );
    sender.try_send(&Event::new().data("12345678901234567890")).unwrap();
    let full = sender.try_send(&Event::new().data("12345678901234567890"));
    assert_eq!(full, Err(ConnectionSendError::Send(SendError::Full { queued: 28, limit: 40 })));
    drop(handle);
    let ended = handle_after.try_send(&Event::new().data("x"));
    assert!(matches!(ended, Err(ConnectionSendError::Send(SendError::UnknownConnection(_)))), "{ended:?}");
}

#[test]
fn the_driver_ends_with_the_last_handle() {
    let World { hub, mut driver, .. } = World::new();
    let outbound = hub.connect(ConnectionConfig::default()).unwrap();
    let count = Arc::new(Count::default());
    let waker = Waker::from(Arc::clone(&count));
    while driver.turn(&waker) == Turn::Yield {}
    drop(hub);
    assert_eq!(count.0.load(Ordering::Relaxed), 0, "the outbound still holds it");
    drop(outbound);
    assert_eq!(driver.turn(&waker), Turn::Done);
    assert!(count.0.load(Ordering::Relaxed) > 0, "it was woken");
}

#[test]
fn a_dropped_future_leaves_no_waker_behind() {
    let w = World::new();
    let outbound = w.connect();
    let handle = outbound.handle();
    let count = Arc::new(Count::default());
    for _ in 0..1000 {
        let waker = Waker::from(Arc::clone(&count));
        assert!(pin!(handle.closed()).poll(&mut Context::from_waker(&waker)).is_pending());
        assert!(pin!(handle.timed_out()).poll(&mut Context::from_waker(&waker)).is_pending());
    }
    assert_eq!(Arc::strong_count(&count), 1);
}

#[test]
fn s2_a_send_that_waits_completes_when_bytes_were_taken() {
    let mut w = World::new();
    let config =
        ConnectionConfig { direct_bytes: 40, announce_position: false, ..ConnectionConfig::default() };
    let mut outbound = w.hub.connect(config).unwrap();
    let handle = outbound.handle();
    let event = Event::new().data("12345678901234567890");
    let count = Arc::new(Count::default());
    let waker = Waker::from(Arc::clone(&count));
    let cx = &mut Context::from_waker(&waker);
    assert_eq!(pin!(handle.send(&event)).poll(cx), Poll::Ready(Ok(())));
    let mut second = pin!(handle.send(&event));
    assert!(second.as_mut().poll(cx).is_pending(), "28 of 40 bytes wait");
    assert!(poll(&mut outbound, Waker::noop()).is_ready());
    assert_eq!(count.0.load(Ordering::Relaxed), 1, "there is capacity");
    assert_eq!(second.as_mut().poll(cx), Poll::Ready(Ok(())));

    let mut third = pin!(handle.send(&event));
    assert!(third.as_mut().poll(cx).is_pending());
    w.hub.shut_down();
    w.drive();
    assert!(matches!(
        third.as_mut().poll(cx),
        Poll::Ready(Err(ConnectionSendError::Send(SendError::Closing(_))))
    ));
    let large = Event::new().data("1234567890123456789012345678901234567890");
    let too_large = pin!(handle.send(&large)).poll(cx);
    assert!(matches!(too_large, Poll::Ready(Err(ConnectionSendError::Send(_)))), "{too_large:?}");
}

#[test]
fn k3_waiting_for_the_end_of_a_channel_returns_the_reason() {
    let mut w = World::new();
    let config = ChannelConfig { empty_timeout: Some(Duration::from_secs(5)), ..ChannelConfig::default() };
    let [empty, closed] = ["a", "b"].map(|name| w.hub.open_channel(name, config.clone()).unwrap());
    let again = w.hub.channel("a").unwrap();
    let count = Arc::new(Count::default());
    let waker = Waker::from(Arc::clone(&count));
    let cx = &mut Context::from_waker(&waker);
    let mut waiting = pin!(again.closed());
    assert!(waiting.as_mut().poll(cx).is_pending());
    assert!(closed.close());
    w.drive();
    assert_eq!(pin!(closed.closed()).poll(cx), Poll::Ready(ChannelCloseReason::Requested));
    w.millis.store(5_000, Ordering::Relaxed);
    w.drive();
    assert_eq!(count.0.load(Ordering::Relaxed), 1);
    assert_eq!(waiting.as_mut().poll(cx), Poll::Ready(ChannelCloseReason::Empty));
    assert_eq!(
        pin!(empty.closed()).poll(cx),
        Poll::Ready(ChannelCloseReason::Empty),
        "also for a later future"
    );
}

/// A hub slot can have a new connection before the driver polls the end of the old one.
#[test]
fn d6_an_end_is_reported_though_the_index_is_used_again() {
    let mut w = World::new();
    let mut first = w.connect();
    let first_handle = first.handle();
    first_handle.close();
    let mut second = w.connect();
    assert_eq!(first.id().index(), second.id().index());
    let count = Arc::new(Count::default());
    let waker = Waker::from(Arc::clone(&count));
    let cx = &mut Context::from_waker(&waker);
    assert!(first.poll_ended(cx).is_pending());
    assert!(second.poll_ended(cx).is_pending());
    w.drive();
    assert_eq!(count.0.load(Ordering::Relaxed), 1);
    assert_eq!(first.poll_ended(cx), Poll::Ready(CloseReason::Requested));
    assert!(second.poll_ended(cx).is_pending());
    assert_eq!(pin!(first.handle().closed()).poll(cx), Poll::Ready(CloseReason::Requested));
    drop(first);
    assert!(second.handle().is_open());
}

/// The outbounds are dropped before the driver polls the ends.
#[test]
fn a3_a_dropped_outbound_leaves_the_reason_for_its_handles_though_the_index_is_used_again() {
    let mut w = World::new();
    let mut ended = Vec::new();
    for _ in 0..3 {
        let outbound = w.connect();
        let handle = outbound.handle();
        handle.close();
        ended.push(handle);
    }
    let index = ended[0].id().index();
    assert!(ended.iter().all(|handle| handle.id().index() == index));
    let open = w.connect();
    let cx = &mut Context::from_waker(Waker::noop());
    assert!(ended.iter().all(|handle| pin!(handle.closed()).poll(cx).is_pending()));
    w.drive();
    for handle in &ended {
        assert_eq!(pin!(handle.closed()).poll(cx), Poll::Ready(CloseReason::Requested));
    }
    assert!(pin!(open.handle().closed()).poll(cx).is_pending());
    drop(open);
    assert_eq!(w.hub.stats().closed.requested, 3);
}

#[test]
fn a_source_is_polled_as_fast_as_its_connection_is_read() {
    let mut w = World::new();
    let mut given = 0;
    let mut source = SourceConnection::new(w.connect(), ());
    let cx = &mut Context::from_waker(Waker::noop());
    let mut next = |_: &mut (), _: &mut Context<'_>| {
        given += 1;
        Poll::Ready((given <= 2).then(|| Event::new().data(given.to_string())))
    };
    assert_eq!(source.poll_bytes(cx, &mut next), Poll::Ready(Some(Ok("data: 1\n\n".into()))));
    w.drive();
    assert_eq!(source.poll_bytes(cx, &mut next), Poll::Ready(Some(Ok("data: 2\n\n".into()))));
    assert_eq!(source.poll_bytes(cx, &mut next), Poll::Ready(None));
    assert_eq!(given, 3);
    w.drive();
    assert_eq!(w.hub.stats().closed.requested, 1);

    let mut source = SourceConnection::new(w.connect(), ());
    let mut broken = |_: &mut (), _: &mut Context<'_>| Poll::Ready(Some(Event::new().event("a\nb")));
    assert!(matches!(
        source.poll_bytes(cx, &mut broken),
        Poll::Ready(Some(Err(ConnectionSendError::Encode(_))))
    ));
    assert_eq!(source.poll_bytes(cx, &mut broken), Poll::Ready(None));
}

/// A connection with the pending events "1" and "2", which are claimed, and its handle.
fn claimed(w: &World) -> (Outbound, Claim, Connection) {
    let mut outbound = w.connect();
    let handle = outbound.handle();
    for data in ["1", "2"] {
        handle.try_send(&Event::new().data(data)).unwrap();
    }
    let (bytes, claim) = outbound.claim_first().unwrap();
    assert_eq!(bytes, "data: 1\n\ndata: 2\n\n");
    (outbound, claim, handle)
}

#[test]
fn t3_first_bytes_are_pending_until_they_are_confirmed() {
    for is_confirmed in [false, true] {
        let mut w = World::new();
        let (mut outbound, claim, handle) = claimed(&w);
        assert!(poll(&mut outbound, Waker::noop()).is_pending(), "D9");
        if is_confirmed {
            assert!(outbound.confirm(claim));
            assert!(poll(&mut outbound, Waker::noop()).is_pending());
            assert_eq!((w.hub.stats().delivered, w.hub.stats().bytes), (2, 18), "A3");
        }
        w.drive_until(30_000);
        assert_eq!(handle.is_open(), is_confirmed);
        assert_eq!(w.hub.stats().closed.stalled, u64::from(!is_confirmed));
        assert_eq!(outbound.claim_first(), None);
    }
}

#[test]
fn d8_a_closing_connection_ends_when_its_first_bytes_are_confirmed() {
    let mut w = World::new();
    let (mut outbound, claim, handle) = claimed(&w);
    handle.close();
    w.drive();
    assert_eq!(w.hub.stats().connections, 1);
    assert!(outbound.confirm(claim));
    assert_eq!(w.hub.stats().connections, 0);
    assert_eq!(poll(&mut outbound, Waker::noop()), Poll::Ready(None));
}

#[test]
fn s2_claimed_first_bytes_release_capacity() {
    let w = World::new();
    let config =
        ConnectionConfig { direct_bytes: 40, announce_position: false, ..ConnectionConfig::default() };
    let mut outbound = w.hub.connect(config).unwrap();
    let handle = outbound.handle();
    let event = Event::new().data("12345678901234567890");
    handle.try_send(&event).unwrap();
    let count = Arc::new(Count::default());
    let waker = Waker::from(Arc::clone(&count));
    let cx = &mut Context::from_waker(&waker);
    let mut second = pin!(handle.send(&event));
    assert!(second.as_mut().poll(cx).is_pending());
    assert_eq!(outbound.claim_first().unwrap().0.len(), 28);
    assert_eq!(count.0.load(Ordering::Relaxed), 1);
    assert_eq!(second.as_mut().poll(cx), Poll::Ready(Ok(())));
}

#[test]
fn x9_first_bytes_are_at_most_one_write() {
    let w = World::new();
    let channel = w.hub.open_channel("a", ChannelConfig::default()).unwrap();
    for sizes in [[9_000, 9_000], [20_000, 10]] {
        let mut outbound = w.connect();
        outbound.subscribe(&channel).unwrap();
        let frames = sizes.map(|size| channel.publish(&Event::new().data("x".repeat(size))).unwrap().frame);
        let first = outbound.claim_first();
        let is_first =
            first.as_ref().is_some_and(|(first, _)| first.as_ptr() == frames[0].as_bytes().as_ptr());
        assert_eq!(is_first, sizes[0] < 16_384, "without a copy, or not at all if the frame is larger");
    }
}
