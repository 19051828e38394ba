//! Frames: encoded events that are cheap to clone.

use alloc::vec::Vec;
use core::fmt;

use bytes::Bytes;

use super::error::{EncodeError, FrameError};
use super::syntax::{
    BYTE_ORDER_MARK, ID, Line, Lines, check_id, check_retry, line_len, parse_digits, write_line,
};

/// The largest frame in bytes: the offset of the id has to fit into 32 bits, and the frame into one allocation.
pub(super) const MAX_FRAME_BYTES: u64 =
    if (isize::MAX as u64) < u32::MAX as u64 { isize::MAX as u64 } else { u32::MAX as u64 };

/// The encoded bytes of one event: one block of an event stream, up to and including its blank line.
///
/// [`Event::encode`](crate::Event::encode) creates a frame from an event, and [`Frame::parse`] from encoded bytes. All
/// connections share the bytes of a frame: a clone increments a reference count and copies nothing. The first clone of
/// an encoded frame allocates the reference count, about 24 bytes; later clones allocate nothing. Frames can be written
/// in any sequence, and each is decoded as it was encoded ([E6](crate::rules#e6)).
// This includes a frame that ends in CR before one that begins with LF, although decoders read both as one line end:
// only a block that consists of a blank line begins with LF, and losing that block changes nothing.
#[derive(Clone)]
pub struct Frame {
    bytes: Bytes,
    /// The span of the id in `bytes`.
    id_start: u32,
    /// [`Frame::NO_ID`] without an id.
    id_len: u16,
    live_only: bool,
    #[cfg_attr(not(feature = "std"), expect(dead_code, reason = "only the shared hub has a lock"))]
    has_foreign_bytes: bool,
}

#[expect(clippy::len_without_is_empty, reason = "a frame has at least its blank line")]
impl Frame {
    const NO_ID: u16 = u16::MAX;

    /// Creates a frame from encoded bytes that are exactly one block.
    ///
    /// Lines may end in LF, CR or CRLF. Fields that the standard does not define are kept. The last `id` line is the id
    /// of the frame, as it is for a decoder.
    ///
    /// ```
    /// use sse_core::{Frame, FrameError};
    ///
    /// let frame = Frame::parse("data: 42\nid: 7\n\n")?;
    /// assert_eq!(frame.id(), Some("7"));
    /// assert_eq!(Frame::parse("data: 1\n\ndata: 2\n\n"), Err(FrameError::SeveralBlocks { offset: 9 }));
    /// # Ok::<(), FrameError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// A frame has to remain one block wherever it is written ([E6](crate::rules#e6)). The errors are:
    ///
    /// - [`FrameError::Unterminated`] if `raw` does not end with a blank line, or is empty;
    /// - [`FrameError::SeveralBlocks`] if bytes follow the first blank line;
    /// - [`FrameError::ByteOrderMark`] if `raw` begins with a byte order mark;
    /// - [`FrameError::InvalidUtf8`] if `raw` is not UTF-8, the encoding of event streams (WHATWG HTML 9.2.5);
    /// - [`FrameError::Id`] if the value of an `id` line would be refused by [`Event::encode`](crate::Event::encode)
    ///   ([E4](crate::rules#e4));
    /// - [`FrameError::TooLong`] if `raw` has about 4 GiB or more.
    ///
    /// # Cost
    ///
    /// O(bytes). Nothing is copied, and only the conversion into [`Bytes`] can allocate. If `raw` is a part of a larger
    /// buffer, the frame keeps the whole buffer alive.
    pub fn parse(raw: impl Into<Bytes>) -> Result<Self, FrameError> {
        let bytes = raw.into();
        let span = parse_block(&bytes)?;
        Ok(Self { has_foreign_bytes: true, ..Self::new(bytes, span, false) })
    }

    /// Marks the frame as live-only: it is kept in no history and never replayed.
    ///
    /// [`Event::live_only`](crate::Event::live_only) does the same before an event is encoded.
    #[must_use]
    pub const fn live_only(mut self) -> Self {
        self.live_only = true;
        self
    }

