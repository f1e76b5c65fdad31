//! What took services down elsewhere: values that one tool wrote and every reader loaded at once.

use bytes::Bytes;
use kvconf::{Bucket, Codec, CommitError, DecodeError, EncodeError, KvConfig, Live};

use crate::live::settings::{Checkout, start};

/// Sets a key as any client can, and says whether readers took it.
async fn takes(bucket: &Bucket, live: &Live<Checkout>, key: &str, value: impl Into<Bytes>) -> bool {
    let revision = bucket.put(format!("checkout.{key}"), value).await.unwrap();
    live.wait_for(revision).await.is_ok()
}

// P3, P10
#[tokio::test(start_paused = true)]
async fn a_megabyte_in_every_kind_of_field_is_refused_shortly_and_the_last_good_value_stays() {
    let bucket = Bucket::memory();
    let live = start(&bucket).await;
    assert!(takes(&bucket, &live, "max_items", "60").await);
    let megabyte = "9".repeat(1_000_000);
    for key in ["max_items", "payment-timeout", "retry.max", "limits.gold", "countries", "workers"] {
        assert!(!takes(&bucket, &live, key, megabyte.clone()).await, "{key}");
    }
    assert_eq!((live.load().max_items, live.load().limits.len(), live.load().countries.len()), (60, 0, 2));
    let health = live.health();
    let report = health.report.unwrap();
    assert_eq!(report.problems.len(), 6);
    assert!(report.to_string().len() < 5_000, "{}", report.to_string().len());
    assert!(live.explain(Checkout::fields().max_items).to_string().len() < 1_000);
    // A text of that size is a text.
    assert!(takes(&bucket, &live, "region", megabyte).await);
    assert_eq!(live.load().region.as_ref().map(String::len), Some(1_000_000));
}

// P10
#[tokio::test(start_paused = true)]
async fn lists_in_lists_without_end_are_refused_and_overflow_nothing() {
    let bucket = Bucket::memory();
    let live = start(&bucket).await;
    for (open, close) in [("[", "]"), ("{\"a\":", "}"), ("[", "")] {
        let bomb = format!("{}{}", open.repeat(100_000), close.repeat(100_000));
        assert!(!takes(&bucket, &live, "countries", bomb).await);
        assert_eq!(live.load().countries, ["NL", "BE"]);
    }
    assert!(takes(&bucket, &live, "countries", r#"["DE"]"#).await);
    assert_eq!(live.load().countries, ["DE"]);
}

// P3, P10
#[tokio::test(start_paused = true)]
async fn bytes_that_are_no_utf8_are_refused_in_every_field_and_shown_as_printable_text() {
    let bucket = Bucket::memory();
    let live = start(&bucket).await;
    for key in ["max_items", "region", "api_key", "limits.gold", "countries", "payment-timeout"] {
        assert!(!takes(&bucket, &live, key, &b"\xff\xfe\x00\x1b[2J"[..]).await, "{key}");
    }
    let told = live.health().report.unwrap().to_string();
    assert!(!told.contains(|c: char| c.is_control() && c != '\n'), "{told:?}");
    assert_eq!((live.load().region.as_deref(), live.load().api_key.expose().as_str()), (None, "hunter2"));
}

// P3: a key above or below the one that a field reads is a stranger, not a value.
#[tokio::test(start_paused = true)]
async fn a_key_that_is_the_prefix_of_another_is_told_and_changes_no_value() {
    let bucket = Bucket::memory();
    let live = start(&bucket).await;
    for key in ["retry", "retry.max.more", "limits", "limits.a.b", "max_items.x"] {
        assert!(takes(&bucket, &live, key, "7").await, "{key}");
    }
    assert!(takes(&bucket, &live, "retry.max", "9").await);
    let cfg = live.load();
    assert_eq!((cfg.retry.max, cfg.max_items, cfg.limits.len()), (9, 50, 0));
    let report = live.health().report.unwrap();
    assert!(!report.is_fatal());
    let told: Vec<String> = report.problems.iter().map(ToString::to_string).collect();
    for key in ["retry", "retry.max.more", "limits", "limits.a.b", "max_items.x"] {
        let begin = format!("checkout.{key}: ");
        assert!(told.iter().any(|line| line.starts_with(&begin)), "{key} in {told:#?}");
    }
}

/// Writes what it does not read.
struct Forgetful;

impl Codec<String> for Forgetful {
    fn decode(&self, bytes: &[u8]) -> Result<String, DecodeError> {
        match bytes.strip_prefix(b"v1:") {
            Some(text) => Ok(String::from_utf8_lossy(text).into_owned()),
            None => Err(DecodeError::new("is not of version 1")),
        }
    }

    fn encode(&self, value: &String) -> Result<Bytes, EncodeError> {
        Ok(value.clone().into())
    }
}

#[derive(KvConfig, Debug, Clone)]
#[kv(prefix = "own")]
struct OwnCodec {
    #[kv(with = Forgetful, default = "none")]
    word: String,
}

// P3: the writer's idea of the value does not count, only what readers make of the bytes.
#[tokio::test(start_paused = true)]
async fn a_value_that_its_own_readers_cannot_read_back_is_not_written() {
    let bucket = Bucket::memory();
    let live: Live<OwnCodec> = bucket.live().start().await.unwrap();
    let plan = live.edit().set(OwnCodec::fields().word, "new".to_owned()).plan().await.unwrap();
    assert!(!plan.is_valid());
    let refused = plan.commit().author("ops").await.unwrap_err();
    assert!(refused.report().unwrap().to_string().contains("is not of version 1"), "{refused:?}");
    assert_eq!(bucket.get("own.word").await.unwrap(), None);
}

// P3: the gate has no way around it but the one that asks for a reason.
#[tokio::test(start_paused = true)]
async fn no_manner_of_writing_passes_the_check() {
    let bucket = Bucket::memory();
    let live = start(&bucket).await;
    let fields = Checkout::fields();
    let plan = async || {
        let edit = live.edit().set(fields.max_items, 501).set(fields.retry.min, 9);
        edit.plan().await.unwrap().commit().author("ops").reason("sale")
    };
    let refusals = [
        plan().await.await,
        plan().await.guard_all().await,
        plan().await.one_by_one().await,
        live.update(|c| c.max_items = 501).author("ops").reason("sale").await,
        live.update(|c| c.retry.min = 9).author("ops").reason("sale").one_by_one().await,
        plan().await.reason(" ").force().await,
    ];
    for (at, refusal) in refusals.into_iter().enumerate() {
        let error = refusal.unwrap_err();
        let expected = if at == 5 {
            matches!(error, CommitError::Attribution { what: "reason", .. })
        } else {
            matches!(error, CommitError::Invalid(_))
        };
        assert!(expected, "{at}: {error:?}");
    }
    assert_eq!(bucket.status().await.unwrap().last_revision.get(), 0);
}
