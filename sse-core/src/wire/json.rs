//! From a value to the line of data that is its JSON.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use memchr::memchr2;
use serde::Serialize;
use serde_json::Error;

use super::error::EncodeError;
use super::frame::check_frame_len;
use super::syntax::DATA;

/// A value that is written as JSON.
#[derive(Clone, Copy)]
pub(super) struct Json<'a>(&'a (dyn WriteJson + Sync));

impl<'a> Json<'a> {
    /// Room for a value of which nothing is known, with the name of its line: most are small.
    pub(super) const INITIAL_CAPACITY: usize = 128;

    pub(super) fn new<T: Serialize + Sync>(value: &'a T) -> Self {
        Self(value)
    }

    /// Appends the line.
    pub(super) fn write(self, wire: &mut Vec<u8>) -> Result<(), EncodeError> {
        wire.extend_from_slice(DATA);
        let start = wire.len();
        self.0.write_json(wire).map_err(|error| EncodeError::Json { message: error.to_string().into() })?;
        // Strings have their line breaks escaped. A raw value may have some as white space, and what claims to be one
        // without being checked must not begin a field of its own (E3).
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

/// Gives back the room that was reserved in vain: frames are kept for long.
pub(super) fn shrink_to_len(wire: &mut Vec<u8>) -> Result<usize, EncodeError> {
    wire.shrink_to_fit();
    check_frame_len(wire.len() as u64)
}

/// [`Serialize`] without its type parameter.
trait WriteJson {
    fn write_json(&self, wire: &mut Vec<u8>) -> Result<(), Error>;
}

impl<T: Serialize> WriteJson for T {
    #[cfg(feature = "std")]
    fn write_json(&self, wire: &mut Vec<u8>) -> Result<(), Error> {
        self.serialize(&mut serde_json::Serializer::new(wire))
    }

    /// Without the standard library `serde_json` writes into no buffer but its own.
    #[cfg(not(feature = "std"))]
    fn write_json(&self, wire: &mut Vec<u8>) -> Result<(), Error> {
        wire.extend_from_slice(&serde_json::to_vec(self)?);
        Ok(())
    }
}

/// Two values are equal if their JSON is, or if neither has any.
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
