//! Secrets that stand encrypted in the bucket.

use std::collections::BTreeMap;

use kvconf::seal::{Keyring, SealKey, key_id, seal};
use kvconf::{Bucket, Key, KvConfig, Live, PlanError, ProblemKind, Secret, StartError};

#[derive(KvConfig, Debug, Clone)]
#[kv(prefix = "checkout")]
struct Checkout {
    #[kv(default = 50)]
    max_items: u32,
    #[kv(secret)]
    api_key: Secret<String>,
    #[kv(secret)]
    pin: Option<Secret<u16>>,
}

#[derive(KvConfig, Debug, Clone)]
#[kv(prefix = "checkout")]
struct Pins {
    #[kv(entries, secret)]
    pins: BTreeMap<String, Secret<u16>>,
}

fn key(id: &str, byte: u8) -> SealKey {
    SealKey::new(id, [byte; 32]).unwrap()
}

fn ring(id: &str, byte: u8) -> Keyring {
    Keyring::new(key(id, byte))
}

async fn put_sealed(bucket: &Bucket, ring: &Keyring, name: &str, clear: &str) -> kvconf::Revision {
    let name = Key::new(name).unwrap();
    let sealed = seal(ring, &name, clear.as_bytes()).unwrap();
    bucket.put(&name, sealed).await.unwrap()
}

async fn live(bucket: &Bucket, ring: Keyring) -> Live<Checkout> {
    bucket.live().keyring(ring).start().await.unwrap_or_else(|error| panic!("{error:?}"))
}

async fn stored(bucket: &Bucket, key: &str) -> Vec<u8> {
    bucket.get(key).await.unwrap().unwrap().to_vec()
}

#[tokio::test(start_paused = true)]
async fn a_sealed_secret_is_read_as_any_other() {
    let bucket = Bucket::memory();
    put_sealed(&bucket, &ring("a", 1), "checkout.api_key", "hunter2").await;
    put_sealed(&bucket, &ring("a", 1), "checkout.pin", "1234").await;
    let live = live(&bucket, ring("a", 1)).await;
    assert_eq!(live.load().api_key.expose(), "hunter2");
    assert_eq!(live.load().pin, Some(Secret::new(1234)));
    let revision = put_sealed(&bucket, &ring("a", 1), "checkout.api_key", "hunter3").await;
    live.wait_for(revision).await.unwrap();
    assert_eq!(live.load().api_key.expose(), "hunter3");
    // In clear as well: what is sealed is up to the writers.
    let revision = bucket.put("checkout.api_key", "plain").await.unwrap();
    live.wait_for(revision).await.unwrap();
    assert_eq!(live.load().api_key.expose(), "plain");
}

// P11
#[tokio::test(start_paused = true)]
async fn a_reader_without_the_key_says_which_one_it_lacks_and_nothing_more() {
    let bucket = Bucket::memory();
    put_sealed(&bucket, &ring("2025-06", 1), "checkout.api_key", "hunter2").await;
    let told = async |outcome: Result<Live<Checkout>, StartError>| match outcome {
        Err(StartError::Invalid(report)) => {
            assert_eq!(report.problems.len(), 1);
            assert_eq!(report.problems[0].kind, ProblemKind::Sealed);
            report.problems[0].to_string()
        }
        other => panic!("{other:?}"),
    };
    assert_eq!(
        told(bucket.live().start().await).await,
        "checkout.api_key: sealed with key 2025-06, and this program has no keyring"
    );
    assert_eq!(
        told(bucket.live().keyring(ring("b", 2)).start().await).await,
        "checkout.api_key: sealed with key 2025-06, which is not on the keyring"
    );
}

