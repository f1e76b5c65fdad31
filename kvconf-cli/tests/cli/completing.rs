//! Completing in shells.

use std::time::{Duration, Instant};

use insta::assert_snapshot;
use kvconf::{KvConfig, Schema, Secret};

use crate::command::{Kvconf, server_with_bucket};

/// What is logged.
#[derive(KvConfig, Debug, Clone)]
#[kv(prefix = "log")]
struct Log {
    /// From which level on.
    #[kv(default = "info", one_of("debug", "info", "warn"))]
    level: String,
    #[kv(default = 100)]
    lines: u32,
    token: Option<Secret<String>>,
}

/// How long a completer may take on a busy machine, where a second is all that it waits.
const SHORT: Duration = Duration::from_secs(10);

fn fish(kvconf: &Kvconf) -> Kvconf {
    kvconf.clone().variable("KVCONF_COMPLETE", "fish")
}

#[tokio::test]
async fn keys_and_values_are_offered_from_schemas_and_from_the_bucket() {
    // P11
    let (server, bucket) = server_with_bucket().await;
    let schema = Schema::of::<Log>().with_layers(["", "host.*"]).unwrap();
    bucket.publish_schema(&schema, "1.0.0").await.unwrap();
    bucket.put("log.level", "warn").await.unwrap();
    bucket.put("host.web-1.log.token", "hunter2").await.unwrap();
    bucket.put("shop.flags.cart", r#"{"state":"ENABLED","variants":{"on":true,"off":false}}"#).await.unwrap();
    let kvconf = fish(&Kvconf::of(&server));
    let offered = async |line: &str| {
        let ran = kvconf.run_with(["--", "kvconf", line]).await;
        assert_eq!((ran.code, &*ran.err), (0, ""), "{line}");
        ran.out
    };
    let of = async |words: &[&str]| {
        let mut arguments = vec!["--", "kvconf"];
        arguments.extend(words);
        let command = kvconf.command_of(arguments).output().await.unwrap();
        assert!(command.status.success() && command.stderr.is_empty(), "{command:?}");
        String::from_utf8(command.stdout).unwrap()
    };
    assert_snapshot!(of(&["set", "lo"]).await, @r"
    log.level=	From which level on.
    log.lines=	a whole number (u32)
    log.token=	a text
    ");
    assert_snapshot!(of(&["set", "log.level="]).await, @r"
    log.level=debug
    log.level=info	the default
    log.level=warn	stands there now
    ");
    assert_snapshot!(of(&["set", "host.web-1.log.l"]).await, @r"
    host.web-1.log.level=	From which level on.
    host.web-1.log.lines=	a whole number (u32)
    ");
    assert_snapshot!(of(&["set", "--layer", "host.web-9", "lo"]).await, @r"
    log.level=	From which level on.
    log.lines=	a whole number (u32)
    log.token=	a text
    ");
    assert_snapshot!(of(&["set", "--layer", ""]).await, @"host.web-1");
    assert_snapshot!(of(&["set", "x=1", "--schema-layers", ""]).await, @"host.*");
    assert_eq!(of(&["set", "host.web-1.log.token="]).await, "");
    assert_snapshot!(of(&["schema", "show", "l"]).await, @"log	Log 1.0.0");
    assert_snapshot!(of(&["flag", "on", "-p", "shop.flags", "c"]).await, @"cart");
    assert_snapshot!(of(&["flag", "on", "-p", "shop.flags", "cart", "--variant", "o"]).await, @r"
    off	false
    on	true
    ");
    assert!(offered("ge").await.starts_with("get"), "verbs are completed too");
}

#[tokio::test]
async fn changes_and_authors_are_offered_with_who_made_them() {
    let (server, bucket) = server_with_bucket().await;
    bucket.edit().set("a", "1").plan().await.unwrap().commit().author("ops").reason("sale").await.unwrap();
    let id = bucket.edit().set("a", "2").plan().await.unwrap().commit().author("deploy").await.unwrap();
    let kvconf = fish(&Kvconf::of(&server));
    let ran = kvconf.run_with(["--", "kvconf", "revert", ""]).await;
    let lines: Vec<&str> = ran.out.lines().collect();
    assert!(
        lines[0].starts_with(&format!("{}\t", &id.change()[..8])) && lines[0].ends_with(", by deploy"),
        "{ran}"
    );
    assert!(lines[1].ends_with(", by ops: sale"), "{ran}");
    let ran = kvconf.run_with(["--", "kvconf", "log", "--author", ""]).await;
    assert_eq!(ran.out, "deploy\nops\n");
    let ran = kvconf.run_with(["--", "kvconf", "rollback", "a", "--to", "1"]).await;
    assert!(ran.out.starts_with("1\t"), "{ran}");
}

#[tokio::test]
async fn a_shell_never_waits_for_a_server_that_is_not_there() {
    // P5
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let deaf = format!("nats://{}", silent.local_addr().unwrap());
    for url in [deaf.as_str(), "nats://127.0.0.1:1", "nats://kvconf.invalid"] {
        let kvconf = Kvconf::alone().variable("NATS_URL", url).variable("KVCONF_BUCKET", "prod");
        let begun = Instant::now();
        let ran = fish(&kvconf).run_with(["--", "kvconf", "set", "lo"]).await;
        assert_eq!((ran.code, &*ran.out, &*ran.err), (0, "", ""), "{url}");
        assert!(begun.elapsed() < SHORT, "{url}: {:?}", begun.elapsed());
    }
    let nameless = Kvconf::alone();
    let ran = fish(&nameless).run_with(["--", "kvconf", "set", "lo"]).await;
    assert_eq!((ran.code, &*ran.out, &*ran.err), (0, "", ""));
}

#[tokio::test]
async fn bash_completes_what_is_typed() {
    let (server, bucket) = server_with_bucket().await;
    bucket.publish_schema(&Schema::of::<Log>(), "1.0.0").await.unwrap();
    let bin = std::path::Path::new(env!("CARGO_BIN_EXE_kvconf")).parent().unwrap().to_str().unwrap();
    let kvconf = Kvconf::of(&server).variable("PATH", &format!("{bin}:/usr/bin:/bin")).variable("PS1", "$ ");
    let mut bash = kvconf.in_terminal_with("/bin/bash", &["--norc", "--noprofile", "-i"], 120);
    bash.sees("$ ", 1).await;
    bash.types("source <(kvconf completions bash) && echo rea''dy");
    bash.sees("ready", 1).await;
    // The value is still to come: no blank behind the key.
    bash.presses(b"kvconf set log.le\t");
    bash.sees("kvconf set log.level=", 1).await;
    bash.presses(b"de\t");
    bash.sees("kvconf set log.level=debug ", 1).await;
    bash.presses(b"--no-pre\t");
    bash.sees("--no-preflight ", 1).await;
    bash.presses(b"\x15kvconf get log.li\t");
    bash.sees("kvconf get log.lines ", 1).await;
    bash.presses(b"\x15kvconf ls --bucket=p\t");
    bash.sees("kvconf ls --bucket=prod ", 1).await;
    bash.presses(b"\x15kvconf set 'log.level=wa\t");
    bash.sees("'log.level=warn", 1).await;
    bash.presses(b"\x15exit\r");
    bash.ends().await;
}
