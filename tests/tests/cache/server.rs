//! On a real server that is killed and comes back.

use std::time::Duration;

use async_nats::ConnectOptions;
use kvconf::{Basis, Bucket, BucketConfig, Cache, Live, ReadError, StartError, WatchState};
use kvconf_tests::server::Server;

use super::{BOUND, Checkout, Folder, health, trusted};

/// As a service connects that is to start without the server. The client itself tries again every 50 ms.
async fn connect(server: &Server) -> async_nats::Client {
    let options = ConnectOptions::new().retry_on_initial_connect();
    let options = options.reconnect_delay_callback(|_| Duration::from_millis(50));
    options.connect(server.url()).await.unwrap()
}

fn cache(folder: &Folder) -> Cache {
    Cache::at(&folder.0).trust_after(Duration::from_millis(1))
}

// P9, P4, P5
#[tokio::test]
async fn a_service_starts_while_the_server_is_down_and_catches_up_when_it_is_back() {
    let folder = Folder::new("server");
    let mut server = Server::start().await;
    let bucket = Bucket::create(server.client().await, BucketConfig::new("prod")).await.unwrap();
    let saved = bucket.put("checkout.max_items", "60").await.unwrap();
    let live: Live<Checkout> = bucket.live().cache(cache(&folder)).start().await.unwrap();
    trusted(&live).await;
    drop(live);
    folder.free().await;
    let newest = bucket.put("checkout.max_items", "70").await.unwrap();
    drop(bucket);
    server.kill();

    // Another process: nothing but the folder is left.
    let bucket = Bucket::open_lazily(connect(&server).await, "prod").unwrap();
    let start = bucket.live::<Checkout>().cache(cache(&folder)).deadline(Duration::from_millis(200));
    let live = start.start().await.unwrap();
    assert_eq!((live.load().max_items, live.load().revision(), live.load().is_cached()), (60, saved, true));
    let told = live.health();
    assert_eq!((told.state, told.last_contact), (WatchState::Disconnected, None));
    let reason = live.readiness().to_string();
    assert_eq!(reason, format!("degraded: serving revision {saved} from the cache; disconnected"));

    server.restart().await;
    let begun = std::time::Instant::now();
    let told = health(&live, |health| health.is_current()).await;
    println!("served the bucket again {:?} after the server was ready", begun.elapsed());
    assert_eq!((told.basis, told.applied), (Basis::Bucket, newest));
    assert_eq!((live.load().max_items, live.load().epoch()), (70, 0));

    // Writing works as on any other handle.
    let applied = live.update(|cfg| cfg.max_items += 1).author("ops").await.unwrap();
    tokio::time::timeout(BOUND, live.wait_for(applied.revision())).await.unwrap().unwrap();
    assert_eq!(live.load().max_items, 71);
}

// P9
#[tokio::test]
async fn a_bucket_opened_lazily_is_as_any_other_where_the_server_is_there() {
    let server = Server::start().await;
    let client = connect(&server).await;
    let bucket = Bucket::open_lazily(&client, "prod").unwrap();
    assert!(bucket.connection().is_some());
    let missing = bucket.get("a").await;
    assert!(matches!(&missing, Err(ReadError::BucketNotFound { bucket }) if bucket == "prod"), "{missing:?}");
    Bucket::create(&client, BucketConfig::new("prod")).await.unwrap();
    bucket.batch().put("checkout.max_items", "60").put("checkout.region", "eu").commit().await.unwrap();
    let live: Live<Checkout> = bucket.live().start().await.unwrap();
    assert_eq!((live.load().max_items, live.load().region.as_deref()), (60, Some("eu")));
    assert!(Bucket::open_lazily(&client, "no.bucket").is_err());
}

// P9, P5
#[tokio::test]
async fn without_a_server_or_a_cache_the_start_fails_within_its_deadline_and_says_why() {
    let mut server = Server::start().await;
    server.kill();
    let bucket = Bucket::open_lazily(connect(&server).await, "prod").unwrap();
    let start = bucket.live::<Checkout>().deadline(Duration::from_millis(200));
    let begun = std::time::Instant::now();
    let error = start.start().await.unwrap_err();
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    assert!(
        matches!(&error, StartError::Timeout { state: WatchState::Disconnected, .. }),
        "{error}: {error:?}"
    );
}