// P3, P11
#[tokio::test(start_paused = true)]
async fn a_tampered_or_copied_value_is_rejected_and_the_last_good_one_stays() {
    let bucket = Bucket::memory();
    put_sealed(&bucket, &ring("a", 1), "checkout.api_key", "hunter2").await;
    put_sealed(&bucket, &ring("a", 1), "checkout.pin", "1234").await;
    let live = live(&bucket, ring("a", 1)).await;

    let copied = bucket.put("checkout.api_key", stored(&bucket, "checkout.pin").await).await.unwrap();
    let refused = live.wait_for(copied).await.unwrap_err();
    assert_eq!(refused.to_string(), format!("revision {copied} was rejected"));
    let report = live.health().report.unwrap().to_string();
    let expected = "checkout.api_key: sealed with key a, and does not open: tampered with, copied from another key, or sealed with another key a";
    assert!(report.contains(expected) && report.contains("before: ***"), "{report}");
    assert!(!report.contains("kvconf-sealed") && !report.contains("hunter"), "{report}");
    assert_eq!(live.load().api_key.expose(), "hunter2");

    let good = put_sealed(&bucket, &ring("a", 1), "checkout.api_key", "hunter3").await;
    live.wait_for(good).await.unwrap();
    assert_eq!(live.load().api_key.expose(), "hunter3");
}

// P11
#[tokio::test(start_paused = true)]
async fn what_is_written_with_a_keyring_is_sealed_and_shown_to_nobody() {
    let bucket = Bucket::memory();
    bucket.put("checkout.api_key", "hunter2").await.unwrap();
    let live = live(&bucket, ring("a", 1)).await;
    let fields = Checkout::fields();
    let edit = live.edit().set(fields.api_key, Secret::new("hunter3".to_owned())).set(fields.max_items, 60);
    let plan = edit.plan().await.unwrap();
    assert_eq!(plan.to_string(), "checkout.api_key: *** → ***\ncheckout.max_items: (default 50) → 60");
    assert!(!format!("{plan:?}").contains("kvconf-sealed"), "{plan:?}");
    let applied = plan.commit().author("ops").await.unwrap();
    live.wait_for(applied.revision()).await.unwrap();
    assert_eq!(live.load().api_key.expose(), "hunter3");
    assert_eq!(key_id(&stored(&bucket, "checkout.api_key").await), Some("a"));
    assert_eq!(stored(&bucket, "checkout.max_items").await, b"60", "no secret");
    assert!(!live.explain(fields.api_key).to_string().contains("kvconf-sealed"));

    // The same value again writes nothing, though its sealed form would differ.
    let same = live.edit().set(fields.api_key, Secret::new("hunter3".to_owned())).plan().await.unwrap();
    assert!(same.is_empty());
    let applied = live.update(|cfg| cfg.pin = Some(Secret::new(7))).author("ops").await.unwrap();
    assert_eq!(applied.written().len(), 1);
    live.wait_for(applied.revision()).await.unwrap();
    assert_eq!(key_id(&stored(&bucket, "checkout.pin").await), Some("a"));
    assert_eq!(live.load().pin, Some(Secret::new(7)));
}

#[tokio::test(start_paused = true)]
async fn while_some_readers_have_no_key_a_writer_can_have_one_and_write_in_clear() {
    let bucket = Bucket::memory();
    bucket.put("checkout.api_key", "hunter2").await.unwrap();
    let live: Live<Checkout> = bucket.live().keyring(ring("a", 1)).without_sealing().start().await.unwrap();
    live.update(|cfg| cfg.api_key = Secret::new("hunter3".to_owned())).author("ops").await.unwrap();
    assert_eq!(stored(&bucket, "checkout.api_key").await, b"hunter3");
}

