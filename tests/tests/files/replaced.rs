//! Every way in which files change.

use std::fs;
use std::io::Write;
use std::sync::{Arc, Mutex};

use kvconf::{Bucket, FileSource, KvConfig};

use crate::files::folder::{Checkout, Folder, start, until};

fn items(n: u32) -> String {
    format!("checkout.max_items = {n}\n")
}

#[tokio::test]
async fn a_file_written_in_place_or_replaced_by_a_rename_is_seen() {
    let folder = Folder::new();
    let live = start(&Bucket::memory(), folder.write("app.toml", items(10))).await;
    let calls = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&calls);
    live.on_change(Checkout::fields().max_items, move |old, new| noted.lock().unwrap().push((*old, *new)));
    let mut changes = live.changes();
    folder.write("app.toml", items(11));
    until(&live, |cfg| cfg.max_items == 11).await;
    let changed = changes.next().await.expect("a file's change is one");
    assert_eq!(changed.fields()[0].to_string(), "checkout.max_items: 10 → 11");
    for n in 12..20 {
        folder.replace("app.toml", &items(n));
        until(&live, |cfg| cfg.max_items == n).await;
    }
    // By the thread of hooks, some time later.
    kvconf_tests::wait_until("the hook to be called", crate::files::folder::BOUND, async || {
        calls.lock().unwrap().last().is_some_and(|(_, new)| *new == 19)
    })
    .await;
}

#[tokio::test]
async fn an_editors_temporary_files_are_nothing() {
    let folder = Folder::new();
    let live = start(&Bucket::memory(), folder.write("app.toml", items(10))).await;
    let mut changes = live.changes();
    // As vim does it: a file to try the folder, a swap file, the old one moved away, the new one written.
    for name in ["4913", ".app.toml.swp", "app.toml~", "#app.toml#", ".#app.toml"] {
        folder.write(name, "max_items = [");
        fs::remove_file(folder.path(name)).unwrap();
    }
    fs::rename(folder.path("app.toml"), folder.path("app.toml~")).unwrap();
    folder.write("app.toml", items(11));
    fs::remove_file(folder.path("app.toml~")).unwrap();
    let changed = changes.next().await.expect("the file changed");
    assert_eq!((changed.before().max_items, changed.after().max_items), (10, 11));
    assert_eq!(live.health().report, None);
}

#[cfg(unix)]
#[tokio::test]
async fn the_swap_of_a_link_as_kubernetes_makes_it_is_seen() {
    use std::os::unix::fs::symlink;

    let folder = Folder::new();
    let revision = |name: &str, text: String| {
        fs::create_dir(folder.path(name)).unwrap();
        folder.write(&format!("{name}/app.toml"), text);
    };
    revision("..2026_01", items(10));
    symlink("..2026_01", folder.path("..data")).unwrap();
    symlink("..data/app.toml", folder.path("app.toml")).unwrap();
    // Mounted elsewhere, and reached by a link once more.
    symlink(folder.path(""), folder.path("mounted")).unwrap();
    let live = start(&Bucket::memory(), folder.path("mounted/app.toml")).await;
    let mut before = "..2026_01".to_owned();
    for n in 11..16 {
        let name = format!("..2026_{n}");
        revision(&name, items(n));
        symlink(&name, folder.path("..data_tmp")).unwrap();
        fs::rename(folder.path("..data_tmp"), folder.path("..data")).unwrap();
        fs::remove_dir_all(folder.path(&before)).unwrap();
        before = name;
        until(&live, |cfg| cfg.max_items == n).await;
        assert_eq!(live.health().report, None);
    }
}

#[tokio::test]
async fn a_file_and_its_folders_may_come_later_and_come_again() {
    let folder = Folder::new();
    let file = FileSource::new(folder.path("conf/env/app.toml")).optional();
    let live = Bucket::memory().live::<Checkout>().without_environment().file(file).start().await.unwrap();
    assert_eq!((live.load().max_items, live.health().report), (50, None));
    fs::create_dir_all(folder.path("conf/env")).unwrap();
    folder.write("conf/env/app.toml", items(10));
    until(&live, |cfg| cfg.max_items == 10).await;
    // The folder is another one now, maybe under the same number.
    fs::remove_dir_all(folder.path("conf")).unwrap();
    fs::create_dir_all(folder.path("conf/env")).unwrap();
    folder.write("conf/env/app.toml", items(11));
    until(&live, |cfg| cfg.max_items == 11).await;
    fs::rename(folder.path("conf/env"), folder.path("conf/old")).unwrap();
    fs::create_dir_all(folder.path("conf/env")).unwrap();
    folder.write("conf/env/app.toml", items(12));
    until(&live, |cfg| cfg.max_items == 12).await;
    // Of this no event tells: only looking again finds it.
    fs::rename(folder.path("conf"), folder.path("older")).unwrap();
    fs::create_dir_all(folder.path("conf/env")).unwrap();
    folder.write("conf/env/app.toml", items(14));
    until(&live, |cfg| cfg.max_items == 14).await;
    folder.replace("conf/env/app.toml", &items(13));
    until(&live, |cfg| cfg.max_items == 13).await;
    assert_eq!(live.health().report, None);
}

// P3
#[tokio::test]
async fn a_file_that_is_written_slowly_is_never_seen_half() {
    let folder = Folder::new();
    let live = start(&Bucket::memory(), folder.write("app.json", r#"{"checkout": {"max_items": 10}}"#)).await;
    let mut changes = live.changes();
    for n in 11..16 {
        let mut file = fs::File::create(folder.path("app.json")).unwrap();
        for piece in [r#"{"checkout": "#.to_owned(), format!(r#"{{"max_items": {n}}}"#), "}".to_owned()] {
            file.write_all(piece.as_bytes()).unwrap();
            file.sync_all().unwrap();
            tokio::task::yield_now().await;
        }
        drop(file);
        let changed = changes.next().await.expect("the file changed");
        assert_eq!(changed.after().max_items, n);
        assert_eq!(live.health().report, None);
    }
}
