//! A first state in the making.
//!
//! Entries are decoded one by one as they come, while the server still delivers the next ones and the processor would wait:
//! what is left for the end is to put values into their fields. With 10 000 keys, decoding them all after the last one had
//! arrived took a quarter of the start.

use std::collections::{BTreeMap, BTreeSet};
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::SystemTime;

use super::evaluate::{build, contained};
use super::overlay::raw_of;
use super::{Found, RawState, Table, Target, View, report};
use crate::problem::in_order;
use crate::schema::{Kind, KvConfig, Prepared, Slot, node_at};
use crate::seal::is_sealed;
use crate::snapshot::Unshared;
use crate::source::{Content, Source};
use crate::{Basis, Entry, Key, Problem, Report, Revision};

/// What will be a [`View`] when the last entry is here. A newer entry of a key takes the place of an older one.
pub(crate) struct Draft<T> {
    table: Arc<Table>,
    raw: RawState,
    /// By slot.
    prepared: Vec<Prepared>,
    /// By slot, where there are several layers: the only one so far that has anything for it.
    spoken: Vec<Option<usize>>,
    /// Keys with which something may be odd, by layer.
    odd: BTreeSet<(usize, String)>,
    /// What is odd about sources outside the bucket.
    outside: BTreeMap<Source, Vec<Problem>>,
    /// Why some of them cannot be used.
    unusable: Vec<Problem>,
    /// Whether its flags tell of their evaluations.
    observed: bool,
    marker: PhantomData<fn() -> T>,
}

impl<T: KvConfig> Draft<T> {
    /// A state with no keys in the bucket, and what other sources say.
    pub(crate) fn new(table: Arc<Table>, contents: Vec<(Source, Content)>) -> Self {
        let mut raw = RawState::new(Arc::clone(&table));
        let (mut outside, mut unusable) = (BTreeMap::new(), Vec::new());
        for (source, content) in contents {
            raw.given.set(source, content.sheet);
            unusable.extend(content.problems);
            outside.insert(source, content.warnings);
        }
        let prepared = unprepared(&table, &raw);
        let spoken = if table.layers.are_several() { vec![None; table.slots.len()] } else { Vec::new() };
        let odd = BTreeSet::new();
        let observed = true;
        Self { table, raw, prepared, spoken, odd, outside, unusable, observed, marker: PhantomData }
    }

    /// The same for a state that nobody is served: one of the past.
    pub(super) fn unobserved(self) -> Self {
        Self { observed: false, ..self }
    }

    /// Makes room for so many entries.
    pub(crate) fn expect(&mut self, entries: usize) {
        self.raw.expect(entries);
    }

    /// Takes what stands under a key, or that nothing does.
    pub(crate) fn take(&mut self, key: &Key, entry: Option<&Arc<Entry>>) {
        let Some((layer, key)) = self.table.layers.place(key) else { return };
        let found = self.table.find(key);
        match found {
            Some(Found::Own(at) | Found::Old(at)) => {
                let is_deprecated = |slot: &Slot| slot.meta.deprecated.is_some();
                if matches!(found, Some(Found::Old(_))) || self.table.slot(at).is_some_and(is_deprecated) {
                    self.odd.insert((layer, key.to_owned()));
                }
                self.contest(at, layer, key);
                self.prepare(at, None, entry);
            }
            Some(Found::Entry(at, segment)) => {
                self.contest(at, layer, key);
                self.prepare(at, Some(segment), entry);
            }
            None => _ = self.odd.insert((layer, key.to_owned())),
        }
        self.raw.set_found(layer, (key, found.as_ref()), entry);
    }

    /// Notes that a layer has something for a slot. Where another one has, too, it is known at the end which one counts.
    fn contest(&mut self, at: usize, layer: usize, key: &str) {
        let Some(spoken) = self.spoken.get_mut(at) else { return };
        if *spoken.get_or_insert(layer) == layer {
            return;
        }
        if let Some(prepared) = self.prepared.get_mut(at) {
            *prepared = Prepared::Open;
        }
        let slot = self.table.slot(at).filter(|slot| slot.kind == Kind::Leaf);
        let names = slot.map_or_else(|| vec![key], Slot::names);
        for layer in self.table.layers.strongest_first() {
            self.odd.extend(names.iter().map(|name| (layer, (*name).to_owned())));
        }
    }

