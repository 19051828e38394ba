//! What the application means.

use alloc::borrow::Cow;
use core::time::Duration;

use super::encode::{self, EventId, Fields};
use super::error::EncodeError;
use super::frame::Frame;
#[cfg(feature = "serde")]
use super::json::Json;

/// An event as the application means it, before it is bytes.
///
/// It is built by value and borrows its strings where it can, so that building one allocates nothing. A field that was
/// not given is not written; a field that was given as an empty string is written as an empty string. Setting a field
/// twice keeps the second value. Nothing is checked before [`encode`](Event::encode).
///
/// ```
/// use sse_core::Event;
///
/// let frame = Event::new().id("7").event("weather").data("sunny\n22 °C").encode()?;
/// assert_eq!(frame.as_bytes(), "id: 7\nevent: weather\ndata: sunny\ndata: 22 °C\n\n".as_bytes());
/// # Ok::<(), sse_core::EncodeError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Event<'a> {
    id: Option<Cow<'a, str>>,
    event: Option<Cow<'a, str>>,
    data: Option<Cow<'a, str>>,
    /// The data instead, if it is a value.
    #[cfg(feature = "serde")]
    json: Option<Json<'a>>,
    retry: Option<Duration>,
    comment: Option<Cow<'a, str>>,
    live_only: bool,
}

