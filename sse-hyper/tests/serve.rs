//! The socket path, up to the hand-over: X7.

mod app;
mod wire;

use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use app::{HEAD_1_0, HEAD_1_1, Served, chunk, get, hub, service, subscribed, write_due};
use axum::Router;
use axum::extract::{Request, State};
use axum::http::{Response, Version};
use axum::routing::get as route;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use sse_core::shared::{Framing, SharedHub};
use sse_core::{CloseReason, ConnectionConfig, Event};
use sse_hyper::{Outcome, SseBody};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use wire::{Manners, settle, wire};

/// What a client sends, and what has to become of it.
struct Case {
    sent: Vec<String>,
    /// What is answered before the head of the stream.
    before: &'static str,
    head: String,
    framing: Framing,
    /// How many bytes of what was sent belong to no request, where that is certain.
    beyond: Option<usize>,
}

impl Case {
    fn new(sent: impl Into<String>) -> Case {
        Case {
            sent: vec![sent.into()],
            before: "",
            head: HEAD_1_1.to_owned(),
            framing: Framing::Chunked,
            beyond: Some(0),
        }
    }

    /// Sends it, lets it be handed over, publishes, and looks at every byte.
    async fn check(&self, manners: Manners) {
        let hub = hub();
        let (peer, io) = wire(manners);
        let served = Served::new(io, service(&hub));
        for sent in &self.sent {
            peer.send(sent);
            settle("it is answered", || !peer.received().is_empty() || self.sent.len() == 1).await;
        }
        let mut subscribed = subscribed(served).await;
        let context = format!("{:?}, {manners:?}", self.sent);
        let expected = format!("{}{}", self.before, self.head);
        assert_eq!(peer.received(), expected, "{context}");
        assert_eq!((peer.buffered(), peer.is_closed()), (0, false), "{context}");
        assert_eq!(subscribed.framing, self.framing, "{context}");
        if let Some(beyond) = self.beyond {
            assert_eq!(subscribed.unread + peer.unread(), beyond, "{context}");
            if manners.at_once > 7 {
                assert_eq!(subscribed.unread, beyond, "{context}");
            }
        }

        hub.channel("a").unwrap().publish(&Event::new().data("1")).unwrap();
        write_due(&mut subscribed).await;
        let frames = "id: e-0\n\nid: e-1\ndata: 1\n\n";
        let framed = if self.framing == Framing::Chunked { chunk(frames) } else { frames.to_owned() };
        assert_eq!(peer.received(), expected + &framed, "{context}");
        assert_eq!(hub.stats().connections, 1, "{context}");
        drop(subscribed);
        assert_eq!((hub.stats().connections, peer.is_closed()), (0, true), "{context}");
    }

    async fn check_all(&self) {
        for manners in Manners::all() {
            self.check(manners).await;
        }
    }
}

#[tokio::test]
async fn x7_the_transport_comes_back_when_exactly_the_head_is_out() {
    Case::new(get("/sse")).check_all().await;
}

#[tokio::test]
async fn x7_also_after_a_slow_handler() {
    Case::new(get("/slow")).check_all().await;
}

#[tokio::test]
async fn x7_also_after_other_requests() {
    let plain = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nplain";
    let sent = vec![get("/plain"), get("/sse")];
    Case { sent, before: plain, ..Case::new("") }.check_all().await;
    let pipelined = get("/plain") + &get("/sse");
    Case { before: plain, ..Case::new(pipelined) }.check_all().await;
}

#[tokio::test]
async fn x7_what_is_sent_behind_the_request_is_counted_and_dropped() {
    for rubbish in ["x", "\0\0\0", "GET /sse HTTP/1.1\r\nhost: a\r\n\r\n"] {
        Case { beyond: Some(rubbish.len()), ..Case::new(get("/sse") + rubbish) }.check_all().await;
    }
}

#[tokio::test]
async fn x7_the_body_of_a_request_may_be_expected_read_or_left() {
    let post = |path: &str, more: &str| {
        format!("POST {path} HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\n{more}\r\n")
    };
    Case::new(post("/read", "") + "body").check_all().await;
    Case { beyond: None, ..Case::new(post("/sse", "") + "body") }.check_all().await;
    // Nobody read it, so nobody asked for it.
    Case::new(post("/sse", "expect: 100-continue\r\n")).check_all().await;
    let sent = vec![post("/read", "expect: 100-continue\r\n"), "body".to_owned()];
    let asked = "HTTP/1.1 100 Continue\r\n\r\n";
    Case { sent, before: asked, ..Case::new("") }.check_all().await;
}

