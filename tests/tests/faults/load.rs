//! A program that has no time for its watch.

use std::sync::mpsc;
use std::time::{Duration, Instant};

use async_nats::ConnectOptions;
use kvconf::{Bucket, Revision, WatchState};
use kvconf_tests::proxy::Proxy;
use kvconf_tests::server::Server;
use kvconf_tests::{wait_for, wait_until};

use super::ledger::{Ledger, Writers};
use super::scene::{BUCKET, PROMPT, Scene, config};
use super::table::Row;
use super::watched::Watched;

const UPDATES: u64 = 100_000;

/// P1, P4: the runtime of the watch does nothing else than the program's own work, while updates pour in.
pub async fn starved() -> Row {
    const NOTICED: Duration = Duration::from_secs(7);
    const BACK: Duration = Duration::from_secs(20);
    let server = Server::start().await;
    let bucket = Bucket::create(server.client().await, config()).await.unwrap();
    let proxy = Proxy::start(server.port()).await;
    let (release, blocked) = mpsc::channel::<()>();
    let (started, live) = tokio::sync::oneshot::channel();
    let (url, (end, ended)) = (proxy.url(), tokio::sync::oneshot::channel::<()>());
    let runtime = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let client = ConnectOptions::new().connect(url).await.unwrap();
            let bucket = Bucket::open(&client, BUCKET).await.unwrap();
            started
                .send(bucket.live::<Ledger>().start().await.unwrap())
                .unwrap_or_else(|_| panic!("nobody waits"));
            // The only thread of this runtime: neither the client nor the watch run.
            blocked.recv().unwrap();
            ended.await.unwrap();
        });
    });
    let watched = Watched::start(live.await.unwrap());
    let client = server.client().await;
    let begun = Instant::now();
    let pour = async {
        for number in 0..UPDATES {
            let subject = format!("$KV.{BUCKET}.ledger.noise.k{}", number % 100);
            client.publish(subject, number.to_string().into()).await.unwrap();
        }
        client.flush().await.unwrap();
        wait_until("all are stored", PROMPT, async || {
            bucket.status().await.is_ok_and(|status| status.last_revision >= Revision::new(UPDATES))
        })
        .await;
    };
    // Nobody is woken by it: the health is asked, and while they pour in, which on a busy machine takes its time.
    let starved = async || Some(watched.live.health()).filter(|health| health.state == WatchState::Starved);
    let notice = async {
        let health = wait_for("the health says it", NOTICED * 2, starved).await;
        (health, begun.elapsed())
    };
    let ((), (health, noticed)) = tokio::join!(pour, notice);
    assert!(watched.live.load().noise.is_empty(), "the watch did not run");
    assert!(noticed <= NOTICED && !health.is_current(), "{noticed:?}");
    assert!(
        health.since.elapsed().unwrap() <= begun.elapsed() + Duration::from_secs(1),
        "since {:?}",
        health.since
    );
    release.send(()).unwrap();
    let healed = Instant::now();
    let mut clients = Vec::new();
    for _ in 0..3 {
        clients.push(server.client().await);
    }
    let writers = Writers::start(clients, BUCKET).await;
    let converged = watched.converges(healed, Revision::new(UPDATES), BACK).await;
    assert_eq!(watched.live.load().noise.values().max(), Some(&(UPDATES - 1)));
    writers.go_on(PROMPT).await;
    let row = Row::new("100 000 updates while the reader's runtime is blocked").told(&health.state);
    let row = row.noticed(noticed, NOTICED);
    let scene = Scene { server, proxy, bucket, watched };
    let row = scene.converges(row, writers, Instant::now(), BACK).await.converged(converged, BACK);
    end.send(()).unwrap();
    tokio::task::spawn_blocking(|| runtime.join().unwrap()).await.unwrap();
    row
}
