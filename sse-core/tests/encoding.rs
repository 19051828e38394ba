//! The rules E1 to E6: encoding.

mod wire;

use std::time::Duration;

use serde_json::Value;
use sse_core::{
    ChannelConfig, EncodeError, EncodeField, Event, Frame, FrameError, Hub, HubConfig, Instant, LastEventId,
    PublishError,
};
use wire::{Outcome, decode};

fn bytes(event: Event<'_>) -> String {
    String::from_utf8(event.encode().unwrap().as_bytes().to_vec()).unwrap()
}

fn parse(raw: &str) -> Result<Frame, FrameError> {
    Frame::parse(raw.to_owned())
}

/// Builds an event of the corpus.
fn event(value: &Value) -> Event<'static> {
    let mut event = Event::new();
    for (name, value) in value.as_object().unwrap() {
        event = match name.as_str() {
            "id" => event.id(wire::text(value)),
            "event" => event.event(wire::text(value)),
            "data" => event.data(wire::text(value)),
            "comment" => event.comment(wire::text(value)),
            "retry" => event.retry(Duration::from_millis(wire::number(value))),
            name => panic!("unknown field {name}"),
        };
    }
    event
}

#[test]
fn e1_wire_order_is_id_event_data_retry_comment() {
    let event = Event::new().comment("c").retry(Duration::from_millis(5)).data("d").event("e").id("i");
    assert_eq!(bytes(event), "id: i\nevent: e\ndata: d\nretry: 5\n: c\n\n");
}

#[test]
fn e1_a_colon_is_followed_by_exactly_one_space() {
    assert_eq!(bytes(Event::new().id("").event("").data("").comment("")), "id: \nevent: \ndata: \n: \n\n");
    assert_eq!(bytes(Event::new().event(" e").data(" d")), "event:  e\ndata:  d\n\n");
}

#[test]
fn e1_an_event_without_fields_is_a_blank_line() {
    assert_eq!(bytes(Event::new()), "\n");
}

#[test]
fn e1_the_bytes_are_those_of_sse_stringify() {
    let cases = wire::cases(include_str!("corpus/sse_stringify_golden.json"));
    assert_eq!(cases.len(), 80);
    for case in cases {
        assert_eq!(bytes(event(&case["event"])), case["wire"].as_str().unwrap(), "{case}");
    }
}

#[test]
fn e2_each_line_of_data_becomes_a_data_line() {
    assert_eq!(bytes(Event::new().data("a\nb\rc\r\nd")), "data: a\ndata: b\ndata: c\ndata: d\n\n");
    assert_eq!(bytes(Event::new().data("a\r\r\nb\n\rc")), "data: a\ndata: \ndata: b\ndata: \ndata: c\n\n");
}

#[test]
fn e2_trailing_line_breaks_survive() {
    for ending in ["\n", "\r", "\r\n"] {
        assert_eq!(bytes(Event::new().data(format!("a{ending}"))), "data: a\ndata: \n\n");
        assert_eq!(bytes(Event::new().data(ending)), "data: \ndata: \n\n");
    }
}

#[test]
fn e2_only_cr_and_lf_break_lines() {
    let text = "a\u{b}b\u{c}c\u{1c}d\u{1e}e\u{85}f\u{2028}g\u{2029}h\0i";
    assert_eq!(bytes(Event::new().data(text)), format!("data: {text}\n\n"));
}

#[test]
fn e2_data_of_any_length_is_split() {
    // Longer than any vector register, with line breaks at every distance.
    for len in 0..200 {
        let data = format!("{}\r\n{}\r{}\n", "x".repeat(len), "y".repeat(len / 2), "z".repeat(200 - len));
        let wire = data.replace("\r\n", "\n").replace('\r', "\n").replace('\n', "\ndata: ");
        assert_eq!(bytes(Event::new().data(data)), format!("data: {wire}\n\n"));
    }
}

