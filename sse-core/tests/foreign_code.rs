//! Code of executors and applications that a shared hub calls or drops: never under its lock (X4).
#![cfg(feature = "std")]

mod clocked;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use clocked::{Count, World};
use sse_core::adapter::{Driver, Framing, ServeConnection, Socket, Turn};
use sse_core::shared::{Outbound, SharedHub};
use sse_core::{
    BacklogConfig, ChannelConfig, CloseReason, ConnectionConfig, Event, Frame, HistoryConfig, HubConfig,
    Instant, Position, PositionSource, PublishOptions,
};

/// Runs a test on a thread of its own, so that a deadlock is a failure.
fn without_deadlock(test: impl FnOnce() + Send + 'static) {
    let (sender, receiver) = mpsc::channel();
    let running = thread::spawn(move || {
        test();
        sender.send(()).unwrap();
    });
    match receiver.recv_timeout(Duration::from_secs(60)) {
        Err(mpsc::RecvTimeoutError::Timeout) => panic!("the test does not end"),
        _ => running.join().unwrap(),
    }
}

/// Uses the hub when it is woken, and when it is dropped.
struct UsesHub {
    hub: SharedHub,
    uses: Arc<AtomicUsize>,
}

impl UsesHub {
    fn new(hub: &SharedHub) -> (UsesHub, Arc<AtomicUsize>) {
        let uses = Arc::default();
        (UsesHub { hub: hub.clone(), uses: Arc::clone(&uses) }, uses)
    }

    fn waker(hub: &SharedHub) -> (Waker, Arc<AtomicUsize>) {
        let (code, uses) = UsesHub::new(hub);
        (Waker::from(Arc::new(code)), uses)
    }

    fn use_hub(&self) {
        self.hub.open_channel("used", ChannelConfig::default()).unwrap();
        self.uses.fetch_add(1, Ordering::Relaxed);
    }
}

impl Wake for UsesHub {
    fn wake(self: Arc<Self>) {
        self.use_hub();
    }
}

impl Drop for UsesHub {
    fn drop(&mut self) {
        self.use_hub();
    }
}

fn drive(driver: &mut Driver, waker: &Waker) {
    while driver.turn(waker) == Turn::Yield {}
}

fn poll(outbound: &mut Outbound, waker: &Waker) -> Poll<Option<Bytes>> {
    outbound.poll_bytes(&mut Context::from_waker(waker))
}

#[test]
fn x4_wakers_of_readers_are_woken_and_dropped_without_the_lock() {
    without_deadlock(|| {
        let mut w = World::new();
        let channel = w.hub.open_channel("a", ChannelConfig::default()).unwrap();
        let mut outbound = w.connect();
        outbound.subscribe(&channel).unwrap();
        let (replaced, replaced_uses) = UsesHub::waker(&w.hub);
        let (woken, woken_uses) = UsesHub::waker(&w.hub);
        let (abandoned, abandoned_uses) = UsesHub::waker(&w.hub);
        assert!(poll(&mut outbound, &replaced).is_pending());
        drop(replaced);
        assert!(poll(&mut outbound, &woken).is_pending());
        assert_eq!(replaced_uses.load(Ordering::Relaxed), 1, "it was dropped");
        drop(woken);
        channel.publish(&Event::new().data("1")).unwrap();
        w.drive();
        assert_eq!(woken_uses.load(Ordering::Relaxed), 2, "it was woken and dropped");
        assert!(poll(&mut outbound, &abandoned).is_ready());
        assert!(poll(&mut outbound, &abandoned).is_pending());
        drop(abandoned);
        drop(outbound);
        assert!(abandoned_uses.load(Ordering::Relaxed) > 0);
    });
}

#[test]
fn x4_wakers_of_drivers_are_woken_and_dropped_without_the_lock() {
    without_deadlock(|| {
        let mut w = World::new();
        let (replaced, replaced_uses) = UsesHub::waker(&w.hub);
        let (woken, woken_uses) = UsesHub::waker(&w.hub);
        drive(&mut w.driver, &replaced);
        drop(replaced);
        drive(&mut w.driver, &woken);
        drive(&mut w.driver, &woken);
        assert!(replaced_uses.load(Ordering::Relaxed) > 0, "it was dropped");
        let channel = w.hub.open_channel("a", ChannelConfig::default()).unwrap();
        let outbound = w.connect();
        outbound.subscribe(&channel).unwrap();
        channel.publish(&Event::new().data("1")).unwrap();
        assert!(woken_uses.load(Ordering::Relaxed) > 0, "it was woken");
    });
}

