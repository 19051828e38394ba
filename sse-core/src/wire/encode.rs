//! The encoder (WHATWG HTML 9.2.5): it measures an event first and then writes its bytes once.

use alloc::vec::Vec;
use core::time::Duration;

use memchr::memchr2;

use super::error::{EncodeError, EncodeField};
use super::frame::{Frame, check_frame_len};
use super::syntax::{
    COMMENT, DATA, EVENT, ID, Lines, RETRY, check_id, check_one_line, check_retry, line_len, write_line,
};

/// The borrowed fields of an event.
pub(super) struct Fields<'a> {
    pub(super) id: Option<EventId<'a>>,
    pub(super) event: Option<&'a str>,
    pub(super) data: Option<&'a str>,
    /// Why the value given as the data could not be serialized.
    #[cfg(feature = "serde")]
    pub(super) json_error: Option<&'a str>,
    pub(super) retry: Option<Duration>,
    pub(super) comment: Option<&'a str>,
    pub(super) live_only: bool,
}

/// The id of an event, by its source.
#[derive(Clone, Copy)]
pub(super) enum EventId<'a> {
    /// An id that the application set.
    Application(&'a str),
    /// An id that the hub assigns, `<epoch>-<position>` (H2).
    Hub { epoch: &'a str, position: u64 },
}

/// Encodes the fields as one frame, in the order of E1.
pub(super) fn encode(fields: &Fields<'_>) -> Result<Frame, EncodeError> {
    let id = fields.id.map(CheckedId::new).transpose()?;
    let name = fields.event;
    if let Some(name) = name {
        check_one_line(EncodeField::Event, name)?;
    }
    let retry = fields.retry.map(retry_millis).transpose()?.map(Decimal::new);
    #[cfg(feature = "serde")]
    if let Some(message) = fields.json_error {
        return Err(EncodeError::Json { message: message.into() });
    }
    let (mut data_line_ends, mut comment_line_ends) = (None, None);
    let data = fields.data.map(|text| MultilineField::new(DATA, text, &mut data_line_ends));
    let comment = fields.comment.map(|text| MultilineField::new(COMMENT, text, &mut comment_line_ends));

    let len = [
        id.as_ref().map_or(0, |id| line_len(ID, id.len())),
        name.map_or(0, |name| line_len(EVENT, name.len())),
        data.as_ref().map_or(0, |data| data.len),
        retry.as_ref().map_or(0, |retry| line_len(RETRY, retry.as_bytes().len())),
        comment.as_ref().map_or(0, |comment| comment.len),
        1,
    ];
    // Sizes saturate: a length above 64 bits exceeds the maximum size of a frame as well.
    let len = check_frame_len(len.into_iter().fold(0, u64::saturating_add))?;

    let mut wire = Vec::with_capacity(len);
    if let Some(id) = &id {
        id.write(&mut wire);
    }
    if let Some(name) = name {
        write_line(&mut wire, EVENT, name.as_bytes());
    }
    if let Some(data) = &data {
        data.write(&mut wire);
    }
    if let Some(retry) = &retry {
        write_line(&mut wire, RETRY, retry.as_bytes());
    }
    if let Some(comment) = &comment {
        comment.write(&mut wire);
    }
    wire.push(b'\n');
    debug_assert_eq!(wire.len(), len, "E5: the measured length is exact");
    Ok(Frame::encoded(wire, id.map(|id| id.len()), fields.live_only))
}

/// The offsets at which the first lines of a text end. Measuring records them for writing, so each line is searched
/// once.
struct LineEnds {
    offsets: [u32; LineEnds::CAPACITY],
    len: usize,
}

impl LineEnds {
    /// The number of recorded lines. The ends of further lines are searched again.
    const CAPACITY: usize = 1024;

    const EMPTY: LineEnds = LineEnds { offsets: [0; LineEnds::CAPACITY], len: 0 };

    fn push(&mut self, end: usize) {
        // An offset above 4 GiB is dropped: a text of that size is refused before it is written.
        if let (Some(slot), Ok(end)) = (self.offsets.get_mut(self.len), u32::try_from(end)) {
            *slot = end;
            self.len = self.len.saturating_add(1);
        }
    }

    fn as_slice(&self) -> &[u32] {
        self.offsets.get(..self.len).unwrap_or_default()
    }
}

impl Frame {
    /// Creates the line `retry: …` alone, without the blank line of a block. Clients apply the reconnection time at once,
    /// and none of them dispatches an event for the line. It can stand before any block, and at the end of a stream.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// assert_eq!(sse_core::Frame::retry(Duration::from_secs(5))?.as_bytes(), b"retry: 5000\n");
    /// # Ok::<(), sse_core::EncodeError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`EncodeError::RetryTooLong`] if the time exceeds [`Event::MAX_RETRY`](crate::Event::MAX_RETRY)
    /// ([E3](crate::rules#e3)).
    pub fn retry(retry: Duration) -> Result<Frame, EncodeError> {
        let retry = Decimal::new(retry_millis(retry)?);
        let mut wire = Vec::new();
        write_line(&mut wire, RETRY, retry.as_bytes());
        Ok(Frame::encoded(wire, None, false))
    }
}

/// A text with its encoded length, written with the same prefix before each of its lines (E2).
struct MultilineField<'a, const N: usize> {
    prefix: &'static [u8; N],
    text: &'a [u8],
    /// The ends of the first lines; empty for a single line.
    line_ends: &'a [u32],
    len: u64,
}

