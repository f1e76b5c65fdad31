//! Files and the bucket together, against a model: any sequence of change sets and of file contents.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;

use super::tests::{Bounds, entry, update};
use super::{FieldsOf, Table, View};
use crate::Prefix;
use crate::source::{Content, FileSource, Source};

/// By key: a value, or that there is none.
type State = BTreeMap<&'static str, Option<&'static str>>;

#[derive(Debug, Clone)]
enum Step {
    /// A change set of the bucket.
    Set(State),
    /// All that a file says; `None` for one that is no text of its format.
    File(Option<State>),
}

const KEYS: [&str; 3] = ["low", "high", "level"];

fn state(least: usize) -> impl Strategy<Value = State> {
    let value = prop_oneof![
        1 => Just(None),
        5 => proptest::sample::select(&["0", "5", "15", "25", "300", "x"][..]).prop_map(Some),
    ];
    proptest::collection::btree_map(proptest::sample::select(&KEYS[..]), value, least..3)
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => state(1).prop_map(Step::Set),
        3 => state(0).prop_map(|state| Step::File(Some(state))),
        1 => Just(Step::File(None)),
    ]
}

fn read(state: &State, below: &State) -> Option<Bounds> {
    let value = |key: &str, default: u8| match state
        .get(key)
        .copied()
        .flatten()
        .or(below.get(key).copied().flatten())
    {
        Some(text) => text.parse::<u8>().ok(),
        None => Some(default),
    };
    let (low, high, level) = (value("low", 10)?, value("high", 20)?, value("level", 0)?);
    (low <= high && level <= 9).then_some(Bounds { low, high, level, boom: 1 })
}

fn content(state: &Option<State>) -> Content {
    let table = Table::new::<Bounds>(&|_| None);
    let text = match state {
        Some(state) => {
            let given = state.iter().filter_map(|(key, value)| Some(format!("p.{key} = '{}'\n", (*value)?)));
            given.collect()
        }
        None => "p = [".to_owned(),
    };
    let file = FileSource::new("/app.toml").check().unwrap();
    file.content(&Ok(text.into_bytes()), &Prefix::new("p").unwrap(), &FieldsOf::<Bounds>::new(&table))
}

/// The state after some of the change sets.
fn merged<'s>(sets: impl Iterator<Item = &'s State>) -> State {
    sets.flat_map(|set| set.iter().map(|(key, value)| (*key, *value))).collect()
}

