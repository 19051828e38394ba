//! Chunked framing (RFC 9112, section 7.1).

use std::io::IoSlice;

use bytes::Bytes;

use super::Framing;

/// The last chunk, which has no bytes (RFC 9112, section 7.1).
pub(super) const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

/// Of a chunk's size.
const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// The framing around some bytes of a connection (RFC 9112, section 7.1).
pub(super) struct Chunk {
    /// The size in hexadecimal digits and a line break; nothing until the transport's end says where the body ends.
    head: [u8; Chunk::LONGEST_HEAD],
    head_len: usize,
    len: usize,
    framing: Framing,
}

impl Chunk {
    /// The digits of 2^64 - 1, and the line break.
    const LONGEST_HEAD: usize = 18;

    pub(super) fn new(framing: Framing, len: usize) -> Chunk {
        let mut head = [0; Chunk::LONGEST_HEAD];
        let mut head_len = 0;
        if framing == Framing::Chunked {
            // By hand: the formatter would be a hundredth of a delivery.
            let digits = (usize::BITS.saturating_sub(len.leading_zeros())).div_ceil(4).max(1) as usize;
            let mut rest = len;
            for place in head.iter_mut().take(digits).rev() {
                *place = DIGITS.get(rest & 0xf).copied().unwrap_or_default();
                rest >>= 4;
            }
            for (place, byte) in head.iter_mut().skip(digits).zip(b"\r\n") {
                *place = *byte;
            }
            head_len = digits.saturating_add(2);
        }
        Chunk { head, head_len, len, framing }
    }

    pub(super) fn head(&self) -> &[u8] {
        self.head.get(..self.head_len).unwrap_or_default()
    }

    pub(super) fn tail(&self) -> &'static [u8] {
        if self.framing == Framing::Chunked { b"\r\n" } else { b"" }
    }

    /// How many bytes it has with its framing.
    pub(super) fn total(&self) -> usize {
        self.head_len.saturating_add(self.len).saturating_add(self.tail().len())
    }

    /// Its framed bytes from `sent` on, when `rest` is what the hub has of it.
    pub(super) fn slices<T>(
        &self,
        rest: &Bytes,
        sent: usize,
        use_slices: impl FnOnce(&[IoSlice<'_>]) -> T,
    ) -> T {
        let end = self.head_len.saturating_add(self.len);
        let head = self.head().get(sent..).unwrap_or_default();
        // Where the last byte was sent and the tail was not, the hub has it still.
        let begins = end.saturating_sub(rest.len());
        let body = rest.get(sent.saturating_sub(begins)..).unwrap_or_default();
        let tail = self.tail().get(sent.saturating_sub(end)..).unwrap_or_default();
        let all = [IoSlice::new(head), IoSlice::new(body), IoSlice::new(tail)];
        let empty = all.iter().take_while(|slice| slice.is_empty()).count();
        let filled = all.len().saturating_sub(all.iter().rev().take_while(|slice| slice.is_empty()).count());
        use_slices(all.get(empty..filled).unwrap_or_default())
    }

    /// What of its bytes is not sent, and at least the last.
    pub(super) fn unsent_of(&self, rest: Bytes, sent: usize) -> Bytes {
        let begins = self.head_len.saturating_add(self.len).saturating_sub(rest.len());
        let skip = sent.saturating_sub(begins).min(rest.len().saturating_sub(1));
        rest.slice(skip..)
    }

    /// The same where the whole chunk with its framing is in one buffer.
    pub(super) fn unsent_in<'a>(&self, framed: &'a [u8], sent: usize) -> &'a [u8] {
        let end = self.head_len.saturating_add(self.len);
        let begin = sent.clamp(self.head_len, end.saturating_sub(1).max(self.head_len));
        framed.get(begin..end).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chunk_begins_with_its_size() {
        for len in [0, 1, 9, 10, 15, 16, 255, 256, 4095, 65_536, usize::MAX] {
            let chunk = Chunk::new(Framing::Chunked, len);
            assert_eq!(chunk.head(), std::format!("{len:x}\r\n").as_bytes());
        }
    }
}
