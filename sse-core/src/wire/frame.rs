//! Encoded bytes, cheap to clone.

use alloc::vec::Vec;
use core::fmt;

use bytes::Bytes;

use super::error::{EncodeError, FrameError};
use super::syntax::{BYTE_ORDER_MARK, ID, Line, Lines, check_id, line_len, write_line};

/// The longest frame in bytes: where the id stands has to fit into 32 bits, and the whole into one allocation.
pub(super) const MAX_FRAME_BYTES: u64 =
    if (isize::MAX as u64) < u32::MAX as u64 { isize::MAX as u64 } else { u32::MAX as u64 };

/// One block of an event stream as it goes on the wire, up to and including its blank line.
///
/// A frame is made once, by [`Event::encode`](crate::Event::encode) or from bytes that are encoded already by
/// [`Frame::parse`], and is then shared by everyone it is sent to: a clone counts a reference and copies no bytes. (The
/// first clone of an encoded frame allocates that count, some 24 bytes; no later one allocates anything.)
/// Frames can be written one after another in any order and each is read as it was meant (E6).
// That is so also if one ends in CR and the next begins with LF, which decoders take for one line end: only a block that
// is nothing but a blank line begins with LF, and nobody misses it.
#[derive(Clone, PartialEq, Eq)]
pub struct Frame {
    bytes: Bytes,
    // Where the id stands in the bytes; zero and zero without one, so that equal bytes are equal frames.
    id_start: u32,
    id_len: u16,
    has_id: bool,
    live_only: bool,
}

#[expect(clippy::len_without_is_empty, reason = "a frame has at least its blank line")]
impl Frame {
    /// Takes bytes that are encoded already, if they are exactly one block.
    ///
    /// The lines may end in LF, CR or CRLF. Fields that no decoder knows are left as they are. The last `id` line is the
    /// frame's id, as it is for a decoder.
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
    /// E6 asks that a frame stays one block wherever it is written, so these are refused:
    ///
    /// - [`FrameError::Unterminated`] without a blank line at the end, and for no bytes at all;
    /// - [`FrameError::SeveralBlocks`] if anything follows the first blank line;
    /// - [`FrameError::ByteOrderMark`] and [`FrameError::InvalidUtf8`], for decoders read UTF-8 (WHATWG HTML 9.2.5);
    /// - [`FrameError::Id`] if any `id` line has a value that [`Event::encode`](crate::Event::encode) would refuse (E4);
    /// - [`FrameError::TooLong`] from about 4 GiB.
    ///
    /// # Cost
    ///
    /// O(bytes). Nothing is copied, and nothing is allocated beyond what the conversion into [`Bytes`] takes. If `raw` is
    /// a part of a larger buffer, the frame keeps all of that alive.
    pub fn parse(raw: impl Into<Bytes>) -> Result<Self, FrameError> {
        let bytes = raw.into();
        let span = parse_block(&bytes)?;
        Ok(Self::new(bytes, span, false))
    }

    /// Marks the frame as one that is kept in no history and never replayed, as
    /// [`Event::live_only`](crate::Event::live_only) does.
    #[must_use]
    pub const fn live_only(mut self) -> Self {
        self.live_only = true;
        self
    }

    /// Makes a frame of the same block with another id, which stands in front.
    ///
    /// The block's own `id` lines, if it has any, are left out: the last of them would win over the new one. What else
    /// the block holds stays, with every line end written as LF.
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
    /// Those of [`Event::encode`](crate::Event::encode) for the id, and [`EncodeError::TooLong`].
    ///
    /// # Cost
    ///
    /// O(bytes) and one allocation of the new frame's exact size.
    pub fn with_id(&self, id: &str) -> Result<Self, EncodeError> {
        check_id(id, 0)?;
        let mut len = line_len(ID, id.len());
        for line in self.lines_without_id() {
            len = len.saturating_add(line_len(b"", line.len()));
        }
        let mut wire = Vec::with_capacity(check_frame_len(len)?);
        write_line(&mut wire, ID, id.as_bytes());
        for line in self.lines_without_id() {
            // As LF: without the line between them, a CR that ends a line and the LF of a blank one would become one line
            // end, and the block would lose its end.
            write_line(&mut wire, b"", line);
        }
        Ok(Self::encoded(wire, Some(id.len()), self.live_only))
    }

