//! Serializes a value as the text of one `data` line.

use alloc::string::String;

use memchr::memchr2;
use serde::Serialize;
use serde_json::Error;

/// Returns the JSON of a value, without line breaks.
pub(super) fn to_line<T: Serialize>(value: &T) -> Result<String, Error> {
    let json = serde_json::to_string(value)?;
    // Serializers escape line breaks in strings. Raw JSON is written unchecked and may contain line breaks, which must not
    // begin another line (E3).
    if memchr2(b'\r', b'\n', json.as_bytes()).is_some() {
        return Ok(json.replace(['\r', '\n'], " "));
    }
    Ok(json)
}
