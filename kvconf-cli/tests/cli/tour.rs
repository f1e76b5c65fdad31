//! The tour of the README, typed as it stands there.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use kvconf::{Bucket, BucketConfig};
use kvconf_tests::server::Server;
use tokio::process::Command;

/// The commands of the tour, a line each.
fn lines() -> Vec<String> {
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md");
    let readme = std::fs::read_to_string(readme).unwrap();
    let tour = readme.split("<!-- the tour -->\n```sh\n").nth(1).expect("the README has a tour");
    let tour = tour.split("```").next().unwrap();
    tour.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).map(str::to_owned).collect()
}

#[tokio::test]
async fn the_tour_of_the_readme_works_as_it_stands_there() {
    let server = Server::start().await;
    Bucket::create(&server.client().await, BucketConfig::new("dev")).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let binary = Path::new(env!("CARGO_BIN_EXE_kvconf"));
    let mut variables: Vec<(String, String)> = vec![
        ("HOME".into(), folder.path().display().to_string()),
        ("PATH".into(), format!("{}:/usr/bin:/bin", binary.parent().unwrap().display())),
        ("KVCONF_AUTHOR".into(), "ops".into()),
    ];
    for line in lines() {
        // It is installed already.
        if line.starts_with("cargo install ") {
            continue;
        }
        if let Some(settings) = line.strip_prefix("export ") {
            for setting in settings.split(' ') {
                let (name, value) = setting.split_once('=').unwrap();
                let value = if name == "NATS_URL" { server.url() } else { value.to_owned() };
                variables.push((name.to_owned(), value));
            }
            continue;
        }
        let mut shell = Command::new("sh");
        shell.args(["-c", &line]).env_clear().envs(variables.iter().cloned()).current_dir(folder.path());
        shell.stdin(Stdio::null()).kill_on_drop(true);
        let output = tokio::time::timeout(Duration::from_secs(60), shell.output()).await;
        let output = output.unwrap_or_else(|_| panic!("{line} does not end")).unwrap();
        let err = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{line} ended with {}:\n{err}", output.status);
    }
    assert!(folder.path().join("checkout.toml").exists());
}
