//! The spans and events of the feature `tracing`, with a subscriber of the tests.
#![cfg(feature = "tracing")]

mod clocked;

use std::fmt::{Debug, Write};
use std::num::NonZeroUsize;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::task::{Context, Waker};

use clocked::World;
use sse_core::shared::{Channel, SharedHub};
use sse_core::{
    BacklogConfig, ChannelConfig, ConnectionConfig, DrainConfig, Event, HistoryConfig, HubConfig, Instant,
    LagPolicy, Limits, OnMaxLifetime,
};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Metadata, Subscriber};

/// A subscriber that records a line for each span, record and event.
#[derive(Clone, Default)]
struct Log {
    lines: Arc<Mutex<Vec<String>>>,
    /// The number of handles on each span, in the order of creation.
    spans: Arc<Mutex<Vec<usize>>>,
    /// A channel to which each line is published, too.
    echo: Arc<Mutex<Option<Channel>>>,
}

impl Log {
    fn record_line(&self, line: String) {
        if let Some(channel) = &*self.echo.lock().unwrap() {
            channel.publish(&Event::new().data(line.as_str())).unwrap();
        }
        self.lines.lock().unwrap().push(line);
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.lines.lock().unwrap())
    }

    fn open_spans(&self) -> usize {
        self.spans.lock().unwrap().iter().filter(|handles| **handles > 0).count()
    }
}

struct Fields(String);

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        write!(self.0, " {field}={value}").unwrap();
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        match field.name() {
            "message" => write!(self.0, " {value:?}").unwrap(),
            _ => write!(self.0, " {field}={value:?}").unwrap(),
        }
    }
}

