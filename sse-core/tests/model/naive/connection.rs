//! One connection: what it follows, and what of that it has.

use std::time::Duration;

use sse_core::{CloseReason, ConnectionConfig, ConnectionId, Instant};

pub(crate) struct Conn {
    pub(crate) id: ConnectionId,
    pub(crate) is_alive: bool,
    pub(crate) config: ConnectionConfig,
    pub(crate) opened_at: Instant,
    /// What its client asked to resume from: the id, and the position that it stands for (H4).
    pub(crate) asked: Option<(Option<String>, Option<u64>)>,
    /// Everything up to here it has, was told of, or does not get.
    pub(crate) position: u64,
    pub(crate) subs: Vec<Sub>,
    pub(crate) own: Vec<Own>,
    pub(crate) stage: Stage,
    /// No byte was taken.
    pub(crate) is_starting: bool,
    /// Nor was it told of a loss: its subscriptions are one step (O3).
    pub(crate) is_planning: bool,
    /// The rest of a frame that was begun (S3).
    pub(crate) progress: Vec<u8>,
    /// The driver was told that there are bytes, and did not take everything since (D3).
    pub(crate) is_named: bool,
    pub(crate) named_at: Instant,
    /// When what it was named for came, at the earliest and at the latest reading of T3.
    pub(crate) named_for: (Instant, Instant),
    pub(crate) taken_at: Instant,
    pub(crate) expires: Option<Instant>,
    pub(crate) ping: Option<Duration>,
    /// By how much the first interval is shorter (T1).
    pub(crate) spread: Duration,
    pub(crate) next_ping: Option<Instant>,
    pub(crate) ping_due: Option<Instant>,
    /// All bytes that it was sent.
    pub(crate) seen: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    Open,
    /// It gets what was published up to `end`.
    Closing {
        end: u64,
        reason: CloseReason,
    },
    /// It gets the frame in progress.
    Ending {
        reason: CloseReason,
    },
}

/// One followed channel.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sub {
    pub(crate) chan: usize,
    pub(crate) made: u64,
    pub(crate) made_at: Instant,
    /// Nothing up to here is owed.
    pub(crate) from: u64,
    /// What is owed up to here comes from history.
    pub(crate) live_from: u64,
    /// Up to where it was found not to need the backlog.
    pub(crate) stands: u64,
    /// Up to where it took, or was found not to get, what came live.
    pub(crate) passed: u64,
}

impl Sub {
    /// Up to where it needs nothing live, when its connection has come to `position`.
    pub(crate) fn reader(&self, position: u64) -> u64 {
        self.live_from.max(position)
    }
}

/// A frame for this connection alone: it stands before the events of its position, or after them.
#[derive(Clone, Debug)]
pub(crate) struct Own {
    pub(crate) position: u64,
    pub(crate) is_after: bool,
    pub(crate) wire: Vec<u8>,
    pub(crate) since: Instant,
}

impl Conn {
    pub(crate) fn is_open(&self) -> bool {
        self.stage == Stage::Open
    }

    pub(crate) fn wants(&self, position: u64) -> bool {
        match self.stage {
            Stage::Open => true,
            Stage::Closing { end, .. } => position <= end,
            Stage::Ending { .. } => false,
        }
    }

    /// Bytes of direct sends that wait (S2).
    pub(crate) fn direct_bytes(&self) -> usize {
        self.own.iter().filter(|own| own.is_after).map(|own| own.wire.len()).sum()
    }

    pub(crate) fn push_reset(&mut self, now: Instant, at: u64, wire: Vec<u8>) {
        match self.own.iter_mut().find(|own| own.position == at && !own.is_after) {
            Some(own) => own.wire = wire,
            None => self.own.push(Own { position: at, is_after: false, wire, since: now }),
        }
        self.own.sort_by_key(|own| (own.position, own.is_after));
    }

    /// When a ping is due if nothing is written after `quiet_since`.
    pub(crate) fn ping_after(&self, quiet_since: Instant) -> Option<Instant> {
        quiet_since.checked_add(self.ping?.saturating_sub(self.spread))
    }

    /// Sets the interval; the first is shortened by up to a half, as the seed has it.
    pub(crate) fn set_ping(&mut self, now: Instant, interval: Option<Duration>, random: u64) {
        self.ping = interval.map(|interval| interval.max(sse_core::ConnectionConfig::MIN_PING));
        let half = self.ping.map_or(0, |interval| interval.as_nanos() / 2);
        self.spread = Duration::from_nanos(random % u64::try_from(half).unwrap_or(u64::MAX).max(1));
        self.ping_due = None;
        self.next_ping = self.ping_after(now);
    }
}

/// SplitMix64, by which the seed spreads first pings.
pub(crate) fn scramble(seed: u64, number: u64) -> u64 {
    let mut bits = seed.wrapping_add(number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}
