//! One followed channel: where a connection began in it, where it became live, what it is owed.

use alloc::vec;
use alloc::vec::Vec;
use core::num::NonZeroU32;
use core::slice;

use crate::config::{GapPolicy, StartFrom};
use crate::hub::channel::Channel;
use crate::hub::logs::Entry;
use crate::id::Position;
use crate::resume::Resume;

/// What a connection follows; the usual single channel needs no memory of its own.
pub(crate) enum Subscriptions {
    One(Subscription),
    /// None, or several.
    Many(Vec<Subscription>),
}

impl Subscriptions {
    pub(crate) const NONE: Subscriptions = Subscriptions::Many(Vec::new());

    #[inline]
    pub(crate) fn as_slice(&self) -> &[Subscription] {
        match self {
            Subscriptions::One(one) => slice::from_ref(one),
            Subscriptions::Many(many) => many,
        }
    }

    #[inline]
    pub(crate) fn as_mut_slice(&mut self) -> &mut [Subscription] {
        match self {
            Subscriptions::One(one) => slice::from_mut(one),
            Subscriptions::Many(many) => many,
        }
    }

    pub(crate) fn push(&mut self, subscription: Subscription) {
        match self {
            Subscriptions::One(one) => *self = Subscriptions::Many(vec![*one, subscription]),
            Subscriptions::Many(many) if many.is_empty() => *self = Subscriptions::One(subscription),
            Subscriptions::Many(many) => many.push(subscription),
        }
    }

    pub(crate) fn remove(&mut self, number: usize) {
        match self {
            Subscriptions::Many(many) if number < many.len() && many.len() > 1 => drop(many.remove(number)),
            _ if number < self.as_slice().len() => *self = Subscriptions::NONE,
            _ => {}
        }
    }

    /// The number of the subscription to a channel.
    pub(crate) fn find(&self, channel: u32) -> Option<usize> {
        self.as_slice().iter().position(|subscription| subscription.channel == channel)
    }
}

/// One followed channel: where it began, and where it became live.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Subscription {
    pub(crate) channel: u32,
    /// Its number among the channel's members. That it is never zero saves [`Subscriptions`] a word.
    pub(crate) member: NonZeroU32,
    /// Where its hub stood when it was made: a reader that falls behind becomes live later, its plan stays the same.
    pub(crate) made_at: Position,
    /// Nothing at or below it is due.
    pub(crate) from: Position,
    /// Above `from`, what is due up to here is read from history.
    pub(crate) replay_to: Position,
    /// What is above it is read from the backlog.
    pub(crate) live_from: Position,
    /// Where the backlog counts it as a reader. It lies behind where the reader is when that has an event of another
    /// channel that this one may still get: the log then counts on the reader for it (O4).
    pub(crate) stands: Position,
}

/// Events with ids that a subscription was owed, and that are kept nowhere any more (S1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Loss {
    /// Where the loss ends; `None` when only live-only events are gone, or history has the rest.
    pub(crate) through: Option<Position>,
}

/// Where an event stands that is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) position: Position,
    pub(crate) channel: u32,
    pub(crate) in_history: bool,
    pub(crate) index: usize,
}

impl Subscription {
    /// A subscription that is live from `live_from` on and is owed nothing before.
    pub(crate) fn live(channel: u32, member: NonZeroU32, live_from: Position) -> Subscription {
        Subscription {
            channel,
            member,
            made_at: live_from,
            from: live_from,
            replay_to: Position::ORIGIN,
            live_from,
            stands: Position::ORIGIN,
        }
    }

    /// Has the backlog count it as a reader.
    pub(crate) fn join(&mut self, channel: &mut Channel, position: Position) {
        self.stands = self.reader(position).min(channel.last);
        channel.backlog.join(self.stands);
    }

    /// Moves it in the backlog when its connection has come to `position`, unless it has fallen.
    #[inline]
    pub(crate) fn move_to(&mut self, channel: &mut Channel, position: Position) {
        self.stand_at(channel, self.reader(position));
    }

    /// Moves it in the backlog alone, past what is not due to it up to `position`.
    pub(crate) fn pass(&mut self, channel: &mut Channel, position: Position) {
        if position <= self.from {
            self.stand_at(channel, self.reader(position));
        }
    }

    #[inline]
    fn stand_at(&mut self, channel: &mut Channel, reader: Position) {
        let stands = reader.min(channel.last);
        if stands > self.stands && !channel.backlog.has_lost_after(reader) {
            channel.backlog.advance(self.stands, stands);
            self.stands = stands;
        }
    }

    /// Up to where it needs nothing from the backlog, when its connection has come to `position`.
    #[inline]
    pub(crate) fn reader(&self, position: Position) -> Position {
        self.live_from.max(position)
    }

