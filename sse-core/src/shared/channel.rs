//! The handle of an application on a channel.

use core::future::poll_fn;
use core::task::{Context, Poll};
use core::time::Duration;

use crate::{
    ChannelCloseReason, ChannelId, ChannelStats, Event, Finished, Frame, Hub, Payload, PublishError,
    PublishOptions, Published, Unwanted,
};

use super::status::{Interest, Status};
use super::sync::Arc;
use super::{SharedHub, held};

/// A handle on one channel. It is cheap to clone, and does not keep the channel open. After the channel was closed,
/// publishing is an error, even if another channel has its name.
///
/// ```
/// # use sse_core::shared::SharedHub;
/// # use sse_core::{ChannelConfig, Event, HubConfig, Instant};
/// # let (hub, _driver) = SharedHub::new("1k9f2", HubConfig::default(), || Instant::ORIGIN)?;
/// let weather = hub.open_channel("weather", ChannelConfig::default())?;
/// let published = weather.publish(&Event::new().event("sky").data("sunny"))?;
/// assert_eq!(published.frame.id(), Some("1k9f2-1"));
/// assert_eq!(weather.stats().map(|stats| stats.history_events), Some(1));
/// assert!(weather.close());
/// assert!(weather.publish(&Event::new().data("rain")).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Channel {
    hub: SharedHub,
    id: ChannelId,
    shared: Arc<SharedChannel>,
}

/// What the handles on one channel share.
pub(crate) struct SharedChannel {
    pub(crate) name: std::sync::Arc<str>,
    pub(crate) status: Status<ChannelCloseReason>,
}

impl Channel {
    pub(crate) fn new(hub: SharedHub, id: ChannelId, shared: Arc<SharedChannel>) -> Channel {
        Channel { hub, id, shared }
    }

    /// Returns the id of the channel.
    pub fn id(&self) -> ChannelId {
        self.id
    }

    /// Returns the name of the channel.
    pub fn name(&self) -> &str {
        &self.shared.name
    }

    pub(crate) fn shared_name(&self) -> std::sync::Arc<str> {
        std::sync::Arc::clone(&self.shared.name)
    }

    /// Returns the hub of the channel.
    pub fn hub(&self) -> &SharedHub {
        &self.hub
    }

    /// Publishes an event to all members of the channel.
    ///
    /// # Errors
    ///
    /// [`PublishError`], as [`Hub::publish`](crate::Hub::publish).
    ///
    /// # Cost
    ///
    /// O(1), however many members the channel has. The driver wakes them.
    pub fn publish(&self, event: &Event<'_>) -> Result<Published, PublishError> {
        let mut state = self.hub.lock();
        let now = state.now;
        let published = state.hub.publish(now, self.id, event);
        published.map_err(|error| self.named(error))
    }

    /// Replaces the id in an error by the name of this channel, if it is the id of this channel.
    pub(crate) fn named(&self, error: PublishError) -> PublishError {
        match error {
            PublishError::UnknownChannel(id) if id == self.id => {
                PublishError::ChannelClosed { name: self.shared_name() }
            }
            error => error,
        }
    }

    /// Publishes a frame that is encoded already: [`Hub::publish_frame`](crate::Hub::publish_frame).
    ///
    /// # Errors
    ///
    /// [`PublishError`], as [`publish`](Channel::publish).
    pub fn publish_frame(&self, frame: &Frame) -> Result<Published, PublishError> {
        let frame = held::droppable(frame);
        let mut state = self.hub.lock();
        let now = state.now;
        let published = state.hub.publish_frame(now, &[self.id], &frame, PublishOptions::default());
        published.map_err(|error| self.named(error))
    }