    fn prepare(&mut self, at: usize, segment: Option<&str>, entry: Option<&Arc<Entry>>) {
        let (Some(slot), Some(prepared)) = (self.table.slot(at), self.prepared.get_mut(at)) else { return };
        if matches!(prepared, Prepared::Open) {
            return;
        }
        let Some((node, rest)) = node_at::<T>(slot.path.steps()) else { return };
        if entry.is_some_and(|entry| is_sealed(entry.value())) {
            // It is opened when the struct is built, and wiped right after; or refused.
            *prepared = Prepared::Open;
            return;
        }
        if contained(|| node.prepare(prepared, rest, &slot.key, segment, raw_of(entry))).is_none() {
            // The program's own code panics on it: when the struct is built it will again, and that is told.
            *prepared = Prepared::Open;
        }
    }

    /// Builds the first state as of a revision, or says everything that is wrong with it.
    pub(crate) fn finish(self, bucket: &str, revision: Revision, epoch: u64) -> Result<View<T>, Report> {
        let Self { table, raw, prepared, odd, outside, mut unusable, observed, .. } = self;
        let at = SystemTime::now();
        let report = |mut problems: Vec<Problem>| {
            in_order(&mut problems);
            Report {
                name: table.name.into(),
                bucket: bucket.to_owned(),
                revision: Some(revision),
                serving: None,
                at,
                problems,
            }
        };
        let mut value = match build::<T, Unshared<T>>(&table, &raw, prepared) {
            Ok(value) if unusable.is_empty() => value,
            built => {
                unusable.extend(built.err().unwrap_or_default());
                return Err(report(unusable));
            }
        };
        if let Some(observers) = table.observers.as_ref().filter(|_| observed) {
            value.__equip(observers);
        }
        let warnings = report::warnings::<T>(&table, &raw, &odd);
        let strange: Vec<Problem> = outside.values().flatten().chain(warnings.values()).cloned().collect();
        let found = (!strange.is_empty()).then(|| {
            let mut found = report(strange);
            found.serving = Some(revision);
            Arc::new(found)
        });
        Ok(View {
            snapshot: value.share(revision, epoch, Arc::default(), Basis::Bucket),
            table,
            bucket: bucket.to_owned(),
            raw,
            rejected: Vec::new(),
            seen: revision,
            epoch,
            created: None,
            report: found,
            awaiting_restart: BTreeSet::new(),
            spare: None,
            warnings,
            outside,
            polled: None,
        })
    }
}

