//! What a source of events yields: events, or frames that are encoded already.

use super::{Event, Frame};

/// An event, or a frame that is encoded already. Calls that take the items of a stream accept both.
///
/// ```
/// use sse_core::{Event, Frame, Payload};
///
/// let owned: Payload<'static> = Event::new().data("sunny".to_owned()).into();
/// let forwarded = Payload::from(Frame::parse("data: sunny\n\n")?);
/// assert_ne!(owned, forwarded);
/// # Ok::<(), sse_core::FrameError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Payload<'a> {
    /// An event. It is encoded when it is published or sent.
    Event(Event<'a>),
    /// A frame, such as one that was received from another server.
    Frame(Frame),
}

impl<'a> From<Event<'a>> for Payload<'a> {
    fn from(event: Event<'a>) -> Payload<'a> {
        Payload::Event(event)
    }
}

impl From<Frame> for Payload<'_> {
    fn from(frame: Frame) -> Self {
        Payload::Frame(frame)
    }
}
