//! The permissions of the guide, on a server that has them.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use async_nats::ConnectOptions;
use kvconf::fleet::{FleetError, Instance, Presence};
use kvconf::nats::{Connection, Denials};
use kvconf::{Bucket, BucketConfig, CommitError, KvConfig, Live, ReadError, StartError, WriteError};
use kvconf_tests::server::Server;
use kvconf_tests::wait_until;

const BOUND: Duration = Duration::from_secs(30);

#[derive(KvConfig, Debug, Clone)]
#[kv(prefix = "checkout")]
struct Checkout {
    #[kv(default = 50, range(1..=500))]
    max_items: u32,
    #[kv(default = 1)]
    min_items: u32,
}

/// The blocks of the page, by role.
fn blocks() -> BTreeMap<String, String> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../kvconf/docs/permissions.md");
    let text = std::fs::read_to_string(page).unwrap();
    let mut blocks = BTreeMap::new();
    for block in text.split("```text ").skip(1) {
        let (role, rest) = block.split_once('\n').unwrap();
        blocks.insert(role.to_owned(), rest.split("```").next().unwrap().to_owned());
    }
    assert_eq!(blocks.keys().collect::<Vec<_>>(), ["instance", "operator", "reader", "writer"]);
    blocks
}

/// A server whose users have the permissions of the page, `admin` all of them and `nobody` none.
async fn guarded() -> (Server, Bucket) {
    let mut users = "{ user: admin, password: admin }\n\
        { user: nobody, password: nobody, permissions: { publish: [\"unused\"], subscribe: [\"unused\"] } }\n"
        .to_owned();
    for (role, block) in blocks() {
        users.push_str(&format!("{{ user: {role}, password: {role}, permissions: {{ {block} }} }}\n"));
    }
    let server = Server::builder().config(format!("authorization {{ users: [\n{users}] }}")).start().await;
    let admin = server.client_as("admin", "admin").await;
    let bucket = Bucket::create(admin, BucketConfig::new("prod")).await.unwrap();
    bucket.put("checkout.max_items", "60").await.unwrap();
    bucket.put("other.key", "hidden").await.unwrap();
    (server, bucket)
}

async fn connection(server: &Server, role: &str) -> Connection {
    let denials = Denials::new();
    let told = denials.clone();
    let options = ConnectOptions::with_user_and_password(role.into(), role.into())
        .custom_inbox_prefix(format!("_INBOX_{role}"))
        .event_callback(move |event| {
            told.observe(&event);
            std::future::ready(())
        });
    Connection::new(&server.connect(options).await).denials(&denials)
}

async fn open(server: &Server, role: &str) -> Bucket {
    Bucket::open(connection(server, role).await, "prod").await.unwrap()
}

fn refused(error: &ReadError) -> &str {
    let ReadError::NotPermitted { subject } = error else { panic!("{error:?}") };
    subject
}

fn write_refused(error: &WriteError) -> &str {
    let WriteError::Failed(error) = error else { panic!("{error:?}") };
    refused(error)
}

fn fleet_refused(error: &FleetError) -> &str {
    let FleetError::Ask(error) = error else { panic!("{error:?}") };
    refused(error)
}

#[tokio::test]
async fn a_reader_follows_its_prefix_and_nothing_else() {
    let (server, admin) = guarded().await;
    let bucket = open(&server, "reader").await;
    let live: Live<Checkout> = bucket.live().start().await.unwrap();
    assert_eq!(live.load().max_items, 60);
    let revision =
        admin.batch().put("checkout.max_items", "70").put("checkout.min_items", "7").commit().await.unwrap();
    live.wait_for(revision).await.unwrap();
    assert_eq!((live.load().max_items, live.load().min_items), (70, 7));
    assert_eq!(bucket.get("checkout.max_items").await.unwrap().as_deref(), Some(&b"70"[..]));
    assert_eq!(live.history(Checkout::fields().max_items).await.unwrap().iter().count(), 2);

    // What it may not, by the name of the subject.
    assert_eq!(
        refused(&bucket.get("other.key").await.unwrap_err()),
        "$JS.API.DIRECT.GET.KV_prod.$KV.prod.other.key"
    );
    // By itself, and beside the handle that is there, which stays as it was.
    for bucket in [open(&server, "reader").await, bucket.clone()] {
        let error = bucket.live::<Checkout>().prefix("other").start().await.unwrap_err();
        let StartError::NotPermitted { subject } = &error else { panic!("{error:?}") };
        assert!(subject.starts_with("$JS.API.CONSUMER.CREATE.KV_prod.kvconf-"), "{subject}");
    }
    assert_eq!(live.load().max_items, 70);
    let error = bucket.put("checkout.max_items", "80").await.unwrap_err();
    assert_eq!(write_refused(&error), "$KV.prod.checkout.max_items");
    let error = live.update(|checkout| checkout.max_items = 80).author("reader").await.unwrap_err();
    let CommitError::Write(error) = &error else { panic!("{error:?}") };
    assert_eq!(write_refused(error), "$KV.prod.checkout.max_items");
    let error = bucket.fleet().list().await.unwrap_err();
    assert_eq!(fleet_refused(&error), "kvconf.prod.who");
    assert_eq!(admin.get("checkout.max_items").await.unwrap().as_deref(), Some(&b"70"[..]));
}