/// What is known of each slot before anything arrives.
fn unprepared(table: &Table, raw: &RawState) -> Vec<Prepared> {
    // Several keys, or other sources, may have a value: which one counts is known at the end.
    let is_open = |slot: &Slot| if slot.aliases.is_empty() { Prepared::Absent } else { Prepared::Open };
    let mut prepared: Vec<Prepared> = table.slots.iter().map(is_open).collect();
    let sheets = raw.given.sources().filter_map(|source| raw.given.sheet(source));
    for key in sheets.chain([table.env_sheet()]).flat_map(|sheet| sheet.keys()) {
        if let Some(Target::Field(at) | Target::Entry(at, _)) = table.target(key)
            && let Some(prepared) = prepared.get_mut(at)
        {
            *prepared = Prepared::Open;
        }
    }
    prepared
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::collections::HashMap;

    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;
    use crate::source::Given;
    use crate::view::tests::entry;
    use crate::{KvConfig, Origin, Validation};

    thread_local! {
        static CHECKED: Cell<u32> = const { Cell::new(0) };
    }

    #[derive(KvConfig, Debug, Clone, PartialEq)]
    #[kv(prefix = "p", validate = Self::check)]
    struct Shop {
        #[kv(default = 10, range(..=99))]
        low: u8,
        high: u8,
        #[kv(default = "none", alias = "old")]
        name: String,
        #[kv(env = "SHOP_LEVEL", default = 1)]
        level: u8,
        #[kv(deprecated)]
        gone: Option<u8>,
        #[kv(entries, length(..=2))]
        limits: BTreeMap<u8, u8>,
        #[kv(nested)]
        retry: Retry,
        #[kv(default = 0, validate = Self::boom)]
        boom: u8,
    }

    #[derive(KvConfig, Debug, Clone, PartialEq)]
    struct Retry {
        #[kv(default = 3)]
        times: u8,
        #[kv(entries)]
        waits: HashMap<String, u8>,
    }

    impl Shop {
        fn check(&self, problems: &mut Validation<Self>) {
            if self.low > self.high {
                problems.problem("low exceeds high").on(Self::fields().low);
            }
        }

        fn boom(value: &u8) -> Result<(), String> {
            CHECKED.set(CHECKED.get() + 1);
            assert!(*value != 13, "code of the program that cannot cope");
            Ok(())
        }
    }

    const KEYS: [&str; 13] = [
        "low",
        "high",
        "name",
        "old",
        "level",
        "gone",
        "limits.1",
        "limits.2",
        "limits.x",
        "retry.times",
        "retry.waits.=2a",
        "retry.unknown",
        "boom",
    ];
    const VALUES: [&str; 6] = ["7", "13", "60", "100", "300", "x"];

    fn table(level: Option<&'static str>) -> Arc<Table> {
        Arc::new(Table::new::<Shop>(&|_| level.map(|text| text.as_bytes().to_vec())))
    }

    fn draft(table: &Arc<Table>, file: &Ops) -> Draft<Shop> {
        let given = file.iter().filter(|(key, _)| *key != "old" && !key.ends_with("unknown"));
        let given = given.map(|(key, value)| {
            let value = value.map(|text| Bytes::from(text.to_owned()));
            ((*key).to_owned(), Arc::new(Given { value, origin: Origin::Default }))
        });
        let content = Content { sheet: given.collect(), ..Content::default() };
        Draft::new(Arc::clone(table), vec![(Source::File(0), content)])
    }

    type Told = Result<(Shop, Vec<Problem>), Vec<Problem>>;

    fn told(draft: Draft<Shop>) -> Told {
        let built = draft.finish("test", Revision::new(99), 0);
        built
            .map(|view| {
                let warnings = view.report.as_ref().map(|report| report.problems.clone());
                (view.snapshot.value().clone(), warnings.unwrap_or_default())
            })
            .map_err(|report| report.problems)
    }

    type Ops = Vec<(&'static str, Option<&'static str>)>;

    fn ops() -> impl Strategy<Value = Ops> {
        let value = prop_oneof![1 => Just(None), 5 => proptest::sample::select(&VALUES[..]).prop_map(Some)];
        proptest::collection::vec((proptest::sample::select(&KEYS[..]), value), 0..20)
    }

    fn agree(ops: &Ops, level: Option<&'static str>, file: &Ops) -> Result<(), TestCaseError> {
        let table = table(level);
        let mut as_they_came = draft(&table, file);
        let mut newest: BTreeMap<&str, Arc<Entry>> = Default::default();
        let sure = [("high", Some("60"))];
        for ((key, value), revision) in sure.iter().chain(ops).zip(1..) {
            let entry = entry(key, revision, *value);
            as_they_came.take(entry.key(), Some(&entry));
            newest.insert(key, entry);
        }
        let mut at_once = draft(&table, file);
        for entry in newest.values() {
            at_once.take(entry.key(), Some(entry));
        }
        // Everything is read from the raw keys then, as if nothing had been prepared.
        at_once.prepared.fill_with(|| Prepared::Open);
        at_once.odd = KEYS.iter().map(|key| (0, (*key).to_owned())).collect();
        prop_assert_eq!(told(as_they_came), told(at_once));
        Ok(())
    }

    proptest! {
        #![proptest_config(crate::cases(1_000))]

        // P1, P3
        #[test]
        fn a_state_that_was_prepared_is_the_one_that_is_read_at_once(
            ops in ops(),
            level in prop_oneof![Just(None), Just(Some("5")), Just(Some("x"))],
            file in prop_oneof![Just(Vec::new()), ops()],
        ) {
            agree(&ops, level, &file)?;
        }
    }

    #[test]
    fn a_value_is_decoded_when_it_arrives_and_not_again() {
        let mut draft = draft(&table(None), &Vec::new());
        for (key, revision) in [("high", 1), ("boom", 2)] {
            let entry = entry(key, revision, Some("20"));
            draft.take(entry.key(), Some(&entry));
        }
        let before = CHECKED.get();
        assert!(matches!(draft.prepared.last(), Some(Prepared::Value(_))));
        let view = draft.finish("test", Revision::new(2), 0).unwrap();
        assert_eq!((view.snapshot.value().boom, CHECKED.get()), (20, before));
    }
}
