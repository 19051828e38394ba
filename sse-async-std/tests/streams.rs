//! Streams, readers and transports on async-std.
#![cfg(feature = "async-std")]
#![expect(clippy::disallowed_types, clippy::disallowed_methods, reason = "tests of timers take real time")]

use std::future::{Future, poll_fn};
use std::io::{self, IoSlice};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use async_std::future::timeout;
use async_std::io::ReadExt;
use async_std::io::prelude::BufReadExt;
use async_std::task;
use bytes::Bytes;
use futures_core::Stream;
use futures_io::{AsyncBufRead, AsyncRead, AsyncWrite};
use sse_async_std::{
    DriveHub, EventReader, EventStream, HubTimer, Sockets, SourceStream, publish_all, serve, write_to,
};
use sse_core::adapter::Framing;
use sse_core::shared::{Channel, ConnectionSendError, Outbound, SharedHub};
use sse_core::{ChannelConfig, CloseReason, ConnectionConfig, Event, HubConfig, LastEventId, PublishError};

/// The time after which a wait fails the test.
const TIMEOUT: Duration = Duration::from_secs(10);

fn hub() -> (SharedHub, Channel) {
    let hub = sse_async_std::start("e", HubConfig::default()).unwrap();
    let channel = hub.open_channel("news", ChannelConfig::default()).unwrap();
    (hub, channel)
}

/// Returns a configuration without the first block (H3).
fn quiet() -> ConnectionConfig {
    ConnectionConfig { announce_position: false, ..Default::default() }
}

fn follow(hub: &SharedHub, channel: &Channel) -> Outbound {
    let outbound = hub.connect(quiet()).unwrap();
    outbound.subscribe(channel).unwrap();
    outbound
}

fn data(text: &str) -> Event<'_> {
    Event::new().data(text)
}

async fn within_timeout<T>(future: impl Future<Output = T>) -> T {
    timeout(TIMEOUT, future).await.expect("the future completes in time")
}

async fn next<S: Stream + Unpin>(stream: &mut S) -> Option<S::Item> {
    within_timeout(poll_fn(|cx| Pin::new(&mut *stream).poll_next(cx))).await
}

async fn next_text(stream: &mut EventStream) -> String {
    String::from_utf8(next(stream).await.unwrap().unwrap().to_vec()).unwrap()
}

async fn wait_until(mut condition: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !condition() {
        assert!(begin.elapsed() < TIMEOUT, "not within {TIMEOUT:?}");
        task::sleep(Duration::from_millis(2)).await;
    }
}

#[test]
fn a_publication_wakes_a_stream() {
    task::block_on(async {
        let (hub, channel) = hub();
        let mut stream = EventStream::new(follow(&hub, &channel));
        let publisher = task::spawn(async move {
            task::sleep(Duration::from_millis(30)).await;
            channel.publish(&data("one")).unwrap();
            channel.publish(&data("two")).unwrap();
        });
        let mut text = String::new();
        while !text.contains("two") {
            text += &next_text(&mut stream).await;
        }
        assert_eq!(text, "id: e-1\ndata: one\n\nid: e-2\ndata: two\n\n");
        publisher.await;
    });
}

#[test]
fn a_reconnecting_client_receives_what_it_missed() {
    task::block_on(async {
        let (hub, channel) = hub();
        for text in ["one", "two", "three"] {
            channel.publish(&data(text)).unwrap();
        }
        let last_event_id = Some(LastEventId::from("e-1"));
        let outbound = hub.connect(ConnectionConfig { last_event_id, ..Default::default() }).unwrap();
        outbound.subscribe(&channel).unwrap();
        let mut stream = EventStream::new(outbound);
        assert_eq!(next_text(&mut stream).await, "id: e-2\ndata: two\n\nid: e-3\ndata: three\n\n");
    });
}

