use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use tokio::time::timeout;

use super::{Interruption, Watch, WatchEvent};
use crate::{Bucket, BucketConfig, Fault, Key, MemoryFaults, ReadError, Revision};

/// Longer than any pause between two attempts.
const LONG: Duration = Duration::from_secs(120);

fn bucket() -> (Bucket, MemoryFaults) {
    Bucket::memory_with_faults(BucketConfig::new("test")).unwrap()
}

fn short(event: WatchEvent) -> String {
    match event {
        WatchEvent::Entry(entry) => {
            format!("{}@{} {:?}", entry.key(), entry.revision(), entry.operation())
        }
        WatchEvent::Unreadable { subject, revision } => format!("unreadable: {subject}@{revision}"),
        WatchEvent::Loaded => "loaded".to_owned(),
        WatchEvent::Recreated => "recreated".to_owned(),
        WatchEvent::Interrupted(cause) => format!("interrupted: {cause}"),
        WatchEvent::Resumed => "resumed".to_owned(),
    }
}

async fn next(watch: &mut Watch) -> String {
    short(timeout(LONG, watch.event()).await.unwrap())
}

async fn expect(watch: &mut Watch, events: &[&str]) {
    for event in events {
        assert_eq!(next(watch).await, *event);
    }
}

#[tokio::test(start_paused = true)]
async fn an_empty_scope_is_loaded_at_once() {
    let (bucket, _) = bucket();
    bucket.put("other", "1").await.unwrap();
    let mut watch = bucket.watch("app.>").await.unwrap();
    expect(&mut watch, &["loaded"]).await;
    bucket.put("app.a", "1").await.unwrap();
    expect(&mut watch, &["app.a@2 Put"]).await;
}

#[tokio::test(start_paused = true)]
async fn it_loads_what_is_current_and_then_follows() {
    let (bucket, _) = bucket();
    bucket.put("a", "1").await.unwrap();
    bucket.put("b", "1").await.unwrap();
    bucket.put("a", "2").await.unwrap();
    bucket.delete("c").await.unwrap();
    let mut watch = bucket.watch(["a", "c"]).await.unwrap();
    expect(&mut watch, &["a@3 Put", "c@4 Delete", "loaded"]).await;
    bucket.put("b", "2").await.unwrap();
    bucket.purge("a").await.unwrap();
    expect(&mut watch, &["a@6 Purge"]).await;
}

#[tokio::test(start_paused = true)]
async fn a_load_is_done_when_its_last_entry_was_pushed_out() {
    let mut config = BucketConfig::new("test");
    config.history = Some(1);
    let bucket = Bucket::memory_with(config).unwrap();
    let mut watch = bucket.watch_all().await.unwrap();
    expect(&mut watch, &["loaded"]).await;
    bucket.put("a", "1").await.unwrap();
    bucket.put("b", "1").await.unwrap();
    let mut watch = bucket.watch("a").await.unwrap();
    bucket.put("a", "2").await.unwrap();
    expect(&mut watch, &["a@3 Put", "loaded"]).await;
}

#[tokio::test(start_paused = true)]
async fn what_was_written_while_away_follows_once() {
    let (bucket, faults) = bucket();
    bucket.put("a", "1").await.unwrap();
    let mut watch = bucket.watch_all().await.unwrap();
    expect(&mut watch, &["a@1 Put", "loaded"]).await;
    faults.cut(&Fault::Ended);
    bucket.put("a", "2").await.unwrap();
    bucket.put("a", "3").await.unwrap();
    let interrupted = "interrupted: the server ended the subscription";
    expect(&mut watch, &[interrupted, "resumed", "a@2 Put", "a@3 Put"]).await;
}

#[tokio::test(start_paused = true)]
async fn an_interrupted_load_is_taken_up_where_it_stopped() {
    let (bucket, faults) = bucket();
    bucket.put("a", "1").await.unwrap();
    bucket.put("b", "1").await.unwrap();
    bucket.put("b", "2").await.unwrap();
    let mut watch = bucket.watch_all().await.unwrap();
    expect(&mut watch, &["a@1 Put"]).await;
    faults.cut(&Fault::Silent { after: Duration::from_secs(3) });
    // Not b@2: it was no current entry, neither then nor now.
    expect(&mut watch, &["interrupted: no heartbeat for 3s", "resumed", "b@3 Put", "loaded"]).await;
}

