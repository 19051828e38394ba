//! Streams of events into channels.

use std::pin::pin;

use futures_core::Stream;
use sse_core::shared::Channel;
use sse_core::{Event, PublishError};

/// Publishes what a stream gives to a channel, until it ends. Whoever follows the channel can come back and resume: an
/// answer that is made while it is read goes on while its reader is away.
///
/// The channel stays open: [close](Channel::close) it when nobody shall come back any more.
///
/// # Errors
///
/// [`PublishError`]: an event cannot be encoded, is too large, or the channel was closed. The stream is dropped then.
///
/// ```
/// # async fn answer(
/// #     hub: sse_core::shared::SharedHub, tokens: impl futures_core::Stream<Item = sse_core::Event<'static>>,
/// # ) -> Result<(), Box<dyn std::error::Error>> {
/// let channel = hub.open("answers/17", sse_core::ChannelConfig::default())?;
/// sse_async_std::publish_all(&channel, tokens).await?;
/// # Ok(()) }
/// ```
pub async fn publish_all(
    channel: &Channel,
    events: impl Stream<Item = Event<'static>>,
) -> Result<(), PublishError> {
    let mut events = pin!(events);
    channel.publish_from(|cx| events.as_mut().poll_next(cx)).await
}
