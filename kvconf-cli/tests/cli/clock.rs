//! Clocks that are hours off. Whose they are is decided by a library that is loaded before all others.

#![cfg(target_os = "linux")]

use std::process::Command;
use std::time::{Duration, SystemTime};

use kvconf::Bucket;
use kvconf_tests::wait_until;

use crate::command::{Kvconf, normalised, server_with_bucket};

/// Answers for the system's clock with another time.
const LIBRARY: &str = "
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
int clock_gettime(clockid_t clock, struct timespec *now) {
    int failed = syscall(SYS_clock_gettime, clock, now);
    if (!failed && clock == CLOCK_REALTIME) now->tv_sec += atol(getenv(\"OFF_BY\"));
    return failed;
}
";

/// The library, in a folder that goes with it.
fn library() -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let (source, library) = (folder.path().join("clock.c"), folder.path().join("clock.so"));
    std::fs::write(&source, LIBRARY).unwrap();
    let made = Command::new("cc").args(["-shared", "-fPIC", "-o"]).arg(&library).arg(&source).status();
    assert!(made.expect("there is a C compiler").success());
    let path = library.to_str().unwrap().to_owned();
    (folder, path)
}

/// The command on a machine whose clock is so many seconds ahead.
fn ahead(kvconf: &Kvconf, library: &str, seconds: i64) -> Kvconf {
    kvconf.clone().variable("LD_PRELOAD", library).variable("OFF_BY", &seconds.to_string())
}

const HOURS: i64 = 3 * 60 * 60;

fn second(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs()
}

async fn created(bucket: &Bucket, key: &str) -> SystemTime {
    bucket.entry(key).await.unwrap().unwrap().created()
}

#[tokio::test]
async fn times_are_meant_and_told_by_the_clock_of_the_server() {
    let (server, bucket) = server_with_bucket().await;
    bucket.put("app.port", "1").header("Kvconf-Author", "ops").await.unwrap();
    let first = created(&bucket, "app.port").await;
    let is_later = async || second(SystemTime::now()) > second(first);
    wait_until("another second", Duration::from_secs(5), is_later).await;
    bucket.put("app.port", "2").header("Kvconf-Author", "ops").await.unwrap();
    // A time of day between the two.
    let of_day = second(created(&bucket, "app.port").await) % (24 * 60 * 60);
    let of_day = format!("{:02}:{:02}:{:02}", of_day / 3_600, of_day / 60 % 60, of_day % 60);

    let (_folder, library) = library();
    let kvconf = Kvconf::of(&server);
    for (seconds, side) in [(HOURS, "ahead of"), (-HOURS, "behind")] {
        let kvconf = ahead(&kvconf, &library, seconds);
        let log = kvconf.text("log --since 1h --until now").await;
        assert_eq!((log.code, log.out.matches("revision ").count()), (0, 2), "{log}");
        assert!(!log.out.contains(" h ago"), "{log}");
        let note =
            format!("note: this machine's clock is 3h {side} the server's, whose times are meant here\n");
        assert!(log.err.contains(&note), "{log}");
        for words in ["history app.port", "explain app.port", "show 1", "ls -l"] {
            let ran = kvconf.text(words).await;
            assert!(ran.code == 0 && !ran.out.contains(" h ago"), "{words}: {ran}");
        }
        let diff = kvconf.text(&format!("diff {of_day} -q")).await;
        assert_eq!((diff.code, diff.out.as_str()), (0, "~  app.port  1  →  2\n"), "{diff}");
        let back = kvconf.text(&format!("rollback app.port --to {of_day} --dry-run -q")).await;
        assert!(back.code == 0 && back.out.contains("~  app.port  2  →  1\n"), "{back}");
        let too_early = kvconf.text("rollback app.port --to 1h --yes -q").await;
        assert_eq!(too_early.code, 3, "{too_early}");
    }
    assert_eq!(bucket.get("app.port").await.unwrap().as_deref(), Some(&b"2"[..]));
}

#[tokio::test]
async fn writes_need_no_clock_and_doctor_tells_that_it_is_off() {
    let (server, bucket) = server_with_bucket().await;
    let (_folder, library) = library();
    let kvconf = Kvconf::of(&server);
    for (seconds, at) in [(HOURS, "1"), (-HOURS, "2")] {
        let kvconf = ahead(&kvconf, &library, seconds);
        let ran = kvconf.run_with(["set", &format!("app.port={at}"), "--yes", "-q"]).await;
        assert_eq!(ran.code, 0, "{ran}");
        let off = created(&bucket, "app.port").await.duration_since(SystemTime::now()).unwrap_or_default();
        assert!(off < Duration::from_secs(60), "the server stamps it: {off:?}");
        let doctor = normalised(&kvconf.text("doctor").await.to_string(), None);
        let side = if seconds > 0 { "behind" } else { "ahead of" };
        let lines: Vec<&str> = doctor.lines().skip_while(|line| !line.contains(" clock: ")).take(2).collect();
        let told = [10_799, 10_800, 10_801].map(|seconds| {
            format!("warn     clock: the server's is {seconds} s {side} this one: times typed here, such as `--to 14:02`, are taken \
                 by the server's, rules of flags that ask for the time by this one")
        });
        assert!(told.contains(&lines[0].to_owned()), "{doctor}");
        assert_eq!(
            lines[1], "         help: timedatectl set-ntp true, on the machine that is wrong",
            "{doctor}"
        );
    }
}
