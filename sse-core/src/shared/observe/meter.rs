//! Metrics of a hub, for the `metrics` facade.

use core::time::Duration;
use std::boxed::Box;
use std::string::String;
use std::sync::Arc;
use std::vec::Vec;

use metrics::{Counter, Gauge, Histogram, Label, Unit};

use crate::hub::Lag;
use crate::shared::SharedHub;
use crate::{CloseReason, Hub, Instant, Position, Stats};

/// The number of channels that one report scans for their slowest readers.
const CHANNELS_PER_REPORT: u32 = 4096;

/// Configures the metrics of a hub: [`SharedHub::record_metrics`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetricsConfig {
    /// The value of the label `hub`, which tells the hubs of one program apart. `None` (default) adds no label.
    pub hub: Option<String>,
    /// The longest time until a change is reported: one second by default. The cost of a report does not depend on it.
    pub every: Duration,
}

impl Default for MetricsConfig {
    fn default() -> Self {
        MetricsConfig { hub: None, every: Duration::from_secs(1) }
    }
}

impl SharedHub {
    /// Makes the driver report metrics to the recorder that is installed now. Call it once, after installing the recorder.
    ///
    /// | name | kind | what |
    /// | --- | --- | --- |
    /// | `sse_connections` | gauge | open connections |
    /// | `sse_channels` | gauge | open channels |
    /// | `sse_history_bytes` | gauge, bytes | history of all channels |
    /// | `sse_slowest_reader_frames` | gauge | pending frames of one channel for its slowest reader, the most of all channels |
    /// | `sse_slowest_reader_seconds` | gauge, seconds | age of the oldest such frame |
    /// | `sse_connections_opened_total` | counter | opened connections |
    /// | `sse_connections_closed_total` | counter | ended connections; label `reason`: [`CloseReason::as_str`] |
    /// | `sse_refused_total` | counter | refused calls of the handles; label `call`: `connect`, `open` or `subscribe` |
    /// | `sse_events_published_total` | counter | published events |
    /// | `sse_frames_delivered_total` | counter | frames whose last byte was taken by a connection |
    /// | `sse_delivered_bytes_total` | counter, bytes | bytes taken by connections |
    /// | `sse_events_replayed_total` | counter | events delivered from history |
    /// | `sse_gaps_total` | counter | subscriptions with the result `Gap` or `Unknown` |
    /// | `sse_lagged_total` | counter | readers that fell out of the backlog and lost events |
    /// | `sse_live_only_lost_total` | counter | live-only events lost by such readers |
    /// | `sse_pings_total` | counter | sent pings |
    /// | `sse_fan_out_seconds` | histogram, seconds | from a publication until all its readers were woken |
    ///
    /// Counters count as [`Stats`] does, from the creation of the hub. Each report scans 4,096 channels for the slowest
    /// reader; with more channels, a new value takes several reports. The fan-out of events that are published together is
    /// measured once, from the first of them.
    ///
    /// # Cost
    ///
    /// A delivery costs one comparison more. After a change, the driver takes a turn within
    /// [`every`](MetricsConfig::every), and reports while the lock is free. It sleeps while nothing changes and no reader is
    /// behind. A published event costs two readings of the clock and one sample more.
    ///
    /// Nothing is reported before this call. The recorder must not remove idle metrics, because they are looked up only
    /// here.
    pub fn record_metrics(&self, config: MetricsConfig) {
        let instruments = Arc::new(Instruments::register(config.hub));
        let mut locked = self.lock();
        let now = locked.now;
        let state = &mut *locked;
        let replaced = state.observer.meter.start(Arc::clone(&instruments), config.every, &state.hub, now);
        drop(locked);
        drop(replaced);
    }
}

/// A call that the handles can refuse.
#[derive(Clone, Copy)]
pub(crate) enum Call {
    Connect,
    Open,
    Subscribe,
}

/// The metrics that the hub does not count itself, and the last report.
#[derive(Default)]
pub(crate) struct Meter {
    /// `None` until `record_metrics` is called.
    running: Option<Box<Running>>,
}

struct Running {
    instruments: Arc<Instruments>,
    every: Duration,
    /// The statistics of the last report.
    reported: Stats,
    reported_at: Instant,
    /// Refusals since the last report, in the order of [`Call`].
    refused: [u64; 3],
    /// The time of the next report; `None` while nothing has changed.
    next: Option<Instant>,
    /// The newest event at the last observation.
    head: Position,
    /// The time of the first publication with an unfinished sweep.
    unswept_since: Option<Instant>,
    /// The next channel slot to scan for slow readers, and the slowest reader of the slots before it.
    next_slot: u32,
    slowest: Lag,
}

/// Metrics that are recorded when the lock is free.
#[derive(Default)]
pub(crate) struct Report {
    change: Option<Box<StatsChange>>,
    /// The start of a fan-out that ends when all wakers were called.
    fan_out: Option<(Arc<Instruments>, Instant)>,
}

struct StatsChange {
    instruments: Arc<Instruments>,
    before: Stats,
    now: Stats,
    refused: [u64; 3],
    slowest: Option<Lag>,
}

