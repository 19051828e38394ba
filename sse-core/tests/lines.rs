//! Connections on transports of their own, written to by hand: what is on the wire, and what the hub hears of it.
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

/// A connection that is closed when it has said "bye".
fn closing(w: &World) -> (Outbound, Connection) {
    let outbound = w.connect();
    let handle = outbound.handle();
    handle.try_send(&Event::new().data("bye")).unwrap();
    handle.close();
    (outbound, handle)
}

/// Writes until the line waits or its connection ended.
fn write(line: &mut ConnectionWriter, wire: &mut Wire) -> Poll<bool> {
    let (mut scratch, cx) = (Vec::new(), &mut Context::from_waker(Waker::noop()));
    loop {
        match line.poll_write(cx, &mut scratch, |cx, slices| wire.poll_write(cx, slices)) {
            Poll::Ready(Ok(true)) => {}
            other => return other.map(Result::unwrap),
        }
    }
}

/// The body in chunks that are whole, and what of the framing is wrong.
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
fn x9_what_is_due_together_is_one_write_and_one_chunk() {
    let w = World::new();
    let channel = w.hub.open_channel("a", ChannelConfig::default()).unwrap();
    let outbound = w.connect();
    outbound.subscribe(&channel).unwrap();
    for data in ["1", "2"] {
        channel.publish(&Event::new().data(data)).unwrap();
    }
    let mut wire = Wire::taking([1000]);
    let mut line = ConnectionWriter::new(outbound, Framing::Chunked);
    assert_eq!(write(&mut line, &mut wire), Poll::Pending);
    assert_eq!(wire.text(), "22\r\nid: e-1\ndata: 1\n\nid: e-2\ndata: 2\n\n\r\n");
    assert_eq!((wire.writes(), channel.stats().unwrap().backlog_frames), (1, 0));
}

