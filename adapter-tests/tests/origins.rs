//! Pages of other origins that read a stream with `fetch`: the answers on the wire, and a browser.
//!
//! Tests that need a program are ignored where it is not installed. With `CI` set they fail instead.

mod demo_browser;

use std::convert::Infallible;
use std::io::{Read, Write};
use std::net::TcpStream;

use adapter_tests::programs::{self, Missing, needs};
use adapter_tests::{TIMEOUT, trials};
use axum::Router;
use axum::extract::{Request, State};
use axum::http::header::AUTHORIZATION;
use axum::response::Html;
use axum::routing::get;
use hyper::Response;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use sse_core::shared::{Channel, SharedHub};
use sse_core::{ChannelConfig, Event, HubConfig};
use sse_hyper::{AllowedOrigins, Refusal, SseBody};
use tokio::net::TcpListener;

use demo_browser::Browser;

fn main() {
    let tests = trials![hyper_and_axum_answer_preflights_alike, a_page_of_another_origin_resumes_with_fetch,];
    programs::run(tests, false);
}

/// The state of a server: its hub, its channel, and the pages that may follow it.
#[derive(Clone)]
struct Server {
    hub: SharedHub,
    news: Channel,
    origins: AllowedOrigins,
}

impl Server {
    fn new(origins: AllowedOrigins) -> Server {
        let hub = sse_hyper::start("e", HubConfig::default(), &TokioExecutor::new(), TokioTimer::new());
        let hub = hub.expect("the epoch is valid");
        let news = hub.open_channel("news", ChannelConfig::default()).expect("there is room");
        Server { hub, news, origins }
    }

    /// Responds to every request of a route: a stream, or the answer to a preflight.
    fn respond<B>(&self, request: &hyper::Request<B>) -> Response<SseBody> {
        let version = request.version();
        if let Some(response) = self.origins.preflight(request) {
            return response;
        }
        let admitted = match self.origins.admit(request.headers()) {
            Ok(admitted) => admitted,
            Err(forbidden) => return forbidden.into_response(version),
        };
        let outbound = self.hub.connect(sse_hyper::connection_config(request)).ok();
        let mut response = match outbound.filter(|outbound| outbound.subscribe(&self.news).is_ok()) {
            Some(outbound) => sse_hyper::response(version, outbound),
            None => Refusal::default().into_response(version),
        };
        admitted.apply(&mut response);
        response
    }

    /// Serves the stream with axum, and returns the port.
    async fn serve_with_axum(&self) -> u16 {
        let respond = async |State(server): State<Server>, request: Request| server.respond(&request);
        serve(Router::new().route("/events", get(respond).options(respond)).with_state(self.clone())).await
    }

    /// Serves the stream with hyper alone, and returns the port.
    async fn serve_with_hyper(&self) -> u16 {
        let (listener, port) = listen().await;
        let server = self.clone();
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let server = server.clone();
                let service = service_fn(move |request| {
                    let response = server.respond(&request);
                    async { Ok::<_, Infallible>(response) }
                });
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(socket), service));
            }
        });
        port
    }
}

async fn listen() -> (TcpListener, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
    let port = listener.local_addr().expect("it is bound").port();
    (listener, port)
}

async fn serve(app: Router) -> u16 {
    let (listener, port) = listen().await;
    tokio::spawn(async move { axum::serve(listener, app).await });
    port
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime")
}

