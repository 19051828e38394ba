//! One connection: its position, its subscriptions, its deadlines.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::hint::black_box;

use bytes::Bytes;

use crate::config::{ConnectionConfig, GapPolicy, OnMaxLifetime};
use crate::id::{ChannelId, ClientId, ConnectionId, Position};
use crate::resume::{LastEventId, Resume};
use crate::stats::CloseReason;
use crate::time::Instant;

use super::arena::Arena;
use super::channel::ChannelState;
use super::claim::ClaimNumber;
use super::identities::ClientSlot;
use super::own_frames::OwnFrames;
use super::packed_slot::PackedSlot;
use super::ping::Ping;
use super::resume_point::{JoinTime, ResumePoint, decide};
use super::subscription::{Loss, SubscriptionNumber, Subscriptions};
use super::timer_queue::TimerKey;

pub(crate) type Channels = Arena<ChannelId, ChannelState>;

/// One connection.
///
/// | state | `stage` | `is_starting` | `start_is_open` | `partial_frame` | `claim` |
/// | --- | --- | --- | --- | --- | --- |
/// | opened, no byte taken | `Open` | true | true | none | none |
/// | a loss was reported before the first byte | `Open` | true or false | false | none | none |
/// | a driver writes without the lock | any but `Ending` | false | false | none | some |
/// | a frame was taken in part | any | false | false | some | none |
/// | between frames | `Open` or `Closing` | false | false | none | none |
/// | closing before the first byte | `Closing` | true | true, but fixed | none | none |
///
/// `Ending` is the state of a connection that lagged while a frame was taken in part, and of one whose farewell was begun.
pub(crate) struct ConnectionState {
    /// Events at or below this position were taken, were covered by a reset, or are not for this connection.
    pub(crate) position: Position,
    pub(crate) subscriptions: Subscriptions,
    /// Events above this position are not for this connection. Beyond all positions unless the connection is closing.
    end: Position,
    pub(crate) stage: Stage,
    /// No byte was taken yet: the opening frame is still to come.
    pub(crate) is_starting: bool,
    /// While set, every subscribe or unsubscribe decides anew where all subscriptions start (O3). Cleared when the first
    /// byte is taken or a loss is reported.
    pub(crate) start_is_open: bool,
    pub(crate) notify: Notify,
    /// Whether the notify queue has the connection, also if that was reported by other means since.
    pub(crate) is_in_queue: bool,
    /// The claim of a driver that writes without the lock (D9).
    pub(crate) claim: Option<ClaimNumber>,
    /// The rest of a frame that was taken in part (S3).
    pub(crate) partial_frame: Option<Bytes>,
    pub(crate) own_frames: OwnFrames,
    /// What the client said of itself. Many connections have none, and no memory for it.
    origin: Option<Box<Origin>>,
    pub(crate) announces_position: bool,
    /// In bytes. Four bytes less than a `usize`: that pays for the claim.
    direct_limit: u32,
    pub(crate) opened_at: Instant,
    /// The instant at which the pending bytes were reported; `None` when they were given up.
    pub(crate) pending_since: Option<Instant>,
    /// The instant of the latest check that came late enough to count for a stall (T3).
    pub(crate) stall_checked_at: Instant,
    /// The instant at which the last byte was taken.
    pub(crate) last_taken_at: Instant,
    pub(crate) ping: Ping,
    /// The end of the maximum lifetime, or of the time to flush while the connection is closing.
    pub(crate) expires_at: Option<Instant>,
    pub(crate) on_max_lifetime: OnMaxLifetime,
    pub(crate) timer: TimerKey,
}

/// The stage of a connection's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    Open,
    /// The connection is closed when everything published until the call was taken.
    Closing(CloseReason),
    /// The connection is closed when the partial frame or the claim was taken.
    Ending(CloseReason),
}

/// What the driver knows of the pending bytes (D3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Notify {
    /// Nothing is pending as far as the driver knows: the next pending byte has to be reported.
    Idle,
    /// The connection is queued for being reported.
    Queued,
    /// The connection was reported, and not everything was taken since.
    Reported,
}

/// What a client says of itself when it connects.
struct Origin {
    resume_request: Option<ResumeRequest>,
    client: Option<PackedSlot<ClientId>>,
}

/// The id that a client gave to resume from.
#[derive(Clone, Debug)]
pub(crate) struct ResumeRequest {
    pub(crate) id: LastEventId,
    /// The position of the id, as far as it is known (H4).
    pub(crate) position: Option<Position>,
}

/// The first frame of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OpeningFrame {
    /// The position of the connection (H3).
    Position(Position),
    /// The reset for an unknown id (H7).
    Reset(Position),
}

