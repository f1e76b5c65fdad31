//! `bucket`.

use insta::assert_snapshot;
use kvconf::Bucket;
use kvconf_tests::server::Server;

use crate::command::{Kvconf, normalised, server_with_bucket};

/// Without the two lines that differ between runs.
fn settled(text: &str) -> String {
    let lines = text.lines().filter(|line| !line.starts_with("created ") && !line.starts_with("server "));
    lines.collect::<Vec<_>>().join("\n")
}

#[tokio::test]
async fn a_bucket_is_made_shown_changed_and_removed() {
    let server = Server::start().await;
    let kvconf = Kvconf::of(&server);
    assert_snapshot!(kvconf.text("bucket ls").await, @r"
    exit 0
    --- err
    note: there is no bucket yet; `kvconf bucket create NAME` makes one
    ");
    assert_snapshot!(settled(&kvconf.text("bucket create shop --history 3 --max-age 30d --compression s2 --metadata team=checkout").await.to_string()), @r"
    exit 0
    --- out
    bucket          shop
    entries         0, 0 B
    revisions       0 to 0
    watched by      0, at most 100000
    history         3 revisions of a key
    max age         30d
    max bytes       no limit
    max value size  no limit
    storage         file
    replicas        1
    compression     s2
    limit markers   10s
    atomic batches  yes, 1000 keys at most
    metadata        team=checkout
    caveat: 3 revisions of a key are kept, 8 are needed to prove that a snapshot under concurrent writes is exact
      help: kvconf bucket update shop --history 64
    --- err
    note: bucket shop is there
    ");
    // One that is there with these settings is left alone, and with others it is not touched.
    assert_eq!(
        kvconf
            .run("bucket create shop --history 3 --max-age 30d --compression s2 --metadata team=checkout")
            .await
            .code,
        0
    );
    assert_snapshot!(kvconf.run("bucket create shop").await, @r"
    exit 4
    --- err
    error: bucket shop exists, with other settings
      help: kvconf bucket info shop
      help: kvconf bucket update shop …
    ");
    // An update of one option keeps all others.
    assert_snapshot!(settled(&kvconf.text("bucket update shop --history 64").await.to_string()), @r"
    exit 0
    --- out
    bucket          shop
    entries         0, 0 B
    revisions       0 to 0
    watched by      0, at most 100000
    history         64 revisions of a key
    max age         30d
    max bytes       no limit
    max value size  no limit
    storage         file
    replicas        1
    compression     s2
    limit markers   10s
    atomic batches  yes, 1000 keys at most
    metadata        team=checkout
    ");
    assert_snapshot!(settled(&kvconf.text("bucket update shop --max-age 0 --description settings").await.to_string()), @r"
    exit 0
    --- out
    bucket          shop
    description     settings
    entries         0, 0 B
    revisions       0 to 0
    watched by      0, at most 100000
    history         64 revisions of a key
    max age         for ever
    max bytes       no limit
    max value size  no limit
    storage         file
    replicas        1
    compression     s2
    limit markers   10s
    atomic batches  yes, 1000 keys at most
    metadata        team=checkout
    ");
    assert_snapshot!(kvconf.run("bucket update shop").await, @r"
    exit 2
    --- err
    error: no setting is named
      help: kvconf bucket update --help lists them
    ");
    assert_snapshot!(kvconf.run("bucket ls").await, @r#"
    exit 0
    --- out
    ["shop"]
    "#);
    assert_snapshot!(kvconf.run("bucket rm shop").await, @r"
    exit 10
    --- err
    error: bucket shop holds 0 entries, 0 bytes; there is nobody to ask whether it may go
      help: --yes answers beforehand
    ");
    assert_snapshot!(kvconf.run("bucket rm shop --yes").await, @r"
    exit 0
    --- err
    note: bucket shop is gone
    ");
    assert_snapshot!(kvconf.run("bucket rm shop --yes").await, @r"
    exit 3
    --- err
    error: bucket shop does not exist
      help: kvconf bucket ls
    ");
    assert_snapshot!(kvconf.run("bucket info shop").await, @r"
    exit 3
    --- err
    error: bucket shop does not exist
      help: kvconf bucket create shop
    ");
}

#[tokio::test]
async fn info_for_programs_has_every_setting() {
    let (server, bucket) = server_with_bucket().await;
    bucket.put("a", "1").await.unwrap();
    let ran = Kvconf::of(&server).run("bucket info").await;
    let mut document: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    document["server_version"] = "[version]".into();
    document["bytes"] = 0.into();
    let text = serde_json::to_string_pretty(&document).unwrap();
    assert_snapshot!(normalised(&text, None), @r#"
    {
      "bucket": "prod",
      "bytes": 0,
      "caveats": [],
      "compression": "none",
      "consumers": 0,
      "created": "[time]",
      "description": null,
      "entries": 1,
      "first_revision": 1,
      "history": 64,
      "last_revision": 1,
      "limit_markers_seconds": 10.0,
      "max_age_seconds": null,
      "max_batch": 1000,
      "max_bytes": null,
      "max_consumers": 100000,
      "max_value_size": null,
      "metadata": {},
      "mirror": null,
      "mirror_direct": false,
      "placement": null,
      "replicas": 1,
      "republish": null,
      "server_version": "[version]",
      "sources": [],
      "storage": "file"
    }
    "#);
}

#[tokio::test]
async fn fewer_revisions_are_not_kept_without_a_yes() {
    let (server, bucket) = server_with_bucket().await;
    bucket.put("a", "1").await.unwrap();
    bucket.put("a", "2").await.unwrap();
    let kvconf = Kvconf::of(&server);
    assert_snapshot!(kvconf.run("bucket update --history 1").await, @r"
    exit 10
    --- err
    error: there is nobody to ask: this is not a terminal
      help: --yes answers beforehand
    ");
    assert_eq!(bucket.status().await.unwrap().entries, 2);
    assert_eq!(kvconf.run("bucket update --history 1 --yes").await.code, 0);
    assert_eq!(bucket.status().await.unwrap().entries, 1);
}

#[tokio::test]
async fn a_bucket_that_copies_from_another_has_its_keys() {
    let (server, origin) = server_with_bucket().await;
    origin.put("app.port", "8080").await.unwrap();
    let kvconf = Kvconf::of(&server);
    let ran = kvconf.text("bucket create copy --source prod,filter=app.>").await;
    assert!(ran.out.contains("copies from     prod,filter=app.>\n"), "{ran}");
    let copy = Bucket::open(&server.client().await, "copy").await.unwrap();
    let arrived = async || copy.get("app.port").await.unwrap().is_some();
    kvconf_tests::wait_until("the copy", std::time::Duration::from_secs(30), arrived).await;
    assert_snapshot!(kvconf.run("bucket create mirror --mirror prod").await, @r"
    exit 1
    --- err
    error: the write was not made
      because a mirror in the same account and domain is not supported: the keys of mirror are those of prod: open prod itself, or use sources
    ");
    assert_snapshot!(kvconf.run_with(["bucket", "create", "x", "--source", "prod,until=7"]).await, @r#"
    exit 2
    --- err
    error: invalid value 'prod,until=7' for '--source <BUCKET>': "until=7" is none of filter=, from=, api= and deliver=

    For more information, try '--help'.
    "#);
}

#[tokio::test]
async fn a_bucket_that_another_tool_made_says_what_it_cannot_do_and_what_mends_it() {
    let server = Server::start().await;
    // Every revision, no atomic batches, no direct reads.
    let stream = r#"{ "name": "KV_prod", "subjects": ["$KV.prod.>"], "max_msgs_per_subject": -1 }"#;
    let made = server.client().await.request("$JS.API.STREAM.CREATE.KV_prod", stream.into()).await.unwrap();
    assert!(!String::from_utf8_lossy(&made.payload).contains("error"), "{made:?}");
    let kvconf = Kvconf::of(&server).variable("KVCONF_BUCKET", "prod");
    let info = kvconf.text("bucket info").await.to_string();
    let told: Vec<&str> = info.lines().skip_while(|line| !line.starts_with("caveat:")).collect();
    assert_snapshot!(told.join("\n"), @r"
    caveat: no atomic batches are taken: changes of several keys are refused
      help: kvconf bucket update prod --atomic-batches true
    caveat: no direct reads are taken: readings are not of one moment, and earlier states are not to be had
      help: nats stream edit KV_prod --allow-direct
    ");
    assert!(info.contains("history         every revision\n"), "{info}");
    assert_eq!(kvconf.run("set a=1 --yes").await.code, 0);
    assert_snapshot!(kvconf.text("set a=2 b=2 --yes").await, @r"
    exit 1
    --- out
    ~  a  1  →  2
    +  b        2
    --- err
    note: b is new; did you mean a?
    error: the write was not made
      because an atomic batch is not supported: bucket prod does not allow atomic batches; one_by_one writes the keys of a struct one after the other
      help: kvconf bucket update --atomic-batches true, on nats-server 2.12 or later; or one key at a time
    ");
    // Not without a yes: whatever is beyond them would go.
    assert_eq!(kvconf.run("bucket update --history 64").await.code, 10);
    assert_eq!(kvconf.run("bucket update --history 64 --atomic-batches true --yes").await.code, 0);
    assert_eq!(kvconf.run("set a=2 b=2 --yes").await.code, 0);
}
