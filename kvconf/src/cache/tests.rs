use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, UNIX_EPOCH};

use proptest::prelude::{Strategy, any, prop, prop_assert, prop_assert_eq, prop_oneof, proptest};
use proptest::strategy::Just;

use super::cipher::Cipher;
use super::format::{content, decode, encode};
use super::shelf::{Boots, Generation, Trust};
use super::store::SaveResult;
use super::{CacheError, CacheStore, Damage, Owner, Saved};
use crate::{Entry, Headers, Key, MarkerReason, Operation, Revision};

fn owner() -> Owner {
    Owner { bucket: "prod".into(), prefix: "checkout".into(), name: "Checkout".into() }
}

fn put(key: &str, value: &[u8], revision: u64) -> Arc<Entry> {
    Arc::new(Entry {
        key: Key::new(key).unwrap(),
        revision: Revision::new(revision),
        value: value.to_vec().into(),
        operation: Operation::Put,
        marker: None,
        created: UNIX_EPOCH + Duration::new(1_750_000_000, 123_456_789),
        headers: [("Kvconf-Author", "ops")].into_iter().collect(),
    })
}

fn saved(value: &str, revision: u64) -> Saved {
    Saved {
        owner: owner(),
        created: Some(UNIX_EPOCH + Duration::from_secs(1_700_000_000)),
        revision: Revision::new(revision),
        tail: Revision::new(revision),
        saved_at: UNIX_EPOCH + Duration::from_secs(1_750_000_001),
        entries: vec![put("checkout.max_items", value.as_bytes(), revision)],
        omitted: vec![Key::new("checkout.api_key").unwrap()],
    }
}

