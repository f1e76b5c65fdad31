//! Questions, colours and widths, in a terminal.

use kvconf::Bucket;
use kvconf_tests::server::{Server, default_binary};
use tokio::net::TcpStream;

use crate::command::{Kvconf, server_with_bucket};

async fn value(bucket: &Bucket, key: &str) -> String {
    String::from_utf8(bucket.get(key).await.unwrap().unwrap_or_default().to_vec()).unwrap()
}

/// `app.port` was 1, and is 2.
async fn changed() -> (Server, Bucket) {
    let (server, bucket) = server_with_bucket().await;
    bucket.put("app.port", "1").await.unwrap();
    bucket.put("app.port", "2").await.unwrap();
    (server, bucket)
}

#[tokio::test]
async fn a_rollback_shows_its_plan_and_is_made_after_a_yes_only() {
    let (server, bucket) = changed().await;
    let kvconf = Kvconf::of(&server);
    for (answer, code, expected) in [("n", 10, "2"), ("", 10, "2"), ("y", 0, "1")] {
        let mut terminal = kvconf.in_terminal("rollback app.port --to 1", 100);
        terminal.sees("~  app.port  2  →  1", 1).await;
        terminal.sees("[y/N]", 1).await;
        terminal.types(answer);
        let ended = terminal.ends().await;
        assert_eq!(
            (ended.code, value(&bucket, "app.port").await.as_str()),
            (code, expected),
            "{}",
            ended.text
        );
    }
}

// P6
#[tokio::test]
async fn a_plan_that_became_stale_is_made_anew_and_shown_again() {
    let (server, bucket) = changed().await;
    let mut terminal = Kvconf::of(&server).in_terminal("rollback app.port --to 1", 100);
    terminal.sees("[y/N]", 1).await;
    bucket.put("app.port", "3").header("Kvconf-Author", "dev").await.unwrap();
    terminal.types("y");
    terminal.sees("app.port was changed meanwhile: based on revision 2, now at revision 3 by dev", 1).await;
    terminal.sees("~  app.port  3  →  1", 1).await;
    terminal.sees("[y/N]", 2).await;
    assert_eq!(value(&bucket, "app.port").await, "3");
    terminal.types("y");
    let ended = terminal.ends().await;
    assert_eq!((ended.code, value(&bucket, "app.port").await.as_str()), (0, "1"), "{}", ended.text);
}

#[tokio::test]
async fn ctrl_c_at_a_question_writes_nothing() {
    let (server, bucket) = changed().await;
    let mut terminal = Kvconf::of(&server).in_terminal("rollback app.port --to 1", 100);
    terminal.sees("[y/N]", 1).await;
    terminal.interrupts();
    let ended = terminal.ends().await;
    assert_eq!(ended.code, 130, "{}", ended.text);
    assert!(ended.text.ends_with("error: interrupted, nothing was written\n"), "{}", ended.text);
    assert_eq!(value(&bucket, "app.port").await, "2");
}

#[tokio::test]
async fn the_end_of_input_at_a_question_is_a_no() {
    let (server, bucket) = changed().await;
    let mut terminal = Kvconf::of(&server).in_terminal("unset app.port", 100);
    terminal.sees("Write 1 key? [y/N]", 1).await;
    terminal.ends_input();
    let ended = terminal.ends().await;
    assert_eq!(ended.code, 10, "{}", ended.text);
    assert!(ended.text.ends_with("error: not confirmed, nothing was written\n"), "{}", ended.text);
    assert_eq!(value(&bucket, "app.port").await, "2");
}

#[tokio::test]
async fn a_window_that_was_made_wider_is_used() {
    let (server, bucket) = changed().await;
    bucket.put("app.port", "x".repeat(90)).await.unwrap();
    let mut terminal = Kvconf::of(&server).in_terminal("rollback app.port --to 1", 40);
    terminal.sees("[y/N]", 1).await;
    let narrow = terminal.text();
    terminal.resizes(120);
    bucket.put("app.port", "y".repeat(90)).await.unwrap();
    terminal.types("y");
    terminal.sees("[y/N]", 2).await;
    let all = terminal.text();
    let plan = |text: &str| text.lines().find(|line| line.starts_with("~ ")).unwrap().to_owned();
    let (before, after) = (plan(&narrow), plan(&all[narrow.len()..]));
    assert!(before.chars().count() <= 40 && before.contains('…'), "{all}");
    assert!(after.contains(&format!("{}  →  1", "y".repeat(90))), "{all}");
    terminal.types("n");
    assert_eq!(terminal.ends().await.code, 10);
}

#[tokio::test]
async fn a_bucket_goes_when_its_name_is_typed() {
    let (server, _bucket) = changed().await;
    let client = server.client().await;
    let kvconf = Kvconf::of(&server);
    for (answer, code, left) in [("y", 10, vec!["prod".to_owned()]), ("prod", 0, Vec::new())] {
        let mut terminal = kvconf.in_terminal("bucket rm", 100);
        terminal.sees("Type its name to remove it for good:", 1).await;
        terminal.types(answer);
        let ended = terminal.ends().await;
        assert_eq!((ended.code, Bucket::names(&client).await.unwrap()), (code, left), "{}", ended.text);
    }
}

#[tokio::test]
async fn forty_columns_are_enough_and_colours_are_for_terminals_that_want_them() {
    let (server, bucket) = changed().await;
    bucket.put("app.motd", "a text that is much longer than such a line can be".repeat(3)).await.unwrap();
    let kvconf = Kvconf::of(&server);
    for words in [
        "log",
        "history app.motd",
        "ls",
        "ls -l --flat",
        "bucket info",
        "bucket ls",
        "show 3",
        "diff 1",
        "rollback app --to 1 --dry-run",
        "set app.motd=short --dry-run",
    ] {
        let terminal = kvconf.in_terminal(words, 40);
        let ended = terminal.ends().await;
        let widest = ended
            .text
            .lines()
            .filter(|line| !line.starts_with("note:"))
            .map(|line| line.chars().count())
            .max();
        assert!(ended.code == 0 && widest <= Some(40), "{words}:\n{}", ended.text);
    }
    let coloured = kvconf.in_terminal("log", 80);
    coloured.sees("revision 1", 1).await;
    assert!(coloured.raw().contains("\u{1b}[1mrevision 1"), "{:?}", coloured.raw());
    let plain = kvconf.variable("NO_COLOR", "1").in_terminal("log", 80);
    plain.sees("revision 1", 1).await;
    assert!(!plain.raw().contains('\u{1b}'), "{:?}", plain.raw());
}

#[tokio::test]
async fn dev_ends_with_ctrl_c() {
    let kvconf = Kvconf::alone().variable("KVCONF_NATS_SERVER", default_binary().to_str().unwrap());
    let mut terminal = kvconf.in_terminal("dev", 100);
    terminal.sees("Ctrl-C ends it", 1).await;
    let text = terminal.text();
    let (_, address) = text.split_once("nats://").unwrap();
    let address = address.split(',').next().unwrap().to_owned();
    assert!(TcpStream::connect(&address).await.is_ok());
    terminal.interrupts();
    let ended = terminal.ends().await;
    assert_eq!(ended.code, 0, "{}", ended.text);
    assert!(TcpStream::connect(&address).await.is_err(), "the server is gone before the command ends");
}
