//! Finding the server, and what is said when there is none.

use insta::assert_snapshot;

use crate::command::{Kvconf, normalised, server_with_bucket};

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
