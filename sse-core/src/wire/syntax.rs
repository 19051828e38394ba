//! The line syntax of `text/event-stream` (WHATWG HTML 9.2.5 and 9.2.6), shared by the encoder, the decoder and frames.

use alloc::vec::Vec;
use core::time::Duration;

use memchr::{Memchr2, memchr2_iter};

use super::error::{EncodeError, EncodeField};

/// The longest id in bytes; `LastEventId::MAX_BYTES` documents the reason.
pub(crate) const MAX_ID_BYTES: usize = 1024;

// E1: every name is followed by a colon and one space. Decoders remove one space after the colon (9.2.6); without this
// one, a value that begins with a space would lose it.
pub(super) const ID: &[u8; 4] = b"id: ";
pub(super) const EVENT: &[u8; 7] = b"event: ";
pub(super) const DATA: &[u8; 6] = b"data: ";
pub(super) const RETRY: &[u8; 7] = b"retry: ";

/// The longest reconnection time in milliseconds, 2³¹ − 1 (E3). A longer one overflows the timers of Node, which then
/// reconnects in a loop without a pause.
pub(super) const MAX_RETRY_MILLIS: u64 = i32::MAX as u64;
pub(super) const COMMENT: &[u8; 2] = b": ";

/// U+FEFF in UTF-8. Decoders drop one byte order mark at the start of a stream.
pub(super) const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// A parsed line of a stream (9.2.6). Values exclude the single space that may follow the colon.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line<'a> {
    /// A blank line, which ends a block.
    Blank,
    /// A comment, or a field that the standard does not define.
    Ignored,
    Data(&'a [u8]),
    Event(&'a [u8]),
    Id(&'a [u8]),
    Retry(&'a [u8]),
}

impl<'a> Line<'a> {
    /// The length of the longest field names, `event` and `retry`.
    const MAX_NAME_LEN: usize = 5;

    /// Parses a line without its line end.
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

    /// Parses a line whose end has not arrived, or returns `None` if the field is not yet known.
    pub(super) fn parse_partial(line: &'a [u8]) -> Option<Self> {
        let is_named = line.len() > Self::MAX_NAME_LEN || line.contains(&b':');
        is_named.then(|| Self::parse(line))
    }
}

/// Returns the value that follows a field name, or `None` if the name continues. A line without a colon is a name with
/// an empty value.
fn field_value(after_name: &[u8]) -> Option<&[u8]> {
    match after_name {
        [] => Some(b""),
        [b':', b' ', value @ ..] | [b':', value @ ..] => Some(value),
        _ => None,
    }
}

/// Checks the bound of a reconnection time in milliseconds (E3).
pub(super) fn check_retry(millis: u64) -> Result<u64, EncodeError> {
    if millis <= MAX_RETRY_MILLIS {
        return Ok(millis);
    }
    let (retry, max) = (Duration::from_millis(millis), Duration::from_millis(MAX_RETRY_MILLIS));
    Err(EncodeError::RetryTooLong { retry, max })
}

/// Parses the value of a `retry` line. An empty value, or one that is not all ASCII digits, is ignored (9.2.6).
pub(super) fn parse_retry(value: &[u8]) -> Option<Duration> {
    parse_digits(value).map(Duration::from_millis)
}

/// Parses a number of ASCII digits only. Numbers above [`u64::MAX`] saturate.
pub(crate) fn parse_digits(value: &[u8]) -> Option<u64> {
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let digits = value.iter().map(|digit| u64::from(digit & 0x0f));
    Some(digits.fold(0_u64, |number, digit| number.saturating_mul(10).saturating_add(digit)))
}

/// Checks E3 and E4 for an id that consists of `text` and a suffix of `suffix_len` printable ASCII bytes.
pub(crate) fn check_id(text: &str, suffix_len: usize) -> Result<(), EncodeError> {
    let len = text.len().saturating_add(suffix_len);
    if len <= MAX_ID_BYTES && text.bytes().all(|byte| byte.is_ascii_graphic()) {
        // Fast path for most ids: printable ASCII within the limit passes every check below.
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

/// Checks that the value of a field contains no line break (E3).
pub(super) fn check_one_line(field: EncodeField, value: &str) -> Result<(), EncodeError> {
    // Ids and names are short, so a plain loop beats the setup cost of memchr.
    match value.bytes().position(|byte| matches!(byte, b'\r' | b'\n')) {
        Some(offset) => Err(EncodeError::LineBreak { field, offset }),
        None => Ok(()),
    }
}

/// Appends `name`, `value` and a line feed. Names are arrays so that copying one is a single store.
pub(super) fn write_line<const N: usize>(wire: &mut Vec<u8>, name: &[u8; N], value: &[u8]) {
    wire.extend_from_slice(name);
    wire.extend_from_slice(value);
    wire.push(b'\n');
}

/// Returns the number of bytes that [`write_line`] appends for a value of `value` bytes.
pub(super) const fn line_len<const N: usize>(_name: &[u8; N], value: usize) -> u64 {
    (N as u64).saturating_add(value as u64).saturating_add(1)
}

/// An iterator over the terminated lines of a text. CRLF, LF and CR each end a line, and nothing else does (9.2.5).
pub(super) struct Lines<'a, B = Memchr2<'a>> {
    text: &'a [u8],
    /// The offsets of all CR and LF bytes, in order. The LF of a CRLF may be omitted.
    breaks: B,
    start: usize,
}

impl<'a> Lines<'a> {
    pub(super) fn new(text: &'a [u8]) -> Self {
        Self::with_breaks(text, memchr2_iter(b'\r', b'\n', text))
    }
}

impl<'a, B> Lines<'a, B> {
    /// Creates an iterator from offsets of line breaks that are already known.
    pub(super) const fn with_breaks(text: &'a [u8], breaks: B) -> Self {
        Self { text, breaks, start: 0 }
    }

    /// Returns the byte offset of the next line.
    pub(super) const fn start(&self) -> usize {
        self.start
    }

    /// Returns the text after the lines returned so far. At the end of the iteration, this is the unterminated last
    /// line.
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
            // The LF of a CRLF lies before `start`: it ended its line together with the CR.
            let Some(line) = self.text.get(self.start..end) else { continue };
            let crlf = self.text.get(end..).is_some_and(|rest| rest.starts_with(b"\r\n"));
            self.start = end.saturating_add(if crlf { 2 } else { 1 });
            return Some(line);
        }
    }
}