#[test]
fn pings_follow_the_clock() {
    task::block_on(async {
        let (hub, _channel) = hub();
        let interval = Duration::from_millis(60);
        let outbound = hub.connect(ConnectionConfig { ping: Some(interval), ..quiet() }).unwrap();
        let mut stream = EventStream::new(outbound);
        // The first interval is shortened (T1).
        assert_eq!(next_text(&mut stream).await, ":\n");
        let first = Instant::now();
        for _ in 0..3 {
            assert_eq!(next_text(&mut stream).await, ":\n");
        }
        let waited = first.elapsed();
        assert!(waited > 3 * interval - Duration::from_millis(20), "too early: {waited:?}");
        assert!(waited < 20 * interval, "too late: {waited:?}");
        assert_eq!(hub.stats().pings, 4);
    });
}

#[test]
fn an_earlier_deadline_wakes_a_sleeping_driver() {
    task::block_on(async {
        let (hub, _channel) = hub();
        let outbound = hub.connect(quiet()).unwrap();
        let handle = outbound.handle();
        let mut stream = EventStream::new(outbound);
        // The driver sleeps until the ping in 50 seconds.
        task::sleep(Duration::from_millis(30)).await;
        assert!(handle.set_max_lifetime(Some(Duration::from_millis(20))));
        assert!(next(&mut stream).await.is_none());
        assert_eq!(within_timeout(handle.closed()).await, CloseReason::TimedOut);
    });
}

#[test]
fn dropping_a_body_disconnects() {
    task::block_on(async {
        let (hub, channel) = hub();
        let bodies = (
            EventStream::new(follow(&hub, &channel)),
            EventReader::new(follow(&hub, &channel)),
            EventStream::from_events(follow(&hub, &channel), Source::default()),
        );
        assert_eq!(hub.stats().connections, 3);
        drop(bodies);
        assert_eq!(hub.stats().connections, 0);
        assert_eq!(hub.stats().closed.disconnected, 3);
        assert_eq!(channel.stats().unwrap().members, 0);
    });
}

#[test]
fn a_closed_connection_ends_its_stream_after_the_pending_events() {
    task::block_on(async {
        let (hub, channel) = hub();
        let outbound = follow(&hub, &channel);
        let handle = outbound.handle();
        let mut stream = EventStream::new(outbound);
        channel.publish(&data("last")).unwrap();
        handle.close();
        assert_eq!(next_text(&mut stream).await, "id: e-1\ndata: last\n\n");
        assert!(next(&mut stream).await.is_none());
        assert!(next(&mut stream).await.is_none(), "the stream stays ended");
    });
}

#[test]
fn a_shutdown_ends_a_waiting_stream() {
    task::block_on(async {
        let (hub, channel) = hub();
        let mut stream = EventStream::new(follow(&hub, &channel));
        let waiting = task::spawn(async move { next(&mut stream).await.is_none() });
        task::sleep(Duration::from_millis(30)).await;
        hub.shut_down();
        assert!(within_timeout(waiting).await);
    });
}

#[test]
fn a_reader_can_be_read_in_portions_of_any_size() {
    task::block_on(async {
        let (hub, channel) = hub();
        let outbound = follow(&hub, &channel);
        let handle = outbound.handle();
        let mut reader = EventReader::new(outbound);
        channel.publish(&data("one")).unwrap();
        channel.publish(&data("two")).unwrap();

        let mut small = [0; 3];
        assert_eq!(within_timeout(reader.read(&mut small)).await.unwrap(), 3);
        assert_eq!(&small, b"id:");
        let mut line = String::new();
        within_timeout(reader.read_line(&mut line)).await.unwrap();
        assert_eq!(line, " e-1\n");
        Pin::new(&mut reader).consume(usize::MAX);

        handle.close();
        let mut rest = Vec::new();
        within_timeout(reader.read_to_end(&mut rest)).await.unwrap();
        assert_eq!(rest, b"", "the rest was consumed");
        assert_eq!(within_timeout(reader.read(&mut small)).await.unwrap(), 0, "the reader stays at its end");
    });
}