#[test]
fn x4_wakers_of_handles_are_woken_and_dropped_without_the_lock() {
    without_deadlock(|| {
        let mut w = World::new();
        let outbound = w.connect();
        let handle = outbound.handle();
        let mut closed = pin!(handle.closed());
        let (replaced, replaced_uses) = UsesHub::waker(&w.hub);
        let (woken, woken_uses) = UsesHub::waker(&w.hub);
        assert!(closed.as_mut().poll(&mut Context::from_waker(&replaced)).is_pending());
        drop(replaced);
        assert!(closed.as_mut().poll(&mut Context::from_waker(&woken)).is_pending());
        drop(woken);
        assert_eq!(replaced_uses.load(Ordering::Relaxed), 1);
        handle.close();
        w.drive();
        assert_eq!(woken_uses.load(Ordering::Relaxed), 2);
    });
}

/// A transport that is always full.
struct Full;

impl Socket for Full {
    fn poll_read(&mut self, _: &mut Context<'_>, _: &mut [u8]) -> Poll<std::io::Result<usize>> {
        Poll::Pending
    }

    fn poll_write(
        &mut self,
        _: &mut Context<'_>,
        _: &[std::io::IoSlice<'_>],
    ) -> Poll<std::io::Result<usize>> {
        Poll::Pending
    }

    fn poll_shut_down(&mut self, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[test]
fn x4_wakers_of_transports_are_woken_and_dropped_without_the_lock() {
    without_deadlock(|| {
        let mut w = World::new();
        let outbound = w.connect();
        let handle = outbound.handle();
        handle.try_send(&Event::new().data("1")).unwrap();
        let mut serving = pin!(ServeConnection::new(outbound, Framing::Chunked, Full));
        let (replaced, replaced_uses) = UsesHub::waker(&w.hub);
        let (woken, woken_uses) = UsesHub::waker(&w.hub);
        assert!(serving.as_mut().poll(&mut Context::from_waker(&replaced)).is_pending());
        drop(replaced);
        assert!(serving.as_mut().poll(&mut Context::from_waker(&woken)).is_pending());
        assert!(replaced_uses.load(Ordering::Relaxed) > 0);
        // The checks for a stall come in time.
        for millis in (0..=30_000).step_by(7_500) {
            w.millis.store(millis, Ordering::Relaxed);
            w.drive();
        }
        assert!(woken_uses.load(Ordering::Relaxed) > 0);
    });
}

/// Bytes whose owner uses the hub when it is dropped.
struct Owner {
    bytes: &'static [u8],
    _code: UsesHub,
}

impl AsRef<[u8]> for Owner {
    fn as_ref(&self) -> &[u8] {
        self.bytes
    }
}

fn foreign_frame(hub: &SharedHub) -> (Frame, Arc<AtomicUsize>) {
    let (code, uses) = UsesHub::new(hub);
    (Frame::parse(Bytes::from_owner(Owner { bytes: b"id: x\ndata: 1\n\n", _code: code })).unwrap(), uses)
}

#[test]
fn x4_frames_of_the_application_are_dropped_without_the_lock() {
    without_deadlock(|| {
        let (hub, mut driver) = {
            let positions = PositionSource::External { after: Position::ORIGIN };
            let config = HubConfig { positions, ..HubConfig::default() };
            SharedHub::new("e", config, || Instant::ORIGIN).unwrap()
        };
        let history = HistoryConfig { events: 1, ..HistoryConfig::default() };
        let backlog = BacklogConfig { frames: std::num::NonZeroUsize::MIN, ..BacklogConfig::default() };
        let config = ChannelConfig { history, backlog, ..ChannelConfig::default() };
        let channel = hub.open_channel("a", config).unwrap();
        let mut position = 0;
        let mut publish = |hub: &SharedHub| {
            position += 1;
            let ((frame, uses), channels) = (foreign_frame(hub), [channel.id()]);
            hub.with(|hub, now| {
                hub.publish_at(now, &channels, Position::new(position), &frame, PublishOptions::default())
                    .unwrap()
            });
            uses
        };
        let config = ConnectionConfig { announce_position: false, ..ConnectionConfig::default() };
        let outbound = hub.connect(config.clone()).unwrap();
        outbound.subscribe(&channel).unwrap();
        let evicted = publish(&hub);
        assert_eq!(evicted.load(Ordering::Relaxed), 0);
        let kept = publish(&hub);
        assert_eq!(evicted.load(Ordering::Relaxed), 1, "history and backlog keep one frame");

        let sender = outbound.handle();
        let direct = {
            let (frame, uses) = foreign_frame(&hub);
            sender.try_send_frame(&frame).unwrap();
            uses
        };
        assert_eq!(direct.load(Ordering::Relaxed), 0);
        drop(outbound);
        assert_eq!((kept.load(Ordering::Relaxed), direct.load(Ordering::Relaxed)), (0, 1));

        let mut outbound = hub.connect(config).unwrap();
        let (frame, sent) = foreign_frame(&hub);
        hub.with(|hub, now| hub.send(now, outbound.id(), &frame)).unwrap();
        drop(frame);
        assert_eq!(poll(&mut outbound, Waker::noop()), Poll::Ready(Some("id: x\ndata: 1\n\n".into())));
        assert_eq!(sent.load(Ordering::Relaxed), 1);
        drive(&mut driver, Waker::noop());

        outbound.subscribe(&channel).unwrap();
        let logged = publish(&hub);
        channel.close();
        assert_eq!(logged.load(Ordering::Relaxed), 0, "the reader has not taken it");
        hub.with(move |_, _| drop(outbound));
        assert_eq!(logged.load(Ordering::Relaxed), 1, "the outbound was dropped when the lock was free");
        assert_eq!(hub.stats().connections, 0);
    });
}

#[test]
fn e6_a_frame_in_a_shared_hub_is_not_copied() {
    let w = World::new();
    let mut outbound = w.connect();
    let raw = Bytes::from_static(b"data: 1\n\n");
    outbound.handle().try_send_frame(&Frame::parse(raw.clone()).unwrap()).unwrap();
    let Poll::Ready(Some(bytes)) = poll(&mut outbound, Waker::noop()) else { panic!("it is pending") };
    assert_eq!(bytes.as_ptr(), raw.as_ptr());
}

/// Panics when it is woken.
struct Panics;

impl Wake for Panics {
    fn wake(self: Arc<Self>) {
        panic!("this waker is expected to panic");
    }
}

#[test]
fn x4_a_waker_that_panics_keeps_no_other_from_being_woken() {
    let mut w = World::new();
    let channel = w.hub.open_channel("a", ChannelConfig::default()).unwrap();
    let count = Arc::new(Count::default());
    let (good, bad) = (Waker::from(Arc::clone(&count)), Waker::from(Arc::new(Panics)));
    let mut readers: Vec<_> = (0..10).map(|_| w.connect()).collect();
    for (number, reader) in readers.iter_mut().enumerate() {
        reader.subscribe(&channel).unwrap();
        assert!(poll(reader, if number == 4 { &bad } else { &good }).is_pending());
    }
    w.drive();
    drive(&mut w.driver, &bad);
    channel.publish(&Event::new().data("1")).unwrap();
    w.drive();
    assert_eq!(count.0.load(Ordering::Relaxed), 9);
    assert!(readers.iter_mut().all(|reader| poll(reader, &good).is_ready()));

    let handle = readers[0].handle();
    let mut waits = [&bad, &good].map(|waker| {
        let mut closed = Box::pin(handle.closed());
        assert!(closed.as_mut().poll(&mut Context::from_waker(waker)).is_pending());
        closed
    });
    drop(readers.swap_remove(0));
    assert_eq!(count.0.load(Ordering::Relaxed), 10);
    let cx = &mut Context::from_waker(Waker::noop());
    assert_eq!(waits[0].as_mut().poll(cx), Poll::Ready(CloseReason::Disconnected));
}

#[test]
fn x4_a_handle_that_is_used_inside_of_with_is_a_panic() {
    without_deadlock(|| {
        let w = World::new();
        let channel = w.hub.open_channel("a", ChannelConfig::default()).unwrap();
        let other = World::new();
        let event = Event::new().data("1");
        let reentry = catch_unwind(AssertUnwindSafe(|| w.hub.with(|_, _| channel.publish(&event))));
        let message = *reentry.unwrap_err().downcast::<&str>().unwrap();
        assert!(message.contains("inside `SharedHub::with`"), "{message}");
        assert_eq!(channel.stats().unwrap().history_events, 0, "the hub is usable");

        // The hub of another handle, another thread, and a nested use of another hub are no reentry.
        assert_eq!(w.hub.with(|_, _| other.hub.with(|_, _| other.millis.load(Ordering::Relaxed))), 0);
        let hub = w.hub.clone();
        let waiting = w.hub.with(|_, _| thread::spawn(move || hub.stats().published));
        assert_eq!(waiting.join().unwrap(), 0);
        channel.publish(&event).unwrap();

        // A closure that panics drops its outbound.
        let outbound = w.connect();
        let panicked = catch_unwind(AssertUnwindSafe(|| {
            w.hub.with(|_, _| {
                let _outbound = outbound;
                panic!("this closure is expected to panic");
            })
        }));
        assert!(panicked.is_err());
        assert_eq!(w.hub.stats().connections, 0);
    });
}
