//! The socket path up to the hand-over (X7).

mod app;
mod transport;

use app::{
    ConnectionTask, FIRST_BLOCK, HEAD_1_0, HEAD_1_1, chunk, detach, get, head_and_first_block, hub, service,
    write_pending,
};
use axum::Router;
use axum::extract::{Request, State};
use axum::http::Response;
use axum::routing::get as route;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use sse_core::adapter::Framing;
use sse_core::shared::SharedHub;
use sse_core::{ChannelConfig, CloseReason, ConnectionConfig, Event, StartFrom};
use sse_hyper::SseBody;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use transport::{Behaviour, run_until, transport};

/// Input from a client, and the expected result.
struct Case {
    sent: Vec<String>,
    /// The bytes of earlier responses, before the head of the stream.
    before: &'static str,
    head: String,
    framing: Framing,
    /// The number of sent bytes that belong to no request, if it is deterministic.
    surplus: Option<usize>,
}

impl Case {
    fn new(sent: impl Into<String>) -> Case {
        Case {
            sent: vec![sent.into()],
            before: "",
            head: HEAD_1_1.to_owned(),
            framing: Framing::Chunked,
            surplus: Some(0),
        }
    }

    /// Sends the input, waits for the hand-over, publishes an event, and checks every byte.
    async fn check(&self, behaviour: Behaviour) {
        let hub = hub();
        let (peer, io) = transport(behaviour);
        let task = ConnectionTask::new(io, service(&hub));
        for sent in &self.sent {
            peer.send(sent);
            run_until("a response arrives", || !peer.received().is_empty() || self.sent.len() == 1).await;
        }
        let mut detached = detach(task).await;
        let context = format!("{:?}, {behaviour:?}", self.sent);
        let framed = |frames: &str| match self.framing {
            Framing::Chunked => chunk(frames),
            Framing::UntilClose => frames.to_owned(),
        };
        let expected = self.before.to_owned() + &self.head + &framed(FIRST_BLOCK);
        assert_eq!(peer.received(), expected, "{context}");
        assert_eq!((peer.buffered(), peer.is_closed()), (0, false), "{context}");
        assert_eq!(detached.framing, self.framing, "{context}");
        if let Some(surplus) = self.surplus {
            assert_eq!(detached.unread + peer.unread(), surplus, "{context}");
            if behaviour.max_bytes > 7 {
                assert_eq!(detached.unread, surplus, "{context}");
            }
        }

        hub.channel("a").unwrap().publish(&Event::new().data("1")).unwrap();
        write_pending(&mut detached).await;
        assert_eq!(peer.received(), expected + &framed("id: e-1\ndata: 1\n\n"), "{context}");
        assert_eq!(hub.stats().connections, 1, "{context}");
        drop(detached);
        assert_eq!((hub.stats().connections, peer.is_closed()), (0, true), "{context}");
    }

    async fn check_all(&self) {
        for behaviour in Behaviour::all() {
            self.check(behaviour).await;
        }
    }
}

#[tokio::test]
async fn x7_the_transport_is_handed_over_after_exactly_the_head_and_the_first_bytes() {
    Case::new(get("/sse")).check_all().await;
}

#[tokio::test]
async fn x7_the_first_pending_bytes_go_out_with_the_head() {
    // The first two frames fit into the first bytes, and the last one is left to the driver.
    let sizes = [100, 15_000, 20_000];
    let hub = hub();
    let channel =
        hub.open_channel("a", ChannelConfig { start: StartFrom::All, ..Default::default() }).unwrap();
    let frames = sizes.map(|size| {
        let published = channel.publish(&Event::new().data("x".repeat(size))).unwrap();
        String::from_utf8(published.frame.as_bytes().to_vec()).unwrap()
    });
    // The second builder gives hyper a smaller buffer than the first bytes need.
    let mut small = app::builder();
    small.max_buf_size(8192);
    for builder in [app::builder(), small] {
        for behaviour in Behaviour::all().into_iter().filter(|behaviour| behaviour.max_bytes > 7) {
            let (peer, io) = transport(behaviour);
            let task = ConnectionTask::with(&builder, io, service(&hub));
            peer.send(get("/unannounced"));
            let mut detached = detach(task).await;
            let expected = HEAD_1_1.to_owned() + &chunk(&(frames[0].clone() + &frames[1]));
            assert!(peer.received() == expected, "{behaviour:?}");
            if behaviour.vectored {
                assert_eq!(peer.writes(), 1);
            }
            write_pending(&mut detached).await;
            assert!(peer.received() == expected + &chunk(&frames[2]), "{behaviour:?}");
        }
    }
}

