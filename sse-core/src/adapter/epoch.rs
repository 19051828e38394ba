//! Epochs from a clock.

use std::string::String;
use std::vec::Vec;

/// Returns an epoch that differs from run to run of a single server: the time since 1970 at its start, as whole
/// milliseconds in base 36 ([H2](crate::rules#h2)).
///
/// ```
/// use std::time::Duration;
///
/// assert_eq!(sse_core::adapter::epoch_of(Duration::from_secs(1_800_000_000)), "mywpiww0");
/// ```
pub fn epoch_of(since_1970: core::time::Duration) -> String {
    let mut millis = since_1970.as_millis();
    let mut digits = Vec::new();
    while millis > 0 || digits.is_empty() {
        let digit = u32::try_from(millis.checked_rem(36).unwrap_or(0)).unwrap_or(0);
        digits.push(char::from_digit(digit, 36).unwrap_or('0'));
        millis = millis.checked_div(36).unwrap_or(0);
    }
    digits.iter().rev().collect()
}
