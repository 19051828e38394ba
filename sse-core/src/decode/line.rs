//! One line of a stream.

use core::time::Duration;

/// What a line of the stream says (9.2.6); values are without the one space that may follow the colon.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Line<'a> {
    /// The end of a block.
    Blank,
    /// A comment, or a field that has no meaning.
    Ignored,
    Data(&'a [u8]),
    Event(&'a [u8]),
    Id(&'a [u8]),
    Retry(&'a [u8]),
}

impl<'a> Line<'a> {
    /// The longest names are `event` and `retry`.
    const LONGEST_NAME: usize = 5;

    /// Reads a line that is given without its end.
    pub(crate) fn parse(line: &'a [u8]) -> Self {
        if line.is_empty() {
            return Self::Blank;
        }
        // Without a colon the whole line is the name; one that comes later than any known name makes no difference.
        let colon = line.iter().take(Self::LONGEST_NAME.saturating_add(1)).position(|byte| *byte == b':');
        let (name, value) = colon.and_then(|colon| line.split_at_checked(colon)).unwrap_or((line, b""));
        let value = value.strip_prefix(b":").unwrap_or(value);
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match name {
            b"data" => Self::Data(value),
            b"event" => Self::Event(value),
            b"id" => Self::Id(value),
            b"retry" => Self::Retry(value),
            _ => Self::Ignored,
        }
    }

    /// Reads a line whose end has not come, if there is enough of it to tell its field.
    pub(super) fn parse_unfinished(line: &'a [u8]) -> Option<Self> {
        let is_named = line.len() > Self::LONGEST_NAME || line.contains(&b':');
        is_named.then(|| Self::parse(line))
    }
}

/// 9.2.6: a `retry` of anything but ASCII digits, or of none, is ignored.
pub(super) fn milliseconds(value: &[u8]) -> Option<Duration> {
    digits(value).map(Duration::from_millis)
}

/// The number that ASCII digits, and nothing else, write; [`u64::MAX`] for a larger one.
pub(crate) fn digits(value: &[u8]) -> Option<u64> {
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let digits = value.iter().map(|digit| u64::from(digit & 0x0f));
    Some(digits.fold(0_u64, |number, digit| number.saturating_mul(10).saturating_add(digit)))
}
