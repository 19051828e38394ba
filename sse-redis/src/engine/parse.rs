//! Parts of replies.

use bytes::Bytes;
use redis::Value;
use sse_core::Position;

/// Returns the bytes of a reply.
pub(super) fn bytes(value: &Value) -> Option<&[u8]> {
    match value {
        Value::BulkString(bytes) => Some(bytes),
        Value::SimpleString(text) => Some(text.as_bytes()),
        _ => None,
    }
}

/// Returns the text of a reply.
pub(super) fn text(value: &Value) -> Option<String> {
    match value {
        Value::VerbatimString { text, .. } => Some(text.clone()),
        _ => bytes(value).map(|bytes| String::from_utf8_lossy(bytes).into_owned()),
    }
}

/// Returns the number of a reply, or of its text.
pub(super) fn number(value: &Value) -> Option<u64> {
    match value {
        Value::Int(number) => u64::try_from(*number).ok(),
        _ => std::str::from_utf8(bytes(value)?).ok()?.parse().ok(),
    }
}

/// Returns the elements of a reply.
pub(super) fn array(value: &Value) -> Option<&[Value]> {
    match value {
        Value::Array(values) => Some(values),
        _ => None,
    }
}

/// An entry of a stream: its position, and its fields with their values.
pub(super) struct StreamEntry<'a> {
    pub(super) position: Position,
    fields: &'a [Value],
}

impl StreamEntry<'_> {
    /// Reads `[id, [field, value, …]]`. The ids are `<position>-0`.
    pub(super) fn read(value: &Value) -> Option<StreamEntry<'_>> {
        let [id, fields] = array(value)? else { return None };
        let id = std::str::from_utf8(bytes(id)?).ok()?;
        let position = id.strip_suffix("-0")?.parse().ok()?;
        Some(StreamEntry { position: Position::new(position), fields: array(fields)? })
    }

    /// Returns the value of a field.
    pub(super) fn field(&self, name: &str) -> Option<&Value> {
        let mut pairs = self.fields.chunks_exact(2);
        pairs.find_map(|pair| match pair {
            [field, value] if bytes(field) == Some(name.as_bytes()) => Some(value),
            _ => None,
        })
    }

    /// Returns a copy of the bytes of a field.
    pub(super) fn data(&self, name: &str) -> Option<Bytes> {
        self.field(name).and_then(bytes).map(Bytes::copy_from_slice)
    }
}
