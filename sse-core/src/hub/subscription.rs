//! One followed channel: where a connection started in it, where it became live, and what it still has to read.

use alloc::vec;
use alloc::vec::Vec;
use core::num::NonZeroU32;
use core::slice;

use crate::id::Position;

use super::arena::ChannelSlot;
use super::channel::ChannelState;
use super::logs::LogEntry;
use super::members::MemberNumber;

/// The subscriptions of a connection. The usual single one needs no memory of its own.
pub(crate) enum Subscriptions {
    One(Subscription),
    /// None, or several.
    Many(Vec<Subscription>),
}

/// The index of a subscription among those of its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SubscriptionNumber(usize);

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

    pub(crate) fn get(&self, number: SubscriptionNumber) -> Option<&Subscription> {
        self.as_slice().get(number.0)
    }

    pub(crate) fn get_mut(&mut self, number: SubscriptionNumber) -> Option<&mut Subscription> {
        self.as_mut_slice().get_mut(number.0)
    }

    /// Returns the subscriptions with their numbers.
    #[inline]
    pub(crate) fn numbered(&self) -> impl Iterator<Item = (SubscriptionNumber, &Subscription)> {
        self.as_slice()
            .iter()
            .enumerate()
            .map(|(index, subscription)| (SubscriptionNumber(index), subscription))
    }

    pub(crate) fn last(&self) -> Option<SubscriptionNumber> {
        self.as_slice().len().checked_sub(1).map(SubscriptionNumber)
    }

    pub(crate) fn push(&mut self, subscription: Subscription) {
        match self {
            Subscriptions::One(one) => *self = Subscriptions::Many(vec![*one, subscription]),
            Subscriptions::Many(many) if many.is_empty() => *self = Subscriptions::One(subscription),
            Subscriptions::Many(many) => many.push(subscription),
        }
    }

    pub(crate) fn remove(&mut self, number: SubscriptionNumber) {
        match self {
            Subscriptions::Many(many) if number.0 < many.len() && many.len() > 1 => _ = many.remove(number.0),
            _ if number.0 < self.as_slice().len() => *self = Subscriptions::NONE,
            _ => {}
        }
    }

    /// Returns the number of the subscription to a channel.
    pub(crate) fn find(&self, channel: ChannelSlot) -> Option<SubscriptionNumber> {
        self.as_slice()
            .iter()
            .position(|subscription| subscription.channel == channel)
            .map(SubscriptionNumber)
    }
}

/// One followed channel.
///
/// Events above `owed_after` are for this subscription. Up to `replay_through` they are read from history, above
/// `live_after` from the backlog. [`Subscription::assert_order`] states how the positions relate.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Subscription {
    pub(crate) channel: ChannelSlot,
    member: FlaggedMember,
    /// The position of the hub when the subscription was made. When a reader falls behind, `live_after` moves and this
    /// position stays, so that a new decision on the start gives the same result.
    pub(crate) subscribed_at: Position,
    /// Nothing at or below this position is for the subscription.
    pub(crate) owed_after: Position,
    /// Events up to this position are read from history.
    pub(crate) replay_through: Position,
    /// Events above this position are read from the backlog.
    pub(crate) live_after: Position,
    /// The position at which the backlog counts the reader. It is behind the position of the connection while an event of
    /// another channel may still arrive in this one: the backlog then keeps the event for this reader (O4).
    pub(crate) counted_at: Position,
}

/// A member number, and whether a start or a reset replays events to the subscription: it has both in four bytes.
#[derive(Clone, Copy, Debug)]
struct FlaggedMember(NonZeroU32);

/// The bit of the flag: there are fewer members than slots of connections.
const STARTS_ANEW: u32 = 1 << 31;

/// Events with ids that a subscription has still to read and that no log has any more (S1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Loss {
    /// The position at which the loss ends; `None` when only live-only events were lost, or history has the rest.
    pub(crate) through: Option<Position>,
}

/// The place of an event in a log of a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LogIndex {
    pub(crate) position: Position,
    pub(crate) channel: ChannelSlot,
    pub(crate) in_history: bool,
    pub(crate) index: usize,
}

