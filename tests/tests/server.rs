//! The servers that all other live tests stand on.

use std::time::Duration;

use kvconf_tests::server::{Cluster, HubAndLeaf, Server};
use kvconf_tests::wait_until;

#[tokio::test]
async fn a_restarted_server_keeps_its_port_and_its_streams() {
    let mut server = Server::start().await;
    let (url, pid) = (server.url(), server.pid());
    let context = async_nats::jetstream::new(server.client().await);
    let config = async_nats::jetstream::stream::Config { name: "kept".into(), ..Default::default() };
    context.create_stream(config).await.unwrap();
    context.publish("kept", "value".into()).await.unwrap().await.unwrap();

    server.kill();
    assert_eq!(server.pid(), None);
    server.restart().await;

    assert_eq!(server.url(), url);
    assert_ne!(server.pid(), pid);
    let context = async_nats::jetstream::new(server.client().await);
    let stream = context.get_stream("kept").await.unwrap();
    assert_eq!(stream.cached_info().state.messages, 1);
}

/// Else who asks for any port in between may get it, and the server finds it taken when it comes back.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn nobody_else_gets_the_port_of_a_server_that_is_down() {
    let mut server = Server::start().await;
    server.kill();
    let other = tokio::net::TcpSocket::new_v4().unwrap();
    let refused = other.bind(([127, 0, 0, 1], server.port()).into()).unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::AddrInUse);
    assert!(tokio::net::TcpStream::connect(("127.0.0.1", server.port())).await.is_err(), "nobody answers");
    server.restart().await;
    server.client().await;
}

#[tokio::test]
async fn a_dropped_server_is_gone() {
    let server = Server::start().await;
    let address = ("127.0.0.1", server.port());
    drop(server);
    wait_until("the port is closed", Duration::from_secs(5), || async {
        tokio::net::TcpStream::connect(address).await.is_err()
    })
    .await;
}

#[tokio::test]
async fn three_servers_keep_three_replicas() {
    let cluster = Cluster::start(3).await;
    let context = async_nats::jetstream::new(cluster.client().await);
    let config =
        async_nats::jetstream::stream::Config { name: "r3".into(), num_replicas: 3, ..Default::default() };
    // A cluster that has just met may not know yet where to place three copies.
    let made = async || context.create_stream(config.clone()).await.ok();
    kvconf_tests::wait_for("a stream of three copies", Duration::from_secs(30), made).await;
    assert!(cluster.stream_leader("r3").await < 3);
    // Its leader can be known before it listens.
    let stored = async || context.publish("r3", "value".into()).await.unwrap().await.ok();
    kvconf_tests::wait_for("the stream takes messages", Duration::from_secs(30), stored).await;
}

#[tokio::test]
async fn a_leaf_node_reaches_the_hub_by_its_domain() {
    let pair = HubAndLeaf::start().await;
    let hub = async_nats::jetstream::with_domain(pair.leaf.client().await, "hub");
    let config = async_nats::jetstream::stream::Config { name: "there".into(), ..Default::default() };
    hub.create_stream(config).await.unwrap();
    let direct = async_nats::jetstream::new(pair.hub.client().await);
    assert_eq!(direct.get_stream("there").await.unwrap().cached_info().config.name, "there");
}
