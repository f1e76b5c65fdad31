//! One key of a wide struct changes.

use std::time::Instant;

use anyhow::Result;
use kvconf::{Bucket, KvConfig};

use crate::figures::{Row, median, micros, quantile};
use crate::settings::{Checkout, Wide};

const CHANGES: usize = 5_000;
const MOST: f64 = 10.0;

/// Microseconds from before a put into a bucket in memory until the snapshot with it is there. One thread does it all: the
/// put, the watch, and the look at the result.
async fn samples<T: KvConfig>(key: &str, value: impl Fn(usize) -> String) -> Result<Vec<f64>> {
    let bucket = Bucket::memory();
    let live = bucket.live::<T>().start().await?;
    let mut samples = Vec::with_capacity(CHANGES);
    for change in 0..CHANGES + 100 {
        let text = value(change);
        let begin = Instant::now();
        let revision = bucket.put(key, text).await?;
        while live.load().revision() < revision {
            tokio::task::yield_now().await;
        }
        let took = micros(begin.elapsed());
        if change >= 100 {
            samples.push(took);
        }
    }
    Ok(samples)
}

/// The row of one change.
pub fn rows() -> Result<Vec<Row>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (number, text, small) = runtime.block_on(async {
        let number = samples::<Wide>("wide.number_399", |at| at.to_string()).await?;
        let text = samples::<Wide>("wide.text_299", |at| format!("the text number {at}")).await?;
        let small = samples::<Checkout>("checkout.max_items", |at| at.to_string()).await?;
        anyhow::Ok((number, text, small))
    })?;
    let row = |what: &str, samples: &[f64]| Row {
        what: format!("{what}: from before the put to after the swap, on a bucket in memory"),
        bound: "≤ 10 µs",
        found: format!("{:.1} µs", median(samples)),
        holds: Some(median(samples) <= MOST),
        how: format!(
            "p50 of {CHANGES}; p99 {:.1} µs; {:.1} × a struct of 6 fields",
            quantile(samples, 0.99),
            median(samples) / median(&small)
        ),
    };
    Ok(vec![row("a number of a struct of 1 000 fields changes", &number), row("a text of it", &text)])
}
