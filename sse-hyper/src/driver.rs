//! The clock, the timer and the driver task of a hub.
#![expect(clippy::disallowed_types, clippy::disallowed_methods, reason = "the adapter owns the clock")]

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant, SystemTime};

use hyper::rt::{Executor, Sleep, Timer};
use sse_core::adapter::{DriveHub, Driver, EpochClock, epoch_of};
use sse_core::shared::SharedHub;
use sse_core::{ConfigError, HubConfig, RestoreError};

/// Creates a hub and runs its driver on `executor`, with the clock and the timers of `timer`. Its instants count from 1970: the
/// wall clock is read once.
///
/// The `epoch` identifies this run of the server in event ids ([H2](sse_core::rules#h2)). [`epoch_from_clock`] suits a
/// single server. The driver task ends when the last handle on the hub is dropped.
///
/// # Errors
///
/// Returns a [`ConfigError`] if the epoch cannot be part of an id or is too long, if `config` has another epoch, or if the
/// name of a control event cannot be encoded.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), sse_core::ConfigError> {
/// use hyper_util::rt::{TokioExecutor, TokioTimer};
/// use sse_core::HubConfig;
///
/// let epoch = sse_hyper::epoch_from_clock();
/// let hub = sse_hyper::start(epoch, HubConfig::default(), &TokioExecutor::new(), TokioTimer::new())?;
/// # Ok(()) }
/// ```
pub fn start<E, T>(
    epoch: impl Into<String>,
    config: HubConfig,
    executor: &E,
    timer: T,
) -> Result<SharedHub, ConfigError>
where
    E: Executor<DriveHub<HubTimer>>,
    T: Timer + Send + Sync + 'static,
{
    run(executor, timer, |clock| SharedHub::new(epoch, config, clock))
}

/// Creates a hub that continues a former run, from the export of its hub, and runs its driver as [`start`] does
/// ([R2](sse_core::rules#r2)). [`take_export`](crate::take_export) reads the export from a file.
///
/// # Errors
///
/// [`RestoreError`]. Start with [`start`] then: clients with ids of the former run get a reset.
pub fn restore<E, T>(
    epoch: impl Into<String>,
    config: HubConfig,
    executor: &E,
    timer: T,
    export: &[u8],
) -> Result<SharedHub, RestoreError>
where
    E: Executor<DriveHub<HubTimer>>,
    T: Timer + Send + Sync + 'static,
{
    run(executor, timer, |clock| SharedHub::restore(epoch, config, clock, export))
}

/// Runs the driver of a hub that `create` makes with a clock.
fn run<E, T, R>(
    executor: &E,
    timer: T,
    create: impl FnOnce(Box<dyn Fn() -> sse_core::Instant + Send + Sync>) -> Result<(SharedHub, Driver), R>,
) -> Result<SharedHub, R>
where
    E: Executor<DriveHub<HubTimer>>,
    T: Timer + Send + Sync + 'static,
{
    let timer: Arc<dyn Timer + Send + Sync> = Arc::new(timer);
    let (origin, epoch_clock) = (timer.now(), EpochClock::new(since_1970()));
    let clock = Arc::clone(&timer);
    let clock = move || epoch_clock.instant(clock.now().saturating_duration_since(origin));
    let (hub, driver) = create(Box::new(clock))?;
    executor.execute(DriveHub::new(driver, HubTimer { timer, origin, epoch_clock, sleep: None }));
    Ok(hub)
}

/// Returns an epoch that differs from run to run: the milliseconds since 1970 and a random number, in base 36.
///
/// ```
/// assert_ne!(sse_hyper::epoch_from_clock(), sse_hyper::epoch_from_clock());
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

/// The timer of a hub, on top of a [`hyper::rt::Timer`]. It is public because the bounds of [`start`] name it.
pub struct HubTimer {
    timer: Arc<dyn Timer + Send + Sync>,
    origin: Instant,
    epoch_clock: EpochClock,
    sleep: Option<Pin<Box<dyn Sleep>>>,
}

impl sse_core::adapter::Timer for HubTimer {
    fn set(&mut self, at: sse_core::Instant) {
        let at = self.origin + self.epoch_clock.elapsed(at);
        match &mut self.sleep {
            Some(sleep) => self.timer.reset(sleep, at),
            None => self.sleep = Some(self.timer.sleep_until(at)),
        }
    }

    fn poll_elapsed(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.sleep.as_mut().map_or(Poll::Pending, |sleep| sleep.as_mut().poll(cx))
    }
}

impl fmt::Debug for HubTimer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HubTimer").field("origin", &self.origin).finish_non_exhaustive()
    }
}
