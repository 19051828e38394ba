//! Subscribing a connection to channels, which are opened with their pasts if they are closed on this node.

use sse_core::shared::{HubMut, Outbound};
use sse_core::{ChannelId, Instant, Past, PastEvent, Resume};
use tokio::time::timeout;

use crate::apply::{identified, instant_of};
use crate::channel::Channel;
use crate::cluster::Shared;
use crate::engine::read_pasts;
use crate::error::FollowError;
use crate::observe;
use crate::opens::Opening;
use crate::protocol::floor::Floor;
use crate::protocol::repair::ChannelHistory;
use crate::status::count;

impl Shared {
    /// Subscribes a connection to channels in one step.
    pub(crate) async fn follow(
        &self,
        outbound: &Outbound,
        channels: &[&Channel],
    ) -> Result<Vec<Resume>, FollowError> {
        loop {
            // A channel can close again before the subscription: then it is opened again.
            if let Some(resumes) = self.subscribe(outbound, channels)? {
                return Ok(resumes);
            }
            let opened = timeout(self.config.open_timeout, self.open_and_subscribe(outbound, channels)).await;
            match opened {
                Ok(Ok(Some(resumes))) => return Ok(resumes),
                Ok(Ok(None)) => {}
                Ok(Err(error)) => {
                    count(&self.counters.refused_opens, u64::from(matches!(error, FollowError::Unavailable)));
                    return Err(error);
                }
                Err(_elapsed) => {
                    count(&self.counters.refused_opens, 1);
                    return Err(FollowError::Unavailable);
                }
            }
        }
    }

    /// Subscribes a connection if all channels are open.
    fn subscribe(
        &self,
        outbound: &Outbound,
        channels: &[&Channel],
    ) -> Result<Option<Vec<Resume>>, FollowError> {
        self.hub.with(|hub, now| {
            let open: Option<Vec<_>> = channels.iter().map(|channel| hub.channel(channel.name())).collect();
            open.map(|open| subscribe_all(hub, now, outbound, &open)).transpose()
        })
    }

    /// Opens the channels that are closed, with their pasts, and subscribes a connection. `None` if that has to begin anew.
    async fn open_and_subscribe(
        &self,
        outbound: &Outbound,
        channels: &[&Channel],
    ) -> Result<Option<Vec<Resume>>, FollowError> {
        let closed = |channel: &&&Channel| self.hub.with(|hub, _| hub.channel(channel.name()).is_none());
        let mut missing: Vec<&Channel> = channels.iter().filter(closed).copied().collect();
        // All tasks lock names in one order.
        missing.sort_unstable_by(|a, b| a.name().cmp(b.name()));
        missing.dedup_by(|a, b| a.name() == b.name());
        let names = missing.iter().map(|channel| channel.name().to_owned()).collect();
        let _locked = self.names.lock_all(names).await;
        self.open_locked(outbound, channels, &missing).await
    }

    async fn open_locked(
        &self,
        outbound: &Outbound,
        channels: &[&Channel],
        missing: &[&Channel],
    ) -> Result<Option<Vec<Resume>>, FollowError> {
        // Another task may have opened some meanwhile.
        let closed = |channel: &&&Channel| self.hub.with(|hub, _| hub.channel(channel.name()).is_none());
        let missing: Vec<&Channel> = missing.iter().filter(closed).copied().collect();
        if missing.is_empty() {
            return Ok(None);
        }
        let _permit = self.permits.acquire().await.map_err(|_| FollowError::Unavailable)?;
        let _no_repair = self.repairs.read().await;
        let names: Vec<String> = missing.iter().map(|channel| channel.name().to_owned()).collect();
        let opening = self.hub.with(|hub, _| self.opens.begin(names, hub.head()));
        let read = self.read(&missing).await?;
        for channel in &missing {
            self.set_keep_for(channel.name(), channel.config().keep_for);
        }
        let subscribed = self.hub.with(|hub, now| {
            let Some(pasts) = opening.complete(read) else { return Ok(None) };
            open_all(hub, now, &opening, &missing, &pasts)?;
            count(&self.counters.cold_opens, missing.len() as u64);
            let open: Option<Vec<_>> = channels.iter().map(|channel| hub.channel(channel.name())).collect();
            open.map(|open| subscribe_all(hub, now, outbound, &open)).transpose()
        });
        drop(opening);
        subscribed
    }

    /// Reads the pasts of channels, in one round trip.
    async fn read(&self, channels: &[&Channel]) -> Result<Vec<ChannelHistory>, FollowError> {
        let names: Vec<_> =
            channels.iter().map(|channel| (channel.name(), channel.config().keep_for)).collect();
        let shared = self.pasts.lock().await.share().await;
        let mut connection = shared.map_err(|_| FollowError::Unavailable)?;
        let read = read_pasts(&mut connection, &self.keys, &names, sse_core::Position::ORIGIN).await;
        let past = match read {
            Ok(past) => past,
            Err(error) => {
                observe::past_failed(&error);
                if error.is_temporary() {
                    self.pasts.lock().await.disconnect();
                }
                return Err(FollowError::Unavailable);
            }
        };
        past.histories.into_iter().collect::<Option<Vec<_>>>().ok_or(FollowError::Unavailable)
    }
}

/// Opens channels with their pasts, which are in the order of the names.
fn open_all(
    hub: &mut HubMut<'_>,
    now: Instant,
    opening: &Opening<'_>,
    channels: &[&Channel],
    pasts: &[ChannelHistory],
) -> Result<(), FollowError> {
    for ((name, channel), past) in opening.names().iter().zip(channels).zip(pasts) {
        let Floor { position: mut floor, mut is_complete } = past.floor;
        let mut events: Vec<PastEvent> = Vec::with_capacity(past.entries.len());
        for entry in &past.entries {
            let (position, published_at) = (entry.position, instant_of(entry.position));
            match identified(hub, position, &entry.frame) {
                Some(frame) => events.push(PastEvent { position, published_at, frame }),
                // Not a frame: nobody can be sent it, so it counts as gone.
                None => (floor, is_complete) = (floor.max(position), false),
            }
        }
        let past = Past { floor, is_complete, events: &events };
        hub.open_channel_with(now, name, channel.config().config.clone(), &past)?;
    }
    Ok(())
}

fn subscribe_all(
    hub: &mut HubMut<'_>,
    now: Instant,
    outbound: &Outbound,
    channels: &[ChannelId],
) -> Result<Vec<Resume>, FollowError> {
    let subscribe = |channel: &ChannelId| hub.subscribe(now, *channel, outbound.id());
    channels.iter().map(subscribe).collect::<Result<Vec<_>, _>>().map_err(FollowError::from)
}