    /// Publishes the events of a source until the source ends, or until nobody wants more of them. `next` polls the source, as
    /// a stream is polled; it yields events or frames. It is called only while there is [room](Channel::room). After 256
    /// events that were ready in a row, the future yields to other tasks.
    ///
    /// Returns `None` when the source has ended, and otherwise the reason for which nobody wants more
    /// ([P1](crate::rules#p1), [P2](crate::rules#p2)). The channel stays open.
    ///
    /// # Errors
    ///
    /// [`PublishError`] when an event cannot be encoded or is too large, or when the channel is finished or closed.
    ///
    /// ```
    /// use std::future::Future;
    /// use std::pin::pin;
    /// use std::task::{Context, Poll, Waker};
    ///
    /// # use sse_core::shared::SharedHub;
    /// # use sse_core::{ChannelConfig, Event, HubConfig, Instant};
    /// # let (hub, _driver) = SharedHub::new("1k9f2", HubConfig::default(), || Instant::ORIGIN)?;
    /// let answer = hub.open_channel("answer", ChannelConfig::answer())?;
    /// let mut tokens = ["one", "two"].into_iter();
    /// let work = answer.publish_from(move |_| Poll::Ready(tokens.next().map(|token| Event::new().data(token))));
    /// // A runtime does this.
    /// assert_eq!(pin!(work).poll(&mut Context::from_waker(Waker::noop())), Poll::Ready(Ok(None)));
    /// assert_eq!(answer.stats().map(|stats| stats.history_events), Some(2));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub async fn publish_from<P: Into<Payload<'static>>>(
        &self,
        mut next: impl FnMut(&mut Context<'_>) -> Poll<Option<P>>,
    ) -> Result<Option<Unwanted>, PublishError> {
        let waiter = self.shared.status.waiter(Interest::Lifecycle);
        let mut in_a_row = 0u8;
        poll_fn(|cx| {
            loop {
                let seen = self.demand();
                match seen {
                    Err(Unwanted::Ended) => return Poll::Ready(Err(self.ended())),
                    Err(why) => return Poll::Ready(Ok(Some(why))),
                    Ok(0) => {}
                    Ok(_) => match next(cx) {
                        Poll::Ready(None) => return Poll::Ready(Ok(None)),
                        Poll::Ready(Some(payload)) => {
                            self.publish_payload(&payload.into())?;
                            in_a_row = in_a_row.wrapping_add(1);
                            if in_a_row == 0 {
                                cx.waker().wake_by_ref();
                                return Poll::Pending;
                            }
                            continue;
                        }
                        Poll::Pending => {}
                    },
                }
                let _ = waiter.poll(cx, |_| None::<()>);
                // What is waited for may have come since the demand was read, before the waker was registered.
                if self.demand().map(|room| room > 0) == seen.map(|room| room > 0) {
                    return Poll::Pending;
                }
            }
        })
        .await
    }

    fn publish_payload(&self, payload: &Payload<'_>) -> Result<Published, PublishError> {
        match payload {
            Payload::Event(event) => self.publish(event),
            Payload::Frame(frame) => self.publish_frame(frame),
        }
    }

    /// Returns the room of the channel, or the reason for which nobody wants more events.
    fn demand(&self) -> Result<usize, Unwanted> {
        let mut state = self.hub.lock();
        match state.hub.unwanted(self.id) {
            Some(why) => Err(why),
            None => state.hub.room(self.id).ok_or(Unwanted::Ended),
        }
    }

    /// Returns the error of a publication to a channel that accepts no events.
    fn ended(&self) -> PublishError {
        if self.is_finished() {
            PublishError::Finished(self.id)
        } else {
            PublishError::ChannelClosed { name: self.shared_name() }
        }
    }

    /// Completes when nobody wants more events of the channel, and returns the reason: nobody has followed it for its time
    /// ([P1](crate::rules#p1)), it was [stopped](Channel::stop) ([P2](crate::rules#p2)), or it is finished or closed. A
    /// producer selects between this and its work.
    ///
    /// Dropping the future loses nothing.
    pub async fn unwanted(&self) -> Unwanted {
        self.wait(|state, id| state.unwanted(id)).await
    }

    /// Waits until there is room, and returns how many bytes of events fit ([`Hub::room`](crate::Hub::room),
    /// [P3](crate::rules#p3)).
    ///
    /// Dropping the future loses nothing.
    ///
    /// # Errors
    ///
    /// The reason for which nobody wants more events: see [`unwanted`](Channel::unwanted).
    pub async fn room(&self) -> Result<usize, Unwanted> {
        self.wait(|hub, id| match hub.unwanted(id) {
            Some(why) => Some(Err(why)),
            None => hub.room(id).filter(|room| *room > 0).map(Ok),
        })
        .await
    }

