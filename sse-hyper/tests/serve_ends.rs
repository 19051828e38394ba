//! The socket path where a connection ends before the hand-over (X4, T3, X6).

mod app;
mod transport;

use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use app::{ConnectionTask, HEAD_1_1, get, head_and_first_block, hub, service};
use axum::http::Version;
use hyper::server::conn::http1;
use hyper_util::rt::TokioTimer;
use sse_core::ConnectionConfig;
use sse_hyper::Outcome;
use transport::{Behaviour, run_until, transport};

#[tokio::test]
async fn x4_the_body_of_a_response_owns_the_connection_and_the_head_does_not() {
    let hub = hub();
    for keep_body in [false, true] {
        let outbound = hub.connect(ConnectionConfig::default()).unwrap();
        let handle = outbound.handle();
        let (head, body) = sse_hyper::response(Version::HTTP_11, outbound).into_parts();
        // The extension in the head does not own the connection.
        let kept = (Some(head).filter(|_| !keep_body), Some(body).filter(|_| keep_body));
        assert_eq!(handle.is_open(), keep_body);
        drop(kept);
        assert!(!handle.is_open());
    }
}

#[tokio::test]
async fn x4_dropping_the_future_at_any_point_closes_the_transport_and_disconnects() {
    let mut polls = 0;
    loop {
        let hub = hub();
        let (peer, io) = transport(Behaviour::WORST);
        peer.send(get("/slow"));
        let mut future =
            Box::pin(sse_hyper::serve_connection(&app::transports(), &app::builder(), io, service(&hub)));
        let mut cx = Context::from_waker(Waker::noop());
        let outcome = (0..polls).map(|_| future.as_mut().poll(&mut cx)).find(Poll::is_ready);
        drop(future);
        let is_over = outcome.is_some();
        assert_eq!(hub.stats().connections, usize::from(is_over), "after {polls} polls");
        drop(outcome);
        assert_eq!(hub.stats().connections, 0, "after {polls} polls");
        assert!(peer.is_closed(), "after {polls} polls");
        if is_over {
            break;
        }
        polls += 1;
        assert!(polls < 2_000, "the future never completes");
    }
    assert!(polls > HEAD_1_1.len(), "each byte takes a poll: {polls}");
}

#[tokio::test]
async fn x4_a_disconnect_during_the_handler_is_noticed() {
    for behaviour in Behaviour::all() {
        let hub = hub();
        let (peer, io) = transport(behaviour);
        let task = ConnectionTask::new(io, service(&hub));
        peer.send(get("/wait"));
        run_until("the handler runs", || hub.stats().connections == 1).await;
        peer.half_close();
        assert!(task.outcome().await.unwrap_err().is_incomplete_message());
        assert_eq!(hub.stats().connections, 0);
        assert!(peer.is_closed());
    }
}

#[tokio::test]
async fn x4_a_disconnect_before_the_head_was_taken_is_noticed() {
    let hub = hub();
    let (peer, io) = transport(Behaviour::ORDERLY);
    peer.set_blocked(true);
    peer.send(get("/sse"));
    let mut future =
        pin!(sse_hyper::serve_connection(&app::transports(), &app::builder(), io, service(&hub)));
    assert!(future.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    assert_eq!(hub.stats().connections, 1);
    peer.half_close();
    assert!(future.as_mut().await.unwrap_err().is_incomplete_message());
    // The future has completed and is not dropped yet.
    assert_eq!((hub.stats().connections, peer.is_closed()), (0, true));
}

#[tokio::test(start_paused = true)]
async fn t3_a_peer_that_does_not_take_the_head_is_closed_after_the_stall_timeout() {
    let hub = hub();
    let (peer, io) = transport(Behaviour::ORDERLY);
    peer.set_blocked(true);
    peer.send(get("/sse"));
    let start = tokio::time::Instant::now();
    let mut future =
        pin!(sse_hyper::serve_connection(&app::transports(), &app::builder(), io, service(&hub)));
    let outcome = tokio::time::timeout(Duration::from_secs(60), future.as_mut()).await;
    assert!(matches!(outcome, Ok(Ok(Outcome::Closed))));
    assert_eq!(start.elapsed().as_secs(), 30);
    assert_eq!((hub.stats().connections, hub.stats().closed.stalled), (0, 1));
    // The future has completed and is not dropped yet.
    assert!(peer.is_closed());
}

#[tokio::test(start_paused = true)]
async fn x6_a_shutdown_ends_a_connection_whose_head_was_not_taken() {
    let hub = hub();
    let (peer, io) = transport(Behaviour::ORDERLY);
    peer.set_blocked(true);
    let task = ConnectionTask::new(io, service(&hub));
    // The connection has no pending bytes, so the hub can end it at once.
    peer.send(get("/unannounced"));
    run_until("the request is subscribed", || hub.stats().connections == 1).await;
    let start = tokio::time::Instant::now();
    hub.shut_down();
    assert!(matches!(task.outcome().await, Ok(Outcome::Closed)));
    assert_eq!(start.elapsed(), Duration::ZERO);
    assert_eq!(hub.stats().closed.total(), 1);
}

#[tokio::test]
async fn x6_a_graceful_shutdown_ends_an_idle_connection() {
    for is_used in [false, true] {
        let (peer, io) = transport(Behaviour::ORDERLY);
        let mut future =
            pin!(sse_hyper::serve_connection(&app::transports(), &app::builder(), io, service(&hub())));
        let mut cx = Context::from_waker(Waker::noop());
        if is_used {
            peer.send(get("/plain"));
        }
        assert!(future.as_mut().poll(&mut cx).is_pending());
        assert_eq!(peer.received().ends_with("plain"), is_used);
        future.as_mut().graceful_shutdown();
        assert!(matches!(future.as_mut().poll(&mut cx), Poll::Ready(Ok(Outcome::Closed))));
        assert!(peer.is_shut_down());
        // Both calls do nothing after the end.
        future.as_mut().graceful_shutdown();
        assert!(future.as_mut().poll(&mut cx).is_ready());
    }
}

#[tokio::test]
async fn x6_a_graceful_shutdown_lets_a_running_request_become_a_stream() {
    let hub = hub();
    let (peer, io) = transport(Behaviour::ORDERLY);
    peer.send(get("/slow"));
    let mut future =
        pin!(sse_hyper::serve_connection(&app::transports(), &app::builder(), io, service(&hub)));
    assert!(future.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    future.as_mut().graceful_shutdown();
    assert!(matches!(future.await.unwrap(), Outcome::Detached(_)));
    assert_eq!(peer.received(), head_and_first_block().replace("keep-alive", "keep-alive, close"));
}

#[tokio::test(start_paused = true)]
async fn x7_the_header_read_timeout_of_hyper_applies() {
    for sent in ["", "GET /sse HTTP/1.1\r\nho"] {
        let (peer, io) = transport(Behaviour::ORDERLY);
        let mut builder = http1::Builder::new();
        builder.timer(TokioTimer::new()).header_read_timeout(Duration::from_secs(5));
        let start = tokio::time::Instant::now();
        let task = ConnectionTask::with(&builder, io, service(&hub()));
        peer.send(sent);
        assert!(task.outcome().await.unwrap_err().is_timeout(), "{sent:?}");
        assert_eq!(start.elapsed().as_secs(), 5);
        assert!(peer.is_closed());
    }
}
