//! Very many keys, and a hundred megabytes: everything that reads all of it does so in little memory, and stops
//! when nobody reads it.

use std::process::Stdio;
use std::time::Duration;

use async_nats::Client;
use tokio::io::AsyncReadExt;

use crate::command::{Kvconf, file, server_with_bucket};

/// Of all values together.
const BYTES: usize = 100_000_000;
const BOUND: Duration = Duration::from_secs(120);

/// In mebibytes.
const VALUES: usize = BYTES / (1024 * 1024);

/// Each run reads all of them, with a command that was built to be debugged: `KVCONF_CASES` makes them more.
fn keys() -> usize {
    kvconf_tests::cases(15_000).try_into().unwrap()
}

fn key(at: usize) -> String {
    format!("k{}.n{at}", at % 100)
}

/// As any client does it, which is quicker than change sets.
async fn fill(client: &Client, keys: usize, size: usize) {
    let value = bytes::Bytes::from("x".repeat(size));
    // The server is not to fall behind.
    let at_once = 2_000_000 / size;
    for at in 0..keys {
        let subject = format!("$KV.prod.{}", key(at));
        if at % at_once == at_once - 1 || at + 1 == keys {
            client.request(subject, value.clone()).await.unwrap();
        } else {
            client.publish(subject, value.clone()).await.unwrap();
        }
    }
}

/// How a run ended, with the most memory that it took, in mebibytes.
#[derive(Debug)]
struct Measured {
    code: i32,
    lines: usize,
    err: String,
    peak: usize,
}

/// The most memory that a process has taken so far, in mebibytes.
fn peak(process: u32) -> Option<usize> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<usize>().ok()? / 1024)
}

