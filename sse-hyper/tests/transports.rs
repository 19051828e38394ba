//! The limits of transports, with hyper and without, on virtual time (T3, X3, X6).

mod app;
mod transport;

use std::future::poll_fn;
use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::time::Duration;

use app::{builder, get, hub, service};
use hyper::rt::{Read, ReadBuf, Write};
use hyper_util::rt::TokioTimer;
use sse_core::shared::SharedHub;
use sse_hyper::{Transport, TransportConfig, Transports};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};
use transport::{Behaviour, Peer, run_until, transport};

fn transports(config: TransportConfig) -> Transports {
    Transports::new(config, TokioTimer::new())
}

fn wrapped(transports: &Transports, behaviour: Behaviour) -> (Peer, Transport<transport::Transport>) {
    let (peer, io) = transport(behaviour);
    (peer, transports.wrap(io))
}

/// Serves requests with hyper on the body path.
fn serve(hub: &SharedHub, io: Transport<transport::Transport>) -> JoinHandle<Result<(), hyper::Error>> {
    tokio::spawn(builder().serve_connection(io, service(hub)))
}

async fn write(io: &mut Transport<transport::Transport>, bytes: &[u8]) -> io::Result<usize> {
    poll_fn(|cx| Pin::new(&mut *io).poll_write(cx, bytes)).await
}

async fn read(io: &mut Transport<transport::Transport>) -> io::Result<Vec<u8>> {
    let mut bytes = [0; 4096];
    let mut buffer = ReadBuf::new(&mut bytes);
    poll_fn(|cx| Pin::new(&mut *io).poll_read(cx, buffer.unfilled())).await?;
    Ok(buffer.filled().to_vec())
}

#[tokio::test(start_paused = true)]
async fn t3_a_body_that_hyper_does_not_poll_ends_with_its_transport() {
    let hub = hub();
    let (peer, io) = wrapped(&transports(TransportConfig::default()), Behaviour::ORDERLY);
    peer.set_blocked(true);
    let start = Instant::now();
    let served = serve(&hub, io);
    peer.send(get("/sse"));
    assert!(timeout(Duration::from_secs(60), served).await.unwrap().unwrap().is_err());
    assert_eq!(start.elapsed().as_secs(), 35);
    assert!(peer.is_closed());
    assert_eq!(hub.stats().connections, 0);
}

#[tokio::test(start_paused = true)]
async fn t3_limits_that_are_too_long_for_the_clock_are_none() {
    let hub = hub();
    let limit = Some(Duration::MAX);
    let config = TransportConfig { write_timeout: limit, head_timeout: limit, ..TransportConfig::default() };
    let group = transports(config);
    group.close_within(Duration::MAX);
    let (peer, io) = wrapped(&group, Behaviour::ORDERLY);
    peer.set_blocked(true);
    let served = serve(&hub, io);
    peer.send(get("/sse"));
    sleep(Duration::from_secs(1000)).await;
    assert!(!served.is_finished());
}

#[tokio::test(start_paused = true)]
async fn t3_each_byte_that_a_peer_takes_starts_the_time_again() {
    let config = TransportConfig { head_timeout: None, ..TransportConfig::default() };
    let (peer, mut io) = wrapped(&transports(config), Behaviour { max_bytes: 1, ..Behaviour::ORDERLY });
    for _ in 0..5 {
        peer.set_blocked(true);
        let unblocked = async {
            sleep(Duration::from_secs(30)).await;
            peer.set_blocked(false);
        };
        let (written, ()) = tokio::join!(write(&mut io, b"bytes"), unblocked);
        assert_eq!(written.unwrap(), 1);
    }
    peer.set_blocked(true);
    let start = Instant::now();
    assert_eq!(write(&mut io, b"bytes").await.unwrap_err().kind(), ErrorKind::TimedOut);
    assert_eq!(start.elapsed().as_secs(), 35);
}

#[tokio::test(start_paused = true)]
async fn x6_a_peer_that_completes_no_request_is_closed() {
    let hub = hub();
    for dribbled in [&b""[..], b"GET / HT", b"\r\n\r\n\r\n"] {
        let (peer, io) = wrapped(&transports(TransportConfig::default()), Behaviour::ORDERLY);
        let start = Instant::now();
        let mut served = serve(&hub, io);
        for byte in dribbled {
            sleep(Duration::from_secs(2)).await;
            peer.send([*byte]);
        }
        assert!(timeout(Duration::from_secs(60), &mut served).await.is_ok());
        assert_eq!(start.elapsed().as_secs(), 30, "{dribbled:?}");
    }
    // After the first request, hyper's own limit applies.
    let (peer, io) = wrapped(&transports(TransportConfig::default()), Behaviour::WORST);
    let served = serve(&hub, io);
    peer.send(get("/plain"));
    peer.receives("plain").await;
    sleep(Duration::from_secs(100)).await;
    assert!(!served.is_finished());
}

