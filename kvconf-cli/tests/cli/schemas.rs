//! Published schemas: what is made of them, and how they guard writes.

use std::collections::BTreeMap;
use std::time::Duration;

use insta::assert_snapshot;
use kvconf::{KvConfig, Schema, Secret};

use crate::command::{Kvconf, Ran, file, normalised, server_with_bucket};

/// How baskets are paid for.
#[derive(KvConfig, Debug, Clone)]
#[kv(prefix = "checkout")]
struct Checkout {
    /// Most items in one basket.
    #[kv(default = 50, range(1..=500), unit = "items")]
    max_items: u32,
    /// How long to wait for the payment provider.
    #[kv(default = "3s")]
    timeout: Duration,
    #[kv(default = "eu", one_of("eu", "us"))]
    region: String,
    pay: Option<Secret<String>>,
    token_bucket: Option<u8>,
    #[kv(entries)]
    limits: BTreeMap<String, u32>,
}

mod next {
    use super::*;

    #[derive(KvConfig, Debug, Clone)]
    #[kv(prefix = "checkout")]
    pub(super) struct Checkout {
        #[kv(default = 50, range(1..=100), unit = "items")]
        max_items: u32,
        #[kv(default = "5s", alias = "timeout")]
        wait: Duration,
        #[kv(default = "eu", one_of("eu", "us"))]
        region: String,
        pay: Option<Secret<String>>,
        #[kv(entries)]
        limits: BTreeMap<String, u32>,
    }
}

fn shown(ran: &Ran) -> String {
    let text = normalised(&ran.to_string(), None);
    let mut shown = String::new();
    for line in text.lines() {
        // The time of day at the end of an origin.
        let time = line
            .rsplit_once(", ")
            .filter(|(_, end)| end.len() == 5 && end.chars().all(|c| c.is_ascii_digit() || c == ':'));
        match time {
            Some((start, _)) => shown += &format!("{start}, [time]\n"),
            None => shown += &format!("{line}\n"),
        }
    }
    shown
}

