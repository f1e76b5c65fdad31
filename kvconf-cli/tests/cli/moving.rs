//! `export`, `import` and `watch`: many keys, and keys as they come.

use std::collections::BTreeMap;
use std::time::Duration;

use insta::assert_snapshot;
use kvconf::{Bucket, BucketConfig};
use kvconf_tests::proxy::Proxy;
use kvconf_tests::server::Server;
use tokio::io::{AsyncBufReadExt, BufReader};

use crate::command::{Kvconf, file, normalised, server_with_bucket};

async fn other_bucket(server: &Server) -> Bucket {
    Bucket::create(&server.client().await, BucketConfig::new("other")).await.unwrap()
}

async fn contents(bucket: &Bucket) -> BTreeMap<String, Vec<u8>> {
    let reading = bucket.read(">").await.unwrap();
    reading.live().map(|entry| (entry.key().to_string(), entry.value().to_vec())).collect()
}

#[tokio::test]
async fn what_is_exported_is_imported_byte_for_byte() {
    let (server, bucket) = server_with_bucket().await;
    let other = other_bucket(&server).await;
    let values: [(&str, &[u8]); 7] = [
        ("a", b"1"),
        ("a.b", b"{\"x\":null}"),
        ("a.b.c", b"two\nlines \"and\" \\ more"),
        ("a/b=c", b""),
        ("bin", b"\x00\xff\xfe"),
        ("ratio", b"0.50"),
        ("gone", b"1"),
    ];
    for (key, value) in values {
        bucket.put(key, value).await.unwrap();
    }
    bucket.delete("gone").await.unwrap();
    let kvconf = Kvconf::of(&server);
    for form in ["lines", "toml", "json"] {
        let exported = kvconf.run(&format!("export --format {form}")).await;
        assert_eq!(exported.code, 0, "{exported}");
        other.edit().unset_others(">").plan().await.unwrap().commit().await.unwrap();
        let ran =
            kvconf.run_on(&format!("import - -b other --yes --format {form}"), exported.out.as_bytes()).await;
        assert_eq!(ran.code, 0, "{ran}");
        assert_eq!(contents(&other).await, contents(&bucket).await, "{form}");
    }
    assert_snapshot!(kvconf.run("export a.b").await, @r#"
    exit 0
    --- out
    {"key":"a.b.c","value":"two\nlines \"and\" \\ more"}
    --- err
    note: as of revision 8
    "#);
}

#[tokio::test]
async fn what_has_a_name_that_no_key_can_have_is_left_out_and_named() {
    let (server, bucket) = server_with_bucket().await;
    bucket.put("a", "1").await.unwrap();
    let context = async_nats::jetstream::new(server.client().await);
    for name in ["\u{fc}", "$x"] {
        let subject = format!("$KV.{}.{name}", bucket.name());
        context.publish(subject, "2".into()).await.unwrap().await.unwrap();
    }
    let kvconf = Kvconf::of(&server);
    assert_snapshot!(kvconf.run("export").await, @r#"
    exit 0
    --- out
    {"key":"a","value":"1"}
    --- err
    note: 2 values left out, with names that no key can have: "$KV.prod.ü", "$KV.prod.$x"
    note: as of revision 3
    "#);
    let listed = kvconf.run("ls").await;
    assert_eq!(
        listed.err,
        "note: 2 values left out, with names that no key can have: \"$KV.prod.\u{fc}\", \"$KV.prod.$x\"\n"
    );
}

#[tokio::test]
async fn secrets_are_left_out_and_stay_as_they_are() {
    // P11
    let (server, bucket) = server_with_bucket().await;
    bucket.put("db.password", "hunter2").await.unwrap();
    bucket.put("db.host", "a").await.unwrap();
    let kvconf = Kvconf::of(&server);
    let exported = kvconf.run("export").await;
    assert_snapshot!(exported, @r#"
    exit 0
    --- out
    {"key":"db.password","masked":true}
    {"key":"db.host","value":"a"}
    --- err
    note: as of revision 2
    note: 1 secret left out; --reveal writes them
    "#);
    let ran = kvconf.run_on("import - --yes --text", exported.out.as_bytes()).await;
    assert_snapshot!(ran, @r"
    exit 0
    --- out
    nothing to change: it stands so already
    --- err
    note: 1 secret of the file masked: what stands there stays
    ");
    assert_snapshot!(kvconf.run("export --format toml db").await.out, @r#"
    [db]
    host = "a"
    password = { "$masked" = true }
    "#);
    assert_snapshot!(kvconf.run("export --reveal").await.out, @r#"
    {"key":"db.password","value":"hunter2"}
    {"key":"db.host","value":"a"}
    "#);
}

#[tokio::test]
async fn one_bad_line_keeps_everything_from_being_written() {
    let (server, bucket) = server_with_bucket().await;
    let kvconf = Kvconf::of(&server);
    let good = "{\"key\":\"a\",\"value\":\"1\"}\n";
    let run = async |input: &str| kvconf.run_on("import - --yes", input.as_bytes()).await;
    assert_snapshot!(run(&format!("{good}{{\"key\":\"b\"")).await, @r"
    exit 6
    --- err
    error: standard input: line 2 is no record
      because EOF while parsing an object at line 1 column 10
    ");
    assert_snapshot!(run(&format!("{good}\n{good}")).await, @r"
    exit 6
    --- err
    error: standard input: line 3: a stands there twice, first in line 1
    ");
    assert_snapshot!(run("{\"key\":\"_kvconf.x\",\"value\":\"1\"}").await, @r"
    exit 6
    --- err
    error: standard input: line 1: _kvconf.x belongs to kvconf, as all keys below _kvconf
    ");
    assert_snapshot!(kvconf.run("import /nonexistent --yes").await, @r"
    exit 3
    --- err
    error: /nonexistent cannot be read
      because No such file or directory (os error 2)
    ");
    assert_eq!(bucket.status().await.unwrap().last_revision.get(), 0);
}

#[tokio::test]
async fn ctrl_c_in_the_middle_of_many_keys_says_how_many_were_written() {
    const KEYS: usize = 4_000;
    let (server, bucket) = server_with_bucket().await;
    // A way on which a thousand keys take a good part of a second.
    let proxy = Proxy::start(server.port()).await;
    proxy.slow(16 * 1024, Duration::from_millis(15));
    let kvconf = Kvconf::of(&server).variable("NATS_URL", &proxy.url());
    let lines: String = (0..KEYS).map(|at| format!("{{\"key\":\"k{at}\",\"value\":\"v\"}}\n")).collect();
    let (_folder, path) = file("many.jsonl", &lines);
    let mut watch = bucket.watch("k0").new_only().await.unwrap();
    let child = kvconf.command(&format!("import {path} --yes --text")).spawn().unwrap();
    let pid = child.id().unwrap().to_string();
    let first = async { while !matches!(watch.event().await, kvconf::WatchEvent::Entry(_)) {} };
    tokio::time::timeout(Duration::from_secs(60), first).await.unwrap();
    let sent = tokio::process::Command::new("kill").args(["-INT", &pid]).status().await.unwrap();
    assert!(sent.success());
    let output =
        tokio::time::timeout(Duration::from_secs(60), child.wait_with_output()).await.unwrap().unwrap();
    let written = bucket.status().await.unwrap().last_revision.get();
    let err = String::from_utf8_lossy(&output.stderr).into_owned();
    let expected = format!(
        "error: interrupted; {written} keys were written\n  help: run this again: it goes on where it stopped\n"
    );
    assert_eq!((output.status.code(), err), (Some(130), expected));
    assert!(written < KEYS as u64);
    let ran = Kvconf::of(&server).run(&format!("import {path} --yes --text")).await;
    assert!(ran.code == 0 && ran.out.ends_with("keys written to prod, revision 4000\n"), "{ran}");
}

#[tokio::test]
async fn watch_shows_changes_as_they_come() {
    let (server, bucket) = server_with_bucket().await;
    bucket.put("a.x", "1").await.unwrap();
    let mut child = Kvconf::of(&server).command("watch a --all --count 3 --text").spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let next = async |lines: &mut tokio::io::Lines<BufReader<_>>| {
        let line = tokio::time::timeout(Duration::from_secs(60), lines.next_line()).await;
        line.unwrap().unwrap().unwrap()[9..].to_owned()
    };
    assert_eq!(next(&mut lines).await, "1 a.x 1");
    bucket.put("b", "1").await.unwrap();
    bucket.put("a.y", "2").header("Kvconf-Author", "ops").header("Kvconf-Reason", "sale").await.unwrap();
    assert_eq!(next(&mut lines).await, "3 a.y 2  by ops (sale)");
    bucket.delete("a.x").await.unwrap();
    assert_eq!(next(&mut lines).await, "4 a.x (removed)");
    assert_eq!(child.wait().await.unwrap().code(), Some(0));
    let ran = Kvconf::of(&server).run("watch a --all --count 1").await;
    assert_snapshot!(normalised(&ran.to_string(), None), @r#"
    exit 0
    --- out
    {"key":"a.y","revision":3,"value":"2","created":"[time]","author":"ops","reason":"sale"}
    "#);
}

#[tokio::test]
async fn a_file_that_cannot_be_written_whole_does_not_replace_the_one_before() {
    let (server, bucket) = server_with_bucket().await;
    bucket.put("a", "1").await.unwrap();
    let (folder, path) = file("all.jsonl", "before\n");
    let kvconf = Kvconf::of(&server);
    let ran = kvconf.run(&format!("export -b other -o {path}")).await;
    assert_eq!((ran.code, std::fs::read_to_string(&path).unwrap().as_str()), (3, "before\n"), "{ran}");
    let ran = kvconf.run(&format!("export -o {path} -q")).await;
    let written = std::fs::read_to_string(&path).unwrap();
    assert_eq!((ran.code, written.as_str()), (0, "{\"key\":\"a\",\"value\":\"1\"}\n"), "{ran}");
    // Neither a half of it nor anything else is left beside it.
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    let ran = kvconf.run("export -o /nonexistent/all.jsonl").await;
    assert_snapshot!(ran, @r"
    exit 1
    --- err
    error: /nonexistent/all.jsonl cannot be written
      because No such file or directory (os error 2)
    ");
    let ran = kvconf.run("export -o /dev/stdout -q").await;
    assert_eq!((ran.code, ran.out.as_str()), (0, "{\"key\":\"a\",\"value\":\"1\"}\n"), "{ran}");
}