/// However the transport cuts the bytes, they are the same; a big frame is written from where it lies.
#[test]
fn s3_what_is_refused_is_sent_next_and_nothing_else_before_it() {
    for framing in [Framing::Chunked, Framing::UntilClose] {
        for bytes in [3, 200, 10_000] {
            for cut in [1, 2, 3, 5, 23, 24, 25, 26, 27, 28, bytes, bytes + 20, bytes + 30] {
                let w = World::new();
                let channel = w.hub.open_channel("a", ChannelConfig::default()).unwrap();
                let outbound = w.connect();
                outbound.subscribe(&channel).unwrap();
                let mut line = ConnectionWriter::new(outbound, framing);
                let mut wire = Wire::default();
                let big = "x".repeat(bytes);
                let mut expected = String::new();
                for data in [big.as_str(), "2", "3"] {
                    let published = channel.publish(&Event::new().data(data)).unwrap();
                    expected += std::str::from_utf8(published.frame.as_bytes()).unwrap();
                    wire.takes([cut]);
                    let _ = write(&mut line, &mut wire);
                }
                wire.takes([cut; 20]);
                let _ = write(&mut line, &mut wire);
                wire.takes([usize::MAX; 20]);
                assert_eq!(write(&mut line, &mut wire), Poll::Pending);
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
fn t3_a_peer_that_takes_nothing_is_closed_though_the_line_holds_its_bytes() {
    let mut w = World::new();
    let channel = w.hub.open_channel("a", ChannelConfig::default()).unwrap();
    let outbound = w.connect();
    outbound.subscribe(&channel).unwrap();
    channel.publish(&Event::new().data("1")).unwrap();
    w.drive();
    let mut line = ConnectionWriter::new(outbound, Framing::Chunked);
    let mut wire = Wire::taking([5]);
    assert_eq!(write(&mut line, &mut wire), Poll::Pending);
    w.millis.store(29_999, Ordering::Relaxed);
    w.drive();
    assert_eq!(w.hub.stats().connections, 1);
    w.millis.store(30_000, Ordering::Relaxed);
    w.drive();
    assert_eq!(w.hub.stats().closed.stalled, 1);
    assert_eq!(write(&mut line, &mut wire), Poll::Ready(false));
    assert_eq!(line.end_mark(), b"", "a chunk is open");
    let cx = &mut Context::from_waker(Waker::noop());
    assert_eq!(line.poll_ended(cx), Poll::Ready(CloseReason::Stalled));
}

#[test]
fn d8_a_connection_is_closed_when_its_last_byte_was_taken_and_not_before() {
    let mut w = World::new();
    let (outbound, handle) = closing(&w);
    let mut line = ConnectionWriter::new(outbound, Framing::Chunked);
    let mut wire = Wire::taking([14]);
    assert_eq!(write(&mut line, &mut wire), Poll::Pending);
    assert_eq!(wire.text(), "b\r\ndata: bye\n\n", "but for the end of the chunk");
    w.drive();
    assert!(handle.is_open());
    wire.takes([2, 1, 3]);
    assert_eq!(write(&mut line, &mut wire), Poll::Pending);
    w.drive();
    assert!(handle.is_open(), "the mark of the end has the same time");
    wire.takes([1]);
    assert_eq!(write(&mut line, &mut wire), Poll::Ready(false));
    assert!(!handle.is_open());
    assert_eq!((wire.text().as_str(), line.end_mark()), ("b\r\ndata: bye\n\n\r\n0\r\n\r\n", &b""[..]));
}

/// With nothing due there is nothing to wait for: the mark is left to who writes to the transport.
#[test]
fn an_idle_line_ends_with_a_mark() {
    let w = World::new();
    let outbound = w.connect();
    outbound.handle().close();
    let mut line = ConnectionWriter::new(outbound, Framing::Chunked);
    assert_eq!(write(&mut line, &mut Wire::default()), Poll::Ready(false));
    assert_eq!(line.end_mark(), b"0\r\n\r\n");
}

/// A transport with a buffer of its own has taken nothing before that is empty.
#[test]
fn what_a_transport_buffers_is_not_taken_before_it_is_flushed() {
    let mut w = World::new();
    let (outbound, handle) = closing(&w);
    let wire = Wire::taking([1000, 1000, 1000]);
    wire.0.lock().unwrap().is_buffering = true;
    let mut serve = pin!(ServeConnection::new(outbound, Framing::Chunked, wire.clone()));
    let cx = &mut Context::from_waker(Waker::noop());
    assert!(serve.as_mut().poll(cx).is_pending());
    assert!(handle.is_open());
    wire.0.lock().unwrap().is_buffering = false;
    assert!(serve.as_mut().poll(cx).is_pending(), "the driver says why");
    w.drive();
    assert!(matches!(serve.as_mut().poll(cx), Poll::Ready(Ok(CloseReason::Requested))));
    assert_eq!(wire.text(), "b\r\ndata: bye\n\n\r\n0\r\n\r\n");
    assert!(wire.0.lock().unwrap().is_shut_down);
}

/// Some lines of one loop, with a waker that counts.
struct Loop {
    lines: SocketSet<Wire>,
    count: Arc<Count>,
}

impl Loop {
    fn turn(&mut self) -> Turn {
        let waker = Waker::from(Arc::clone(&self.count));
        let cx = &mut Context::from_waker(&waker);
        loop {
            match self.lines.turn(cx, |_, _| Ok(())) {
                Turn::Yield => {}
                turn => return turn,
            }
        }
    }
}

#[test]
fn one_loop_serves_many_and_ends_with_the_last() {
    let mut w = World::new();
    let channel = w.hub.open_channel("a", ChannelConfig::default()).unwrap();
    let (lines, attach) = SocketSet::new();
    let mut looped = Loop { lines, count: Arc::default() };
    let wires: Vec<Wire> = (0..600).map(|_| Wire::taking([1000; 10])).collect();
    for wire in &wires {
        let outbound = w.connect();
        outbound.subscribe(&channel).unwrap();
        attach.attach(wire.clone(), outbound, Framing::UntilClose);
    }
    assert_eq!(looped.turn(), Turn::Sleep(None));
    assert_eq!(looped.lines.len(), 600);
    channel.publish(&Event::new().data("1")).unwrap();
    let woken = looped.count.0.load(Ordering::Relaxed);
    w.drive();
    let woken = looped.count.0.load(Ordering::Relaxed) - woken;
    assert!((1..=3).contains(&woken), "once for each turn of the driver, not {woken} times");
    looped.turn();
    for wire in &wires {
        assert_eq!((wire.text().as_str(), wire.writes()), ("id: e-1\ndata: 1\n\n", 1));
    }
    for (number, wire) in wires.iter().enumerate().take(300) {
        wire.0.lock().unwrap().peer_is_gone = true;
        looped.lines.wake(number);
    }
    looped.turn();
    assert_eq!((looped.lines.len(), w.hub.stats().connections), (300, 300), "X3");
    assert_eq!(w.hub.stats().closed.disconnected, 300);
    drop(attach);
    w.hub.shut_down();
    w.drive();
    assert_eq!(looped.turn(), Turn::Done);
    assert!(wires[599].0.lock().unwrap().is_shut_down, "X6");
}

/// More than a look has room for, of more lines than are looked at together, and of two hubs by turns; every third
/// transport stops in the middle.
#[test]
fn lines_of_several_hubs_in_one_loop_get_all_that_is_theirs() {
    let mut worlds = [World::new(), World::new()];
    let (lines, attach) = SocketSet::new();
    let mut looped = Loop { lines, count: Arc::default() };
    let channels = worlds.each_ref().map(|w| w.hub.open_channel("a", ChannelConfig::default()).unwrap());
    let wires: Vec<Wire> = (0..150)
        .map(|number| {
            let outbound = worlds[number % 2].connect();
            outbound.subscribe(&channels[number % 2]).unwrap();
            let wire = Wire::taking(if number % 3 == 0 { vec![9_000; 3] } else { vec![usize::MAX; 20] });
            attach.attach(wire.clone(), outbound, Framing::UntilClose);
            wire
        })
        .collect();
    looped.turn();
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
    looped.turn();
    for (number, wire) in wires.iter().enumerate() {
        if number % 3 == 0 {
            let begun = wire.text();
            assert!((20_000..30_000).contains(&begun.len()), "line {number}: {} bytes", begun.len());
            assert!(sent[number % 2].starts_with(&begun), "line {number}");
            wire.takes([usize::MAX; 20]);
            looped.lines.wake(number);
        }
    }
    looped.turn();
    for (number, wire) in wires.iter().enumerate() {
        assert!(wire.text() == sent[number % 2], "line {number}: {} bytes", wire.text().len());
    }
    for w in &worlds {
        assert_eq!(w.hub.stats().delivered, 75 * 12);
    }
}

#[test]
fn x7_what_a_client_still_sends_is_dropped_within_a_bound() {
    let w = World::new();
    let (lines, attach) = SocketSet::new();
    let mut looped = Loop { lines, count: Arc::default() };
    let [polite, flood] = [2_000, 3_000].map(|reads| {
        let wire = Wire::taking([1000]);
        wire.0.lock().unwrap().peer_sends.extend([512; 1].repeat(reads));
        attach.attach(wire.clone(), w.connect(), Framing::Chunked);
        wire
    });
    looped.turn();
    assert_eq!(looped.lines.len(), 1, "more than a mebibyte is too much");
    assert_eq!(polite.0.lock().unwrap().peer_sends.len(), 0);
    assert!(flood.0.lock().unwrap().peer_sends.len() > 500);
}

#[test]
fn x4_what_is_attached_to_a_loop_that_is_gone_disconnects() {
    let w = World::new();
    let (lines, attach) = SocketSet::new();
    let early = w.connect();
    attach.attach(Wire::default(), early, Framing::Chunked);
    drop(lines);
    assert_eq!(w.hub.stats().connections, 0);
    attach.attach(Wire::default(), w.connect(), Framing::Chunked);
    assert_eq!(w.hub.stats().connections, 0);
}

#[test]
fn one_line_alone_wakes_its_loop() {
    let mut w = World::new();
    let (lines, attach) = SocketSet::new();
    let mut looped = Loop { lines, count: Arc::default() };
    let outbound = w.connect();
    let handle = outbound.handle();
    let wire = Wire::taking([1000]);
    attach.attach(wire.clone(), outbound, Framing::UntilClose);
    assert_eq!(looped.turn(), Turn::Sleep(None));
    let before = looped.count.0.load(Ordering::Relaxed);
    handle.try_send(&Event::new().data("1")).unwrap();
    w.drive();
    assert_eq!(looped.count.0.load(Ordering::Relaxed), before + 1);
    looped.turn();
    assert_eq!(wire.text(), "data: 1\n\n");
}

/// Whoever leaves a loop wakes its line once more, which by then may be another's.
#[test]
fn a_line_in_the_place_of_one_that_left_gets_its_bytes_once() {
    let w = World::new();
    let (lines, attach) = SocketSet::new();
    let mut looped = Loop { lines, count: Arc::default() };
    let [stays, leaves, comes] = [(); 3].map(|()| Wire::taking([1000; 10]));
    for wire in [&stays, &leaves] {
        attach.attach(wire.clone(), w.connect(), Framing::UntilClose);
    }
    looped.turn();
    leaves.0.lock().unwrap().peer_is_gone = true;
    looped.lines.wake(1);
    looped.turn();
    let outbound = w.connect();
    outbound.handle().try_send(&Event::new().data("1")).unwrap();
    attach.attach(comes.clone(), outbound, Framing::Chunked);
    looped.turn();
    assert_eq!(looped.lines.len(), 2);
    assert_eq!(comes.text(), "9\r\ndata: 1\n\n\r\n");
}

#[test]
fn a_socket_that_is_ready_again_wakes_its_line_or_has_a_reactor_for_it() {
    for has_reactor in [false, true] {
        let mut w = World::new();
        let (lines, attach) = SocketSet::new();
        let mut looped = Loop { lines, count: Arc::default() };
        let outbound = w.connect();
        let handle = outbound.handle();
        let wire = Wire::default();
        wire.0.lock().unwrap().has_reactor = has_reactor;
        attach.attach(wire.clone(), outbound, Framing::UntilClose);
        looped.turn();
        for number in 1..=3 {
            handle.try_send(&Event::new().data("x")).unwrap();
            w.drive();
            assert_eq!(looped.turn(), Turn::Sleep(None));
            let refused = wire.0.lock().unwrap().refused.take().expect("it was written to");
            wire.takes([1000]);
            let reads = wire.0.lock().unwrap().reads;
            for _ in 0..3 {
                if has_reactor {
                    looped.lines.wake(0);
                } else {
                    refused.wake_by_ref();
                }
            }
            looped.turn();
            assert_eq!(wire.text(), "data: x\n\n".repeat(number));
            assert_eq!(wire.0.lock().unwrap().reads, reads + 1, "one look");
        }
    }
}

/// The hub ends a connection, and its driver says so, while a write is on its way that the transport then refuses: the
/// transport may never have room again, and nothing else would have the line look.
#[test]
fn a_line_that_is_refused_looks_again_when_its_connection_has_ended_meanwhile() {
    for is_at_mark in [false, true] {
        let mut w = World::new();
        let (outbound, _handle) = closing(&w);
        let mut line = ConnectionWriter::new(outbound, Framing::Chunked);
        if is_at_mark {
            assert_eq!(write(&mut line, &mut Wire::taking([1000])), Poll::Pending);
        }
        let count = Arc::new(Count::default());
        let waker = Waker::from(Arc::clone(&count));
        let cx = &mut Context::from_waker(&waker);
        let written = line.poll_write(cx, &mut Vec::new(), |_, _| {
            w.millis.store(30_000, Ordering::Relaxed);
            w.drive();
            Poll::Pending
        });
        assert!(written.is_pending());
        assert_eq!(count.0.load(Ordering::Relaxed), 1, "at the mark: {is_at_mark}");
        assert_eq!(write(&mut line, &mut Wire::default()), Poll::Ready(false));
        assert_eq!(line.end_mark(), b"", "it was cut short");
    }
}
