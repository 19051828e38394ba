//! The line syntax of `text/event-stream` (WHATWG HTML 9.2.5 and 9.2.6), which encoder, decoder and frames share.

use alloc::vec::Vec;
use core::time::Duration;

use memchr::{Memchr2, memchr2_iter};

use super::error::{EncodeError, EncodeField};

/// The longest id in bytes: `LastEventId::MAX_BYTES` says why.
pub(crate) const MAX_ID_BYTES: usize = 1024;

// E1: a name, a colon and always one space. A decoder takes one space away (9.2.6), so that without it a value that
// begins with a space would lose its own.
pub(super) const ID: &[u8; 4] = b"id: ";
pub(super) const EVENT: &[u8; 7] = b"event: ";
pub(super) const DATA: &[u8; 6] = b"data: ";
pub(super) const RETRY: &[u8; 7] = b"retry: ";
pub(super) const COMMENT: &[u8; 2] = b": ";

/// U+FEFF in UTF-8: decoders drop one at the start of a stream.
pub(super) const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// What a line of the stream says (9.2.6); values are without the one space that may follow the colon.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line<'a> {
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
    const MAX_NAME_LEN: usize = 5;

    /// Reads a line that is given without its end.
    #[inline(always)]
    pub(super) fn parse(line: &'a [u8]) -> Self {
        let value_of = |name: &[u8]| line.strip_prefix(name).and_then(field_value);
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
    pub(super) fn parse_partial(line: &'a [u8]) -> Option<Self> {
        let is_named = line.len() > Self::MAX_NAME_LEN || line.contains(&b':');
        is_named.then(|| Self::parse(line))
    }
}

/// What follows a field's name, if the name ends there; without a colon the whole line is the name.
fn field_value(after_name: &[u8]) -> Option<&[u8]> {
    match after_name {
        [] => Some(b""),
        [b':', b' ', value @ ..] | [b':', value @ ..] => Some(value),
        _ => None,
    }
}

/// 9.2.6: a `retry` of anything but ASCII digits, or of none, is ignored.
pub(super) fn parse_retry(value: &[u8]) -> Option<Duration> {
    parse_digits(value).map(Duration::from_millis)
}

/// The number that ASCII digits, and nothing else, write; [`u64::MAX`] for a larger one.
pub(crate) fn parse_digits(value: &[u8]) -> Option<u64> {
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let digits = value.iter().map(|digit| u64::from(digit & 0x0f));
    Some(digits.fold(0_u64, |number, digit| number.saturating_mul(10).saturating_add(digit)))
}

/// Checks E3 and E4 for the id that is `text` and then `suffix_len` more bytes, which are known to be printable.
pub(crate) fn check_id(text: &str, suffix_len: usize) -> Result<(), EncodeError> {
    let len = text.len().saturating_add(suffix_len);
    if len <= MAX_ID_BYTES && text.bytes().all(|byte| byte.is_ascii_graphic()) {
        // What most ids are: nothing of the below can be wrong with them.
        return Ok(());
    }
    check_one_line(EncodeField::Id, text)?;
    if len > MAX_ID_BYTES {
        return Err(EncodeError::IdTooLong { len, max: MAX_ID_BYTES });
    }
    if let Some((offset, _)) = text.char_indices().find(|(_, char)| char.is_control()) {
        return Err(EncodeError::IdControl { offset });
    }
    let ends_in_white_space = suffix_len == 0 && text.ends_with(char::is_whitespace);
    if ends_in_white_space || text.starts_with(char::is_whitespace) {
        return Err(EncodeError::IdWhiteSpace);
    }
    Ok(())
}

/// Checks E3: the field stays on one line.
pub(super) fn check_one_line(field: EncodeField, value: &str) -> Result<(), EncodeError> {
    // These are short: a loop is over before a search has begun.
    match value.bytes().position(|byte| matches!(byte, b'\r' | b'\n')) {
        Some(offset) => Err(EncodeError::LineBreak { field, offset }),
        None => Ok(()),
    }
}

/// Appends `name`, `value` and a line feed; names are arrays so that copying one is a single store.
pub(super) fn write_line<const N: usize>(wire: &mut Vec<u8>, name: &[u8; N], value: &[u8]) {
    wire.extend_from_slice(name);
    wire.extend_from_slice(value);
    wire.push(b'\n');
}

/// How many bytes [`write_line`] appends for a value of `value` bytes.
pub(super) const fn line_len<const N: usize>(_name: &[u8; N], value: usize) -> u64 {
    (N as u64).saturating_add(value as u64).saturating_add(1)
}

/// The lines of `text` that an end of line ends: CRLF, LF and CR are one each (9.2.5), nothing else is.
pub(super) struct Lines<'a, B = Memchr2<'a>> {
    text: &'a [u8],
    /// Where each CR and LF stands; the LF of a CRLF may be left out.
    breaks: B,
    start: usize,
}

impl<'a> Lines<'a> {
    pub(super) fn new(text: &'a [u8]) -> Self {
        Self::with_breaks(text, memchr2_iter(b'\r', b'\n', text))
    }
}

impl<'a, B> Lines<'a, B> {
    pub(super) const fn with_breaks(text: &'a [u8], breaks: B) -> Self {
        Self { text, breaks, start: 0 }
    }

    /// Where the next line begins, in bytes.
    pub(super) const fn start(&self) -> usize {
        self.start
    }

    /// What stands after the lines taken so far; at the end the text that nothing ended.
    pub(super) fn rest(&self) -> &'a [u8] {
        self.text.get(self.start..).unwrap_or_default()
    }
}

impl<'a, B: Iterator<Item = usize>> Iterator for Lines<'a, B> {
    type Item = &'a [u8];

    #[inline]
    fn next(&mut self) -> Option<&'a [u8]> {
        loop {
            let end = self.breaks.next()?;
            // The LF of a CRLF stands before the start of the next line: it ended its line together with the CR.
            let Some(line) = self.text.get(self.start..end) else { continue };
            let crlf = self.text.get(end..).is_some_and(|rest| rest.starts_with(b"\r\n"));
            self.start = end.saturating_add(if crlf { 2 } else { 1 });
            return Some(line);
        }
    }
}
