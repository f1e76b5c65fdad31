//! Looking back and going back by layers, and at flags.

use insta::assert_snapshot;
use kvconf::{Bucket, BucketConfig, KvConfig, PlainEdit, Schema};
use kvconf_tests::server::Server;

use crate::command::{Kvconf, file, server_with_bucket};
use crate::past::settled;

async fn commit(edit: PlainEdit, author: &str, reason: &str) {
    edit.plan().await.unwrap().commit().author(author).reason(reason).await.unwrap();
}

/// Revisions 1 to 3, a layer each; 4 and 5 together, in two layers; 6 in one.
async fn layered() -> (Server, Bucket, Kvconf) {
    let (server, bucket) = server_with_bucket().await;
    let items = |layer: &str, value: &str| {
        bucket.edit().set(format!("{layer}.checkout.max_items").as_str(), value.to_owned())
    };
    commit(items("base", "60"), "ops", "first").await;
    commit(items("env.prod", "80"), "dev", "sale").await;
    commit(items("host.web-1", "90"), "ops", "try it").await;
    let both = bucket.edit().set("base.checkout.region", "eu").set("env.prod.checkout.region", "nl");
    commit(both, "dev", "regions").await;
    commit(items("env.prod", "85"), "dev", "more").await;
    let kvconf = Kvconf::of(&server);
    (server, bucket, kvconf)
}

