//! Real handles, each with its own connection.

use std::time::Duration;

use kvconf::fleet::{Candidate, FleetError, FleetWaitError, Instance, Roster};
use kvconf::{Bucket, BucketConfig, KvConfig, Live, Secret};
use kvconf_tests::server::Server;
use kvconf_tests::wait_until;

const BOUND: Duration = Duration::from_secs(60);

#[derive(KvConfig, Debug, Clone)]
#[kv(prefix = "app", validate = Self::check)]
struct App {
    #[kv(default = 5, range(1..=100))]
    max: u32,
    #[kv(default = 1)]
    min: u32,
    #[kv(secret, default = "none")]
    token: Secret<String>,
}

impl App {
    fn check(&self, validation: &mut kvconf::Validation<Self>) {
        if self.min > self.max {
            validation.problem("min must not be above max");
        }
    }
}

/// An older build.
#[derive(KvConfig, Debug, Clone)]
#[kv(prefix = "app")]
struct Older {
    #[kv(default = 5, range(1..=10))]
    max: u32,
}

/// Another service.
#[derive(KvConfig, Debug, Clone)]
#[kv(prefix = "other")]
struct Other {
    #[kv(default = 5)]
    max: u32,
}

async fn join<T: KvConfig>(server: &Server, id: &str) -> Live<T> {
    let bucket = Bucket::open(server.client().await, "b").await.unwrap();
    let live = bucket.live::<T>().instance(Instance::named("app").id(id).host("node")).start().await.unwrap();
    // The subscription was sent before this question on the same connection: with the answer the server has it.
    bucket.status().await.unwrap();
    live
}

async fn begin() -> (Server, Bucket) {
    let server = Server::start().await;
    let bucket = Bucket::create(server.client().await, BucketConfig::new("b")).await.unwrap();
    (server, bucket)
}

fn ids(roster: &Roster) -> Vec<&str> {
    roster.members().iter().map(|member| member.id.as_str()).collect()
}

#[tokio::test]
async fn tens_of_instances_say_what_they_would_make_of_a_change() {
    let (server, bucket) = begin().await;
    let mut apps = Vec::new();
    for n in 0..20 {
        apps.push(join::<App>(&server, &format!("app-{n:02}")).await);
    }
    let older = [join::<Older>(&server, "old-0").await, join::<Older>(&server, "old-1").await];
    let _other: Live<Other> = join(&server, "other").await;
    let roster = bucket.fleet().list().expect(23).within(BOUND).await.unwrap();
    assert_eq!(ids(&roster).len(), 23);

    let editor: Live<App> = bucket.live().start().await.unwrap();
    let plan = editor.edit().set(App::fields().max, 50).set(App::fields().min, 20).plan().await.unwrap();
    let verdict = plan.preflight().expect(23).await.unwrap();
    assert_eq!(
        verdict.to_string(),
        "20 accept, 2 reject, 1 is not concerned\n  × app.max: 50 is outside 1..=10\n      in old-0, old-1"
    );
    let error = plan.commit().author("ops").ask_fleet().await.unwrap_err();
    assert_eq!(error.to_string(), "the fleet would reject the change");
    assert_eq!(bucket.get("app.max").await.unwrap(), None);

    // Values that only do not fit together, of a client that knows no struct.
    let key = |text: &str| kvconf::Key::new(text).unwrap();
    let apart = [
        Candidate::put(key("app.max"), "3", kvconf::Revision::ZERO),
        Candidate::put(key("app.min"), "4", kvconf::Revision::ZERO),
        Candidate::put(key("other.unknown"), "4", kvconf::Revision::ZERO),
    ];
    let verdict = bucket.fleet().preflight(apart).expect(23).await.unwrap();
    assert_eq!(
        verdict.to_string(),
        "2 accept, 20 reject, 1 is not concerned\n  × app: min must not be above max\n      in app-00, app-01, app-02, \
         app-03, app-04 and 15 more"
    );

    let plan = editor.edit().set(App::fields().max, 9).plan().await.unwrap();
    let applied = plan.commit().author("ops").ask_fleet().await.unwrap();
    let status = applied.wait_for_fleet().among(&roster).within(BOUND).await.unwrap();
    assert_eq!(status.to_string(), "22 of 22 instances have it");
    assert!(apps.iter().all(|app| app.load().max == 9) && older.iter().all(|older| older.load().max == 9));
}

