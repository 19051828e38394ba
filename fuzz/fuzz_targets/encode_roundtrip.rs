//! Any strings encode to a frame that decodes to exactly one equal event, or to the error that the rules require (E1 to
//! E6).
#![no_main]

use std::time::Duration;

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use sse_core::{Event, Frame, LastEventId};

#[path = "../../sse-core/tests/wire/naive.rs"]
#[allow(dead_code, reason = "the tests use the other helpers")]
mod naive;

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    id: Option<&'a str>,
    event: Option<&'a str>,
    data: Option<&'a str>,
    retry: Option<u64>,
    comment: Option<&'a str>,
    other_id: &'a str,
}

fuzz_target!(|input: Input<'_>| {
    let mut event = Event::new();
    if let Some(id) = input.id {
        event = event.id(id);
    }
    if let Some(name) = input.event {
        event = event.event(name);
    }
    if let Some(data) = input.data {
        event = event.data(data);
    }
    if let Some(retry) = input.retry {
        event = event.retry(Duration::from_millis(retry));
    }
    if let Some(comment) = input.comment {
        event = event.comment(comment);
    }
    let may_be_encoded = input.id.is_none_or(is_id)
        && !input.event.is_some_and(|name| name.contains(['\r', '\n']))
        && input.retry.is_none_or(|millis| u128::from(millis) <= Event::MAX_RETRY.as_millis());
    let encoded = event.encode();
    assert_eq!(encoded.is_ok(), may_be_encoded, "{encoded:?}");
    let Ok(frame) = encoded else { return };

    let name = input.event.filter(|name| !name.is_empty()).unwrap_or("message");
    let read_back = |id: &str| {
        let data = input.data.map(|data| data.replace("\r\n", "\n").replace('\r', "\n"));
        naive::Outcome {
            results: data.iter().map(|data| Ok(naive::message(name, data, id))).collect(),
            last_event_id: id.to_owned(),
            retry: input.retry,
        }
    };
    assert_eq!(naive::decode(frame.as_bytes()), read_back(input.id.unwrap_or_default()));
    assert_eq!(frame.id(), input.id);
    assert_eq!(Frame::parse(frame.as_bytes().to_vec()).as_ref(), Ok(&frame));

    let renamed = frame.with_id(input.other_id);
    assert_eq!(renamed.is_ok(), is_id(input.other_id), "{renamed:?}");
    if let Ok(renamed) = renamed {
        assert_eq!(naive::decode(renamed.as_bytes()), read_back(input.other_id));
    }
});

/// Returns whether a `Last-Event-ID` header can carry the id (E4).
fn is_id(id: &str) -> bool {
    id.len() <= LastEventId::MAX_BYTES && id.trim() == id && !id.contains(char::is_control)
}
