//! Publication of events.

use sse_core::{EncodeError, EncodeField, Instant, PublishError};

use super::{EPOCH, Exclusion, Model, State, wire};

/// One event in one channel.
#[derive(Clone, Debug)]
pub(crate) struct Pub {
    pub(crate) position: u64,
    pub(crate) at: Instant,
    pub(crate) except: Option<Exclusion>,
    pub(crate) id: Option<String>,
    pub(crate) live_only: bool,
    pub(crate) wire: Vec<u8>,
    /// The place among the events of all channels, in the order in which they were appended.
    pub(crate) appended: usize,
    /// The event is in history.
    pub(crate) is_kept: bool,
    /// The event left history, and is kept for members that replay what came before it.
    pub(crate) is_retained: bool,
    /// A bound removed the event from the backlog while a member waited for it.
    pub(crate) is_removed: bool,
}

impl Pub {
    pub(crate) fn is_replayable(&self) -> bool {
        self.id.is_some() && !self.live_only
    }
}

/// The content of an event as the application sets it.
#[derive(Clone, Debug)]
pub(crate) struct Draft {
    pub(crate) id: Option<String>,
    pub(crate) data: String,
    pub(crate) live_only: bool,
    pub(crate) has_line_break: bool,
    pub(crate) except: Option<Exclusion>,
}

impl Model {
    /// Publishes an event. Returns its position, its bytes and the number of subscriptions.
    pub(crate) fn publish(
        &mut self,
        chans: &[usize],
        draft: &Draft,
        at: Option<u64>,
    ) -> Result<(u64, Vec<u8>, usize), PublishError> {
        match (self.is_external, at) {
            (true, None) => return Err(PublishError::PositionsAreExternal),
            (false, Some(_)) => return Err(PublishError::PositionsAreLocal),
            _ if chans.is_empty() => return Err(PublishError::NoChannel),
            _ => {}
        }
        self.check_channels(chans)?;
        let position = match at {
            Some(position) => position,
            None => self.head.checked_add(1).ok_or(PublishError::PositionsExhausted)?,
        };
        if draft.has_line_break {
            let broken = EncodeError::LineBreak { field: EncodeField::Event, offset: 1 };
            return Err(PublishError::Encode(broken));
        }
        let assigns_id = !draft.live_only && chans.iter().any(|chan| self.chans[*chan].assigns_ids());
        let assigned = || assigns_id.then(|| format!("{EPOCH}-{position}"));
        let id = draft.id.clone().or_else(assigned);
        let wire = wire(id.as_deref(), None, &draft.data);
        let limit = self.limits.event_bytes;
        if wire.len() > limit {
            return Err(PublishError::TooLarge { bytes: wire.len(), limit });
        }
        if let Some(other) = id.as_deref().and_then(position_in).filter(|other| *other != position) {
            return Err(PublishError::ReservedId { position: other.into() });
        }
        if position < self.head || self.is_log && position == self.head {
            return Ok((position, wire, 0));
        }
        if position > self.head {
            self.head = position;
            self.counters.published += 1;
        }
        let (live_only, except) = (draft.live_only, draft.except.clone());
        let event = Pub {
            position,
            at: self.now,
            except,
            id,
            live_only,
            wire,
            appended: 0,
            is_kept: false,
            is_retained: false,
            is_removed: false,
        };
        let subscriptions = chans.iter().map(|chan| self.append(*chan, &event)).sum();
        Ok((position, event.wire, subscriptions))
    }

    fn append(&mut self, chan: usize, event: &Pub) -> usize {
        let now = self.now;
        let appended = self.chans.iter().map(|chan| chan.pubs.len()).sum();
        let channel = &mut self.chans[chan];
        if event.position <= channel.last {
            return 0;
        }
        channel.last = event.position;
        let keeps_any = channel.config.history.events > 0;
        if event.is_replayable() && keeps_any {
            channel.expire(now);
        }
        let is_kept = event.is_replayable() && keeps_any;
        channel.pubs.push(Pub { appended, is_kept, ..event.clone() });
        while channel.history().count() > channel.config.history.events {
            channel.evict();
        }
        while channel.config.history.bytes.is_some_and(|limit| channel.history_bytes() > limit) {
            channel.evict();
        }
        if event.is_replayable() {
            self.limit_history();
        }
        self.release_retained(chan);
        self.bound_backlog(chan);
        let members = self.members(chan).count();
        let channel = &mut self.chans[chan];
        if let Some(linger) = channel.config.linger.filter(|linger| members > 0 && !linger.is_zero()) {
            let until = Some(now.saturating_add(linger.min(sse_core::ChannelConfig::MAX_LINGER)));
            channel.lingers = channel.lingers.or(Some((event.position, until)));
        }
        members
    }
}

impl Model {
    /// Evicts the oldest events of all channels until the histories are within the limit (A1).
    fn limit_history(&mut self) {
        while self.history_bytes() > self.limits.history_bytes {
            let channels =
                self.chans.iter_mut().filter(|chan| chan.state != State::Gone && !chan.is_finished);
            let kept = channels.flat_map(|chan| &mut chan.pubs).filter(|event| event.is_kept);
            let Some(oldest) = kept.min_by_key(|event| event.appended) else { break };
            (oldest.is_kept, oldest.is_retained) = (false, true);
        }
        for chan in 0..self.chans.len() {
            self.release_retained(chan);
            self.report_room(chan);
        }
    }
}

/// Returns the position of an id in the form of the hub (H4).
pub(crate) fn position_in(id: &str) -> Option<u64> {
    let digits = id.strip_prefix(EPOCH)?.strip_prefix('-')?;
    let position: u64 = digits.parse().ok()?;
    (position.to_string() == digits).then_some(position)
}
