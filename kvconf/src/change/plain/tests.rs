use super::*;
use crate::store::{Action, Expect, Write};
use crate::{Attribution, CommitError, Headers, Problem, ProblemKind, Report, Revision};

async fn bucket() -> Bucket {
    let bucket = Bucket::memory();
    for (key, value) in [("app.host", "a"), ("app.port", "8080"), ("log.level", "info")] {
        bucket.put(key, value).await.unwrap();
    }
    bucket
}

#[tokio::test]
async fn a_plan_shows_what_would_change_and_writes_nothing() {
    let bucket = bucket().await;
    let edit =
        bucket.edit().set("app.port", "9090").set("app.host", "a").unset("log.level").unset("app.none");
    let plan = edit.show_values().plan().await.unwrap();
    assert_eq!(plan.to_string(), "app.port: 8080 → 9090\nlog.level: `info` → (none)");
    assert_eq!(plan.unchanged().iter().map(Key::as_str).collect::<Vec<_>>(), ["app.host", "app.none"]);
    assert_eq!(plan.revision(), Revision::new(3));
    assert_eq!(bucket.status().await.unwrap().last_revision, Revision::new(3));
}

#[tokio::test]
async fn values_are_not_shown_unless_asked_for() {
    // P11
    let plan = bucket().await.edit().set("app.port", "9090").plan().await.unwrap();
    assert_eq!(plan.to_string(), "app.port: (4 bytes) → (4 bytes)");
    assert!(!format!("{plan:?}").contains("9090"));
}

#[tokio::test]
async fn a_commit_is_one_attributed_change_set() {
    // P2, P7
    let bucket = bucket().await;
    let plan = bucket.edit().set("app.port", "9090").unset("log.level").plan().await.unwrap();
    let commit = plan.commit().author("ops").reason("move");
    let change = commit.change().to_owned();
    let applied = commit.await.unwrap();
    assert_eq!((applied.revision(), applied.change()), (Revision::new(5), change.as_str()));
    let written = bucket.read(">").await.unwrap();
    let ours = written.entries().iter().filter(|entry| entry.revision() > Revision::new(3));
    let by: Vec<Attribution> = ours.map(Attribution::of).collect();
    let expected =
        Attribution { author: Some("ops".into()), reason: Some("move".into()), change: Some(change.into()) };
    assert_eq!(by, [expected.clone(), expected]);
}

#[tokio::test]
async fn a_stale_plan_names_the_key_both_revisions_and_the_other_author() {
    // P6
    let bucket = bucket().await;
    let plan = bucket.edit().set("app.host", "b").set("app.port", "9090").plan().await.unwrap();
    bucket.put("app.port", "1").header("Kvconf-Author", "dev").await.unwrap();
    let error = plan.commit().author("ops").await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "app.port was changed meanwhile: based on revision 2, now at revision 4 by dev"
    );
    assert_eq!(bucket.get("app.host").await.unwrap().as_deref(), Some(&b"a"[..]));
}

#[tokio::test]
async fn what_is_added_meanwhile_stops_a_plan_that_removes_all_others() {
    // P6
    let bucket = bucket().await;
    let plan = bucket.edit().set("app.host", "b").unset_others("app.>").plan().await.unwrap();
    bucket.put("app.new", "1").header("Kvconf-Author", "dev").await.unwrap();
    let error = plan.commit().author("ops").await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "app.new was changed meanwhile: based on revision 2, now at revision 4 by dev"
    );
    let plan = bucket.edit().set("app.host", "b").unset_others("app.>").plan().await.unwrap();
    plan.commit().author("ops").await.unwrap();
    assert_eq!(bucket.keys(">").await.unwrap().len(), 2);
}

fn report(kind: ProblemKind) -> Report {
    let problem = Problem {
        key: "app.port".to_owned(),
        kind,
        message: "9090 is outside 1..=500".to_owned(),
        origin: None,
        before: None,
        before_revision: None,
        fields: Vec::new(),
    };
    Report {
        name: "App".into(),
        bucket: "memory".to_owned(),
        revision: None,
        serving: Some(Revision::new(3)),
        at: std::time::SystemTime::UNIX_EPOCH,
        problems: vec![problem],
    }
}

