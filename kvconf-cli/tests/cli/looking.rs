//! `ls` and `get`.

use insta::assert_snapshot;

use crate::command::{Kvconf, normalised, server_with_bucket};

async fn filled() -> (kvconf_tests::server::Server, kvconf::Bucket) {
    let (server, bucket) = server_with_bucket().await;
    for (key, value) in [
        ("checkout.max_items", "80"),
        ("checkout.payment.timeout", "3s"),
        ("checkout.payment.api_key", "hunter2"),
        ("checkout.countries", r#"["NL","BE"]"#),
        ("log.level", "info"),
    ] {
        bucket.put(key, value).header("Kvconf-Author", "ops").await.unwrap();
    }
    bucket.put("logo", &b"\x89PNG\xff"[..]).await.unwrap();
    (server, bucket)
}

#[tokio::test]
async fn ls_shows_a_tree_to_people_and_lines_to_programs() {
    // P11
    let (server, _bucket) = filled().await;
    let kvconf = Kvconf::of(&server);
    assert_snapshot!(kvconf.text("ls").await, @r#"
    exit 0
    --- out
    checkout
      countries  ["NL","BE"]
      max_items  80
      payment
        api_key  <secret>
        timeout  3s
    log
      level      info
    logo         <5 bytes, not UTF-8>
    "#);
    assert_snapshot!(kvconf.text("ls checkout.payment --flat --reveal").await, @r"
    exit 0
    --- out
    checkout.payment.api_key  hunter2
    checkout.payment.timeout  3s
    ");
    assert_snapshot!(normalised(&kvconf.run("ls checkout.payment").await.to_string(), None), @r#"
    exit 0
    --- out
    {"key":"checkout.payment.timeout","revision":2,"value":"3s","created":"[time]","author":"ops"}
    {"key":"checkout.payment.api_key","revision":3,"masked":true,"created":"[time]","author":"ops"}
    "#);
    assert_snapshot!(kvconf.text("ls nothing").await, @r"
    exit 0
    --- err
    note: bucket prod has no such keys
    ");
}

#[tokio::test]
async fn ls_of_an_empty_bucket_says_so() {
    let (server, _bucket) = server_with_bucket().await;
    assert_snapshot!(Kvconf::of(&server).text("ls").await, @r"
    exit 0
    --- err
    note: bucket prod is empty
    ");
}

#[tokio::test]
async fn get_gives_bytes_to_a_pipe_and_records_for_json() {
    let (server, bucket) = filled().await;
    let kvconf = Kvconf::of(&server);
    let ran = kvconf.run("get checkout.max_items").await;
    assert_eq!((ran.code, ran.out.as_str(), ran.err.as_str()), (0, "80", ""));
    bucket.put("checkout.max_items", "90").await.unwrap();
    assert_snapshot!(kvconf.text("get checkout.max_items log.level").await, @r"
    exit 0
    --- out
    checkout.max_items: 90
    log.level: info
    ");
    assert_snapshot!(kvconf.text("get checkout.max_items --at 1").await, @r"
    exit 0
    --- out
    80
    ");
    assert_snapshot!(normalised(&kvconf.run("get log.level logo --json").await.to_string(), None), @r#"
    exit 0
    --- out
    {"key":"log.level","revision":5,"value":"info","created":"[time]","author":"ops"}
    {"key":"logo","revision":6,"base64":"iVBOR/8=","created":"[time]"}
    "#);
    assert_snapshot!(kvconf.run("get checkout.max_itmes").await, @r"
    exit 3
    --- err
    error: checkout.max_itmes has no value
      help: did you mean checkout.max_items?
    ");
    assert_snapshot!(kvconf.run("get smtp.host --json").await, @r#"
    exit 3
    --- err
    {"error":{"causes":[],"exit":3,"help":["kvconf ls"],"kind":"not_found","message":"smtp.host has no value"}}
    "#);
}

#[tokio::test]
async fn a_secret_is_never_replaced_by_something_else_in_a_pipe() {
    // P11
    let (server, _bucket) = filled().await;
    let kvconf = Kvconf::of(&server);
    assert_snapshot!(kvconf.run("get checkout.payment.api_key").await, @r"
    exit 5
    --- err
    error: checkout.payment.api_key is a secret
      help: kvconf get checkout.payment.api_key --reveal
    ");
    assert_snapshot!(kvconf.run("get checkout.payment.api_key --reveal").await, @r"
    exit 0
    --- out
    hunter2
    ");
    let record = kvconf.run("get checkout.payment.api_key --json").await;
    assert_snapshot!(normalised(&record.to_string(), None), @r#"
    exit 0
    --- out
    {"key":"checkout.payment.api_key","revision":3,"masked":true,"created":"[time]","author":"ops"}
    "#);
}

/// Else each run would count for ten seconds against the most that a bucket may have.
#[tokio::test]
async fn a_run_leaves_no_consumer_behind() {
    let (server, bucket) = filled().await;
    let kvconf = Kvconf::of(&server);
    for verb in ["ls", "log", "export", "history log.level"] {
        assert_eq!(kvconf.run(verb).await.code, 0, "{verb}");
    }
    let bound = std::time::Duration::from_secs(5);
    let none_is_left = async || bucket.status().await.unwrap().consumers == 0;
    kvconf_tests::wait_until("no consumer", bound, none_is_left).await;
}
