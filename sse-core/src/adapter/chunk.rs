//! Chunked framing (RFC 9112, section 7.1).

use std::io::IoSlice;

use bytes::Bytes;

use super::Framing;

/// The end of a chunk, and behind it the last chunk, which ends the stream.
pub(crate) const TRAILER: &[u8] = b"\r\n0\r\n\r\n";

/// The number of bytes of [`TRAILER`] that end a chunk.
pub(crate) const CHUNK_END: usize = 2;

const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// The framing around the payload of one write: a head and a trailer, both empty without chunks.
pub(crate) struct Chunk {
    /// The size in hexadecimal digits, and a line break.
    head: [u8; Chunk::LONGEST_HEAD],
    head_len: u8,
    trailer_len: u8,
    payload_len: usize,
}

impl Chunk {
    /// The digits of 2^64 - 1, and the line break.
    const LONGEST_HEAD: usize = 18;

    pub(crate) fn new(framing: Framing, payload_len: usize) -> Chunk {
        let mut chunk = Chunk { head: [0; Chunk::LONGEST_HEAD], head_len: 0, trailer_len: 0, payload_len };
        if framing == Framing::Chunked {
            chunk.set_head();
            chunk.trailer_len = CHUNK_END as u8;
        }
        chunk
    }

    /// Adds the end of the stream behind the chunk.
    pub(crate) fn make_last(&mut self) {
        if self.trailer_len > 0 {
            self.trailer_len = TRAILER.len() as u8;
        }
    }

    fn set_head(&mut self) {
        // The formatter of the standard library would be a hundredth of a delivery.
        let bits = usize::BITS.saturating_sub(self.payload_len.leading_zeros());
        let digits = bits.div_ceil(4).max(1) as u8;
        let mut rest = self.payload_len;
        for byte in self.head.iter_mut().take(digits.into()).rev() {
            *byte = DIGITS.get(rest & 0xf).copied().unwrap_or_default();
            rest >>= 4;
        }
        for (byte, value) in self.head.iter_mut().skip(digits.into()).zip(b"\r\n") {
            *byte = *value;
        }
        self.head_len = digits.saturating_add(2);
    }

    pub(crate) fn head(&self) -> &[u8] {
        self.head.get(..self.head_len.into()).unwrap_or_default()
    }

    pub(crate) fn trailer(&self) -> &'static [u8] {
        TRAILER.get(..self.trailer_len.into()).unwrap_or_default()
    }

    pub(crate) fn payload_len(&self) -> usize {
        self.payload_len
    }

    /// Returns the number of bytes up to the end of the payload.
    pub(crate) fn payload_end(&self) -> usize {
        self.payload_len.saturating_add(self.head_len.into())
    }

    /// Returns the number of bytes with the whole framing.
    pub(crate) fn total(&self) -> usize {
        self.payload_end().saturating_add(self.trailer_len.into())
    }

    /// Passes the bytes from `sent` on to `use_slices`, without empty slices. `rest` is the tail of the payload.
    pub(crate) fn slices<T>(
        &self,
        rest: &[u8],
        sent: usize,
        use_slices: impl FnOnce(&[IoSlice<'_>]) -> T,
    ) -> T {
        let head = self.head().get(sent..).unwrap_or_default();
        let payload = rest.get(self.skipped(rest.len(), sent)..).unwrap_or_default();
        let trailer = self.trailer().get(sent.saturating_sub(self.payload_end())..).unwrap_or_default();
        let all = [IoSlice::new(head), IoSlice::new(payload), IoSlice::new(trailer)];
        let empty = all.iter().take_while(|slice| slice.is_empty()).count();
        let filled = all.len().saturating_sub(all.iter().rev().take_while(|slice| slice.is_empty()).count());
        use_slices(all.get(empty..filled).unwrap_or_default())
    }

    /// Returns the unsent part of `rest`, the tail of the payload.
    pub(crate) fn unsent(&self, rest: &Bytes, sent: usize) -> Bytes {
        rest.slice(self.skipped(rest.len(), sent)..)
    }

    /// Returns the unsent part of the payload of a chunk that is in one buffer with its framing.
    pub(crate) fn unsent_in<'a>(&self, framed: &'a [u8], sent: usize) -> &'a [u8] {
        framed.get(sent.max(self.head_len.into())..self.payload_end()).unwrap_or_default()
    }

    /// Returns how many bytes of the last `rest_len` bytes of the payload were sent.
    fn skipped(&self, rest_len: usize, sent: usize) -> usize {
        let begin = self.payload_end().saturating_sub(rest_len);
        sent.saturating_sub(begin).min(rest_len)
    }
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::*;

    #[test]
    fn a_chunk_begins_with_its_size() {
        for len in [0, 1, 9, 10, 15, 16, 255, 256, 4095, 65_536, usize::MAX] {
            let chunk = Chunk::new(Framing::Chunked, len);
            assert_eq!(chunk.head(), std::format!("{len:x}\r\n").as_bytes());
        }
    }

    #[test]
    fn the_slices_from_any_byte_on_are_the_rest_of_the_chunk() {
        let payload = Bytes::from_static(b"data: 1\n\n");
        let framings = [(Framing::Chunked, false), (Framing::Chunked, true), (Framing::UntilClose, true)];
        for (framing, is_last) in framings {
            let mut chunk = Chunk::new(framing, payload.len());
            if is_last {
                chunk.make_last();
            }
            let framed = [chunk.head(), &payload, chunk.trailer()].concat();
            assert_eq!(framed.len(), chunk.total());
            for sent in 0..framed.len() {
                let unsent = chunk.unsent(&payload, sent);
                assert_eq!(unsent, chunk.unsent_in(&framed, sent));
                for rest in [&payload, &unsent] {
                    let written: Vec<u8> = chunk.slices(rest, sent, |slices| {
                        assert!(!slices.is_empty() && slices.iter().all(|slice| !slice.is_empty()));
                        slices.iter().flat_map(|slice| slice.iter().copied()).collect()
                    });
                    assert_eq!(written, framed[sent..]);
                }
            }
        }
    }
}
