//! A server with metrics for Prometheus.
//!
//! Run `cargo run --package sse-hyper --example metrics`, then `curl -N http://127.0.0.1:3000/events` in one terminal and
//! `curl http://127.0.0.1:3000/metrics` in another. Queries for a dashboard:
//!
//! | question | query |
//! | --- | --- |
//! | How many clients are connected? | `sse_connections` |
//! | How many connections ended, and why? | `sum by (reason) (rate(sse_connections_closed_total[5m]))` |
//! | How far behind is the slowest reader? | `sse_slowest_reader_seconds`, `sse_slowest_reader_frames` |
//! | How long does a fan-out take? | `histogram_quantile(0.99, rate(sse_fan_out_seconds_bucket[5m]))` |
//! | Is a limit reached? | `rate(sse_refused_total[5m])` |
//! | Is history too short? | `rate(sse_gaps_total[5m]) / rate(sse_connections_opened_total[5m])` |

mod server;

use std::error::Error;
use std::future::pending;
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::Response;
use axum::routing::get;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use sse_core::shared::{Channel, MetricsConfig};
use sse_core::{ChannelConfig, ConnectionConfig, Event, HubConfig};
use sse_hyper::{Refusal, SseBody};
use tokio::net::TcpListener;

/// Buckets in seconds, for fan-outs to a few readers up to a million readers.
const FAN_OUT_BUCKETS: [f64; 8] = [0.000_1, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0];

/// The interval of pings, shorter than the idle timeout of common proxies and load balancers.
const PING: Duration = Duration::from_secs(25);

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let prometheus = prometheus()?.install_recorder()?;
    let epoch = sse_hyper::epoch_from_clock();
    let hub = sse_hyper::start(epoch, HubConfig::default(), &TokioExecutor::new(), TokioTimer::new())?;
    // The recorder has to be installed before this call.
    hub.record_metrics(MetricsConfig::default());
    let news = hub.open_channel("news", ChannelConfig::default())?;
    let port = std::env::var("PORT").unwrap_or("3000".to_owned());
    let listener = TcpListener::bind(format!("127.0.0.1:{port}")).await?;
    println!("http://{}/metrics", listener.local_addr()?);
    tokio::spawn(publish_time(news.clone(), prometheus.clone()));
    server::serve(listener, app(news, prometheus), pending::<()>()).await;
    Ok(())
}

pub(crate) fn prometheus() -> Result<PrometheusBuilder, BuildError> {
    let fan_out = Matcher::Full("sse_fan_out_seconds".to_owned());
    PrometheusBuilder::new().set_buckets_for_metric(fan_out, &FAN_OUT_BUCKETS)
}

pub(crate) fn app(news: Channel, prometheus: PrometheusHandle) -> Router {
    Router::new()
        .route("/events", get(follow))
        .with_state(news)
        .route("/metrics", get(move || async move { prometheus.render() }))
}

async fn follow(State(news): State<Channel>, request: Request) -> Response<SseBody> {
    let config = ConnectionConfig { ping: Some(PING), ..sse_hyper::connection_config(&request) };
    match news.hub().connect(config) {
        Ok(outbound) if outbound.subscribe(&news).is_ok() => sse_hyper::response(request.version(), outbound),
        _ => Refusal::default().into_response(request.version()),
    }
}

async fn publish_time(news: Channel, prometheus: PrometheusHandle) {
    for second in 0u64.. {
        let _ = news.publish(&Event::new().data(format!("{second} seconds")));
        // The exporter requires this call because it runs no task of its own here.
        prometheus.run_upkeep();
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}