#[test]
fn e2_any_number_of_lines_is_split() {
    // Around the number of line ends that the encoder records while it measures.
    for breaks in 1020..1030 {
        for rest in ["", "rest", "rest\r\nand\rmore\n"] {
            let lines = (0..breaks).map(|line| format!("{line}{}", ["\n", "\r", "\r\n"][line % 3]));
            let data = format!("{}{rest}", lines.collect::<String>());
            let wire = data.replace("\r\n", "\n").replace('\r', "\n").replace('\n', "\ndata: ");
            assert_eq!(bytes(Event::new().data(data)), format!("data: {wire}\n\n"));
        }
    }
}

#[test]
fn e3_a_line_break_is_an_error_with_field_and_offset() {
    for line_break in ["\r", "\n", "\r\n"] {
        let value = format!("é{line_break}data: evil\n\n");
        let error = |field| Err(EncodeError::LineBreak { field, offset: 2 });
        assert_eq!(Event::new().id(value.as_str()).encode(), error(EncodeField::Id));
        assert_eq!(Event::new().event(value.as_str()).encode(), error(EncodeField::Event));
    }
    // An id that breaks E3 and E4 is reported as breaking E3.
    let long = format!("{}\n", " ".repeat(2000));
    let error = EncodeError::LineBreak { field: EncodeField::Id, offset: 2000 };
    assert_eq!(error.to_string(), "the id contains a line break at byte 2000");
    let of_name = EncodeError::LineBreak { field: EncodeField::Event, offset: 1 };
    assert_eq!(of_name.to_string(), "the event's name contains a line break at byte 1");
    assert_eq!(Event::new().id(long).encode(), Err(error));
}

#[test]
fn e3_each_line_of_a_comment_is_a_comment() {
    assert_eq!(bytes(Event::new().comment("a\rdata: b\r\n\nid: c\n")), ": a\n: data: b\n: \n: id: c\n: \n\n");
}

#[test]
fn e3_an_event_that_cannot_be_encoded_is_not_published() {
    let mut hub = Hub::new(HubConfig::default()).unwrap();
    let channel = hub.open_channel(Instant::ORIGIN, "a", ChannelConfig::default()).unwrap();
    let refused = hub.publish(Instant::ORIGIN, channel, &Event::new().event("a\nb"));
    let error = EncodeError::LineBreak { field: EncodeField::Event, offset: 1 };
    assert_eq!(refused, Err(PublishError::Encode(error)));
    assert_eq!(hub.head().get(), 0);
}

#[test]
fn e3_all_other_characters_in_a_name_are_kept() {
    assert_eq!(bytes(Event::new().event("\0 :é\u{2028}\t ")), "event: \0 :é\u{2028}\t \n\n");
}

#[test]
fn e3_retry_is_whole_milliseconds() {
    let retry = |retry| Event::new().retry(retry).encode();
    assert_eq!(retry(Duration::ZERO).unwrap().as_bytes(), b"retry: 0\n\n");
    assert_eq!(retry(Duration::from_micros(1_999)).unwrap().as_bytes(), b"retry: 1\n\n");
}

#[test]
fn e3_a_retry_that_overflows_the_timers_of_clients_is_refused() {
    let retry = |retry| Event::new().retry(retry).encode();
    let max = Event::MAX_RETRY;
    assert_eq!(max.as_millis(), (1 << 31) - 1);
    assert_eq!(retry(max).unwrap().as_bytes(), b"retry: 2147483647\n\n");
    assert_eq!(Frame::retry(max).unwrap().as_bytes(), b"retry: 2147483647\n");
    for more in [max + Duration::from_millis(1), Duration::MAX] {
        assert!(matches!(retry(more), Err(EncodeError::RetryTooLong { .. })));
        assert!(matches!(Frame::retry(more), Err(EncodeError::RetryTooLong { .. })));
    }
    let error = retry(max + Duration::from_millis(1)).unwrap_err();
    assert_eq!(error.to_string(), "the field `retry` is 2147483648 ms, the limit is 2147483647 ms");
    let parsed = Frame::parse("data: x\nretry: 2147483648\n\n");
    let EncodeError::RetryTooLong { .. } = error else { unreachable!() };
    assert_eq!(parsed, Err(FrameError::Retry(error)));
    assert!(Frame::parse("retry: 2147483647\n\n").is_ok());
    assert!(Frame::parse("retry: -2147483648\n\n").is_ok(), "decoders ignore it");
    assert!(Frame::parse(format!("retry: {}\n\n", "9".repeat(30))).is_err());
}