#[test]
fn the_form_of_a_file_is_pinned() {
    let file = String::from_utf8(encode(&saved("60", 7), &Cipher::default()).unwrap()).unwrap();
    insta::assert_snapshot!(file, @r#"
    kvconf-cache 1 610339a972c58c39bc04b440fdb37bb74aa6c8bdece016459214652d1725d76a
    {"bucket":"prod","prefix":"checkout","struct":"Checkout","created":1700000000000000000,"revision":7,"tail":7,"saved":1750000001000000000,"entries":1,"omitted":["checkout.api_key"],"sealed":null}
    {"key":"checkout.max_items","revision":7,"created":1750000000123456789,"operation":"put","value":"60","headers":[["Kvconf-Author","ops"]]}
    "#);
}

fn entries() -> impl Strategy<Value = Vec<Arc<Entry>>> {
    let operation = prop_oneof![
        Just((Operation::Put, None)),
        Just((Operation::Unknown, None)),
        Just((Operation::Delete, None)),
        Just((Operation::Purge, Some(MarkerReason::MaxAge))),
    ];
    let headers = prop::collection::vec(("[A-Za-z-]{1,8}", ".{0,8}"), 0..3);
    let created = any::<(u32, u32)>();
    let entry = ("[a-z]{1,4}", any::<Vec<u8>>(), any::<u64>(), operation, headers, created).prop_map(
        |(key, value, revision, (operation, marker), headers, (seconds, nanos))| {
            Arc::new(Entry {
                key: Key::new(format!("checkout.{key}")).unwrap(),
                revision: Revision::new(revision),
                value: value.into(),
                operation,
                marker,
                created: UNIX_EPOCH + Duration::new(seconds.into(), nanos % 1_000_000_000),
                headers: headers.into_iter().collect::<Headers>(),
            })
        },
    );
    prop::collection::vec(entry, 0..8)
}

proptest! {
    // P9
    #[test]
    fn what_was_saved_is_read_back_exactly(entries in entries()) {
        let saved = Saved { entries, ..saved("60", 7) };
        for cipher in ciphers() {
            let file = encode(&saved, &cipher).unwrap();
            prop_assert_eq!(decode(&file, &owner(), &cipher), Ok((saved.clone(), cipher.id().map(str::to_owned))));
        }
    }

    // P9, P10
    #[test]
    fn a_damaged_file_is_passed_over_with_a_reason(
        at in any::<usize>(),
        bit in 0_u8..8,
        cut in any::<usize>(),
        junk in any::<Vec<u8>>(),
    ) {
        for cipher in ciphers() {
            let file = encode(&saved("60", 7), &cipher).unwrap();
            let mut flipped = file.clone();
            flipped[at % file.len()] ^= 1 << bit;
            prop_assert!(decode(&flipped, &owner(), &cipher).is_err());
            prop_assert!(decode(&file[..cut % file.len()], &owner(), &cipher).is_err());
            let longer = [file.as_slice(), &junk].concat();
            prop_assert!(junk.is_empty() || decode(&longer, &owner(), &cipher).is_err());
            prop_assert!(decode(&junk, &owner(), &cipher).is_err());
        }
    }

    // P10: also where somebody has made the checksum fit.
    #[test]
    fn no_content_panics(junk in any::<Vec<u8>>(), line in ".{0,64}") {
        for body in [junk, format!("{line}\n{line}\n").into_bytes()] {
            let file = super::format::with_checksum(&body);
            prop_assert!(decode(&file, &owner(), &Cipher::default()).is_err());
        }
    }
}

fn ciphers() -> Vec<Cipher> {
    #[cfg(feature = "seal")]
    return vec![Cipher::default(), encrypted(7)];
    #[cfg(not(feature = "seal"))]
    vec![Cipher::default()]
}

#[cfg(feature = "seal")]
fn encrypted(byte: u8) -> Cipher {
    use crate::seal::{Keyring, SealKey};
    Cipher { ring: Some(Keyring::new(SealKey::new("k", [byte; 32]).unwrap())) }
}

// P11
#[cfg(feature = "seal")]
#[test]
fn an_encrypted_file_shows_no_entry_and_opens_with_its_key_alone() {
    use crate::seal::SealError;

    let file = encode(&saved("hunter2", 7), &encrypted(7)).unwrap();
    let text = String::from_utf8(file.clone()).unwrap();
    assert!(!text.contains("hunter2") && !text.contains("max_items") && text.contains(r#""sealed":"k""#));
    let opened = |cipher: &Cipher| decode(&file, &owner(), cipher).unwrap_err();
    assert_eq!(opened(&Cipher::default()), Damage::Sealed(SealError::NoKeyring { id: "k".into() }));
    assert_eq!(opened(&encrypted(8)), Damage::Sealed(SealError::Tampered { id: "k".into() }));
}

#[test]
fn a_file_of_another_handle_or_version_is_passed_over() {
    let cipher = Cipher::default();
    let file = encode(&saved("60", 7), &cipher).unwrap();
    let other = Owner { prefix: "shop".into(), ..owner() };
    assert_eq!(decode(&file, &other, &cipher), Err(Damage::Foreign));
    let newer = String::from_utf8(file).unwrap().replacen("kvconf-cache 1 ", "kvconf-cache 2 ", 1);
    assert_eq!(decode(newer.as_bytes(), &owner(), &cipher), Err(Damage::Version));
    assert_eq!(decode(b"[settings]", &owner(), &cipher), Err(Damage::Magic));
}

#[test]
fn only_the_time_of_saving_makes_no_other_content() {
    let state = saved("60", 7);
    let later = Saved { saved_at: state.saved_at + Duration::from_secs(1), ..state.clone() };
    assert_eq!(content(&later, None), content(&state, None));
    assert_ne!(content(&saved("61", 7), None), content(&state, None));
    let recreated = Saved { created: None, ..state.clone() };
    assert_ne!(content(&recreated, None), content(&state, None));
    assert_ne!(content(&state, Some("k")), content(&state, None));
}

/// Gone at the end of the test.
struct Temporary(PathBuf);

impl Temporary {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("kvconf-cache-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        Self(path)
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn open(root: &Path) -> CacheStore {
    freed(|| {
        let (store, claimed) = CacheStore::open(root, owner(), Cipher::default(), 3);
        claimed.unwrap().then_some(store)
    })
}

/// Tries until the lock of a closed folder is free. That takes a moment when another test is just starting a process: until
/// that one runs it has all open files of this one.
fn freed<T>(mut attempt: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + Duration::from_secs(10);
    loop {
        if let Some(done) = attempt() {
            return done;
        }
        assert!(Instant::now() < end, "the lock is not freed");
        std::thread::yield_now();
    }
}

/// Saves and trusts a state.
fn keep(store: &mut CacheStore, value: &str, revision: u64) -> u64 {
    let SaveResult::Saved(generation) = store.save(&saved(value, revision)).unwrap() else {
        panic!("another process has {}", store.path().display())
    };
    assert_eq!(generation.trust, Trust::Candidate);
    store.promote(generation.number).unwrap();
    generation.number
}

/// What a start would take, as a process that dies at once leaves it behind.
fn boot_and_die(root: &Path) -> u64 {
    let mut store = open(root);
    let number = store.next().unwrap().unwrap().generation.number;
    store.begin_boot(number).unwrap();
    store.serves();
    number
}

// P9: also when the one who starts is gone before the disk has answered.
#[test]
fn a_start_that_is_given_up_says_nothing_about_the_state_that_it_began_with() {
    let root = Temporary::new("given-up");
    let mut store = open(&root.0);
    keep(&mut store, "60", 7);
    let boots = store.path().join("boots");
    drop(store);
    // One thread for all that blocks: what is asked for later is done later.
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_time().max_blocking_threads(1);
    runtime.build().unwrap().block_on(async {
        let cache = super::Cache::at(&root.0);
        for is_polled in [true, false] {
            let mut kept = loop {
                // As in `freed`: another test may be starting a process.
                let kept = cache.open(owner()).await.unwrap();
                if !kept.health.elsewhere {
                    break kept;
                }
            };
            let loaded = kept.next().await.unwrap();
            let mut boot = Box::pin(kept.boot(&loaded, Duration::from_secs(60)));
            if is_polled {
                assert!(futures_util::FutureExt::now_or_never(&mut boot).is_none());
                drop(boot);
            } else {
                boot.await;
                assert_eq!(fs::read_to_string(&boots).unwrap(), "1 1\n");
            }
            drop(kept);
            tokio::task::spawn_blocking(|| ()).await.unwrap();
            assert_eq!(fs::read_to_string(&boots).unwrap(), "");
        }
    });
}

// P9
#[test]
fn each_start_that_dies_is_followed_by_one_from_the_generation_before() {
    let folder = Temporary::new("crash");
    let mut store = open(&folder.0);
    for revision in 1..=5 {
        keep(&mut store, &format!("{revision}"), revision);
    }
    drop(store);
    // Three are kept: 5, 4 and 3. When all of them have failed it begins again with the newest.
    let boots: Vec<u64> = (0..5).map(|_| boot_and_die(&folder.0)).collect();
    assert_eq!(boots, [5, 4, 3, 5, 4]);
    let mut store = open(&folder.0);
    store.succeeded(5).unwrap();
    drop(store);
    assert_eq!(boot_and_die(&folder.0), 5);
}

// P9
#[test]
fn a_state_that_killed_its_process_is_not_what_the_next_start_begins_with() {
    let folder = Temporary::new("candidate");
    let mut store = open(&folder.0);
    keep(&mut store, "60", 7);
    store.save(&saved("61", 8)).unwrap();
    drop(store);
    let loaded = open(&folder.0).next().unwrap().unwrap();
    assert_eq!((loaded.saved.revision.get(), loaded.generation.trust), (7, Trust::Trusted));
}

// P9, P10
#[test]
fn damaged_files_are_passed_over_one_by_one() {
    let folder = Temporary::new("damaged");
    let mut store = open(&folder.0);
    for revision in 1..=3 {
        keep(&mut store, &format!("{revision}"), revision);
    }
    let path = |number| store.path().join(Generation::new(number, Trust::Trusted).file_name());
    fs::write(path(3), b"").unwrap();
    let half = fs::read(path(2)).unwrap();
    fs::write(path(2), &half[..half.len() / 2]).unwrap();
    drop(store);
    let mut store = open(&folder.0);
    let skipped = |store: &mut CacheStore| store.next().unwrap().unwrap_err().to_string();
    assert_eq!(skipped(&mut store), "0000000003.kvcache: no cache file");
    assert_eq!(skipped(&mut store), "0000000002.kvcache: the checksum does not fit");
    assert_eq!(store.next().unwrap().unwrap().saved, saved("1", 1));
    assert!(store.next().is_none());
    // The same state is written anew behind a file that cannot be read.
    assert_eq!(keep(&mut store, "3", 3), 4);
}

#[test]
fn a_state_that_stands_there_is_not_written_again() {
    let folder = Temporary::new("same");
    let mut store = open(&folder.0);
    let number = keep(&mut store, "60", 7);
    drop(store);
    let mut store = open(&folder.0);
    let SaveResult::Saved(found) = store.save(&saved("60", 7)).unwrap() else { panic!("not here") };
    assert_eq!(found, Generation::new(number, Trust::Trusted));
}

#[test]
fn one_process_writes_and_the_others_read() {
    let folder = Temporary::new("lock");
    let mut first = open(&folder.0);
    keep(&mut first, "60", 7);
    // Another open file is another owner, within one process too.
    let (mut second, claimed) = CacheStore::open(&folder.0, owner(), Cipher::default(), 3);
    assert_eq!(claimed, Ok(false));
    assert_eq!(second.next().unwrap().unwrap().saved, saved("60", 7));
    assert!(matches!(second.save(&saved("61", 8)), Ok(SaveResult::Elsewhere)));
    second.begin_boot(1).unwrap();
    drop(first);
    freed(|| match second.save(&saved("61", 8)).unwrap() {
        SaveResult::Saved(_) => Some(()),
        SaveResult::Elsewhere => None,
    });
    assert_eq!(fs::read_to_string(second.path().join("boots")).unwrap_or_default(), "");
}

// P11
#[cfg(unix)]
#[test]
fn files_are_for_their_owner_alone() {
    use std::os::unix::fs::PermissionsExt;

    let folder = Temporary::new("mode");
    let mut store = open(&folder.0);
    keep(&mut store, "60", 7);
    store.begin_boot(1).unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(store.path()), 0o700);
    let files: Vec<PathBuf> =
        fs::read_dir(store.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(files.len(), 3, "{files:?}");
    assert!(files.iter().all(|file| mode(file) == 0o600), "{files:?}");
}

#[test]
fn a_folder_that_cannot_be_made_is_an_error_that_names_it() {
    let folder = Temporary::new("blocked");
    fs::create_dir_all(&folder.0).unwrap();
    let file = folder.0.join("file");
    fs::write(&file, b"").unwrap();
    let (mut store, claimed) = CacheStore::open(&file, owner(), Cipher::default(), 3);
    let error = claimed.unwrap_err();
    assert!(
        matches!(&error, CacheError::Io { doing: "claim", folder, .. } if folder.starts_with(&file)),
        "{error}"
    );
    assert!(store.next().is_none());
    assert!(store.save(&saved("60", 7)).is_err());
}

// P9
#[tokio::test(start_paused = true)]
async fn a_cache_that_was_cleared_away_under_a_running_process_is_begun_anew() {
    let root = Temporary::new("cleared");
    let mut kept = super::Cache::at(&root.0).open(owner()).await.unwrap();
    let state = || Some(saved("60", 7));
    kept.due(&state).await;
    let folder = kept.health.folder.clone();
    assert!(folder.join("0000000001.candidate.kvcache").exists());
    fs::remove_dir_all(&root.0).unwrap();

    // What waited to be trusted is gone. That is told, and mended without waiting for the next change.
    tokio::time::sleep_until(kept.deadline().unwrap()).await;
    kept.due(&state).await;
    let (error, _) = kept.health.fault.clone().expect("it is told");
    assert_eq!(error.to_string(), format!("cannot promote {}: entity not found", folder.display()));
    for _ in 0..2 {
        tokio::time::sleep_until(kept.deadline().expect("it is tried again")).await;
        kept.due(&state).await;
    }
    assert_eq!((kept.health.fault.clone(), kept.health.saved.map(|saved| saved.trusted)), (None, Some(true)));
    assert!(folder.join("0000000001.kvcache").exists());
    // The lock is the one that others find.
    let (_, claimed) = CacheStore::open(&root.0, owner(), Cipher::default(), 3);
    assert_eq!(claimed, Ok(false));
}

#[test]
fn handles_with_similar_names_have_folders_of_their_own() {
    let folder = Temporary::new("names");
    let path = |bucket: &str, prefix: &str, name: &str| {
        let owner = Owner { bucket: bucket.into(), prefix: prefix.into(), name: name.into() };
        CacheStore::open(&folder.0, owner, Cipher::default(), 3).0.path().to_owned()
    };
    let long = "x".repeat(1_000);
    let paths = [
        path("b", "a/b", "C"),
        path("b", "a_b", "C"),
        path("b", "a=b", "C"),
        path("b", "", "C"),
        path("b", &long, "C"),
        path("b", &(long.clone() + "y"), "C"),
        path("c", "a_b", "C"),
    ];
    let distinct: std::collections::BTreeSet<&PathBuf> = paths.iter().collect();
    assert_eq!(distinct.len(), paths.len(), "{paths:?}");
    assert!(paths.iter().all(|path| path.parent().unwrap().parent().unwrap() == folder.0));
    assert_eq!(Boots::of_text(""), Boots::default());
}

fn inspect(root: &Path) -> Vec<super::CacheFile> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(super::Cache::at(root).inspect()).unwrap()
}

// P9
#[test]
fn an_inspection_shows_each_file_in_the_order_of_starts_and_changes_nothing() {
    let folder = Temporary::new("inspect");
    let mut store = open(&folder.0);
    for revision in 1..=3 {
        keep(&mut store, &format!("{revision}"), revision);
    }
    store.save(&saved("4", 4)).unwrap();
    store.begin_boot(3).unwrap();
    fs::write(store.path().join(Generation::new(1, Trust::Trusted).file_name()), b"").unwrap();
    // The writer holds its lock meanwhile.
    let files = inspect(&folder.0);
    let seen: Vec<_> = files
        .iter()
        .map(|file| {
            let revision = file.content.as_ref().map(|content| content.revision.get());
            (file.generation, file.trusted, file.failed_starts, revision.map_err(ToString::to_string))
        })
        .collect();
    assert_eq!(
        seen,
        [
            (2, true, 0, Ok(2)),
            (1, true, 0, Err("no cache file".to_owned())),
            (3, true, 1, Ok(3)),
            (4, false, 0, Ok(4)),
        ]
    );
    let content = files[0].content.as_ref().unwrap();
    let whose = (content.bucket.as_str(), content.prefix.as_str(), content.struct_name.as_str());
    assert_eq!(whose, ("prod", "checkout", "Checkout"));
    assert_eq!(content.entries, Ok(saved("2", 2).entries));
    assert_eq!(content.omitted, saved("2", 2).omitted);
    assert_eq!(inspect(store.path()), files, "the folder of one handle shows the same");
    store.promote(4).expect("the writer goes on undisturbed");
}

#[cfg(feature = "seal")]
#[test]
fn an_encrypted_file_tells_whose_it_is_without_its_key() {
    use crate::seal::SealError;

    let folder = Temporary::new("inspect-sealed");
    let (mut store, claimed) = CacheStore::open(&folder.0, owner(), encrypted(7), 3);
    assert_eq!(claimed, Ok(true));
    keep(&mut store, "hunter2", 7);
    let files = inspect(&folder.0);
    let content = files[0].content.as_ref().unwrap();
    assert_eq!((content.revision.get(), content.sealed_by.as_deref()), (7, Some("k")));
    assert_eq!(content.entries, Err(Damage::Sealed(SealError::NoKeyring { id: "k".into() })));
}

// P9: the key that is taken away at the end of a rotation is the one that no file needs any more.
#[cfg(feature = "seal")]
#[test]
fn a_state_is_written_anew_when_the_key_of_its_file_is_no_longer_the_one_that_seals() {
    use crate::seal::{Keyring, SealKey};

    let key = |id: &str| SealKey::new(id, [7; 32]).unwrap();
    let old = Cipher { ring: Some(Keyring::new(key("old"))) };
    let both = Cipher { ring: Some(Keyring::new(key("new")).and(key("old")).unwrap()) };
    let new = Cipher { ring: Some(Keyring::new(key("new"))) };
    let root = Temporary::new("rotation");
    let with = |cipher: &Cipher| {
        freed(|| {
            let (store, claimed) = CacheStore::open(&root.0, owner(), cipher.clone(), 3);
            claimed.unwrap().then_some(store)
        })
    };
    // In the clear, by the old key, by the new one: the same state each time. With and without a look at it first.
    let ciphers = [Cipher::default(), old, both.clone()];
    for (cipher, number) in ciphers.iter().zip(1..) {
        let mut store = with(cipher);
        store.next();
        assert_eq!(keep(&mut store, "60", 7), number);
    }
    let SaveResult::Saved(again) = with(&both).save(&saved("60", 7)).unwrap() else { panic!("not here") };
    assert_eq!(again, Generation::new(3, Trust::Trusted), "once is enough");
    assert_eq!(with(&new).next().unwrap().unwrap().saved, saved("60", 7));
}

#[test]
fn an_inspection_of_a_folder_that_is_not_there_says_so() {
    let folder = Temporary::new("inspect-none");
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let error = runtime.block_on(super::Cache::at(&folder.0).inspect()).unwrap_err();
    assert_eq!(error.to_string(), format!("cannot list {}: entity not found", folder.0.display()));
}

/// A pipe in the place of a file: whoever opens it waits for the other end.
#[cfg(unix)]
fn pipe(path: &Path) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(path).status().unwrap().success());
}

// P5, P9
#[cfg(unix)]
#[tokio::test]
async fn a_file_system_that_does_not_answer_does_not_hold_up_a_start_for_ever() {
    let root = Temporary::new("pipe-lock");
    let lock = CacheStore::path_of(&root.0, &owner()).join("lock");
    pipe(&lock);
    let begun = Instant::now();
    let mut kept = super::Cache::at(&root.0).open(owner()).await.unwrap();
    assert!(kept.next().await.is_none());
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    let folder = lock.parent().unwrap();
    let said = format!("the file system of {} does not answer", folder.display());
    assert_eq!(kept.health.fault.as_ref().map(|(error, _)| error.to_string()), Some(said));
    // Lets go of the thread that still waits.
    fs::File::open(&lock).unwrap();
}

// P10
#[cfg(unix)]
#[test]
fn a_generation_that_is_no_file_is_passed_over() {
    let root = Temporary::new("pipe");
    let folder = CacheStore::path_of(&root.0, &owner());
    pipe(&folder.join("0000000001.kvcache"));
    fs::create_dir(folder.join("0000000002.kvcache")).unwrap();
    let (mut store, _) = CacheStore::open(&root.0, owner(), Cipher::default(), 3);
    for name in ["0000000002.kvcache", "0000000001.kvcache"] {
        let skipped = store.next().unwrap().unwrap_err();
        assert_eq!(skipped.to_string(), format!("{name}: cannot be read: invalid input parameter"));
    }
}
