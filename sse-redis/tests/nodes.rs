//! Nodes of a cluster on a real server.
mod kit;

use std::time::Duration;

use futures_util::StreamExt as _;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use sse_core::shared::Outbound;
use sse_core::{
    ChannelConfig, ConnectionConfig, Decoder, Event, HubConfig, LastEventId, PublishOptions, Resume,
};
use sse_redis::{Cluster, ClusterChannel, ClusterConfig, ConnectError, FollowError, PublishError};

async fn node(server: &kit::RedisServer) -> Cluster {
    node_with(ClusterConfig::new(server.url(), "test")).await
}

async fn node_with(config: ClusterConfig) -> Cluster {
    let mut node = sse_redis::connect(config).await.unwrap();
    let config = node.hub_config(HubConfig::default());
    let hub = sse_hyper::start(node.epoch(), config, &TokioExecutor::new(), TokioTimer::new()).unwrap();
    node.run(hub).unwrap()
}

/// Waits until a node has read the log up to an event. A node that is behind replays less, and has the rest live.
async fn read_through(cluster: &Cluster, published: &sse_redis::Published) {
    while cluster.status().position < published.position.unwrap() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// A client, as far as a hub sees it: its bytes, and the id with which it comes back.
struct Client {
    outbound: Outbound,
    decoder: Decoder,
    id: String,
}

impl Client {
    fn connect(cluster: &Cluster, id: &str) -> Client {
        let last_event_id = LastEventId::new(id.as_bytes()).filter(|_| !id.is_empty());
        let config = ConnectionConfig { last_event_id, ..ConnectionConfig::default() };
        let outbound = cluster.hub().connect(config).unwrap();
        Client { outbound, decoder: Decoder::new(), id: id.to_owned() }
    }

    /// Waits for the next event, and returns its data, or `reset`.
    async fn next(&mut self) -> String {
        loop {
            while let Some(Ok(message)) = self.decoder.next_message() {
                self.id = message.id.to_string();
                match message.event.as_str() {
                    "position" => {}
                    "reset" => return "reset".into(),
                    _ => return message.data,
                }
            }
            let bytes = std::future::poll_fn(|cx| self.outbound.poll_bytes(cx));
            let bytes = tokio::time::timeout(Duration::from_secs(20), bytes).await;
            self.decoder.push(&bytes.expect("an event comes").expect("the connection is open"));
        }
    }

    async fn expect(&mut self, expected: &[&str]) {
        for expected in expected {
            assert_eq!(self.next().await, *expected);
        }
    }
}

#[tokio::test]
async fn an_event_reaches_the_clients_of_all_nodes() {
    let Some(server) = kit::start(&[]) else { return };
    let (east, west) = (node(&server).await, node(&server).await);
    let [news, news_west] = [&east, &west].map(|node| node.channel("news", ChannelConfig::default()));
    let (mut a, mut b) = (Client::connect(&east, ""), Client::connect(&west, ""));
    assert_eq!(news.follow(&a.outbound).await.unwrap(), Resume::Fresh);
    news_west.follow(&b.outbound).await.unwrap();
    let published = news.publish(&Event::new().data("1")).await.unwrap();
    news_west.publish(&Event::new().data("2")).await.unwrap();
    a.expect(&["1", "2"]).await;
    b.expect(&["1", "2"]).await;
    assert_eq!(a.id, b.id);
    assert_eq!(published.id, published.position.map(|position| format!("test-{position}")));
}

#[tokio::test]
async fn a_client_resumes_on_a_node_that_had_the_channel_closed() {
    let Some(server) = kit::start(&[]) else { return };
    let (east, west) = (node(&server).await, node(&server).await);
    let [news, news_west] = [&east, &west].map(|node| node.channel("news", ChannelConfig::default()));
    let mut client = Client::connect(&east, "");
    news.follow(&client.outbound).await.unwrap();
    for number in 1..=5 {
        let published = news.publish(&Event::new().data(number.to_string())).await.unwrap();
        read_through(&west, &published).await;
    }
    client.expect(&["1", "2"]).await;
    let mut client = Client::connect(&west, &client.id);
    assert_eq!(news_west.follow(&client.outbound).await.unwrap(), Resume::Replayed { events: 3 });
    client.expect(&["3", "4", "5"]).await;
    let late = node(&server).await;
    let mut client = Client::connect(&late, &client.id);
    let resume = late.channel("news", ChannelConfig::default()).follow(&client.outbound).await.unwrap();
    assert_eq!(resume, Resume::UpToDate);
    news.publish(&Event::new().data("6")).await.unwrap();
    client.expect(&["6"]).await;
    assert_eq!((late.status().cold_opens, late.status().gaps), (1, 0));
}

#[tokio::test]
async fn one_record_reaches_a_client_of_several_channels_once() {
    let Some(server) = kit::start(&[]) else { return };
    let east = node(&server).await;
    let [a, b] = ["a", "b"].map(|name| east.channel(name, ChannelConfig::default()));
    let mut client = Client::connect(&east, "");
    assert_eq!(east.follow(&client.outbound, &[&a, &b]).await.unwrap(), [Resume::Fresh, Resume::Fresh]);
    let options = PublishOptions::default();
    east.publish_to(&[&a, &b, &a], &Event::new().data("both"), options).await.unwrap();
    a.publish(&Event::new().data("a")).await.unwrap();
    client.expect(&["both", "a"]).await;
}

#[tokio::test]
async fn an_event_has_one_id_on_all_nodes_whichever_channels_are_open_there() {
    let Some(server) = kit::start(&[]) else { return };
    let (east, west, late) = (node(&server).await, node(&server).await, node(&server).await);
    let own_ids = ChannelConfig { ids: sse_core::IdSource::Application, ..ChannelConfig::default() };
    let channels =
        |node: &Cluster| (node.channel("a", ChannelConfig::default()), node.channel("own", own_ids.clone()));
    let (a, own) = channels(&east);
    let (both, options) = ([&a, &own], PublishOptions::default());
    let first = east.publish_to(&both, &Event::new().data("0"), options).await.unwrap();
    read_through(&west, &first).await;
    // The channel that gives the id is open on one node only.
    let mut clients = [Client::connect(&east, ""), Client::connect(&west, "")];
    east.follow(&clients[0].outbound, &both).await.unwrap();
    channels(&west).1.follow(&clients[1].outbound).await.unwrap();
    let second = east.publish_to(&both, &Event::new().data("1"), options).await.unwrap();
    for client in &mut clients {
        client.expect(&["1"]).await;
        assert_eq!(Some(&client.id), second.id.as_ref());
    }
    for node in [&late, &west] {
        read_through(node, &second).await;
        let mut client = Client::connect(node, first.id.as_ref().unwrap());
        let resume = channels(node).1.follow(&client.outbound).await.unwrap();
        assert_eq!(resume, Resume::Replayed { events: 1 });
        client.expect(&["1"]).await;
    }
}

#[tokio::test]
async fn the_sender_can_be_excluded_on_its_node() {
    let Some(server) = kit::start(&[]) else { return };
    let (east, west) = (node(&server).await, node(&server).await);
    let [news, news_west] = [&east, &west].map(|node| node.channel("news", ChannelConfig::default()));
    let (mut sender, mut other) = (Client::connect(&east, ""), Client::connect(&west, ""));
    news.follow(&sender.outbound).await.unwrap();
    news_west.follow(&other.outbound).await.unwrap();
    let options = PublishOptions { except: Some(sender.outbound.id().into()) };
    news.publish_with(&Event::new().data("1"), options).await.unwrap();
    news.publish(&Event::new().data("2")).await.unwrap();
    sender.expect(&["2"]).await;
    other.expect(&["1", "2"]).await;
}

#[tokio::test]
async fn a_closed_channel_is_closed_on_all_nodes() {
    let Some(server) = kit::start(&[]) else { return };
    let (east, west) = (node(&server).await, node(&server).await);
    let [news, news_west] = [&east, &west].map(|node| node.channel("news", ChannelConfig::default()));
    let mut client = Client::connect(&west, "");
    news_west.follow(&client.outbound).await.unwrap();
    news.publish(&Event::new().data("1")).await.unwrap();
    client.expect(&["1"]).await;
    news.close().await.unwrap();
    while news_west.local().is_some() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let second = news.publish(&Event::new().data("2")).await.unwrap();
    read_through(&east, &second).await;
    let mut client = Client::connect(&east, &client.id);
    assert!(matches!(news.follow(&client.outbound).await.unwrap(), Resume::Gap { .. }));
    client.expect(&["reset", "2"]).await;
}

#[tokio::test]
async fn a_tail_that_falls_behind_the_log_is_repaired() {
    let Some(server) = kit::start(&[]) else { return };
    let config = ClusterConfig::new(server.url(), "test").log_entries(10);
    let (east, west) = (node_with(config.clone()).await, node_with(config).await);
    let [news, news_west] = [&east, &west].map(|node| node.channel("news", ChannelConfig::default()));
    let mut client = Client::connect(&west, "");
    news_west.follow(&client.outbound).await.unwrap();
    // A batch is longer than the log, so a tail never sees all of it there.
    let publications = (0..400u32).map(|number| {
        let news = news.clone();
        async move {
            (news.publish(&Event::new().data(number.to_string())).await.unwrap().position, number.to_string())
        }
    });
    let published: Vec<_> = futures_util::stream::iter(publications).buffered(400).collect().await;
    let published: std::collections::BTreeMap<_, _> = published.into_iter().collect();
    let expected: Vec<&str> = published.values().map(String::as_str).collect();
    assert_eq!(expected.len(), 400);
    client.expect(&expected).await;
    let status = west.status();
    assert!(status.gaps > 0 && status.repaired > 100, "{status:?}");
}

#[tokio::test]
async fn redis_restarts_and_nothing_is_lost() {
    let Some(mut server) = kit::start(kit::ALWAYS) else { return };
    let (east, west) = (node(&server).await, node(&server).await);
    let [news, news_west] = [&east, &west].map(|node| node.channel("news", ChannelConfig::default()));
    let mut client = Client::connect(&west, "");
    news_west.follow(&client.outbound).await.unwrap();
    news.publish(&Event::new().data("1")).await.unwrap();
    server.kill();
    let waiting = tokio::spawn({
        let news = news.clone();
        async move { news.publish(&Event::new().data("2")).await }
    });
    tokio::time::sleep(Duration::from_millis(300)).await;
    let mut cold = Client::connect(&west, "");
    let other = west.channel("other", ChannelConfig::default());
    assert!(matches!(other.follow(&cold.outbound).await, Err(FollowError::Unavailable)));
    server.launch();
    waiting.await.unwrap().unwrap();
    client.expect(&["1", "2"]).await;
    other.follow(&cold.outbound).await.unwrap();
    other.publish(&Event::new().data("3")).await.unwrap();
    cold.expect(&["3"]).await;
    assert_eq!((east.status().rewound, west.status().rewound), (0, 0));
}

#[tokio::test]
async fn a_log_that_was_lost_sends_one_reset() {
    let Some(server) = kit::start(&[]) else { return };
    let (east, west) = (node(&server).await, node(&server).await);
    let [news, news_west] = [&east, &west].map(|node| node.channel("news", ChannelConfig::default()));
    let mut client = Client::connect(&west, "");
    news_west.follow(&client.outbound).await.unwrap();
    news.publish(&Event::new().data("1")).await.unwrap();
    client.expect(&["1"]).await;
    let before = client.id.clone();
    server.command(&["FLUSHALL"]);
    let second = news.publish(&Event::new().data("2")).await.unwrap();
    client.expect(&["reset", "2"]).await;
    read_through(&east, &second).await;
    let mut back = Client::connect(&east, &before);
    assert!(matches!(news.follow(&back.outbound).await.unwrap(), Resume::Gap { .. }));
    back.expect(&["reset", "2"]).await;
    assert_eq!((east.status().rewound, west.status().rewound), (1, 1));
}

#[tokio::test]
async fn a_publication_without_redis_is_refused_or_unconfirmed() {
    let Some(mut server) = kit::start(&[]) else { return };
    let config = ClusterConfig::new(server.url(), "test").publish_deadline(Duration::from_millis(300));
    let east = node_with(config).await;
    let news = east.channel("news", ChannelConfig::default());
    server.signal("STOP");
    let event = Event::new().data("1");
    let (first, second) = tokio::join!(news.publish(&event), async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        news.publish(&Event::new().data("2")).await
    });
    assert_eq!((first, second), (Err(PublishError::Unconfirmed), Err(PublishError::Refused)));
    server.signal("CONT");
    server.kill();
    tokio::time::sleep(Duration::from_millis(100)).await;
    let away = news.publish(&Event::new().data("3")).await;
    assert!(matches!(away, Err(PublishError::Refused | PublishError::Unconfirmed)), "{away:?}");
    let large = "x".repeat(2 << 20);
    let refused = news.publish(&Event::new().data(large.as_str())).await;
    assert!(matches!(refused, Err(PublishError::TooLarge { .. })));
}

