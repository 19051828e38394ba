//! The wire format of `text/event-stream` (WHATWG HTML 9.2), in both directions.
//!
//! `syntax.rs` has what both directions share: lines, field names, and what an id may be. An [`Event`] is encoded into a
//! [`Frame`] by `encode.rs` and `json.rs`; a [`Decoder`] turns bytes into [`Message`]s.

mod decode;
mod encode;
mod error;
mod event;
mod frame;
#[cfg(feature = "serde")]
mod json;
mod syntax;

pub use decode::{Decoder, Message};
pub use error::{DecodeError, EncodeError, EncodeField, FrameError};
pub use event::Event;
pub use frame::Frame;
pub(crate) use syntax::{MAX_ID_BYTES, check_id, parse_digits};
