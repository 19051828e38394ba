//! Many schedules of threads that share a hub: no wake-up is lost, no call waits for ever, and every drop is safe at any time.
//!
//! `RUSTFLAGS="--cfg shuttle" cargo test -p sse-core --lib schedules`

use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::string::{String, ToString};
use std::task::{Context, Poll};
use std::vec::Vec;

use shuttle::future::block_on;
use shuttle::thread;

use super::{Outbound, SharedHub};
use crate::adapter::{Driver, Framing, Socket, SocketSet, Turn};
use crate::{ChannelConfig, CloseReason, ConnectionConfig, Event, HubConfig, Instant, Unwanted};

const SCHEDULES: usize = 10_000;

/// The task of an adapter, with a clock that stands still: every wake-up has to come from the hub.
struct Drive(Driver);

impl Future for Drive {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        match self.0.turn(cx.waker()) {
            Turn::Done => Poll::Ready(()),
            Turn::Yield => {
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            Turn::Sleep(_) => Poll::Pending,
        }
    }
}

/// Explores schedules of `work`, with the driver on a thread of its own. It ends only if the driver ends.
fn explore(work: fn(&SharedHub)) {
    shuttle::check_random(
        move || {
            let (hub, driver) = SharedHub::new("e", HubConfig::default(), || Instant::ORIGIN).unwrap();
            let driver = thread::spawn(move || block_on(Drive(driver)));
            work(&hub);
            drop(hub);
            driver.join().unwrap();
        },
        SCHEDULES,
    );
}

fn connect(hub: &SharedHub) -> Outbound {
    let outbound = hub.connect(ConnectionConfig { announce_position: false, ..Default::default() }).unwrap();
    outbound.subscribe(&hub.open_channel("a", ChannelConfig::default()).unwrap()).unwrap();
    outbound
}

/// Reads until the end, or until `last` was read.
fn read_until(outbound: &mut Outbound, last: &str) -> String {
    let mut read = Vec::new();
    block_on(async {
        while let Some(bytes) = poll_fn(|cx| outbound.poll_bytes(cx)).await {
            read.extend_from_slice(&bytes);
            if read.ends_with(last.as_bytes()) {
                break;
            }
        }
    });
    String::from_utf8(read).unwrap()
}

#[test]
fn schedules_no_wake_up_is_lost() {
    explore(|hub| {
        let readers: Vec<_> = (0..2)
            .map(|_| {
                let mut outbound = connect(hub);
                thread::spawn(move || read_until(&mut outbound, "data: 3\n\n"))
            })
            .collect();
        let channel = hub.channel("a").unwrap();
        let publisher = thread::spawn(move || {
            for number in 1..=3 {
                channel.publish(&Event::new().data(number.to_string())).unwrap();
            }
        });
        for reader in readers {
            assert_eq!(
                reader.join().unwrap(),
                "id: e-1\ndata: 1\n\nid: e-2\ndata: 2\n\nid: e-3\ndata: 3\n\n"
            );
        }
        publisher.join().unwrap();
    });
}

#[test]
fn schedules_a_drop_at_any_moment_wakes_the_waiters() {
    explore(|hub| {
        let outbound = connect(hub);
        let handle = outbound.handle();
        let waiting = thread::spawn(move || block_on(handle.closed()));
        let channel = hub.channel("a").unwrap();
        let publisher = thread::spawn(move || channel.publish(&Event::new().data("x")).map(drop));
        let dropper = thread::spawn(move || drop(outbound));
        assert_eq!(waiting.join().unwrap(), CloseReason::Disconnected);
        dropper.join().unwrap();
        publisher.join().unwrap().unwrap();
    });
}

#[test]
fn schedules_a_shut_down_ends_every_stream() {
    explore(|hub| {
        let connecting = hub.clone();
        let reader = thread::spawn(move || {
            let Ok(mut outbound) = connecting.connect(ConnectionConfig::default()) else { return };
            read_until(&mut outbound, "never");
        });
        let mut outbound = connect(hub);
        let stopping = hub.clone();
        let stopper = thread::spawn(move || stopping.shut_down());
        read_until(&mut outbound, "never");
        reader.join().unwrap();
        stopper.join().unwrap();
        assert_eq!(hub.stats().connections, 0);
    });
}

#[test]
fn schedules_a_close_is_reported_with_its_reason() {
    explore(|hub| {
        let mut outbound = connect(hub);
        let handle = outbound.handle();
        let closer = thread::spawn(move || {
            handle.close();
            block_on(handle.closed())
        });
        let reader = thread::spawn(move || read_until(&mut outbound, "never"));
        assert_eq!(closer.join().unwrap(), CloseReason::Requested);
        assert_eq!(reader.join().unwrap(), "");
    });
}