#[tokio::test]
async fn x7_a_large_first_frame_is_left_to_the_driver() {
    let hub = hub();
    let channel =
        hub.open_channel("a", ChannelConfig { start: StartFrom::All, ..Default::default() }).unwrap();
    let published = channel.publish(&Event::new().data("x".repeat(20_000))).unwrap();
    let (peer, io) = transport(Behaviour::ORDERLY);
    peer.send(get("/unannounced"));
    let mut detached = detach(ConnectionTask::new(io, service(&hub))).await;
    assert_eq!(peer.received(), HEAD_1_1);
    write_pending(&mut detached).await;
    let frame = std::str::from_utf8(published.frame.as_bytes()).unwrap();
    assert!(peer.received() == HEAD_1_1.to_owned() + &chunk(frame));
}

#[tokio::test]
async fn x7_the_transport_is_handed_over_after_a_slow_handler() {
    Case::new(get("/slow")).check_all().await;
}

#[tokio::test]
async fn x7_the_transport_is_handed_over_after_other_requests() {
    let plain = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nplain";
    let sent = vec![get("/plain"), get("/sse")];
    Case { sent, before: plain, ..Case::new("") }.check_all().await;
    let pipelined = get("/plain") + &get("/sse");
    Case { before: plain, ..Case::new(pipelined) }.check_all().await;
}

#[tokio::test]
async fn x7_bytes_behind_the_request_are_counted_and_dropped() {
    for surplus in ["x", "\0\0\0", "GET /sse HTTP/1.1\r\nhost: a\r\n\r\n"] {
        Case { surplus: Some(surplus.len()), ..Case::new(get("/sse") + surplus) }.check_all().await;
    }
}

#[tokio::test]
async fn x7_a_request_body_can_be_read_or_left_unread() {
    let post = |path: &str, more: &str| {
        format!("POST {path} HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\n{more}\r\n")
    };
    Case::new(post("/read", "") + "body").check_all().await;
    Case { surplus: None, ..Case::new(post("/sse", "") + "body") }.check_all().await;
    // The handler does not read the body, so hyper sends no 100 Continue.
    Case::new(post("/sse", "expect: 100-continue\r\n")).check_all().await;
    let sent = vec![post("/read", "expect: 100-continue\r\n"), "body".to_owned()];
    let interim = "HTTP/1.1 100 Continue\r\n\r\n";
    Case { sent, before: interim, ..Case::new("") }.check_all().await;
}

#[tokio::test]
async fn x7_http_1_0_clients_receive_unchunked_frames_until_the_close() {
    let until_close =
        |sent: &str| Case { head: HEAD_1_0.to_owned(), framing: Framing::UntilClose, ..Case::new(sent) };
    until_close("GET /sse HTTP/1.0\r\n\r\n").check_all().await;
    until_close("GET /sse HTTP/1.0\r\nconnection: keep-alive\r\n\r\n").check_all().await;
    until_close("GET /misframed HTTP/1.0\r\nconnection: keep-alive\r\n\r\n").check_all().await;
}

#[tokio::test]
async fn x7_a_request_with_connection_close_is_handed_over() {
    let head = HEAD_1_1.replace("keep-alive", "keep-alive, close");
    let sent = "GET /sse HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
    Case { head, ..Case::new(sent) }.check_all().await;
}

#[tokio::test]
async fn x7_framing_fields_set_by_a_handler_are_replaced() {
    Case::new(get("/misframed")).check_all().await;
}

#[tokio::test]
async fn x7_pipeline_flush_does_not_delay_the_head() {
    let (peer, io) = transport(Behaviour::ORDERLY);
    let mut builder = app::builder();
    builder.pipeline_flush(true);
    peer.send(get("/sse") + "surplus");
    let task = ConnectionTask::with(&builder, io, service(&hub()));
    assert_eq!(detach(task).await.unread, 7);
    assert_eq!(peer.received(), head_and_first_block());
}

#[tokio::test]
async fn x7_a_blocked_transport_is_handed_over_only_after_its_flush() {
    for buffers in [false, true] {
        let (peer, io) = transport(Behaviour { buffers, ..Behaviour::ORDERLY });
        peer.set_blocked(true);
        let hub = hub();
        let task = ConnectionTask::new(io, service(&hub));
        peer.send(get("/sse"));
        run_until("the request is subscribed", || hub.stats().connections == 1).await;
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        assert!(!task.is_finished());
        peer.set_blocked(false);
        detach(task).await;
        assert_eq!(peer.received(), head_and_first_block());
    }
}

