//! The rules C1 and C2: decoding.

mod wire;

use std::time::Duration;

use proptest::prelude::*;
use sse_core::{DecodeError, Decoder, Message};
use wire::{Outcome, decode, decode_cut, message, naive};

fn results(stream: &str) -> Vec<Message> {
    decode(stream.as_bytes()).results.into_iter().map(Result::unwrap).collect()
}

/// Asserts that a stream decodes to `expected`, whole and in many different chunks.
fn assert_decodes(decoder: &Decoder, stream: &[u8], cuts: &[usize], expected: &Outcome, name: &str) {
    let mut chunkings = vec![vec![], cuts.to_vec()];
    chunkings.extend((1..=3).map(|size| wire::every(size, stream.len())));
    if stream.len() <= 400 {
        chunkings.extend((0..=stream.len()).map(|cut| vec![cut]));
    }
    for cuts in chunkings {
        let outcome = decode_cut(decoder.clone(), stream, &cuts);
        assert!(outcome == *expected, "{name}, cut at {cuts:?}\n   got {outcome:?}\nwanted {expected:?}");
    }
}

#[test]
fn c1_the_corpus_decodes_as_expected_in_any_chunks() {
    let cases = wire::cases(include_str!("corpus/decoder_cases.json"));
    assert_eq!(cases.len(), 217);
    for case in cases {
        let stream = match case.get("input_base64") {
            Some(input) => wire::base64(input.as_str().unwrap()),
            None => wire::text(&case["input"]).into_bytes(),
        };
        let cuts = case.get("chunks").and_then(|cuts| cuts.as_array().cloned()).unwrap_or_default();
        let cuts: Vec<_> = cuts.iter().map(|cut| wire::number(cut) as usize).collect();
        let initial = case.get("initial_last_event_id").map(wire::text).unwrap_or_default();
        let expected = &case["expected"];
        let expected = Outcome {
            results: wire::messages(&expected["events"]),
            last_event_id: wire::text(&expected["last_event_id"]),
            retry: Some(&expected["retry"]).filter(|retry| !retry.is_null()).map(wire::number),
        };
        let name = case["name"].as_str().unwrap();
        assert_eq!(naive(&stream, &initial, usize::MAX), expected, "{name}: the naive decoder");
        assert_decodes(&Decoder::new().with_last_event_id(&initial), &stream, &cuts, &expected, name);
    }
}

#[test]
fn c1_a_cr_ends_the_block_at_once() {
    let mut decoder = Decoder::new();
    decoder.push(b"data: a\r\r");
    assert_eq!(decoder.next_message(), Some(Ok(message("message", "a", ""))));
    decoder.push(b"\n");
    assert_eq!(decoder.next_message(), None);
    decoder.push(b"data: b\r\n\r");
    assert_eq!(decoder.next_message(), Some(Ok(message("message", "b", ""))));
    decoder.push(b"\ndata: c\n\n");
    assert_eq!(decoder.next_message(), Some(Ok(message("message", "c", ""))));
    assert_eq!(decoder.next_message(), None);
}

#[test]
fn c1_one_byte_order_mark_is_dropped_and_only_at_the_start() {
    let one = Outcome {
        results: vec![Ok(message("message", "a", "")), Ok(message("message", "\u{feff}b", ""))],
        last_event_id: String::new(),
        retry: None,
    };
    let stream = "\u{feff}data: a\n\ndata: \u{feff}b\n\n\u{feff}data: c\n\n";
    assert_decodes(&Decoder::new(), stream.as_bytes(), &[0, 1, 1, 2, 3], &one, "mark");
    assert_eq!(results("\u{feff}\u{feff}data: a\n\n"), []);
}