#[tokio::test(start_paused = true)]
async fn rotation_seals_everything_anew_and_changes_no_value() {
    let bucket = Bucket::memory();
    put_sealed(&bucket, &ring("old", 1), "checkout.api_key", "hunter2").await;
    bucket.put("checkout.pin", "1234").await.unwrap();
    let both = ring("new", 2).and(key("old", 1)).unwrap();
    let live = live(&bucket, both).await;
    let plan = live.edit().reseal().plan().await.unwrap();
    assert_eq!(plan.to_string(), "checkout.api_key: *** → ***\ncheckout.pin: *** → ***");
    let applied = plan.commit().author("ops").reason("rotation").await.unwrap();
    live.wait_for(applied.revision()).await.unwrap();
    for name in ["checkout.api_key", "checkout.pin"] {
        assert_eq!(key_id(&stored(&bucket, name).await), Some("new"), "{name}");
    }
    assert_eq!(
        (live.load().api_key.expose().as_str(), live.load().pin.clone()),
        ("hunter2", Some(Secret::new(1234)))
    );
    assert!(live.edit().reseal().plan().await.unwrap().is_empty());
    // The old key is not needed any more.
    let fresh: Live<Checkout> = bucket.live().keyring(ring("new", 2)).start().await.unwrap();
    assert_eq!(fresh.load().api_key.expose(), "hunter2");
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_opened_cannot_be_sealed_anew() {
    let bucket = Bucket::memory();
    bucket.put("checkout.api_key", "hunter2").await.unwrap();
    let live = live(&bucket, ring("a", 1)).await;
    let foreign = put_sealed(&bucket, &ring("b", 2), "checkout.api_key", "hunter3").await;
    live.wait_for(foreign).await.unwrap_err();
    let error = live.edit().reseal().plan().await.unwrap_err();
    assert!(matches!(&error, PlanError::Seal { key, .. } if key == "checkout.api_key"), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn entries_of_a_map_are_opened_one_by_one() {
    let bucket = Bucket::memory();
    put_sealed(&bucket, &ring("a", 1), "checkout.pins.door", "1234").await;
    bucket.put("checkout.pins.gate", "77").await.unwrap();
    let live: Live<Pins> = bucket.live().keyring(ring("a", 1)).start().await.unwrap();
    let expected = [("door".to_owned(), Secret::new(1234)), ("gate".to_owned(), Secret::new(77))];
    assert_eq!(live.load().pins, BTreeMap::from(expected));
    let revision = put_sealed(&bucket, &ring("a", 1), "checkout.pins.safe", "99").await;
    live.wait_for(revision).await.unwrap();
    assert_eq!(live.load().pins["safe"], Secret::new(99));
}

#[tokio::test(start_paused = true)]
async fn the_past_and_a_check_open_what_was_sealed_then() {
    let bucket = Bucket::memory();
    let first = put_sealed(&bucket, &ring("old", 1), "checkout.api_key", "hunter2").await;
    let both = ring("new", 2).and(key("old", 1)).unwrap();
    let live = live(&bucket, both.clone()).await;
    let plan = live.edit().reseal().plan().await.unwrap();
    let resealed = plan.commit().author("ops").reason("rotation").await.unwrap();
    live.wait_for(resealed.revision()).await.unwrap();
    let last = put_sealed(&bucket, &ring("new", 2), "checkout.api_key", "hunter3").await;
    live.wait_for(last).await.unwrap();

    let field = Checkout::fields().api_key;
    assert_eq!(live.at(first).await.unwrap().value().api_key.expose(), "hunter2");
    let history = live.history(field).await.unwrap();
    let values: Vec<Option<&str>> =
        history.iter().map(|revision| revision.state.value().map(|key| key.expose().as_str())).collect();
    assert_eq!(values, [Some("hunter3"), Some("hunter2"), Some("hunter2")]);
    assert!(!history.to_string().contains("kvconf-sealed"), "{history}");
    // Another text, the same value.
    let diff = live.diff(first, resealed.revision()).await.unwrap();
    assert!(diff.is_empty(), "{:?}", diff.changes());
    let diff = live.diff(first, last).await.unwrap();
    assert_eq!(diff.changes()[0].to_string(), "checkout.api_key: *** → ***");
    assert_eq!(diff.after(field).unwrap().expose(), "hunter3");

    assert!(bucket.check::<Checkout>().keyring(both).now().await.unwrap().would_start());
    assert!(!bucket.check::<Checkout>().now().await.unwrap().would_start());
}

/// A later version of the struct, in which a field is no secret any more.
#[derive(KvConfig, Debug, Clone)]
#[kv(prefix = "checkout")]
struct Published {
    #[kv(default = "none")]
    api_key: String,
    #[kv(entries)]
    pins: BTreeMap<String, String>,
}

// P3, P11
#[tokio::test(start_paused = true)]
async fn a_field_that_is_no_secret_any_more_does_not_serve_what_is_sealed() {
    let bucket = Bucket::memory();
    put_sealed(&bucket, &ring("a", 1), "checkout.api_key", "hunter2").await;
    put_sealed(&bucket, &ring("a", 1), "checkout.pins.door", "1234").await;
    // With the key or without it: opened, the value would show.
    for start in [bucket.live::<Published>(), bucket.live::<Published>().keyring(ring("a", 1))] {
        let Err(StartError::Invalid(report)) = start.start().await else { panic!("it starts") };
        let problems: Vec<_> = report.problems.iter().map(ToString::to_string).collect();
        let expected = [
            "checkout.api_key: sealed with key a, and the field is not marked secret",
            "checkout.pins.door: sealed with key a, and the field is not marked secret",
        ];
        assert_eq!(problems, expected);
        assert!(report.problems.iter().all(|problem| problem.kind == ProblemKind::Sealed));
    }

    // Written anew it is served, and a sealed text is refused by plans and by readers who are live.
    bucket.put("checkout.api_key", "public").await.unwrap();
    bucket.delete("checkout.pins.door").await.unwrap();
    let live = bucket.live::<Published>().start().await.unwrap();
    assert_eq!(live.load().api_key, "public");
    let name = Key::new("checkout.api_key").unwrap();
    let sealed = seal(&ring("a", 1), &name, b"hunter2").unwrap();
    let plan = live.edit().set(Published::fields().api_key, sealed.clone()).plan().await.unwrap();
    let told = plan.report().unwrap().problems[0].to_string();
    assert_eq!(told, "checkout.api_key: sealed with key a, and the field is not marked secret");
    let revision = bucket.put(&name, sealed).await.unwrap();
    assert!(live.wait_for(revision).await.is_err());
    assert_eq!(live.load().api_key, "public");
    // A text that only begins like one is told apart.
    let revision = bucket.put(&name, "kvconf-sealed:v9:a:AAAA").await.unwrap();
    assert!(live.wait_for(revision).await.is_err());
    let report = live.health().report.unwrap();
    let told = report.problems[0].to_string();
    assert_eq!(told, "checkout.api_key: looks sealed and is not: of a version that is not known here");
}

// P11
#[tokio::test(start_paused = true)]
async fn a_secret_that_another_key_of_the_same_id_has_sealed_is_not_taken_for_resealed() {
    let bucket = Bucket::memory();
    put_sealed(&bucket, &ring("a", 1), "checkout.api_key", "hunter2").await;
    let live = live(&bucket, ring("a", 1)).await;
    assert!(live.edit().reseal().plan().await.unwrap().is_empty());
    // Somebody has another key of that id.
    let revision = put_sealed(&bucket, &ring("a", 2), "checkout.api_key", "hunter3").await;
    assert!(live.wait_for(revision).await.is_err());
    let error = live.edit().reseal().plan().await.unwrap_err();
    let told = format!("{error}: {}", std::error::Error::source(&error).unwrap());
    let expected = "checkout.api_key cannot be sealed: sealed with key a, and does not open: tampered with, copied from another key, or sealed with another key a";
    assert_eq!(told, expected);
    // Who sets it needs not know what stood there.
    let edit = live.edit().set(Checkout::fields().api_key, Secret::new("hunter4".to_owned()));
    let plan = edit.reseal().plan().await.unwrap();
    assert_eq!(plan.to_string(), "checkout.api_key: *** → ***");
    let applied = plan.commit().author("ops").await.unwrap();
    live.wait_for(applied.revision()).await.unwrap();
    assert_eq!(live.load().api_key.expose(), "hunter4");
    // Nor is what a later version of the form has sealed.
    bucket.put("checkout.api_key", "kvconf-sealed:v9:a:AAAA").await.unwrap();
    live.wait_for(applied.revision().next()).await.unwrap_err();
    let error = live.edit().reseal().plan().await.unwrap_err();
    let told = std::error::Error::source(&error).unwrap().to_string();
    assert_eq!(told, "looks sealed and is not: of a version that is not known here");
}