fn serve(steps: &[Step]) -> Result<(), TestCaseError> {
    let table = Arc::new(Table::new::<Bounds>(&|_| None));
    let nothing = vec![(Source::File(0), Content::default())];
    let mut view = View::<Bounds>::start_with(table, "test", &update(Vec::new()), nothing).unwrap();
    let (mut sets, mut files, mut broken) = (Vec::new(), vec![State::new()], false);
    for (revision, step) in (1..).zip(steps) {
        match step {
            Step::Set(set) => {
                sets.push(set.clone());
                let entries = set.iter().map(|(key, value)| entry(key, revision, *value)).collect();
                view.apply(&update(vec![entries]));
            }
            Step::File(state) => {
                broken = state.is_none();
                view.renew(Source::File(0), content(state));
                files.extend(state.clone());
            }
        }
        let served = view.snapshot.value().clone();
        let truth = merged(sets.iter());
        let all_good = files.last().and_then(|file| read(&truth, file)).filter(|_| !broken);
        match all_good {
            Some(value) => {
                prop_assert_eq!(served, value, "at {}", revision);
                prop_assert!(view.rejected.is_empty() && view.report.is_none());
            }
            None => {
                prop_assert!(view.report.as_ref().is_some_and(|report| report.is_fatal()));
                prop_assert!(!view.rejected.is_empty());
                // Some choice of whole change sets over some whole content of the file leads to what is served.
                let choice = (0..1_u32 << sets.len()).any(|mask| {
                    let chosen =
                        sets.iter().enumerate().filter(|(at, _)| mask >> at & 1 == 1).map(|(_, set)| set);
                    let state = merged(chosen);
                    files.iter().any(|file| read(&state, file).as_ref() == Some(&served))
                });
                prop_assert!(choice, "{:?} is torn", served);
            }
        }
        // A file that is no text of its format waits for nothing: the bucket's changes are judged without it.
        if broken && view.rejected.len() == 1 {
            prop_assert_eq!(view.snapshot.revision(), view.seen);
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(crate::cases(1_500))]

    // P1, P2, P3
    #[test]
    fn a_file_and_the_bucket_are_served_whole_and_as_new_as_they_can_be(
        steps in proptest::collection::vec(step(), 1..9),
    ) {
        serve(&steps)?;
    }
}

#[cfg(feature = "seal")]
mod sealed {
    use super::*;
    use crate::layer::Layers;
    use crate::seal::{Keyring, SealKey, Seals, seal};
    use crate::{Key, KvConfig, Problem, ProblemKind, Secret};

    #[derive(KvConfig, Debug, Clone)]
    #[kv(prefix = "p", env_prefix = "P")]
    struct Door {
        #[kv(secret, default = "none")]
        key: Secret<String>,
        #[kv(entries, secret)]
        pins: BTreeMap<String, Secret<u16>>,
    }

    fn ring() -> Keyring {
        Keyring::new(SealKey::new("a", [1; 32]).unwrap())
    }

    fn sealed(key: &str, clear: &str) -> String {
        seal(&ring(), &Key::new(key).unwrap(), clear.as_bytes()).unwrap()
    }

    /// Starts with variables, a file and a keyring.
    fn start(
        variables: &[(&str, String)],
        file: &str,
        ring: Option<Keyring>,
    ) -> Result<(String, Vec<u16>), Vec<Problem>> {
        let variable = |name: &str| {
            let given = variables.iter().find(|(known, _)| *known == name);
            given.map(|(_, value)| value.clone().into_bytes())
        };
        let layers = Layers::new(Prefix::new("p").unwrap(), &["base".to_owned(), "host.a".to_owned()]);
        let seals = Seals { ring, writes_clear: false };
        let table = Table::new::<Door>(&variable).with_seals(seals).with_layers(layers.unwrap());
        let source = FileSource::new("/app.toml").check().unwrap();
        let prefix = Prefix::new("p").unwrap();
        let content = source.content(&Ok(file.into()), &prefix, &FieldsOf::<Door>::new(&table));
        let given = vec![(Source::File(0), content)];
        match View::<Door>::start_with(Arc::new(table), "test", &update(Vec::new()), given) {
            Ok(view) => {
                let pins = view.snapshot.pins.values().map(|pin| *pin.expose()).collect();
                Ok((view.snapshot.key.expose().clone(), pins))
            }
            Err(report) => Err(report.problems),
        }
    }

    // P11: a program that gets the text that stands there takes it for its secret, and sends it to others.
    #[test]
    fn a_sealed_secret_in_a_file_or_a_variable_is_opened_or_refused_and_never_served_as_it_stands() {
        let variables = [
            ("P_KEY", sealed("p.key", "hunter2")),
            ("P_PINS", format!("{{\"door\":\"{}\"}}", sealed("p.pins.door", "1234"))),
        ];
        let file = format!(
            "[p]\nkey = '{}'\npins.gate = '{}'\n",
            sealed("p.key", "hunter3"),
            sealed("p.pins.gate", "77")
        );
        assert_eq!(start(&variables, &file, Some(ring())).unwrap(), ("hunter2".into(), vec![1234, 77]));
        assert_eq!(start(&[], &file, Some(ring())).unwrap(), ("hunter3".into(), vec![77]));
        let told = |problems: Vec<Problem>| {
            assert!(problems.iter().all(|problem| problem.kind == ProblemKind::Sealed), "{problems:?}");
            problems.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(
            told(start(&variables, &file, None).unwrap_err()),
            [
                "p.key: sealed with key a, and this program has no keyring",
                "p.pins.door: sealed with key a, and this program has no keyring",
                "p.pins.gate: sealed with key a, and this program has no keyring",
            ]
        );
        let problems = start(&[("P_PINS", "hunter2".to_owned())], "", None).unwrap_err();
        assert_eq!(problems[0].to_string(), "p.pins: the secret value is no object as JSON");
        let copied = [("P_KEY", sealed("p.pins.door", "1234"))];
        assert_eq!(
            told(start(&copied, "", Some(ring())).unwrap_err()),
            [
                "p.key: sealed with key a, and does not open: tampered with, copied from another key, or sealed with another key a"
            ]
        );
    }
}
