//! What an administrator can do to a bucket, and what its limits do.

use std::time::{Duration, Instant};

use async_nats::Client;
use async_nats::jetstream::{self, kv};
use futures_util::StreamExt;
use kvconf::{Bucket, BucketConfig, Revision, WatchState, WriteError};
use kvconf_tests::server::Server;
use kvconf_tests::wait_until;

use super::connection::SILENCE_NOTICED;
use super::ledger::Writers;
use super::scene::{BUCKET, PROMPT, STREAM, Scene, config, stream};
use super::table::{Row, is_for_the_docs};

/// Within which time a handle follows again, when nothing has to be connected.
const BACK: Duration = Duration::from_secs(6);

/// P5: the connection is alive, and the watch is dead. The client's own watch has the same done to it at the same moment.
pub async fn consumer_deleted() -> Row {
    let scene = Scene::start().await;
    let client = scene.server.client().await;
    let store = jetstream::new(client.clone()).get_key_value(BUCKET).await.unwrap();
    let mut bare = store.watch("ledger.count").await.unwrap();
    let admin = stream(&client).await;
    // Those of the handle and of the bare watch; the writers have their own.
    let consumers: Vec<String> = admin.consumer_names().map(Result::unwrap).collect().await;
    let writers = scene.writers().await;
    let first = bare.next().await.unwrap().unwrap();
    assert_eq!(first.key, "ledger.count");

    let begun = Instant::now();
    for name in &consumers {
        admin.delete_consumer(name).await.unwrap();
    }
    let follows = async {
        let (noticed, told) = scene.watched.notices(begun, SILENCE_NOTICED).await;
        (noticed, told, scene.watched.converges(begun, writers.newest(), BACK).await)
    };
    let ((noticed, told, converged), bare) = tokio::join!(follows, notices_by_itself(&mut bare, begun));
    assert!(bare >= noticed * 3, "a bare watch notices after {bare:?}, the handle after {noticed:?}");
    let note = format!(
        "async-nats' own watch noticed after {:.1} s: {:.1} times as long",
        bare.as_secs_f64(),
        bare.as_secs_f64() / noticed.as_secs_f64()
    );
    let row =
        Row::new("consumer deleted").told(&told.health.state).noticed(noticed, SILENCE_NOTICED).note(note);
    scene.converges(row, writers, Instant::now(), BACK).await.converged(converged, BACK)
}

/// When the client's own watch says that something is wrong.
async fn notices_by_itself(watch: &mut kv::Watch, begun: Instant) -> Duration {
    let error = tokio::time::timeout(PROMPT, async {
        loop {
            if watch.next().await.expect("a watch does not end").is_err() {
                return;
            }
        }
    });
    error.await.expect("an error of the bare watch");
    begun.elapsed()
}

/// P5
pub async fn deleted() -> Row {
    const NOTICED: Duration = Duration::from_secs(6);
    let scene = Scene::start().await;
    let writers = scene.writers().await;
    let books = writers.finish(PROMPT).await;
    let (_, last) = books.acknowledgements[books.acknowledgements.len() - 1];
    scene.watched.converges(Instant::now(), last, PROMPT).await;
    let admin = jetstream::new(scene.server.client().await);
    let begun = Instant::now();
    admin.delete_stream(STREAM).await.unwrap();
    let missing = |state: &WatchState| *state == WatchState::BucketMissing;
    let (noticed, told) = scene.watched.says("missing", begun, NOTICED, missing).await;

    // It asks again and again, and not in haste.
    let asked = Instant::now();
    let messages = received(&scene).await;
    wait_until("it asks again", PROMPT, async || received(&scene).await >= messages + 20).await;
    assert!(asked.elapsed() > Duration::from_millis(500), "20 messages within {:?}", asked.elapsed());
    let health = scene.watched.live.health();
    assert_eq!((health.state, health.since), (told.health.state.clone(), told.health.since));
    assert_eq!(scene.watched.live.load().count, books.total, "the last good state serves");
    let row = Row::new("bucket deleted, and not made again").told(&told.health.state).books(&books);
    scene.watched.finish(&books).await;
    row.noticed(noticed, NOTICED).note("asks again with backoff; the last state serves")
}

/// How many messages clients have sent.
async fn received(scene: &Scene) -> u64 {
    let page = scene.server.monitoring("/varz").await.expect("the server answers");
    let page: serde_json::Value = serde_json::from_str(&page).unwrap();
    page["in_msgs"].as_u64().unwrap()
}