    /// Creates a frame with the same content and another id in front.
    ///
    /// The `id` lines of the original are removed, since the last one would override the new id. All other lines are
    /// kept, and each line end is written as LF.
    ///
    /// ```
    /// use sse_core::{EncodeError, Event};
    ///
    /// let frame = Event::new().id("7").data("x").encode()?.with_id("8")?;
    /// assert_eq!(frame.as_bytes(), b"id: 8\ndata: x\n\n");
    /// # Ok::<(), EncodeError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// The errors of [`Event::encode`](crate::Event::encode) for the id, and [`EncodeError::TooLong`].
    ///
    /// # Cost
    ///
    /// O(bytes), and one allocation with the exact size of the new frame.
    pub fn with_id(&self, id: &str) -> Result<Self, EncodeError> {
        check_id(id, 0)?;
        let mut len = line_len(ID, id.len());
        for line in self.lines_without_id() {
            len = len.saturating_add(line_len(b"", line.len()));
        }
        let mut wire = Vec::with_capacity(check_frame_len(len)?);
        write_line(&mut wire, ID, id.as_bytes());
        for line in self.lines_without_id() {
            // With the original line ends, removing an `id` line could join a CR and the LF of the blank line into one
            // line end, and the block would have no end.
            write_line(&mut wire, b"", line);
        }
        Ok(Self::encoded(wire, Some(id.len()), self.live_only))
    }

    /// Returns the encoded bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Returns the encoded bytes without copying them.
    #[must_use]
    pub fn into_bytes(self) -> Bytes {
        self.bytes
    }

    /// Returns the id of the frame, or `None` if it has none. An empty id is an id.
    ///
    /// # Cost
    ///
    /// O(bytes of the id), at most [`LastEventId::MAX_BYTES`](crate::LastEventId::MAX_BYTES).
    #[must_use]
    pub fn id(&self) -> Option<&str> {
        if !self.has_id() {
            return None;
        }
        let start = usize::try_from(self.id_start).ok()?;
        let end = start.checked_add(usize::from(self.id_len))?;
        // Both constructors checked the span and its UTF-8. The types cannot express this, so it is checked again.
        core::str::from_utf8(self.bytes.get(start..end)?).ok()
    }

    /// Returns the number of encoded bytes, at least one.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Returns whether the frame was marked as live-only.
    #[must_use]
    pub const fn is_live_only(&self) -> bool {
        self.live_only
    }

    /// Returns the ping of T1, an empty comment line. It has no blank line: some clients dispatch an empty message at a
    /// blank line that follows an id.
    pub(crate) const fn ping() -> Self {
        let bytes = Bytes::from_static(b":\n");
        Self { bytes, id_start: 0, id_len: Self::NO_ID, live_only: false, has_foreign_bytes: false }
    }

    /// Returns whether the frame has an id.
    pub(crate) const fn has_id(&self) -> bool {
        self.id_len != Self::NO_ID
    }

    /// Returns whether the bytes came from the application: dropping them may run its code.
    #[cfg(feature = "std")]
    pub(crate) const fn has_foreign_bytes(&self) -> bool {
        self.has_foreign_bytes
    }

    /// Returns the same frame with another handle on the same bytes.
    #[cfg(feature = "std")]
    pub(crate) fn replace_bytes(&self, replace: impl FnOnce(Bytes) -> Bytes) -> Self {
        Self { bytes: replace(self.bytes.clone()), has_foreign_bytes: false, ..*self }
    }

    /// Returns the shared handle of the encoded bytes.
    pub(crate) const fn as_shared(&self) -> &Bytes {
        &self.bytes
    }

