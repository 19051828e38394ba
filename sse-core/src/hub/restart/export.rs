//! Writing an export (R1).

use alloc::vec::Vec;
use core::time::Duration;

use crate::hub::channel::ChannelState;
use crate::hub::logs::LogEntry;
use crate::hub::{Hub, PublishError};
use crate::time::Instant;

use super::error::PositionsAreNotLocal;
use super::format::{Kind, Writer};
use super::{StoredChannel, StoredEvent};

/// Stands for a time without an end.
pub(super) const FOR_EVER: u64 = u64::MAX;

impl Hub {
    /// Returns what the next run needs to resume the clients of this one, for [`Hub::restore`] ([R1](crate::rules#r1)): the
    /// epochs, the head, and of each channel its name, its floor and its history. Configurations, connections and direct sends
    /// are not part of it.
    ///
    /// The export of a [sealed](Hub::seal) hub is *clean*: ids of this run are known to the next one. Another export is a *copy*,
    /// for the case of a crash: what is published after it is missing there, so the next run takes every id for unknown.
    ///
    /// Use an export once. A second run from the same export would give the positions of the first one again: take the file away
    /// before the restored hub publishes ([R3](crate::rules#r3)).
    ///
    /// # Errors
    ///
    /// [`PositionsAreNotLocal`] in a hub whose positions come from outside: so does its past.
    ///
    /// # Cost
    ///
    /// A copy of all histories, at most [`Limits::history_bytes`](crate::Limits::history_bytes).
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use sse_core::{ChannelConfig, ConnectionConfig, Event, Hub, HubConfig, Instant, Resume};
    /// # let now = Instant::ORIGIN;
    /// # let channel = ChannelConfig::default;
    /// let mut first = Hub::new(HubConfig { epoch: "one".into(), ..HubConfig::default() })?;
    /// let weather = first.open_channel(now, "weather", channel())?;
    /// first.publish(now, weather, &Event::new().data("sunny"))?;
    /// first.publish(now, weather, &Event::new().data("rain"))?;
    /// first.seal(now);
    /// let export = first.export(now)?;
    ///
    /// let config = HubConfig { epoch: "two".into(), ..HubConfig::default() };
    /// let mut second = Hub::restore(config, now, Duration::from_secs(3), &export)?;
    /// let weather = second.open_channel(now, "weather", channel())?;
    /// let client = ConnectionConfig { last_event_id: Some("one-1".into()), ..ConnectionConfig::default() };
    /// let client = second.connect(now, client)?;
    /// assert_eq!(second.subscribe(now, weather, client)?, Resume::Replayed { events: 1 });
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn export(&self, now: Instant) -> Result<Vec<u8>, PositionsAreNotLocal> {
        if !self.config.positions.is_local() {
            return Err(PositionsAreNotLocal(()));
        }
        let now = self.now.max(now);
        let mut writer = Writer::new();
        self.write_hub(&mut writer, now);
        self.write_ended_names(&mut writer);
        for (id, name) in self.channels() {
            if let Some(channel) = self.channels.get(id) {
                self.write_channel(&mut writer, now, name, channel);
            }
        }
        for (name, channel) in &self.waiting.channels {
            write_stored(&mut writer, now, name, channel);
        }
        Ok(writer.finish())
    }

    fn write_hub(&self, writer: &mut Writer, now: Instant) {
        writer.begin(Kind::Hub);
        writer.number(now.as_nanos());
        writer.byte(u8::from(self.is_sealed));
        writer.data(self.epoch.as_str().as_bytes());
        writer.number(self.head.get());
        writer.number(self.former_epochs.0.len() as u64);
        for (epoch, through) in &self.former_epochs.0 {
            writer.data(epoch.as_bytes());
            writer.number(through.get());
        }
        writer.end();
    }

    fn write_ended_names(&self, writer: &mut Writer) {
        writer.begin(Kind::EndedNames);
        writer.number(self.ended_names.forgotten_through().get());
        for (hash, end) in self.ended_names.ends() {
            writer.number(hash);
            writer.number(end.get());
        }
        writer.end();
    }

    fn write_channel(&self, writer: &mut Writer, now: Instant, name: &str, channel: &ChannelState) {
        let kept_for = channel.kept_until.map(|until| until.saturating_duration_since(now));
        let history = &channel.history;
        let event = |entry: &LogEntry| {
            let key = entry.except.and_then(|except| self.identities.client_key(except.client_slot()?));
            StoredEvent {
                position: entry.position,
                published_at: entry.published_at,
                has_hub_id: entry.frame.id().is_some_and(|id| self.epoch.position(id).is_some()),
                except: key.map(Into::into),
                frame: entry.frame.clone(),
            }
        };
        let stored = StoredChannel {
            first_floor: history.first_floor(),
            evicted_through: history.evicted_through(),
            kept_for: channel.is_finished.then_some(kept_for),
            events: history.above(history.floor()).map(event).collect(),
        };
        write_stored(writer, now, name, &stored);
    }

    /// Fails if the hub is sealed.
    pub(in crate::hub) fn check_seal(&self) -> Result<(), PublishError> {
        if self.is_sealed { Err(PublishError::Sealed) } else { Ok(()) }
    }
}

fn write_stored(writer: &mut Writer, now: Instant, name: &str, channel: &StoredChannel) {
    writer.begin(Kind::Channel);
    writer.data(name.as_bytes());
    writer.number(channel.first_floor.get());
    writer.number(channel.evicted_through.get());
    writer.byte(u8::from(channel.kept_for.is_some()));
    let nanos = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(FOR_EVER);
    writer.number(channel.kept_for.flatten().map_or(FOR_EVER, nanos));
    for event in &channel.events {
        writer.number(event.position.get());
        writer.number(nanos(now.saturating_duration_since(event.published_at)));
        writer.byte(u8::from(event.has_hub_id));
        writer.byte(u8::from(event.except.is_some()));
        writer.data(event.except.as_deref().unwrap_or_default().as_bytes());
        writer.data(event.frame.as_bytes());
    }
    writer.end();
}
