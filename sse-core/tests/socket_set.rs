//! Writers and socket sets on transports in memory: the bytes on the wire, and what the hub records.
#![cfg(feature = "std")]

mod clocked;
mod transport;

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, Waker};

use clocked::{Count, World};
use sse_core::adapter::{ConnectionWriter, Framing, ServeConnection, Socket, SocketSet, Turn};
use sse_core::shared::{Connection, Outbound};
use sse_core::{ChannelConfig, CloseReason, Event};
use transport::Wire;

/// A connection with the pending event "bye" that closes after it.
fn closing(w: &World) -> (Outbound, Connection) {
    let outbound = w.connect();
    let handle = outbound.handle();
    handle.try_send(&Event::new().data("bye")).unwrap();
    handle.close();
    (outbound, handle)
}

/// Writes until the writer is pending or the connection has ended.
fn write(writer: &mut ConnectionWriter, wire: &mut Wire) -> Poll<bool> {
    let (mut scratch, cx) = (Vec::new(), &mut Context::from_waker(Waker::noop()));
    loop {
        match writer.poll_write(cx, &mut scratch, |cx, slices| wire.poll_write(cx, slices)) {
            Poll::Ready(Ok(true)) => {}
            other => return other.map(Result::unwrap),
        }
    }
}

/// Returns the body of complete chunks.
fn unframe(mut wire: &str) -> String {
    let mut body = String::new();
    while let Some((size, rest)) = wire.split_once("\r\n") {
        let size = usize::from_str_radix(size, 16).expect("a chunk's size");
        body.push_str(&rest[..size]);
        wire = rest[size..].strip_prefix("\r\n").expect("the end of a chunk");
    }
    assert_eq!(wire, "");
    body
}

#[test]
fn x9_frames_that_are_pending_together_are_one_write_and_one_chunk() {
    let w = World::new();
    let channel = w.hub.open_channel("a", ChannelConfig::default()).unwrap();
    let outbound = w.connect();
    outbound.subscribe(&channel).unwrap();
    for data in ["1", "2"] {
        channel.publish(&Event::new().data(data)).unwrap();
    }
    let mut wire = Wire::taking([1000]);
    let mut writer = ConnectionWriter::new(outbound, Framing::Chunked);
    assert_eq!(write(&mut writer, &mut wire), Poll::Pending);
    assert_eq!(wire.text(), "22\r\nid: e-1\ndata: 1\n\nid: e-2\ndata: 2\n\n\r\n");
    assert_eq!((wire.writes(), channel.stats().unwrap().backlog_frames), (1, 0));
}

/// Short writes of any size do not change the bytes on the wire. Large frames are not copied.
#[test]
fn s3_the_rest_of_a_short_write_is_written_next() {
    for framing in [Framing::Chunked, Framing::UntilClose] {
        for bytes in [3, 200, 10_000] {
            for cut in [1, 2, 3, 5, 23, 24, 25, 26, 27, 28, bytes, bytes + 20, bytes + 30] {
                let w = World::new();
                let channel = w.hub.open_channel("a", ChannelConfig::default()).unwrap();
                let outbound = w.connect();
                outbound.subscribe(&channel).unwrap();
                let mut writer = ConnectionWriter::new(outbound, framing);
                let mut wire = Wire::default();
                let big = "x".repeat(bytes);
                let mut expected = String::new();
                for data in [big.as_str(), "2", "3"] {
                    let published = channel.publish(&Event::new().data(data)).unwrap();
                    expected += std::str::from_utf8(published.frame.as_bytes()).unwrap();
                    wire.takes([cut]);
                    let _ = write(&mut writer, &mut wire);
                }
                wire.takes([cut; 20]);
                let _ = write(&mut writer, &mut wire);
                wire.takes([usize::MAX; 20]);
                assert_eq!(write(&mut writer, &mut wire), Poll::Pending);
                let body = wire.text();
                let body = if framing == Framing::Chunked { unframe(&body) } else { body };
                assert_eq!(body, expected, "{bytes} bytes in pieces of {cut}");
                let stats = w.hub.stats();
                assert_eq!((stats.bytes, stats.delivered), (expected.len() as u64, 3), "A3");
                assert_eq!(channel.stats().unwrap().backlog_frames, 0);
            }
        }
    }
}