#[tokio::test]
async fn x7_a_client_of_http_1_0_gets_frames_until_the_close() {
    let until_close =
        |sent: &str| Case { head: HEAD_1_0.to_owned(), framing: Framing::UntilClose, ..Case::new(sent) };
    until_close("GET /sse HTTP/1.0\r\n\r\n").check_all().await;
    until_close("GET /sse HTTP/1.0\r\nconnection: keep-alive\r\n\r\n").check_all().await;
    until_close("GET /misframed HTTP/1.0\r\nconnection: keep-alive\r\n\r\n").check_all().await;
}

#[tokio::test]
async fn x7_a_client_that_wants_no_second_answer_gets_its_stream() {
    let head = HEAD_1_1.replace("keep-alive", "keep-alive, close");
    let sent = "GET /sse HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
    Case { head, ..Case::new(sent) }.check_all().await;
}

#[tokio::test]
async fn x7_a_handler_cannot_frame_the_body_wrongly() {
    Case::new(get("/misframed")).check_all().await;
}

#[tokio::test]
async fn x7_a_head_is_not_kept_back_by_a_builder_that_flushes_late() {
    let (peer, io) = wire(Manners::GOOD);
    let mut builder = app::builder();
    builder.pipeline_flush(true);
    peer.send(get("/sse") + "rubbish");
    let served = Served::with(&builder, io, service(&hub()));
    assert_eq!(subscribed(served).await.unread, 7);
    assert_eq!(peer.received(), HEAD_1_1);
}

#[tokio::test]
async fn x7_a_transport_that_takes_nothing_is_not_handed_over() {
    for buffers in [false, true] {
        let (peer, io) = wire(Manners { buffers, ..Manners::GOOD });
        peer.refuse(true);
        let hub = hub();
        let served = Served::new(io, service(&hub));
        peer.send(get("/sse"));
        settle("it is subscribed", || hub.stats().connections == 1).await;
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        assert!(!served.is_finished());
        peer.refuse(false);
        subscribed(served).await;
        assert_eq!(peer.received(), HEAD_1_1);
    }
}

#[tokio::test]
async fn x7_an_axum_router_hands_over() {
    async fn subscribe(State(hub): State<SharedHub>, request: Request) -> Response<SseBody> {
        sse_hyper::response(request.version(), hub.connect(ConnectionConfig::default()).unwrap())
    }
    let hub = hub();
    let router = Router::new().route("/sse", route(subscribe)).with_state(hub.clone());
    for manners in Manners::all() {
        let (peer, io) = wire(manners);
        let served = Served::new(io, TowerToHyperService::new(router.clone()));
        // Its router answers HEAD by the same handler, without the body.
        peer.send("HEAD /sse HTTP/1.1\r\nhost: a\r\n\r\n");
        peer.receives("\r\n\r\n").await;
        settle("the connection of HEAD is gone", || hub.stats().connections == 0).await;
        let before = peer.received();
        peer.send(get("/sse"));
        let subscribed = subscribed(served).await;
        assert_eq!(peer.received(), before + HEAD_1_1, "{manners:?}");
        drop(subscribed);
    }
}

#[tokio::test]
async fn x7_a_tcp_socket_comes_back() {
    let hub = hub();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut client = tokio::net::TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (socket, _) = listener.accept().await.unwrap();
    let served = Served::new(TokioIo::new(socket), service(&hub));
    client.write_all(get("/sse").as_bytes()).await.unwrap();
    let subscribed = subscribed(served).await;
    let mut socket = subscribed.io.into_inner();
    socket.write_all(b"by hand").await.unwrap();
    drop(socket);
    let mut received = String::new();
    client.read_to_string(&mut received).await.unwrap();
    assert_eq!(received, format!("{HEAD_1_1}by hand"));
}

