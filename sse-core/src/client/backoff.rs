//! Exponential backoff with jitter between connections (WHATWG HTML 9.2.3).

use core::time::Duration;

use super::config::BackoffConfig;
use crate::mix::splitmix64;

/// The shortest wait. A wait of zero would make the driver spin.
const MIN_WAIT: Duration = Duration::from_millis(1);

/// Computes the wait before each attempt to connect.
#[derive(Clone, Debug)]
pub(super) struct Backoff {
    config: BackoffConfig,
    seed: u64,
    /// The reconnection time that a stream set.
    retry: Option<Duration>,
    /// The number of consecutive failed attempts.
    failures: u32,
    /// The wait before the current attempt. Zero before the first attempt.
    last_wait: Duration,
    /// The number of waits so far, which gives each wait its own jitter.
    wait_count: u64,
}

impl Backoff {
    pub(super) const fn new(config: BackoffConfig, seed: u64) -> Self {
        Self { config, seed, retry: None, failures: 0, last_wait: Duration::ZERO, wait_count: 0 }
    }

    /// Records an attempt whose stream has ended after `lifetime`.
    ///
    /// A server can open each stream and end it at once. Such streams count as failures, or the client would connect at
    /// the reconnection time for ever.
    pub(super) fn record_stream(&mut self, lifetime: Duration, has_new_id: bool) {
        if has_new_id || lifetime >= self.last_wait {
            self.failures = 0;
        } else {
            self.record_failure();
        }
    }

    /// Records an attempt that opened no stream.
    pub(super) const fn record_failure(&mut self) {
        self.failures = self.failures.saturating_add(1);
    }

    /// Replaces the reconnection time with the one that a stream set.
    pub(super) const fn set_retry(&mut self, retry: Duration) {
        self.retry = Some(retry);
    }

    pub(super) fn reconnection_time(&self) -> Duration {
        let retry = self.retry.map(|retry| retry.min(self.config.max_server_wait));
        retry.unwrap_or(self.config.initial).max(self.config.shortest).max(MIN_WAIT)
    }

    /// Returns the next wait, at least the `Retry-After` time of the server.
    pub(super) fn next_wait(&mut self, retry_after: Duration) -> Duration {
        let base = self.reconnection_time();
        let min_wait = retry_after.min(self.config.max_server_wait);
        let factor = 1_u32.checked_shl(self.failures).unwrap_or(u32::MAX);
        let wait = base.saturating_mul(factor).min(self.config.longest).max(base).max(min_wait);
        self.last_wait = wait.saturating_add(self.jitter(wait));
        self.last_wait
    }

    fn jitter(&mut self, wait: Duration) -> Duration {
        let random = splitmix64(self.seed, self.wait_count);
        self.wait_count = self.wait_count.wrapping_add(1);
        let max_jitter = wait.as_nanos().saturating_mul(u128::from(self.config.jitter_percent)) / 100;
        let max_jitter = u64::try_from(max_jitter).unwrap_or(u64::MAX);
        Duration::from_nanos(random.checked_rem(max_jitter.saturating_add(1)).unwrap_or(random))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest_and_saturate() {
        let config = BackoffConfig { jitter_percent: 0, ..BackoffConfig::default() };
        let mut backoff = Backoff::new(config, 7);
        let mut waits = [0; 8].map(|_| {
            let wait = backoff.next_wait(Duration::ZERO).as_secs();
            backoff.record_failure();
            wait
        });
        assert_eq!(waits, [3, 6, 12, 24, 48, 60, 60, 60]);
        backoff.failures = u32::MAX;
        waits[0] = backoff.next_wait(Duration::ZERO).as_secs();
        assert_eq!(waits[0], 60);
        backoff.config.max_server_wait = Duration::MAX;
        backoff.set_retry(Duration::MAX);
        assert_eq!(backoff.next_wait(Duration::ZERO), Duration::MAX);
        backoff.config.jitter_percent = u32::MAX;
        assert_eq!(backoff.next_wait(Duration::MAX), Duration::MAX);
    }

    #[test]
    fn jitter_is_spread_over_its_range_and_comes_from_the_seed() {
        let waits = |seed| {
            let mut backoff = Backoff::new(BackoffConfig::default(), seed);
            (0..1000).map(|_| backoff.next_wait(Duration::ZERO).as_millis()).collect::<alloc::vec::Vec<_>>()
        };
        assert_eq!(waits(1), waits(1));
        assert_ne!(waits(1), waits(2));
        let (least, most) = (*waits(1).iter().min().unwrap(), *waits(1).iter().max().unwrap());
        assert!((3000..3050).contains(&least) && (4450..=4500).contains(&most), "{least} to {most}");
    }
}
