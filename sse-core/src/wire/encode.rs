//! Encodes an event (WHATWG HTML 9.2.5): its length is measured first, then its bytes are written once.

use alloc::vec::Vec;
use core::time::Duration;

use memchr::memchr2;

use super::error::{EncodeError, EncodeField};
use super::frame::{Frame, check_frame_len};
#[cfg(feature = "serde")]
use super::json::{self, Json};
use super::syntax::{COMMENT, DATA, EVENT, ID, Lines, RETRY, check_id, check_one_line, line_len, write_line};

/// The fields of an event, borrowed.
pub(super) struct Fields<'a> {
    pub(super) id: Option<EventId<'a>>,
    pub(super) event: Option<&'a str>,
    pub(super) data: Option<&'a str>,
    /// The data instead, if it is a value.
    #[cfg(feature = "serde")]
    pub(super) json: Option<Json<'a>>,
    pub(super) retry: Option<Duration>,
    pub(super) comment: Option<&'a str>,
    pub(super) live_only: bool,
}

/// The id that goes in front of an event.
#[derive(Clone, Copy)]
pub(super) enum EventId<'a> {
    /// The application's own.
    Application(&'a str),
    /// The hub's, `<epoch>-<position>` (H2).
    Hub { epoch: &'a str, position: u64 },
}

/// Encodes the fields as one frame, in the order of E1.
#[inline]
pub(super) fn encode(fields: &Fields<'_>) -> Result<Frame, EncodeError> {
    let id = fields.id.map(CheckedId::new).transpose()?;
    let name = fields.event;
    if let Some(name) = name {
        check_one_line(EncodeField::Event, name)?;
    }
    let retry = fields.retry.map(retry_millis).transpose()?.map(Decimal::new);
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
    // Sizes saturate: what does not fit into 64 bits does not fit into a frame either.
    let len = check_frame_len(len.into_iter().fold(0, u64::saturating_add))?;

    #[cfg(feature = "serde")]
    let len = len.saturating_add(fields.json.map_or(0, |_| Json::INITIAL_CAPACITY));
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
    #[cfg(feature = "serde")]
    if let Some(json) = fields.json {
        json.write(&mut wire)?;
    }
    if let Some(retry) = &retry {
        write_line(&mut wire, RETRY, retry.as_bytes());
    }
    if let Some(comment) = &comment {
        comment.write(&mut wire);
    }
    wire.push(b'\n');
    #[cfg(feature = "serde")]
    let len = if fields.json.is_some() { json::shrink_to_len(&mut wire)? } else { len };
    debug_assert_eq!(wire.len(), len, "E5: measured exactly");
    Ok(Frame::encoded(wire, id.map(|id| id.len()), fields.live_only))
}

/// Where the first lines of a text end. It is found out when they are measured, and known when they are written: each
/// line is searched once.
struct LineEnds {
    offsets: [u32; LineEnds::CAPACITY],
    len: usize,
}

impl LineEnds {
    /// Of later lines the ends are searched again.
    const CAPACITY: usize = 1024;

    const EMPTY: LineEnds = LineEnds { offsets: [0; LineEnds::CAPACITY], len: 0 };

    fn push(&mut self, end: usize) {
        // A text with lines beyond 4 GiB is refused before they would be written.
        if let (Some(slot), Ok(end)) = (self.offsets.get_mut(self.len), u32::try_from(end)) {
            *slot = end;
            self.len = self.len.saturating_add(1);
        }
    }

    fn as_slice(&self) -> &[u32] {
        self.offsets.get(..self.len).unwrap_or_default()
    }
}

/// A text of which every line gets the same prefix, and how long it is then (E2).
struct MultilineField<'a, const N: usize> {
    prefix: &'static [u8; N],
    text: &'a [u8],
    /// Of the first lines of a text that has several.
    line_ends: &'a [u32],
    len: u64,
}

impl<'a, const N: usize> MultilineField<'a, N> {
    /// Measures `text`; `ends` is room for what is found out by that.
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
        // What follows the last line break is a line, too, an empty one included: that keeps a trailing line break.
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

/// A checked id in one or two pieces, so that the hub's never becomes a string of its own.
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

/// A number in decimal digits, on the stack.
struct Decimal {
    // u64::MAX has 20 digits; they stand at the end.
    digits: [u8; 20],
    start: usize,
}

impl Decimal {
    fn new(mut number: u64) -> Self {
        let mut decimal = Self { digits: [b'0'; 20], start: 20 };
        for digit in decimal.digits.iter_mut().rev() {
            // An ASCII digit is its value in the low four bits of b'0'.
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

/// E3: `retry` is whole milliseconds; what is left over is cut off.
fn retry_millis(retry: Duration) -> Result<u64, EncodeError> {
    u64::try_from(retry.as_millis()).map_err(|_| EncodeError::RetryTooLong { retry })
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn decimals_are_those_of_the_formatter() {
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