#[tokio::test]
async fn an_objection_refuses_the_commit_unless_it_is_forced_with_a_reason() {
    let bucket = bucket().await;
    let plan = async || {
        let mut plan = bucket.edit().set("app.port", "9090").plan().await.unwrap();
        plan.object(report(ProblemKind::Check));
        plan
    };
    let refused = plan().await.commit().author("ops").reason("sale").await.unwrap_err();
    assert_eq!(refused.report(), Some(&report(ProblemKind::Check)));
    let refused = plan().await.commit().author("ops").force().await.unwrap_err();
    assert_eq!(refused.to_string(), "the reason is missing: force needs one");
    plan().await.commit().author("ops").reason("sale").force().await.unwrap();
    assert_eq!(bucket.get("app.port").await.unwrap().as_deref(), Some(&b"9090"[..]));
}

// P8: what is set stays, though the same stands there for a time, as a change with a deadline does.
#[tokio::test(start_paused = true)]
async fn a_value_that_is_about_to_go_is_not_taken_for_the_one_that_is_set() {
    let bucket = bucket().await;
    let ttl = std::time::Duration::from_secs(100);
    bucket.put("app.port", "9090").ttl(ttl).await.unwrap();
    let plan = bucket.edit().set("app.port", "9090").show_values().plan().await.unwrap();
    assert_eq!(plan.to_string(), "app.port: 9090 (for a time) → 9090");
    assert_eq!(plan.without_ttl().map(Key::as_str).collect::<Vec<_>>(), ["app.port"]);
    plan.commit().author("ops").await.unwrap();
    tokio::time::advance(2 * ttl).await;
    assert_eq!(bucket.get("app.port").await.unwrap().as_deref(), Some(&b"9090"[..]));
    assert!(bucket.edit().set("app.port", "9090").plan().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_warning_is_no_objection() {
    let bucket = bucket().await;
    let mut plan = bucket.edit().set("app.port", "9090").plan().await.unwrap();
    plan.object(report(ProblemKind::Deprecated));
    assert_eq!((plan.report(), plan.reports().len()), (None, 1));
    plan.commit().author("ops").await.unwrap();
}

#[tokio::test]
async fn more_keys_than_one_change_set_takes_are_refused_unless_in_parts() {
    let bucket = Bucket::memory();
    let plan = async || {
        let keys = (0..2_100).map(|number| format!("t{}.k{number}", number % 3));
        let edit = keys.fold(bucket.edit(), |edit, key| edit.set(key, "1"));
        edit.plan().await.unwrap()
    };
    let refused = plan().await.commit().author("ops").await.unwrap_err();
    let CommitError::Write(refused) = refused else { panic!("{refused}") };
    assert_eq!(refused.to_string(), "2100 keys at once are too many, the most is 1000");
    let applied = plan().await.commit().author("ops").in_parts().await.unwrap();
    assert_eq!(applied.written().len(), 2_100);
    assert!(plan().await.is_empty());
}

#[tokio::test]
async fn what_cannot_be_planned_says_why_before_anything_is_read() {
    let bucket = Bucket::memory();
    let error = bucket.edit().set("a..b", "1").plan().await.unwrap_err();
    assert!(matches!(error, PlainPlanError::Name(KeyError::EmptyToken { .. })));
    let error = bucket.edit().unset("_kvconf.schema.app").plan().await.unwrap_err();
    assert_eq!(error.to_string(), "_kvconf.schema.app belongs to kvconf, as all keys below _kvconf");
    let error = bucket.edit().unset_others("a.>.b").plan().await.unwrap_err();
    assert_eq!(error.to_string(), "invalid name");
}

#[tokio::test]
async fn what_is_kept_and_kvconfs_own_keys_survive_the_removal_of_all_others() {
    let bucket = bucket().await;
    let reserved = Write {
        key: "_kvconf.schema.app".parse().unwrap(),
        action: Action::Put("{}".into()),
        expect: Expect::Any,
        ttl: None,
        headers: Headers::new(),
    };
    bucket.store.write(reserved).await.unwrap();
    let edit = bucket.edit().keep("log.level".parse().unwrap()).unset_others(">");
    let plan = edit.plan().await.unwrap();
    let keys: Vec<_> = plan.changes().map(|change| change.key().as_str()).collect();
    assert_eq!(keys, ["app.host", "app.port"]);
}