    /// Returns what goes on the wire.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Returns what goes on the wire, without copying it.
    #[must_use]
    pub fn into_bytes(self) -> Bytes {
        self.bytes
    }

    /// Returns the id in the frame, if it has one; an empty one is one.
    ///
    /// # Cost
    ///
    /// O(bytes of the id), of which there are at most [`LastEventId::MAX_BYTES`](crate::LastEventId::MAX_BYTES).
    #[must_use]
    pub fn id(&self) -> Option<&str> {
        if !self.has_id {
            return None;
        }
        let start = usize::try_from(self.id_start).ok()?;
        let end = start.checked_add(usize::from(self.id_len))?;
        // Always there and always UTF-8, since both ways to make a frame checked it; checked again because the type
        // system does not know.
        core::str::from_utf8(self.bytes.get(start..end)?).ok()
    }

    /// Returns the length in bytes of what goes on the wire; at least one.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Returns whether the frame was marked as never to be replayed.
    #[must_use]
    pub const fn is_live_only(&self) -> bool {
        self.live_only
    }

    /// The ping of T1, an empty comment: the shortest block that clients take no notice of.
    pub(crate) const fn ping() -> Self {
        Self { bytes: Bytes::from_static(b":\n\n"), id_start: 0, id_len: 0, has_id: false, live_only: false }
    }

    /// The bytes as the handle they are shared by.
    pub(crate) const fn as_shared(&self) -> &Bytes {
        &self.bytes
    }

    /// Takes what the encoder wrote: `id`, if there is one, is the length of the id in the first line.
    pub(super) fn encoded(wire: Vec<u8>, id: Option<usize>, live_only: bool) -> Self {
        let span = id.map(|len| Span { start: ID.len(), len });
        // A vector without room to spare becomes shared bytes as it is (E5).
        Self::new(Bytes::from(wire), span, live_only)
    }

    /// `id` lies within `bytes`, of which there are no more than [`MAX_FRAME_BYTES`], and keeps E4; so both casts keep
    /// the value.
    fn new(bytes: Bytes, id: Option<Span>, live_only: bool) -> Self {
        let has_id = id.is_some();
        let Span { start, len } = id.unwrap_or_default();
        Self { bytes, id_start: start as u32, id_len: len as u16, has_id, live_only }
    }

    fn lines_without_id(&self) -> impl Iterator<Item = &[u8]> {
        Lines::new(&self.bytes).filter(|line| !matches!(Line::parse(line), Line::Id(_)))
    }
}

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

/// The error for an encoding of `len` bytes, if that is more than a frame can be.
pub(super) fn check_frame_len(len: u64) -> Result<usize, EncodeError> {
    match usize::try_from(len) {
        Ok(fits) if len <= MAX_FRAME_BYTES => Ok(fits),
        _ => Err(EncodeError::TooLong { len, max: MAX_FRAME_BYTES }),
    }
}

/// Where an id stands in a block, in bytes.
#[derive(Default)]
struct Span {
    start: usize,
    len: usize,
}

/// Checks that `bytes` are one block, and finds its id.
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
            _ => {}
        }
    }
}

/// Where `value` stands that ends `line`, which begins at `start`.
fn id_span(start: usize, line: &[u8], value: &[u8]) -> Result<Span, FrameError> {
    // A value lies between ASCII characters of a text that is UTF-8, so it is UTF-8 as well.
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
    fn a_ping_is_a_frame_like_any_other() {
        assert_eq!(Frame::parse(":\n\n"), Ok(Frame::ping()));
        assert_eq!(Frame::ping().as_shared().as_ref(), b":\n\n");
    }
}
