//! The messages that a decoder returns.

use alloc::string::String;

/// A decoded event, as the listener of a client receives it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Message {
    /// The name of the event; `message` if the stream sent no name or an empty one.
    pub event: String,
    /// The data of the event, with lines separated by LF.
    pub data: String,
    /// The last event id at this message, which an earlier event may have set. Empty if there is none.
    pub id: String,
}
