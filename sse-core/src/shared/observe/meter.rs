//! The counters of a hub, for the `metrics` facade.

use core::time::Duration;
use std::boxed::Box;
use std::string::String;
use std::sync::Arc;
use std::vec::Vec;

use metrics::{Counter, Gauge, Histogram, Label, Unit};

use crate::hub::Lag;
use crate::shared::SharedHub;
use crate::shared::state::State;
use crate::{CloseReason, Hub, Instant, Position, Stats};

/// How many channels one report asks for their slowest readers.
const CHANNELS_PER_REPORT: u32 = 4096;

/// How a hub reports what it counts: [`SharedHub::record_metrics`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetricsConfig {
    /// The value of a label `hub`. `None`, which is the default, gives none: for a program with one hub. Several hubs
    /// have to differ in it.
    pub hub: Option<String>,
    /// How long a change may wait until it is reported: one second. What a report costs does not depend on it.
    pub every: Duration,
}

impl Default for MetricsConfig {
    fn default() -> Self {
        MetricsConfig { hub: None, every: Duration::from_secs(1) }
    }
}

impl SharedHub {
    /// Has the driver report what the hub counts to the recorder that is installed now: call it once, after that.
    ///
    /// | name | kind | what |
    /// | --- | --- | --- |
    /// | `sse_connections` | gauge | connections that are open |
    /// | `sse_channels` | gauge | channels that are open |
    /// | `sse_history_bytes` | gauge, bytes | history of all channels |
    /// | `sse_slowest_reader_frames` | gauge | most frames of one channel that a reader has still to take |
    /// | `sse_slowest_reader_seconds` | gauge, seconds | how old the oldest of such frames is |
    /// | `sse_connections_opened_total` | counter | connections that were opened |
    /// | `sse_connections_closed_total` | counter | those that ended; label `reason` has [`CloseReason::as_str`] |
    /// | `sse_refused_total` | counter | label `call`: refused `connect`, `open` and `subscribe` of the handles |
    /// | `sse_events_published_total` | counter | events that were published |
    /// | `sse_frames_delivered_total` | counter | frames of which a connection took the last byte |
    /// | `sse_delivered_bytes_total` | counter, bytes | bytes that connections took |
    /// | `sse_events_replayed_total` | counter | events that were delivered from history |
    /// | `sse_gaps_total` | counter | subscriptions whose last event id was too old or unknown |
    /// | `sse_lagged_total` | counter | readers that fell behind what was kept for them, and lost events |
    /// | `sse_live_only_lost_total` | counter | live-only events that such readers lost |
    /// | `sse_pings_total` | counter | pings that were sent |
    /// | `sse_fan_out_seconds` | histogram, seconds | from a publication until all who wait for it were woken |
    ///
    /// Counters have what [`Stats`] has, from the making of the hub on. The slowest reader is looked for in 4,096
    /// channels with each report: with more of them a figure takes several. The fan-out of events that are published
    /// together is measured once, from the first of them.
    ///
    /// # Cost
    ///
    /// A delivery costs one comparison more. When something changed, the driver takes a turn of its own after
    /// [`every`](MetricsConfig::every) at the latest, and reports with the lock free; while nothing changes and nobody
    /// is behind, it sleeps. An event that is published costs two looks at the clock more, and one sample.
    ///
    /// Nothing is reported before this is called. The recorder must not forget metrics that are idle, because they are
    /// looked up here, once.
    pub fn record_metrics(&self, config: MetricsConfig) {
        let instruments = Arc::new(Instruments::register(config.hub));
        let mut locked = self.lock();
        let now = locked.now;
        let State { hub, observer, .. } = &mut *locked;
        let replaced = observer.meter.begin(Arc::clone(&instruments), config.every, hub, now);
        drop(locked);
        drop(replaced);
    }
}

/// What the handles refuse.
#[derive(Clone, Copy)]
pub(crate) enum Call {
    Connect,
    Open,
    Subscribe,
}

/// Counts what the hub does not, and remembers what was reported.
#[derive(Default)]
pub(crate) struct Meter {
    /// `None` until somebody asks for reports.
    running: Option<Box<Running>>,
}

struct Running {
    instruments: Arc<Instruments>,
    every: Duration,
    /// What was reported of the hub.
    reported: Stats,
    reported_at: Instant,
    /// What was refused since.
    refused: [u64; 3],
    /// When to report next; `None` while there is nothing to say.
    next: Option<Instant>,
    /// The newest event that was seen.
    head: Position,
    /// The first publication of which not all members were visited yet.
    unswept_since: Option<Instant>,
    /// The channel to be asked next for its slowest reader, and who was the slowest of those before.
    next_slot: u32,
    slowest: Lag,
}

/// What is to be told when the lock is free.
#[derive(Default)]
pub(crate) struct Report {
    changes: Option<Box<Changes>>,
    /// A fan-out that is over when all wakers were woken.
    fan_out: Option<(Arc<Instruments>, Instant)>,
}

struct Changes {
    instruments: Arc<Instruments>,
    before: Stats,
    now: Stats,
    refused: [u64; 3],
    slowest: Option<Lag>,
}

