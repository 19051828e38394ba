//! A hub with sockets in memory: a delivery contains everything but the system call.

use std::hint::black_box;
use std::io::{self, IoSlice};
use std::task::{Context, Poll, Waker};

use sse_core::adapter::{Driver, Framing, Socket, SocketSet, SocketSetHandle, Turn};
use sse_core::shared::{Channel, SharedHub};
use sse_core::{ChannelConfig, ConnectionConfig, Event, HubConfig, Instant};

/// A hub with one channel, its driver, and a set of sockets that follow the channel.
pub struct AttachedHub {
    channel: Channel,
    driver: Driver,
    sockets: SocketSet<Sink>,
    _handle: SocketSetHandle<Sink>,
}

impl AttachedHub {
    /// Creates a hub with members that have taken their first bytes.
    ///
    /// # Panics
    ///
    /// When the number of members exceeds the default limits.
    pub fn new(members: usize) -> AttachedHub {
        let (hub, driver) =
            SharedHub::new("1k9f2", HubConfig::default(), || Instant::ORIGIN).expect("the epoch is allowed");
        let channel = hub.open_channel("a", ChannelConfig::default()).expect("there is room");
        let (sockets, handle) = SocketSet::new();
        for _ in 0..members {
            let outbound = hub.connect(ConnectionConfig::default()).expect("there is room");
            outbound.subscribe(&channel).expect("there is room");
            handle.attach(Sink, outbound, Framing::Chunked);
        }
        let mut hub = AttachedHub { channel, driver, sockets, _handle: handle };
        hub.run();
        hub
    }

    /// Publishes an event and delivers it to every socket.
    ///
    /// # Panics
    ///
    /// When the event cannot be encoded.
    pub fn broadcast(&mut self, event: &Event<'_>) {
        self.channel.publish(event).expect("the event can be encoded");
        self.run();
    }

    fn run(&mut self) {
        let cx = &mut Context::from_waker(Waker::noop());
        loop {
            let driver = self.driver.turn(cx.waker());
            let sockets = self.sockets.turn(cx, |_, _| Ok(()));
            if matches!((driver, sockets), (Turn::Sleep(_), Turn::Sleep(_))) {
                return;
            }
        }
    }
}

/// A socket that takes everything at once.
struct Sink;

impl Socket for Sink {
    fn registers_waker(&self) -> bool {
        false
    }

    fn poll_read(&mut self, _: &mut Context<'_>, _: &mut [u8]) -> Poll<io::Result<usize>> {
        Poll::Pending
    }

    fn poll_write(&mut self, _: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(black_box(slices).iter().map(|slice| slice.len()).sum()))
    }

    fn poll_shut_down(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