impl<'a, const N: usize> MultilineField<'a, N> {
    /// Measures `text`. A text of several lines records its line ends in `line_ends`.
    fn new(prefix: &'static [u8; N], text: &'a str, line_ends: &'a mut Option<LineEnds>) -> Self {
        let text = text.as_bytes();
        if memchr2(b'\r', b'\n', text).is_none() {
            return Self { prefix, text, line_ends: &[], len: line_len(prefix, text.len()) };
        }
        let line_ends = line_ends.insert(LineEnds::EMPTY);
        let mut lines = Lines::new(text);
        let (mut start, mut len) = (0_usize, 0_u64);
        while let Some(line) = lines.next() {
            len = len.saturating_add(line_len(prefix, line.len()));
            line_ends.push(start.saturating_add(line.len()));
            start = lines.start();
        }
        // The text after the last line break is a line even if it is empty, which preserves a trailing line break.
        len = len.saturating_add(line_len(prefix, lines.rest().len()));
        Self { prefix, text, line_ends: line_ends.as_slice(), len }
    }

    fn write(&self, wire: &mut Vec<u8>) {
        let breaks = self.line_ends.iter().map(|end| *end as usize);
        let mut lines = Lines::with_breaks(self.text, breaks);
        for line in &mut lines {
            write_line(wire, self.prefix, line);
        }
        let mut rest = lines.rest();
        if self.line_ends.len() >= LineEnds::CAPACITY {
            let mut lines = Lines::new(rest);
            for line in &mut lines {
                write_line(wire, self.prefix, line);
            }
            rest = lines.rest();
        }
        write_line(wire, self.prefix, rest);
    }
}

/// A valid id in one or two parts, so that an assigned id needs no intermediate string.
struct CheckedId<'a> {
    text: &'a str,
    position: Option<Decimal>,
}

impl<'a> CheckedId<'a> {
    fn new(id: EventId<'a>) -> Result<Self, EncodeError> {
        let (text, position) = match id {
            EventId::Application(id) => (id, None),
            EventId::Hub { epoch, position } => (epoch, Some(Decimal::new(position))),
        };
        let id = Self { text, position };
        check_id(text, id.suffix_len())?;
        Ok(id)
    }

    fn len(&self) -> usize {
        self.text.len().saturating_add(self.suffix_len())
    }

    fn suffix_len(&self) -> usize {
        self.position.as_ref().map_or(0, |position| position.as_bytes().len().saturating_add(1))
    }

    fn write(&self, wire: &mut Vec<u8>) {
        wire.extend_from_slice(ID);
        wire.extend_from_slice(self.text.as_bytes());
        if let Some(position) = &self.position {
            wire.push(b'-');
            wire.extend_from_slice(position.as_bytes());
        }
        wire.push(b'\n');
    }
}

/// The decimal digits of a number, on the stack.
struct Decimal {
    // `u64::MAX` has 20 digits. Shorter numbers are aligned to the end.
    digits: [u8; 20],
    start: usize,
}

impl Decimal {
    fn new(mut number: u64) -> Self {
        let mut decimal = Self { digits: [b'0'; 20], start: 20 };
        for digit in decimal.digits.iter_mut().rev() {
            // The low four bits of an ASCII digit are its value, and those of b'0' are zero.
            *digit |= (number % 10) as u8;
            number /= 10;
            decimal.start = decimal.start.saturating_sub(1);
            if number == 0 {
                break;
            }
        }
        decimal
    }

    fn as_bytes(&self) -> &[u8] {
        self.digits.get(self.start..).unwrap_or_default()
    }
}

/// Returns the retry time in whole milliseconds. Fractions are cut off (E3).
fn retry_millis(retry: Duration) -> Result<u64, EncodeError> {
    check_retry(u64::try_from(retry.as_millis()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn decimal_digits_match_the_formatter() {
        let mut number = 1_u64;
        for _ in 0..20 {
            for number in [number.wrapping_sub(1), number, number.wrapping_add(1), !number] {
                assert_eq!(Decimal::new(number).as_bytes(), number.to_string().as_bytes());
            }
            number = number.wrapping_mul(10);
        }
    }

    #[test]
    fn sizes_saturate() {
        assert_eq!(line_len(DATA, usize::MAX), u64::MAX);
        let max = crate::wire::frame::MAX_FRAME_BYTES;
        assert_eq!(check_frame_len(max + 1), Err(EncodeError::TooLong { len: max + 1, max }));
        assert_eq!(check_frame_len(max).map(|len| len as u64), Ok(max));
    }
}
