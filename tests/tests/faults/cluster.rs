//! Three servers, three copies.

use std::time::{Duration, Instant};

use kvconf::{Bucket, WatchState};
use kvconf_tests::server::{Cluster, PINNED, Server, installed};
use kvconf_tests::wait_for;

use super::connection::SILENCE_NOTICED;
use super::ledger::Ledger;
use super::scene::{BUCKET, ClusterScene, Home, PROMPT, STREAM};
use super::table::Row;

/// What is upgraded.
const OLD: &str = "2.14.6";

/// Within which time a handle on a cluster follows again: an election, and then as on one server.
const BACK: Duration = Duration::from_secs(20);

/// P4, P5, P6
pub async fn leader_killed() -> Row {
    // Where the consumer lives on another server than the leader, only the leader's silence tells.
    const NOTICED: Duration = Duration::from_secs(9);
    let mut scene = ClusterScene::start(Cluster::start(3).await).await;
    let writers = scene.writers(&[0, 1, 2]).await;
    let leader = scene.cluster.stream_leader(STREAM).await;
    let begun = Instant::now();
    scene.cluster.servers_mut()[leader].kill();
    writers.go_on(PROMPT).await;
    let elected = begun.elapsed();
    let converged = scene.watched.converges(begun, writers.newest(), BACK).await;
    scene.cluster.servers_mut()[leader].restart().await;
    writers.go_on(PROMPT).await;
    let (told, noticed) = (scene.told(begun), scene.watched.noticed(begun));
    let note = format!("all writers went on after {:.1} s", elected.as_secs_f64());
    let row = Row::new("three nodes: the leader killed during writes").told(told);
    let mut row = scene.converges(row, writers, Instant::now(), BACK).await;
    // A new leader may be there before anything shows.
    if let Some(noticed) = noticed {
        assert!(noticed <= NOTICED, "{noticed:?}");
        row = row.noticed(noticed, NOTICED);
    }
    row.converged(converged, BACK).note(note)
}

/// P4, P5, P6
pub async fn upgraded_node_by_node() -> Row {
    let old = Server::builder().binary(installed(OLD));
    let mut scene = ClusterScene::start(Cluster::start_with(3, &old).await).await;
    let writers = scene.writers(&[0, 1, 2]).await;
    let begun = Instant::now();
    let mut slowest = Duration::ZERO;
    for number in 0..3 {
        scene.cluster.upgrade(number, &installed(PINNED)).await;
        let healed = Instant::now();
        writers.go_on(PROMPT).await;
        slowest = slowest.max(scene.watched.converges(healed, writers.newest(), BACK).await);
    }
    let told = scene.told(begun);
    let row = Row::new("three nodes: upgraded one by one").told(told);
    let row = scene.converges(row, writers, Instant::now(), BACK).await;
    row.converged(slowest, BACK).note(format!("{OLD} to {PINNED}; the slowest of the three"))
}

/// P4, P5, P6: the reader is on the side of the one, the writers on the side of the two. The reader's consumer lives on one
/// of the two and falls silent.
pub async fn minority() -> Row {
    let row = Row::new("three nodes: the reader's one parted from the others, its consumer among those");
    parted(row, Home::Elsewhere, SILENCE_NOTICED).await
}

/// P5: the reader's consumer lives on the one as well, and goes on to say that there is nothing new. A server that led the
/// others believes for ten seconds that it still does.
pub async fn minority_with_its_consumer() -> Row {
    let row = Row::new("three nodes: the reader's one parted from the others, with its consumer");
    parted(row, Home::Reader, Duration::from_secs(20)).await
}

async fn parted(row: Row, home: Home, noticed_within: Duration) -> Row {
    let mut scene = ClusterScene::start_at(Cluster::start_divisible(3).await, 0, home).await;
    scene.watched.blind_for = scene.watched.blind_for.max(noticed_within);
    let writers = scene.writers(&[1, 2]).await;
    let begun = Instant::now();
    scene.cluster.isolate(0);
    let (noticed, told) = scene.watched.notices(begun, noticed_within).await;
    writers.go_on(PROMPT).await;
    assert!(scene.watched.states(begun).iter().all(WatchState::is_stale), "{}", scene.watched.story());
    scene.cluster.unite();
    let row = row.told(&told.health.state).noticed(noticed, noticed_within);
    scene.converges(row, writers, Instant::now(), BACK).await
}

