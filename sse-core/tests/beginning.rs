//! Channels that new connections receive from the beginning: H8.
mod common;

use common::{World, history_of};
use sse_core::{ChannelConfig, ConnectionConfig, GapPolicy, Position, Resume, StartFrom};

fn beginning(events: usize, on_gap: GapPolicy) -> ChannelConfig {
    let history = history_of(events);
    ChannelConfig { history, start: StartFrom::Beginning, on_gap, ..ChannelConfig::default() }
}

#[test]
fn h8_from_the_beginning_gives_everything() {
    let mut w = World::new();
    let a = w.open_with("a", beginning(10, GapPolicy::Reset));
    w.publish_numbers(a, 1..=3);
    let new = w.connect_with(ConnectionConfig::default());
    assert_eq!(w.subscribe(a, new), Resume::Fresh);
    assert_eq!(w.data(new), ["position e-0", "1", "2", "3"]);
}

#[test]
fn h8_a_beginning_that_is_gone_is_a_gap_without_an_id_too() {
    let lost_through = Position::new(1);
    for (on_gap, expected) in [
        (GapPolicy::Reset, &["reset e-1", "2", "3"][..]),
        (GapPolicy::Kept, &["position e-1", "2", "3"]),
        (GapPolicy::Live, &["position e-3"]),
    ] {
        let mut w = World::new();
        let a = w.open_with("a", beginning(2, on_gap));
        w.publish_numbers(a, 1..=3);
        let new = w.connect_with(ConnectionConfig::default());
        let events = if on_gap == GapPolicy::Live { 0 } else { 2 };
        assert_eq!(w.subscribe(a, new), Resume::Gap { lost_through, events });
        assert_eq!(w.data(new), expected, "{on_gap:?}");
    }
}

#[test]
fn h8_the_reset_stands_in_place_of_the_position_only_at_that_position() {
    let mut w = World::new();
    let (b, a) =
        (w.open_with("b", beginning(10, GapPolicy::Reset)), w.open_with("a", beginning(1, GapPolicy::Reset)));
    w.publish(b, "b1");
    w.publish_numbers(a, 2..=3);
    let new = w.connect_with(ConnectionConfig::default());
    w.subscribe(a, new);
    w.subscribe(b, new);
    assert_eq!(
        w.data(new),
        ["position e-0", "b1", "reset e-2", "3"],
        "the position of the other channel comes first"
    );
}

#[test]
fn h8_a_name_that_was_used_before_has_its_own_beginning() {
    let mut w = World::new();
    let a = w.open_with("a", beginning(1, GapPolicy::Reset));
    w.publish_numbers(a, 1..=3);
    w.hub.close_channel(w.now, a);
    let a = w.open_with("a", beginning(1, GapPolicy::Reset));
    w.publish(a, "new");
    let new = w.connect();
    assert_eq!(w.subscribe(a, new), Resume::Fresh);
    assert_eq!(w.data(new), ["new"]);
}
