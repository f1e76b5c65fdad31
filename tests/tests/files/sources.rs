//! What a file may hold, and which source wins.

use std::time::Duration;

use kvconf::{Bucket, FileSource, Format, KvConfig, Origin, ProblemKind, StartError};

use crate::files::folder::{Checkout, Folder, refused, start, until};

const TOML: &str = r#"
title = "other programs read this file too"

[checkout]
max_items = 1_00
payment-timeout = "1h 30m"
retry.max = 0x10
countries = ["DE", 'AT']
region = "null"
any = "80"
level = "debug"
api_key = "s3cr3t"

[checkout.limits]
gold = 30
"silver & bronze" = 2
"#;

const JSON: &str = r#"{
  "title": ["other programs read this file too"],
  "checkout": {
    "max_items": 100, "payment-timeout": "1h 30m", "retry": {"max": 16},
    "countries": ["DE", "AT"], "region": "null", "any": "80", "level": "debug", "api_key": "s3cr3t",
    "limits": {"gold": 30, "silver & bronze": 2}
  }
}"#;

const YAML: &str = r#"
title: other programs read this file too
checkout:
  max_items: 100
  payment-timeout: 1h 30m
  retry: {max: 0x10}
  countries:
    - DE
    - AT
  region: "null"
  any: "80"
  level: debug
  api_key: s3cr3t
  limits: {gold: 30, "silver & bronze": 2}
"#;

#[tokio::test]
async fn all_formats_say_the_same() {
    let folder = Folder::new();
    for (name, text) in [("app.toml", TOML), ("app.json", JSON), ("app.YAML", YAML), ("app.yml", YAML)] {
        let live = start(&Bucket::memory(), folder.write(name, text)).await;
        let cfg = live.load();
        assert_eq!((cfg.max_items, cfg.payment_timeout), (100, Duration::from_secs(5400)), "{name}");
        assert_eq!((cfg.retry.min, cfg.retry.max), (1, 16), "{name}");
        assert_eq!(
            (cfg.countries.join(" "), cfg.region.as_deref()),
            ("DE AT".to_owned(), Some("null")),
            "{name}"
        );
        assert_eq!(cfg.any, Some(serde_json::json!("80")), "a text stays a text: {name}");
        assert_eq!((cfg.level.as_str(), cfg.api_key.expose().as_str()), ("debug", "s3cr3t"), "{name}");
        let limits: Vec<_> = cfg.limits.iter().map(|(key, value)| (key.as_str(), *value)).collect();
        assert_eq!(limits, [("gold", 30), ("silver & bronze", 2)], "{name}");
        assert_eq!(live.health().report, None, "{name}");
    }
}