impl ConnectionState {
    pub(crate) fn new(
        now: Instant,
        position: Position,
        config: &ConnectionConfig,
        resume_request: Option<ResumeRequest>,
        client: Option<ClientSlot>,
    ) -> ConnectionState {
        ConnectionState {
            position,
            subscriptions: Subscriptions::NONE,
            end: Position::MAX,
            stage: Stage::Open,
            is_starting: true,
            start_is_open: true,
            notify: Notify::Idle,
            is_in_queue: false,
            claim: None,
            partial_frame: None,
            own_frames: OwnFrames::default(),
            origin: (resume_request.is_some() || client.is_some())
                .then(|| Box::new(Origin { resume_request, client: client.map(Into::into) })),
            announces_position: config.announce_position,
            direct_limit: u32::try_from(config.direct_bytes).unwrap_or(u32::MAX),
            opened_at: now,
            pending_since: None,
            stall_checked_at: Instant::ORIGIN,
            last_taken_at: now,
            ping: Ping::default(),
            expires_at: None,
            on_max_lifetime: config.on_max_lifetime,
            timer: TimerKey::default(),
        }
    }

    /// Moves the connection to a position, together with all its readers.
    #[inline]
    pub(crate) fn move_to(&mut self, channels: &mut Channels, position: Position) {
        self.position = position;
        for subscription in self.subscriptions.as_mut_slice() {
            if let Some(channel) = channels.at_mut(subscription.channel) {
                subscription.move_to(channel, position);
            }
        }
    }

    /// Passes an event at a position that the connection stays before, in the channels where it is not for this
    /// connection.
    pub(crate) fn pass(&mut self, channels: &mut Channels, position: Position) {
        for subscription in self.subscriptions.as_mut_slice() {
            if let Some(channel) = channels.at_mut(subscription.channel) {
                subscription.pass(channel, position);
            }
        }
    }

    /// Records that bytes are reported to the driver: it was told of the oldest of them at this instant.
    #[inline]
    pub(crate) fn mark_reported(&mut self, pending_since: Instant) {
        self.notify = Notify::Reported;
        self.pending_since = Some(pending_since);
    }

    /// Records a claim. The driver has the connection from now on: the claimed bytes count as reported.
    #[inline]
    pub(crate) fn set_claim(&mut self, number: ClaimNumber, now: Instant) {
        self.claim = Some(number);
        let pending_since = self.pending_since.filter(|_| self.notify == Notify::Reported);
        self.mark_reported(pending_since.unwrap_or(now));
    }

    /// Records that nothing is left of the reported bytes: the next pending byte has to be reported.
    #[inline]
    pub(crate) fn mark_idle(&mut self) {
        if self.notify == Notify::Reported {
            self.notify = Notify::Idle;
        }
    }

    /// Reads a field of each cache line of the connection, so that the processor fetches them.
    pub(crate) fn prefetch(&self) {
        black_box((
            self.partial_frame.is_some(),
            self.subscriptions.as_slice().len(),
            self.own_frames.is_empty(),
            self.stage,
        ));
    }

    /// Returns whether the connection accepts sends and subscriptions.
    #[inline]
    pub(crate) fn is_open(&self) -> bool {
        self.stage == Stage::Open
    }

    /// Returns the limit of the pending direct sends, in bytes (S2).
    pub(crate) fn direct_limit(&self) -> usize {
        usize::try_from(self.direct_limit).unwrap_or(usize::MAX)
    }

    /// Returns whether the connection still receives events of this position.
    #[inline]
    pub(crate) fn receives(&self, position: Position) -> bool {
        position <= self.end && !self.is_ending()
    }

    /// Returns whether only the partial frame is still to be taken.
    #[inline]
    pub(crate) fn is_ending(&self) -> bool {
        matches!(self.stage, Stage::Ending(_))
    }

    /// Returns the position above which the connection receives nothing.
    #[inline]
    pub(crate) fn end(&self) -> Position {
        self.end
    }

    /// Ends the connection behind its partial frame.
    pub(crate) fn begin_ending(&mut self, reason: CloseReason) {
        self.end = Position::MAX;
        self.stage = Stage::Ending(reason);
    }

    /// Ends the connection behind its farewell, of which a byte was taken: nothing follows it, also no event of its end that
    /// arrives only now (T5, O4).
    pub(crate) fn end_behind_farewell(&mut self) {
        if let Stage::Closing(reason) = self.stage {
            self.begin_ending(reason);
        }
    }

    /// Ends the connection behind the events up to `end`.
    pub(crate) fn begin_closing(&mut self, end: Position, reason: CloseReason) {
        self.end = end;
        self.stage = Stage::Closing(reason);
    }

    /// Returns whether anything may be pending that comes before all events, or whether a claim holds everything back.
    #[inline]
    pub(crate) fn has_front(&self) -> bool {
        self.is_starting
            || self.partial_frame.is_some()
            || self.claim.is_some()
            || self.is_ending()
            || self.ping.pending_since.is_some()
    }

