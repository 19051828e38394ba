//! Reading an export (R2, R4).

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::time::Duration;

use crate::config::{ChannelConfig, HistoryConfig, HubConfig};
use crate::hub::{Hub, OpenError};
use crate::id::{ChannelId, Position};
use crate::time::Instant;
use crate::wire::Frame;

use super::error::RestoreError;
use super::format::{Kind, Reader};
use super::{FormerEpochs, StoredChannel, StoredEvent};

/// What an export says of its hub.
struct StoredHub {
    exported_at: Instant,
    is_clean: bool,
    epoch: Box<str>,
    head: Position,
    former: Vec<(Box<str>, Position)>,
}

/// The newest instant of a copy.
struct Age {
    now: Instant,
    elapsed: Duration,
}

impl Age {
    /// Returns the instant of an event that was this old when it was written.
    fn published_at(&self, age: Duration) -> Instant {
        let age = age.saturating_add(self.elapsed);
        let nanos = u64::try_from(age.as_nanos()).unwrap_or(u64::MAX);
        Instant::from_nanos(self.now.as_nanos().saturating_sub(nanos))
    }
}

impl Hub {
    /// Creates the hub of a run that continues a former one ([R2](crate::rules#r2)): from its [export](Hub::export), `elapsed`
    /// after that was made.
    ///
    /// The hub has an epoch of its own, and its positions go on above those of the former run. An id of the former run is known
    /// up to its head if the export is clean, and unknown otherwise. The hub knows the ids of up to eight former runs.
    ///
    /// The channels wait under their names: [`open_channel`](Hub::open_channel) gives each its configuration, and the bounds of
    /// that apply then ([R4](crate::rules#r4)). One that nobody opens within [`HubConfig::unclaimed`] is let go. Finished channels
    /// need no opening.
    ///
    /// # Errors
    ///
    /// [`RestoreError`]. Start with [`Hub::new`] then: clients with ids of the former run get a reset.
    ///
    /// # Cost
    ///
    /// A copy of the export.
    pub fn restore(
        config: HubConfig,
        now: Instant,
        elapsed: Duration,
        export: &[u8],
    ) -> Result<Hub, RestoreError> {
        if !config.positions.is_local() {
            return Err(RestoreError::PositionsAreNotLocal);
        }
        let mut reader = Reader::new(export)?;
        let stored = read_hub(&mut reader)?;
        let epochs = stored.former.iter().map(|(epoch, _)| epoch).chain([&stored.epoch]);
        if epochs.into_iter().any(|epoch| **epoch == *config.epoch) {
            return Err(RestoreError::SameEpoch { epoch: config.epoch });
        }
        let unclaimed = config.unclaimed;
        let mut hub = Hub::new(config).map_err(RestoreError::Config)?;
        hub.advance_clock(now);
        hub.head = hub.head.max(stored.head);
        hub.read_ended_names(&mut reader)?;
        let age = Age { now, elapsed };
        let mut finished = Vec::new();
        loop {
            match reader.section()? {
                (Kind::Channel, section) => {
                    let (name, channel) = read_channel(section, &age, stored.head)?;
                    if channel.kept_for.is_some() {
                        finished.push((name, channel));
                    } else {
                        hub.waiting.channels.insert(name, channel);
                    }
                }
                (Kind::End, _) if reader.is_empty() => break,
                _ => return Err(RestoreError::Damaged),
            }
        }
        if stored.is_clean {
            let mut former = stored.former;
            former.push((stored.epoch, stored.head));
            let surplus = former.len().saturating_sub(FormerEpochs::MAX);
            former.drain(..surplus);
            hub.former_epochs = FormerEpochs(former);
        }
        for (name, channel) in finished {
            hub.open_finished(&name, channel);
        }
        if !hub.waiting.channels.is_empty() {
            hub.waiting.until = unclaimed.and_then(|unclaimed| now.checked_add(unclaimed));
        }
        Ok(hub)
    }

    /// Returns the instant of an [export](Hub::export), as the clock of its hub counted.
    ///
    /// # Errors
    ///
    /// [`RestoreError`], if the bytes are not the beginning of an export.
    pub fn exported_at(export: &[u8]) -> Result<Instant, RestoreError> {
        Ok(read_hub(&mut Reader::new(export)?)?.exported_at)
    }