#[test]
fn e4_control_characters_are_refused() {
    let controls = (0..=0x9f).filter_map(char::from_u32).filter(|char| char.is_control());
    for control in controls.filter(|char| !matches!(char, '\r' | '\n')) {
        let error = Err(EncodeError::IdControl { offset: 3 });
        assert_eq!(Event::new().id(format!("aé{control}b")).encode(), error, "{control:?}");
    }
}

#[test]
fn e4_outer_white_space_is_refused() {
    for space in [' ', '\u{a0}', '\u{2003}', '\u{2028}', '\u{3000}'] {
        for id in [format!("{space}a"), format!("a{space}"), space.to_string()] {
            assert_eq!(Event::new().id(id).encode(), Err(EncodeError::IdWhiteSpace), "{space:?}");
        }
        assert!(Event::new().id(format!("a{space}b")).encode().is_ok());
    }
}

#[test]
fn e4_an_id_has_at_most_1024_bytes() {
    assert_eq!(LastEventId::MAX_BYTES, 1024);
    assert!(Event::new().id("é".repeat(512)).encode().is_ok());
    let error = EncodeError::IdTooLong { len: 1025, max: 1024 };
    assert_eq!(error.to_string(), "the id has 1025 bytes, the limit is 1024");
    assert_eq!(Event::new().id(format!("{}x", "é".repeat(512))).encode(), Err(error));
}

#[test]
fn e4_all_other_ids_are_kept() {
    for id in ["", "0", "a:b", "é", "\u{feff}", "日本", "a b"] {
        let frame = Event::new().id(id).data("x").encode().unwrap();
        assert_eq!(frame.id(), Some(id));
        assert_eq!(decode(frame.as_bytes()).last_event_id, id);
    }
    assert_eq!(Event::new().data("id: 7").encode().unwrap().id(), None);
}

#[test]
fn e3_e4_events_of_the_corpus_decode_as_expected_or_are_refused() {
    let cases = wire::cases(include_str!("corpus/encoder_cases.json"));
    assert_eq!(cases.len(), 68);
    for case in cases {
        let encoded = event(&case["event"]).encode();
        if case.get("must_reject").is_some() {
            assert!(encoded.is_err(), "{case}");
            continue;
        }
        let expected = Outcome {
            results: wire::messages(&case["expected"]),
            last_event_id: wire::text(&case["expected_last_event_id"]),
            retry: case["expected_retry"].as_u64(),
        };
        let frame = encoded.unwrap();
        assert_eq!(decode(frame.as_bytes()), expected, "{}", case["name"]);
        assert_eq!(Frame::parse(frame.as_bytes().to_vec()), Ok(frame), "{}", case["name"]);
    }
}

#[test]
fn e6_one_block_with_any_line_ends_is_a_frame() {
    for ending in ["\n", "\r", "\r\n"] {
        for block in ["", "data", "data: x|: y|unknown", ":|:|:"] {
            let raw = format!("{block}||").replace("||", if block.is_empty() { "|" } else { "||" });
            let raw = raw.replace('|', ending);
            let frame = parse(&raw).unwrap();
            assert_eq!(frame.as_bytes(), raw.as_bytes());
            assert_eq!(frame.len(), raw.len());
            assert_eq!((frame.id(), frame.is_live_only()), (None, false));
        }
    }
}

#[test]
fn e6_unterminated_blocks_are_refused() {
    for raw in ["", "data: x", "data: x\n", "data: x\r", "data: x\r\n", "\r\ndata", ":"] {
        let error = match raw {
            "\r\ndata" => FrameError::SeveralBlocks { offset: 2 },
            raw => FrameError::Unterminated { len: raw.len() },
        };
        assert_eq!(parse(raw), Err(error), "{raw:?}");
    }
}

