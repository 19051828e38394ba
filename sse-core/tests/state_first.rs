//! A page that renders the state of the application and goes on from there, while threads change that state.
#![cfg(feature = "std")]

mod clocked;

use std::sync::{Arc, Barrier, Mutex};
use std::task::{Context, Poll, Waker};
use std::thread;

use clocked::World;
use sse_core::shared::{Channel, Outbound, SharedHub};
use sse_core::{ChannelConfig, ConnectionConfig, Decoder, Event, HistoryConfig, Hub, HubConfig};
use sse_core::{Instant, Position, PositionSource, PublishOptions};

const THREADS: usize = 4;
const CHANGES: usize = 2_000;
const PAGES: usize = 200;

/// The state of the application: a counter of each thread.
type State = Mutex<[usize; THREADS]>;

/// Changes the state and publishes the change, under one lock.
fn change(state: &State, channel: &Channel, thread: usize) {
    let mut state = state.lock().unwrap();
    state[thread] += 1;
    channel.publish(&Event::new().data(format!("{thread} {}", state[thread]))).unwrap();
}

/// What a page shows, and the id from which it follows.
fn render(state: &State, hub: &SharedHub) -> ([usize; THREADS], String) {
    let state = state.lock().unwrap();
    (*state, hub.resume_id())
}

fn follow(hub: &SharedHub, channel: &Channel, id: &str) -> Outbound {
    let last_event_id = Some(id.into());
    let outbound =
        hub.connect(ConnectionConfig { last_event_id, ping: None, ..ConnectionConfig::default() }).unwrap();
    outbound.subscribe(channel).unwrap();
    outbound
}

/// Applies the changes that a page receives. Each is one more than what the page shows: no hole, and nothing twice.
fn apply(shown: &mut [usize; THREADS], outbound: &mut Outbound) {
    let mut decoder = Decoder::new();
    while let Poll::Ready(Some(bytes)) = outbound.poll_bytes(&mut Context::from_waker(Waker::noop())) {
        decoder.push(&bytes);
        while let Some(message) = decoder.next_message() {
            let message = message.unwrap();
            assert_eq!(message.event, "message", "a reset");
            let (thread, count) = message.data.split_once(' ').unwrap();
            let shown = &mut shown[thread.parse::<usize>().unwrap()];
            assert_eq!(count.parse(), Ok(*shown + 1), "thread {thread}");
            *shown += 1;
        }
    }
}

#[test]
fn o3_a_page_that_renders_the_state_first_ends_with_the_true_state() {
    let mut w = World::new();
    let config = ChannelConfig { history: HistoryConfig::whole(64 << 20), ..ChannelConfig::default() };
    let channel = w.hub.open_channel("state", config).unwrap();
    let (state, start) = (Arc::new(State::default()), Arc::new(Barrier::new(THREADS + 1)));
    let threads: Vec<_> = (0..THREADS)
        .map(|thread| {
            let (state, channel, start) = (Arc::clone(&state), channel.clone(), Arc::clone(&start));
            thread::spawn(move || {
                start.wait();
                (0..CHANGES).for_each(|_| change(&state, &channel, thread));
            })
        })
        .collect();
    start.wait();
    let mut pages = Vec::new();
    for _ in 0..PAGES {
        let (shown, id) = render(&state, &w.hub);
        thread::yield_now();
        pages.push((shown, follow(&w.hub, &channel, &id)));
    }
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    w.drive();
    for (mut shown, mut outbound) in pages {
        apply(&mut shown, &mut outbound);
        assert_eq!(shown, [CHANGES; THREADS]);
    }
}

#[test]
fn o4_with_external_positions_the_event_of_the_head_can_still_come() {
    let positions = PositionSource::External { after: Position::new(3) };
    let mut hub = Hub::new(HubConfig { epoch: "e".into(), positions, ..HubConfig::default() }).unwrap();
    let now = Instant::ORIGIN;
    assert_eq!(hub.resume_id(), "e-3");
    let [a, b] = ["a", "b"].map(|name| hub.open_channel(now, name, ChannelConfig::default()).unwrap());
    let frame = Event::new().data("both").encode().unwrap();
    hub.publish_at(now, &[a], Position::new(7), &frame, PublishOptions::default()).unwrap();
    let id = hub.resume_id();
    assert_eq!(id, "e-6");
    let config = ConnectionConfig { last_event_id: Some((&*id).into()), ..ConnectionConfig::default() };
    let connection = hub.connect(now, config).unwrap();
    hub.subscribe(now, b, connection).unwrap();
    hub.publish_at(now, &[b], Position::new(7), &frame, PublishOptions::default()).unwrap();
    assert_eq!(bytes::Buf::chunk(&hub.transmit(now, connection)), b"id: e-7\ndata: both\n\n");
}