    fn read_ended_names(&mut self, reader: &mut Reader<'_>) -> Result<(), RestoreError> {
        let (Kind::EndedNames, mut section) = reader.section()? else { return Err(RestoreError::Damaged) };
        self.ended_names.forget_through(Position::new(section.number()?));
        while !section.is_empty() {
            let (hash, end) = (section.number()?, section.number()?);
            self.ended_names.insert_hash(hash, Position::new(end));
        }
        Ok(())
    }

    /// Opens a channel of the former run that waits for its configuration.
    pub(in crate::hub) fn open_waiting(
        &mut self,
        name: &str,
        config: &ChannelConfig,
    ) -> Result<Option<ChannelId>, OpenError> {
        let Some(stored) = self.waiting.channels.get(name) else { return Ok(None) };
        let channel = self.insert_channel(name, config.clone(), stored.first_floor)?;
        if let Some(stored) = self.waiting.channels.remove(name) {
            self.fill_restored(channel, stored);
        }
        if self.waiting.channels.is_empty() {
            self.waiting = super::WaitingChannels::default();
        }
        Ok(Some(channel))
    }

    /// Opens a finished channel. Its configuration is that of an answer, until somebody opens it with another one.
    fn open_finished(&mut self, name: &str, stored: StoredChannel) {
        let kept_until = stored.kept_for.flatten().and_then(|kept_for| self.now.checked_add(kept_for));
        let end = stored.end();
        let config = ChannelConfig { history: HistoryConfig::whole(usize::MAX), ..ChannelConfig::answer() };
        match self.insert_channel(name, config, stored.first_floor) {
            Ok(channel) => {
                self.restore_finished(channel, kept_until);
                self.fill_restored(channel, stored);
            }
            // The limit of channels: its end counts.
            Err(_) => self.ended_names.insert(name, end),
        }
    }

    fn fill_restored(&mut self, id: ChannelId, stored: StoredChannel) {
        let Some(slot) = self.channels.slot(id) else { return };
        if let Some(channel) = self.channels.at_mut(slot) {
            channel.history.begin_restored(stored.first_floor, stored.evicted_through);
        }
        for event in stored.events {
            let StoredEvent { position, published_at, has_hub_id, except, frame } = event;
            let frame =
                if has_hub_id { frame.with_id(&self.epoch.id(position)).unwrap_or(frame) } else { frame };
            self.push_past(id, position, &frame, published_at, except.as_deref());
        }
        self.finish_past(slot);
    }
}

fn read_hub(reader: &mut Reader<'_>) -> Result<StoredHub, RestoreError> {
    let (Kind::Hub, mut section) = reader.section()? else { return Err(RestoreError::Damaged) };
    let exported_at = Instant::from_nanos(section.number()?);
    let (is_clean, epoch, head) = (section.flag()?, section.text()?, Position::new(section.number()?));
    let count = section.number()?;
    if count > FormerEpochs::MAX as u64 {
        return Err(RestoreError::Damaged);
    }
    let former = (0..count).map(|_| Ok((section.text()?, Position::new(section.number()?)))).collect();
    let former: Result<Vec<_>, RestoreError> = former;
    if section.is_empty() {
        Ok(StoredHub { exported_at, is_clean, epoch, head, former: former? })
    } else {
        Err(RestoreError::Damaged)
    }
}

fn read_channel(
    mut section: Reader<'_>,
    age: &Age,
    head: Position,
) -> Result<(Box<str>, StoredChannel), RestoreError> {
    let name = section.text()?;
    let (first_floor, evicted_through) = (Position::new(section.number()?), Position::new(section.number()?));
    let is_finished = section.flag()?;
    let kept_for = match section.number()? {
        super::export::FOR_EVER => None,
        nanos => Some(Duration::from_nanos(nanos).saturating_sub(age.elapsed)),
    };
    let mut events: Vec<StoredEvent> = Vec::new();
    let mut after = first_floor.max(evicted_through);
    while !section.is_empty() {
        let position = Position::new(section.number()?);
        let published_at = age.published_at(Duration::from_nanos(section.number()?));
        let (has_hub_id, has_key) = (section.flag()?, section.flag()?);
        let key = section.text()?;
        let frame = Frame::parse(section.data()?).map_err(|_| RestoreError::Damaged)?;
        if position <= after || position > head {
            return Err(RestoreError::Damaged);
        }
        after = position;
        events.push(StoredEvent {
            position,
            published_at,
            has_hub_id,
            except: has_key.then_some(key),
            frame,
        });
    }
    let kept_for = is_finished.then_some(kept_for);
    Ok((name, StoredChannel { first_floor, evicted_through, kept_for, events }))
}
