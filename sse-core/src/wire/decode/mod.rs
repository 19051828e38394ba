//! From bytes to messages (WHATWG HTML 9.2.6), in whatever pieces they come.

mod block;
mod input;
mod message;

use alloc::string::String;
use core::time::Duration;

use super::error::DecodeError;
use super::syntax::{Line, parse_retry};

use block::Block;
use input::Input;
pub use message::Message;

/// The event stream interpreter of WHATWG HTML 9.2.6, to the letter and incremental (C1).
///
/// [`push`](Decoder::push) hands in bytes as they arrive, cut anywhere; then [`next_message`](Decoder::next_message) is
/// called until it returns `None`. Malformed UTF-8 becomes U+FFFD, one for each maximal part of a sequence, and is never
/// an error. When the stream ends there is nothing to call: an event without its blank line is dropped, as the standard
/// asks. A new connection takes a new decoder, given [`last_event_id`](Decoder::last_event_id) of the old one.
///
/// ```
/// use sse_core::Decoder;
///
/// let mut decoder = Decoder::new();
/// decoder.push(b"id: 7\ndata: sun");
/// assert_eq!(decoder.next_message(), None);
/// decoder.push(b"ny\ndata: 22\n\n");
/// let message = decoder.next_message().transpose()?.expect("the blank line has come");
/// assert_eq!((message.event.as_str(), message.data.as_str(), message.id.as_str()), ("message", "sunny\n22", "7"));
/// assert_eq!(decoder.next_message(), None);
/// # Ok::<(), sse_core::DecodeError>(())
/// ```
///
/// # Cost
///
/// Each byte is searched once and copied at most a fixed number of times, however the stream is cut (C2). Once
/// `next_message` has returned `None`, a decoder keeps the event that is not complete and the line that is not, together
/// no more than the limit, in buffers of up to four times their size; the last event id; and up to 256 KiB of room for
/// input and 1 KiB for an id. Comments and fields that nobody knows are not kept, whatever their length. What was pushed and not yet asked
/// for stays in memory: a caller that only pushes keeps all it pushed.
#[derive(Clone, Debug)]
pub struct Decoder {
    input: Input,
    block: Block,
    last_event_id: String,
    retry: Option<Duration>,
    limit: usize,
}

impl Decoder {
    /// The largest event in bytes unless [`with_limit`](Decoder::with_limit) says otherwise: 8 MiB.
    ///
    /// That is far above what servers send as one event, and little enough for a process with many decoders.
    pub const DEFAULT_LIMIT: usize = 8 * 1024 * 1024;

    /// Makes a decoder for one stream, with the [default limit](Decoder::DEFAULT_LIMIT).
    #[must_use]
    pub const fn new() -> Self {
        Self::with_limit(Self::DEFAULT_LIMIT)
    }

    /// Makes a decoder for one stream that takes events of up to `max_event_bytes` bytes.
    ///
    /// What counts is what a message holds: the data with the LF between its lines, the name and the id, as far as the
    /// event itself gives them. The value of a `retry` line may not be longer either.
    ///
    /// ```
    /// use sse_core::{DecodeError, Decoder};
    ///
    /// let mut decoder = Decoder::with_limit(5);
    /// decoder.push(b"data: sunny\n\ndata: cloudy\n\ndata: rain\n\n");
    /// assert_eq!(decoder.next_message().unwrap().unwrap().data, "sunny");
    /// assert_eq!(decoder.next_message(), Some(Err(DecodeError::EventTooLarge { limit: 5 })));
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

    /// Starts the stream with the last event id of the connection before, which messages carry until there is another.
    #[must_use]
    pub fn with_last_event_id(mut self, id: &str) -> Self {
        self.last_event_id = String::from(id);
        self
    }

    /// Hands in the next bytes of the stream, of any number.
    ///
    /// # Cost
    ///
    /// O(bytes): they are copied, and not looked at before [`next_message`](Decoder::next_message).
    pub fn push(&mut self, chunk: &[u8]) {
        self.input.push(chunk);
    }

    /// Returns the next message in what was pushed, or `None` if there is no further complete one.
    ///
    /// # Errors
    ///
    /// [`DecodeError::EventTooLarge`] once for each event above the limit, as soon as that is certain (C2). The decoder
    /// goes on with the event after it. The event's id is not taken, so that a client which reconnects asks for the event
    /// again; a `retry` line in it counts.
    ///
    /// # Cost
    ///
    /// O(bytes looked at), which are looked at only once; a message takes one allocation for each of its strings, more
    /// for data of several lines.
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
                    if self.block.add_field(&line, self.limit).is_none() {
                        return Some(Err(self.reject_event()));
                    }
                    // 9.2.6: the reconnection time is set as its line is processed, before any blank line.
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

    /// Returns the last event id: what the next request's `Last-Event-ID` header would be, or an empty string for none.
    ///
    /// An id counts from the blank line that ends its block (9.2.6), and like everything else once
    /// [`next_message`](Decoder::next_message) came to it.
    #[must_use]
    pub fn last_event_id(&self) -> &str {
        &self.last_event_id
    }

    /// Returns the reconnection time that the stream set last, in whole milliseconds, or `None` if it set none.
    ///
    /// More than [`u64::MAX`] milliseconds are taken as that many.
    #[must_use]
    pub const fn retry(&self) -> Option<Duration> {
        self.retry
    }

    /// C2: decides what becomes of a line before its end has come, so that it is not kept for nothing.
    fn check_partial_line(&mut self) -> Result<(), DecodeError> {
        let Some(line) = Line::parse_partial(self.input.partial_line()) else { return Ok(()) };
        if self.block.may_fit(&line, self.limit) {
            return Ok(());
        }
        let exceeds_limit = !(self.block.is_too_large || matches!(line, Line::Ignored));
        self.input.skip_line();
        if exceeds_limit { Err(self.reject_event()) } else { Ok(()) }
    }

    fn reject_event(&mut self) -> DecodeError {
        self.block = Block::too_large();
        DecodeError::EventTooLarge { limit: self.limit }
    }
}

impl Default for Decoder {
    fn default() -> Self {
        Self::new()
    }
}
