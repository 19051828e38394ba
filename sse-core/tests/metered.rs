//! The metrics of the feature `metrics` (A3), with a recorder of the tests.
#![cfg(feature = "metrics")]

mod clocked;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use clocked::{Count, World};
use metrics::{Counter, Gauge, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder, SharedString, Unit};
use sse_core::shared::{MetricsConfig, Outbound};
use sse_core::{ChannelConfig, ConnectionConfig, Event, HubConfig, Instant, Limits};

#[derive(Default)]
struct TestRecorder {
    counters: Mutex<BTreeMap<String, Arc<AtomicU64>>>,
    gauges: Mutex<BTreeMap<String, Arc<AtomicU64>>>,
    histograms: Mutex<BTreeMap<String, Arc<Samples>>>,
}

#[derive(Default)]
struct Samples(Mutex<Vec<f64>>);

impl HistogramFn for Samples {
    fn record(&self, value: f64) {
        self.0.lock().unwrap().push(value);
    }
}

impl Recorder for TestRecorder {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(Arc::clone(self.counters.lock().unwrap().entry(text(key)).or_default()))
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(Arc::clone(self.gauges.lock().unwrap().entry(text(key)).or_default()))
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::from_arc(Arc::clone(self.histograms.lock().unwrap().entry(text(key)).or_default()))
    }
}

fn text(key: &Key) -> String {
    let labels: String = key.labels().map(|label| format!(" {}={}", label.key(), label.value())).collect();
    format!("{}{labels}", key.name())
}

impl TestRecorder {
    fn counter(&self, name: &str) -> u64 {
        self.counters.lock().unwrap()[name].load(Ordering::Relaxed)
    }

    fn gauge(&self, name: &str) -> f64 {
        f64::from_bits(self.gauges.lock().unwrap()[name].load(Ordering::Relaxed))
    }

    fn samples(&self, name: &str) -> Vec<f64> {
        self.histograms.lock().unwrap()[name].0.lock().unwrap().clone()
    }
}

/// Lets a hub report to a recorder.
fn metered(world: &World, config: MetricsConfig) -> TestRecorder {
    let recorder = TestRecorder::default();
    metrics::with_local_recorder(&recorder, || world.hub.record_metrics(config));
    recorder
}

fn take(outbound: &mut Outbound) -> Option<usize> {
    match outbound.poll_bytes(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(Some(bytes)) => Some(bytes.len()),
        _ => None,
    }
}

#[test]
fn a3_the_recorder_receives_the_statistics_of_the_hub() {
    let mut w = World::new();
    drop(w.connect());
    let recorder = metered(&w, MetricsConfig::default());
    let news = w.hub.open_channel("news", ChannelConfig::default()).unwrap();
    let mut outbound = w.connect();
    outbound.subscribe(&news).unwrap();
    let frame = news.publish(&Event::new().data("1")).unwrap().frame;
    w.drive();
    assert_eq!(take(&mut outbound), Some(frame.len()));
    drop(w.connect());
    w.connect().handle().close();
    w.millis.store(1_000, Ordering::Relaxed);
    w.drive();

    let stats = w.hub.stats();
    assert_eq!(
        recorder.counter("sse_connections_opened_total"),
        stats.opened,
        "also those before the first report"
    );
    assert_eq!(recorder.counter("sse_connections_closed_total reason=disconnected"), 2);
    assert_eq!(recorder.counter("sse_connections_closed_total reason=requested"), 1);
    assert_eq!(recorder.counter("sse_events_published_total"), 1);
    assert_eq!(recorder.counter("sse_frames_delivered_total"), 1);
    assert_eq!(recorder.counter("sse_delivered_bytes_total"), frame.len() as u64);
    assert_eq!((recorder.gauge("sse_connections"), recorder.gauge("sse_channels")), (1.0, 1.0));
    assert_eq!(recorder.gauge("sse_history_bytes"), stats.history_bytes as f64);
    assert_eq!((stats.opened, stats.connections), (4, 1));
}

#[test]
fn a3_every_counter_exists_from_the_start() {
    let w = World::new();
    let recorder = metered(&w, MetricsConfig { hub: Some("chat".into()), ..MetricsConfig::default() });
    for name in ["replayed_total", "published_total"] {
        assert_eq!(recorder.counter(&format!("sse_events_{name} hub=chat")), 0);
    }
    for name in ["gaps", "lagged", "live_only_lost", "pings"] {
        assert_eq!(recorder.counter(&format!("sse_{name}_total hub=chat")), 0);
    }
    for reason in
        ["disconnected", "requested", "timed_out", "stalled", "lagged", "channel_closed", "shutting_down"]
    {
        assert_eq!(recorder.counter(&format!("sse_connections_closed_total hub=chat reason={reason}")), 0);
    }
}

/// At most one report each second, however much changes, and none while nothing changes.
#[test]
fn reports_are_rare() {
    let mut w = World::new();
    let recorder = metered(&w, MetricsConfig::default());
    let idle = w.drive();
    let ping = w.connect();
    w.drive();
    assert_eq!(recorder.counter("sse_connections_opened_total"), 0, "the hub has just reported");
    assert_eq!(idle, None);
    w.millis.store(999, Ordering::Relaxed);
    assert_eq!(w.drive(), Some(Instant::from_millis(1_000)));
    w.millis.store(1_000, Ordering::Relaxed);
    let next = w.drive().unwrap();
    assert_eq!(recorder.counter("sse_connections_opened_total"), 1);
    assert!(next > Instant::from_millis(20_000), "nothing changes until the ping: {next:?}");

    // A change while the driver sleeps wakes it once.
    let count = Arc::new(Count::default());
    w.driver.turn(&Waker::from(Arc::clone(&count)));
    w.millis.store(1_500, Ordering::Relaxed);
    w.hub.stats();
    assert_eq!(count.0.load(Ordering::Relaxed), 0);
    drop(ping);
    assert_eq!(count.0.load(Ordering::Relaxed), 1);
    w.drive();
    assert_eq!(recorder.gauge("sse_connections"), 1.0);
    w.millis.store(2_000, Ordering::Relaxed);
    w.drive();
    assert_eq!(recorder.gauge("sse_connections"), 0.0);
}

