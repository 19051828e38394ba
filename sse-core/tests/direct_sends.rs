//! The bounds of direct sends: S2.
mod common;
use common::{World, data_frame, without_position};
use sse_core::{ConnectionConfig, Event, HubConfig, Limits, SendError};

#[test]
fn s2_direct_sends_are_bounded_by_frames() {
    let mut w = World::new();
    let c = w.connect_with(without_position());
    let smallest = Event::new().encode().unwrap();
    for _ in 0..4_096 {
        w.hub.send(w.now, c, &smallest).unwrap();
    }
    let full = Err(SendError::TooManyFrames { limit: 4_096 });
    assert_eq!(w.hub.send(w.now, c, &smallest), full);
    w.take_bytes(c, 1);
    assert_eq!(w.hub.send(w.now, c, &smallest), Ok(()));
}

#[test]
fn s2_by_default_direct_sends_have_at_most_1_mib() {
    let mut w = World::new();
    let c = w.connect();
    w.send(c, &"x".repeat((1 << 20) - 8));
    let full = SendError::Full { queued: 1 << 20, limit: 1 << 20 };
    assert_eq!(w.hub.send(w.now, c, &data_frame("")), Err(full));
}

#[test]
#[cfg(target_pointer_width = "64")]
fn s2_the_bound_on_direct_bytes_is_at_most_4_gib() {
    let limits = Limits { event_bytes: usize::MAX, ..Limits::default() };
    let mut w = World::with(HubConfig { limits, ..HubConfig::default() });
    let c = w.connect_with(ConnectionConfig { direct_bytes: usize::MAX, ..without_position() });
    // All sends share the bytes of one frame.
    let frame = data_frame(&"x".repeat((2 << 20) - 8));
    for _ in 0..2_047 {
        w.hub.send(w.now, c, &frame).unwrap();
    }
    let full = SendError::Full { queued: 2_047 << 21, limit: (4 << 30) - 1 };
    assert_eq!(w.hub.send(w.now, c, &frame), Err(full));
}

#[test]
fn s2_resets_count_as_frames() {
    let mut w = World::new();
    let a = w.open_with_history("a", 1);
    w.publish_numbers(a, 1..=3);
    let c = w.reconnect("e-0");
    w.subscribe(a, c);
    let smallest = Event::new().encode().unwrap();
    for _ in 0..4_095 {
        w.hub.send(w.now, c, &smallest).unwrap();
    }
    assert_eq!(w.hub.send(w.now, c, &smallest), Err(SendError::TooManyFrames { limit: 4_096 }));
}

#[test]
fn s2_direct_sends_are_bounded_by_bytes() {
    let mut w = World::new();
    let c = w.connect_with(ConnectionConfig { direct_bytes: 30, ..without_position() });
    let frame = data_frame("12345");
    assert_eq!(frame.len(), 13);
    w.send(c, "12345");
    w.send(c, "12345");
    let full = SendError::Full { queued: 26, limit: 30 };
    assert_eq!(w.hub.send(w.now, c, &frame), Err(full));
    assert_eq!(full.to_string(), "26 bytes are pending for the connection, the limit is 30");
    assert_eq!(w.take(c), "data: 12345\n\n".repeat(2), "exactly the accepted frames");
    assert!(w.hub.send(w.now, c, &frame).is_ok());
}

#[test]
fn s2_a_direct_frame_in_progress_no_longer_counts() {
    let mut w = World::new();
    let c = w.connect_with(ConnectionConfig { direct_bytes: 13, ..without_position() });
    w.send(c, "12345");
    assert_eq!(w.take_bytes(c, 1), "d");
    w.send(c, "67890");
    assert_eq!(w.take(c), "ata: 12345\n\ndata: 67890\n\n");
}

#[test]
fn s2_each_direct_frame_that_is_taken_makes_room_for_another() {
    let mut w = World::new();
    let c = w.connect_with(ConnectionConfig { direct_bytes: 26, ..without_position() });
    w.send(c, "12345");
    w.send(c, "67890");
    assert_eq!(w.take_frame(c), "data: 12345\n\n");
    w.send(c, "abcde");
    let full = SendError::Full { queued: 26, limit: 26 };
    assert_eq!(w.hub.send(w.now, c, &data_frame("")), Err(full));
    assert_eq!(w.data(c), ["67890", "abcde"]);
}

#[test]
fn s2_events_and_resets_do_not_count_as_direct_sends() {
    let mut w = World::new();
    let a = w.open_with_history("a", 1);
    w.publish_numbers(a, 1..=3);
    let c = w.connect_with(ConnectionConfig {
        direct_bytes: 13,
        last_event_id: Some("e-0".into()),
        ..ConnectionConfig::default()
    });
    w.subscribe(a, c);
    w.send(c, "12345");
    assert_eq!(w.data(c), ["reset e-2", "3", "12345"]);
}

#[test]
fn s2_a_frame_that_could_never_fit_is_too_large() {
    let mut w = World::with(HubConfig {
        limits: Limits { event_bytes: 12, ..Limits::default() },
        ..HubConfig::default()
    });
    let c = w.connect();
    let small = w.connect_with(ConnectionConfig { direct_bytes: 7, ..without_position() });
    let send = |w: &mut World, c, data: &str| w.hub.send(w.now, c, &data_frame(data));
    assert_eq!(send(&mut w, c, "12345"), Err(SendError::TooLarge { bytes: 13, limit: 12 }));
    assert_eq!(send(&mut w, c, "1234"), Ok(()));
    assert_eq!(send(&mut w, small, ""), Err(SendError::TooLarge { bytes: 8, limit: 7 }));
    w.hub.close_connection(w.now, c);
    assert_eq!(send(&mut w, c, ""), Err(SendError::Closing(c)));
    w.hub.disconnect(w.now, c);
    assert_eq!(send(&mut w, c, ""), Err(SendError::UnknownConnection(c)));
}
