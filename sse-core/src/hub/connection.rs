//! One connection: its position, what it follows, its deadlines.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use core::hint::black_box;
use core::num::NonZeroU64;
use core::time::Duration;

use bytes::Bytes;

use crate::config::{ConnectionConfig, GapPolicy, OnMaxLifetime};
use crate::hub::arena::Arena;
use crate::hub::channel::Channel;
use crate::hub::subscription::{Loss, Subscriptions};
use crate::hub::timer_queue::Armed;
use crate::id::{ChannelId, Position};
use crate::resume::LastEventId;
use crate::stats::CloseReason;
use crate::time::{Instant, MaybeInstant};
use crate::wire::Frame;

pub(crate) type Channels = Arena<ChannelId, Channel>;

pub(crate) struct Connection {
    /// Everything at or below it was taken, was told by a reset, or is not due.
    pub(crate) position: Position,
    pub(crate) subscriptions: Subscriptions,
    /// Nothing above it is for this connection any more. Beyond all positions unless it is being closed.
    closes_after: Position,
    pub(crate) stage: Stage,
    /// It took no byte yet: what it begins with is still to come.
    pub(crate) is_starting: bool,
    /// Its subscriptions resume together, and are planned anew with each change (O3). Not any more when it took a byte,
    /// or was to be told of what it lost: that stands.
    pub(crate) is_planning: bool,
    pub(crate) wake: Wake,
    /// What is left of a frame of which a byte was taken (S3).
    pub(crate) progress: Option<Bytes>,
    /// Frames for this connection alone, in their order. `None` while there are none.
    own: Option<Box<OwnFrames>>,
    /// What the client asked to resume from.
    pub(crate) asked: Option<Box<Asked>>,
    pub(crate) announces_position: bool,
    direct_limit: usize,
    pub(crate) opened_at: Instant,
    /// Since when bytes are due that it was named for; `None` when they were given up.
    pub(crate) due_since: MaybeInstant,
    /// When it took its last byte.
    pub(crate) taken_at: Instant,
    pub(crate) ping: Ping,
    /// When its longest life is over, or the time to take the rest when it is being closed.
    pub(crate) expires: MaybeInstant,
    pub(crate) on_max_lifetime: OnMaxLifetime,
    /// Its place among the hub's timers.
    pub(crate) armed: Armed,
}

/// How far along its life a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    Open,
    /// It is closed when it took what was published until then.
    Closing(CloseReason),
    /// It is closed when the frame in progress is out.
    Ending(CloseReason),
}

/// What the driver knows of the bytes that are due (D3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wake {
    /// Nothing: it has to be told when something becomes due.
    Idle,
    /// It waits in line for being named.
    Queued,
    /// It was named, and has not taken everything since.
    Named,
}

/// What a client asked to resume from.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) id: LastEventId,
    /// What that is in the hub's order, as far as it is known (H4).
    pub(crate) position: Option<Position>,
}

/// The idle comment of a connection (T1).
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Ping {
    /// In nanoseconds; one that 64 bits do not hold is [`Ping::ENDLESS`].
    interval: Option<NonZeroU64>,
    /// By how many nanoseconds the first interval is shorter, so that not all clients ping at once.
    spread: u64,
    /// When the question is asked next whether a ping is due.
    pub(crate) next: MaybeInstant,
    /// A ping is due since then.
    pub(crate) due_since: MaybeInstant,
}

impl Ping {
    /// Stands for more than 584 years; no interval is that short.
    const ENDLESS: NonZeroU64 = NonZeroU64::MIN;

    /// Sets the interval, counted from `now`; the first one is shortened by up to a half, as `random` says.
    pub(crate) fn set(&mut self, now: Instant, interval: Option<Duration>, random: u64) {
        let nanos = interval.map(|interval| interval.max(ConnectionConfig::MIN_PING).as_nanos());
        let half = nanos.map(|nanos| u64::try_from(nanos / 2).unwrap_or(u64::MAX));
        let spread = half.and_then(|half| random.checked_rem(half)).unwrap_or(0);
        let interval =
            nanos.map(|nanos| u64::try_from(nanos).ok().and_then(NonZeroU64::new).unwrap_or(Ping::ENDLESS));
        *self = Ping { interval, spread, ..Ping::default() };
        self.next = self.after(now).into();
    }

    /// Whether it was never sent, so that its first interval may be shortened.
    pub(crate) fn is_first(&self) -> bool {
        self.interval.is_none() || self.spread > 0
    }

    /// Notes that it was sent: all further intervals are whole.
    pub(crate) fn sent(&mut self) {
        self.due_since = MaybeInstant::NONE;
        self.spread = 0;
    }

