//! Event streams below the middleware of tower-http, on the body path and on the socket path. The tests run on virtual time.

use std::convert::Infallible;
use std::future::{pending, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{
    ACCEPT_ENCODING, ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL, CONTENT_ENCODING, ORIGIN,
};
use axum::http::{HeaderName, HeaderValue, Method, Response, StatusCode};
use axum::middleware::{Next, from_fn};
use axum::routing::get;
use http_body_util::BodyExt;
use hyper::server::conn::http1;
use hyper::service::Service;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use sse_core::shared::{Channel, Outbound, SharedHub};
use sse_core::{ChannelConfig, ConnectionConfig, Event, HubConfig};
use sse_hyper::{AllowedOrigins, Detached, Outcome, Refusal, SseBody, TransportConfig, Transports};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::time::Instant;
use tower_http::compression::CompressionLayer;
use tower_http::cors::CorsLayer;
use tower_http::timeout::{ResponseBodyTimeoutLayer, TimeoutLayer};
use tower_http::trace::TraceLayer;

const PING: Duration = Duration::from_secs(25);

/// A time in which every timeout of the layers passes many times.
const HOUR: Duration = Duration::from_secs(3600);

/// The event with which every stream begins, and one event.
const FIRST_BLOCK: &str = "id: e-0\nevent: position\ndata: \n\n";
const NEWS: &str = "id: e-1\ndata: all is well\n\n";

/// Adds a layer to a router.
type AddLayer = fn(Router) -> Router;

/// Layers that leave event streams as they are, with their names.
const LAYERS: [(&str, AddLayer); 5] = [
    ("Trace", |app| app.layer(TraceLayer::new_for_http())),
    ("Cors", |app| app.layer(cors())),
    ("Timeout", |app| app.layer(timeout())),
    ("Compression", |app| app.layer(CompressionLayer::new())),
    ("ResponseBodyTimeout", |app| app.layer(ResponseBodyTimeoutLayer::new(PING + Duration::from_secs(1)))),
];

fn cors() -> CorsLayer {
    let headers = [HeaderName::from_static("last-event-id"), CACHE_CONTROL];
    let origin = HeaderValue::from_static("https://app.example");
    CorsLayer::new().allow_origin([origin]).allow_methods([Method::GET]).allow_headers(headers)
}

fn timeout() -> TimeoutLayer {
    TimeoutLayer::with_status_code(StatusCode::REQUEST_TIMEOUT, Duration::from_secs(10))
}

/// A server with a stream, and with two other routes on which layers act.
#[derive(Clone)]
struct Server {
    hub: SharedHub,
    news: Channel,
}

impl Server {
    fn new() -> Server {
        let hub =
            sse_hyper::start("e", HubConfig::default(), &TokioExecutor::new(), TokioTimer::new()).unwrap();
        let news = hub.open_channel("news", ChannelConfig::default()).unwrap();
        Server { hub, news }
    }

    fn app(&self) -> Router {
        Router::new()
            .route("/events", get(follow))
            .route("/page", get(async || "text ".repeat(1000)))
            .route("/slow", get(pending::<()>))
            .with_state(self.clone())
    }

    fn publish(&self) {
        self.news.publish(&Event::new().data("all is well")).unwrap();
    }
}

async fn follow(State(server): State<Server>, request: Request) -> Response<SseBody> {
    let config = ConnectionConfig { ping: Some(PING), ..sse_hyper::connection_config(&request) };
    match server.hub.connect(config) {
        Ok(outbound) if outbound.subscribe(&server.news).is_ok() => {
            sse_hyper::response(request.version(), outbound)
        }
        _ => Refusal::default().into_response(request.version()),
    }
}

/// Calls a router without a socket.
async fn call(app: Router, path: &str, origin: &'static str) -> Response<Body> {
    let request = Request::get(path).header(ACCEPT_ENCODING, "gzip").header(ORIGIN, origin);
    let response: Result<_, Infallible> =
        TowerToHyperService::new(app).call(request.body(Body::empty()).unwrap()).await;
    response.unwrap()
}

/// Returns the next bytes of a body.
async fn next(body: &mut Body) -> Result<String, axum::Error> {
    let frame = body.frame().await.expect("the stream is open")?;
    Ok(String::from_utf8(frame.into_data().unwrap().to_vec()).unwrap())
}

/// Sends a request to a router with `serve_connection`, and returns the client, the head and the connection.
async fn detach(app: Router) -> (DuplexStream, String, Outbound) {
    let (mut client, server) = tokio::io::duplex(64 << 10);
    let request = "GET /events HTTP/1.1\r\nHost: localhost\r\nAccept-Encoding: gzip\r\nOrigin: https://app.example\r\n\r\n";
    client.write_all(request.as_bytes()).await.unwrap();
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new());
    let service = TowerToHyperService::new(app);
    let transports = Transports::new(TransportConfig::default(), TokioTimer::new());
    let served = sse_hyper::serve_connection(&transports, &builder, TokioIo::new(server), service);
    // On the body path, hyper serves the stream without an end.
    let outcome = tokio::time::timeout(HOUR, served).await.expect("the socket is handed over").unwrap();
    let Outcome::Detached(Detached { outbound, io, .. }) = outcome else { panic!("the stream has ended") };
    drop(io);
    let mut received = String::new();
    client.read_to_string(&mut received).await.unwrap();
    (client, received, outbound)
}