#[test]
fn c1_malformed_utf8_becomes_one_replacement_for_each_maximal_part() {
    // Unicode standard, section 3.9, table 3-8 and similar cases.
    let data = b"a\xf1\x80\x80\xe1\x80\xc2b\x80c\x80\xbfd\xf0\x9f\x98";
    let stream = [b"data: ", &data[..], b"\r\n\xf0\x9f\x98\x80:\ndata: \xe2\x82\n\n"].concat();
    let text = format!("{}\n\u{fffd}", String::from_utf8_lossy(data));
    assert_eq!(text, "a\u{fffd}\u{fffd}\u{fffd}b\u{fffd}c\u{fffd}\u{fffd}d\u{fffd}\n\u{fffd}");
    let expected = Outcome {
        results: vec![Ok(message("message", &text, ""))],
        last_event_id: String::new(),
        retry: None,
    };
    assert_decodes(&Decoder::new(), &stream, &[], &expected, "malformed");
}

#[test]
fn c1_unknown_fields_are_ignored() {
    let stream = "dat\ndatax: 1\nDATA: 1\n data: 1\ndata : 1\n:data: 1\nevents: x\nretr: 1\nretryy: 1\nid\u{0}: 1\ndata:  2 \n\n";
    assert_eq!(results(stream), [message("message", " 2 ", "")]);
}

#[test]
fn c1_an_id_with_nul_does_not_replace_an_earlier_id() {
    assert_eq!(
        results("id: 1\nid: 2\u{0}\ndata\n\ndata\n\n"),
        [message("message", "", "1"), message("message", "", "1")]
    );
    assert_eq!(results("id: 1\n\nid\ndata\n\n"), [message("message", "", "")]);
}

#[test]
fn c1_an_id_takes_effect_at_its_blank_line() {
    let mut decoder = Decoder::new().with_last_event_id("0");
    assert_eq!(decoder.last_event_id(), "0");
    decoder.push(b"id: 1\n");
    assert_eq!((decoder.next_message(), decoder.last_event_id()), (None, "0"));
    decoder.push(b"\n");
    assert_eq!((decoder.next_message(), decoder.last_event_id()), (None, "1"));
}

#[test]
fn c1_retry_accepts_only_ascii_digits_and_takes_effect_at_once() {
    let mut decoder = Decoder::new();
    let mut retry = |line: &str| {
        decoder.push(line.as_bytes());
        assert_eq!(decoder.next_message(), None);
        decoder.retry()
    };
    assert_eq!(retry("retry: 100"), None);
    assert_eq!(retry("0\n"), Some(Duration::from_secs(1)));
    for line in
        ["retry\n", "retry:\n", "retry: +1\n", "retry: 1 \n", "retry:  1\n", "retry: ١\n", "retry: 1e3\n"]
    {
        assert_eq!(retry(line), Some(Duration::from_secs(1)), "{line:?}");
    }
    assert_eq!(retry("retry:007\n"), Some(Duration::from_millis(7)));
    assert_eq!(retry("retry: 99999999999999999999\n"), Some(Duration::from_millis(u64::MAX)));
    assert_eq!(retry("retry: 0\n"), Some(Duration::ZERO));
}

#[test]
fn c1_messages_stay_until_they_are_taken() {
    let mut decoder = Decoder::new();
    let mut taken = 0;
    for number in 0..1000 {
        decoder.push(format!("data: {number}\n\n").as_bytes());
        if number % 3 == 0 {
            assert_eq!(decoder.next_message().unwrap().unwrap().data, taken.to_string());
            taken += 1;
        }
    }
    while let Some(result) = decoder.next_message() {
        assert_eq!(result.unwrap().data, taken.to_string());
        taken += 1;
    }
    assert_eq!(taken, 1000);
}

#[test]
fn c2_the_limit_counts_the_bytes_of_the_message() {
    let blocks = [
        ("data: 0123456789\n\n", 10),
        ("data: 01234\ndata: 6789\n\n", 10),
        ("data\ndata\ndata\n\n", 2),
        ("event: abc\ndata: 0123456\n\n", 10),
        ("id: abc\ndata: 0123456\n\n", 10),
        ("data: 01\nid: abcd\nevent: efgh\n\n", 10),
        ("event: abcdefgh\nevent: a\ndata: x\n\n", 8),
        ("id: abcdefgh\nid: a\ndata: x\n\n", 8),
        ("data: é\n\n", 2),
    ];
    for (block, size) in blocks {
        for limit in [size - 1, size, size + 1] {
            let expected = naive(block.as_bytes(), "an earlier id does not count", limit);
            assert_eq!(expected.results[0].is_ok(), limit >= size, "{block:?}");
            let decoder = Decoder::with_limit(limit).with_last_event_id("an earlier id does not count");
            assert_decodes(&decoder, block.as_bytes(), &[], &expected, block);
        }
    }
}

