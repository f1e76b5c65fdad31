//! A bad file: nothing of it reaches readers, everything wrong with it is told, and it is taken as soon as it can be.

use kvconf::{Bucket, FileSource, KvConfig, Origin, WatchState};

use crate::files::folder::{BOUND, Checkout, Folder, refused, start, until, until_health, until_told};

// P3
#[tokio::test]
async fn every_fault_of_a_file_is_told_with_line_and_column() {
    let folder = Folder::new();
    let text = "[checkout]\nmax_items = 9999\npayment-timeout = 'soon'\nretry = { min = 9, max = 5 }\nlimits.gold = 'many'\n\ncountries = 'NL'\nany = [inf]\n";
    let report = refused(&Bucket::memory(), folder.write("app.toml", text)).await;
    insta::assert_snapshot!(folder.hide(&report.to_string()), @r"
    error: 5 problems in Checkout (bucket memory, revision 0); nothing is served yet
      × checkout.any: `inf` has no stored form
          app.toml:8:8
      × checkout.countries: expected a list as JSON, found `NL`: unexpected `N` at column 1
          app.toml:7:1
      × checkout.limits.gold: `many` is not a whole number (u32)
          app.toml:5:8
      × checkout.max_items: 9999 is outside 1..=500
          app.toml:2:1
      × checkout.payment-timeout: `soon` is not a duration such as 3s
          app.toml:3:1
    ");
}

// P3
#[tokio::test]
async fn every_fault_of_the_syntax_is_told_with_line_and_column() {
    let folder = Folder::new();
    for (name, text, told) in [
        (
            "a.toml",
            "[checkout]\nmax_items = \nmax_items = 3\n[checkout]\n",
            "a.toml:2:13: string values must be quoted, expected literal string | a.toml:3:1: duplicate key | a.toml:4:2: duplicate key",
        ),
        (
            "a.json",
            "{\"checkout\": {\n  \"max_items\": 1,\n  \"max_items\": 2, \"é\": 1 }, \"a\": 1, \"a\": }",
            "a.json:3:3: the key `max_items` stands twice | a.json:3:42: unexpected `}`",
        ),
        ("b.json", "{\"checkout\": {", "b.json:1:15: it ends too early"),
        ("c.json", " [1]", "c.json:1:2: expected a table of settings, found a list"),
        ("d.json", "{\"checkout\":\n 5}", "checkout: expected a table, found a number"),
        (
            "a.yaml",
            "checkout:\n  max_items: 1\n  max_items: 2\n",
            "a.yaml:3:3: the key `max_items` stands twice",
        ),
        ("b.yaml", "a: &a [1]\n---\nb: 1\n", "b.yaml:2:1: a second document: a file of settings has one"),
        ("c.yaml", "checkout:\n  <<: {max_items: 1}\n", "c.yaml:2:3: merge keys are no part of YAML 1.2"),
        ("d.yaml", "checkout:\n  max_items: !env MAX\n", "d.yaml:2:14: the tag `!env` is not known here"),
        ("e.yaml", "checkout: [\n", "e.yaml:"),
    ] {
        let report = refused(&Bucket::memory(), folder.write(name, text)).await;
        let problems: Vec<String> = report.problems.iter().map(ToString::to_string).collect();
        let found = folder.hide(&problems.join(" | "));
        assert!(found.starts_with(told), "{name}: {found}");
    }
}

// P3
#[tokio::test]
async fn a_bad_file_leaves_the_last_good_one_until_it_is_mended() {
    let (folder, bucket) = (Folder::new(), Bucket::memory());
    let live = start(&bucket, folder.write("app.toml", "[checkout]\nmax_items = 60\n")).await;
    folder.replace("app.toml", "[checkout]\nregion = 'eu'\nmax_items = 9999\n");
    let told = until_told(&live, &folder, "9999").await;
    insta::assert_snapshot!(told, @r"
    error: 1 problem in Checkout (bucket memory, revision 0); still serving the last good values
      × checkout.max_items: 9999 is outside 1..=500
          app.toml:3:1; before: 60
    ");
    let (health, served) = (live.health(), live.snapshot());
    assert_eq!((served.max_items, served.region.as_deref()), (60, None), "all or nothing");
    assert!(health.is_ready() && !health.is_current() && health.state == WatchState::Live);
    assert_eq!(health.rejected[0].keys, ["checkout.max_items", "checkout.region"]);
    assert!(matches!(&health.rejected[0].origin, Some(Origin::File(_))));

    // What the bucket brings meanwhile is taken as ever, and names what is left out.
    let written = bucket.put("checkout.retry.max", "7").await.unwrap();
    live.wait_for(written).await.unwrap();
    assert_eq!((live.load().retry.max, live.load().revision()), (7, written));
    assert_eq!(live.load().rejected().len(), 1);
    let explained = folder.hide(&live.explain(Checkout::fields().max_items).to_string());
    insta::assert_snapshot!(explained, @r"
    checkout.max_items
        9999   from app.toml:3   (rejected)
      → 60   from app.toml:2
        50   from the default
    ");

    // Worse still: no TOML at all.
    folder.replace("app.toml", "[checkout\nmax_items = 70\n");
    let told = until_told(&live, &folder, "app.toml:1:10").await;
    assert!(!told.contains("9999"), "{told}");
    assert_eq!(live.load().max_items, 60);

    folder.replace("app.toml", "[checkout]\nmax_items = 70\n");
    until(&live, |cfg| cfg.max_items == 70).await;
    let health = live.health();
    assert_eq!((health.report, health.rejected.len(), live.load().rejected().len()), (None, 0, 0));
    assert_eq!(live.load().revision(), written, "the revision is the bucket's");
}

// P3
#[tokio::test]
async fn a_file_and_a_change_that_are_only_valid_together_come_in_together() {
    let (folder, bucket) = (Folder::new(), Bucket::memory());
    let live = start(&bucket, folder.write("app.toml", "checkout.retry.max = 5\n")).await;
    folder.replace("app.toml", "checkout.retry.min = 8\ncheckout.max_items = 70\n");
    let told = until_told(&live, &folder, "exceeds").await;
    insta::assert_snapshot!(told, @r"
    error: 1 problem in Checkout (bucket memory, revision 0); still serving the last good values
      × checkout: retry.min exceeds retry.max
          retry.min from app.toml:1 · retry.max from the default
    ");
    let written = bucket.put("checkout.retry.max", "9").await.unwrap();
    live.wait_for(written).await.unwrap();
    let cfg = live.snapshot();
    assert_eq!((cfg.retry.min, cfg.retry.max, cfg.max_items), (8, 9, 70));
    assert_eq!((live.health().report, cfg.rejected().len()), (None, 0));

    // And the other way about.
    let waits = bucket.put("checkout.retry.max", "3").await.unwrap();
    live.wait_for(waits).await.unwrap_err();
    folder.replace("app.toml", "checkout.retry.min = 2\n");
    until(&live, |cfg| cfg.retry.max == 3 && cfg.retry.min == 2).await;
    assert_eq!(live.health().report, None);
}

// P3, P5
#[tokio::test]
async fn a_file_that_cannot_be_read_any_more_keeps_what_it_said() {
    let folder = Folder::new();
    let live = start(&Bucket::memory(), folder.write("app.toml", "checkout.max_items = 60\n")).await;
    let path = folder.path("app.toml");
    std::fs::remove_file(&path).unwrap();
    until_told(&live, &folder, "app.toml: the file is gone; what it said last counts until it is back").await;
    std::fs::create_dir(&path).unwrap();
    until_told(&live, &folder, "app.toml: it is a folder, not a file").await;
    std::fs::remove_dir(&path).unwrap();
    folder.write("app.toml", vec![b'#'; 5 * 1024 * 1024]);
    until_told(&live, &folder, "app.toml: it is larger than 4194304 bytes").await;
    folder.replace("app.toml", "checkout.max_items = 60\n#");
    until_health(&live, |health| health.report.is_none()).await;
    folder.write("app.toml", b"# \xc3\xa9\ncheckout.region = '\xff'\n");
    until_told(&live, &folder, "app.toml:2:20: not UTF-8 from here on").await;
    assert_eq!(live.load().max_items, 60);

    // With the mark that editors on Windows begin with.
    folder.write("app.toml", b"\xef\xbb\xbfcheckout.max_items = 61\r\n");
    until(&live, |cfg| cfg.max_items == 61).await;
    assert_eq!(live.health().report, None);
}

// P5
#[tokio::test]
async fn a_file_that_must_be_there_is_missed_at_the_start() {
    let folder = Folder::new();
    let report = refused(&Bucket::memory(), folder.path("app.toml").as_path()).await;
    assert_eq!(folder.hide(&report.problems[0].to_string()), "app.toml: there is no such file");
    let file = FileSource::new(folder.path("app.toml/further/below.toml"));
    let live = Bucket::memory().live::<Checkout>().without_environment().file(file.optional()).start();
    assert_eq!(live.await.unwrap().health().report, None);
}

#[tokio::test]
async fn the_watch_ends_with_the_handle() {
    let folder = Folder::new();
    let live = start(&Bucket::memory(), folder.write("app.toml", "checkout.max_items = 60\n")).await;
    let mut changes = live.changes();
    live.stop();
    folder.replace("app.toml", "checkout.max_items = 61\n");
    assert!(tokio::time::timeout(BOUND, changes.next()).await.expect("the stream ends").is_none());
    assert_eq!(live.load().max_items, 60);
}