impl Subscriber for Log {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "sse_core"
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let mut spans = self.spans.lock().unwrap();
        spans.push(1);
        let number = spans.len();
        drop(spans);
        let mut fields = Fields(format!("{} span{number}", span.metadata().level()));
        span.record(&mut fields);
        self.record_line(fields.0);
        Id::from_u64(number as u64)
    }

    fn record(&self, span: &Id, values: &Record<'_>) {
        let mut fields = Fields(format!("span{}", span.into_u64()));
        values.record(&mut fields);
        self.record_line(fields.0);
    }

    fn event(&self, event: &tracing::Event<'_>) {
        let parent = event.parent().map_or(String::new(), |id| format!(" span{}", id.into_u64()));
        let mut fields = Fields(format!("{}{parent}", event.metadata().level()));
        event.record(&mut fields);
        self.record_line(fields.0);
    }

    fn clone_span(&self, id: &Id) -> Id {
        self.spans.lock().unwrap()[id.into_u64() as usize - 1] += 1;
        id.clone()
    }

    fn try_close(&self, id: Id) -> bool {
        let handles = &mut self.spans.lock().unwrap()[id.into_u64() as usize - 1];
        *handles -= 1;
        *handles == 0
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

fn logged(test: impl FnOnce(&Log)) {
    let log = Log::default();
    tracing::subscriber::with_default(log.clone(), || test(&log));
}

fn reconnecting_after(id: &str) -> ConnectionConfig {
    ConnectionConfig { last_event_id: Some(id.into()), ..ConnectionConfig::default() }
}

#[test]
fn a3_a_connection_has_a_span_with_its_channels_and_its_end() {
    logged(|log| {
        let mut w = World::new();
        let [news, sport] =
            ["news", "sport"].map(|name| w.hub.open_channel(name, ChannelConfig::default()).unwrap());
        news.publish(&Event::new().data("1")).unwrap();
        let outbound = w.hub.connect(reconnecting_after("e-0")).unwrap();
        outbound.subscribe(&news).unwrap();
        outbound.handle().subscribe(&sport).unwrap();
        let id = outbound.id();
        assert_eq!(
            log.take(),
            [
                "INFO span1 last_event_id=e-0".to_owned(),
                format!("span1 connection={id}"),
                format!("DEBUG span1 connected connection={id}"),
                "span1 channel=news".to_owned(),
                format!("DEBUG span1 followed connection={id} channel=news events=1"),
                "span1 channel=sport".to_owned(),
                format!("DEBUG span1 followed connection={id} channel=sport"),
            ]
        );
        assert_eq!(log.open_spans(), 1);
        drop(outbound);
        let closed = format!("DEBUG span1 closed connection={id} reason=disconnected");
        assert_eq!(log.take(), ["span1 reason=disconnected".to_owned(), closed]);
        assert_eq!(log.open_spans(), 0);
        w.drive();
        assert_eq!(log.take(), [""; 0], "a delivery makes no event");
    });
}

#[test]
fn a3_the_driver_reports_the_reason_of_an_end() {
    logged(|log| {
        let mut w = World::new();
        let on_max_lifetime = OnMaxLifetime::Report;
        let stalls =
            w.hub.connect(ConnectionConfig { on_max_lifetime, ..ConnectionConfig::default() }).unwrap();
        stalls.handle().set_max_lifetime(Some(std::time::Duration::from_secs(1)));
        let mut abandoned = w.hub.connect(reconnecting_after(" ")).unwrap();
        let _ = abandoned.poll_bytes(&mut Context::from_waker(Waker::noop()));
        w.drive();
        let ids = [stalls.id(), abandoned.id()];
        log.take();
        w.millis.store(1_000, Ordering::Relaxed);
        w.drive();
        assert_eq!(log.take(), [format!("DEBUG span1 timed out connection={}", ids[0])]);
        assert!(w.hub.with(|hub, now| hub.close_connection(now, ids[1])));
        drop(abandoned);
        assert_eq!(log.take(), [""; 0], "the peer did not disconnect");
        w.drive();
        let closed = format!("DEBUG span2 closed connection={} reason=requested", ids[1]);
        assert_eq!(log.take(), ["span2 reason=requested".to_owned(), closed]);
        w.drive_until(40_000);
        let closed = format!("INFO span1 closed connection={} reason=stalled", ids[0]);
        assert_eq!(log.take(), ["span1 reason=stalled".to_owned(), closed]);
        assert_eq!(log.open_spans(), 0, "also while the outbound exists");
        drop(stalls);
        assert_eq!(log.take(), [""; 0]);
    });
}

#[test]
fn h6_gaps_and_lags_are_events() {
    logged(|log| {
        let mut w = World::new();
        let backlog = BacklogConfig { frames: NonZeroUsize::MIN, ..BacklogConfig::default() };
        let history = HistoryConfig { events: 1, ..HistoryConfig::default() };
        let config = ChannelConfig { history, backlog, on_lag: LagPolicy::Skip, ..ChannelConfig::default() };
        let news = w.hub.open_channel("news", config).unwrap();
        for data in ["1", "2", "3"] {
            news.publish(&Event::new().data(data)).unwrap();
        }
        let mut gap = w.hub.connect(reconnecting_after("e-1")).unwrap();
        let unknown = w.hub.connect(reconnecting_after("before-7")).unwrap();
        log.take();
        gap.subscribe(&news).unwrap();
        unknown.subscribe(&news).unwrap();
        let (id, other) = (gap.id(), unknown.id());
        assert_eq!(
            log.take(),
            [
                "span1 channel=news".to_owned(),
                format!("INFO span1 gap connection={id} channel=news lost_through=2 events=1"),
                "span2 channel=news".to_owned(),
                format!("INFO span2 unknown last event id connection={other} channel=news"),
            ]
        );
        let _ = gap.poll_bytes(&mut Context::from_waker(Waker::noop()));
        for data in ["4", "5", "6"] {
            news.publish(&Event::new().data(data)).unwrap();
        }
        let _ = gap.poll_bytes(&mut Context::from_waker(Waker::noop()));
        w.drive();
        assert_eq!(log.take(), [format!("INFO span1 lagged connection={id} channel=news lost_through=5")]);
        news.close();
        w.drive();
        assert_eq!(log.take(), [format!("DEBUG channel closed channel={} reason=Requested", news.id())]);
    });
}

#[test]
fn a1_refusals_are_warnings() {
    logged(|log| {
        let limits = Limits { connections: 1, channels: 1, subscriptions: 0, ..Limits::default() };
        let config = HubConfig { limits, ..HubConfig::default() };
        let (hub, _driver) = SharedHub::new("e", config, || Instant::ORIGIN).unwrap();
        let channel = hub.open_channel("a", ChannelConfig::default()).unwrap();
        let outbound = hub.connect(ConnectionConfig::default()).unwrap();
        log.take();
        assert!(hub.open_channel("b", ChannelConfig::default()).is_err());
        assert!(hub.open_channel(&"b".repeat(2_000), ChannelConfig::default()).is_err());
        assert!(hub.connect(ConnectionConfig::default()).is_err());
        assert!(outbound.subscribe(&channel).is_err());
        let (id, channel) = (outbound.id(), channel.id());
        assert_eq!(
            log.take(),
            [
                "WARN refused channel=b call=open error=1 channels are open, which is the limit".to_owned(),
                "WARN refused call=open bytes=2000 error=the channel name has 2000 bytes, the limit is 1024"
                    .to_owned(),
                "INFO span2".to_owned(),
                "WARN span2 refused call=connect error=1 connections are open, which is the limit".to_owned(),
                format!(
                    "WARN span1 refused connection={id} channel={channel} call=subscribe error=the connection \
                     follows 0 channels, which is the limit"
                ),
            ]
        );
        hub.drain(DrainConfig::default());
        assert!(hub.connect(ConnectionConfig::default()).is_err());
        hub.shut_down();
        let lines = log.take();
        assert!(lines[0].starts_with("INFO draining over=10s within=30s"), "{lines:?}");
        assert_eq!(lines[2], "DEBUG span3 refused call=connect error=the hub is shutting down");
        assert_eq!(lines[3], "INFO shutting down");
        assert_eq!(log.open_spans(), 1, "a refused connection has none");
    });
}

/// For logs that are streamed to browsers through the same hub.
#[test]
fn a_subscriber_can_use_the_hub_that_emits_to_it() {
    logged(|log| {
        let mut w = World::new();
        let logs = w.hub.open_channel("logs", ChannelConfig::default()).unwrap();
        *log.echo.lock().unwrap() = Some(logs.clone());
        let outbound = w.connect();
        outbound.subscribe(&logs).unwrap();
        let closing = w.connect();
        closing.handle().close();
        w.drive();
        drop((outbound, closing));
        w.hub.shut_down();
        w.drive();
        assert_eq!(logs.stats().unwrap().history_events, log.take().len());
        *log.echo.lock().unwrap() = None;
    });
}