/// P4, P5
pub async fn recreated_with_lower_revisions() -> Row {
    let mut scene = Scene::start().await;
    scene.writers().await.finish(PROMPT).await;
    let client = scene.server.client().await;
    // More than is written to the new one before anybody looks.
    make_noise(&client, 10_000).await;
    let before = scene.bucket.status().await.unwrap().last_revision;
    scene.watched.converges(Instant::now(), before, PROMPT).await;
    let begun = Instant::now();
    jetstream::new(client.clone()).delete_stream(STREAM).await.unwrap();
    let (noticed, _) = scene.watched.notices(begun, SILENCE_NOTICED).await;
    let missing = |state: &WatchState| *state == WatchState::BucketMissing;
    let (_, told) = scene.watched.says("missing", begun, PROMPT, missing).await;

    Bucket::create(&client, config()).await.unwrap();
    let healed = Instant::now();
    scene.watched.epoch = 1;
    // At the same time, so that the writers' start is not counted.
    let follows = scene.watched.converges(healed, Revision::ZERO, BACK);
    let (writers, converged) = tokio::join!(scene.writers(), follows);
    assert!(writers.newest() < before, "{} and {before}", writers.newest());
    let row = Row::new("bucket deleted, and made again with lower revisions").told(&told.health.state);
    let row = row.noticed(noticed, SILENCE_NOTICED);
    scene.converges(row, writers, Instant::now(), PROMPT).await.converged(converged, BACK)
}

/// Writes one key so many times, and waits until all are stored.
async fn make_noise(client: &Client, times: u64) {
    let subject = format!("$KV.{BUCKET}.ledger.noise.k");
    for number in 1..times {
        client.publish(subject.clone(), number.to_string().into()).await.unwrap();
    }
    client.request(subject, times.to_string().into()).await.unwrap();
}

/// P4: by the time that it is noticed, the new bucket is beyond the old one. After an outage in which nobody answered: that
/// must not be taken for a missing permission to ask when the bucket was created.
pub async fn recreated_with_higher_revisions() -> Row {
    let mut scene = Scene::start().await;
    let out = Instant::now();
    scene.server.restart_with(Server::builder().without_jetstream()).await;
    let unanswered = |state: &WatchState| state.to_string().contains("nobody answers");
    scene.watched.says("nobody answers", out, PROMPT, unanswered).await;
    scene.server.restart_with(Server::builder()).await;
    scene.writers().await.finish(PROMPT).await;
    let last = scene.bucket.status().await.unwrap().last_revision;
    scene.watched.converges(Instant::now(), last, PROMPT).await;
    let before = scene.bucket.status().await.unwrap().last_revision;
    let client = scene.server.client().await;
    let begun = Instant::now();
    jetstream::new(client.clone()).delete_stream(STREAM).await.unwrap();
    Bucket::create(&client, config()).await.unwrap();
    let healed = Instant::now();
    make_noise(&client, before.get()).await;
    scene.watched.epoch = 1;
    let follows = async {
        let noticed = scene.watched.notices(begun, SILENCE_NOTICED).await;
        (noticed, scene.watched.converges(healed, before, BACK).await)
    };
    let (writers, ((noticed, told), converged)) = tokio::join!(scene.writers(), follows);
    assert!(writers.newest() > before, "{} and {before}", writers.newest());
    let row = Row::new("bucket deleted, and made again with higher revisions").told(&told.health.state);
    let row = row.noticed(noticed, SILENCE_NOTICED);
    scene.converges(row, writers, Instant::now(), PROMPT).await.converged(converged, BACK)
}

/// P5: no server announces it. It is found by the regular count.
pub async fn purged() -> Row {
    // The clock jumps in a runtime of one thread only.
    let own = || {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(purged_in_time())
    };
    let ended = tokio::task::spawn_blocking(own).await;
    ended.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
}

async fn purged_in_time() -> Row {
    const NOTICED: Duration = Duration::from_secs(42);
    const EMPTY: Duration = Duration::from_secs(58);
    let scene = Scene::start().await;
    let old = scene.writers().await.finish(PROMPT).await;
    let admin = stream(&scene.server.client().await).await;
    let (_, last) = old.acknowledgements[old.acknowledgements.len() - 1];
    scene.watched.converges(Instant::now(), last, PROMPT).await;
    let begun = Instant::now();
    admin.purge().await.unwrap();
    let suspect = |state: &WatchState| matches!(state, WatchState::Suspect { .. });
    // Before the first count, and before the end of suspicion, each at its soonest.
    let skipped = skip(Duration::from_secs(20)).await;
    let (noticed, told) = scene.watched.says("suspect", begun, NOTICED, suspect).await;
    assert_eq!(scene.watched.live.load().count, old.total, "an empty answer is not believed at once");
    let skipped_more = skip(Duration::from_secs(8)).await;
    let empty = scene
        .watched
        .live
        .wait_for_health(|health| health.is_current() && scene.watched.live.load().by.is_empty());
    tokio::time::timeout(PROMPT, empty).await.unwrap_or_else(|_| panic!("{}", scene.watched.story()));
    let (noticed, converged) = (noticed + skipped, begun.elapsed() + skipped + skipped_more);
    assert!(noticed <= NOTICED && converged <= EMPTY, "{noticed:?} {converged:?}");
    let writers = scene.writers().await;
    let row =
        Row::new("stream purged by an administrator").told(&told.health.state).noticed(noticed, NOTICED);
    let row = scene.converges(row, writers, Instant::now(), PROMPT).await;
    row.converged(converged, EMPTY).note("counted every 30 s; emptiness has to last for 10 s")
}

