//! `kvconf bucket`: making, looking at, changing and removing buckets.

mod info;
mod settings;

use clap::{Args, Subcommand};
use kvconf::{Bucket as Store, BucketConfig, ReadError, Status, WriteError};

use crate::change::counted;
use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::session::Session;
use settings::{Changeable, Fixed};

/// Make, look at, change and remove buckets
#[derive(Debug, Args)]
#[command(arg_required_else_help = true)]
pub(crate) struct Bucket {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    Ls(Ls),
    Create(Box<Create>),
    Info(Info),
    Update(Box<Update>),
    Rm(Rm),
}

/// List the buckets of the account
#[derive(Debug, Args)]
#[command(after_help = "Example:\n    kvconf bucket ls")]
struct Ls {}

/// Make a bucket with what kvconf needs: 64 revisions, atomic batches, markers for expired keys
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
    kvconf bucket create prod --replicas 3 --description 'settings of the shop'
    kvconf bucket create edge --mirror prod,api=$JS.hub.API

One that exists with exactly these settings is left as it is.")]
struct Create {
    /// Its name [default: --bucket]
    #[arg(value_name = "NAME")]
    name: Option<String>,
    #[command(flatten)]
    changeable: Changeable,
    #[command(flatten)]
    fixed: Fixed,
}

/// Show a bucket's settings, what it holds, and what it cannot promise
#[derive(Debug, Args)]
#[command(after_help = "Example:\n    kvconf bucket info prod")]
struct Info {
    /// Its name [default: --bucket]
    #[arg(value_name = "NAME")]
    name: Option<String>,
}

/// Change settings of a bucket; all that are not named stay as they are
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
    kvconf bucket update prod --history 64 --atomic-batches true
    kvconf bucket update prod --max-age 0        no limit any more")]
struct Update {
    /// Its name [default: --bucket]
    #[arg(value_name = "NAME")]
    name: Option<String>,
    /// Do not ask before revisions are dropped
    #[arg(short, long)]
    yes: bool,
    #[command(flatten)]
    changeable: Changeable,
}

/// Remove a bucket and all that it holds, history included
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
    kvconf bucket rm staging          asks for the name once more
    kvconf bucket rm staging --yes")]
struct Rm {
    /// Its name [default: --bucket]
    #[arg(value_name = "NAME")]
    name: Option<String>,
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
}

impl Bucket {
    pub(crate) async fn run(self, session: &mut Session) -> Outcome {
        match self.what {
            What::Ls(_) => ls(session).await,
            What::Create(create) => create.run(session).await,
            What::Info(info) => info.run(session).await,
            What::Update(update) => update.run(session).await,
            What::Rm(rm) => rm.run(session).await,
        }
    }
}

fn name_of(given: Option<String>, session: &Session) -> Outcome<String> {
    match given {
        Some(name) => {
            kvconf::check_bucket_name(&name)?;
            Ok(name)
        }
        None => session.bucket_name(),
    }
}

async fn ls(session: &mut Session) -> Outcome {
    let connection = session.connection().await?;
    let names = Store::names(connection).await?;
    if session.out.is_json() {
        return session.out.json(&names);
    }
    if names.is_empty() {
        return session.out.note("there is no bucket yet; `kvconf bucket create NAME` makes one");
    }
    for name in names {
        session.out.line(name)?;
    }
    Ok(())
}

impl Create {
    async fn run(self, session: &mut Session) -> Outcome {
        let mut config = BucketConfig::new(name_of(self.name, session)?);
        if self.fixed.is_mirror() {
            // A mirror takes no writes of its own, and the server refuses what is about them.
            config = BucketConfig::unchanged(config.name);
        }
        self.changeable.apply(&mut config)?;
        self.fixed.apply(&mut config);
        let connection = session.connection().await?;
        let name = config.name.clone();
        let bucket = match Store::create(connection, config).await {
            Err(WriteError::Failed(ReadError::Server { code: settings::EXISTS, .. })) => {
                let failure = Failure::new(Exit::Conflict, format!("bucket {name} exists, with other settings"));
                return Err(failure.hint(format!("kvconf bucket info {name}")).hint(format!("kvconf bucket update {name} …")));
            }
            outcome => outcome?,
        };
        session.out.note(format!("bucket {name} is there"))?;
        info::show(session, &bucket, &bucket.status().await?)
    }
}

impl Info {
    async fn run(self, session: &mut Session) -> Outcome {
        let name = name_of(self.name, session)?;
        let bucket = Store::open(session.connection().await?, &name).await?;
        let status = bucket.status().await?;
        info::show(session, &bucket, &status)
    }
}

impl Update {
    async fn run(self, session: &mut Session) -> Outcome {
        let name = name_of(self.name, session)?;
        let mut config = BucketConfig::unchanged(&name);
        self.changeable.apply(&mut config)?;
        if config == BucketConfig::unchanged(&name) {
            let failure = Failure::new(Exit::Usage, "no setting is named");
            return Err(failure.hint("kvconf bucket update --help lists them"));
        }
        let bucket = Store::open(session.connection().await?, &name).await?;
        let before = bucket.status().await?;
        if let Some(question) = loses_history(&before, &config)
            && !self.yes
        {
            session.confirm(&question, "--yes").await?;
        }
        let status = bucket.update_config(&config).await?;
        // What it could not promise before it may promise now.
        let bucket = Store::open(session.connection().await?, &name).await?;
        info::show(session, &bucket, &status)
    }
}

/// Fewer revisions drop what is beyond them at once, and nothing brings it back.
fn loses_history(before: &Status, wanted: &BucketConfig) -> Option<String> {
    let (kept, history) = (before.config.history, wanted.history?);
    let before_now = kept.map_or_else(|| "all".to_owned(), |kept| kept.to_string());
    let revisions = counted(history as usize, "revision");
    let drop = if history == 1 { "drops" } else { "drop" };
    let question = format!("{revisions} of a key instead of {before_now} {drop} the older ones at once, for good. Do it?");
    (kept.is_none_or(|kept| history < kept) && before.entries > 0).then_some(question)
}

impl Rm {
    async fn run(self, session: &mut Session) -> Outcome {
        let name = name_of(self.name, session)?;
        let connection = session.connection().await?;
        if !self.yes {
            // Found out before somebody is asked.
            let status = Store::open(connection.clone(), &name).await?.status().await?;
            let entries = if status.entries == 1 { "entry" } else { "entries" };
            let holds = format!("bucket {name} holds {} {entries}, {} bytes", status.entries, status.bytes);
            if !session.is_attended() {
                let failure = Failure::new(Exit::Declined, format!("{holds}; there is nobody to ask whether it may go"));
                return Err(failure.hint("--yes answers beforehand"));
            }
            let typed = session.ask(&format!("{holds}. Type its name to remove it for good: ")).await?;
            if typed != name {
                return Err(Failure::new(Exit::Declined, "not confirmed, nothing was removed"));
            }
        }
        match Store::destroy(connection, &name).await {
            Err(WriteError::Failed(error @ ReadError::BucketNotFound { .. })) => {
                return Err(Failure::new(Exit::NotFound, error).hint("kvconf bucket ls"));
            }
            outcome => outcome?,
        }
        session.out.note(format!("bucket {name} is gone"))
    }
}
