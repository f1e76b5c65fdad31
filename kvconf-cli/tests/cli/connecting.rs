//! Finding the server, and what is said when there is none.

use insta::assert_snapshot;
use kvconf::{Bucket, BucketConfig};
use kvconf_tests::server::Server;

use crate::command::{Kvconf, file, normalised, server_with_bucket};
use crate::identity::context;

#[tokio::test]
async fn without_a_server_it_says_which_one_and_what_to_do() {
    let kvconf = Kvconf::alone()
        .variable("NATS_URL", "nats://ops:hunter2@127.0.0.1:1")
        .variable("KVCONF_BUCKET", "prod");
    assert_snapshot!(kvconf.run("ls").await, @r"
    exit 7
    --- err
    error: no server at nats://127.0.0.1:1
      because IO error: Connection refused (os error 111)
      help: name another with --server, NATS_URL or --context; `kvconf dev` starts one to try things with
    ");
}

#[tokio::test]
async fn what_is_missing_is_named() {
    let (server, _bucket) = server_with_bucket().await;
    let kvconf = Kvconf::alone().variable("NATS_URL", &server.url());
    assert_snapshot!(kvconf.run("ls").await, @r"
    exit 2
    --- err
    error: no bucket is named
      help: name it with --bucket, or set KVCONF_BUCKET
    ");
    assert_snapshot!(kvconf.run("ls -b other").await, @r"
    exit 3
    --- err
    error: bucket other does not exist
      help: the server has prod
      help: kvconf bucket create other
    ");
    assert_snapshot!(kvconf.run_with(["ls", "-b", "a.b"]).await, @r#"
    exit 6
    --- err
    error: "a.b" is no bucket name: it is made of a-z A-Z 0-9 - and _
    "#);
    assert_snapshot!(kvconf.run("ls -b prod --creds /nonexistent/x.creds").await, @r"
    exit 3
    --- err
    error: /nonexistent/x.creds cannot be read
      because No such file or directory (os error 2)
    ");
    assert_snapshot!(normalised(&kvconf.run("ls -b prod --context none").await.to_string(), None), @r"
    exit 3
    --- err
    error: there is no context none
      help: `nats context add` makes one; /nonexistent/.config/nats/context/none.json would be it
    ");
}

/// A server with these lines in its configuration, and a context of the `nats` command for it.
async fn guarded(config: &str) -> (Server, Kvconf) {
    let server = Server::builder().config(config).start().await;
    let kvconf = Kvconf::of(&server);
    (server, kvconf)
}

#[tokio::test]
async fn users_tokens_and_nkeys_log_in_by_flags_variables_and_contexts() {
    let pair = nkeys::KeyPair::new_user();
    let users = format!("{{ user: ops, password: s3cret }}, {{ nkey: {} }}", pair.public_key());
    let (server, kvconf) = guarded(&format!("authorization {{ users: [ {users} ] }}")).await;
    Bucket::create(&server.client_as("ops", "s3cret").await, BucketConfig::new("prod")).await.unwrap();
    let (folder, seed) = file("ops.nk", pair.seed().unwrap());
    let ends = async |kvconf: &Kvconf, words: &str| kvconf.run(words).await.code;

    assert_eq!(ends(&kvconf, "ls --user ops --password s3cret").await, 0);
    assert_eq!(ends(&kvconf.clone().variable("NATS_PASSWORD", "s3cret"), "ls --user ops").await, 0);
    assert_eq!(ends(&kvconf, &format!("ls --nkey {seed}")).await, 0);
    let stored = serde_json::json!({ "url": server.url(), "user": "ops", "password": "s3cret" });
    context(folder.path(), "prod", &stored);
    std::fs::write(folder.path().join(".config/nats/context.txt"), "prod\n").unwrap();
    let at_home = Kvconf::alone().variable("HOME", folder.path().to_str().unwrap());
    assert_eq!(ends(&at_home, "ls -b prod").await, 0);
    assert_eq!(ends(&at_home.clone().variable("NATS_CONTEXT", "prod"), "ls -b prod").await, 0);
    assert_eq!(ends(&at_home, "ls -b prod --context prod").await, 0);

    // P11
    let refused = kvconf.run("ls --user ops --password hunter2").await;
    assert_snapshot!(normalised(&refused.to_string(), None), @r"
    exit 8
    --- err
    error: nats://127.0.0.1:[port] does not accept the user ops with this password
      help: log in with --creds, --nkey, --user and NATS_PASSWORD, NATS_TOKEN, or a --context
    ");
    assert_snapshot!(normalised(&kvconf.run("ls").await.to_string(), None), @r"
    exit 8
    --- err
    error: nats://127.0.0.1:[port] does not accept a client without a login
      help: log in with --creds, --nkey, --user and NATS_PASSWORD, NATS_TOKEN, or a --context
    ");
    let unknown = at_home.run("ls -b prod --context staging").await;
    assert_snapshot!(unknown, @r"
    exit 3
    --- err
    error: there is no context staging
      help: there are: prod
    ");

    let (server, kvconf) = guarded("authorization { token: t0ken }").await;
    let client = server.connect(async_nats::ConnectOptions::with_token("t0ken".into())).await;
    Bucket::create(&client, BucketConfig::new("prod")).await.unwrap();
    assert_eq!(ends(&kvconf.clone().variable("NATS_TOKEN", "t0ken"), "ls").await, 0);
    assert_eq!(ends(&kvconf, "ls --user t0ken").await, 0);
}

#[tokio::test]
async fn tls_with_a_certificate_of_ones_own() {
    let names = ["127.0.0.1".to_owned(), "localhost".to_owned()];
    let made = rcgen::generate_simple_self_signed(names).unwrap();
    let (folder, certificate) = file("server.pem", made.cert.pem());
    let key = folder.path().join("key.pem");
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let key = key.to_str().unwrap();
    let (_server, kvconf) =
        guarded(&format!("tls {{ cert_file: {certificate:?}, key_file: {key:?} }}")).await;
    // It gets as far as to ask for the bucket.
    let reached = kvconf.run(&format!("ls --tlsca {certificate}")).await;
    assert_snapshot!(reached, @r"
    exit 3
    --- err
    error: bucket prod does not exist
      help: kvconf bucket create prod
    ");
    assert_snapshot!(normalised(&kvconf.run("ls").await.to_string(), None), @r"
    exit 7
    --- err
    error: no TLS with nats://127.0.0.1:[port]
      because IO error: invalid peer certificate: UnknownIssuer
      help: --tlsca names who has signed the server's certificate
    ");
    let half = kvconf.run(&format!("ls --tlscert {certificate}")).await;
    assert_snapshot!(half, @r"
    exit 2
    --- err
    error: --tlscert is given without --tlskey
    ");
}

#[tokio::test]
async fn a_server_that_says_nothing_is_given_up_in_time() {
    // P5
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("nats://{}", listener.local_addr().unwrap());
    let kvconf = Kvconf::alone().variable("KVCONF_BUCKET", "prod");
    let ran = kvconf.run(&format!("ls --server {url} --timeout 300ms")).await;
    assert_snapshot!(normalised(&ran.to_string(), None), @r"
    exit 7
    --- err
    error: no answer from nats://127.0.0.1:[port] within 300ms
      help: name another with --server, NATS_URL or --context; `kvconf dev` starts one to try things with
    ");
    drop(listener);
}