#[tokio::test]
async fn x7_head_is_answered_by_hyper_and_its_connection_released() {
    for manners in Manners::all() {
        let hub = hub();
        let (peer, io) = wire(manners);
        let served = Served::new(io, service(&hub));
        peer.send("HEAD /sse HTTP/1.1\r\nhost: a\r\n\r\n");
        peer.receives("\r\n\r\n").await;
        settle("the connection of HEAD is gone", || hub.stats().connections == 0).await;
        assert_eq!(hub.stats().opened, 1);
        let before = peer.received();
        peer.send(get("/sse"));
        let _subscribed = subscribed(served).await;
        assert_eq!(peer.received(), before + HEAD_1_1, "{manners:?}");
    }
}

#[tokio::test]
async fn x7_where_it_would_be_wrong_the_body_serves() {
    for path in ["/teapot", "/gzip", "/trailer", "/lost", "/looked"] {
        for manners in Manners::all() {
            let hub = hub();
            let (peer, io) = wire(manners);
            let served = Served::new(io, service(&hub));
            peer.send(get(path));
            peer.receives("id: e-0\n\n\r\n").await;
            hub.channel("a").unwrap().publish(&Event::new().data("1")).unwrap();
            peer.receives(&chunk("id: e-1\ndata: 1\n\n")).await;
            assert!(!served.is_finished(), "{path}, {manners:?}");
            hub.shut_down();
            peer.receives("0\r\n\r\n").await;
            assert_eq!(hub.stats().connections, 0);
            // What hyper goes on to serve.
            peer.send(get("/plain"));
            peer.receives("plain").await;
        }
    }
}

#[tokio::test]
async fn x7_a_middleware_that_answers_something_else_ends_the_connection() {
    let hub = hub();
    let (peer, io) = wire(Manners::WORST);
    let served = Served::new(io, service(&hub));
    peer.send(get("/replaced"));
    peer.receives("replaced").await;
    assert_eq!((hub.stats().opened, hub.stats().connections), (1, 0));
    assert!(!served.is_finished());
}

#[tokio::test]
async fn x4_a_response_without_its_body_has_no_connection_and_without_its_head_it_has() {
    let hub = hub();
    for keep_body in [false, true] {
        let stream = hub.connect(ConnectionConfig::default()).unwrap();
        let handle = stream.handle();
        let (head, body) = sse_hyper::response(Version::HTTP_11, stream).into_parts();
        // The marker in the head alone holds nothing.
        let kept = (Some(head).filter(|_| !keep_body), Some(body).filter(|_| keep_body));
        assert_eq!(handle.is_open(), keep_body);
        drop(kept);
        assert!(!handle.is_open());
    }
}

#[tokio::test]
async fn x4_dropping_the_future_at_any_point_closes_and_disconnects() {
    let mut polls = 0;
    loop {
        let hub = hub();
        let (peer, io) = wire(Manners::WORST);
        peer.send(get("/slow"));
        let mut future = Box::pin(sse_hyper::serve_connection(&app::builder(), io, service(&hub)));
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
        assert!(polls < 2_000, "it is never over");
    }
    assert!(polls > HEAD_1_1.len(), "each byte took a poll: {polls}");
}

#[tokio::test]
async fn x4_a_peer_that_goes_while_its_request_is_handled_is_noticed() {
    for manners in Manners::all() {
        let hub = hub();
        let (peer, io) = wire(manners);
        let served = Served::new(io, service(&hub));
        peer.send(get("/wait"));
        settle("the handler runs", || hub.stats().connections == 1).await;
        peer.finish();
        assert!(served.outcome().await.unwrap_err().is_incomplete_message());
        assert_eq!(hub.stats().connections, 0);
        assert!(peer.is_closed());
    }
}

