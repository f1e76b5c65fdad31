//! Three servers, three copies.

use std::time::{Duration, Instant};

use kvconf::WatchState;
use kvconf_tests::server::{Cluster, PINNED, Server, installed};

use super::connection::SILENCE_NOTICED;
use super::scene::{ClusterScene, Home, PROMPT, STREAM};
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
