//! `edit`, with editors that need nobody.

use insta::assert_snapshot;

use crate::command::{Kvconf, Ran, file, normalised, server_with_bucket};

/// Replaces the folder of the text, whose name is another one each time.
fn shown(ran: &Ran) -> String {
    let text = normalised(&ran.to_string(), None);
    let lines = text.lines().map(|line| match (line.find("/tmp/"), line.ends_with("/edit.toml")) {
        (Some(at), true) => format!("{}[folder]/edit.toml", &line[..at]),
        _ => line.to_owned(),
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[tokio::test]
async fn what_was_changed_in_the_text_is_written() {
    let (server, bucket) = server_with_bucket().await;
    for (key, value) in [("a.x", "1"), ("a.y", "2"), ("a.api_key", "hunter2"), ("b", "1")] {
        bucket.put(key, value).await.unwrap();
    }
    let kvconf = Kvconf::of(&server);
    let editor =
        kvconf.clone().variable("EDITOR", "sed -i -e 's/^x = 1/x = 10/' -e /^y/d -e '$ a z = \"new\"'");
    assert_snapshot!(shown(&editor.text("edit a --yes").await), @r"
    exit 0
    --- out
    ~  a.x  1  →  10
    -  a.y  2
    2 keys written to prod, revision 6
    --- err
    note: kvconf revert [change] takes it back
    ");
    assert_eq!(bucket.get("a.api_key").await.unwrap().as_deref(), Some(&b"hunter2"[..])); // P11
    let editor = kvconf.clone().variable("EDITOR", "sed -i -e 's/^x = 10/x = 11/'");
    assert_snapshot!(shown(&editor.run("edit a --yes").await), @r#"
    exit 0
    --- out
    {"change":"[change]","changes":[{"after":{"value":"11"},"before":{"value":"10"},"expected":5,"key":"a.x"}],"revision":7,"unchanged":0,"written":[{"key":"a.x","revision":7}]}
    "#);
    let editor = kvconf.variable("EDITOR", "true");
    assert_snapshot!(shown(&editor.text("edit a --yes").await), @r"
    exit 0
    --- out
    nothing was changed
    ");
}

#[tokio::test]
async fn what_others_change_meanwhile_is_left_alone() {
    // P6
    let (server, bucket) = server_with_bucket().await;
    bucket.put("a.x", "1").await.unwrap();
    bucket.put("a.y", "2").await.unwrap();
    let kvconf = Kvconf::of(&server);
    let binary = env!("CARGO_BIN_EXE_kvconf");
    let editor =
        kvconf.variable("EDITOR", &format!("{binary} set a.y=3 --yes -q >&2; sed -i 's/^x = 1/x = 10/'"));
    let ran = editor.text("edit a --yes -q").await;
    assert_eq!(ran.code, 0, "{ran}");
    assert_eq!(bucket.get("a.x").await.unwrap().as_deref(), Some(&b"10"[..]));
    assert_eq!(bucket.get("a.y").await.unwrap().as_deref(), Some(&b"3"[..]));
}

#[tokio::test]
async fn a_mistake_opens_the_editor_again_and_loses_nothing() {
    let (server, bucket) = server_with_bucket().await;
    bucket.put("a.x", "1").await.unwrap();
    let kvconf = Kvconf::of(&server);
    // The first time it breaks the line, the second time it sees the message and mends it.
    let mends = "mend() { grep -q '^#! error: line 4, column' \"$1\" && sed -i 's/^x = = 2/x = 2/' \"$1\" || sed -i 's/^x = 1/x = = 2/' \"$1\"; }; mend";
    let ran = kvconf.clone().variable("EDITOR", mends).text("edit a --yes").await;
    assert_snapshot!(shown(&ran), @r"
    exit 0
    --- out
    ~  a.x  1  →  2
    1 key written to prod, revision 2
    --- err
    note: kvconf revert [change] takes it back
    ");
    // Whoever gives up keeps the text.
    let breaks = kvconf.clone().variable("EDITOR", "sed -i 's/^x = 2/x = = 3/'");
    let ran = breaks.text("edit a --yes").await;
    assert_snapshot!(shown(&ran), @r"
    exit 6
    --- err
    error: line 4, column 5: extra `=`, expected nothing
      help: your text is kept in [folder]/edit.toml
    ");
    let at = ran.err.find("/tmp/").unwrap();
    let kept = std::fs::read_to_string(ran.err[at..].trim()).unwrap();
    assert!(kept.contains("x = = 3"), "{kept}");
    let fails = kvconf.variable("EDITOR", "false");
    assert_snapshot!(shown(&fails.text("edit a --yes").await), @r"
    exit 10
    --- err
    error: the editor ended with exit status: 1; nothing was written
    ");
}

/// An editor that is a script, with the file in `$1`.
fn editor(script: &str) -> (tempfile::TempDir, String) {
    let (folder, path) = file("editor.sh", script);
    (folder, format!("sh {path}"))
}

#[tokio::test]
async fn a_session_in_a_terminal_from_a_mistake_over_a_stale_plan_to_the_change() {
    // P6
    let (server, bucket) = server_with_bucket().await;
    bucket.put("a.x", "1").await.unwrap();
    let (_folder, editor) = editor(
        "if grep -q '^#! error: line 4, column 5' \"$1\"; then echo mending; sed -i 's/^x = = 2/x = 2/' \"$1\"
         else echo breaking; sed -i 's/^x = 1/x = = 2/' \"$1\"; fi",
    );
    let mut terminal = Kvconf::of(&server).variable("EDITOR", &editor).in_terminal("edit a", 80);
    terminal.sees("breaking\nmending\n~  a.x  1  →  2\nWrite 1 key? [y/N]", 1).await;
    bucket.put("a.x", "7").header("Kvconf-Author", "dev").await.unwrap();
    terminal.types("y");
    terminal.sees("~  a.x  7  →  2\nWrite 1 key? [y/N]", 1).await;
    assert_eq!(bucket.get("a.x").await.unwrap().as_deref(), Some(&b"7"[..]));
    terminal.types("y");
    let ended = terminal.ends().await;
    assert_eq!(ended.code, 0, "{}", ended.text);
    let stale = "note: a.x was changed meanwhile: based on revision 1, now at revision 2 by dev";
    assert!(ended.text.contains(stale), "{}", ended.text);
    assert!(ended.text.contains("1 key written to prod, revision 3\n"), "{}", ended.text);
    assert_eq!(bucket.get("a.x").await.unwrap().as_deref(), Some(&b"2"[..]));
}

#[tokio::test]
async fn ctrl_c_in_the_editor_is_for_the_editor() {
    let (server, bucket) = server_with_bucket().await;
    bucket.put("a.x", "1").await.unwrap();
    let (_folder, editor) = editor(
        "trap 'echo caught' INT
         echo editing
         while ! read -r line; do :; done
         sed -i \"s/^x = 1/x = $line/\" \"$1\"",
    );
    let mut terminal = Kvconf::of(&server).variable("EDITOR", &editor).in_terminal("edit a", 80);
    terminal.sees("editing", 1).await;
    terminal.interrupts();
    terminal.sees("caught", 1).await;
    terminal.types("5");
    terminal.sees("~  a.x  1  →  5", 1).await;
    terminal.sees("[y/N]", 1).await;
    terminal.types("y");
    assert_eq!(terminal.ends().await.code, 0);
    assert_eq!(bucket.get("a.x").await.unwrap().as_deref(), Some(&b"5"[..]));

    // One that it ends with leaves everything as it was, and nothing behind.
    let (_folder, editor) = self::editor("echo editing; read -r line");
    let mut terminal = Kvconf::of(&server).variable("EDITOR", &editor).in_terminal("edit a", 80);
    terminal.sees("editing", 1).await;
    terminal.interrupts();
    let ended = terminal.ends().await;
    assert_eq!(ended.code, 10, "{}", ended.text);
    assert!(ended.text.contains("error: the editor ended with "), "{}", ended.text);
    assert!(!ended.text.contains("is kept"), "{}", ended.text);
}