#[tokio::test]
async fn a_hub_of_another_kind_is_refused() {
    let Some(server) = kit::start(&[]) else { return };
    for (epoch, is_configured) in [("test", false), ("other", true)] {
        let mut node = sse_redis::connect(ClusterConfig::new(server.url(), "test")).await.unwrap();
        let config = if is_configured { node.hub_config(HubConfig::default()) } else { HubConfig::default() };
        let hub = sse_hyper::start(epoch, config, &TokioExecutor::new(), TokioTimer::new()).unwrap();
        assert!(matches!(node.run(hub), Err(ConnectError::OtherHub)));
    }
    let secret = ClusterConfig::new("redis://:secret@127.0.0.1/", "test");
    assert!(!format!("{secret:?}").contains("secret"));
}

#[tokio::test]
async fn names_and_keys_that_are_too_long_reach_no_record() {
    let Some(server) = kit::start(&[]) else { return };
    let east = node(&server).await;
    let long = east.channel("x".repeat(1_025), ChannelConfig::default());
    let event = Event::new().data("1");
    let refused = long.publish(&event).await;
    assert_eq!(refused, Err(PublishError::NameTooLong { bytes: 1_025, limit: 1_024 }));
    let news = east.channel("news", ChannelConfig::default());
    let mut client = Client::connect(&east, "");
    news.follow(&client.outbound).await.unwrap();
    let key = "x".repeat(5_000);
    let options = PublishOptions { except: Some(sse_core::Except::Client(&key)) };
    news.publish_with(&event, options).await.unwrap();
    client.expect(&["1"]).await;
    assert_eq!(east.status().gaps, 0);
}

