//! The clock, the timer and the task of a hub.
#![expect(clippy::disallowed_types, clippy::disallowed_methods, reason = "the adapter owns the clock")]

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant, SystemTime};

use hyper::rt::{Executor, Sleep, Timer};
use sse_core::shared::{Driver, SharedHub, Turn};
use sse_core::{ConfigError, HubConfig};

/// Makes a hub, and runs its driver on `executor` with the clock and the timers of `timer`.
///
/// The `epoch` is what this run of the server is called in event ids (H2): [`epoch_from_clock`] is a good one for a
/// single server. The task ends when the last handle on the hub is dropped.
///
/// # Errors
///
/// [`ConfigError`] when the epoch cannot be part of an id.
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
    executor.execute(Drive { driver, timer, origin, sleep: None });
    Ok(hub)
}

/// An epoch that differs from run to run: the milliseconds since 1970, in base 36.
pub fn epoch_from_clock() -> String {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let mut millis = since.as_millis();
    let mut digits = Vec::new();
    while millis > 0 || digits.is_empty() {
        digits.push(char::from_digit((millis % 36) as u32, 36).unwrap_or('0'));
        millis /= 36;
    }
    digits.iter().rev().collect()
}

/// The task of one hub: it sleeps until the hub's next deadline, and on nothing else.
pub struct Drive {
    driver: Driver,
    timer: Arc<dyn Timer + Send + Sync>,
    origin: Instant,
    sleep: Option<(sse_core::Instant, Pin<Box<dyn Sleep>>)>,
}

impl Future for Drive {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            match self.driver.turn(cx.waker()) {
                Turn::Done => return Poll::Ready(()),
                Turn::Again => {
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                Turn::Sleep(until) => {
                    if self.poll_sleep(until, cx).is_pending() {
                        return Poll::Pending;
                    }
                }
            }
        }
    }
}

impl Drive {
    /// Waits for an instant; the timer is set anew only when that changed (X5). That the timer went off means only
    /// that the clock has to be asked: a timer that is early is set again.
    fn poll_sleep(&mut self, until: Option<sse_core::Instant>, cx: &mut Context<'_>) -> Poll<()> {
        let Some(until) = until else {
            self.sleep = None;
            return Poll::Pending;
        };
        if self.sleep.as_ref().is_none_or(|(set_for, _)| *set_for != until) {
            self.set_sleep(until);
        }
        let Some((_, sleep)) = &mut self.sleep else { return Poll::Pending };
        std::task::ready!(sleep.as_mut().poll(cx));
        self.sleep = None;
        Poll::Ready(())
    }

    fn set_sleep(&mut self, until: sse_core::Instant) {
        let time = Duration::from_nanos(until.as_nanos());
        // An instant beyond what the clock can count is waited for as long as it can.
        let at = self.origin.checked_add(time).unwrap_or_else(|| self.timer.now() + FAR);
        match &mut self.sleep {
            Some((set_for, sleep)) => {
                self.timer.reset(sleep, at);
                *set_for = until;
            }
            None => self.sleep = Some((until, self.timer.sleep_until(at))),
        }
    }
}

/// Longer than anybody waits, shorter than any clock ends.
const FAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);

impl fmt::Debug for Drive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Drive").field("driver", &self.driver).finish_non_exhaustive()
    }
}
