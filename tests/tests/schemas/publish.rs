//! Schemas in a bucket.

use kvconf::settings::{Publication, PublishError, SchemaError};
use kvconf::{KvConfig, Schema};
use kvconf_tests::Backend;

use super::rich::Checkout;

pub(crate) async fn a_schema_comes_back_as_it_was(backend: &Backend) {
    // P7
    let bucket = backend.plain().await;
    let schema = Schema::of::<Checkout>();
    let publication = bucket.publish_schema(&schema, "1.4.0").author("ci").reason("release").await.unwrap();
    let Publication::Published { revision } = publication else { panic!("{publication:?}") };
    let schemas = bucket.schemas().await.unwrap();
    let published = schemas.get("shop.checkout").unwrap();
    assert_eq!((&published.schema, &*published.version, published.revision), (&schema, "1.4.0", revision));
    assert_eq!(
        (published.attribution.author.as_deref(), published.attribution.reason.as_deref()),
        (Some("ci"), Some("release"))
    );
    assert_eq!(schemas.is_secret("shop.checkout.api_key"), Some(true));
    assert_eq!(schemas.is_secret("shop.checkout.limits.gold"), Some(false));
    assert_eq!(schemas.is_secret("shop.checkout.nothing"), None);
    assert_eq!(schemas.for_key("shop.other"), None);
    // A handle on the whole bucket does not take it for a setting.
    let entry = bucket.read("_kvconf.>").await.unwrap();
    assert_eq!(entry.entries()[0].key().as_str(), "_kvconf.schema.shop.checkout");
}

pub(crate) async fn the_same_schema_is_written_once(backend: &Backend) {
    let bucket = backend.plain().await;
    let schema = Schema::of::<Checkout>();
    let first = bucket.publish_schema(&schema, "1.4.0").await.unwrap();
    let Publication::Published { revision } = first else { panic!("{first:?}") };
    let again = bucket.publish_schema(&schema, "1.4.0").author("another").await.unwrap();
    assert_eq!(again, Publication::Unchanged { revision });
    let newer = bucket.publish_schema(&schema, "1.5.0").await.unwrap();
    assert!(matches!(newer, Publication::Published { .. }), "{newer:?}");
}

pub(crate) async fn an_older_version_does_not_take_the_place_of_a_newer_one(backend: &Backend) {
    // P6
    let bucket = backend.plain().await;
    let schema = Schema::of::<Checkout>();
    bucket.publish_schema(&schema, "1.10.0").await.unwrap();
    let error = bucket.publish_schema(&schema, "1.9.0").await.unwrap_err();
    assert_eq!(error.to_string(), "schema shop.checkout 1.10.0 is published, which is newer than 1.9.0");
    assert!(matches!(error, PublishError::Older { .. }));
    bucket.publish_schema(&schema, "1.9.0").replace_newer().await.unwrap();
    assert_eq!(bucket.schemas().await.unwrap().published[0].version, "1.9.0");
    let error = bucket.publish_schema(&schema, "latest").await.unwrap_err();
    assert_eq!(error.to_string(), "\"latest\" is no version such as 1.4.0");
    let error = bucket.publish_schema(&schema, "1.0.0").name("a b").await.unwrap_err();
    assert_eq!(error.to_string(), "the name of the schema is not valid");
}

pub(crate) async fn instances_that_start_together_publish_once(backend: &Backend) {
    let bucket = backend.plain().await;
    let schema = Schema::of::<Checkout>();
    let all = (0..8).map(|_| async { bucket.publish_schema(&schema, "1.4.0").await.unwrap() });
    let all = futures_util::future::join_all(all).await;
    let published =
        all.iter().filter(|publication| matches!(publication, Publication::Published { .. })).count();
    assert_eq!(published, 1, "{all:?}");
    assert_eq!(bucket.history("_kvconf.schema.shop.checkout").await.unwrap().len(), 1);
}

#[test]
fn garbage_is_no_schema_and_never_a_panic() {
    // P10
    let told = |text: &str| Schema::from_stored(text.as_bytes()).unwrap_err().to_string();
    assert_eq!(told("{}"), "no schema: missing field `format` at line 1 column 2");
    assert_eq!(told(r#"{"format":9}"#), "written in format 9 by a later version of kvconf, this one reads 1");
    let large = vec![b' '; 1_000_001];
    assert_eq!(Schema::from_stored(&large), Err(SchemaError::TooLarge { bytes: 1_000_001 }));
    // Numbers of bits that no number has, forms in forms, and a pattern that is none.
    for form in [
        r#"{"kind":"whole","signed":true,"bits":0}"#,
        r#"{"kind":"whole","signed":false,"bits":255,"nonzero":true}"#,
        r#"{"kind":"float","bits":7}"#,
        r#"{"kind":"json","of":{"kind":"json","of":{"kind":"flag","value":{"kind":"opaque"},"default":false}}}"#,
        r#"{"kind":"list","items":{"kind":"flag","value":{"kind":"bool"},"default":true}}"#,
        r#"{"kind":"option","of":{"kind":"option","of":{"kind":"null"}}}"#,
        r#"{"kind":"enum","variants":[]}"#,
        r#"{"kind":"map","keys":{"kind":"list","items":{"kind":"any"}},"values":{"kind":"any"}}"#,
    ] {
        let constraints = r#"[{"range":{"min":"x","max":"99999999999999999999999999999999999999999"}},{"pattern":"("},{"one-of":["a"]},{"length":{"min":3}}]"#;
        let setting = format!(
            r#"{{"key":"a..b","form":{form},"presence":{{"default":"7"}},"constraints":{constraints}}}"#
        );
        let text = format!(
            r#"{{"format":1,"version":"1","schema":{{"name":"x","prefix":"p..","settings":[{setting}]}}}}"#
        );
        let (_, schema) = Schema::from_stored(text.as_bytes()).unwrap();
        let made = [
            schema.json_schema(kvconf::settings::Extent::Whole),
            schema.toml_template(),
            schema.markdown(),
            schema.hash(),
            schema.compare(&Schema::of::<Checkout>()).to_string(),
            Schema::of::<Checkout>().compare(&schema).to_string(),
        ];
        assert!(made.iter().all(|text| !text.is_empty()));
        for value in ["", "7", "null", "[]", "{\"a\":1}", "\"", "a"] {
            let verdict = schema.judge_change([], [("p...a..b", Some(value.as_bytes()))]);
            let _ = verdict.to_string();
        }
    }
}

#[derive(KvConfig, Debug, Clone)]
struct Bare {
    #[kv(default = 1)]
    value: u8,
}

#[tokio::test]
async fn a_struct_without_a_prefix_is_published_under_its_own_name() {
    let bucket = kvconf::Bucket::memory();
    bucket.publish_schema(&Schema::of::<Bare>(), "1").await.unwrap();
    let schemas = bucket.schemas().await.unwrap();
    assert_eq!(schemas.published[0].name, "Bare");
    assert_eq!(schemas.for_key("value").unwrap().name, "Bare");
    assert_eq!(schemas.for_key("anything.else").unwrap().name, "Bare");
}
