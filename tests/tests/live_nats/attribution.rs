//! Who changed what, as any NATS client can read it.

use std::collections::BTreeSet;

use kvconf::{Attribution, KvConfig};

use super::{Pool, live, reach, stream, with_bucket};

// P7
#[tokio::test]
async fn a_commit_carries_its_author_reason_and_change_in_plain_headers() {
    let (server, bucket) = with_bucket().await;
    let pool = live(&bucket, "shop").await;
    let plan = pool.edit().set(Pool::fields().max, 20).set(Pool::fields().min, 2).plan().await.unwrap();
    let applied = plan.commit().author("eva").reason("sale – 50 %").await.unwrap();

    let raw = stream(&server).await;
    let mut changes = BTreeSet::new();
    for (key, value) in [("shop.max", "20"), ("shop.min", "2")] {
        let message = raw.get_last_raw_message_by_subject(&format!("$KV.b.{key}")).await.unwrap();
        let header = |name: &str| message.headers.get(name).map(|value| value.as_str().to_owned());
        assert_eq!(message.payload, value);
        assert_eq!(header("Kvconf-Author").as_deref(), Some("eva"));
        assert_eq!(header("Kvconf-Reason").as_deref(), Some("sale – 50 %"));
        changes.insert(header("Kvconf-Change").unwrap());
    }
    assert_eq!(changes.into_iter().collect::<Vec<_>>(), [applied.change()]);
}

// P7
#[tokio::test]
async fn a_commit_of_one_key_and_a_deletion_are_attributed_too() {
    let (server, bucket) = with_bucket().await;
    let pool = live(&bucket, "shop").await;
    pool.update(|pool| pool.name = Some("a".to_owned())).author("eva").await.unwrap();
    let plan = pool.edit().unset(Pool::fields().name).plan().await.unwrap();
    let applied = plan.commit().author("ops").reason("tidy up").await.unwrap();
    reach(&pool, applied.revision()).await;

    let message = stream(&server).await.get_last_raw_message_by_subject("$KV.b.shop.name").await.unwrap();
    let header = |name: &str| message.headers.get(name).unwrap().as_str();
    assert_eq!(header("KV-Operation"), "DEL");
    assert_eq!((header("Kvconf-Author"), header("Kvconf-Reason")), ("ops", "tidy up"));
    let history = bucket.history("shop.name").await.unwrap();
    let authors: Vec<_> = history.iter().map(|entry| Attribution::of(entry).author).collect();
    assert_eq!(authors, [Some("eva".into()), Some("ops".into())]);
}