/// X8: the answers on the wire.
fn hyper_and_axum_answer_preflights_alike() -> Result<(), Missing> {
    let origins = AllowedOrigins::new(["https://app.example"]).expect("it is an origin");
    let runtime = runtime();
    let (server, ports) = runtime.block_on(async {
        let server = Server::new(origins.credentials(true).request_headers([AUTHORIZATION]));
        let ports = [server.serve_with_axum().await, server.serve_with_hyper().await];
        (server, ports)
    });
    for port in ports {
        let allowed = exchange(port, &preflight("https://app.example"));
        assert_eq!(
            allowed,
            "HTTP/1.1 204 No Content\r\n\
             vary: origin\r\n\
             access-control-allow-origin: https://app.example\r\n\
             access-control-allow-credentials: true\r\n\
             access-control-allow-methods: GET\r\n\
             access-control-allow-headers: last-event-id, cache-control, authorization\r\n\
             access-control-max-age: 7200\r\n\
             connection: close\r\n"
        );
        let refused = exchange(port, &preflight("https://elsewhere.example"));
        assert!(refused.starts_with("HTTP/1.1 403 Forbidden\r\nvary: origin\r\n"), "{refused}");
        assert!(!refused.contains("access-control"), "{refused}");
    }
    assert_eq!(server.hub.stats().opened, 0, "a preflight subscribes nothing");
    Ok(())
}

/// The preflight of a page.
fn preflight(origin: &str) -> String {
    format!(
        "OPTIONS /events HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nOrigin: {origin}\r\n\
         Access-Control-Request-Method: GET\r\nAccess-Control-Request-Headers: last-event-id\r\n\r\n"
    )
}

/// Sends a request, and returns the head of the response without its date.
fn exchange(port: u16, request: &str) -> String {
    let mut socket = TcpStream::connect(("127.0.0.1", port)).expect("the server listens");
    socket.set_read_timeout(Some(TIMEOUT)).expect("a timeout can be set");
    socket.write_all(request.as_bytes()).expect("the server reads");
    let mut response = String::new();
    socket.read_to_string(&mut response).expect("the server responds and closes");
    let head = response.split_inclusive("\r\n").take_while(|line| *line != "\r\n");
    head.filter(|line| !line.starts_with("date: ")).collect()
}

/// X8: the browser sends a preflight, since the page sends `Last-Event-ID`.
fn a_page_of_another_origin_resumes_with_fetch() -> Result<(), Missing> {
    needs("chromedriver", "--version")?;
    needs("chromium", "--version")?;
    runtime().block_on(async {
        let page = serve(Router::new().route("/", get(async || Html("<!doctype html><p>A page</p>")))).await;
        let origins = AllowedOrigins::new([format!("http://127.0.0.1:{page}")]).expect("it is an origin");
        let listed = Server::new(origins.request_headers([AUTHORIZATION]));
        let others = AllowedOrigins::new(["https://elsewhere.example"]).expect("it is an origin");
        let unlisted = Server::new(others);
        let read = listed.news.publish(&Event::new().data("read before")).expect("the channel is open");
        listed.news.publish(&Event::new().data("missed")).expect("the channel is open");
        let id = read.frame.id().expect("the hub assigns ids").to_owned();

        let browser = Browser::start().await;
        browser.page(page).await;
        for port in [listed.serve_with_axum().await, listed.serve_with_hyper().await] {
            follow_with_fetch(&browser, port, &id).await;
            browser.wait_for("the missed event arrives", "return seen.includes('data: missed')").await;
            assert!(!browser.text("return seen").await.contains("read before"), "it is no new client");
        }
        follow_with_fetch(&browser, unlisted.serve_with_axum().await, &id).await;
        browser.wait_for("the browser refuses", "return seen.startsWith('failed: TypeError')").await;
        assert_eq!(unlisted.hub.stats().opened, 0, "nothing is subscribed");
        browser.close().await;
    });
    Ok(())
}

/// Follows a stream as clients do that are built on `fetch`. The variable `seen` of the page is what the page has read.
async fn follow_with_fetch(browser: &Browser, port: u16, last_event_id: &str) {
    let script = format!(
        "window.seen = '';
         const headers = {{
             'Last-Event-ID': '{last_event_id}', 'Cache-Control': 'no-cache', Authorization: 'Bearer token',
         }};
         fetch('http://127.0.0.1:{port}/events', {{ headers }}).then(async response => {{
             const text = response.body.pipeThrough(new TextDecoderStream()).getReader();
             for (let part; part = (await text.read()).value;) window.seen += part;
         }}).catch(error => window.seen = 'failed: ' + error)"
    );
    browser.run(&script).await;
}