#[tokio::test]
async fn a_past_that_is_not_a_frame_is_a_loss() {
    let Some(server) = kit::start(&[]) else { return };
    let (east, west) = (node(&server).await, node(&server).await);
    let [news, news_west] = [&east, &west].map(|node| node.channel("news", ChannelConfig::default()));
    let first = news.publish(&Event::new().data("1")).await.unwrap();
    let position = first.position.unwrap().get() + 1;
    server.command(&["XADD", "{test}:h:news", &format!("{position}-0"), "d", "no frame"]);
    let second = news.publish(&Event::new().data("2")).await.unwrap();
    read_through(&west, &second).await;
    let mut client = Client::connect(&west, &first.id.unwrap());
    assert!(matches!(news_west.follow(&client.outbound).await.unwrap(), Resume::Gap { .. }));
    client.expect(&["reset", "2"]).await;
}

#[tokio::test]
async fn a_publication_waits_for_replicas() {
    let Some(server) = kit::start(&[]) else { return };
    let config = |millis| ClusterConfig::new(server.url(), "test").replicas(1, Duration::from_millis(millis));
    let event = Event::new().data("1");
    let news = node_with(config(100)).await.channel("news", ChannelConfig::default());
    assert_eq!(news.publish(&event).await, Err(PublishError::Unconfirmed), "there is no replica");
    let replica = kit::start(&["--replicaof", "127.0.0.1", &server.port.to_string()]).unwrap();
    while !replica.command(&["INFO", "replication"]).contains("master_link_status:up") {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let news = node_with(config(10_000).publish_deadline(Duration::from_secs(20))).await;
    let news = news.channel("news", ChannelConfig::default());
    assert!(news.publish(&event).await.is_ok());
}

#[tokio::test]
async fn a_server_that_evicts_is_refused() {
    let Some(server) = kit::start(&["--maxmemory-policy", "volatile-lru"]) else { return };
    let refused = sse_redis::connect(ClusterConfig::new(server.url(), "test")).await;
    assert!(matches!(refused, Err(ConnectError::EvictionPolicy { .. })), "{refused:?}");
    let away = sse_redis::connect(ClusterConfig::new("redis://127.0.0.1:1/", "test")).await;
    assert!(matches!(away, Err(ConnectError::Redis(_))), "{away:?}");
}

#[tokio::test]
async fn a_key_of_another_type_is_refused_and_stores_nothing() {
    let Some(server) = kit::start(&[]) else { return };
    let east = node(&server).await;
    server.command(&["SET", "{test}:h:news", "x"]);
    let news = east.channel("news", ChannelConfig::default());
    assert_eq!(news.publish(&Event::new().data("1")).await, Err(PublishError::Refused));
    let client = Client::connect(&east, "");
    assert!(matches!(news.follow(&client.outbound).await, Err(FollowError::Unavailable)));
    let other = east.channel("other", ClusterChannel::default());
    other.publish(&Event::new().data("2")).await.unwrap();
    assert_eq!(server.command(&["XLEN", "{test}:log"]), ":2", "the beginning of the log, and the event");
}
