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
    #[inline(always)]
    pub(crate) fn parse(line: &'a [u8]) -> Self {
        let value_of = |name: &[u8]| line.strip_prefix(name).and_then(value);
        if line.is_empty() {
            Self::Blank
        } else if let Some(value) = value_of(b"data") {
            Self::Data(value)
        } else if let Some(value) = value_of(b"event") {
            Self::Event(value)
        } else if let Some(value) = value_of(b"id") {
            Self::Id(value)
        } else if let Some(value) = value_of(b"retry") {
            Self::Retry(value)
        } else {
            Self::Ignored
        }
    }

    /// Reads a line whose end has not come, if there is enough of it to tell its field.
    pub(super) fn parse_unfinished(line: &'a [u8]) -> Option<Self> {
        let is_named = line.len() > Self::LONGEST_NAME || line.contains(&b':');
        is_named.then(|| Self::parse(line))
    }
}

/// What follows a field's name, if the name ends there; without a colon the whole line is the name.
fn value(after_name: &[u8]) -> Option<&[u8]> {
    match after_name {
        [] => Some(b""),
        [b':', b' ', value @ ..] | [b':', value @ ..] => Some(value),
        _ => None,
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
