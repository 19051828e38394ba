//! What the feature `metrics` reports (A3), to a recorder of the test's own.
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
struct Book {
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

impl Recorder for Book {
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

impl Book {
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

/// A hub that reports to a book.
fn metered(world: &World, config: MetricsConfig) -> Book {
    let book = Book::default();
    metrics::with_local_recorder(&book, || world.hub.record_metrics(config));
    book
}

fn take(stream: &mut Outbound) -> Option<usize> {
    match stream.poll_bytes(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(Some(bytes)) => Some(bytes.len()),
        _ => None,
    }
}

#[test]
fn a3_the_recorder_has_what_the_hub_counts() {
    let mut w = World::new();
    let before = w.connect();
    drop(before);
    let book = metered(&w, MetricsConfig::default());
    let news = w.hub.open_channel("news", ChannelConfig::default()).unwrap();
    let mut stream = w.connect();
    stream.subscribe(&news).unwrap();
    let frame = news.publish(&Event::new().data("1")).unwrap().frame;
    w.drive();
    assert_eq!(take(&mut stream), Some(frame.len()));
    let gone = w.connect();
    drop(gone);
    w.connect().handle().close();
    w.millis.store(1_000, Ordering::Relaxed);
    w.drive();

    let stats = w.hub.stats();
    assert_eq!(book.counter("sse_connections_opened_total"), stats.opened, "those before it began, too");
    assert_eq!(book.counter("sse_connections_closed_total reason=disconnected"), 2);
    assert_eq!(book.counter("sse_connections_closed_total reason=requested"), 1);
    assert_eq!(book.counter("sse_events_published_total"), 1);
    assert_eq!(book.counter("sse_frames_delivered_total"), 1);
    assert_eq!(book.counter("sse_delivered_bytes_total"), frame.len() as u64);
    assert_eq!((book.gauge("sse_connections"), book.gauge("sse_channels")), (1.0, 1.0));
    assert_eq!(book.gauge("sse_history_bytes"), stats.history_bytes as f64);
    assert_eq!((stats.opened, stats.connections), (4, 1));
}

#[test]
fn every_counter_is_there_from_the_beginning() {
    let w = World::new();
    let book = metered(&w, MetricsConfig { hub: Some("chat".into()), ..MetricsConfig::default() });
    for name in ["replayed_total", "published_total"] {
        assert_eq!(book.counter(&format!("sse_events_{name} hub=chat")), 0);
    }
    for name in ["gaps", "lagged", "live_only_lost", "pings"] {
        assert_eq!(book.counter(&format!("sse_{name}_total hub=chat")), 0);
    }
    for reason in
        ["disconnected", "requested", "timed_out", "stalled", "lagged", "channel_closed", "shutting_down"]
    {
        assert_eq!(book.counter(&format!("sse_connections_closed_total hub=chat reason={reason}")), 0);
    }
}

/// One report a second at most, however much happens; and none while nothing does.
#[test]
fn reports_are_rare() {
    let mut w = World::new();
    let book = metered(&w, MetricsConfig::default());
    let idle = w.drive();
    let ping = w.connect();
    w.drive();
    assert_eq!(book.counter("sse_connections_opened_total"), 0, "the hub has just reported");
    assert_eq!(idle, None);
    w.millis.store(999, Ordering::Relaxed);
    assert_eq!(w.drive(), Some(Instant::from_millis(1_000)));
    w.millis.store(1_000, Ordering::Relaxed);
    let next = w.drive().unwrap();
    assert_eq!(book.counter("sse_connections_opened_total"), 1);
    assert!(next > Instant::from_millis(20_000), "nothing happens until the ping: {next:?}");

    // What happens while the driver sleeps wakes it, once.
    let count = Arc::new(Count::default());
    w.driver.turn(&Waker::from(Arc::clone(&count)));
    w.millis.store(1_500, Ordering::Relaxed);
    w.hub.stats();
    assert_eq!(count.0.load(Ordering::Relaxed), 0);
    drop(ping);
    assert_eq!(count.0.load(Ordering::Relaxed), 1);
    w.drive();
    assert_eq!(book.gauge("sse_connections"), 1.0);
    w.millis.store(2_000, Ordering::Relaxed);
    w.drive();
    assert_eq!(book.gauge("sse_connections"), 0.0);
}

#[test]
fn s1_the_slowest_reader_is_known_while_nothing_else_happens() {
    let mut w = World::new();
    let book = metered(&w, MetricsConfig::default());
    let channels = ["a", "b"].map(|name| w.hub.open_channel(name, ChannelConfig::default()).unwrap());
    let streams: Vec<_> = (0..2).map(|_| w.connect()).collect();
    for (channel, stream) in channels.iter().zip(&streams) {
        stream.subscribe(channel).unwrap();
    }
    channels[0].publish(&Event::new().data("1")).unwrap();
    w.millis.store(2_000, Ordering::Relaxed);
    for _ in 0..3 {
        channels[1].publish(&Event::new().data("2")).unwrap();
    }
    w.drive();
    w.millis.store(10_000, Ordering::Relaxed);
    w.drive();
    assert_eq!(book.gauge("sse_slowest_reader_frames"), 3.0);
    assert_eq!(book.gauge("sse_slowest_reader_seconds"), 10.0);
    w.millis.store(11_000, Ordering::Relaxed);
    w.drive();
    assert_eq!(book.gauge("sse_slowest_reader_seconds"), 11.0);
    drop(streams);
    w.millis.store(12_000, Ordering::Relaxed);
    w.drive();
    assert_eq!(book.gauge("sse_slowest_reader_frames"), 0.0);
    assert_eq!(w.drive(), None, "nobody is behind");
}

/// With more channels than one report asks, the figure takes several.
#[test]
fn the_slowest_reader_is_found_among_many_channels() {
    let mut w = World::new();
    for number in 0..5_000 {
        w.hub.open_channel(&number.to_string(), ChannelConfig::default()).unwrap();
    }
    let stream = w.connect();
    stream.subscribe(&w.hub.channel("10").unwrap()).unwrap();
    w.hub.channel("10").unwrap().publish(&Event::new().data("1")).unwrap();
    let book = metered(&w, MetricsConfig::default());
    w.drive();
    assert_eq!(book.gauge("sse_slowest_reader_frames"), 0.0, "not all were asked");
    w.millis.store(1_000, Ordering::Relaxed);
    w.drive();
    assert_eq!(book.gauge("sse_slowest_reader_frames"), 1.0);
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
    let book = metered(&w, MetricsConfig::default());
    let news = w.hub.open_channel("news", ChannelConfig::default()).unwrap();
    news.publish(&Event::new().data("nobody follows it")).unwrap();
    let mut stream = w.connect();
    stream.subscribe(&news).unwrap();
    w.drive();
    assert!(book.samples("sse_fan_out_seconds").is_empty());
    let waker = Waker::from(Arc::new(Slow(Arc::clone(&w.millis))));
    assert!(stream.poll_bytes(&mut Context::from_waker(&waker)).is_pending());
    news.publish(&Event::new().data("1")).unwrap();
    w.millis.fetch_add(1_000, Ordering::Relaxed);
    news.publish(&Event::new().data("2")).unwrap();
    w.drive();
    assert_eq!(book.samples("sse_fan_out_seconds"), [1.25]);
}

#[test]
fn a1_refusals_are_counted_by_call() {
    let clock = || Instant::ORIGIN;
    let limits = Limits { connections: 1, channels: 1, subscriptions: 0, ..Limits::default() };
    let (hub, mut driver) =
        sse_core::shared::SharedHub::new("e", HubConfig { limits, ..HubConfig::default() }, clock).unwrap();
    let book = Book::default();
    metrics::with_local_recorder(&book, || {
        hub.record_metrics(MetricsConfig { every: Duration::ZERO, hub: None })
    });
    let channel = hub.open_channel("a", ChannelConfig::default()).unwrap();
    let stream = hub.connect(ConnectionConfig::default()).unwrap();
    assert!(hub.open_channel("b", ChannelConfig::default()).is_err());
    assert!(hub.connect(ConnectionConfig::default()).is_err());
    assert!(hub.connect(ConnectionConfig::default()).is_err());
    assert!(stream.subscribe(&channel).is_err());
    driver.turn(Waker::noop());
    let counts =
        ["connect", "open", "subscribe"].map(|call| book.counter(&format!("sse_refused_total call={call}")));
    assert_eq!(counts, [2, 1, 1]);
}

/// What was not reported yet is, and no gauge stays behind.
#[test]
fn the_last_handle_leaves_a_last_report() {
    let mut w = World::new();
    let book = metered(&w, MetricsConfig::default());
    w.hub.open_channel("news", ChannelConfig::default()).unwrap();
    w.drive();
    w.millis.store(2_000, Ordering::Relaxed);
    w.drive();
    assert_eq!(book.gauge("sse_channels"), 1.0);
    drop(w.connect());
    drop(w);
    assert_eq!(book.counter("sse_connections_closed_total reason=disconnected"), 1);
    assert_eq!(book.gauge("sse_channels"), 0.0);
}