    /// Waits until `check` finds something. The driver wakes all waiters at each change that concerns producers.
    async fn wait<T>(&self, check: impl Fn(&mut Hub, ChannelId) -> Option<T>) -> T {
        let waiter = self.shared.status.waiter(Interest::Lifecycle);
        let look = || check(&mut self.hub.lock().hub, self.id);
        poll_fn(|cx| {
            if let Some(found) = look() {
                return Poll::Ready(found);
            }
            let _ = waiter.poll(cx, |_| None::<()>);
            // It may have come before the waker was registered.
            look().map_or(Poll::Pending, Poll::Ready)
        })
        .await
    }

    /// Asks the producer of the channel to end ([`Hub::stop`](crate::Hub::stop)). Returns false when the channel is not open,
    /// is finished, or was stopped before.
    ///
    /// ```
    /// # use sse_core::shared::SharedHub;
    /// # use sse_core::{ChannelConfig, Event, HubConfig, Instant};
    /// # let (hub, _driver) = SharedHub::new("1k9f2", HubConfig::default(), || Instant::ORIGIN)?;
    /// let answer = hub.open_channel("answer", ChannelConfig::answer())?;
    /// assert!(answer.stop() && answer.is_stopped());
    /// answer.publish(&Event::new().event("stopped").data(""))?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn stop(&self) -> bool {
        let mut state = self.hub.lock();
        let now = state.now;
        state.hub.stop(now, self.id)
    }

    /// Returns whether the producer of the channel was asked to end.
    pub fn is_stopped(&self) -> bool {
        self.hub.lock().hub.is_stopped(self.id)
    }

    /// Finishes the channel: publishes its last event, if one is given, and accepts no more ([`Hub::finish_channel`]).
    /// Readers receive everything and leave. For the time `keep`, clients that come late or come back receive what they
    /// lack. Then the channel is closed.
    ///
    /// # Errors
    ///
    /// [`PublishError`], as [`Hub::finish_channel`]: [`PublishError::Finished`] when the channel is finished already.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use sse_core::shared::SharedHub;
    /// # use sse_core::{ChannelConfig, Event, HubConfig, Instant};
    /// # let (hub, _driver) = SharedHub::new("1k9f2", HubConfig::default(), || Instant::ORIGIN)?;
    /// let answer = hub.open_channel("answer 7", ChannelConfig::answer())?;
    /// answer.publish(&Event::new().data("Hello"))?;
    /// let done = Event::new().event("done").data("");
    /// let finished = answer.finish(Some(&done), Duration::from_secs(600))?;
    /// assert!(finished.is_complete && answer.is_finished());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// [`Hub::finish_channel`]: crate::Hub::finish_channel
    pub fn finish(&self, last: Option<&Event<'_>>, keep: Duration) -> Result<Finished, PublishError> {
        let mut state = self.hub.lock();
        let now = state.now;
        let finished = state.hub.finish_channel(now, self.id, last, keep);
        finished.map_err(|error| self.named(error))
    }

    /// Returns whether the channel is finished and not closed yet.
    pub fn is_finished(&self) -> bool {
        self.hub.lock().hub.is_finished(self.id)
    }

    /// Closes the channel ([K3](crate::rules#k3)). Returns false when it was closed already.
    pub fn close(&self) -> bool {
        let mut state = self.hub.lock();
        let now = state.now;
        state.hub.close_channel(now, self.id)
    }

    /// Waits until the channel is closed, and returns the reason.
    ///
    /// ```
    /// # async fn watch(channel: sse_core::shared::Channel) {
    /// let reason = channel.closed().await;
    /// println!("channel closed: {reason:?}");
    /// # }
    /// ```
    pub async fn closed(&self) -> ChannelCloseReason {
        let waiter = self.shared.status.waiter(Interest::Lifecycle);
        poll_fn(|cx| waiter.poll(cx, |status| status.closed)).await
    }

    /// Returns the current statistics of the channel; `None` when it was closed.
    pub fn stats(&self) -> Option<ChannelStats> {
        self.hub.lock().hub.channel_stats(self.id)
    }
}

impl core::fmt::Debug for Channel {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Channel").field("id", &self.id).field("name", &self.name()).finish()
    }
}