#[tokio::test]
async fn who_changed_what_is_told_of_the_layers_that_are_named() {
    // P7
    let (_server, _bucket, kvconf) = layered().await;
    assert_snapshot!(settled(&kvconf.text("log checkout --layer base,env.prod").await), @r#"
    exit 0
    --- out
    revision 6, [ago], by dev: "more"
       env.prod.checkout.max_items  80  →  85

    revision 5, [ago], by dev: "regions"
       base.checkout.region  (none)  →  eu
       env.prod.checkout.region  (none)  →  nl

    revision 2, [ago], by dev: "sale"
       env.prod.checkout.max_items  (none)  →  80

    revision 1, [ago], by ops: "first"
       base.checkout.max_items  (none)  →  60
    "#);
    assert_snapshot!(settled(&kvconf.text("log checkout.max_items --layer host.* --layer base").await), @r#"
    exit 0
    --- out
    revision 3, [ago], by ops: "try it"
       host.web-1.checkout.max_items  (none)  →  90

    revision 1, [ago], by ops: "first"
       base.checkout.max_items  (none)  →  60
    "#);
    assert_snapshot!(settled(&kvconf.run("log checkout.max_items --layer env.prod -n 1").await), @r#"
    exit 0
    --- out
    {"author":"dev","change":"[change]","first_revision":6,"keys":[{"after":{"value":"85"},"before":{"value":"80"},"key":"env.prod.checkout.max_items","revision":6}],"reason":"more","revision":6,"time":"[time]"}
    --- err
    note: there are older ones: kvconf log checkout.max_items --layer env.prod --before 6
    "#);
    assert_snapshot!(settled(&kvconf.text("history checkout.max_items --layer base,env.*,host.web-1").await), @r"
    exit 0
    --- out
    6  [ago]  env.prod.checkout.max_items  85  dev  more
    3  [ago]  host.web-1.checkout.max_items  90  ops  try it
    2  [ago]  env.prod.checkout.max_items  80  dev  sale
    1  [ago]  base.checkout.max_items  60  ops  first
    ");
    assert_snapshot!(settled(&kvconf.text("history checkout.max_items --layer env.prod -n 1").await), @r"
    exit 0
    --- out
    6  [ago]  85  dev  more
    --- err
    note: 1 older revision kept besides
    ");
    assert_snapshot!(settled(&kvconf.run("history checkout.region --layer base,env.prod").await), @r#"
    exit 0
    --- out
    {"key":"env.prod.checkout.region","revision":5,"value":"nl","created":"[time]","author":"dev","reason":"regions","change":"[change]"}
    {"key":"base.checkout.region","revision":4,"value":"eu","created":"[time]","author":"dev","reason":"regions","change":"[change]"}
    "#);
    assert_snapshot!(settled(&kvconf.text("show 4 --layer env.prod").await), @r"
    exit 0
    --- out
    revision 4 to 5, by dev
    [time] ([ago])
    reason: regions
    change: [change]
       env.prod.checkout.region  (none)  →  nl
    --- err
    note: kvconf revert [change] --layer env.prod takes it back
    ");
    assert_snapshot!(settled(&kvconf.text("watch checkout --layer host.web-1 --all --count 1 -q").await.without_time()), @r"
    exit 0
    --- out
    __:__:__ 3 host.web-1.checkout.max_items 90  by ops (try it)
    ");
}

#[tokio::test]
async fn whoever_forgets_the_layer_is_told_which_there_are() {
    let (_server, _bucket, kvconf) = layered().await;
    assert_snapshot!(settled(&kvconf.text("log checkout").await), @r"
    exit 0
    --- err
    note: no change that is kept matches
    note: checkout is there in layers: --layer base,env.prod,host.web-1
    ");
    assert_snapshot!(settled(&kvconf.text("history checkout.max_items").await), @r"
    exit 3
    --- err
    error: checkout.max_items was never written, or nothing of it is kept
      help: checkout.max_items is there in layers: --layer base,env.prod,host.web-1
    ");
    assert_snapshot!(settled(&kvconf.text("history checkout.max_itmes --layer base").await), @r"
    exit 3
    --- err
    error: base.checkout.max_itmes was never written, or nothing of it is kept
      help: did you mean base.checkout.max_items?
    ");
    assert_snapshot!(settled(&kvconf.text("log chekout").await), @r"
    exit 0
    --- err
    note: no change that is kept matches
    ");
    assert_snapshot!(settled(&kvconf.text("log checkout --layer a..b").await), @r#"
    exit 2
    --- err
    error: invalid value 'a..b' for '--layer <LAYER>': "a..b" has an empty part (two dots in a row, or a dot at an end)

    For more information, try '--help'.
    "#);
    assert_snapshot!(settled(&kvconf.text("rollback checkout --layer env.test --to 1 --yes").await), @r"
    exit 3
    --- err
    error: none of these keys has a value, and none had one at revision 1
      help: checkout is there in layers: --layer base,env.prod,host.web-1
    ");
    assert_snapshot!(settled(&kvconf.text("log --layer env.test,other").await), @r"
    exit 0
    --- err
    note: no change that is kept matches
    note: nothing stands under --layer env.test,other: keys begin with base, env, host
    ");
    assert_snapshot!(settled(&kvconf.text("explain checkout.max_items").await), @r"
    exit 3
    --- err
    error: checkout.max_items has no value and no history
      help: kvconf explain checkout.max_items --layer base
    ");
    assert_snapshot!(settled(&kvconf.text("explain base.checkout").await), @r"
    exit 3
    --- err
    error: base.checkout has no value and no history
      help: kvconf ls base.checkout has the keys below it
    ");
    assert_snapshot!(settled(&kvconf.text("revert 2 --layer env.test --yes").await), @r"
    exit 3
    --- err
    error: the change wrote none of env.test.>: it wrote env.prod.checkout.max_items
      help: kvconf show 2
    ");
    assert_snapshot!(settled(&kvconf.text("diff 1 -p checkout").await), @r"
    exit 0
    --- out
    no difference
    --- err
    note: there are no such keys now; checkout is there in layers: --layer base,env.prod,host.web-1
    ");
}

#[tokio::test]
async fn two_moments_of_layers_differ_key_by_key() {
    let (_server, _bucket, kvconf) = layered().await;
    assert_snapshot!(settled(&kvconf.text("diff 2 -p checkout --layer base,env.prod").await), @r"
    exit 0
    --- out
    +  base.checkout.region  eu
    ~  env.prod.checkout.max_items  80  →  85
    +  env.prod.checkout.region  nl
    ");
    assert_snapshot!(settled(&kvconf.text("diff 2 5 -p checkout.max_items --layer env.prod").await), @r"
    exit 0
    --- out
    no difference
    ");
    assert_snapshot!(settled(&kvconf.run("diff 6 2 --layer env.prod").await), @r#"
    exit 0
    --- out
    {"after":{"value":"80"},"before":{"value":"85"},"key":"env.prod.checkout.max_items"}
    {"after":null,"before":{"value":"nl"},"key":"env.prod.checkout.region"}
    "#);
    // A file is of one layer.
    let (_folder, path) = file("checkout.toml", "[checkout]\nmax_items = 85\nregion = 'be'\n");
    assert_snapshot!(settled(&kvconf.text(&format!("diff {path} --layer env.prod --exit-code")).await), @r"
    exit 11
    --- out
    ~  env.prod.checkout.region  nl  →  be
    ");
    let two = kvconf.text(&format!("diff {path} --layer base,env.prod")).await;
    assert!(two.code == 2 && two.err.contains("a file is compared with one layer"), "{two}");
}

#[tokio::test]
async fn what_readers_of_layers_get_differs_by_the_most_specific_value() {
    let (_server, bucket, kvconf) = layered().await;
    bucket.put("base.checkout.api_key", "hunter2").await.unwrap();
    bucket.put("max_items", "1").await.unwrap();
    assert_snapshot!(settled(&kvconf.text("diff 1 --merged --layer base,env.prod,host.web-1").await), @r"
    exit 0
    --- out
    +  checkout.api_key  <secret> (base)
    ~  checkout.max_items  60 (base)  →  90 (host.web-1)
    +  checkout.region  nl (env.prod)
    ");
    assert_snapshot!(settled(&kvconf.text("diff 1 5 --merged --layer base,env.prod -p checkout.region").await), @r"
    exit 0
    --- out
    +  checkout.region  nl (env.prod)
    ");
    // What is hidden by a more specific layer is no difference.
    assert_snapshot!(settled(&kvconf.text("diff 3 6 --merged --layer base,env.prod,host.web-1 -p checkout.max_items").await), @r"
    exit 0
    --- out
    no difference
    ");
    assert_snapshot!(settled(&kvconf.run("diff 2 --merged --layer base,env.prod,host.web-1").await), @r#"
    exit 0
    --- out
    {"after":{"layer":"base","masked":true},"before":null,"key":"checkout.api_key"}
    {"after":{"layer":"host.web-1","value":"90"},"before":{"layer":"env.prod","value":"80"},"key":"checkout.max_items"}
    {"after":{"layer":"env.prod","value":"nl"},"before":null,"key":"checkout.region"}
    "#);
    let bare = ["diff", "0", "--merged", "--layer", ",base", "--text"];
    assert_snapshot!(settled(&kvconf.run_with(bare).await), @r"
    exit 0
    --- out
    +  checkout.api_key  <secret> (base)
    +  checkout.max_items  60 (base)
    +  checkout.region  eu (base)
    +  env.prod.checkout.max_items  85 (no layer)
    +  env.prod.checkout.region  nl (no layer)
    +  host.web-1.checkout.max_items  90 (no layer)
    +  max_items  1 (no layer)
    ");
    assert_snapshot!(settled(&kvconf.text("diff 1 --merged --layer base").await), @r"
    exit 2
    --- err
    error: values are merged in the order of their layers, which have to be named: from general to specific
      help: --merged --layer base,env.prod,host.web-1
    ");
    assert_snapshot!(settled(&kvconf.text("diff 1 --merged --layer base,env.*").await), @r"
    exit 2
    --- err
    error: values are merged in the order of their layers, which have to be named: from general to specific
      help: --merged --layer base,env.prod,host.web-1
    ");
    assert_snapshot!(settled(&kvconf.text("diff 1 --merged").await), @r"
    exit 2
    --- err
    error: the following required arguments were not provided:
      --layer <LAYER>

    Usage: kvconf diff --layer <LAYER> --merged --text <MOMENT|FILE> [MOMENT]

    For more information, try '--help'.
    ");
}

// P8
#[tokio::test]
async fn one_layer_goes_back_and_the_others_stay() {
    let (_server, bucket, kvconf) = layered().await;
    assert_snapshot!(settled(&kvconf.text("revert 4 --layer env.prod --yes -m undo").await), @r"
    exit 0
    --- out
    -  env.prod.checkout.region  nl
    1 key written to prod, revision 7
    --- err
    note: kvconf revert [change] takes it back
    ");
    let value = async |key: &str| bucket.get(key).await.unwrap();
    assert_eq!(value("base.checkout.region").await.as_deref(), Some(&b"eu"[..]));
    assert_snapshot!(settled(&kvconf.text("rollback checkout --layer env.prod,host.* --to 2 --yes").await), @r"
    exit 0
    --- out
    back to revision 2
    ~  env.prod.checkout.max_items  85  →  80
    -  host.web-1.checkout.max_items  90
      1 key is so already
    2 keys written to prod, revision 9
    --- err
    note: kvconf revert [change] takes it back
    ");
    assert_eq!(value("base.checkout.max_items").await.as_deref(), Some(&b"60"[..]));
    assert_snapshot!(settled(&kvconf.run("rollback checkout --layer base --to 1 --dry-run").await), @r#"
    exit 0
    --- out
    {"changed_since":[],"changes":[{"after":null,"before":{"value":"eu"},"key":"base.checkout.region"}],"lost":[],"parts":1,"to":1,"unchanged":1,"without_ttl":[]}
    "#);
}

#[tokio::test]
async fn where_nothing_is_found_it_is_said_what_there_is() {
    let (_server, bucket, kvconf) = layered().await;
    bucket.put("app.port", "80").await.unwrap();
    bucket.delete("app.port").await.unwrap();
    assert_snapshot!(settled(&kvconf.text("log --author nobody").await), @r"
    exit 0
    --- err
    note: no change that is kept matches
    note: there are others, the newest at revision 8, [ago], by dev, ops
    ");
    assert_snapshot!(settled(&kvconf.text("log base --since now").await), @r"
    exit 0
    --- err
    note: no change that is kept matches
    note: there are others, the newest at revision 5, [ago], by dev
    ");
    assert_snapshot!(settled(&kvconf.text("log bsae --since -10m").await), @r"
    exit 0
    --- err
    note: no change that is kept matches
    note: did you mean base?
    ");
    assert_snapshot!(settled(&kvconf.text("history base.checkout").await), @r"
    exit 3
    --- err
    error: base.checkout was never written, or nothing of it is kept
      help: kvconf log base.checkout has what was changed below it
    ");
    assert_snapshot!(settled(&kvconf.text("rollback nothing --to 2 --yes").await), @r"
    exit 3
    --- err
    error: none of these keys has a value, and none had one at revision 2
      help: kvconf ls
    ");
    let to_come = kvconf.text("rollback base --to -9999d --yes").await;
    assert!(to_come.code == 3 && to_come.err.contains("is outside the bucket's life"), "{to_come}");
    assert_snapshot!(settled(&kvconf.text("log --bucket prd").await), @r"
    exit 3
    --- err
    error: bucket prd does not exist
      help: did you mean prod?
      help: kvconf bucket create prd
    ");
    assert_snapshot!(settled(&kvconf.text("log --bucket another").await), @r"
    exit 3
    --- err
    error: bucket another does not exist
      help: the server has prod
      help: kvconf bucket create another
    ");
}

#[tokio::test]
async fn a_reader_of_one_prefix_looks_back_at_it_and_is_told_how_to() {
    let server = Server::builder().config(crate::doctor::READER).start().await;
    let root = server.client_as("root", "root").await;
    let bucket = Bucket::create(&root, BucketConfig::new("prod")).await.unwrap();
    commit(bucket.edit().set("checkout.max_items", "60").set("log.level", "info"), "ops", "first").await;
    commit(bucket.edit().set("checkout.max_items", "80"), "dev", "sale").await;
    let kvconf = Kvconf::of(&server).variable("NATS_PASSWORD", "reader");
    let of = async |words: &str| {
        let ran = kvconf.text(&format!("{words} --user reader")).await;
        let names = |line: &str| match line.split_once("kvconf-").filter(|_| line.starts_with("error: ")) {
            Some((before, after)) => format!("{before}[name]{}", after.trim_start_matches(|c| c != '.')),
            None => line.to_owned(),
        };
        settled(&ran).lines().map(names).collect::<Vec<_>>().join("\n")
    };
    assert_snapshot!(of("log checkout").await, @r#"
    exit 0
    --- out
    revision 3, [ago], by dev: "sale"
       checkout.max_items  60  →  80

    revision 2, [ago], by ops: "first"
       checkout.max_items  (none)  →  60
    "#);
    assert_snapshot!(of("log checkout.max_items -n 1").await, @r#"
    exit 0
    --- out
    revision 3, [ago], by dev: "sale"
       checkout.max_items  60  →  80
    --- err
    note: there are older ones: kvconf log checkout.max_items --before 3
    "#);
    assert_snapshot!(of("log").await, @r"
    exit 8
    --- err
    error: not permitted: $JS.API.CONSUMER.CREATE.KV_prod.[name].$KV.prod.>
      help: allow the user to publish to $JS.API.CONSUMER.CREATE.KV_prod.*.$KV.prod.>, or connect as another one: `kvconf doctor` lists what is missing
      help: kvconf log PREFIX, for what this user may read
    ");
    assert_snapshot!(of("show 1").await, @r"
    exit 8
    --- err
    error: not permitted: $JS.API.CONSUMER.CREATE.KV_prod.[name].$KV.prod.>
      help: allow the user to publish to $JS.API.CONSUMER.CREATE.KV_prod.*.$KV.prod.>, or connect as another one: `kvconf doctor` lists what is missing
      help: kvconf show CHANGE --prefix PREFIX, for what this user may read
    ");
    assert_snapshot!(of("show 1 --prefix checkout").await, @r"
    exit 0
    --- out
    revision 1 to 2, by ops
    [time] ([ago])
    reason: first
    change: [change]
       checkout.max_items  (none)  →  60
    --- err
    note: kvconf revert [change] --prefix checkout takes it back
    ");
    assert_snapshot!(of("watch").await, @r"
    exit 8
    --- err
    error: not permitted: $JS.API.CONSUMER.CREATE.KV_prod.[name].$KV.prod.>
      help: allow the user to publish to $JS.API.CONSUMER.CREATE.KV_prod.*.$KV.prod.>, or connect as another one: `kvconf doctor` lists what is missing
      help: kvconf watch PREFIX, for what this user may read
    ");
    assert_snapshot!(of("diff 1 -p checkout").await, @r"
    exit 8
    --- err
    error: not permitted: $JS.API.STREAM.INFO.KV_prod
      help: allow the user to publish to $JS.API.STREAM.INFO.KV_prod, or connect as another one: `kvconf doctor` lists what is missing
    ");
}

const FLAG: &str = r#"{"state":"DISABLED","variants":{"on":true,"off":false},"defaultVariant":"off"}"#;

#[tokio::test]
async fn what_changed_in_a_flag_is_told_part_by_part() {
    let (server, bucket) = server_with_bucket().await;
    commit(bucket.edit().set("shop.flags.cart", FLAG), "dev", "new").await;
    let on = FLAG.replace("DISABLED", "ENABLED").replace(r#":"off""#, r#":"on""#);
    commit(bucket.edit().set("shop.flags.cart", on.clone()).set("shop.max", "5"), "ops", "launch").await;
    let kvconf = Kvconf::of(&server);
    assert_snapshot!(settled(&kvconf.text("log").await), @r#"
    exit 0
    --- out
    revision 3, [ago], by ops: "launch"
       shop.flags.cart
         state: DISABLED → ENABLED
         defaultVariant: off → on
       shop.max  (none)  →  5

    revision 1, [ago], by dev: "new"
       shop.flags.cart  (none)  →  {"state":"DISABLED","variants":{"on":true,"off":false},"defaultVariant":"off"}
    "#);
    assert_snapshot!(settled(&kvconf.text("show 2").await), @r"
    exit 0
    --- out
    revision 2 to 3, by ops
    [time] ([ago])
    reason: launch
    change: [change]
       shop.flags.cart
         state: DISABLED → ENABLED
         defaultVariant: off → on
       shop.max  (none)  →  5
    --- err
    note: kvconf revert [change] takes it back
    ");
    assert_snapshot!(settled(&kvconf.text("history shop.flags.cart").await), @r#"
    exit 0
    --- out
    2  [ago]  (a flag)  ops  launch
         state: DISABLED → ENABLED
         defaultVariant: off → on
    1  [ago]  {"state":"DISABLED","variants":{"on":true,"off":false},"defaultVariant":"off"}  dev  new
    "#);
    assert_snapshot!(settled(&kvconf.text("history shop.flags.cart -n 1").await), @r"
    exit 0
    --- out
    2  [ago]  (a flag)  ops  launch
         state: DISABLED → ENABLED
         defaultVariant: off → on
    --- err
    note: 1 older revision kept besides
    ");
    assert_snapshot!(settled(&kvconf.text("diff 1").await), @r"
    exit 0
    --- out
    ~  shop.flags.cart
         state: DISABLED → ENABLED
         defaultVariant: off → on
    +  shop.max  5
    ");
    assert_snapshot!(settled(&kvconf.text("rollback shop --to 1 --dry-run").await), @r"
    exit 0
    --- out
    back to revision 1
    ~  shop.flags.cart
         state: ENABLED → DISABLED
         defaultVariant: on → off
    -  shop.max  5
    ");
    // Programs get all of it.
    let line: serde_json::Value =
        serde_json::from_str(&kvconf.run("diff 1 -p shop.flags").await.out).unwrap();
    assert_eq!((&line["before"]["value"], &line["after"]["value"]), (&FLAG.into(), &on.into()));
}

#[tokio::test]
async fn a_watch_tells_what_has_changed_in_a_flag() {
    let (server, bucket) = server_with_bucket().await;
    bucket.put("shop.flags.cart", FLAG).await.unwrap();
    let kvconf = Kvconf::of(&server);
    let terminal = kvconf.in_terminal("watch shop --all --count 2", 100);
    terminal.sees("shop.flags.cart {\"state\":\"DISABLED\"", 1).await;
    bucket.put("shop.flags.cart", FLAG.replace("DISABLED", "ENABLED")).await.unwrap();
    terminal.sees("shop.flags.cart (a flag)", 1).await;
    terminal.sees("     state: DISABLED → ENABLED", 1).await;
    assert_eq!(terminal.ends().await.code, 0);
}

// P8
#[tokio::test]
async fn what_is_lost_of_two_moments_is_named_and_so_is_the_way_out() {
    let server = Server::start().await;
    let mut config = BucketConfig::new("prod");
    config.history = Some(2);
    let bucket = Bucket::create(&server.client().await, config).await.unwrap();
    for at in 0..36 {
        bucket.put(&*format!("k.n{:02}", at % 12), at.to_string()).await.unwrap();
    }
    let kvconf = Kvconf::of(&server);
    assert_snapshot!(settled(&kvconf.text("diff 12").await), @r"
    exit 3
    --- err
    error: revision 12 is outside what the bucket holds: 13 to 36
      help: kvconf log
    ");
    assert_snapshot!(settled(&kvconf.text("diff 24 30 -p k.n02").await), @r"
    exit 0
    --- out
    ~  k.n02  14  →  26
    ");
    assert_snapshot!(settled(&kvconf.text("diff 99").await), @r"
    exit 3
    --- err
    error: revision 99 is outside what the bucket holds: 13 to 36
      help: kvconf log
    ");
    assert_snapshot!(settled(&kvconf.text("diff 2000-01-01").await.without_time()), @r"
    exit 3
    --- err
    error: ____-__-__ __:__:__ is outside the bucket's life: ____-__-__ __:__:__ to ____-__-__ __:__:__
      help: kvconf log
    ");
}

#[derive(KvConfig, Debug, Clone)]
#[kv(prefix = "checkout")]
struct Checkout {
    #[kv(default = 50)]
    max_items: u32,
}

#[tokio::test]
async fn shells_complete_layers_and_what_stands_in_them() {
    let (_server, bucket, kvconf) = layered().await;
    let schema = Schema::of::<Checkout>().with_layers(["base", "env.*", "host.*"]).unwrap();
    bucket.publish_schema(&schema, "1.0.0").await.unwrap();
    let kvconf = kvconf.variable("KVCONF_COMPLETE", "fish");
    let of = async |words: &[&str]| {
        let words = ["--", "kvconf"].iter().chain(words).copied();
        let output = kvconf.command_of(words).output().await.unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(of(&["log", "--layer", ""]).await, "base\nenv.prod\nhost.web-1\n");
    assert_eq!(of(&["history", "--layer", "base,en"]).await, "base,env.prod\n");
    assert_snapshot!(of(&["rollback", "--layer", "base,env.prod", "checkout."]).await, @r"
    checkout.max_items	a whole number (u32)
    checkout.region
    ");
    assert_snapshot!(of(&["diff", "1", "--layer", "base", "-p", "ch"]).await, @r"
    checkout
    checkout.max_items	a whole number (u32)
    checkout.region
    ");
}
