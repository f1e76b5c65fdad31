//! Every way to log in, against servers that ask for it, by flags, variables and contexts of the `nats` command; and what is
//! said when it is the wrong one.

use std::path::Path;
use std::time::{Duration, SystemTime};

use async_nats::ConnectOptions;
use insta::assert_snapshot;
use kvconf::{Bucket, BucketConfig};
use kvconf_tests::server::{HubAndLeaf, Server};
use serde_json::json;

use crate::command::{Kvconf, Ran, normalised};
use crate::identity::{Authority, Operator, context};

fn write(folder: &Path, name: &str, text: &str) -> String {
    let path = folder.join(name);
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

fn shown(ran: &Ran, folder: &Path) -> String {
    normalised(&ran.to_string(), Some(folder))
}

/// Whether a value can be read.
async fn works(kvconf: &Kvconf, words: &str) {
    let ran = kvconf.run(&format!("get app.port -b prod {words}")).await;
    assert_eq!((ran.code, ran.out.as_str(), ran.err.as_str()), (0, "80", ""), "{words}: {ran}");
}

async fn filled(client: async_nats::Client) {
    let bucket = Bucket::create(client, BucketConfig::new("prod")).await.unwrap();
    bucket.put("app.port", "80").await.unwrap();
}

#[tokio::test]
async fn users_of_an_operator_log_in_by_their_credentials() {
    let operator = Operator::new();
    let server = Server::builder().config(operator.config()).start().await;
    let home = tempfile::tempdir().unwrap();
    let user = operator.user();
    filled(server.connect(ConnectOptions::with_credentials(&user.credentials()).unwrap()).await).await;
    let creds = write(home.path(), "ops.creds", &user.credentials());
    let kvconf = Kvconf::of(&server).variable("HOME", home.path().to_str().unwrap());

    works(&kvconf, &format!("--creds {creds}")).await;
    works(&kvconf, "--creds ~/ops.creds").await;
    works(&kvconf.clone().variable("NATS_CREDS", &creds), "").await;
    let bearer = operator.bearer();
    for (name, login) in [
        ("file", json!({ "creds": creds })),
        ("jwt", json!({ "user_jwt": user.jwt, "user_seed": user.seed })),
        ("bearer", json!({ "user_jwt": bearer.jwt })),
    ] {
        let mut stored = json!({ "url": server.url(), "description": "ours", "color_scheme": "red" });
        stored.as_object_mut().unwrap().extend(login.as_object().unwrap().clone());
        context(home.path(), name, &stored);
        works(&kvconf, &format!("--context {name}")).await;
    }

    let stranger = write(home.path(), "stranger.creds", &Operator::new().user().credentials());
    assert_snapshot!(shown(&kvconf.run(&format!("ls --creds {stranger}")).await, home.path()), @r"
    exit 8
    --- err
    error: nats://127.0.0.1:[port] does not accept the credentials in [folder]/stranger.creds
      help: log in with --creds, --nkey, --user and NATS_PASSWORD, NATS_TOKEN, or a --context
    ");
    let expired = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
    let expired = write(home.path(), "expired.creds", &operator.user_until(expired).credentials());
    assert_snapshot!(shown(&kvconf.run(&format!("ls --creds {expired}")).await, home.path()), @r"
    exit 8
    --- err
    error: nats://127.0.0.1:[port] does not accept the credentials in [folder]/expired.creds: expired at [time]
      help: have new credentials made: `nsc add user`, or `nsc edit user --expiry`
    ");
    let half = write(home.path(), "half.creds", &user.seed);
    assert_snapshot!(shown(&kvconf.run(&format!("ls --creds {half}")).await, home.path()), @r"
    exit 6
    --- err
    error: [folder]/half.creds has no usable credentials
      because cannot parse user JWT from the credentials file
      help: a file of credentials has a JWT and the seed of an nkey, as `nsc` writes them
    ");
    assert_snapshot!(shown(&kvconf.run(&format!("ls --nkey {creds}")).await, home.path()), @r"
    exit 8
    --- err
    error: nats://127.0.0.1:[port] does not accept the nkey in [folder]/ops.creds
      help: log in with --creds, --nkey, --user and NATS_PASSWORD, NATS_TOKEN, or a --context
    ");
    let no_seed = write(home.path(), "public.nk", "UABC");
    assert_snapshot!(shown(&kvconf.run(&format!("ls --nkey {no_seed}")).await, home.path()), @r"
    exit 6
    --- err
    error: [folder]/public.nk has no usable seed of an nkey
      help: a file of an nkey has a line that begins with SU, as `nk -gen user` writes it
    ");
    assert_snapshot!(shown(&kvconf.text(&format!("doctor --creds {expired}")).await, home.path()), @r"
    exit 11
    --- out
    fail     connection: nats://127.0.0.1:[port] does not accept the credentials in [folder]/expired.creds: expired at [time]
             help: have new credentials made: `nsc add user`, or `nsc edit user --expiry`
    --- err
    error: one check failed
    ");
}

#[tokio::test]
async fn certificates_are_checked_on_both_sides() {
    let (ours, theirs) = (Authority::new(), Authority::new());
    let ((server_cert, server_key), (cert, key)) = (ours.signs("server"), ours.signs("ops"));
    let tls = |cert: &Path, key: &Path| {
        let ca = ours.certificate();
        format!("tls {{ cert_file: {cert:?}, key_file: {key:?}, ca_file: {ca:?}, verify: true }}")
    };
    let server = Server::builder().config(tls(&server_cert, &server_key)).start().await;
    let options = ConnectOptions::new()
        .add_root_certificates(ours.certificate())
        .add_client_certificate(cert.clone(), key.clone());
    filled(server.connect(options).await).await;
    let home = tempfile::tempdir().unwrap();
    let kvconf = Kvconf::of(&server).variable("HOME", home.path().to_str().unwrap());
    let (ca, cert, key) = (ours.certificate().display().to_string(), cert.display(), key.display());

    works(&kvconf, &format!("--tlsca {ca} --tlscert {cert} --tlskey {key}")).await;
    let by_variables = kvconf.clone().variable("NATS_CA", &ca).variable("NATS_CERT", &cert.to_string());
    works(&by_variables.variable("NATS_KEY", &key.to_string()), "").await;
    let stored = json!({
        "url": server.url().replace("nats:", "tls:"), "ca": ca, "cert": cert.to_string(), "key": key.to_string(),
    });
    context(home.path(), "tls", &stored);
    works(&kvconf, "--context tls").await;

    let none = kvconf.run(&format!("ls --tlsca {ca}")).await;
    assert_snapshot!(shown(&none, home.path()), @r"
    exit 7
    --- err
    error: no TLS with nats://127.0.0.1:[port]
      because IO error: received fatal alert: CertificateRequired
      help: the server asks for a certificate of the client: --tlscert and --tlskey
    ");
    let (cert_of_others, key_of_others) = theirs.signs("ops");
    let (other, other_key) = (cert_of_others.display(), key_of_others.display());
    let stranger = kvconf.run(&format!("ls --tlsca {ca} --tlscert {other} --tlskey {other_key}")).await;
    assert_snapshot!(shown(&stranger, home.path()), @r"
    exit 7
    --- err
    error: no TLS with nats://127.0.0.1:[port]
      because IO error: received fatal alert: UnknownCA
      help: the server does not accept who has signed the client's certificate: --tlscert and --tlskey name another
    ");
    let wrong_ca = theirs.certificate().display().to_string();
    let wrong = kvconf.run(&format!("ls --tlsca {wrong_ca} --tlscert {cert} --tlskey {key}")).await;
    assert_snapshot!(shown(&wrong, home.path()), @r"
    exit 7
    --- err
    error: no TLS with nats://127.0.0.1:[port]
      because IO error: invalid peer certificate: BadSignature
      help: --tlsca names who has signed the server's certificate
    ");
    let yesterday = SystemTime::now() - Duration::from_secs(60 * 60);
    let (old, old_key) = ours.signs_until("old", yesterday);
    let (old, old_key) = (old.display(), old_key.display());
    let late = kvconf.run(&format!("ls --tlsca {ca} --tlscert {old} --tlskey {old_key}")).await;
    assert_snapshot!(shown(&late, home.path()), @r"
    exit 7
    --- err
    error: no TLS with nats://127.0.0.1:[port]
      because IO error: received fatal alert: CertificateExpired
      help: the client's certificate has expired: --tlscert and --tlskey name a new one
    ");
    let no_key = kvconf.run(&format!("ls --tlsca {ca} --tlscert {cert} --tlskey {ca}")).await;
    assert_snapshot!(shown(&no_key, ours.certificate().parent().unwrap()), @r"
    exit 6
    --- err
    error: [folder]/ca.pem has no private key in PEM form
    ");
    let no_file = kvconf.run("ls --tlsca /nonexistent/ca.pem").await;
    assert_snapshot!(shown(&no_file, home.path()), @r"
    exit 3
    --- err
    error: /nonexistent/ca.pem cannot be read
      because No such file or directory (os error 2)
    ");

    let (old_cert, old_key) = ours.signs_until("old-server", yesterday);
    let server = Server::builder().config(tls(&old_cert, &old_key)).start().await;
    let words = format!("ls --server {} --tlsca {ca} --tlscert {cert} --tlskey {key}", server.url());
    let ran = kvconf.run(&words).await;
    // It names both moments.
    assert!(ran.code == 7 && ran.err.contains("certificate expired"), "{ran}");
}

#[tokio::test]
async fn a_bucket_of_the_hub_is_used_through_a_leaf_node_by_its_domain() {
    let pair = HubAndLeaf::start().await;
    let hub = Bucket::create(&pair.hub.client().await, BucketConfig::new("prod")).await.unwrap();
    hub.put("app.port", "80").await.unwrap();
    let home = tempfile::tempdir().unwrap();
    context(home.path(), "edge", &json!({ "url": pair.leaf.url(), "jetstream_domain": "hub" }));
    context(home.path(), "prefix", &json!({ "url": pair.leaf.url(), "jetstream_api_prefix": "$JS.hub.API" }));
    let kvconf = Kvconf::of(&pair.leaf).variable("HOME", home.path().to_str().unwrap());
    for words in ["--js-domain hub", "--js-api-prefix $JS.hub.API", "--context edge", "--context prefix"] {
        works(&kvconf, words).await;
    }
    works(&kvconf.clone().variable("NATS_JS_DOMAIN", "hub"), "").await;
    let far = kvconf.variable("NATS_JS_DOMAIN", "hub");
    let ran = far.text("set app.port=81 app.host=a --yes -q").await;
    assert_eq!((ran.code, hub.get("app.host").await.unwrap().as_deref()), (0, Some(&b"a"[..])), "{ran}");
    let ran = far.text("rollback app --to 1 --yes -q").await;
    assert_eq!((ran.code, hub.get("app.host").await.unwrap()), (0, None), "{ran}");
    let exported = far.run("export").await;
    assert_snapshot!(exported, @r#"
    exit 0
    --- out
    {"key":"app.port","value":"80"}
    --- err
    note: as of revision 5
    "#);
    assert_eq!(far.run("log").await.out.lines().count(), 3);
    let found: serde_json::Value = serde_json::from_str(&far.run("doctor").await.out).unwrap();
    assert_eq!(found["verdict"], "pass", "{found:#}");
    // Without it, the leaf node's own is asked, which has no such bucket.
    let near = Kvconf::of(&pair.leaf).run("ls").await;
    assert_eq!(near.code, 3, "{near}");
    let nowhere = Kvconf::of(&pair.leaf).run("ls --js-domain hbu").await;
    assert_snapshot!(nowhere, @r"
    exit 7
    --- err
    error: the server refused the bucket's settings (error 503)
      because nobody answers for bucket prod: its replicas elect a leader, or JetStream is off
      help: kvconf doctor
      help: is hbu the name of a JetStream domain?
    ");
}

#[tokio::test]
async fn a_user_with_an_inbox_of_its_own_names_it_and_one_without_jetstream_is_told() {
    let users = r#"authorization { users: [
        { user: root, password: root }
        { user: own, password: own, permissions: { publish: [">"], subscribe: ["_INBOX_own.>"] } }
        { user: none, password: none, permissions: { publish: ["none"], subscribe: [">"] } }
    ] }"#;
    let server = Server::builder().config(users).start().await;
    filled(server.client_as("root", "root").await).await;
    let home = tempfile::tempdir().unwrap();
    let kvconf = Kvconf::of(&server).variable("HOME", home.path().to_str().unwrap());
    let own = kvconf.clone().variable("NATS_USER", "own").variable("NATS_PASSWORD", "own");
    works(&own, "--inbox-prefix _INBOX_own").await;
    works(&own.clone().variable("NATS_INBOX_PREFIX", "_INBOX_own"), "").await;
    let stored =
        json!({ "url": server.url(), "user": "own", "password": "own", "inbox_prefix": "_INBOX_own" });
    context(home.path(), "own", &stored);
    works(&kvconf, "--context own").await;
    let deaf = own.run("get app.port").await;
    assert_eq!(deaf.code, 8, "{deaf}");
    assert!(deaf.err.starts_with("error: ") && deaf.err.contains("_INBOX"), "{deaf}");
    let none = kvconf.variable("NATS_USER", "none").variable("NATS_PASSWORD", "none");
    assert_snapshot!(none.run("get app.port").await, @r"
    exit 8
    --- err
    error: not permitted: $JS.API.DIRECT.GET.KV_prod.$KV.prod.app.port
      help: allow the user to publish to $JS.API.DIRECT.GET.KV_prod.$KV.prod.app.port, or connect as another one: `kvconf doctor` lists what is missing
    ");
    let export = none.run("export").await;
    let help =
        "\n  help: allow the user to publish to $JS.API.CONSUMER.CREATE.KV_prod.*.$KV.prod.>, or connect";
    assert!(export.code == 8 && export.err.contains(help), "{export}");

    let server = Server::builder().without_jetstream().start().await;
    let kvconf = Kvconf::of(&server);
    for words in ["ls", "get app.port", "set app.port=1 --yes", "bucket create other"] {
        let ran = kvconf.run(words).await;
        assert_eq!(ran.code, 7, "{words}: {ran}");
    }
    assert_snapshot!(kvconf.run("ls").await, @r"
    exit 7
    --- err
    error: the server refused the bucket's settings (error 503)
      because nobody answers for bucket prod: its replicas elect a leader, or JetStream is off
      help: kvconf doctor
    ");
}
