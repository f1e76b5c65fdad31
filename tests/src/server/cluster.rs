//! Several servers that belong together.

use std::net::TcpListener;

use super::{Server, wait_for_page};

/// Servers that form one JetStream cluster.
#[derive(Debug)]
pub struct Cluster {
    servers: Vec<Server>,
}

impl Cluster {
    /// Starts `size` servers and waits until they have a leader among them.
    ///
    /// # Panics
    /// When one of them is not ready in time, with its log.
    pub async fn start(size: usize) -> Self {
        let routes = free_ports(size);
        let urls: Vec<_> = routes.iter().map(|port| format!("\"nats://127.0.0.1:{port}\"")).collect();
        let urls = urls.join(", ");
        // All are launched before any is waited for: none is healthy before it sees the others.
        let mut servers: Vec<_> = routes
            .iter()
            .enumerate()
            .map(|(number, port)| {
                let cluster =
                    format!("cluster {{ name: test, listen: \"127.0.0.1:{port}\", routes: [{urls}] }}");
                Server::builder().name(format!("n{number}")).config(cluster).spawn()
            })
            .collect();
        for server in &mut servers {
            server.ready().await;
        }
        let cluster = Self { servers };
        cluster.meta_leader().await;
        cluster
    }

    /// The servers, in the order they were started.
    #[must_use]
    pub fn servers(&self) -> &[Server] {
        &self.servers
    }

    /// The servers, to kill and restart them.
    pub fn servers_mut(&mut self) -> &mut [Server] {
        &mut self.servers
    }

    /// A connection that knows all servers.
    ///
    /// # Panics
    /// When it is refused.
    pub async fn client(&self) -> async_nats::Client {
        self.connect(async_nats::ConnectOptions::new()).await
    }

    /// A connection that knows all servers, with options.
    ///
    /// # Panics
    /// When it is refused.
    pub async fn connect(&self, options: async_nats::ConnectOptions) -> async_nats::Client {
        let urls: Vec<String> = self.servers.iter().map(Server::url).collect();
        options.connect(urls).await.unwrap_or_else(|error| panic!("connect to a cluster: {error}"))
    }

    /// The index of the server that leads the replicas of a stream; waits while there is none.
    ///
    /// # Panics
    /// When there is none for long.
    pub async fn stream_leader(&self, stream: &str) -> usize {
        let page = "/jsz?streams=true";
        let leader = wait_for_page("a leader of the stream", self.running(), page, |page| {
            let accounts = page.get("account_details")?.as_array()?;
            let mut streams =
                accounts.iter().filter_map(|account| account.get("stream_detail")?.as_array()).flatten();
            let found =
                streams.find(|found| found.get("name").and_then(|name| name.as_str()) == Some(stream))?;
            let leader = found.get("cluster")?.get("leader")?.as_str()?;
            self.index(leader)
        });
        leader.await
    }

    /// The index of the server that leads the cluster; waits while there is none.
    ///
    /// # Panics
    /// When there is none for long.
    pub async fn meta_leader(&self) -> usize {
        let size = self.servers.len() as u64;
        let leader = wait_for_page("a leader of the cluster", self.running(), "/jsz", |page| {
            let meta = page.get("meta_cluster")?;
            (meta.get("cluster_size")?.as_u64()? == size).then_some(())?;
            self.index(meta.get("leader")?.as_str()?)
        });
        leader.await
    }

    fn index(&self, name: &str) -> Option<usize> {
        name.strip_prefix('n')?.parse().ok().filter(|index| *index < self.servers.len())
    }

    fn running(&self) -> &Server {
        self.servers.iter().find(|server| server.pid().is_some()).expect("a server that runs")
    }
}

/// A server with the JetStream domain `hub`, and a leaf node with the domain `leaf` that is connected to it.
#[derive(Debug)]
pub struct HubAndLeaf {
    /// The server in the middle.
    pub hub: Server,
    /// The one at the edge.
    pub leaf: Server,
}

impl HubAndLeaf {
    /// Starts both and waits until they are connected.
    ///
    /// # Panics
    /// When one of them is not ready in time, with its log.
    pub async fn start() -> Self {
        let hub = Server::builder().name("hub").domain("hub").accept_leafnodes().start().await;
        let remote = format!(
            "leafnodes {{ remotes: [{{ url: \"nats://127.0.0.1:{}\" }}], reconnect: 1 }}",
            hub.leafnode_port()
        );
        let leaf = Server::builder().name("leaf").domain("leaf").config(remote).start().await;
        wait_for_page("the leaf node's connection", &leaf, "/leafz", |page| {
            (page.get("leafnodes")?.as_u64()? == 1).then_some(())
        })
        .await;
        Self { hub, leaf }
    }
}

/// Ports that were free a moment ago. Servers of a cluster must know each other's before they start.
fn free_ports(count: usize) -> Vec<u16> {
    // All are held at once: each is another one.
    let listeners: Vec<_> =
        (0..count).map(|_| TcpListener::bind(("127.0.0.1", 0)).expect("bind to a free port")).collect();
    listeners.iter().map(|listener| listener.local_addr().expect("it is bound").port()).collect()
}
