//! `doctor`, against what can be wrong.

use std::time::Duration;

use async_nats::jetstream::{self, kv};
use insta::assert_snapshot;
use kvconf::{Bucket, BucketConfig};
use kvconf_tests::server::{Cluster, Server, installed};
use kvconf_tests::{wait_for, wait_until};

use crate::command::{Kvconf, Ran, file, normalised, server_with_bucket};

/// What a run of it found, without what differs between runs and versions.
fn settled(ran: &Ran) -> String {
    let text = normalised(&ran.to_string(), None);
    let lines = text.lines().filter(|line| !line.contains(" server: ") && !line.contains(" clock: "));
    let lines = lines.map(|line| match line.split_once(" as a client without a login") {
        Some((_, _)) => "pass     connection: [server]".to_owned(),
        None => line.to_owned(),
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[tokio::test]
async fn nothing_is_wrong_with_a_bucket_that_kvconf_made_and_nothing_is_written() {
    let (server, bucket) = server_with_bucket().await;
    let kvconf = Kvconf::of(&server);
    assert_snapshot!(settled(&kvconf.text("doctor").await), @r"
    exit 0
    --- out
    pass     connection: [server]
    pass     JetStream: it is on
    pass     bucket: prod holds 0 entries, 0 bytes
    pass     history: 64 revisions of a key are kept
    pass     batches: several keys change at once, all or none
    pass     expiry: expired keys leave a marker
    pass     consumers: 0 of at most 100000 read it; each process that watches takes one
    pass     permissions: allowed for >: to watch, to end a watch, for flow control, to read a key, for consistent reads, to read at the leader, to write, to ask the fleet, to answer the fleet
    ");
    assert_eq!(bucket.status().await.unwrap().last_revision.get(), 0);
    let found: serde_json::Value = serde_json::from_str(&kvconf.run("doctor").await.out).unwrap();
    assert_eq!(found["verdict"], "pass");
    assert_eq!(found["checks"][3]["check"], "bucket");
}

#[tokio::test]
async fn no_server_and_a_login_that_is_wrong_are_told_with_what_helps() {
    let alone = Kvconf::alone().variable("NATS_URL", "nats://127.0.0.1:1").variable("KVCONF_BUCKET", "prod");
    assert_snapshot!(alone.text("doctor").await, @r"
    exit 11
    --- out
    fail     connection: no server at nats://127.0.0.1:1: IO error: Connection refused (os error 111)
             help: name another with --server, NATS_URL or --context; `kvconf dev` starts one to try things with
    --- err
    error: one check failed
    ");
    let server = Server::builder().config("authorization { user: ops, password: s3cret }").start().await;
    let ran = Kvconf::of(&server).text("doctor --user ops --password wrong").await;
    assert_snapshot!(normalised(&ran.to_string(), None), @r"
    exit 11
    --- out
    fail     connection: nats://127.0.0.1:[port] does not accept the user ops with this password
             help: log in with --creds, --nkey, --user and NATS_PASSWORD, NATS_TOKEN, or a --context
    --- err
    error: one check failed
    ");
}

#[tokio::test]
async fn jetstream_that_is_off_is_told() {
    let server = Server::builder().without_jetstream().start().await;
    assert_snapshot!(settled(&Kvconf::of(&server).text("doctor").await), @r#"
    exit 11
    --- out
    pass     connection: [server]
    fail     JetStream: it is off: there can be no bucket
             help: jetstream { store_dir: "/var/lib/nats" }, in the server's configuration; or nats-server --jetstream
    --- err
    error: one check failed
    "#);
}

#[tokio::test]
async fn a_bucket_that_is_not_there_is_told_with_those_that_are() {
    let (server, _bucket) = server_with_bucket().await;
    assert_snapshot!(settled(&Kvconf::of(&server).text("doctor --bucket pord").await), @r"
    exit 11
    --- out
    pass     connection: [server]
    pass     JetStream: it is on
    fail     bucket: pord does not exist
             help: name another; there are: prod
             help: kvconf bucket create pord
    --- err
    error: one check failed
    ");
    let nameless = Kvconf::alone().variable("NATS_URL", &server.url());
    assert_snapshot!(settled(&nameless.text("doctor").await), @r"
    exit 0
    --- out
    pass     connection: [server]
    pass     JetStream: it is on
    unknown  bucket: none is named, so none was looked at
             help: --bucket NAME; there are: prod
    ");
}

#[tokio::test]
async fn each_help_for_a_bucket_of_the_stock_tool_mends_what_it_is_about() {
    let server = Server::start().await;
    let client = server.client().await;
    let config = kv::Config { bucket: "prod".into(), history: 1, ..Default::default() };
    jetstream::new(client).create_key_value(config).await.unwrap();
    let kvconf = Kvconf::of(&server);
    let before = kvconf.text("doctor").await;
    assert_snapshot!(settled(&before), @r"
    exit 0
    --- out
    pass     connection: [server]
    pass     JetStream: it is on
    pass     bucket: prod holds 0 entries, 0 bytes
    warn     history: 1 revision of a key is kept: nothing can be rolled back, and states under concurrent writes cannot be proven exact
             help: kvconf bucket update prod --history 64
    warn     batches: no atomic batches: changes of several keys are refused
             help: kvconf bucket update prod --atomic-batches true
    warn     expiry: no markers for expired keys: values with a time to live, and changes that go back unless they are confirmed, are refused
             help: kvconf bucket update prod --limit-markers 10s
    warn     consumers: 0 of at most 1000 read it; each process that watches takes one, and no number is named: this server's default holds
             help: jetstream { limits { default_max_consumers: -1 } }, in the server's configuration
             help: kvconf export --bucket prod > all.jsonl; kvconf bucket create OTHER --max-consumers 100000; kvconf import all.jsonl --bucket OTHER
    pass     permissions: allowed for >: to watch, to end a watch, for flow control, to read a key, for consistent reads, to read at the leader, to write, to ask the fleet, to answer the fleet
    ");
    for line in before.out.lines().filter_map(|line| line.trim().strip_prefix("help: kvconf bucket update")) {
        let ran = kvconf.run(&format!("bucket update {line}")).await;
        assert_eq!(ran.code, 0, "{line}: {ran}");
    }
    let after = settled(&kvconf.text("doctor").await);
    let left: Vec<&str> = after.lines().filter(|line| !line.starts_with("pass")).collect();
    assert_snapshot!(left.join("\n"), @r"
    exit 0
    --- out
    warn     consumers: 0 of at most 1000 read it; each process that watches takes one, and no number is named: this server's default holds
             help: jetstream { limits { default_max_consumers: -1 } }, in the server's configuration
             help: kvconf export --bucket prod > all.jsonl; kvconf bucket create OTHER --max-consumers 100000; kvconf import all.jsonl --bucket OTHER
    ");
}

#[tokio::test]
async fn what_helps_where_a_bucket_has_to_be_made_anew_can_be_typed_as_it_stands() {
    let (server, bucket) = server_with_bucket().await;
    Bucket::destroy(&server.client().await, "prod").await.unwrap();
    let config = kv::Config { bucket: "prod".into(), ..Default::default() };
    jetstream::new(server.client().await).create_key_value(config).await.unwrap();
    for (key, value) in [("a", "1"), ("b.c", "2")] {
        bucket.put(key, value).await.unwrap();
    }
    let kvconf = Kvconf::of(&server);
    let before = kvconf.text("doctor").await;
    let help = before.out.lines().find_map(|line| line.trim().strip_prefix("help: kvconf export ")).unwrap();
    let commands: Vec<&str> = help.split("; kvconf ").collect();
    let [export, create, import] = commands[..] else { panic!("{help}") };
    let (export, name) = export.split_once(" > ").unwrap();
    let (_folder, path) = file(name, kvconf.run(&format!("export {export}")).await.out);
    assert_eq!(kvconf.run(create).await.code, 0, "{create}");
    let imported = kvconf.run(&format!("{} --yes", import.replace(name, &path))).await;
    assert_eq!(imported.code, 0, "{imported}");
    let other = Bucket::open(&server.client().await, "OTHER").await.unwrap();
    assert_eq!(other.get("b.c").await.unwrap().unwrap(), "2");
}

#[tokio::test]
async fn a_server_that_is_too_old_is_told_and_one_without_batches() {
    for (version, expected) in
        [("2.10.25", "is too old: kvconf needs 2.11"), ("2.11.11", "has no atomic batches")]
    {
        let server = Server::builder().binary(installed(version)).start().await;
        let ran = Kvconf::of(&server).text("doctor").await;
        assert!(ran.out.contains(&format!("server: nats-server {version} {expected}")), "{ran}");
    }
}

/// A user that may read and watch `checkout`, and nothing else.
pub(crate) const READER: &str = r#"
authorization { users: [
  { user: root, password: root }
  { user: reader, password: reader, permissions: {
    publish: ["$JS.API.DIRECT.GET.KV_prod.$KV.prod.checkout.>", "$JS.API.CONSUMER.CREATE.KV_prod.*.$KV.prod.checkout.>", "$JS.API.CONSUMER.DELETE.KV_prod.*", "$JS.FC.KV_prod.>"]
    subscribe: ["_INBOX.>"]
  } }
  { user: deaf, password: deaf, permissions: { publish: [">"], subscribe: ["_INBOX_deaf.>"] } }
] }"#;

#[tokio::test]
async fn missing_permissions_are_named_and_what_is_enough_for_a_prefix_is_seen() {
    let server = Server::builder().config(READER).start().await;
    let root = server.client_as("root", "root").await;
    Bucket::create(&root, BucketConfig::new("prod")).await.unwrap();
    let kvconf = Kvconf::of(&server);
    let as_reader = kvconf.clone().variable("NATS_USER", "reader").variable("NATS_PASSWORD", "reader");
    let without_connection = |ran: &Ran| {
        let text = settled(ran);
        text.lines().filter(|line| !line.contains("connection:")).collect::<Vec<_>>().join("\n")
    };
    assert_snapshot!(without_connection(&as_reader.text("doctor --prefix checkout").await), @r#"
    exit 0
    --- out
    unknown  JetStream: the user may not ask about the account
             help: allow the user to publish to $JS.API.INFO, where this is to be looked at
    warn     bucket: the settings of prod may not be asked for: the least is assumed, and only one key is written at a time
             help: allow the user to publish to $JS.API.STREAM.INFO.KV_prod, which tells the names of all keys
    warn     permission for consistent reads: $JS.API.DIRECT.GET.KV_prod is forbidden: no states of the past and no rollback; whoever has it reads the whole bucket
             help: allow the user to publish to $JS.API.DIRECT.GET.KV_prod
    warn     permission to read at the leader: $JS.API.STREAM.MSG.GET.KV_prod is forbidden: a read can lag behind one's own writes; whoever has it reads the whole bucket
             help: allow the user to publish to $JS.API.STREAM.MSG.GET.KV_prod
    warn     permission to write: $KV.prod.checkout.kvconf-doctor is forbidden: this user changes nothing
             help: allow the user to publish to $KV.prod.checkout.>
    warn     permission to ask the fleet: kvconf.prod.who.checkout is forbidden: instances are asked neither before a change nor after it
             help: allow the user to publish to kvconf.prod.*.checkout
    warn     permission to answer the fleet: kvconf.prod.who and kvconf.prod.*.checkout are forbidden: a service of this user is not asked; who only changes settings does not need it
             help: allow the user to subscribe to kvconf.prod.who and kvconf.prod.*.checkout
             help: and to answer: allow_responses: { max: 2, expires: "2m" }
    pass     permissions: allowed for checkout.>: to watch, to end a watch, for flow control, to read a key
    "#);
    assert_snapshot!(without_connection(&as_reader.text("doctor").await), @r#"
    exit 11
    --- out
    unknown  JetStream: the user may not ask about the account
             help: allow the user to publish to $JS.API.INFO, where this is to be looked at
    warn     bucket: the settings of prod may not be asked for: the least is assumed, and only one key is written at a time
             help: allow the user to publish to $JS.API.STREAM.INFO.KV_prod, which tells the names of all keys
    fail     permission to watch: $JS.API.CONSUMER.CREATE.KV_prod.kvconf-doctor.$KV.prod.> is forbidden: no service can follow these keys, and none starts
             help: allow the user to publish to $JS.API.CONSUMER.CREATE.KV_prod.*.$KV.prod.>
    warn     permission to read a key: $JS.API.DIRECT.GET.KV_prod.$KV.prod.kvconf-doctor is forbidden: `kvconf get` does not work, and a conflict cannot name the other author
             help: allow the user to publish to $JS.API.DIRECT.GET.KV_prod.$KV.prod.>
    warn     permission for consistent reads: $JS.API.DIRECT.GET.KV_prod is forbidden: no states of the past and no rollback; whoever has it reads the whole bucket
             help: allow the user to publish to $JS.API.DIRECT.GET.KV_prod
    warn     permission to read at the leader: $JS.API.STREAM.MSG.GET.KV_prod is forbidden: a read can lag behind one's own writes; whoever has it reads the whole bucket
             help: allow the user to publish to $JS.API.STREAM.MSG.GET.KV_prod
    warn     permission to write: $KV.prod.kvconf-doctor is forbidden: this user changes nothing
             help: allow the user to publish to $KV.prod.>
    warn     permission to ask the fleet: kvconf.prod.who.kvconf-doctor is forbidden: instances are asked neither before a change nor after it
             help: allow the user to publish to kvconf.prod.>
    warn     permission to answer the fleet: kvconf.prod.who and kvconf.prod.*.+ are forbidden: a service of this user is not asked; who only changes settings does not need it
             help: allow the user to subscribe to kvconf.prod.who and kvconf.prod.*.+
             help: and to answer: allow_responses: { max: 2, expires: "2m" }
    pass     permissions: allowed for >: to end a watch, for flow control
    unknown  scope: all keys were asked for; a user with less can be looked at by the prefix that it has
             help: kvconf doctor --prefix PREFIX
    --- err
    error: one check failed
    "#);
    let as_deaf = kvconf.variable("NATS_USER", "deaf").variable("NATS_PASSWORD", "deaf");
    let ran = as_deaf.text("doctor").await;
    assert!(ran.out.contains("fail     inbox: the user may not subscribe to _INBOX."), "{ran}");
    let heard = as_deaf.text("doctor --inbox-prefix _INBOX_deaf").await;
    assert!(!heard.out.contains("inbox:") && heard.out.contains("pass     permissions:"), "{heard}");
}

#[tokio::test]
async fn a_cluster_that_has_lost_most_of_its_servers_is_told() {
    let mut cluster = Cluster::start(3).await;
    let client = cluster.client().await;
    let mut config = BucketConfig::new("prod");
    config.num_replicas = Some(3);
    // A cluster that has just come up may be long about it.
    let made = async || Bucket::create(&client, config.clone()).await.ok();
    wait_for("a bucket on three replicas", Duration::from_secs(60), made).await;
    drop(client);
    let kvconf = Kvconf::of(&cluster.servers()[0]);
    let is_sound =
        async || kvconf.text("doctor").await.out.contains("pass     copies: 3 copies, all current");
    wait_until("three copies", Duration::from_secs(30), is_sound).await;
    for server in &mut cluster.servers_mut()[1..] {
        server.kill();
    }
    let is_told = async || {
        let ran = kvconf.text("doctor").await;
        ran.code == 11 && ran.out.contains("fail     ") && ran.out.contains("servers that are down")
    };
    wait_until("that most servers are gone is told", Duration::from_secs(60), is_told).await;
}
