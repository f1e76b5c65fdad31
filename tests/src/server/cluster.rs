//! Several servers that belong together.

use std::path::Path;
use std::time::Duration;

use super::ports::Port;
use super::{Builder, Server, wait_for_page};
use crate::proxy::Proxy;

/// Servers that form one JetStream cluster.
#[derive(Debug)]
pub struct Cluster {
    servers: Vec<Server>,
    links: Vec<Link>,
    /// Where they call each other; they must know it of each other before they start.
    _routes: Vec<Port>,
}

/// The way by which one server of a cluster calls another one.
#[derive(Debug)]
struct Link {
    from: usize,
    to: usize,
    proxy: Proxy,
}

impl Cluster {
    /// Starts `size` servers and waits until they have a leader among them.
    ///
    /// # Panics
    /// When one of them is not ready in time, with its log.
    pub async fn start(size: usize) -> Self {
        Self::start_with(size, &Server::builder()).await
    }

    /// Starts `size` servers with these settings and waits until they have a leader among them.
    ///
    /// # Panics
    /// When one of them is not ready in time, with its log.
    pub async fn start_with(size: usize, settings: &Builder) -> Self {
        let ports = any_ports(size);
        let urls = urls(ports.iter().map(Port::number));
        let routes: Vec<_> = ports
            .iter()
            .map(|port| format!("listen: \"127.0.0.1:{}\", routes: [{urls}]", port.number()))
            .collect();
        Self::start_routed(&routes, settings, Vec::new(), ports).await
    }

    /// Starts `size` servers that can be parted by [`Cluster::isolate`].
    ///
    /// # Panics
    /// When one of them is not ready in time, with its log.
    pub async fn start_divisible(size: usize) -> Self {
        let ports = any_ports(size);
        let mut links = Vec::new();
        for from in 0..size {
            for (to, port) in ports.iter().enumerate().filter(|(to, _)| *to != from) {
                links.push(Link { from, to, proxy: Proxy::start(port.number()).await });
            }
        }
        let routes: Vec<_> = (1..)
            .zip(&ports)
            .enumerate()
            .map(|(number, (nobody, port))| {
                let own = links.iter().filter(|link| link.from == number).map(|link| link.proxy.port());
                // Servers tell each other of their addresses and would connect past the proxies: they are given one where
                // nobody listens.
                format!(
                    "listen: \"127.0.0.1:{}\", advertise: \"127.0.0.1:{nobody}\", routes: [{}]",
                    port.number(),
                    urls(own)
                )
            })
            .collect();
        Self::start_routed(&routes, &Server::builder(), links, ports).await
    }

    async fn start_routed(routes: &[String], settings: &Builder, links: Vec<Link>, ports: Vec<Port>) -> Self {
        // All are launched before any is waited for: none is healthy before it sees the others.
        let mut servers: Vec<_> = routes
            .iter()
            .enumerate()
            .map(|(number, routes)| {
                let cluster = format!("cluster {{ name: test, {routes} }}");
                settings.clone().name(format!("n{number}")).config(cluster).spawn()
            })
            .collect();
        for server in &mut servers {
            server.ready().await;
        }
        let cluster = Self { servers, links, _routes: ports };
        cluster.meta_leader().await;
        cluster
    }

    /// Breaks every connection between one server and the others. Needs [`Cluster::start_divisible`].
    pub fn isolate(&self, server: usize) {
        assert!(!self.links.is_empty(), "the cluster was not started as a divisible one");
        self.links
            .iter()
            .filter(|link| link.from == server || link.to == server)
            .for_each(|link| link.proxy.cut());
    }

    /// Ends every [`Cluster::isolate`].
    pub fn unite(&self) {
        self.links.iter().for_each(|link| link.proxy.resume());
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

    /// Starts servers again that were killed, all before any is waited for: one may need the other to be ready.
    ///
    /// # Panics
    /// When one of them is not ready in time, with its log.
    pub async fn launch(&mut self, servers: &[usize]) {
        servers.iter().for_each(|server| self.servers[*server].launch());
        for server in servers {
            self.servers[*server].ready().await;
        }
    }

    /// Restarts one server with another binary.
    ///
    /// # Panics
    /// When it is not ready in time, with its log.
    pub async fn upgrade(&mut self, server: usize, binary: &Path) {
        let server = &mut self.servers[server];
        let settings = server.settings.clone().binary(binary);
        server.restart_with(settings).await;
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
            let leader = stream_detail(page, stream)?.get("cluster")?.get("leader")?.as_str()?;
            self.index(leader)
        });
        leader.await
    }

    /// How many messages of a stream each running server has in its own store: copies follow their leader, and what has run
    /// out leaves each of them by its own clock. `None` for one that has no copy, or does not say.
    pub async fn stored(&self, stream: &str) -> Vec<Option<u64>> {
        let mut all = Vec::new();
        for server in self.servers.iter().filter(|server| server.pid().is_some()) {
            let page = server.monitoring("/jsz?streams=true").await;
            let page: Option<serde_json::Value> = page.and_then(|page| serde_json::from_str(&page).ok());
            let detail = page.as_ref().and_then(|page| stream_detail(page, stream));
            all.push(detail.and_then(|detail| detail.get("state")?.get("messages")?.as_u64()));
        }
        all
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
    /// The way between them.
    proxy: Proxy,
}

impl HubAndLeaf {
    /// Starts both and waits until they are connected.
    ///
    /// # Panics
    /// When one of them is not ready in time, with its log.
    pub async fn start() -> Self {
        let hub = Server::builder().name("hub").domain("hub").accept_leafnodes().start().await;
        let proxy = Proxy::start(hub.leafnode_port()).await;
        // Uncompressed: what is on its way arrives piece by piece, and not when all of it is there.
        let remote = format!(
            "leafnodes {{ remotes: [{{ url: \"nats://127.0.0.1:{}\", compression: off }}], reconnect: \"1s\" }}",
            proxy.port()
        );
        let leaf = Server::builder().name("leaf").domain("leaf").config(remote).start().await;
        wait_for_page("the leaf node's connection", &leaf, "/leafz", |page| {
            (page.get("leafnodes")?.as_u64()? == 1).then_some(())
        })
        .await;
        Self { hub, leaf, proxy }
    }

    /// Breaks the connection between them.
    pub fn part(&self) {
        self.proxy.cut();
    }

    /// Lets little through between them: so many bytes at once, and then nothing for a while.
    pub fn slow(&self, bytes: usize, every: Duration) {
        self.proxy.slow(bytes, every);
    }

    /// Keeps the connection between them, and lets nothing through.
    pub fn stand_still(&self) {
        self.proxy.hold();
    }

    /// Ends [`HubAndLeaf::part`] and the like. What was held back comes.
    pub fn unite(&self) {
        self.proxy.resume();
    }
}

/// What a server says of one stream.
fn stream_detail<'a>(page: &'a serde_json::Value, stream: &str) -> Option<&'a serde_json::Value> {
    let accounts = page.get("account_details")?.as_array()?;
    let mut streams =
        accounts.iter().filter_map(|account| account.get("stream_detail")?.as_array()).flatten();
    streams.find(|found| found.get("name").and_then(|name| name.as_str()) == Some(stream))
}

fn any_ports(count: usize) -> Vec<Port> {
    std::iter::repeat_with(Port::any).take(count).collect()
}

/// A list of routes.
fn urls(ports: impl Iterator<Item = u16>) -> String {
    ports.map(|port| format!("\"nats://127.0.0.1:{port}\"")).collect::<Vec<_>>().join(", ")
}
