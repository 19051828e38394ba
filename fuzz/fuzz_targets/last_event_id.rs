//! Whatever bytes a peer gives as its last event id: the hub answers, never with more than a known client would get (H4,
//! H6, X2).
#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use sse_core::{
    ChannelConfig, ConnectionConfig, Event, GapPolicy, HistoryConfig, Hub, HubConfig, Instant, LastEventId,
    Resume,
};

#[path = "../../sse-core/tests/wire/naive.rs"]
#[allow(dead_code, reason = "the tests use the rest")]
mod naive;

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    value: &'a [u8],
    kept: u8,
    published: u8,
    /// Gives every other event the id of the application that the peer will claim.
    claims_known: bool,
    policy: u8,
}

fuzz_target!(|input: Input<'_>| {
    let now = Instant::ORIGIN;
    let mut hub =
        Hub::new(HubConfig { epoch: "e".into(), ..HubConfig::default() }).expect("the epoch is good");
    let config = ChannelConfig {
        history: HistoryConfig { events: usize::from(input.kept), ..HistoryConfig::default() },
        on_gap: [GapPolicy::Reset, GapPolicy::Kept, GapPolicy::Live][usize::from(input.policy % 3)],
        ..ChannelConfig::default()
    };
    let channel = hub.open_channel(now, "a", config).expect("there is room");
    let claimed = LastEventId::new(input.value);
    for number in 0..input.published {
        let mut event = Event::new().data("x");
        if let Some(id) = claimed.as_ref().and_then(LastEventId::as_str)
            && input.claims_known
            && number % 2 == 0
        {
            event = event.id(id.to_owned());
        }
        let _ = hub.publish(now, channel, &event);
    }
    let kept = hub.channel_stats(channel).map_or(0, |stats| stats.history_events);
    let config = ConnectionConfig { last_event_id: claimed.clone(), ..ConnectionConfig::default() };
    let connection = hub.connect(now, config).expect("there is room");
    let resume = hub.subscribe(now, channel, connection).expect("both are open");

    let mut window = hub.transmit(now, connection);
    let due = bytes::take_all(&mut window);
    let received = naive::decode(&due).results;
    let events =
        received.iter().filter(|message| message.as_ref().is_ok_and(|m| m.event == "message")).count();
    assert!(events <= kept, "{events} of {kept}");
    match resume {
        Resume::Fresh => assert!(claimed.is_none() && events == 0),
        Resume::UpToDate => assert_eq!(events, 0),
        Resume::Replayed { events: promised } | Resume::Gap { events: promised, .. } => {
            assert_eq!(events, promised)
        }
        Resume::Unknown => assert_eq!(events, 0, "a new connection would get nothing"),
        _ => {}
    }
});

mod bytes {
    use sse_core::bytes::Buf;

    pub fn take_all(window: &mut impl Buf) -> Vec<u8> {
        let mut taken = Vec::new();
        while window.has_remaining() {
            let chunk = window.chunk();
            taken.extend_from_slice(chunk);
            let count = chunk.len();
            window.advance(count);
        }
        taken
    }
}
