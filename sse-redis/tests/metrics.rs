//! The metrics of a node.
mod kit;

use std::time::Duration;

use hyper_util::rt::{TokioExecutor, TokioTimer};
use sse_core::{ChannelConfig, Event, HubConfig};
use sse_redis::ClusterConfig;

#[tokio::test]
async fn a_node_reports_its_status() {
    let Some(server) = kit::start(&[]) else { return };
    let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
    let page = recorder.handle();
    metrics::set_global_recorder(recorder).unwrap();
    let mut node = sse_redis::connect(ClusterConfig::new(server.url(), "test")).await.unwrap();
    let config = node.hub_config(HubConfig::default());
    let hub = sse_hyper::start(node.epoch(), config, &TokioExecutor::new(), TokioTimer::new()).unwrap();
    let cluster = node.run(hub).unwrap();
    cluster.record_metrics(Duration::from_millis(10));
    let news = cluster.channel("news", ChannelConfig::default());
    let outbound = cluster.hub().connect(Default::default()).unwrap();
    news.follow(&outbound).await.unwrap();
    news.publish(&Event::new().data("1")).await.unwrap();
    while !page.render().contains("sse_cluster_cold_opens_total 1") {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(page.render().contains("sse_cluster_connected 1"));
}