#[test]
fn c2_replacements_count_with_their_three_bytes() {
    let stream = b"data: \x80\x80\n\n";
    let too_large = DecodeError::EventTooLarge { limit: 5, id: None };
    assert_eq!(decode_cut(Decoder::with_limit(5), stream, &[]).results, [Err(too_large)]);
    assert!(decode_cut(Decoder::with_limit(6), stream, &[]).results[0].is_ok());
}

#[test]
fn c2_the_decoder_continues_after_a_large_event() {
    let stream = "id: 1\ndata: a\n\nid: 2\nevent: e\ndata: 123456789\nretry: 70\nretry: 123456789\ndata: 123456789\nid: 3\n\ndata: b\n\n";
    let too_large = DecodeError::EventTooLarge { limit: 8, id: Some("2".into()) };
    let expected = Outcome {
        results: vec![Ok(message("message", "a", "1")), Err(too_large), Ok(message("message", "b", "3"))],
        last_event_id: "3".into(),
        retry: Some(70),
    };
    assert_decodes(&Decoder::with_limit(8), stream.as_bytes(), &[], &expected, "large");
}

#[test]
fn c2_a_large_event_is_reported_once_and_at_once() {
    let mut decoder = Decoder::with_limit(100);
    decoder.push(b"data: ");
    assert_eq!(decoder.next_message(), None);
    decoder.push(&[b'x'; 101]);
    let too_large = DecodeError::EventTooLarge { limit: 100, id: None };
    assert_eq!(decoder.next_message(), Some(Err(too_large)));
    for _ in 0..10 {
        assert_eq!(decoder.next_message(), None);
        decoder.push(&[b'x'; 101]);
    }
    decoder.push(b"\rdata: y\r\rdata: z\r\r");
    assert_eq!(decoder.next_message(), Some(Ok(message("message", "z", ""))));
}

#[test]
fn c2_the_id_of_a_large_event_takes_effect() {
    let too_large = |id: Option<&str>| DecodeError::EventTooLarge { limit: 8, id: id.map(String::from) };
    let long = "9".repeat(9);
    // Blocks that exceed the limit, the id in the error, the last event id behind the error and behind the block.
    let blocks = [
        ("id: 7\ndata: 12345678\n\n", Some("7"), "7", "7"),
        ("data: 123456789\nid: 7\n\n", None, "1", "7"),
        ("data: 12345678\nid: 7\n\n", None, "1", "7"),
        ("id: 6\ndata: 12345678\nid: 7\n\n", Some("6"), "6", "7"),
        ("id: 6\ndata: 1234567\nid: 77\n\n", None, "1", "77"),
        ("id: 6\ndata: 1234567\nid: 77\0\n\n", None, "1", "6"),
        ("id\ndata: 123456789\n\n", Some(""), "", ""),
        ("data: 123456789\n\n", None, "1", "1"),
        (&format!("id: 6\nid: {long}\n\n"), None, "1", "1"),
        (&format!("data: {long}\nid: 7\nid: {long}\n\n"), None, "1", "1"),
        (&format!("data: {long}\nid: {long}\nid: 7\n\n"), None, "1", "7"),
        (&format!("id: 7\nretry: {long}\n\n"), Some("7"), "7", "7"),
    ];
    for (block, id, after_error, after_block) in blocks {
        let decoder = Decoder::with_limit(8).with_last_event_id("1");
        let expected =
            Outcome { results: vec![Err(too_large(id))], last_event_id: after_block.into(), retry: None };
        assert_eq!(naive(block.as_bytes(), "1", 8), expected, "{block:?}: the naive decoder");
        assert_decodes(&decoder, block.as_bytes(), &[], &expected, block);
        let mut decoder = decoder;
        decoder.push(block.as_bytes());
        assert_eq!(decoder.next_message(), Some(Err(too_large(id))), "{block:?}");
        assert_eq!(decoder.last_event_id(), after_error, "{block:?}");
    }
}

