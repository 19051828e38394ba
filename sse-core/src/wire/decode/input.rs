//! Splits chunks into lines and searches each byte once.

use alloc::vec::Vec;
use core::mem;

use memchr::memchr2;

use crate::wire::syntax::BYTE_ORDER_MARK;

/// The capacity in bytes that the input buffer retains when it is empty: the size of a typical read.
const RETAINED_BYTES: usize = 64 * 1024;

/// The bytes that were pushed and not yet returned as lines.
#[derive(Clone, Debug)]
pub(super) struct Input {
    bytes: Vec<u8>,
    /// The offset of the first byte that was not returned.
    start: usize,
    /// The end of the searched bytes: `start..searched` contains no line end. At least `start`, at most `bytes.len()`.
    searched: usize,
    /// Whether the start of the stream was checked for a byte order mark.
    bom_checked: bool,
    /// Whether the last line ended in CR. An LF right behind it belongs to that line end.
    after_cr: bool,
    /// Whether the bytes up to the next line end are dropped.
    skipping_line: bool,
    /// The number of bytes that were searched or moved.
    #[cfg(test)]
    work: usize,
}

impl Input {
    pub(super) const fn new() -> Self {
        Self {
            bytes: Vec::new(),
            start: 0,
            searched: 0,
            bom_checked: false,
            after_cr: false,
            skipping_line: false,
            #[cfg(test)]
            work: 0,
        }
    }

    pub(super) fn push(&mut self, chunk: &[u8]) {
        // Compacts here as well, for callers that never call `next_message` until it returns `None`.
        self.compact();
        self.bytes.extend_from_slice(chunk);
    }

    /// Returns the next line without its line end. A CR ends a line at once; an LF behind it is dropped when it
    /// arrives.
    pub(super) fn next_line(&mut self) -> Option<&[u8]> {
        if !self.bom_checked {
            self.skip_byte_order_mark()?;
        }
        loop {
            if self.after_cr {
                self.skip_lf_of_crlf()?;
            }
            let unsearched = self.bytes.get(self.searched..)?;
            let found = memchr2(b'\r', b'\n', unsearched);
            #[cfg(test)]
            {
                self.work += found.map_or(unsearched.len(), |found| found + 1);
            }
            let Some(found) = found else {
                self.searched = self.bytes.len();
                if self.skipping_line {
                    self.start = self.searched;
                }
                return None;
            };
            let line = self.start;
            let end = self.searched.saturating_add(found);
            self.after_cr = self.bytes.get(end) == Some(&b'\r');
            self.start = end.saturating_add(1);
            self.searched = self.start;
            if !mem::take(&mut self.skipping_line) {
                return self.bytes.get(line..end);
            }
        }
    }

    /// Drops a byte order mark at the start of the stream. Returns `None` while the bytes may still become one.
    fn skip_byte_order_mark(&mut self) -> Option<()> {
        if self.bytes.starts_with(BYTE_ORDER_MARK) {
            self.start = BYTE_ORDER_MARK.len();
            self.searched = self.start;
        } else if BYTE_ORDER_MARK.starts_with(&self.bytes) {
            return None;
        }
        self.bom_checked = true;
        Some(())
    }

    /// Drops the LF of a CRLF. Returns `None` until the byte behind the CR has arrived.
    fn skip_lf_of_crlf(&mut self) -> Option<()> {
        if *self.bytes.get(self.start)? == b'\n' {
            self.start = self.start.saturating_add(1);
            self.searched = self.searched.max(self.start);
        }
        self.after_cr = false;
        Some(())
    }

    /// Returns the bytes of the line that has not ended.
    pub(super) fn partial_line(&self) -> &[u8] {
        self.bytes.get(self.start..).unwrap_or_default()
    }

    /// Drops the line that has not ended, including the bytes of it that have not arrived.
    pub(super) fn skip_line(&mut self) {
        self.start = self.bytes.len();
        self.searched = self.start;
        self.skipping_line = true;
    }

    /// Frees the space of returned bytes.
    ///
    /// The number of moved bytes never exceeds the number of bytes returned since the last move, so the cost is linear
    /// (C2).
    pub(super) fn compact(&mut self) {
        let rest = self.bytes.len().saturating_sub(self.start);
        if self.start == 0 || self.start < rest {
            return;
        }
        #[cfg(test)]
        {
            self.work += rest;
        }
        self.bytes.drain(..self.start);
        self.searched = self.searched.saturating_sub(self.start);
        self.start = 0;
        let needed = rest.max(RETAINED_BYTES);
        if self.bytes.capacity() / 4 > needed {
            self.bytes.shrink_to(needed);
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::format;

    use crate::Decoder;

    /// Returns the number of searched and moved bytes per byte of a stream that arrives in packets of a typical size.
    fn work_per_byte(stream: &[u8]) -> f64 {
        let mut decoder = Decoder::with_limit(16 << 20);
        for packet in stream.chunks(1460) {
            decoder.push(packet);
            while decoder.next_message().is_some() {}
        }
        decoder.input.work as f64 / stream.len() as f64
    }

    #[test]
    fn c2_each_byte_is_searched_once_in_lines_of_any_length() {
        for mib in [1, 2, 4, 8] {
            let line = format!("data: {}\n\n", "x".repeat(mib << 20));
            let work = work_per_byte(line.as_bytes());
            assert!((1.0..1.1).contains(&work), "{work} for {mib} MiB");
            let lines = "data: x\n".repeat(mib << 17);
            let work = work_per_byte(lines.as_bytes());
            assert!((1.0..2.1).contains(&work), "{work} for {mib} MiB of short lines");
        }
    }
}
