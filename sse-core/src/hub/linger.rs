//! Channels that gather events before their members are reported (T6).

use core::time::Duration;

use crate::config::ChannelConfig;
use crate::time::Instant;

use super::arena::ChannelSlot;
use super::{Hub, Transmit};

/// What a channel has gathered since its members were swept.
#[derive(Default)]
pub(crate) struct Gathered {
    /// The end of the linger. `None` while nothing lingers.
    pub(crate) until: Option<Instant>,
    frames: u32,
    bytes: u32,
}

impl Gathered {
    /// Adds an event. Returns whether what gathered fills a window.
    fn add(&mut self, bytes: usize) -> bool {
        self.frames = self.frames.saturating_add(1);
        self.bytes = self.bytes.saturating_add(u32::try_from(bytes).unwrap_or(u32::MAX));
        self.frames as usize >= Transmit::MAX_FRAMES || self.bytes as usize >= Transmit::MAX_BYTES
    }
}

impl ChannelConfig {
    /// The longest linger. A longer one is shortened to it.
    pub const MAX_LINGER: Duration = Duration::from_secs(1);
}

impl Hub {
    /// Lets an event of a channel linger, if the channel gathers events. Returns false if its members are to be swept now.
    #[inline]
    pub(super) fn lets_linger(&mut self, slot: ChannelSlot, bytes: usize) -> bool {
        let now = self.now;
        let Some(channel) = self.channels.at_mut(slot) else { return false };
        let Some(linger) = channel.config.linger.filter(|linger| !linger.is_zero()) else { return false };
        if channel.gathered.add(bytes) {
            channel.gathered = Gathered::default();
            return false;
        }
        if channel.gathered.until.is_none() {
            channel.gathered.until = Some(now.saturating_add(linger.min(ChannelConfig::MAX_LINGER)));
        }
        true
    }

    /// Sweeps the members of a channel for what lingers there.
    pub(super) fn end_linger(&mut self, slot: ChannelSlot) {
        let Some((id, channel)) = self.channels.entry_mut(slot) else { return };
        if channel.gathered.until.is_none() {
            return;
        }
        channel.gathered = Gathered::default();
        if !channel.members.is_empty() && channel.members.request_sweep() {
            self.sweeps.push_back(id);
        }
    }
}
