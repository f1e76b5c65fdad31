//! Which entries of folders a path depends on, and what happens where the system does not help.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex};

use bytes::Bytes;
use tokio::sync::mpsc::unbounded_channel;

use super::system::{Handler, by_system};
use super::{Files, News, entries, look};
use crate::source::{FileSource, Reading, Unreadable};
use crate::{Bucket, Codec, DecodeError, EncodeError, KvConfig, ProblemKind, StartError, Text};

struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("kvconf-watch-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Self(path.canonicalize().unwrap())
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[cfg(unix)]
#[test]
fn a_path_depends_on_every_link_that_it_leads_over_and_on_what_is_missing() {
    use std::os::unix::fs::symlink;

    let folder = Folder::new("entries");
    let at = |name: &str| folder.0.join(name);
    let named = |path: &str| -> Vec<String> {
        let entries = entries::of(&at(path));
        entries.iter().map(|entry| entry.strip_prefix(&folder.0).unwrap().display().to_string()).collect()
    };
    fs::create_dir_all(at("conf/..2026")).unwrap();
    fs::write(at("conf/..2026/app.toml"), "").unwrap();
    symlink("..2026", at("conf/..data")).unwrap();
    symlink("..data/app.toml", at("conf/app.toml")).unwrap();
    symlink(at("conf"), at("mounted")).unwrap();
    symlink("loop", at("loop")).unwrap();

    assert_eq!(named("conf/..2026/app.toml"), ["conf/..2026/app.toml"]);
    let links = ["conf/..2026/app.toml", "conf/..data", "conf/app.toml"];
    assert_eq!(named("conf/app.toml"), links);
    assert_eq!(named("mounted/../mounted/./app.toml"), [&links[..], &["mounted"]].concat());
    assert_eq!(named("missing/below/app.toml"), ["missing"]);
    let below = ["conf/..2026/app.toml/below", "conf/..data", "conf/app.toml"];
    assert_eq!(named("conf/app.toml/below"), below);
    assert_eq!(named("loop"), ["loop"]);
}

#[derive(KvConfig, Debug, Clone)]
#[kv(prefix = "app")]
struct App {
    #[kv(default = 1)]
    level: u8,
}

fn no_more_watches(_: Handler) -> notify::Result<Box<dyn notify::Watcher + Send>> {
    Err(notify::Error::new(notify::ErrorKind::MaxFilesWatch))
}

// P5
#[tokio::test]
async fn without_the_systems_help_files_are_looked_at_in_intervals_and_that_is_said() {
    let folder = Folder::new("polled");
    let path = folder.0.join("app.toml");
    fs::write(&path, "app.level = 2\n").unwrap();
    let live = Bucket::memory().live::<App>().without_environment().file(path.as_path());
    let live = live.watched_by(no_more_watches).start().await.unwrap();
    let health = live.wait_for_health(|health| health.report.is_some()).await;
    let report = health.report.clone().unwrap();
    assert_eq!((report.problems.len(), report.problems[0].kind), (1, ProblemKind::Polled));
    assert_eq!(
        report.problems[0].message,
        "files are looked at in intervals, because the system does not tell of changes: the system's limit of watched \
         files is reached"
    );
    assert!(health.is_current() && !report.is_fatal());
    let mut changes = live.changes();
    fs::write(&path, "app.level = 3\n").unwrap();
    let changed =
        tokio::time::timeout(super::POLL * 10, changes.next()).await.expect("it is looked at").unwrap();
    assert_eq!(changed.after().level, 3);
}

/// Whether the file system below answers.
static ANSWERS: (Mutex<bool>, Condvar) = (Mutex::new(false), Condvar::new());

/// A file system that keeps whoever asks until it answers again.
fn stuck(path: &Path) -> Reading {
    let (answers, changed) = &ANSWERS;
    drop(changed.wait_while(answers.lock().unwrap(), |answers| !*answers).unwrap());
    look::look(path)
}

// P5
#[tokio::test]
async fn a_file_system_that_does_not_answer_holds_up_nobody_and_is_told() {
    let folder = Folder::new("stuck");
    let path = folder.0.join("app.toml");
    fs::write(&path, "app.level = 2\n").unwrap();
    let mut files = Files::new(vec![FileSource::new(path.as_path()).check().unwrap()]);
    files.look = stuck;
    let first: Vec<Reading> = files.first_look().await.into_iter().map(|(_, reading)| reading).collect();
    assert_eq!(first, [Err(Unreadable::NoAnswer)]);

    let (tell, mut told) = unbounded_channel();
    let following = tokio::spawn(async move {
        files
            .follow(
                by_system,
                Box::new(move |_, news| {
                    if let News::Reading(0, reading) = news {
                        let _ = tell.send(reading);
                    }
                }),
            )
            .await;
    });
    *ANSWERS.0.lock().unwrap() = true;
    ANSWERS.1.notify_all();
    assert_eq!(told.recv().await, Some(Ok(b"app.level = 2\n".to_vec())));
    following.abort();
}

/// The program's own code, which does not cope with everything.
struct Brittle;

impl Codec<String> for Brittle {
    fn decode(&self, bytes: &[u8]) -> Result<String, DecodeError> {
        Text.decode(bytes)
    }

    fn encode(&self, value: &String) -> Result<Bytes, EncodeError> {
        Text.encode(value)
    }

    fn stored_form(&self, text: Option<&str>) -> Option<Bytes> {
        assert!(text != Some("boom"), "no form for that");
        Codec::<String>::stored_form(&Text, text)
    }
}

#[derive(KvConfig, Debug, Clone)]
#[kv(prefix = "app")]
struct Panics {
    #[kv(with = Brittle, default = "usual")]
    word: String,
}

// P3, P5, P10
#[tokio::test]
async fn a_file_on_which_the_programs_own_code_panics_is_a_bad_one_and_is_followed_on() {
    let folder = Folder::new("panics");
    let path = folder.0.join("app.toml");
    fs::write(&path, "app.word = 'fine'\n").unwrap();
    let live = || Bucket::memory().live::<Panics>().without_environment().file(path.as_path());
    let running = live().start().await.unwrap();
    fs::write(&path, "app.word = 'boom'\n").unwrap();
    let bound = super::COMPARE * 4;
    let told = running.wait_for_health(|health| health.report.is_some());
    let health = tokio::time::timeout(bound, told).await.expect("it is told");
    let message = format!("{}: the program's own code panicked on it", path.display());
    let problem = &health.report.as_ref().unwrap().problems[0];
    assert_eq!((problem.kind, problem.to_string()), (ProblemKind::Panic, message.clone()));
    assert_eq!(running.load().word, "fine");
    match live().start().await {
        Err(StartError::Invalid(report)) => assert_eq!(report.problems[0].to_string(), message),
        other => panic!("{other:?}"),
    }

    let mut changes = running.changes();
    fs::write(&path, "app.word = 'well'\n").unwrap();
    let changed = tokio::time::timeout(bound, changes.next()).await.expect("it is followed").unwrap();
    assert_eq!((changed.after().word.as_str(), running.health().report), ("well", None));
}
