//! The decoder (WHATWG HTML 9.2.6): it turns bytes into messages, in chunks of any size.

mod block;
mod input;
mod message;

use alloc::string::String;
use core::time::Duration;

use super::error::DecodeError;
use super::syntax::{Line, parse_retry};

use block::{Block, TooLarge};
use input::Input;
pub use message::Message;

/// An incremental decoder for event streams that follows WHATWG HTML 9.2.6 to the letter ([C1](crate::rules#c1)).
///
/// Pass bytes to [`push`](Decoder::push) as they arrive, in chunks of any size. Then call
/// [`next_message`](Decoder::next_message) until it returns `None`. Malformed UTF-8 is never an error: each maximal
/// part of a malformed sequence becomes one U+FFFD. The end of the stream needs no call: the standard drops an event
/// without a blank line. A new connection needs a new decoder with the [`last_event_id`](Decoder::last_event_id) of the
/// old one.
///
/// ```
/// use sse_core::Decoder;
///
/// let mut decoder = Decoder::new();
/// decoder.push(b"id: 7\ndata: sun");
/// assert_eq!(decoder.next_message(), None);
/// decoder.push(b"ny\ndata: 22\n\n");
/// let message = decoder.next_message().transpose()?.expect("the message is complete");
/// assert_eq!((message.event.as_str(), message.data.as_str(), message.id.as_str()), ("message", "sunny\n22", "7"));
/// assert_eq!(decoder.next_message(), None);
/// # Ok::<(), sse_core::DecodeError>(())
/// ```
///
/// # Cost
///
/// Each byte is searched once and copied at most a fixed number of times, however the stream is cut
/// ([C2](crate::rules#c2)). Bytes that were pushed stay in memory until `next_message` reaches them. After
/// `next_message` has returned `None`, a decoder holds:
///
/// - the incomplete event and the incomplete line, together at most the limit, in buffers of up to four times their
///   size;
/// - the last event id;
/// - up to 256 KiB of capacity for input, and 1 KiB for an id.
///
/// Comments and unknown fields of any length are not stored.
#[derive(Clone, Debug)]
pub struct Decoder {
    input: Input,
    block: Block,
    last_event_id: String,
    retry: Option<Duration>,
    limit: usize,
}

impl Decoder {
    /// The default limit for the bytes of one event, 8 MiB. [`with_limit`](Decoder::with_limit) sets another limit.
    ///
    /// This is far above the events of typical servers, and small enough for a process with many decoders.
    pub const DEFAULT_LIMIT: usize = 8 * 1024 * 1024;

    /// Creates a decoder for one stream, with the [default limit](Decoder::DEFAULT_LIMIT).
    #[must_use]
    pub const fn new() -> Self {
        Self::with_limit(Self::DEFAULT_LIMIT)
    }

    /// Creates a decoder for one stream that accepts events of up to `max_event_bytes` bytes.
    ///
    /// The size of an event is the length of its data, with an LF between lines, its name and its id. A name or id that
    /// the event does not set does not count. The value of a `retry` line is subject to the same limit.
    ///
    /// ```
    /// use sse_core::{DecodeError, Decoder};
    ///
    /// let mut decoder = Decoder::with_limit(5);
    /// decoder.push(b"data: sunny\n\ndata: cloudy\n\ndata: rain\n\n");
    /// assert_eq!(decoder.next_message().unwrap().unwrap().data, "sunny");
    /// assert_eq!(decoder.next_message(), Some(Err(DecodeError::EventTooLarge { limit: 5, id: None })));
    /// assert_eq!(decoder.next_message().unwrap().unwrap().data, "rain");
    /// ```
    #[must_use]
    pub const fn with_limit(max_event_bytes: usize) -> Self {
        Self {
            input: Input::new(),
            block: Block::new(),
            last_event_id: String::new(),
            retry: None,
            limit: max_event_bytes,
        }
    }