    /// Creates a frame from the output of the encoder. `id` is the length of the id in the first line, if there is one.
    pub(super) fn encoded(wire: Vec<u8>, id: Option<usize>, live_only: bool) -> Self {
        let span = id.map(|len| Span { start: ID.len(), len });
        // A vector without spare capacity becomes shared bytes without a copy (E5).
        Self::new(Bytes::from(wire), span, live_only)
    }

    /// Creates a frame. The casts are lossless: `bytes` has at most [`MAX_FRAME_BYTES`], and the id follows E4.
    fn new(bytes: Bytes, id: Option<Span>, live_only: bool) -> Self {
        let Span { start, len } = id.unwrap_or(Span { start: 0, len: usize::from(Self::NO_ID) });
        Self { bytes, id_start: start as u32, id_len: len as u16, live_only, has_foreign_bytes: false }
    }

    fn lines_without_id(&self) -> impl Iterator<Item = &[u8]> {
        Lines::new(&self.bytes).filter(|line| !matches!(Line::parse(line), Line::Id(_)))
    }
}

/// Frames are equal if their bytes are, and both or neither are live-only.
impl PartialEq for Frame {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes && self.live_only == other.live_only
    }
}

impl Eq for Frame {}

impl AsRef<[u8]> for Frame {
    fn as_ref(&self) -> &[u8] {
        self.as_bytes()
    }
}

impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Frame").field("bytes", &self.bytes).field("live_only", &self.live_only).finish()
    }
}

/// Converts the length of an encoded event, or returns [`EncodeError::TooLong`].
pub(super) fn check_frame_len(len: u64) -> Result<usize, EncodeError> {
    match usize::try_from(len) {
        Ok(fits) if len <= MAX_FRAME_BYTES => Ok(fits),
        _ => Err(EncodeError::TooLong { len, max: MAX_FRAME_BYTES }),
    }
}

/// The byte range of an id in a block.
struct Span {
    start: usize,
    len: usize,
}

/// Checks that `bytes` are exactly one block, and finds its id.
fn parse_block(bytes: &[u8]) -> Result<Option<Span>, FrameError> {
    let len = bytes.len() as u64;
    if len > MAX_FRAME_BYTES {
        return Err(FrameError::TooLong { len, max: MAX_FRAME_BYTES });
    }
    if bytes.starts_with(BYTE_ORDER_MARK) {
        return Err(FrameError::ByteOrderMark);
    }
    if let Err(error) = core::str::from_utf8(bytes) {
        return Err(FrameError::InvalidUtf8 { offset: error.valid_up_to() });
    }
    let mut id = None;
    let mut lines = Lines::new(bytes);
    loop {
        let start = lines.start();
        let Some(line) = lines.next() else {
            return Err(FrameError::Unterminated { len: bytes.len() });
        };
        match Line::parse(line) {
            Line::Blank if lines.rest().is_empty() => return Ok(id),
            Line::Blank => return Err(FrameError::SeveralBlocks { offset: lines.start() }),
            Line::Id(value) => id = Some(id_span(start, line, value)?),
            Line::Retry(value) => {
                // A value that is not a number is ignored by decoders.
                parse_digits(value).map_or(Ok(0), check_retry).map_err(FrameError::Retry)?;
            }
            _ => {}
        }
    }
}

/// Checks the `value` of an `id` line and returns its span. The line begins at byte `start` and ends with the value.
fn id_span(start: usize, line: &[u8], value: &[u8]) -> Result<Span, FrameError> {
    // This cannot fail: the value lies between ASCII characters of a valid UTF-8 text.
    let text = core::str::from_utf8(value).map_err(|_| FrameError::InvalidUtf8 { offset: start })?;
    check_id(text, 0).map_err(FrameError::Id)?;
    let before = line.len().saturating_sub(value.len());
    Ok(Span { start: start.saturating_add(before), len: value.len() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_small() {
        assert!(size_of::<Frame>() <= 40, "{} bytes", size_of::<Frame>());
    }

    #[test]
    fn a_ping_is_a_line() {
        assert_eq!(Frame::ping().as_shared().as_ref(), b":\n");
    }
}
