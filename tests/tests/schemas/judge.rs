//! The judgement without the type against the reader with it.

use kvconf::settings::Verdict;
use kvconf::{Bucket, KvConfig, Problem, ProblemKind, Schema};
use proptest::prelude::*;

use super::rich::Checkout;
use super::texts::{state, value};

fn run<R>(future: impl Future<Output = R>) -> R {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap()
        .block_on(future)
}

async fn put(bucket: &Bucket, state: &std::collections::BTreeMap<String, String>) {
    for (key, value) in state {
        // Some generated keys are none.
        if let Ok(key) = kvconf::Key::new(format!("shop.checkout.{key}")) {
            bucket.put(key, value.clone()).await.unwrap();
        }
    }
}

async fn verdict(bucket: &Bucket) -> Verdict {
    let reading = bucket.read("shop.>").await.unwrap();
    Schema::of::<Checkout>().judge(reading.entries())
}

/// Whether a schema can tell it too.
fn is_told(problem: &Problem) -> bool {
    let by_program = ["has a space", "expected an octal number"];
    problem.kind != ProblemKind::Validation && !by_program.contains(&&*problem.message)
}

/// What the two say, sorted: problems with one key have no order between them.
fn sorted(problems: impl IntoIterator<Item = Problem>) -> Vec<(String, ProblemKind, String, String)> {
    let told =
        |problem: Problem| (problem.to_string(), problem.kind, format!("{:?}", problem.origin), problem.key);
    let mut told: Vec<_> = problems.into_iter().map(told).collect();
    told.sort_by(|left, right| left.0.cmp(&right.0));
    told
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(kvconf_tests::cases(128)))]

    #[test]
    fn every_problem_is_told_in_the_words_of_the_reader(state in state()) {
        // P3, P10
        let (typed, untyped) = run(async {
            let bucket = Bucket::memory();
            put(&bucket, &state).await;
            let checked = bucket.check::<Checkout>().without_environment().now().await.unwrap();
            (checked.report.map(|report| report.problems).unwrap_or_default(), verdict(&bucket).await.problems)
        });
        let fatal = |problem: &Problem| !problem.kind.is_warning();
        let is_refused = typed.iter().any(fatal);
        let typed = sorted(typed.into_iter().filter(|problem| is_told(problem) && (!is_refused || fatal(problem))));
        let untyped = sorted(untyped.into_iter().filter(|problem| !is_refused || fatal(problem)));
        prop_assert_eq!(typed, untyped);
    }

    #[test]
    fn a_change_is_refused_for_what_it_touches_alone(state in state(), value in value()) {
        let key = "shop.checkout.max_items";
        let (alone, among) = run(async {
            let empty = Bucket::memory();
            let bucket = Bucket::memory();
            put(&bucket, &state).await;
            let judged = |reading: kvconf::Reading| {
                Schema::of::<Checkout>().judge_change(reading.entries(), [(key, Some(value.as_bytes()))])
            };
            (judged(empty.read("shop.>").await.unwrap()), judged(bucket.read("shop.>").await.unwrap()))
        });
        let told = |verdict: &Verdict| verdict.problems.iter().map(ToString::to_string).collect::<Vec<_>>();
        prop_assert_eq!(told(&alone), told(&among));
    }
}

#[tokio::test]
async fn a_change_is_told_with_what_stood_there_and_what_nobody_can_check() {
    let bucket = Bucket::memory();
    let before = bucket.put("shop.checkout.max_items", "60").header("Kvconf-Author", "ops").await.unwrap();
    bucket.put("shop.checkout.retry.max", "0").await.unwrap();
    let reading = bucket.read("shop.>").await.unwrap();
    let schema = Schema::of::<Checkout>();
    let change: [(&str, Option<&[u8]>); 4] = [
        ("shop.checkout.max_items", Some(b"9999")),
        ("shop.checkout.max_itmes", Some(b"1")),
        ("shop.checkout.style", Some(b"plain")),
        ("elsewhere", Some(b"x")),
    ];
    let verdict = schema.judge_change(reading.entries(), change);
    assert!(verdict.is_refused());
    assert_eq!(
        verdict.to_string(),
        "× shop.checkout.max_items: 9999 is outside 1..=500\n\
         × shop.checkout.max_itmes: unknown key, did you mean shop.checkout.max_items?\n\
         × shop.checkout.api_key: required, and no source has a value (already so)\n\
         × shop.checkout.bind: required, and no source has a value (already so)\n\
         × shop.checkout.retry.max: 0 is outside 1..=9 (already so)\n\
         ? shop.checkout.style: `no_spaces` is run by the program alone\n\
         ? shop.checkout: its fields are checked together by the program alone"
    );
    let problem = &verdict.problems[0];
    assert_eq!((problem.before.as_deref(), problem.before_revision), (Some("60"), Some(before)));
    let report = verdict.report(&schema, "prod").unwrap().to_string();
    assert!(
        report.starts_with(
            "error: 2 problems in Checkout (bucket prod, planned change); still serving revision 2"
        ),
        "{report}"
    );
}

#[tokio::test]
async fn a_removal_of_what_is_required_is_refused_and_an_old_name_stands_in() {
    #[derive(KvConfig, Debug, Clone)]
    #[kv(prefix = "app")]
    struct App {
        #[kv(alias = "url")]
        address: String,
    }
    let schema = Schema::of::<App>();
    let bucket = Bucket::memory();
    bucket.put("app.address", "a").await.unwrap();
    let removal: [(&str, Option<&[u8]>); 1] = [("app.address", None)];
    let told = |verdict: Verdict| verdict.to_string();
    let reading = bucket.read("app.>").await.unwrap();
    let missing = "× app.address: required, and no source has a value";
    assert_eq!(told(schema.judge_change(reading.entries(), removal)), missing);
    bucket.put("app.url", "b").await.unwrap();
    let reading = bucket.read("app.>").await.unwrap();
    assert!(!schema.judge_change(reading.entries(), removal).is_refused());
}

#[tokio::test]
async fn nothing_of_a_secret_is_shown() {
    // P11
    let bucket = Bucket::memory();
    bucket.put("shop.checkout.api_key", "hunter2").await.unwrap();
    let change: [(&str, Option<&[u8]>); 2] =
        [("shop.checkout.api_key", Some(b"swordf")), ("shop.checkout.pin", Some(b"swordfish"))];
    let reading = bucket.read("shop.>").await.unwrap();
    let schema = Schema::of::<Checkout>();
    let verdict = schema.judge_change(reading.entries(), change);
    let told: Vec<String> = verdict.problems.iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "shop.checkout.api_key: length 6 is outside 8..",
            "shop.checkout.pin: the secret value is not a whole number (u16)"
        ]
    );
    let everything = format!("{verdict:?} {schema:?} {}", verdict.report(&schema, "prod").unwrap());
    for secret in ["hunter2", "swordf", "1234"] {
        assert!(!everything.contains(secret), "{secret} in {everything}");
    }
}
