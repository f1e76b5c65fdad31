//! Schemas that say in which layers their settings stand.

use insta::assert_snapshot;
use kvconf::{KvConfig, Schema, Secret};

use crate::command::{Kvconf, file, normalised, server_with_bucket};

#[derive(KvConfig, Debug, Clone)]
#[kv(prefix = "checkout")]
struct Checkout {
    #[kv(default = 50, range(1..=500))]
    max_items: u32,
    region: String,
    pay: Option<Secret<String>>,
}

fn layered() -> Schema {
    Schema::of::<Checkout>().with_layers(["base", "env.*", "host.*"]).unwrap()
}

#[tokio::test]
async fn writes_to_layers_that_a_schema_names_are_held_against_it() {
    // P3
    let (server, bucket) = server_with_bucket().await;
    bucket.publish_schema(&layered(), "1.4.0").await.unwrap();
    bucket.put("base.checkout.region", "eu").await.unwrap();
    let kvconf = Kvconf::of(&server);
    let refused = kvconf.text("set --layer host.web-1 checkout.max_items=0 checkout.max_itmes=1 --yes").await;
    assert_snapshot!(refused, @r"
    exit 5
    --- out
    +  host.web-1.checkout.max_items  0
    +  host.web-1.checkout.max_itmes  1
    --- err
    error: 2 problems in Checkout (bucket prod, planned change); still serving revision 2
      × host.web-1.checkout.max_items: 0 is outside 1..=500
      × host.web-1.checkout.max_itmes: unknown key, did you mean host.web-1.checkout.max_items?   (ignored)
      help: mend it, or write it all the same with --force --reason TEXT
    ");
    let stray = kvconf.text("set checkout.max_items=60 dev.checkout.max_items=60 --yes").await;
    assert_snapshot!(normalised(&stray.to_string(), None), @r"
    exit 0
    --- out
    +  checkout.max_items      60
    +  dev.checkout.max_items  60
    warning: 1 problem in Checkout (bucket prod, planned change)
      × checkout.max_items: stands in no layer of Checkout, which reads base, env.* and host.*; did you mean base.checkout.max_items?   (ignored)
    2 keys written to prod, revision 4
    --- err
    note: dev.checkout.max_items: dev is no layer of Checkout, which reads base, env.*, host.*
    note: kvconf revert [change] takes it back
    ");
    let last = kvconf.text("unset --layer base checkout.region --yes").await;
    assert!(last.err.contains("× checkout.region: required, and no source has a value"), "{last}");
    assert_eq!((last.code, bucket.get("base.checkout.region").await.unwrap().is_some()), (5, true));
    let good = kvconf.text("set --layer env.prod checkout.max_items=70 --yes").await;
    assert_eq!(good.code, 0, "{good}");
    assert_eq!(kvconf.run("get --layer env.prod checkout.max_items").await.out, "70");
    let bad = kvconf.text("get --layer a..b checkout.max_items").await;
    assert!(bad.code == 2 && bad.err.contains("\"a..b\" has an empty part"), "{bad}");
}

#[tokio::test]
async fn checks_and_doctor_look_into_every_layer() {
    let (server, bucket) = server_with_bucket().await;
    let kvconf = Kvconf::of(&server);
    let (_folder, path) = file("schema.json", Schema::of::<Checkout>().to_stored("1.4.0").unwrap());
    assert_snapshot!(kvconf.text(&format!("schema publish {path} --layers base,env.*,host.* --yes")).await, @r"
    exit 0
    --- out
    checkout 1.4.0 published, revision 1
    ");
    assert_snapshot!(kvconf.text(&format!("schema publish {path} --layers base,base --yes")).await, @r#"
    exit 2
    --- err
    error: layer "base" is named twice
      help: --layers is such as base,env.*
    "#);
    bucket.put("base.checkout.region", "eu").await.unwrap();
    bucket.put("host.web-1.checkout.max_items", "0").await.unwrap();
    bucket.put("host.web-1.checkout.max_items", "9999").await.unwrap();
    assert_snapshot!(kvconf.text("schema check").await, @r"
    exit 11
    --- out
    checkout 1.4.0: 1 problem
      × host.web-1.checkout.max_items: 9999 is outside 1..=500
    ");
    let past: serde_json::Value = serde_json::from_str(&kvconf.run("schema check --past").await.out).unwrap();
    assert_eq!(past["past"]["states"], 3);
    assert_eq!(past["past"]["refused"][0]["problems"][0]["key"], "host.web-1.checkout.max_items");
    assert_snapshot!(kvconf.text("schema show checkout").await, @r"
    exit 0
    --- out
    setting             values                          without a value
    checkout.max_items  a whole number (u32), 1 to 500  50
    checkout.region     a text                          required
    checkout.pay        a text, secret                  none
    layers, from general to specific: base, env.*, host.*
    ");
    let doctor = kvconf.text("doctor").await;
    assert_eq!(doctor.code, 11, "{doctor}");
    assert!(doctor.out.contains(
        "fail     values: checkout 1.4.0 would not take what stands there, in the layers base, env.*, host.*: host.web-1.checkout.max_items: 9999 is outside 1..=500\n         help: kvconf schema check checkout\n"
    ), "{doctor}");
    bucket.put("host.web-1.checkout.max_items", "90").await.unwrap();
    assert!(kvconf.text("doctor").await.out.contains(
        "pass     values: checkout 1.4.0 reads what stands there, in the layers base, env.*, host.*\n"
    ));
    // A file is of the struct alone: its layers are those of the version before.
    let (_folder, next) = file("next.json", Schema::of::<Checkout>().to_stored("1.5.0").unwrap());
    assert_snapshot!(kvconf.text(&format!("schema diff {next} --structure")).await, @r"
    exit 0
    --- out
    checkout 1.5.0 reads as 1.4.0: no differences
    ");
    let diff = kvconf.text(&format!("schema diff {next}")).await;
    assert!(diff.out.contains("Checkout refuses 2 of 4 states of bucket prod\n"), "{diff}");
    kvconf.text(&format!("schema publish {next} --yes")).await;
    let schemas = bucket.schemas().await.unwrap();
    assert_eq!(schemas.get("checkout").unwrap().schema, layered());
    assert_eq!(schemas.get("checkout").unwrap().version, "1.5.0");
}

#[tokio::test]
async fn a_document_is_read_as_the_schema_knows_its_settings() {
    // P3
    #[derive(KvConfig, Debug, Clone)]
    #[kv(prefix = "shop")]
    struct Shop {
        #[kv(default)]
        names: std::collections::BTreeMap<String, u32>,
        #[kv(entries)]
        limits: std::collections::BTreeMap<String, u32>,
        #[kv(nested)]
        retry: Retry,
    }
    #[derive(KvConfig, Debug, Clone)]
    struct Retry {
        #[kv(default = 3, range(1..=9))]
        max: u8,
    }
    let (server, bucket) = server_with_bucket().await;
    bucket.publish_schema(&Schema::of::<Shop>().with_layers(["", "base"]).unwrap(), "1.0.0").await.unwrap();
    let kvconf = Kvconf::of(&server);
    let text =
        "[base.shop]\nretry = { max = 4 }\nlimits = { \"a b\" = 1 }\n[base.shop.names]\nx = 1\n\"y z\" = 2\n";
    let (_folder, path) = file("shop.toml", text);
    let folder = std::path::Path::new(&path).parent().unwrap().to_owned();
    assert_snapshot!(normalised(&kvconf.text(&format!("apply {path} --yes")).await.to_string(), Some(&folder)), @r#"
    exit 0
    --- out
    +  base.shop.limits.a=20b  1
    +  base.shop.names         {"x":1,"y z":2}
    +  base.shop.retry.max     4
    3 keys written to prod, revision 4
    --- err
    note: kvconf revert [change] takes it back
    "#);
    let (_json, json) = file(
        "shop.json",
        "{\"retry\": {\"max\": 12},\n \"names\": {\"x\": \"one\"},\n   \"limts\": {\"a\": 1}}",
    );
    let folder = std::path::Path::new(&json).parent().unwrap().to_owned();
    let refused = kvconf.text(&format!("apply {json} --under shop --yes")).await;
    assert_snapshot!(normalised(&refused.to_string(), Some(&folder)), @r#"
    exit 5
    --- out
    +  shop.limts.a    1
    +  shop.names      {"x":"one"}
    +  shop.retry.max  12
    --- err
    error: 3 problems in Shop (bucket prod, planned change); still serving revision 4
      × shop.limts.a: unknown key, did you mean shop.limits.a?   (ignored)
          [folder]/shop.json:3:14
      × shop.names: x: expected a whole number (u32), found the text `one`
          [folder]/shop.json:2:2
      × shop.retry.max: 12 is outside 1..=9
          [folder]/shop.json:1:12
      help: mend it, or write it all the same with --force --reason TEXT
    "#);
    let refused = kvconf.run(&format!("apply {json} --under shop --dry-run")).await;
    let told: serde_json::Value = serde_json::from_str(refused.out.lines().next().unwrap()).unwrap();
    let place = &told["problems"]
        .as_array()
        .unwrap()
        .iter()
        .find(|it| it["key"] == "shop.retry.max")
        .unwrap()["place"];
    assert_eq!((&place["line"], &place["column"]), (&serde_json::json!(1), &serde_json::json!(12)));
    // What is no document at all is told before anybody is asked.
    let (_bad, bad) = file("bad.toml", "[shop\n");
    let alone = Kvconf::alone().variable("KVCONF_BUCKET", "prod").variable("NATS_URL", "nats://127.0.0.1:1");
    let ran = alone.text(&format!("apply {bad} --yes")).await;
    assert!(ran.code == 6 && ran.err.contains("bad.toml: line 1, column 6: "), "{ran}");
}
