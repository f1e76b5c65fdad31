//! Ctrl-C while something is being written: what was written and what was not.

use std::time::Duration;

use kvconf::{Bucket, Filter, WatchEvent};
use kvconf_tests::proxy::Proxy;
use kvconf_tests::server::Server;
use tokio::process::Command;

use crate::command::{Kvconf, Ran, file, server_with_bucket};

const BOUND: Duration = Duration::from_secs(60);
const KEYS: usize = 2_500;

/// How many of the keys have this value.
async fn having(bucket: &Bucket, value: &str) -> usize {
    let reading = bucket.read(Filter::all()).await.unwrap();
    reading.live().filter(|entry| entry.value() == value).count()
}

/// Keys below several prefixes, as a document that gives them all this value.
fn document(value: &str) -> String {
    let table = |name: usize| -> serde_json::Value {
        let keys = (0..KEYS).filter(|at| at % 5 == name);
        keys.map(|at| (format!("k{at}"), serde_json::Value::from(value)))
            .collect::<serde_json::Map<_, _>>()
            .into()
    };
    let tables = (0..5).map(|name| (format!("t{name}"), table(name)));
    serde_json::Value::from(tables.collect::<serde_json::Map<_, _>>()).to_string()
}

/// A way on which one change set of a thousand keys takes a good part of a second.
async fn slow_way(server: &Server) -> (Proxy, Kvconf) {
    let proxy = Proxy::start(server.port()).await;
    proxy.slow(16 * 1024, Duration::from_millis(15));
    let kvconf = Kvconf::of(server).variable("NATS_URL", &proxy.url());
    (proxy, kvconf)
}

/// Starts it, and presses Ctrl-C when the first part of what it writes stands there.
async fn interrupted(bucket: &Bucket, kvconf: &Kvconf, words: &str) -> Ran {
    let mut watch = bucket.watch_all().new_only().await.unwrap();
    let child = kvconf.command(words).spawn().unwrap();
    let pid = child.id().unwrap();
    let ends = async {
        let output = tokio::time::timeout(BOUND, child.wait_with_output()).await.expect("it ends").unwrap();
        Ran {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    };
    let first = async {
        while !matches!(watch.event().await, WatchEvent::Entry(_)) {}
        let sent = Command::new("kill").args(["-INT", &pid.to_string()]).status().await.unwrap();
        assert!(sent.success());
    };
    let (ran, ()) = tokio::join!(ends, first);
    ran
}

async fn newest_change(bucket: &Bucket) -> String {
    let log = bucket.log(kvconf::Prefix::root()).await.unwrap();
    log.changes().first().and_then(kvconf::LoggedChange::change).unwrap().to_owned()
}

#[tokio::test]
async fn a_change_in_parts_stops_after_one_and_goes_on_when_it_is_run_again() {
    let (server, bucket) = server_with_bucket().await;
    let (_proxy, kvconf) = slow_way(&server).await;
    let (_folder, path) = file("all.json", document("1"));
    let apply = format!("apply {path} --in-parts --yes --no-preflight");
    let ran = interrupted(&bucket, &kvconf, &apply).await;
    let written = having(&bucket, "1").await;
    let change = newest_change(&bucket).await;
    let told = format!(
        "error: interrupted; {written} of {KEYS} keys were written, {} were not\n  help: run this again: it goes on where it \
         stopped\n  help: kvconf revert {change} takes back what was written\n",
        KEYS - written
    );
    assert_eq!((ran.code, ran.err.as_str()), (130, told.as_str()));
    assert!([1_000, 2_000].contains(&written), "{written}");
    let quick = Kvconf::of(&server);
    let ran = quick.text(&apply).await;
    assert!(ran.code == 0 && ran.out.ends_with("revision 2500\n"), "{ran}");
    assert_eq!(having(&bucket, "1").await, KEYS);
}

#[tokio::test]
async fn a_rollback_in_parts_stops_after_one_and_goes_on_when_it_is_run_again() {
    let (server, bucket) = server_with_bucket().await;
    let (_proxy, kvconf) = slow_way(&server).await;
    let quick = Kvconf::of(&server);
    for value in ["1", "2"] {
        let (_folder, path) = file("all.json", document(value));
        let ran = quick.run(&format!("apply {path} --in-parts --yes --no-preflight")).await;
        assert_eq!(ran.code, 0, "{ran}");
    }
    let rollback = format!("rollback > --to {KEYS} --in-parts --yes --no-preflight");
    let ran = interrupted(&bucket, &kvconf, &rollback).await;
    let back = having(&bucket, "1").await;
    let change = newest_change(&bucket).await;
    let told = format!(
        "error: interrupted; {back} of {KEYS} keys were written, {} were not\n  help: run this again: it goes on where it \
         stopped\n  help: kvconf revert {change} takes back what was written\n",
        KEYS - back
    );
    assert_eq!((ran.code, ran.err.as_str()), (130, told.as_str()));
    assert!([1_000, 2_000].contains(&back), "{back}");
    assert_eq!(having(&bucket, "2").await, KEYS - back);
    let ran = quick.run(&rollback).await;
    let document: serde_json::Value = serde_json::from_str(&ran.out).expect("one document");
    let told = (&document["unchanged"], document["changes"].as_array().map(Vec::len), &document["revision"]);
    assert_eq!((ran.code, told), (0, (&back.into(), Some(KEYS - back), &(3 * KEYS).into())));
    assert_eq!(having(&bucket, "1").await, KEYS);
}

#[tokio::test]
async fn without_an_answer_it_says_that_nobody_knows_and_what_tells() {
    let (server, bucket) = server_with_bucket().await;
    let proxy = Proxy::start(server.port()).await;
    let kvconf = Kvconf::of(&server).variable("NATS_URL", &proxy.url());
    let mut terminal = kvconf.in_terminal("set a=1 b=2 --no-preflight", 100);
    terminal.sees("Write 2 keys? [y/N]", 1).await;
    proxy.hold();
    terminal.types("y");
    terminal.sees("writing … ", 1).await;
    terminal.interrupts();
    let ended = terminal.ends().await;
    let told = "error: interrupted while 2 keys were being written: they may have been written or not\n  help: kvconf show ";
    assert!(ended.code == 130 && ended.text.contains(told), "{}", ended.text);
    assert_eq!(bucket.status().await.unwrap().last_revision.get(), 0);
}

#[tokio::test]
async fn a_second_question_can_be_left_and_so_can_what_comes_before_it() {
    let (server, bucket) = server_with_bucket().await;
    bucket.put("a", "1").await.unwrap();
    let proxy = Proxy::start(server.port()).await;
    let kvconf = Kvconf::of(&server).variable("NATS_URL", &proxy.url());
    let mut terminal = kvconf.in_terminal("set a=2", 100);
    terminal.sees("[y/N]", 1).await;
    bucket.put("a", "3").await.unwrap();
    terminal.types("y");
    terminal.sees("[y/N]", 2).await;
    bucket.put("a", "4").await.unwrap();
    proxy.slow(32, Duration::from_millis(100));
    terminal.types("y");
    terminal.sees("writing … ", 1).await;
    // It conflicts in the end, and is planned for the third time.
    terminal.sees("planning … ", 1).await;
    terminal.interrupts();
    let ended = terminal.ends().await;
    assert!(ended.code == 130 && ended.text.ends_with("error: interrupted\n"), "{}", ended.text);
    assert_eq!(bucket.get("a").await.unwrap().as_deref(), Some(&b"4"[..]));
}