    /// When a ping is due if nothing is written after `quiet_since`.
    pub(crate) fn after(&self, quiet_since: Instant) -> Option<Instant> {
        let interval = self.interval.filter(|interval| *interval != Ping::ENDLESS)?.get();
        quiet_since.checked_add(Duration::from_nanos(interval.saturating_sub(self.spread)))
    }
}

/// A frame for one connection alone, and where it stands among the published ones.
pub(crate) struct OwnFrame {
    pub(crate) key: Key,
    pub(crate) frame: Frame,
    pub(crate) since: Instant,
}

/// Where a connection's own frame stands: just before the events of a position, or just after them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key(pub(crate) Position, pub(crate) Rank);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Rank {
    /// A reset: where the loss ends (H7).
    Before,
    /// Events stand between the two.
    Event,
    /// A direct send: after the hub's position at the call (O1).
    After,
}

#[derive(Default)]
struct OwnFrames {
    queue: VecDeque<OwnFrame>,
    /// Bytes of direct sends among them.
    direct_bytes: usize,
}

impl Connection {
    pub(crate) fn new(
        now: Instant,
        position: Position,
        config: &ConnectionConfig,
        asked: Option<Asked>,
    ) -> Connection {
        Connection {
            position,
            subscriptions: Subscriptions::NONE,
            closes_after: Position::new(u64::MAX),
            stage: Stage::Open,
            is_starting: true,
            is_planning: true,
            wake: Wake::Idle,
            progress: None,
            own: None,
            asked: asked.map(Box::new),
            announces_position: config.announce_position,
            direct_limit: config.direct_bytes,
            opened_at: now,
            due_since: MaybeInstant::NONE,
            taken_at: now,
            ping: Ping::default(),
            expires: MaybeInstant::NONE,
            on_max_lifetime: config.on_max_lifetime,
            armed: Armed::default(),
        }
    }

    /// Moves to a position, with every reader that it is.
    #[inline]
    pub(crate) fn move_to(&mut self, channels: &mut Channels, position: Position) {
        self.position = position;
        for subscription in self.subscriptions.as_mut_slice() {
            if let Some(channel) = channels.at_mut(subscription.channel) {
                subscription.move_to(channel, position);
            }
        }
    }

    /// Lets go of an event at a position that it stays before, in the channels from which that is not due to it.
    pub(crate) fn pass(&mut self, channels: &mut Channels, position: Position) {
        for subscription in self.subscriptions.as_mut_slice() {
            if let Some(channel) = channels.at_mut(subscription.channel) {
                subscription.pass(channel, position);
            }
        }
    }

    /// Notes that the driver is told of bytes that are due since then.
    #[inline]
    pub(crate) fn name(&mut self, due_since: Instant) {
        self.wake = Wake::Named;
        self.due_since = Some(due_since).into();
    }

    /// Notes that nothing is left of what it was named for: it waits for being named again.
    #[inline]
    pub(crate) fn rest(&mut self) {
        if self.wake == Wake::Named {
            self.wake = Wake::Idle;
        }
    }

    /// Reads something of each of its cache lines, so that it is fetched from memory.
    pub(crate) fn fetch(&self) {
        black_box((
            self.progress.is_some(),
            self.subscriptions.as_slice().len(),
            self.own.is_some(),
            self.stage,
        ));
    }

    /// Whether it still takes sends and subscriptions.
    #[inline]
    pub(crate) fn is_open(&self) -> bool {
        self.stage == Stage::Open
    }

    /// Whether an event of this position is still for it.
    #[inline]
    pub(crate) fn wants(&self, position: Position) -> bool {
        position <= self.closes_after && !self.is_ending()
    }

    /// Whether it only waits for its frame in progress to be out.
    #[inline]
    pub(crate) fn is_ending(&self) -> bool {
        matches!(self.stage, Stage::Ending(_))
    }

    /// Nothing above it is for this connection.
    #[inline]
    pub(crate) fn end(&self) -> Position {
        self.closes_after
    }

    /// Has it take the rest of its frame in progress and nothing else.
    pub(crate) fn begin_end(&mut self, reason: CloseReason) {
        self.closes_after = Position::new(u64::MAX);
        self.stage = Stage::Ending(reason);
    }

    /// Fixes its end at `after`.
    pub(crate) fn begin_close(&mut self, after: Position, reason: CloseReason) {
        self.closes_after = after;
        self.stage = Stage::Closing(reason);
    }

    /// Whether anything may be due to it that comes before all that has a position.
    #[inline]
    pub(crate) fn has_front(&self) -> bool {
        self.is_starting || self.progress.is_some() || self.is_ending() || self.ping.due_since.get().is_some()
    }

    /// Whether nothing comes before all that has a position but a ping, if that.
    pub(crate) fn front_is_ping(&self) -> bool {
        !self.is_starting && self.progress.is_none() && !self.is_ending()
    }

    /// Its own frame number `index`, counted from the next.
    #[inline]
    pub(crate) fn own_frame(&self, index: usize) -> Option<&OwnFrame> {
        self.own.as_ref()?.queue.get(index)
    }