/// P5, P6: what is full says so, and readers go on.
pub async fn full() -> Row {
    const MAX: u64 = 1 << 20;
    let mut limited = config();
    limited.max_bytes = Some(MAX);
    let scene = Scene::start_with(limited).await;
    let writers = scene.writers().await;
    let begun = Instant::now();
    let refused = fill(&scene.bucket).await;
    assert!(matches!(&refused, WriteError::Full { bucket } if bucket == BUCKET), "{refused:?}");
    let noticed = told_full(&writers).await;
    assert!(noticed.duration_since(begun) <= PROMPT);
    assert_eq!(scene.watched.states(begun), [], "{}", scene.watched.story());

    let mut larger = BucketConfig::unchanged(BUCKET);
    larger.max_bytes = Some(8 * MAX);
    scene.bucket.update_config(&larger).await.unwrap();
    let healed = Instant::now();
    let row = Row::new("bucket full (`max_bytes`)").told(format!("{refused} (to writers)"));
    scene.converges(row, writers, healed, BACK).await.note("readers stay live")
}

/// Lets the client's time jump, unless the table is to be written: nothing happens meanwhile but waiting. Gives how far.
async fn skip(time: Duration) -> Duration {
    if is_for_the_docs() {
        return Duration::ZERO;
    }
    tokio::time::pause();
    tokio::time::advance(time).await;
    tokio::time::resume();
    time
}

/// Fills the bucket to the brim, and at once: a writer whose keys have as many revisions as the bucket keeps takes up no more
/// room, and is never told of anything.
async fn fill(bucket: &Bucket) -> WriteError {
    let mut size = 512 * 1024;
    for number in 0.. {
        match bucket.put(format!("filler.{number}"), vec![b'x'; size]).await {
            Ok(_) => {}
            Err(error) if size < 64 => return error,
            Err(WriteError::Full { .. }) => size /= 2,
            Err(error) => panic!("{error}"),
        }
    }
    unreachable!("there are enough numbers")
}

/// When the writers, too, are told that the bucket is full.
async fn told_full(writers: &Writers) -> Instant {
    let words = "the change was not written: bucket faults is full";
    wait_until("writers are told", PROMPT, async || writers.words().contains_key(words)).await;
    Instant::now()
}

/// P6, P10: refused before it is sent, and by the server when another client sends it.
pub async fn value_too_large() -> Row {
    const MAX: u32 = 1_024;
    let mut limited = config();
    limited.max_value_size = Some(MAX);
    let scene = Scene::start_with(limited).await;
    let writers = scene.writers().await;
    let begun = Instant::now();
    let large = "7".repeat(2_000);
    let refused = scene.bucket.put("ledger.noise.large", large.clone()).await.unwrap_err();
    let WriteError::TooLarge { key, max, .. } = &refused else { panic!("{refused:?}") };
    assert_eq!((key.as_str(), *max), ("ledger.noise.large", MAX as usize));
    let batch = scene.bucket.batch().put("ledger.noise.small", "1").put("ledger.noise.large", large.clone());
    assert!(matches!(batch.commit().await.unwrap_err(), WriteError::TooLarge { .. }));
    let store = jetstream::new(scene.server.client().await).get_key_value(BUCKET).await.unwrap();
    store.put("ledger.noise.large", large.into()).await.unwrap_err();
    for key in ["ledger.noise.small", "ledger.noise.large"] {
        assert_eq!(scene.bucket.get(key).await.unwrap(), None, "{key}");
    }
    writers.go_on(PROMPT).await;
    assert_eq!(scene.watched.states(begun), [], "{}", scene.watched.story());
    let row = Row::new("value over the limit").told(format!("{refused} (to the writer)"));
    scene.converges(row, writers, Instant::now(), BACK).await.note("nothing is written")
}