#[tokio::test]
async fn every_write_is_held_against_the_published_schema() {
    // P3, P11
    let (server, bucket) = server_with_bucket().await;
    bucket.publish_schema(&Schema::of::<Checkout>(), "1.4.0").author("checkout").await.unwrap();
    let kvconf = Kvconf::of(&server);
    let ran = kvconf
        .run_with([
            "set",
            "checkout.max_items=9999",
            "checkout.max_itmes=1",
            "checkout.pay=hunter2",
            "--yes",
            "--text",
        ])
        .await;
    assert_snapshot!(shown(&ran), @r"
    exit 5
    --- out
    +  checkout.max_items  9999
    +  checkout.max_itmes  1
    +  checkout.pay        <secret>
    --- err
    error: 2 problems in Checkout (bucket prod, planned change); still serving the defaults
      × checkout.max_items: 9999 is outside 1..=500
      × checkout.max_itmes: unknown key, did you mean checkout.max_items?   (ignored)
      help: mend it, or write it all the same with --force --reason TEXT
    ");
    assert_eq!(bucket.get("checkout.max_items").await.unwrap(), None);
    let ran = kvconf.run("set checkout.max_items=9999 --yes --json").await;
    assert_snapshot!(shown(&ran), @r#"
    exit 5
    --- err
    {"error":{"causes":[],"exit":5,"help":["mend it, or write it all the same with --force --reason TEXT"],"kind":"refused","message":"error: 1 problem in Checkout (bucket prod, planned change); still serving the defaults\n  × checkout.max_items: 9999 is outside 1..=500"}}
    "#);
    let ran = kvconf.run("set checkout.max_items=9999 --yes --force -m outage --text").await;
    assert_snapshot!(shown(&ran), @r"
    exit 0
    --- out
    +  checkout.max_items  9999
    error: 1 problem in Checkout (bucket prod, planned change); still serving the defaults
      × checkout.max_items: 9999 is outside 1..=500
    1 key written to prod, revision 2
    --- err
    note: kvconf revert [change] takes it back
    ");
    let ran = kvconf.text("set checkout.max_items=80 checkout.limits.gold=3 elsewhere=x --yes").await;
    assert_snapshot!(shown(&ran), @r"
    exit 0
    --- out
    +  checkout.limits.gold           3
    ~  checkout.max_items    9999  →  80
    +  elsewhere                      x
    3 keys written to prod, revision 5
    --- err
    note: kvconf revert [change] takes it back
    ");
    let (_folder, path) = file("checkout.toml", "[checkout]\nregion = \"mars\"\n");
    assert_snapshot!(kvconf.text(&format!("apply {path} --yes")).await.to_string().replace(&path, "[path]"), @r"
    exit 5
    --- out
    +  checkout.region  mars
    --- err
    error: 1 problem in Checkout (bucket prod, planned change); still serving revision 4
      × checkout.region: `mars` is not one of eu or us
          [path]:2:1
      help: mend it, or write it all the same with --force --reason TEXT
    ");
}

#[tokio::test]
async fn what_was_good_once_is_not_brought_back_when_the_schema_refuses_it() {
    // P3
    let (server, bucket) = server_with_bucket().await;
    bucket.put("checkout.max_items", "9999").await.unwrap();
    bucket.put("checkout.max_items", "60").await.unwrap();
    bucket.publish_schema(&Schema::of::<Checkout>(), "1.4.0").await.unwrap();
    let kvconf = Kvconf::of(&server);
    let ran = kvconf.run("rollback checkout.max_items --to 1 --yes --text").await;
    assert_eq!(ran.code, 5, "{ran}");
    assert!(ran.err.contains("checkout.max_items: 9999 is outside 1..=500"), "{ran}");
    assert_eq!(bucket.get("checkout.max_items").await.unwrap().as_deref(), Some(&b"60"[..]));
    let ran = kvconf.run("rollback checkout.max_items --to 1 --yes --text --force -m outage").await;
    assert_eq!(ran.code, 0, "{ran}");
    assert_eq!(bucket.get("checkout.max_items").await.unwrap().as_deref(), Some(&b"9999"[..]));
}

#[tokio::test]
async fn a_schema_says_which_values_are_secrets() {
    // P11
    let (server, bucket) = server_with_bucket().await;
    bucket.publish_schema(&Schema::of::<Checkout>(), "1.4.0").await.unwrap();
    bucket.put("checkout.pay", "hunter2").await.unwrap();
    bucket.put("checkout.token_bucket", "7").await.unwrap();
    bucket.put("other.password", "swordfish").await.unwrap();
    let kvconf = Kvconf::of(&server);
    assert_snapshot!(kvconf.text("ls").await, @r"
    exit 0
    --- out
    checkout
      pay           <secret>
      token_bucket  7
    other
      password      <secret>
    ");
    assert_snapshot!(kvconf.run("get checkout.pay").await, @r"
    exit 5
    --- err
    error: checkout.pay is a secret
      help: kvconf get checkout.pay --reveal
    ");
}

#[tokio::test]
async fn schemas_are_listed_shown_and_written() {
    let (server, bucket) = server_with_bucket().await;
    let kvconf = Kvconf::of(&server);
    assert_snapshot!(kvconf.text("schema ls").await, @r"
    exit 0
    --- out
    no program has published its schema in this bucket
    ");
    assert_snapshot!(kvconf.text("schema show checkout").await, @r"
    exit 3
    --- err
    error: no schema checkout is published in this bucket
      help: programs publish theirs with Bucket::publish_schema; `kvconf schema publish FILE` does it from a file
    ");
    bucket.publish_schema(&Schema::of::<Checkout>(), "1.4.0").author("checkout").await.unwrap();
    assert_snapshot!(kvconf.text("schema ls").await, @r"
    exit 0
    --- out
    schema    version  settings  hash              by        revision
    checkout  1.4.0    6         60d053a35f416dc2  checkout  1
    ");
    assert_snapshot!(kvconf.run("schema ls").await, @r#"
    exit 0
    --- out
    {"author":"checkout","hash":"60d053a35f416dc2","layers":[],"name":"checkout","prefix":"checkout","reason":null,"revision":1,"settings":6,"version":"1.4.0"}
    "#);
    assert_snapshot!(kvconf.text("schema show chekout").await, @r"
    exit 3
    --- err
    error: no schema chekout is published in this bucket
      help: did you mean checkout?
    ");
    assert_snapshot!(kvconf.text("schema show checkout").await, @r"
    exit 0
    --- out
    setting                values                                        without a value
    checkout.max_items     a whole number (u32), 1 to 500, in items      50
    checkout.timeout       a duration such as 3s                         3s
    checkout.region        a text, only `eu` or `us`                     eu
    checkout.pay           a text, secret                                none
    checkout.token_bucket  a whole number (u8)                           none
    checkout.limits.*      one key per entry, each a whole number (u32)  no entries
    ");
    let schema = Schema::of::<Checkout>();
    let written = |ran: Ran| (ran.code, ran.out, ran.err);
    let silent = |text: String| (0, text, String::new());
    use kvconf::settings::Extent;
    assert_eq!(
        written(kvconf.run("schema export checkout").await),
        silent(schema.json_schema(Extent::Whole))
    );
    assert_eq!(
        written(kvconf.run("schema export checkout --part").await),
        silent(schema.json_schema(Extent::Part))
    );
    assert_eq!(written(kvconf.run("schema template checkout").await), silent(schema.toml_template()));
    assert_eq!(written(kvconf.run("docs checkout").await), silent(schema.markdown()));
    assert_eq!(written(kvconf.run("docs").await), silent(schema.markdown()));
}

#[tokio::test]
async fn a_new_version_is_published_from_a_file_and_held_against_the_bucket() {
    let (server, bucket) = server_with_bucket().await;
    let kvconf = Kvconf::of(&server);
    let (_old, old) = file("old.json", Schema::of::<Checkout>().to_stored("1.4.0").unwrap());
    let (_new, new) = file("new.json", Schema::of::<next::Checkout>().to_stored("2.0.0").unwrap());
    assert_snapshot!(kvconf.text(&format!("schema publish {old} --yes")).await, @r"
    exit 0
    --- out
    checkout 1.4.0 published, revision 1
    ");
    bucket.put("checkout.max_items", "200").await.unwrap();
    bucket.put("checkout.max_items", "60").await.unwrap();
    bucket.put("checkout.timeout", "1s").await.unwrap();
    assert_snapshot!(shown(&kvconf.text(&format!("schema diff {new}")).await), @r"
    exit 11
    --- out
    effect      key                    what
    may refuse  checkout.max_items     1..=500 became 1..=100
    safe        checkout.wait          was checkout.timeout, which is still read
    safe        checkout.wait          without a value 3s became 5s
    safe        checkout.token_bucket  removed: a value that stands there is ignored
    checkout 2.0.0: readable, with warnings
      × checkout.timeout: an old name of checkout.wait, read; write checkout.wait instead
    Checkout refuses 1 of 3 states of bucket prod

    revision 2
    error: 1 problem in Checkout (bucket prod, revision 2); nothing is served yet
      × checkout.max_items: 200 is outside 1..=100
          revision 2, [time]
    ");
    assert_snapshot!(kvconf.run(&format!("schema diff {new} --from {old} --structure")).await, @r#"
    exit 11
    --- out
    {"differences":[{"effect":"may refuse","key":"checkout.max_items","what":"1..=500 became 1..=100"},{"effect":"safe","key":"checkout.wait","what":"was checkout.timeout, which is still read"},{"effect":"safe","key":"checkout.wait","what":"without a value 3s became 5s"},{"effect":"safe","key":"checkout.token_bucket","what":"removed: a value that stands there is ignored"}],"effect":"may refuse","from":"1.4.0","schema":"checkout","to":"2.0.0"}
    "#);
    assert_snapshot!(kvconf.text(&format!("schema check {new}")).await, @r"
    exit 0
    --- out
    checkout 2.0.0: readable, with warnings
      × checkout.timeout: an old name of checkout.wait, read; write checkout.wait instead
    ");
    bucket.put("checkout.region", "mars").await.unwrap();
    assert_snapshot!(kvconf.run("schema check").await, @r#"
    exit 11
    --- out
    {"past":null,"problems":[{"fatal":true,"key":"checkout.region","message":"`mars` is not one of eu or us"}],"refused":true,"revision":5,"schema":"checkout","unchecked":[],"version":"1.4.0"}
    "#);
    kvconf.text(&format!("schema publish {new} --yes")).await;
    assert_snapshot!(kvconf.text(&format!("schema publish {old} --yes")).await, @r"
    exit 4
    --- err
    error: schema checkout 2.0.0 is published, which is newer than 1.4.0
      help: --replace-newer puts the older one in its place
    ");
    let (_bad, bad) = file("bad.json", "{}");
    assert_snapshot!(kvconf.text(&format!("schema publish {bad} --yes")).await.to_string().replace(&bad, "[bad]"), @r"
    exit 6
    --- err
    error: [bad] is no schema
      because no schema: missing field `format` at line 1 column 2
      help: a program writes such a file with Schema::of::<T>().to_stored(version)
    ");
}

#[tokio::test]
async fn an_import_of_any_size_is_held_against_the_published_schema() {
    // P3
    let (server, bucket) = server_with_bucket().await;
    bucket.publish_schema(&Schema::of::<Checkout>(), "1.4.0").await.unwrap();
    bucket.put("checkout.max_items", "60").await.unwrap();
    let others: String = (0..1_500).map(|at| format!("{{\"key\":\"k{at}\",\"value\":\"v\"}}\n")).collect();
    // Behind the first thousand: it is judged before they are written.
    let bad = "{\"key\":\"checkout.max_items\",\"value\":\"9999\"}\n{\"key\":\"checkout.limits.a\",\"value\":\"1\"}\n";
    let (_folder, path) = file("many.jsonl", format!("{others}{bad}"));
    let kvconf = Kvconf::of(&server);
    let refused = kvconf.text(&format!("import {path} --yes")).await;
    assert_snapshot!(shown(&refused), @r"
    exit 5
    --- out
    1501 new, 1 changed, 0 removed, 0 as they are
    --- err
    error: 1 problem in Checkout (bucket prod, planned change); still serving revision 2
      × checkout.max_items: 9999 is outside 1..=500
      help: mend it, or write it all the same with --force --reason TEXT
    ");
    assert_eq!(bucket.status().await.unwrap().last_revision.get(), 2);
    let planned = kvconf.run(&format!("import {path} --dry-run")).await;
    assert_snapshot!(shown(&planned), @r#"
    exit 5
    --- out
    {"changed":1,"new":1501,"problems":[{"fatal":true,"key":"checkout.max_items","message":"9999 is outside 1..=500","of":"Checkout"}],"removed":0,"unchanged":0}
    --- err
    error: 1 problem in Checkout (bucket prod, planned change); still serving revision 2
      × checkout.max_items: 9999 is outside 1..=500
      help: mend it, or write it all the same with --force --reason TEXT
    "#);
    let forced = kvconf.text(&format!("import {path} --yes --force -m outage")).await;
    assert_snapshot!(shown(&forced), @r"
    exit 0
    --- out
    1501 new, 1 changed, 0 removed, 0 as they are
    error: 1 problem in Checkout (bucket prod, planned change); still serving revision 2
      × checkout.max_items: 9999 is outside 1..=500
    1502 keys written to prod, revision 1504
    ");
    assert_eq!(bucket.get("checkout.max_items").await.unwrap().as_deref(), Some(&b"9999"[..]));

    let good = "{\"key\":\"checkout.max_items\",\"value\":\"70\"}\n{\"key\":\"checkout.limits.a\",\"value\":\"2\"}\n";
    let (_folder, path) = file("many.jsonl", format!("{}{good}", others.replace("\"v\"", "\"w\"")));
    let mended = kvconf.text(&format!("import {path} --yes")).await;
    assert_snapshot!(shown(&mended), @r"
    exit 0
    --- out
    0 new, 1502 changed, 0 removed, 0 as they are
    1502 keys written to prod, revision 3006
    ");
}

#[tokio::test]
async fn a_secret_is_masked_in_every_layer() {
    // P11
    let (server, bucket) = server_with_bucket().await;
    bucket.publish_schema(&Schema::of::<Checkout>(), "1.4.0").await.unwrap();
    bucket.put("base.checkout.pay", "hunter2").await.unwrap();
    bucket.put("env.prod.checkout.pay", "hunter3").await.unwrap();
    bucket.put("base.checkout.max_items", "60").await.unwrap();
    bucket.put("base.checkout.token", "x").await.unwrap();
    bucket.put("base.repay", "no").await.unwrap();
    let ran = Kvconf::of(&server).text("ls --flat").await;
    assert_snapshot!(ran, @r"
    exit 0
    --- out
    base.checkout.max_items  60
    base.checkout.pay        <secret>
    base.checkout.token      <secret>
    base.repay               no
    env.prod.checkout.pay    <secret>
    ");
}

#[tokio::test]
async fn values_of_named_layers_are_held_against_the_schema_and_guessed_ones_are_told_of() {
    // P3
    let (server, bucket) = server_with_bucket().await;
    bucket.publish_schema(&Schema::of::<Checkout>(), "1.4.0").await.unwrap();
    let kvconf = Kvconf::of(&server);
    let keys = "env.prod.checkout.max_items=9999 env.prod.checkout.unknown=1 base.other=x";
    let refused = kvconf.text(&format!("set {keys} --yes --schema-layers base,env.*")).await;
    assert_snapshot!(shown(&refused), @r"
    exit 5
    --- out
    +  base.other                   x
    +  env.prod.checkout.max_items  9999
    +  env.prod.checkout.unknown    1
    --- err
    error: 2 problems in Checkout (bucket prod, planned change); still serving revision 1
      × env.prod.checkout.max_items: 9999 is outside 1..=500
      × env.prod.checkout.unknown: unknown key   (ignored)
      help: mend it, or write it all the same with --force --reason TEXT
    ");
    // `env.prod` may be a program with a struct of this name inside.
    let told = kvconf.text(&format!("set {keys} --yes")).await;
    assert_snapshot!(shown(&told), @r"
    exit 0
    --- out
    +  base.other                   x
    +  env.prod.checkout.max_items  9999
    +  env.prod.checkout.unknown    1
    3 keys written to prod, revision 4
    --- err
    note: env.prod.checkout.max_items: 9999 is outside 1..=500, if env.prod is a layer of Checkout: --schema-layers env.prod would refuse it
    note: kvconf revert [change] takes it back
    ");
    // A layer is a part: nothing is said of what it has not.
    let good = kvconf
        .text("set env.prod.checkout.limits.gold=3 env.prod.checkout.region=us --yes --schema-layers env.*")
        .await;
    assert_snapshot!(shown(&good), @r"
    exit 0
    --- out
    +  env.prod.checkout.limits.gold  3
    +  env.prod.checkout.region       us
    2 keys written to prod, revision 6
    --- err
    note: kvconf revert [change] takes it back
    ");
    let removed = kvconf.text("unset env.prod.checkout.max_items --yes --schema-layers env.*").await;
    assert_eq!(removed.code, 0, "{removed}");
}