impl Meter {
    /// Starts the reports. If they run already, replaces the instruments and returns the old ones.
    fn start(
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
    pub(crate) fn observe_changes(&mut self, hub: &Hub, now: Instant) {
        if let Some(running) = &mut self.running {
            running.observe_changes(hub, now);
        }
    }

    #[inline]
    pub(crate) fn next_wakeup(&self, deadline: Option<Instant>) -> Option<Instant> {
        let next = self.running.as_ref().and_then(|running| running.next);
        deadline.into_iter().chain(next).min()
    }

    pub(crate) fn report(&mut self, hub: &Hub, now: Instant) -> Report {
        let Some(running) = &mut self.running else { return Report::default() };
        running.observe_changes(hub, now);
        let swept = if hub.is_sweeping() { None } else { running.unswept_since.take() };
        let fan_out = swept.map(|since| (Arc::clone(&running.instruments), since));
        let is_due = running.next.is_some_and(|next| next <= now);
        Report { change: is_due.then(|| running.take_change(hub, now)), fan_out }
    }

    pub(crate) fn last_report(&mut self, hub: &Hub) -> Report {
        let Some(running) = self.running.take() else { return Report::default() };
        let change = StatsChange {
            instruments: running.instruments,
            before: running.reported,
            now: Stats { connections: 0, channels: 0, history_bytes: 0, ..hub.stats() },
            refused: running.refused,
            slowest: Some(Lag::default()),
        };
        Report { change: Some(Box::new(change)), fan_out: None }
    }
}

impl Running {
    fn observe_changes(&mut self, hub: &Hub, now: Instant) {
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

    fn take_change(&mut self, hub: &Hub, now: Instant) -> Box<StatsChange> {
        let slowest = self.scan_slowest_reader(hub, now);
        // Without a change, too, a reader falls further behind, or some channels were not scanned yet.
        let goes_on = slowest.is_none_or(|slowest| slowest.frames > 0);
        self.reported_at = now;
        self.next = goes_on.then(|| now.saturating_add(self.every.max(Duration::from_millis(1))));
        let stats = hub.stats();
        Box::new(StatsChange {
            instruments: Arc::clone(&self.instruments),
            before: core::mem::replace(&mut self.reported, stats),
            now: stats,
            refused: core::mem::take(&mut self.refused),
            slowest,
        })
    }

    /// Scans some channels, and returns the slowest reader when all were scanned.
    fn scan_slowest_reader(&mut self, hub: &Hub, now: Instant) -> Option<Lag> {
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
    pub(crate) fn record(self, clock: impl Fn() -> Instant) {
        if let Some((instruments, since)) = self.fan_out {
            instruments.fan_out.record(clock().saturating_duration_since(since));
        }
        if let Some(change) = self.change {
            change.record();
        }
    }
}

impl StatsChange {
    fn record(&self) {
        let StatsChange { instruments, before, now, refused, slowest } = self;
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

/// Converts a count to the type of gauges, which is exact up to 2^53.
#[expect(clippy::cast_precision_loss, reason = "beyond 2^53 one more or less does not matter")]
fn exact(count: usize) -> f64 {
    count as f64
}

const REASONS: [CloseReason; 9] = [
    CloseReason::Disconnected,
    CloseReason::Requested,
    CloseReason::TimedOut,
    CloseReason::Stalled,
    CloseReason::Lagged,
    CloseReason::ChannelClosed,
    CloseReason::Finished,
    CloseReason::ShuttingDown,
    CloseReason::Replaced,
];

/// In the order of [`Call`].
const CALLS: [&str; 3] = ["connect", "open", "subscribe"];

/// The metrics of one hub, registered with its recorder.
struct Instruments {
    connections: Gauge,
    channels: Gauge,
    history_bytes: Gauge,
    slowest_frames: Gauge,
    slowest_seconds: Gauge,
    opened: Counter,
    /// In the order of [`REASONS`].
    closed: [Counter; REASONS.len()],
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
        metrics::describe_counter!(closed, Unit::Count, "Ended connections, by reason.");
        metrics::describe_counter!(refused, Unit::Count, "Connections, channels and subscriptions refused.");
        let fan_out = "sse_fan_out_seconds";
        metrics::describe_histogram!(
            fan_out,
            Unit::Seconds,
            "From a publication until all readers were woken."
        );
        Instruments {
            connections: gauge("sse_connections", Unit::Count, "Open connections."),
            channels: gauge("sse_channels", Unit::Count, "Open channels."),
            history_bytes: gauge("sse_history_bytes", Unit::Bytes, "History of all channels."),
            slowest_frames: gauge(
                "sse_slowest_reader_frames",
                Unit::Count,
                "Pending frames of one channel for its slowest reader, the most of all channels.",
            ),
            slowest_seconds: gauge(
                "sse_slowest_reader_seconds",
                Unit::Seconds,
                "Age of the oldest frame that is pending for a reader.",
            ),
            opened: counter("sse_connections_opened_total", Unit::Count, "Opened connections."),
            closed: REASONS.map(|reason| metrics::counter!(closed, with("reason", reason.as_str()))),
            refused: CALLS.map(|call| metrics::counter!(refused, with("call", call))),
            published: counter("sse_events_published_total", Unit::Count, "Published events."),
            delivered: counter("sse_frames_delivered_total", Unit::Count, "Frames taken by connections."),
            bytes: counter("sse_delivered_bytes_total", Unit::Bytes, "Bytes taken by connections."),
            replayed: counter("sse_events_replayed_total", Unit::Count, "Events delivered from history."),
            gaps: counter("sse_gaps_total", Unit::Count, "Subscriptions with a gap or an unknown id."),
            lagged: counter(
                "sse_lagged_total",
                Unit::Count,
                "Readers that fell out of the backlog and lost events.",
            ),
            live_only_lost: counter(
                "sse_live_only_lost_total",
                Unit::Count,
                "Live-only events lost by readers that fell out of the backlog.",
            ),
            pings: counter("sse_pings_total", Unit::Count, "Sent pings."),
            fan_out: metrics::histogram!(fan_out, labels.clone()),
        }
    }
}