#[test]
fn t3_a_peer_that_takes_no_bytes_is_closed_though_the_writer_holds_a_partial_chunk() {
    let mut w = World::new();
    let channel = w.hub.open_channel("a", ChannelConfig::default()).unwrap();
    let outbound = w.connect();
    outbound.subscribe(&channel).unwrap();
    channel.publish(&Event::new().data("1")).unwrap();
    w.drive();
    let mut writer = ConnectionWriter::new(outbound, Framing::Chunked);
    let mut wire = Wire::taking([5]);
    assert_eq!(write(&mut writer, &mut wire), Poll::Pending);
    w.drive_until(29_999);
    assert_eq!(w.hub.stats().connections, 1);
    w.drive_until(30_000);
    assert_eq!(w.hub.stats().closed.stalled, 1);
    wire.takes([1000]);
    assert_eq!(write(&mut writer, &mut wire), Poll::Ready(false));
    assert_eq!(wire.text(), "11\r\ni", "a partial chunk has no end");
    let cx = &mut Context::from_waker(Waker::noop());
    assert_eq!(writer.poll_ended(cx), Poll::Ready(CloseReason::Stalled));
}

#[test]
fn d8_a_closing_connection_ends_when_the_transport_has_taken_the_last_byte() {
    let mut w = World::new();
    let (outbound, handle) = closing(&w);
    let mut writer = ConnectionWriter::new(outbound, Framing::Chunked);
    let mut wire = Wire::taking([14]);
    assert_eq!(write(&mut writer, &mut wire), Poll::Pending);
    assert_eq!(wire.text(), "b\r\ndata: bye\n\n", "but for the end of the chunk");
    w.drive();
    assert!(handle.is_open());
    wire.takes([2, 1, 3]);
    assert_eq!(write(&mut writer, &mut wire), Poll::Pending);
    w.drive();
    assert!(handle.is_open(), "the mark of the end has the same time");
    wire.takes([1]);
    assert_eq!(write(&mut writer, &mut wire), Poll::Ready(false));
    assert!(!handle.is_open());
    assert_eq!(wire.text(), "b\r\ndata: bye\n\n\r\n0\r\n\r\n");
}

#[test]
fn x9_the_end_of_the_stream_is_written_together_with_the_last_frames() {
    let w = World::new();
    let (outbound, _handle) = closing(&w);
    let mut wire = Wire::taking([1000; 5]);
    assert_eq!(write(&mut ConnectionWriter::new(outbound, Framing::Chunked), &mut wire), Poll::Ready(false));
    assert_eq!((wire.text().as_str(), wire.writes()), ("b\r\ndata: bye\n\n\r\n0\r\n\r\n", 1));
}

#[test]
fn d9_a_connection_that_closes_before_its_claim_is_confirmed_waits_for_the_end_of_the_stream() {
    for (takes, is_closed_in_time) in [(vec![5], true), (vec![3], false)] {
        let mut w = World::new();
        let outbound = w.connect();
        let handle = outbound.handle();
        handle.try_send(&Event::new().data("bye")).unwrap();
        let mut writer = ConnectionWriter::new(outbound, Framing::Chunked);
        let mut wire = Wire::taking([1000]);
        let cx = &mut Context::from_waker(Waker::noop());
        let written = writer.poll_write(cx, &mut Vec::new(), |cx, slices| wire.poll_write(cx, slices));
        assert!(matches!(written, Poll::Ready(Ok(true))));
        handle.close();
        w.drive();
        assert!(handle.is_open(), "the bytes are claimed");
        wire.takes(takes);
        assert_eq!(write(&mut writer, &mut wire).is_ready(), is_closed_in_time);
        assert_eq!(handle.is_open(), !is_closed_in_time);
        w.drive_until(30_000);
        assert_eq!(w.hub.stats().closed.stalled, u64::from(!is_closed_in_time), "T3");
        wire.takes([1000]);
        assert_eq!(write(&mut writer, &mut wire), Poll::Ready(false));
        assert_eq!(wire.text(), "b\r\ndata: bye\n\n\r\n0\r\n\r\n");
    }
}

