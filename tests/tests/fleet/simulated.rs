//! A thousand instances on one server, of which not all behave.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use kvconf::fleet::{Candidate, Fleet, FleetWaitError, Opinion, Progress, Share};
use kvconf::{Bucket, BucketConfig, Key, Revision};
use kvconf_tests::instances::{Manner, has_arrived, live};
use kvconf_tests::server::Server;

const GOOD: usize = 900;
const TWICE: usize = 50;
const LAGS: usize = 10;
const REJECTS: usize = 15;
const SILENT: usize = 15;
const GARBAGE: usize = 10;

/// Those who say who they are.
const KNOWN: usize = GOOD + TWICE + LAGS + REJECTS + SILENT;
const CONNECTIONS: usize = 20;

async fn thousand() -> (Server, Bucket) {
    let server = Server::start().await;
    let bucket = Bucket::create(server.client().await, BucketConfig::new("b")).await.unwrap();
    let mut clients = Vec::new();
    for _ in 0..CONNECTIONS {
        clients.push(server.client().await);
    }
    let manners = [
        (Manner::Good, GOOD),
        (Manner::Twice, TWICE),
        (Manner::Lags, LAGS),
        (Manner::Rejects, REJECTS),
        (Manner::Silent, SILENT),
        (Manner::Garbage, GARBAGE),
    ];
    for (manner, count) in manners {
        for n in 0..count {
            let id = format!("{manner:?}-{n:03}").to_lowercase();
            live(clients[n % CONNECTIONS].clone(), "b", id, manner).await;
        }
    }
    for client in &clients {
        has_arrived(client).await;
    }
    (server, bucket)
}

fn candidate() -> Candidate {
    Candidate::put(Key::new("app.max").unwrap(), "70", Revision::ZERO)
}

async fn preflight(fleet: &Fleet) -> kvconf::fleet::Preflight {
    // Those who never answer are waited for in vain.
    fleet.preflight([candidate()]).expect(KNOWN).within(Duration::from_secs(3)).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_answers_are_counted_exactly_in_bounded_time() {
    let (_server, bucket) = thousand().await;
    let fleet = bucket.fleet();
    let begun = Instant::now();
    let roster = fleet.list().within(Duration::from_secs(10)).expect(KNOWN).await.unwrap();
    let listed = begun.elapsed();
    assert_eq!((roster.members().len(), roster.doubled()), (KNOWN, &[][..]));
    // Nobody says how many there are: silence does.
    let without_number = fleet.list().within(Duration::from_secs(10)).await.unwrap();
    assert_eq!((without_number.members().len(), without_number.unreadable()), (KNOWN, GARBAGE));

    let begun = Instant::now();
    let verdict = preflight(&fleet).await;
    let judged = begun.elapsed();
    let count = |opinion: Opinion| verdict.with(&opinion).count();
    assert_eq!(count(Opinion::Accepts), GOOD + TWICE + LAGS);
    assert_eq!((count(Opinion::Rejects), count(Opinion::Silent)), (REJECTS, SILENT));
    assert_eq!((verdict.votes().len(), verdict.unreadable()), (KNOWN, GARBAGE));
    assert_eq!(
        verdict.to_string(),
        "960 accept, 15 reject, 15 are silent\n  × app.max: 70 is outside 1..=10\n      in rejects-000, rejects-001, \
         rejects-002, rejects-003, rejects-004 and 10 more\n  silent: silent-000, silent-001, silent-002, silent-003, \
         silent-004 and 10 more\n  answers that could not be read: 10"
    );

    let written = [(Key::new("app.max").unwrap(), Revision::new(7))];
    let begun = Instant::now();
    let share = Share::percent(96.0).unwrap();
    let status = fleet.wait_for(written.clone()).among(&roster).share(share).await.unwrap();
    let reached = begun.elapsed();
    // 951 of 990: all that are good, and some of those that lag, which were asked again.
    assert!(status.progress().applied >= 951, "{status}");

    let steps: Arc<Mutex<Vec<Progress>>> = Arc::default();
    let told = Arc::clone(&steps);
    let begun = Instant::now();
    let outcome = fleet
        .wait_for(written)
        .among(&roster)
        .share(Share::percent(97.0).unwrap())
        .within(Duration::from_secs(8))
        .on_progress(move |progress| told.lock().unwrap().push(*progress))
        .await;
    let missed = begun.elapsed();
    let Err(FleetWaitError::Short(status)) = outcome else { panic!("{outcome:?}") };
    let Progress { asked, wanted, applied, rejected, pending, .. } = status.progress();
    assert_eq!((asked, wanted, applied, rejected, pending), (990, 961, 960, 15, 15));
    assert_eq!(
        status.to_string(),
        "960 of 990 instances have it, 15 reject it, 15 not yet; 961 are enough\n  × app.max: 70 is outside \
         1..=10\n      in rejects-000, rejects-001, rejects-002, rejects-003, rejects-004 and 10 more\n  silent: \
         silent-000, silent-001, silent-002, silent-003, silent-004 and 10 more"
    );
    let steps = steps.lock().unwrap();
    assert!(
        steps.windows(2).all(|two| two[0].applied <= two[1].applied && two[0].rejected <= two[1].rejected)
    );
    println!("list {listed:?}, preflight {judged:?}, 96 % {reached:?}, in vain {missed:?}");
    // The time that was given, and what a busy machine adds.
    let most = Duration::from_secs(20);
    assert!(
        [listed, judged, reached, missed].iter().all(|took| *took < most),
        "{listed:?} {judged:?} {reached:?} {missed:?}"
    );
}