#[tokio::test(start_paused = true)]
async fn x3_the_end_of_a_peer_is_noticed_behind_unread_bytes() {
    for behaviour in Behaviour::all() {
        for half_close in [false, true] {
            let hub = hub();
            let config = TransportConfig { half_close, ..TransportConfig::default() };
            let (peer, io) = wrapped(&transports(config), behaviour);
            let served = serve(&hub, io);
            peer.send(get("/sse") + "and more");
            peer.receives("data: \n\n\r\n").await;
            peer.send("and still more");
            peer.half_close();
            sleep(Duration::from_secs(1)).await;
            assert_eq!(served.is_finished(), !half_close, "{behaviour:?}");
            assert_eq!(hub.stats().connections, usize::from(half_close));
        }
    }
}

/// hyper takes bytes that were read ahead as the next request, and leaves those behind it.
#[tokio::test(start_paused = true)]
async fn x3_the_end_of_a_peer_is_noticed_behind_a_pipelined_request() {
    for behaviour in Behaviour::all() {
        let hub = hub();
        let (peer, io) = wrapped(&transports(TransportConfig::default()), behaviour);
        let served = serve(&hub, io);
        peer.send(get("/plain").repeat(300) + &get("/sse") + "and more");
        peer.half_close();
        sleep(Duration::from_secs(2)).await;
        assert!(served.is_finished(), "{behaviour:?}");
        assert_eq!(hub.stats().connections, 0);
    }
}

#[tokio::test(start_paused = true)]
async fn x3_pipelined_requests_are_answered_before_the_end_of_the_peer() {
    for behaviour in Behaviour::all() {
        let mut received = Vec::new();
        for is_wrapped in [true, false] {
            let hub = hub();
            let (peer, io) = transport(behaviour);
            peer.send(get("/plain").repeat(200));
            peer.half_close();
            let result = if is_wrapped {
                serve(&hub, transports(TransportConfig::default()).wrap(io)).await.unwrap()
            } else {
                builder().serve_connection(io, service(&hub)).await
            };
            received.push((peer.received(), result.is_ok()));
        }
        // hyper alone sees the end during the last request, and does not answer that one.
        assert!(received[0].0.matches("\r\n\r\nplain").count() >= 199, "{behaviour:?}");
        assert_eq!(received[0], received[1], "{behaviour:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn x3_a_connection_is_kept_while_requests_follow_each_other() {
    for behaviour in Behaviour::all() {
        let hub = hub();
        let (peer, io) = wrapped(&transports(TransportConfig::default()), behaviour);
        let served = serve(&hub, io);
        for count in 1..=5 {
            peer.send(get("/plain"));
            run_until("a response", || peer.received().matches("\r\n\r\nplain").count() == count).await;
            sleep(Duration::from_secs(40)).await;
        }
        assert!(!served.is_finished());
    }
}

/// Bytes that were read ahead reach a reader that comes later, then the end.
#[tokio::test(start_paused = true)]
async fn x3_bytes_that_were_read_ahead_are_not_lost() {
    let (peer, mut io) = wrapped(&transports(TransportConfig::default()), Behaviour::ORDERLY);
    let sent: Vec<u8> = (0..100_000_u32).map(|number| number as u8).collect();
    peer.send(&sent);
    peer.half_close();
    write(&mut io, b"response").await.unwrap();
    assert_eq!(peer.unread(), 100_000 - 64 * 1024, "the bound of bytes that are read ahead");
    let mut received = Vec::new();
    loop {
        let bytes = read(&mut io).await.unwrap();
        write(&mut io, b"response").await.unwrap();
        if bytes.is_empty() {
            break;
        }
        received.extend(bytes);
    }
    assert!(received == sent);
    sleep(Duration::from_secs(1)).await;
    write(&mut io, b"the reader knows the end").await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn x6_all_transports_of_a_group_end_at_the_earliest_time() {
    let hub = hub();
    let group = transports(TransportConfig::default());
    let start = Instant::now();
    let (reading, io) = wrapped(&group, Behaviour::ORDERLY);
    let half = serve(&hub, io);
    reading.send("GET / HT");
    let (streaming, io) = wrapped(&group, Behaviour::ORDERLY);
    let stream = serve(&hub, io);
    streaming.send(get("/sse") + "and more");
    let (blocked, io) = wrapped(&group, Behaviour::ORDERLY);
    blocked.set_blocked(true);
    let deaf = serve(&hub, io);
    blocked.send(get("/sse"));
    run_until("the streams are opened", || hub.stats().connections == 2).await;

    group.close_within(Duration::from_secs(20));
    group.close_within(Duration::from_secs(5));
    group.close_within(Duration::from_secs(10));
    let (late, io) = wrapped(&group, Behaviour::ORDERLY);
    let plain = serve(&hub, io);
    late.send(get("/plain"));
    late.receives("plain").await;
    for (name, served) in [("half", half), ("stream", stream), ("deaf", deaf), ("plain", plain)] {
        assert!(timeout(Duration::from_secs(60), served).await.is_ok());
        assert_eq!(start.elapsed().as_secs(), 5, "{name}");
    }
    assert_eq!(hub.stats().connections, 0);
}