impl Meter {
    /// Begins to report, or goes on with other instruments, which are given back.
    fn begin(
        &mut self,
        instruments: Arc<Instruments>,
        every: Duration,
        hub: &Hub,
        now: Instant,
    ) -> Option<Arc<Instruments>> {
        if let Some(running) = &mut self.running {
            (running.every, running.next) = (every, Some(now));
            return Some(core::mem::replace(&mut running.instruments, instruments));
        }
        self.running = Some(Box::new(Running {
            instruments,
            every,
            reported: Stats::default(),
            reported_at: now,
            refused: [0; 3],
            next: Some(now),
            head: hub.head(),
            unswept_since: None,
            next_slot: 0,
            slowest: Lag::default(),
        }));
        None
    }

    pub(crate) fn refused(&mut self, call: Call) {
        if let Some(running) = &mut self.running
            && let Some(count) = running.refused.get_mut(call as usize)
        {
            *count = count.saturating_add(1);
        }
    }

    #[inline]
    pub(crate) fn worked(&mut self, hub: &Hub, now: Instant) {
        if let Some(running) = &mut self.running {
            running.worked(hub, now);
        }
    }

    #[inline]
    pub(crate) fn next_turn(&self, due: Option<Instant>) -> Option<Instant> {
        let next = self.running.as_ref().and_then(|running| running.next);
        due.into_iter().chain(next).min()
    }

    pub(crate) fn report(&mut self, hub: &Hub, now: Instant) -> Report {
        let Some(running) = &mut self.running else { return Report::default() };
        running.worked(hub, now);
        let swept = if hub.is_sweeping() { None } else { running.unswept_since.take() };
        let fan_out = swept.map(|since| (Arc::clone(&running.instruments), since));
        let is_due = running.next.is_some_and(|next| next <= now);
        Report { changes: is_due.then(|| running.changes(hub, now)), fan_out }
    }

    pub(crate) fn last_report(&mut self, hub: &Hub) -> Report {
        let Some(running) = self.running.take() else { return Report::default() };
        let changes = Changes {
            instruments: running.instruments,
            before: running.reported,
            now: Stats { connections: 0, channels: 0, history_bytes: 0, ..hub.stats() },
            refused: running.refused,
            slowest: Some(Lag::default()),
        };
        Report { changes: Some(Box::new(changes)), fan_out: None }
    }
}

impl Running {
    fn worked(&mut self, hub: &Hub, now: Instant) {
        let head = hub.head();
        if self.head != head {
            self.head = head;
            if self.unswept_since.is_none() && hub.is_sweeping() {
                self.unswept_since = Some(now);
            }
        }
        if self.next.is_none() && (self.refused != [0; 3] || hub.stats() != self.reported) {
            self.next = Some(self.reported_at.saturating_add(self.every).max(now));
        }
    }

    fn changes(&mut self, hub: &Hub, now: Instant) -> Box<Changes> {
        let slowest = self.look_for_the_slowest(hub, now);
        // Without a change, too, somebody falls further behind, or some channels were not asked yet.
        let goes_on = slowest.is_none_or(|slowest| slowest.frames > 0);
        self.reported_at = now;
        self.next = goes_on.then(|| now.saturating_add(self.every.max(Duration::from_millis(1))));
        let stats = hub.stats();
        Box::new(Changes {
            instruments: Arc::clone(&self.instruments),
            before: core::mem::replace(&mut self.reported, stats),
            now: stats,
            refused: core::mem::take(&mut self.refused),
            slowest,
        })
    }

    /// Asks some channels; the slowest reader is known when all were asked.
    fn look_for_the_slowest(&mut self, hub: &Hub, now: Instant) -> Option<Lag> {
        let slots = hub.channel_slots();
        let end = self.next_slot.saturating_add(CHANNELS_PER_REPORT).min(slots);
        let found = hub.slowest_reader(now, self.next_slot..end);
        self.slowest.frames = self.slowest.frames.max(found.frames);
        self.slowest.time = self.slowest.time.max(found.time);
        self.next_slot = end;
        if end < slots {
            return None;
        }
        self.next_slot = 0;
        Some(core::mem::take(&mut self.slowest))
    }
}

impl Report {
    pub(crate) fn tell(self, clock: impl Fn() -> Instant) {
        if let Some((instruments, since)) = self.fan_out {
            instruments.fan_out.record(clock().saturating_duration_since(since));
        }
        if let Some(changes) = self.changes {
            changes.tell();
        }
    }
}