impl Subscription {
    /// Creates a subscription that is live after `live_after` and has nothing to read before.
    pub(crate) fn live(channel: ChannelSlot, member: MemberNumber, live_after: Position) -> Subscription {
        Subscription {
            channel,
            member: FlaggedMember(member.get()),
            subscribed_at: live_after,
            owed_after: live_after,
            replay_through: Position::ORIGIN,
            live_after,
            counted_at: Position::ORIGIN,
        }
    }

    pub(crate) fn member(&self) -> MemberNumber {
        let number = self.member.0.get() & !STARTS_ANEW;
        MemberNumber::new(NonZeroU32::new(number).unwrap_or(NonZeroU32::MIN))
    }

    pub(crate) fn set_member(&mut self, member: MemberNumber) {
        self.member = FlaggedMember(member.get() | self.member.0.get() & STARTS_ANEW);
    }

    /// Records whether what history replays is a start (H8) or stands behind a reset, and is not resumed.
    pub(crate) fn set_starts_anew(&mut self, starts_anew: bool) {
        let flag = if starts_anew { STARTS_ANEW } else { 0 };
        self.member = FlaggedMember(self.member().get() | flag);
    }

    /// Returns whether a start or a reset replays the event of a position to the subscription.
    pub(crate) fn starts_anew_through(&self, position: Position) -> bool {
        position <= self.subscribed_at && self.member.0.get() & STARTS_ANEW != 0
    }

    /// Asserts the order of the positions in debug builds:
    ///
    /// - `subscribed_at` ≤ `live_after`: a reader becomes live later, never earlier;
    /// - `replay_through` ≤ `live_after`: history and backlog do not overlap for a reader;
    /// - `counted_at` ≤ the newest event of the channel;
    /// - what the backlog or the history lost ≤ the newest event of the channel.
    #[inline]
    pub(crate) fn assert_order(&self, channel: &ChannelState) {
        debug_assert!(self.subscribed_at <= self.live_after, "{self:?}");
        debug_assert!(self.replay_through <= self.live_after, "{self:?}");
        debug_assert!(self.counted_at <= channel.last, "{self:?}, newest event {}", channel.last);
        debug_assert!(channel.backlog.lost_id_through() <= channel.backlog.lost_through());
        debug_assert!(channel.backlog.lost_through() <= channel.last);
        debug_assert!(channel.history.lost_through() <= channel.last);
    }

    /// Counts the subscription as a reader of the backlog.
    pub(crate) fn join(&mut self, channel: &mut ChannelState, position: Position) {
        self.counted_at = self.reads_after(position).min(channel.last);
        channel.backlog.join(self.counted_at);
        self.assert_order(channel);
    }

    /// Moves the reader in the backlog when its connection has come to `position`, unless the reader has fallen out.
    #[inline]
    pub(crate) fn move_to(&mut self, channel: &mut ChannelState, position: Position) {
        if self.is_replaying() && self.replay_through <= position {
            self.end_replay(channel);
        }
        self.count_at(channel, self.reads_after(position));
    }

    /// Moves the reader in the backlog alone, past events up to `position` that are not for this subscription.
    pub(crate) fn pass(&mut self, channel: &mut ChannelState, position: Position) {
        if position <= self.owed_after {
            self.count_at(channel, self.reads_after(position));
        }
    }

    #[inline]
    fn count_at(&mut self, channel: &mut ChannelState, reads_after: Position) {
        let counted_at = reads_after.min(channel.last);
        if counted_at > self.counted_at && !channel.backlog.has_lost_after(reads_after) {
            channel.backlog.advance(self.counted_at, counted_at);
            self.counted_at = counted_at;
        }
        self.assert_order(channel);
    }

    /// Returns the position after which the subscription needs the backlog when its connection has come to `position`.
    #[inline]
    pub(crate) fn reads_after(&self, position: Position) -> Position {
        self.live_after.max(position)
    }

    /// Returns the first event above `after` that the subscription reads, whether or not it is for this subscription.
    #[inline]
    pub(crate) fn next(&self, channel: &ChannelState, after: Position) -> Option<LogIndex> {
        let owed_after = after.max(self.owed_after);
        if owed_after < self.replay_through
            && let Some((index, entry)) = channel.history.first_after(owed_after)
            && entry.position <= self.replay_through
        {
            return Some(LogIndex {
                position: entry.position,
                channel: self.channel,
                in_history: true,
                index,
            });
        }
        let (index, entry) = channel.backlog.first_after(self.reads_after(after))?;
        Some(LogIndex { position: entry.position, channel: self.channel, in_history: false, index })
    }