#[tokio::test(start_paused = true)]
async fn a_gap_is_noticed_by_the_next_delivery_or_heartbeat() {
    let (bucket, faults) = bucket();
    let mut watch = bucket.watch_all().await.unwrap();
    expect(&mut watch, &["loaded"]).await;
    faults.lose_deliveries(1);
    bucket.put("a", "1").await.unwrap();
    expect(&mut watch, &["interrupted: delivery 1 is missing, 2 came", "resumed", "a@1 Put"]).await;
    faults.lose_deliveries(1);
    bucket.put("a", "2").await.unwrap();
    bucket.put("a", "3").await.unwrap();
    let gap = "interrupted: delivery 2 is missing, 3 came";
    expect(&mut watch, &[gap, "resumed", "a@2 Put", "a@3 Put"]).await;
}

#[tokio::test(start_paused = true)]
async fn a_replay_passes_nothing_on_twice() {
    let (bucket, faults) = bucket();
    bucket.put("a", "1").await.unwrap();
    bucket.put("a", "2").await.unwrap();
    let mut watch = bucket.watch_all().await.unwrap();
    let mut new = bucket.watch_all().new_only().await.unwrap();
    expect(&mut watch, &["a@2 Put", "loaded"]).await;
    expect(&mut new, &["loaded"]).await;
    faults.replay(Revision::new(1));
    bucket.put("a", "3").await.unwrap();
    expect(&mut watch, &["a@3 Put"]).await;
    expect(&mut new, &["a@3 Put"]).await;
}

#[tokio::test(start_paused = true)]
async fn new_only_loses_nothing_when_interrupted_before_the_first_entry() {
    let (bucket, faults) = bucket();
    bucket.put("a", "1").await.unwrap();
    let mut watch = bucket.watch_all().new_only().await.unwrap();
    expect(&mut watch, &["loaded"]).await;
    faults.cut(&Fault::Ended);
    bucket.put("a", "2").await.unwrap();
    let interrupted = "interrupted: the server ended the subscription";
    expect(&mut watch, &[interrupted, "resumed", "a@2 Put"]).await;
}