impl Changes {
    fn tell(&self) {
        let Changes { instruments, before, now, refused, slowest } = self;
        let add = |counter: &Counter, before: u64, now: u64| {
            if now > before {
                counter.increment(now.saturating_sub(before));
            }
        };
        add(&instruments.opened, before.opened, now.opened);
        add(&instruments.published, before.published, now.published);
        add(&instruments.delivered, before.delivered, now.delivered);
        add(&instruments.bytes, before.bytes, now.bytes);
        add(&instruments.replayed, before.replayed, now.replayed);
        add(&instruments.gaps, before.gaps, now.gaps);
        add(&instruments.lagged, before.lagged, now.lagged);
        add(&instruments.live_only_lost, before.live_only_lost, now.live_only_lost);
        add(&instruments.pings, before.pings, now.pings);
        for (counter, reason) in instruments.closed.iter().zip(REASONS) {
            add(counter, before.closed.of(reason), now.closed.of(reason));
        }
        for (counter, count) in instruments.refused.iter().zip(refused) {
            add(counter, 0, *count);
        }
        instruments.connections.set(exact(now.connections));
        instruments.channels.set(exact(now.channels));
        instruments.history_bytes.set(exact(now.history_bytes));
        if let Some(slowest) = slowest {
            instruments.slowest_frames.set(exact(slowest.frames));
            instruments.slowest_seconds.set(slowest.time);
        }
    }
}

/// Gauges are floating point numbers; beyond 2^53 one more or less does not matter.
#[expect(clippy::cast_precision_loss, reason = "beyond 2^53 one more or less does not matter")]
fn exact(count: usize) -> f64 {
    count as f64
}

const REASONS: [CloseReason; 7] = [
    CloseReason::Disconnected,
    CloseReason::Requested,
    CloseReason::TimedOut,
    CloseReason::Stalled,
    CloseReason::Lagged,
    CloseReason::ChannelClosed,
    CloseReason::ShuttingDown,
];

/// In the order of [`Call`].
const CALLS: [&str; 3] = ["connect", "open", "subscribe"];

/// The metrics of one hub, where its recorder has them.
struct Instruments {
    connections: Gauge,
    channels: Gauge,
    history_bytes: Gauge,
    slowest_frames: Gauge,
    slowest_seconds: Gauge,
    opened: Counter,
    /// In the order of [`REASONS`].
    closed: [Counter; 7],
    refused: [Counter; 3],
    published: Counter,
    delivered: Counter,
    bytes: Counter,
    replayed: Counter,
    gaps: Counter,
    lagged: Counter,
    live_only_lost: Counter,
    pings: Counter,
    fan_out: Histogram,
}

impl Instruments {
    fn register(hub: Option<String>) -> Instruments {
        let labels: Vec<Label> = hub.map(|hub| Label::new("hub", hub)).into_iter().collect();
        let with = |key: &'static str, value: &'static str| {
            let mut labels = labels.clone();
            labels.push(Label::from_static_parts(key, value));
            labels
        };
        let counter = |name: &'static str, unit: Unit, what: &'static str| {
            metrics::describe_counter!(name, unit, what);
            metrics::counter!(name, labels.clone())
        };
        let gauge = |name: &'static str, unit: Unit, what: &'static str| {
            metrics::describe_gauge!(name, unit, what);
            metrics::gauge!(name, labels.clone())
        };
        let (closed, refused) = ("sse_connections_closed_total", "sse_refused_total");
        metrics::describe_counter!(closed, Unit::Count, "Connections that ended, by reason.");
        metrics::describe_counter!(refused, Unit::Count, "Connections, channels and subscriptions refused.");
        let fan_out = "sse_fan_out_seconds";
        metrics::describe_histogram!(
            fan_out,
            Unit::Seconds,
            "From a publication until all readers were woken."
        );
        Instruments {
            connections: gauge("sse_connections", Unit::Count, "Connections that are open."),
            channels: gauge("sse_channels", Unit::Count, "Channels that are open."),
            history_bytes: gauge("sse_history_bytes", Unit::Bytes, "History of all channels."),
            slowest_frames: gauge(
                "sse_slowest_reader_frames",
                Unit::Count,
                "Most frames of one channel that a reader has still to take.",
            ),
            slowest_seconds: gauge(
                "sse_slowest_reader_seconds",
                Unit::Seconds,
                "How old the oldest frame is that a reader has still to take.",
            ),
            opened: counter("sse_connections_opened_total", Unit::Count, "Connections that were opened."),
            closed: REASONS.map(|reason| metrics::counter!(closed, with("reason", reason.as_str()))),
            refused: CALLS.map(|call| metrics::counter!(refused, with("call", call))),
            published: counter("sse_events_published_total", Unit::Count, "Events that were published."),
            delivered: counter("sse_frames_delivered_total", Unit::Count, "Frames that connections took."),
            bytes: counter("sse_delivered_bytes_total", Unit::Bytes, "Bytes that connections took."),
            replayed: counter("sse_events_replayed_total", Unit::Count, "Events delivered from history."),
            gaps: counter("sse_gaps_total", Unit::Count, "Last event ids that were too old or unknown."),
            lagged: counter("sse_lagged_total", Unit::Count, "Readers that fell behind and lost events."),
            live_only_lost: counter(
                "sse_live_only_lost_total",
                Unit::Count,
                "Live-only events that readers lost because they fell behind.",
            ),
            pings: counter("sse_pings_total", Unit::Count, "Pings that were sent."),
            fan_out: metrics::histogram!(fan_out, labels.clone()),
        }
    }
}
