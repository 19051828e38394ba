//! Serializes a value as one `data` line of JSON.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use memchr::memchr2;
use serde::Serialize;
use serde_json::Error;

use super::error::EncodeError;
use super::frame::check_frame_len;
use super::syntax::DATA;

/// A borrowed value that is serialized as JSON when the event is encoded.
#[derive(Clone, Copy)]
pub(super) struct Json<'a>(&'a (dyn WriteJson + Sync));

impl<'a> Json<'a> {
    /// The initial buffer size in bytes for the `data` line, whose length is unknown. Most values are small.
    pub(super) const INITIAL_CAPACITY: usize = 128;

    pub(super) fn new<T: Serialize + Sync>(value: &'a T) -> Self {
        Self(value)
    }

    /// Appends the `data` line.
    pub(super) fn write(self, wire: &mut Vec<u8>) -> Result<(), EncodeError> {
        wire.extend_from_slice(DATA);
        let start = wire.len();
        self.0.write_json(wire).map_err(|error| EncodeError::Json { message: error.to_string().into() })?;
        // Serializers escape line breaks in strings. Raw JSON is written unchecked and may contain line breaks, which
        // must not begin another field (E3).
        let json = wire.get_mut(start..).unwrap_or_default();
        if memchr2(b'\r', b'\n', json).is_some() {
            for byte in json.iter_mut().filter(|byte| matches!(byte, b'\r' | b'\n')) {
                *byte = b' ';
            }
        }
        wire.push(b'\n');
        Ok(())
    }

    fn to_vec(self) -> Result<Vec<u8>, Error> {
        let mut json = Vec::new();
        self.0.write_json(&mut json)?;
        Ok(json)
    }
}

/// Frees the unused capacity, because frames can live long in history, and returns the length.
pub(super) fn shrink_to_len(wire: &mut Vec<u8>) -> Result<usize, EncodeError> {
    wire.shrink_to_fit();
    check_frame_len(wire.len() as u64)
}

/// An object-safe form of [`Serialize`].
trait WriteJson {
    fn write_json(&self, wire: &mut Vec<u8>) -> Result<(), Error>;
}

impl<T: Serialize> WriteJson for T {
    #[cfg(feature = "std")]
    fn write_json(&self, wire: &mut Vec<u8>) -> Result<(), Error> {
        self.serialize(&mut serde_json::Serializer::new(wire))
    }

    /// Without the standard library, `serde_json` writes only to its own buffer.
    #[cfg(not(feature = "std"))]
    fn write_json(&self, wire: &mut Vec<u8>) -> Result<(), Error> {
        wire.extend_from_slice(&serde_json::to_vec(self)?);
        Ok(())
    }
}

/// Two values are equal if their JSON is equal, or if neither can be serialized.
impl PartialEq for Json<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.to_vec().ok() == other.to_vec().ok()
    }
}

impl Eq for Json<'_> {}

impl fmt::Debug for Json<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.to_vec() {
            Ok(json) => f.write_str(&String::from_utf8_lossy(&json)),
            Err(error) => write!(f, "<{error}>"),
        }
    }
}
