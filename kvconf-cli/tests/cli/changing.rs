//! `set` and `unset`: a plan, an agreement, one change set.

use insta::assert_snapshot;
use kvconf::Attribution;

use crate::command::{Kvconf, Ran, file, normalised, server_with_bucket};

fn shown(ran: &Ran) -> String {
    normalised(&ran.to_string(), None)
}

#[tokio::test]
async fn several_keys_are_one_attributed_change_set() {
    // P2, P6, P7
    let (server, bucket) = server_with_bucket().await;
    let kvconf = Kvconf::of(&server);
    let words =
        ["set", "checkout.max_items=80", "checkout.region=eu", "-m", "sale in May", "--yes", "--text"];
    assert_snapshot!(shown(&kvconf.run_with(words).await), @r"
    exit 0
    --- out
    +  checkout.max_items  80
    +  checkout.region     eu
    2 keys written to prod, revision 2
    --- err
    note: kvconf revert [change] takes it back
    ");
    let words = "set checkout.max_items=90 checkout.region=eu --author dev --yes --json";
    assert_snapshot!(shown(&kvconf.run(words).await), @r#"
    exit 0
    --- out
    {"change":"[change]","changes":[{"after":{"value":"90"},"before":{"value":"80"},"expected":1,"key":"checkout.max_items"}],"revision":3,"unchanged":1,"written":[{"key":"checkout.max_items","revision":3}]}
    "#);
    assert_snapshot!(shown(&kvconf.text("set checkout.region=eu --yes").await), @r"
    exit 0
    --- out
    nothing to change: it stands so already
    ");
    assert_snapshot!(shown(&kvconf.text("unset checkout.region --yes").await), @r"
    exit 0
    --- out
    -  checkout.region  eu
    1 key written to prod, revision 4
    --- err
    note: kvconf revert [change] takes it back
    ");

    let entry = bucket.entry_at("checkout.max_items", kvconf::Revision::new(1)).await.unwrap().unwrap();
    let by = Attribution::of(&entry);
    assert_eq!((by.author.as_deref(), by.reason.as_deref()), (Some("ops"), Some("sale in May")));
    assert!(by.change.is_some());
}

#[tokio::test]
async fn a_dry_run_shows_the_plan_and_writes_nothing() {
    let (server, bucket) = server_with_bucket().await;
    bucket.put("a", "1").await.unwrap();
    let kvconf = Kvconf::of(&server);
    assert_snapshot!(kvconf.text("set a=2 b.c=3 --dry-run").await, @r"
    exit 0
    --- out
    ~  a    1  →  2
    +  b.c        3
    ");
    assert_snapshot!(kvconf.run("set a=2 --dry-run").await, @r#"
    exit 0
    --- out
    {"changes":[{"after":{"value":"2"},"before":{"value":"1"},"expected":1,"key":"a"}],"dry_run":true,"unchanged":0}
    "#);
    assert_eq!(bucket.status().await.unwrap().last_revision.get(), 1);
}

#[tokio::test]
async fn without_anybody_to_ask_nothing_is_written_and_nothing_hangs() {
    let (server, bucket) = server_with_bucket().await;
    let kvconf = Kvconf::of(&server);
    assert_snapshot!(kvconf.text("set a=1").await, @r"
    exit 10
    --- out
    +  a  1
    --- err
    error: there is nobody to ask: this is not a terminal
      help: --yes answers beforehand
    ");
    assert_snapshot!(kvconf.run("set a=1 --json").await, @r#"
    exit 10
    --- err
    {"error":{"causes":[],"exit":10,"help":["--yes answers beforehand"],"kind":"declined","message":"there is nobody to ask: this is not a terminal"}}
    "#);
    assert_eq!(bucket.get("a").await.unwrap(), None);
}

#[tokio::test]
async fn values_come_from_arguments_files_and_standard_input() {
    let (server, bucket) = server_with_bucket().await;
    let kvconf = Kvconf::of(&server);
    let (_folder, path) = file("logo.png", b"\x89PNG\xff\n");
    let ran = kvconf.run_on(&format!("set a=x=y b= logo=@{path} d=- --yes --quiet"), b"from input").await;
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
    let value = async |key: &str| bucket.get(key).await.unwrap();
    assert_eq!(value("a").await.as_deref(), Some(&b"x=y"[..]));
    assert_eq!(value("b").await.as_deref(), Some(&b""[..]));
    assert_eq!(value("logo").await.as_deref(), Some(&b"\x89PNG\xff\n"[..]));
    assert_eq!(value("d").await.as_deref(), Some(&b"from input"[..]));
    let ran = kvconf.run("set a=@home b=- --literal --yes").await;
    assert_eq!(ran.code, 0);
    assert_eq!(value("a").await.as_deref(), Some(&b"@home"[..]));
    assert_snapshot!(kvconf.run_on("set a=- --yes --text", b"5\n").await.err.lines().next().unwrap(), @"note: the value of a ends with a line break; printf has none");
}

#[tokio::test]
async fn bad_input_is_refused_with_what_to_do() {
    let (server, bucket) = server_with_bucket().await;
    bucket.put("checkout.max_items", "80").await.unwrap();
    let kvconf = Kvconf::of(&server);
    assert_snapshot!(kvconf.run("set checkout.max_items").await, @r#"
    exit 2
    --- err
    error: "checkout.max_items" has no value
      help: kvconf set checkout.max_items=VALUE, or kvconf get checkout.max_items
    "#);
    assert_snapshot!(kvconf.run("set a..b=1").await, @r#"
    exit 6
    --- err
    error: "a..b" has an empty part (two dots in a row, or a dot at an end)
    "#);
    assert_snapshot!(kvconf.run("set a=1 a=2").await, @r"
    exit 2
    --- err
    error: a is given twice
    ");
    assert_snapshot!(kvconf.run("set a=@/nonexistent").await, @r"
    exit 3
    --- err
    error: /nonexistent cannot be read
      because No such file or directory (os error 2)
      help: --literal takes a value that begins with @ as it stands
    ");
    assert_snapshot!(kvconf.run("set _kvconf.x=1 --yes").await, @r"
    exit 5
    --- err
    error: _kvconf.x belongs to kvconf, as all keys below _kvconf
    ");
    assert_snapshot!(kvconf.run("unset checkout.max_itmes --yes").await, @r"
    exit 3
    --- err
    error: checkout.max_itmes has no value
      help: did you mean checkout.max_items?
    ");
    assert_snapshot!(kvconf.run("set a=1 --force --yes").await, @r"
    exit 2
    --- err
    error: the following required arguments were not provided:
      --reason <TEXT>

    Usage: kvconf set --reason <TEXT> --force --yes <KEY=VALUE>...

    For more information, try '--help'.
    ");
    assert_snapshot!(kvconf.run("set checkout.max_itmes=1 --dry-run --text").await, @r"
    exit 0
    --- out
    +  checkout.max_itmes  1
    --- err
    note: checkout.max_itmes is new; did you mean checkout.max_items?
    ");
    let (_folder, path) = file("large", vec![b'x'; 2 << 20]);
    let ran = kvconf.run(&format!("set a=@{path} --yes")).await;
    assert_snapshot!(ran, @r"
    exit 6
    --- err
    error: a with 2097265 bytes is too large, the most is 1048576
      help: kvconf bucket info shows the limit, kvconf bucket update --max-value-size raises it
    ");
    let reason = "x".repeat(1_025);
    assert_snapshot!(kvconf.run_with(["set", "a=1", "--yes", "-m", &reason]).await, @r"
    exit 6
    --- err
    error: the reason is too long
    ");
}

#[tokio::test]
async fn a_filter_unsets_everything_below_it() {
    let (server, bucket) = server_with_bucket().await;
    for key in ["tmp.a", "tmp.b.c", "kept"] {
        bucket.put(key, "1").await.unwrap();
    }
    let kvconf = Kvconf::of(&server);
    assert_snapshot!(shown(&kvconf.text("unset tmp.> --yes").await), @r"
    exit 0
    --- out
    -  tmp.a    1
    -  tmp.b.c  1
    2 keys written to prod, revision 5
    --- err
    note: kvconf revert [change] takes it back
    ");
    assert_eq!(bucket.keys(">").await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_secret_is_masked_in_plans() {
    // P11
    let (server, bucket) = server_with_bucket().await;
    bucket.put("db.password", "hunter2").await.unwrap();
    let kvconf = Kvconf::of(&server);
    let ran = kvconf.text("set db.password=hunter3 --dry-run").await;
    assert_snapshot!(ran, @r"
    exit 0
    --- out
    ~  db.password  <secret>  →  <secret>
    ");
    let ran = kvconf.run("set db.password=hunter3 --dry-run").await;
    assert_snapshot!(ran, @r#"
    exit 0
    --- out
    {"changes":[{"after":{"masked":true},"before":{"masked":true},"expected":1,"key":"db.password"}],"dry_run":true,"unchanged":0}
    "#);
}

#[tokio::test]
async fn a_plan_that_became_stale_is_shown_anew_before_it_is_written() {
    // P6
    let (server, bucket) = server_with_bucket().await;
    bucket.put("checkout.max_items", "80").await.unwrap();
    let mut terminal = Kvconf::of(&server).in_terminal("set checkout.max_items=90", 80);
    terminal.sees("Write 1 key? [y/N]", 1).await;
    bucket.put("checkout.max_items", "85").header("Kvconf-Author", "dev").await.unwrap();
    terminal.types("y");
    terminal.sees("now at revision 2 by dev", 1).await;
    terminal.sees("85  →  90", 1).await;
    terminal.sees("Write 1 key? [y/N]", 2).await;
    assert_eq!(bucket.get("checkout.max_items").await.unwrap().as_deref(), Some(&b"85"[..]));
    terminal.types("y");
    assert_eq!(terminal.ends().await.code, 0);
    assert_eq!(bucket.get("checkout.max_items").await.unwrap().as_deref(), Some(&b"90"[..]));
}

#[tokio::test]
async fn ctrl_c_at_the_question_after_an_edit_keeps_the_text() {
    let (server, bucket) = server_with_bucket().await;
    bucket.put("a.x", "1").await.unwrap();
    let kvconf = Kvconf::of(&server).variable("EDITOR", "sed -i 's/^x = 1/x = 10/'");
    let mut terminal = kvconf.in_terminal("edit a", 40);
    terminal.sees("Write 1 key? [y/N]", 1).await;
    terminal.interrupts();
    let ended = terminal.ends().await;
    assert_eq!(ended.code, 130);
    assert!(ended.text.contains("interrupted, nothing was written"), "{}", ended.text);
    assert!(ended.text.contains("your text is kept in"), "{}", ended.text);
    assert_eq!(bucket.get("a.x").await.unwrap().as_deref(), Some(&b"1"[..]));
}
