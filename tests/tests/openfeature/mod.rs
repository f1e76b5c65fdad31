//! OpenFeature's specification, run against the provider: every scenario of its Gherkin, and what the SDK does not allow.
//!
//! Scenarios that cannot pass are named in `limits.rs`, each with its reason. One that fails and is not named there fails the test,
//! and so does one that is named and passes, or is gone; so nothing is skipped without a word.

mod check;
mod flags;
mod gherkin;
mod limits;
mod steps;
mod world;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// How many scenarios each file has, rows of examples counted one by one.
const SCENARIOS: [(&str, usize); 5] = [
    ("contextMerging.feature", 29),
    ("evaluation.feature", 13),
    ("evaluation_v2.feature", 82),
    ("hooks.feature", 3),
    ("metadata.feature", 5),
];

fn folder() -> PathBuf {
    let folder =
        std::env::var_os("KVCONF_CONFORMANCE").expect("KVCONF_CONFORMANCE names the folder of the suites");
    // Cargo runs tests in the folder of their package; the variable is meant from that of the workspace.
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..").join(folder).join("openfeature-spec/gherkin")
}

fn read(name: &str) -> String {
    let path = folder().join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[tokio::test]
#[cfg_attr(not(conformance), ignore = "KVCONF_CONFORMANCE names no suites")]
async fn the_provider_does_what_the_specification_says_as_far_as_the_sdk_allows() {
    let flags = flags::document(&read("test-flags.json"));
    let mut counts = Vec::new();
    let mut failed = BTreeMap::new();
    for (file, _) in SCENARIOS {
        let scenarios = gherkin::parse(file, &read(file));
        counts.push((file, scenarios.len()));
        for scenario in scenarios {
            if let Err(why) = steps::run(&scenario, &flags).await {
                assert!(
                    failed.insert(scenario.name.clone(), why).is_none(),
                    "{} stands twice",
                    scenario.name
                );
            }
        }
    }
    let known: BTreeSet<&str> = limits::NOT_POSSIBLE.iter().flat_map(|(_, names)| *names).copied().collect();
    let failing: BTreeSet<&str> = failed.keys().map(String::as_str).collect();
    let unexpected: Vec<String> =
        failing.difference(&known).map(|name| format!("{name}: {}", failed[*name])).collect();
    let passing: Vec<&&str> = known.difference(&failing).collect();
    assert!(unexpected.is_empty(), "these fail:\n{}", unexpected.join("\n"));
    assert!(passing.is_empty(), "these are said not to be possible, and pass or are gone:\n{passing:#?}");
    assert_eq!(counts, SCENARIOS);
}

#[test]
fn the_readme_says_what_is_not_possible() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../kvconf-openfeature/README.md");
    let readme = std::fs::read_to_string(path).unwrap();
    for (why, names) in limits::NOT_POSSIBLE {
        let row = format!("| {} | {why} |", names.len());
        assert!(readme.contains(&row), "{row}");
    }
    let all: usize = SCENARIOS.iter().map(|(_, count)| count).sum();
    assert!(readme.contains(&format!("Of {all} scenarios")), "{all}");
}
