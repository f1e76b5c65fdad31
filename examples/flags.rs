//! A feature flag is rolled out in steps while the shop goes on, killed, and rolled back.
//!
//! ```sh
//! cargo run --example flags
//! ```

use anyhow::{Context, ensure};
use kvconf::flag::EvaluationContext;
use kvconf::{Bucket, Flag, FlagVariant, KvConfig, Live};
use serde::{Deserialize, Serialize};

#[derive(KvConfig, Debug, Clone)]
#[kv(prefix = "shop")]
struct Shop {
    /// The new shopping cart.
    #[kv(flag, default = false, context = Visitor)]
    new_cart: Flag<bool>,
    /// How the shop looks.
    #[kv(flag, default = Theme::Light)]
    theme: Flag<Theme>,
}

#[derive(FlagVariant, Serialize, Deserialize, Debug, Clone, Copy, PartialEq)]
#[serde(rename_all = "lowercase")]
enum Theme {
    Light,
    Dark,
}

/// Whom flags are evaluated for. Rules may ask for these attributes and for no others.
#[derive(EvaluationContext)]
struct Visitor<'a> {
    #[context(targeting_key)]
    id: &'a str,
    country: &'a str,
}

/// How many visitors the shop has.
const VISITORS: usize = 10_000;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let live = Bucket::memory().live::<Shop>().start().await?;
    let visitor = Visitor { id: "user-17", country: "NL" };

    title("1. Nobody has stored the flag: the code's own default is served");
    show(&live, &visitor);

    title("2. The new cart is rolled out, step by step");
    let mut had_it = vec![false; VISITORS];
    let mut last = None;
    for percent in [0, 1, 10, 25, 50, 75, 100] {
        last = Some(set_cart(&live, &rollout(percent), &format!("{percent} percent")).await?);
        let have_it = with_the_new_cart(&live);
        let count = have_it.iter().filter(|has_it| **has_it).count();
        let lost = had_it.iter().zip(&have_it).filter(|(before, now)| **before && !**now).count();
        println!("{percent:>3} percent: {count:>5} of {VISITORS} visitors have it, {lost} have lost it");
        ensure!(is_close(count, percent), "{count} visitors are not {percent} percent");
        ensure!(lost == 0, "whoever had it keeps it");
        had_it = have_it;
    }
    let full = last.context("there was a step")?;
    show(&live, &visitor);

    title("3. A slip of the pen is refused, by whoever writes it and by whoever reads it");
    let slip = rollout(100).replace("fractional", "fracional");
    match live.load().new_cart.redefine(&slip) {
        Err(error) => println!("refused: {error}"),
        Ok(_) => anyhow::bail!("a rule with an unknown operator was taken"),
    }

    title("4. The cart breaks in production: it is killed, for all, at once");
    set_cart(&live, &rollout(100).replace("ENABLED", "DISABLED"), "it loses items").await?;
    show(&live, &visitor);
    ensure!(with_the_new_cart(&live).iter().all(|has_it| !has_it), "a disabled flag is off for all");

    title("5. It is mended, and everything is as it was before");
    let applied = live.rollback_to(full).author("ops").reason("mended").await?;
    live.wait_for(applied.revision()).await?;
    show(&live, &visitor);
    ensure!(with_the_new_cart(&live).iter().all(|has_it| *has_it), "the flag is back at 100 percent");

    title("6. A flag may be a plain value, too");
    let dark = live.edit().set(Shop::fields().theme, Flag::fixed(Theme::Dark));
    let applied = dark.plan().await?.commit().author("design").reason("winter").await?;
    live.wait_for(applied.revision()).await?;
    println!("the theme is {:?}", live.load().theme.get(&visitor));

    title("7. Who did the last of that?");
    println!("{}", live.log().limit(4).await?);
    Ok(())
}

/// A flag in flagd's format.
fn rollout(percent: usize) -> String {
    let (on, off) = (percent, 100 - percent);
    format!(
        r#"{{"state": "ENABLED", "targeting": {{"fractional": [["on", {on}], ["off", {off}]]}},
            "variants": {{"on": true, "off": false}}, "defaultVariant": "off"}}"#
    )
}

/// Stores the flag, and waits until the shop has it.
async fn set_cart(live: &Live<Shop>, stored: &str, reason: &str) -> anyhow::Result<kvconf::Revision> {
    let cart = live.load().new_cart.redefine(stored)?;
    let plan = live.edit().set(Shop::fields().new_cart, cart).plan().await?;
    let applied = plan.commit().author("release").reason(reason).await?;
    live.wait_for(applied.revision()).await?;
    Ok(applied.revision())
}

/// Which visitors get the new cart.
fn with_the_new_cart(live: &Live<Shop>) -> Vec<bool> {
    let shop = live.load();
    let ids = (0..VISITORS).map(|number| format!("user-{number}"));
    ids.map(|id| shop.new_cart.get(&Visitor { id: &id, country: "NL" })).collect()
}

/// Within four standard deviations of what the weights say.
fn is_close(count: usize, percent: usize) -> bool {
    let (count, share, all) = (count as f64, percent as f64 / 100.0, VISITORS as f64);
    (count - all * share).abs() <= 4.0 * (all * share * (1.0 - share)).sqrt()
}

fn show(live: &Live<Shop>, visitor: &Visitor<'_>) {
    let shop = live.load();
    let detail = shop.new_cart.evaluate(visitor);
    let (who, why) = (visitor.id, detail.reason);
    print!("{who} gets {} ({why}", detail.value);
    if let Some(rule) = detail.rule {
        print!(", by {rule}");
    }
    if let Some(error) = detail.error {
        print!(", {error}");
    }
    println!(")");
}

fn title(text: &str) {
    println!("\n{text}\n");
}