/// P2, P4, P6: another leader every time that all have written something, and a handle that starts meanwhile.
pub async fn leader_steps_down() -> Row {
    const TIMES: usize = 8;
    let scene = ClusterScene::start(Cluster::start(3).await).await;
    let writers = scene.writers(&[0, 1, 2]).await;
    let client = scene.cluster.client().await;
    let bucket = Bucket::open(&client, BUCKET).await.unwrap();
    let begun = Instant::now();
    let mut slowest = Duration::ZERO;
    for _ in 0..TIMES {
        let before = writers.newest();
        let stepped = Instant::now();
        let subject = format!("$JS.API.STREAM.LEADER.STEPDOWN.{STREAM}");
        // While none is elected there is nobody to step down.
        let _ = client.request(subject, "".into()).await;
        let fresh =
            wait_for("a handle that starts", PROMPT, async || bucket.live::<Ledger>().start().await.ok());
        let fresh = fresh.await;
        fresh.load().assert_whole();
        assert!(fresh.health().seen >= before, "it lacks {before}: {:?}", fresh.health());
        writers.go_on(PROMPT).await;
        slowest = slowest.max(scene.watched.converges(stepped, writers.newest(), BACK).await);
    }
    let told = scene.told(begun);
    let row = Row::new("three nodes: the leader steps down again and again").told(told);
    let row = scene.converges(row, writers, Instant::now(), BACK).await;
    row.converged(slowest, BACK).note(format!("{TIMES} times, each with a start; the slowest of them"))
}

/// P4, P5: the one that the reader is connected to comes back with nothing, and takes what it has from the others.
pub async fn storage_wiped() -> Row {
    const NOTICED: Duration = Duration::from_secs(4);
    let mut scene = ClusterScene::start_at(Cluster::start(3).await, 0, Home::Reader).await;
    let writers = scene.writers(&[1, 2]).await;
    let begun = Instant::now();
    scene.cluster.servers_mut()[0].kill();
    let (noticed, told) = scene.watched.notices(begun, NOTICED).await;
    writers.go_on(PROMPT).await;
    let back = Instant::now();
    scene.cluster.servers_mut()[0].restart_wiped().await;
    let row =
        Row::new("three nodes: the reader's one comes back with its storage wiped").told(&told.health.state);
    let converged = scene.watched.converges(back, writers.newest(), BACK).await;
    let row = row.noticed(noticed, NOTICED).note("converged after it was started again");
    scene.converges(row, writers, Instant::now(), BACK).await.converged(converged, BACK)
}

/// P4, P5, P6: the two others end. The reader's consumer goes on to say that there is nothing new.
pub async fn quorum_lost() -> Row {
    const NOTICED: Duration = Duration::from_secs(20);
    const ALL_BACK: Duration = Duration::from_secs(40);
    let mut scene = ClusterScene::start_at(Cluster::start(3).await, 0, Home::Reader).await;
    scene.watched.blind_for = NOTICED;
    let writers = scene.writers(&[0, 1, 2]).await;
    let begun = Instant::now();
    for number in [1, 2] {
        scene.cluster.servers_mut()[number].kill();
    }
    let (noticed, told) = scene.watched.notices(begun, NOTICED).await;
    let alone =
        scene.watched.live.update(|ledger| ledger.noise.insert("alone".into(), 1).map_or((), drop)).await;
    let refused = alone.unwrap_err();
    assert!(!refused.is_conflict(), "{refused:?}");
    scene.cluster.launch(&[1, 2]).await;
    let healed = Instant::now();
    writers.go_on(ALL_BACK).await;
    let row = Row::new("three nodes: two of them end, and come back").told(&told.health.state);
    scene.converges(row.noticed(noticed, NOTICED), writers, healed, ALL_BACK).await
}

/// P4, P5: the leader is about to be stopped, says so, and sends its clients away.
pub async fn lame_duck() -> Row {
    let quick = Server::builder().config("lame_duck_duration: \"30s\"\nlame_duck_grace_period: \"1s\"");
    let mut scene = ClusterScene::start(Cluster::start_with(3, &quick).await).await;
    let writers = scene.writers(&[0, 1, 2]).await;
    let leader = scene.cluster.stream_leader(STREAM).await;
    let begun = Instant::now();
    scene.cluster.servers()[leader].lame_duck();
    writers.go_on(PROMPT).await;
    let converged = scene.watched.converges(begun, writers.newest(), BACK).await;
    let elected = begun.elapsed();
    scene.cluster.servers_mut()[leader].restart().await;
    writers.go_on(PROMPT).await;
    let row = Row::new("three nodes: the leader in lame duck mode, then restarted").told(scene.told(begun));
    let row = scene.converges(row, writers, Instant::now(), BACK).await;
    row.converged(converged, BACK).note(format!("all writers went on after {:.1} s", elected.as_secs_f64()))
}
