//! What a decoder gives.

use alloc::string::String;

/// A message as a client's listener gets it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Message {
    /// The event's name; `message` if the stream gave none, or an empty one.
    pub event: String,
    /// The event's text, its lines separated by LF.
    pub data: String,
    /// The last event id as of this message, which may have come with an earlier one; empty if there is none.
    pub id: String,
}
