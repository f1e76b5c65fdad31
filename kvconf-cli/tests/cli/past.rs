//! `log`, `show`, `history`, `explain`, `rollback`, `revert` and `cache`.

use std::time::Duration;

use insta::assert_snapshot;
use kvconf::{Bucket, BucketConfig, Cache, KvConfig};
use kvconf_tests::server::Server;
use kvconf_tests::wait_until;

use crate::command::{Kvconf, Ran, normalised, server_with_bucket};

/// A few changes: revision 1; 2 and 3 together; 4 a secret; 5.
async fn changed() -> (Server, Bucket) {
    let (server, bucket) = server_with_bucket().await;
    fill(&bucket).await;
    (server, bucket)
}

async fn fill(bucket: &Bucket) {
    let commit = async |edit: kvconf::PlainEdit, author: &str, reason: &str| {
        edit.plan().await.unwrap().commit().author(author).reason(reason).await.unwrap();
    };
    commit(bucket.edit().set("checkout.max_items", "50"), "ops", "first").await;
    commit(bucket.edit().set("checkout.max_items", "80").set("checkout.region", "eu"), "dev", "sale").await;
    commit(bucket.edit().set("checkout.api_key", "hunter2"), "ops", "key").await;
    commit(bucket.edit().set("checkout.max_items", "9999"), "dev", "raise for sale").await;
}

/// Without what differs between runs: times, ids, and how wide a time is.
pub(crate) fn settled(ran: &Ran) -> String {
    let text = normalised(&ran.to_string(), None);
    let words = |line: &str| {
        let mut line = format!("{}  ", line.trim_end());
        for seconds in 0..60 {
            let told = if seconds == 0 { "now".to_owned() } else { format!("{seconds}s ago") };
            for (before, after) in [("  ", "  "), (", ", ","), ("(", ")"), ("saved ", " (")] {
                line = line.replace(&format!("{before}{told}{after}"), &format!("{before}[ago]{after}"));
            }
        }
        let line = line.trim_end();
        let indent = line.len() - line.trim_start().len();
        let cells: Vec<&str> =
            line.trim_start().split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect();
        format!("{}{}", " ".repeat(indent), cells.join("  "))
    };
    text.lines().map(words).collect::<Vec<_>>().join("\n")
}