async fn measured(kvconf: &Kvconf, words: &str) -> Measured {
    let mut child = kvconf.command(words).stdin(Stdio::null()).spawn().unwrap();
    let (mut out, mut err) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
    let process = child.id().unwrap();
    let reading = async {
        let (mut lines, mut buffer, mut most) = (0, vec![0; 1024 * 1024], 0);
        loop {
            let count = out.read(&mut buffer).await.unwrap();
            most = most.max(peak(process).unwrap_or(0));
            if count == 0 {
                break (lines, most);
            }
            lines += buffer.iter().take(count).filter(|byte| **byte == b'\n').count();
        }
    };
    // What comes before the first line counts too.
    let looking = async {
        let mut most = 0;
        while let Some(now) = peak(process) {
            most = most.max(now);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        most
    };
    let mut told = String::new();
    let all = async {
        let ((lines, one), other, status, read) =
            tokio::join!(reading, looking, child.wait(), err.read_to_string(&mut told));
        read.unwrap();
        (lines, one.max(other), status.unwrap())
    };
    let (lines, peak, status) = tokio::time::timeout(BOUND, all).await.expect("it ends");
    Measured { code: status.code().unwrap_or(-1), lines, err: told, peak }
}

/// Whether a run took far less memory than all values do. The server sends up to 32 MiB ahead, whatever the bucket holds.
async fn holds_little(kvconf: &Kvconf, idle: usize, words: &str, lines: usize) {
    let ran = measured(kvconf, words).await;
    assert_eq!((ran.code, ran.lines, ran.err.as_str()), (0, lines, ""), "{words}");
    assert!(ran.peak < idle + VALUES * 4 / 5, "{words}: {} MiB, and {idle} for one key", ran.peak);
}

#[tokio::test]
async fn very_many_keys_are_looked_at_in_little_memory() {
    let (server, bucket) = server_with_bucket().await;
    let keys = keys();
    fill(&server.client().await, keys, BYTES / keys).await;
    assert_eq!(bucket.status().await.unwrap().last_revision.get(), keys as u64);
    let kvconf = Kvconf::of(&server);
    let idle = measured(&kvconf, "get k0.n0").await.peak;
    holds_little(&kvconf, idle, "export -q", keys).await;
    // What is looked for is little, in a bucket of very many names.
    holds_little(&kvconf, idle, "log -q -n 7", 7).await;
    holds_little(&kvconf, idle, &format!("diff -q {}", keys - 7), 7).await;
    quits_quietly(&kvconf).await;
}

#[tokio::test]
async fn everything_of_a_hundred_megabytes_is_looked_through_in_little_memory() {
    let (server, _bucket) = server_with_bucket().await;
    // Fewer keys with as many bytes take less time: nothing may hold their values either.
    let keys = keys() / 5;
    let size = BYTES / keys;
    fill(&server.client().await, keys, size).await;
    let kvconf = Kvconf::of(&server);
    let idle = measured(&kvconf, "get k0.n0").await.peak;
    let value = "x".repeat(size);
    let line = |at: usize| format!("{{\"key\":\"{}\",\"value\":\"{value}\"}}\n", key(at));
    let (_folder, path) = file("all.jsonl", (0..keys).map(line).collect::<String>());
    // In the form for people, which is made in less time.
    let runs = [
        (format!("import {path} --yes"), 1),
        ("ls --flat".to_owned(), keys),
        // A heading, a key and a line between two.
        (format!("log -n {keys}"), keys * 3 - 1),
        ("diff 1".to_owned(), keys - 1),
        (format!("diff {} {}", keys / 2, keys - 10), keys / 2 - 10),
    ];
    for (words, lines) in runs {
        holds_little(&kvconf, idle, &format!("{words} --quiet --text"), lines).await;
    }
}

/// As in `kvconf export | head -n 1`.
async fn quits_quietly(kvconf: &Kvconf) {
    let binary = env!("CARGO_BIN_EXE_kvconf");
    for words in ["export", "ls --json", "log", "diff 1"] {
        let script = format!("{binary} {words} | head -n 1; echo \"${{PIPESTATUS[0]}}\"");
        let mut shell = tokio::process::Command::new("bash");
        shell.args(["-c", &script]).env_clear().envs(kvconf.variables()).kill_on_drop(true);
        let output = tokio::time::timeout(BOUND, shell.output()).await.unwrap().unwrap();
        let out = String::from_utf8(output.stdout).unwrap();
        let told = String::from_utf8(output.stderr).unwrap();
        let (line, code) = out.trim_end().split_once('\n').unwrap_or((&out, &told));
        assert_eq!((code, told.as_str()), ("141", ""), "{words}: {line}");
    }
}

/// More than anything takes at once: a change set, a direct get, what a server sends ahead.
#[tokio::test]
async fn more_keys_than_anything_takes_at_once_are_imported_and_exported() {
    const MANY: usize = 2_345;
    let (server, bucket) = server_with_bucket().await;
    let lines: String =
        (0..MANY).map(|at| format!("{{\"key\":\"{}\",\"value\":\"v{at}\"}}\n", key(at))).collect();
    let (_folder, path) = file("many.jsonl", &lines);
    let kvconf = Kvconf::of(&server);
    let ran = kvconf.text(&format!("import {path}")).await;
    insta::assert_snapshot!(ran, @r"
    exit 10
    --- out
    2345 new, 0 changed, 0 removed, 0 as they are
    --- err
    error: there is nobody to ask: this is not a terminal
      help: --yes answers beforehand
    ");
    let ran = kvconf.text(&format!("import {path} --yes -m copy")).await;
    insta::assert_snapshot!(ran, @r"
    exit 0
    --- out
    2345 new, 0 changed, 0 removed, 0 as they are
    2345 keys written to prod, revision 2345
    ");
    let again = kvconf.text(&format!("import {path} --yes")).await;
    insta::assert_snapshot!(again, @r"
    exit 0
    --- out
    nothing to change: it stands so already
    ");
    let exported = kvconf.run("export").await;
    let sorted = |text: &str| {
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        lines.sort_unstable();
        lines
    };
    assert!(sorted(&exported.out) == sorted(&lines), "the export has other lines than the import");
    assert_eq!(kvconf.text("ls --flat").await.out.lines().count(), MANY);
    // P7
    let entry = bucket.entry("k0.n0").await.unwrap().unwrap();
    assert_eq!(entry.headers().get("Kvconf-Reason"), Some("copy"));
}