#[tokio::test]
async fn an_instance_that_was_replaced_is_asked_as_it_is_now() {
    let (server, bucket) = begin().await;
    let older: Live<Older> = join(&server, "pod").await;
    let editor: Live<App> = bucket.live().start().await.unwrap();
    let plan = editor.edit().set(App::fields().max, 50).plan().await.unwrap();
    assert!(plan.preflight().await.unwrap().is_rejected());
    older.stop();
    let _newer: Live<App> = join(&server, "pod").await;
    // Another connection's question may arrive before the subscription does.
    wait_until("the new one to be heard", BOUND, || async {
        plan.preflight().await.unwrap().to_string() == "1 accepts"
    })
    .await;
    let verdict = plan.preflight().await.unwrap();
    assert_eq!(verdict.votes()[0].handles[0].structure, "App");
}

#[tokio::test]
async fn the_endpoint_outlives_a_server_that_was_restarted() {
    let (mut server, bucket) = begin().await;
    let app: Live<App> = join(&server, "a").await;
    server.restart().await;
    wait_until("the instance to answer again", BOUND, || async {
        bucket
            .fleet()
            .list()
            .within(Duration::from_millis(500))
            .await
            .is_ok_and(|roster| ids(&roster) == ["a"])
    })
    .await;
    let editor: Live<App> = bucket.live().start().await.unwrap();
    let applied = editor.update(|app| app.max = 9).author("ops").await.unwrap();
    let status = applied.wait_for_fleet().within(BOUND).await.unwrap();
    assert_eq!((status.progress().applied, app.load().max), (1, 9));
}

#[tokio::test]
async fn a_change_that_one_of_two_rejects_goes_back() {
    let (server, bucket) = begin().await;
    let app: Live<App> = join(&server, "a").await;
    let _older: Live<Older> = join(&server, "b").await;
    let before = app.update(|app| app.max = 8).author("ops").await.unwrap();
    assert!(before.wait_for_fleet().within(BOUND).await.unwrap().is_reached());
    let bad = app.update(|app| app.max = 50).author("ops").await.unwrap();
    let error = bad.wait_for_fleet().within(BOUND).or_rollback().author("deploy").await.unwrap_err();
    let FleetWaitError::TakenBack { status, applied } = &error else { panic!("{error:?}") };
    assert_eq!(
        status.to_string(),
        "1 of 2 instances have it, 1 rejects it\n  × app.max: 50 is outside 1..=10\n      in b"
    );
    assert_eq!(applied.wait_for_fleet().within(BOUND).await.unwrap().to_string(), "2 of 2 instances have it");
    assert_eq!(bucket.get("app.max").await.unwrap().as_deref(), Some(&b"8"[..]));

    // Somebody else was there in between: nothing of theirs is taken back.
    let bad = app.update(|app| app.max = 60).author("ops").await.unwrap();
    bucket.put("app.max", "61").await.unwrap();
    let error = bad.wait_for_fleet().within(BOUND).or_rollback().await.unwrap_err();
    assert!(matches!(error, FleetWaitError::NotTakenBack { .. }), "{error:?}");
    assert_eq!(bucket.get("app.max").await.unwrap().as_deref(), Some(&b"61"[..]));
}

#[tokio::test]
async fn what_is_too_large_to_ask_about_is_refused_before_it_is_sent() {
    let (server, bucket) = begin().await;
    let _app: Live<App> = join(&server, "a").await;
    let key = kvconf::Key::new("app.token").unwrap();
    let large = Candidate::put(key, vec![b'x'; 2 << 20], kvconf::Revision::ZERO);
    let error = bucket.fleet().preflight([large]).await.unwrap_err();
    let FleetError::TooLarge { bytes, max } = error else { panic!("{error:?}") };
    assert!(bytes > 2 << 20 && max == 1 << 20, "{bytes} {max}");
}