    /// The first event above `after` that it reads, due or not.
    #[inline]
    pub(crate) fn next(&self, channel: &Channel, after: Position) -> Option<Place> {
        let owed_after = after.max(self.from);
        if owed_after < self.replay_to
            && let Some((index, entry)) = channel.history.first_after(owed_after)
            && entry.position <= self.replay_to
        {
            return Some(Place { position: entry.position, channel: self.channel, in_history: true, index });
        }
        let (index, entry) = channel.backlog.first_after(self.reader(after))?;
        Some(Place { position: entry.position, channel: self.channel, in_history: false, index })
    }

    /// The newest event, if it is all that is left for a reader that has come to `position` and has lost nothing.
    #[inline(always)]
    pub(crate) fn newest<'a>(&self, channel: &'a Channel, position: Position) -> Option<(Place, &'a Entry)> {
        let reader = self.reader(position);
        if position.max(self.from) < self.replay_to || channel.backlog.has_lost_after(reader.max(self.stands))
        {
            return None;
        }
        let (index, entry) = channel.backlog.only_after(reader)?;
        let place = Place { position: entry.position, channel: self.channel, in_history: false, index };
        (place.position > self.from).then_some((place, entry))
    }

    /// What it has lost, if anything, when its connection has come to `position`. What is above `end` does not concern
    /// it: a reset there would hide what other channels have before that.
    #[inline]
    pub(crate) fn loss(&self, channel: &Channel, position: Position, end: Position) -> Option<Loss> {
        let gone = channel.history.gone().min(end);
        let owed_after = position.max(self.from);
        let mut through: Option<Position> = None;
        if owed_after < self.replay_to && owed_after < gone {
            through = Some(gone.min(self.replay_to));
        }
        // A plan made anew goes back to where it began: what it had passed there is none of its losses (O3).
        let reader = self.reader(position).max(self.stands);
        let has_fallen = reader < end && channel.backlog.has_lost_after(reader);
        if has_fallen {
            let gone = gone.min(channel.backlog.lost_id_through());
            if gone > reader.max(owed_after) {
                through = through.max(Some(gone));
            }
        }
        (has_fallen || through.is_some()).then_some(Loss { through })
    }

    /// What it owes from history above `from`: what is kept now, and what was kept when it was asked before. What of that
    /// goes before it is taken is a loss.
    pub(crate) fn replay_from(&mut self, channel: &Channel, from: Position) {
        self.replay_between(channel, from, self.live_from);
    }

    /// The same for a connection that gets nothing above `end`.
    pub(crate) fn replay_between(&mut self, channel: &Channel, from: Position, end: Position) {
        // A plan made anew goes back to where it began: what it had passed there is not owed again (O3).
        self.from = if self.stands > self.live_from { from.max(self.stands) } else { from };
        let newest = channel.history.newest_by(self.live_from.min(end)).unwrap_or_default();
        self.replay_to = newest.max(self.replay_to);
    }

    /// Where it starts: `asked` is what its client asked to resume from, and what that is in the hub's order (H4).
    /// Returns where a reset has to stand.
    pub(crate) fn plan(&mut self, channel: &Channel, asked: Option<Option<Position>>) -> Option<Position> {
        let floor = channel.history.floor();
        let policy = channel.config.on_gap;
        match asked {
            Some(Some(position)) if position >= floor => self.replay_from(channel, position),
            Some(Some(_)) if policy != GapPolicy::Live => {
                self.replay_from(channel, floor);
                return (policy == GapPolicy::Reset).then_some(floor);
            }
            Some(None) if policy == GapPolicy::Kept => self.start(channel),
            // A client that is ahead has what is below its id (O4).
            Some(position) => self.replay_from(channel, self.made_at.max(position.unwrap_or_default())),
            None => self.start(channel),
        }
        None
    }

    /// Starts as a connection without a last event id does (H8).
    fn start(&mut self, channel: &Channel) {
        let from = match channel.config.start {
            StartFrom::Live => self.made_at,
            StartFrom::Last(events) => channel.history.before_newest(events, self.made_at).min(self.made_at),
            StartFrom::All => channel.history.floor().min(self.made_at),
        };
        self.replay_from(channel, from);
    }

    /// What its plan means for the client (H6).
    pub(crate) fn resume(&self, channel: &Channel, asked: Option<Option<Position>>) -> Resume {
        let events = channel.history.count(self.from, self.live_from);
        let floor = channel.history.floor();
        match asked {
            None => Resume::Fresh,
            Some(None) => Resume::Unknown,
            Some(Some(position)) if position < floor => Resume::Gap { lost_through: floor, events },
            Some(Some(_)) if events > 0 => Resume::Replayed { events },
            Some(Some(_)) => Resume::UpToDate,
        }
    }
}
