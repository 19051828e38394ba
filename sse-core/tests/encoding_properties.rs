//! The rules E2, E4 and E6 for generated texts and bytes.

mod wire;

use std::time::Duration;

use proptest::prelude::*;
use sse_core::{Decoder, Event, Frame};
use wire::{Outcome, decode, message};

/// Returns the text that a decoder returns for `text`: each line break becomes LF (E2).
fn normalised(text: &str) -> String {
    text.replace("\r\n", "\n").replace('\r', "\n")
}

fn is_valid_id(id: &str) -> bool {
    id.len() <= 1024 && id.trim() == id && !id.chars().any(char::is_control)
}

/// Strings that have a meaning in the format.
const TEXTS: &[&str] = &["\r", "\n", "\r\n", " ", ":", "data", "id: 7", "event:", "\u{feff}", "\0"];

fn strings() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        4 => proptest::sample::select(TEXTS).prop_map(String::from),
        1 => any::<String>(),
        1 => "[a-z0-9é]{0,3}",
    ];
    proptest::collection::vec(part, 0..8).prop_map(|parts| parts.concat())
}

const PARTS: &[&[u8]] = &[
    b"\r",
    b"\n",
    b"\r\n",
    b"\n\n",
    b"\r",
    b"\n",
    b"id",
    b"id:",
    b"id: 8",
    b" 7",
    b":",
    b"data: x",
    b"data",
    b"\0",
    b" ",
    b"\xef\xbb\xbf",
    b"\xc3",
];
const ENDS: &[&str] = &["", "\n", "\n\n", "\r\r", "\r\n\r\n", "\n\r"];

fn raw_blocks() -> impl Strategy<Value = Vec<u8>> {
    let parts = proptest::collection::vec(proptest::sample::select(PARTS), 0..8);
    (parts, proptest::sample::select(ENDS))
        .prop_map(|(parts, end)| [&parts.concat(), end.as_bytes()].concat())
}

/// The longest reconnection time in milliseconds (E3).
const MAX_RETRY: u64 = (1 << 31) - 1;

/// Returns whether a frame may have this value of a `retry` line. Decoders ignore values that are no numbers.
fn is_valid_retry(value: &str) -> bool {
    let is_number = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
    !is_number || value.trim_start_matches('0').len() <= 10 && value.parse::<u64>().unwrap() <= MAX_RETRY
}

proptest! {
    #[test]
    fn e2_any_event_decodes_unchanged_or_is_refused(
        id in proptest::option::of(strings()), event in proptest::option::of(strings()),
        data in proptest::option::of(strings()), retry in proptest::option::of(any::<u64>()),
        comment in proptest::option::of(strings()),
    ) {
        let mut built = Event::new();
        if let Some(id) = &id { built = built.id(id) }
        if let Some(event) = &event { built = built.event(event) }
        if let Some(data) = &data { built = built.data(data) }
        if let Some(retry) = retry { built = built.retry(Duration::from_millis(retry)) }
        if let Some(comment) = &comment { built = built.comment(comment) }

        let refused = id.as_ref().is_some_and(|id| !is_valid_id(id))
            || event.as_ref().is_some_and(|event| event.contains(['\r', '\n']))
            || retry.is_some_and(|millis| millis > MAX_RETRY);
        let encoded = built.encode();
        prop_assert_eq!(encoded.is_err(), refused);
        if let Ok(frame) = encoded {
            prop_assert_eq!(frame.id(), id.as_deref());
            let id = id.unwrap_or_default();
            let name = event.filter(|event| !event.is_empty()).unwrap_or("message".into());
            let results = data.iter().map(|data| Ok(message(&name, &normalised(data), &id))).collect();
            prop_assert_eq!(decode(frame.as_bytes()), Outcome { results, last_event_id: id, retry });
            prop_assert_eq!(Frame::parse(frame.as_bytes().to_vec()), Ok(frame));
        }
    }

    #[test]
    fn e6_parse_accepts_exactly_what_a_decoder_reads_as_one_block(raw in raw_blocks()) {
        let is_block = std::str::from_utf8(&raw).is_ok_and(|text| {
            let (lines, unfinished) = wire::naive_lines(text.as_bytes());
            let ids = lines.iter().filter_map(|line| match line.split_once(':') {
                Some(("id", value)) => Some(value.strip_prefix(' ').unwrap_or(value)),
                _ => None,
            });
            let retries = lines.iter().filter_map(|line| match line.split_once(':') {
                Some(("retry", value)) => Some(value.strip_prefix(' ').unwrap_or(value)),
                _ => None,
            });
            !text.starts_with('\u{feff}')
                && unfinished.is_empty()
                && lines.iter().position(String::is_empty) == lines.len().checked_sub(1)
                && ids.into_iter().all(is_valid_id)
                && retries.into_iter().all(is_valid_retry)
        });
        let frame = Frame::parse(raw.clone());
        prop_assert_eq!(frame.is_ok(), is_block && !raw.is_empty());
        if let Ok(frame) = frame {
            let outcome = wire::decode_cut(Decoder::new().with_last_event_id("before"), &raw, &[]);
            prop_assert_eq!(frame.id().unwrap_or("before"), &outcome.last_event_id);
            let other = frame.with_id("new").unwrap();
            prop_assert_eq!(other.id(), Some("new"));
            prop_assert_eq!(Frame::parse(other.as_bytes().to_vec()), Ok(other.clone()));
            let data = |outcome: Outcome| -> Vec<_> { outcome.results.into_iter().map(|m| m.unwrap().data).collect() };
            prop_assert_eq!(data(decode(other.as_bytes())), data(outcome));
        }
    }

    #[test]
    fn e6_concatenated_frames_decode_like_separate_frames(
        blocks in proptest::collection::vec(prop_oneof![raw_blocks(), Just(b"\n".to_vec()), Just(b":\n\n".to_vec())], 0..6),
    ) {
        let mut decoder = Decoder::new();
        let (mut stream, mut expected) = (Vec::new(), Vec::new());
        for frame in blocks.into_iter().filter_map(|raw| Frame::parse(raw).ok()) {
            // A separate decoder with the last event id decodes the frame alone.
            let alone = Decoder::new().with_last_event_id(decoder.last_event_id());
            let alone = wire::decode_cut(alone, frame.as_bytes(), &[]);
            decoder = decoder.with_last_event_id(&alone.last_event_id);
            expected.extend(alone.results);
            stream.extend_from_slice(frame.as_bytes());
        }
        prop_assert_eq!(decode(&stream).results, expected);
    }
}
