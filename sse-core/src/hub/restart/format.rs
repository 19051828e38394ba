//! The bytes of an export: sections with a length and a checksum, written and read in one order.
//!
//! | bytes | contents |
//! | --- | --- |
//! | 8 | `SSEHUB`, and the version in two bytes |
//! | 1, 4, 4 | of each section: kind, length, CRC-32 of the contents |
//! | length | the contents |
//!
//! Integers are little endian. A text or a frame has its length before it, in four bytes. The last section is empty: what is cut
//! off is noticed.

use alloc::boxed::Box;
use alloc::vec::Vec;

use bytes::Bytes;

use super::RestoreError;

const MAGIC: &[u8; 6] = b"SSEHUB";

/// The version of the format. A hub does not read a later one.
const VERSION: u16 = 1;

/// The kind of a section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Hub = 1,
    EndedNames = 2,
    Channel = 3,
    End = 4,
}

/// Writes an export.
pub(super) struct Writer {
    bytes: Vec<u8>,
    /// The start of the section that is written.
    section: usize,
}

/// The bytes of a section before its contents.
const SECTION_HEAD: usize = 9;

impl Writer {
    pub(super) fn new() -> Writer {
        let mut bytes = MAGIC.to_vec();
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        Writer { bytes, section: 0 }
    }

    pub(super) fn begin(&mut self, kind: Kind) {
        self.section = self.bytes.len();
        self.byte(kind as u8);
        self.bytes.extend_from_slice(&[0; SECTION_HEAD - 1]);
    }

    /// Ends a section: only now its length and checksum are known.
    pub(super) fn end(&mut self) {
        let start = self.section.saturating_add(SECTION_HEAD);
        let contents = self.bytes.get(start..).unwrap_or_default();
        let length = u32::try_from(contents.len()).unwrap_or(u32::MAX).to_le_bytes();
        let checksum = crc32fast::hash(contents).to_le_bytes();
        let head = self.bytes.iter_mut().skip(self.section.saturating_add(1));
        head.zip(length.into_iter().chain(checksum)).for_each(|(byte, value)| *byte = value);
    }

    pub(super) fn finish(mut self) -> Vec<u8> {
        self.begin(Kind::End);
        self.end();
        self.bytes
    }

    pub(super) fn byte(&mut self, byte: u8) {
        self.bytes.push(byte);
    }

    pub(super) fn number(&mut self, number: u64) {
        self.bytes.extend_from_slice(&number.to_le_bytes());
    }

    pub(super) fn data(&mut self, data: &[u8]) {
        self.bytes.extend_from_slice(&u32::try_from(data.len()).unwrap_or(u32::MAX).to_le_bytes());
        self.bytes.extend_from_slice(data);
    }
}

/// Reads an export, or one section of it.
pub(super) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Result<Reader<'a>, RestoreError> {
        let mut reader = Reader(bytes);
        if reader.take(MAGIC.len()).ok() != Some(MAGIC) {
            return Err(RestoreError::NotAnExport);
        }
        let version = reader.take(2)?.try_into().map_or(0, u16::from_le_bytes);
        if version == VERSION { Ok(reader) } else { Err(RestoreError::Version { found: version }) }
    }

    /// Reads the next section.
    pub(super) fn section(&mut self) -> Result<(Kind, Reader<'a>), RestoreError> {
        let kind = match self.byte()? {
            1 => Kind::Hub,
            2 => Kind::EndedNames,
            3 => Kind::Channel,
            4 => Kind::End,
            _ => return Err(RestoreError::Damaged),
        };
        let length = self.short()?;
        let checksum = self.short()?;
        let contents = self.take(length)?;
        if usize::try_from(crc32fast::hash(contents)) != Ok(checksum) {
            return Err(RestoreError::Damaged);
        }
        Ok((kind, Reader(contents)))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], RestoreError> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(RestoreError::Damaged)?;
        self.0 = rest;
        Ok(taken)
    }

    pub(super) fn byte(&mut self) -> Result<u8, RestoreError> {
        self.take(1)?.first().copied().ok_or(RestoreError::Damaged)
    }

    pub(super) fn flag(&mut self) -> Result<bool, RestoreError> {
        match self.byte()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(RestoreError::Damaged),
        }
    }

    pub(super) fn number(&mut self) -> Result<u64, RestoreError> {
        self.take(8)?.try_into().map(u64::from_le_bytes).map_err(|_| RestoreError::Damaged)
    }

    fn short(&mut self) -> Result<usize, RestoreError> {
        let number = self.take(4)?.try_into().map(u32::from_le_bytes).map_err(|_| RestoreError::Damaged)?;
        usize::try_from(number).map_err(|_| RestoreError::Damaged)
    }

    pub(super) fn data(&mut self) -> Result<Bytes, RestoreError> {
        let length = self.short()?;
        self.take(length).map(Bytes::copy_from_slice)
    }

    pub(super) fn text(&mut self) -> Result<Box<str>, RestoreError> {
        let length = self.short()?;
        let text = core::str::from_utf8(self.take(length)?).map_err(|_| RestoreError::Damaged)?;
        Ok(Box::from(text))
    }
}
