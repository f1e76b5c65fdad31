//! Who is told of evaluations.

use std::sync::{Arc, Mutex};

use kvconf::flag::{ErrorCode, EvaluationContext, Reason};
use kvconf::{Exposure, Flag, KvConfig, Revision};
use kvconf_tests::Backend;
use serde_json::{Value as Json, json};

use super::{IN_NL, PREFIX, cart, visitor};

type Told = (String, Option<String>, Option<Json>, Reason, Option<ErrorCode>, Option<Revision>);

#[derive(Clone, Default)]
struct Record(Arc<Mutex<Vec<Told>>>);

impl Record {
    fn function(&self) -> impl Fn(&Exposure<'_>) + Send + Sync + 'static {
        let Self(told) = self.clone();
        move |exposure| {
            let detail = exposure.evaluation;
            told.lock().unwrap().push((
                format!("{}/{}", exposure.prefix, exposure.key),
                exposure.targeting_key.map(str::to_owned),
                detail.value.cloned(),
                detail.reason,
                detail.error.map(|error| error.code()),
                detail.revision,
            ));
        }
    }

    fn take(&self) -> Vec<Told> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

pub(crate) async fn evaluations_are_told_with_who_got_what(backend: &Backend) {
    let bucket = backend.plain().await;
    let first = bucket.put("shop.flags.cart", cart(&format!(r#"{{"if": [{IN_NL}, "on"]}}"#))).await.unwrap();
    let record = Record::default();
    let flags = bucket.flags(PREFIX).on_evaluation(record.function()).start().await.unwrap();
    let user = || Some("user-1".to_owned());
    let cart = || "shop.flags/cart".to_owned();

    flags.get("cart", &visitor(), false);
    assert_eq!(
        record.take(),
        [(cart(), user(), Some(json!(true)), Reason::TargetingMatch, None, Some(first))]
    );
    flags.load().evaluate("cart", &visitor(), 3_i64);
    let mismatch = Some(ErrorCode::TypeMismatch);
    assert_eq!(record.take(), [(cart(), user(), None, Reason::Error, mismatch, Some(first))]);
    flags.load().evaluate("crat", &visitor(), 3_i64);
    let missing =
        ("shop.flags/crat".to_owned(), user(), None, Reason::Error, Some(ErrorCode::FlagNotFound), None);
    assert_eq!(record.take(), [missing]);

    // After a change too; but not of the past, nor of a plan, nor of a test's own flags.
    let second = bucket.put("shop.flags.cart", "false").await.unwrap();
    flags.wait_for(second).await.unwrap();
    flags.at(first).await.unwrap().get("cart", &visitor(), false);
    flags.edit().enable("cart").plan().await.unwrap().after().get("cart", &visitor(), false);
    flags.overridden([("x", json!(1))]).unwrap().get("cart", &visitor(), false);
    assert_eq!(record.take(), []);
    flags.get("cart", &visitor(), true);
    assert_eq!(record.take(), [(cart(), user(), Some(json!(false)), Reason::Static, None, Some(second))]);
}

pub(crate) async fn a_function_that_panics_harms_nobody(backend: &Backend) {
    let bucket = backend.plain().await;
    bucket.put("shop.flags.cart", "true").await.unwrap();
    let record = Record::default();
    let flags = bucket
        .flags(PREFIX)
        .on_evaluation(|_| panic!("on purpose"))
        .on_evaluation(record.function())
        .start()
        .await
        .unwrap();
    assert!(flags.get("cart", &visitor(), false) && flags.get("cart", &visitor(), false));
    assert_eq!(record.take().len(), 2);
}

#[derive(KvConfig, Debug, Clone)]
#[kv(prefix = "shop")]
struct Shop {
    #[kv(flag, default = false)]
    new_cart: Flag<bool>,
    #[kv(nested)]
    search: Search,
}

#[derive(KvConfig, Debug, Clone)]
struct Search {
    #[kv(flag, default = 10)]
    results: Flag<u8>,
}

#[derive(EvaluationContext)]
struct Visitor<'a> {
    #[context(targeting_key)]
    id: &'a str,
}

pub(crate) async fn flags_in_fields_tell_too(backend: &Backend) {
    let bucket = backend.plain().await;
    let record = Record::default();
    let live = bucket.live::<Shop>().on_evaluation(record.function()).start().await.unwrap();
    let visitor = Visitor { id: "user-1" };
    let user = || Some("user-1".to_owned());
    assert_eq!(live.load().search.results.get(&visitor), 10);
    let missing = Some(ErrorCode::FlagNotFound);
    assert_eq!(
        record.take(),
        [("shop/search.results".to_owned(), user(), None, Reason::Error, missing, None)]
    );

    for round in 1..=3_u8 {
        let revision = bucket.put("shop.search.results", round.to_string()).await.unwrap();
        live.wait_for(revision).await.unwrap();
        let shop = live.load();
        let detail = shop.search.results.evaluate(&visitor);
        assert_eq!((detail.value, detail.reason), (round, Reason::Static));
        let told = (
            "shop/search.results".to_owned(),
            user(),
            Some(json!(round)),
            Reason::Static,
            None,
            Some(revision),
        );
        assert_eq!(record.take(), [told]);
    }
    assert!(!live.load().new_cart.get(&visitor));
    assert_eq!(record.take().len(), 1);
    let past = live.at(live.load().revision()).await.unwrap();
    assert_eq!(past.search.results.get(&visitor), 3);
    assert_eq!(record.take(), []);
}