    /// Puts in a reset just before what stands at a position; it takes the place of one that is there.
    pub(crate) fn push_reset(&mut self, now: Instant, at: Position, frame: Frame) {
        let key = Key(at, Rank::Before);
        let queue = &mut self.own.get_or_insert_default().queue;
        match queue.binary_search_by_key(&key, |own| own.key) {
            Ok(index) => {
                if let Some(own) = queue.get_mut(index) {
                    own.frame = frame;
                }
            }
            Err(index) => queue.insert(index, OwnFrame { key, frame, since: now }),
        }
    }

    /// How many bytes and frames of its own wait.
    pub(crate) fn waiting(&self) -> (usize, usize) {
        self.own.as_ref().map_or((0, 0), |own| (own.direct_bytes, own.queue.len()))
    }

    /// Puts in a direct send behind `head`. Whether there is room for it was asked before.
    pub(crate) fn push_direct(&mut self, now: Instant, head: Position, frame: Frame) {
        let own = self.own.get_or_insert_default();
        own.direct_bytes = own.direct_bytes.saturating_add(frame.len());
        own.queue.push_back(OwnFrame { key: Key(head, Rank::After), frame, since: now });
    }

    pub(crate) fn direct_limit(&self) -> usize {
        self.direct_limit
    }

    /// Takes the next own frame away.
    pub(crate) fn pop_own(&mut self) {
        let Some(own) = &mut self.own else { return };
        if let Some(gone) = own.queue.pop_front()
            && gone.key.1 == Rank::After
        {
            own.direct_bytes = own.direct_bytes.saturating_sub(gone.frame.len());
        }
        if own.queue.is_empty() {
            self.own = None;
        }
    }

    /// Plans anew where its subscriptions start: while it is planning they are one step (O3). Where a reset has to
    /// stand is given to `reset`.
    pub(crate) fn plan(&mut self, channels: &Channels, mut reset: impl FnMut(&mut Connection, Position)) {
        if let Some(own) = &mut self.own {
            own.queue.retain(|frame| frame.key.1 == Rank::After);
        }
        let asked = self.asked.as_ref().map(|asked| asked.position);
        let mut start: Option<Position> = None;
        for number in 0..self.subscriptions.as_slice().len() {
            let Some(subscription) = self.subscriptions.as_mut_slice().get_mut(number) else { break };
            let Some(channel) = channels.at(subscription.channel) else { continue };
            let reset_at = subscription.plan(channel, asked);
            let begins = subscription.from.min(subscription.live_from);
            start = Some(start.map_or(begins, |start| start.min(begins)));
            if let Some(position) = reset_at {
                reset(self, position);
            }
        }
        if let Some(start) = start {
            self.position = start;
        }
    }

    /// The id that stands at the very start, before everything else: that of its position (H3), or of the reset for
    /// an unknown id (H7).
    #[inline]
    pub(crate) fn opening(&self, channels: &Channels) -> Option<Opening> {
        if !self.is_starting {
            return None;
        }
        match &self.asked {
            None => self.announces_position.then_some(Opening::Announce(self.position)),
            Some(asked) if asked.position.is_none() => {
                let subscriptions = self.subscriptions.as_slice();
                let first = subscriptions.iter().map(|subscription| subscription.made_at).min()?;
                let resets = subscriptions.iter().any(|subscription| {
                    channels.at(subscription.channel).is_some_and(|c| c.config.on_gap == GapPolicy::Reset)
                });
                resets.then_some(Opening::Reset(first))
            }
            Some(_) => None,
        }
    }

    /// The first of its subscriptions that has lost events, and where the loss ends.
    #[inline]
    pub(crate) fn first_loss(&self, channels: &Channels) -> Option<(usize, Loss)> {
        self.subscriptions.as_slice().iter().enumerate().find_map(|(number, subscription)| {
            let channel = channels.at(subscription.channel)?;
            Some((number, subscription.loss(channel, self.position, self.end())?))
        })
    }
}

/// What a connection's bytes begin with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Opening {
    Announce(Position),
    Reset(Position),
}

#[cfg(test)]
mod tests {
    use core::mem::size_of;

    use super::*;
    use crate::hub::logs::Entry;
    use crate::hub::subscription::Subscription;

    /// Each byte here is a megabyte for a million clients.
    #[test]
    #[cfg(target_pointer_width = "64")]
    fn sizes_stay_within_their_budgets() {
        assert!(size_of::<Connection>() <= 200, "{}", size_of::<Connection>());
        assert!(size_of::<Subscription>() <= 48, "{}", size_of::<Subscription>());
        assert!(size_of::<Entry>() <= 64, "{}", size_of::<Entry>());
        assert!(size_of::<Option<Bytes>>() <= 32);
    }
}
