//! What happens to the way between a client and a server that is there, or is not.

use std::time::{Duration, Instant};

use async_nats::ConnectOptions;
use kvconf::{CommitError, KvConfig, WatchState, WriteError};
use kvconf_tests::proxy::Direction;
use kvconf_tests::server::Server;
use kvconf_tests::wait_until;

use super::ledger::{Ledger, Writers};
use super::scene::{BUCKET, PROMPT, Scene, at_work};
use super::table::Row;

/// Within which time a broken connection shows.
const BREAK_NOTICED: Duration = Duration::from_secs(2);

/// Within which time silence shows, where the connection seems to be alive.
pub const SILENCE_NOTICED: Duration = Duration::from_millis(3_300);

/// Within which time a handle follows again: the client waits up to four seconds between two attempts to connect.
const BACK: Duration = Duration::from_secs(10);

/// P4, P5, P6
pub async fn killed_and_restarted() -> Row {
    let mut scene = Scene::start().await;
    let writers = scene.writers().await;
    let begun = Instant::now();
    scene.server.kill();
    let (noticed, told) = scene.watched.notices(begun, BREAK_NOTICED).await;
    assert_eq!(told.health.state, WatchState::Disconnected);
    let count = scene.watched.live.load().count;
    assert!(count > 0, "the last good state serves");
    scene.server.restart().await;
    let healed = Instant::now();
    let row = Row::new("server killed (-9) and restarted").told(&told.health.state);
    scene.converges(row.noticed(noticed, BREAK_NOTICED), writers, healed, BACK).await
}

/// P4, P5
pub async fn cut() -> Row {
    let scene = Scene::start().await;
    let writers = scene.writers().await;
    let begun = Instant::now();
    scene.proxy.cut();
    let (noticed, told) = scene.watched.notices(begun, BREAK_NOTICED).await;
    assert_eq!(told.health.state, WatchState::Disconnected);
    writers.go_on(PROMPT).await;
    scene.proxy.resume();
    let healed = Instant::now();
    let row = Row::new("connection cut, and new ones refused").told(&told.health.state);
    scene.converges(row.noticed(noticed, BREAK_NOTICED), writers, healed, BACK).await
}

/// P4, P5: the system does not tell the client, and the client itself asks once a minute.
pub async fn black_holed() -> Row {
    let scene = Scene::start().await;
    let writers = scene.writers().await;
    let begun = Instant::now();
    scene.proxy.hold();
    let (noticed, told) = scene.watched.notices(begun, SILENCE_NOTICED).await;
    // Until the attempt to begin again has failed as well.
    let unanswered = |state: &WatchState| state.to_string().contains("no answer");
    scene.watched.says("no answer", begun, Duration::from_secs(12), unanswered).await;
    writers.go_on(PROMPT).await;
    assert!(scene.watched.states(begun).iter().all(WatchState::is_stale), "{}", scene.watched.story());
    scene.proxy.resume();
    let healed = Instant::now();
    let row = Row::new("connection black-holed").told(&told.health.state);
    scene.converges(row.noticed(noticed, SILENCE_NOTICED), writers, healed, BACK).await
}

/// P1, P5: more is written than gets through.
pub async fn slow() -> Row {
    const NOTICED: Duration = Duration::from_secs(15);
    let scene = Scene::start().await;
    let writers = scene.writers().await;
    let begun = Instant::now();
    scene.proxy.slow(512, Duration::from_millis(50));
    let (noticed, told) = scene.watched.notices(begun, NOTICED).await;
    writers.go_on(PROMPT).await;
    scene.proxy.resume();
    let healed = Instant::now();
    let row = Row::new("connection slow: 10 kB/s").told(&told.health.state);
    scene.converges(row.noticed(noticed, NOTICED), writers, healed, BACK).await
}

/// P5: the connection is there, and nobody answers on it.
pub async fn jetstream_off() -> Row {
    const NOTICED: Duration = Duration::from_secs(10);
    let mut scene = Scene::start().await;
    let writers = scene.writers().await;
    let begun = Instant::now();
    scene.server.restart_with(Server::builder().without_jetstream()).await;
    let (noticed, _) = scene.watched.notices(begun, BREAK_NOTICED).await;
    let connected =
        |state: &WatchState| !matches!(state, WatchState::Disconnected) && state.to_string().contains("503");
    let (_, told) = scene.watched.says("nobody answers", begun, NOTICED, connected).await;
    assert!(scene.watched.states(begun).iter().all(WatchState::is_stale), "{}", scene.watched.story());
    scene.server.restart_with(Server::builder()).await;
    let healed = Instant::now();
    let row = Row::new("server restarted without JetStream, then with it").told(&told.health.state);
    scene.converges(row.noticed(noticed, BREAK_NOTICED), writers, healed, BACK).await
}

