//! One connection: its subscriptions, and how far it has come.

use std::time::Duration;

use sse_core::{CloseReason, ConnectionConfig, ConnectionId, Instant};

pub(crate) struct Conn {
    pub(crate) id: ConnectionId,
    pub(crate) is_alive: bool,
    pub(crate) config: ConnectionConfig,
    pub(crate) opened_at: Instant,
    /// The last event id that the client gave, and the position that it stands for (H4).
    pub(crate) resume_point: Option<(Option<String>, Option<u64>)>,
    /// Everything up to this position was taken, was reported as lost, or is not for this connection.
    pub(crate) position: u64,
    pub(crate) subs: Vec<Sub>,
    pub(crate) own_frames: Vec<OwnFrame>,
    pub(crate) stage: Stage,
    /// No byte was taken yet.
    pub(crate) is_starting: bool,
    /// No byte was taken and no loss was reported yet: all subscriptions are one step (O3).
    pub(crate) start_is_open: bool,
    /// The rest of a frame in progress (S3).
    pub(crate) in_progress: Vec<u8>,
    /// The frames that a driver has claimed (D9).
    pub(crate) claim: Option<ClaimedFrames>,
    /// The hub has reported pending bytes and not all of them were taken since (D3).
    pub(crate) is_reported: bool,
    /// The instant of the report, or the earliest instant that T3 allows in its place.
    pub(crate) reported_at: Instant,
    /// What was reported was given up, so that T3 allows other instants than the report.
    pub(crate) has_given_up: bool,
    /// The latest check for a stall that counts (T3).
    pub(crate) stall_checked_at: Instant,
    pub(crate) taken_at: Instant,
    pub(crate) expires: Option<Instant>,
    pub(crate) ping: Option<Duration>,
    /// Length by which the first ping interval is shortened (T1).
    pub(crate) spread: Duration,
    pub(crate) next_ping: Option<Instant>,
    pub(crate) pending_ping: Option<Instant>,
    /// All bytes that the connection has taken.
    pub(crate) received: Vec<u8>,
}

/// Frames that a driver writes without holding the hub (D9).
#[derive(Clone, Debug)]
pub(crate) struct ClaimedFrames {
    pub(crate) bytes: Vec<u8>,
    pub(crate) frames: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    Open,
    /// Closes after the events up to `end`.
    Closing {
        end: u64,
        reason: CloseReason,
    },
    /// Ends after the frame in progress.
    Ending {
        reason: CloseReason,
    },
}

/// One subscription.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sub {
    pub(crate) chan: usize,
    pub(crate) subscribed_at: u64,
    pub(crate) subscribed_time: Instant,
    /// Events up to this position are not for this subscription.
    pub(crate) starts_after: u64,
    /// Events up to this position come from history, later ones from the backlog.
    pub(crate) live_after: u64,
    /// The subscription does not keep events up to this position in the backlog.
    pub(crate) counted_at: u64,
    /// Live events up to this position were taken, or were found not to be for this connection.
    pub(crate) passed: u64,
    /// The newest event that was to be replayed when the start was decided, until the connection has passed it.
    pub(crate) replay_through: u64,
    /// Replayed events are a start, or stand behind a reset, and are not resumed.
    pub(crate) starts_anew: bool,
}

impl Sub {
    /// Returns the position up to which the subscription needs nothing from the backlog, for a connection at
    /// `position`.
    pub(crate) fn live_position(&self, position: u64) -> u64 {
        self.live_after.max(position)
    }

    /// Returns whether the subscription replays events, which are retained for it (H6).
    pub(crate) fn is_replaying(&self) -> bool {
        self.starts_after < self.replay_through
    }
}

/// A frame for this connection alone, before or after the events of its position.
#[derive(Clone, Debug)]
pub(crate) struct OwnFrame {
    pub(crate) position: u64,
    pub(crate) is_after: bool,
    /// The last frame of the connection (T5).
    pub(crate) is_farewell: bool,
    /// The position of the id of a frame that the hub sends on its own; `None` for a direct send.
    pub(crate) id: Option<u64>,
    pub(crate) wire: Vec<u8>,
    pub(crate) since: Instant,
}

impl Conn {
    pub(crate) fn is_open(&self) -> bool {
        self.stage == Stage::Open
    }

    pub(crate) fn receives(&self, position: u64) -> bool {
        match self.stage {
            Stage::Open => true,
            Stage::Closing { end, .. } => position <= end,
            Stage::Ending { .. } => false,
        }
    }

    pub(crate) fn mark_reported(&mut self, now: Instant) {
        (self.is_reported, self.reported_at, self.has_given_up) = (true, now, false);
    }

    pub(crate) fn mark_taken(&mut self, now: Instant) {
        (self.taken_at, self.has_given_up) = (now, false);
    }

    /// Returns the number of bytes in pending direct sends (S2).
    pub(crate) fn direct_bytes(&self) -> usize {
        self.own_frames.iter().filter(|frame| frame.id.is_none()).map(|frame| frame.wire.len()).sum()
    }

    pub(crate) fn push_own(&mut self, frame: OwnFrame) {
        self.own_frames.push(frame);
        self.own_frames.sort_by_key(|frame| (frame.position, frame.is_after));
    }

    /// Inserts a reset before a position. Its id is decided when everything else is.
    pub(crate) fn push_reset(&mut self, now: Instant, at: u64) {
        if self.own_frames.iter().all(|frame| frame.is_after || frame.position != at) {
            self.push_own(OwnFrame {
                position: at,
                is_after: false,
                is_farewell: false,
                id: Some(at),
                wire: Vec::new(),
                since: now,
            });
        }
    }

    /// Returns the position that the id of the client stands for.
    pub(crate) fn client_position(&self) -> u64 {
        let given = self.resume_point.as_ref().and_then(|(_, position)| *position);
        given.unwrap_or(0).max(self.position)
    }

    /// Returns the instant of the next ping if nothing is written after `quiet_since`.
    pub(crate) fn ping_after(&self, quiet_since: Instant) -> Option<Instant> {
        quiet_since.checked_add(self.ping?.saturating_sub(self.spread))
    }

    /// Sets the interval. The first interval is shortened by up to half, depending on the seed.
    pub(crate) fn set_ping(&mut self, now: Instant, interval: Option<Duration>, random: u64) {
        self.ping = interval;
        let half = self.ping.map_or(0, |interval| interval.as_nanos() / 2);
        self.spread = Duration::from_nanos(random % u64::try_from(half).unwrap_or(u64::MAX).max(1));
        self.pending_ping = None;
        self.next_ping = self.ping_after(now);
    }
}

/// Mixes the seed and a number with SplitMix64. The result spreads the first pings.
pub(crate) fn splitmix64(seed: u64, number: u64) -> u64 {
    let mut bits = seed.wrapping_add(number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}
