//! An event before it is encoded.

use alloc::borrow::Cow;
#[cfg(feature = "serde")]
use alloc::{boxed::Box, string::ToString};
use core::time::Duration;

use super::encode::{self, EventId, Fields};
use super::error::EncodeError;
use super::frame::Frame;
#[cfg(feature = "serde")]
use super::json;
use super::syntax::MAX_RETRY_MILLIS;

/// The content of one event, before it is encoded.
///
/// An `Event` is a builder that borrows its strings where possible, so building one allocates nothing. Fields that are
/// not set are not written; an empty string is written as an empty value. Setting a field twice keeps the second value.
/// Values are checked in [`encode`](Event::encode) and not earlier.
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
    /// Why the value given as the data could not be serialized.
    #[cfg(feature = "serde")]
    json_error: Option<Box<str>>,
    retry: Option<Duration>,
    comment: Option<Cow<'a, str>>,
    live_only: bool,
}

impl<'a> Event<'a> {
    /// The longest reconnection time: 2³¹ − 1 milliseconds, about 24 days ([E3](crate::rules#e3)). A longer one
    /// overflows the timers of some clients, which then reconnect without a pause.
    pub const MAX_RETRY: Duration = Duration::from_millis(MAX_RETRY_MILLIS);

    /// Creates an event without fields.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            id: None,
            event: None,
            data: None,
            #[cfg(feature = "serde")]
            json_error: None,
            retry: None,
            comment: None,
            live_only: false,
        }
    }

    /// Sets the id, which the client stores and sends back as `Last-Event-ID` when it reconnects.
    ///
    /// [`Event::encode`] lists the rules for ids. An empty id is allowed and clears the id that the client has stored.
    #[must_use]
    pub fn id(mut self, id: impl Into<Cow<'a, str>>) -> Self {
        self.id = Some(id.into());
        self
    }

    /// Sets the name, which selects the listener in the client.
    ///
    /// Clients treat an event without a name, or with an empty name, as a `message` event. Avoid the names `open` and
    /// `error`: a browser's `EventSource` dispatches its own events to the same listeners.
    #[must_use]
    pub fn event(mut self, event: impl Into<Cow<'a, str>>) -> Self {
        self.event = Some(event.into());
        self
    }

    /// Sets the data, a text of any number of lines.
    ///
    /// LF, CRLF and CR are line breaks; the client receives each of them as LF ([E2](crate::rules#e2)). Clients do not
    /// dispatch an event without data, but its id and retry time take effect. An event with empty data is dispatched.
    #[must_use]
    pub fn data(mut self, data: impl Into<Cow<'a, str>>) -> Self {
        self.data = Some(data.into());
        #[cfg(feature = "serde")]
        {
            self.json_error = None;
        }
        self
    }

    /// Sets the data to the JSON of a value, on one line.
    ///
    /// The value is serialized at once, so the event does not borrow it: it can come out of a closure or a stream. Pass the
    /// value or a reference to it. The JSON replaces [`data`](Event::data). Line breaks between JSON tokens are written as
    /// spaces; only values that contain raw JSON can have such line breaks.
    ///
    /// ```
    /// use sse_core::Event;
    ///
    /// fn report(celsius: i32) -> Event<'static> {
    ///     let report = serde_json::json!({ "sky": "blue\nand clear", "celsius": celsius });
    ///     Event::new().event("weather").json(report)
    /// }
    /// assert_eq!(report(22).encode()?.as_bytes(), br#"event: weather
    /// data: {"celsius":22,"sky":"blue\nand clear"}
    ///
    /// "#);
    /// # Ok::<(), sse_core::EncodeError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`encode`](Event::encode) and publishing fail with [`EncodeError::Json`] if the value cannot be serialized as
    /// JSON: its `Serialize` implementation fails, or a map has keys that are not strings.
    ///
    /// # Cost
    ///
    /// One call of `Serialize`. The length of the JSON is unknown before, so its buffer starts with 128 bytes and doubles when
    /// it is full: one allocation for a small value, and log<sub>2</sub>(length / 128) more for a large one. Encoding then
    /// costs what it costs for any data.
    #[cfg(feature = "serde")]
    #[must_use]
    pub fn json<T: serde::Serialize>(mut self, value: T) -> Self {
        match json::to_line(&value) {
            Ok(json) => self.data(json),
            Err(error) => {
                self.data = None;
                self.json_error = Some(error.to_string().into());
                self
            }
        }
    }

    /// Sets the reconnection time of the client in whole milliseconds. Fractions of a millisecond are cut off.
    #[must_use]
    pub const fn retry(mut self, retry: Duration) -> Self {
        self.retry = Some(retry);
        self
    }

    /// Sets a comment of any number of lines. Clients ignore comments.
    #[must_use]
    pub fn comment(mut self, comment: impl Into<Cow<'a, str>>) -> Self {
        self.comment = Some(comment.into());
        self
    }

    /// Marks the event as live-only: it is assigned no id, kept in no history and never replayed.
    #[must_use]
    pub const fn live_only(mut self) -> Self {
        self.live_only = true;
        self
    }

    /// Encodes the event as one block of the event stream format (WHATWG HTML 9.2.5).
    ///
    /// Fields are written in the order `id`, `event`, `data`, `retry`, comment ([E1](crate::rules#e1)). An event
    /// without fields is a single blank line, which clients ignore.
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
    /// - [`EncodeError::LineBreak`] if the id or the name contains CR or LF ([E3](crate::rules#e3));
    /// - [`EncodeError::IdControl`], [`EncodeError::IdWhiteSpace`] or [`EncodeError::IdTooLong`] if a request header
    ///   cannot carry the id unchanged ([E4](crate::rules#e4));
    /// - [`EncodeError::RetryTooLong`] if the retry time exceeds [`Event::MAX_RETRY`] ([E3](crate::rules#e3));
    /// - [`EncodeError::TooLong`] if the encoded event would exceed the maximum size of a frame, about 4 GiB;
    /// - `EncodeError::Json`, with the feature `serde`, if the data is a value that cannot be serialized as JSON.
    ///
    /// # Cost
    ///
    /// O(bytes), near the speed of copying them, and one allocation with the exact size of the frame
    /// ([E5](crate::rules#e5)). Each line of data takes 6 bytes more than its text, so data that consists of line
    /// breaks grows sevenfold.
    #[inline]
    pub fn encode(&self) -> Result<Frame, EncodeError> {
        encode::encode(&self.fields(self.id.as_deref().map(EventId::Application)))
    }

    /// Encodes the event with the id `<epoch>-<position>`, unless the application set an id.
    ///
    /// # Errors
    ///
    /// Those of [`Event::encode`]. The rules for ids apply to the assigned id as well.
    ///
    /// # Cost
    ///
    /// That of [`Event::encode`]: the id is written in place, without an intermediate string.
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
            json_error: self.json_error.as_deref(),
            retry: self.retry,
            comment: self.comment.as_deref(),
            live_only: self.live_only,
        }
    }

    /// Returns whether the application set an id. An empty id counts.
    pub(crate) const fn has_id(&self) -> bool {
        self.id.is_some()
    }

    /// Returns whether the event was marked with [`Event::live_only`].
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
    fn an_assigned_id_is_written_in_place() {
        for position in [0, 9, 10, 1_234_567_890, u64::MAX] {
            let frame = Event::new().data("x").live_only().encode_as("e1", position).unwrap();
            let id = alloc::format!("e1-{position}");
            assert_eq!(frame, Event::new().id(id.as_str()).data("x").live_only().encode().unwrap());
            assert_eq!(frame.id(), Some(id.as_str()));
        }
    }

    #[test]
    fn an_assigned_id_takes_no_allocation_of_its_own() {
        let event = Event::new().data("a\nb");
        let info = allocation_counter::measure(|| assert!(event.encode_as("epoch", u64::MAX).is_ok()));
        let len = event.encode_as("epoch", u64::MAX).unwrap().len() as u64;
        assert_eq!((info.count_total, info.bytes_total), (1, len));
    }

    #[test]
    fn an_id_of_the_application_is_kept() {
        let event = Event::new().id("");
        assert!(event.has_id() && !event.is_live_only());
        assert_eq!(event.encode_as("e1", 7).unwrap().as_bytes(), b"id: \n\n");
    }

    #[test]
    fn an_assigned_id_follows_the_rules_for_ids() {
        let encode = |epoch: &str| Event::new().encode_as(epoch, 10).map(|frame| frame.len());
        assert_eq!(encode("a\nb"), Err(EncodeError::LineBreak { field: EncodeField::Id, offset: 1 }));
        assert_eq!(encode("a\u{85}"), Err(EncodeError::IdControl { offset: 1 }));
        assert_eq!(encode(" a"), Err(EncodeError::IdWhiteSpace));
        // White space before the hyphen is inside the id and therefore allowed.
        assert_eq!(encode("a "), Ok("id: a -10\n\n".len()));
        let longest: String = core::iter::repeat_n('e', MAX_ID_BYTES - 3).collect();
        assert!(encode(&longest).is_ok());
        assert_eq!(
            encode(&alloc::format!("{longest}e")),
            Err(EncodeError::IdTooLong { len: MAX_ID_BYTES + 1, max: MAX_ID_BYTES })
        );
    }
}