/// The peer has the whole event, so it is not stalled.
#[test]
fn t3_the_missing_end_of_a_chunk_is_not_pending() {
    let mut w = World::new();
    let outbound = w.connect();
    let handle = outbound.handle();
    handle.set_ping(None);
    handle.try_send(&Event::new().data("1")).unwrap();
    let mut writer = ConnectionWriter::new(outbound, Framing::Chunked);
    let mut wire = Wire::taking([13]);
    assert_eq!(write(&mut writer, &mut wire), Poll::Pending);
    assert_eq!(wire.text(), "9\r\ndata: 1\n\n\r");
    assert_eq!(w.hub.stats().delivered, 1);
    w.millis.store(40_000, Ordering::Relaxed);
    w.drive();
    assert!(handle.is_open());
    handle.try_send(&Event::new().data("2")).unwrap();
    wire.takes([1000; 3]);
    assert_eq!(write(&mut writer, &mut wire), Poll::Pending);
    assert_eq!(wire.text(), "9\r\ndata: 1\n\n\r\n9\r\ndata: 2\n\n\r\n");
}

#[test]
fn an_idle_connection_ends_with_the_last_chunk() {
    let w = World::new();
    let outbound = w.connect();
    outbound.handle().close();
    let mut writer = ConnectionWriter::new(outbound, Framing::Chunked);
    let mut wire = Wire::taking([2, 3]);
    assert_eq!(write(&mut writer, &mut wire), Poll::Ready(false));
    assert_eq!(wire.text(), "0\r\n\r\n");
}

/// A transport with a buffer takes bytes only when it is flushed.
#[test]
fn t3_buffered_bytes_count_as_taken_when_they_are_flushed() {
    let mut w = World::new();
    let (outbound, handle) = closing(&w);
    let wire = Wire::taking([1000, 1000, 1000]);
    wire.0.lock().unwrap().is_buffering = true;
    let mut serve = pin!(ServeConnection::new(outbound, Framing::Chunked, wire.clone()));
    let cx = &mut Context::from_waker(Waker::noop());
    assert!(serve.as_mut().poll(cx).is_pending());
    assert!(handle.is_open());
    wire.0.lock().unwrap().is_buffering = false;
    assert!(serve.as_mut().poll(cx).is_pending(), "the driver reports the reason");
    w.drive();
    assert!(matches!(serve.as_mut().poll(cx), Poll::Ready(Ok(CloseReason::Requested))));
    assert_eq!(wire.text(), "b\r\ndata: bye\n\n\r\n0\r\n\r\n");
    assert!(wire.0.lock().unwrap().is_shut_down);
}

/// The task of a socket set, with a waker that counts.
struct SetTask {
    set: SocketSet<Wire>,
    count: Arc<Count>,
}

impl SetTask {
    fn turn(&mut self) -> Turn {
        let waker = Waker::from(Arc::clone(&self.count));
        let cx = &mut Context::from_waker(&waker);
        loop {
            match self.set.turn(cx, |_, _| Ok(())) {
                Turn::Yield => {}
                turn => return turn,
            }
        }
    }
}

#[test]
fn one_task_writes_to_many_sockets_and_ends_with_the_last_connection() {
    let mut w = World::new();
    let channel = w.hub.open_channel("a", ChannelConfig::default()).unwrap();
    let (set, sockets) = SocketSet::new();
    let mut task = SetTask { set, count: Arc::default() };
    let wires: Vec<Wire> = (0..600).map(|_| Wire::taking([1000; 10])).collect();
    for wire in &wires {
        let outbound = w.connect();
        outbound.subscribe(&channel).unwrap();
        sockets.attach(wire.clone(), outbound, Framing::UntilClose);
    }
    assert_eq!(task.turn(), Turn::Sleep(None));
    assert_eq!(task.set.len(), 600);
    channel.publish(&Event::new().data("1")).unwrap();
    let woken = task.count.0.load(Ordering::Relaxed);
    w.drive();
    let woken = task.count.0.load(Ordering::Relaxed) - woken;
    assert!((1..=3).contains(&woken), "once for each turn of the driver, not {woken} times");
    task.turn();
    for wire in &wires {
        assert_eq!((wire.text().as_str(), wire.writes()), ("id: e-1\ndata: 1\n\n", 1));
    }
    for (number, wire) in wires.iter().enumerate().take(300) {
        wire.0.lock().unwrap().peer_is_closed = true;
        task.set.wake(number);
    }
    task.turn();
    assert_eq!((task.set.len(), w.hub.stats().connections), (300, 300), "X3");
    assert_eq!(w.hub.stats().closed.disconnected, 300);
    drop(sockets);
    w.hub.shut_down();
    w.drive();
    assert_eq!(task.turn(), Turn::Done);
    assert!(wires[599].0.lock().unwrap().is_shut_down, "X6");
}

