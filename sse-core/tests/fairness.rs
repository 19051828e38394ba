//! Nobody waits behind a busy channel: D10.
mod common;

use common::{World, without_position};
use sse_core::{Action, ChannelId, ConnectionId};

/// A channel with this many members that have taken everything.
fn busy_channel(w: &mut World, members: usize) -> (ChannelId, Vec<ConnectionId>) {
    let busy = w.open("busy");
    let members: Vec<_> = (0..members)
        .map(|_| {
            let c = w.connect_with(without_position());
            w.subscribe(busy, c);
            c
        })
        .collect();
    w.actions();
    (busy, members)
}

/// Polls one action, and takes everything of a reported connection.
fn poll(w: &mut World) -> Option<ConnectionId> {
    loop {
        match w.hub.poll_action() {
            Some(Action::Transmit(connection)) => {
                w.take(connection);
                return Some(connection);
            }
            Some(_) => {}
            None => return None,
        }
    }
}

/// Returns the number of actions until `wanted` is reported, while the channel is published to after every action.
fn actions_until(w: &mut World, busy: ChannelId, wanted: ConnectionId) -> usize {
    for actions in 1..=1_000 {
        w.publish(busy, "x");
        if poll(w) == Some(wanted) {
            return actions;
        }
    }
    panic!("the connection was never reported");
}

#[test]
fn d10_a_direct_send_does_not_wait_for_a_busy_channel() {
    let mut w = World::new();
    let (busy, _members) = busy_channel(&mut w, 300);
    let c = w.connect_with(without_position());
    w.publish(busy, "x");
    w.send(c, "only you");
    assert!(actions_until(&mut w, busy, c) <= 128);
}

#[test]
fn d10_a_replay_does_not_wait_for_a_busy_channel() {
    let mut w = World::new();
    let (busy, _members) = busy_channel(&mut w, 300);
    let quiet = w.open("quiet");
    w.publish(quiet, "1");
    w.publish(quiet, "2");
    w.publish(busy, "x");
    let c = w.reconnect("e-1");
    w.subscribe(quiet, c);
    assert!(actions_until(&mut w, busy, c) <= 128);
}

#[test]
fn d10_a_small_channel_does_not_wait_for_the_sweep_of_a_large_one() {
    let mut w = World::new();
    let (busy, _members) = busy_channel(&mut w, 5_000);
    let small = w.open("small");
    let c = w.connect_with(without_position());
    w.subscribe(small, c);
    w.actions();
    w.publish(busy, "x");
    w.publish(small, "y");
    let actions = (1..).find(|_| poll(&mut w) == Some(c)).unwrap();
    assert!(actions <= 128, "{actions} actions");
}

#[test]
fn d10_every_channel_has_its_turn() {
    let mut w = World::new();
    let (busy, members) = busy_channel(&mut w, 200);
    let others: Vec<_> = (0..5)
        .map(|number| {
            let channel = w.open(&format!("other {number}"));
            let c = w.connect_with(without_position());
            w.subscribe(channel, c);
            (channel, c)
        })
        .collect();
    w.actions();
    w.publish(busy, "x");
    for (channel, _) in &others {
        w.publish(*channel, "y");
    }
    let order: Vec<_> = std::iter::from_fn(|| poll(&mut w)).collect();
    assert_eq!(order.len(), members.len() + others.len(), "each once");
    let last = others.iter().map(|(_, c)| order.iter().position(|known| known == c).unwrap()).max();
    assert!(last.unwrap() < 64 + others.len(), "behind one turn of the busy channel");
}
