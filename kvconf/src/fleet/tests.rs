//! The fleet in memory: the same protocol, without a server.

use std::future::IntoFuture;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::{FleetError, FleetWaitError, Instance, Opinion, Share};
use crate::instance::scope::everybody;
use crate::{Bucket, CommitError, KvConfig, Live};

#[derive(KvConfig, Debug, Clone)]
#[kv(prefix = "app")]
struct App {
    #[kv(default = 5, range(1..=100))]
    max: u32,
    #[kv(default = 1)]
    min: u32,
    #[kv(secret, default = "none")]
    token: crate::Secret<String>,
}

/// An older build: it takes less.
#[derive(KvConfig, Debug, Clone)]
#[kv(prefix = "app")]
struct Narrow {
    #[kv(default = 5, range(1..=10))]
    max: u32,
}

#[derive(KvConfig, Debug, Clone)]
#[kv(prefix = "other")]
struct Other {
    #[kv(default = 5)]
    max: u32,
}

async fn join<T: KvConfig>(bucket: &Bucket, id: &str) -> Live<T> {
    let instance = Instance::named("app").id(id).version("1.0.0").host("node");
    bucket.live::<T>().instance(instance).start().await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn instances_say_who_they_are_and_how_they_are() {
    let bucket = Bucket::memory();
    assert_eq!(bucket.fleet().list().await.unwrap().to_string(), "nobody answers");
    let a: Live<App> = join(&bucket, "a").await;
    let b: Live<Narrow> = join(&bucket, "b").await;
    let bad = bucket.put("app.max", "50").await.unwrap();
    a.wait_for(bad).await.unwrap();
    b.wait_for(bad).await.unwrap_err();
    let roster = bucket.fleet().list().await.unwrap();
    assert_eq!(
        roster.to_string(),
        "a (app 1.0.0 on node)\n  App under app: revision 1, live\n\
         b (app 1.0.0 on node)\n  Narrow under app: revision 0, seen 1, live; 1 change set rejected\n    \
         × app.max: 50 is outside 1..=10"
    );
    assert_eq!(roster.not_current().map(|member| member.id.as_str()).collect::<Vec<_>>(), ["b"]);
    assert_eq!(roster.members()[1].handles[0].rejected[0].keys, ["app.max"]);
    assert_eq!(bucket.fleet().reading("other").unwrap().list().await.unwrap().members().len(), 0);
    assert_eq!(bucket.fleet().reading("app").unwrap().list().await.unwrap().members().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn handles_of_one_instance_answer_together_and_leave_one_by_one() {
    let bucket = Bucket::memory();
    let instance = Instance::named("app").id("a");
    let app = bucket.live::<App>().instance(instance.clone()).start().await.unwrap();
    let other = bucket.live::<Other>().instance(instance).start().await.unwrap();
    let handles = || async {
        let roster = bucket.fleet().list().await.unwrap();
        roster.members().iter().flat_map(|m| &m.handles).map(|h| h.structure.clone()).collect::<Vec<_>>()
    };
    assert_eq!(handles().await, ["App", "Other"]);
    app.stop();
    assert_eq!(handles().await, ["Other"]);
    drop(other);
    assert_eq!(handles().await, Vec::<String>::new());
    // And one that comes back.
    let _again = join::<App>(&bucket, "a").await;
    assert_eq!(handles().await, ["App"]);
}

#[tokio::test(start_paused = true)]
async fn nobody_answers_without_being_told_to() {
    let bucket = Bucket::memory();
    let live = bucket.live::<App>().start().await.unwrap();
    assert_eq!(bucket.fleet().list().await.unwrap().members().len(), 0);
    assert_eq!(live.health().fleet, None);
    let plan = live.edit().set(App::fields().max, 7).plan().await.unwrap();
    assert_eq!(plan.preflight().await.unwrap().to_string(), "nobody answers");
    let applied = plan.commit().author("ops").ask_fleet().await.unwrap();
    assert_eq!(applied.wait_for_fleet().await.unwrap().to_string(), "nobody is there to take it");
}

// P5, P8
#[tokio::test(start_paused = true)]
async fn a_fleet_that_listens_and_does_not_answer_is_not_taken_for_an_empty_one() {
    let bucket = Bucket::memory();
    let live = bucket.live::<App>().start().await.unwrap();
    let fleet = bucket.fleet();
    let _listener = fleet.store.exchange().listen(&everybody()).await.unwrap();
    let silent = "nobody answers, though somebody listens";
    let roster = fleet.list().await.unwrap();
    assert!(roster.is_silent());
    assert_eq!(roster.to_string(), silent);
    let plan = live.edit().set(App::fields().max, 7).plan().await.unwrap();
    assert_eq!(plan.preflight().await.unwrap().to_string(), silent);
    let applied = plan.commit().author("ops").await.unwrap();
    let error = applied.wait_for_fleet().or_rollback().await.unwrap_err();
    assert!(matches!(error, FleetWaitError::Ask(FleetError::Silent)), "{error:?}");
    let error = applied.wait_for_fleet().among(&roster).await.unwrap_err();
    assert!(matches!(error, FleetWaitError::Ask(FleetError::Silent)), "{error:?}");
    // Not known to be too few: nothing is taken back.
    assert_eq!(bucket.get("app.max").await.unwrap().as_deref(), Some(&b"7"[..]));
}

// P8
#[tokio::test(start_paused = true)]
async fn who_should_be_there_and_is_not_has_not_taken_a_change() {
    let bucket = Bucket::memory();
    let a: Live<App> = join(&bucket, "a").await;
    let _b: Live<App> = join(&bucket, "b").await;
    let _not_concerned: Live<Other> = join(&bucket, "c").await;
    let set = async |max| {
        let plan = a.edit().set(App::fields().max, max).plan().await.unwrap();
        plan.commit().author("ops").await.unwrap()
    };
    let plan = a.edit().set(App::fields().max, 7).plan().await.unwrap();
    let verdict = plan.preflight().expect(3).await.unwrap();
    assert_eq!(
        (verdict.to_string().as_str(), verdict.is_unanimous()),
        ("2 accept, 1 is not concerned", true)
    );
    let verdict = plan.preflight().expect(5).await.unwrap();
    let told = "2 accept, 1 is not concerned, 2 are not there";
    assert_eq!((verdict.to_string().as_str(), verdict.is_unanimous(), verdict.missing()), (told, false, 2));
    let applied = set(7).await;
    let status = applied.wait_for_fleet().expect(3).await.unwrap();
    assert_eq!(status.to_string(), "2 of 2 instances have it");
    let share = Share::percent(50.0).unwrap();
    let status = applied.wait_for_fleet().expect(4).share(share).await.unwrap();
    assert_eq!(status.to_string(), "2 of 3 instances have it, 1 is not there; 2 are enough");
    let error = applied.wait_for_fleet().expect(5).await.unwrap_err();
    assert_eq!(error.to_string(), "2 of 4 instances have it, 2 are not there");
    let roster = bucket.fleet().list().await.unwrap();
    let error = applied.wait_for_fleet().among(&roster).expect(5).or_rollback().await.unwrap_err();
    assert!(matches!(error, FleetWaitError::TakenBack { .. }), "{error:?}");

    // Nobody at all is not enough either.
    let empty = Bucket::memory();
    let live = empty.live::<App>().start().await.unwrap();
    let plan = live.edit().set(App::fields().max, 7).plan().await.unwrap();
    let applied = plan.commit().author("ops").await.unwrap();
    let error = applied.wait_for_fleet().expect(2).await.unwrap_err();
    assert_eq!(error.to_string(), "0 of 2 instances have it, 2 are not there");
}

#[tokio::test(start_paused = true)]
async fn a_change_that_an_instance_would_reject_is_not_written() {
    let bucket = Bucket::memory();
    let a: Live<App> = join(&bucket, "a").await;
    let b: Live<Narrow> = join(&bucket, "b").await;
    let _other: Live<Other> = join(&bucket, "c").await;
    let plan = a.edit().set(App::fields().max, 50).plan().await.unwrap();
    assert!(plan.is_valid());
    let verdict = plan.preflight().await.unwrap();
    assert_eq!(
        verdict.to_string(),
        "1 accepts, 1 rejects, 1 is not concerned\n  × app.max: 50 is outside 1..=10\n      in b"
    );
    assert!(verdict.is_rejected() && !verdict.is_unanimous());
    assert_eq!(verdict.with(&Opinion::Rejects).map(|vote| vote.id.as_str()).collect::<Vec<_>>(), ["b"]);
    assert_eq!(b.load().max, 5);

    let error = plan.commit().author("ops").ask_fleet().await.unwrap_err();
    assert_eq!(error.to_string(), "the fleet would reject the change");
    assert!(matches!(&error, CommitError::Rejected(verdict) if verdict.votes().len() == 3));
    assert_eq!(bucket.get("app.max").await.unwrap(), None);

    let plan = a.edit().set(App::fields().max, 50).plan().await.unwrap();
    let error = plan.commit().author("ops").ask_fleet().force().await.unwrap_err();
    assert_eq!(error.to_string(), "the reason is missing: force needs one");
    let plan = a.edit().set(App::fields().max, 50).plan().await.unwrap();
    let applied = plan.commit().author("ops").ask_fleet().force().reason("b goes today").await.unwrap();
    let error = applied.wait_for_fleet().await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "1 of 2 instances have it, 1 rejects it\n  × app.max: 50 is outside 1..=10\n      in b"
    );
    assert_eq!(bucket.get("app.max").await.unwrap().as_deref(), Some(&b"50"[..]));
}

// P11
#[tokio::test(start_paused = true)]
async fn a_secret_candidate_is_shown_nowhere() {
    let bucket = Bucket::memory();
    let a: Live<App> = join(&bucket, "a").await;
    let plan = a.edit().set(App::fields().token, "hunter2".to_owned().into()).plan().await.unwrap();
    let request = plan.preflight();
    assert!(!format!("{request:?}").contains("hunter2"));
    let verdict = request.await.unwrap();
    assert!(!format!("{verdict:?}{verdict}").contains("hunter2"));
    assert!(verdict.is_unanimous());
}

#[tokio::test(start_paused = true)]
async fn a_change_that_too_few_take_goes_back() {
    let bucket = Bucket::memory();
    let a: Live<App> = join(&bucket, "a").await;
    let _b: Live<Narrow> = join(&bucket, "b").await;
    let good = a.update(|app| app.max = 9).author("ops").await.unwrap();
    let seen: Arc<Mutex<Vec<String>>> = Arc::default();
    let told = Arc::clone(&seen);
    let status = good
        .wait_for_fleet()
        .on_progress(move |progress| told.lock().unwrap().push(progress.to_string()))
        .await
        .unwrap();
    assert_eq!(status.to_string(), "2 of 2 instances have it");
    let seen = seen.lock().unwrap().clone();
    assert_eq!(seen.first().unwrap(), "0 of 2 instances have it, 2 not yet");
    assert_eq!(seen.last().unwrap(), "2 of 2 instances have it");

    let bad = a.update(|app| app.max = 50).author("ops").await.unwrap();
    let half = bad.wait_for_fleet().share(Share::percent(50.0).unwrap()).or_rollback().await.unwrap();
    assert!(half.is_reached());
    let error = bad.wait_for_fleet().or_rollback().author("deploy").await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the change was taken back: 1 of 2 instances have it, 1 rejects it\n  × app.max: 50 is outside \
         1..=10\n      in b"
    );
    let FleetWaitError::TakenBack { applied, .. } = error else { panic!("{error:?}") };
    a.wait_for(applied.revision()).await.unwrap();
    assert_eq!(a.load().max, 9);
    let entry = bucket.entry("app.max").await.unwrap().unwrap();
    let by = crate::Attribution::of(&entry);
    assert_eq!(by.author.as_deref(), Some("deploy"));
    assert_eq!(by.reason.as_deref(), Some("1 of 2 instances have it, 1 rejects it"));
}

#[tokio::test(start_paused = true)]
async fn a_handle_that_leaves_is_not_waited_for() {
    let bucket = Bucket::memory();
    let a: Live<App> = join(&bucket, "a").await;
    let b: Live<App> = join(&bucket, "b").await;
    let roster = bucket.fleet().list().await.unwrap();
    let key = crate::Key::new("app.max").unwrap();
    // A revision that is never written: both hold the question.
    let wait = bucket
        .fleet()
        .wait_for([(key, crate::Revision::new(99))])
        .among(&roster)
        .within(Duration::from_secs(60));
    let leave = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        drop(b);
    };
    let (outcome, ()) = tokio::join!(wait.into_future(), leave);
    let error = outcome.unwrap_err();
    assert_eq!(error.to_string(), "0 of 1 instances have it, 1 not yet\n  behind: a");
    assert!(error.status().unwrap().instances()[1].left);
    drop(a);
}

#[tokio::test(start_paused = true)]
async fn who_judges_on_something_else_says_so() {
    let bucket = Bucket::memory();
    let _a: Live<App> = join(&bucket, "a").await;
    let key = crate::Key::new("app.max").unwrap();
    let revision = bucket.put("app.max", "7").await.unwrap();
    let stale = super::Candidate::put(key.clone(), "8", crate::Revision::ZERO);
    let verdict = bucket.fleet().preflight([stale]).await.unwrap();
    assert_eq!(verdict.to_string(), "1 accepts\n  have newer entries: a");
    let ahead = super::Candidate::put(key, "8", crate::Revision::new(revision.get() + 5));
    let verdict = bucket.fleet().preflight([ahead]).await.unwrap();
    assert_eq!(verdict.to_string(), "1 accepts\n  judged on older entries: a");
}