    /// Returns whether a ping is all that can be pending before the events.
    pub(crate) fn front_is_ping(&self) -> bool {
        !self.is_starting && self.partial_frame.is_none() && self.claim.is_none() && !self.is_ending()
    }

    /// Returns the id that the client gave to resume from.
    pub(crate) fn resume_request(&self) -> Option<&ResumeRequest> {
        self.origin.as_ref()?.resume_request.as_ref()
    }

    pub(crate) fn resume_request_mut(&mut self) -> Option<&mut ResumeRequest> {
        self.origin.as_mut()?.resume_request.as_mut()
    }

    /// Returns the client key (U1).
    pub(crate) fn client(&self) -> Option<ClientSlot> {
        Some(self.origin.as_ref()?.client?.slot())
    }

    /// Returns the point from which the client wants to resume.
    pub(crate) fn resume_point(&self) -> ResumePoint {
        match self.resume_request() {
            None => ResumePoint::None,
            Some(request) => request.position.map_or(ResumePoint::Unknown, ResumePoint::At),
        }
    }

    /// Returns the position that the id of the client stands for. It is beyond the position of the connection if the client
    /// is ahead of the hub (O4).
    pub(crate) fn client_position(&self) -> Position {
        self.resume_point().position().map_or(self.position, |point| point.max(self.position))
    }

    /// Ends the first step (O3): later subscriptions are late. The opening frame stays what it is now.
    pub(crate) fn end_first_step(&mut self, channels: &Channels) {
        self.start_is_open = false;
        self.is_starting = self.opening(channels).is_some();
    }

    /// Decides where all subscriptions start: before the first byte they are one step (O3). Returns the outcome for the last
    /// subscription, and the positions before which resets stand.
    pub(crate) fn decide_starts(
        &mut self,
        id: ConnectionId,
        channels: &mut Channels,
    ) -> (Option<Resume>, Vec<Position>) {
        self.own_frames.remove_resets();
        let (point, recipient) = (self.resume_point(), (id, self.client()));
        let mut start: Option<Position> = None;
        let mut outcome = None;
        let mut resets = Vec::new();
        for subscription in self.subscriptions.as_mut_slice() {
            let Some(channel) = channels.at_mut(subscription.channel) else { continue };
            let decision = decide(recipient, subscription, channel, point, JoinTime::BeforeFirstByte);
            subscription.set_starts_anew(decision.starts_anew);
            subscription.replay_from(channel, decision.start_after);
            let begins = subscription.owed_after.min(subscription.live_after);
            start = Some(start.map_or(begins, |start| start.min(begins)));
            resets.extend(decision.reset_before);
            outcome = Some(decision.outcome);
        }
        if let Some(start) = start {
            self.position = start;
        }
        (outcome, resets)
    }

    /// Returns the frame with which the bytes of the connection begin.
    #[inline]
    pub(crate) fn opening(&self, channels: &Channels) -> Option<OpeningFrame> {
        if !self.is_starting {
            return None;
        }
        match self.resume_point() {
            ResumePoint::None => self
                .announces_position
                .then_some(OpeningFrame::Position(self.position))
                // A reset at this position has its id (H8).
                .filter(|_| !self.own_frames.begins_with_reset(self.position)),
            ResumePoint::Unknown => {
                let resets = self.subscriptions.as_slice().iter().any(|subscription| {
                    channels.at(subscription.channel).is_some_and(|c| c.config.on_gap == GapPolicy::Reset)
                });
                resets.then_some(OpeningFrame::Reset(self.position))
            }
            ResumePoint::At(_) => None,
        }
    }

    /// Returns the first subscription that has lost events, and its loss.
    #[inline]
    pub(crate) fn first_loss(&self, channels: &Channels) -> Option<(SubscriptionNumber, Loss)> {
        self.subscriptions.numbered().find_map(|(number, subscription)| {
            let channel = channels.at(subscription.channel)?;
            Some((number, subscription.loss(channel, self.position, self.end())?))
        })
    }
}

#[cfg(test)]
mod tests {
    use core::mem::size_of;

    use super::*;
    use crate::hub::logs::LogEntry;
    use crate::hub::subscription::Subscription;

    /// Each byte here is a megabyte for a million clients.
    #[test]
    #[cfg(target_pointer_width = "64")]
    fn sizes_stay_within_their_budgets() {
        assert!(size_of::<ConnectionState>() <= 208, "{}", size_of::<ConnectionState>());
        assert!(size_of::<Subscription>() <= 48, "{}", size_of::<Subscription>());
        assert!(size_of::<LogEntry>() <= 64, "{}", size_of::<LogEntry>());
        assert!(size_of::<Option<Bytes>>() <= 32);
    }
}