#[tokio::test(start_paused = true)]
async fn a_recreated_bucket_is_loaded_afresh() {
    let (bucket, faults) = bucket();
    for n in 0..50 {
        bucket.put("a", n.to_string()).await.unwrap();
    }
    let mut watch = bucket.watch_all().await.unwrap();
    let mut new = bucket.watch_all().new_only().await.unwrap();
    expect(&mut watch, &["a@50 Put", "loaded"]).await;
    expect(&mut new, &["loaded"]).await;
    faults.recreate_bucket();
    bucket.put("a", "1").await.unwrap();
    bucket.put("b", "1").await.unwrap();
    for watch in [&mut watch, &mut new] {
        let ended = "interrupted: the server ended the subscription";
        expect(watch, &[ended, "recreated", "resumed", "a@1 Put", "b@2 Put", "loaded"]).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_bucket_that_is_gone_is_waited_for() {
    let (bucket, faults) = bucket();
    let mut watch = bucket.watch_all().await.unwrap();
    expect(&mut watch, &["loaded"]).await;
    faults.delete_bucket();
    expect(&mut watch, &["interrupted: the bucket is gone", "interrupted: subscribing failed"]).await;
    faults.recreate_bucket();
    bucket.put("a", "1").await.unwrap();
    loop {
        match next(&mut watch).await.as_str() {
            "interrupted: subscribing failed" => {}
            event => break assert_eq!(event, "recreated"),
        }
    }
    expect(&mut watch, &["resumed", "a@1 Put", "loaded"]).await;
}

#[tokio::test(start_paused = true)]
async fn a_broken_connection_is_reported_and_waited_out() {
    let (bucket, faults) = bucket();
    let mut watch = bucket.watch_all().await.unwrap();
    expect(&mut watch, &["loaded"]).await;
    faults.cut(&Fault::Disconnected);
    expect(&mut watch, &["interrupted: the connection broke"]).await;
    faults.cut(&Fault::Reconnected);
    bucket.put("a", "1").await.unwrap();
    expect(&mut watch, &["interrupted: the connection is back", "resumed", "a@1 Put"]).await;
}

#[tokio::test]
async fn opening_reports_what_is_wrong() {
    let (bucket, faults) = bucket();
    let refused = bucket.watch("a..b").await.err();
    assert!(matches!(refused, Some(ReadError::Name(_))), "{refused:?}");
    faults.fail_reads(1, &ReadError::Disconnected);
    let refused = bucket.watch_all().await.err();
    assert!(matches!(refused, Some(ReadError::Disconnected)), "{refused:?}");
    assert_eq!(faults.subscriptions(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_key_that_vanishes_in_silence_is_not_announced() {
    let (bucket, faults) = bucket();
    bucket.put("a", "1").await.unwrap();
    let mut watch = bucket.watch_all().await.unwrap();
    expect(&mut watch, &["a@1 Put", "loaded"]).await;
    faults.remove_key(&Key::new("a").unwrap());
    bucket.put("b", "1").await.unwrap();
    expect(&mut watch, &["b@2 Put"]).await;
}

#[test]
fn an_interruption_tells_its_cause_once() {
    use std::error::Error as _;
    let refused = Interruption::Refused(ReadError::Disconnected);
    assert_eq!(refused.to_string(), "subscribing failed");
    assert_eq!(refused.source().map(ToString::to_string).as_deref(), Some("not connected to the server"));
    let fault = Interruption::Fault(Fault::Ended);
    assert_eq!(fault.to_string(), "the server ended the subscription");
    assert!(fault.source().is_none());
}

#[derive(Debug, Clone)]
enum Act {
    Put(usize),
    Read(usize),
    Cut(Fault),
    Lose(u64),
    Replay(u64),
    FailReads(usize),
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let faults = prop_oneof![
        Just(Fault::Ended),
        Just(Fault::Disconnected),
        Just(Fault::Reconnected),
        Just(Fault::Lagged),
        Just(Fault::BucketGone),
    ];
    let act = prop_oneof![
        6 => (0..3_usize).prop_map(Act::Put),
        4 => (1..5_usize).prop_map(Act::Read),
        1 => faults.prop_map(Act::Cut),
        1 => (1..3_u64).prop_map(Act::Lose),
        1 => (1..5_u64).prop_map(Act::Replay),
        1 => (1..3_usize).prop_map(Act::FailReads),
    ];
    vec(act, 0..40)
}

/// The revisions that a watch passes on until it has nothing more to say, and how often it said that it has loaded.
async fn drain(watch: &mut Watch, revisions: &mut Vec<u64>, loaded: &mut usize, most: usize) {
    for _ in 0..most {
        match timeout(LONG, watch.event()).await {
            Err(_) => break,
            Ok(WatchEvent::Entry(entry)) => revisions.push(entry.revision().get()),
            Ok(WatchEvent::Loaded) => *loaded += 1,
            Ok(WatchEvent::Recreated) => panic!("nobody recreated the bucket"),
            Ok(_) => {}
        }
    }
}

proptest! {
    #![proptest_config(crate::cases(64))]

    /// Whatever fails on the way: every entry once, in order.
    #[test]
    fn a_watch_of_the_history_passes_on_every_revision_once(before in 0..4_u64, acts in acts()) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(async {
            let (bucket, faults) = bucket();
            let mut written = 0;
            for n in 0..before {
                written = bucket.put(format!("k{n}"), "v").await.unwrap().get();
            }
            let mut watch = bucket.watch_all().with_history().await.unwrap();
            let (mut revisions, mut loaded) = (Vec::new(), 0);
            for act in acts {
                match act {
                    Act::Put(key) => written = bucket.put(format!("k{key}"), "v").await.unwrap().get(),
                    Act::Read(count) => drain(&mut watch, &mut revisions, &mut loaded, count).await,
                    Act::Cut(fault) => faults.cut(&fault),
                    Act::Lose(count) => faults.lose_deliveries(count),
                    Act::Replay(from) => faults.replay(Revision::new(from)),
                    Act::FailReads(calls) => faults.fail_reads(calls, &ReadError::Disconnected),
                }
            }
            drain(&mut watch, &mut revisions, &mut loaded, usize::MAX).await;
            assert_eq!(revisions, (1..=written).collect::<Vec<u64>>());
            assert_eq!(loaded, 1);
        });
    }
}

#[tokio::test(start_paused = true)]
async fn a_bucket_that_was_set_back_is_read_from_its_beginning() {
    let (bucket, faults) = bucket();
    for value in ["1", "2", "3", "4"] {
        bucket.put("app.a", value).await.unwrap();
    }
    let mut watch = bucket.watch("app.>").await.unwrap();
    expect(&mut watch, &["app.a@4 Put", "loaded"]).await;
    faults.set_back(Revision::new(2));
    bucket.put("app.b", "1").await.unwrap();
    expect(&mut watch, &["interrupted: the server ended the subscription"]).await;
    expect(&mut watch, &["recreated", "resumed", "app.a@2 Put", "app.b@3 Put", "loaded"]).await;
}
