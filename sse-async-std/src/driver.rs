//! The clock, the timer and the task of a hub.
#![expect(clippy::disallowed_types, clippy::disallowed_methods, reason = "the adapter owns the clock")]

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant, SystemTime};

use sse_core::shared::{Driver, SharedHub, Timer, epoch_of};
use sse_core::{ConfigError, HubConfig};

/// Makes a hub, and runs its driver on a task of async-std.
///
/// The `epoch` is what this run of the server is called in event ids (H2): [`epoch_from_clock`] is a good one for a
/// single server. The task ends when the last handle on the hub is dropped.
///
/// # Errors
///
/// [`ConfigError`] when the epoch cannot be part of an id.
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

/// Makes a hub, and its driver as a future that is to be spawned on an executor of any kind: what `start`
/// spawns.
///
/// # Errors
///
/// [`ConfigError`] when the epoch cannot be part of an id.
///
/// ```
/// let (hub, task) = sse_async_std::drive(sse_async_std::epoch_from_clock(), sse_core::HubConfig::default())?;
/// smol::spawn(task).detach();
/// # Ok::<(), sse_core::ConfigError>(())
/// ```
pub fn drive(epoch: impl Into<String>, config: HubConfig) -> Result<(SharedHub, Drive), ConfigError> {
    let origin = Instant::now();
    let now = move || {
        let nanos = Instant::now().saturating_duration_since(origin).as_nanos();
        sse_core::Instant::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    };
    let (hub, driver) = SharedHub::new(epoch, config, now)?;
    Ok((hub, Drive { driver, alarm: Alarm { origin, timer: async_io::Timer::never() } }))
}

/// An epoch that differs from run to run: the milliseconds since 1970, in base 36.
///
/// ```
/// assert!(sse_async_std::epoch_from_clock().len() <= 13);
/// ```
pub fn epoch_from_clock() -> String {
    epoch_of(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default())
}

/// The task of one hub: it sleeps until the hub's next deadline, and on nothing else. It ends when the last handle on the
/// hub is dropped. Made by [`drive`].
///
/// Without it nobody hears of events, and no deadline comes.
#[derive(Debug)]
#[must_use = "futures do nothing unless polled"]
pub struct Drive {
    driver: Driver,
    alarm: Alarm,
}

impl Future for Drive {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let Drive { driver, alarm } = &mut *self;
        driver.poll_drive(cx, alarm)
    }
}

#[derive(Debug)]
struct Alarm {
    origin: Instant,
    timer: async_io::Timer,
}

impl Timer for Alarm {
    fn set(&mut self, at: sse_core::Instant) {
        // An instant beyond what the clock can count is waited for as long as it can.
        let at = self.origin.checked_add(Duration::from_nanos(at.as_nanos()));
        self.timer.set_at(at.unwrap_or_else(|| Instant::now() + FAR));
    }

    fn poll_elapsed(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        Pin::new(&mut self.timer).poll(cx).map(|_| ())
    }
}

/// Longer than anybody waits, shorter than any clock ends.
const FAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);