#[tokio::test]
async fn x7_connections_of_an_axum_router_are_handed_over() {
    async fn subscribe(State(hub): State<SharedHub>, request: Request) -> Response<SseBody> {
        sse_hyper::response(request.version(), hub.connect(ConnectionConfig::default()).unwrap())
    }
    let hub = hub();
    let router = Router::new().route("/sse", route(subscribe)).with_state(hub.clone());
    for behaviour in Behaviour::all() {
        let (peer, io) = transport(behaviour);
        let task = ConnectionTask::new(io, TowerToHyperService::new(router.clone()));
        // axum answers HEAD with the handler of GET and drops the body.
        peer.send("HEAD /sse HTTP/1.1\r\nhost: a\r\n\r\n");
        peer.receives("\r\n\r\n").await;
        run_until("the connection of the HEAD request ends", || hub.stats().connections == 0).await;
        let before = peer.received();
        peer.send(get("/sse"));
        let detached = detach(task).await;
        assert_eq!(peer.received(), before + &head_and_first_block(), "{behaviour:?}");
        drop(detached);
    }
}

#[tokio::test]
async fn x7_a_tcp_socket_is_handed_over() {
    let hub = hub();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut client = tokio::net::TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (socket, _) = listener.accept().await.unwrap();
    let task = ConnectionTask::new(TokioIo::new(socket), service(&hub));
    client.write_all(get("/sse").as_bytes()).await.unwrap();
    let detached = detach(task).await;
    let mut socket = detached.io.into_inner();
    socket.write_all(b"by hand").await.unwrap();
    drop(socket);
    let mut received = String::new();
    client.read_to_string(&mut received).await.unwrap();
    assert_eq!(received, head_and_first_block() + "by hand");
}

#[tokio::test]
async fn x7_hyper_answers_head_requests_and_the_connection_ends() {
    for behaviour in Behaviour::all() {
        let hub = hub();
        let (peer, io) = transport(behaviour);
        let task = ConnectionTask::new(io, service(&hub));
        peer.send("HEAD /sse HTTP/1.1\r\nhost: a\r\n\r\n");
        peer.receives("\r\n\r\n").await;
        run_until("the connection of the HEAD request ends", || hub.stats().connections == 0).await;
        assert_eq!(hub.stats().opened, 1);
        let before = peer.received();
        peer.send(get("/sse"));
        let _detached = detach(task).await;
        assert_eq!(peer.received(), before + &head_and_first_block(), "{behaviour:?}");
    }
}

#[tokio::test]
async fn x7_the_body_path_serves_responses_that_cannot_be_handed_over() {
    for path in ["/teapot", "/gzip", "/trailer", "/lost", "/polled"] {
        for behaviour in Behaviour::all() {
            let hub = hub();
            let (peer, io) = transport(behaviour);
            let task = ConnectionTask::new(io, service(&hub));
            peer.send(get(path));
            peer.receives("id: e-0\nevent: position\ndata: \n\n\r\n").await;
            hub.channel("a").unwrap().publish(&Event::new().data("1")).unwrap();
            peer.receives(&chunk("id: e-1\ndata: 1\n\n")).await;
            assert!(!task.is_finished(), "{path}, {behaviour:?}");
            hub.shut_down();
            peer.receives("0\r\n\r\n").await;
            assert_eq!(hub.stats().connections, 0);
            // hyper continues to serve the connection.
            peer.send(get("/plain"));
            peer.receives("plain").await;
        }
    }
}

#[tokio::test]
async fn x7_a_middleware_that_replaces_the_body_ends_the_connection() {
    let hub = hub();
    let (peer, io) = transport(Behaviour::WORST);
    let task = ConnectionTask::new(io, service(&hub));
    peer.send(get("/replaced"));
    peer.receives("replaced").await;
    assert_eq!((hub.stats().opened, hub.stats().connections), (1, 0));
    assert!(!task.is_finished());
}

#[tokio::test]
async fn x7_a_connection_that_the_hub_has_closed_is_handed_over() {
    let hub = hub();
    let (peer, io) = transport(Behaviour::ORDERLY);
    let task = ConnectionTask::new(io, service(&hub));
    peer.send(get("/ended"));
    let mut detached = detach(task).await;
    assert_eq!(detached.outbound.handle().closed().await, CloseReason::Requested);
    let end = std::future::poll_fn(|cx| detached.outbound.poll_bytes(cx)).await;
    assert_eq!((end, peer.received().as_str()), (None, HEAD_1_1));
}
