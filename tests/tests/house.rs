//! The rules of the house that a machine can check.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// No source file of what users get is longer.
const MAX_LINES: usize = 600;

/// Files that may be longer, and why.
const LONG_FILES: [(&str, &str); 0] = [];

/// Where the client's crate may be named.
const CLIENT_ROOMS: [&str; 2] = ["kvconf/src/store/nats/", "kvconf/src/nats.rs"];

/// The promises that hold today; the crate's documentation lists them.
const PROMISES: [&str; 12] = ["P1", "P2", "P3", "P4", "P5", "P6", "P7", "P8", "P9", "P10", "P11", "P12"];

struct Source {
    /// From the root of the workspace, with slashes.
    path: String,
    text: String,
}

impl Source {
    fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        (1..).zip(self.text.lines())
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Every Rust file below a folder of the workspace.
fn sources(folder: &str) -> Vec<Source> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(root().join(&folder)).unwrap_or_else(|error| panic!("{folder}: {error}")) {
            let entry = entry.unwrap();
            let path = format!("{folder}/{}", entry.file_name().to_str().unwrap());
            if entry.file_type().unwrap().is_dir() {
                folders.push(path);
            } else if path.ends_with(".rs") {
                found.push(Source { text: read(&path), path });
            }
        }
    }
    assert!(!found.is_empty(), "{folder} has no Rust files: did it move?");
    found
}

/// The code of a line, without a comment that takes the whole of it.
fn code(line: &str) -> &str {
    if line.trim_start().starts_with("//") { "" } else { line }
}

fn assert_none(rule: &str, breaches: &[String]) {
    assert!(breaches.is_empty(), "{rule}:\n  {}", breaches.join("\n  "));
}

#[test]
fn the_client_is_named_in_its_own_rooms_only() {
    let mut breaches = Vec::new();
    for source in sources("kvconf/src").into_iter().chain(sources("kvconf-derive/src")) {
        if CLIENT_ROOMS.iter().any(|room| source.path.starts_with(room)) {
            continue;
        }
        for (number, line) in source.lines().filter(|(_, line)| line.contains("async_nats")) {
            breaches.push(format!("{}:{number}: {}", source.path, line.trim()));
        }
    }
    assert_none("async_nats is named only under kvconf/src/store/nats and in kvconf/src/nats.rs", &breaches);
}

#[test]
fn files_are_short_enough_to_be_read() {
    let mut breaches = Vec::new();
    let sources: Vec<Source> =
        ["kvconf/src", "kvconf-derive/src", "kvconf-cli/src", "kvconf-openfeature/src"]
            .into_iter()
            .flat_map(sources)
            .collect();
    for source in &sources {
        let lines = source.text.lines().count();
        let is_listed = LONG_FILES.iter().any(|(path, _)| *path == source.path);
        if lines >= MAX_LINES && !is_listed {
            breaches.push(format!("{} has {lines} lines: split it", source.path));
        }
        if lines < MAX_LINES && is_listed {
            breaches.push(format!("{} has {lines} lines: take it off the list LONG_FILES", source.path));
        }
    }
    for (path, _) in LONG_FILES.iter().filter(|(path, _)| sources.iter().all(|source| source.path != *path)) {
        breaches.push(format!("{path} is gone: take it off the list LONG_FILES"));
    }
    assert_none(
        &format!("source files have less than {MAX_LINES} lines, unless there is a reason"),
        &breaches,
    );
}

/// The promises that a comment cites: `// P4`, `// P1 and P2`, `// P1, P2, P4: why`.
fn cited(comment: &str) -> impl Iterator<Item = &str> {
    let words = comment.split([' ', ',', ':', '.']).filter(|word| !word.is_empty());
    words.take_while(|word| *word == "and" || is_promise(word)).filter(|word| is_promise(word))
}

fn is_promise(word: &str) -> bool {
    word.strip_prefix('P').is_some_and(|number| number.parse::<u8>().is_ok())
}

/// The part of a file that is compiled for tests only.
fn tests_of(source: &Source) -> &str {
    if source.path.contains("/tests/") || source.path.ends_with("tests.rs") {
        return &source.text;
    }
    source.text.find("#[cfg(test)]").and_then(|at| source.text.get(at..)).unwrap_or_default()
}