#[test]
fn a_reader_returns_pending_bytes_and_is_woken_for_more() {
    task::block_on(async {
        let (hub, channel) = hub();
        let mut reader = EventReader::new(follow(&hub, &channel));
        channel.publish(&data("one")).unwrap();
        let mut buffer = [0; 1024];
        let count = within_timeout(reader.read(&mut buffer)).await.unwrap();
        assert_eq!(&buffer[..count], b"id: e-1\ndata: one\n\n");

        let waiting = task::spawn(async move {
            let count = within_timeout(reader.read(&mut buffer)).await.unwrap();
            buffer[..count].to_vec()
        });
        task::sleep(Duration::from_millis(30)).await;
        channel.publish(&data("two")).unwrap();
        assert_eq!(within_timeout(waiting).await, b"id: e-2\ndata: two\n\n");
    });
}

/// A stream of events that is pending once before each item.
#[derive(Default)]
struct Source {
    events: Vec<Event<'static>>,
    has_waited: bool,
    returned: usize,
}

impl Source {
    fn of(mut events: Vec<Event<'static>>) -> Source {
        events.reverse();
        Source { events, ..Default::default() }
    }
}

impl Stream for Source {
    type Item = Event<'static>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Event<'static>>> {
        self.has_waited = !self.has_waited;
        if self.has_waited {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        self.returned += 1;
        Poll::Ready(self.events.pop())
    }
}

#[test]
fn a_source_stream_sends_its_events_and_ends() {
    task::block_on(async {
        let (hub, _channel) = hub();
        let events = Source::of(vec![data("one"), data("two")]);
        let mut stream = EventStream::from_events(hub.connect(quiet()).unwrap(), events);
        let mut bytes = Vec::new();
        while let Some(part) = next(&mut stream).await {
            bytes.extend_from_slice(&part.unwrap());
        }
        assert_eq!(bytes, b"data: one\n\ndata: two\n\n");
        wait_until(|| hub.stats().connections == 0).await;
    });
}

#[test]
fn a_source_stream_fails_with_an_event_that_cannot_be_sent() {
    task::block_on(async {
        let (hub, _channel) = hub();
        let wrong = || Source::of(vec![data("one"), Event::new().id("a\nb").data("two"), data("three")]);
        let mut stream = EventStream::from_events(hub.connect(quiet()).unwrap(), wrong());
        assert_eq!(next(&mut stream).await.unwrap().unwrap(), "data: one\n\n");
        let error = next(&mut stream).await.unwrap().unwrap_err();
        assert!(matches!(error, ConnectionSendError::Encode(_)), "{error}");
        assert!(next(&mut stream).await.is_none());

        let mut reader = EventReader::from_events(hub.connect(quiet()).unwrap(), wrong());
        let mut text = String::new();
        let error = within_timeout(reader.read_to_string(&mut text)).await.unwrap_err();
        assert!(error.get_ref().is_some_and(|error| error.is::<ConnectionSendError>()), "{error}");
    });
}

#[test]
fn a_source_reader_returns_its_events() {
    task::block_on(async {
        let (hub, _channel) = hub();
        let events = Source::of(vec![data("one"), data("two")]);
        let mut reader = EventReader::from_events(hub.connect(quiet()).unwrap(), events);
        let mut text = String::new();
        within_timeout(reader.read_to_string(&mut text)).await.unwrap();
        assert_eq!(text, "data: one\n\ndata: two\n\n");
    });
}

#[test]
fn publish_all_publishes_until_the_channel_is_closed() {
    task::block_on(async {
        let (hub, channel) = hub();
        let mut stream = EventStream::new(follow(&hub, &channel));
        within_timeout(publish_all(&channel, Source::of(vec![data("one"), data("two")]))).await.unwrap();
        assert_eq!(next_text(&mut stream).await, "id: e-1\ndata: one\n\nid: e-2\ndata: two\n\n");
        channel.close();
        let error = within_timeout(publish_all(&channel, Source::of(vec![data("three")]))).await.unwrap_err();
        assert!(matches!(error, PublishError::ChannelClosed { .. }), "{error}");
    });
}

#[test]
fn the_task_of_a_hub_ends_with_its_last_handle() {
    task::block_on(async {
        let (hub, task) = sse_async_std::drive("e", HubConfig::default()).unwrap();
        let task = task::spawn(task);
        let outbound = hub.connect(quiet()).unwrap();
        drop(hub);
        assert!(timeout(Duration::from_millis(50), pin!(poll_fn(|_| Poll::<()>::Pending))).await.is_err());
        drop(outbound);
        within_timeout(task).await;
    });
}

/// A writer that takes a few bytes in each call and is pending at every other call.
#[derive(Default)]
struct SlowWriter {
    taken: Vec<u8>,
    flushed: usize,
    is_closed: bool,
    tries: usize,
}

impl AsyncWrite for SlowWriter {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.tries += 1;
        if self.tries % 2 == 1 {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let part = &bytes[..bytes.len().min(7)];
        self.taken.extend_from_slice(part);
        Poll::Ready(Ok(part.len()))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        assert!(slices.len() > 1, "a single slice uses `poll_write`");
        let first = slices.iter().find(|slice| !slice.is_empty()).map_or(&[][..], |slice| slice);
        self.poll_write(cx, first)
    }