/// P4, P5, P6: the process is stopped for longer than all answers are waited for, and its connections stay.
pub async fn frozen() -> Row {
    let scene = Scene::start().await;
    let writers = scene.writers().await;
    let begun = Instant::now();
    let plan = scene.watched.live.edit().set_entry(Ledger::fields().noise, "frozen", 1).plan().await.unwrap();
    scene.server.freeze();
    // What is said of a commit, and after what time.
    let commit = tokio::spawn(async move { (plan.commit().author("ops").await, begun.elapsed()) });
    let (noticed, told) = scene.watched.notices(begun, SILENCE_NOTICED).await;
    let (unconfirmed, took) = commit.await.unwrap();
    let CommitError::Write(error @ WriteError::Unconfirmed { after }) = unconfirmed.unwrap_err() else {
        panic!("nobody can know whether it was written");
    };
    assert_eq!(error.to_string(), "no acknowledgement within 7s: the write may have taken place or not");
    assert!(took >= after && took < after + Duration::from_secs(1), "{took:?}");
    // All that a writer asks is answered by nobody.
    let lost = |writers: &Writers| writers.words().keys().any(|words| words.contains("may have taken place"));
    wait_until("a writer is told that nobody knows", PROMPT, async || lost(&writers)).await;
    assert!(scene.watched.states(begun).iter().all(WatchState::is_stale), "{}", scene.watched.story());
    scene.server.thaw();
    let healed = Instant::now();
    let row = Row::new("server stopped (`SIGSTOP`) and continued").told(&told.health.state);
    scene.converges(row.noticed(noticed, SILENCE_NOTICED), writers, healed, BACK).await
}

/// Writers whose connections lead through the proxy.
async fn writers_through_the_proxy(scene: &Scene) -> Writers {
    let mut clients = Vec::new();
    for _ in 0..3 {
        clients.push(ConnectOptions::new().connect(scene.proxy.url()).await.unwrap());
    }
    at_work(Writers::start(clients, BUCKET).await).await
}

/// P5, P6: what is asked is done, and nobody hears of it.
pub async fn answers_held_back() -> Row {
    let scene = Scene::start().await;
    let writers = writers_through_the_proxy(&scene).await;
    let begun = Instant::now();
    scene.proxy.hold_back(Direction::ToClient);
    let (noticed, told) = scene.watched.notices(begun, SILENCE_NOTICED).await;
    let lost = |writers: &Writers| writers.words().keys().any(|words| words.contains("may have taken place"));
    wait_until("a writer is told that nobody knows", PROMPT, async || lost(&writers)).await;
    scene.proxy.resume();
    let healed = Instant::now();
    let row = Row::new("nothing comes from the server any more").told(&told.health.state);
    scene.converges(row.noticed(noticed, SILENCE_NOTICED), writers, healed, BACK).await
}

/// P5, P6: the watch goes on to be served. What is asked now and then, such as how many keys there are, is not answered, and
/// that is said within the half minute in which it is asked.
pub async fn requests_held_back() -> Row {
    const NOTICED: Duration = Duration::from_secs(50);
    let scene = Scene::start().await;
    let writers = scene.writers().await;
    let begun = Instant::now();
    scene.proxy.hold_back(Direction::ToServer);
    writers.go_on(PROMPT).await;
    scene.watched.converges(begun, writers.newest(), PROMPT).await;
    let (noticed, told) = scene.watched.notices(begun, NOTICED).await;
    scene.proxy.resume();
    let healed = Instant::now();
    let row = Row::new("nothing gets to the server any more").told(&told.health.state);
    let row = row.noticed(noticed, NOTICED).note("what is written meanwhile is seen all the same");
    scene.converges(row, writers, healed, BACK).await
}

/// P5: nothing is wrong, and nothing is said.
pub async fn far_away() -> Row {
    let scene = Scene::start().await;
    let writers = scene.writers().await;
    let begun = Instant::now();
    // Far, and not narrow: several times what the writers write.
    scene.proxy.slow(256 * 1024, Duration::from_millis(300));
    for _ in 0..3 {
        writers.go_on(PROMPT).await;
        scene.watched.converges(Instant::now(), writers.newest(), BACK).await;
    }
    assert_eq!(scene.watched.states(begun), [], "{}", scene.watched.story());
    let row = Row::new("connection slow: 300 ms each way").told("live");
    scene.converges(row, writers, Instant::now(), BACK).await
}