/// Returns the next bytes of a connection.
async fn taken(outbound: &mut Outbound) -> String {
    let bytes = poll_fn(|cx| outbound.poll_bytes(cx)).await.expect("the connection is open");
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[tokio::test(start_paused = true)]
async fn layers_leave_streams_open_on_the_body_path() {
    for (name, layer) in LAYERS {
        let server = Server::new();
        let response = call(layer(server.app()), "/events", "https://app.example").await;
        assert_eq!(response.status(), 200, "{name}");
        assert!(!response.headers().contains_key(CONTENT_ENCODING), "{name}");
        let mut body = response.into_body();
        assert_eq!(next(&mut body).await.unwrap(), FIRST_BLOCK, "{name}");
        let opened_at = Instant::now();
        while opened_at.elapsed() < HOUR {
            assert_eq!(next(&mut body).await.unwrap(), ":\n", "{name}");
        }
        server.publish();
        assert_eq!(next(&mut body).await.unwrap(), NEWS, "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn x7_layers_leave_streams_open_on_the_socket_path() {
    for (name, layer) in LAYERS {
        let server = Server::new();
        let (_client, received, mut outbound) = detach(layer(server.app())).await;
        assert!(received.starts_with("HTTP/1.1 200 OK\r\n"), "{name}: {received}");
        assert!(received.contains(FIRST_BLOCK), "{name}: {received}");
        let opened_at = Instant::now();
        while opened_at.elapsed() < HOUR {
            assert_eq!(taken(&mut outbound).await, ":\n", "{name}");
        }
        server.publish();
        assert_eq!(taken(&mut outbound).await, NEWS, "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn layers_act_on_other_routes() {
    let server = Server::new();
    let compressed = call(server.app().layer(CompressionLayer::new()), "/page", "https://app.example").await;
    assert_eq!(compressed.headers()[CONTENT_ENCODING], "gzip");
    let timed_out = call(server.app().layer(timeout()), "/slow", "https://app.example").await;
    assert_eq!(timed_out.status(), StatusCode::REQUEST_TIMEOUT);
}

#[tokio::test(start_paused = true)]
async fn x7_a_body_timeout_shorter_than_the_ping_ends_streams_on_the_body_path_alone() {
    let server = Server::new();
    // The first ping comes after at least half of the interval (T1).
    let app = || server.app().layer(ResponseBodyTimeoutLayer::new(PING / 2 - Duration::from_secs(1)));
    let mut body = call(app(), "/events", "https://app.example").await.into_body();
    assert_eq!(next(&mut body).await.unwrap(), FIRST_BLOCK);
    next(&mut body).await.unwrap_err();

    let (_client, _, mut outbound) = detach(app()).await;
    assert_eq!(taken(&mut outbound).await, ":\n");
}

#[tokio::test(start_paused = true)]
async fn x7_traces_report_the_head_at_once_and_the_end_on_the_body_path_alone() {
    let server = Server::new();
    let (heads, ends) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let app = || {
        let (heads, ends) = (heads.clone(), ends.clone());
        let trace = TraceLayer::new_for_http()
            .on_response(move |_: &Response<_>, _: Duration, _: &_| {
                heads.fetch_add(1, Ordering::Relaxed);
            })
            .on_eos(move |_: Option<&_>, _: Duration, _: &_| {
                ends.fetch_add(1, Ordering::Relaxed);
            });
        server.app().layer(trace)
    };
    let counts = || (heads.load(Ordering::Relaxed), ends.load(Ordering::Relaxed));
    let mut body = pin!(call(app(), "/events", "https://app.example").await.into_body());
    assert_eq!(counts(), (1, 0));
    let (_client, _, outbound) = detach(app()).await;
    assert_eq!(counts(), (2, 0));
    server.hub.shut_down();
    while body.frame().await.is_some() {}
    drop(outbound);
    assert_eq!(counts(), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn x8_the_cors_layer_refuses_no_stream_and_the_list_below_it_does() {
    let server = Server::new();
    let response = call(server.app().layer(cors()), "/events", "https://elsewhere.example").await;
    assert_eq!(response.status(), 200, "the stream is open, although the page cannot read it");
    assert!(!response.headers().contains_key(ACCESS_CONTROL_ALLOW_ORIGIN));
    assert_eq!(server.hub.stats().opened, 1);

    let app = || server.app().layer(from_fn(admit)).layer(cors());
    let refused = call(app(), "/events", "https://elsewhere.example").await;
    assert_eq!(refused.status(), 403);
    assert_eq!(server.hub.stats().opened, 1);
    let admitted = call(app(), "/events", "https://app.example").await;
    let allowed: Vec<_> = admitted.headers().get_all(ACCESS_CONTROL_ALLOW_ORIGIN).iter().collect();
    assert_eq!(allowed, ["https://app.example"]);
}

/// Refuses origins, and leaves the header fields to the layer above.
async fn admit(request: Request, next: Next) -> Response<Body> {
    let origins = AllowedOrigins::new(["https://app.example"]).unwrap();
    match origins.admit(request.headers()) {
        Ok(_) => next.run(request).await,
        Err(forbidden) => forbidden.into_response(request.version()).map(Body::new),
    }
}
