//! Buckets that copy others.

use std::time::{Duration, Instant};

use kvconf::{Bucket, WatchState};
use kvconf_tests::server::HubAndLeaf;

use super::ledger::{Ledger, Writers};
use super::scene::{BUCKET, PROMPT, at_work, converges, mirrored};
use super::table::Row;
use super::watched::Watched;

/// P2, P4, P5: the mirror goes on to serve, and to say on its own connection that there is nothing new.
pub async fn mirror_cut_off() -> Row {
    // It is asked every five seconds, and is cut off when it has heard nothing for three.
    const NOTICED: Duration = Duration::from_secs(11);
    // The leaf node connects every second. It asks for the mirror's messages less and less often while it does so in vain:
    // measured, parted for 10 s it was back after 1 s, for 20 s after 33 s, for 60 s after 44 s.
    const BACK: Duration = Duration::from_secs(150);
    let pair = HubAndLeaf::start().await;
    mirrored(&pair).await;
    // Opened when it is needed: what is asked of a bucket now and then is asked of such a one as well.
    let mirror = Bucket::open_lazily(pair.leaf.client().await, BUCKET).unwrap();
    let mut watched = Watched::start(mirror.live::<Ledger>().start().await.unwrap());
    watched.blind_for = NOTICED;
    let clients = [pair.hub.client().await, pair.hub.client().await];
    let writers = at_work(Writers::start(clients.into(), BUCKET).await).await;
    watched.converges(Instant::now(), writers.newest(), BACK).await;

    let begun = Instant::now();
    pair.part();
    let away = |state: &WatchState| matches!(state, WatchState::OriginAway { .. });
    let (noticed, told) = watched.says("the origin is away", begun, NOTICED, away).await;
    writers.go_on(PROMPT).await;
    assert!(watched.states(told.at).iter().all(WatchState::is_stale), "{}", watched.story());
    // Who starts now knows as much.
    let late = mirror.live::<Ledger>().start().await.unwrap().health();
    assert_eq!((&late.state, late.is_current(), late.is_ready()), (&told.health.state, false, true));
    pair.unite();
    let healed = Instant::now();
    let row = Row::new("a mirror on a leaf node, which is cut off from its hub").told(&told.health.state);
    let row = row.noticed(noticed, NOTICED).note("the mirror goes on to serve what it has");
    converges(row, watched, writers, healed, BACK, &mirror).await
}
