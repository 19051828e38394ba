//! Events with JSON data (feature `serde`).
#![cfg(feature = "serde")]

use std::collections::BTreeMap;
use std::time::Duration;

use allocation_counter::measure;
use serde::ser::Error;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use sse_core::{
    ChannelConfig, Decoder, EncodeError, EncodeField, Event, Frame, Hub, HubConfig, Instant, PublishError,
};

fn decoded(frame: &Frame) -> Value {
    let mut decoder = Decoder::new();
    decoder.push(frame.as_bytes());
    let message = decoder.next_message().unwrap().unwrap();
    assert_eq!(decoder.next_message(), None, "one message");
    serde_json::from_str(&message.data).unwrap()
}

#[test]
fn a_value_is_one_data_line_between_the_other_fields() {
    let value = json!({ "a": [1, -2.5, null, true], "b": "x" });
    let event = Event::new().id("7").event("e").json(&value).retry(Duration::from_secs(1)).comment("c");
    let expected = "id: 7\nevent: e\ndata: {\"a\":[1,-2.5,null,true],\"b\":\"x\"}\nretry: 1000\n: c\n\n";
    assert_eq!(event.encode().unwrap().as_bytes(), expected.as_bytes());
    assert!(event.clone().live_only().encode().unwrap().is_live_only());
    // The same JSON as a string gives the same frame.
    let text = value.to_string();
    assert_eq!(event.encode(), event.data(text).encode());
}

#[test]
fn values_with_any_strings_decode_unchanged() {
    for text in [
        "",
        "a\nb\r\nc\r",
        "\n\ndata: evil\n\n",
        "\u{2028}\u{85}\0\u{7f}\u{feff}",
        " x ",
        "日本 \u{1f980}",
        "\"\\",
    ] {
        let value = json!({ text: [text, { "k": text }] });
        assert_eq!(decoded(&Event::new().json(&value).encode().unwrap()), value, "{text:?}");
    }
}

#[test]
fn e3_raw_json_stays_on_one_line() {
    let raw = RawValue::from_string("[1,\r\n2,\n\n \"a\\nb\"]".into()).unwrap();
    let frame = Event::new().json(&raw).encode().unwrap();
    assert_eq!(frame.as_bytes(), b"data: [1,  2,   \"a\\nb\"]\n\n");
    assert_eq!(decoded(&frame), json!([1, 2, "a\nb"]));
}

#[test]
fn a_value_that_cannot_be_serialized_is_a_typed_error() {
    struct Failing;
    impl Serialize for Failing {
        fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            Err(S::Error::custom("the sensor is gone"))
        }
    }
    let error = Event::new().json(&Failing).encode().unwrap_err();
    assert_eq!(error, EncodeError::Json { message: "the sensor is gone".into() });
    assert_eq!(error.to_string(), "the field `data` cannot be serialized as JSON: the sensor is gone");
    let keys = BTreeMap::from([(vec![1], 2)]);
    assert!(matches!(Event::new().json(&keys).encode(), Err(EncodeError::Json { .. })));
    let refused = Event::new().event("a\n").json(&Failing).encode();
    assert_eq!(
        refused,
        Err(EncodeError::LineBreak { field: EncodeField::Event, offset: 1 }),
        "the other fields are checked first"
    );

    let mut hub = Hub::new(HubConfig::default()).unwrap();
    let channel = hub.open_channel(Instant::ORIGIN, "a", ChannelConfig::default()).unwrap();
    let published = hub.publish(Instant::ORIGIN, channel, &Event::new().json(&Failing));
    assert!(matches!(published, Err(PublishError::Encode(EncodeError::Json { .. }))), "{published:?}");
    let published = hub.publish(Instant::ORIGIN, channel, &Event::new().json("x")).unwrap();
    assert_eq!(
        published.frame.as_bytes(),
        b"id: 0-1\ndata: \"x\"\n\n",
        "the failed publication took no position"
    );
}

#[test]
fn the_later_of_data_and_json_replaces_the_earlier() {
    assert_eq!(Event::new().data("a").json(1).encode().unwrap().as_bytes(), b"data: 1\n\n");
    assert_eq!(Event::new().json(1).data("a").encode().unwrap().as_bytes(), b"data: a\n\n");
    assert_eq!(Event::new().json(1).data("a"), Event::new().data("a"));
}

#[test]
fn events_with_equal_json_are_equal() {
    assert_eq!(Event::new().json(1_u8), Event::new().json(1_i64));
    assert_ne!(Event::new().json(1), Event::new().json(2));
    assert_eq!(Event::new().json(1), Event::new().data("1"));
}

#[test]
fn e5_a_frame_with_json_has_its_exact_size() {
    for (len, most) in [(0, 2), (100, 2), (100_000, 13)] {
        let value = "x".repeat(len);
        let mut frame = None;
        let info = measure(|| frame = Some(Event::new().id("7").json(&value).encode().unwrap()));
        let frame = frame.unwrap();
        assert!(info.count_total <= most, "{info:?} for {len} bytes");
        assert_eq!(info.bytes_current, frame.len() as i64, "only the frame stays allocated");
        assert!(info.bytes_max <= 4 * frame.len() as u64 + 256, "{info:?} for {len} bytes");
    }
}

/// Returns an event whose value does not outlive the call.
fn measured(celsius: i32) -> Event<'static> {
    let report = json!({ "celsius": celsius });
    Event::new().json(&report)
}

#[test]
fn an_event_with_json_is_send_and_sync_and_owns_its_data() {
    fn is_send_and_sync<T: Send + Sync + 'static>(_: T) {}
    is_send_and_sync(measured(1));
    assert_eq!(Event::new().json(json!({ "celsius": 1 })), measured(1), "a value, and a reference to it");
}

#[cfg(feature = "std")]
#[test]
fn events_with_json_come_out_of_sources() {
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use sse_core::ConnectionConfig;
    use sse_core::adapter::SourceConnection;
    use sse_core::shared::SharedHub;

    let (hub, _driver) = SharedHub::new("e", HubConfig::default(), || Instant::ORIGIN).unwrap();
    let channel = hub.open_channel("a", ChannelConfig::default()).unwrap();
    let cx = &mut Context::from_waker(Waker::noop());
    let mut values = 1..=2;
    let work = channel.publish_from(|_| Poll::Ready(values.next().map(measured)));
    assert_eq!(pin!(work).poll(cx), Poll::Ready(Ok(None)));
    assert_eq!(channel.stats().unwrap().history_events, 2);

    let config = ConnectionConfig { announce_position: false, ..ConnectionConfig::default() };
    let mut source = SourceConnection::new(hub.connect(config).unwrap(), 7..8);
    let bytes = source.poll_bytes(cx, |values, _| Poll::Ready(values.next().map(measured)));
    assert_eq!(bytes, Poll::Ready(Some(Ok("data: {\"celsius\":7}\n\n".into()))));
}

#[test]
fn a_value_is_serialized_once() {
    use std::sync::atomic::{AtomicU32, Ordering};

    struct Counting<'a>(&'a AtomicU32);
    impl Serialize for Counting<'_> {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.serialize_u32(self.0.fetch_add(1, Ordering::Relaxed))
        }
    }
    let calls = AtomicU32::new(0);
    let event = Event::new().json(Counting(&calls));
    assert_eq!(event.encode().unwrap().as_bytes(), b"data: 0\n\n");
    assert_eq!(event.clone().encode(), event.encode());
    assert_eq!(calls.into_inner(), 1);
}
