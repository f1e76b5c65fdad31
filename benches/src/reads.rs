//! Reading one field, against the peers.

use std::hint::black_box;
use std::sync::{Arc, RwLock};
use std::time::Instant;

use anyhow::{Context, Result};
use arc_swap::{ArcSwap, Cache};
use dynamic_config::dynamic_config;
use figment::Figment;
use figment::providers::Serialized;
use kvconf::Live;

use crate::figures::{Row, median, ratio};
use crate::settings::Checkout;

const ROUNDS: usize = 301;
/// Reads in one round, of those that take nanoseconds.
const READS: u32 = 50_000;

/// The struct as a peer has it.
#[dynamic_config]
#[derive(Debug, Clone, serde::Deserialize)]
struct Theirs {
    max_items: u32,
    #[expect(dead_code, reason = "the struct is to be as large as the others")]
    address: String,
    #[expect(dead_code, reason = "the struct is to be as large as the others")]
    countries: Vec<String>,
}

struct Variant<'a> {
    name: &'static str,
    read: Box<dyn FnMut(u32) + 'a>,
    /// One in so many reads: the slow ones need fewer for the same precision.
    divisor: u32,
}

impl<'a> Variant<'a> {
    fn new(name: &'static str, divisor: u32, mut read: impl FnMut() + 'a) -> Self {
        // The loop stands inside: one call of the box for a round. Eight reads in a row, at eight places of the program:
        // of two loops that were the same instruction for instruction, the one that lay across two lines of the cache
        // took a sixth longer for a read of a nanosecond.
        let read = move |times: u32| {
            for _ in 0..times / 8 {
                read();
                read();
                read();
                read();
                read();
                read();
                read();
                read();
            }
        };
        Self { name, divisor, read: Box::new(read) }
    }
}

/// All variants in turn, again and again: nanoseconds a read, by variant and round.
fn interleave(variants: &mut [Variant<'_>]) -> Vec<Vec<f64>> {
    let mut samples = vec![Vec::with_capacity(ROUNDS); variants.len()];
    for round in 0..ROUNDS + 20 {
        // Begun at another one each time, so that none always follows the same.
        for step in 0..variants.len() {
            let at = (round + step) % variants.len();
            let variant = &mut variants[at];
            let times = READS / variant.divisor / 8 * 8;
            let begin = Instant::now();
            (variant.read)(times);
            let each = begin.elapsed().as_secs_f64() * 1e9 / f64::from(times);
            if round >= 20 {
                samples[at].push(each);
            }
        }
    }
    samples
}

/// The rows of single reads.
pub fn rows() -> Result<Vec<Row>> {
    let live = Live::fixed(Checkout::usual());
    let mut reader = live.reader();
    let bare = Arc::new(ArcSwap::from_pointee(Checkout::usual()));
    let mut cache = Cache::new(Arc::clone(&bare));
    let lock = RwLock::new(Arc::new(Checkout::usual()));
    let plain = Arc::new(Checkout::usual());
    let file = std::env::temp_dir().join(format!("kvconf-benches-{}.json", std::process::id()));
    let text = serde_json::json!({ "checkout": {
        "max_items": 50, "address": "https://payment.example", "countries": ["NL", "BE"],
    }});
    std::fs::write(&file, text.to_string())?;
    let loaded = Theirs::builder("checkout").file(file.to_string_lossy()).init();
    std::fs::remove_file(&file)?;
    loaded.context("dynamic-config")?;
    let config = config::Config::builder()
        .add_source(config::File::from_str(&text.to_string(), config::FileFormat::Json))
        .build()?;
    let figment = Figment::from(Serialized::defaults(&text));

    let mut variants = [
        Variant::new("`arc_swap::ArcSwap::load` and a field", 1, || {
            black_box(bare.load().max_items);
        }),
        Variant::new("`Live::load` and a field", 1, || {
            black_box(live.load().max_items);
        }),
        Variant::new("`arc_swap::Cache::load` and a field", 1, || {
            black_box(cache.load().max_items);
        }),
        Variant::new("`Reader::load` and a field", 1, || {
            black_box(reader.load().max_items);
        }),
        Variant::new("a field of an `Arc`", 1, || {
            black_box(black_box(&plain).max_items);
        }),
        Variant::new("`RwLock<Arc<_>>`, read and a field", 1, || {
            black_box(lock.read().map_or(0, |value| value.max_items));
        }),
        Variant::new("`dynamic-config` 0.10, `current()` and a field", 10, || {
            black_box(Theirs::current().max_items);
        }),
        Variant::new("`config` 0.15, `get_int`", 50, || {
            black_box(config.get_int("checkout.max_items").unwrap_or(0));
        }),
        Variant::new("`figment` 0.10, `extract_inner`", 50, || {
            black_box(figment.extract_inner::<u32>("checkout.max_items").unwrap_or(0));
        }),
    ];
    let samples = interleave(&mut variants);
    let how = |at: usize, base: usize| {
        format!("medians {:.2} and {:.2} ns, {ROUNDS} rounds", median(&samples[at]), median(&samples[base]))
    };
    let mut rows = vec![
        Row::ratio(
            "`Live::load()` and a field, to `ArcSwap::load` and a field",
            ratio(&samples[1], &samples[0]),
            Some((1.15, "≤ 1.15 ×")),
            how(1, 0),
        ),
        Row::ratio(
            "`Reader::load()` and a field, to `arc_swap::Cache::load` and a field",
            ratio(&samples[3], &samples[2]),
            Some((1.15, "≤ 1.15 ×")),
            how(3, 2),
        ),
    ];
    for at in 4..variants.len() {
        let what = format!("{}, to `Live::load()` and a field", variants[at].name);
        rows.push(Row::ratio(&what, ratio(&samples[at], &samples[1]), None, how(at, 1)));
    }
    Ok(rows)
}
