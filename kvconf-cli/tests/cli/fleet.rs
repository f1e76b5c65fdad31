//! `fleet`: who runs, who lags and rejects.

use insta::assert_snapshot;
use kvconf::fleet::Instance;
use kvconf::{Bucket, KvConfig, Live};
use kvconf_tests::instances::{self, Manner};
use kvconf_tests::server::Server;

use crate::command::{Kvconf, normalised, server_with_bucket};

#[derive(KvConfig, Debug, Clone)]
#[kv(prefix = "checkout")]
struct Checkout {
    #[kv(default = 50, range(1..=500))]
    max_items: u32,
}

/// An older build.
#[derive(KvConfig, Debug, Clone)]
#[kv(prefix = "checkout")]
struct Older {
    #[kv(default = 50, range(1..=60))]
    max_items: u32,
}

async fn join<T: KvConfig>(bucket: &Bucket, id: &str, version: &str) -> Live<T> {
    let instance = Instance::named("checkout").id(id).version(version).host("node-1");
    bucket.live::<T>().instance(instance).start().await.unwrap()
}

#[tokio::test]
async fn fleet_lists_instances_and_says_who_rejects() {
    let (server, bucket) = server_with_bucket().await;
    let kvconf = Kvconf::of(&server);
    assert_snapshot!(kvconf.text("fleet").await, @r"
    exit 0
    --- err
    note: no instance answers
    ");
    let new: Live<Checkout> = join(&bucket, "a", "1.1.0").await;
    let old: Live<Older> = join(&bucket, "b", "1.0.0").await;
    assert_snapshot!(kvconf.text("fleet --expect 2 --check").await, @r"
    exit 0
    --- out
    INSTANCE  SERVICE   VERSION  HOST    STRUCT    PREFIX    REVISION  STATE
    a         checkout  1.1.0    node-1  Checkout  checkout  0         current
    b         checkout  1.0.0    node-1  Older     checkout  0         current
    --- err
    note: 2 instances, all current
    ");
    let revision = bucket.put("checkout.max_items", "80").await.unwrap();
    new.wait_for(revision).await.unwrap();
    old.wait_for(revision).await.unwrap_err();
    assert_snapshot!(kvconf.text("fleet --expect 2 --lagging --check").await, @r"
    exit 11
    --- out
    INSTANCE  SERVICE   VERSION  HOST    STRUCT  PREFIX    REVISION  STATE
    b         checkout  1.0.0    node-1  Older   checkout  0         live, 1 rejected
    × checkout.max_items: 80 is outside 1..=60 (in b)
    --- err
    note: 2 instances, 1 not current
    error: 2 instances, 1 not current
    ");
    let lines = kvconf.run("fleet --expect 2").await.out;
    let first: serde_json::Value = serde_json::from_str(lines.lines().next().unwrap()).unwrap();
    assert_eq!(
        (&first["id"], &first["current"], &first["handles"][0]["applied"]),
        (&"a".into(), &true.into(), &1.into())
    );
    assert_eq!(lines.lines().count(), 2);
    assert_snapshot!(kvconf.text("fleet --expect 3 --within 300ms --check --quiet").await, @r"
    exit 11
    --- out
    INSTANCE  SERVICE   VERSION  HOST    STRUCT    PREFIX    REVISION  STATE
    a         checkout  1.1.0    node-1  Checkout  checkout  1         current
    b         checkout  1.0.0    node-1  Older     checkout  0         live, 1 rejected
    × checkout.max_items: 80 is outside 1..=60 (in b)
    --- err
    error: 2 of 3 instances answer
    ");
    assert_snapshot!(kvconf.text("fleet --prefix a..b").await, @r#"
    exit 6
    --- err
    error: "a..b" has an empty part (two dots in a row, or a dot at an end)
    "#);
}

#[tokio::test]
async fn a_change_that_an_instance_rejects_is_not_written_unless_forced() {
    let (server, bucket) = server_with_bucket().await;
    let kvconf = Kvconf::of(&server);
    let _new: Live<Checkout> = join(&bucket, "a", "1.1.0").await;
    let _old: Live<Older> = join(&bucket, "b", "1.0.0").await;
    assert_snapshot!(kvconf.text("set checkout.max_items=80 --expect 2 --yes").await, @r"
    exit 5
    --- out
    +  checkout.max_items  80
    --- err
    error: the fleet would reject the change
      because 1 accepts, 1 rejects
      × checkout.max_items: 80 is outside 1..=60
          in b
      help: mend it, or write it all the same with --force --reason TEXT
    ");
    assert_eq!(bucket.get("checkout.max_items").await.unwrap(), None);
    assert_snapshot!(kvconf.text("set checkout.max_items=80 --expect 3 --dry-run").await, @r"
    exit 5
    --- out
    +  checkout.max_items  80
    --- err
    error: 2 of 3 instances answer
      help: kvconf fleet lists them
    ");
    assert_snapshot!(kvconf.text("set other.key=1 --expect 2 --yes --quiet").await, @r"
    exit 0
    --- out
    +  other.key  1
    1 key written to prod, revision 1
    ");
    assert_snapshot!(kvconf.text("set checkout.max_items=55 --expect 2 --yes --quiet --wait all").await, @r"
    exit 0
    --- out
    +  checkout.max_items  55
    fleet: 2 accept
    1 key written to prod, revision 2
    fleet: 2 of 2 instances have it
    ");
    let forced =
        "set checkout.max_items=80 --expect 2 --yes --quiet --force --reason b-goes --wait all --within 10s";
    assert_snapshot!(normalised(&kvconf.text(forced).await.to_string(), None), @r"
    exit 11
    --- out
    ~  checkout.max_items  55  →  80
    fleet: 1 accepts, 1 rejects
      × checkout.max_items: 80 is outside 1..=60
          in b
    1 key written to prod, revision 3
    --- err
    error: 1 of 2 instances have it, 1 rejects it
      × checkout.max_items: 80 is outside 1..=60
          in b
      help: the change stands; `kvconf fleet` shows who lags or rejects
      help: kvconf revert [change]
    ");
    // It ends as soon as one of the two has it: the other one may have answered by then or not.
    let half = kvconf.text(&forced.replace("80", "90").replace("--wait all", "--wait 50%")).await;
    assert_eq!((half.code, half.err.as_str()), (0, ""));
    assert!(
        half.out.contains("\nfleet: 1 of 2 instances have it, 1 ") && half.out.contains("; 1 is enough"),
        "{half}"
    );
    let back = forced.replace("80", "95") + " --or-rollback";
    assert_snapshot!(kvconf.text(&back).await, @r"
    exit 5
    --- out
    ~  checkout.max_items  90  →  95
    fleet: 1 accepts, 1 rejects
      × checkout.max_items: 95 is outside 1..=60
          in b
    1 key written to prod, revision 5
    --- err
    error: the change was taken back: 1 of 2 instances have it, 1 rejects it
      × checkout.max_items: 95 is outside 1..=60
          in b
    ");
    assert_eq!(bucket.get("checkout.max_items").await.unwrap().as_deref(), Some(&b"90"[..]));

    let document = kvconf.run("set checkout.max_items=60 --expect 2 --yes --wait all").await;
    let document: serde_json::Value = serde_json::from_str(&document.out).unwrap();
    assert_eq!(document["fleet"]["votes"].as_array().unwrap().len(), 2);
    assert_eq!(document["settled"]["progress"]["applied"], 2);
    assert_snapshot!(kvconf.text("set checkout.max_items=61 --yes --wait some").await, @r#"
    exit 2
    --- err
    error: invalid value 'some' for '--wait <SHARE>': "some" is no share: `all`, or a percentage above 0 and up to 100, such as `95%`

    For more information, try '--help'.
    "#);
}

#[tokio::test]
async fn what_is_taken_back_is_asked_about_and_waited_for_too() {
    let (server, bucket) = server_with_bucket().await;
    let kvconf = Kvconf::of(&server);
    bucket.put("checkout.max_items", "80").await.unwrap();
    bucket.put("checkout.max_items", "55").await.unwrap();
    let _old: Live<Older> = join(&bucket, "b", "1.0.0").await;
    let refused = kvconf.text("rollback checkout --to 1 --expect 1 --yes --quiet").await;
    assert_eq!(refused.code, 5, "{refused}");
    assert!(
        refused.err.starts_with("error: the fleet would reject the change\n  because 1 rejects\n"),
        "{refused}"
    );
    assert_eq!(bucket.get("checkout.max_items").await.unwrap().as_deref(), Some(&b"55"[..]));
    bucket.put("checkout.max_items", "54").await.unwrap();
    let back = kvconf.run("rollback checkout --to 2 --expect 1 --yes --wait all --json").await;
    let document: serde_json::Value = serde_json::from_str(&back.out).unwrap();
    assert_eq!((back.code, &document["settled"]["progress"]["applied"]), (0, &1.into()), "{back}");
    assert_eq!(document["fleet"]["votes"][0]["opinion"], "accepts");
}

#[tokio::test]
async fn imports_of_any_size_wait_for_the_fleet() {
    let (server, bucket) = server_with_bucket().await;
    let kvconf = Kvconf::of(&server);
    let _new: Live<Checkout> = join(&bucket, "a", "1.1.0").await;
    let line = |key: &str, value: &str| format!("{{\"key\":\"{key}\",\"value\":\"{value}\"}}\n");
    let (_few, few) = crate::command::file("few.jsonl", line("checkout.max_items", "70"));
    let ran = kvconf.text(&format!("import {few} --expect 1 --wait all --or-rollback --yes --quiet")).await;
    assert!(ran.code == 0 && ran.out.contains("fleet: 1 of 1 instances have it"), "{ran}");
    // The first of two parts has the key of the instance.
    let many: String = (0..1_200).map(|at| line(&format!("k{at}"), "v")).collect();
    let (_many, many) = crate::command::file("many.jsonl", line("checkout.max_items", "80") + &many);
    assert_snapshot!(kvconf.text(&format!("import {many} --wait all --within 20s --yes")).await, @r"
    exit 0
    --- out
    1200 new, 1 changed, 0 removed, 0 as they are
    1201 keys written to prod, revision 1202
    fleet: 1 of 1 instances have it
    ");
    let other: String = (0..1_200).map(|at| line(&format!("k{at}"), "w")).collect();
    let (_other, other) = crate::command::file("other.jsonl", other);
    assert_snapshot!(kvconf.text(&format!("import {other} --wait all --or-rollback --yes")).await, @r"
    exit 2
    --- err
    error: more than 1000 keys are several change sets, which --or-rollback cannot take back
      help: --wait alone waits; kvconf rollback PREFIX --to REVISION takes them back
    ");
    assert_snapshot!(kvconf.text(&format!("import {other} --expect 1 --yes")).await, @r"
    exit 2
    --- err
    error: no instance is asked about more than 1000 keys before they are written
      help: --wait all --expect COUNT waits for so many afterwards
    ");
}

#[tokio::test]
async fn an_instance_with_layers_judges_what_a_layer_makes_of_it() {
    let (server, bucket) = server_with_bucket().await;
    bucket.put("base.checkout.max_items", "100").await.unwrap();
    let instance = Instance::named("checkout").id("a").version("1.1.0").host("node-1");
    let layered = bucket.live::<Checkout>().layers(["base", "env.prod"]).instance(instance);
    let live = layered.start().await.unwrap();
    let kvconf = Kvconf::of(&server);
    let set = async |what: &str| kvconf.text(&format!("set {what} --expect 1 --yes -q --wait all")).await;
    assert_snapshot!(set("env.prod.checkout.max_items=900").await, @r"
    exit 5
    --- out
    +  env.prod.checkout.max_items  900
    --- err
    error: the fleet would reject the change
      because 1 rejects
      × env.prod.checkout.max_items: 900 is outside 1..=500
          in a
      help: mend it, or write it all the same with --force --reason TEXT
    ");
    let taken = set("env.prod.checkout.max_items=200").await;
    assert_eq!((taken.code, live.load().max_items), (0, 200), "{taken}");
    // What a more specific layer hides makes no difference to it, but is not good either.
    let hidden = set("base.checkout.max_items=901").await;
    assert_eq!((hidden.code, live.load().max_items), (0, 200), "{hidden}");
    let uncovered = kvconf.text("unset env.prod.checkout.max_items --expect 1 --yes -q").await;
    assert_eq!((uncovered.code, live.load().max_items), (5, 200), "{uncovered}");
    let elsewhere = set("env.test.checkout.max_items=900").await;
    assert_eq!(elsewhere.code, 0, "{elsewhere}");
    let roster = kvconf.text("fleet --expect 1 --check -q").await;
    assert_eq!(roster.code, 0, "{roster}");
}

#[tokio::test]
async fn a_fleet_that_listens_and_does_not_answer_is_not_an_empty_one() {
    let (server, bucket) = server_with_bucket().await;
    let kvconf = Kvconf::of(&server);
    let listener = server.client().await;
    let _heard = listener.subscribe("kvconf.>").await.unwrap();
    listener.flush().await.unwrap();
    assert_snapshot!(kvconf.text("fleet --check").await, @r"
    exit 11
    --- err
    note: no instance answers, though somebody listens
    error: no instance answers, though somebody listens
    ");
    let told = kvconf.text("set app.max=70 --wait 100% --or-rollback --yes").await;
    assert_snapshot!(normalised(&told.to_string(), None), @r"
    exit 1
    --- out
    +  app.max  70
    1 key written to prod, revision 1
    --- err
    note: the fleet was asked in vain: nobody answers, though somebody listens
    note: kvconf revert [change] takes it back
    error: what the fleet has is not known
      because nobody answers, though somebody listens
      help: the change stands; `kvconf fleet` asks again who is there
    ");
    assert_eq!(bucket.get("app.max").await.unwrap().as_deref(), Some(&b"70"[..]));
}

/// How a thousand instances behave, and how many do.
const MANNERS: [(Manner, usize); 6] = [
    (Manner::Good, 900),
    (Manner::Twice, 50),
    (Manner::Lags, 10),
    (Manner::Rejects, 15),
    (Manner::Silent, 15),
    (Manner::Garbage, 10),
];

async fn thousand(server: &Server) {
    const CONNECTIONS: usize = 20;
    let mut clients = Vec::new();
    for _ in 0..CONNECTIONS {
        clients.push(server.client().await);
    }
    for (manner, count) in MANNERS {
        for (n, client) in (0..count).zip(clients.iter().cycle()) {
            let id = format!("{manner:?}-{n:03}").to_lowercase();
            instances::live(client.clone(), "prod", id, manner).await;
        }
    }
    for client in &clients {
        instances::has_arrived(client).await;
    }
}

/// How many of them say who they are.
const KNOWN: usize = 990;

const TOLD: &str = "960 accept, 15 reject, 15 are silent\n  × app.max: 70 is outside 1..=10\n      in rejects-000, rejects-001, \
    rejects-002, rejects-003, rejects-004 and 10 more\n  silent: silent-000, silent-001, silent-002, silent-003, silent-004 \
    and 10 more\n  answers that could not be read: 10\n";

fn set_for_a_thousand(value: u32, more: &str) -> String {
    format!("set app.max={value} --expect {KNOWN} --yes -q {more}")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_instances_are_listed_and_asked() {
    let (server, bucket) = server_with_bucket().await;
    thousand(&server).await;
    let kvconf = Kvconf::of(&server);
    let listed = kvconf.run(&format!("fleet --expect {KNOWN} --within 20s")).await;
    assert_eq!((listed.code, listed.out.lines().count()), (0, KNOWN), "{}", listed.err);
    let refused = kvconf.text(&set_for_a_thousand(70, "")).await;
    let error = format!(
        "error: the fleet would reject the change\n  because {TOLD}  help: mend it, or write it all the same with --force \
         --reason TEXT\n"
    );
    assert_eq!((refused.code, refused.err.as_str()), (5, error.as_str()));
    assert_eq!(bucket.get("app.max").await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_instances_are_waited_for() {
    let (server, bucket) = server_with_bucket().await;
    thousand(&server).await;
    let kvconf = Kvconf::of(&server);
    let set = set_for_a_thousand;
    let forced = kvconf.text(&set(70, "--force -m sale --wait 96% --within 30s")).await;
    assert_eq!((forced.code, forced.err.as_str()), (0, ""), "{forced}");
    assert!(forced.out.contains(&format!("fleet: {TOLD}")), "{forced}");
    assert!(
        forced.out.contains(" of 990 instances have it") && forced.out.contains("; 951 are enough"),
        "{forced}"
    );
    let in_vain = kvconf.text(&set(71, "--force -m sale --wait 97% --within 5s --or-rollback")).await;
    let error = "error: the change was taken back: 960 of 990 instances have it, 15 reject it, 15 not yet; 961 are enough\n";
    assert!(in_vain.code == 5 && in_vain.err.starts_with(error), "{}", in_vain.err);
    assert_eq!(bucket.get("app.max").await.unwrap().as_deref(), Some(&b"70"[..]));
}