#[test]
fn c2_the_error_of_a_large_event_names_the_id_and_the_limit() {
    let text =
        |id: Option<&str>| DecodeError::EventTooLarge { limit: 8, id: id.map(String::from) }.to_string();
    assert_eq!(text(None), "an event exceeds the limit of 8 bytes");
    assert_eq!(text(Some("7\u{1b}")), "the event with the id \"7\\u{1b}\" exceeds the limit of 8 bytes");
    assert_eq!(text(Some(&"x".repeat(1 << 20))), "an event exceeds the limit of 8 bytes");
}

#[test]
fn c2_ignored_lines_can_have_any_length() {
    let long = "x".repeat(10_000);
    let stream = format!(":{long}\ndata: a\n{long}\n{long}:{long}\ndatax: {long}\n\n:{long}");
    let expected =
        Outcome { results: vec![Ok(message("message", "a", ""))], last_event_id: String::new(), retry: None };
    assert_decodes(&Decoder::with_limit(1), stream.as_bytes(), &[], &expected, "ignored");
}

#[test]
fn c2_cost_is_linear_in_any_chunks() {
    // A decoder that searched the whole line again for each byte would take hours.
    let line = vec![b'x'; 2 << 20];
    let stream = [b"data: ", &line[..], b"\n\n"].concat();
    let outcome = decode_cut(Decoder::new(), &stream, &wire::every(1, stream.len()));
    assert_eq!(outcome.results[0].as_ref().unwrap().data.len(), line.len());
}

/// Strings that have a meaning in the format, and parts of UTF-8 sequences.
const PARTS: &[&[u8]] = &[
    b"\r",
    b"\n",
    b"\r\n",
    b"\n\n",
    b"data",
    b"data:",
    b"data: ",
    b"event: ",
    b"event:",
    b"id: ",
    b"id:",
    b"id",
    b"retry: ",
    b"retry:",
    b"7",
    b"12",
    b":",
    b" ",
    b"\0",
    b"x",
    b"datax",
    b"\xef\xbb\xbf",
    b"\xef",
    b"\xbb",
    b"\xbf",
    "é😀".as_bytes(),
    b"\xf0\x9f",
    b"\xe2\x82",
    b"\x80",
];

fn streams() -> impl Strategy<Value = Vec<u8>> {
    let part = prop_oneof![
        12 => proptest::sample::select(PARTS).prop_map(<[u8]>::to_vec),
        1 => proptest::collection::vec(any::<u8>(), 0..4),
    ];
    proptest::collection::vec(part, 0..40).prop_map(|parts| parts.concat())
}

proptest! {
    #[test]
    fn c1_any_stream_decodes_like_the_naive_decoder(
        stream in streams(), cuts in proptest::collection::vec(any::<proptest::sample::Index>(), 0..10), bom in any::<bool>(),
    ) {
        let stream = if bom { [&b"\xef\xbb\xbf"[..], &stream].concat() } else { stream };
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
        cuts.sort_unstable();
        let decoder = Decoder::new().with_last_event_id("0");
        prop_assert_eq!(decode_cut(decoder, &stream, &cuts), naive(&stream, "0", usize::MAX));
    }

    #[test]
    fn c2_any_stream_decodes_like_the_naive_decoder_with_any_limit(
        stream in streams(), cuts in proptest::collection::vec(any::<proptest::sample::Index>(), 0..10), limit in 0_usize..20,
    ) {
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
        cuts.sort_unstable();
        let outcome = decode_cut(Decoder::with_limit(limit), &stream, &cuts);
        prop_assert_eq!(outcome, naive(&stream, "", limit));
    }
}
