//! Redis over TLS.
mod kit;

use hyper_util::rt::{TokioExecutor, TokioTimer};
use sse_core::{ChannelConfig, Event, HubConfig};
use sse_redis::{ClusterConfig, ConnectError};

#[tokio::test]
async fn a_node_connects_over_tls_and_checks_the_certificate() {
    let certified = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let folder = std::env::temp_dir().join(format!("sse-redis-tls-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let (certificate, key) = (folder.join("certificate.pem"), folder.join("key.pem"));
    std::fs::write(&certificate, certified.cert.pem()).unwrap();
    std::fs::write(&key, certified.signing_key.serialize_pem()).unwrap();
    let port = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
    let (certificate, key, tls_port) =
        (certificate.to_string_lossy(), key.to_string_lossy(), port.to_string());
    let options = ["--tls-port", &tls_port, "--tls-cert-file", &certificate, "--tls-key-file", &key];
    let options = [&options[..], &["--tls-ca-cert-file", &certificate, "--tls-auth-clients", "no"]].concat();
    let Some(_server) = kit::start(&options) else { return };

    let config = ClusterConfig::new(format!("rediss://localhost:{port}/"), "test");
    let refused = sse_redis::connect(config.clone()).await;
    assert!(matches!(refused, Err(ConnectError::Redis(_))), "nobody vouches for it: {refused:?}");
    let config = config.root_certificates(certified.cert.pem());
    let mut node = sse_redis::connect(config).await.unwrap();
    let hub_config = node.hub_config(HubConfig::default());
    let hub = sse_hyper::start(node.epoch(), hub_config, &TokioExecutor::new(), TokioTimer::new()).unwrap();
    let cluster = node.run(hub).unwrap();
    let news = cluster.channel("news", ChannelConfig::default());
    news.publish(&Event::new().data("1")).await.unwrap();
    std::fs::remove_dir_all(&folder).unwrap();
}
