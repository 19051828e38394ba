//! The clock, the timer and the task of a hub.
#![expect(clippy::disallowed_types, clippy::disallowed_methods, reason = "the adapter owns the clock")]

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant, SystemTime};

use hyper::rt::{Executor, Sleep, Timer};
use sse_core::shared::{Driver, SharedHub, epoch_of};
use sse_core::{ConfigError, HubConfig};

/// Makes a hub, and runs its driver on `executor` with the clock and the timers of `timer`.
///
/// The `epoch` is what this run of the server is called in event ids (H2): [`epoch_from_clock`] is a good one for a
/// single server. The task ends when the last handle on the hub is dropped.
///
/// # Errors
///
/// [`ConfigError`] when the epoch cannot be part of an id.
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
    E: Executor<Drive>,
    T: Timer + Send + Sync + 'static,
{
    let timer: Arc<dyn Timer + Send + Sync> = Arc::new(timer);
    let origin = timer.now();
    let clock = Arc::clone(&timer);
    let now = move || {
        let nanos = clock.now().saturating_duration_since(origin).as_nanos();
        sse_core::Instant::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    };
    let (hub, driver) = SharedHub::new(epoch, config, now)?;
    executor.execute(Drive { driver, alarm: Alarm { timer, origin, sleep: None } });
    Ok(hub)
}

/// An epoch that differs from run to run: the milliseconds since 1970, in base 36.
///
/// ```
/// assert!(sse_hyper::epoch_from_clock().len() <= 13);
/// ```
pub fn epoch_from_clock() -> String {
    epoch_of(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default())
}

/// The task of one hub: it sleeps until the hub's next deadline, and on nothing else.
///
/// [`start`] gives it to the executor, which is why it is public.
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

struct Alarm {
    timer: Arc<dyn Timer + Send + Sync>,
    origin: Instant,
    sleep: Option<Pin<Box<dyn Sleep>>>,
}

impl sse_core::shared::Timer for Alarm {
    fn set(&mut self, at: sse_core::Instant) {
        // An instant beyond what the clock can count is waited for as long as it can.
        let at = self.origin.checked_add(Duration::from_nanos(at.as_nanos()));
        let at = at.unwrap_or_else(|| self.timer.now() + FAR);
        match &mut self.sleep {
            Some(sleep) => self.timer.reset(sleep, at),
            None => self.sleep = Some(self.timer.sleep_until(at)),
        }
    }

    fn poll_elapsed(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.sleep.as_mut().map_or(Poll::Pending, |sleep| sleep.as_mut().poll(cx))
    }
}

/// Longer than anybody waits, shorter than any clock ends.
const FAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);

impl fmt::Debug for Drive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Drive").field("driver", &self.driver).finish_non_exhaustive()
    }
}
