//! The verbs of channels: open and close.

use alloc::boxed::Box;

use crate::config::{ChannelConfig, Limits};
use crate::id::{ChannelId, Position};
use crate::time::Instant;

use super::arena::ChannelSlot;
use super::channel::ChannelState;
use super::linger::Gathered;
use super::logs::HistorySize;
use super::timer_queue::TimerOwner;
use super::{Action, ChannelCloseReason, Hub, OpenError};

impl Hub {
    /// Returns the channel with this name, and opens it if there is none ([K1](crate::rules#k1)).
    ///
    /// # Errors
    ///
    /// [`OpenError::TooManyChannels`] at the limit ([A1](crate::rules#a1)), [`OpenError::NameTooLong`], and
    /// [`OpenError::OtherConfig`] when the channel is open with another configuration. [`channel`](Hub::channel) finds a
    /// channel whatever its configuration is.
    ///
    /// ```
    /// # use sse_core::{ChannelConfig, Hub, HubConfig, Instant};
    /// # let mut hub = Hub::new(HubConfig::default()).unwrap();
    /// let weather = hub.open_channel(Instant::ORIGIN, "weather", ChannelConfig::default())?;
    /// assert_eq!(hub.open_channel(Instant::ORIGIN, "weather", ChannelConfig::default())?, weather);
    /// assert_eq!(hub.channel("weather"), Some(weather));
    /// # Ok::<(), sse_core::OpenError>(())
    /// ```
    pub fn open_channel(
        &mut self,
        now: Instant,
        name: &str,
        config: ChannelConfig,
    ) -> Result<ChannelId, OpenError> {
        self.advance_clock(now);
        if let Some(open) = self.open_as(name, &config)? {
            return Ok(open);
        }
        if let Some(restored) = self.open_waiting(name, &config)? {
            return Ok(restored);
        }
        let floor = if self.config.positions.is_local() { self.ended_names.floor(name) } else { self.head };
        self.insert_channel(name, config, floor)
    }

    /// Returns the open channel with this name, which has to have the same configuration (K1).
    pub(super) fn open_as(
        &mut self,
        name: &str,
        config: &ChannelConfig,
    ) -> Result<Option<ChannelId>, OpenError> {
        let Some(open) = self.channel(name) else { return Ok(None) };
        let state = self.channels.slot(open).and_then(|slot| self.channels.at_mut(slot));
        if let Some(state) = state.filter(|state| state.is_unconfigured) {
            (state.config, state.is_unconfigured) = (config.clone(), false);
        }
        let is_same = self.channels.get(open).is_some_and(|channel| channel.config == *config);
        if is_same { Ok(Some(open)) } else { Err(OpenError::OtherConfig) }
    }

    /// Opens a channel whose name is free.
    pub(super) fn insert_channel(
        &mut self,
        name: &str,
        config: ChannelConfig,
        floor: Position,
    ) -> Result<ChannelId, OpenError> {
        if name.len() > Limits::MAX_NAME_BYTES {
            return Err(OpenError::NameTooLong { bytes: name.len(), limit: Limits::MAX_NAME_BYTES });
        }
        let refused = OpenError::TooManyChannels { limit: self.config.limits.channels };
        if self.channels.len() >= self.config.limits.channels {
            return Err(refused);
        }
        let has_lead = config.ahead.is_some();
        let channel = ChannelState::new(self.now, name, config, floor, self.complete_through());
        let id = self.channels.insert(channel).map_err(|_| refused)?;
        self.names.insert(Box::from(name), id);
        self.leads = self.leads.saturating_add(usize::from(has_lead));
        if let Some(slot) = self.channels.slot(id) {
            self.arm_channel_timer(slot);
        }
        Ok(id)
    }

    /// Returns the open channel with this name ([K1](crate::rules#k1)).
    ///
    /// ```
    /// # use sse_core::{Hub, HubConfig};
    /// # let hub = Hub::new(HubConfig::default()).unwrap();
    /// assert_eq!(hub.channel("weather"), None);
    /// ```
    pub fn channel(&self, name: &str) -> Option<ChannelId> {
        self.names.get(name).copied()
    }