/// More bytes than a batch copies, for more sockets than a batch has, of two hubs in turn. Every third transport takes only a
/// part at first.
#[test]
fn sockets_of_several_hubs_in_one_set_receive_all_their_events() {
    let mut worlds = [World::new(), World::new()];
    let (set, sockets) = SocketSet::new();
    let mut task = SetTask { set, count: Arc::default() };
    let channels = worlds.each_ref().map(|w| w.hub.open_channel("a", ChannelConfig::default()).unwrap());
    let wires: Vec<Wire> = (0..150)
        .map(|number| {
            let outbound = worlds[number % 2].connect();
            outbound.subscribe(&channels[number % 2]).unwrap();
            let wire = Wire::taking(if number % 3 == 0 { vec![9_000; 3] } else { vec![usize::MAX; 20] });
            sockets.attach(wire.clone(), outbound, Framing::UntilClose);
            wire
        })
        .collect();
    task.turn();
    let mut sent = [String::new(), String::new()];
    for number in 1..=12 {
        for (hub, sent) in sent.iter_mut().enumerate() {
            let data = format!("{hub}{number:02}").repeat(2_500);
            channels[hub].publish(&Event::new().data(&data)).unwrap();
            *sent += &format!("id: e-{number}\ndata: {data}\n\n");
        }
    }
    for w in &mut worlds {
        w.drive();
    }
    task.turn();
    for (number, wire) in wires.iter().enumerate() {
        if number % 3 == 0 {
            let begun = wire.text();
            assert!((20_000..30_000).contains(&begun.len()), "socket {number}: {} bytes", begun.len());
            assert!(sent[number % 2].starts_with(&begun), "socket {number}");
            wire.takes([usize::MAX; 20]);
            task.set.wake(number);
        }
    }
    task.turn();
    for (number, wire) in wires.iter().enumerate() {
        assert!(wire.text() == sent[number % 2], "socket {number}: {} bytes", wire.text().len());
    }
    for w in &worlds {
        assert_eq!(w.hub.stats().delivered, 75 * 12);
    }
}

#[test]
fn x7_bytes_that_a_client_still_sends_are_dropped_within_a_bound() {
    let w = World::new();
    let (set, sockets) = SocketSet::new();
    let mut task = SetTask { set, count: Arc::default() };
    let [polite, flood] = [2_000, 3_000].map(|reads| {
        let wire = Wire::taking([1000]);
        wire.0.lock().unwrap().peer_sends.extend([512; 1].repeat(reads));
        sockets.attach(wire.clone(), w.connect(), Framing::Chunked);
        wire
    });
    task.turn();
    assert_eq!(task.set.len(), 1, "more than a mebibyte is too much");
    assert_eq!(polite.0.lock().unwrap().peer_sends.len(), 0);
    assert!(flood.0.lock().unwrap().peer_sends.len() > 500);
}

#[test]
fn x4_a_socket_that_is_attached_to_a_dropped_set_disconnects() {
    let w = World::new();
    let (set, sockets) = SocketSet::new();
    let early = w.connect();
    sockets.attach(Wire::default(), early, Framing::Chunked);
    drop(set);
    assert_eq!(w.hub.stats().connections, 0);
    sockets.attach(Wire::default(), w.connect(), Framing::Chunked);
    assert_eq!(w.hub.stats().connections, 0);
}

