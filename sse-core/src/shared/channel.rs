//! The application's handle on a channel.

use core::future::poll_fn;
use core::task::{Context, Poll, ready};

use crate::{ChannelCloseReason, ChannelId, ChannelStats, Event, PublishError, Published};

use super::SharedHub;
use super::status::{For, Status};
use super::sync::Arc;

/// A handle on one channel: cheap to clone, and without a hold on it. Once the channel closed, publishing is an error,
/// also when another one has taken its name.
#[derive(Clone)]
pub struct Channel {
    hub: SharedHub,
    id: ChannelId,
    status: Arc<Status<ChannelCloseReason>>,
}

impl Channel {
    pub(super) fn new(hub: SharedHub, id: ChannelId, status: Arc<Status<ChannelCloseReason>>) -> Channel {
        Channel { hub, id, status }
    }

    /// What the hub calls it.
    pub fn id(&self) -> ChannelId {
        self.id
    }

    /// The hub it belongs to.
    pub fn hub(&self) -> &SharedHub {
        &self.hub
    }

    /// Publishes an event to all that follow it.
    ///
    /// # Errors
    ///
    /// [`PublishError`], as [`Hub::publish`](crate::Hub::publish).
    ///
    /// # Cost
    ///
    /// O(1), however many follow it; the driver wakes them.
    pub fn publish(&self, event: &Event<'_>) -> Result<Published, PublishError> {
        self.hub.with(|hub, now| hub.publish(now, self.id, event))
    }

    /// Publishes what a source gives until it ends. The source is polled as a stream is; after some events in a row that
    /// it had ready, others get the thread.
    ///
    /// # Errors
    ///
    /// [`PublishError`]: an event cannot be encoded, is too large, or the channel was closed.
    pub async fn publish_from(
        &self,
        mut next: impl FnMut(&mut Context<'_>) -> Poll<Option<Event<'static>>>,
    ) -> Result<(), PublishError> {
        let mut in_a_row = 0u8;
        poll_fn(|cx| {
            while let Some(event) = ready!(next(cx)) {
                self.publish(&event)?;
                in_a_row = in_a_row.wrapping_add(1);
                if in_a_row == 0 {
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
            }
            Poll::Ready(Ok(()))
        })
        .await
    }

    /// Closes it (K3). False when it was closed already.
    pub fn close(&self) -> bool {
        self.hub.with(|hub, now| hub.close_channel(now, self.id))
    }

    /// Waits until it closed, and says why.
    pub async fn closed(&self) -> ChannelCloseReason {
        let waiter = self.status.waiter(For::News);
        poll_fn(|cx| waiter.poll(cx, |waiting| waiting.closed)).await
    }

    /// What it holds now; `None` when it was closed.
    pub fn stats(&self) -> Option<ChannelStats> {
        self.hub.with(|hub, _| hub.channel_stats(self.id))
    }
}

impl core::fmt::Debug for Channel {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_tuple("Channel").field(&self.id).finish()
    }
}