#[test]
fn e6_several_blocks_are_refused() {
    let cases = [
        ("a\n\nb\n\n", 3),
        ("\n\n", 1),
        ("\r\r", 1),
        ("\n\r", 1),
        ("\r\n\n", 2),
        ("a\r\n\r\n\r\n", 5),
        ("a\n\n:", 3),
    ];
    for (raw, offset) in cases {
        assert_eq!(parse(raw), Err(FrameError::SeveralBlocks { offset }), "{raw:?}");
    }
}

#[test]
fn e6_invalid_utf8_and_byte_order_marks_are_refused() {
    assert_eq!(parse("\u{feff}data: x\n\n"), Err(FrameError::ByteOrderMark));
    assert!(parse("data: \u{feff}\n\n").is_ok());
    let raw: &'static [u8] = b"data: \xe2\x82\n\n";
    assert_eq!(Frame::parse(raw), Err(FrameError::InvalidUtf8 { offset: 6 }));
}

#[test]
fn e6_ids_that_e4_refuses_are_refused() {
    assert_eq!(parse("id: a\0\n\n"), Err(FrameError::Id(EncodeError::IdControl { offset: 1 })));
    assert_eq!(parse("id: a\nid: b \n\n"), Err(FrameError::Id(EncodeError::IdWhiteSpace)));
    // An invalid id is refused even if a valid one follows.
    assert_eq!(parse("id:  a\nid: b\n\n"), Err(FrameError::Id(EncodeError::IdWhiteSpace)));
    let long = format!("id: {}\n\n", "i".repeat(1025));
    assert_eq!(parse(&long), Err(FrameError::Id(EncodeError::IdTooLong { len: 1025, max: 1024 })));
}

#[test]
fn e6_the_last_id_line_is_the_id() {
    let cases = [
        ("id: 7\n\n", "7"),
        ("id:7\r\n\r\n", "7"),
        ("data: x\rid: a:b\r\r", "a:b"),
        ("id: 7\nid: 8\n\n", "8"),
        ("id: 7\nid\n\n", ""),
        ("id: 7\nid:\n\n", ""),
        ("id: 7\nid: \n\n", ""),
        ("id: 7\nid : 8\nID: 9\nidx: 9\n\n", "7"),
    ];
    for (raw, id) in cases {
        let frame = parse(raw).unwrap();
        assert_eq!(frame.id(), Some(id), "{raw:?}");
        assert_eq!(decode(frame.as_bytes()).last_event_id, id, "{raw:?}");
    }
}

#[test]
fn e6_with_id_puts_the_new_id_in_front_and_removes_all_others() {
    let cases = [
        ("\n", "id: é\n\n"),
        ("data: x\n\n", "id: é\ndata: x\n\n"),
        ("id: 7\ndata: x\n\n", "id: é\ndata: x\n\n"),
        ("data: x\nid\nid: 8\nid:9\n: c\n\n", "id: é\ndata: x\n: c\n\n"),
        ("data: x\r\n:\r\r\n", "id: é\ndata: x\n:\n\n"),
        // Without the id line, the CR and the LF would be one line end.
        ("data: x\rid: 7\n\n", "id: é\ndata: x\n\n"),
    ];
    for (raw, wire) in cases {
        let frame = parse(raw).unwrap().with_id("é").unwrap();
        assert_eq!(frame.as_bytes(), wire.as_bytes(), "{raw:?}");
        assert_eq!(frame.id(), Some("é"));
        assert_eq!(parse(wire), Ok(frame));
    }
    let frame = parse("data: x\n\n").unwrap();
    assert_eq!(frame.with_id("a\n"), Err(EncodeError::LineBreak { field: EncodeField::Id, offset: 1 }));
    assert_eq!(frame.with_id("a "), Err(EncodeError::IdWhiteSpace));
}

#[test]
fn e6_with_id_and_clone_keep_the_live_only_mark() {
    let live = Event::new().data("x").live_only().encode().unwrap();
    assert!(live.is_live_only() && live.clone().with_id("7").unwrap().is_live_only());
    let parsed = parse("data: x\n\n").unwrap();
    assert!(!parsed.is_live_only() && parsed != live);
    assert_eq!(parsed.live_only(), live);
}