#[test]
fn s1_the_slowest_reader_is_reported_while_nothing_else_changes() {
    let mut w = World::new();
    let recorder = metered(&w, MetricsConfig::default());
    let channels = ["a", "b"].map(|name| w.hub.open_channel(name, ChannelConfig::default()).unwrap());
    let outbounds: Vec<_> = (0..2).map(|_| w.connect()).collect();
    for (channel, outbound) in channels.iter().zip(&outbounds) {
        outbound.subscribe(channel).unwrap();
    }
    channels[0].publish(&Event::new().data("1")).unwrap();
    w.millis.store(2_000, Ordering::Relaxed);
    for _ in 0..3 {
        channels[1].publish(&Event::new().data("2")).unwrap();
    }
    w.drive();
    w.millis.store(10_000, Ordering::Relaxed);
    w.drive();
    assert_eq!(recorder.gauge("sse_slowest_reader_frames"), 3.0);
    assert_eq!(recorder.gauge("sse_slowest_reader_seconds"), 10.0);
    w.millis.store(11_000, Ordering::Relaxed);
    w.drive();
    assert_eq!(recorder.gauge("sse_slowest_reader_seconds"), 11.0);
    drop(outbounds);
    w.millis.store(12_000, Ordering::Relaxed);
    w.drive();
    assert_eq!(recorder.gauge("sse_slowest_reader_frames"), 0.0);
    assert_eq!(w.drive(), None, "no reader is behind");
}

/// With more channels than one report scans, the value takes several reports.
#[test]
fn the_slowest_reader_is_found_among_many_channels() {
    let mut w = World::new();
    for number in 0..5_000 {
        w.hub.open_channel(&number.to_string(), ChannelConfig::default()).unwrap();
    }
    let outbound = w.connect();
    outbound.subscribe(&w.hub.channel("10").unwrap()).unwrap();
    w.hub.channel("10").unwrap().publish(&Event::new().data("1")).unwrap();
    let recorder = metered(&w, MetricsConfig::default());
    w.drive();
    assert_eq!(recorder.gauge("sse_slowest_reader_frames"), 0.0, "not all were scanned");
    w.millis.store(1_000, Ordering::Relaxed);
    w.drive();
    assert_eq!(recorder.gauge("sse_slowest_reader_frames"), 1.0);
}

#[test]
fn a_fan_out_is_measured_from_the_publication_to_the_last_waker() {
    struct Slow(Arc<AtomicU64>);
    impl std::task::Wake for Slow {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(250, Ordering::Relaxed);
        }
    }
    let mut w = World::new();
    let recorder = metered(&w, MetricsConfig::default());
    let news = w.hub.open_channel("news", ChannelConfig::default()).unwrap();
    news.publish(&Event::new().data("no member")).unwrap();
    let mut outbound = w.connect();
    outbound.subscribe(&news).unwrap();
    w.drive();
    assert!(recorder.samples("sse_fan_out_seconds").is_empty());
    let waker = Waker::from(Arc::new(Slow(Arc::clone(&w.millis))));
    assert!(outbound.poll_bytes(&mut Context::from_waker(&waker)).is_pending());
    news.publish(&Event::new().data("1")).unwrap();
    w.millis.fetch_add(1_000, Ordering::Relaxed);
    news.publish(&Event::new().data("2")).unwrap();
    w.drive();
    assert_eq!(recorder.samples("sse_fan_out_seconds"), [1.25]);
}

#[test]
fn a1_refusals_are_counted_by_call() {
    let clock = || Instant::ORIGIN;
    let limits = Limits { connections: 1, channels: 1, subscriptions: 0, ..Limits::default() };
    let (hub, mut driver) =
        sse_core::shared::SharedHub::new("e", HubConfig { limits, ..HubConfig::default() }, clock).unwrap();
    let recorder = TestRecorder::default();
    metrics::with_local_recorder(&recorder, || {
        hub.record_metrics(MetricsConfig { every: Duration::ZERO, hub: None })
    });
    let channel = hub.open_channel("a", ChannelConfig::default()).unwrap();
    let outbound = hub.connect(ConnectionConfig::default()).unwrap();
    assert!(hub.open_channel("b", ChannelConfig::default()).is_err());
    assert!(hub.connect(ConnectionConfig::default()).is_err());
    assert!(hub.connect(ConnectionConfig::default()).is_err());
    assert!(outbound.subscribe(&channel).is_err());
    driver.turn(Waker::noop());
    let counts = ["connect", "open", "subscribe"]
        .map(|call| recorder.counter(&format!("sse_refused_total call={call}")));
    assert_eq!(counts, [2, 1, 1]);
}

/// It has all changes, and sets the gauges to zero.
#[test]
fn the_last_handle_leaves_a_last_report() {
    let mut w = World::new();
    let recorder = metered(&w, MetricsConfig::default());
    w.hub.open_channel("news", ChannelConfig::default()).unwrap();
    w.drive();
    w.millis.store(2_000, Ordering::Relaxed);
    w.drive();
    assert_eq!(recorder.gauge("sse_channels"), 1.0);
    drop(w.connect());
    drop(w);
    assert_eq!(recorder.counter("sse_connections_closed_total reason=disconnected"), 1);
    assert_eq!(recorder.gauge("sse_channels"), 0.0);
}
