//! The futures of producers: `unwanted`, `room` and `publish_from` of a shared channel (P1 to P3).
#![cfg(feature = "std")]

mod clocked;

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use clocked::{Count, World};
use sse_core::shared::Channel;
use sse_core::{ChannelConfig, Event, Frame, PublishError, Unwanted};

/// A task that counts its wakes.
struct Task {
    wakes: Arc<Count>,
    waker: Waker,
}

impl Task {
    fn new() -> Task {
        let wakes = Arc::new(Count::default());
        Task { waker: Waker::from(Arc::clone(&wakes)), wakes }
    }

    fn cx(&self) -> Context<'_> {
        Context::from_waker(&self.waker)
    }

    fn wakes(&self) -> usize {
        self.wakes.0.load(Ordering::Relaxed)
    }
}

fn open(w: &World, ahead: Option<usize>) -> Channel {
    w.hub.open_channel("a", ChannelConfig { ahead, ..ChannelConfig::answer() }).unwrap()
}

fn event() -> Event<'static> {
    Event::new().data("1")
}

#[test]
fn p2_a_stop_while_the_source_is_polled_is_not_missed() {
    let w = RefCell::new(World::new());
    let channel = open(&w.borrow(), None);
    let task = Task::new();
    // Stands for another thread: the stop and the turn of the driver fall between the source and the registration.
    let mut work = pin!(channel.publish_from(|_| -> Poll<Option<Event<'static>>> {
        if channel.stop() {
            w.borrow_mut().drive();
        }
        Poll::Pending
    }));
    assert_eq!(work.as_mut().poll(&mut task.cx()), Poll::Ready(Ok(Some(Unwanted::Stopped))));
}

#[test]
fn p1_an_absence_ends_the_work_of_a_producer() {
    let mut w = World::new();
    let channel = open(&w, None);
    let task = Task::new();
    let mut work = pin!(channel.publish_from(|_| Poll::<Option<Event<'static>>>::Pending));
    assert!(work.as_mut().poll(&mut task.cx()).is_pending());
    w.drive_until(59_999);
    assert_eq!(task.wakes(), 0);
    w.drive_until(60_000);
    assert_eq!(task.wakes(), 1);
    assert_eq!(work.as_mut().poll(&mut task.cx()), Poll::Ready(Ok(Some(Unwanted::Absent))));
}

#[test]
fn p3_a_producer_waits_for_room_and_goes_on() {
    let mut w = World::new();
    let channel = open(&w, Some(40));
    let mut reader = w.connect();
    reader.subscribe(&channel).unwrap();
    let task = Task::new();
    let published = Cell::new(0);
    let mut work = pin!(channel.publish_from(|_| {
        published.set(published.get() + 1);
        Poll::Ready((published.get() <= 10).then(event))
    }));
    assert!(work.as_mut().poll(&mut task.cx()).is_pending());
    let before = published.get();
    assert!(before < 10, "40 bytes are three events: {before}");
    w.drive();
    assert!(matches!(reader.poll_bytes(&mut Context::from_waker(Waker::noop())), Poll::Ready(Some(_))));
    w.drive();
    assert_eq!(task.wakes(), 1, "half of the room is free");
    assert!(work.as_mut().poll(&mut task.cx()).is_pending());
    assert!(published.get() > before);
}

#[test]
fn p2_of_frames_and_events_a_source_has_its_choice() {
    let w = World::new();
    let channel = open(&w, None);
    let mut frames = vec![Frame::parse("data: forwarded\n\n").unwrap()];
    let mut work = pin!(channel.publish_from(move |_| Poll::Ready(frames.pop())));
    assert_eq!(work.as_mut().poll(&mut Task::new().cx()), Poll::Ready(Ok(None)));
    assert_eq!(channel.stats().unwrap().history_events, 1);
}

#[test]
fn k4_the_end_of_its_channel_is_the_error_of_a_producer() {
    type End = fn(&Channel);
    let finish: End = |channel| assert!(channel.finish(None, Duration::from_secs(1)).is_ok());
    let close: End = |channel| assert!(channel.close());
    for (end, is_finished) in [(finish, true), (close, false)] {
        let mut w = World::new();
        let channel = open(&w, None);
        let task = Task::new();
        let mut work = pin!(channel.publish_from(|_| Poll::<Option<Event<'static>>>::Pending));
        assert!(work.as_mut().poll(&mut task.cx()).is_pending());
        end(&channel);
        w.drive();
        assert_eq!(task.wakes(), 1);
        let Poll::Ready(Err(error)) = work.as_mut().poll(&mut task.cx()) else { panic!("it goes on") };
        assert_eq!(matches!(error, PublishError::Finished(_)), is_finished, "{error}");
    }
}

#[test]
fn p3_all_waiters_are_woken_and_dropped_ones_leave_nothing() {
    let mut w = World::new();
    let channel = open(&w, Some(1));
    channel.publish(&event()).unwrap();
    w.drive();
    let tasks = [Task::new(), Task::new(), Task::new()];
    let mut rooms = [Box::pin(channel.room()), Box::pin(channel.room())];
    let mut unwanted = pin!(channel.unwanted());
    for (room, task) in rooms.iter_mut().zip(&tasks) {
        assert!(room.as_mut().poll(&mut task.cx()).is_pending());
    }
    assert!(unwanted.as_mut().poll(&mut tasks[2].cx()).is_pending());
    let dropped = Task::new();
    let mut room = Box::pin(channel.room());
    assert!(room.as_mut().poll(&mut dropped.cx()).is_pending());
    drop(room);
    let Task { wakes, waker } = dropped;
    drop(waker);
    assert_eq!(Arc::strong_count(&wakes), 1, "a waker is left");
    channel.close();
    w.drive();
    assert!(tasks.iter().all(|task| task.wakes() == 1));
    for (room, task) in rooms.iter_mut().zip(&tasks) {
        assert_eq!(room.as_mut().poll(&mut task.cx()), Poll::Ready(Err(Unwanted::Ended)));
    }
    assert_eq!(unwanted.as_mut().poll(&mut tasks[2].cx()), Poll::Ready(Unwanted::Ended));
}

#[test]
fn p3_a_source_may_use_the_hub() {
    let w = World::new();
    let channel = open(&w, None);
    let hub = w.hub.clone();
    let mut left = 3;
    let mut work = pin!(channel.publish_from(|_| {
        left -= 1;
        let published = hub.stats().published;
        Poll::Ready((left > 0).then(|| Event::new().data(published.to_string())))
    }));
    assert_eq!(work.as_mut().poll(&mut Task::new().cx()), Poll::Ready(Ok(None)));
}
