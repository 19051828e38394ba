//! The clock, the timer and the task of a hub.
#![expect(clippy::disallowed_types, clippy::disallowed_methods, reason = "the adapter owns the clock")]

use std::future::Future;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};

use sse_core::shared::{Driver, SharedHub, Timer, epoch_of};
use sse_core::{ConfigError, HubConfig};
use tokio::time::{Instant, Sleep};

/// Makes a hub, and runs its driver on a task of the current runtime, with that runtime's clock: where tokio's time is
/// paused, the hub's is.
///
/// The `epoch` is what this run of the server is called in event ids (H2): [`epoch_from_clock`] is a good one for a
/// single server. The task ends when the last handle on the hub is dropped.
///
/// # Errors
///
/// [`ConfigError`] when the epoch cannot be part of an id.
///
/// # Panics
///
/// Outside a tokio runtime with its time enabled, as [`tokio::spawn`] does.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), sse_core::ConfigError> {
/// let hub = sse_tokio::start(sse_tokio::epoch_from_clock(), sse_core::HubConfig::default())?;
/// # Ok(()) }
/// ```
pub fn start(epoch: impl Into<String>, config: HubConfig) -> Result<SharedHub, ConfigError> {
    let origin = Instant::now();
    let now = move || {
        let nanos = Instant::now().saturating_duration_since(origin).as_nanos();
        sse_core::Instant::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    };
    let (hub, driver) = SharedHub::new(epoch, config, now)?;
    let alarm = Alarm { origin, sleep: Box::pin(tokio::time::sleep_until(origin)) };
    tokio::spawn(Drive { driver, alarm });
    Ok(hub)
}

/// An epoch that differs from run to run: the milliseconds since 1970, in base 36.
///
/// ```
/// assert!(sse_tokio::epoch_from_clock().len() <= 13);
/// ```
pub fn epoch_from_clock() -> String {
    epoch_of(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default())
}

/// The task of one hub: it sleeps until the hub's next deadline, and on nothing else.
struct Drive {
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
    origin: Instant,
    sleep: Pin<Box<Sleep>>,
}

impl Timer for Alarm {
    fn set(&mut self, at: sse_core::Instant) {
        // An instant beyond what the clock can count is waited for as long as it can.
        let at = self.origin.checked_add(Duration::from_nanos(at.as_nanos()));
        self.sleep.as_mut().reset(at.unwrap_or_else(|| Instant::now() + FAR));
    }

    fn poll_elapsed(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.sleep.as_mut().poll(cx)
    }

    fn go_on_later(&mut self, cx: &mut Context<'_>) {
        go_on_later(cx);
    }
}

/// Has the task go on after a look at the runtime's reactor. What is published while many are written to is then sent to
/// those that are still to come together with what was due before (X9). Woken plainly, it would go on at once.
pub(crate) fn go_on_later(cx: &mut Context<'_>) {
    let later = pin!(tokio::task::yield_now());
    if later.poll(cx).is_ready() {
        cx.waker().wake_by_ref();
    }
}

/// Longer than anybody waits, shorter than any clock ends.
const FAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);