#[tokio::test]
async fn a_fleet_whose_server_is_away_cannot_be_asked() {
    let (mut server, bucket) = begin().await;
    server.kill();
    wait_until("the connection to be lost", BOUND, || async {
        bucket.connection().unwrap().client().connection_state() != async_nats::connection::State::Connected
    })
    .await;
    let error = bucket.fleet().list().await.unwrap_err();
    assert_eq!(error.to_string(), "the fleet could not be asked");
    assert_eq!(std::error::Error::source(&error).unwrap().to_string(), "not connected to the server");
    assert!(error.is_retryable());
}

/// Nothing is said while nobody asks, and what was listened to is given up.
#[tokio::test]
async fn an_idle_fleet_says_nothing_and_leaves_nothing() {
    let (server, bucket) = begin().await;
    let before = subscriptions(&server).await;
    let watcher = server.client().await;
    let mut said = watcher.subscribe("kvconf.>").await.unwrap();
    watcher.flush().await.unwrap();
    let bucket_of_instance = Bucket::open(server.client().await, "b").await.unwrap();
    let instance = Instance::named("app").id("a");
    let one: Live<App> = bucket_of_instance.live().instance(instance.clone()).start().await.unwrap();
    let two: Live<Other> = bucket_of_instance.live().instance(instance).start().await.unwrap();
    let roster = bucket.fleet().list().await.unwrap();
    assert_eq!(roster.members()[0].handles.len(), 2);
    // The question that was just asked is the only thing that was said.
    use futures_util::{FutureExt, StreamExt};
    let first = said.next().await.unwrap();
    assert_eq!(first.subject.as_str(), "kvconf.b.who");
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    assert!(said.next().now_or_never().is_none());
    drop((one, two, said));
    drop(watcher);
    wait_until("subscriptions to be given up", BOUND, || async {
        let now = subscriptions(&server).await;
        now.iter().filter(|subject| subject.starts_with("kvconf.") || subject.starts_with("$SRV.")).count()
            == before
                .iter()
                .filter(|subject| subject.starts_with("kvconf.") || subject.starts_with("$SRV."))
                .count()
    })
    .await;
}

async fn subscriptions(server: &Server) -> Vec<String> {
    let page: serde_json::Value =
        serde_json::from_str(&server.monitoring("/connz?subs=1").await.unwrap()).unwrap();
    let connections = page["connections"].as_array().unwrap();
    let of = |connection: &serde_json::Value| {
        connection["subscriptions_list"].as_array().cloned().unwrap_or_default()
    };
    connections.iter().flat_map(of).map(|subject| subject.as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_change_with_a_deadline_is_confirmed_or_taken_back_by_what_the_fleet_says() {
    // P8
    let (server, bucket) = begin().await;
    let app: Live<App> = join(&server, "a").await;
    let _older: Live<Older> = join(&server, "b").await;
    let provisional = async |max| {
        let plan = app.edit().set(App::fields().max, max).plan().await.unwrap();
        plan.commit().author("ops").confirm_within(Duration::from_secs(600)).await.unwrap()
    };
    let good = provisional(8).await;
    assert_eq!(
        good.wait_for_fleet().within(BOUND).or_rollback().await.unwrap().to_string(),
        "2 of 2 instances have it"
    );
    good.confirm().author("ops").await.unwrap();

    let bad = provisional(50).await;
    let error = bad.wait_for_fleet().within(BOUND).or_rollback().author("deploy").await.unwrap_err();
    let FleetWaitError::TakenBack { status, applied } = &error else { panic!("{error:?}") };
    assert_eq!(status.progress().rejected, 1);
    assert_eq!(bucket.get("app.max").await.unwrap().as_deref(), Some(&b"8"[..]));
    let entry = bucket.entry("app.max").await.unwrap().unwrap();
    assert_eq!(
        (entry.revision(), entry.headers().get("Kvconf-Author")),
        (applied.revision(), Some("deploy"))
    );

    // Somebody else was there in between: nothing of theirs is taken back.
    let bad = provisional(60).await;
    bucket.put("app.max", "61").await.unwrap();
    let error = bad.wait_for_fleet().within(BOUND).or_rollback().await.unwrap_err();
    let FleetWaitError::NotSettled { error, .. } = &error else { panic!("{error:?}") };
    assert!(error.is_conflict(), "{error:?}");
}
