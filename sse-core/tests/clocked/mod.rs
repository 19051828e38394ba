//! A shared hub with a clock that the test sets.
#![allow(dead_code, reason = "each test file uses a part of it")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::task::{Wake, Waker};

use sse_core::adapter::{Driver, Turn};
use sse_core::shared::{Outbound, SharedHub};
use sse_core::{ConnectionConfig, HubConfig, Instant};

/// A hub, its driver, and its time.
pub(crate) struct World {
    pub(crate) hub: SharedHub,
    pub(crate) driver: Driver,
    pub(crate) millis: Arc<AtomicU64>,
}

impl World {
    pub(crate) fn new() -> World {
        let millis = Arc::new(AtomicU64::new(0));
        let clock = Arc::clone(&millis);
        let now = move || Instant::from_millis(clock.load(Ordering::Relaxed));
        let (hub, driver) = SharedHub::new("e", HubConfig::default(), now).unwrap();
        World { hub, driver, millis }
    }

    /// Takes turns until the driver sleeps, and returns its deadline.
    pub(crate) fn drive(&mut self) -> Option<Instant> {
        loop {
            match self.driver.turn(Waker::noop()) {
                Turn::Yield => {}
                Turn::Sleep(until) => return until,
                Turn::Done => panic!("the test holds the hub"),
            }
        }
    }

    /// Runs the driver until an instant. It sleeps exactly until each deadline.
    pub(crate) fn drive_until(&mut self, millis: u64) {
        while let Some(at) = self.drive().filter(|at| *at < Instant::from_millis(millis)) {
            self.millis.store(at.as_nanos().div_ceil(1_000_000), Ordering::Relaxed);
        }
        self.millis.store(millis, Ordering::Relaxed);
        self.drive();
    }

    pub(crate) fn connect(&self) -> Outbound {
        let config = ConnectionConfig { announce_position: false, ..ConnectionConfig::default() };
        self.hub.connect(config).unwrap()
    }
}

/// A waker that counts.
#[derive(Default)]
pub(crate) struct Count(pub(crate) AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}
