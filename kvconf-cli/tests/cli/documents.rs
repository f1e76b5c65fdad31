//! `apply` and `diff`: files and the bucket.

use insta::assert_snapshot;

use crate::command::{Kvconf, Ran, file, normalised, server_with_bucket};

fn shown(ran: &Ran, path: &str) -> String {
    normalised(&ran.to_string().replace(path, "[file]"), None)
}

const FILE: &str = r#"
region = "eu"

[checkout]
max_items = 80
countries = ["NL", "BE"]
tier = { name = "gold", limit = 3 }
old = { "$unset" = true }

[checkout.payment]
timeout = "3s"
api_key = { "$masked" = true }
"#;

#[tokio::test]
async fn apply_makes_the_bucket_hold_what_the_file_says() {
    let (server, bucket) = server_with_bucket().await;
    for (key, value) in [
        ("checkout.old", "1"),
        ("checkout.extra", "1"),
        ("checkout.payment.api_key", "hunter2"),
        ("other", "1"),
    ] {
        bucket.put(key, value).await.unwrap();
    }
    let kvconf = Kvconf::of(&server);
    let (_folder, path) = file("checkout.toml", FILE);
    assert_snapshot!(shown(&kvconf.text(&format!("diff {path}")).await, &path), @r#"
    exit 0
    --- out
    +  checkout.countries           ["NL","BE"]
    -  checkout.extra            1
    +  checkout.max_items           80
    -  checkout.old              1
    +  checkout.payment.timeout     3s
    +  checkout.tier                {"name":"gold","limit":3}
    +  region                       eu
    "#);
    assert_snapshot!(shown(&kvconf.text(&format!("apply {path} --yes")).await, &path), @r#"
    exit 0
    --- out
    +  checkout.countries           ["NL","BE"]
    +  checkout.max_items           80
    -  checkout.old              1
    +  checkout.payment.timeout     3s
    +  checkout.tier                {"name":"gold","limit":3}
    +  region                       eu
    6 keys written to prod, revision 10
    --- err
    note: kvconf revert [change] takes it back
    "#);
    assert_snapshot!(shown(&kvconf.text(&format!("apply {path} --prune --yes")).await, &path), @r"
    exit 0
    --- out
    -  checkout.extra  1
    1 key written to prod, revision 11
    --- err
    note: kvconf revert [change] takes it back
    ");
    assert_snapshot!(shown(&kvconf.text(&format!("apply {path} --prune --yes")).await, &path), @r"
    exit 0
    --- out
    nothing to change: it stands so already
    ");
    assert_snapshot!(shown(&kvconf.text(&format!("diff {path} --exit-code")).await, &path), @r"
    exit 0
    --- out
    no difference
    ");
    // P11
    assert_eq!(bucket.get("checkout.payment.api_key").await.unwrap().as_deref(), Some(&b"hunter2"[..]));
}

#[tokio::test]
async fn a_json_file_under_a_prefix() {
    let (server, bucket) = server_with_bucket().await;
    bucket.put("staging.gone", "1").await.unwrap();
    bucket.put("prod.gone", "1").await.unwrap();
    let kvconf = Kvconf::of(&server);
    let json = r#"{"checkout": {"max": 80, "list": [1, 2], "tier": {"$json": {"a": 1}}}}"#;
    let (_folder, path) = file("x.json", json);
    let ran = kvconf.text(&format!("apply {path} --under staging --prune --yes")).await;
    assert_snapshot!(shown(&ran, &path), @r#"
    exit 0
    --- out
    +  staging.checkout.list     [1,2]
    +  staging.checkout.max      80
    +  staging.checkout.tier     {"a":1}
    -  staging.gone           1
    4 keys written to prod, revision 6
    --- err
    note: kvconf revert [change] takes it back
    "#);
    let ran = kvconf.run_on("apply - --format json --dry-run", br#"{"prod": {"gone": null}}"#).await;
    assert_snapshot!(ran, @r#"
    exit 0
    --- out
    {"changes":[{"after":null,"before":{"value":"1"},"expected":2,"key":"prod.gone"}],"dry_run":true,"unchanged":0}
    "#);
}

#[tokio::test]
async fn a_bad_file_is_told_with_its_place_and_writes_nothing() {
    let (server, _bucket) = server_with_bucket().await;
    let kvconf = Kvconf::of(&server);
    let (_folder, path) = file("bad.toml", "a = 1\n[b\nc = 2\n");
    assert_snapshot!(shown(&kvconf.run(&format!("apply {path} --yes")).await, &path), @r"
    exit 6
    --- err
    error: [file]: line 2, column 3: unclosed table, expected `]`
    ");
    assert_snapshot!(kvconf.run("apply /nonexistent.toml --yes").await, @r"
    exit 3
    --- err
    error: /nonexistent.toml cannot be read
      because No such file or directory (os error 2)
    ");
    assert_snapshot!(kvconf.run("apply -").await, @r"
    exit 2
    --- err
    error: the file is standard input, which cannot answer questions too
      help: --yes answers beforehand, --dry-run only shows the plan
    ");
    let (_folder, path) = file("bad.json", b"\xff");
    assert_snapshot!(shown(&kvconf.run(&format!("apply {path} --yes")).await, &path), @r"
    exit 6
    --- err
    error: [file] is no UTF-8 text
    ");
}

#[tokio::test]
async fn diff_shows_what_changed_between_two_revisions() {
    let (server, bucket) = server_with_bucket().await;
    let kvconf = Kvconf::of(&server);
    bucket.put("a.x", "1").await.unwrap();
    bucket.put("a.y", "1").await.unwrap();
    bucket.put("a.x", "2").await.unwrap();
    bucket.delete("a.y").await.unwrap();
    bucket.put("b.z", "1").await.unwrap();
    assert_snapshot!(kvconf.text("diff 2").await, @r"
    exit 0
    --- out
    ~  a.x  1  →  2
    -  a.y  1
    +  b.z        1
    ");
    assert_snapshot!(kvconf.text("diff 2 3 --exit-code").await, @r"
    exit 11
    --- out
    ~  a.x  1  →  2
    ");
    assert_snapshot!(kvconf.run("diff 2 now -p a").await, @r#"
    exit 0
    --- out
    {"after":{"value":"2"},"before":{"value":"1"},"key":"a.x"}
    {"after":null,"before":{"value":"1"},"key":"a.y"}
    "#);
    assert_snapshot!(kvconf.run("diff 99").await, @r"
    exit 3
    --- err
    error: revision 99 is outside what the bucket holds: 1 to 5
      help: kvconf log
    ");
    assert_snapshot!(kvconf.text("diff 5 --exit-code").await, @r"
    exit 0
    --- out
    no difference
    ");
}

#[tokio::test]
async fn diff_says_so_where_a_revision_lies_within_a_change_set() {
    let (server, bucket) = server_with_bucket().await;
    bucket.put("a.x", "1").await.unwrap();
    let edit = bucket.edit().set("a.x", "2").set("a.y", "2").set("a.z", "2");
    edit.plan().await.unwrap().commit().await.unwrap();
    let kvconf = Kvconf::of(&server);
    assert_snapshot!(kvconf.text("diff 1 3").await, @r"
    exit 0
    --- out
    no difference
    --- err
    note: revision 3 lies within a change set: it is taken for 1, the state before
    ");
    assert_snapshot!(kvconf.text("diff 3 4").await, @r"
    exit 0
    --- out
    ~  a.x  1  →  2
    +  a.y        2
    +  a.z        2
    --- err
    note: revision 3 lies within a change set: it is taken for 1, the state before
    ");
}
