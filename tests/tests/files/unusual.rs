//! Files that are none, and files that may not be read.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::Command;

use kvconf::Bucket;

use crate::files::folder::{Folder, refused, start, until, until_told};

// P5
#[tokio::test]
async fn what_is_no_ordinary_file_is_refused_and_nothing_hangs() {
    let folder = Folder::new();
    let pipe = folder.path("pipe.toml");
    assert!(Command::new("mkfifo").arg(&pipe).status().expect("mkfifo runs").success());
    symlink(folder.path("b.toml"), folder.path("a.toml")).unwrap();
    symlink(folder.path("a.toml"), folder.path("b.toml")).unwrap();
    fs::create_dir(folder.path("c.toml")).unwrap();
    for (name, told) in [
        ("pipe.toml", "pipe.toml: it is no ordinary file"),
        ("a.toml", "a.toml: filesystem loop or indirection limit (e.g. symlink loop)"),
        ("c.toml", "c.toml: it is a folder, not a file"),
    ] {
        let report = refused(&Bucket::memory(), folder.path(name).as_path()).await;
        assert_eq!(folder.hide(&report.problems[0].to_string()), told);
    }
}

// P3, P5
#[tokio::test]
async fn a_permission_that_is_taken_and_given_back_is_told() {
    let folder = Folder::new();
    let path = folder.write("app.toml", "checkout.max_items = 10\n");
    let permit = |mode| fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    let live = start(&Bucket::memory(), &path).await;
    permit(0o000);
    if fs::read(&path).is_ok() {
        // Whoever may do everything cannot lose a permission.
        permit(0o600);
        folder.replace("app.toml", "checkout.max_items = 11\n");
    } else {
        until_told(&live, &folder, "app.toml: no permission to read it").await;
        assert_eq!(live.load().max_items, 10);
        fs::remove_file(&path).unwrap();
        folder.write("app.toml", "checkout.max_items = 11\n");
    }
    until(&live, |cfg| cfg.max_items == 11).await;
    assert_eq!(live.health().report, None);
}