    fn poll_flush(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.flushed = self.taken.len();
        Poll::Ready(Ok(()))
    }

    fn poll_close(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.is_closed = true;
        Poll::Ready(Ok(()))
    }
}

#[test]
fn a_writer_receives_chunks_and_is_closed() {
    task::block_on(async {
        let (hub, channel) = hub();
        let outbound = follow(&hub, &channel);
        let handle = outbound.handle();
        let large = "x".repeat(20_000);
        channel.publish(&data("one")).unwrap();
        channel.publish(&data(&large)).unwrap();
        handle.close();
        let mut writer = SlowWriter::default();
        let reason = within_timeout(write_to(outbound, Framing::Chunked, &mut writer)).await.unwrap();
        assert_eq!(reason, CloseReason::Requested);
        let expected = format!(
            "13\r\nid: e-1\ndata: one\n\n\r\n{:x}\r\nid: e-2\ndata: {large}\n\n\r\n0\r\n\r\n",
            20_000 + "id: e-2\ndata: \n\n".len()
        );
        // The last chunk may be cut short, because the end of a stream is written only once.
        let taken = String::from_utf8(writer.taken).unwrap();
        assert!(expected.starts_with(&taken) && taken.len() >= expected.len() - 5, "{} bytes", taken.len());
        assert_eq!(writer.flushed, taken.len());
        assert!(writer.is_closed);
    });
}

#[cfg(unix)]
#[test]
fn serve_notices_a_disconnect() {
    task::block_on(async {
        let (hub, channel) = hub();
        let (here, there) = async_std::os::unix::net::UnixStream::pair().unwrap();
        let served = task::spawn(serve(follow(&hub, &channel), Framing::UntilClose, here));
        channel.publish(&data("one")).unwrap();
        let mut lines = async_std::io::BufReader::new(there);
        let mut line = String::new();
        within_timeout(lines.read_line(&mut line)).await.unwrap();
        assert_eq!(line, "id: e-1\n");
        drop(lines);
        assert_eq!(within_timeout(served).await.unwrap(), CloseReason::Disconnected);
        assert_eq!(hub.stats().connections, 0);
    });
}

/// http-types requires all of these traits.
#[test]
fn bodies_implement_the_traits_that_frameworks_require() {
    fn body<T: Send + Sync + Unpin + 'static>() {}
    fn stream<T: Stream<Item = Result<Bytes, E>>, E>() {}
    fn reader<T: AsyncRead + AsyncBufRead>() {}
    body::<EventStream>();
    body::<EventReader>();
    body::<SourceStream<Source>>();
    body::<EventReader<SourceStream<Source>>>();
    body::<DriveHub<HubTimer>>();
    body::<Sockets>();
    stream::<EventStream, std::convert::Infallible>();
    reader::<EventReader>();
    reader::<EventReader<SourceStream<Source>>>();
}
