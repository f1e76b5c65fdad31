//! The TOML template.

use std::path::PathBuf;

use kvconf::{Bucket, FileSource, Schema};

use super::rich::Checkout;

/// A folder of one test.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        use std::sync::atomic::{AtomicU32, Ordering};
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("kvconf-schemas-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, text).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

async fn bucket() -> Bucket {
    let bucket = Bucket::memory();
    bucket.put("shop.checkout.bind", "127.0.0.1:80").await.unwrap();
    bucket.put("shop.checkout.api_key", "s3cr3t-enough").await.unwrap();
    bucket
}

#[tokio::test]
async fn read_as_a_file_it_gives_exactly_the_defaults() {
    let template = Schema::of::<Checkout>().toml_template();
    let folder = Folder::new();
    let path = folder.write("checkout.toml", &template);
    let bucket = bucket().await;
    let without = bucket.live::<Checkout>().start().await.unwrap();
    let with = bucket.live::<Checkout>().file(FileSource::new(path)).start().await.unwrap();
    assert_eq!(with.load().clone(), without.load().clone());
    // Only what is deprecated is odd about it.
    let report = with.health().report.unwrap();
    let told: Vec<String> = report.problems.iter().map(ToString::to_string).collect();
    assert_eq!(told, ["shop.checkout.verbose: deprecated, use level"]);
}

#[tokio::test]
async fn every_line_that_is_commented_out_names_a_setting() {
    let template = Schema::of::<Checkout>().toml_template();
    let lines = template.lines().map(|line| match line.strip_prefix("# ") {
        Some(rest) if rest.split_once(" = ").is_some_and(|(name, _)| !name.contains(' ')) => rest,
        _ => line,
    });
    let all: Vec<&str> = lines.collect();
    let folder = Folder::new();
    let path = folder.write("checkout.toml", &all.join("\n"));
    let error = bucket().await.live::<Checkout>().file(FileSource::new(path)).start().await;
    let told = match error {
        Ok(live) => live.health().report.map(|report| report.to_string()).unwrap_or_default(),
        Err(error) => format!("{error} {:?}", std::error::Error::source(&error).map(ToString::to_string)),
    };
    assert!(!told.contains("unknown key"), "{told}\n{template}");
}