#[test]
fn citations_are_read_as_they_are_written() {
    assert_eq!(cited("P1, P2, P4: why P9 is not meant").collect::<Vec<_>>(), ["P1", "P2", "P4"]);
    assert_eq!(cited("P1 and P12").collect::<Vec<_>>(), ["P1", "P12"]);
    assert_eq!(cited("Proves P4").count(), 0);
}

#[test]
fn every_promise_is_cited_by_a_test() {
    let mut found = BTreeSet::new();
    for folder in ["kvconf/src", "kvconf-derive/src", "tests/tests"] {
        for source in sources(folder).iter().filter(|source| !source.path.ends_with("/house.rs")) {
            let comments = tests_of(source).lines().filter_map(|line| line.split_once("// "));
            found.extend(comments.flat_map(|(_, comment)| cited(comment)).map(str::to_owned));
        }
    }
    let missing: Vec<String> =
        PROMISES.iter().filter(|id| !found.contains(**id)).map(|id| format!("// {id}")).collect();
    assert_none("the test that proves a promise cites it in a comment; no test has", &missing);
}

#[test]
fn the_docs_list_exactly_the_promises_that_are_tested() {
    for file in ["kvconf/src/lib.rs", "kvconf/docs/promises.md"] {
        let text = read(file);
        let named: BTreeSet<&str> = text
            .split(|character: char| !character.is_ascii_alphanumeric())
            .filter(|word| is_promise(word))
            .collect();
        assert_eq!(named, BTreeSet::from(PROMISES), "{file} names other promises");
    }
}

#[test]
fn every_example_is_listed_and_checked() {
    let listed =
        read("README.md") + &fs::read_to_string(root().join("examples/README.md")).unwrap_or_default();
    let ci = read(".ci/run");
    let mut breaches = Vec::new();
    for source in sources("examples") {
        let is_example = source.path.matches('/').count() == 1 && source.text.contains("fn main()");
        let Some(name) = source.path.strip_prefix("examples/").and_then(|name| name.strip_suffix(".rs"))
        else {
            continue;
        };
        if is_example
            && !listed.contains(&format!("`{name}`"))
            && !listed.contains(&format!("--example {name}"))
        {
            breaches.push(format!("{name}: neither README.md nor examples/README.md tells of it"));
        }
        if is_example
            && !ci.split(|c: char| !c.is_alphanumeric() && c != '_' && c != '-').any(|word| word == name)
        {
            breaches.push(format!("{name}: .ci/run does not know it"));
        }
    }
    assert_none("every example is listed for readers and checked by .ci/run", &breaches);
}

#[test]
fn the_library_prints_nothing() {
    let mut breaches = Vec::new();
    for source in sources("kvconf/src") {
        for (number, line) in source.lines() {
            if ["println!", "print!(", "eprintln!", "eprint!(", "dbg!("]
                .iter()
                .any(|word| code(line).contains(word))
            {
                breaches.push(format!("{}:{number}: {}", source.path, line.trim()));
            }
        }
    }
    assert_none("the library prints nothing; it has tracing", &breaches);
}

#[test]
fn the_oldest_rust_is_stated_once() {
    let workspace = read("Cargo.toml");
    let version = |manifest: &str| {
        let line = manifest.lines().find(|line| line.starts_with("rust-version = "))?.to_owned();
        Some(line.trim_start_matches("rust-version = ").trim_matches('"').to_owned())
    };
    let oldest = version(&workspace).expect("the workspace states rust-version");
    for member in [
        "kvconf",
        "kvconf-cli",
        "kvconf-derive",
        "kvconf-openfeature",
        "examples",
        "tests",
        "tests/derive",
        "benches",
    ] {
        let manifest = read(&format!("{member}/Cargo.toml"));
        assert!(manifest.contains("rust-version.workspace = true"), "{member} inherits rust-version");
    }
    // A workspace of its own cannot inherit.
    assert_eq!(version(&read("fuzz/Cargo.toml")), Some(oldest.clone()), "fuzz/Cargo.toml is in step");
    assert!(read("README.md").contains(&format!("Rust {oldest}")), "README.md names Rust {oldest}");
}

#[test]
fn the_readme_and_the_checks_run_the_tests_by_the_same_command() {
    let command = "cargo test --workspace";
    assert!(read("README.md").lines().any(|line| line.split(" #").next().unwrap().trim() == command));
    let ci = read(".ci/run");
    let first =
        ci.lines().map(str::trim).find(|line| line.starts_with("stage ")).expect(".ci/run has stages");
    assert_eq!(first, format!("stage \"tests\" {command}"));
}