#[tokio::test]
async fn the_bucket_goes_before_files_and_a_later_file_before_an_earlier_one() {
    let (folder, bucket) = (Folder::new(), Bucket::memory());
    let base = folder
        .write("base.toml", "[checkout]\nmax_items = 10\nregion = 'eu'\nlimits.gold = 1\nlimits.tin = 2\n");
    let local = folder.write("local.json", r#"{"checkout.max_items": 20, "checkout.limits.gold": 3}"#);
    bucket.put("checkout.payment-timeout", "5s").await.unwrap();
    bucket.put("checkout.limits.lead", "9").await.unwrap();
    let live = bucket.live::<Checkout>().without_environment().file(base).file(local).start().await.unwrap();
    let fields = Checkout::fields();
    assert_eq!((live.load().max_items, live.load().payment_timeout), (20, Duration::from_secs(5)));
    assert_eq!(live.load().region.as_deref(), Some("eu"));

    let limits: Vec<_> = live.load().limits.iter().map(|(key, value)| (key.clone(), *value)).collect();
    assert_eq!(limits, [("gold".into(), 3), ("lead".into(), 9), ("tin".into(), 2)]);

    let written = bucket.put("checkout.max_items", "30").await.unwrap();
    live.wait_for(written).await.unwrap();
    live.overrides().set(fields.max_items, 40).apply().unwrap();
    assert_eq!(live.load().max_items, 40);
    let explained = folder.hide(&live.explain(fields.max_items).to_string());
    insta::assert_snapshot!(explained, @r"
    checkout.max_items
      → 40   from an override
        30   from revision 3
        20   from local.json:1
        10   from base.toml:2
        50   from the default
    ");
    insta::assert_snapshot!(folder.hide(&live.explain(fields.limits).to_string()), @r"
    checkout.limits
      → checkout.limits.gold: 3   from local.json:1
        checkout.limits.gold: 1   from base.toml:4
      → checkout.limits.lead: 9   from revision 2
      → checkout.limits.tin: 2   from base.toml:5
    ");
    assert_eq!(live.origin(fields.max_items), Some(Origin::Override));
    assert_eq!(live.origin(fields.limits), None);
    let Some(Origin::File(place)) = live.origin(fields.region) else { panic!("from the file") };
    assert_eq!((place.line, place.column), (3, 1));

    // A removed key lets the file's value through again.
    live.overrides().clear_all().apply().unwrap();
    let removed = bucket.delete("checkout.max_items").await.unwrap();
    live.wait_for(removed).await.unwrap();
    assert_eq!(live.load().max_items, 20);
    let removed = bucket.delete("checkout.limits.lead").await.unwrap();
    live.wait_for(removed).await.unwrap();
    assert_eq!(live.load().limits.len(), 2);
}

// P11
#[tokio::test]
async fn a_secret_from_a_file_is_shown_nowhere() {
    let folder = Folder::new();
    let path = folder.write("app.toml", "checkout.api_key = 's3cr3t'\ncheckout.max_items = 0\n");
    let report = refused(&Bucket::memory(), path.as_path()).await;
    let path = folder.write("app.toml", "checkout.api_key = 's3cr3t'\n");
    let live = start(&Bucket::memory(), path).await;
    let explained = live.explain(Checkout::fields().api_key);
    let shown = format!("{report} {report:?} {explained} {explained:?} {:?} {live:?}", live.health());
    assert!(shown.contains("***") && !shown.contains("s3cr3t"), "{shown}");
}

#[tokio::test]
async fn a_file_of_one_struct_alone_is_read_from_its_prefix_on() {
    let folder = Folder::new();
    let file = FileSource::new(folder.write("settings", r#"{"max_items": 7}"#));
    let live = Bucket::memory().live::<Checkout>().without_environment();
    let live = live.file(file.format(Format::Json).at("checkout")).start().await.unwrap();
    assert_eq!(live.load().max_items, 7);

    // A handle under another prefix finds its own part.
    let file = folder.write("tenants.toml", "a.checkout.max_items = 8\nb.checkout.max_items = 9\n");
    let tenant = |name: &str| {
        Bucket::memory().live::<Checkout>().without_environment().prefix(format!("{name}.checkout"))
    };
    assert_eq!(tenant("a").file(file.as_path()).start().await.unwrap().load().max_items, 8);
    assert_eq!(tenant("b").file(file).start().await.unwrap().load().max_items, 9);
}

#[tokio::test]
async fn odd_names_are_told_with_their_lines_and_ignored() {
    let folder = Folder::new();
    let text = "[checkout]\nmax_item = 1\ntimeout = '9s'\nold_limit = 2\n\n[checkout.retrry]\nmax = 3\n\n[checkout.retry]\nmac = 1\n";
    let live = start(&Bucket::memory(), folder.write("app.toml", text)).await;
    let report = live.health().report.expect("there is something to tell");
    assert!(!report.is_fatal());
    insta::assert_snapshot!(folder.hide(&report.to_string()), @r"
    warning: 5 problems in Checkout (bucket memory, revision 0)
      × checkout.max_item: unknown key, did you mean checkout.max_items?   (ignored)
          app.toml:2:1
      × checkout.old_limit: deprecated, use max_items
          app.toml:4:1
      × checkout.retrry: unknown key, did you mean checkout.retry?   (ignored)
          app.toml:6:11
      × checkout.retry.mac: unknown key, did you mean checkout.retry.max?   (ignored)
          app.toml:10:1
      × checkout.timeout: an old name of checkout.payment-timeout, read; write checkout.payment-timeout instead
          app.toml:3:1
    ");
    assert_eq!(live.load().payment_timeout, Duration::from_secs(9));

    folder.replace("app.toml", "checkout.max_items = 3\n");
    until(&live, |cfg| cfg.max_items == 3).await;
    assert_eq!(live.health().report, None);

    let file = folder.write("misspelt.toml", "[chekout]\nmax_items = 3\n[payments]\nmax = 1\n");
    let report = start(&Bucket::memory(), file).await.health().report.expect("there is something to tell");
    assert_eq!(report.problems[0].to_string(), "chekout: unknown key, did you mean checkout?");
    assert_eq!((report.problems.len(), report.problems[0].kind), (1, ProblemKind::UnknownKey));
}

#[tokio::test]
async fn names_by_several_ways_and_null_are_settled_or_refused() {
    let folder = Folder::new();
    let twice = folder.write("twice.json", "{\"checkout\": {\"max_items\": 1},\n \"checkout.max_items\": 2}");
    let report = refused(&Bucket::memory(), twice).await;
    assert_eq!(report.problems[0].to_string(), "checkout.max_items: stands twice, first in line 1");

    let empty = folder.write(
        "empty.json",
        r#"{"": {"checkout": 1}, "checkout": {"": {"max_items": 9}, "limits": {"": 2}}}"#,
    );
    let live = start(&Bucket::memory(), empty).await;
    assert_eq!((live.load().max_items, live.load().limits[""]), (50, 2));
    let told = live.health().report.expect("a name without a letter").problems[0].to_string();
    assert_eq!(told, "checkout: a name without a letter is no key");

    // The present name goes before the old one, wherever they stand.
    let both = folder.write("both.toml", "[checkout]\ntimeout = '1s'\npayment-timeout = '2s'\n");
    let live = start(&Bucket::memory(), both).await;
    assert_eq!(live.load().payment_timeout, Duration::from_secs(2));
    let told = live.health().report.expect("the old name").problems[0].to_string();
    assert!(told.starts_with("checkout.timeout: an old name of checkout.payment-timeout, ignored"), "{told}");

    // Null says that there is none, where that can be said.
    let base = folder.write("base.yaml", "checkout:\n  region: eu\n  retry:\n");
    let null = folder.write("null.json", r#"{"checkout": {"region": null, "any": null}}"#);
    let live = Bucket::memory().live::<Checkout>().without_environment().file(base).file(null);
    let live = live.start().await.unwrap();
    assert_eq!((live.load().region.as_deref(), live.load().any.as_ref()), (None, None));
    let null = folder.write("null.yaml", "checkout:\n  max_items:\n");
    let report = refused(&Bucket::memory(), null).await;
    assert_eq!(
        report.problems[0].to_string(),
        "checkout.max_items: null, which only an Option can be; leave the name out instead"
    );
}

#[tokio::test]
async fn a_file_of_no_known_format_stops_the_start() {
    let start = |file: FileSource| Bucket::memory().live::<Checkout>().file(file).start();
    let error = start(FileSource::new("/etc/app.conf")).await.unwrap_err();
    assert_eq!(error.to_string(), "no format is known by the ending of /etc/app.conf");
    let error = start(FileSource::new("app.toml").at("a..b")).await.unwrap_err();
    assert!(matches!(error, StartError::Prefix(_)), "{error:?}");
}

#[tokio::test]
async fn what_an_update_writes_begins_from_the_files_value_and_wins_over_it() {
    let (folder, bucket) = (Folder::new(), Bucket::memory());
    let live = start(&bucket, folder.write("app.toml", "checkout.max_items = 60\n")).await;
    let applied = live.update(|cfg| cfg.max_items += 1).author("ops").await.unwrap();
    live.wait_for(applied.revision()).await.unwrap();
    assert_eq!(bucket.get("checkout.max_items").await.unwrap().unwrap(), "61");
    assert_eq!(live.load().max_items, 61);
}

#[tokio::test]
async fn a_plan_tells_what_of_a_file_counts_while_the_bucket_has_nothing() {
    let (folder, bucket) = (Folder::new(), Bucket::memory());
    bucket.put("checkout.max_items", "60").await.unwrap();
    let text = "[checkout]\nmax_items = 10\nlimits.gold = 3\napi_key = 's3cr3t'\n";
    let live = start(&bucket, folder.write("app.toml", text)).await;
    let fields = Checkout::fields();
    let edit = live.edit().unset(fields.max_items).set(fields.payment_timeout, Duration::from_secs(9));
    let plan = edit
        .set_entry(fields.limits, "gold", 4)
        .set(fields.api_key, kvconf::Secret::new("new".to_owned()))
        .plan()
        .await
        .unwrap();
    assert_eq!(
        folder.hide(&plan.to_string()),
        "checkout.api_key: (*** of app.toml:4) → ***\n\
         checkout.limits.gold: (3 of app.toml:3) → 4\n\
         checkout.max_items: 60 → (10 of app.toml:2)\n\
         checkout.payment-timeout: (default 3s) → 9s"
    );
}