#[tokio::test]
async fn x4_a_peer_that_goes_before_it_took_the_head_is_noticed() {
    let hub = hub();
    let (peer, io) = wire(Manners::GOOD);
    peer.refuse(true);
    peer.send(get("/sse"));
    let mut future = pin!(sse_hyper::serve_connection(&app::builder(), io, service(&hub)));
    assert!(future.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    assert_eq!(hub.stats().connections, 1);
    peer.finish();
    assert!(future.as_mut().await.unwrap_err().is_incomplete_message());
    // The future is over, and still there.
    assert_eq!((hub.stats().connections, peer.is_closed()), (0, true));
}

#[tokio::test(start_paused = true)]
async fn t3_a_peer_that_does_not_take_the_head_has_the_stall_time() {
    let hub = hub();
    let (peer, io) = wire(Manners::GOOD);
    peer.refuse(true);
    peer.send(get("/sse"));
    let start = tokio::time::Instant::now();
    let mut future = pin!(sse_hyper::serve_connection(&app::builder(), io, service(&hub)));
    let outcome = tokio::time::timeout(Duration::from_secs(60), future.as_mut()).await;
    assert!(matches!(outcome, Ok(Ok(Outcome::Closed))));
    assert_eq!(start.elapsed().as_secs(), 30);
    assert_eq!((hub.stats().connections, hub.stats().closed.stalled), (0, 1));
    // The future is over, and still there.
    assert!(peer.is_closed());
}

#[tokio::test(start_paused = true)]
async fn x6_a_head_that_is_not_taken_does_not_outlive_the_hub() {
    let hub = hub();
    let (peer, io) = wire(Manners::GOOD);
    peer.refuse(true);
    let served = Served::new(io, service(&hub));
    // Nothing is due to it, so nothing has to be taken before it ends.
    peer.send(get("/unannounced"));
    settle("it is subscribed", || hub.stats().connections == 1).await;
    let start = tokio::time::Instant::now();
    hub.shut_down();
    assert!(matches!(served.outcome().await, Ok(Outcome::Closed)));
    assert_eq!(start.elapsed(), Duration::ZERO);
    assert_eq!(hub.stats().closed.total(), 1);
}

#[tokio::test]
async fn x7_a_connection_that_the_hub_ended_meanwhile_is_handed_over_all_the_same() {
    let hub = hub();
    let (peer, io) = wire(Manners::GOOD);
    let served = Served::new(io, service(&hub));
    peer.send(get("/ended"));
    let mut subscribed = subscribed(served).await;
    assert_eq!(subscribed.outbound.handle().closed().await, CloseReason::Requested);
    let end = std::future::poll_fn(|cx| subscribed.outbound.poll_bytes(cx)).await;
    assert_eq!((end, peer.received().as_str()), (None, HEAD_1_1));
}

#[tokio::test]
async fn x6_a_graceful_shutdown_ends_an_idle_connection() {
    for is_used in [false, true] {
        let (peer, io) = wire(Manners::GOOD);
        let mut future = pin!(sse_hyper::serve_connection(&app::builder(), io, service(&hub())));
        let mut cx = Context::from_waker(Waker::noop());
        if is_used {
            peer.send(get("/plain"));
        }
        assert!(future.as_mut().poll(&mut cx).is_pending());
        assert_eq!(peer.received().ends_with("plain"), is_used);
        future.as_mut().graceful_shutdown();
        assert!(matches!(future.as_mut().poll(&mut cx), Poll::Ready(Ok(Outcome::Closed))));
        assert!(peer.is_shut_down());
        // Neither does anything once it is over.
        future.as_mut().graceful_shutdown();
        assert!(future.as_mut().poll(&mut cx).is_ready());
    }
}

#[tokio::test]
async fn x6_a_graceful_shutdown_lets_a_request_become_a_stream() {
    let hub = hub();
    let (peer, io) = wire(Manners::GOOD);
    peer.send(get("/slow"));
    let mut future = pin!(sse_hyper::serve_connection(&app::builder(), io, service(&hub)));
    assert!(future.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    future.as_mut().graceful_shutdown();
    assert!(matches!(future.await.unwrap(), Outcome::Subscribed(_)));
    assert_eq!(peer.received(), HEAD_1_1.replace("keep-alive", "keep-alive, close"));
}

#[tokio::test(start_paused = true)]
async fn x7_hypers_timeout_for_a_requests_head_holds() {
    for sent in ["", "GET /sse HTTP/1.1\r\nho"] {
        let (peer, io) = wire(Manners::GOOD);
        let mut builder = http1::Builder::new();
        builder.timer(TokioTimer::new()).header_read_timeout(Duration::from_secs(5));
        let start = tokio::time::Instant::now();
        let served = Served::with(&builder, io, service(&hub()));
        peer.send(sent);
        assert!(served.outcome().await.unwrap_err().is_timeout(), "{sent:?}");
        assert_eq!(start.elapsed().as_secs(), 5);
        assert!(peer.is_closed());
    }
}