#[tokio::test]
async fn the_log_is_newest_first_and_can_be_narrowed() {
    // P7, P11
    let (server, _bucket) = changed().await;
    let kvconf = Kvconf::of(&server);
    assert_snapshot!(settled(&kvconf.text("log").await), @r#"
    exit 0
    --- out
    revision 5, [ago], by dev: "raise for sale"
       checkout.max_items  80  →  9999

    revision 4, [ago], by ops: "key"
       checkout.api_key  (none)  →  <secret>

    revision 3, [ago], by dev: "sale"
       checkout.max_items  50  →  80
       checkout.region  (none)  →  eu

    revision 1, [ago], by ops: "first"
       checkout.max_items  (none)  →  50
    "#);
    assert_snapshot!(settled(&kvconf.text("log checkout.region").await), @r#"
    exit 0
    --- out
    revision 3, [ago], by dev: "sale"
       checkout.region  (none)  →  eu
    "#);
    assert_snapshot!(settled(&kvconf.text("log checkout --author ops --reveal").await), @r#"
    exit 0
    --- out
    revision 4, [ago], by ops: "key"
       checkout.api_key  (none)  →  hunter2

    revision 1, [ago], by ops: "first"
       checkout.max_items  (none)  →  50
    "#);
    assert_snapshot!(settled(&kvconf.text("log -n 1").await), @r#"
    exit 0
    --- out
    revision 5, [ago], by dev: "raise for sale"
       checkout.max_items  80  →  9999
    --- err
    note: there are older ones: kvconf log --before 5
    "#);
    assert_snapshot!(settled(&kvconf.text("log --before 2").await), @r#"
    exit 0
    --- out
    revision 1, [ago], by ops: "first"
       checkout.max_items  (none)  →  50
    "#);
    assert_snapshot!(settled(&kvconf.run("log --since 1h --json").await), @r#"
    exit 0
    --- out
    {"author":"dev","change":"[change]","first_revision":5,"keys":[{"after":{"value":"9999"},"before":{"value":"80"},"key":"checkout.max_items","revision":5}],"reason":"raise for sale","revision":5,"time":"[time]"}
    {"author":"ops","change":"[change]","first_revision":4,"keys":[{"after":{"masked":true},"before":null,"key":"checkout.api_key","revision":4}],"reason":"key","revision":4,"time":"[time]"}
    {"author":"dev","change":"[change]","first_revision":2,"keys":[{"after":{"value":"80"},"before":{"value":"50"},"key":"checkout.max_items","revision":2},{"after":{"value":"eu"},"before":null,"key":"checkout.region","revision":3}],"reason":"sale","revision":3,"time":"[time]"}
    {"author":"ops","change":"[change]","first_revision":1,"keys":[{"after":{"value":"50"},"before":null,"key":"checkout.max_items","revision":1}],"reason":"first","revision":1,"time":"[time]"}
    "#);
    assert_snapshot!(settled(&kvconf.run("log nothing").await), @r"
    exit 0
    --- err
    note: no change that is kept matches
    ");
    assert_snapshot!(settled(&kvconf.run("log --until 1h").await), @r"
    exit 0
    --- err
    note: no change that is kept matches
    note: there are others, the newest at revision 5, [ago], by dev, ops
    ");
    assert_snapshot!(settled(&kvconf.run("log --since soon").await), @r#"
    exit 6
    --- err
    error: "soon" is no moment: 10m or 2d ago, 14:02, 2026-03-01, "2026-03-01 14:02", [time]
    "#);
}

#[tokio::test]
async fn one_change_is_shown_by_revision_and_by_the_beginning_of_its_id() {
    let (server, bucket) = changed().await;
    let kvconf = Kvconf::of(&server);
    let by_revision = kvconf.text("show 2").await;
    assert_snapshot!(settled(&by_revision), @r"
    exit 0
    --- out
    revision 2 to 3, by dev
    [time] ([ago])
    reason: sale
    change: [change]
       checkout.max_items  50  →  80
       checkout.region  (none)  →  eu
    --- err
    note: kvconf revert [change] takes it back
    ");
    let log = bucket.log("").await.unwrap();
    let id = log.changes()[2].change().unwrap();
    let by_id = kvconf.text(&format!("show {}", &id[..8])).await;
    assert_eq!(settled(&by_id), settled(&by_revision));
    assert_snapshot!(settled(&kvconf.run("show 2").await), @r#"
    exit 0
    --- out
    {"author":"dev","change":"[change]","first_revision":2,"keys":[{"after":{"value":"80"},"before":{"value":"50"},"key":"checkout.max_items","revision":2},{"after":{"value":"eu"},"before":null,"key":"checkout.region","revision":3}],"reason":"sale","revision":3,"time":"[time]"}
    "#);
    assert_snapshot!(settled(&kvconf.run("show 99").await), @r"
    exit 3
    --- err
    error: revision 99 is outside what the bucket holds: 1 to 5
      help: kvconf log
    ");
    assert_snapshot!(settled(&kvconf.run("show beef").await), @r#"
    exit 3
    --- err
    error: no change that is kept has an id that begins with "beef"
      help: kvconf log
    "#);
    assert_snapshot!(settled(&kvconf.run("show x").await), @r"
    exit 2
    --- err
    error: invalid value 'x' for '<CHANGE>': neither a revision nor at least 4 characters of a change's id

    For more information, try '--help'.
    ");
}

#[tokio::test]
async fn a_key_tells_its_history_and_why_it_is_as_it_is() {
    let (server, bucket) = changed().await;
    bucket.delete("checkout.region").await.unwrap();
    let kvconf = Kvconf::of(&server);
    assert_snapshot!(settled(&kvconf.text("history checkout.max_items").await), @r"
    exit 0
    --- out
    5  [ago]  9999  dev  raise for sale
    2  [ago]  80  dev  sale
    1  [ago]  50  ops  first
    ");
    assert_snapshot!(settled(&kvconf.text("history checkout.region -n 1").await), @r"
    exit 0
    --- out
    6  [ago]  (deleted)
    --- err
    note: 1 older revision kept besides
    ");
    assert_snapshot!(settled(&kvconf.run("history checkout.api_key").await), @r#"
    exit 0
    --- out
    {"key":"checkout.api_key","revision":4,"masked":true,"created":"[time]","author":"ops","reason":"key","change":"[change]"}
    "#);
    assert_snapshot!(settled(&kvconf.run("history checkout.max_itmes").await), @r"
    exit 3
    --- err
    error: checkout.max_itmes was never written, or nothing of it is kept
      help: did you mean checkout.max_items?
    ");
    assert_snapshot!(settled(&kvconf.text("explain checkout.max_items").await), @r#"
    exit 0
    --- out
    checkout.max_items: 9999
      from bucket prod, revision 5, [ago], by dev: "raise for sale"
      before: 80
      from revision 2, [ago], by dev: "sale"
      help: kvconf rollback checkout.max_items --to 2
      3 revisions kept: kvconf history checkout.max_items
    "#);
    assert_snapshot!(settled(&kvconf.text("explain checkout.region").await), @r#"
    exit 0
    --- out
    checkout.region: (deleted)
      from bucket prod, revision 6, [ago], author unknown
      before: eu
      from revision 3, [ago], by dev: "sale"
      help: kvconf rollback checkout.region --to 3
      2 revisions kept: kvconf history checkout.region
    "#);
    assert_snapshot!(settled(&kvconf.run("explain checkout.api_key").await), @r#"
    exit 0
    --- out
    {"before":null,"changed_with":0,"fleet":{"having":0,"reading":0,"rejecting":[]},"kept_revisions":1,"key":"checkout.api_key","now":{"author":"ops","change":"[change]","reason":"key","revision":4,"time":"[time]","ttl":null,"value":{"masked":true}},"schema":null,"sealed_with":null}
    "#);
    assert_snapshot!(settled(&kvconf.run("explain checkout.max_itmes").await), @r"
    exit 3
    --- err
    error: checkout.max_itmes has no value and no history
      help: did you mean checkout.max_items?
    ");
}

// P8
#[tokio::test]
async fn a_rollback_is_planned_first_and_one_change_set() {
    let (server, bucket) = changed().await;
    let kvconf = Kvconf::of(&server);
    assert_snapshot!(settled(&kvconf.text("rollback checkout --to 1 --dry-run").await), @r"
    exit 0
    --- out
    back to revision 1
    -  checkout.api_key  <secret>
    ~  checkout.max_items  9999  →  50
    -  checkout.region  eu
    ");
    assert_snapshot!(settled(&kvconf.run("rollback checkout --to 1").await), @r"
    exit 10
    --- err
    error: there is nobody to ask: this is not a terminal
      help: --yes answers beforehand
    ");
    assert_eq!(bucket.status().await.unwrap().last_revision.get(), 5);
    assert_snapshot!(settled(&kvconf.text("rollback checkout --to 3 --yes -m mend").await), @r"
    exit 0
    --- out
    back to revision 3
    -  checkout.api_key  <secret>
    ~  checkout.max_items  9999  →  80
      1 key is so already
    2 keys written to prod, revision 7
    --- err
    note: kvconf revert [change] takes it back
    ");
    assert_snapshot!(settled(&kvconf.run("rollback checkout.max_items --to 1 --yes").await), @r#"
    exit 0
    --- out
    {"change":"[change]","changed_since":[],"changes":[{"after":{"value":"50"},"before":{"value":"80"},"key":"checkout.max_items"}],"lost":[],"parts":1,"revision":8,"to":1,"unchanged":0,"without_ttl":[],"written":[{"key":"checkout.max_items","revision":8}]}
    "#);
    assert_snapshot!(settled(&kvconf.text("rollback checkout --to 3 --yes").await), @r"
    exit 0
    --- out
    back to revision 3
    ~  checkout.max_items  50  →  80
      2 keys are so already
    1 key written to prod, revision 9
    --- err
    note: kvconf revert [change] takes it back
    ");
    assert_snapshot!(settled(&kvconf.text("rollback checkout --to 3 --yes").await), @r"
    exit 0
    --- out
    back to revision 3
    nothing to change: it stands so already
    ");
    assert_snapshot!(settled(&kvconf.run("rollback checkout --to 99 --yes").await), @r"
    exit 3
    --- err
    error: revision 99 is outside what the bucket holds: 1 to 9
      help: kvconf log
    ");
    assert_snapshot!(settled(&kvconf.run("rollback checkout --to yesterdy --yes").await), @r#"
    exit 6
    --- err
    error: "yesterdy" is no moment: 10m or 2d ago, 14:02, 2026-03-01, "2026-03-01 14:02", [time]
    "#);
    let before = kvconf.run("rollback checkout --to 2000-01-01 --yes").await;
    assert!(before.code == 3 && before.err.contains("is outside the bucket's life"), "{before}");
}

// P8
#[tokio::test]
async fn what_is_no_longer_kept_is_named_key_by_key_and_nothing_is_written() {
    let server = Server::start().await;
    let mut config = BucketConfig::new("prod");
    config.history = Some(2);
    let bucket = Bucket::create(&server.client().await, config).await.unwrap();
    fill(&bucket).await;
    let kvconf = Kvconf::of(&server);
    assert_snapshot!(settled(&kvconf.text("rollback checkout --to 1 --yes").await), @r"
    exit 5
    --- out
    back to revision 1
    -  checkout.api_key  <secret>
    -  checkout.region  eu
    --- err
    error: what would return is no longer kept:
      × checkout.max_items (known from revision 2 on)
      kept, and can be taken back by themselves: checkout.api_key, checkout.region
      help: kvconf history checkout.max_items
    ");
    assert_snapshot!(settled(&kvconf.run("rollback checkout --to 1 --dry-run --json").await), @r#"
    exit 5
    --- out
    {"changed_since":[],"changes":[{"after":null,"before":{"masked":true},"key":"checkout.api_key"},{"after":null,"before":{"value":"eu"},"key":"checkout.region"}],"lost":[{"key":"checkout.max_items","known_since":2}],"parts":1,"to":1,"unchanged":0,"without_ttl":[]}
    --- err
    {"error":{"causes":[],"exit":5,"help":["kvconf history checkout.max_items"],"kind":"refused","message":"what would return is no longer kept:\n  × checkout.max_items (known from revision 2 on)\n  kept, and can be taken back by themselves: checkout.api_key, checkout.region"}}
    "#);
    assert_eq!(bucket.status().await.unwrap().last_revision.get(), 5);
}

// P8
#[tokio::test]
async fn a_revert_leaves_what_came_after_and_names_what_is_in_its_way() {
    let (server, bucket) = changed().await;
    let kvconf = Kvconf::of(&server);
    assert_snapshot!(settled(&kvconf.text("revert 2 --yes").await), @r#"
    exit 5
    --- out
    ~  checkout.max_items  9999  →  50
    -  checkout.region  eu
    --- err
    error: later changes touched the same keys:
      × checkout.max_items: changed again at revision 5 by dev ("raise for sale")
      help: kvconf rollback checkout.max_items checkout.region --to 1 takes those back too
    "#);
    assert_snapshot!(settled(&kvconf.text("revert 5 --yes -m back").await), @r"
    exit 0
    --- out
    ~  checkout.max_items  9999  →  80
    1 key written to prod, revision 6
    --- err
    note: kvconf revert [change] takes it back
    ");
    let log = bucket.log("").await.unwrap();
    assert_eq!((log.changes()[0].author(), log.changes()[0].reason()), (Some("ops"), Some("back")));
    let id = log.changes()[0].change().unwrap();
    assert_snapshot!(settled(&kvconf.run(&format!("revert {} --yes", &id[..6])).await), @r#"
    exit 0
    --- out
    {"change":"[change]","changed_since":[],"changes":[{"after":{"value":"9999"},"before":{"value":"80"},"key":"checkout.max_items"}],"lost":[],"parts":1,"revision":7,"to":null,"unchanged":0,"without_ttl":[],"written":[{"key":"checkout.max_items","revision":7}]}
    "#);
    assert_snapshot!(settled(&kvconf.run("revert 99 --yes").await), @r"
    exit 3
    --- err
    error: revision 99 is outside what the bucket holds: 1 to 7
      help: kvconf log
    ");
    assert_snapshot!(settled(&kvconf.run("revert 2 --prefix log --yes").await), @r"
    exit 3
    --- err
    error: the change wrote none of log.>: it wrote checkout.max_items, checkout.region
      help: kvconf show 3
    ");
}

#[derive(KvConfig, Debug, Clone)]
#[kv(prefix = "checkout")]
struct Checkout {
    #[kv(default = 50, range(1..=500))]
    max_items: u32,
}

#[tokio::test]
async fn the_help_of_a_report_works_as_it_is_printed() {
    let (server, bucket) = server_with_bucket().await;
    bucket.put("checkout.max_items", "80").await.unwrap();
    let live = bucket.live::<Checkout>().start().await.unwrap();
    let bad = bucket.put("checkout.max_items", "9999").await.unwrap();
    wait_until("the report", Duration::from_secs(30), async || live.health().report.is_some()).await;
    let report = live.health().report.unwrap().to_string();
    let help = report.lines().find_map(|line| line.trim().strip_prefix("help: kvconf ")).unwrap();
    let ran = Kvconf::of(&server).run(&format!("{help} --yes")).await;
    assert_eq!(ran.code, 0, "{help}: {ran}");
    live.wait_for(kvconf::Revision::new(bad.get() + 1)).await.unwrap();
    assert_eq!((live.load().max_items, live.health().report), (80, None));
}

// P9
#[tokio::test]
async fn a_cache_is_looked_at_and_a_way_back_found_without_the_server() {
    let folder = std::env::temp_dir().join(format!("kvconf-cli-cache-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&folder);
    let (mut server, bucket) = server_with_bucket().await;
    bucket.put("checkout.max_items", "80").await.unwrap();
    bucket.put("checkout.api_key", "hunter2").await.unwrap();
    let cache = Cache::at(&folder).trust_after(Duration::ZERO);
    let live = bucket.live::<Checkout>().cache(cache).start().await.unwrap();
    let saved = async |revision: u64| {
        let of = |live: &kvconf::Live<Checkout>| live.health().cache?.saved.filter(|saved| saved.trusted);
        let is_saved = async || of(&live).is_some_and(|saved| saved.revision.get() == revision);
        wait_until("the state is saved", Duration::from_secs(30), is_saved).await;
    };
    saved(2).await;
    bucket.put("checkout.max_items", "90").await.unwrap();
    saved(3).await;
    drop(live);
    server.kill();
    let kvconf = Kvconf::alone();
    let path = folder.to_str().unwrap().to_owned();
    let settled = |ran: &Ran| normalised(&settled(ran), Some(&folder));
    assert_snapshot!(settled(&kvconf.text(&format!("cache ls {path}")).await), @r"
    exit 0
    --- out
    GENERATION  BUCKET  PREFIX  STRUCT  REVISION  SAVED
    2  prod  checkout  Checkout  3  [ago]
    1  prod  checkout  Checkout  2  [ago]
    ");
    assert_snapshot!(settled(&kvconf.text(&format!("cache show {path}")).await), @r"
    exit 0
    --- out
    Checkout of bucket prod, revision 3, saved [ago] (generation 2)
    checkout.max_items  90
    checkout.api_key  (has a value, which is not in the cache)
    ");
    assert_snapshot!(settled(&kvconf.text(&format!("cache diff {path} 2 1")).await), @r"
    exit 0
    --- out
    from revision 3 to revision 2
    ~  checkout.max_items  90  →  80
    --- err
    note: when the server is there: kvconf rollback checkout --bucket prod --to 2
    ");
    assert_snapshot!(settled(&kvconf.run(&format!("cache diff {path} 2 1")).await), @r#"
    exit 0
    --- out
    {"changes":[{"after":{"value":"80"},"before":{"value":"90"},"key":"checkout.max_items"}],"from":3,"rollback":"kvconf rollback checkout --bucket prod --to 2","to":2}
    "#);
    assert_snapshot!(settled(&kvconf.run(&format!("cache show {path} --generation 1")).await), @r#"
    exit 0
    --- out
    {"bucket":"prod","created":"[time]","entries":[{"created":"[time]","key":"checkout.max_items","revision":1,"value":"80"}],"generation":1,"omitted":["checkout.api_key"],"prefix":"checkout","revision":2,"saved_at":"[time]","sealed_with":null,"struct":"Checkout"}
    "#);
    assert_snapshot!(settled(&kvconf.run(&format!("cache show {path} --generation 9")).await), @r"
    exit 3
    --- err
    error: there is no generation 9
      help: there are: 2, 1
    ");
    assert_snapshot!(settled(&kvconf.run("cache ls /nonexistent").await), @r"
    exit 3
    --- err
    error: cannot list /nonexistent: entity not found
    ");
    std::fs::remove_dir_all(&folder).unwrap();
}

#[tokio::test]
async fn shells_are_told_how_to_complete_and_get_keys_from_the_bucket() {
    let (server, _bucket) = changed().await;
    let kvconf = Kvconf::of(&server);
    for shell in ["bash", "zsh", "fish"] {
        let ran = kvconf.run(&format!("completions {shell}")).await;
        assert!(ran.code == 0 && ran.out.contains("KVCONF_COMPLETE"), "{ran}");
    }
    let completing = kvconf.variable("KVCONF_COMPLETE", "fish");
    assert_snapshot!(completing.run("-- kvconf get checkout.m").await, @r"
    exit 0
    --- out
    checkout.max_items
    ");
    assert_snapshot!(completing.run("-- kvconf log ch").await, @r"
    exit 0
    --- out
    checkout
    checkout.api_key
    checkout.max_items
    checkout.region
    ");
    assert_snapshot!(completing.run("-- kvconf ls --bucket p").await, @r"
    exit 0
    --- out
    prod
    ");
    let unreachable =
        Kvconf::alone().variable("NATS_URL", "nats://127.0.0.1:1").variable("KVCONF_COMPLETE", "fish");
    assert_snapshot!(unreachable.run("-- kvconf get ch").await, @"exit 0");
}

#[tokio::test]
async fn manual_pages_are_there_for_every_verb() {
    let kvconf = Kvconf::alone();
    let page = kvconf.run("man rollback").await;
    assert!(
        page.out.contains(".TH kvconf-rollback 1") && page.out.contains("kvconf rollback checkout"),
        "{page}"
    );
    let folder = std::env::temp_dir().join(format!("kvconf-cli-man-{}", std::process::id()));
    assert_eq!(kvconf.run(&format!("man --to {}", folder.display())).await.code, 0);
    for name in ["kvconf.1", "kvconf-log.1", "kvconf-bucket-create.1"] {
        assert!(folder.join(name).is_file(), "{name}");
    }
    std::fs::remove_dir_all(&folder).unwrap();
    assert_snapshot!(kvconf.run("man nothing").await, @r"
    exit 3
    --- err
    error: there is no verb nothing
      help: kvconf --help lists them
    ");
}
