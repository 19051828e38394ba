//! The clock, the timer and the driver task of a hub.
#![expect(clippy::disallowed_types, clippy::disallowed_methods, reason = "the adapter owns the clock")]

use std::future::Future;
use std::hash::{BuildHasher, RandomState};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};

use sse_core::adapter::{DriveHub, EpochClock, Timer, epoch_of};
use sse_core::shared::SharedHub;
use sse_core::{ConfigError, HubConfig};
use tokio::time::{Instant, Sleep};

/// Creates a hub and spawns its driver on the current runtime. The hub uses the clock of that runtime, so pausing tokio's
/// time pauses the hub. Its instants count from 1970: the wall clock is read once, at the start.
///
/// The `epoch` identifies this run of the server in event ids ([H2](sse_core::rules#h2)). [`epoch_from_clock`] suits a
/// single server. The driver task ends when the last handle on the hub is dropped.
///
/// # Errors
///
/// Returns a [`ConfigError`] if the epoch cannot be part of an id or is too long, if `config` has another epoch, or if the
/// name of a control event cannot be encoded.
///
/// # Panics
///
/// Panics outside a tokio runtime with enabled time.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), sse_core::ConfigError> {
/// let hub = sse_tokio::start(sse_tokio::epoch_from_clock(), sse_core::HubConfig::default())?;
/// # Ok(()) }
/// ```
pub fn start(epoch: impl Into<String>, config: HubConfig) -> Result<SharedHub, ConfigError> {
    let (origin, epoch_clock) = (Instant::now(), EpochClock::new(since_1970()));
    let clock = move || epoch_clock.instant(origin.elapsed());
    let (hub, driver) = SharedHub::new(epoch, config, clock)?;
    let timer = HubTimer { origin, epoch_clock, sleep: Box::pin(tokio::time::sleep_until(origin)) };
    tokio::spawn(DriveHub::new(driver, timer));
    Ok(hub)
}

/// Returns an epoch that differs from run to run: the milliseconds since 1970 and a random number, in base 36.
///
/// ```
/// assert_ne!(sse_tokio::epoch_from_clock(), sse_tokio::epoch_from_clock());
/// ```
pub fn epoch_from_clock() -> String {
    let since_1970 = since_1970();
    // The seed of a hash map is the random number that the standard library has.
    epoch_of(since_1970, RandomState::new().hash_one(since_1970))
}

/// Returns the time of the wall clock.
fn since_1970() -> Duration {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}

struct HubTimer {
    origin: Instant,
    epoch_clock: EpochClock,
    sleep: Pin<Box<Sleep>>,
}

impl Timer for HubTimer {
    fn set(&mut self, at: sse_core::Instant) {
        self.sleep.as_mut().reset(self.origin + self.epoch_clock.elapsed(at));
    }

    fn poll_elapsed(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.sleep.as_mut().poll(cx)
    }

    fn yield_now(&mut self, cx: &mut Context<'_>) {
        yield_now(cx);
    }
}

/// Schedules the task behind a poll of the runtime's reactor. Events that are published meanwhile then go out together with
/// the pending ones (X9). A task that wakes itself directly would run again at once.
pub(crate) fn yield_now(cx: &mut Context<'_>) {
    let later = pin!(tokio::task::yield_now());
    if later.poll(cx).is_ready() {
        cx.waker().wake_by_ref();
    }
}
