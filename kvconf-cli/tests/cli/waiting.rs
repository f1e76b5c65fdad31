//! What is shown in a terminal while something takes long. The way to the server is made slow.

use std::time::Duration;

use async_nats::Client;
use kvconf::fleet::Instance;
use kvconf::{Bucket, KvConfig, Live};
use kvconf_tests::instances::{self, Manner};
use kvconf_tests::proxy::Proxy;
use kvconf_tests::server::Server;

use crate::command::{Kvconf, file, server_with_bucket};
use crate::terminal::Ended;

/// Longer than a second, whatever the machine does.
const KEYS: usize = 3_000;

fn value(at: usize) -> String {
    format!("{at:0>1000}")
}

fn lines() -> String {
    (0..KEYS).map(|at| format!("{{\"key\":\"app.k{at}\",\"value\":\"{}\"}}\n", value(at))).collect()
}

async fn fill(bucket: &Bucket) {
    for part in (0..KEYS).collect::<Vec<_>>().chunks(1_000) {
        let batch = part
            .iter()
            .fold(bucket.batch(), |batch, at| batch.put(format!("app.k{at}").as_str(), value(*at)));
        batch.commit().await.unwrap();
    }
}

/// A way to the server that takes seconds for what [`fill`] has written.
async fn slow_way(server: &Server) -> (Proxy, Kvconf) {
    let proxy = Proxy::start(server.port()).await;
    proxy.slow(16 * 1024, Duration::from_millis(20));
    let kvconf = Kvconf::of(server).variable("NATS_URL", &proxy.url());
    (proxy, kvconf)
}

/// A progress line is taken away before anything else is written.
fn is_clean(raw: &str, ended: &Ended) {
    let (_, last) = raw.rsplit_once("\r\u{1b}[K").expect("a line was drawn");
    assert!(!last.contains(" %") && !last.contains(" keys\r"), "{}", ended.text);
}

#[tokio::test]
async fn an_export_and_a_listing_tell_how_many_keys_have_come() {
    let (server, bucket) = server_with_bucket().await;
    fill(&bucket).await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("all.jsonl");
    let exporting = format!("export -o {}", path.display());
    for words in [exporting.as_str(), "ls --flat -q --color always", "ls --flat"] {
        let (proxy, kvconf) = slow_way(&server).await;
        let terminal = kvconf.in_terminal(words, 40);
        if words.contains("-q") {
            // Whoever wants it quiet is not told.
            proxy.resume();
            let ended = terminal.ends().await;
            assert!(ended.code == 0 && !ended.text.contains(" keys"), "{}", ended.text);
            continue;
        }
        terminal.sees(" keys", 1).await;
        proxy.resume();
        terminal.sees(if words == exporting { "as of revision" } else { "app.k999 " }, 1).await;
        let raw = terminal.raw();
        let ended = terminal.ends().await;
        assert_eq!(ended.code, 0, "{}", ended.text);
        is_clean(&raw, &ended);
    }
    assert_eq!(std::fs::read_to_string(path).unwrap().lines().count(), KEYS);
}

#[tokio::test]
async fn an_import_has_a_bar_and_a_change_in_parts_too() {
    let (server, bucket) = server_with_bucket().await;
    let (_folder, path) = file("all.jsonl", lines());
    let document: serde_json::Map<String, serde_json::Value> =
        (0..KEYS).map(|at| (format!("k{at}"), format!("{at:0>500}").into())).collect();
    let (_folder, other) = file("all.json", serde_json::json!({ "app": document }).to_string());
    for words in [format!("import {path} --yes"), format!("apply {other} --in-parts --yes --no-preflight")] {
        let (proxy, kvconf) = slow_way(&server).await;
        let terminal = kvconf.in_terminal(&words, 40);
        terminal.sees("]  33 %", 1).await;
        proxy.resume();
        let ended = terminal.ends().await;
        assert!(ended.code == 0 && ended.text.contains("3000 keys written to prod"), "{}", ended.text);
    }
    assert_eq!(bucket.get("app.k7").await.unwrap().as_deref(), Some(format!("{:0>500}", 7).as_bytes()));
}

#[tokio::test]
async fn a_server_that_is_slow_to_answer_is_named_while_it_is_waited_for() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("nats://{}", listener.local_addr().unwrap());
    let kvconf = Kvconf::alone().variable("KVCONF_BUCKET", "prod").variable("NATS_URL", &url);
    let terminal = kvconf.in_terminal("ls --timeout 1800ms", 100);
    terminal.sees("connecting to nats://127.0.0.1", 1).await;
    let ended = terminal.ends().await;
    assert_eq!(ended.code, 7, "{}", ended.text);
    let told = format!("error: no answer from {url} within 1.8s\n");
    assert!(ended.text.contains(&told), "{}", ended.text);
}

#[tokio::test]
async fn a_server_that_goes_silent_in_the_middle_of_an_export_is_given_up() {
    // P5
    let (server, bucket) = server_with_bucket().await;
    fill(&bucket).await;
    let (proxy, kvconf) = slow_way(&server).await;
    let folder = tempfile::tempdir().unwrap();
    let terminal = kvconf.in_terminal(&format!("export -o {}", folder.path().join("x").display()), 100);
    terminal.sees(" keys", 1).await;
    proxy.hold();
    let ended = terminal.ends().await;
    assert_eq!(ended.code, 7, "{}", ended.text);
    assert!(ended.text.contains("\nerror: ") || ended.text.contains("error: "), "{}", ended.text);
}

#[derive(KvConfig, Debug, Clone)]
#[kv(prefix = "app")]
struct App {
    #[kv(default = 50)]
    max: u32,
}

async fn joined(client: Client, bucket: &Bucket) -> Live<App> {
    instances::live(client, "prod", "silent".to_owned(), Manner::Silent).await;
    let instance = Instance::named("app").id("a").version("1.1.0").host("node-1");
    bucket.live::<App>().instance(instance).start().await.unwrap()
}

#[tokio::test]
async fn waiting_for_the_fleet_tells_how_many_have_it_and_can_be_left() {
    let (server, bucket) = server_with_bucket().await;
    let client = server.client().await;
    let live = joined(client.clone(), &bucket).await;
    instances::has_arrived(&client).await;
    let words = "set app.max=60 --yes --no-preflight --expect 2 --wait all --within 60s";
    let mut terminal = Kvconf::of(&server).in_terminal(words, 40);
    terminal.sees("1 of 2 have it …", 1).await;
    terminal.interrupts();
    let ended = terminal.ends().await;
    assert_eq!(ended.code, 130, "{}", ended.text);
    let told = "error: interrupted while the fleet was waited for: the change stands\n  help: kvconf revert ";
    assert!(ended.text.contains(told), "{}", ended.text);
    assert_eq!(live.load().max, 60);
}
