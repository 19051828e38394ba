//! Epochs from a clock and a random number.

use core::time::Duration;
use std::string::String;

/// Returns an epoch that differs from run to run ([H2](crate::rules#h2)): the time since 1970 at the start of the server, as
/// whole milliseconds, and a random number, both in base 36.
///
/// The time alone does not do: two servers can start in one millisecond, and a clock can be set back. A client with an id of
/// another run would then be sent the events of the wrong run.
///
/// ```
/// use std::time::Duration;
///
/// let epoch = sse_core::adapter::epoch_of(Duration::from_secs(1_800_000_000), 0x9e37_79b9_7f4a_7c15);
/// assert_eq!(epoch, "mywpiww0mze87p");
/// ```
pub fn epoch_of(since_1970: Duration, random: u64) -> String {
    let millis = u64::try_from(since_1970.as_millis()).unwrap_or(u64::MAX);
    let mut epoch = base_36(millis);
    let suffix = base_36(random);
    // The last six digits: two billion values.
    epoch.push_str(suffix.get(suffix.len().saturating_sub(6)..).unwrap_or(&suffix));
    epoch
}

fn base_36(mut number: u64) -> String {
    let mut digits = String::new();
    loop {
        let digit = u32::try_from(number % 36).unwrap_or(0);
        digits.insert(0, char::from_digit(digit, 36).unwrap_or('0'));
        number /= 36;
        if number == 0 {
            return digits;
        }
    }
}
