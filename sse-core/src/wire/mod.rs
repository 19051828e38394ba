//! The wire format of `text/event-stream` (WHATWG HTML 9.2), in both directions.
//!
//! `encode.rs` and `json.rs` encode an [`Event`] into a [`Frame`]. `decode/` turns bytes into [`Message`]s. Both
//! directions share `syntax.rs`: lines, field names and the rules for ids. Each file imports only files behind it in
//! the order `event`, `encode`, `json`, `frame`, `syntax`, `error`; `decode/` imports the last two.

mod decode;
mod encode;
mod error;
mod event;
mod frame;
#[cfg(feature = "serde")]
mod json;
mod payload;
mod syntax;

pub use decode::{Decoder, Message};
pub use error::{DecodeError, EncodeError, EncodeField, FrameError};
pub use event::Event;
pub use frame::Frame;
pub use payload::Payload;
pub(crate) use syntax::{MAX_ID_BYTES, check_id, parse_digits};
