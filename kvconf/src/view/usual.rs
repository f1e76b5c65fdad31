//! The usual update: one key has changed, its value is good, and nothing is rejected.
//!
//! It takes the steps of every other one, less those that choose between several changes or keep what is rejected. They are
//! little work and much code. A change comes now and then and finds none of it in the processor's cache: an entry went through
//! 1 101 lines of 64 bytes on its way from the subscription to the swap where 380 do by hand, and each took some nine
//! nanoseconds to fetch. It is 839 now.

use super::evaluate::contained;
use super::overlay::Overlay;
use super::{Outcome, View, report};
use crate::Basis;
use crate::schema::KvConfig;
use crate::watch::Update;

impl<T: KvConfig> View<T> {
    /// Takes an update of this kind; `None`, and nothing has changed, for any other one.
    pub(super) fn apply_usual(&mut self, update: &Update) -> Option<Outcome<T>> {
        let [set] = update.sets.as_slice() else { return None };
        let [change] = set.changes.as_slice() else { return None };
        if !self.rejected.is_empty() {
            return None;
        }
        let (layer, key) = self.layers().place(&change.key)?;
        if report::may_be_odd(&self.table, key) {
            return None;
        }
        let change = Overlay::of_one(layer, key, change.entry.clone());
        let scratch = self.scratch();
        let candidate = contained(|| self.evaluate(&change, scratch).ok())??;
        self.raw.absorb(&change);
        let snapshot = self.serve(candidate, change, update.revision, Basis::Bucket);
        let report_changed = self.renew_report(Vec::new());
        Some(Outcome { snapshot: Some(snapshot), report_changed })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;
    use crate::KvConfig;
    use crate::view::Table;
    use crate::view::tests::{entry, update};

    #[derive(KvConfig, Debug, Clone, PartialEq)]
    #[kv(prefix = "p", validate = Self::check)]
    struct Shop {
        #[kv(default = 1)]
        low: u8,
        #[kv(default = 1, alias = "old")]
        high: u8,
        #[kv(default = 1, restart)]
        size: u8,
        #[kv(entries)]
        limits: BTreeMap<String, u8>,
        #[kv(nested)]
        retry: Retry,
    }

    #[derive(KvConfig, Debug, Clone, PartialEq)]
    struct Retry {
        #[kv(default = "a")]
        name: String,
        #[kv(entries)]
        by_code: BTreeMap<u16, String>,
    }

    impl Shop {
        fn check(&self, problems: &mut crate::Validation<Self>) {
            if self.low > self.high {
                problems.problem("low exceeds high");
            }
        }
    }

    const KEYS: [&str; 10] = [
        "low",
        "high",
        "old",
        "size",
        "limits.a",
        "limits.=AA",
        "retry.name",
        "retry.by_code.7",
        "retry.by_code.07",
        "nobody.knows",
    ];

    fn view() -> View<Shop> {
        View::start(Arc::new(Table::new::<Shop>(&|_| None)), "test", &update(Vec::new())).unwrap()
    }

    proptest! {
        // P1, P2: an update of this kind leads to what it leads to by the way of all others, whatever came before.
        #[test]
        fn it_makes_no_difference(
            sets in proptest::collection::vec(
                proptest::collection::vec((0..KEYS.len(), proptest::option::of(0..4_u8)), 1..3),
                1..24,
            ),
            held in any::<u32>(),
        ) {
            let (mut one, mut other, mut revision, mut readers) = (view(), view(), 0, Vec::new());
            for (at, set) in sets.iter().enumerate() {
                let mut entries = Vec::new();
                for (key, value) in set {
                    revision += 1;
                    // Three is no number.
                    let text = value.map(|value| if value == 3 { "x".to_owned() } else { value.to_string() });
                    entries.push(entry(KEYS[*key], revision, text.as_deref()));
                }
                let update = update(vec![entries]);
                let outcome = one.apply(&update);
                other.seen = other.seen.max(update.revision);
                let expected = other.apply_any(&update, false);
                prop_assert_eq!(outcome.snapshot.is_some(), expected.snapshot.is_some());
                prop_assert_eq!(outcome.report_changed, expected.report_changed);
                prop_assert_eq!(one.snapshot.value(), other.snapshot.value());
                prop_assert_eq!(one.snapshot.revision(), other.snapshot.revision());
                prop_assert_eq!(one.snapshot.rejected(), other.snapshot.rejected());
                prop_assert_eq!(&one.awaiting_restart, &other.awaiting_restart);
                prop_assert_eq!(one.seen, other.seen);
                let problems = |view: &View<Shop>| view.report.as_ref().map(|report| report.problems.clone());
                prop_assert_eq!(problems(&one), problems(&other));
                let raw = |view: &View<Shop>| {
                    let all = view.raw.iter();
                    let all = all.map(|(layer, key, entry)| (layer, key.to_owned(), entry.revision()));
                    let mut all: Vec<_> = all.collect();
                    all.sort();
                    all
                };
                prop_assert_eq!(raw(&one), raw(&other));
                // A reader that keeps a snapshot keeps it from being taken back, and sees no later value in it.
                if held >> (at % 32) & 1 == 1 {
                    readers.push((Arc::clone(&one.snapshot), one.snapshot.value().clone()));
                }
                prop_assert!(readers.iter().all(|(held, value)| held.value() == value));
            }
        }
    }
}