#[tokio::test]
async fn an_instance_answers_and_an_operator_asks() {
    let (server, _admin) = guarded().await;
    let bucket = open(&server, "instance").await;
    let instance = Instance::named("checkout").id("pod.7 a").version("1.4.2");
    let live: Live<Checkout> = bucket.live().instance(instance).start().await.unwrap();
    let operator = open(&server, "operator").await;
    let roster = operator.fleet().list().await.unwrap();
    assert_eq!(roster.members().iter().map(|member| member.id.as_str()).collect::<Vec<_>>(), ["pod.7 a"]);
    assert_eq!(live.health().fleet, Some(Presence::Listening));

    let editor: Live<Checkout> = operator.live().start().await.unwrap();
    let plan = editor
        .edit()
        .set(Checkout::fields().max_items, 90)
        .set(Checkout::fields().min_items, 9)
        .plan()
        .await
        .unwrap();
    assert_eq!(plan.preflight().await.unwrap().to_string(), "1 accepts");
    let applied = plan.commit().author("ops").ask_fleet().await.unwrap();
    assert_eq!(applied.wait_for_fleet().await.unwrap().to_string(), "1 of 1 instances have it");
    assert_eq!(live.load().max_items, 90);
    // Looking back, and taking back.
    assert_eq!(editor.log().await.unwrap().iter().count(), 2);
    editor.revert(applied.change()).author("ops").await.unwrap();
    assert_eq!(operator.get("checkout.max_items").await.unwrap().as_deref(), Some(&b"60"[..]));

    // An instance asks nobody, and writes nothing.
    assert_eq!(fleet_refused(&bucket.fleet().list().await.unwrap_err()), "kvconf.prod.who");
    let error = bucket.put("checkout.max_items", "80").await.unwrap_err();
    assert_eq!(write_refused(&error), "$KV.prod.checkout.max_items");
    // An operator changes no settings.
    let error = operator.update_config(&BucketConfig::unchanged("prod")).await.unwrap_err();
    assert_eq!(write_refused(&error), "$JS.API.STREAM.UPDATE.KV_prod");
}

#[tokio::test]
async fn a_writer_changes_its_prefix_and_asks_those_who_read_it() {
    let (server, admin) = guarded().await;
    let instance = open(&server, "instance").await;
    let _live: Live<Checkout> =
        instance.live().instance(Instance::named("checkout").id("a")).start().await.unwrap();
    let bucket = open(&server, "writer").await;
    let live: Live<Checkout> = bucket.live().start().await.unwrap();
    let plan = live
        .edit()
        .set(Checkout::fields().max_items, 90)
        .set(Checkout::fields().min_items, 9)
        .plan()
        .await
        .unwrap();
    let verdict = plan.preflight().reading("checkout").unwrap().await.unwrap();
    assert_eq!(verdict.to_string(), "1 accepts");
    let applied = plan.commit().author("writer").await.unwrap();
    assert_eq!(applied.written().len(), 2);
    let fleet = bucket.fleet().reading("checkout").unwrap();
    let status = fleet.wait_for(applied.written().to_vec()).await.unwrap();
    assert_eq!(status.to_string(), "1 of 1 instances have it");

    let error = bucket.put("other.key", "mine").await.unwrap_err();
    assert_eq!(write_refused(&error), "$KV.prod.other.key");
    let error =
        bucket.batch().put("checkout.max_items", "91").put("other.key", "mine").commit().await.unwrap_err();
    assert_eq!(write_refused(&error), "$KV.prod.other.key");
    assert_eq!(fleet_refused(&bucket.fleet().list().await.unwrap_err()), "kvconf.prod.who");
    let error = bucket.fleet().reading("other").unwrap().list().await.unwrap_err();
    assert_eq!(fleet_refused(&error), "kvconf.prod.who.other");
    assert_eq!(admin.get("checkout.max_items").await.unwrap().as_deref(), Some(&b"90"[..]));
    assert_eq!(admin.get("other.key").await.unwrap().as_deref(), Some(&b"hidden"[..]));
}

#[tokio::test]
async fn an_instance_that_may_not_listen_says_so() {
    let (server, _admin) = guarded().await;
    let bucket = open(&server, "reader").await;
    let live: Live<Checkout> = bucket.live().instance(Instance::named("checkout")).start().await.unwrap();
    let health = || live.health().fleet;
    wait_until("the refusal to be told", BOUND, || async {
        matches!(health(), Some(Presence::NotPermitted { subject }) if subject.starts_with("kvconf.prod."))
    })
    .await;
    assert_eq!(live.load().max_items, 60);
}

#[tokio::test]
async fn who_may_nothing_is_told_what_is_missing() {
    let (server, _admin) = guarded().await;
    let begun = std::time::Instant::now();
    let bucket = open(&server, "nobody").await;
    // Either end is refused: the question, or the place for its answer.
    let allowed = |subject: &str| subject.starts_with("$JS.API.") || subject.starts_with("_INBOX_nobody.");
    for error in
        [bucket.get("checkout.max_items").await.unwrap_err(), bucket.keys("checkout.>").await.unwrap_err()]
    {
        assert!(allowed(refused(&error)), "{error}");
    }
    let error = bucket.fleet().list().await.unwrap_err();
    let subject = fleet_refused(&error);
    assert!(subject == "kvconf.prod.who" || subject.starts_with("_INBOX_nobody."), "{subject}");
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
}
