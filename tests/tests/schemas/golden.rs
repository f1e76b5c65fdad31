//! What is made from a schema, pinned. `KVCONF_GOLDEN=write` writes the files anew; a change of `stored.json` is one of a
//! public format.

use kvconf::Schema;
use kvconf::settings::Extent;

use super::rich::Checkout;

fn pinned(name: &str, actual: &str) {
    let path = format!("{}/tests/schemas/golden/{name}", env!("CARGO_MANIFEST_DIR"));
    if std::env::var_os("KVCONF_GOLDEN").is_some_and(|wanted| wanted == "write") {
        std::fs::write(path, actual).unwrap();
        return;
    }
    let golden = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    for (line, (actual, golden)) in (1..).zip(actual.lines().zip(golden.lines())) {
        assert_eq!(actual, golden, "line {line} of {name}");
    }
    assert_eq!(actual, golden, "{name}");
}

#[test]
fn the_stored_form_stays_as_it_is() {
    let stored = Schema::of::<Checkout>().to_stored("1.4.0").unwrap();
    let json: serde_json::Value = serde_json::from_slice(&stored).unwrap();
    let mut pretty = serde_json::to_string_pretty(&json).unwrap();
    pretty.push('\n');
    pinned("stored.json", &pretty);
}

#[test]
fn what_is_stored_reads_back_as_it_was() {
    let schema = Schema::of::<Checkout>();
    let stored = schema.to_stored("1.4.0").unwrap();
    assert_eq!(Schema::from_stored(&stored), Ok(("1.4.0".to_owned(), schema)));
}

#[test]
fn json_schema_template_and_reference_stay_as_they_are() {
    let schema = Schema::of::<Checkout>();
    pinned("whole.schema.json", &schema.json_schema(Extent::Whole));
    pinned("template.toml", &schema.toml_template());
    pinned("reference.md", &schema.markdown());
}

#[test]
fn the_hash_is_of_what_decides_how_values_are_read() {
    let schema = Schema::of::<Checkout>();
    let same = |change: fn(&mut Schema)| {
        let mut other = schema.clone();
        change(&mut other);
        other.hash() == schema.hash()
    };
    assert!(same(|schema| schema.settings[0].description.clear()));
    assert!(same(|schema| schema.settings[0].unit = None));
    assert!(same(|schema| schema.prefix = "other".to_owned()));
    assert!(same(|schema| schema.groups.clear()));
    assert!(!same(|schema| schema.settings[0].constraints.clear()));
    assert!(!same(|schema| schema.settings[0].key = "most_items".to_owned()));
    assert!(!same(|schema| schema.settings.truncate(3)));
    assert!(!same(|schema| schema.validated.clear()));
    assert_eq!(schema.hash().len(), 16);
}