    /// Returns the open channels with their names, in no particular order.
    ///
    /// ```
    /// # use sse_core::{ChannelConfig, Hub, HubConfig, Instant};
    /// # let mut hub = Hub::new(HubConfig::default()).unwrap();
    /// let weather = hub.open_channel(Instant::ORIGIN, "weather", ChannelConfig::default()).unwrap();
    /// assert_eq!(hub.channels().collect::<Vec<_>>(), [(weather, "weather")]);
    /// ```
    pub fn channels(&self) -> impl Iterator<Item = (ChannelId, &str)> {
        self.channels.ids().filter_map(|id| Some((id, self.channel_name(id)?)))
    }

    /// Closes a channel: its name is free, and nothing can be published to it any more. What was published is still
    /// delivered; then the subscriptions end ([K3](crate::rules#k3)). Returns false when the channel is not open.
    ///
    /// A channel that is opened later under the same name is another channel, and its members subscribe anew. A client
    /// that stayed connected for other channels may by then have a last event id above the first events of the new
    /// channel. When it reconnects with that id, those events count as received. Where that matters, choose
    /// [`OnClose::CloseConnections`](crate::OnClose::CloseConnections), or keep the channel open.
    ///
    /// # Cost
    ///
    /// O(1). The members are visited by [`poll_action`](Hub::poll_action).
    ///
    /// ```
    /// # use sse_core::{Action, ChannelCloseReason, ChannelConfig, Hub, HubConfig, Instant};
    /// # let mut hub = Hub::new(HubConfig::default()).unwrap();
    /// # let now = Instant::ORIGIN;
    /// let channel = hub.open_channel(now, "weather", ChannelConfig::default()).unwrap();
    /// assert!(hub.close_channel(now, channel));
    /// assert_eq!(hub.channel("weather"), None);
    /// let reason = ChannelCloseReason::Requested;
    /// assert_eq!(hub.poll_action(), Some(Action::ChannelClosed { channel, reason }));
    /// ```
    pub fn close_channel(&mut self, now: Instant, channel: ChannelId) -> bool {
        self.advance_clock(now);
        let Some(channel) = self.live_channel(channel) else { return false };
        self.end_channel(channel, ChannelCloseReason::Requested);
        true
    }

    /// Returns the slot of a channel that accepts events and members.
    pub(super) fn live_channel(&self, channel: ChannelId) -> Option<ChannelSlot> {
        self.channels.slot(channel).filter(|slot| self.channels.at(*slot).is_some_and(|c| !c.is_closed))
    }

    pub(super) fn end_channel(&mut self, slot: ChannelSlot, reason: ChannelCloseReason) {
        let Some((id, channel)) = self.channels.entry_mut(slot) else { return };
        (channel.is_closed, channel.is_plain) = (true, false);
        channel.gathered = Gathered::default();
        let is_empty = channel.members.is_empty();
        self.names.remove(&channel.name);
        if self.config.positions.is_local() {
            self.ended_names.insert(&channel.name, channel.history.end());
        }
        let needs_sweep = !is_empty && channel.members.request_sweep();
        self.end_wait_for_room(slot);
        self.notices.push_back(Action::ChannelClosed { channel: id, reason });
        if is_empty {
            self.free_channel(slot);
        } else if needs_sweep {
            self.sweeps.push_back(id);
        }
    }

    pub(super) fn arm_channel_timer(&mut self, slot: ChannelSlot) {
        let Some(channel) = self.channels.at_mut(slot) else { return };
        let next = channel.next_deadline();
        self.timers.set_by(&mut channel.timer, TimerOwner::Channel(slot), next);
    }

    pub(super) fn free_channel(&mut self, slot: ChannelSlot) {
        let Some(channel) = self.channels.at_mut(slot) else { return };
        self.timers.set(&mut channel.timer, TimerOwner::Channel(slot), None);
        self.leads = self.leads.saturating_sub(usize::from(channel.producer.lead.is_some()));
        self.history_order.removed(HistorySize::of(&channel.history));
        self.channels.remove(slot);
        self.tidy_history_order();
        if self.names.is_empty() {
            self.names = hashbrown::HashMap::new();
        }
    }
}