#[test]
fn schedules_an_end_keeps_its_reason_when_the_outbound_is_dropped_and_the_index_is_reused() {
    explore(|hub| {
        let first = connect(hub);
        let [waits, closes] = [first.handle(), first.handle()];
        let waiter = thread::spawn(move || block_on(waits.closed()));
        let closer = thread::spawn(move || closes.close());
        let dropper = thread::spawn(move || drop(first));
        let second = connect(hub);
        let is_closed_by_hub = closer.join().unwrap();
        let reason = if is_closed_by_hub { CloseReason::Requested } else { CloseReason::Disconnected };
        assert_eq!(waiter.join().unwrap(), reason);
        dropper.join().unwrap();
        assert!(second.handle().is_open());
    });
}

/// A transport that takes and records everything.
struct Recorder(shuttle::sync::Arc<shuttle::sync::Mutex<Vec<u8>>>);

impl Socket for Recorder {
    fn poll_read(&mut self, _: &mut Context<'_>, _: &mut [u8]) -> Poll<io::Result<usize>> {
        Poll::Pending
    }

    fn poll_write(&mut self, _: &mut Context<'_>, slices: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let mut recorded = self.0.lock().unwrap();
        let before = recorded.len();
        slices.iter().for_each(|slice| recorded.extend_from_slice(slice));
        Poll::Ready(Ok(recorded.len() - before))
    }

    fn poll_shut_down(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[test]
fn schedules_a_socket_set_misses_no_wake_up_and_ends() {
    explore(|hub| {
        let (mut set, sockets) = SocketSet::new();
        let serving = thread::spawn(move || {
            block_on(poll_fn(|cx| match set.turn(cx, |_, _| Ok(())) {
                Turn::Done => Poll::Ready(()),
                Turn::Yield => {
                    cx.waker().wake_by_ref();
                    Poll::Pending
                }
                Turn::Sleep(_) => Poll::Pending,
            }));
        });
        let recorded = shuttle::sync::Arc::new(shuttle::sync::Mutex::new(Vec::new()));
        sockets.attach(Recorder(recorded.clone()), connect(hub), Framing::UntilClose);
        let channel = hub.channel("a").unwrap();
        let publisher = thread::spawn(move || {
            for number in 1..=2 {
                channel.publish(&Event::new().data(number.to_string())).unwrap();
            }
        });
        publisher.join().unwrap();
        let stopping = hub.clone();
        let stopper = thread::spawn(move || stopping.shut_down());
        drop(sockets);
        stopper.join().unwrap();
        serving.join().unwrap();
        let recorded = String::from_utf8(recorded.lock().unwrap().clone()).unwrap();
        assert_eq!(recorded, "id: e-1\ndata: 1\n\nid: e-2\ndata: 2\n\n");
    });
}

#[test]
fn schedules_a_sender_that_waits_for_capacity_is_woken() {
    explore(|hub| {
        let config = ConnectionConfig { direct_bytes: 10, announce_position: false, ..Default::default() };
        let mut outbound = hub.connect(config).unwrap();
        let handle = outbound.handle();
        let sender = thread::spawn(move || {
            block_on(async {
                for number in 1..=3 {
                    handle.send(&Event::new().data(number.to_string())).await.unwrap();
                }
            });
        });
        assert_eq!(read_until(&mut outbound, "data: 3\n\n"), "data: 1\n\ndata: 2\n\ndata: 3\n\n");
        sender.join().unwrap();
    });
}

/// A producer whose reader has to take before it goes on, and a stop at any moment.
#[test]
fn schedules_a_producer_waits_for_room_and_learns_of_a_stop() {
    explore(|hub| {
        let config = ChannelConfig { ahead: Some(1), ..ChannelConfig::answer() };
        let channel = hub.open_channel("answer", config).unwrap();
        let config = ConnectionConfig { announce_position: false, ..Default::default() };
        let mut outbound = hub.connect(config).unwrap();
        outbound.subscribe(&channel).unwrap();
        let producer = channel.clone();
        let producer = thread::spawn(move || {
            let mut numbers = 1..=3;
            let next = move |_: &mut Context<'_>| match numbers.next() {
                Some(number) => Poll::Ready(Some(Event::new().data(number.to_string()))),
                // What it waits for never comes.
                None => Poll::<Option<Event<'static>>>::Pending,
            };
            let unwanted = block_on(producer.publish_from(next)).unwrap();
            assert_eq!(unwanted, Some(Unwanted::Stopped));
            producer.finish(None, core::time::Duration::ZERO).unwrap();
        });
        let reader = thread::spawn(move || read_until(&mut outbound, "data: 3\n\n"));
        assert!(reader.join().unwrap().ends_with("id: e-3\ndata: 3\n\n"));
        let waiting = channel.clone();
        let waiting = thread::spawn(move || block_on(waiting.unwanted()));
        assert!(channel.stop());
        producer.join().unwrap();
        assert!(matches!(waiting.join().unwrap(), Unwanted::Stopped | Unwanted::Ended));
    });
}