    /// Sets the initial last event id, usually from the previous connection. Messages carry it until the stream sets
    /// another.
    #[must_use]
    pub fn with_last_event_id(mut self, id: &str) -> Self {
        self.last_event_id = String::from(id);
        self
    }

    /// Appends the next bytes of the stream. A chunk can have any length.
    ///
    /// # Cost
    ///
    /// O(bytes). The bytes are copied; [`next_message`](Decoder::next_message) decodes them.
    pub fn push(&mut self, chunk: &[u8]) {
        self.input.push(chunk);
    }

    /// Returns the next complete message, or `None` if more bytes are needed.
    ///
    /// # Errors
    ///
    /// [`DecodeError::EventTooLarge`], once for each event above the limit and as soon as the limit is exceeded
    /// ([C2](crate::rules#c2)).
    /// The decoder continues with the next event.
    ///
    /// The error carries the id of the dropped event if the `id` line came before the limit was exceeded. That id takes
    /// effect at once. An `id` line that comes later takes effect at the blank line of the event. A client that
    /// reconnects therefore requests the events after the dropped one. A `retry` line of the dropped event takes effect.
    ///
    /// # Cost
    ///
    /// O(bytes decoded), and each byte is decoded once. A message allocates once for each of its strings, and more
    /// often for data of several lines.
    pub fn next_message(&mut self) -> Option<Result<Message, DecodeError>> {
        while let Some(line) = self.input.next_line() {
            let line = Line::parse(line);
            match &line {
                Line::Ignored => {}
                Line::Blank => {
                    if let Some(message) = self.block.dispatch(&mut self.last_event_id) {
                        return Some(Ok(message));
                    }
                }
                Line::Data(_) | Line::Event(_) | Line::Id(_) | Line::Retry(_) => {
                    if let Err(too_large) = self.block.add_field(&line, self.limit) {
                        return Some(Err(self.reject_event(too_large)));
                    }
                    // 9.2.6: a reconnection time takes effect when its line is processed, not at the blank line.
                    if let Line::Retry(value) = line
                        && value.len() <= self.limit
                    {
                        self.retry = parse_retry(value).or(self.retry);
                    }
                }
            }
        }
        let result = self.check_partial_line();
        self.input.compact();
        result.err().map(Err)
    }

    /// Returns the last event id, the value of the `Last-Event-ID` header of the next request. Empty if there is none.
    ///
    /// An id takes effect when [`next_message`](Decoder::next_message) reaches the blank line of its block (9.2.6), or
    /// when it returns an error that carries the id.
    #[must_use]
    pub fn last_event_id(&self) -> &str {
        &self.last_event_id
    }

    /// Returns the latest reconnection time that the stream set, in whole milliseconds, or `None` if it set none.
    ///
    /// Times above [`u64::MAX`] milliseconds saturate.
    #[must_use]
    pub const fn retry(&self) -> Option<Duration> {
        self.retry
    }

    /// Drops the line that has not ended unless it can still take effect, so that it is not buffered (C2).
    fn check_partial_line(&mut self) -> Result<(), DecodeError> {
        let Some(line) = Line::parse_partial(self.input.partial_line()) else { return Ok(()) };
        match self.block.check_partial(&line, self.limit) {
            Ok(is_buffered) => {
                if !is_buffered {
                    self.input.skip_line();
                }
                Ok(())
            }
            // The next call checks the line again, as a line of a dropped event.
            Err(too_large) => Err(self.reject_event(too_large)),
        }
    }

    /// Returns the error for an event that was dropped. Its id takes effect, so that a client that reconnects requests
    /// the events after it and not the same event again (C2).
    fn reject_event(&mut self, TooLarge { id }: TooLarge) -> DecodeError {
        if let Some(id) = &id {
            self.last_event_id = id.clone();
        }
        DecodeError::EventTooLarge { limit: self.limit, id }
    }
}

impl Default for Decoder {
    fn default() -> Self {
        Self::new()
    }
}
