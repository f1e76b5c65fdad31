//! The least that a program can do through async-nats: get one key, or drain a bucket. The command is measured beside it.
//!
//! `bare get URL BUCKET KEY`, `bare drain URL BUCKET`.

use std::io::Write;

use anyhow::{Context, Result, bail};
use futures_util::StreamExt;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let (url, bucket) = match words.as_slice() {
        [_, url, bucket, ..] => (*url, *bucket),
        _ => bail!("bare get URL BUCKET KEY, or bare drain URL BUCKET"),
    };
    let client = async_nats::connect(url).await?;
    let store = async_nats::jetstream::new(client).get_key_value(bucket).await?;
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    match words.as_slice() {
        ["get", _, _, key] => out.write_all(&store.get(*key).await?.context("no such key")?)?,
        _ => {
            let mut watch = store.watch_with_history(">").await?;
            while let Some(entry) = watch.next().await {
                let entry = entry?;
                out.write_all(entry.key.as_bytes())?;
                out.write_all(b" ")?;
                out.write_all(&entry.value)?;
                out.write_all(b"\n")?;
                if entry.delta == 0 {
                    break;
                }
            }
        }
    }
    Ok(out.flush()?)
}
