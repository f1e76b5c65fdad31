//! Who may do what, and which servers are spoken to.

use std::time::{Duration, Instant};

use async_nats::{Client, ConnectOptions};
use kvconf::nats::{Connection, Denials};
use kvconf::{Bucket, BucketConfig, WatchState};
use kvconf_tests::proxy::Proxy;
use kvconf_tests::server::{Server, installed};

use super::ledger::{Ledger, Writers, words};
use super::scene::{BUCKET, PROMPT, Scene, config};
use super::table::Row;
use super::watched::Watched;

/// A reader who may follow one prefix, or nothing, beside an administrator.
fn users(reader: &str) -> String {
    format!(
        "authorization {{ users: [
           {{ user: admin, password: a }}
           {{ user: reader, password: r, permissions: {{ {reader} }} }}
         ] }}"
    )
}

const PERMITTED: &str = r#"
    publish: ["$JS.API.STREAM.INFO.KV_faults", "$JS.API.CONSUMER.CREATE.KV_faults.*.$KV.faults.ledger.>",
              "$JS.API.CONSUMER.DELETE.KV_faults.*", "$JS.FC.KV_faults.>"],
    subscribe: ["_INBOX_reader.>"]"#;

const FORBIDDEN: &str = r#"publish: ["nothing"], subscribe: ["nothing"]"#;

/// P5
pub async fn permission_revoked() -> Row {
    const NOTICED: Duration = Duration::from_secs(10);
    const BACK: Duration = Duration::from_secs(10);
    let mut server = Server::builder().config(users(PERMITTED)).start().await;
    let bucket = Bucket::create(server.client_as("admin", "a").await, config()).await.unwrap();
    let proxy = Proxy::start(server.port()).await;
    let denials = Denials::new();
    let reader = connect_told(&proxy, &denials).await;
    let reader = Bucket::open(Connection::new(&reader).denials(&denials), BUCKET).await.unwrap();
    let watched = Watched::start(reader.live::<Ledger>().start().await.unwrap());
    let mut clients = Vec::new();
    for _ in 0..3 {
        clients.push(server.client_as("admin", "a").await);
    }
    let writers = Writers::start(clients, BUCKET).await;
    writers.go_on(PROMPT).await;

    let begun = Instant::now();
    server.reload(&users(FORBIDDEN)).await;
    let refused = |state: &WatchState| matches!(state, WatchState::NotPermitted { .. });
    let (noticed, _) = watched.says("not permitted", begun, NOTICED, refused).await;
    writers.go_on(PROMPT).await;
    server.reload(&users(PERMITTED)).await;
    let healed = Instant::now();
    let row = Row::new("permission revoked, and given back").told("not permitted: (the subject)");
    let scene = Scene { server, proxy, bucket, watched };
    scene.converges(row.noticed(noticed, NOTICED), writers, healed, BACK).await
}

/// A connection of the reader that tells of what is refused.
async fn connect_told(proxy: &Proxy, denials: &Denials) -> Client {
    let told = denials.clone();
    let options = ConnectOptions::with_user_and_password("reader".into(), "r".into())
        .custom_inbox_prefix("_INBOX_reader")
        .event_callback(move |event| {
            told.observe(&event);
            std::future::ready(())
        });
    options.connect(proxy.url()).await.unwrap()
}

/// P5: whatever comes after about 2 MB waits for an answer on a subject that the user may not publish to, while heartbeats go on.
pub async fn flow_control_forbidden() -> Row {
    const NOTICED: Duration = Duration::from_secs(5);
    const BACK: Duration = Duration::from_secs(6);
    let silent = PERMITTED.replace(r#", "$JS.FC.KV_faults.>""#, "");
    assert_ne!(silent, PERMITTED);
    let server = Server::builder().config(users(&silent)).start().await;
    let bucket = Bucket::create(server.client_as("admin", "a").await, config()).await.unwrap();
    let proxy = Proxy::start(server.port()).await;
    let reader = Bucket::open(&connect_told(&proxy, &Denials::new()).await, BUCKET).await.unwrap();
    let watched = Watched::start(reader.live::<Ledger>().start().await.unwrap());
    let mut clients = Vec::new();
    for _ in 0..3 {
        clients.push(server.client_as("admin", "a").await);
    }
    let writers = Writers::start(clients, BUCKET).await;
    writers.go_on(PROMPT).await;

    // One key: what is read again is small.
    let large = " ".repeat(20_000);
    for number in 0..150 {
        bucket.put("ledger.noise.large", format!("{large}{number}")).await.unwrap();
    }
    let begun = Instant::now();
    let (noticed, told) = watched.notices(begun, NOTICED).await;
    let converged = watched.converges(Instant::now(), writers.newest(), BACK).await;
    let row = Row::new("no permission to answer flow control (`$JS.FC.>`)").told(&told.health.state);
    let row = row.noticed(noticed, NOTICED).note("stands still after every 2 MB, and reads again");
    let scene = Scene { server, proxy, bucket, watched };
    scene.converges(row, writers, Instant::now(), PROMPT).await.converged(converged, BACK)
}

pub async fn server_too_old() -> Row {
    const NOTICED: Duration = Duration::from_secs(2);
    let server = Server::builder().binary(installed("2.10.25")).start().await;
    let client = server.client().await;
    let plain = async_nats::jetstream::kv::Config { bucket: BUCKET.to_owned(), ..Default::default() };
    async_nats::jetstream::new(client.clone()).create_key_value(plain).await.unwrap();
    let begun = Instant::now();
    let opened = Bucket::open(&client, BUCKET).await.unwrap_err();
    let noticed = begun.elapsed();
    assert_eq!(
        words(&opened),
        "this server is not supported: nats-server 2.10.25 is too old, kvconf needs 2.11"
    );
    assert!(noticed <= NOTICED, "{noticed:?}");
    let made = Bucket::create(&client, BucketConfig::new("other")).await.unwrap_err();
    assert_eq!(words(&made), format!("the write was not made: {}", words(&opened)));
    Row::new("server older than 2.11")
        .told(opened)
        .noticed(noticed, NOTICED)
        .note("refused when the bucket is opened")
}
