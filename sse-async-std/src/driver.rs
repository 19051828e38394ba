//! The clock, the timer and the driver task of a hub.
#![expect(clippy::disallowed_types, clippy::disallowed_methods, reason = "the adapter owns the clock")]

use std::future::Future;
use std::hash::{BuildHasher, RandomState};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant, SystemTime};

use sse_core::adapter::{DriveHub, EpochClock, Timer, epoch_of};
use sse_core::shared::SharedHub;
use sse_core::{ConfigError, HubConfig};

/// Creates a hub and spawns its driver on the executor of async-std.
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
/// let hub = sse_async_std::start(sse_async_std::epoch_from_clock(), sse_core::HubConfig::default())?;
/// # Ok::<(), sse_core::ConfigError>(())
/// ```
#[cfg(feature = "async-std")]
pub fn start(epoch: impl Into<String>, config: HubConfig) -> Result<SharedHub, ConfigError> {
    let (hub, task) = drive(epoch, config)?;
    async_std::task::spawn(task);
    Ok(hub)
}

/// Creates a hub and its driver as a future. Its instants count from 1970: the wall clock is read once. Spawn the future on any
/// executor. `start` spawns it on that of async-std.
///
/// # Errors
///
/// Returns a [`ConfigError`] if the epoch cannot be part of an id or is too long, if `config` has another epoch, or if the
/// name of a control event cannot be encoded.
///
/// ```
/// let (hub, task) = sse_async_std::drive(sse_async_std::epoch_from_clock(), sse_core::HubConfig::default())?;
/// smol::spawn(task).detach();
/// # Ok::<(), sse_core::ConfigError>(())
/// ```
pub fn drive(
    epoch: impl Into<String>,
    config: HubConfig,
) -> Result<(SharedHub, DriveHub<HubTimer>), ConfigError> {
    let (origin, epoch_clock) = (Instant::now(), EpochClock::new(since_1970()));
    let clock = move || epoch_clock.instant(origin.elapsed());
    let (hub, driver) = SharedHub::new(epoch, config, clock)?;
    Ok((hub, DriveHub::new(driver, HubTimer { origin, epoch_clock, timer: async_io::Timer::never() })))
}

/// Returns an epoch that differs from run to run: the milliseconds since 1970 and a random number, in base 36.
///
/// ```
/// assert_ne!(sse_async_std::epoch_from_clock(), sse_async_std::epoch_from_clock());
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

/// The timer of a hub, on the reactor that async-std and smol share.
#[derive(Debug)]
pub struct HubTimer {
    origin: Instant,
    epoch_clock: EpochClock,
    timer: async_io::Timer,
}

impl Timer for HubTimer {
    fn set(&mut self, at: sse_core::Instant) {
        self.timer.set_at(self.origin + self.epoch_clock.elapsed(at));
    }

    fn poll_elapsed(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        Pin::new(&mut self.timer).poll(cx).map(|_| ())
    }
}
