//! flagd's schemas: which documents they take.

use kvconf::flag::{FlagDocument, FlagProblem, check_targeting};
use serde_json::Value;

use crate::flag_conformance::{read, suites};

fn problems(path: &std::path::Path, is_rule: bool) -> Vec<FlagProblem> {
    let text = read(path);
    if is_rule {
        let rule: Value = serde_json::from_str(&text).unwrap();
        return check_targeting(&rule);
    }
    FlagDocument::parse(&text).err().map(|error| error.problems().to_vec()).unwrap_or_default()
}

#[test]
#[cfg_attr(not(conformance), ignore = "KVCONF_CONFORMANCE does not name the folder of the suites")]
fn documents_are_taken_and_refused_as_flagds_schemas_do() {
    let suites = suites();
    let (mut taken, mut refused) = (0, 0);
    for folder in ["flagd", "flags", "targeting"] {
        for (kind, is_positive) in [("positive", true), ("negative", false)] {
            let folder_path = suites.join("flagd-schemas/test").join(folder).join(kind);
            for entry in std::fs::read_dir(&folder_path).unwrap() {
                let path = entry.unwrap().path();
                if path.extension().is_none_or(|extension| extension != "json") {
                    continue;
                }
                let problems = problems(&path, folder == "targeting");
                assert_eq!(problems.is_empty(), is_positive, "{}: {problems:?}", path.display());
                if is_positive { taken += 1 } else { refused += 1 }
            }
        }
    }
    let example = |name: &str| problems(&suites.join("flagd-schemas/examples").join(name), false);
    assert_eq!(example("minimal.json"), []);
    // The other example shows two mistakes, and calls them so.
    let shown: Vec<_> = example("full.json").iter().map(ToString::to_string).collect();
    let below = ".targeting.if[2].if[2]";
    let expected = [
        format!(
            "flags.equal-greater-lesser-version-flag{below}.if[2].if[0].sem_ver[2]: expected a version such as `1.2.3`, or `var`"
        ),
        format!("flags.starts-ends-flag{below}.if[0].ends_with[1]: expected a text or an operation"),
    ];
    assert_eq!(shown, expected);
    eprintln!("flagd-schemas: {taken} documents taken, {refused} refused");
    assert_eq!((taken, refused), (18, 18));
}

#[test]
#[cfg_attr(not(conformance), ignore = "KVCONF_CONFORMANCE does not name the folder of the suites")]
fn what_is_read_and_written_again_means_the_same() {
    let suites = suites();
    let mut count = 0;
    let folders =
        ["flagd-schemas/examples", "flagd-schemas/test/flags/positive", "flagd-schemas/test/flagd/positive"];
    let testbed = ["flagd-testbed/flags", "flagd-testbed/evaluator/flags"];
    for folder in folders.iter().chain(&testbed) {
        for entry in std::fs::read_dir(suites.join(folder)).unwrap() {
            let path = entry.unwrap().path();
            let text = read(&path);
            let (document, problems) = FlagDocument::read(&text).unwrap();
            assert_eq!(problems, [], "{}", path.display());
            let original: Value = serde_json::from_str(&text).unwrap();
            assert_eq!(document.to_json(), original, "{}", path.display());
            let (again, _) = FlagDocument::read(&document.to_json().to_string()).unwrap();
            assert_eq!(again, document);
            count += 1;
        }
    }
    assert_eq!(count, 24);
}
