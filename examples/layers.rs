//! One struct from everywhere: defaults, a file, three layers of a bucket, the environment, an override.
//!
//! ```sh
//! cargo run --example layers
//! ```
//!
//! It makes a folder for its file and takes it away at the end. The bucket is one in memory.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, ensure};
use kvconf::{Bucket, KvConfig, Live, Revision};
use tokio::time::timeout;

/// For what takes milliseconds, or a look at a folder where the system does not tell of changes.
const BOUND: Duration = Duration::from_secs(30);

/// Set for the program by itself, so that there is something in the environment.
const VARIABLE: &str = "CHECKOUT_PAYMENT_TIMEOUT";

#[derive(KvConfig, Debug, Clone)]
#[kv(prefix = "checkout", env_prefix = "CHECKOUT")]
struct Checkout {
    /// Most items in one basket.
    #[kv(default = 50, range(1..=500))]
    max_items: u32,
    /// How long to wait for the payment provider.
    #[kv(default = "3s")]
    payment_timeout: Duration,
    /// Where the shop stands.
    region: Option<String>,
    /// What the page says at the top.
    #[kv(default = "Welcome")]
    greeting: String,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    if std::env::var_os(VARIABLE).is_none() {
        let status = Command::new(std::env::current_exe()?).env(VARIABLE, "9s").status()?;
        ensure!(status.success(), "the example failed");
        return Ok(());
    }
    let folder = Folder::new()?;
    let file = folder.0.join("app.toml");
    replace(&file, "[checkout]\nmax_items = 40\ngreeting = 'Hello'\nregion = 'eu'\n")?;
    story(&file).await
}

async fn story(file: &Path) -> anyhow::Result<()> {
    let bucket = Bucket::memory();
    bucket.put("base.checkout.max_items", "60").await?;
    bucket.put("env.prod.checkout.greeting", "Hello, production").await?;
    let live: Live<Checkout> =
        bucket.live().file(file).layers(["base", "env.prod", "host.web-1"]).start().await?;

    title("1. Each value from the strongest source that has one");
    show(&live);

    title("2. The file is edited while it runs");
    replace(file, "[checkout]\nmax_items = 40\ngreeting = 'Hello'\nregion = 'nl'\n")?;
    wait(&live, |checkout| checkout.region.as_deref() == Some("nl")).await?;
    show(&live);

    title("3. Two layers are changed in one change set");
    let fields = Checkout::fields();
    let edit = live.edit().layer("base").set(fields.greeting, "Good morning".to_owned());
    let edit = edit.layer("host.web-1").set(fields.max_items, 5).set(fields.region, Some("de".into()));
    let plan = edit.plan().await?;
    println!("{plan}");
    let applied = plan.commit().author("ops").reason("web-1 is a small machine").await?;
    reach(&live, applied.revision()).await?;
    show(&live);

    title("4. Nobody guesses which layer is meant, and nobody counts what was not seen");
    let refused = live.edit().set(fields.max_items, 7).plan().await.err().context("it has to be said")?;
    println!("edit: {refused}");
    let refused = live.update(|checkout| checkout.max_items += 1).layer("base").await;
    println!("update: {}", refused.err().context("it is masked")?);

    title("5. An override is above everything, for as long as it is held");
    {
        let _drill = live.overrides().set(fields.max_items, 1).scoped()?;
        println!("{}", live.explain(fields.max_items));
    }
    println!("{}", live.explain(fields.payment_timeout));

    title("6. What is removed in one layer lets the next one through");
    let removed = live.edit().layer("host.web-1").unset(fields.max_items).unset(fields.region);
    let applied = removed.plan().await?.commit().author("ops").reason("web-1 got memory").await?;
    reach(&live, applied.revision()).await?;
    show(&live);

    title("7. One layer goes back, the others stay");
    let back = live.rollback_to(Revision::new(2)).layer("base").author("ops").reason("too early").await?;
    reach(&live, back.revision()).await?;
    for change in live.log().await?.iter().take(2) {
        println!("{change}");
    }
    println!();
    show(&live);
    Ok(())
}

/// Every field with where it comes from.
fn show(live: &Live<Checkout>) {
    let (now, fields) = (live.load(), Checkout::fields());
    let rows = [
        ("max_items", now.max_items.to_string(), live.origin(fields.max_items)),
        ("payment_timeout", format!("{:?}", now.payment_timeout), live.origin(fields.payment_timeout)),
        ("region", format!("{:?}", now.region), live.origin(fields.region)),
        ("greeting", now.greeting.clone(), live.origin(fields.greeting)),
    ];
    for (field, value, origin) in rows {
        let origin = origin.map(|origin| origin.to_string()).unwrap_or_default();
        println!("  {field:<16} {value:<18} from {origin}");
    }
}

async fn reach(live: &Live<Checkout>, revision: Revision) -> anyhow::Result<()> {
    Ok(timeout(BOUND, live.wait_for(revision)).await.context("the change in time")??)
}

async fn wait(live: &Live<Checkout>, mut fulfilled: impl FnMut(&Checkout) -> bool) -> anyhow::Result<()> {
    let mut changes = live.changes();
    while !fulfilled(&live.load()) {
        timeout(BOUND, changes.next()).await.context("the change in time")?;
    }
    Ok(())
}

/// Puts another file in the place of this one, as editors and deployments do.
fn replace(file: &Path, text: &str) -> anyhow::Result<()> {
    let next = file.with_extension("next");
    std::fs::write(&next, text)?;
    Ok(std::fs::rename(next, file)?)
}

fn title(text: &str) {
    println!("\n{text}\n");
}

/// A folder that goes when the program does.
struct Folder(PathBuf);

impl Folder {
    fn new() -> anyhow::Result<Self> {
        let path = std::env::temp_dir().join(format!("kvconf-layers-{}", std::process::id()));
        std::fs::create_dir_all(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What stays behind is a small file in the folder for temporary ones.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