    /// Returns the newest event if nothing else is pending for a reader that has come to `position` and lost nothing.
    #[inline(always)]
    pub(crate) fn newest<'a>(
        &self,
        channel: &'a ChannelState,
        position: Position,
    ) -> Option<(LogIndex, &'a LogEntry)> {
        let reads_after = self.reads_after(position);
        if position.max(self.owed_after) < self.replay_through
            || channel.backlog.has_lost_after(reads_after.max(self.counted_at))
        {
            return None;
        }
        let (index, entry) = channel.backlog.only_after(reads_after)?;
        let place = LogIndex { position: entry.position, channel: self.channel, in_history: false, index };
        (place.position > self.owed_after).then_some((place, entry))
    }

    /// Returns the loss of the subscription, if any, when its connection has come to `position`. Events above `end` do not
    /// count: a reset there would hide what other channels have before that.
    #[inline]
    pub(crate) fn loss(&self, channel: &ChannelState, position: Position, end: Position) -> Option<Loss> {
        let lost = channel.history.lost_through().min(end);
        let owed_after = position.max(self.owed_after);
        let mut through: Option<Position> = None;
        if owed_after < self.replay_through && owed_after < lost {
            through = Some(lost.min(self.replay_through));
        }
        // A new decision on the start rewinds the connection. Positions that the reader has passed are no loss (O3).
        let reads_after = self.reads_after(position).max(self.counted_at);
        let has_fallen_out = reads_after < end && channel.backlog.has_lost_after(reads_after);
        if has_fallen_out {
            let lost = lost.min(channel.backlog.lost_id_through());
            if lost > reads_after.max(owed_after) {
                through = through.max(Some(lost));
            }
        }
        (has_fallen_out || through.is_some()).then_some(Loss { through })
    }

    /// Returns where the subscription starts if it is decided anew that it starts after `from`: a reader that was counted
    /// beyond its start does not read again what it has passed (O3).
    pub(crate) fn start_after(&self, from: Position) -> Position {
        if from >= self.live_after { from.max(self.counted_at) } else { from }
    }

    /// Returns the position after which the subscription can start: the floor, or a position before it, if the history
    /// retains for this reader what it has evicted since (H6).
    pub(crate) fn floor(&self, channel: &ChannelState) -> Position {
        let floor = channel.history.floor();
        let has_all = self.is_replaying() && channel.history.lost_through() <= self.owed_after;
        if has_all { floor.min(self.owed_after) } else { floor }
    }

    /// Starts the subscription after `from`. History replays what it has now, and what it had at an earlier decision: the
    /// part of that which is lost before it was taken is a loss.
    pub(crate) fn replay_from(&mut self, channel: &mut ChannelState, from: Position) {
        self.replay_between(channel, from, self.live_after);
    }

    /// Starts the subscription of a connection that receives nothing above `end`.
    pub(crate) fn replay_between(&mut self, channel: &mut ChannelState, from: Position, end: Position) {
        let former = self.is_replaying().then_some(self.owed_after);
        self.owed_after = self.start_after(from);
        let newest = channel.history.newest_by(self.live_after.min(end)).unwrap_or_default();
        self.replay_through = newest.max(self.replay_through);
        // The new replay is counted before the former one ends: in between, history would drop what it retains.
        if self.is_replaying() {
            channel.history.begin_replay(self.owed_after);
        }
        if let Some(after) = former {
            channel.history.end_replay(after);
        }
        self.assert_order(channel);
    }

    /// Returns whether the subscription has events to read from history, which retains them (H6).
    #[inline]
    fn is_replaying(&self) -> bool {
        self.owed_after < self.replay_through
    }

    /// Ends the replay: the subscription needs nothing from history any more.
    pub(crate) fn end_replay(&mut self, channel: &mut ChannelState) {
        if self.is_replaying() {
            channel.history.end_replay(self.owed_after);
            self.replay_through = Position::ORIGIN;
        }
    }
}