#[test]
fn one_connection_alone_wakes_the_task() {
    let mut w = World::new();
    let (set, sockets) = SocketSet::new();
    let mut task = SetTask { set, count: Arc::default() };
    let outbound = w.connect();
    let handle = outbound.handle();
    let wire = Wire::taking([1000]);
    sockets.attach(wire.clone(), outbound, Framing::UntilClose);
    assert_eq!(task.turn(), Turn::Sleep(None));
    let before = task.count.0.load(Ordering::Relaxed);
    handle.try_send(&Event::new().data("1")).unwrap();
    w.drive();
    assert_eq!(task.count.0.load(Ordering::Relaxed), before + 1);
    task.turn();
    assert_eq!(wire.text(), "data: 1\n\n");
}

/// A socket that was removed can be woken once more. By then, its index can belong to another socket.
#[test]
fn a_socket_at_the_index_of_a_removed_one_receives_its_bytes_once() {
    let w = World::new();
    let (set, sockets) = SocketSet::new();
    let mut task = SetTask { set, count: Arc::default() };
    let [stays, leaves, comes] = [(); 3].map(|()| Wire::taking([1000; 10]));
    for wire in [&stays, &leaves] {
        sockets.attach(wire.clone(), w.connect(), Framing::UntilClose);
    }
    task.turn();
    leaves.0.lock().unwrap().peer_is_closed = true;
    task.set.wake(1);
    task.turn();
    let outbound = w.connect();
    outbound.handle().try_send(&Event::new().data("1")).unwrap();
    sockets.attach(comes.clone(), outbound, Framing::Chunked);
    task.turn();
    assert_eq!(task.set.len(), 2);
    assert_eq!(comes.text(), "9\r\ndata: 1\n\n\r\n");
}

#[test]
fn a_socket_that_is_ready_again_gets_one_pass() {
    for has_reactor in [false, true] {
        let mut w = World::new();
        let (set, sockets) = SocketSet::new();
        let mut task = SetTask { set, count: Arc::default() };
        let outbound = w.connect();
        let handle = outbound.handle();
        let wire = Wire::default();
        wire.0.lock().unwrap().has_reactor = has_reactor;
        sockets.attach(wire.clone(), outbound, Framing::UntilClose);
        task.turn();
        for number in 1..=3 {
            handle.try_send(&Event::new().data("x")).unwrap();
            w.drive();
            assert_eq!(task.turn(), Turn::Sleep(None));
            let refused = wire.0.lock().unwrap().refused.take().expect("it was written to");
            wire.takes([1000]);
            let reads = wire.0.lock().unwrap().reads;
            for _ in 0..3 {
                if has_reactor {
                    task.set.wake(0);
                } else {
                    refused.wake_by_ref();
                }
            }
            task.turn();
            assert_eq!(wire.text(), "data: x\n\n".repeat(number));
            assert_eq!(wire.0.lock().unwrap().reads, reads + 1, "one pass");
        }
    }
}

/// The hub ends a connection, and the driver reports it, during a write that the transport then refuses. The transport may
/// never be writable again, so the end has to wake the writer.
#[test]
fn a_refused_writer_is_woken_if_its_connection_has_ended_meanwhile() {
    for is_at_end in [false, true] {
        let mut w = World::new();
        let (outbound, _handle) = closing(&w);
        let mut writer = ConnectionWriter::new(outbound, Framing::Chunked);
        if is_at_end {
            assert_eq!(write(&mut writer, &mut Wire::taking([16])), Poll::Pending);
        }
        let count = Arc::new(Count::default());
        let waker = Waker::from(Arc::clone(&count));
        let cx = &mut Context::from_waker(&waker);
        let written = writer.poll_write(cx, &mut Vec::new(), |_, _| {
            w.drive_until(30_000);
            Poll::Pending
        });
        assert!(written.is_pending());
        assert_eq!(count.0.load(Ordering::Relaxed), 1, "at the end of the stream: {is_at_end}");
        let mut wire = Wire::taking([1000]);
        assert_eq!(write(&mut writer, &mut wire), Poll::Ready(false));
        assert_eq!(wire.text(), if is_at_end { "0\r\n\r\n" } else { "" });
    }
}