impl<'a> Event<'a> {
    /// Makes an event with no fields.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            id: None,
            event: None,
            data: None,
            #[cfg(feature = "serde")]
            json: None,
            retry: None,
            comment: None,
            live_only: false,
        }
    }

    /// Gives the event an id, which the client keeps and sends back as `Last-Event-ID` when it reconnects.
    ///
    /// What an id may be is said at [`Event::encode`]. An empty id is allowed and makes the client forget the one it has.
    #[must_use]
    pub fn id(mut self, id: impl Into<Cow<'a, str>>) -> Self {
        self.id = Some(id.into());
        self
    }

    /// Gives the event a name, which selects the client's listener; without one, or with an empty one, it is `message`.
    ///
    /// A browser's `EventSource` hands its own `open` and `error` to the same listeners, so an application does better
    /// without these two names.
    #[must_use]
    pub fn event(mut self, event: impl Into<Cow<'a, str>>) -> Self {
        self.event = Some(event.into());
        self
    }

    /// Gives the event its text, of any number of lines.
    ///
    /// CRLF and CR are line breaks as LF is, and the client reads all three as LF (E2). An event without data is never
    /// dispatched by a client, though its id and retry time count; an empty string is dispatched.
    #[must_use]
    pub fn data(mut self, data: impl Into<Cow<'a, str>>) -> Self {
        self.data = Some(data.into());
        #[cfg(feature = "serde")]
        {
            self.json = None;
        }
        self
    }

    /// Gives the event a value as its data, which is written as one line of JSON when the event is encoded: straight
    /// into the frame, with no string in between.
    ///
    /// It takes the place of [`data`](Event::data). Line breaks between the tokens, of which only a value that is JSON
    /// already can have any, are written as spaces: that is the same JSON, and it stays one line.
    ///
    /// ```
    /// use sse_core::Event;
    ///
    /// let report = serde_json::json!({ "sky": "blue\nand clear", "celsius": 22 });
    /// let frame = Event::new().event("weather").json(&report).encode()?;
    /// assert_eq!(frame.as_bytes(), br#"event: weather
    /// data: {"celsius":22,"sky":"blue\nand clear"}
    ///
    /// "#);
    /// # Ok::<(), sse_core::EncodeError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`encode`](Event::encode), and what publishes the event, fails with [`EncodeError::Json`] if the value cannot be
    /// JSON: if its `Serialize` fails, or a map has keys that are no strings.
    ///
    /// # Cost
    ///
    /// The length is not known before it is written. The frame's buffer begins with 128 bytes for the JSON, doubles when
    /// they are used up and is cut to its exact size in the end: one or two allocations for a small value, and
    /// log<sub>2</sub>(length / 128) more for a large one. Without the feature `std` the JSON is written to a buffer of its
    /// own and copied, since `serde_json` offers nothing else there. Each encoding calls the value's `Serialize` once; comparing
    /// two events and printing one with `{:?}` do so, too.
    #[cfg(feature = "serde")]
    #[must_use]
    pub fn json<T: serde::Serialize + Sync>(mut self, value: &'a T) -> Self {
        self.data = None;
        self.json = Some(Json::new(value));
        self
    }

    /// Tells the client how long to wait before it reconnects, in whole milliseconds; what is left over is cut off.
    #[must_use]
    pub const fn retry(mut self, retry: Duration) -> Self {
        self.retry = Some(retry);
        self
    }

    /// Adds a comment of any number of lines, which clients skip.
    #[must_use]
    pub fn comment(mut self, comment: impl Into<Cow<'a, str>>) -> Self {
        self.comment = Some(comment.into());
        self
    }

    /// Marks the event as one that only those who are connected get: it is given no id, kept in no history and never
    /// replayed.
    #[must_use]
    pub const fn live_only(mut self) -> Self {
        self.live_only = true;
        self
    }

    /// Encodes the event as one block of the event stream format (WHATWG HTML 9.2.5).
    ///
    /// Fields stand in the order `id`, `event`, `data`, `retry`, comment (E1). An event with no fields is a single blank
    /// line, of which a client notices nothing.
    ///
    /// ```
    /// use sse_core::{EncodeError, Event, EncodeField};
    ///
    /// assert_eq!(Event::new().data("").encode()?.as_bytes(), b"data: \n\n");
    /// let injected = Event::new().event("a\ndata: evil").encode();
    /// assert_eq!(injected, Err(EncodeError::LineBreak { field: EncodeField::Event, offset: 1 }));
    /// # Ok::<(), EncodeError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// - [`EncodeError::LineBreak`] if the id or the name holds CR or LF (E3);
    /// - [`EncodeError::IdControl`], [`EncodeError::IdWhiteSpace`] or [`EncodeError::IdTooLong`] if the id would not
    ///   survive the way back in a request header (E4);
    /// - [`EncodeError::RetryTooLong`] if the retry time has more than [`u64::MAX`] milliseconds;
    /// - [`EncodeError::TooLong`] if the result were longer than a frame can be, about 4 GiB;
    /// - `EncodeError::Json`, with the feature `serde`, if the data is a value that cannot be JSON.
    ///
    /// # Cost
    ///
    /// O(bytes), near the speed of copying them, and one allocation of the frame's exact size (E5). Each line of data
    /// takes 6 bytes more than its text, so data of nothing but line breaks grows sevenfold.
    #[inline]
    pub fn encode(&self) -> Result<Frame, EncodeError> {
        encode::encode(&self.fields(self.id.as_deref().map(EventId::Application)))
    }

    /// Encodes the event with the id `<epoch>-<position>`, unless it has one of its own.
    ///
    /// # Errors
    ///
    /// As [`Event::encode`], of which the rules for ids hold for the one that is put together, too.
    ///
    /// # Cost
    ///
    /// As [`Event::encode`]: the id is written in place and is never a string of its own.
    pub(crate) fn encode_as(&self, epoch: &str, position: u64) -> Result<Frame, EncodeError> {
        let id = self.id.as_deref().map_or(EventId::Hub { epoch, position }, EventId::Application);
        encode::encode(&self.fields(Some(id)))
    }

    #[inline]
    fn fields<'b>(&'b self, id: Option<EventId<'b>>) -> Fields<'b> {
        Fields {
            id,
            event: self.event.as_deref(),
            data: self.data.as_deref(),
            #[cfg(feature = "serde")]
            json: self.json,
            retry: self.retry,
            comment: self.comment.as_deref(),
            live_only: self.live_only,
        }
    }

    /// Whether the application gave the event an id; an empty one is one.
    pub(crate) const fn has_id(&self) -> bool {
        self.id.is_some()
    }

    /// Whether the event was marked with [`Event::live_only`].
    pub(crate) const fn is_live_only(&self) -> bool {
        self.live_only
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::error::EncodeField;
    use crate::wire::syntax::MAX_ID_BYTES;
    use alloc::string::String;

    #[test]
    fn the_hubs_id_is_written_in_place() {
        for position in [0, 9, 10, 1_234_567_890, u64::MAX] {
            let frame = Event::new().data("x").live_only().encode_as("e1", position).unwrap();
            let id = alloc::format!("e1-{position}");
            assert_eq!(frame, Event::new().id(id.as_str()).data("x").live_only().encode().unwrap());
            assert_eq!(frame.id(), Some(id.as_str()));
        }
    }

    #[test]
    fn the_hubs_id_takes_no_allocation_of_its_own() {
        let event = Event::new().data("a\nb");
        let info = allocation_counter::measure(|| assert!(event.encode_as("epoch", u64::MAX).is_ok()));
        let len = event.encode_as("epoch", u64::MAX).unwrap().len() as u64;
        assert_eq!((info.count_total, info.bytes_total), (1, len));
    }

    #[test]
    fn an_id_of_its_own_is_kept() {
        let event = Event::new().id("");
        assert!(event.has_id() && !event.is_live_only());
        assert_eq!(event.encode_as("e1", 7).unwrap().as_bytes(), b"id: \n\n");
    }

    #[test]
    fn the_hubs_id_keeps_the_rules_for_ids() {
        let encode = |epoch: &str| Event::new().encode_as(epoch, 10).map(|frame| frame.len());
        assert_eq!(encode("a\nb"), Err(EncodeError::LineBreak { field: EncodeField::Id, offset: 1 }));
        assert_eq!(encode("a\u{85}"), Err(EncodeError::IdControl { offset: 1 }));
        assert_eq!(encode(" a"), Err(EncodeError::IdWhiteSpace));
        // White space in front of the hyphen is inside the id.
        assert_eq!(encode("a "), Ok("id: a -10\n\n".len()));
        let longest: String = core::iter::repeat_n('e', MAX_ID_BYTES - 3).collect();
        assert!(encode(&longest).is_ok());
        assert_eq!(
            encode(&alloc::format!("{longest}e")),
            Err(EncodeError::IdTooLong { len: MAX_ID_BYTES + 1, max: MAX_ID_BYTES })
        );
    }
}
